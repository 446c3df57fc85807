"""The schema: numbered migrations, applied once, by one node at a time.

Two tables come before all others: `migrations` (which numbers are applied) and `locks`. Nodes that start
together may both create these, so their ids are derived from the keyspace: whoever comes first, it is the
same table.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import uuid
from collections.abc import Iterator
from importlib import resources

from cluster.wide_store.cassandra_connection import CassandraConnection, in_keyspace
from memgrid.errors import InvalidInput, Unavailable

_LOCK_SECONDS = 60
"""After that a lock whose holder has died is free; the holder renews it before each migration."""
_POLL_SECONDS = 0.25
_POLLS = 480
_REPLICAS = 3
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def migrations() -> list[str]:
    """The scripts `0001_….cql`, `0002_….cql`, … in order."""
    folder = resources.files("cluster.wide_store").joinpath("cql", "migrations")
    scripts = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir())
    return [script for _, script in scripts]


async def schema_version(connection: CassandraConnection) -> int:
    """The newest migration that is applied; 0 when there is no schema yet."""
    keyspace = connection.options.keyspace
    found = await connection.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'migrations'",
        (keyspace,),
    )
    if not found:
        return 0
    applied = await connection.execute(f"SELECT number FROM {keyspace}.migrations WHERE part = 0")  # noqa: S608
    return max((number for (number,) in applied), default=0)


async def migrate(connection: CassandraConnection) -> int:
    """Apply what is missing; the version is returned. Raises InvalidInput for a newer memgrid's schema."""
    newest = len(migrations())
    version = await schema_version(connection)
    if version > newest:
        raise InvalidInput(
            f"the keyspace {connection.options.keyspace} is of a newer memgrid: its schema is {version}, "
            f"this one knows {newest}",
            field="cassandra_keyspace",
            remedy="upgrade memgrid, or name another keyspace",
        )
    if version < newest:
        await _create_keyspace(connection)
        await _migrate_alone(connection)
    return newest


async def _create_keyspace(connection: CassandraConnection) -> None:
    keyspace = connection.options.keyspace
    replication = ", ".join(f"'{dc}': {replicas}" for dc, replicas in _replication(connection).items())
    await connection.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} "
        f"WITH replication = {{'class': 'NetworkTopologyStrategy', {replication}}}"
    )
    for table, columns in (
        ("migrations", "part int, number int, applied_at timestamp, PRIMARY KEY ((part), number)"),
        ("locks", "name text PRIMARY KEY, holder text"),
    ):
        id = uuid.uuid5(uuid.NAMESPACE_DNS, f"{table}.{keyspace}.memgrid")
        await connection.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.{table} ({columns}) WITH ID = {id}")


def _replication(connection: CassandraConnection) -> dict[str, int]:
    given = connection.options.replication
    if given is None:
        local = connection.local_dc
        return {local: min(_REPLICAS, connection.datacentres.get(local, 1))}
    pairs = [part.strip().rpartition(":") for part in given.split(",")]
    return {dc: int(replicas) for dc, _, replicas in pairs}


async def _migrate_alone(connection: CassandraConnection) -> None:
    holder = secrets.token_hex(8)
    keyspace = connection.options.keyspace
    for _ in range(_POLLS):
        if await _lock(connection, holder):
            break
        if await schema_version(connection) >= len(migrations()):
            return  # another node has done it
        await asyncio.sleep(_POLL_SECONDS)
    else:
        raise Unavailable("another node has been changing the schema for too long", retry_after=30.0)
    try:
        for number, script in enumerate(migrations(), start=1):
            if number <= await schema_version(connection):
                continue
            await _renew(connection, holder)
            for statement in _split(script):
                await connection.execute(in_keyspace(statement, keyspace))
            await connection.execute(
                f"INSERT INTO {keyspace}.migrations (part, number, applied_at) "  # noqa: S608
                "VALUES (0, %s, toTimestamp(now()))",
                (number,),
            )
    finally:
        await connection.execute(
            f"DELETE FROM {keyspace}.locks WHERE name = 'schema' IF holder = %s",  # noqa: S608
            (holder,),
        )


async def _lock(connection: CassandraConnection, holder: str) -> bool:
    found = await connection.execute(
        f"INSERT INTO {connection.options.keyspace}.locks (name, holder) VALUES ('schema', %s) "  # noqa: S608
        f"IF NOT EXISTS USING TTL {_LOCK_SECONDS}",
        (holder,),
    )
    return bool(found[0][0])


async def _renew(connection: CassandraConnection, holder: str) -> None:
    found = await connection.execute(
        f"UPDATE {connection.options.keyspace}.locks USING TTL {_LOCK_SECONDS} SET holder = %s "  # noqa: S608
        "WHERE name = 'schema' IF holder = %s",
        (holder, holder),
    )
    if not found[0][0]:
        raise Unavailable("another node took over while the schema was being changed", retry_after=1.0)


def _split(script: str) -> Iterator[str]:
    for statement in _COMMENT.sub("", script).split(";"):
        if statement.strip():
            yield statement.strip()
