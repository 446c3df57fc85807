"""What an owner owes the search index while it is away, and how it is paid."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from actors import indexing
from cluster.search_index.behind import INDEX_BEHIND
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import (
    Filling,
    IndexDocument,
    IndexQuery,
    Proposed,
    RefusedDocuments,
)
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Unavailable
from memgrid.subject import Subject, shard_of
from tests.owners import running_owner

LI = Subject("t", "user", "li")
WANG = Subject("t", "user", "wang")
SHARDS = 4


class Away(Fts5Index):
    """An index that can be away, and counts what it is told."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or ":memory:")
        self.away = False
        self.puts: list[str] = []
        self.refuses: set[str] = set()

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the index is away")

    async def put(self, subject: Subject, documents: Sequence[IndexDocument]) -> None:
        self._check()
        refused = [(each.id, "a test says so") for each in documents if each.text in self.refuses]
        await super().put(subject, [each for each in documents if each.text not in self.refuses])
        self.puts += [each.id for each in documents]
        if refused:
            raise RefusedDocuments(refused)

    async def delete(self, subject: Subject, generation: int, ids: Sequence[tuple[str, int]]) -> None:
        self._check()
        await super().delete(subject, generation, ids)

    async def delete_subject(self, subject: Subject, generation: int) -> None:
        self._check()
        await super().delete_subject(subject, generation)

    async def search(self, query: IndexQuery) -> Proposed:
        self._check()
        return await super().search(query)

    async def filling(self, shards: Iterable[int]) -> Filling:
        self._check()
        return await super().filling(shards)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_AWAY_SECONDS", 0.01)
    monkeypatch.setattr(indexing, "_CHECK_SECONDS", 0.05)


@pytest.fixture
async def index() -> Away:
    made = Away()
    await made.open()
    return made


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    made = SqliteStore(tmp_path)
    await made.open(shards=SHARDS)
    return made


async def until(ready: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not ready():  # noqa: ASYNC110 - what is waited for is a counter
            await asyncio.sleep(0.005)


async def found(index: Fts5Index, subject: Subject, text: str) -> set[str]:
    found = await index.search(IndexQuery(tenant="t", subject=subject, text=text))
    return {hit.id for hit in found.hits}


async def lose(index: Fts5Index) -> None:
    """Damage an index in memory, so that it is made anew."""
    [file] = index._files
    opened = file._opened
    damage = sqlite3.DatabaseError("torn")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def meet(_: sqlite3.Connection) -> None:
        if file._opened is opened:
            raise damage

    await file.write(meet)


async def behind(store: SqliteStore, subject: Subject) -> bool:
    row = await store.get_row(INDEX_BEHIND, str(shard_of(subject, SHARDS)))
    return row is not None and row["behind"]


async def test_adds_succeed_and_are_embedded_while_the_index_is_away(index: Away, store: SqliteStore) -> None:
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        index.away = True
        added = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        await ask.owner.vectors.settled()
        assert len(await store.message_vectors(LI, "fake", added.message_ids)) == 2
        assert await behind(store, LI)
        assert ask.owner.indexing.owed == 2
        result = await ask("search", LI, query="something about tea", user_id="li", strategy="vector")
        assert result.results
        assert result.degraded == ["search_index"]
        again = await ask("search", LI, query="something about tea", user_id="li", strategy="vector")
        assert again == result

        index.away = False
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶 Hangzhou") == set(added.message_ids)
        assert sorted(index.puts) == sorted(added.message_ids), "nothing is indexed twice"
        assert not await behind(store, LI)
        assert not (await ask("search", LI, query="something about tea", user_id="li")).degraded


async def test_an_evicted_subject_is_paid_from_the_store(index: Away, store: SqliteStore) -> None:
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        index.away = True
        added = await ask.add(LI, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        ask.owner.residents.drop(LI)
        index.away = False
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶") == set(added.message_ids)


async def test_what_is_deleted_meanwhile_is_gone_when_it_returns(index: Away, store: SqliteStore) -> None:
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        await ask.add(WANG, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        index.away = True
        await ask("delete_messages", LI, ids=added.message_ids[:1])
        await ask("erase", WANG)
        index.away = False
        assert await found(index, LI, "绿茶 Hangzhou") == set(added.message_ids)
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶 Hangzhou") == set(added.message_ids[1:])
        assert await index.count(WANG) == 0


@pytest.mark.parametrize("overflow", [False, True])
async def test_what_a_dead_owner_owed_is_paid_by_the_next(
    index: Away, store: SqliteStore, overflow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if overflow:
        monkeypatch.setattr(indexing, "MAX_OWED", 2)
    kept = Away()
    await kept.open()

    async def closed() -> None:
        """The index and the store outlive the first owner."""

    monkeypatch.setattr(index, "close", closed)
    monkeypatch.setattr(store, "close", closed)
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        before = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        erased = await ask.add(WANG, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        index.away = True
        after = await ask.add(LI, "周末打羽毛球", "I work at a bakery", "Momo is a cat")
        await ask.owner.vectors.settled()
        await ask("delete_messages", LI, ids=before.message_ids[:1])
        await ask("erase", WANG)
        failures = ask.owner.indexing.failures
        await until(lambda: ask.owner.indexing.failures > failures + 1)  # a round has recorded all of it
        if overflow:
            assert ask.owner.indexing.owed <= 2
    index.away = False
    assert await index.count(WANG) == len(erased.message_ids)
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶 Hangzhou 羽毛球 bakery Momo") == {
            *before.message_ids[1:],
            *after.message_ids,
        }
        assert await index.count(LI) == 4
        assert await index.count(WANG) == 0
        assert not await behind(store, LI)
        assert not await behind(store, WANG)


async def test_too_much_to_remember_is_put_again_as_whole_shards(
    index: Away, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MAX_OWED", 5)
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        index.away = True
        ids: dict[Subject, list[str]] = {}
        for number in range(12):
            subject = Subject("t", "user", f"u{number}")
            added = await ask.add(subject, f"我喜欢喝绿茶 {number}", f"Hangzhou {number}")
            ids[subject] = list(added.message_ids)
            await ask.owner.vectors.settled()
            assert ask.owner.indexing.owed <= 5 + 2
        index.away = False
        await ask.owner.indexing.settled()
        for subject, expected in ids.items():
            assert await found(index, subject, "绿茶 Hangzhou") == set(expected)
            assert await index.count(subject) == 2


async def test_an_index_lost_while_serving_is_filled_again(index: Away, store: SqliteStore) -> None:
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        await lose(index)
        assert not await found(index, LI, "绿茶")
        seen = len(index.puts)
        await until(lambda: len(index.puts) > seen)  # nobody has to ask
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶") == set(added.message_ids)


async def test_a_rebuild_is_left_to_whoever_does_it(index: Away, store: SqliteStore) -> None:
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        await index.begin_rebuild()
        await ask.add(LI, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        assert not (await index.filling(range(SHARDS))).filled
        await index.end_rebuild()
        ask.owner.indexing._checked = 0.0
        await ask.owner.indexing.settled()
        assert (await index.filling(range(SHARDS))).filled == set(range(SHARDS))


async def test_a_refused_document_holds_up_nothing(index: Away) -> None:
    index.refuses = {"我喜欢喝绿茶"}
    async with running_owner(index=index, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶 Hangzhou") == set(added.message_ids[1:])
        assert ask.owner.indexing.refused == 1
        assert (await ask("search", LI, query="绿茶", user_id="li")).results, (
            "it is still in its owner's memory"
        )


async def test_a_failing_search_is_noticed_by_all(index: Away) -> None:
    async with running_owner(index=index, buffer_idle_seconds=3600) as ask:
        await ask.add(LI, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        resident = ask.owner.residents.peek(LI)
        assert resident is not None
        resident.complete = False
        index.away = True
        assert (await ask("search", LI, query="绿茶", user_id="li")).degraded == ["search_index"]
        assert (await ask("search", WANG, query="绿茶", user_id="wang")).degraded == ["search_index"]
        ok, reply = await ask.owner.health()
        assert ok
        assert b"degraded" in reply
        index.away = False
        await ask.owner.indexing.settled()
        assert (await ask("search", LI, query="绿茶", user_id="li")).degraded == []


async def test_a_deletion_outlives_the_process_that_made_it(
    index: Away, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed() -> None:
        """The index and the store outlive the first owner."""

    monkeypatch.setattr(index, "close", closed)
    monkeypatch.setattr(store, "close", closed)
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        await ask.add(WANG, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
        index.puts.clear()
        await ask.owner.indexing.close()  # nothing is told any more
        await ask("delete_messages", LI, ids=added.message_ids[:1])
        await ask("erase", WANG)
        assert await behind(store, LI)
        assert await behind(store, WANG)
    assert await index.count(LI) == 2
    async with running_owner(store=store, index=index, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        assert await found(index, LI, "绿茶 Hangzhou") == set(added.message_ids[1:])
        assert await index.count(WANG) == 0
        assert index.puts == [], "for a deletion no shard is put again"
        assert not await behind(store, WANG)
