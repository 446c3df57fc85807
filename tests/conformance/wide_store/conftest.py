"""The adapters of the wide store, each opened empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from tests.conformance.wide_store.cassandra_keyspace import CassandraKeyspace
from tests.conformance.wide_store.samples import NOW
from tests.servers.cassandra import CassandraCluster

SHARDS = 16
HISTORY_MESSAGES = 100_000
HISTORY_MESSAGES_IN_CASSANDRA = 20_000
"""A fifth: every page is several round trips, and benchmarks measure longer histories."""


class ManualClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def cassandra_keyspace(cassandra: CassandraCluster) -> Iterator[CassandraKeyspace]:
    keyspace = CassandraKeyspace(cassandra)
    yield keyspace
    keyspace.close()


@pytest.fixture
def cassandra_stores(
    cassandra_keyspace: CassandraKeyspace, clock: ManualClock
) -> Iterator[tuple[CassandraStore, CassandraStore]]:
    first, second = (CassandraStore(each, clock=clock) for each in cassandra_keyspace.connections)
    yield first, second
    cassandra_keyspace.empty()


@pytest.fixture
async def both(
    cassandra_stores: tuple[CassandraStore, CassandraStore],
) -> AsyncIterator[tuple[CassandraStore, CassandraStore]]:
    """The two of Cassandra, opened."""
    for store in cassandra_stores:
        await store.open(shards=SHARDS)
    yield cassandra_stores
    for store in cassandra_stores:
        await store.close()


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "sqlite-files", "cassandra"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[tuple[WideStore, WideStore]]:
    """Two handles of one store, as two processes would have them (in memory there is only one)."""
    if request.param == "cassandra":
        first, second = request.getfixturevalue("cassandra_stores")
    elif request.param == "sqlite-memory":
        first = second = SqliteStore(":memory:", clock=clock)
    else:
        files = 3 if request.param == "sqlite-files" else 1
        first, second = (SqliteStore(tmp_path / "data", files=files, clock=clock) for _ in range(2))
    await first.open(shards=SHARDS)
    if second is not first:
        await second.open(shards=SHARDS)
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def store(stores: tuple[WideStore, WideStore]) -> WideStore:
    return stores[0]


@pytest.fixture
def history_messages(store: WideStore) -> int:
    """How long a history is."""
    return HISTORY_MESSAGES_IN_CASSANDRA if isinstance(store, CassandraStore) else HISTORY_MESSAGES
