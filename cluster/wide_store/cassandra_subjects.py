"""What is read of one subject's decisive rows, and its memories' embeddings and run records."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from cluster.ids import Clock
from cluster.model import DAY_MS, Change, ChangeEntry, Head, Memory, Message, Run
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import Arrivals, Day
from cluster.wide_store.cassandra_connection import CassandraConnection, Row, Statement
from cluster.wide_store.cassandra_heads import HeadRow, Heads, OnceWritten, head_row
from cluster.wide_store.cassandra_layout import (
    CLOSE_AFTER_MS,
    GONE,
    LAST,
    PackedId,
    Recent,
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
_NAMED_AT_MOST = 1_000
"""New messages whose runs and deletions are looked up by name; for more, all since the oldest are read."""
_RECORD_PART = 900_000
"""Bytes of a run record in one row: well below the least commit log segment's half."""
_VECTORS_IN_BATCH = 150
_WORTH_NOTING = 32
"""Arrivals that are settled, and that loads would read again."""
_WORTH_REMOVING = 16
"""Markers of deleted memories between two that are there."""
_REMOVED_AT_ONCE = 100
_REMEMBERED_LOADS = 10_000

_decode_entries = msgspec.msgpack.Decoder(tuple[ChangeEntry, ...]).decode
_decode_revisions = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class _Settled(msgspec.Struct, frozen=True, array_like=True):
    """Of one day, what a load need not read again."""

    revision: int
    """At which this was so."""
    below: dict[str, int]


_NOTHING_SETTLED = _Settled(0, {})
_decode_settled = msgspec.msgpack.Decoder(_Settled).decode


class Between(NamedTuple):
    """Names of a section, the first and the last one included."""

    first: str
    last: str


class _Markers(NamedTuple):
    """Where a load found nothing but markers of deleted memories."""

    head: tuple[int, int]
    ranges: list[Between]


def _noted(registers: Iterable[Row], head: HeadRow) -> dict[int, _Settled]:
    """What was noted of the days that are not closed."""
    notes = {
        bucket: _decode_settled(value) if value else _NOTHING_SETTLED
        for bucket, slice, closed, value in registers
        if slice == 0 and not closed
    }
    return {day: note if note.revision >= head.unsettled else _NOTHING_SETTLED for day, note in notes.items()}


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
        self._markers: Recent[Subject, _Markers] = Recent(_REMEMBERED_LOADS)

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
        noted = _noted(registers, head)
        days = await asyncio.gather(
            *(self._day(subject, generation, day, note.below) for day, note in noted.items())
        )
        candidates = [day.ids for day in days]
        found = await self._decisive(subject, head, set[PackedId]().union(*candidates))
        if found is None:
            return None
        earlier, (head, rows) = head, found
        if any(
            not head.unsettled <= note.revision <= earlier.revision for note in noted.values() if note.below
        ):
            return None
        settled: set[PackedId] = set()
        memories: list[Memory] = []
        markers: list[list[str]] = [[]]
        parked: list[Run] = []
        overlays: dict[str, bytes] = {}
        for section, name, value, *_ in rows:
            if section == Section.OVERLAY:
                overlays[overlay_message(name)] = value
            elif section == Section.MEMORY:
                if value == GONE:
                    markers[-1].append(name)
                else:
                    memories.append(codec.decode_memory(value))
                    markers.append([])
            elif value == GONE:
                continue
            elif section == Section.INPUT:
                settled.update(packed_ids(value))
            else:
                parked.append(codec.decode_run(value))
        left = [{unpacked(id): id for id in ids - settled} for ids in candidates]
        pending = await self._pending(subject, generation, set().union(*left), overlays)
        there = {message.id for message in pending}
        unsettled = {packed for ids in left for id, packed in ids.items() if overlays.get(id) != GONE}
        over = [day.number for day, ids in zip(days, left, strict=True) if there.isdisjoint(ids)]
        await asyncio.gather(
            self._close(subject, generation, over),
            *(self._note(subject, generation, day, head.revision, unsettled) for day in days),
        )
        self._remember_markers(subject, head, markers)
        missing = unsettled.difference(packed for ids in left for id, packed in ids.items() if id in there)
        return Loaded(
            head=head.head(),
            memories=memories,
            pending=pending,
            parked=parked[::-1],
            tail=self._arrivals.position(days, missing, at),
        )

    async def _decisive(
        self, subject: Subject, head: HeadRow, new: set[PackedId]
    ) -> tuple[HeadRow, list[Row]] | None:
        """The rows of memories and parked runs, and those that decide about the `new` messages, with the head
        at that moment. None when a commit came between."""
        place = (*key_of(subject), head.generation)
        if len(new) > _NAMED_AT_MOST:
            oldest = min(map(bucket_of_packed, new))
            first, last = input_name(oldest), overlay_name(oldest, LAST)
            rows = await self._connection.rows(
                "rows_between", *place, Section.INPUT, first, Section.OVERLAY, last, page_rows=_LOAD_PAGE
            )
            beside = list[Row]()
        else:
            rows = await self._connection.rows(
                "rows_between", *place, Section.MEMORY, "", Section.PARKED, LAST, page_rows=_LOAD_PAGE
            )
            beside = await self._beside(subject, head.generation, [unpacked(id) for id in new])
        if rows:
            _, _, _, revision, generation, *other = rows[0]
            current = head_row((revision, generation, None, *other))
        else:  # read at an unknown moment between two at which the head is the same
            current = await self._heads.read(subject)
            if current.revision != head.revision:
                return None
        torn = any(row[3] != current.revision for row in itertools.chain(rows, beside))
        return None if torn or current.generation != head.generation else (current, [*rows, *beside])

    async def _beside(self, subject: Subject, generation: int, message_ids: list[str]) -> list[Row]:
        """The rows of INPUT and OVERLAY that speak of these messages. To be read last: the runs of a message
        are known before they are committed, not before they are thought of."""
        key, place = key_of(subject), (*key_of(subject), generation)

        async def named(section: Section, names: Sequence[str]) -> list[Row]:
            pages = await asyncio.gather(
                *(
                    self._connection.rows("rows_beside", *place, section, list(part))
                    for part in chunks(names, NAMES_AT_ONCE)
                )
            )
            return [row for page in pages for row in page]

        async def inputs(bucket: int, ids: Sequence[str]) -> list[Row]:
            found = await self._connection.rows("runs_of", *key, generation, bucket, list(ids))
            return await named(Section.INPUT, [input_name(bucket, run_id) for (run_id,) in found])

        buckets = by_bucket(message_ids)
        overlays = [overlay_name(bucket, id) for bucket, ids in buckets.items() for id in ids]
        pages = await asyncio.gather(
            named(Section.OVERLAY, overlays),
            *(inputs(bucket, part) for bucket, ids in buckets.items() for part in chunks(ids, NAMES_AT_ONCE)),
        )
        return [row for page in pages for row in page]

    async def _day(self, subject: Subject, generation: int, day: int, below: dict[str, int]) -> Day:
        return Day(day, below, await self._arrivals.of_day(subject, generation, day, below))

    async def _note(
        self, subject: Subject, generation: int, day: Day, revision: int, unsettled: set[PackedId]
    ) -> None:
        """What is settled need not be read again."""
        below = day.settled(unsettled)
        skipped = sum(arrival.number < below.get(arrival.writer, 0) for arrival in day.arrivals)
        if skipped >= _WORTH_NOTING:
            note = codec.encode(_Settled(revision, below))
            await self._connection.run("note_settled", *key_of(subject), generation, day.number, note)

    def _remember_markers(self, subject: Subject, head: HeadRow, markers: Iterable[list[str]]) -> None:
        ranges = [Between(names[0], names[-1]) for names in markers if len(names) >= _WORTH_REMOVING]
        if ranges:
            self._markers.put(subject, _Markers((head.revision, head.generation), ranges[:_REMOVED_AT_ONCE]))

    def markers(self, subject: Subject, head: Head, used: Iterable[str]) -> list[Between]:
        """Where, as of `head`, the section of memories has nothing but markers, and none of the names `used`.

        A commit that replaces them by one range tombstone each keeps a load from reading every memory that
        was ever deleted. Only a commit can: a memory that another one adds meanwhile may lie between.
        """
        found = self._markers.get(subject)
        if found is None or found.head != (head.revision, head.generation):
            return []
        names = list(used)
        return [each for each in found.ranges if not any(each.first <= name <= each.last for name in names)]

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

    async def _liveness(
        self, subject: Subject, head: HeadRow, section: Section, memory_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Of the memories that the section has a row of, whether it is more than a marker."""
        place = (*key_of(subject), head.generation, section)
        pages = await asyncio.gather(
            *(
                self._connection.rows("liveness_named", *place, list(part))
                for part in chunks(list(dict.fromkeys(memory_ids)), NAMES_AT_ONCE)
            )
        )
        return {name: not gone for page in pages for name, gone in page}

    async def _gone(self, subject: Subject, head: HeadRow, memory_ids: Sequence[str]) -> set[str]:
        """Those of the memories that were deleted: with their marker, or what outlives it."""
        memories, histories = await asyncio.gather(
            self._liveness(subject, head, Section.MEMORY, memory_ids),
            self._liveness(subject, head, Section.HISTORY, memory_ids),
        )
        return {id for id in memory_ids if not memories.get(id, id not in histories)}

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
