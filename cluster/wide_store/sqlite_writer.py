"""The one thread that writes one SQLite file.

Group commit: what is queued while one transaction is made durable goes into the next one together, so
that a hundred appends share one fsync. Each job runs in a savepoint of its own: one that is refused leaves
no trace and does not hurt the others. A job is answered only after COMMIT.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from memgrid.errors import Overloaded, Unavailable

T = TypeVar("T")

MAX_QUEUED_JOBS = 4096
MAX_QUEUED_BYTES = 64 * 1024 * 1024
MAX_BATCH_JOBS = 256


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    size: int


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None


class Writer:
    """Owns `connection` (in autocommit mode) from here on; `lock` is held during each transaction."""

    def __init__(
        self,
        name: str,
        connection: sqlite3.Connection,
        lock: contextlib.AbstractContextManager[Any],
        *,
        max_queued_jobs: int = MAX_QUEUED_JOBS,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._max_queued_jobs = max_queued_jobs
        self._max_queued_bytes = max_queued_bytes
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._queued_bytes = 0
        self._stopped: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[sqlite3.Connection], T], size: int = 0) -> T:
        """Run `work` in the writer's next transaction; its result once that is durable.

        `size` is about how many bytes the job holds while it waits. Raises what `work` raises,
        Overloaded when the queue is full, Unavailable when the writer is closed or the file cannot be
        written: in both cases nothing was kept.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._stopped is not None:
                raise Unavailable("the store is closed")
            full = self._queued_bytes + size > self._max_queued_bytes and self._jobs
            if full or len(self._jobs) >= self._max_queued_jobs:
                raise Overloaded("too many writes are waiting", retry_after=1.0)
            self._jobs.append(_Job(work, future, size))
            self._queued_bytes += size
            self._changed.notify()
        return await future

    async def close(self) -> None:
        """Finish what was accepted, then end the thread."""
        with self._changed:
            self._stopped = asyncio.get_running_loop().create_future()
            self._changed.notify()
        await self._stopped
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._next_jobs():
            _deliver(self._apply(jobs))
        if self._stopped is not None:
            _deliver([_Outcome(self._stopped, None, None)])

    def _next_jobs(self) -> list[_Job]:
        """What is waiting, or nothing when the writer is closed."""
        with self._changed:
            while not self._jobs and self._stopped is None:
                self._changed.wait()
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), MAX_BATCH_JOBS))]
            self._queued_bytes -= sum(job.size for job in jobs)
            return jobs

    def _apply(self, jobs: list[_Job]) -> list[_Outcome]:
        connection = self._connection
        try:
            with self._lock:
                connection.execute("BEGIN IMMEDIATE")
                outcomes = [self._apply_one(job) for job in jobs]
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            refusal = Unavailable(f"the store cannot be written: {error}", retry_after=1.0)
            refusal.__cause__ = error
            return [_Outcome(job.future, None, refusal) for job in jobs]
        return outcomes

    def _apply_one(self, job: _Job) -> _Outcome:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            result = job.work(connection)
        except Exception as error:
            # Whatever it is, it belongs to the caller of this one job.
            if not connection.in_transaction:
                # SQLite itself gave the whole transaction up (the disk is full, an I/O error).
                raise sqlite3.OperationalError(str(error)) from error
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            return _Outcome(job.future, None, _as_refusal(error))
        connection.execute("RELEASE job")
        return _Outcome(job.future, result, None)


def _as_refusal(error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        refusal = Unavailable(f"the store cannot be written: {error}", retry_after=1.0)
        refusal.__cause__ = error
        return refusal
    return error


def _deliver(outcomes: list[_Outcome]) -> None:
    """Hand the outcomes to the event loops that wait for them: one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.future.get_loop(), []).append(outcome)
    for loop, for_loop in by_loop.items():
        with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody waiting in it
            loop.call_soon_threadsafe(_settle, for_loop)


def _settle(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue  # the caller was cancelled meanwhile
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
