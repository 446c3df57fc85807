"""Per subject and day: memories added, searches performed, average relevance."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

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


class DailyStats:
    """Counts in memory, written behind every few seconds: statistics, not the system of record."""

    def __init__(self, store: WideStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._unwritten: dict[tuple[Subject, str], DayCounts] = {}
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

    def searched(self, subject: Subject, relevance: float) -> None:
        """A search was answered; `relevance` is its best score, negative when it came from the cache."""
        counts = self._today(subject)
        counts.searches += 1
        if relevance >= 0:
            counts.scored += 1
            counts.relevance += relevance

    def added(self, subject: Subject, memories: int) -> None:
        """Memories were added."""
        if memories:
            self._today(subject).memories_added += memories

    async def read(self, subject: Subject, days: int) -> Stats:
        """The last `days` days, newest first; days without activity are left out."""
        await self.flush()
        today = datetime.fromtimestamp(self._clock() / 1000, UTC).date()
        found: list[UserStats] = []
        for back in range(days):
            day = today - timedelta(days=back)
            row = await self._store.get_row(_TABLE, _key(subject, day.isoformat()))
            if row is None:
                continue
            counts = msgspec.convert(row, DayCounts)
            found.append(
                UserStats(
                    date=day.isoformat(),
                    memories_added=counts.memories_added,
                    searches_performed=counts.searches,
                    avg_relevance_score=round(counts.relevance / counts.scored, 6) if counts.scored else 0.0,
                )
            )
        return Stats(days=found)

    async def flush(self) -> None:
        """Add what was counted to the stored rows; what the store does not take is kept for the next time."""
        async with self._writing:
            while self._unwritten:
                (subject, day), more = self._unwritten.popitem()
                try:
                    await self._write(_key(subject, day), more)
                except MemgridError:
                    self._unwritten.setdefault((subject, day), DayCounts()).add(more)
                    raise

    async def _write(self, key: str, more: DayCounts) -> None:
        row = await self._store.get_row(_TABLE, key)
        counts = msgspec.convert(row, DayCounts) if row is not None else DayCounts()
        counts.add(more)
        await self._store.put_row(_TABLE, key, msgspec.to_builtins(counts))

    def _today(self, subject: Subject) -> DayCounts:
        day: date = datetime.fromtimestamp(self._clock() / 1000, UTC).date()
        return self._unwritten.setdefault((subject, day.isoformat()), DayCounts())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except MemgridError as error:
                _log.warning("statistics not written", error=error.message)


def _key(subject: Subject, day: str) -> str:
    return f"{subject.key.hex()}/{day}"
