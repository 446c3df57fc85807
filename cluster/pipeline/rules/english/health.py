"""Health and food: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import I_AM, Context, items_of
from cluster.pipeline.rules.lexicon import EN_CONDITIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_CONDITION_OF = {
    "diabetic": "diabetes", "asthmatic": "asthma", "dyslexic": "dyslexia", "epileptic": "epilepsy",
    "anemic": "anemia", "celiac": "celiac disease", "coeliac": "celiac disease", "deaf": "deafness",
    "nearsighted": "nearsightedness", "hard of hearing": "hearing loss", "color blind": "color blindness",
}  # fmt: skip


# Said to be funny: nobody's body reacts to these.
_NO_ALLERGENS = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|mornings?|stupid(?:ity)?|nonsense|drama|bullshit|bs|"
    r"work(?:ing)?|commitment|exercise|exercising|meetings?|people|idiots?|small talk|responsibilit(?:y|ies)|"
    r"cleaning|math|homework|chores|effort|failure|boredom|fun|food|bad|severe|many|no|some",
    re.I,
)


@RULES.rule(
    (
        rf"{I_AM} (?:(?:also|severely|highly|very|really|mildly|slightly|deathly|super|quite|terribly|a "
        rf"bit|a little|actually) )*allergic to (?P<rest>.+)$"
    ),
    (
        r"i (?:(?:also|do) )?have (?:a|an|some) (?:(?:severe|bad|mild|serious|slight|terrible|strong|"
        r"life-threatening) )*allerg(?:y|ies) to (?P<rest>.+)$"
    ),
    (
        r"i (?:(?:also|do) )?have (?:a |an )?(?:(?:severe|bad|mild|serious|slight|terrible) "
        r")*(?P<rest>[a-z]+(?: [a-z]+)?) allerg(?:y|ies)\b"
    ),
)
def _allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = re.sub(r"^(?:all|any|some|most|things like|both) ", "", match["rest"], flags=re.I)
    rest = re.sub(r"\s+(?:are|is|make|makes)\b.*$", "", rest)
    for value in items_of(rest):
        if not _NO_ALLERGENS.fullmatch(value):
            yield Claim("allergy", value, confidence=0.95)


@RULES.rule(
    (
        r"i (?:(?:also|still|actually) )*(?:have|have got|suffer from|struggle with|deal with|live with|"
        r"was diagnosed with|got diagnosed with|have been diagnosed with) (?:(?:mild|severe|chronic|bad|"
        r"terrible|serious|some) )*(?P<rest>.+)$"
    ),
    r"i've (?:got|been diagnosed with|had) (?P<rest>.+)$",
    (
        rf"{I_AM} (?:(?:severely|also|actually|a bit) )*(?P<adj>diabetic|lactose[- ]intolerant|"
        rf"gluten[- ]intolerant|color[- ]?blind|colour[- ]?blind|deaf|dyslexic|asthmatic|epileptic|anemic|"
        rf"celiac|coeliac|nearsighted|hard of hearing)\b(?P<rest>)"
    ),
)
def _condition(match: re.Match[str], _: Context) -> Iterator[Claim]:
    adjective = match.groupdict().get("adj")
    if adjective:
        lowered = adjective.lower().replace("-", " ")
        if "blind" in lowered:
            lowered = "color blind"
        value = _CONDITION_OF.get(lowered) or f"{lowered.split()[0]} intolerance"
        yield Claim("condition", value, confidence=0.95)
        return
    for value in items_of(match["rest"]):
        if value.lower() in EN_CONDITIONS:
            yield Claim("condition", value, confidence=0.9)


@RULES.rule(
    (
        rf"{I_AM} (?:(?:a|an|also|strictly|strict|now|mostly|currently|actually) )*(?P<v>vegetarian|vegan|"
        rf"pescatarian)\b(?!['-])"
    ),
    (
        r"i(?:'ve| have)? (?:recently |just )*(?:been (?:an? )?(?:strict )?|became |become |went |"
        r"gone |turned )(?P<v>vegetarian|vegan|"
        r"pescatarian)\b"
    ),
)
def _diet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("diet", match["v"].lower(), confidence=0.95)


@RULES.rule(
    rf"{I_AM} (?:no longer|not) (?:an? )?(?P<v>vegetarian|vegan|pescatarian)(?P<more> any ?more)?\W*$"
)
def _not_diet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["more"] or "no longer" in match[0].lower():
        yield Claim("diet", match["v"].lower(), negates=True)


@RULES.rule(
    (
        r"i (?:(?:also|really|just|personally|never) )*(?:don't|do not|dont|can't|cannot|never) (?:ever "
        r")?(?P<verb>eat|drink) (?P<rest>.+)$"
    ),
    r"i (?:no longer|stopped|quit|gave up) (?P<verb>eat|drink|eating|drinking|smoking|smoke) ?(?P<rest>.*)$",
)
def _avoids(match: re.Match[str], context: Context) -> Iterator[Claim]:
    verb = match["verb"].lower()
    rest = re.sub(r"\s+(?:any ?more|at all|anymore)\b.*$", "", match["rest"], flags=re.I)
    if re.search(
        r"(?:^|\s)(?:for|once|when|during|until|while|after|before|on \w+days?|on weekends)\b", rest, re.I
    ):
        return
    if verb in {"smoking", "smoke"}:
        yield Claim("quit", "smokes")
        return
    if (
        re.match(
            (
                r"(?:much|a lot|enough|well|out|too|for|before|after|at|late|alone|properly|anything|"
                r"breakfast|lunch|dinner)\b"
            ),
            rest,
            re.I,
        )
        or not rest
        or context.dated
    ):
        return
    for value in items_of(re.sub(r"^(?:any|much) ", "", rest)):
        yield Claim("avoids" if verb.startswith("eat") else "avoids_drink", value)
