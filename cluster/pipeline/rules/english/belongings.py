"""Languages and belongings: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import I_AM, NUMBER, Context, proper, value_of
from cluster.pipeline.rules.lexicon import EN_LANGUAGES
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_LANG = "|".join(sorted(EN_LANGUAGES))


@RULES.rule(
    (
        rf"i (?:(?:can|also|only|already|fluently) )*speak (?:(?:fluent|some|a little|a bit of|basic|both|"
        rf"good) )*(?P<rest>(?:{_LANG}|(?-i:[A-Z][a-z]+))\b.*)$"
    ),
    rf"{I_AM} (?:(?:also|pretty|quite) )*(?:fluent|bilingual) in (?P<rest>(?:{_LANG})\b.*)$",
    rf"my (?:native|first|mother) (?:language|tongue)(?:'s| is) (?P<rest>(?:{_LANG})\b.*)$",
)
def _language(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = re.sub(r" (?:at (?:home|work|school)|with (?:my|the) [a-z]+)\b", "", match["rest"])
    words = re.split(r"\s*,?\s+and\s+(?:a (?:little|bit of) |some )?|\s*,\s*|\s+", rest)
    among_known = any(word.strip(".!").lower() in EN_LANGUAGES for word in words)
    for word in words:
        known = word.strip(".!").lower() in EN_LANGUAGES
        if not known and not (word[:1].isupper() and among_known):
            break
        yield Claim("language", word.strip(".!").capitalize())


_VEHICLE = re.compile(
    r"\b(?:\w+ (?:car|van|truck|bus|cab|bike)|suv|pickup|minivan|jeep|sedan|hybrid|hatchback|convertible|"
    r"motorcycle|motorbike|scooter|moped|taxi|truck|van|tesla|toyota|honda|ford|bmw|audi|mercedes|subaru|"
    r"mazda|"
    r"volvo|vw|volkswagen|kia|hyundai|nissan|skoda|fiat|renault|peugeot|prius|civic|corolla|lexus|porsche|"
    r"mini)\b",
    re.I,
)


@RULES.rule(r"i (?:(?:currently|now|still|actually) )*drive (?:an?|my) (?P<rest>.+)$")
def _vehicle(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = value_of(re.sub(r"\s+(?:to|for|every|around|in|on)\s.*$", "", match["rest"]), words=4)
    if value and "'s" not in value and not context.dated and (proper(value) or _VEHICLE.search(value)):
        yield Claim("vehicle", f"a {value}" if value[0].lower() not in "aeiou" else f"an {value}")


@RULES.rule(rf"i (?:(?:also|currently|still|actually|now) )*own (?P<v>(?:{NUMBER}) .+)$")
def _possession(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := value_of(match["v"], words=5):
        yield Claim("possession", value)
