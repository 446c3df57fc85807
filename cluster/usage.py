"""What a tenant's extraction has used, by day: sums over its runs, not counters.

A day that is over is summed once and kept as a row, which can be made again from the runs. (Erasing a subject
takes its runs away: a day that was summed before still counts them.) The first question about a day reads the
newest runs of every subject of the tenant; later ones only those of today.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from cluster.ids import Clock
from cluster.model import DAY_MS, Millis, Run
from cluster.wide_store.port import WideStore
from memgrid.errors import InvalidInput
from memgrid.extraction import Usage, UsageDay, UsageOfModel
from memgrid.subject import Subject

MAX_DAYS: Final = 366
_TABLE: Final = "usage_days"
_PAGE: Final = 200
_AT_ONCE: Final = 16
_CLOSED_AFTER: Final = 5 * 60_000
"""A day is summed for good once it has been over for longer than clocks may differ."""


class _Sums(msgspec.Struct):
    runs: int = 0
    parked: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    dropped: int = 0

    def count(self, run: Run) -> None:
        self.runs += run.drives is None
        self.parked += run.status == "parked"
        self.calls += run.calls
        self.input_tokens += run.input_tokens
        self.output_tokens += run.output_tokens
        self.dropped += run.dropped
        if run.cost is not None:
            self.cost = (self.cost or 0.0) + run.cost

    def add(self, other: _Sums) -> None:
        self.runs += other.runs
        self.parked += other.parked
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.dropped += other.dropped
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost


class _Day(msgspec.Struct):
    whole: _Sums = msgspec.field(default_factory=_Sums)
    by_model: dict[str, _Sums] = msgspec.field(default_factory=dict[str, _Sums])

    def count(self, run: Run) -> None:
        self.whole.count(run)
        if run.model is not None:
            self.by_model.setdefault(run.model, _Sums()).count(run)

    def add(self, other: _Day) -> None:
        self.whole.add(other.whole)
        for model, sums in other.by_model.items():
            self.by_model.setdefault(model, _Sums()).add(sums)

    def out(self, name: str) -> UsageDay:
        whole = self.whole
        return UsageDay(
            date=name,
            runs=whole.runs,
            parked=whole.parked,
            calls=whole.calls,
            input_tokens=whole.input_tokens,
            output_tokens=whole.output_tokens,
            cost=_rounded(whole.cost),
            dropped_claims=whole.dropped,
            by_model={
                model: UsageOfModel(
                    runs=sums.runs,
                    input_tokens=sums.input_tokens,
                    output_tokens=sums.output_tokens,
                    cost=_rounded(sums.cost),
                )
                for model, sums in sorted(self.by_model.items())
            },
        )


class UsageReader:
    """Reads a tenant's usage."""

    def __init__(self, store: WideStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, tenant: str, first: date, last: date) -> Usage:
        """The days from `first` to `last`, both included, those without any run left out. Raises
        InvalidInput for a range that is none, or of more than MAX_DAYS."""
        if not 0 <= (last - first).days < MAX_DAYS:
            raise InvalidInput(
                f"from {first} to {last} is no range of 1 to {MAX_DAYS} days",
                field="from",
                remedy="give the earlier day first",
            )
        now = self._clock()
        days: dict[date, _Day] = {}
        missing: list[date] = []
        for back in range((last - first).days + 1):
            day = first + timedelta(days=back)
            row = await self._store.get_row(_TABLE, _key(tenant, day))
            if row is not None:
                days[day] = msgspec.convert(row, _Day)
            elif _start(day) <= now:
                missing.append(day)
        if missing:
            found = await self._summed(tenant, missing)
            for day in missing:
                days[day] = found[day]
                if _start(day) + DAY_MS + _CLOSED_AFTER <= now:
                    await self._store.put_row(_TABLE, _key(tenant, day), msgspec.to_builtins(found[day]))
        total = _Day()
        for day in days.values():
            total.add(day)
        return Usage(
            days=[days[day].out(day.isoformat()) for day in sorted(days) if days[day].whole != _Sums()],
            total=total.out(f"{first.isoformat()}/{last.isoformat()}"),
            generated_at=datetime.fromtimestamp(now / 1000, UTC),
        )

    async def _summed(self, tenant: str, wanted: Sequence[date]) -> dict[date, _Day]:
        days = {day: _Day() for day in wanted}
        oldest = _start(min(wanted))
        cursor: str | None = None
        while True:
            subjects, cursor = await self._store.subjects(tenant=tenant, cursor=cursor)
            for start in range(0, len(subjects), _AT_ONCE):
                group = subjects[start : start + _AT_ONCE]
                for runs in await asyncio.gather(*(self._runs(subject, oldest) for subject in group)):
                    for run in runs:
                        if (day := days.get(_day(run.created_at))) is not None:
                            day.count(run)
            if cursor is None:
                return days

    async def _runs(self, subject: Subject, since: Millis) -> list[Run]:
        return [run async for run in self._newest(subject, since) if run.created_at >= since]

    async def _newest(self, subject: Subject, since: Millis) -> AsyncGenerator[Run]:
        """Runs by their ids, newest first. An id is older than its run's end, so a page that has none of
        the time asked for may stand before one that has: a run takes no longer than a day."""
        cursor: str | None = None
        while True:
            runs, cursor = await self._store.runs(subject, cursor=cursor, limit=_PAGE)
            for run in runs:
                yield run
            if cursor is None or all(run.created_at < since - DAY_MS for run in runs):
                return


def _start(day: date) -> Millis:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _day(at: Millis) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()


def _key(tenant: str, day: date) -> str:
    return f"{tenant}\0{day.isoformat()}"


def _rounded(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 9)
