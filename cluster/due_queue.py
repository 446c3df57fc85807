"""Who is due, in the order in which they became due, and who becomes due when."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from cluster.model import Millis


class Scheduled:
    """What can stand in a `DueQueue`: once in the queue, and with one deadline."""

    __slots__ = ("queued", "timer")

    def __init__(self) -> None:
        self.queued = False
        self.timer: Millis | None = None
        """The earliest time at which it will be looked at."""


S = TypeVar("S", bound=Scheduled)


class DueQueue(Generic[S]):
    """A queue, first come first served, and timers that cost nothing to move to a later time.

    A timer may go off early: whoever is woken says for itself whether it is due or has a later deadline.
    So a deadline that each append moves on needs one heap entry, not one for each append.
    """

    def __init__(self) -> None:
        self._queue: deque[S] = deque()
        self._timers: list[tuple[Millis, int, S]] = []
        self._count = 0
        self._live = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, entry: S) -> None:
        """At the end of the queue, unless it stands there already."""
        if not entry.queued:
            entry.queued = True
            self._queue.append(entry)

    def pop(self) -> S:
        """The first in the queue. Raises IndexError when it is empty."""
        entry = self._queue.popleft()
        entry.queued = False
        return entry

    def wake_at(self, entry: S, deadline: Millis) -> None:
        """Look at the entry at `deadline`, or before it."""
        if entry.timer is not None and entry.timer <= deadline:
            return
        self._live += entry.timer is None
        entry.timer = deadline
        self._count += 1
        heapq.heappush(self._timers, (deadline, self._count, entry))
        if len(self._timers) > 64 + 2 * self._live:
            self._timers = [timer for timer in self._timers if timer[2].timer == timer[0]]
            heapq.heapify(self._timers)

    def forget(self, entry: S) -> None:
        """Never wake it."""
        if entry.timer is not None:
            entry.timer = None
            self._live -= 1

    def pop_timer(self, now: Millis) -> S | None:
        """One of those to be looked at by `now`; None when there is none left."""
        first = self.next_timer()
        if first is None or first > now:
            return None
        entry = heapq.heappop(self._timers)[2]
        self.forget(entry)
        return entry

    def next_timer(self) -> Millis | None:
        """When the next is to be looked at."""
        while self._timers and self._timers[0][2].timer != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def validate(self, entries: Iterable[S]) -> None:
        """Raise AssertionError unless `entries`, all there are, and the queue agree."""
        queued = {id(entry) for entry in self._queue}
        timers = {(at, id(entry)) for at, _, entry in self._timers}
        live = 0
        for entry in entries:
            live += entry.timer is not None
            if entry.queued != (id(entry) in queued):
                raise AssertionError("the queued flag is off")
            if entry.timer is not None and (entry.timer, id(entry)) not in timers:
                raise AssertionError("a timer is lost")
        if live != self._live or len(queued) != len(self._queue):
            raise AssertionError("the queue has lost count")
