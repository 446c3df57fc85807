"""Logs: one JSON object a line, to standard error and, if asked for, to a file that is rotated daily.

Requests are logged with operation, duration and status; never with content, headers or keys.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import structlog

from cluster.settings import Settings

KEPT_DAYS: Final = 30
_LOGGER: Final = "memgrid"

Log = structlog.stdlib.BoundLogger


class DailyFile(logging.Handler):
    """Appends lines to `path`; the first line of a UTC day moves the day before to `path.YYYY-MM-DD`.

    Several processes may write to one path: a lock file lets only one of them move it, and the others
    notice that the file they have open is no longer the one at `path`.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch."""
        super().__init__()
        self._path = path
        self._clock = clock
        self._lock_path = path.with_name(path.name + ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a full disk loses log lines, not requests."""
        try:
            self._follow()
            # One write for one line: with O_APPEND lines of several processes do not mix.
            os.write(self._file.fileno(), (self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _open(self) -> TextIO:
        return self._path.open("a", encoding="utf-8")

    def _follow(self) -> None:
        mine = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (mine.st_ino, mine.st_dev):
            self._file.close()
            self._file = self._open()
            mine = os.fstat(self._file.fileno())
        if mine.st_size and _day(mine.st_mtime) < _day(self._clock()):
            self._rotate()

    def _rotate(self) -> None:
        with self._lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            there = self._path.stat()
            day = _day(there.st_mtime)
            if there.st_size and day < _day(self._clock()):
                self._path.rename(self._path.with_name(f"{self._path.name}.{day}"))
                for old in sorted(self._path.parent.glob(f"{self._path.name}.????-??-??"))[:-KEPT_DAYS]:
                    old.unlink(missing_ok=True)
        self._file.close()
        self._file = self._open()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def configure_logs(settings: Settings) -> None:
    """Send this process's memgrid logs where the settings say. Calling it again replaces what was set."""
    logger = logging.getLogger(_LOGGER)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if settings.log_file is not None:
        handlers.append(DailyFile(settings.log_file))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_log(**fields: Any) -> Log:
    """A logger whose lines all carry `fields`."""
    return structlog.stdlib.get_logger(_LOGGER, **fields)


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
