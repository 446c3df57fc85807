"""The rules for Chinese: a clause in, claims out. Every pattern is anchored at the clause's beginning.

Patterns are matched against clauses in simplified characters.
"""

from __future__ import annotations

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


def claims_in(clause: str, context: Context) -> list[Claim]:
    """The claims that one clause, in simplified characters, makes about its speaker."""
    return [] if QUESTION_WORDS.search(clause) else first_claims(_RULES, clause, context)
