"""Embedded to production and back: the same store, however it was interrupted, and life goes on in it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.archive.exporting import export_archive
from cluster.archive.importing import Report, import_archive, verify_archive
from cluster.ids import system_clock
from cluster.model import DAY_MS
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Unavailable
from memgrid.subject import Subject
from tests.conformance.wide_store.conftest import ManualClock
from tests.conformance.wide_store.samples import (
    MODEL,
    NOW,
    USER,
    added,
    conversation,
    erase,
    memory,
    put,
    run,
)
from tests.conformance.wide_store.test_replay import said_before
from tests.owners import Asking, running_owner
from tests.store_contents import contents, contents_of
from tests.unit.test_archive import ELSE, SUBJECTS, Dying, filled

SHARDS = 4
LI = Subject("default", "user", "李雷")


async def archived(store: WideStore, clock: Any = lambda: NOW) -> bytes:
    out = io.BytesIO()
    await export_archive(store, out, vectors=True, clock=clock)
    return out.getvalue()


async def imported(store: WideStore, archive: bytes, clock: Any = lambda: NOW) -> Report:
    return await import_archive(store, io.BytesIO(archive), clock=clock)


@asynccontextmanager
async def embedded(clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", clock=clock)
    await store.open(shards=SHARDS)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def production(
    cassandra_stores: tuple[CassandraStore, CassandraStore],
) -> AsyncIterator[CassandraStore]:
    """An empty store in Cassandra."""
    store = cassandra_stores[0]
    await store.open(shards=SHARDS + 1)
    yield store
    await store.close()


async def lived(store: WideStore) -> None:
    """Subjects with everything, one of them with an erased past and messages that have waited for weeks."""
    await filled(store)
    await erase(store, ELSE)
    waiting = [said_before(days) for days in (400, 60, 60, 2)]
    await store.append(ELSE, 1, waiting)
    await store.append(ELSE, 1, conversation(3))
    settled = run(waiting[1])
    await put(store, ELSE, runs=(settled,), run_id=settled.id)


async def test_sqlite_to_cassandra_to_sqlite(clock: ManualClock, production: CassandraStore) -> None:
    async with embedded(clock) as one, embedded(clock) as two:
        await lived(one)
        expected = await contents(one, model=MODEL)
        there = await archived(one)
        report = await imported(production, there)
        assert (set(report.copied), report.problems) == (set(SUBJECTS), [])
        assert await contents(production, model=MODEL) == expected
        assert len((await production.load(ELSE)).pending) == 6
        again = await imported(production, there)
        assert (again.copied, again.already_there, again.problems) == ([], 3, [])
        assert not (await verify_archive(production, io.BytesIO(there), clock=clock)).problems

        back = await archived(production)
        assert not (await imported(two, back)).problems
        assert await contents(two, model=MODEL) == expected
        assert not (await verify_archive(one, io.BytesIO(back), clock=clock)).problems


async def test_messages_that_waited_for_weeks_are_extracted_once_only(
    clock: ManualClock, production: CassandraStore
) -> None:
    """Their days are long closed; the store they come into has to find them again, and to let go of them."""
    async with embedded(clock) as one:
        await lived(one)
        await imported(production, await archived(one))
    clock.now += 30 * DAY_MS
    loaded = await production.load(ELSE)
    assert len(loaded.pending) == 6
    done = run(*loaded.pending)
    await put(production, ELSE, runs=(done,), run_id=done.id)
    clock.now += 3 * DAY_MS
    assert (await production.load(ELSE)).pending == []


async def test_cassandra_to_cassandra(
    clock: ManualClock, cassandra_stores: tuple[CassandraStore, CassandraStore], cassandra_keyspace: Any
) -> None:
    """Out of one cluster, and into an empty one."""
    first, second = cassandra_stores
    await first.open(shards=SHARDS)
    await lived(first)
    expected = await contents(first, model=MODEL)
    archive = await archived(first)
    await first.close()
    cassandra_keyspace.empty()
    await second.open(shards=SHARDS * 2)
    assert (await contents(second)).keys() == {"keys", "rows"}
    assert not (await imported(second, archive)).problems
    assert await contents(second, model=MODEL) == expected
    await second.close()


@pytest.mark.parametrize("landed", [False, True])
async def test_killed_again_and_again_it_comes_to_its_end(
    clock: ManualClock, production: CassandraStore, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.archive.copying.PIECE_ROWS", 4)
    monkeypatch.setattr("cluster.archive.copying._BATCH_ROWS", 2)
    async with embedded(clock) as one:
        await lived(one)
        archive = await archived(one)
        killed = 0
        while True:
            dying: Any = Dying(production, 5, landed)
            try:
                report = await imported(dying, archive)
                break
            except Unavailable:
                killed += 1
        assert killed > 4
        assert report.problems == []
        assert await contents(production, model=MODEL) == await contents(one, model=MODEL)


async def test_a_subject_with_other_data_is_left_alone(
    clock: ManualClock, production: CassandraStore
) -> None:
    mine = conversation(2)
    await production.append(USER, 0, mine)
    before = await contents_of(production, USER)
    async with embedded(clock) as one:
        await filled(one)
        report = await imported(production, await archived(one))
    assert [problem.subject for problem in report.problems] == [USER]
    assert len(report.copied) == 2
    assert await contents_of(production, USER) == before


async def test_large_commits_fit_into_a_batch(clock: ManualClock, production: CassandraStore) -> None:
    """As many rows and bytes as a commit may have."""
    async with embedded(clock) as one:
        many = [memory(f"记忆 {n}") for n in range(200)]
        await put(one, USER, put=tuple(many), entries=added(*many))
        for _ in range(2):
            big = [memory("大" * 20_000) for _ in range(4)]
            await put(one, USER, put=tuple(big), entries=added(*big))
        await imported(production, await archived(one))
        assert await contents_of(production, USER) == await contents_of(one, USER)


# --- with an owner on it --------------------------------------------------------------------------


class Answers:
    """What a subject's owner says, before and after a move."""

    def __init__(self) -> None:
        self.job = ""
        self.memory = ""
        self.request = ""

    async def live(self, ask: Asking) -> None:
        """Two conversations: one extracted, and changed since; one that waits."""
        self.request = "0199c700-0000-7000-8000-000000000001"
        added = await self._first(ask)
        self.job = added.job_id
        self.memory = added.memory_id
        await ask("update_memory", LI, id=self.memory, patch={"text": "住在苏州"})
        await ask.add(LI, "I moved to Suzhou", wait=True)
        await ask("set_variables", LI, variables={"mood": "happy"})
        await ask("set_buffer_policy", LI, on_full=False, on_idle=False)
        await ask.add(LI, "明天去看羽毛球比赛", session_id="later")
        await ask("mark_messages", LI, new="重要", session_id="later")

    async def _first(self, ask: Asking) -> Any:
        messages = [{"role": "user", "content": "我住在杭州，我喜欢打羽毛球", "id": "m-1"}]
        fields: dict[str, Any] = {"messages": messages, "user_id": LI.id, "session_id": "s"}
        return await ask("add", LI, request_id=self.request, idempotency_key="once", wait=True, **fields)

    async def of(self, ask: Asking) -> dict[str, Any]:
        await ask.owner.vectors.settled()
        asked = {
            "job": await ask("job", LI, id=self.job),
            "memory": await ask("get_memory", LI, id=self.memory),
            "history": await ask("history", LI, id=self.memory),
            "list": await ask("list_memories", LI),
            "all": await ask("list_memories", LI, latest_only=False),
            "messages": await ask("messages", LI),
            "marked": await ask("messages", LI, mark="重要"),
            "sessions": await ask("sessions", LI),
            "variables": await ask("variables", LI),
            "buffer": await ask("buffer_status", LI),
            "runs": await ask("runs", LI),
            "profile": await ask("profile", LI),
            "search": await ask("search", LI, query="羽毛球", top_k=5),
            "add again": await self._first(ask),
        }
        return {name: _steady(answer.model_dump(mode="json")) for name, answer in asked.items()}


def _steady(answer: Any) -> Any:
    """Without what differs between two answers to the same question: when it was answered."""
    if isinstance(answer, dict):
        return {name: _steady(value) for name, value in answer.items() if name != "generated_at"}
    return [_steady(each) for each in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("vectors", [True, False])
async def test_an_owner_answers_as_before(
    tmp_path: Path,
    clock: ManualClock,
    cassandra_stores: tuple[CassandraStore, CassandraStore],
    vectors: bool,
) -> None:
    answers = Answers()
    production, _ = cassandra_stores
    never = {"buffer_idle_seconds": 3600.0}
    async with running_owner(folder=tmp_path, **never) as ask:
        await ask.owner.store.set_embedding_model("fake", 64)
        await answers.live(ask)
        before = await answers.of(ask)
    source = SqliteStore(tmp_path)
    await source.open(shards=4)
    out = io.BytesIO()
    await export_archive(source, out, vectors=vectors)
    await source.close()

    clock.now = system_clock()
    await production.open(shards=4)
    report = await import_archive(production, io.BytesIO(out.getvalue()))
    assert report.problems == []
    async with running_owner(store=production, **never) as ask:
        embedded_already = ask.owner.vectors.embedded
        assert await answers.of(ask) == before
        await ask.owner.indexing.settled()
        assert await ask.owner.indexing._index.count(LI) > 0
        assert (ask.owner.vectors.embedded == embedded_already) is vectors
        await ask("process", LI)
        assert (await ask("job", LI, id=answers.job)).status == "done"
