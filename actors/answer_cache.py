"""Answers that are still true, by what they are true of."""

from __future__ import annotations

from collections import OrderedDict

from pydantic import BaseModel

from actors.resident import Resident
from cluster.model import Millis
from memgrid.subject import Subject


class AnswerCache:
    """Encoded answers by subject and question, bounded in bytes.

    An entry holds as long as the subject's revision and position are what they were, and no memory has
    expired since: it is never stale.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[Subject, str, bytes], tuple[tuple[int, ...], Millis, bytes]] = (
            OrderedDict()
        )
        self.hits = 0
        self.misses = 0

    def get(self, key: tuple[Subject, str, bytes], state: tuple[int, ...], now: Millis) -> bytes | None:
        """The answer, if it is still true."""
        entry = self._entries.get(key)
        if entry is None or entry[0] != state or entry[1] <= now:
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry[2]

    def put(
        self, key: tuple[Subject, str, bytes], state: tuple[int, ...], until: Millis, answer: bytes
    ) -> None:
        """Keep an answer that is true at `state` until `until`."""
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= _cost(key, old[2])
        self._entries[key] = (state, until, answer)
        self._bytes += _cost(key, answer)
        while self._bytes > self._max_bytes:
            dropped, (_, _, value) = self._entries.popitem(last=False)
            self._bytes -= _cost(dropped, value)


def _cost(key: tuple[Subject, str, bytes], answer: bytes) -> int:
    return len(answer) + len(key[2]) + len(key[0].id) + 400


def encode(answer: BaseModel) -> bytes:
    """An answer as JSON."""
    return answer.model_dump_json().encode()


def state_of(resident: Resident) -> tuple[int, ...]:
    """What a subject's answers are true of: they change with it."""
    return (resident.head.generation, resident.head.revision, resident.position)
