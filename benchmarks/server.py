"""A memgrid of one's own to measure, and the way into its Ray."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from memgrid.ray_client import join_cluster
from tests.cluster import server


class Server(server.Server):
    """Started on entry, stopped on exit."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **{"log_level": "warning", **settings})

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

    def memory(self, title: str) -> int:
        """Resident bytes of the processes whose title contains `title`."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids_of(title))
