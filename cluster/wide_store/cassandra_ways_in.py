"""Ways in: from an id, a tenant, a shard, a label or an hour to subjects. Each is verified at the subject."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Literal

from cluster.model import HOUR_MS, Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import Arrivals
from cluster.wide_store.cassandra_connection import CassandraConnection, Row
from cluster.wide_store.cassandra_heads import Heads
from cluster.wide_store.cassandra_layout import HERE, REGISTRY_SLICES, Section, chunks, key_of
from cluster.wide_store.cassandra_walk import NAMES_AT_ONCE
from memgrid.subject import Subject, subject_from_key

_VERIFIED_AT_ONCE = 200
_LEAST = -(2**31)

Listed = tuple[bytes, int]
"""A subject's key, and the generation it was listed in."""


class WaysIn:
    """The listings of the port, for one connection."""

    def __init__(
        self, connection: CassandraConnection, heads: Heads, arrivals: Arrivals, shards: int
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._arrivals = arrivals
        self._shards = shards

    async def resolve(self, tenant: str, what: Literal["memory", "run"], id: str) -> Subject | None:
        section = Section.MEMORY if what == "memory" else Section.RUN
        for key, generation in await self._connection.rows("ways_in", tenant, what, id):
            subject = subject_from_key(key)
            head, rows = await asyncio.gather(
                self._heads.read(subject),
                self._connection.rows("liveness_named", *key_of(subject), generation, section, [id]),
            )
            if head.generation == generation and rows and not rows[0][1]:
                return subject
        return None

    # listings of subjects

    async def subjects(
        self, tenant: str | None, shard: int | None, cursor: str | None, limit: int
    ) -> tuple[list[Subject], str | None]:
        first, after = (0, b"") if cursor is None else codec.cursor_from_text(cursor, tuple[int, bytes])
        if tenant is not None and shard is None:
            listings = [(0, self._of_tenant(tenant, after, limit + 1))]
        elif shard is not None:
            listings = [(0, self._of_shard(shard, tenant, after, limit + 1))]
        else:
            listings = [
                (n, self._of_shard(n, None, after if n == first else b"", limit + 1))
                for n in range(max(first, 0), self._shards)
            ]
        return await self._listed(listings, limit)

    async def active_subjects(
        self, shard: int, since: Millis, cursor: str | None, limit: int
    ) -> tuple[list[Subject], str | None]:
        first, after = (0, b"") if cursor is None else codec.cursor_from_text(cursor, tuple[int, bytes])
        rows = await self._connection.rows("activity_hours", shard, max(since // HOUR_MS, first))

        def of_hour(hour: int) -> AsyncIterator[list[Listed]]:
            def page(edge: Listed, size: int) -> tuple[str, tuple[object, ...]]:
                return "active_subjects", (shard, hour, *edge, size)

            return self._pages(page, after if hour == first else b"", limit + 1)

        return await self._listed([(hour, of_hour(hour)) for (hour,) in rows], limit)

    async def _listed(
        self, listings: Iterable[tuple[int, AsyncIterator[list[Listed]]]], limit: int
    ) -> tuple[list[Subject], str | None]:
        """One listing after the other, those that are there, each named once."""
        found: dict[bytes, int] = {}
        for number, pages in listings:
            async for page in pages:
                for key in await self._verified(page):
                    found.setdefault(key, number)
                if len(found) > limit:
                    break
            if len(found) > limit:
                break
        keys = list(found)
        last = keys[limit - 1] if len(keys) > limit else None
        following = None if last is None else codec.cursor_to_text((found[last], last))
        return [subject_from_key(key) for key in keys[:limit]], following

    async def _of_shard(
        self, shard: int, tenant: str | None, after: bytes, size: int
    ) -> AsyncIterator[list[Listed]]:
        prefix = b"" if tenant is None else _prefix(tenant)

        def page(edge: Listed, size: int) -> tuple[str, tuple[object, ...]]:
            return "subjects_of_shard", (shard, *edge, size)

        async for found in self._pages(page, max(after, prefix), size):
            yield [listed for listed in found if listed[0].startswith(prefix)]
            if not found[-1][0].startswith(prefix):
                return

    async def _of_tenant(self, tenant: str, after: bytes, size: int) -> AsyncIterator[list[Listed]]:
        edge: Listed = (after, 2**31 - 1)
        while True:
            parts = await asyncio.gather(
                *(
                    self._connection.rows("subjects_of_tenant", tenant, slice, *edge, size)
                    for slice in range(REGISTRY_SLICES)
                )
            )
            merged = [(row[0], row[1]) for row in heapq.merge(*parts)][:size]
            if merged:
                yield merged
            if len(merged) < size:
                return
            edge = merged[-1]

    async def _pages(
        self, statement: Callable[[Listed, int], tuple[str, tuple[object, ...]]], after: bytes, size: int
    ) -> AsyncIterator[list[Listed]]:
        edge: Listed = (after, 2**31 - 1)
        while True:
            name, values = statement(edge, size)
            rows = await self._connection.rows(name, *values)
            if rows:
                yield [(key, generation) for key, generation in rows]
            if len(rows) < size:
                return
            edge = (rows[-1][0], rows[-1][1])

    async def _verified(self, listed: Sequence[Listed]) -> list[bytes]:
        """Those that were written to in the generation they have now."""
        verified: list[bytes] = []
        for part in chunks(listed, _VERIFIED_AT_ONCE):
            there = await asyncio.gather(*(self._is_there(*each) for each in part))
            verified += [key for (key, _), is_there in zip(part, there, strict=True) if is_there]
        return verified

    async def _is_there(self, key: bytes, generation: int) -> bool:
        subject = subject_from_key(key)
        head = await self._heads.read(subject)
        if head.generation != generation:
            return False
        if head.revision > head.began:
            return True
        return await self._arrivals.any(subject, generation)

    # labels

    async def scope(
        self, tenant: str, label: str, label_id: str, cursor: str | None, limit: int
    ) -> tuple[list[tuple[Subject, str]], str | None]:
        at = (0, b"", _LEAST, "")
        if cursor is not None:
            at = codec.cursor_from_text(cursor, tuple[int, bytes, int, str])
        first, *after = at
        found: list[tuple[int, Row]] = []
        for slice in range(max(first, 0), REGISTRY_SLICES):
            edge = tuple(after) if slice == first else (b"", _LEAST, "")
            while len(found) <= limit:
                rows = await self._connection.rows("scope", tenant, label, label_id, slice, *edge, limit + 1)
                found += [(slice, row) for row in await self._carrying(rows, label, label_id)]
                if len(rows) <= limit:
                    break
                edge = rows[-1][:3]
            if len(found) > limit:
                break
        page = found[:limit]
        following = codec.cursor_to_text((page[-1][0], *page[-1][1][:3])) if len(found) > limit else None
        return [(subject_from_key(row[0]), row[2]) for _, row in page], following

    async def _carrying(self, rows: Sequence[Row], label: str, label_id: str) -> list[Row]:
        """Those whose memory is there and carries the label."""
        subjects: dict[Listed, list[str]] = {}
        for key, generation, memory_id, here in rows:
            if here == HERE:
                subjects.setdefault((key, generation), []).append(memory_id)

        async def carried(key: bytes, generation: int, memory_ids: list[str]) -> set[str]:
            subject = subject_from_key(key)
            head, pages = await asyncio.gather(
                self._heads.read(subject),
                asyncio.gather(
                    *(
                        self._connection.rows(
                            "rows_named", *key_of(subject), generation, Section.MEMORY, list(part)
                        )
                        for part in chunks(memory_ids, NAMES_AT_ONCE)
                    )
                ),
            )
            if head.generation != generation:
                return set()
            memories = [codec.decode_memory(value) for page in pages for _, _, value in page if value]
            return {memory.id for memory in memories if memory.labels.get(label) == label_id}

        answers = await asyncio.gather(*(carried(*listed, ids) for listed, ids in subjects.items()))
        there = dict(zip(subjects, answers, strict=True))
        return [row for row in rows if row[2] in there.get((row[0], row[1]), ())]

    # the sweep's mark

    async def swept_through(self, shard: int) -> Millis:
        row = await self._connection.row("swept", shard)
        return 0 if row is None else row[0]

    async def set_swept_through(self, shard: int, through: Millis) -> None:
        await self._connection.run("move_swept", shard, through, max(through, 0))


def _prefix(tenant: str) -> bytes:
    """What the keys of a tenant's subjects begin with."""
    name = tenant.encode()
    return len(name).to_bytes(4, "big") + name
