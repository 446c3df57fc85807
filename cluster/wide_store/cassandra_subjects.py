"""What is read of one subject's decisive rows, and its memories' embeddings and run records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cluster.ids import Clock
from cluster.model import DAY_MS, Change, ChangeEntry, Memory, Message, Run
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import Arrivals
from cluster.wide_store.cassandra_connection import CassandraConnection, Statement
from cluster.wide_store.cassandra_heads import HeadRow, Heads, OnceWritten, head_row
from cluster.wide_store.cassandra_layout import (
    CLOSE_AFTER_MS,
    GONE,
    LAST,
    NO_BUCKET,
    PackedId,
    Section,
    bucket_of_id,
    bucket_of_packed,
    by_bucket,
    chunks,
    input_name,
    key_of,
    overlay_message,
    overlay_name,
    packed_ids,
    unpacked,
)
from cluster.wide_store.cassandra_walk import NAMES_AT_ONCE, Walk, message_of
from cluster.wide_store.port import Loaded, StoredVector
from memgrid.errors import Overloaded
from memgrid.subject import Subject

_LOAD_TRIES = 10
_LOAD_PAGE = 20_000
"""Rows in one page of a load: one page is one moment, so as a rule a load is not torn."""
_RECORD_PART = 900_000
"""Bytes of a run record in one row: well below the least commit log segment's half."""
_VECTORS_IN_BATCH = 150

_decode_entries = msgspec.msgpack.Decoder(tuple[ChangeEntry, ...]).decode
_decode_revisions = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Subjects:
    """Reads of one subject, for one connection."""

    def __init__(
        self,
        connection: CassandraConnection,
        heads: Heads,
        once: OnceWritten,
        arrivals: Arrivals,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._once = once
        self._arrivals = arrivals
        self._clock = clock
        self._walk = Walk(connection)

    # loading

    async def load(self, subject: Subject) -> Loaded:
        for _ in range(_LOAD_TRIES):
            loaded = await self._load(subject)
            if loaded is not None:
                return loaded
        raise Overloaded("this subject is being changed faster than it can be read", retry_after=1.0)

    async def _load(self, subject: Subject) -> Loaded | None:
        """None when a commit came between."""
        key, at = key_of(subject), self._clock()
        assumed = self._heads.known(subject) or 0
        head, registers = await asyncio.gather(
            # Serial: a commit whose coordinator died half-way is finished first.
            self._heads.read(subject, serial=True),
            self._connection.rows("buckets", *key, assumed),
        )
        generation = head.generation
        if generation != assumed:
            registers = await self._connection.rows("buckets", *key, generation)
        days = [bucket for bucket, slice, closed in registers if slice == 0 and not closed]
        arrived = await asyncio.gather(*(self._arrivals.of_day(subject, generation, day) for day in days))
        candidates = [{id for each in arrivals for id in packed_ids(each.ids)} for arrivals in arrived]
        oldest = min((bucket_of_packed(id) for ids in candidates for id in ids), default=NO_BUCKET)
        rows = await self._connection.rows(
            "rows_between",
            *(*key, generation),
            *(Section.INPUT, input_name(oldest), Section.OVERLAY, overlay_name(oldest, LAST)),
            page_rows=_LOAD_PAGE,
        )
        if not rows:
            after = await self._heads.read(subject)
            if after.revision != head.revision:
                return None
        elif len({row[3] for row in rows}) > 1:
            return None
        else:
            _, _, _, revision, current, settings, overlaid = rows[0]
            head = head_row((revision, current, None, settings, overlaid))
        if head.generation != generation:
            return None
        settled: set[PackedId] = set()
        memories: list[Memory] = []
        parked: list[Run] = []
        overlays: dict[str, bytes] = {}
        for section, name, value, *_ in rows:
            if section == Section.OVERLAY:
                overlays[overlay_message(name)] = value
            elif value == GONE:
                continue
            elif section == Section.INPUT:
                settled.update(packed_ids(value))
            elif section == Section.MEMORY:
                memories.append(codec.decode_memory(value))
            else:
                parked.append(codec.decode_run(value))
        left = [{unpacked(id): id for id in ids - settled} for ids in candidates]
        pending = await self._pending(subject, generation, set().union(*left), overlays)
        there = {message.id for message in pending}
        over = [day for day, ids in zip(days, left, strict=True) if there.isdisjoint(ids)]
        await self._close(subject, generation, over)
        missing = {
            packed
            for ids in left
            for id, packed in ids.items()
            if id not in there and overlays.get(id) != GONE
        }
        return Loaded(
            head=head.head(),
            memories=memories,
            pending=pending,
            parked=parked[::-1],
            tail=self._arrivals.position(dict(zip(days, arrived, strict=True)), missing, at),
        )

    async def _pending(
        self, subject: Subject, generation: int, ids: Iterable[str], overlays: dict[str, bytes]
    ) -> list[Message]:
        wanted = sorted(id for id in ids if overlays.get(id) != GONE)
        bodies = await self._walk.values(subject, generation, wanted, "messages")
        found = (message_of(bodies[id], overlays.get(id)) for id in wanted if id in bodies)
        return [message for message in found if message is not None]

    async def _close(self, subject: Subject, generation: int, days: Iterable[int]) -> None:
        """Days that nobody can append to any more need not be looked into again."""
        over = [day for day in days if self._clock() > day * DAY_MS + CLOSE_AFTER_MS]
        key = key_of(subject)
        await asyncio.gather(
            *(self._connection.run("close_bucket", *key, generation, day, 0) for day in over)
        )

    # history

    async def changes(self, subject: Subject, after: int, limit: int) -> list[Change]:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation)
        rows = await self._connection.rows("changes_after", *place, Section.CHANGE, after, limit)
        bare = [codec.decode_change(value) for _, value in rows]
        touched = [
            (memory_id, change.revision)
            for change in bare
            for memory_id in dict.fromkeys(entry.memory_id for entry in change.entries)
        ]
        pages = await asyncio.gather(
            *(
                self._connection.rows("rows_numbered", *place, Section.TEXT, list(part))
                for part in chunks(touched, NAMES_AT_ONCE)
            )
        )
        texts = {(name, number): value for page in pages for name, number, value in page}
        return [_with_texts(change, texts) for change in bare]

    async def memory_history(self, subject: Subject, memory_id: str, limit: int) -> list[Change]:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation)
        rows, earlier = await asyncio.gather(
            self._connection.rows("touches", *place, Section.TEXT, memory_id, limit),
            self._connection.row("row", *place, Section.HISTORY, memory_id),
        )
        texts = {(memory_id, number): value for number, value in rows}
        revisions = {number for number, _ in rows}
        if earlier is not None:
            revisions.update(_decode_revisions(earlier[0]))
        newest = sorted(revisions)[-limit:]
        found = {change.revision: change for change in await self.changes_at(subject, head, newest)}
        history = [_with_texts(found[revision], texts) for revision in newest if revision in found]
        return [
            msgspec.structs.replace(
                change, entries=tuple(entry for entry in change.entries if entry.memory_id == memory_id)
            )
            for change in history
        ]

    async def changes_at(self, subject: Subject, head: HeadRow, revisions: Sequence[int]) -> list[Change]:
        """The change rows of these revisions, without texts."""
        place = (*key_of(subject), head.generation)
        pages = await asyncio.gather(
            *(
                self._connection.rows(
                    "rows_numbered", *place, Section.CHANGE, [("", revision) for revision in part]
                )
                for part in chunks(revisions, NAMES_AT_ONCE)
            )
        )
        return [codec.decode_change(value) for page in pages for _, _, value in page]

    # runs

    async def runs(
        self, subject: Subject, status: Literal["done", "parked"] | None, cursor: str | None, limit: int
    ) -> tuple[list[Run], str | None]:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation)
        before = LAST if cursor is None else cursor
        found: list[Run] = []
        if status == "parked":
            rows = await self._connection.rows("rows_of_section", *place, Section.PARKED)
            parked = [codec.decode_run(value) for name, value in rows if value and name < before]
            found = sorted(parked, key=lambda run: run.id, reverse=True)
        else:
            while len(found) <= limit:
                rows = await self._connection.rows("newest_rows", *place, Section.RUN, before, limit + 1)
                page = [codec.decode_run(value) for _, value in rows]
                found += [run for run in page if status in (None, run.status)]
                if len(rows) <= limit:
                    break
                before = rows[-1][0]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def get_run(self, subject: Subject, run_id: str) -> Run | None:
        head = await self._heads.read(subject)
        found = await self.runs_named(subject, head, [run_id])
        return found[0] if found else None

    async def runs_named(self, subject: Subject, head: HeadRow, run_ids: Sequence[str]) -> list[Run]:
        """Those of the runs that are there, by id."""
        place = (*key_of(subject), head.generation, Section.RUN)
        pages = await asyncio.gather(
            *(
                self._connection.rows("rows_named", *place, list(part))
                for part in chunks(sorted(set(run_ids)), NAMES_AT_ONCE)
            )
        )
        return [codec.decode_run(value) for page in pages for _, _, value in page]

    async def runs_of(self, subject: Subject, message_ids: Sequence[str]) -> list[Run]:
        head = await self._heads.read(subject)
        asked = set(message_ids)
        found = await self.runs_named(subject, head, await self.run_ids_of(subject, head.generation, asked))
        return [run for run in found if not asked.isdisjoint(run.input_ids)]

    async def run_ids_of(self, subject: Subject, generation: int, message_ids: Iterable[str]) -> list[str]:
        """Runs that were to have any of these messages among their inputs; some may not be there."""
        key = key_of(subject)
        pages = await asyncio.gather(
            *(
                self._connection.rows("runs_of", *key, generation, bucket, list(part))
                for bucket, ids in by_bucket(message_ids).items()
                for part in chunks(ids, NAMES_AT_ONCE)
            )
        )
        return [run_id for page in pages for (run_id,) in page]

    async def put_run_record(self, subject: Subject, generation: int, run_id: str, record: bytes) -> None:
        head = await self._heads.read(subject)
        if head.generation != generation:
            return
        key, bucket = key_of(subject), bucket_of_id(run_id)
        parts = list(chunks(record, _RECORD_PART)) or [b""]
        await self._once.write([("put_bucket", (*key, generation, bucket, 0))])
        await asyncio.gather(
            *(
                self._connection.run(
                    "put_record_part", *key, generation, bucket, run_id, number, len(parts), bytes(part)
                )
                for number, part in enumerate(parts)
            )
        )

    async def run_record(self, subject: Subject, run_id: str) -> bytes | None:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation)
        rows, found = await asyncio.gather(
            self._connection.rows("record_parts", *place, bucket_of_id(run_id), run_id),
            self.runs_named(subject, head, [run_id]),
        )
        if not found or not rows or len(rows) < rows[0][1]:
            return None
        run = found[0]
        messages, memories = await asyncio.gather(
            self._walk.overlays(subject, head, run.input_ids), self._gone(subject, head, run.memory_ids)
        )
        if memories or any(value == GONE for value in messages.values()):
            return None
        return b"".join(body for _, _, body in rows[: rows[0][1]])

    async def _gone(self, subject: Subject, head: HeadRow, memory_ids: Iterable[str]) -> set[str]:
        """Those of the memories that were deleted."""
        place = (*key_of(subject), head.generation, Section.MEMORY)
        pages = await asyncio.gather(
            *(
                self._connection.rows("liveness_named", *place, list(part))
                for part in chunks(list(dict.fromkeys(memory_ids)), NAMES_AT_ONCE)
            )
        )
        return {name for page in pages for name, gone in page if gone}

    # embeddings of memories

    async def put_vectors(
        self, subject: Subject, generation: int, model: str, vectors: Sequence[StoredVector]
    ) -> None:
        head = await self._heads.read(subject)
        if head.generation != generation or not vectors:
            return
        gone = await self._gone(subject, head, [vector.id for vector in vectors])
        place = (*key_of(subject), generation, model)
        rows: list[Statement] = [
            ("put_memory_vector", (*place, v.id, v.content_hash, codec.vector_to_bytes(v.vector)))
            for v in vectors
            if v.id not in gone
        ]
        await asyncio.gather(
            *(self._connection.batch(list(part)) for part in chunks(rows, _VECTORS_IN_BATCH))
        )

    async def memory_vectors(self, subject: Subject, model: str) -> list[StoredVector]:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation)
        liveness, rows = await asyncio.gather(
            self._connection.rows("liveness", *place, Section.MEMORY),
            self._connection.rows("memory_vectors", *place, model),
        )
        there = {name for name, gone in liveness if not gone}
        return [
            StoredVector(id, content_hash, codec.vector_from_bytes(vector))
            for id, content_hash, vector in rows
            if id in there
        ]


def _with_texts(change: Change, texts: dict[tuple[str, int], bytes]) -> Change:
    """The change row with its entries as they were written; without texts where a memory was deleted."""
    queues: dict[str, list[ChangeEntry]] = {}
    for memory_id in {entry.memory_id for entry in change.entries}:
        value = texts.get((memory_id, change.revision))
        if value is not None:
            queues[memory_id] = list(_decode_entries(value))
    entries = tuple(
        queues[entry.memory_id].pop(0) if queues.get(entry.memory_id) else entry for entry in change.entries
    )
    return msgspec.structs.replace(change, entries=entries)
