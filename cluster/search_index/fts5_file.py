"""One derived SQLite file: a writer thread with group commit, a few readers, and a new start when damaged.

Several processes may have the file open. Nobody repairs it in place: whoever finds it damaged makes its
successor (`index-0-r1.sqlite` after `index-0.sqlite`), then removes it, and the others notice that
theirs is gone and follow. A name is never used twice while someone may still hold the old file, since
SQLite, closing a removed database, removes the write-ahead log of that *name*.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from cluster.sqlite_locks import enter_wal
from memgrid.errors import Unavailable

SCHEMA_VERSION: Final = 3
MAX_BATCH: Final = 64
"""Jobs in one transaction."""
MAX_WAITING: Final = 10_000
"""Jobs waiting for the writer beyond which more are refused."""
READERS: Final = 2
LOCK_TIMEOUT: Final = 10.0
"""Seconds to wait for another process's transaction."""

Job = Callable[[sqlite3.Connection], Any]

T = TypeVar("T")

_TABLES = frozenset({"meta", "filled", "subjects", "documents", "vectors", "words"})
_NAME = re.compile(r"index-(\d+)(?:-r(\d+))?\.sqlite")

_log = structlog.get_logger(__name__)


class _Outdated(sqlite3.DatabaseError):
    """The file is of another schema or layout."""


class _Opened(NamedTuple):
    path: Path
    inode: int
    replacement: int
    incarnation: str


class _Waiting(NamedTuple):
    job: Job
    future: Future[Any]


class IndexFile:
    """File `number` of `files` in `directory`; None keeps it in memory."""

    def __init__(self, directory: Path | None, number: int, files: int) -> None:
        self._directory = directory
        self._number = number
        self._files = files
        self._lock = threading.Lock()
        self._closed = True
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._writer: sqlite3.Connection | None = None
        self._opened: _Opened | None = None
        self._thread: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reader = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Open or create the file. Raises Unavailable when that cannot be done."""
        try:
            await asyncio.to_thread(self._start)
        except (sqlite3.Error, OSError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        """Finish what was accepted, then close. Calling it again changes nothing."""
        with self._lock:
            already = self._closed
            self._closed = True
            if not already:
                self._queue.put(None)
        await asyncio.to_thread(self._stop)

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in a transaction shared with others that wait; returns when it is committed.

        `job` may run more than once, so it must be idempotent. Raises Unavailable.
        """
        return await asyncio.wrap_future(self._submit(job))

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` on one snapshot of the file; it may run twice. Raises Unavailable."""
        if self._directory is None:
            return await self.write(job)
        opened = self._opened
        try:
            return await self._in_reader(job)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise _unavailable(error) from error
            damage = error

        def report(_: sqlite3.Connection) -> None:
            # whether to start anew is the writer's decision, unless it has done so since
            if self._opened == opened:
                raise damage

        await self.write(report)
        try:
            return await self._in_reader(job)
        except sqlite3.DatabaseError as error:
            raise _unavailable(error) from error

    def _submit(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        with self._lock:
            if self._closed:
                raise _closed()
            if self._queue.qsize() >= MAX_WAITING:
                raise Unavailable("the index writer is behind", remedy="try again", retry_after=1.0)
            waiting = _Waiting(job, Future())
            self._queue.put(waiting)
        return waiting.future

    # the writer

    def _start(self) -> None:
        with self._lock:
            if not self._closed:
                return
            self._open_current()
            self._closed = False
            if self._directory is not None:
                self._readers = ThreadPoolExecutor(READERS, f"index-{self._number}-reader")
            self._thread = threading.Thread(
                target=self._run, name=f"index-{self._number}-writer", daemon=True
            )
            self._thread.start()

    def _stop(self) -> None:
        thread, readers = self._thread, self._readers
        if thread is not None:
            thread.join()
        if readers is not None:
            readers.shutdown(wait=True)
        with self._lock:
            for connection in self._reader_connections:
                connection.close()
            self._reader_connections.clear()
            self._reader = threading.local()
            if self._writer is not None:
                self._writer.close()
            self._writer = self._opened = self._thread = self._readers = None

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch: list[_Waiting] = []
            waiting = self._queue.get()
            while waiting is not None:
                batch.append(waiting)
                if len(batch) == MAX_BATCH:
                    break
                try:
                    waiting = self._queue.get_nowait()
                except queue.Empty:
                    break
            else:
                stopping = True
            live = [item for item in batch if item.future.set_running_or_notify_cancel()]
            if live:
                self._commit(live)

    def _commit(self, batch: list[_Waiting]) -> None:
        """Run the jobs of `batch` in one transaction, and settle their futures."""
        try:
            try:
                outcomes = self._run_jobs(batch)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._start_anew(error)
                outcomes = self._run_jobs(batch)
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: whoever waits is told
            failure = _unavailable(error) if isinstance(error, sqlite3.Error | OSError) else error
            for waiting in batch:
                waiting.future.set_exception(failure)
            return
        for waiting, (result, failure) in zip(batch, outcomes, strict=True):
            if failure is None:
                waiting.future.set_result(result)
            else:
                waiting.future.set_exception(failure)

    def _run_jobs(self, batch: list[_Waiting]) -> list[tuple[Any, Exception | None]]:
        connection = self._current()
        outcomes: list[tuple[Any, Exception | None]] = []
        with _transaction(connection, "BEGIN IMMEDIATE"):
            for waiting in batch:
                connection.execute("SAVEPOINT job")
                try:
                    outcomes.append((waiting.job(connection), None))
                except sqlite3.Error:
                    raise
                except Exception as error:  # noqa: BLE001 - a defect in one job is not its neighbours'
                    connection.execute("ROLLBACK TO job")
                    outcomes.append((None, error))
                connection.execute("RELEASE job")
        return outcomes

    # the file

    def _current(self) -> sqlite3.Connection:
        """The writer's connection; another process may have replaced the file meanwhile."""
        if self._writer is None or self._opened is None or not _still_there(self._opened):
            self._open_current()
        assert self._writer is not None  # noqa: S101
        return self._writer

    def _open_current(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = self._opened = None
        if self._directory is None:
            self._writer = _connect(":memory:")
            self._opened = _Opened(Path(), 0, 0, self._prepare(self._writer))
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        self._open_from(max(self._replacements(), default=0))

    def _open_from(self, replacement: int) -> None:
        """Open the first sound file from `replacement` on, or create it; its predecessors are removed."""
        while True:
            path = self._path(replacement)
            connection = _connect(path)
            try:
                incarnation = self._prepare(connection)
            except sqlite3.DatabaseError as error:
                connection.close()
                if not _is_damage(error):
                    raise
                _log.warning("index_file_dropped", path=str(path), error=str(error))
                replacement += 1
                continue
            # Another process may have replaced and removed this file since we chose its name, so that we
            # created it a second time: a successor is made before its predecessor is removed.
            newest = max(self._replacements())
            if newest == replacement:
                break
            connection.close()
            replacement = newest
        self._writer = connection
        self._opened = _Opened(path, path.stat().st_ino, replacement, incarnation)
        for older in self._replacements():
            if older < replacement:
                remove_file(self._path(older))

    def _start_anew(self, error: sqlite3.DatabaseError) -> None:
        opened = self._opened
        if self._writer is not None:
            self._writer.close()
            self._writer = self._opened = None
        if opened is None or self._directory is None or not _still_there(opened):
            return  # in memory, or another process was first: opening again is all there is to do
        _log.warning("index_file_dropped", path=str(opened.path), error=str(error))
        self._open_from(opened.replacement + 1)

    def _prepare(self, connection: sqlite3.Connection) -> str:
        """Create the schema if the file is new; the incarnation. Raises DatabaseError when it is no good."""
        if self._directory is not None:
            enter_wal(connection, LOCK_TIMEOUT)
        connection.execute("PRAGMA synchronous = NORMAL")
        with _transaction(connection, "BEGIN IMMEDIATE"):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if version == 0 and not tables:
                _create_schema(connection)
                connection.execute(
                    "INSERT INTO meta (incarnation, files) VALUES (?, ?)", (uuid.uuid4().hex, self._files)
                )
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION or not tables >= _TABLES:
                raise _Outdated(f"another schema, of version {version}")
            made = connection.execute("SELECT incarnation, files FROM meta").fetchone()
            if made is None or made[1] != self._files:
                raise _Outdated(f"made for other files than {self._files}")
            # the full-text structure has a format of its own: touch it
            connection.execute("SELECT rowid FROM words LIMIT 1").fetchone()
        return made[0]

    def _path(self, replacement: int) -> Path:
        assert self._directory is not None  # noqa: S101
        suffix = f"-r{replacement}" if replacement else ""
        return self._directory / f"index-{self._number}{suffix}.sqlite"

    def _replacements(self) -> list[int]:
        assert self._directory is not None  # noqa: S101
        return [number for found, number, _ in index_files(self._directory) if found == self._number]

    # the readers

    async def _in_reader(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._closed or self._readers is None:
                raise _closed()
            future = self._readers.submit(self._snapshot, job)
        return await asyncio.wrap_future(future)

    def _snapshot(self, job: Callable[[sqlite3.Connection], T]) -> T:
        opened = self._opened
        if opened is None or not _still_there(opened):
            self._submit(_nothing).result()  # makes the writer follow the replaced file
            opened = self._opened
            if opened is None:
                raise _closed()
        held: tuple[_Opened, sqlite3.Connection] | None = getattr(self._reader, "held", None)
        if held is None or held[0] != opened:
            connection = _connect(opened.path)
            with self._lock:
                if held is not None:
                    self._reader_connections.remove(held[1])
                    held[1].close()
                self._reader_connections.append(connection)
            self._reader.held = held = (opened, connection)
        with _transaction(held[1], "BEGIN"):
            return job(held[1])


def index_files(directory: Path) -> Iterator[tuple[int, int, Path]]:
    """(number, replacement, path) of each index file in `directory`."""
    for path in directory.glob("index-*.sqlite"):
        if match := _NAME.fullmatch(path.name):
            yield int(match[1]), int(match[2] or 0), path


def remove_file(path: Path) -> None:
    """Delete a SQLite file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)


def _create_schema(connection: sqlite3.Connection) -> None:
    # not executescript, which would commit the transaction that this belongs to
    statement = ""
    for line in (
        package_files("cluster.search_index").joinpath("fts5_schema.sql").read_text("utf-8").splitlines(True)
    ):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    if sqlite3.sqlite_version_info >= (3, 42):
        # what is deleted leaves the file at once, not when segments happen to merge
        connection.execute("INSERT INTO words (words, rank) VALUES ('secure-delete', 1)")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None, None, None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _nothing(_: sqlite3.Connection) -> None:
    pass


def _still_there(opened: _Opened) -> bool:
    if opened.inode == 0:
        return True
    try:
        return os.stat(opened.path).st_ino == opened.inode
    except FileNotFoundError:
        return False


def _is_damage(error: sqlite3.Error) -> bool:
    if isinstance(error, _Outdated):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the search index cannot be used: {error}", remedy="try again", retry_after=1.0)


def _closed() -> Unavailable:
    return Unavailable("the search index is closed")
