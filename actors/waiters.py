"""Those who wait until messages are in an extraction run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from memgrid.subject import Subject


class Waiters:
    """Futures that resolve when the last of their messages is settled: done, parked or forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[Subject, list[tuple[set[str], asyncio.Future[None]]]] = defaultdict(list)

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

    async def wait(self, subject: Subject, ids: Iterable[str]) -> None:
        """Return once none of `ids` is pending any more."""
        wanted = set(ids)
        if not wanted:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[subject].append((wanted, future))
        await future
