"""Where the servers' files are: a folder that outlives the tests, and folders that do not."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT_VARIABLE = "MEMGRID_TEST_SERVERS"
NOBODY = 65534
"""Who runs OpenSearch, which refuses to be root, when we are root."""


class ServersUnavailable(Exception):
    """This machine cannot run the servers as it is. The message names the remedy."""


def unprivileged() -> int | None:
    """The uid to give up root for; None when we are not root."""
    return NOBODY if os.geteuid() == 0 else None


def root() -> Path:
    """The folder of jars, homes and data; made when it is missing.

    Not below a home folder: when we are root, nobody must be able to reach it. Raises ServersUnavailable.
    """
    given = os.environ.get(ROOT_VARIABLE)
    path = Path(given).absolute() if given else Path(f"/var/tmp/memgrid-servers-{os.geteuid()}")
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The name can be foreseen and /var/tmp is everyone's: jars of somebody else's would run as us.
    if path.stat().st_uid != os.geteuid():
        raise ServersUnavailable(f"{path} belongs to another user; name another with {ROOT_VARIABLE}")
    check_reachable(path)
    return path


def check_reachable(path: Path) -> None:
    """Raises ServersUnavailable when we are root and nobody could not come to `path`."""
    if unprivileged() is None:
        return
    for folder in (path.resolve(), *path.resolve().parents):
        about = folder.stat()
        if about.st_uid != NOBODY and not about.st_mode & stat.S_IXOTH:
            raise ServersUnavailable(
                f"OpenSearch refuses to be root, and as uid {NOBODY} it cannot reach {path}: {folder} is"
                f" closed to others. Use a folder below `tests.servers.places.root()`"
                f" (the fixture `server_folder`), or name an open one with {ROOT_VARIABLE}."
            )


@contextmanager
def new_folder(prefix: str = "run") -> Generator[Path]:
    """An empty folder that the servers can use, removed at the end.

    Those that killed tests left behind are removed now.
    """
    parent = root() / "tmp"
    parent.mkdir(exist_ok=True)
    for left in parent.iterdir():
        maker = re.fullmatch(r"\w+-(\d+)-\w+", left.name)
        if maker and not psutil.pid_exists(int(maker[1])):
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def built_once(path: Path, build: Callable[[Path], None]) -> Path:
    """`path`, built by the first who needs it; others wait. What was interrupted is never seen.

    `build` fills an empty folder beside it, which then takes its name.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        unfinished = path.with_name(f".{path.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o755)
        try:
            build(unfinished)
            unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return path
