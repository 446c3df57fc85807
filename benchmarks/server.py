"""A memgrid of one's own to measure, on stores of its own, and the way into its Ray."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from cluster.composition import build_cassandra_connection, build_opensearch_client
from cluster.settings import Settings, load_settings
from memgrid.ray_client import join_cluster
from tests.cluster import server

_NAME = "memgrid_benchmark"
"""Of the keyspace and the indices."""
_IDLE = 0.2
"""Seconds of processor time in two seconds, below which nobody is waited for."""


def own_settings(folder: Path) -> Settings:
    """The stores that the settings name, apart from everyone else's data."""
    return load_settings().model_copy(
        update={
            "data_dir": folder / "data",
            "cassandra_keyspace": _NAME,
            "cassandra_timeout_seconds": 60.0,
            "opensearch_index_prefix": _NAME,
        }
    )


async def remove(settings: Settings) -> None:
    """What was made on the servers; the folder is whoever made it's."""
    if settings.wide_store == "cassandra":
        connection = build_cassandra_connection(settings)
        await connection.open()
        await connection.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra_keyspace}")
        await connection.close()
    if settings.search_index == "opensearch":
        client = build_opensearch_client(settings)
        await client.indices.delete(index=f"{settings.opensearch_index_prefix}-*")
        await client.indices.delete_index_template(name=f"{settings.opensearch_index_prefix}-*")
        await client.close()


def settled(client: httpx.Client, user: str, seconds: float = 600) -> None:
    """Wait until everything of the user is extracted and embedded."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = client.get(f"/api/v1/users/{user}/buffers").raise_for_status().json()
        if not (status["message_ids"] or status["running"] or status["embedding_backlog"]):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{user} is not settled after {seconds:.0f} s")


class Server(server.Server):
    """Started on entry, stopped on exit."""

    def __init__(self, folder: Path, **settings: str) -> None:
        own = {"cassandra_keyspace": _NAME, "opensearch_index_prefix": _NAME}
        super().__init__(folder, **{"log_level": "warning", **own, **settings})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def join_ray(self) -> None:
        """Make this process a driver of the server's Ray cluster."""
        join_cluster(self.ray_address())

    def ray_address(self) -> str:
        """The address of the GCS that the server has started."""
        for process in self.processes():
            for word in process.cmdline():
                if word.startswith("--gcs-address="):
                    return word.partition("=")[2]
        raise RuntimeError("the server has no GCS")

    def idle(self, title: str, seconds: float = 300) -> None:
        """Wait until the processes whose title contains `title` have done nearly nothing for two seconds."""
        found = [psutil.Process(pid) for pid in self.pids_of(title)]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = sum(sum(each.cpu_times()[:2]) for each in found)
            time.sleep(2)
            if sum(sum(each.cpu_times()[:2]) for each in found) - before < _IDLE:
                return
        raise RuntimeError(f"{title} is not idle after {seconds:.0f} s")

    def memory(self, title: str) -> int:
        """Resident bytes of the processes whose title contains `title`."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids_of(title))
