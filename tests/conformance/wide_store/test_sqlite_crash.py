"""kill -9 at random moments: what was acknowledged is there once, and every commit is whole or absent.

A kill does not test that the disk was reached: for that the settings are asserted, in `test_sqlite`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import sqlite3
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cluster.model import Changes
from cluster.wide_store.port import Loaded, MessageQuery
from cluster.wide_store.sqlite import SqliteStore
from tests.conformance.wide_store import crash_child
from tests.conformance.wide_store.crash_child import SHARDS, SUBJECTS, VICTIM
from tests.conformance.wide_store.samples import MODEL, USER, all_messages, ids

ROUNDS = 25


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.conformance.wide_store.crash_child"])
    return context


def write_and_kill(processes: ForkServerContext, folder: Path, acks_before_kill: int) -> list[Any]:
    """What a writing process had acknowledged when it was killed."""
    mine, its = processes.Pipe(duplex=False)
    child = processes.Process(target=crash_child.write_until_killed, args=(folder, its))
    child.start()
    its.close()
    acks: list[Any] = []
    try:
        while True:
            acks.append(mine.recv())
            if len(acks) == acks_before_kill:
                child.kill()  # and read on: what is in the pipe was acknowledged too
    except (EOFError, ConnectionResetError):
        pass
    child.join()
    mine.close()
    assert child.exitcode == -signal.SIGKILL
    child.close()
    return acks


def check_integrity(folder: Path) -> None:
    for file in folder.glob("*.sqlite"):
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


async def check_subject(store: SqliteStore, which: int, acks: list[Any]) -> None:
    subject = SUBJECTS[which]
    messages = Counter(ids(await all_messages(store, subject, limit=1000)))
    assert set(messages.values()) <= {1}
    for ack in acks:
        if ack[:2] == ("append", which):
            assert set(ack[2]) <= messages.keys(), "an acknowledged message is lost"
    loaded = await store.load(subject)
    rows = await store.changes(subject, 0, limit=1_000_000)
    landed = Counter(row.commit_id for row in rows)
    assert set(landed.values()) <= {1}
    assert {ack[2] for ack in acks if ack[:2] == ("commit", which)} <= landed.keys()
    # Each commit is whole: its change row, two memories at its revision, its run, three settled messages.
    assert [row.revision for row in rows] == list(range(1, loaded.head.revision + 1))
    of_revision: dict[int, set[str]] = {}
    for m in loaded.memories:
        of_revision.setdefault(m.revision, set()).add(m.id)
    assert of_revision == {row.revision: {entry.memory_id for entry in row.entries} for row in rows}
    runs, _ = await store.runs(subject, limit=1_000_000)
    assert {r.id: (set(r.memory_ids), r.input_ids) for r in runs} == {
        row.run_id: ({entry.memory_id for entry in row.entries}, row.input_ids) for row in rows
    }
    settled = {id for row in rows for id in row.input_ids}
    assert set(ids(loaded.pending)) == messages.keys() - settled


async def test_what_was_acknowledged_survives_kills(tmp_path: Path, processes: ForkServerContext) -> None:
    chance = random.Random()
    acks: list[Any] = []
    for _ in range(ROUNDS):
        acks += write_and_kill(processes, tmp_path, chance.randint(1, 150))
        store = SqliteStore(tmp_path)
        await store.open(shards=SHARDS)
        for which in range(len(SUBJECTS)):
            await check_subject(store, which, acks)
        await store.close()
    check_integrity(tmp_path)
    assert len(acks) > ROUNDS


async def everything(folder: Path) -> tuple[Loaded, Any]:
    store = SqliteStore(folder)
    await store.open(shards=SHARDS)
    loaded = await store.load(VICTIM)
    rest = (
        await all_messages(store, VICTIM),
        await all_messages(store, VICTIM, MessageQuery(mark="new")),
        await store.changes(VICTIM, 0),
        await store.runs(VICTIM),
        await store.scope("t", "user", USER.id),
        await store.memory_vectors(VICTIM, MODEL),
        await store.subjects(),
    )
    await store.close()
    return loaded, rest


@pytest.mark.parametrize("which", [0, 1])
async def test_a_commit_killed_between_any_two_statements_leaves_no_trace(
    which: int, tmp_path: Path, processes: ForkServerContext
) -> None:
    commits: tuple[Changes, Changes] = await asyncio.to_thread(crash_child.prepare_victim, tmp_path)
    before = await everything(tmp_path)
    deaths = 0
    while True:
        mine, its = processes.Pipe(duplex=False)
        child = processes.Process(
            target=crash_child.commit_and_die, args=(tmp_path, commits[which], deaths, its)
        )
        child.start()
        its.close()
        child.join()
        acknowledged = mine.poll() and child.exitcode == 0
        mine.close()
        found = await everything(tmp_path)
        if found[0].head != before[0].head:
            break
        assert child.exitcode == -signal.SIGKILL
        assert not acknowledged
        assert msgspec.to_builtins(found) == msgspec.to_builtins(before)
        deaths += 1
    assert deaths > 10, "BEGIN, SAVEPOINT, what the commit writes, RELEASE and COMMIT"
    assert found[0].head.revision == before[0].head.revision + 1
    assert sorted(ids(found[0].memories)) == (["kept", "new"] if which == 0 else [])
    assert sorted(ids(found[1][0])) == (["m0", "m1", "m2"] if which == 0 else [])
    store = SqliteStore(tmp_path)
    await store.open(shards=SHARDS)
    assert await store.commit(VICTIM, before[0].head, commits[which]) == found[0].head
    await store.close()
    check_integrity(tmp_path)


async def test_processes_that_write_the_same_file_lose_and_double_nothing(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    rounds = 40
    children = [
        processes.Process(target=crash_child.write_beside_others, args=(tmp_path, name, rounds))
        for name in ("one", "two", "three")
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    store = SqliteStore(tmp_path)
    await store.open(shards=SHARDS)
    for n, subject in enumerate(SUBJECTS):
        expected = sorted(
            f"{name}-{task}-{i}"
            for name in ("one", "two", "three")
            for task in (n, n + 3)
            for i in range(rounds)
        )
        assert sorted(m.content for m in await all_messages(store, subject, limit=1000)) == expected
        loaded = await store.load(subject)
        assert sorted(m.text for m in loaded.memories) == expected
        assert loaded.head.revision == len(expected)
        assert loaded.pending == []
    await store.close()
    check_integrity(tmp_path)


async def test_processes_that_open_a_new_store_at_once_create_it_once(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    pipes = [processes.Pipe() for _ in range(4)]
    children = [
        processes.Process(target=crash_child.open_and_close, args=(tmp_path / "new", its)) for _, its in pipes
    ]
    for child in children:
        child.start()
    for mine, _ in pipes:
        assert mine.recv() == "ready"
    for mine, _ in pipes:
        mine.send("go")
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    assert len({mine.recv() for mine, _ in pipes}) == 1
    for mine, its in pipes:
        mine.close()
        its.close()
    store = SqliteStore(tmp_path / "new")
    await store.open(shards=SHARDS)
    assert await store.count_messages(SUBJECTS[0], MessageQuery()) == 4
    await store.close()
