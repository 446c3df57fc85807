"""What SQLite does when another process holds a file, and where it does not wait by itself."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

_PAUSE: Final = 0.01
"""Seconds between two attempts."""


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def enter_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Put the file into WAL mode, waiting so long for others that are just doing so, or writing to it.

    That step needs the file alone, and SQLite's own timeout does not hold for it: whoever writes to a new
    file at that moment would make it fail at once. Raises sqlite3.OperationalError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
