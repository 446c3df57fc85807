"""Real Cassandra and OpenSearch on this machine, from Maven artifacts and without Docker.

By hand: `python -m tests.servers --help`. In tests: the fixtures of `tests.servers.fixtures`, and for tests
that kill, `tests.servers.cassandra.CassandraCluster` and `tests.servers.opensearch.OpenSearchNode`.
"""
