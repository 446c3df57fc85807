"""Those who wait until messages are in an extraction run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from memgrid.errors import Overloaded
from memgrid.subject import Subject


class Waiters:
    """Futures that resolve when the last of their messages is settled: done, parked or forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[Subject, list[tuple[set[str], asyncio.Future[None]]]] = defaultdict(list)
        self._closed = False

    def settled(self, subject: Subject, ids: Iterable[str]) -> None:
        """These messages are in a run now, or gone."""
        if subject not in self._waiting:
            return
        gone = set(ids)
        left: list[tuple[set[str], asyncio.Future[None]]] = []
        for wanted, future in self._waiting[subject]:
            wanted.difference_update(gone)
            if wanted and not future.done():
                left.append((wanted, future))
            elif not future.done():
                future.set_result(None)
        if left:
            self._waiting[subject] = left
        else:
            del self._waiting[subject]

    def erased(self, subject: Subject) -> None:
        """Nothing of the subject is left to wait for."""
        for _, future in self._waiting.pop(subject, ()):
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Nothing more is settled here: whoever waits, or comes later, is told to ask again."""
        self._closed = True
        for waiting in self._waiting.values():
            for _, future in waiting:
                if not future.done():
                    future.set_exception(_closing())
        self._waiting.clear()

    async def wait(self, subject: Subject, ids: Iterable[str]) -> None:
        """Return once none of `ids` is pending any more. Raises Overloaded when this owner shuts down."""
        if self._closed:
            raise _closing()
        wanted = set(ids)
        if not wanted:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[subject].append((wanted, future))
        await future


def _closing() -> Overloaded:
    return Overloaded("this owner is shutting down", remedy="send the same request again", retry_after=1.0)
