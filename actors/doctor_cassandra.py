"""What memgrid needs from Cassandra, node by node."""

from __future__ import annotations

from collections.abc import AsyncIterator

from actors.findings import SCHEMA, Finding
from cluster.composition import build_cassandra_connection
from cluster.ids import system_clock
from cluster.settings import Settings
from cluster.wide_store.cassandra import MAX_CLOCK_OFFSET_MS
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.cassandra_schema import migrations, schema_version
from memgrid.errors import MemgridError

_SETTING = "SELECT value FROM system_views.settings WHERE name = '{}'"
_CLOCK = "SELECT toUnixTimestamp(now()) FROM system.local"
_NOTICED_OFFSET_MS = 1000
_PARTITIONS = "SELECT keyspace_name, table_name, mebibytes FROM system_views.max_partition_size"
WIDE_PARTITION_MIB = 100
"""What Cassandra reads and compacts with ease. Messages begin another partition long before."""


async def examine_cassandra(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, its schema, and how its nodes are set up. Changes nothing."""
    connection = build_cassandra_connection(settings)
    try:
        await connection.open()
    except MemgridError as error:
        fix = error.remedy or "see MEMGRID_CASSANDRA_CONTACT_POINTS and MEMGRID_CASSANDRA_PORT"
        yield Finding("cassandra", "failed", error.message, fix)
        return
    try:
        nodes = connection.datacentres
        listed = ", ".join(f"{count} in {dc}" for dc, count in sorted(nodes.items()))
        yield Finding("cassandra", "ok", f"answers; nodes: {listed}; local: {connection.local_dc}")
        yield await _schema(connection)
        yield await _paxos(connection)
        yield await _commit_log(connection)
        yield await _partitions(connection)
        yield await _clocks(connection)
    except MemgridError as error:
        yield Finding("cassandra", "failed", error.message, error.remedy)
    finally:
        await connection.close()


async def _schema(connection: CassandraConnection) -> Finding:
    version, newest = await schema_version(connection), len(migrations())
    keyspace = connection.options.keyspace
    if version > newest:
        found = f"{keyspace} is at {version}, this memgrid knows {newest}"
        return Finding(SCHEMA, "failed", found, "upgrade memgrid, or name another MEMGRID_CASSANDRA_KEYSPACE")
    if version < newest:
        found = f"{keyspace} is at {version} of {newest}: the first start changes that"
        return Finding(SCHEMA, "warning", found, "memgrid migrate")
    return Finding(SCHEMA, "ok", f"{keyspace} is at {version}")


async def _paxos(connection: CassandraConnection) -> Finding:
    variants = await connection.ask_each_node(_SETTING.format("paxos_variant"))
    old = sorted(node for node, rows in variants.items() if not rows or not rows[0][0].startswith("v2"))
    if old:
        found = f"v1 on {', '.join(old)}: under contention commits end with unknown outcomes"
        return Finding("cassandra paxos", "failed", found, "set paxos_variant: v2 in cassandra.yaml")
    return Finding("cassandra paxos", "ok", "v2 on every node")


async def _commit_log(connection: CassandraConnection) -> Finding:
    modes = await connection.ask_each_node(_SETTING.format("commitlog_sync"))
    periodic = sorted(node for node, rows in modes.items() if rows and rows[0][0] == "periodic")
    if periodic:
        found = f"periodic on {', '.join(periodic)}: a node that loses power forgets its last seconds"
        fix = "set commitlog_sync: group in cassandra.yaml, or see that no two replicas can fail at once"
        return Finding("cassandra commit log", "warning", found, fix)
    return Finding("cassandra commit log", "ok", "written before a write is acknowledged")


async def _partitions(connection: CassandraConnection) -> Finding:
    sizes = [
        (mebibytes, table)
        for rows in (await connection.ask_each_node(_PARTITIONS)).values()
        for keyspace, table, mebibytes in rows
        if keyspace == connection.options.keyspace
    ]
    largest, table = max(sizes, default=(0, ""))
    if largest > WIDE_PARTITION_MIB:
        found = f"one of {table} has {largest} MiB, and more than {WIDE_PARTITION_MIB} make it slow"
        fix = f"look at it with `nodetool tablestats {connection.options.keyspace}.{table}`"
        return Finding("cassandra partitions", "warning", found, fix)
    return Finding("cassandra partitions", "ok", f"none above {largest} MiB")


async def _clocks(connection: CassandraConnection) -> Finding:
    offsets: dict[str, int] = {}
    before = system_clock()
    for node, rows in (await connection.ask_each_node(_CLOCK)).items():
        after = system_clock()
        # What the exchange took is no offset.
        ahead, behind = rows[0][0] - after, before - rows[0][0]
        offsets[node] = max(ahead, behind, 0)
    node = max(offsets, key=lambda node: offsets[node])
    found = f"{node} differs by {offsets[node] / 1000:.1f} s from this machine"
    if offsets[node] > MAX_CLOCK_OFFSET_MS:
        return Finding("cassandra clocks", "failed", found, "set the clocks, and keep them with NTP")
    if offsets[node] > _NOTICED_OFFSET_MS:
        return Finding("cassandra clocks", "warning", found, "keep the clocks with NTP")
    return Finding("cassandra clocks", "ok", "all nodes agree with this machine")
