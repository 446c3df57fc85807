"""A real memgrid in processes of its own, to be used over HTTP and to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from actors.runtime import haproxy_home
from tests.servers.processes import free_port

START_SECONDS = 120
RAY_WAS_TOO_SLOW = "The current node timed out during startup"


class Server:
    """`memgrid serve` with a data folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "serve.log"

    def start(self) -> None:
        """Start and wait until it is ready.

        Ray gives its own processes 30 s to come up, and has no setting for it: on a machine that is too busy
        for that, and only then, it is started again, as a supervisor would.
        """
        for again in (True, True, False):
            self.launch()
            try:
                self.wait_ready()
            except RuntimeError as error:
                self.kill_everything()
                if not again or RAY_WAS_TOO_SLOW not in str(error):
                    raise
            else:
                return

    def launch(self) -> None:
        """Start without waiting."""
        environment = {
            **os.environ,
            "MEMGRID_HOST": "127.0.0.1",
            "MEMGRID_PORT": str(self.port),
            "MEMGRID_DATA_DIR": str(self.folder / "data"),
            **{f"MEMGRID_{name.upper()}": value for name, value in self.settings.items()},
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("memgrid"), "serve"],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Poll until requests are served."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"memgrid ended with {self._process.returncode}:\n{self.log_tail()}")
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"memgrid was not ready in {START_SECONDS} s:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its output."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Everything that this server started, and whatever that has started."""
        if self._process is None:
            return []
        marker = f"MEMGRID_PORT={self.port}"
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if any(f"{k}={v}" == marker for k, v in process.environ().items()):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def pids_of(self, title: str) -> list[int]:
        """Processes whose title contains `title`, for example `ShardActor`."""
        found: list[int] = []
        for process in self.processes():
            try:
                if title in " ".join(process.cmdline()):
                    found.append(process.pid)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def kill_actor(self) -> int:
        """kill -9 of the shard actors; how many there were."""
        return self._kill(self.pids_of("ray::ShardActor"))

    def kill_replica(self) -> int:
        """kill -9 of the Serve replicas; how many there were."""
        return self._kill(self.pids_of("ray::ServeReplica"))

    def kill_everything(self) -> int:
        """kill -9 of every process: the driver, Ray, its workers; how many there were."""
        killed = self._kill([process.pid for process in self.processes()])
        self._wait_gone()
        if self._process is not None:
            self._process.wait(30)
        shutil.rmtree(haproxy_home(self.port), ignore_errors=True)
        return killed

    def stop(self) -> None:
        """SIGTERM, as an operator would; whatever is left after that is killed."""
        if self._process is None:
            return
        self.terminate()
        try:
            self.wait_ended(60)
        finally:
            self.kill_everything()
            self._process = None

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait_ended(self, timeout: float) -> int:
        """Its exit status, when it ends by itself. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise RuntimeError("memgrid was not started")
        return self._process.wait(timeout)

    def _kill(self, pids: list[int]) -> int:
        killed = 0
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
        return killed

    def _wait_gone(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            left = [p for p in self.processes() if p.status() != psutil.STATUS_ZOMBIE]
            if not left:
                return
            self._kill([process.pid for process in left])
            time.sleep(0.05)
        raise RuntimeError("processes would not die")
