"""Walking through a subject's messages in the order of their ids, bucket by bucket.

What is found by a session or a mark is looked up in the facets and verified on the message itself, for a
facet may outlive what it says. A message deleted or marked by a commit is seen as the overlay has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from cluster.model import Message, Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.cassandra_heads import HeadRow
from cluster.wide_store.cassandra_layout import (
    GONE,
    LAST,
    NO_BUCKET,
    Facet,
    Section,
    bucket_of_id,
    by_bucket,
    chunks,
    key_of,
    overlay_message,
    overlay_name,
)
from cluster.wide_store.port import MessageQuery
from memgrid.subject import Subject

NAMES_AT_ONCE = 100
"""Rows asked for by name in one request."""
_BUCKETS_AT_ONCE = 16
_REGISTER_PAGE = 256

Columns = Literal["messages", "facts"]


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What a message is found and counted by."""

    session: str
    event_time: Millis
    marks: tuple[str, ...]


_decode_facts = msgspec.msgpack.Decoder(Facts).decode
_decode_marks = msgspec.msgpack.Decoder(tuple[str, ...]).decode


class _Page(NamedTuple):
    """Ids with their values, and the id after which there may be more."""

    rows: list[tuple[str, bytes]]
    last: str | None


class _Place(NamedTuple):
    """A bucket and its slices."""

    bucket: int
    slices: list[int]


class Walk:
    """Reads messages of subjects, for one connection."""

    def __init__(self, connection: CassandraConnection) -> None:
        self._connection = connection

    async def named(self, subject: Subject, head: HeadRow, ids: Sequence[str]) -> dict[str, Message]:
        """Those of `ids` that are there, by id."""
        bodies, overlays = await asyncio.gather(
            self.values(subject, head.generation, ids, "messages"), self.overlays(subject, head, ids)
        )
        found = ((id, message_of(body, overlays.get(id))) for id, body in bodies.items())
        return {id: message for id, message in found if message is not None}

    async def facts_named(self, subject: Subject, head: HeadRow, ids: Sequence[str]) -> dict[str, Facts]:
        """The facts of those of `ids` that are there, by id."""
        values, overlays = await asyncio.gather(
            self.values(subject, head.generation, ids, "facts"), self.overlays(subject, head, ids)
        )
        found = ((id, facts_of(value, overlays.get(id))) for id, value in values.items())
        return {id: facts for id, facts in found if facts is not None}

    async def values(
        self, subject: Subject, generation: int, ids: Sequence[str], columns: Columns
    ) -> dict[str, bytes]:
        """Bodies or facts as they are stored, by id."""
        found: dict[str, bytes] = {}
        key = key_of(subject)

        async def ask(bucket: int, slice: int, names: Sequence[str]) -> None:
            rows = await self._connection.rows(f"{columns}_of", *key, generation, bucket, slice, list(names))
            for id, value in rows:
                if value:
                    found.setdefault(id, value)

        async def ask_all(bucket: int, names: Sequence[str]) -> None:
            await asyncio.gather(*(ask(bucket, 0, part) for part in chunks(names, NAMES_AT_ONCE)))
            missing = [id for id in names if id not in found]
            if missing:
                for slice in (await self.slices(subject, generation, bucket))[1:]:
                    await asyncio.gather(
                        *(ask(bucket, slice, part) for part in chunks(missing, NAMES_AT_ONCE))
                    )

        buckets = by_bucket(dict.fromkeys(ids))
        await asyncio.gather(*(ask_all(bucket, names) for bucket, names in buckets.items()))
        return found

    async def overlays(self, subject: Subject, head: HeadRow, ids: Sequence[str]) -> dict[str, bytes]:
        """What commits made of these messages, by id."""
        if not head.overlaid or not ids:
            return {}
        names = [overlay_name(bucket_of_id(id), id) for id in dict.fromkeys(ids)]
        pages = await asyncio.gather(
            *(
                self._connection.rows(
                    "rows_named", *key_of(subject), head.generation, Section.OVERLAY, list(part)
                )
                for part in chunks(names, NAMES_AT_ONCE)
            )
        )
        return {overlay_message(name): value for page in pages for name, _, value in page}

    async def slices(self, subject: Subject, generation: int, bucket: int) -> list[int]:
        """The slices of a bucket; 0 among them even if nothing is there."""
        rows = await self._connection.rows("slices", *key_of(subject), generation, bucket)
        return sorted({0, *(slice for (slice,) in rows)})

    # in order

    async def messages(
        self, subject: Subject, head: HeadRow, query: MessageQuery, start: str | None, size: int
    ) -> AsyncIterator[list[Message]]:
        """Messages that fit, `size` rows at a time, from behind `start` on."""
        async for rows, overlays in self._pages(subject, head, query, start, size, "messages"):
            found = (message_of(body, overlays.get(id)) for id, body in rows)
            yield [m for m in found if m is not None and fits(query, m.session, m.marks)]

    async def facts(
        self, subject: Subject, head: HeadRow, query: MessageQuery, size: int
    ) -> AsyncIterator[list[Facts]]:
        """The same without the texts."""
        async for rows, overlays in self._pages(subject, head, query, None, size, "facts"):
            found = (facts_of(value, overlays.get(id)) for id, value in rows)
            yield [f for f in found if f is not None and fits(query, f.session, f.marks)]

    async def _pages(
        self,
        subject: Subject,
        head: HeadRow,
        query: MessageQuery,
        start: str | None,
        size: int,
        columns: Columns,
    ) -> AsyncIterator[tuple[list[tuple[str, bytes]], dict[str, bytes]]]:
        at = None if start is None else bucket_of_id(start)
        async for buckets in self._registers(subject, head.generation, query, at):
            first, width = 0, 1
            while first < len(buckets):
                window = buckets[first : first + width]
                width = min(width * 2, _BUCKETS_AT_ONCE)
                pages = await asyncio.gather(
                    *(
                        self._page(
                            subject,
                            head.generation,
                            query,
                            place,
                            start if place.bucket == at else None,
                            size,
                            columns,
                        )
                        for place in window
                    )
                )
                first += len(window)
                for number, page in enumerate(pages):
                    if page.rows:
                        yield page.rows, await self.overlays(subject, head, [id for id, _ in page.rows])
                    if page.last is not None:  # more in this bucket: what was read of later ones is too early
                        first = first - len(window) + number
                        at, start, width = window[number].bucket, page.last, 1
                        break

    async def _registers(
        self, subject: Subject, generation: int, query: MessageQuery, at: int | None
    ) -> AsyncIterator[list[_Place]]:
        """The buckets to look into, in order, a page at a time."""
        key = key_of(subject)
        down = query.newest_first
        facet = _facet(query)
        if facet is not None:
            rows = await self._connection.rows("facet_buckets", *key, generation, *facet)
            buckets = sorted((bucket for (bucket,) in rows), reverse=down)
            if at is not None:
                buckets = [bucket for bucket in buckets if (bucket <= at if down else bucket >= at)]
            for part in chunks(buckets, _BUCKETS_AT_ONCE):
                slices = await asyncio.gather(*(self.slices(subject, generation, bucket) for bucket in part))
                yield [_Place(bucket, of) for bucket, of in zip(part, slices, strict=True)]
            return
        statement = "buckets_before" if down else "buckets_after"
        edge = at if at is not None else (NO_BUCKET if down else 0)
        while True:
            rows = await self._connection.rows(statement, *key, generation, edge, _REGISTER_PAGE)
            found: dict[int, list[int]] = {}
            for bucket, slice in rows:
                found.setdefault(bucket, []).append(slice)
            full = len(rows) == _REGISTER_PAGE
            if full and len(found) > 1:  # the last may have more slices: it comes first in the next page
                del found[rows[-1][0]]
                edge = rows[-1][0]
            yield [_Place(bucket, sorted({0, *slices})) for bucket, slices in found.items()]
            if not full or len(found) == 1:
                return

    async def _page(
        self,
        subject: Subject,
        generation: int,
        query: MessageQuery,
        place: _Place,
        start: str | None,
        size: int,
        columns: Columns,
    ) -> _Page:
        """The next `size` rows of a bucket, its slices merged."""
        key, facet = key_of(subject), _facet(query)
        down = query.newest_first
        way = "before" if down else "after"
        edge = start if start is not None else (LAST if down else "")
        bucket, slices = place
        if facet is None:
            parts = await asyncio.gather(
                *(
                    self._connection.rows(f"{columns}_{way}", *key, generation, bucket, slice, edge, size)
                    for slice in slices
                )
            )
        else:
            parts = await asyncio.gather(
                *(
                    self._connection.rows(f"facet_{way}", *key, generation, bucket, slice, *facet, edge, size)
                    for slice in slices
                )
            )
        merged: dict[str, bytes] = {}
        for part in parts:
            for id, value in part:
                # A message that was sent again while another slice began is in both.
                if not merged.get(id):
                    merged[id] = value or GONE
        ordered = sorted(merged, reverse=down)
        more = len(ordered) > size or any(len(part) == size for part in parts)
        ordered = ordered[:size]
        last = ordered[-1] if more else None
        there = [id for id in ordered if merged[id]]
        if facet is not None:
            values = await self.values(subject, generation, there, columns)
            return _Page([(id, values[id]) for id in there if id in values], last)
        return _Page([(id, merged[id]) for id in there], last)


def _facet(query: MessageQuery) -> tuple[Facet, str] | None:
    """The narrowest way to what is asked for."""
    if query.mark is not None:
        return Facet.MARK, query.mark
    return None if query.session is None else (Facet.SESSION, query.session)


def fits(query: MessageQuery, session: str, marks: Sequence[str]) -> bool:
    return (
        query.session in (None, session)
        and (query.mark is None or query.mark in marks)
        and (query.exclude_mark is None or query.exclude_mark not in marks)
    )


def message_of(body: bytes, overlay: bytes | None) -> Message | None:
    """The message as the overlay has it; None when it is deleted."""
    if not body or overlay == GONE:
        return None
    message = codec.decode_message(body)
    return message if overlay is None else msgspec.structs.replace(message, marks=_decode_marks(overlay))


def facts_of(value: bytes, overlay: bytes | None) -> Facts | None:
    if not value or overlay == GONE:
        return None
    facts = _decode_facts(value)
    return facts if overlay is None else msgspec.structs.replace(facts, marks=_decode_marks(overlay))
