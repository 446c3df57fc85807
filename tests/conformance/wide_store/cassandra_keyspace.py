"""One keyspace for all tests of a session, emptied of what each test wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cassandra.concurrent import execute_concurrent_with_args

from cluster.wide_store.cassandra_connection import CassandraConnection, CassandraOptions
from tests.servers.cassandra import CassandraCluster

KEYSPACE = "memgrid_tests"
_KEPT = {"migrations", "locks"}
_LOGICAL_TIMES = {"messages", "scopes", "swept"}
"""Written with timestamps that are no time: what deletes their rows now would delete those of later tests."""


def options(cluster: CassandraCluster, keyspace: str = KEYSPACE) -> CassandraOptions:
    """For a machine that is slow now and then."""
    return CassandraOptions(
        contact_points=cluster.contact_points,
        port=cluster.port,
        keyspace=keyspace,
        ca=cluster.ca,
        username=None if cluster.login is None else cluster.login[0],
        password=None if cluster.login is None else cluster.login[1],
        timeout=30.0,
        connect_timeout=30.0,
        speculative_delay=None,
    )


class CassandraKeyspace:
    """Two connections, as two processes have them."""

    def __init__(self, cluster: CassandraCluster) -> None:
        self.connections = tuple(CassandraConnection(options(cluster)) for _ in range(2))
        for connection in self.connections:
            _run(connection.open())

    def close(self) -> None:
        for connection in self.connections:
            _run(connection.close())

    def empty(self) -> None:
        """Delete every partition there is."""
        session: Any = self.connections[0].session
        session.cluster.refresh_keyspace_metadata(KEYSPACE)
        at = time.time_ns() // 1000
        for name, table in session.cluster.metadata.keyspaces[KEYSPACE].tables.items():
            if name in _KEPT:
                continue
            if name in _LOGICAL_TIMES:  # even if nothing is left: tombstones are as bad
                session.execute(f"TRUNCATE {KEYSPACE}.{name}", timeout=60)
                continue
            columns = [column.name for column in table.partition_key]
            found = list(session.execute(f"SELECT DISTINCT {', '.join(columns)} FROM {KEYSPACE}.{name}"))
            where = " AND ".join(f"{column} = ?" for column in columns)
            delete = session.prepare(f"DELETE FROM {KEYSPACE}.{name} USING TIMESTAMP {at} WHERE {where}")
            execute_concurrent_with_args(session, delete, found, concurrency=64)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """From a fixture that may be asked for inside an event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
