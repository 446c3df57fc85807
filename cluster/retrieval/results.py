"""From ranked candidates to a page of results: what says the same is one of them.

- Messages of the same text are one result, which names those that come before the page is full.
- A message that a memory further up rests on is none of its own.
- A message above its memories that says no more than they do gives up its place to the best of them, which
  then has the message's score, and names that message first. One that says more stays: what was not
  extracted is found in it alone.

Which results there are does not depend on the page: the first of many are the same as few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.analysis import normalise
from cluster.model import Message
from cluster.retrieval.overtaken import says_only
from cluster.retrieval.ranking import Ranking
from cluster.retrieval.units import Units
from memgrid.models import ResultType


class Ranked(msgspec.Struct, frozen=True):
    """One result."""

    id: str
    kind: ResultType
    score: float
    """0..1, comparable between queries; see `ranking`."""
    parts: dict[str, float]
    """The evidence behind the score, by name."""
    sources: tuple[str, ...]
    """Ids of the messages it comes from: a memory's sources, a message itself and those of the same text;
    those found first come first."""


class _Result:
    """A result while others may still turn out to say the same."""

    def __init__(self, unit_id: str, kind: ResultType, at: int) -> None:
        self.id = unit_id
        self.kind: ResultType = kind
        self.at = at
        """The candidate whose score it has."""
        self.sources: dict[str, None] = {}


class Page:
    """Collects the results of one search, given its candidates best first."""

    def __init__(self, units: Units, candidates: NDArray[np.intp], ranking: Ranking) -> None:
        self._units = units
        self._candidates = candidates
        self._ranking = ranking
        self._memories = {
            units.id(ordinal): at
            for at, ordinal in enumerate(candidates.tolist())
            if not units.is_message(ordinal)
        }
        self._results: dict[str, _Result] = {}
        self._told: dict[str, _Result] = {}
        """By the ids of messages that a result stands for."""
        self._texts: dict[str, _Result] = {}

    def of(self, best_first: Iterable[int], *, offset: int, limit: int, threshold: float) -> list[Ranked]:
        """The results from `offset` on, with at least this score."""
        for at in best_first:
            if len(self._results) == offset + limit or float(self._ranking.scores[at]) < threshold:
                break
            ordinal = int(self._candidates[at])
            if not self._units.is_message(ordinal):
                self._put_memory(self._units.id(ordinal), at)
            elif isinstance(unit := self._units.get(ordinal), Message):
                self._put_message(unit, at)
        return [self._ranked(result) for result in [*self._results.values()][offset:]]

    def _put_memory(self, memory_id: str, at: int, *found: str) -> _Result:
        if (known := self._results.get(memory_id)) is not None:
            return known
        memory = self._units.memory_at(int(self._candidates[self._memories[memory_id]]))
        result = self._results[memory_id] = _Result(memory_id, "memory", at)
        result.sources.update(dict.fromkeys((*found, *memory.sources)))
        for source in memory.sources:
            self._told.setdefault(source, result)
        return result

    def _put_message(self, message: Message, at: int) -> None:
        text = " ".join(normalise(message.content).split())
        result = self._told.get(message.id) or self._texts.get(text)
        if result is None and (memory_id := self._in_its_place(message)) is not None:
            result = self._put_memory(memory_id, at, message.id)
        if result is None:
            result = self._results[message.id] = _Result(message.id, "message", at)
        result.sources[message.id] = None
        self._texts.setdefault(text, result)

    def _in_its_place(self, message: Message) -> str | None:
        """The best of the memories that rest on a message, if together they say all that it says."""
        resting = self._units.resting_on(message.id)
        found = [each for each in resting if each in self._memories]
        if not found or not says_only(message.content, (self._text(each) for each in resting)):
            return None
        # ties go to the smaller id, in whatever order they were put in
        return min(found, key=lambda each: (-float(self._ranking.order[self._memories[each]]), each))

    def _text(self, memory_id: str) -> str:
        ordinal = self._units.ordinal(memory_id)
        return "" if ordinal is None else self._units.memory_at(ordinal).text

    def _ranked(self, result: _Result) -> Ranked:
        parts = {name: float(part[result.at]) for name, part in self._ranking.parts.items()}
        score = float(self._ranking.scores[result.at])
        return Ranked(result.id, result.kind, score, parts, tuple(result.sources))


def resting_on(units: Units, candidates: Sequence[int], eligible: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Ordinals of the eligible memories that rest on messages among the candidates."""
    found = {
        ordinal
        for at in candidates
        if units.is_message(at)
        for memory_id in units.resting_on(units.id(at))
        if (ordinal := units.ordinal(memory_id)) is not None and eligible[ordinal]
    }
    return np.array(sorted(found), np.intp)
