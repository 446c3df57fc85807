"""The rules for English: a clause in, claims out. Every pattern is anchored at the clause's beginning."""

from __future__ import annotations

import re

from cluster.pipeline.rules.english import belongings, doings, family, health, partings, tastes, who, work
from cluster.pipeline.rules.english.clauses import speaker_alone, strip_opener
from cluster.pipeline.rules.english.values import Context
from cluster.pipeline.rules.registry import first_claims
from cluster.pipeline.rules.slots import Claim

_RULES = [
    rule
    for concern in (who, work, partings, family, tastes, health, belongings, doings)
    for rule in concern.RULES.rules
]
_FIRST_PERSON = re.compile(
    r"\b(?:i|i'm|im|my|our|we|me|this is|home is|home's|(?:speaking|asking|talking|writing) as|"
    r"sign (?:it|off|this|that|the))\b",
    re.I,
)


def presupposed(text: str) -> list[Claim]:
    """What even a question takes for granted: "a gift for my boss Ann?" """
    return [*family.apposed_names(text), *family.own_pets(text), *family.own_kin(text)]


def claims_in(clause: str, context: Context) -> list[Claim]:
    """The claims that one clause makes about its speaker."""
    if _FIRST_PERSON.search(clause) is None:
        return []
    bare = strip_opener(clause)
    found = first_claims(_RULES, bare, context)
    if (alone := speaker_alone(bare)) != bare:
        found.extend(first_claims(_RULES, alone, context))
    named = {claim.value for claim in found if claim.slot in family.NAMED}
    found.extend(claim for claim in family.apposed_names(clause) if claim.value not in named)
    pets = {claim.about for claim in found if claim.slot in {"pet", "pet_name"}}
    found.extend(claim for claim in family.own_pets(clause) if claim.about not in pets)
    kin = {"children" if claim.about == "child" else claim.about for claim in found}
    found.extend(claim for claim in family.own_kin(clause) if claim.about not in kin)
    return found
