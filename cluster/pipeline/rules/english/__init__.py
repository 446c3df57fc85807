"""The rules for English: a clause in, claims out. Every pattern is anchored at the clause's beginning."""

from __future__ import annotations

import re

from cluster.pipeline.rules.english import belongings, doings, family, health, tastes, who, work
from cluster.pipeline.rules.english.clauses import strip_opener
from cluster.pipeline.rules.english.values import Context
from cluster.pipeline.rules.registry import first_claims
from cluster.pipeline.rules.slots import Claim

_RULES = [
    rule
    for concern in (who, work, family, tastes, health, belongings, doings)
    for rule in concern.RULES.rules
]
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|im|my|our|we|me|this is)\b", re.I)


def claims_in(clause: str, context: Context) -> list[Claim]:
    """The claims that one clause makes about its speaker."""
    if _FIRST_PERSON.search(clause) is None:
        return []
    return first_claims(_RULES, strip_opener(clause), context)
