"""What is imported into the store of a running owner: it is found at once, and soon by the index too."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors import indexing
from cluster.archive import copying
from cluster.archive.importing import verify_archive
from cluster.search_index import imported
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.imported import Arrivals, unput
from cluster.search_index.port import IndexDocument, IndexQuery
from cluster.wide_store.port import MessageQuery
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Unavailable
from memgrid.subject import Subject
from tests.archives import SHARDS, archive_of, bring
from tests.owners import Asking, running_owner

LI, WANG = Subject("t", "user", "li"), Subject("t", "user", "王五")


class Counting(Fts5Index):
    """Remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.puts: list[tuple[Subject, str]] = []

    async def put(self, subject: Subject, documents: Any) -> None:
        given: list[IndexDocument] = list(documents)
        self.puts += [(subject, document.id) for document in given]
        await super().put(subject, given)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_CHECK_SECONDS", 0.02)


@pytest.fixture(params=[False, True], ids=["without vectors", "with vectors"])
async def archive(request: pytest.FixtureRequest) -> bytes:
    return await archive_of(LI, WANG, vectors=request.param)


@asynccontextmanager
async def serving(index: Fts5Index | None = None) -> AsyncIterator[Asking]:
    if index is None:
        index = Counting()
    await index.open()
    async with running_owner(index=index, shards=SHARDS, buffer_idle_seconds=3600) as ask:
        await ask.owner.store.set_embedding_model("fake", ask.embedder.dimension)
        await ask.owner.indexing.settled()
        yield ask


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not ready():  # noqa: ASYNC110 - what is waited for is a counter
            await asyncio.sleep(0.005)


async def proposed(index: Fts5Index, subject: Subject, **question: Any) -> int:
    query = IndexQuery(tenant="t", subject=subject, **question)
    return len((await index.search(query)).hits)


# --- the index --------------------------------------------------------------------------------


async def test_a_running_owner_puts_what_was_imported_and_nothing_else(archive: bytes) -> None:
    index = Counting()
    async with serving(index) as ask:
        zhao = Subject("t", "user", "zhao")
        await ask.add(zhao, "我喜欢喝红茶")
        await ask.owner.vectors.settled()
        ask.embedder.gate.clear()  # what is embedded is put again, with its vector
        index.puts.clear()
        assert not (await bring(ask.owner.store, archive)).problems
        assert ask.owner.residents.peek(LI) is None
        await until(lambda: {subject for subject, _ in index.puts} == {LI, WANG})
        await ask.owner.indexing.settled()
        for subject in (LI, WANG):
            assert await proposed(index, subject, text="绿茶") >= 2
            assert await proposed(index, subject, text="peanuts") == 1, "the message, not what was deleted"
        assert zhao not in {subject for subject, _ in index.puts}
        assert not await unput(ask.owner.store, range(SHARDS))
        seen = len(index.puts)
        assert (await bring(ask.owner.store, archive)).already_there == 2
        rung = ask.owner.indexing._bell
        await until(lambda: ask.owner.indexing._bell != rung)
        await ask.owner.indexing.settled()
        assert len(index.puts) == seen, "what is there already is not put again"
        ask.embedder.gate.set()


async def test_what_came_without_vectors_is_embedded_though_nobody_asks() -> None:
    archive = await archive_of(LI, vectors=False)
    index = Counting()
    async with serving(index) as ask:
        await bring(ask.owner.store, archive)
        await until(lambda: ask.owner.vectors.embedded >= 4)
        await ask.owner.vectors.settled()
        [vector] = await ask.embedder.embed(["周末打羽毛球"], "query")
        query = IndexQuery(tenant="t", subject=LI, vector=vector)
        hits = {hit.id: hit.vector_score for hit in (await index.search(query)).hits}
        assert len(hits) == await index.count(LI)
        assert max(score or 0 for score in hits.values()) > 0.99


async def test_very_many_are_put_as_whole_shards(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported, "MAX_NAMED", 0)
    index = Counting()
    async with serving(index) as ask:
        await bring(ask.owner.store, archive)
        await until(lambda: {subject for subject, _ in index.puts} == {LI, WANG})
        await ask.owner.indexing.settled()
        assert not await unput(ask.owner.store, range(SHARDS))


class Dying:
    """A store whose client is killed after so many writes."""

    def __init__(self, store: SqliteStore, writes: int, error: type[BaseException]) -> None:
        self._store = store
        self._left = writes
        self._error = error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in ("append", "replay", "claim", "put_run_record", "put_vectors", "put_row"):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._left <= 0:
                raise self._error("killed")
            self._left -= 1
            return await method(*args, **kwargs)

        return call


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 6])
async def test_what_a_killed_import_left_is_put_by_the_next_owner(
    writes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(copying, "PIECE_ROWS", 1)
    monkeypatch.setattr(copying, "_BATCH_ROWS", 1)
    archive = await archive_of(LI)
    index = Counting()
    await index.open()

    async def closed() -> None:
        """The index outlives the first owner."""

    monkeypatch.setattr(index, "close", closed)
    store = SqliteStore(tmp_path)
    await store.open(shards=SHARDS)
    await index.set_filled(range(SHARDS))
    with pytest.raises(Unavailable):
        await bring(Dying(store, writes, Unavailable), archive)
    documents = len((await store.load(LI)).memories) + await store.count_messages(LI, MessageQuery())
    async with running_owner(store=store, index=index, shards=SHARDS, buffer_idle_seconds=3600) as ask:
        await ask.owner.indexing.settled()
        assert await index.count(LI) == documents
        assert not (await bring(store, archive)).problems
        await until(lambda: ask.owner.indexing._bell is not None)
        await ask.owner.indexing.settled()
        assert await proposed(index, LI, text="羽毛球") == 1
        assert not (await verify_archive(store, io.BytesIO(archive))).problems


async def test_an_import_that_cannot_ring_says_so(archive: bytes) -> None:
    async with serving() as ask:

        class NoBell(Dying):
            async def put_row(self, table: str, key: str, value: dict[str, Any]) -> None:
                if key == "bell":
                    raise Unavailable("away")
                await self._store.put_row(table, key, value)

        report = await bring(NoBell(ask.owner.store, 10**9, Unavailable), archive)  # pyright: ignore[reportArgumentType]
        assert (report.not_announced, report.problems) == ("away", [])


async def test_imports_at_once_do_not_lose_each_others_subjects() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=1)
    one, two = Arrivals(store, 1), Arrivals(store, 1)
    await one.expect(LI)
    await two.expect(WANG)  # sees what the first has named
    await one.expect(Subject("t", "user", "a"))  # writes over it
    await two.announce()
    await one.announce()
    named = (await unput(store, [0]))[0].subjects
    assert named is not None
    assert {LI, WANG} <= named
    await store.close()


async def test_what_was_put_while_it_was_written_is_put_again() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=1)
    arrivals = Arrivals(store, 1)
    await arrivals.expect(LI)
    half = (await unput(store, [0]))[0]
    await imported.write_put(store, 0, half.id)
    assert not await unput(store, [0])
    await arrivals.announce()
    whole = (await unput(store, [0]))[0]
    assert whole.subjects == {LI}
    await imported.write_put(store, 0, whole.id)
    later = Arrivals(store, 1)
    await later.expect(WANG)
    assert (await unput(store, [0]))[0].subjects == {WANG}, "what was put is not named again"
    await store.close()
