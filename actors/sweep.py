"""What a shard does on its own clock: resume what was pending, and remove what has expired."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from actors.edits import Edits
from actors.resident import Residents
from cluster.ids import Clock
from cluster.logs import get_log
from cluster.model import HOUR_MS
from cluster.side_by_side import each
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError
from memgrid.subject import Subject

_log = get_log()
_RESUME_SECONDS = 3600.0
_RETRY_SECONDS = 30.0
"""A round that an error cut short is not over: a store that was away for a minute must not cost an hour."""
_AT_A_TIME = 4


class Sweep:
    """The background rounds of one shard actor over the shards it owns."""

    def __init__(
        self,
        *,
        store: WideStore,
        residents: Residents,
        edits: Edits,
        shards: Sequence[int],
        clock: Clock,
        cleanup_seconds: float,
        memory_ttl_days: int | None,
    ) -> None:
        self._store = store
        self._residents = residents
        self._edits = edits
        self._shards = shards
        self._clock = clock
        self._cleanup_seconds = cleanup_seconds
        self._memory_ttl_days = memory_ttl_days
        self._tasks: list[asyncio.Task[None]] = []
        self._soon = asyncio.Event()
        self.expired = 0

    def start(self) -> None:
        """Resume now and every hour; clean up every `cleanup_seconds`."""
        self._tasks = [
            asyncio.create_task(self._every(_RESUME_SECONDS, self.resume, at_once=True, sooner=self._soon)),
            asyncio.create_task(self._every(self._cleanup_seconds, self.clean_up, at_once=False)),
        ]

    def resume_soon(self) -> None:
        """Resume now and not within the hour: subjects have come into the store behind our back."""
        self._soon.set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def resume(self) -> bool:
        """Activate every subject that may have something pending, a few at a time.

        A shard's mark moves on only when none of them has anything pending any more. False when some could
        not be activated.
        """
        complete = True
        for shard in self._shards:
            upto = self._clock() // HOUR_MS * HOUR_MS
            since = await self._store.swept_through(shard)
            clean = True
            cursor: str | None = None
            while True:
                page, cursor = await self._store.active_subjects(shard, since=since, cursor=cursor)
                pending = await self._each(page, self._activate)
                clean = clean and not any(pending)
                complete = complete and None not in pending
                if cursor is None:
                    break
            if clean and complete:
                await self._store.set_swept_through(shard, upto)
        return complete

    async def clean_up(self) -> bool:
        """Remove expired memories of every subject; each removal is in the history and the log. False when
        some subjects had to be left out."""
        removed = 0
        complete = True
        for shard in self._shards:
            cursor: str | None = None
            while True:
                page, cursor = await self._store.subjects(shard=shard, cursor=cursor)
                expired = await self._each(page, self._expire)
                removed += sum(count for count in expired if count is not None)
                complete = complete and None not in expired
                if cursor is None:
                    break
        self.expired += removed
        _log.info("clean-up finished", removed=removed, complete=complete)
        return complete

    async def _activate(self, subject: Subject) -> int:
        async with self._residents.use(subject, fresh=False) as resident:
            return len(resident.pending)

    async def _expire(self, subject: Subject) -> int:
        removed = await self._edits.expire(subject, self._memory_ttl_days)
        if removed:
            _log.info("memories expired", tenant=subject.tenant, kind=subject.kind, removed=removed)
        return removed

    async def _each(
        self, subjects: Sequence[Subject], work: Callable[[Subject], Awaitable[int]]
    ) -> list[int | None]:
        """What `work` gave for each subject; None where it failed."""

        async def one(subject: Subject) -> int | None:
            try:
                return await work(subject)
            except MemgridError as error:
                _log.warning("sweep skipped a subject", error=error.message)
                return None

        return await each(subjects, _AT_A_TIME, one)

    async def _every(
        self,
        seconds: float,
        work: Callable[[], Awaitable[bool]],
        *,
        at_once: bool,
        sooner: asyncio.Event | None = None,
    ) -> None:
        """`work` every so many seconds, and when `sooner` is set."""
        if not at_once:
            await asyncio.sleep(seconds)
        wake = sooner or asyncio.Event()
        while True:
            wake.clear()
            try:
                complete = await work()
            except MemgridError as error:
                _log.warning("sweep interrupted", error=error.message)
                complete = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds if complete else min(seconds, _RETRY_SECONDS)):
                    await wake.wait()
