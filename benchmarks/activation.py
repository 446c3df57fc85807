"""What a cold user costs to activate, and a hot one to hold: `python -m benchmarks.activation`.

A store is filled with synthetic vectors before the server starts: three users with 10,000 memories, and many
with 100 each. Activation is the first search of a user that no owner holds; beside it, the same search again,
and what SQLite and FAISS alone take for the same rows. Memory is what the shard actor grows by when it takes
up the many users (its resident size, in which Python's and the allocator's own overhead are counted).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import faiss
import httpx
import numpy as np

from actors.resident import content_hash
from benchmarks.server import Server
from cluster.ids import new_id, system_clock
from cluster.model import Changes, Head, Memory
from cluster.retrieval.unit_text import embedding_text
from cluster.wide_store.port import StoredVector
from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject

DIMENSION = 384
SHARDS = 256
BIG = 10_000
SMALL = 100
PLACES = ("Hangzhou", "Chengdu", "Lisbon", "Oslo", "苏州", "青岛", "Kyoto", "昆明")
THINGS = ("green tea", "badminton", "jazz records", "羽毛球", "川菜", "hiking", "摄影", "old maps")


def memories(user: str, count: int) -> list[Memory]:
    """Memories of `user` with distinct texts in two languages."""
    now = system_clock()
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


async def fill(store: SqliteStore, user: str, count: int) -> None:
    """Give `user` so many memories, each with a vector."""
    subject, head = Subject("default", "user", user), Head()
    rows = memories(user, count)
    for first in range(0, count, 200):
        part = tuple(rows[first : first + 200])
        changes = Changes(commit_id=new_id(), at=system_clock(), actor="benchmark", put=part)
        head = await store.commit(subject, head, changes)
    vectors = np.random.default_rng(count).standard_normal((count, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = [
        StoredVector(row.id, content_hash(embedding_text(row)), vector)
        for row, vector in zip(rows, vectors, strict=True)
    ]
    for first in range(0, count, 1000):
        await store.put_vectors(subject, 0, "memory", "multilingual-e5-small", stored[first : first + 1000])


async def prepare(folder: Path, users: int) -> None:
    """The store as a server that has run for long would have left it."""
    store = SqliteStore(folder / "data")
    await store.open(shards=SHARDS)
    for n in range(3):
        await fill(store, f"big-{n}", BIG)
    for n in range(users):
        await fill(store, f"small-{n}", SMALL)
    await store.close()


async def bare(folder: Path) -> tuple[float, float]:
    """Milliseconds that reading the big user's rows takes alone, and building its FAISS index."""
    store = SqliteStore(folder / "data")
    await store.open(shards=SHARDS)
    subject = Subject("default", "user", "big-0")
    started = time.perf_counter()
    await store.load(subject)
    vectors = await store.memory_vectors(subject, "multilingual-e5-small")
    read = time.perf_counter() - started
    matrix = np.stack([stored.vector for stored in vectors])
    started = time.perf_counter()
    index = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.train(matrix)
    index.add(matrix)
    built = time.perf_counter() - started
    await store.close()
    return read * 1000, built * 1000


def report(folder: Path, users: int) -> None:
    """Print the figures of a server on the store that `prepare` has filled."""
    read, built = asyncio.run(bare(folder))
    with Server(folder) as server, httpx.Client(base_url=server.url, timeout=120) as client:

        def search(user: str) -> float:
            started = time.perf_counter()
            body = {"user_id": user, "query": "green tea in Hangzhou", "top_k": 10}
            answer = client.post("/api/v1/memories/search", json=body).raise_for_status().json()
            assert answer["results"], "the filled store was not found"
            return (time.perf_counter() - started) * 1000

        search("small-0")
        cold = [search(f"big-{n}") for n in range(3)]
        hot = [search(f"big-{n % 3}") for n in range(9)]
        print(f"\na user of {BIG:,} memories, first search when cold: {statistics.median(cold):8.1f} ms")
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


def run(users: int) -> None:
    """Fill a store, start a server on it, and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(prepare(folder, users))
        report(folder, users)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=300, help=f"users of {SMALL} memories each")
    run(parser.parse_args().users)


if __name__ == "__main__":
    main()
