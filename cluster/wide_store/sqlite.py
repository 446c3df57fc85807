"""The wide store on SQLite: the embedded default, one machine, any number of its processes.

    <data_dir>/meta.sqlite       what was decided at creation, API keys, small plain rows
    <data_dir>/store-<n>.sqlite  everything of the subjects whose shard is n, modulo the number of files

A write is answered when it is on disk (WAL, synchronous=FULL). Several processes may have the same files
open: SQLite's locks order their transactions, and the head's revision decides between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

from cluster.ids import Clock, system_clock
from cluster.model import HOUR_MS, Change, Changes, Claim, Head, Message, Millis, Run
from cluster.sqlite_locks import is_busy
from cluster.wide_store import codec, sqlite_reads, sqlite_writes
from cluster.wide_store.data_dir import prepare_data_dir
from cluster.wide_store.port import (
    ApiKeyRow,
    Loaded,
    MessagePageRows,
    MessageQuery,
    PlainRow,
    Replay,
    SessionRow,
    StoredVector,
    StoreInfo,
    TailPage,
    check_run_record,
)
from cluster.wide_store.prepared_commit import prepare_commit, prepare_replay
from cluster.wide_store.sqlite_database import Database, Row, rows, statements
from cluster.wide_store.sqlite_writes import Place
from memgrid.errors import InvalidInput, Overloaded, Unavailable
from memgrid.subject import Subject, shard_of

T = TypeVar("T")

READ_THREADS = 4
MAX_WAITING_READS = 1024
INLINE_ROWS = 64
"""Rows that are read on the event loop; what may be more is read in the pool."""
BUSY_SECONDS = 10.0


class SqliteStore:
    """A `WideStore` in the folder `path`, or in memory. Usable once: after `close` make a new one.

    `files` counts only when the store is created; `busy_timeout` is in seconds.
    """

    def __init__(
        self,
        path: Path | Literal[":memory:"],
        *,
        files: int = 1,
        clock: Clock = system_clock,
        busy_timeout: float = BUSY_SECONDS,
    ) -> None:
        if files < 1:
            raise ValueError("a store has at least one file")
        self._folder = None if path == ":memory:" else Path(path)
        self._files_if_new = files
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._sql = statements()
        self._info: StoreInfo
        self._databases: list[Database] = []
        self._meta: Database
        self._files: list[Database] = []
        self._pool: ThreadPoolExecutor
        self._reads: set[asyncio.Future[Any]] = set()
        self._purges: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._closing: asyncio.Task[None] | None = None

    # opening and closing

    async def open(self, *, shards: int) -> StoreInfo:
        if self._is_open or self._closing is not None:
            raise Unavailable("the store was opened before", remedy="make a new one")
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="memgrid-sqlite-read")
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._open, shards)
        except BaseException:
            self._pool.shutdown()
            for database in self._databases:
                database.disconnect()
            raise
        self._meta, *self._files = self._databases
        for database in self._databases:
            database.start_writer()
        self._is_open = True
        for file in self._files:
            self._start_purge(file)
        return self._info

    def _open(self, shards: int) -> None:
        if self._folder is not None:
            prepare_data_dir(self._folder)
        meta = self._database("meta", "sqlite_meta")
        files, self._info = meta.open(
            lambda connection: sqlite_writes.read_or_create_info(
                connection, shards=shards, files=self._files_if_new, now=self._clock()
            )
        )
        if self._info.shards != shards:
            raise InvalidInput(
                f"the store was created with {self._info.shards} shards, not {shards}",
                field="shards",
                remedy=f"set shards to {self._info.shards}, or name another data_dir",
            )
        for n in range(files):
            self._database(f"store-{n}", "sqlite_store").open(lambda _: None)

    def _database(self, name: str, schema: Literal["sqlite_meta", "sqlite_store"]) -> Database:
        path = None if self._folder is None else self._folder / f"{name}.sqlite"
        database = Database(path, schema, busy_timeout=self._busy_timeout)
        self._databases.append(database)
        return database

    async def close(self) -> None:
        if self._closing is None:
            if not self._is_open:
                return
            self._is_open = False
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._purges:
            await asyncio.wait(self._purges)
        await asyncio.gather(*(database.writer.close() for database in self._databases))
        if self._reads:
            await asyncio.wait(self._reads)
        self._pool.shutdown()
        for database in self._databases:
            database.disconnect()

    # the ways to a database

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable("the store is closed" if self._closing else "the store is not open")

    def _place(self, subject: Subject) -> tuple[Database, Place]:
        self._check_open()
        shard = shard_of(subject, self._info.shards)
        return self._files[shard % len(self._files)], Place(subject, shard)

    def _file(self, subject: Subject) -> Database:
        self._check_open()
        if len(self._files) == 1:
            return self._files[0]
        return self._place(subject)[0]

    async def _write(self, database: Database, work: Callable[[sqlite3.Connection], T], size: int = 0) -> T:
        self._check_open()
        return await database.writer.submit(work, size)

    async def _read_now(self, database: Database, work: Callable[[sqlite3.Connection], T]) -> T:
        """For point reads: on the event loop, in microseconds; in the pool only if that would block."""
        self._check_open()
        try:
            return database.read_now(work)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise Unavailable(f"the store cannot be read: {error}", retry_after=1.0) from error
        return await self._read(database, work)

    async def _read(self, database: Database, work: Callable[[sqlite3.Connection], T]) -> T:
        """For reads that may be big: in the pool, in one snapshot."""
        self._check_open()
        if len(self._reads) >= MAX_WAITING_READS:
            raise Overloaded("too many reads are waiting", retry_after=1.0)
        read = asyncio.get_running_loop().run_in_executor(self._pool, database.read, work)
        self._reads.add(read)
        read.add_done_callback(self._reads.discard)
        try:
            return await read
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the store cannot be read: {error}", retry_after=1.0) from error

    def _start_purge(self, file: Database) -> None:
        """Remove what was erased, a piece at a time, between the other writes."""
        task = asyncio.create_task(self._purge(file))
        self._purges.add(task)
        task.add_done_callback(self._purges.discard)

    async def _purge(self, file: Database) -> None:
        # What could not be removed now has its grave, and is removed after the next open.
        with contextlib.suppress(Unavailable, Overloaded):
            while await file.writer.submit(sqlite_writes.purge):
                pass

    # messages

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        file, place = self._place(subject)
        encoded = [(message, codec.encode(message)) for message in messages]
        hour = self._clock() // HOUR_MS
        return await self._write(
            file,
            lambda connection: sqlite_writes.append(connection, place, generation, encoded, hour),
            sum(len(body) for _, body in encoded),
        )

    async def claim(
        self, subject: Subject, generation: int, claims: Sequence[Claim], now: Millis
    ) -> Sequence[Claim]:
        file, place = self._place(subject)
        return await self._write(
            file, lambda connection: sqlite_writes.claim(connection, place, generation, claims, now)
        )

    async def claims(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Claim], str | None]:
        after = ("", "") if cursor is None else codec.cursor_from_text(cursor, tuple[str, str])
        found = await self._read(
            self._file(subject), lambda connection: sqlite_reads.claims(connection, subject, after, limit + 1)
        )
        page = found[:limit]
        following = codec.cursor_to_text(page[-1][:2]) if len(found) > limit else None
        return [codec.decode_claim(body) for _, _, body in page], following

    async def tail(self, subject: Subject, tail: str) -> TailPage:
        if not tail.isdecimal():
            raise codec.bad_cursor()
        file, after = self._file(subject), int(tail)
        found = await self._read_now(
            file, lambda connection: sqlite_reads.tail_rows(connection, subject, after, INLINE_ROWS + 1)
        )
        if len(found) > INLINE_ROWS:
            found = await self._read(
                file, lambda connection: sqlite_reads.tail_rows(connection, subject, after, -1)
            )
        return sqlite_reads.tail_page(found, after)

    async def messages(
        self, subject: Subject, query: MessageQuery, *, cursor: str | None = None, limit: int = 100
    ) -> MessagePageRows:
        return await self._read(
            self._file(subject),
            lambda connection: sqlite_reads.messages(connection, subject, query, cursor, limit),
        )

    async def get_messages(self, subject: Subject, ids: Sequence[str]) -> Sequence[Message]:
        read = self._read_now if len(ids) <= INLINE_ROWS else self._read
        return await read(
            self._file(subject), lambda connection: sqlite_reads.get_messages(connection, subject, ids)
        )

    async def count_messages(self, subject: Subject, query: MessageQuery) -> int:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.count_messages(connection, subject, query)
        )

    async def sessions(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[Sequence[SessionRow], str | None]:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.sessions(connection, subject, cursor, limit)
        )

    # the subject's row

    async def head(self, subject: Subject) -> Head:
        return await self._read_now(
            self._file(subject), lambda connection: sqlite_reads.head(connection, subject)
        )

    async def load(self, subject: Subject) -> Loaded:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.load(connection, subject)
        )

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        prepared = prepare_commit(head, changes)
        file, place = self._place(subject)
        moved = await self._write(
            file, lambda connection: sqlite_writes.commit(connection, place, prepared), prepared.size
        )
        if changes.erase:
            self._start_purge(file)
        return moved

    async def replay(self, subject: Subject, head: Head, replay: Replay) -> Head:
        prepared = prepare_replay(head, replay)
        file, place = self._place(subject)
        hour = self._clock() // HOUR_MS
        moved = await self._write(
            file, lambda connection: sqlite_writes.replay(connection, place, prepared, hour), prepared.size
        )
        if moved.generation != head.generation:
            self._start_purge(file)
        return moved

    async def changes(self, subject: Subject, after: int, limit: int = 1000) -> Sequence[Change]:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.changes(connection, subject, after, limit)
        )

    async def memory_history(self, subject: Subject, memory_id: str, *, limit: int = 100) -> Sequence[Change]:
        return await self._read(
            self._file(subject),
            lambda connection: sqlite_reads.memory_history(connection, subject, memory_id, limit),
        )

    async def runs(
        self,
        subject: Subject,
        *,
        status: Literal["done", "parked"] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[Sequence[Run], str | None]:
        return await self._read(
            self._file(subject),
            lambda connection: sqlite_reads.runs(connection, subject, status, cursor, limit),
        )

    async def get_run(self, subject: Subject, run_id: str) -> Run | None:
        return await self._read_now(
            self._file(subject), lambda connection: sqlite_reads.get_run(connection, subject, run_id)
        )

    async def runs_of(self, subject: Subject, message_ids: Sequence[str]) -> Sequence[Run]:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.runs_of(connection, subject, message_ids)
        )

    async def put_run_record(self, subject: Subject, generation: int, run_id: str, record: bytes) -> None:
        check_run_record(record)
        file, place = self._place(subject)
        await self._write(
            file,
            lambda connection: sqlite_writes.put_run_record(connection, place, generation, run_id, record),
            len(record),
        )

    async def run_record(self, subject: Subject, run_id: str) -> bytes | None:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.run_record(connection, subject, run_id)
        )

    # vectors

    async def put_vectors(
        self,
        subject: Subject,
        generation: int,
        kind: Literal["memory", "message"],
        model: str,
        vectors: Sequence[StoredVector],
    ) -> None:
        file, place = self._place(subject)
        encoded = [
            {
                "id": vector.id,
                "model": model,
                "content_hash": vector.content_hash,
                "vector": codec.vector_to_bytes(vector.vector),
            }
            for vector in vectors
        ]
        await self._write(
            file,
            lambda connection: sqlite_writes.put_vectors(connection, place, generation, kind, encoded),
            sum(len(vector["vector"]) for vector in encoded),
        )

    async def memory_vectors(self, subject: Subject, model: str) -> Sequence[StoredVector]:
        return await self._read(
            self._file(subject), lambda connection: sqlite_reads.memory_vectors(connection, subject, model)
        )

    async def message_vectors(
        self, subject: Subject, model: str, ids: Sequence[str]
    ) -> Sequence[StoredVector]:
        return await self._read(
            self._file(subject),
            lambda connection: sqlite_reads.message_vectors(connection, subject, model, ids),
        )

    async def recent_messages(
        self, subject: Subject, model: str, *, before: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Message, StoredVector | None]], str | None]:
        return await self._read(
            self._file(subject),
            lambda connection: sqlite_reads.recent_messages(connection, subject, model, before, limit),
        )

    # ways in

    async def resolve_memory(self, tenant: str, memory_id: str) -> Subject | None:
        return await self._resolve("resolve_memory", tenant, memory_id)

    async def resolve_run(self, tenant: str, run_id: str) -> Subject | None:
        return await self._resolve("resolve_run", tenant, run_id)

    async def _resolve(self, statement: str, tenant: str, id: str) -> Subject | None:
        for file in self._files:
            found = await self._rows_now(file, statement, {"tenant": tenant, "id": id})
            if found:
                return sqlite_reads.keys(found)[0]
        self._check_open()
        return None

    async def subjects(
        self,
        *,
        tenant: str | None = None,
        shard: int | None = None,
        cursor: str | None = None,
        limit: int = 1000,
    ) -> tuple[Sequence[Subject], str | None]:
        if tenant is not None:
            statement = "subjects_of_tenant"
        else:
            statement = "subjects" if shard is None else "subjects_of_shard"
        return await self._subjects(statement, {"tenant": tenant, "shard": shard, "hour": 0}, cursor, limit)

    async def active_subjects(
        self, shard: int, *, since: Millis, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Subject], str | None]:
        hour = max(since // HOUR_MS, 1)  # 0: a subject without any append
        return await self._subjects("subjects_of_shard", {"shard": shard, "hour": hour}, cursor, limit)

    async def _subjects(
        self, statement: str, parameters: dict[str, Any], cursor: str | None, limit: int
    ) -> tuple[Sequence[Subject], str | None]:
        after = b"" if cursor is None else codec.cursor_from_text(cursor, bytes)
        parameters = parameters | {"cursor": after, "limit": limit + 1}
        shard: int | None = parameters["shard"]
        self._check_open()
        files = self._files if shard is None else [self._files[shard % len(self._files)]]
        by_file = await asyncio.gather(*(self._rows(file, statement, parameters) for file in files))
        found = list(heapq.merge(*by_file))
        page = found[:limit]
        return sqlite_reads.keys(page), codec.cursor_to_text(page[-1][0]) if len(found) > limit else None

    async def scope(
        self, tenant: str, label: str, label_id: str, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Subject, str]], str | None]:
        at: tuple[int, int, int, str] = (0, 0, 0, "")
        if cursor is not None:
            at = codec.cursor_from_text(cursor, tuple[int, int, int, str])
        first, *after = at
        found: list[tuple[int, Row]] = []
        self._check_open()
        for n in range(max(first, 0), len(self._files)):
            parameters = dict(zip(("subject", "generation", "memory_id"), after, strict=True))
            parameters |= {"tenant": tenant, "label": label, "label_id": label_id}
            parameters["limit"] = limit + 1 - len(found)
            found += [(n, row) for row in await self._rows(self._files[n], "scope", parameters)]
            if len(found) > limit:
                break
            after = [0, 0, ""]
        page = found[:limit]
        following = None
        if len(found) > limit:
            n, row = page[-1]
            following = codec.cursor_to_text((n, *row[1:]))
        subjects = sqlite_reads.keys([row for _, row in page])
        return [(subject, row[3]) for subject, (_, row) in zip(subjects, page, strict=True)], following

    async def swept_through(self, shard: int) -> Millis:
        found = await self._rows_now(self._file_of_shard(shard), "swept", {"shard": shard})
        return found[0][0] if found else 0

    async def set_swept_through(self, shard: int, through: Millis) -> None:
        await self._run(self._file_of_shard(shard), "move_swept", {"shard": shard, "through": through})

    def _file_of_shard(self, shard: int) -> Database:
        self._check_open()
        return self._files[shard % len(self._files)]

    # tenant rows

    async def info(self) -> StoreInfo:
        found = await self._rows_now(self._meta, "info", {})
        return codec.decode_info(found[0][1])

    async def set_embedding_model(self, model: str, dimension: int) -> StoreInfo:
        return await self._write(
            self._meta, lambda connection: sqlite_writes.set_embedding_model(connection, model, dimension)
        )

    async def api_keys(self, tenant: str | None = None) -> Sequence[ApiKeyRow]:
        found = await self._rows(self._meta, "api_keys", {"tenant": tenant})
        return [codec.decode_api_key(body) for (body,) in found]

    async def api_key_by_hash(self, key_hash: bytes) -> ApiKeyRow | None:
        found = await self._rows_now(self._meta, "api_key_by_hash", {"key_hash": key_hash})
        return codec.decode_api_key(found[0][0]) if found else None

    async def put_api_key(self, row: ApiKeyRow) -> None:
        values = {"id": row.id, "tenant": row.tenant, "key_hash": row.key_hash, "body": codec.encode(row)}
        await self._run(self._meta, "put_api_key", values)

    async def get_row(self, table: str, key: str) -> dict[str, Any] | None:
        found = await self._rows_now(self._meta, "get_row", {"name": table, "key": key})
        return codec.decode_dict(found[0][0]) if found else None

    async def put_row(self, table: str, key: str, value: dict[str, Any]) -> None:
        body = codec.encode(value)
        await self._run(self._meta, "put_row", {"name": table, "key": key, "body": body})

    async def delete_row(self, table: str, key: str) -> None:
        await self._run(self._meta, "delete_row", {"name": table, "key": key})

    async def rows(
        self, table: str | None = None, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[PlainRow], str | None]:
        name, key = ("", "") if cursor is None else codec.cursor_from_text(cursor, tuple[str, str])
        parameters = {"name": table, "after_name": name, "after_key": key, "limit": limit + 1}
        found = await self._rows(self._meta, "plain_rows", parameters)
        page = [PlainRow(name, key, codec.decode_dict(body)) for name, key, body in found[:limit]]
        following = codec.cursor_to_text((page[-1].table, page[-1].key)) if len(found) > limit else None
        return page, following

    async def ping(self) -> None:
        for database in self._databases:
            await self._rows_now(database, "ping", {})

    # single statements

    async def _rows_now(self, database: Database, statement: str, parameters: dict[str, Any]) -> list[Row]:
        return await self._read_now(
            database, lambda connection: rows(connection, self._sql[statement], parameters)
        )

    async def _rows(self, database: Database, statement: str, parameters: dict[str, Any]) -> list[Row]:
        return await self._read(
            database, lambda connection: rows(connection, self._sql[statement], parameters)
        )

    async def _run(self, database: Database, statement: str, parameters: dict[str, Any]) -> None:
        await self._write(database, lambda connection: sqlite_writes.run(connection, statement, parameters))
