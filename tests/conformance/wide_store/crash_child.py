"""What the processes of `test_sqlite_crash` do until they are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from multiprocessing.connection import Connection
from pathlib import Path

from cluster.ids import new_id
from cluster.model import Changes
from cluster.wide_store.port import StaleRevision
from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject
from tests.conformance.wide_store.samples import (
    added,
    changes,
    conversation,
    ids,
    memory,
    message,
    put,
    removed,
    run,
)

SHARDS = 16
SUBJECTS = [Subject("t", "user", f"用户{n}") for n in range(3)]
VICTIM = Subject("t", "user", "victim")


def write_until_killed(folder: Path, acks: Connection) -> None:
    """Send each operation once it is acknowledged: ("append", subject, ids) or ("commit", subject, id)."""
    asyncio.run(_write_until_killed(folder, acks))


async def _write_until_killed(folder: Path, acks: Connection) -> None:
    store = SqliteStore(folder)
    await store.open(shards=SHARDS)
    await asyncio.gather(*(_converse(store, n, acks) for n in range(len(SUBJECTS)) for _ in range(2)))


async def _converse(store: SqliteStore, which: int, acks: Connection) -> None:
    subject = SUBJECTS[which]
    while True:
        said = conversation(3)
        if await store.append(subject, 0, said):
            acks.send(("append", which, ids(said)))
        known = [memory(m.content) for m in said[:2]]
        done = run(*said, memory_ids=tuple(ids(known)))
        commit = changes(put=tuple(known), entries=added(*known), runs=(done,), run_id=done.id)
        try:
            await store.commit(subject, await store.head(subject), commit)
        except StaleRevision:
            continue
        acks.send(("commit", which, commit.commit_id))


def prepare_victim(folder: Path) -> tuple[Changes, Changes]:
    """A subject, a commit that does all that a commit can, and an erase."""

    async def prepare() -> Changes:
        store = SqliteStore(folder)
        await store.open(shards=SHARDS)
        said = [message(id=f"m{n}", marks=("old",)) for n in range(4)]
        kept, gone = memory("kept", id="kept"), memory("gone", id="gone")
        parked = run(said[0], id="parked", status="parked")
        await store.append(VICTIM, 0, said)
        await put(store, VICTIM, put=(kept, gone), entries=added(kept, gone), runs=(parked,))
        await store.close()
        return changes(
            commit_id="the commit",
            put=(memory("kept, changed", id="kept"), memory("new", id="new")),
            entries=(*added(kept), *removed(gone)),
            delete=("gone",),
            runs=(run(*said[:2], id="parked"), run(said[2], id="another")),
            mark_messages={"m1": ("new",)},
            delete_messages=("m3",),
            settings={"changed": True},
        )

    return asyncio.run(prepare()), changes(commit_id="the erase", erase=True)


def commit_and_die(folder: Path, commit: Changes, statement: int, acks: Connection) -> None:
    """Commit, but be killed when the writer comes to its `statement`-th statement."""
    asyncio.run(_commit_and_die(folder, commit, statement, acks))


async def _commit_and_die(folder: Path, commit: Changes, statement: int, acks: Connection) -> None:
    store = SqliteStore(folder)
    await store.open(shards=SHARDS)
    left = statement

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(count)

    await store._files[0].writer.submit(watch)
    await store.commit(VICTIM, await store.head(VICTIM), commit)
    left = 1 << 30
    acks.send("acknowledged")
    await store.close()


def write_beside_others(folder: Path, name: str, rounds: int) -> None:
    """Appends and commits to subjects that other processes write to at the same time."""
    asyncio.run(_write_beside_others(folder, name, rounds))


async def _write_beside_others(folder: Path, name: str, rounds: int) -> None:
    store = SqliteStore(folder)
    await store.open(shards=SHARDS)

    async def work(task: int) -> None:
        subject = SUBJECTS[task % len(SUBJECTS)]
        for n in range(rounds):
            said = message(f"{name}-{task}-{n}", id=new_id())
            assert await store.append(subject, 0, [said])
            known = memory(said.content)
            commit = changes(put=(known,), entries=added(known), runs=(run(said),))
            head = await store.head(subject)
            while True:
                try:
                    await store.commit(subject, head, commit)
                except StaleRevision as stale:
                    head = stale.head
                else:
                    break

    await asyncio.gather(*(work(task) for task in range(6)))
    await store.close()


def open_and_close(folder: Path, barrier: Connection) -> None:
    """Open a store that may be new, at the same moment as the others."""

    async def open_it() -> None:
        store = SqliteStore(folder, files=2)
        barrier.send("ready")
        barrier.recv()
        info = await store.open(shards=SHARDS)
        await store.append(SUBJECTS[0], 0, [message(str(os.getpid()))])
        await store.close()
        barrier.send(info.created_at)

    asyncio.run(open_it())
