"""Per subject and day: memories added, searches performed, average relevance.

A subject's days are one row of its generation. So what was counted before an erasure, and is written after it
by an owner that had not heard of it, is read by nobody; and the row goes, whoever of the two was last.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from cluster.ids import Clock
from cluster.logs import get_log
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError
from memgrid.models import UserStats
from memgrid.operations import Stats
from memgrid.subject import Subject

_log = get_log()
_TABLE = "daily_stats"
_FLUSH_SECONDS = 5.0
MAX_DAYS = 366
"""Days that are kept, as many as can be asked for."""


class DayCounts(msgspec.Struct):
    """Counters of one subject on one day."""

    memories_added: int = 0
    searches: int = 0
    scored: int = 0
    """Searches whose relevance counts in the average (answers from the cache count once)."""
    relevance: float = 0.0

    def add(self, more: DayCounts) -> None:
        """Count what another has counted, too."""
        self.memories_added += more.memories_added
        self.searches += more.searches
        self.scored += more.scored
        self.relevance += more.relevance


_Row = dict[str, DayCounts]
"""By day."""


class DailyStats:
    """Counts in memory, written behind every few seconds: statistics, not the system of record."""

    def __init__(self, store: WideStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._unwritten: dict[tuple[Subject, int], _Row] = {}
        """By subject and its generation."""
        self._writing = asyncio.Lock()
        """Rows are read, added to and written: by one at a time."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def searched(self, subject: Subject, generation: int, relevance: float) -> None:
        """A search was answered; `relevance` is its best score, negative when it came from the cache."""
        counts = self._today(subject, generation)
        counts.searches += 1
        if relevance >= 0:
            counts.scored += 1
            counts.relevance += relevance

    def added(self, subject: Subject, generation: int, memories: int) -> None:
        """Memories were added."""
        if memories:
            self._today(subject, generation).memories_added += memories

    async def read(self, subject: Subject, days: int) -> Stats:
        """The last `days` days, newest first; days without activity are left out."""
        await self.flush()
        generation = (await self._store.head(subject)).generation
        row = _decoded(await self._store.get_row(_TABLE, _key(subject, generation)))
        oldest = (self._date() - timedelta(days=days - 1)).isoformat()
        return Stats(
            days=[
                UserStats(
                    date=day,
                    memories_added=counts.memories_added,
                    searches_performed=counts.searches,
                    avg_relevance_score=round(counts.relevance / counts.scored, 6) if counts.scored else 0.0,
                )
                for day, counts in sorted(row.items(), reverse=True)
                if day >= oldest
            ]
        )

    async def erase(self, subject: Subject, generation: int) -> None:
        """Forget what was counted in this generation and the ones before it, written or not."""
        async with self._writing:
            for place in [at for at in self._unwritten if at[0] == subject and at[1] <= generation]:
                del self._unwritten[place]
            await self._store.delete_row(_TABLE, _key(subject, generation))

    async def flush(self) -> None:
        """Add what was counted to the stored rows; what the store does not take is kept for the next time."""
        async with self._writing:
            while self._unwritten:
                (subject, generation), more = self._unwritten.popitem()
                try:
                    await self._write(subject, generation, more)
                except MemgridError:
                    _add(self._unwritten.setdefault((subject, generation), {}), more)
                    raise

    async def _write(self, subject: Subject, generation: int, more: _Row) -> None:
        key = _key(subject, generation)
        row = _decoded(await self._store.get_row(_TABLE, key))
        _add(row, more)
        oldest = (self._date() - timedelta(days=MAX_DAYS)).isoformat()
        kept = {day: counts for day, counts in row.items() if day >= oldest}
        await self._store.put_row(_TABLE, key, msgspec.to_builtins(kept))
        # Only now: an erasure that comes later deletes the row after this.
        if (await self._store.head(subject)).generation > generation:
            await self._store.delete_row(_TABLE, key)

    def _today(self, subject: Subject, generation: int) -> DayCounts:
        row = self._unwritten.setdefault((subject, generation), {})
        return row.setdefault(self._date().isoformat(), DayCounts())

    def _date(self) -> date:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except MemgridError as error:
                _log.warning("statistics not written", error=error.message)


def _add(row: _Row, more: _Row) -> None:
    for day, counts in more.items():
        row.setdefault(day, DayCounts()).add(counts)


def _decoded(row: dict[str, Any] | None) -> _Row:
    return {} if row is None else msgspec.convert(row, _Row)


def _key(subject: Subject, generation: int) -> str:
    return f"{subject.key.hex()}/{generation}"
