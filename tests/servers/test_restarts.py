"""The servers are real: they start, answer, and have their data after a kill. With passwords and TLS, too."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, Session

from tests.servers import cql
from tests.servers.cassandra import CassandraCluster
from tests.servers.opensearch import OpenSearchNode


@contextmanager
def session_of(cluster: CassandraCluster) -> Generator[Session]:
    driver = Cluster(
        cluster.contact_points,
        port=cluster.port,
        auth_provider=PlainTextAuthProvider(*cluster.login) if cluster.login else None,
        ssl_context=ssl.create_default_context(cafile=cluster.ca) if cluster.ca else None,
    )
    try:
        yield driver.connect()
    finally:
        driver.shutdown()


def test_cassandra_keeps_what_it_acknowledged_through_a_kill(
    cassandra_ready: None, server_folder: Path
) -> None:
    cluster = CassandraCluster(server_folder / "cassandra", commitlog="batch", auth=True, tls=True)
    try:
        cluster.start()
        with pytest.raises((OSError, cql.Refused)), cql.CqlConnection("127.0.0.1", cluster.port) as plain:
            plain.options()
        with cql.CqlConnection("127.0.0.1", cluster.port, ca=str(cluster.ca)) as connection:
            connection.options()
            with pytest.raises(cql.Refused, match="username"):
                connection.log_in(("cassandra", "wrong"))
        with session_of(cluster) as session:
            session.execute(
                "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
            )
            session.execute("CREATE TABLE kept.words (id int PRIMARY KEY, word text)")
            session.execute("INSERT INTO kept.words (id, word) VALUES (1, '龙井')")
        cluster.kill(0)
        assert cluster.processes[0].pid is None
        cluster.restart(0)
        with session_of(cluster) as session:
            assert [row.word for row in session.execute("SELECT word FROM kept.words")] == ["龙井"]
    finally:
        cluster.wipe()
    assert not cluster.folder.exists()


def test_opensearch_keeps_what_it_acknowledged_through_a_kill(
    opensearch_ready: None, server_folder: Path
) -> None:
    node = OpenSearchNode(server_folder / "opensearch", secured=True)
    try:
        node.start()
        trusted = ssl.create_default_context(cafile=node.ca)
        with httpx.Client(base_url=node.url, verify=trusted, auth=node.login, trust_env=False) as client:
            assert client.get("/", auth=("admin", "wrong")).status_code == 401
            plugins = {each["component"] for each in client.get("/_cat/plugins?format=json").json()}
            assert {"analysis-smartcn", "opensearch-knn"} <= plugins
            client.put("/words", json={"settings": {"number_of_replicas": 0}}).raise_for_status()
            client.put("/words/_doc/1", json={"word": "龙井"}).raise_for_status()
            node.kill()
            assert node.process.pid is None
            node.restart()
            assert client.get("/words/_doc/1").json()["_source"] == {"word": "龙井"}
    finally:
        node.wipe()
    assert not node.folder.exists()
