"""A subject is imported, by a command with a handle of its own, while its owner has it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.archive import copying
from cluster.search_index.fts5 import Fts5Index
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject
from tests.archives import SHARDS, archive_of, bring, view
from tests.conformance.wide_store.cassandra_keyspace import CassandraKeyspace
from tests.owners import Asking, running_owner

LI, WANG = Subject("t", "user", "li"), Subject("t", "user", "王五")
WRITES = ("append", "replay", "claim", "put_run_record", "put_vectors")


@pytest.fixture(params=["sqlite", "cassandra"])
async def handles(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[WideStore, WideStore]]:
    """That of the owner, who closes it, and that of the command."""
    if request.param == "cassandra":
        keyspace: CassandraKeyspace = request.getfixturevalue("cassandra_keyspace")
        first, second = (CassandraStore(each) for each in keyspace.connections)
    else:
        first, second = (SqliteStore(tmp_path / "served") for _ in range(2))
    await first.open(shards=SHARDS)
    await second.open(shards=SHARDS)
    yield first, second
    await second.close()
    if request.param == "cassandra":
        request.getfixturevalue("cassandra_keyspace").empty()


@pytest.fixture(params=[False, True], ids=["without-vectors", "with-vectors"])
async def archive(request: pytest.FixtureRequest) -> bytes:
    return await archive_of(LI, WANG, vectors=request.param)


@asynccontextmanager
async def serving(store: WideStore | None = None) -> AsyncIterator[Asking]:
    index = Fts5Index(":memory:")
    await index.open()
    async with running_owner(store=store, index=index, shards=SHARDS, buffer_idle_seconds=3600) as ask:
        await ask.owner.store.set_embedding_model("fake", ask.embedder.dimension)
        yield ask


async def seen_cold(archive: bytes) -> dict[str, Any]:
    async with serving() as ask:
        await bring(ask.owner.store, archive)
        return await view(ask, LI)


async def test_it_is_seen_at_once(handles: tuple[WideStore, WideStore], archive: bytes) -> None:
    expected = await seen_cold(archive)
    assert len(expected["pending"]) == 1
    async with serving(handles[0]) as ask:
        assert (await view(ask, LI))["messages"] == []
        assert ask.owner.residents.peek(LI) is not None
        assert not (await bring(handles[1], archive)).problems
        found = await ask("search", LI, query="绿茶")  # the very first question
        assert [hit.id for hit in found.results] == expected["found"]["绿茶", "hybrid"]
        assert await view(ask, LI) == expected
        runs = (await ask("runs", LI)).runs
        await ask("process", LI, wait=True)
        assert len((await ask("runs", LI)).runs) == len(runs) + 1, "only what was pending is extracted"


class Watched:
    """A handle that is looked at after every write, one look after the other: subjects are copied side by
    side."""

    def __init__(self, store: WideStore, look: Any) -> None:
        self._store = store
        self._look = look
        self._looking = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            done = await method(*args, **kwargs)
            async with self._looking:
                await self._look()
            return done

        return call


async def test_reads_at_any_point_of_it_harm_nothing(
    handles: tuple[WideStore, WideStore], archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await seen_cold(archive)
    monkeypatch.setattr(copying, "PIECE_ROWS", 1)
    monkeypatch.setattr(copying, "_BATCH_ROWS", 1)
    async with serving(handles[0]) as ask:
        reads: list[int] = []

        async def look() -> None:
            seen = await view(ask, LI)
            assert set(seen["pending"]) <= set(expected["pending"]), "what is done is done"
            reads.append(len(seen["messages"]))

        await look()
        assert not (await bring(Watched(handles[1], look), archive)).problems
        assert len(reads) > 8
        assert sorted(reads) == reads
        assert await view(ask, LI) == expected


async def test_what_somebody_else_has_written_is_left_alone(
    handles: tuple[WideStore, WideStore], archive: bytes
) -> None:
    async with serving(handles[0]) as ask:
        added = await ask.add(LI, "我刚来", wait=True)
        [problem] = (await bring(handles[1], archive)).problems
        assert problem.subject == LI
        messages = (await ask("messages", LI)).messages
        assert [each.id for each in messages] == list(added.message_ids)
        assert len((await ask("messages", WANG)).messages) == 4
