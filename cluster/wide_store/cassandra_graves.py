"""What is forgotten leaves the tables: at once, and once more when late writes are past.

A grave is dug before the commit that forgets, so that a crash in between leaves nothing behind; a grave whose
commit has not landed is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence

import msgspec

from cluster.ids import Clock
from cluster.model import DAY_MS, Memory, Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_connection import CassandraConnection, Statement
from cluster.wide_store.cassandra_heads import HeadRow, Heads
from cluster.wide_store.cassandra_layout import (
    CLAIM_SLICES,
    GONE,
    REGISTRY_SLICES,
    Facet,
    Section,
    bucket_of_id,
    by_bucket,
    chunks,
    key_of,
)
from cluster.wide_store.cassandra_messages import Messages
from cluster.wide_store.cassandra_subjects import Subjects
from cluster.wide_store.cassandra_walk import NAMES_AT_ONCE, Facts, Walk
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject, shard_of, subject_from_key

ROWS_AFTER_MS = DAY_MS
GENERATION_AFTER_MS = 11 * DAY_MS
"""Beyond hints and gc_grace: nothing of an erased generation can come back after that."""
SWEEP_SECONDS = 6 * 3600.0
_WHOLE = ""
"""The name of a grave for a whole generation; others are named by their commit."""

Scope = tuple[str, str, str]
"""Label, its id, memory."""


class Grave(msgspec.Struct, frozen=True, array_like=True):
    """What a commit forgets."""

    revision: int
    memories: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    run_ids: tuple[str, ...] = ()
    """Runs whose records rest on any of it."""


_decode_grave = msgspec.msgpack.Decoder(Grave).decode
_decode_facts = msgspec.msgpack.Decoder(Facts).decode


def scopes_of(memories: Iterable[Memory]) -> tuple[Scope, ...]:
    return tuple((label, id, memory.id) for memory in memories for label, id in memory.labels.items())


class Graves:
    """Digs, empties and closes graves."""

    def __init__(
        self,
        connection: CassandraConnection,
        heads: Heads,
        messages: Messages,
        subjects: Subjects,
        shards: int,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._messages = messages
        self._subjects = subjects
        self._shards = shards
        self._clock = clock
        self._walk = Walk(connection)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    # the background

    def start(self) -> None:
        """Sweep now and then."""
        self._sweeping = asyncio.create_task(self._sweep_for_ever())

    async def close(self) -> None:
        """Finish what was begun."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def empty_soon(self, subject: Subject, generation: int) -> None:
        """Remove an erased generation, beside whatever else goes on."""
        task = asyncio.create_task(self._empty_quietly(subject, generation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty_quietly(self, subject: Subject, generation: int) -> None:
        with contextlib.suppress(Unavailable, Overloaded):  # its grave is there: the next sweep does it
            await self.empty_generation(subject, generation)

    async def _sweep_for_ever(self) -> None:
        while True:
            with contextlib.suppress(Unavailable, Overloaded):
                for shard in range(self._shards):
                    await self.sweep(shard)
            await asyncio.sleep(SWEEP_SECONDS)

    # graves

    async def dig(self, subject: Subject, generation: int, name: str, grave: Grave) -> None:
        shard = shard_of(subject, self._shards)
        await self._connection.run(
            "dig_grave", shard, subject.key, generation, name, self._clock(), codec.encode(grave)
        )

    async def dig_for_all(self, subject: Subject, generation: int, revision: int) -> None:
        """For the whole generation."""
        await self.dig(subject, generation, _WHOLE, Grave(revision))

    async def sweep(self, shard: int) -> int:
        """Empty what was buried long enough ago, and close it; how many were closed."""
        closed = 0
        for key, generation, name, buried_at, value in await self._connection.rows("graves", shard):
            subject = subject_from_key(key)
            if await self._sweep_one(subject, generation, name, buried_at, _decode_grave(value)):
                await self._connection.run("close_grave", shard, key, generation, name)
                closed += 1
        return closed

    async def _sweep_one(
        self, subject: Subject, generation: int, name: str, buried_at: Millis, grave: Grave
    ) -> bool:
        """Whether the grave can be closed."""
        age = self._clock() - buried_at
        head = await self._heads.read(subject, serial=True)
        if name == _WHOLE:
            if head.generation > generation:
                await self.empty_generation(subject, generation)
                if age > GENERATION_AFTER_MS:
                    await self._connection.run("purge_buckets", *key_of(subject), generation)
            return age > GENERATION_AFTER_MS
        if age <= ROWS_AFTER_MS:
            return False
        if head.generation == generation:
            place = (*key_of(subject), generation, Section.COMMIT, name)
            if await self._connection.row("row", *place) is not None:
                await self.empty(subject, head, grave)
        return True

    async def empty(self, subject: Subject, head: HeadRow, grave: Grave) -> None:
        """Remove what a commit has deleted: texts, embeddings, run records, ways in."""
        generation = head.generation
        records, scopes = list(grave.run_ids), list(grave.scopes)
        if grave.messages:
            records += await self._subjects.run_ids_of(subject, generation, grave.messages)
            await self._empty_messages(subject, generation, grave.revision, grave.messages)
        key = key_of(subject)
        await asyncio.gather(
            self.remove_scopes(subject, generation, grave.revision, scopes),
            self._forget_memory_vectors(subject, generation, grave.memories),
            *(
                self._connection.run("forget_record", *key, generation, bucket_of_id(id), id)
                for id in dict.fromkeys(records)
            ),
            self._forget_orphan_records(subject, head, records),
        )

    async def _forget_orphan_records(self, subject: Subject, head: HeadRow, records: Sequence[str]) -> None:
        """Nobody knows what a record without a run rests on: those of the same days go, too."""
        key, now = key_of(subject), self._clock()
        for bucket in {*(bucket_of_id(id) for id in records), now // DAY_MS}:
            rows = await self._connection.rows("record_ids", *key, head.generation, bucket)
            ids = list(dict.fromkeys(id for (id,) in rows))
            there = {run.id for run in await self._subjects.runs_named(subject, head, ids)}
            await asyncio.gather(
                *(
                    self._connection.run("forget_record", *key, head.generation, bucket, id)
                    for id in ids
                    if id not in there
                )
            )

    async def remove_scopes(
        self, subject: Subject, generation: int, revision: int, scopes: Sequence[Scope]
    ) -> None:
        slice = shard_of(subject, self._shards) % REGISTRY_SLICES
        batches: dict[tuple[str, str], list[Statement]] = {}
        for label, id, memory_id in scopes:
            place = (subject.tenant, label, id, slice, subject.key, generation, memory_id)
            batches.setdefault((label, id), []).append(("put_scope", (*place, GONE, revision + 1)))
        await asyncio.gather(
            *(
                self._connection.batch(list(part))
                for rows in batches.values()
                for part in chunks(rows, NAMES_AT_ONCE)
            )
        )

    async def _forget_memory_vectors(
        self, subject: Subject, generation: int, memory_ids: Sequence[str]
    ) -> None:
        if not memory_ids:
            return
        key = key_of(subject)
        row = await self._connection.row("first_memory_model", *key, generation)
        while row is not None:
            model: str = row[0]
            rows: list[Statement] = [
                ("forget_memory_vector", (*key, generation, model, id)) for id in memory_ids
            ]
            await self._connection.batch(rows)
            row = await self._connection.row("next_memory_model", *key, generation, model)

    async def _empty_messages(
        self, subject: Subject, generation: int, revision: int, ids: Sequence[str]
    ) -> None:
        """Overwrite messages, and what they are found by, with markers: a late write of them loses."""
        key = key_of(subject)
        facts = await self._walk.values(subject, generation, ids, "facts")
        now = time.time_ns() // 1000
        for bucket, names in by_bucket(ids).items():
            for slice in await self._walk.slices(subject, generation, bucket):
                place = (*key, generation, bucket, slice)
                rows: list[Statement] = []
                for id in names:
                    rows.append(("put_message", (*place, id, GONE, GONE, now)))
                    if id in facts:
                        said = _decode_facts(facts[id])
                        facets = [(Facet.SESSION, said.session), *((Facet.MARK, mark) for mark in said.marks)]
                        rows += [("put_facet", (*place, *facet, id, GONE, revision + 1)) for facet in facets]
                await asyncio.gather(
                    *(self._connection.batch(list(part)) for part in chunks(rows, NAMES_AT_ONCE))
                )
                row = await self._connection.row("first_model_of_bucket", *place)
                while row is not None:
                    model: str = row[0]
                    await self._connection.batch(
                        [("forget_message_vector", (*place, model, id)) for id in names]
                    )
                    row = await self._connection.row("next_model_of_bucket", *place, model)

    async def empty_generation(self, subject: Subject, generation: int) -> None:
        """Remove all that an erased generation has left."""
        key = key_of(subject)
        registers = await self._connection.rows("buckets", *key, generation)
        places = {(bucket, slice) for bucket, slice, *_ in registers}
        await asyncio.gather(
            *(
                self._connection.run(purge, *key, generation, *place)
                for place in places
                for purge in ("purge_bucket", "purge_message_vectors")
            ),
            *(
                self._connection.run("purge_records", *key, generation, bucket)
                for bucket in {bucket for bucket, _ in places}
            ),
            *(self._connection.run("purge_claims", *key, generation, n) for n in range(CLAIM_SLICES)),
            self._connection.run("purge_memory_vectors", *key, generation),
            self._connection.run("purge_facets", *key, generation),
            self._messages.unlist(subject, generation),
        )
