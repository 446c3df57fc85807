"""What the wide stores do in a second, each beside its bare driver: `python -m benchmarks.stores`.

    append     one message a call, over many subjects: 64 calls at a time
    batch      fifty messages a call
    commit     one memory, its change row and a run a commit: 64 subjects at a time, and one subject alone
    load       a subject of 10,000 memories, as its owner activates it
    long       a user of 200,000 messages and 10,000 memories: what reads of it take
    rounds     1,000 rounds on one user: add two messages, extract a memory, delete the one before; what reads
               take in the first hundred rounds and in the last

Bare is a loop over the driver that writes the same rows in the same batches and reads the same page, and
checks nothing: for Cassandra prepared statements with as many requests in flight, for SQLite one connection
with the same durability. Cassandra is the one that the settings name (`--keyspace` is filled and dropped);
SQLite is in a temporary folder. Figures of both come from one run on one machine: ratios matter.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from cluster.composition import build_cassandra_connection
from cluster.ids import new_id, system_clock
from cluster.model import ChangeEntry, Changes, Head, Memory, Message, Run
from cluster.settings import Settings, load_settings
from cluster.wide_store import codec
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_connection import CassandraConnection, Statement
from cluster.wide_store.cassandra_layout import HERE, Facet, Section, bucket_of_id, pack_ids
from cluster.wide_store.port import MessageQuery, WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject

AT_ONCE = 64
BATCH = 50
SUBJECTS = 512
SHARDS = 256
MODEL = "none"
TEXT = "昨天和同事在杭州喝了龙井茶 and then we talked about badminton until late. "


def message(content: str = TEXT) -> Message:
    now = system_clock()
    return Message(
        id=new_id(),
        session="s",
        role="user",
        content=content,
        event_time=now,
        created_at=now,
        tokens=30,
        labels={"user": "u"},
    )


def memory(user: str) -> Memory:
    now = system_clock()
    return Memory(
        id=new_id(),
        kind="fact",
        text=TEXT,
        topic="interest",
        labels={"user": user},
        created_at=now,
        updated_at=now,
    )


def settling(inputs: list[Message], put: tuple[Memory, ...], delete: tuple[str, ...] = ()) -> Changes:
    """What an extraction commits."""
    now = system_clock()
    run = Run(
        id=new_id(),
        status="done",
        input_ids=tuple(m.id for m in inputs),
        buckets=tuple({bucket_of_id(m.id) for m in inputs}),
        memory_ids=tuple(m.id for m in put),
        created_at=now,
    )
    entries = (
        *(ChangeEntry(memory_id=m.id, event="ADD", new_text=m.text) for m in put),
        *(ChangeEntry(memory_id=id, event="DELETE") for id in delete),
    )
    return Changes(
        commit_id=new_id(),
        at=now,
        actor="benchmark",
        put=put,
        delete=delete,
        entries=entries,
        runs=(run,),
        run_id=run.id,
    )


async def rate(count: int, at_once: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Calls a second, `at_once` of them at a time."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return count / (time.perf_counter() - started)


async def millis(call: Callable[[], Awaitable[object]], times: int = 9) -> float:
    """The median of so many calls, one after the other."""
    taken: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


class Figures:
    """What was measured, printed as it comes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, store: str, what: str, value: float, unit: str, bare: float | None = None) -> None:
        self.rows.append({"store": store, "what": what, "value": value, "unit": unit, "bare": bare})
        share = ""
        if bare is not None:
            ratio = value / bare
            share = (
                f"   bare {bare:10,.1f}   {ratio:6.0%}"
                if unit != "ms"
                else f"   bare {bare:10,.1f}   {ratio:5.1f}x"
            )
        print(f"{store:10} {what:44} {value:10,.1f} {unit:9}{share}", flush=True)


# --- bare drivers ---------------------------------------------------------------------------------


class BareCassandra:
    """The adapter's rows in the adapter's batches, and nothing else."""

    def __init__(self, connection: CassandraConnection) -> None:
        self._connection = connection
        self._revisions: dict[str, int] = {}

    @property
    def name(self) -> str:
        return "cassandra"

    async def append(self, user: str, said: list[Message]) -> None:
        key, bucket = ("bare", "user", user), bucket_of_id(said[0].id)
        place = (*key, 0, bucket, 0)
        at = codec.encode(said[0].created_at)
        rows: list[Statement] = [
            ("put_arrival", (*key, 0, bucket, said[0].id, at, pack_ids(m.id for m in said)))
        ]
        for m in said:
            facts = codec.encode((m.session, m.event_time, m.marks))
            rows.append(("put_message", (*place, m.id, facts, codec.encode(m), 1)))
            rows.append(("put_facet", (*place, Facet.SESSION, m.session, m.id, HERE, 1)))
        await self._connection.batch(rows)

    async def commit(self, user: str, changes: Changes) -> None:
        key = ("bare", "user", user)
        before = self._revisions.get(user)
        revision = (before or 0) + 1
        row = (*key, 0)
        batch: list[Statement] = [
            ("move_head", (revision, 0, *key, before, None if before is None else 0)),
            ("put_row_once", (*row, Section.COMMIT, changes.commit_id, 0, False, b"12345678")),
            ("put_row", (*row, Section.CHANGE, "", revision, False, codec.encode(changes.entries))),
            (
                "put_row",
                (*row, Section.TEXT, changes.put[0].id, revision, False, codec.encode(changes.entries)),
            ),
            ("put_row", (*row, Section.MEMORY, changes.put[0].id, 0, False, codec.encode(changes.put[0]))),
            ("put_row", (*row, Section.RUN, changes.runs[0].id, 0, False, codec.encode(changes.runs[0]))),
            (
                "put_row",
                (*row, Section.INPUT, changes.runs[0].id, 0, False, pack_ids(changes.runs[0].input_ids)),
            ),
        ]
        memory, run = changes.put[0], changes.runs[0]
        bucket = bucket_of_id(run.input_ids[0])
        facet = (*row, bucket, 0, Facet.RUN_OF)
        await asyncio.gather(
            self._connection.run("put_way_in", "bare", "memory", memory.id, b"bare", 0),
            self._connection.run("put_way_in", "bare", "run", run.id, b"bare", 0),
            self._connection.run("put_scope", "bare", "user", user, 0, b"bare", 0, memory.id, HERE, 1),
            self._connection.batch([("put_facet", (*facet, id, run.id, HERE, 1)) for id in run.input_ids]),
        )
        assert await self._connection.conditional(batch)
        self._revisions[user] = revision

    async def load(self, subject: Subject) -> int:
        place = (subject.tenant, subject.kind, subject.id, 0)
        rows = await self._connection.rows("rows_of_section", *place, Section.MEMORY, page_rows=20_000)
        return len([codec.decode_memory(value) for _, value in rows])


class BareSqlite:
    """One connection, WAL and synchronous=FULL, a transaction for whatever waits."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE t (user TEXT, kind TEXT, id TEXT, body BLOB, PRIMARY KEY (user, kind, id))"
        )
        self._waiting: list[tuple[list[tuple[str, str, str, bytes]], asyncio.Future[None]]] = []

    @property
    def name(self) -> str:
        return "sqlite"

    async def append(self, user: str, said: list[Message]) -> None:
        await self._write(
            [(user, kind, m.id, codec.encode(m) if kind == "m" else b"") for m in said for kind in ("m", "p")]
        )

    async def commit(self, user: str, changes: Changes) -> None:
        await self._write(
            [
                (user, "h", changes.commit_id, b""),
                (user, "c", changes.commit_id, codec.encode(changes.entries)),
                (user, "k", changes.put[0].id, codec.encode(changes.put[0])),
                (user, "r", changes.runs[0].id, codec.encode(changes.runs[0])),
            ]
        )

    async def _write(self, rows: list[tuple[str, str, str, bytes]]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        if len(self._waiting) == 1:
            await asyncio.sleep(0)
            waiting, self._waiting = self._waiting, []
            self._connection.execute("BEGIN IMMEDIATE")
            for each, _ in waiting:
                self._connection.executemany("INSERT OR IGNORE INTO t VALUES (?, ?, ?, ?)", each)
            self._connection.execute("COMMIT")
            for _, each in waiting:
                each.set_result(None)
        await done

    async def load(self, subject: Subject) -> int:
        rows = self._connection.execute("SELECT body FROM t WHERE user = ? AND kind = 'k'", (subject.id,))
        return len([codec.decode_memory(body) for (body,) in rows.fetchall()])


Bare = BareCassandra | BareSqlite


# --- measuring ------------------------------------------------------------------------------------


async def writes(store: WideStore, bare: Bare, figures: Figures, calls: int) -> None:
    """Appends and commits, the adapter's and the bare driver's by turns."""
    users = [f"user-{n}" for n in range(SUBJECTS)]

    async def ours(n: int, size: int) -> None:
        subject = Subject("bench", "user", users[n % SUBJECTS])
        assert await store.append(subject, 0, [message() for _ in range(size)])

    async def theirs(n: int, size: int) -> None:
        await bare.append(users[n % SUBJECTS], [message() for _ in range(size)])

    for what, size, count in (
        ("appends of one message", 1, calls),
        (f"appends of {BATCH} messages", BATCH, calls // 10),
    ):
        await rate(SUBJECTS, AT_ONCE, lambda n, s=size: ours(n, s))  # registers the subjects, once
        one = await rate(count, AT_ONCE, lambda n, s=size: ours(n, s))
        other = await rate(count, AT_ONCE, lambda n, s=size: theirs(n, s))
        figures.add(bare.name, what, one, "a second", other)

    heads = dict.fromkeys(users, Head())
    turns: dict[str, asyncio.Lock] = {user: asyncio.Lock() for user in users}

    async def commit(n: int, among: int) -> None:
        user = users[n % among]
        async with turns[user]:
            heads[user] = await store.commit(
                Subject("bench", "user", user), heads[user], settling([message()], (memory(user),))
            )

    async def bare_commit(n: int, among: int) -> None:
        user = users[n % among]
        async with turns[user]:
            await bare.commit(user, settling([message()], (memory(user),)))

    for what, among, at_once, count in (
        (f"commits, {AT_ONCE} subjects", AT_ONCE, AT_ONCE, calls // 4),
        ("commits, one subject", 1, 1, calls // 20),
    ):
        one = await rate(count, at_once, lambda n, a=among: commit(n, a))
        other = await rate(count, at_once, lambda n, a=among: bare_commit(n, a))
        figures.add(bare.name, what, one, "a second", other)


def _pages(count: int, size: int) -> Iterator[int]:
    for start in range(0, count, size):
        yield min(size, count - start)


async def long_user(store: WideStore, bare: Bare, figures: Figures, messages: int, memories: int) -> None:
    """A user with a long history, most of it settled."""
    subject, head = Subject("bench", "user", "long"), Head()
    for size in _pages(memories, 150):
        put = tuple(memory("long") for _ in range(size))
        head = await store.commit(
            subject, head, Changes(commit_id=new_id(), at=system_clock(), actor="b", put=put)
        )
        if isinstance(bare, BareSqlite):
            await bare._write([("long", "k", m.id, codec.encode(m)) for m in put])
    figures.add(
        bare.name,
        f"load of {memories:,} memories",
        await millis(lambda: store.load(subject)),
        "ms",
        await millis(lambda: bare.load(subject)),
    )
    started = time.perf_counter()
    for size in _pages(messages, 1000):
        said = [message() for _ in range(size)]
        assert await store.append(subject, 0, said)
        head = await store.commit(subject, head, settling(said, ()))
    figures.add(
        bare.name, f"{messages:,} messages appended and settled", time.perf_counter() - started, "seconds"
    )
    assert await store.append(subject, 0, [message() for _ in range(20)])
    loaded = await store.load(subject)
    assert (len(loaded.memories), len(loaded.pending)) == (memories, 20)
    named = f"of {messages:,} messages, {memories:,} memories"
    for what, call in (
        ("load", lambda: store.load(subject)),
        ("tail", lambda: store.tail(subject, loaded.tail)),
        ("newest 100", lambda: store.messages(subject, MessageQuery(newest_first=True))),
        ("recent 1,000 with vectors", lambda: store.recent_messages(subject, MODEL)),
        ("history of a memory", lambda: store.memory_history(subject, loaded.memories[0].id)),
    ):
        figures.add(bare.name, f"{what} {named}", await millis(call), "ms")
    figures.add(
        bare.name,
        f"count {named}",
        await millis(lambda: store.count_messages(subject, MessageQuery()), 1),
        "ms",
    )


async def rounds(store: WideStore, name: str, figures: Figures, count: int) -> None:
    """Add, extract, delete, again and again."""
    subject, head = Subject("bench", "user", "busy"), Head()
    before: Memory | None = None
    taken: dict[str, list[float]] = {}
    tail = (await store.load(subject)).tail
    for _ in range(count):
        said = [message(), message()]
        assert await store.append(subject, 0, said)
        known = memory("busy")
        gone = () if before is None else (before.id,)
        head = await store.commit(subject, head, settling(said, (known,), gone))
        before = known
        for what, call in (
            ("tail", lambda tail=tail: store.tail(subject, tail)),
            ("newest 20", lambda: store.messages(subject, MessageQuery(newest_first=True), limit=20)),
            ("load", lambda: store.load(subject)),
        ):
            started = time.perf_counter()
            await call()
            taken.setdefault(what, []).append((time.perf_counter() - started) * 1000)
        tail = (await store.tail(subject, tail)).tail
    part = max(count // 10, 1)
    for what, each in taken.items():
        first, last = statistics.median(each[:part]), statistics.median(each[-part:])
        figures.add(name, f"{what}, last {part} of {count:,} rounds (bare: first)", last, "ms", first)


async def measure(store: WideStore, bare: Bare, figures: Figures, options: argparse.Namespace) -> None:
    await writes(store, bare, figures, options.calls)
    await rounds(store, bare.name, figures, options.rounds)
    await long_user(store, bare, figures, options.messages, options.memories)


async def on_sqlite(figures: Figures, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "data")
        await store.open(shards=SHARDS)
        await measure(store, BareSqlite(Path(folder)), figures, options)
        await store.close()


async def on_cassandra(figures: Figures, options: argparse.Namespace, settings: Settings) -> None:
    connection = build_cassandra_connection(
        settings.model_copy(
            update={"cassandra_keyspace": options.keyspace, "cassandra_timeout_seconds": 60.0}
        )
    )
    await connection.open()
    try:
        store = CassandraStore(connection)
        await store.open(shards=SHARDS)
        await measure(store, BareCassandra(connection), figures, options)
        await store.close()
    finally:
        await connection.execute(f"DROP KEYSPACE IF EXISTS {options.keyspace}")
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stores", nargs="*", default=["sqlite", "cassandra"], help="sqlite, cassandra")
    parser.add_argument("--keyspace", default="memgrid_benchmark", help="filled and dropped")
    parser.add_argument("--calls", type=int, default=10_000, help="appends measured")
    parser.add_argument("--messages", type=int, default=200_000, help="of the long user")
    parser.add_argument("--memories", type=int, default=10_000, help="of the long user")
    parser.add_argument("--rounds", type=int, default=1000, help="of adding, extracting and deleting")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    figures = Figures()
    for store in itertools.chain(options.stores):
        if store == "sqlite":
            asyncio.run(on_sqlite(figures, options))
        else:
            asyncio.run(on_cassandra(figures, options, load_settings()))
    if options.json is not None:
        options.json.write_text(json.dumps(figures.rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
