"""The wide store on Cassandra: any number of machines, and of processes that serve the same subjects.

Messages and ways in are plain idempotent writes; everything that decides is one conditional batch in the
subject's partition. `cql/migrations` says what the tables are for, `cassandra_layout.py` where things are.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from cluster.ids import Clock, system_clock
from cluster.model import Change, Changes, Claim, Head, Message, Millis, Run
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import Arrivals
from cluster.wide_store.cassandra_claims import Claims
from cluster.wide_store.cassandra_commits import Commits
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.cassandra_graves import Graves
from cluster.wide_store.cassandra_heads import Heads, OnceWritten
from cluster.wide_store.cassandra_layout import REGISTRY_SLICES
from cluster.wide_store.cassandra_messages import Messages
from cluster.wide_store.cassandra_schema import migrate, migrations
from cluster.wide_store.cassandra_subjects import Subjects
from cluster.wide_store.cassandra_ways_in import WaysIn
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
from memgrid.errors import InvalidInput, Unavailable
from memgrid.subject import Subject

MAX_CLOCK_OFFSET_MS = 300_000
"""A machine whose clock is further from Cassandra's must not serve: days and claims go by the clock."""
_INFO_TRIES = 50


class CassandraStore:
    """A `WideStore` in a keyspace. Usable once: after `close` make a new one.

    A connection that is open already is used, and left open: several stores may share one.
    """

    def __init__(self, connection: CassandraConnection, *, clock: Clock = system_clock) -> None:
        self._connection = connection
        self._clock = clock
        self._is_open = False
        self._was_closed = False
        self._owns_connection = False

    # opening and closing

    async def open(self, *, shards: int) -> StoreInfo:
        if self._is_open or self._was_closed:
            raise Unavailable("the store was opened before", remedy="make a new one")
        self._owns_connection = not self._connection.is_open
        try:
            await self._connection.open()
            await migrate(self._connection)
            await self._connection.use_keyspace()
            await self._check_clock()
            info = await self._read_or_create_info(shards)
        except BaseException:
            if self._owns_connection:
                await self._connection.close()
            raise
        self._compose(info.shards)
        self._is_open = True
        self._graves.start()
        return info

    def _compose(self, shards: int) -> None:
        connection, clock = self._connection, self._clock
        self._heads = Heads(connection)
        once = OnceWritten(connection)
        arrivals = Arrivals(connection, clock)
        self._messages = Messages(connection, self._heads, once, arrivals, shards, clock)
        self._subjects = Subjects(connection, self._heads, once, arrivals, clock)
        self._graves = Graves(connection, self._heads, self._messages, self._subjects, shards, clock)
        self._commits = Commits(
            connection, self._heads, once, arrivals, self._messages, self._subjects, self._graves, shards
        )
        self._claims = Claims(connection, self._heads)
        self._ways_in = WaysIn(connection, self._heads, arrivals, shards)

    async def _check_clock(self) -> None:
        offset = await self.clock_offset()
        if abs(offset) > MAX_CLOCK_OFFSET_MS:
            raise Unavailable(
                f"this machine's clock is {offset / 1000:.0f} s from Cassandra's",
                remedy="set the clock, and keep it with NTP",
            )

    async def clock_offset(self) -> Millis:
        """How far this machine's clock is ahead of a Cassandra node's, in milliseconds."""
        before = system_clock()
        row = await self._connection.row("clock")
        after = system_clock()
        if row is None:
            raise Unavailable("Cassandra does not tell its time")
        return (before + after) // 2 - int(row[0])

    async def _read_or_create_info(self, shards: int) -> StoreInfo:
        found = await self._connection.row("info", serial=True)
        if found is None:
            info = StoreInfo(shards=shards, schema_version=len(migrations()), created_at=self._clock())
            # Applied or not, known or not: what is there afterwards counts.
            await self._connection.conditional([("create_info", (codec.encode(info),))])
            found = await self._connection.row("info", serial=True)
        if found is None:
            raise Unavailable("the store's info cannot be created", retry_after=1.0)
        info = codec.decode_info(found[0])
        if info.shards != shards:
            raise InvalidInput(
                f"the store was created with {info.shards} shards, not {shards}",
                field="shards",
                remedy=f"set shards to {info.shards}, or name another cassandra_keyspace",
            )
        return info

    async def close(self) -> None:
        self._was_closed = True
        if not self._is_open:
            return
        await self._graves.close()
        self._is_open = False
        if self._owns_connection:
            await self._connection.close()

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable("the store is closed" if self._was_closed else "the store is not open")

    # messages

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        self._check_open()
        return await self._messages.append(subject, generation, messages)

    async def claim(
        self, subject: Subject, generation: int, claims: Sequence[Claim], now: Millis
    ) -> Sequence[Claim]:
        self._check_open()
        return await self._claims.claim(subject, generation, claims, now)

    async def claims(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Claim], str | None]:
        self._check_open()
        return await self._claims.page(subject, cursor, limit)

    async def tail(self, subject: Subject, tail: str) -> TailPage:
        self._check_open()
        return await self._messages.tail(subject, tail)

    async def messages(
        self, subject: Subject, query: MessageQuery, *, cursor: str | None = None, limit: int = 100
    ) -> MessagePageRows:
        self._check_open()
        return await self._messages.messages(subject, query, cursor, limit)

    async def get_messages(self, subject: Subject, ids: Sequence[str]) -> Sequence[Message]:
        self._check_open()
        return await self._messages.get_messages(subject, ids)

    async def count_messages(self, subject: Subject, query: MessageQuery) -> int:
        self._check_open()
        return await self._messages.count_messages(subject, query)

    async def sessions(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[Sequence[SessionRow], str | None]:
        self._check_open()
        return await self._messages.sessions(subject, cursor, limit)

    # the subject's row

    async def head(self, subject: Subject) -> Head:
        self._check_open()
        return (await self._heads.read(subject)).head()

    async def load(self, subject: Subject) -> Loaded:
        self._check_open()
        return await self._subjects.load(subject)

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        self._check_open()
        return await self._commits.commit(subject, head, changes)

    async def replay(self, subject: Subject, head: Head, replay: Replay) -> Head:
        self._check_open()
        return await self._commits.replay(subject, head, replay)

    async def changes(self, subject: Subject, after: int, limit: int = 1000) -> Sequence[Change]:
        self._check_open()
        return await self._subjects.changes(subject, after, limit)

    async def memory_history(self, subject: Subject, memory_id: str, *, limit: int = 100) -> Sequence[Change]:
        self._check_open()
        return await self._subjects.memory_history(subject, memory_id, limit)

    async def runs(
        self,
        subject: Subject,
        *,
        status: Literal["done", "parked"] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[Sequence[Run], str | None]:
        self._check_open()
        return await self._subjects.runs(subject, status, cursor, limit)

    async def get_run(self, subject: Subject, run_id: str) -> Run | None:
        self._check_open()
        return await self._subjects.get_run(subject, run_id)

    async def runs_of(self, subject: Subject, message_ids: Sequence[str]) -> Sequence[Run]:
        self._check_open()
        return await self._subjects.runs_of(subject, message_ids)

    async def put_run_record(self, subject: Subject, generation: int, run_id: str, record: bytes) -> None:
        check_run_record(record)
        self._check_open()
        await self._subjects.put_run_record(subject, generation, run_id, record)

    async def run_record(self, subject: Subject, run_id: str) -> bytes | None:
        self._check_open()
        return await self._subjects.run_record(subject, run_id)

    # vectors

    async def put_vectors(
        self,
        subject: Subject,
        generation: int,
        kind: Literal["memory", "message"],
        model: str,
        vectors: Sequence[StoredVector],
    ) -> None:
        self._check_open()
        place = self._subjects if kind == "memory" else self._messages
        await place.put_vectors(subject, generation, model, vectors)

    async def memory_vectors(self, subject: Subject, model: str) -> Sequence[StoredVector]:
        self._check_open()
        return await self._subjects.memory_vectors(subject, model)

    async def message_vectors(
        self, subject: Subject, model: str, ids: Sequence[str]
    ) -> Sequence[StoredVector]:
        self._check_open()
        return await self._messages.message_vectors(subject, model, ids)

    async def recent_messages(
        self, subject: Subject, model: str, *, before: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Message, StoredVector | None]], str | None]:
        self._check_open()
        return await self._messages.recent_messages(subject, model, before, limit)

    # ways in

    async def resolve_memory(self, tenant: str, memory_id: str) -> Subject | None:
        self._check_open()
        return await self._ways_in.resolve(tenant, "memory", memory_id)

    async def resolve_run(self, tenant: str, run_id: str) -> Subject | None:
        self._check_open()
        return await self._ways_in.resolve(tenant, "run", run_id)

    async def subjects(
        self,
        *,
        tenant: str | None = None,
        shard: int | None = None,
        cursor: str | None = None,
        limit: int = 1000,
    ) -> tuple[Sequence[Subject], str | None]:
        self._check_open()
        return await self._ways_in.subjects(tenant, shard, cursor, limit)

    async def scope(
        self, tenant: str, label: str, label_id: str, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Subject, str]], str | None]:
        self._check_open()
        return await self._ways_in.scope(tenant, label, label_id, cursor, limit)

    async def active_subjects(
        self, shard: int, *, since: Millis, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Subject], str | None]:
        self._check_open()
        return await self._ways_in.active_subjects(shard, since, cursor, limit)

    async def swept_through(self, shard: int) -> Millis:
        self._check_open()
        return await self._ways_in.swept_through(shard)

    async def set_swept_through(self, shard: int, through: Millis) -> None:
        self._check_open()
        await self._ways_in.set_swept_through(shard, through)

    # tenant rows

    async def info(self) -> StoreInfo:
        self._check_open()
        return codec.decode_info(await self._info_value())

    async def _info_value(self) -> bytes:
        row = await self._connection.row("info", serial=True)
        if row is None:
            raise Unavailable("the store's info is gone")
        return row[0]

    async def set_embedding_model(self, model: str, dimension: int) -> StoreInfo:
        self._check_open()
        for _ in range(_INFO_TRIES):
            value = await self._info_value()
            info = codec.decode_info(value)
            if info.embedding_model is not None:
                return info
            info = msgspec.structs.replace(info, embedding_model=model, embedding_dimension=dimension)
            if await self._connection.conditional([("update_info", (codec.encode(info), value))]):
                return info
        raise Unavailable("the embedding model cannot be recorded", retry_after=1.0)

    async def api_keys(self, tenant: str | None = None) -> Sequence[ApiKeyRow]:
        self._check_open()
        found = [codec.decode_api_key(value) for (value,) in await self._connection.rows("api_keys")]
        return [row for row in found if tenant in (None, row.tenant)]

    async def api_key_by_hash(self, key_hash: bytes) -> ApiKeyRow | None:
        self._check_open()
        if not key_hash:
            return None
        for (id,) in await self._connection.rows("api_key_ids", key_hash):
            row = await self._connection.row("api_key", id)
            if row is not None and (found := codec.decode_api_key(row[0])).key_hash == key_hash:
                return found
        return None

    async def put_api_key(self, row: ApiKeyRow) -> None:
        self._check_open()
        await self._connection.run("put_api_key_hash", row.key_hash, row.id)
        await self._connection.run("put_api_key", row.id, codec.encode(row))

    async def get_row(self, table: str, key: str) -> dict[str, Any] | None:
        self._check_open()
        row = await self._connection.row("get_plain", table, _plain_slice(key), key)
        return None if row is None else codec.decode_dict(row[0])

    async def put_row(self, table: str, key: str, value: dict[str, Any]) -> None:
        self._check_open()
        await self._connection.run("put_plain_table", table)
        await self._connection.run("put_plain", table, _plain_slice(key), key, codec.encode(value))

    async def delete_row(self, table: str, key: str) -> None:
        self._check_open()
        await self._connection.run("delete_plain", table, _plain_slice(key), key)

    async def rows(
        self, table: str | None = None, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[PlainRow], str | None]:
        self._check_open()
        at = None if cursor is None else codec.cursor_from_text(cursor, tuple[str, int, str])
        tables = (
            [table]
            if table is not None
            else sorted(name for (name,) in await self._connection.rows("plain_tables"))
        )
        found: list[tuple[str, int, str, bytes]] = []
        for place in ((name, slice) for name in tables for slice in range(REGISTRY_SLICES)):
            if at is not None and place < at[:2]:
                continue
            wanted = limit + 1 - len(found)
            if at is not None and place == at[:2]:
                rows = await self._connection.rows("plain_after", *place, at[2], wanted)
            else:
                rows = await self._connection.rows("first_plain", *place, wanted)
            found += [(*place, key, value) for key, value in rows]
            if len(found) > limit:
                break
        page = found[:limit]
        following = codec.cursor_to_text(page[-1][:3]) if len(found) > limit else None
        return [PlainRow(name, key, codec.decode_dict(value)) for name, _, key, value in page], following

    async def ping(self) -> None:
        self._check_open()
        await self._check_clock()


def _plain_slice(key: str) -> int:
    return zlib.crc32(key.encode()) % REGISTRY_SLICES
