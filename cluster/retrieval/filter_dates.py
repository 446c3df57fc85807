"""Dates as a filter may write them, and as callers write them in metadata."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from cluster.model import DAY_MS, Millis

_EARLIEST: Final = -62_135_596_800_000  # 0001-01-01
_LATEST: Final = 253_402_300_799_999  # 9999-12-31
_SECONDS_BELOW: Final = 100_000_000_000
_DAY_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")


def span_of(value: object) -> tuple[Millis, Millis]:
    """The milliseconds [start, end) that a date means. Raises ValueError for what is none."""
    if isinstance(value, str):
        return _span_of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("neither text nor a number")
    # in this order a NaN is refused too
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError("out of range")
    millis = int(value * 1000) if abs(value) < _SECONDS_BELOW else int(value)
    if not _EARLIEST <= millis <= _LATEST:
        raise ValueError("out of range")
    return millis, millis + 1


def _span_of_text(text: str) -> tuple[Millis, Millis]:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
    millis = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    return millis, millis + (DAY_MS if _DAY_ONLY.fullmatch(text) else 1)
