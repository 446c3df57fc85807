"""What models cost."""

from __future__ import annotations

import math

import msgspec


class Price(msgspec.Struct, frozen=True):
    """For a million tokens, in whatever currency the prices are given in."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


def parse_prices(text: str) -> dict[str, Price]:
    """`model=input/output`, separated by commas, as a mapping. Raises ValueError."""
    prices: dict[str, Price] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        model, equals, price = entry.rpartition("=")
        input_price, slash, output_price = price.partition("/")
        try:
            parsed = Price(float(input_price), float(output_price))
        except ValueError:
            parsed = Price(-1, -1)
        sane = all(math.isfinite(each) and each >= 0 for each in (parsed.input, parsed.output))
        if not (equals and slash and model.strip() and sane):
            raise ValueError(f"{entry!r} is not model=input/output")
        prices[model.strip()] = parsed
    return prices
