"""Servers for tests: started by the first test that asks, stopped after the last.

Where Java or Maven is missing the tests skip and say why; in CI (`CI` is set) they fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import cassandra as cassandra_server
from tests.servers import opensearch as opensearch_server
from tests.servers.cassandra import CassandraCluster
from tests.servers.opensearch import OpenSearchNode
from tests.servers.places import ServersUnavailable, new_folder


def need(prepare: Callable[[], object]) -> None:
    """Prepare; when this machine cannot, skip the test, or fail it in CI."""
    try:
        prepare()
    except ServersUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cassandra_ready() -> None:
    """Cassandra can be started here: for tests that start clusters of their own."""
    need(cassandra_server.prepare)


@pytest.fixture(scope="session")
def opensearch_ready() -> None:
    """OpenSearch can be started here: for tests that start nodes of their own."""
    need(opensearch_server.prepare)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """An empty folder for a test's own servers, which one that runs as nobody can reach, too."""
    with new_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def cassandra(cassandra_ready: None) -> Iterator[CassandraCluster]:
    """One Cassandra node for all tests: isolate by keyspace, do not kill it."""
    with new_folder("cassandra") as folder:
        cluster = CassandraCluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.wipe()


@pytest.fixture(scope="session")
def opensearch(opensearch_ready: None) -> Iterator[OpenSearchNode]:
    """One OpenSearch node for all tests: isolate by the names of indices, do not kill it."""
    with new_folder("opensearch") as folder:
        node = OpenSearchNode(folder)
        try:
            node.start()
            yield node
        finally:
            node.wipe()
