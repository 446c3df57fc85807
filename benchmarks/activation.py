"""What a cold user costs to activate, and a hot one to hold: `python -m benchmarks.activation`.

On the stores that the settings name: embedded in a folder of its own, or a keyspace and indices of its own on
Cassandra and OpenSearch, which are removed again. They are filled with synthetic vectors before the server
starts: three users with 10,000 memories, many with 100 each, and as many registered subjects as are asked
for (`--subjects 1000000`); Cassandra is given the time to merge what that leaves behind. Activation is the
first search of a user that no owner holds, and to whom another process has just sent messages, so that work
is pending; nobody else is being taken up at that moment. Beside it the same search again, and what the wide
store and FAISS alone take for the same rows. Memory is what the shard actor grows by when it takes up the
many users (its resident size, in which Python's and the allocator's own overhead are counted). A cold answer
says `warming` when it came from the index before the user was taken up.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import faiss
import httpx
import numpy as np
from cassandra.concurrent import execute_concurrent_with_args

from actors.reindex import reindex_subject
from actors.resident import content_hash
from benchmarks.server import Server, own_settings, remove, settled
from cluster.composition import build_cassandra_connection, open_index, open_store
from cluster.ids import new_id, system_clock
from cluster.model import HOUR_MS, Changes, Head, Memory, Message
from cluster.retrieval.unit_text import embedding_text
from cluster.settings import Settings
from cluster.wide_store.cassandra_layout import REGISTRY_SLICES
from cluster.wide_store.port import StoredVector, WideStore
from memgrid.subject import Subject, shard_of

DIMENSION = 384
MODEL = "multilingual-e5-small"
COMPACTED_SECONDS = 10
"""Without a compaction for so long, Cassandra has no more to do."""
BIG = 10_000
SMALL = 100
PENDING = 20
PLACES = ("Hangzhou", "Chengdu", "Lisbon", "Oslo", "苏州", "青岛", "Kyoto", "昆明")
THINGS = ("green tea", "badminton", "jazz records", "羽毛球", "川菜", "hiking", "摄影", "old maps")


def memories(user: str, count: int) -> list[Memory]:
    """Memories of `user` with distinct texts in two languages, an hour old."""
    now = system_clock() - HOUR_MS
    return [
        Memory(
            id=new_id(),
            kind="fact",
            text=f"Note {n}: in {PLACES[n % 8]} the user found {THINGS[n // 8 % 8]} for {n % 97} yuan",
            topic="interest",
            labels={"user": user},
            created_at=now,
            updated_at=now,
        )
        for n in range(count)
    ]


def said(user: str) -> list[Message]:
    """Messages that wait to be extracted."""
    now = system_clock()
    return [
        Message(
            id=new_id(),
            session="s",
            role="user",
            content=f"I like {THINGS[n % 8]} number {n} very much.",
            event_time=now,
            created_at=now,
            tokens=10,
            labels={"user": user},
        )
        for n in range(PENDING)
    ]


def subject_of(user: str) -> Subject:
    return Subject("default", "user", user)


async def fill(store: WideStore, user: str, count: int) -> None:
    """Give `user` so many memories, each with a vector."""
    subject, head = subject_of(user), Head()
    rows = memories(user, count)
    for first in range(0, count, 150):
        part = tuple(rows[first : first + 150])
        changes = Changes(commit_id=new_id(), at=system_clock(), actor="benchmark", put=part)
        head = await store.commit(subject, head, changes)
    vectors = np.random.default_rng(count).standard_normal((count, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = [
        StoredVector(row.id, content_hash(embedding_text(row)), vector)
        for row, vector in zip(rows, vectors, strict=True)
    ]
    for first in range(0, count, 1000):
        await store.put_vectors(subject, 0, "memory", MODEL, stored[first : first + 1000])


# --- registered subjects --------------------------------------------------------------------------


def registered(settings: Settings, count: int) -> dict[int, list[Subject]]:
    """Subjects that are there and do nothing, by shard."""
    found: dict[int, list[Subject]] = {}
    for n in range(count):
        subject = subject_of(f"registered-{n}")
        found.setdefault(shard_of(subject, settings.shards), []).append(subject)
    return found


async def register_in_cassandra(settings: Settings, subjects: dict[int, list[Subject]]) -> None:
    connection = build_cassandra_connection(settings)
    await connection.open()
    session = connection.session
    assert session is not None
    turns = asyncio.Semaphore(16)
    session.set_keyspace(settings.cassandra_keyspace)
    head = session.prepare(
        "INSERT INTO subject_rows (tenant, kind, id, revision, generation) VALUES (?, ?, ?, 1, 0)"
    )
    await connection.use_keyspace()

    async def write(shard: int, part: Sequence[Subject]) -> None:
        slice = shard % REGISTRY_SLICES
        async with turns:
            await connection.batch([("list_in_shard", (shard, each.key, 0)) for each in part])
            await connection.batch([("list_in_tenant", (each.tenant, slice, each.key, 0)) for each in part])

    await asyncio.gather(
        *(write(shard, part) for shard, found in subjects.items() for part in pages(found, 200))
    )
    for found in subjects.values():
        rows = [(each.tenant, each.kind, each.id) for each in found]
        await asyncio.to_thread(execute_concurrent_with_args, session, head, rows, concurrency=128)
    await connection.close()


async def compacted(settings: Settings, seconds: float = 1800) -> float:
    """Wait until Cassandra has merged what the filling has left behind; how many seconds that took."""
    connection = build_cassandra_connection(settings)
    await connection.open()
    started = quiet_since = time.monotonic()
    while (now := time.monotonic()) - quiet_since < COMPACTED_SECONDS:
        if now - started > seconds:
            raise RuntimeError(f"Cassandra still compacts after {seconds:.0f} s")
        if list(await connection.execute("SELECT table_name FROM system_views.sstable_tasks")):
            quiet_since = now
        await asyncio.sleep(0.5)
    await connection.close()
    return now - started


def register_in_sqlite(settings: Settings, subjects: dict[int, list[Subject]]) -> None:
    for shard, found in subjects.items():
        file = settings.data_dir / f"store-{shard % settings.shard_actors}.sqlite"
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO heads (key, tenant, shard, revision, generation, settings, listed, active_hour) "
            "VALUES (?, ?, ?, 1, 0, x'80', 1, 0)",
            [(each.key, each.tenant, shard) for each in found],
        )
        connection.execute("COMMIT")
        connection.close()


def pages(items: Sequence[Subject], size: int) -> Iterator[Sequence[Subject]]:
    return (items[start : start + size] for start in range(0, len(items), size))


# --- measuring ------------------------------------------------------------------------------------


async def prepare(settings: Settings, users: int, subjects: int) -> None:
    """The stores as a server that has run for long would have left them."""
    store = await open_store(settings)
    index = await open_index(settings, DIMENSION)
    names = [*(f"big-{n}" for n in range(3)), *(f"small-{n}" for n in range(users))]
    for name in names:
        await fill(store, name, BIG if name.startswith("big") else SMALL)
        await reindex_subject(store, index, subject_of(name), MODEL)
    await index.set_filled(range(settings.shards))
    found = registered(settings, subjects)
    if settings.wide_store == "cassandra":
        await register_in_cassandra(settings, found)
    else:
        register_in_sqlite(settings, found)
    await index.close()
    await store.close()


async def bare(settings: Settings) -> tuple[float, float]:
    """Milliseconds that reading the big user's rows takes alone, and building its FAISS index."""
    store = await open_store(settings)
    started = time.perf_counter()
    _, vectors = await asyncio.gather(
        store.load(subject_of("big-0")), store.memory_vectors(subject_of("big-0"), MODEL)
    )
    read = time.perf_counter() - started
    matrix = np.stack([stored.vector for stored in vectors])
    started = time.perf_counter()
    index = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.train(matrix)
    index.add(matrix)
    built = time.perf_counter() - started
    await store.close()
    return read * 1000, built * 1000


async def append(settings: Settings, user: str) -> None:
    """As another process does."""
    store = await open_store(settings)
    assert await store.append(subject_of(user), 0, said(user))
    await store.close()


def report(folder: Path, settings: Settings, users: int) -> None:
    """Print the figures of a server on the stores that `prepare` has filled."""
    read, built = asyncio.run(bare(settings))
    big = [f"big-{n}" for n in range(3)]
    started = time.perf_counter()
    with Server(folder) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        print(f"started in {time.perf_counter() - started:.1f} s")

        def search(user: str) -> float:
            started = time.perf_counter()
            body = {"user_id": user, "query": "green tea in Hangzhou", "top_k": 10}
            answer = client.post("/api/v1/memories/search", json=body).raise_for_status().json()
            assert answer["results"], "the filled store was not found"
            degraded.append(answer["degraded"])
            return (time.perf_counter() - started) * 1000

        degraded: list[list[str]] = []

        search("small-0")
        degraded.clear()
        cold: list[float] = []
        for user in big:
            server.idle("ray::ShardActor")
            asyncio.run(append(settings, user))
            cold.append(search(user))
        early = sum("warming" in each for each in degraded)
        for user in big:
            settled(client, user)
        hot = [search(user) for user, _ in itertools.product(big, range(3))]
        print(f"\na user of {BIG:,} memories and {PENDING} pending messages, first search when cold:")
        times = ", ".join(f"{each:.0f}" for each in cold)
        print(f"    {times} ms (median {statistics.median(cold):.1f}, {early} warming)")
        print(f"the same search when hot:                           {statistics.median(hot):8.1f} ms")
        print(f"reading the rows and vectors alone:                 {read:8.1f} ms")
        print(f"building the FAISS index alone:                     {built:8.1f} ms")
        before = server.memory("ray::ShardActor")
        for n in range(1, users):
            search(f"small-{n}")
        grown = (server.memory("ray::ShardActor") - before) / (users - 1)
        vectors = SMALL * DIMENSION * 2
        print(f"memory of a hot user of {SMALL} memories: {grown / 1024:,.0f} KiB")
        print(f"(its vectors alone in half precision: {vectors / 1024:,.0f} KiB)")


def run(users: int, subjects: int) -> None:
    """Fill the stores, start a server on them, and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = own_settings(folder)
        try:
            started = time.perf_counter()
            asyncio.run(prepare(settings, users, subjects))
            seconds = time.perf_counter() - started
            print(f"filled in {seconds:.0f} s, with {subjects:,} registered subjects")
            if settings.wide_store == "cassandra":
                print(f"compacted in another {asyncio.run(compacted(settings)):.0f} s")
            report(folder, settings, users)
        finally:
            asyncio.run(remove(settings))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=300, help=f"users of {SMALL} memories each")
    parser.add_argument("--subjects", type=int, default=0, help="registered besides")
    options = parser.parse_args()
    run(options.users, options.subjects)


if __name__ == "__main__":
    main()
