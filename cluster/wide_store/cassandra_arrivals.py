"""The log of what arrived: what is pending is found in it, and what a reader has not seen yet.

Each process numbers its appends to a subject, and names itself in the subject's register for the day. So a
reader that has seen a writer's appends up to a number asks for those that follow, and for writers that it
does not know; no clock says what it may have missed. A number that is left out is an append that is under
way, or was never acknowledged: it is waited for until the same writer has appended something so much later
that it cannot be acknowledged any more.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from cluster.ids import Clock
from cluster.model import Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_connection import CassandraConnection, Row, Statement
from cluster.wide_store.cassandra_layout import (
    Facet,
    PackedId,
    Recent,
    chunks,
    day_of,
    key_of,
    pack_ids,
    packed_ids,
)
from memgrid.subject import Subject

START = "0"
"""The tail cursor before everything."""
ACK_WITHIN_MS = 60_000
"""An append that takes longer, by its writer's clock, begins anew under another number."""
_GIVE_UP_MS = 2 * ACK_WITHIN_MS
_LATE_MS = 11 * 60_000
"""How long after midnight a day is looked into: two clocks, each up to five minutes off, and an append."""
_ARRIVED_AT_ONCE = 10_000
_REMEMBERED_WRITERS = 100_000
_SKIPPED_WRITERS = 16
"""Each that is skipped is one more read of the day; beyond so many, all of the day is read."""


class Arrival(NamedTuple):
    """One append, or a part of one."""

    writer: str
    number: int
    at: Millis
    ids: bytes
    """Packed."""


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """Of one writer: everything below `below`, and some ranges (ends included) beyond."""

    below: int = 0
    beyond: tuple[tuple[int, int], ...] = ()

    def __contains__(self, number: int) -> bool:
        return number < self.below or any(first <= number <= last for first, last in self.beyond)


class _Tail(msgspec.Struct, frozen=True, array_like=True):
    """From which day on registers are read, and what was seen of each writer."""

    day: int
    writers: dict[str, _Seen]


class Day(NamedTuple):
    """What arrived on one day, as far as it was read."""

    number: int
    below: Mapping[str, int]
    """By writer: what it appended below this number is settled, and was not read."""
    arrivals: Sequence[Arrival]

    @property
    def ids(self) -> set[PackedId]:
        return {id for arrival in self.arrivals for id in packed_ids(arrival.ids)}

    def settled(self, unsettled: Set[PackedId]) -> dict[str, int]:
        """`below` as it is when all but `unsettled` is settled."""
        by_writer: dict[str, list[Arrival]] = {}
        for arrival in self.arrivals:
            by_writer.setdefault(arrival.writer, []).append(arrival)
        found = dict(self.below)
        for writer, arrivals in by_writer.items():
            below = self.below.get(writer, 0)
            newest = max(arrival.at for arrival in arrivals)
            for arrival in sorted(arrivals, key=lambda arrival: arrival.number):
                may_follow = arrival.number != below and newest - arrival.at <= _GIVE_UP_MS
                if may_follow or not unsettled.isdisjoint(packed_ids(arrival.ids)):
                    break
                below = arrival.number + 1
            if below:
                found[writer] = below
        return found


class News(NamedTuple):
    """What a reader finds behind its cursor."""

    before: _Tail
    found: dict[str, list[Arrival]]
    """By writer: of each all from the first on that the reader has not seen."""

    @property
    def ids(self) -> set[PackedId]:
        """Those that the reader has not seen."""
        return {
            id
            for writer, arrivals in self.found.items()
            for arrival in arrivals
            if arrival.number not in self.before.writers[writer]
            for id in packed_ids(arrival.ids)
        }

    def cursor(self, missing: Set[PackedId]) -> str:
        """The cursor behind them. `missing` could not be read yet: another replica has them."""
        seen = {
            writer: _after(self.before.writers[writer].below, arrivals, missing)
            for writer, arrivals in self.found.items()
        }
        return codec.cursor_to_text(_Tail(self.before.day, seen))


@dataclass
class _Writer:
    """This process as a writer of one subject."""

    name: str
    next: int = 0
    last_at: Millis = 0


class Arrivals:
    """Writes and reads the log, for one connection."""

    def __init__(self, connection: CassandraConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._process = secrets.token_hex(6)
        self._names = itertools.count()
        self._writers: Recent[tuple[Subject, int], _Writer] = Recent(_REMEMBERED_WRITERS)

    def rows(
        self, subject: Subject, generation: int, at: Millis, ids: Sequence[str]
    ) -> tuple[list[Statement], list[Statement]]:
        """What to write for an append that begins at `at`: the log's rows, and those of registers."""
        writer = self._writers.get((subject, generation))
        if writer is None:
            writer = _Writer(f"{self._process}{next(self._names):x}")
            self._writers.put((subject, generation), writer)
        writer.last_at = max(writer.last_at, at)
        place, day = (*key_of(subject), generation), day_of(at)
        rows: list[Statement] = []
        for part in list(chunks(ids, _ARRIVED_AT_ONCE)) or [[]]:
            name = _name(writer.name, writer.next)
            rows.append(("put_arrival", (*place, day, name, codec.encode(writer.last_at), pack_ids(part))))
            writer.next += 1
        register = (*place, Facet.ARRIVAL, f"{day:08d}/{writer.name}", day)
        return rows, [("put_facet_bucket", register), ("put_bucket", (*place, day, 0))]

    async def any(self, subject: Subject, generation: int) -> bool:
        """Whether anything was ever appended in this generation."""
        place = (*key_of(subject), generation, Facet.ARRIVAL)
        return await self._connection.row("first_facets", *place, 1) is not None

    async def of_day(
        self, subject: Subject, generation: int, day: int, below: Mapping[str, int]
    ) -> list[Arrival]:
        """What arrived on that day, without each writer's numbers below the one given for it."""
        place = (*key_of(subject), generation, day)
        if not 0 < len(below) <= _SKIPPED_WRITERS:
            pages = [await self._connection.rows("arrivals", *place)]
        else:
            writers = sorted(below)
            starts = ["", *(_name(writer, below[writer]) for writer in writers)]
            ends = [*(f"{writer}/" for writer in writers), "~"]
            pages = await asyncio.gather(
                *(
                    self._connection.rows("arrivals_of", *place, start, end)
                    for start, end in zip(starts, ends, strict=True)
                )
            )
        found = (arrival for page in pages for arrival in _arrivals(page))
        return [arrival for arrival in found if arrival.number >= below.get(arrival.writer, 0)]

    # what follows

    def position(self, days: Iterable[Day], missing: Set[PackedId], at: Millis) -> str:
        """The cursor of who has seen all that arrived on these days, but for `missing`, read at `at`."""
        first = day_of(at - _LATE_MS)
        found: dict[str, list[Arrival]] = {}
        below: dict[str, int] = {}
        for day in days:
            if day.number >= first:
                for arrival in day.arrivals:
                    found.setdefault(arrival.writer, []).append(arrival)
                for writer in day.below.keys() | {arrival.writer for arrival in day.arrivals}:
                    number = day.below.get(writer, 0)
                    below[writer] = min(below.get(writer, number), number)
        seen = {writer: _after(number, found.get(writer, ()), missing) for writer, number in below.items()}
        return codec.cursor_to_text(_Tail(first, seen))

    async def since(self, subject: Subject, generation: int, tail: str) -> News:
        """What arrived since `tail`. Raises InvalidInput."""
        cursor = _Tail(0, {}) if tail == START else codec.cursor_from_text(tail, _Tail)
        at = self._clock()
        place = (*key_of(subject), generation)
        likely = [(writer, day_of(at)) for writer in cursor.writers]
        register, *pages = await asyncio.gather(
            self._connection.rows("facets_from", *place, Facet.ARRIVAL, f"{cursor.day:08d}/"),
            *(self._of_writer(place, day, writer, cursor) for writer, day in likely),
        )
        listed = [(name.partition("/")[2], day) for name, day in register]
        other = [each for each in listed if each not in likely]
        pages += await asyncio.gather(*(self._of_writer(place, day, writer, cursor) for writer, day in other))
        found: dict[str, list[Arrival]] = {writer: [] for writer, _ in listed}
        for arrival in itertools.chain.from_iterable(_arrivals(page) for page in pages):
            found.setdefault(arrival.writer, []).append(arrival)
        day = max(cursor.day, day_of(at - _LATE_MS))
        return News(_Tail(day, {writer: cursor.writers.get(writer, _Seen()) for writer in found}), found)

    async def _of_writer(self, place: tuple[object, ...], day: int, writer: str, cursor: _Tail) -> list[Row]:
        below = cursor.writers.get(writer, _Seen()).below
        return await self._connection.rows("arrivals_of", *place, day, _name(writer, below), f"{writer}/~")


def _name(writer: str, number: int) -> str:
    return f"{writer}/{number:012d}"


def _arrivals(rows: Iterable[Row]) -> list[Arrival]:
    found: list[Arrival] = []
    for name, at, ids in rows:
        writer, _, number = name.partition("/")
        found.append(Arrival(writer, int(number), codec.decode_millis(at), ids))
    return found


def _after(below: int, arrivals: Iterable[Arrival], missing: Set[PackedId] = frozenset()) -> _Seen:
    """What was seen of a writer of whose arrivals from `below` on these are all that there are."""
    ordered = sorted(arrivals, key=lambda arrival: arrival.number)
    newest = max((arrival.at for arrival in ordered), default=0)
    beyond: list[tuple[int, int]] = []
    for arrival in ordered:
        number, too_old = arrival.number, newest - arrival.at > _GIVE_UP_MS
        if missing and not too_old and not missing.isdisjoint(packed_ids(arrival.ids)):
            continue
        if not beyond and (number == below or too_old):
            below = number + 1
        elif beyond and beyond[-1][1] == number - 1:
            beyond[-1] = (beyond[-1][0], number)
        else:
            beyond.append((number, number))
    return _Seen(below, tuple(beyond))
