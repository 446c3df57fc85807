"""Statistics by day: nothing is counted twice, lost to a failure, or put on another day."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from actors.daily_stats import MAX_DAYS, DailyStats
from cluster.model import DAY_MS, Head
from memgrid.errors import Unavailable
from memgrid.models import UserStats
from memgrid.subject import Subject
from tests.owners import running_owner

ANNA = Subject("t", "user", "anna")
NOON = 1_700_049_600_000
"""15 November 2023, 12:00 UTC."""


class Rows:
    """A store of rows; each read and write lets others go first, and none is written while it is down."""

    def __init__(self) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.down = False
        self.generation = 0

    async def head(self, subject: Subject) -> Head:
        return Head(generation=self.generation)

    async def delete_row(self, table: str, key: str) -> None:
        self.rows.pop(f"{table}/{key}", None)

    async def get_row(self, table: str, key: str) -> Mapping[str, Any] | None:
        row = self.rows.get(f"{table}/{key}")
        await asyncio.sleep(0)
        return row

    async def put_row(self, table: str, key: str, row: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("scripted")
        self.rows[f"{table}/{key}"] = row


@pytest.fixture
def store() -> Any:
    return Rows()


def day(date: str, added: int, searches: int, relevance: float) -> UserStats:
    return UserStats(
        date=date, memories_added=added, searches_performed=searches, avg_relevance_score=relevance
    )


async def test_each_day_by_itself_and_what_came_from_the_cache_counts_no_relevance(store: Any) -> None:
    now = NOON
    stats = DailyStats(store, lambda: now)
    stats.added(ANNA, 0, 3)
    for relevance in (0.5, 0.7, -1.0):
        stats.searched(ANNA, 0, relevance)
    assert (await stats.read(ANNA, 7)).days == [day("2023-11-15", 3, 3, 0.6)]
    now += 2 * DAY_MS
    stats.searched(ANNA, 0, 0.2)
    assert (await stats.read(ANNA, 7)).days == [day("2023-11-17", 0, 1, 0.2), day("2023-11-15", 3, 3, 0.6)]
    assert (await stats.read(ANNA, 2)).days == [day("2023-11-17", 0, 1, 0.2)]


async def test_what_could_not_be_written_is_written_later(store: Any) -> None:
    stats = DailyStats(store, lambda: NOON)
    store.down = True
    stats.added(ANNA, 0, 2)
    stats.added(Subject("t", "user", "bob"), 0, 1)
    with pytest.raises(Unavailable):
        await stats.flush()
    stats.added(ANNA, 0, 1)
    store.down = False
    assert (await stats.read(ANNA, 1)).days == [day("2023-11-15", 3, 0, 0.0)]
    assert (await stats.read(Subject("t", "user", "bob"), 1)).days == [day("2023-11-15", 1, 0, 0.0)]


async def test_two_who_write_at_once_lose_nothing(store: Any) -> None:
    stats = DailyStats(store, lambda: NOON)
    stats.added(ANNA, 0, 1)
    first = asyncio.create_task(stats.flush())
    await asyncio.sleep(0)  # it has read the row, and not written it yet
    stats.added(ANNA, 0, 1)
    await asyncio.gather(first, stats.flush())
    assert (await stats.read(ANNA, 1)).days == [day("2023-11-15", 2, 0, 0.0)]


async def test_days_that_nobody_can_ask_for_are_dropped(store: Any) -> None:
    now = NOON
    stats = DailyStats(store, lambda: now)
    stats.added(ANNA, 0, 1)
    await stats.flush()
    now += (MAX_DAYS + 1) * DAY_MS
    stats.added(ANNA, 0, 1)
    await stats.flush()
    (row,) = store.rows.values()
    assert list(row) == ["2024-11-16"]


async def test_what_was_counted_before_an_erasure_is_not_written_after_it(store: Any) -> None:
    """Neither by who erased, nor by another owner that has not heard of it."""
    one, other = DailyStats(store, lambda: NOON), DailyStats(store, lambda: NOON)
    for stats in (one, other):
        stats.added(ANNA, 0, 2)
    await one.flush()
    store.generation = 1
    await one.erase(ANNA, 0)
    one.searched(ANNA, 1, 0.5)
    await other.flush()
    assert (await other.read(ANNA, 7)).days == []
    assert (await one.read(ANNA, 7)).days == [day("2023-11-15", 0, 1, 0.5)]
    assert [at for at in store.rows if not at.endswith("/1")] == []


async def test_an_erased_subject_leaves_no_statistics() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        await ask.add(ANNA, "I like tea.", wait=True)
        await ask("search", ANNA, query="tea")
        assert (await ask("stats", ANNA, days=7)).days
        await ask("search", ANNA, query="tea")  # counted, and not written yet
        await ask("erase", ANNA)
        assert (await ask("stats", ANNA, days=7)).days == []
        assert (await ask.owner.store.rows("daily_stats"))[0] == []
        await ask.add(ANNA, "I live in Oslo.", wait=True)
        (today,) = (await ask("stats", ANNA, days=7)).days
        assert (today.memories_added, today.searches_performed) == (1, 0)


async def test_an_owner_counts_what_it_adds_and_answers() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        await ask.add(ANNA, "I like tea. I live in Oslo.", wait=True)
        found = [(await ask("search", ANNA, query=words)).results[0].score for words in ("tea", "Oslo")]
        await ask("search", ANNA, query="tea")
        (today,) = (await ask("stats", ANNA, days=7)).days
        assert (today.memories_added, today.searches_performed) == (2, 3)
        assert today.avg_relevance_score == pytest.approx(sum(found) / 2, abs=1e-5)
