"""One SQLite file: its schema, its connections, and the named statements of `sqlite.sql`.

Three ways to reach it. The writer thread has a connection of its own. Point reads run on the event loop
itself, with a connection that never waits: a lookup by key takes some ten microseconds, a hop to a thread
several times that. Reads that may be big (a subject, a page) run in a thread pool, each on its own connection
and so in its own snapshot. In WAL mode readers and the writer never wait for each other.

A database in memory has one connection, which all of them share under a lock.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from cluster.sqlite_locks import enter_wal
from cluster.wide_store.sqlite_writer import Writer
from memgrid.errors import InvalidInput, Unavailable

T = TypeVar("T")
Row = tuple[Any, ...]

WAL_BYTES_KEPT = 64 * 1024 * 1024

_FOLDER = resources.files("cluster.wide_store")
_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@functools.cache
def statements() -> dict[str, str]:
    """The statements of `sqlite.sql` by name."""
    text = _FOLDER.joinpath("sqlite.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}


def rows(connection: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> list[Row]:
    """All rows: a statement that is left half-read would hold its snapshot for ever."""
    return connection.execute(statement, parameters).fetchall()


class Database:
    """`path` None keeps it in memory. `schema` names the folder of its migrations.

    `busy_timeout`, in seconds, is how long a writer waits for another process.
    """

    writer: Writer

    def __init__(
        self, path: Path | None, schema: Literal["sqlite_meta", "sqlite_store"], *, busy_timeout: float
    ) -> None:
        self._path = path
        self._schema = schema
        self._busy_timeout = busy_timeout
        self._connections: list[sqlite3.Connection] = []
        self._idle: deque[sqlite3.Connection] = deque()
        self._memory_lock = threading.Lock() if path is None else None
        self._inline: sqlite3.Connection
        self._writing: sqlite3.Connection

    # opening and closing

    def open(self, prepare: Callable[[sqlite3.Connection], T]) -> T:
        """Create or migrate the file, run `prepare` in the same transaction, and connect the rest. Blocks.

        Raises Unavailable, InvalidInput; `disconnect` is still due then."""
        try:
            self._writing = self._connect(self._busy_timeout)
            self._make_durable(self._writing)
            prepared = self._migrate(prepare)
            if self._memory_lock is not None:
                self._inline = self._writing
            else:
                self._inline = self._connect(0, reading=True)
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} cannot be opened: {error}") from error
        return prepared

    def start_writer(self) -> None:
        name = "memory" if self._path is None else self._path.stem
        lock = contextlib.nullcontext() if self._memory_lock is None else self._memory_lock
        self.writer = Writer(f"memgrid-sqlite-{name}", self._writing, lock)

    def disconnect(self) -> None:
        """Close every connection; the last one to close a file also empties its WAL into it."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._idle.clear()

    def _connect(self, busy_timeout: float, *, reading: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:" if self._path is None else self._path,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self._connections.append(connection)
        if reading:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _make_durable(self, connection: sqlite3.Connection) -> None:
        if self._path is not None:
            enter_wal(connection, self._busy_timeout)
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in free pages

    def _migrate(self, prepare: Callable[[sqlite3.Connection], T]) -> T:
        """Apply what is missing, once: the version moves in the transaction that changes the schema."""
        connection = self._writing
        migrations = _migrations(self._schema)
        newest = len(migrations)
        connection.execute("BEGIN IMMEDIATE")
        try:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > newest:
                raise InvalidInput(
                    f"{self._path} is of a newer memgrid: its schema is {version}, this one knows {newest}",
                    field="data_dir",
                    remedy="upgrade memgrid, or name another data_dir",
                )
            for number, script in enumerate(migrations[version:], start=version + 1):
                for statement in _split(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            prepared = prepare(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return prepared

    # reading

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` on the calling thread, the event loop's. Raises sqlite3.OperationalError, `is_busy` when it
        would have to wait."""
        if self._memory_lock is None:
            return work(self._inline)
        with self._memory_lock:
            return work(self._inline)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` on a connection of its own, in one snapshot. Blocks: for threads of the pool."""
        if self._memory_lock is not None:
            with self._memory_lock:
                return work(self._inline)
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(self._busy_timeout, reading=True)
        try:
            with _snapshot(connection):
                return work(connection)
        finally:
            self._idle.append(connection)


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _migrations(schema: str) -> list[str]:
    """The scripts `0001_….sql`, `0002_….sql`, … in order."""
    folder = _FOLDER.joinpath("migrations", schema)
    scripts = sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    return [script for _, script in scripts]


def _split(script: str) -> Iterator[str]:
    """The script's statements (`executescript` would commit the transaction first)."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
