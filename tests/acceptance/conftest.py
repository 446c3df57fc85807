"""One real server for the whole suite, and the ways in that a user has: HTTP, the SDK, the command line."""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import RoundRobinPolicy

from memgrid import AsyncMemgrid, Memgrid
from tests.cluster.production import production
from tests.cluster.server import Server

MEMGRID = Path(sys.executable).with_name("memgrid")
TRACES = ("heads", "messages", "pending", "memories", "changes", "claims", "runs")
TRACES_IN_CASSANDRA = ("subject_rows", "messages", "claims", "ways_in", "scopes")
"""Tables of the store in which a request that was refused must leave nothing."""


class Api(httpx.Client):
    """HTTP as curl would speak it: paths below /api/v1, JSON both ways."""

    def __init__(self, server: Server, **headers: str) -> None:
        super().__init__(base_url=f"{server.url}/api/v1", timeout=60, headers=headers, trust_env=False)

    def add(self, user: str, *texts: str, wait: bool = True, **rest: Any) -> dict[str, Any]:
        """Add what the user says, by default waiting for its memories."""
        messages = [{"role": "user", "content": text} for text in texts]
        body = {"user_id": user, "messages": messages, "wait": wait, **rest}
        return self.ok("POST", "/memories", json=body)

    def ok(self, method: str, path: str, **rest: Any) -> Any:
        """The answer of a request that must work."""
        response = self.request(method, path, **rest)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, status: int, code: str, method: str, path: str, **rest: Any) -> dict[str, Any]:
        """The error of a request that must not: its shape is checked, its `error` is given back."""
        response = self.request(method, path, **rest)
        assert response.status_code == status, response.text
        body = response.json()
        error: dict[str, Any] = body["error"]
        assert error["code"] == code
        assert error["message"]
        assert error["request_id"] == response.headers["X-Memgrid-Request-ID"]
        assert error["message"] in body["detail"]
        return error

    def embedded(self, user: str) -> None:
        """Wait until everything of the user is found by its meaning too."""
        deadline = time.monotonic() + 60
        while self.ok("GET", "/buffers", params={"user_id": user})["embedding_backlog"]:
            assert time.monotonic() < deadline, "the embedding backlog does not shrink"
            time.sleep(0.02)

    def memories(self, user: str) -> list[dict[str, Any]]:
        """The user's memories, newest first."""
        page = self.ok("GET", "/memories", params={"user_id": user, "limit": 1000})
        assert page["total"] == len(page["memories"])
        return page["memories"]

    def messages(self, user: str, **rest: Any) -> list[dict[str, Any]]:
        """The user's first thousand messages, in the order they arrived."""
        return self.ok("GET", "/messages", params={"user_id": user, "limit": 1000, **rest})["messages"]


Cli = Callable[..., subprocess.CompletedProcess[str]]


def run_cli(server: Server, *arguments: str, check: bool = True, **environment: str):
    """The installed `memgrid` command as a process of its own, pointed at `server`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MEMGRID_")}
    done = subprocess.run(
        [MEMGRID, *arguments],
        env={**inherited, "LANG": "en_US.UTF-8", "COLUMNS": "100", "MEMGRID_URL": server.url, **environment},
        cwd=server.folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session", params=["embedded", "production"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """`memgrid serve` without keys and without an LLM: on SQLite and FTS5, on Cassandra and OpenSearch."""
    settings: dict[str, str] = {}
    if request.param == "production":
        cassandra, opensearch = map(request.getfixturevalue, ("cassandra", "opensearch"))
        settings = production(cassandra, opensearch, "acceptance")
    running = Server(tmp_path_factory.mktemp("memgrid"), **settings)
    try:
        running.start()
        yield running
    finally:
        if (connected := _connected.pop(running.url, None)) is not None:
            connected.cluster.shutdown()
        running.stop()


@pytest.fixture
def api(server: Server) -> Generator[Api]:
    with Api(server) as client:
        yield client


@pytest.fixture
async def client(server: Server) -> AsyncGenerator[AsyncMemgrid]:
    async with AsyncMemgrid(server.url) as made:
        yield made


@pytest.fixture
def sync_client(server: Server) -> Generator[Memgrid]:
    with Memgrid(server.url) as made:
        yield made


@pytest.fixture
def cli(server: Server) -> Cli:
    return lambda *arguments, **rest: run_cli(server, *arguments, **rest)


_numbers = itertools.count()


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """An id that no other test uses."""
    name = re.sub(r"\W+", "-", request.node.name)[:100]
    return f"{name}-{next(_numbers)}"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the conversation data sets."""
    folder = os.environ.get("MEMGRID_TEST_DATA")
    if not folder:
        pytest.skip("MEMGRID_TEST_DATA does not name the folder of the conversation data sets")
    return Path(folder)


def stored(server: Server) -> dict[str, int]:
    """Rows of each table that a write touches, counted in the store itself."""
    if "cassandra_keyspace" in server.settings:
        session = _connected.get(server.url) or _connect(server)
        return {
            table: session.execute(f"SELECT count(*) FROM {table}").one()[0] for table in TRACES_IN_CASSANDRA
        }
    counts = dict.fromkeys(TRACES, 0)
    files = sorted((server.folder / "data").glob("store-*.sqlite"))
    assert files
    for file in files:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            for table in TRACES:
                counts[table] += database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return counts


_connected: dict[str, Session] = {}
"""By the URL of a server, a session with its Cassandra: connecting takes longer than counting."""


def _connect(server: Server) -> Session:
    settings = server.settings
    points, port = settings["cassandra_contact_points"].split(","), int(settings["cassandra_port"])
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=60)
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    cluster = Cluster(points, port=port, execution_profiles=profiles, protocol_version=5)
    _connected[server.url] = session = cluster.connect(settings["cassandra_keyspace"])
    return session


def waiting(server: Server) -> int:
    """How many messages of all users wait for extraction."""
    text = httpx.get(f"{server.url}/metrics", timeout=60, trust_env=False).text
    found = re.findall(r"^memgrid_owner_pending_messages(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
    assert found, text
    return sum(int(float(value)) for value in found)


def json_lines(text: str) -> list[Any]:
    """What JSONL holds."""
    return [json.loads(line) for line in text.rstrip("\n").split("\n")]
