"""Heads, the generation that every read and write needs, and rows that need to be written only once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from cluster.model import Head
from cluster.wide_store import codec
from cluster.wide_store.cassandra_connection import CassandraConnection, Row, Statement
from cluster.wide_store.cassandra_layout import Recent, key_of
from memgrid.subject import Subject

_REMEMBERED_SUBJECTS = 100_000
_REMEMBERED_ROWS = 400_000


class HeadRow(NamedTuple):
    """The static columns of a subject's partition."""

    revision: int = 0
    generation: int = 0
    began: int = 0
    """The revision at which the generation began."""
    settings: bytes = b""
    overlaid: bool = False
    """A commit has marked or deleted messages in this generation."""
    unsettled: int = 0
    """The revision of the last commit that took a message out of a run."""

    def head(self) -> Head:
        settings = codec.decode_dict(self.settings) if self.settings else {}
        return Head(revision=self.revision, generation=self.generation, settings=settings)


def head_row(row: Row | None) -> HeadRow:
    if row is None:
        return HeadRow()
    revision, generation, began, settings, overlaid, unsettled = row
    return HeadRow(
        revision or 0, generation or 0, began or 0, settings or b"", bool(overlaid), unsettled or 0
    )


class Heads:
    """Reads heads, and remembers the highest generation seen of each subject: it never goes back."""

    def __init__(self, connection: CassandraConnection) -> None:
        self._connection = connection
        self._generations: Recent[Subject, int] = Recent(_REMEMBERED_SUBJECTS)

    async def read(self, subject: Subject, *, serial: bool = False) -> HeadRow:
        """As it is. `serial` first finishes a commit that is under way, on a quorum of the replicas."""
        head = head_row(await self._connection.row("head", *key_of(subject), serial=serial))
        self.seen(subject, head.generation)
        return head

    def seen(self, subject: Subject, generation: int) -> None:
        known = self._generations.get(subject)
        if known is None or known < generation:
            self._generations.put(subject, generation)

    def known(self, subject: Subject) -> int | None:
        """The highest generation seen; None when the subject is not remembered."""
        return self._generations.get(subject)


class OnceWritten:
    """Registers: rows whose values are their keys. Each is written once by a process, as a rule."""

    def __init__(self, connection: CassandraConnection) -> None:
        self._connection = connection
        self._written: Recent[Statement, bool] = Recent(_REMEMBERED_ROWS)

    async def write(self, rows: Iterable[Statement]) -> None:
        """Those that this process has not written before, at the same time."""
        missing = self.missing(rows)
        if missing:
            await asyncio.gather(*(self._connection.run(name, *values) for name, values in missing))
            for row in missing:
                self._written.put(row, True)

    def missing(self, rows: Iterable[Statement]) -> list[Statement]:
        """Those that this process has not written, or not lately."""
        return [row for row in dict.fromkeys(rows) if self._written.get(row) is None]

    def forget(self, rows: Iterable[Statement]) -> None:
        """They were removed."""
        for row in rows:
            self._written.drop(row)
