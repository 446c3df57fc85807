"""The schema, and the ways to a cluster that asks who one is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from actors import doctor_cassandra
from actors.doctor_cassandra import examine_cassandra
from cluster.composition import open_store
from cluster.ids import system_clock
from cluster.settings import Settings, load_settings
from cluster.wide_store import cassandra_schema
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.cassandra_schema import migrate, migrations, schema_version
from memgrid.errors import InvalidInput, Unavailable
from tests.conformance.wide_store.cassandra_keyspace import KEYSPACE, CassandraKeyspace, options
from tests.conformance.wide_store.conftest import SHARDS
from tests.conformance.wide_store.samples import USER, message
from tests.servers.cassandra import CassandraCluster

Connect = Callable[[], CassandraConnection]
FRESH = "memgrid_fresh"
SMALL = "CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, value blob);"


@pytest.fixture
async def connect(cassandra: CassandraCluster) -> AsyncIterator[Connect]:
    """Connections to a keyspace that is not there yet."""
    async with AsyncExitStack() as stack:

        def connected() -> CassandraConnection:
            connection = CassandraConnection(options(cassandra, FRESH))
            stack.push_async_callback(connection.close)
            return connection

        first = connected()
        await first.open()
        await first.execute(f"DROP KEYSPACE IF EXISTS {FRESH}")
        yield connected
        await first.execute(f"DROP KEYSPACE IF EXISTS {FRESH}")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two small migrations in place of the real ones."""
    small = ["-- one\n" + SMALL.format("one"), SMALL.format("two") + "\nALTER TABLE two ADD more text;"]
    monkeypatch.setattr(cassandra_schema, "migrations", lambda: small)
    return small


async def tables(connection: CassandraConnection) -> set[str]:
    rows = await connection.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (FRESH,)
    )
    return {name for (name,) in rows}


async def test_nodes_that_start_together_apply_each_migration_once(
    connect: Connect, scripts: list[str]
) -> None:
    nodes = [connect() for _ in range(3)]
    await asyncio.gather(*(node.open() for node in nodes))
    # ALTER TABLE fails when it is applied twice.
    assert await asyncio.gather(*(migrate(node) for node in nodes)) == [2, 2, 2]
    assert await tables(nodes[0]) == {"migrations", "locks", "one", "two"}
    assert await schema_version(nodes[1]) == 2
    assert await nodes[2].execute(f"SELECT name FROM {FRESH}.locks") == []


async def test_what_is_missing_is_applied_later(connect: Connect, scripts: list[str]) -> None:
    node = connect()
    await node.open()
    later = scripts.pop()
    assert await schema_version(node) == 0
    assert await migrate(node) == 1
    scripts.append(later)
    assert await migrate(node) == 2
    assert {"one", "two"} <= await tables(node)


async def test_a_lock_whose_holder_died_is_waited_for(
    connect: Connect, scripts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, other = connect(), connect()
    await asyncio.gather(node.open(), other.open())
    later = scripts.pop()
    await migrate(node)
    scripts.append(later)
    await node.execute(f"INSERT INTO {FRESH}.locks (name, holder) VALUES ('schema', 'dead') USING TTL 3")
    assert await migrate(other) == 2


async def test_the_schema_of_a_newer_memgrid_is_refused(connect: Connect, scripts: list[str]) -> None:
    node = connect()
    await node.open()
    await migrate(node)
    del scripts[1]
    with pytest.raises(InvalidInput, match="newer memgrid"):
        await migrate(node)


async def test_the_number_of_shards_is_decided_once(
    cassandra_stores: tuple[CassandraStore, CassandraStore],
) -> None:
    one, two = cassandra_stores
    await one.open(shards=SHARDS)
    with pytest.raises(InvalidInput, match="16 shards"):
        await two.open(shards=SHARDS + 1)
    await one.close()


async def test_a_machine_whose_clock_is_off_does_not_serve(
    cassandra_stores: tuple[CassandraStore, CassandraStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.wide_store.cassandra.system_clock", lambda: system_clock() + 301_000)
    with pytest.raises(Unavailable, match="clock is 301 s"):
        await cassandra_stores[0].open(shards=SHARDS)
    monkeypatch.undo()
    serving = cassandra_stores[1]
    await serving.open(shards=SHARDS)
    await serving.ping()
    monkeypatch.setattr("cluster.wide_store.cassandra.system_clock", lambda: system_clock() - 301_000)
    with pytest.raises(Unavailable, match="clock is -301 s"):
        await serving.ping()
    await serving.close()


async def test_nobody_there_is_said(cassandra_keyspace: CassandraKeyspace) -> None:
    nowhere = Settings(wide_store="cassandra", cassandra_port=1)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await open_store(nowhere)
    (finding,) = [found async for found in examine_cassandra(nowhere)]
    assert finding.state == "failed"


async def test_a_closed_store_says_so(cassandra_stores: tuple[CassandraStore, CassandraStore]) -> None:
    store = cassandra_stores[0]
    with pytest.raises(Unavailable, match="not open"):
        await store.ping()
    await store.open(shards=SHARDS)
    with pytest.raises(Unavailable, match="opened before"):
        await store.open(shards=SHARDS)
    await store.close()
    await store.close()
    for call in (store.ping(), store.head(USER), store.append(USER, 0, [message()])):
        with pytest.raises(Unavailable, match="closed"):
            await call


async def test_the_doctor_says_what_it_found(
    cassandra: CassandraCluster,
    cassandra_stores: tuple[CassandraStore, CassandraStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(wide_store="cassandra", cassandra_port=cassandra.port, cassandra_keyspace=FRESH)
    found = {finding.name: finding async for finding in examine_cassandra(settings)}
    assert {name: finding.state for name, finding in found.items()} == {
        "cassandra": "ok",
        "cassandra schema": "warning",
        "cassandra paxos": "ok",
        "cassandra commit log": "warning",
        "cassandra partitions": "ok",
        "cassandra clocks": "ok",
    }
    assert found["cassandra schema"].fix == "memgrid migrate"
    assert f"0 of {len(migrations())}" in found["cassandra schema"].found
    monkeypatch.setattr(doctor_cassandra, "WIDE_PARTITION_MIB", -1)  # as if something were in it
    there = settings.model_copy(update={"cassandra_keyspace": KEYSPACE})
    await cassandra_stores[0].open(shards=SHARDS)
    found = {finding.name: finding async for finding in examine_cassandra(there)}
    assert found["cassandra partitions"].state == "warning"
    assert found["cassandra partitions"].fix
    await cassandra_stores[0].close()


async def test_login_and_tls(cassandra_ready: None, server_folder: Path) -> None:
    cluster = CassandraCluster(server_folder, auth=True, tls=True)
    try:
        await asyncio.to_thread(cluster.start)
        settings = load_settings(environ=cluster.environment(), env_file=None)
        wrong = settings.model_copy(update={"cassandra_username": "cassandra", "cassandra_password": None})
        with pytest.raises(Unavailable, match=r"Bad credentials|username and/or password"):
            await open_store(wrong)
        with pytest.raises(Unavailable, match="cannot be reached"):
            await open_store(settings.model_copy(update={"cassandra_ca": None}))
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await open_store(settings.model_copy(update={"cassandra_ca": None, "cassandra_tls": True}))
        store = await open_store(settings)
        sent = message()
        assert await store.append(USER, 0, [sent])
        assert await store.get_messages(USER, [sent.id]) == [sent]
        await store.close()
    finally:
        await asyncio.to_thread(cluster.kill)
