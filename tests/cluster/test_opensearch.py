"""An owner and a real OpenSearch that is killed, wiped, made anew, and sent what is long out of date."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConnectionError as NotReached

from actors import reindex
from actors.doctor_opensearch import examine_opensearch
from actors.findings import Finding
from actors.reindex import rebuild
from cluster.search_index.opensearch import OpenSearchIndex
from cluster.search_index.opensearch_client import LoginRefused, connect
from cluster.search_index.opensearch_versions import SCHEMA
from cluster.search_index.port import IndexDocument, IndexQuery
from cluster.settings import Settings
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import InvalidInput, MemgridError, Unavailable
from memgrid.subject import Subject
from tests.owners import DIMENSION, Asking, running_owner
from tests.servers.opensearch import OpenSearchNode
from tests.servers.places import new_folder

pytestmark = pytest.mark.timeout(600)
SHARDS = 4
LI, WANG = Subject("t", "user", "li"), Subject("t", "user", "wang")


@pytest.fixture(scope="module")
def mortal(opensearch_ready: None) -> Iterator[OpenSearchNode]:
    """A node of these tests' own, to be killed and wiped; each test finds it running."""
    with new_folder("opensearch") as folder:
        node = OpenSearchNode(folder)
        try:
            node.start()
            yield node
        finally:
            node.kill()


@pytest.fixture
def prefix(opensearch: OpenSearchNode) -> Iterator[str]:
    """Names of a test's own on the server that all tests use."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    with server(opensearch) as http:
        http.delete(f"/{name}-*").raise_for_status()
        http.delete(f"/_index_template/{name}-*").raise_for_status()


def server(node: OpenSearchNode) -> httpx.Client:
    return httpx.Client(base_url=node.url, trust_env=False, timeout=60)


def index_on(
    node: OpenSearchNode,
    prefix: str,
    dimension: int | None = DIMENSION,
    client: AsyncOpenSearch | None = None,
) -> OpenSearchIndex:
    return OpenSearchIndex(
        client or connect([node.url], timeout=60),
        dimension=dimension,
        prefix=prefix,
        shards=2,
        patience=60,
        search_timeout=60,
    )


async def opened_store(folder: Path) -> SqliteStore:
    store = SqliteStore(folder)
    await store.open(shards=SHARDS)
    return store


@contextlib.asynccontextmanager
async def owner_of(index: OpenSearchIndex, folder: Path) -> AsyncGenerator[Asking]:
    await index.open()
    async with running_owner(
        store=await opened_store(folder), index=index, shards=SHARDS, buffer_idle_seconds=3600
    ) as ask:
        yield ask


async def told(ask: Asking, seconds: float = 120) -> None:
    """Wait until the index has been told everything."""
    async with asyncio.timeout(seconds):
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()


async def until(ready: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not await ready():  # noqa: ASYNC110 - the condition is the server's
            await asyncio.sleep(0.05)


async def count(index: OpenSearchIndex, subject: Subject) -> int:
    await index.refresh()
    return await index.count(subject)


async def found(index: OpenSearchIndex, subject: Subject, text: str) -> set[str]:
    await index.refresh()
    query = IndexQuery(tenant="t", subject=subject, text=text, limit=1000)
    return {hit.id for hit in (await index.search(query)).hits}


class Line:
    """A connection to OpenSearch that can be cut, and remembers every bulk request."""

    def __init__(self, node: OpenSearchNode, prefix: str) -> None:
        self._node = node
        self._prefix = prefix
        self.cut = False
        self.bodies: list[bytes] = []

    def index(self) -> OpenSearchIndex:
        client = connect([self._node.url], timeout=60)
        perform = client.transport.perform_request

        async def perform_request(method: str, url: str, **options: Any) -> Any:
            if self.cut:
                raise NotReached("N/A", "cut", OSError("cut"))
            if url.endswith("/_bulk"):
                self.bodies.append(options["body"])
            return await perform(method, url, **options)

        client.transport.perform_request = perform_request  # pyright: ignore[reportAttributeAccessIssue]
        return index_on(self._node, self._prefix, client=client)

    def put(self) -> list[str]:
        """Ids of the documents put, as often as they were."""
        documents = [json.loads(line) for body in self.bodies for line in body.splitlines()[1::2]]
        return [each["unit"][-1] for each in documents if each["kind"] in ("memory", "message")]

    def replay(self) -> None:
        """Send every document that was ever put once more, and no deletion."""
        with server(self._node) as http:
            for body in self.bodies:
                lines = body.splitlines(keepends=True)
                puts = [
                    header + document
                    for header, document in zip(lines[::2], lines[1::2], strict=True)
                    if json.loads(document)["kind"] in ("memory", "message")
                ]
                if puts:
                    http.post(
                        f"/{self._prefix}-memory-write/_bulk",
                        content=b"".join(puts),
                        headers={"Content-Type": "application/x-ndjson"},
                    ).raise_for_status()


# --- away -------------------------------------------------------------------------------------


async def test_killed_and_back(mortal: OpenSearchNode, tmp_path: Path) -> None:
    line = Line(mortal, "killed")
    index = line.index()
    async with owner_of(index, tmp_path) as ask:
        before = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou", "to be deleted")
        await ask.add(WANG, "我喜欢喝绿茶")
        await told(ask)
        assert await count(index, LI) == 3

        await asyncio.to_thread(mortal.kill)
        added: list[str] = []
        for number in range(10):
            result = await ask.add(LI, f"周末打羽毛球 {number}", f"the bakery opens at {number}")
            added += result.message_ids
        await ask("delete_messages", LI, ids=before.message_ids[2:])
        await ask("erase", WANG)
        await ask.owner.vectors.settled()
        answer = await ask("search", LI, query="羽毛球 9", user_id="li")
        assert answer.degraded == ["search_index"]
        assert answer.results[0].content == "周末打羽毛球 9"
        assert not (await ask("search", WANG, query="绿茶", user_id="wang")).results

        line.bodies.clear()
        await asyncio.to_thread(mortal.restart)
        await told(ask)
        assert sorted(line.put()) == sorted(added), "what is owed is put once, and nothing else"
        expected = {*before.message_ids[:2], *added}
        assert await found(index, LI, "绿茶 Hangzhou deleted 羽毛球 bakery") == expected
        assert await count(index, LI) == len(expected)
        assert await count(index, WANG) == 0
        assert (await ask("search", LI, query="羽毛球 9", user_id="li")).degraded == []


async def test_started_before_its_index(mortal: OpenSearchNode, tmp_path: Path) -> None:
    await asyncio.to_thread(mortal.kill)
    index = index_on(mortal, "before")
    async with owner_of(index, tmp_path) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶")
        await ask.owner.vectors.settled()
        answer = await ask("search", LI, query="绿茶", user_id="li")
        assert (len(answer.results), answer.degraded) == (1, ["search_index"])
        await asyncio.to_thread(mortal.restart)
        await told(ask)
        assert await found(index, LI, "绿茶") == set(added.message_ids)


@pytest.mark.parametrize("how", ["its data", "its indices", "its documents"])
async def test_wiped_while_serving(mortal: OpenSearchNode, tmp_path: Path, how: str) -> None:
    prefix = f"wiped-{how.replace(' ', '-')}"
    index = index_on(mortal, prefix)
    async with owner_of(index, tmp_path) as ask:
        ids = {
            subject: list((await ask.add(subject, "我喜欢喝绿茶", "I live in Hangzhou")).message_ids)
            for subject in (LI, WANG)
        }
        await told(ask)
        if how == "its data":
            await asyncio.to_thread(mortal.wipe)
            await asyncio.to_thread(mortal.start)
        else:
            with server(mortal) as http:
                if how == "its indices":
                    http.delete(f"/{prefix}-*").raise_for_status()
                else:
                    http.post(f"/{prefix}-*/_refresh").raise_for_status()
                    everything = {"query": {"match_all": {}}}
                    answer = http.post(f"/{prefix}-*/_delete_by_query?refresh=true", json=everything)
                    assert answer.json()["deleted"] >= 4

        async def restored() -> bool:
            try:
                return [await count(index, subject) for subject in ids] == [2, 2]
            except MemgridError:
                return False

        await until(restored)  # nobody asks for it
        for subject, expected in ids.items():
            assert await found(index, subject, "绿茶 Hangzhou") == set(expected)
        late = await ask.add(LI, "周末打羽毛球")
        await told(ask)
        assert await found(index, LI, "羽毛球") == set(late.message_ids)


# --- made anew --------------------------------------------------------------------------------


class Died(Exception):
    """Whoever makes an index anew is no more."""


async def test_made_anew_while_it_is_written_to(
    opensearch: OpenSearchNode, prefix: str, tmp_path: Path
) -> None:
    index = index_on(opensearch, prefix)
    subjects = [Subject("t", "user", f"u{n}") for n in range(6)]
    ids: dict[Subject, set[str]] = {subject: set() for subject in subjects}
    async with owner_of(index, tmp_path) as ask:

        async def add(subject: Subject, count: int) -> None:
            for number in range(count):
                added = await ask.add(subject, f"我喜欢喝绿茶 {number}", f"Hangzhou {number}")
                ids[subject].update(added.message_ids)

        await asyncio.gather(*(add(subject, 3) for subject in subjects))
        await told(ask)
        writing = asyncio.gather(*(add(subject, 25) for subject in subjects))
        store, other = await opened_store(tmp_path), index_on(opensearch, prefix)
        progress: list[tuple[int, int]] = []
        documents = await rebuild(
            store, other, shards=SHARDS, model="fake", progress=lambda *at: progress.append(at)
        )
        await writing
        await told(ask)
        assert [done for done, _ in progress] == [1, 2, 3, 4]
        assert progress[-1][1] <= documents
        for subject in subjects:
            assert await count(index, subject) == len(ids[subject]) == 56
            assert await found(index, subject, "绿茶 Hangzhou") == ids[subject]
        with server(opensearch) as http:
            assert list(http.get(f"/{prefix}-*").json()) == [f"{prefix}-memory-000002"]
        await store.close()
        await other.close()


async def test_a_rebuild_that_dies_goes_on_where_it_was(
    opensearch: OpenSearchNode, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "_SHARDS_AT_A_TIME", 1)
    index = index_on(opensearch, prefix)
    async with owner_of(index, tmp_path) as ask:
        subjects = [Subject("t", "user", f"u{n}") for n in range(12)]
        for subject in subjects:
            await ask.add(subject, "我喜欢喝绿茶")
        await told(ask)
        store, other = await opened_store(tmp_path), index_on(opensearch, prefix)

        def die(done: int, documents: int) -> None:
            if done == 2:
                raise Died

        with pytest.raises(Died):
            await rebuild(store, other, shards=SHARDS, model="fake", progress=die)
        assert (await index.filling(range(SHARDS))).rebuilding
        for subject in subjects:
            assert len(await found(index, subject, "绿茶")) == 1
        documents = await rebuild(store, other, shards=SHARDS, model="fake")
        assert 0 < documents < len(subjects)
        for subject in subjects:
            assert len(await found(index, subject, "绿茶")) == await count(index, subject) == 1
        await store.close()
        await other.close()


async def test_many_who_start_at_once_make_one_index(opensearch: OpenSearchNode, prefix: str) -> None:
    every = [index_on(opensearch, prefix) for _ in range(8)]
    await asyncio.gather(*(index.open() for index in every))
    await asyncio.gather(
        *(
            index.put(LI, [IndexDocument(id=f"d{n}", kind="memory", text="绿茶", version=1, generation=0)])
            for n, index in enumerate(every)
        )
    )
    assert await found(every[0], LI, "绿茶") == {f"d{n}" for n in range(8)}
    with server(opensearch) as http:
        assert list(http.get(f"/{prefix}-*").json()) == [f"{prefix}-memory-000001"]
    await asyncio.gather(*(index.close() for index in every))


async def test_other_vectors_need_another_index(opensearch: OpenSearchNode, prefix: str) -> None:
    first = index_on(opensearch, prefix)
    await first.open()
    await first.put(LI, [IndexDocument(id="d", kind="memory", text="绿茶", version=1, generation=0)])
    await first.set_filled([0])
    others = [index_on(opensearch, prefix, dimension=8) for _ in range(4)]
    await asyncio.gather(*(index.open() for index in others))
    assert (await others[0].filling([0])).filled == frozenset(), "its owners fill it"
    assert await count(others[0], LI) == 0
    with server(opensearch) as http:
        assert list(http.get(f"/{prefix}-*").json()) == [f"{prefix}-memory-000002"]
    for index in (first, *others):
        await index.close()


async def test_an_index_of_a_newer_memgrid_is_left_alone(opensearch: OpenSearchNode, prefix: str) -> None:
    index = index_on(opensearch, prefix)
    await index.open()
    with server(opensearch) as http:
        name = f"/{prefix}-memory-000001"
        mapping = http.get(f"{name}/_mapping").json()[name[1:]]["mappings"]
        mapping["_meta"]["memgrid"]["schema"] = SCHEMA + 1
        http.put(f"{name}/_mapping", json={"_meta": mapping["_meta"]}).raise_for_status()
        other = index_on(opensearch, prefix)
        with pytest.raises(InvalidInput, match=f"schema {SCHEMA + 1}"):
            await other.open()
        assert list(http.get(f"/{prefix}-*").json()) == [name[1:]]
    await index.close()
    await other.close()


async def test_who_only_searches_makes_no_index(opensearch: OpenSearchNode, prefix: str) -> None:
    reader = index_on(opensearch, prefix, dimension=None)
    await reader.open()
    query = IndexQuery(tenant="t", subject=LI, text="绿茶")
    with pytest.raises(Unavailable):
        await reader.search(query)
    writer = index_on(opensearch, prefix)
    await writer.open()
    assert (await reader.search(query)).hits == []
    await reader.close()
    await writer.close()


# --- users' metadata --------------------------------------------------------------------------


async def test_users_metadata_does_not_grow_the_mapping(opensearch: OpenSearchNode, prefix: str) -> None:
    index = index_on(opensearch, prefix)
    await index.open()
    with server(opensearch) as http:
        before = http.get(f"/{prefix}-*/_mapping").json()
        documents = [
            IndexDocument(
                id=f"d{n}",
                kind="memory",
                text="绿茶",
                version=1,
                generation=0,
                metadata={f"key{n * 100 + at}": at for at in range(100)},
            )
            for n in range(50)  # 5,000 different keys in all
        ]
        await index.put(LI, documents)
        await index.refresh()
        query = IndexQuery(tenant="t", subject=LI, text="绿茶", limit=5, filters={"metadata.key4242": 42})
        assert [hit.id for hit in (await index.search(query)).hits] == ["d42"], "it is looked up all the same"
        ranges = IndexQuery(
            tenant="t", subject=LI, text="绿茶", limit=5, filters={"metadata.key4242": {"gt": 41.5, "lt": 43}}
        )
        assert [hit.id for hit in (await index.search(ranges)).hits] == ["d42"]
        assert http.get(f"/{prefix}-*/_mapping").json() == before
    await index.close()


async def test_filters_reach_what_words_alone_would_not_propose(
    opensearch: OpenSearchNode, prefix: str, tmp_path: Path
) -> None:
    """A memory's metadata is changed and found by it: the index hears of changes that need no embedding."""
    index = index_on(opensearch, prefix)
    async with owner_of(index, tmp_path) as ask:
        for n in range(30):
            message = {"role": "user", "content": f"我喜欢喝绿茶 {n}"}
            await ask("add", LI, user_id="li", messages=[message], metadata={"n": n}, infer=False, wait=True)
        await told(ask)
        await index.refresh()
        query = IndexQuery(tenant="t", subject=LI, kinds=("memory",), text="绿茶", limit=2)
        page = await ask("list_memories", LI, limit=100)
        wanted = next(memory for memory in page.memories if memory.metadata.get("n") == 17)
        for filters in ({"metadata.n": 17}, {"AND": [{"metadata": {"n": {"gte": 16.5, "lt": 17.5}}}]}):
            narrowed = msgspec.structs.replace(query, filters=filters)
            assert {hit.id for hit in (await index.search(narrowed)).hits} == {wanted.id}
        await ask("update_memory", LI, id=wanted.id, patch={"metadata": {"n": "changed"}})
        await told(ask)
        await index.refresh()
        changed = msgspec.structs.replace(query, filters={"metadata.n": "changed"})
        assert {hit.id for hit in (await index.search(changed)).hits} == {wanted.id}


# --- what is gone stays gone ------------------------------------------------------------------


OPERATIONS = (
    "add",
    "delete message",
    "delete memory",
    "erase",
    "cut",
    "mend",
    "replay",
    "reindex",
    "restart",
)


@hypothesis_settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a failure is told as it is: shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(["delete message", "delete memory", "reindex", "replay"], Random(1))
@example(["delete memory", "add", "cut", "delete message", "erase", "restart", "mend", "reindex"], Random(2))
@given(st.lists(st.sampled_from(OPERATIONS), min_size=3, max_size=9), st.randoms(use_true_random=False))
async def test_what_is_deleted_never_comes_back(
    opensearch: OpenSearchNode, tmp_path: Path, steps: list[str], random: Random
) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    folder = tmp_path / prefix
    folder.mkdir()
    line = Line(opensearch, prefix)
    there: dict[Subject, set[str]] = {LI: set(), WANG: set()}
    gone: set[str] = set()
    words = 0
    stack = contextlib.AsyncExitStack()
    ask = await stack.enter_async_context(owner_of(line.index(), folder))

    async def add() -> None:
        nonlocal words
        for subject in (LI, WANG):
            texts = [f"绿茶 word{words + n}" for n in range(2)]
            words += 2
            added = await ask.add(subject, *texts, infer=False, wait=True)  # one memory for each
            memories = (await ask("list_memories", subject, limit=100)).memories
            there[subject].update(added.message_ids, (memory.id for memory in memories))

    async def take(step: str) -> None:
        nonlocal ask
        subject = random.choice((LI, WANG))
        match step:
            case "add":
                await add()
            case "delete message" | "delete memory":
                memories = {m.id for m in (await ask("list_memories", subject, limit=100)).memories}
                wanted = sorted(memories if step == "delete memory" else there[subject] - memories)
                if wanted:
                    id_ = random.choice(wanted)
                    if step == "delete memory":
                        await ask("delete_memory", subject, id=id_)
                    else:
                        await ask("delete_messages", subject, ids=[id_])
                    left = {m.id for m in (await ask("list_memories", subject, limit=100)).memories}
                    there[subject] -= {id_, *(memories - left)}
                    gone.update({id_, *(memories - left)})
            case "erase":
                await ask("erase", subject)
                gone.update(there[subject])
                there[subject] = set()
            case "cut":
                line.cut = True
            case "mend":
                line.cut = False
                await told(ask)
            case "replay" if not line.cut:
                line.replay()
            case "reindex" if not line.cut:
                store, index = await opened_store(folder), line.index()
                await rebuild(store, index, shards=SHARDS, model="fake")
                await store.close()
                await index.close()
            case "restart":
                await stack.aclose()
                ask = await stack.enter_async_context(owner_of(line.index(), folder))
            case _:
                """A server that cannot be reached is sent nothing."""

    try:
        await add()
        await told(ask)
        for step in (*steps, "replay", "mend", "replay"):
            await take(step)
        index = ask.owner.index
        assert isinstance(index, OpenSearchIndex)
        for subject, expected in there.items():
            assert await found(index, subject, "绿茶") == expected, (steps, subject)
            assert await count(index, subject) == len(expected), (steps, subject)
            query = {"query": "绿茶", "user_id": subject.id}
            ids = sorted(gone)
            hydrated = await ask("hydrate", subject, query=query, memory_ids=ids, message_ids=ids)
            assert hydrated.results == []
    finally:
        line.cut = False
        await stack.aclose()
        with server(opensearch) as http:
            http.delete(f"/{prefix}-*").raise_for_status()
            http.delete(f"/_index_template/{prefix}-*").raise_for_status()


# --- access -----------------------------------------------------------------------------------


async def test_doctor_examines_the_server(
    opensearch: OpenSearchNode, prefix: str, mortal: OpenSearchNode
) -> None:
    given = {
        "search_index": "opensearch",
        "opensearch_url": opensearch.url,
        "opensearch_index_prefix": prefix,
    }
    before = await examined(Settings(**given))
    assert {finding.state for finding in before.values()} == {"ok"}
    assert "none yet" in before["opensearch index"].found
    index = index_on(opensearch, prefix)
    await index.open()
    made = await examined(Settings(**given))
    assert made["opensearch index"] == (
        "opensearch index",
        "ok",
        f"{prefix}-memory-000001: {DIMENSION} dimensions, lucene, smartcn",
        None,
    )
    other = await examined(Settings(**given, opensearch_knn_engine="faiss"))
    assert (other["opensearch index"].state, other["opensearch index"].fix) == ("warning", "memgrid reindex")
    with server(opensearch) as http:
        flood = {"index.blocks.read_only_allow_delete": True}  # as the server does when a disk is full
        http.put(f"/{prefix}-memory-000001/_settings", json=flood).raise_for_status()
        full = await examined(Settings(**given))
        assert full["opensearch index"].state == "failed"
        free = {"index.blocks.read_only_allow_delete": None}
        http.put(f"/{prefix}-memory-000001/_settings", json=free).raise_for_status()
    await index.begin_rebuild()
    assert "being made anew" in (await examined(Settings(**given)))["opensearch index"].found
    await index.close()

    await asyncio.to_thread(mortal.kill)
    away = await examined(Settings(**(given | {"opensearch_url": mortal.url})))
    assert [finding.state for finding in away.values()] == ["failed"]
    await asyncio.to_thread(mortal.restart)


async def examined(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding async for finding in examine_opensearch(settings)}


async def test_tls_and_a_password(opensearch_ready: None, server_folder: Path) -> None:
    node = OpenSearchNode(server_folder, secured=True)
    await asyncio.to_thread(node.start)
    try:
        assert node.login is not None
        user, password = node.login
        known = {"user": user, "password": password, "timeout": 60}

        index = OpenSearchIndex(connect([node.url], tls_certificate=node.ca, **known), dimension=4)
        await index.open()
        await index.put(LI, [IndexDocument(id="d", kind="memory", text="绿茶", version=1, generation=0)])
        assert await found(index, LI, "绿茶") == {"d"}
        await index.close()

        unchecked = OpenSearchIndex(connect([node.url], tls_verify=False, **known), dimension=4)
        assert await count(unchecked, LI) == 1
        await unchecked.close()

        stranger = OpenSearchIndex(connect([node.url], **known), dimension=4)
        await stranger.open()  # as if it were away: nothing is sent to a server that cannot be trusted
        with pytest.raises(Unavailable, match="certificate"):
            await stranger.ping()
        await stranger.close()

        for wrong in ({"user": user, "password": "wrong"}, {}):
            refused = OpenSearchIndex(
                connect([node.url], tls_certificate=node.ca, timeout=60, **wrong), dimension=4
            )
            with pytest.raises(LoginRefused):
                await refused.open()
            await refused.close()
    finally:
        await asyncio.to_thread(node.kill)
