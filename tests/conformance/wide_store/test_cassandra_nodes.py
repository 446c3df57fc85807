"""Nodes that die under load: what was acknowledged is there, and what is asked gets an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cluster.model import Head
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_connection import CassandraConnection
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject
from tests.conformance.wide_store.cassandra_keyspace import options
from tests.conformance.wide_store.conftest import SHARDS
from tests.conformance.wide_store.samples import added, all_messages, changes, ids, memory, message, run
from tests.servers.cassandra import CassandraCluster

T = TypeVar("T")

SUBJECTS = [Subject("acme", "user", f"用户{n}") for n in range(6)]
TRIES = 40
"""Of one request, a quarter of a second apart: more than a failover takes, even on a slow machine."""
TRIES_DURING_RESTART = 1000
ROUNDS = 20


@dataclass
class Load:
    """One writer a subject: appends, and commits that settle what it appended. Remembers each answer."""

    store: CassandraStore
    said: dict[Subject, list[str]] = field(default_factory=dict[Subject, list[str]])
    known: dict[Subject, dict[str, int]] = field(default_factory=dict[Subject, dict[str, int]])
    heads: dict[Subject, Head] = field(default_factory=dict[Subject, Head])
    tries: int = TRIES
    stopped: bool = False
    rounds: asyncio.Queue[None] = field(default_factory=asyncio.Queue[None])

    async def write(self, subject: Subject) -> None:
        said, known = self.said.setdefault(subject, []), self.known.setdefault(subject, {})
        head = self.heads.get(subject, Head())
        while not self.stopped:
            sent = message(f"第{len(said)}句")
            assert await self._insist(lambda sent=sent: self.store.append(subject, 0, [sent]))
            said.append(sent.id)
            found = memory(f"记住 {len(known)}")
            commit = changes(put=(found,), entries=added(found), runs=(run(sent),))
            # The only writer: if it is refused, an earlier try of this commit was lost or doubled.
            moved = await self._insist(lambda h=head, c=commit: self.store.commit(subject, h, c))
            assert moved.revision == head.revision + 1
            head = self.heads[subject] = moved
            known[found.id] = moved.revision
            self.rounds.put_nowait(None)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        for _ in range(self.tries):
            try:
                return await call()
            except (Unavailable, Overloaded):
                await asyncio.sleep(0.25)
        raise AssertionError(f"no answer in {self.tries} tries")

    async def more(self) -> None:
        """Until ROUNDS more writes of every kind are acknowledged."""
        while not self.rounds.empty():
            self.rounds.get_nowait()
        for _ in range(ROUNDS):
            await self.rounds.get()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.stopped = False
        async with asyncio.TaskGroup() as tasks:
            for subject in SUBJECTS:
                tasks.create_task(self.write(subject))
            try:
                yield
            finally:
                self.stopped = True

    async def check(self, store: CassandraStore) -> None:
        """Everything acknowledged is there, once."""
        for subject in SUBJECTS:
            loaded = await store.load(subject)
            assert loaded.head == self.heads[subject]
            assert {m.id: m.revision for m in loaded.memories} == self.known[subject]
            assert ids(await all_messages(store, subject)) == sorted(self.said[subject])
            assert loaded.pending == []
            history = [change.revision for change in await store.changes(subject, 0)]
            assert history == list(range(1, loaded.head.revision + 1))


@asynccontextmanager
async def opened(cluster: CassandraCluster) -> AsyncIterator[CassandraStore]:
    store = CassandraStore(
        CassandraConnection(options(cluster)._replace(timeout=10.0, speculative_delay=1.0))
    )
    await store.open(shards=SHARDS)
    yield store
    await store.close()


async def test_three_nodes_lose_one_after_the_other(cassandra_ready: None, server_folder: Path) -> None:
    cluster = CassandraCluster(server_folder, nodes=3)
    try:
        await asyncio.to_thread(cluster.start)
        async with opened(cluster) as store:
            load = Load(store)
            async with load.running():
                await load.more()
                await asyncio.to_thread(cluster.kill, 1)
                await load.more()
                await asyncio.to_thread(cluster.restart, 1)
                await load.more()
                await asyncio.to_thread(cluster.kill, 2)
                await load.more()
            await load.check(store)
        async with opened(cluster) as store:  # and for another process
            await load.check(store)
    finally:
        await asyncio.to_thread(cluster.kill)


async def test_one_node_keeps_what_it_acknowledged(cassandra_ready: None, server_folder: Path) -> None:
    cluster = CassandraCluster(server_folder, commitlog="group")
    try:
        await asyncio.to_thread(cluster.start)
        async with opened(cluster) as store:
            load = Load(store, tries=TRIES_DURING_RESTART)
            async with load.running():
                for _ in range(2):
                    await load.more()
                    await asyncio.to_thread(cluster.kill, 0)
                    await asyncio.to_thread(cluster.restart, 0)
                await load.more()
            await load.check(store)
    finally:
        await asyncio.to_thread(cluster.kill)
