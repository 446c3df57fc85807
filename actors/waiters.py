"""Those who wait until messages are in an extraction run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar

from memgrid.subject import Subject

_until: ContextVar[float | None] = ContextVar("_until", default=None)
"""The end of the patience that the calls of a batch share, by the event loop's clock."""


class Waiters:
    """Waits that end when the last of their messages is settled (done, parked or forgotten), and at the
    latest when patience does: what is waited for is kept, and goes on without anyone waiting for it."""

    def __init__(self, *, patience: float, most: int) -> None:
        """Nobody waits for more than `patience` seconds, nor more than `most` at a time."""
        self._patience = patience
        self._most = most
        self._waiting: dict[Subject, dict[asyncio.Future[None], set[str]]] = defaultdict(dict)
        self._count = 0
        self._closed = False

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @contextmanager
    def together(self) -> Generator[None]:
        """Tasks begun in here share one patience: they are one request, answered as one."""
        token = _until.set(asyncio.get_running_loop().time() + self._patience)
        try:
            yield
        finally:
            _until.reset(token)

    def settled(self, subject: Subject, ids: Iterable[str]) -> None:
        """These messages are in a run now, or gone."""
        if subject not in self._waiting:
            return
        gone = set(ids)
        for future, wanted in self._waiting[subject].items():
            wanted.difference_update(gone)
            if not wanted:
                _end(future)

    def erased(self, subject: Subject) -> None:
        """Nothing of the subject is left to wait for."""
        for future in self._waiting.get(subject, ()):
            _end(future)

    def close(self) -> None:
        """Nothing more is settled here: whoever waits, or comes later, is told how far it has come."""
        self._closed = True
        for waiting in self._waiting.values():
            for future in waiting:
                _end(future)

    async def wait(self, subject: Subject, ids: Iterable[str]) -> None:
        """Return once none of `ids` is pending any more, or there is no more waiting for it."""
        wanted = set(ids)
        if not wanted or self._closed:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[subject][future] = wanted
        try:
            await self.wait_for(future)
        finally:
            del self._waiting[subject][future]
            if not self._waiting[subject]:
                del self._waiting[subject]

    async def wait_for(self, work: asyncio.Future[None]) -> bool:
        """Whether it is done before patience ends. It goes on if not."""
        if self._count < self._most:
            loop = asyncio.get_running_loop()
            until = _until.get()
            self._count += 1
            try:
                left = self._patience if until is None else max(0.0, until - loop.time())
                await asyncio.wait([work], timeout=left)
            finally:
                self._count -= 1
        return work.done()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
