"""Which message stands before and after which: the order of each session, kept as messages come and go."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from cluster.model import Millis
from cluster.retrieval.columns import Column

NONE = -1
"""No neighbour."""


class SessionOrder:
    """Messages by ordinal, ordered in their session by (event time, id)."""

    def __init__(self) -> None:
        self._before = Column(np.int32)
        self._after = Column(np.int32)
        self._keys: dict[str, list[tuple[Millis, str, int]]] = {}

    @property
    def before(self) -> NDArray[np.int32]:
        """For each ordinal the one said before it in its session, or NONE."""
        return self._before.values

    @property
    def after(self) -> NDArray[np.int32]:
        """For each ordinal the one said after it in its session, or NONE."""
        return self._after.values

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._before.nbytes + self._after.nbytes + 120 * sum(map(len, self._keys.values()))

    def extend(self, count: int) -> None:
        """Give out `count` more ordinals, without neighbours until they are placed."""
        nobody = np.full(count, NONE, np.int32)
        self._before.extend(nobody)
        self._after.extend(nobody)

    def place(self, ordinal: int, session: str, event_time: Millis, unit_id: str) -> None:
        """Put a message in its place in its session."""
        keys = self._keys.setdefault(session, [])
        key = (event_time, unit_id, ordinal)
        at = bisect_left(keys, key)
        keys.insert(at, key)
        self._link(keys[at - 1][2] if at else NONE, ordinal)
        self._link(ordinal, keys[at + 1][2] if at + 1 < len(keys) else NONE)

    def remove(self, ordinal: int, session: str, event_time: Millis, unit_id: str) -> None:
        """Take a message out: its neighbours close up."""
        keys = self._keys[session]
        del keys[bisect_left(keys, (event_time, unit_id, ordinal))]
        if not keys:
            del self._keys[session]
        self._link(int(self.before[ordinal]), int(self.after[ordinal]))
        self.before[ordinal] = self.after[ordinal] = NONE

    def compact(self, keep: NDArray[np.intp]) -> None:
        """Renumber: old ordinal `keep[i]` becomes `i`. What is not kept must have been removed before."""
        renumbered = np.full(len(self._before) + 1, NONE, np.int32)  # the last entry serves NONE
        renumbered[keep] = np.arange(len(keep), dtype=np.int32)
        self._before.replace(renumbered[self.before[keep]])
        self._after.replace(renumbered[self.after[keep]])
        for keys in self._keys.values():
            keys[:] = [(time, unit_id, int(renumbered[ordinal])) for time, unit_id, ordinal in keys]

    def _link(self, first: int, second: int) -> None:
        if first != NONE:
            self.after[first] = second
        if second != NONE:
            self.before[second] = first
