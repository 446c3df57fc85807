"""The settings of a memgrid on real Cassandra and OpenSearch."""

from __future__ import annotations

from cluster.settings import PREFIX
from tests.servers.cassandra import CassandraCluster
from tests.servers.opensearch import OpenSearchNode


def production(cassandra: CassandraCluster, opensearch: OpenSearchNode, name: str) -> dict[str, str]:
    """What a `Server` is given to keep its data there, apart from everyone else's: `name` is the keyspace
    and the prefix of the indices."""
    environment = {**cassandra.environment(), **opensearch.environment()}
    return {
        **{variable.removeprefix(PREFIX).lower(): value for variable, value in environment.items()},
        "cassandra_keyspace": name,
        "opensearch_index_prefix": name,
    }
