"""A server's process: started, watched, killed; found again by its pid file."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from actors.ports import free_ports
from tests.servers.places import ServersUnavailable

LAUNCH = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.05
STOP_SECONDS = 60
LOG_TAIL = 4000

# The kernel ties a server's life to the thread that started it: one that ends only with the process.
_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")


class ServerFailed(Exception):
    """A server that did not start, or died. The message ends with what it said."""


def free_port(addresses: Sequence[str] = ("127.0.0.1",), taken: Sequence[int] = ()) -> int:
    """A port that was free on all the addresses a moment ago. Raises ServersUnavailable."""
    try:
        [port] = free_ports(1, addresses, taken)
    except OSError as error:
        hint = ""
        if error.errno == errno.EADDRNOTAVAIL:
            hint = " (macOS: sudo ifconfig lo0 alias 127.0.0.2, and .3)"
        raise ServersUnavailable(f"no port on {', '.join(addresses)}: {error.strerror}{hint}") from error
    return port


class ServerProcess:
    """One server with its pid file and its log in `folder`.

    `detached`: it goes on when this process ends; otherwise it is killed then.
    """

    def __init__(self, folder: Path, *, detached: bool) -> None:
        self._pid_file = folder / "pid.json"
        self._detached = detached
        self._child: subprocess.Popen[bytes] | None = None
        self.log = folder / "output.log"

    def start(self, command: Sequence[str], *, cwd: Path, uid: int | None = None) -> None:
        """Start it, as `uid` when that is given, without waiting."""
        if self.pid is not None:
            raise ServerFailed(f"it runs already, as process {self.pid}")
        parent = "-" if self._detached else str(os.getpid())
        launch = [sys.executable, "-I", "-S", str(LAUNCH), "-" if uid is None else str(uid), parent, *command]
        with self.log.open("ab") as log:
            self._child = _LAUNCHER.submit(
                subprocess.Popen[bytes],
                launch,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()
        started = psutil.Process(self._child.pid).create_time()
        self._pid_file.write_text(json.dumps({"pid": self._child.pid, "started": started}), encoding="ascii")

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        process = self._process()
        return None if process is None else process.pid

    @property
    def resident_bytes(self) -> int:
        """The memory it has now; 0 when it does not live."""
        process = self._process()
        return 0 if process is None else int(process.memory_info().rss)

    def kill(self) -> None:
        """kill -9, and wait until it is gone. Nothing happens when it does not live."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, and wait until it is gone; after a minute it is killed."""
        try:
            self._signal(signal.SIGTERM)
        except psutil.TimeoutExpired:
            self.kill()

    def wait_until(self, answers: Callable[[], bool], seconds: float, what: str) -> None:
        """Poll until `answers`. Raises ServerFailed when it dies before, or takes longer."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self.pid is None:
                raise ServerFailed(f"{what} died:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{what} did not answer in {seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else ""

    def _process(self) -> psutil.Process | None:
        if self._child is not None:
            self._child.poll()
        try:
            known = json.loads(self._pid_file.read_text(encoding="ascii"))
            process = psutil.Process(known["pid"])
            # A pid is given again; a pid with its start time is not.
            same = abs(process.create_time() - known["started"]) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def _signal(self, number: signal.Signals) -> None:
        process = self._process()
        if process is not None:
            try:
                process.send_signal(number)
                if self._child is not None and self._child.pid == process.pid:
                    self._child.wait(STOP_SECONDS)
                else:
                    process.wait(STOP_SECONDS)
            except psutil.NoSuchProcess:
                pass
            except subprocess.TimeoutExpired as error:
                raise psutil.TimeoutExpired(STOP_SECONDS, process.pid) from error
        self._pid_file.unlink(missing_ok=True)
