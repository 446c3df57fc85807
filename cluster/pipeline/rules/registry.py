"""How rules are kept: patterns in order, each with what it makes of a match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from cluster.pipeline.rules.slots import Claim

C = TypeVar("C")
Handler = Callable[[re.Match[str], C], Iterator[Claim]]


class Rules(Generic[C]):
    """Rules of one concern, tried in the order they are written; `C` is the context they look at."""

    def __init__(self, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._flags = flags
        self.rules: list[tuple[re.Pattern[str], Handler[C]]] = []

    def rule(self, *patterns: str, case: bool = False) -> Callable[[Handler[C]], Handler[C]]:
        """Register the decorated function for clauses that begin with one of `patterns`.

        `case` makes these patterns tell upper from lower case whatever the flags are.
        """
        flags = re.NOFLAG if case else self._flags

        def register(handler: Handler[C]) -> Handler[C]:
            self.rules.extend((re.compile(pattern, flags), handler) for pattern in patterns)
            return handler

        return register


def first_claims(rules: Iterable[tuple[re.Pattern[str], Handler[C]]], clause: str, context: C) -> list[Claim]:
    """The claims of the first rule that makes any of the clause."""
    for pattern, handler in rules:
        match = pattern.match(clause)
        if match is not None and (found := list(handler(match, context))):
            return found
    return []
