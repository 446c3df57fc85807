"""The rules for Chinese: a clause in, claims out. Every pattern is anchored at the clause's beginning.

Patterns are matched against clauses in simplified characters.
"""

from __future__ import annotations

import re

from cluster.pipeline.rules.chinese import belongings, doings, family, health, tastes, who, work
from cluster.pipeline.rules.chinese.clauses import QUESTION_WORDS
from cluster.pipeline.rules.chinese.values import Context
from cluster.pipeline.rules.registry import first_claims
from cluster.pipeline.rules.slots import Claim

_RULES = [
    rule
    for concern in (who, work, family, tastes, health, belongings, doings)
    for rule in concern.RULES.rules
]


_STATES = re.compile(r"(?:还|正|在|才|着).*呢$")
"""Asks nothing: "我还没对象呢"."""


def presupposed(text: str) -> list[Claim]:
    """What even a question takes for granted: "我家猫不吃饭怎么办？"."""
    return list(family.pets_taken_for_granted(text))


def claims_in(clause: str, context: Context) -> list[Claim]:
    """The claims that one clause, in simplified characters, makes about its speaker."""
    if _STATES.search(clause):
        clause = clause[:-1]
    return [] if QUESTION_WORDS.search(clause) else first_claims(_RULES, clause, context)
