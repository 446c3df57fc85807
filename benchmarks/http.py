"""Search and add through HTTP against the limits, all measured in one run: `make bench`.

The limits: a Serve route that does nothing; the same with one actor call that does nothing; exact FAISS
search; SQLite commits with the same durability, or the bare Cassandra driver's appends where the settings
name Cassandra. Ratios are what counts: absolute figures vary with the machine. `hybrid` embeds every query
(they are all different), `full_text` none, and `repeated` asks the same question again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from pathlib import Path

import faiss
import httpx
import numpy as np
import psutil
import ray

from benchmarks import floor
from benchmarks.load import Figures, Request, http_request, measure
from benchmarks.server import Server, own_settings, remove, settled
from benchmarks.stores import BareCassandra, message
from cluster.composition import build_cassandra_connection
from cluster.settings import Settings

CONNECTIONS = (1, 16, 64)
USERS = 20
MESSAGES = 25
TEXTS = (
    "I walked along the river in {n} minutes and thought about tea",
    "我昨天去了第{n}家图书馆，借了一本关于羽毛球的书",
    "My sister's wedding is on day {n} of the month and I still need a gift",
    "周末打算和朋友一起做{n}道菜，主要是川菜",
)


def text(n: int) -> str:
    """Message number n."""
    return TEXTS[n % len(TEXTS)].format(n=n)


def post(port: int, path: str, body: dict) -> bytes:
    return http_request("POST", path, port, json.dumps(body, ensure_ascii=False).encode())


def requests(port: int) -> dict[str, Request]:
    """What is measured, by name."""

    def search(n: int, **more: object) -> bytes:
        body = {"user_id": f"bench-{n % USERS}", "query": text(n * 7), **more}
        return post(port, "/api/v1/memories/search", body)

    def add(n: int, count: int = 1) -> bytes:
        messages = [{"role": "user", "content": text(n + i)} for i in range(count)]
        return post(port, "/api/v1/memories", {"user_id": f"add-{n % USERS}", "messages": messages})

    return {
        "no-op route": lambda n: post(port, "/floor/noop", {}),
        "no-op route + no-op actor call": lambda n: post(port, "/floor/actor", {}),
        "search full_text": lambda n: search(n, strategy="full_text"),
        "search repeated": lambda n: search(n % USERS, strategy="hybrid"),
        "search hybrid": search,
        "add, 1 message": add,
        "add, 10 messages": lambda n: add(n, 10),
    }


def bare_faiss(units: int, seconds: float = 1.0) -> float:
    """Searches a second of a flat fp16 index with as many vectors as a benchmark user has units."""
    index = faiss.IndexScalarQuantizer(384, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    vectors = np.random.default_rng(0).standard_normal((units, 384), dtype=np.float32)
    index.train(vectors)
    index.add(vectors)
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        index.search(vectors[done % units : done % units + 1], 10)
        done += 1
    return done / seconds


def bare_sqlite(folder: Path, rows: int, seconds: float = 2.0) -> float:
    """Rows a second that a bare loop commits, `rows` in a transaction, synchronous=FULL in WAL mode."""
    connection = sqlite3.connect(folder / f"bare-{rows}.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB)")
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO messages (body) VALUES (?)", ((b"x" * 300,) for _ in range(rows)))
        connection.execute("COMMIT")
        done += rows
    connection.close()
    return done / seconds


def fill(url: str) -> None:
    """Give the benchmark's users their messages, and wait until all are embedded."""
    with httpx.Client(base_url=url, timeout=120) as client:
        for user in range(USERS):
            messages = [{"role": "user", "content": text(user * MESSAGES + n)} for n in range(MESSAGES)]
            body = {"user_id": f"bench-{user}", "messages": messages, "wait": True}
            client.post("/api/v1/memories", json=body).raise_for_status()
        for user in range(USERS):
            settled(client, f"bench-{user}")


async def bare_cassandra(settings: Settings, rows: int, seconds: float = 5.0) -> float:
    """Messages a second that a loop over the driver appends, `rows` in a batch and 64 batches in flight."""
    connection = build_cassandra_connection(settings)
    await connection.open()
    await connection.use_keyspace()
    bare = BareCassandra(connection)
    done, end = 0, time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await bare.append(f"add-{done % USERS}", [message() for _ in range(rows)])
            done += rows

    await asyncio.gather(*(work() for _ in range(64)))
    await connection.close()
    return done / seconds


async def run(seconds: float, connections: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = own_settings(folder)
        try:
            with Server(folder) as server:
                await report(server, folder, settings, seconds, connections)
        finally:
            await remove(settings)


async def report(
    server: Server, folder: Path, settings: Settings, seconds: float, connections: tuple[int, ...]
) -> None:
    """Measure everything, and print it as it comes."""
    fill(server.url)
    server.join_ray()
    floor.deploy()
    stores = f"{settings.wide_store} and {settings.search_index}"
    print(f"{psutil.cpu_count()} CPUs, {stores}, {USERS} users with {MESSAGES} messages each\n")
    table: dict[str, dict[int, Figures]] = {}
    for name, request in requests(server.port).items():
        table[name] = {}
        for count in connections:
            figures = await measure(server.port, request, connections=count, seconds=seconds)
            table[name][count] = figures
            print(f"{name:32}{count:4} connections {figures.row()}", flush=True)
    print_ratios(table, connections)
    print(f"\nbare FAISS, {MESSAGES} vectors: {bare_faiss(MESSAGES):,.0f} searches/s")
    print(f"bare FAISS, 10,000 vectors: {bare_faiss(10_000):,.0f} searches/s")
    if settings.wide_store == "cassandra":
        bare = {rows: await bare_cassandra(settings, rows) for rows in (1, 10)}
    else:
        bare = {rows: bare_sqlite(folder, rows) for rows in (1, 64)}
    for rows, rate in bare.items():
        print(f"bare {settings.wide_store}, {rows} message(s) a commit: {rate:,.0f} messages/s")
    most = max(connections)
    lower = min(bare[1], table["no-op route + no-op actor call"][most].rate)
    share = table["add, 1 message"][most].rate / lower
    print(f"adds of one message at {most} connections: {share:.0%} of the lower of the two")
    ray.shutdown()


def print_ratios(table: dict[str, dict[int, Figures]], connections: tuple[int, ...]) -> None:
    """Each row against the route that makes one no-op actor call, at the same number of connections."""
    base = table["no-op route + no-op actor call"]
    print("\nagainst the no-op actor call (p50 ratio, throughput ratio)")
    for name, row in table.items():
        cells = "".join(
            f"   {count:3}: {row[count].p50 / base[count].p50:5.2f} {row[count].rate / base[count].rate:5.2f}"
            for count in connections
        )
        print(f"{name:32}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5, help="per row and number of connections")
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    arguments = parser.parse_args()
    asyncio.run(run(arguments.seconds, tuple(arguments.connections)))


if __name__ == "__main__":
    main()
