"""The rows of one subject out of an archive, checked, and ready to be read more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, cast

from cluster.archive.lines import Digest, SubjectRow, decode, line_of, row_hash, split_line
from cluster.archive.reading import ArchiveReader, Line
from cluster.ids import Clock
from cluster.model import Claim
from memgrid.subject import Subject

SPOOL_BYTES = 4 * 1024 * 1024
"""Of a subject's lines in memory; more go to a temporary file."""


class SubjectLines:
    """A subject's rows, in the order of the archive. Close it."""

    def __init__(self, spool: IO[bytes], head: SubjectRow, digest: Digest) -> None:
        self._spool = spool
        self.head = head
        self.digest = digest

    @property
    def subject(self) -> Subject:
        return self.head.subject

    def __iter__(self) -> Iterator[Line]:
        """All rows but the head."""
        self._spool.seek(0)
        for raw in self._spool:
            what, payload = split_line(raw)
            yield Line(what, payload, decode(what, payload), row_hash(payload))

    def close(self) -> None:
        self._spool.close()


def parts_of(reader: ArchiveReader) -> Iterator[SubjectLines | Line]:
    """What the archive holds: subjects, each when its digest was found to be right, then the other rows."""
    spool: IO[bytes] | None = None
    head: SubjectRow | None = None
    try:
        for line in reader:
            if line.what == "subject":
                spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - given away
                head = cast(SubjectRow, line.row)
            elif spool is None or head is None:
                yield line
            elif line.what == "digest":
                whole = SubjectLines(spool, head, cast(Digest, line.row))
                spool = None
                yield whole
            else:
                spool.write(line_of(line.what, line.payload))
    finally:
        if spool is not None:
            spool.close()


def is_over(row: object, clock: Clock) -> bool:
    """Whether it is a claim that has expired meanwhile: nobody misses it."""
    return isinstance(row, Claim) and row.expires_at is not None and row.expires_at <= clock()
