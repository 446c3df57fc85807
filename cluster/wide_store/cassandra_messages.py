"""Messages in Cassandra: appended plainly, read in order, and their embeddings."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.ids import Clock
from cluster.model import HOUR_MS, Message, Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import ACK_WITHIN_MS, Arrivals
from cluster.wide_store.cassandra_connection import CassandraConnection, Statement
from cluster.wide_store.cassandra_heads import HeadRow, Heads, OnceWritten
from cluster.wide_store.cassandra_layout import (
    GONE,
    HERE,
    REGISTRY_SLICES,
    SLICE_MESSAGES,
    Facet,
    Recent,
    by_bucket,
    chunks,
    day_of,
    key_of,
    unpacked,
)
from cluster.wide_store.cassandra_walk import NAMES_AT_ONCE, Facts, Walk
from cluster.wide_store.port import (
    MessagePageRows,
    MessageQuery,
    SessionRow,
    StoredVector,
    TailPage,
)
from memgrid.subject import Subject, shard_of

_FIRST_WINS = 3_000_000_000_000_000
"""Microseconds (in 2065) from which a message's write time is counted down: of two with the same id the
earlier one is kept, while whatever is written over it at the usual time wins."""
_BATCH_ROWS = 150
_BATCH_BYTES = 256 * 1024
_COUNTED_AT_ONCE = 2000
_SESSIONS_AT_ONCE = 16
_REMEMBERED_BUCKETS = 100_000


@dataclass
class _Slice:
    number: int
    messages: int


class Messages:
    """The message verbs of the port."""

    def __init__(
        self,
        connection: CassandraConnection,
        heads: Heads,
        once: OnceWritten,
        arrivals: Arrivals,
        shards: int,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._once = once
        self._arrivals = arrivals
        self._shards = shards
        self._clock = clock
        self._walk = Walk(connection)
        self._slices: Recent[tuple[Subject, int, int], _Slice] = Recent(_REMEMBERED_BUCKETS)
        self._written_at = 0

    # appending

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        known = self._heads.known(subject)
        if known is None or known < generation:
            known = (await self._heads.read(subject)).generation
        if known != generation:
            return False
        unique = {message.id: message for message in reversed(messages)}
        while True:
            at = self._clock()
            reading = asyncio.create_task(self._heads.read(subject))
            try:
                places = await self._write(subject, generation, at, list(unique.values())[::-1])
            except BaseException:
                reading.cancel()
                raise
            head = await reading
            if head.generation != generation:
                await self._take_back(subject, generation, places)
                return False
            if self._clock() - at <= ACK_WITHIN_MS:
                return True

    async def _write(
        self, subject: Subject, generation: int, at: Millis, messages: Sequence[Message]
    ) -> list[tuple[int, int]]:
        """Everything an append writes; the (bucket, slice) places are returned."""
        key = key_of(subject)
        by_id = {message.id: message for message in messages}
        arrivals, registers = self._arrivals.rows(subject, generation, at, list(by_id))
        batches: dict[tuple[int, int], list[Statement]] = {(day_of(at), 0): arrivals}
        for bucket, ids in by_bucket(by_id).items():
            slice = await self._slice(subject, generation, bucket, len(ids))
            rows = batches.setdefault((bucket, slice), [])
            registers.append(("put_bucket", (*key, generation, bucket, slice)))
            place = (*key, generation, bucket, slice)
            for id in ids:
                message = by_id[id]
                facts = codec.encode(Facts(message.session, message.event_time, message.marks))
                rows.append(("put_message", (*place, id, facts, codec.encode(message), self._first_wins())))
                for facet in (
                    (Facet.SESSION, message.session),
                    *((Facet.MARK, mark) for mark in message.marks),
                ):
                    rows.append(("put_facet", (*place, *facet, id, HERE, 1)))
                    registers.append(("put_facet_bucket", (*key, generation, *facet, bucket)))
        registers += [*self.listing(subject, generation), *self.activity(subject, generation)]
        writes = [batch for rows in batches.values() for batch in _batches(rows)]
        if len(writes) == 1 and not self._once.missing(registers):
            await self._connection.batch(writes[0])  # as a rule: one request, and no task for it
        else:
            await asyncio.gather(
                *(self._connection.batch(batch) for batch in writes), self._once.write(registers)
            )
        return list(batches)

    def listing(self, subject: Subject, generation: int) -> list[Statement]:
        """What makes a subject one that is listed."""
        shard = shard_of(subject, self._shards)
        return [
            ("list_in_shard", (shard, subject.key, generation)),
            ("list_in_tenant", (subject.tenant, shard % REGISTRY_SLICES, subject.key, generation)),
        ]

    def activity(self, subject: Subject, generation: int) -> list[Statement]:
        """What makes a subject one that was active in this hour."""
        shard, hour = shard_of(subject, self._shards), self._clock() // HOUR_MS
        return [
            ("put_activity", (shard, hour, subject.key, generation)),
            ("put_activity_hour", (shard, hour)),
        ]

    def _first_wins(self) -> int:
        self._written_at = max(self._written_at + 1, time.time_ns() // 1000)
        return _FIRST_WINS - self._written_at

    async def _slice(self, subject: Subject, generation: int, bucket: int, more: int) -> int:
        """Where `more` messages of the bucket go: another slice is begun when the last one is full."""
        place = (subject, generation, bucket)
        slice = self._slices.get(place)
        if slice is None:
            key = key_of(subject)
            last = (await self._walk.slices(subject, generation, bucket))[-1]
            counted = await self._connection.row("count_bucket", *key, generation, bucket, last)
            slice = self._slices.get(place) or _Slice(last, counted[0] if counted else 0)
            self._slices.put(place, slice)
        if slice.messages >= SLICE_MESSAGES:
            slice.number, slice.messages = slice.number + 1, 0
        slice.messages += more
        return slice.number

    async def _take_back(self, subject: Subject, generation: int, places: Sequence[tuple[int, int]]) -> None:
        """The subject was erased meanwhile: nothing of the old generation may stay."""
        key = key_of(subject)
        registers = self.listing(subject, generation)
        self._once.forget(registers)
        await asyncio.gather(
            *(self._connection.run("purge_bucket", *key, generation, *place) for place in places),
            self.unlist(subject, generation),
        )

    async def unlist(self, subject: Subject, generation: int) -> None:
        """An erased generation is in no listing."""
        listing = self.listing(subject, generation)
        self._once.forget(listing)
        await asyncio.gather(*(self._connection.run(f"un{name}", *values) for name, values in listing))

    # reading

    async def messages(
        self, subject: Subject, query: MessageQuery, cursor: str | None, limit: int
    ) -> MessagePageRows:
        found = await self._page(subject, query, cursor, limit)
        following = found[limit - 1].id if len(found) > limit else None
        return MessagePageRows(messages=found[:limit], cursor=following)

    async def _page(
        self, subject: Subject, query: MessageQuery, cursor: str | None, limit: int
    ) -> list[Message]:
        """One more than `limit`, if there are so many."""
        head = await self._heads.read(subject)
        found: list[Message] = []
        async for page in self._walk.messages(subject, head, query, cursor, limit + 1):
            found += page
            if len(found) > limit:
                break
        return found[: limit + 1]

    async def get_messages(self, subject: Subject, ids: Sequence[str]) -> list[Message]:
        head = await self._heads.read(subject)
        found = await self._walk.named(subject, head, ids)
        return [found[id] for id in ids if id in found]

    async def count_messages(self, subject: Subject, query: MessageQuery) -> int:
        head = await self._heads.read(subject)
        anything = query.session is None and query.mark is None and query.exclude_mark is None
        if anything and not head.overlaid:
            return await self._count_all(subject, head)
        count = 0
        async for page in self._walk.facts(subject, head, query, _COUNTED_AT_ONCE):
            count += len(page)
        return count

    async def _count_all(self, subject: Subject, head: HeadRow) -> int:
        """Counted where they are; the slices of a bucket are compared, for they may share a message."""
        key = key_of(subject)
        slices: dict[int, list[int]] = {}
        for bucket, slice, *_ in await self._connection.rows("buckets", *key, head.generation):
            slices.setdefault(bucket, []).append(slice)

        async def count(bucket: int, numbers: list[int]) -> int:
            place = (*key, head.generation, bucket)
            if len(numbers) == 1:
                counted = await self._connection.row("count_bucket", *place, numbers[0])
                return counted[0] if counted else 0
            pages = [await self._connection.rows("facts_of_bucket", *place, slice) for slice in numbers]
            return len({id for page in pages for id, _ in page})

        return sum(await asyncio.gather(*(count(bucket, numbers) for bucket, numbers in slices.items())))

    async def sessions(
        self, subject: Subject, cursor: str | None, limit: int
    ) -> tuple[list[SessionRow], str | None]:
        head = await self._heads.read(subject)
        place = (*key_of(subject), head.generation, Facet.SESSION)
        found: list[SessionRow] = []
        after = cursor
        while len(found) <= limit:
            if after is None:
                rows = await self._connection.rows("first_facets", *place, limit + 1)
            else:
                rows = await self._connection.rows("next_facets", *place, after, limit + 1)
            names = list(dict.fromkeys(name for name, _ in rows))
            for part in chunks(names, _SESSIONS_AT_ONCE):
                extents = await asyncio.gather(*(self._session(subject, head, name) for name in part))
                found += [extent for extent in extents if extent is not None]
            if len(rows) <= limit:
                break
            after = names[-1]
        page = found[:limit]
        return page, page[-1].session if len(found) > limit else None

    async def _session(self, subject: Subject, head: HeadRow, name: str) -> SessionRow | None:
        count, first, last = 0, 0, 0
        async for page in self._walk.facts(subject, head, MessageQuery(session=name), _COUNTED_AT_ONCE):
            for facts in page:
                first = min(first, facts.event_time) if count else facts.event_time
                last = max(last, facts.event_time) if count else facts.event_time
                count += 1
        return SessionRow(name, count, first, last) if count else None

    # the tail

    async def tail(self, subject: Subject, tail: str) -> TailPage:
        generation = self._heads.known(subject) or 0
        while True:
            head, news = await asyncio.gather(
                self._heads.read(subject), self._arrivals.since(subject, generation, tail)
            )
            if head.generation == generation:
                break
            generation = head.generation
        packed = {unpacked(id): id for id in news.ids}
        found = await self._walk.named(subject, head, sorted(packed)) if packed else {}
        absent = [id for id in packed if id not in found]
        deleted = await self._walk.overlays(subject, head, absent)
        return TailPage(
            head=head.head(),
            messages=[found[id] for id in sorted(found)],
            tail=news.cursor({packed[id] for id in absent if deleted.get(id) != GONE}),
        )

    # vectors

    async def put_vectors(
        self, subject: Subject, generation: int, model: str, vectors: Sequence[StoredVector]
    ) -> None:
        head = await self._heads.read(subject)
        if head.generation != generation or not vectors:
            return
        given = {vector.id: vector for vector in vectors}
        deleted = {
            id for id, value in (await self._walk.overlays(subject, head, list(given))).items() if not value
        }
        key = key_of(subject)
        batches: list[list[Statement]] = []
        for bucket, ids in by_bucket(id for id in given if id not in deleted).items():
            slice = await self._slice(subject, generation, bucket, 0)
            place = (*key, generation, bucket, slice, model)
            rows: list[Statement] = [
                (
                    "put_message_vector",
                    (*place, id, given[id].content_hash, codec.vector_to_bytes(given[id].vector)),
                )
                for id in ids
            ]
            batches += [list(part) for part in chunks(rows, _BATCH_ROWS)]
        await asyncio.gather(*(self._connection.batch(batch) for batch in batches))

    async def message_vectors(self, subject: Subject, model: str, ids: Sequence[str]) -> list[StoredVector]:
        head = await self._heads.read(subject)
        there, vectors = await asyncio.gather(
            self._walk.facts_named(subject, head, ids), self._vectors(subject, head, model, ids)
        )
        return [vectors[id] for id in ids if id in vectors and id in there]

    async def recent_messages(
        self, subject: Subject, model: str, before: str | None, limit: int
    ) -> tuple[list[tuple[Message, StoredVector | None]], str | None]:
        head = await self._heads.read(subject)
        found = await self._page(subject, MessageQuery(newest_first=True), before, limit)
        page = found[:limit]
        vectors = await self._vectors(subject, head, model, [message.id for message in page])
        following = page[-1].id if len(found) > limit else None
        return [(message, vectors.get(message.id)) for message in page], following

    async def _vectors(
        self, subject: Subject, head: HeadRow, model: str, ids: Sequence[str]
    ) -> dict[str, StoredVector]:
        key = key_of(subject)
        found: dict[str, StoredVector] = {}

        async def ask(bucket: int, names: Sequence[str]) -> None:
            for slice in await self._walk.slices(subject, head.generation, bucket):
                place = (*key, head.generation, bucket, slice, model)
                pages = await asyncio.gather(
                    *(
                        self._connection.rows("message_vectors", *place, list(part))
                        for part in chunks(names, NAMES_AT_ONCE)
                    )
                )
                for id, content_hash, vector in itertools.chain.from_iterable(pages):
                    found[id] = StoredVector(id, content_hash, codec.vector_from_bytes(vector))

        buckets = by_bucket(dict.fromkeys(ids))
        await asyncio.gather(*(ask(bucket, names) for bucket, names in buckets.items()))
        return found


def _batches(rows: Sequence[Statement]) -> list[list[Statement]]:
    """Rows of one partition in batches of a moderate size."""
    batches: list[list[Statement]] = []
    room = 0
    for row in rows:
        size = sum(len(value) for value in row[1] if isinstance(value, bytes)) + 100
        if not batches or len(batches[-1]) == _BATCH_ROWS or size > room:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(row)
        room -= size
    return batches
