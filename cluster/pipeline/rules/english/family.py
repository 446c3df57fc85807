"""Family, friends and pets: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import (
    CONTEXT_BOUND,
    END,
    FRIEND,
    I_AM,
    NAME,
    NUMBER,
    PET,
    PLACE,
    RELATION,
    YEARS_OLD,
    Context,
    person_of,
    place_of,
    proper,
)
from cluster.pipeline.rules.english.work import occupation_of
from cluster.pipeline.rules.lexicon import EN_FRIENDS, EN_NOT_NAMES, EN_RELATIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)


@RULES.rule(
    (
        rf"my (?:\w+ )?(?P<x>{RELATION}|{FRIEND})(?:'s name is|'s called| is called| is named|'s named) "
        rf"{NAME}{END}(?P<rest>.*)"
    ),
    (
        rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|late|dear|baby|twin) "
        rf")?(?P<x>{RELATION}|{FRIEND}),? {NAME},? (?P<rest>(?:is|was|has|works|lives|just|loves|likes|"
        rf"and|turned|got|who|went|started)\b.*)$"
    ),
)
def _relative_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = person_of(match["v"])
    relation = match["x"].lower()
    if not name or not proper(name) or name.lower() in EN_NOT_NAMES:
        return
    if relation in EN_FRIENDS:
        yield Claim("friend_name", name, about=EN_FRIENDS[relation])
        return
    about = EN_RELATIONS[relation]
    yield Claim("family_name", name, about=about)
    rest = match["rest"].strip(" ,")
    yield from _relative_state(about, rest)


@RULES.rule(
    rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|baby) "
    rf")?(?P<x>{RELATION})(?P<rest>(?:'s| is| works| lives| turned| just)\b.*)$"
)
def _relative(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    if rest.startswith("'s"):
        rest = f"is{rest[2:]}"
    yield from _relative_state(EN_RELATIONS[match["x"].lower()], rest)


def _relative_state(about: str, rest: str) -> Iterator[Claim]:
    age = re.match(
        (
            rf"(?:is|just turned|turned|is turning) (?:now |already |only )?(\d{{1,3}})(?: "
            rf"{YEARS_OLD})?\W*(?:$|and\b|now\b|,)"
        ),
        rest,
        re.I,
    )
    if age and "turning" not in age[0] and int(age[1]) <= 120:
        yield Claim("family_age", age[1], about=about)
        return
    job = re.match(r"(?:is|works as) (?:also )?an? (.+)$", rest, re.I)
    if job:
        for claim in occupation_of(job[1]):
            if claim.slot == "title":
                yield Claim("family_job", claim.value, about=about)
        return
    home = re.match(rf"lives in {PLACE}{END}", rest)
    if home and (value := place_of(home["v"])):
        yield Claim("family_home", value, about=about)


@RULES.rule(rf"my (?P<x>parents|grandparents|kids|children|in-laws) (?:both )?live in {PLACE}{END}")
def _relatives_home(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := place_of(match["v"]):
        yield Claim("family_plural_home", value, about=match["x"].lower())


@RULES.rule(
    (
        rf"(?:i|we) (?:(?:also|only|now|just) )?(?:have|have got|'ve got)(?: got)? (?P<n>{NUMBER}) "
        rf"(?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|young|grown|adult|twin|elder|"
        rf"small|great|half|step) )*(?P<x>{RELATION})(?P<s>s|ren)?\b(?P<rest>.*)$"
    ),
    (
        rf"i've got (?P<n>{NUMBER}) (?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|"
        rf"young|grown|adult|twin) )*(?P<x>{RELATION})(?P<s>s|ren)?\b(?P<rest>.*)$"
    ),
    (
        rf"{I_AM} (?:a |the )?(?:proud )?(?:mother|father|mom|mum|dad|parent) (?:of|to) "
        rf"(?P<n>{NUMBER})(?P<x>)(?P<s>)\b(?P<rest>)(?:$|\W| (?:kids|children))"
    ),
)
def _family(match: re.Match[str], _: Context) -> Iterator[Claim]:
    relation = EN_RELATIONS.get((match["x"] or "child").lower(), "child")
    number = match["n"].lower()
    single = number in {"a", "an", "one", "1"}
    if relation in {"wife", "husband", "mother", "father", "partner", "twin", "spouse"} and not single:
        return
    rest = match["rest"]
    if re.match(r"\s+(?:who|that|which|in|to|of|problem|friend)\b", rest) and not re.match(
        r"\s+who (?:is|'s) \d", rest
    ):
        rest = ""
    plural = {"child": "children"}.get(relation, f"{relation}s")
    value = f"a {relation}" if single else f"{number} {plural}"
    if single and relation[0] in "aeiou":
        value = f"an {relation}"
    yield Claim("family", value, about=relation)
    named = re.match(rf"\W*(?:named|called|whose name is|,) {NAME}(?P<more>.*)$", rest)
    if named and (name := person_of(named["v"])) and proper(name):
        yield Claim("family_name", name, about=relation)
        if not single:
            for other in re.findall(r"(?:,| and) ([A-Z][\w'-]*)", named["more"]):
                yield Claim("family_name", other, about=relation)
        elif age := re.match(r"\W*(?:who is|who's|and (?:he|she) is|aged) (\d{1,2})\b", named["more"]):
            yield Claim("family_age", age[1], about=relation)


@RULES.rule(
    (
        rf"(?:i|we) (?:(?:also|now|just|recently|have|only) )*(?:have|own|got|adopted|'ve got|keep) "
        rf"(?P<n>{NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{PET})(?P<s>s|es|ies)?\b(?P<rest>.*)$"
    ),
    (
        rf"(?:i've|we've) (?:got|adopted) (?P<n>{NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{PET})(?P<s>s|"
        rf"es|ies)?\b(?P<rest>.*)$"
    ),
)
def _pet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if re.match(
        (
            r"\s+(?:allergy|person|lover|hair|food|toy|problem|owner|costume|phobia|sanctuary|shirt|"
            r"painting|for (?:dinner|lunch))\b"
        ),
        rest,
        re.I,
    ):
        return
    number = match["n"].lower()
    start, stop = match.start("n"), match.end("s") if match["s"] else match.end("x")
    phrase = match[0][start - match.start() : stop - match.start()]
    if CONTEXT_BOUND.search(phrase) or len(phrase.split()) > 5:
        return
    about = match["x"].lower()
    yield Claim("pet", phrase.replace("one ", "a ", 1) if number == "one" else phrase, about=about)
    named = re.match(rf"\W*(?:named|called|whose name is|,|-)\s*{NAME}(?P<more>.*)$", rest)
    if named and (name := person_of(named["v"])) and proper(name):
        yield Claim("pet_name", name, about=about)
        if number not in {"a", "an", "one", "1"}:
            for other in re.findall(r"(?:,| and) ([A-Z][\w'-]*)", named["more"]):
                yield Claim("pet_name", other, about=about)


@RULES.rule(
    (
        rf"(?:my|our) (?:\w+ ){{0,2}}?(?P<x>{PET})(?:'s name is|'s called| is called| is named|'s named) "
        rf"{NAME}{END}"
    ),
    (
        rf"(?:my|our) (?:\w+ )?(?P<x>{PET}),? {NAME},? (?:is|was|has|just|loves|likes|and|who|turned|got|"
        rf"keeps|always)\b"
    ),
)
def _pet_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = person_of(match["v"])
    if name and proper(name):
        yield Claim("pet_name", name, about=match["x"].lower())


@RULES.rule(
    (
        rf"{I_AM} (?:(?:now|currently|happily|newly|recently|already|still|finally|legally|getting) "
        rf")*(?P<v>married|single|divorced|engaged|widowed|separated)\b(?P<rest>.*)$"
    ),
    (
        r"(?:i (?:just |recently |finally )*got|we (?:just |recently |finally )*got) (?P<v>married|"
        r"divorced|engaged)\b(?P<rest>.*)$"
    ),
)
def _marital(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    elsewhere = re.match(r"(?:in|with|by|from|handed|to (?:my|the) (?:job|work))\b", rest, re.I)
    if "getting" in match[0].lower() or context.future or elsewhere:
        return
    yield Claim("marital", match["v"].lower(), dated="got" in match[0].lower())
    spouse = re.match(rf"to {NAME}{END}", rest)
    if spouse and match["v"].lower() == "married" and (name := person_of(spouse["v"])) and proper(name):
        yield Claim("family_name", name, about="spouse")
