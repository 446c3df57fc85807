"""Reading an archive, and refusing one that is cut off or was altered."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from cluster.archive.lines import (
    ARCHIVE,
    MAX_LINE_BYTES,
    OF_SUBJECT,
    BadLine,
    Digest,
    End,
    Header,
    SubjectRow,
    Tally,
    as_header,
    decode,
    encode,
    row_hash,
    shown,
    split_line,
)
from memgrid.archives import is_gzip
from memgrid.errors import InvalidInput
from memgrid.subject import Subject


class DamagedArchive(InvalidInput):
    """The file is not what an export wrote: nothing of the subject that it names was taken from it."""

    def __init__(self, line: int, why: str, subject: Subject | None) -> None:
        where = "" if subject is None else f", {shown(subject)}"
        super().__init__(
            f"the archive is damaged at line {line}{where}: {why}",
            field="FILE",
            remedy="copy the file again, or export again",
        )
        self.subject = subject


class Line(NamedTuple):
    """A row, or the digest that ends a subject's rows."""

    what: str
    payload: bytes
    row: object
    """The payload, decoded."""
    hashed: int
    """The payload's `row_hash`; 0 for a digest."""


class ArchiveReader:
    """One reading of an archive, from its beginning to its end.

    Every line is checked as it comes: a subject's rows against its digest line, all bytes against the last
    line. What is wrong raises DamagedArchive. `header` is there when it is made, `end` after the last line.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._file: BinaryIO = (
            cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb")) if is_gzip(stream) else stream
        )
        self._line = 0
        self._sha256 = hashlib.sha256()
        self._subject: Subject | None = None
        self._seen: set[Subject] = set()
        self._total = Tally()
        self.end: End
        what, _, row = self._next()
        if what != ARCHIVE:
            raise self._damaged("it does not begin with a header")
        self.header: Header = as_header(row)

    def __iter__(self) -> Iterator[Line]:
        """All rows in order, and a digest after each subject's."""
        tally = Tally()
        order = 0
        while True:
            before = self._sha256.hexdigest()
            what, payload, row = self._next()
            if what == "subject":
                if self._subject is not None:
                    raise self._damaged("its digest is missing")
                self._subject = cast(SubjectRow, row).subject
                if self._subject in self._seen or self._total.counts.keys() & {"api_key", "row"}:
                    raise self._damaged("it comes twice, or too late")
                self._seen.add(self._subject)
                tally, order = Tally(), 0
            elif what == "digest":
                self._close(tally, cast(Digest, row))
                yield Line(what, payload, row, 0)
                self._subject = None
                continue
            elif what == "end":
                self._finish(cast(End, row), before)
                return
            elif what == ARCHIVE:
                raise self._damaged("a second header")
            if (what in OF_SUBJECT) != (self._subject is not None):
                raise self._damaged(f"a {what} out of place")
            if self._subject is not None:
                if OF_SUBJECT.index(what) < order:
                    raise self._damaged(f"a {what} out of place")
                order = OF_SUBJECT.index(what)
            hashed = row_hash(payload)
            tally.add(what, hashed)
            self._total.add(what, hashed)
            yield Line(what, payload, row, hashed)

    def _close(self, tally: Tally, digest: Digest) -> None:
        if self._subject is None:
            raise self._damaged("a digest of no subject")
        expected = tally.digest(self._subject)
        for what in OF_SUBJECT:
            there, said = (each.counts.get(what, 0) for each in (expected, digest))
            if there != said:
                raise self._damaged(f"{there} rows of the kind {what}, where its digest says {said}")
            if expected.hashes.get(what) != digest.hashes.get(what):
                raise self._damaged(f"its {what} rows are not those that were written")
        if encode(expected) != encode(digest):
            raise self._damaged("its digest is of something else")

    def _finish(self, end: End, sha256: str) -> None:
        if self._subject is not None:
            raise self._damaged("its digest is missing")
        said = (end.subjects, end.counts, end.sha256)
        if said != (len(self._seen), self._total.counts, sha256):
            raise self._damaged("the last line does not fit what is before it: lines are missing or altered")
        if self._read():
            raise self._damaged("something follows the last line")
        self.end = end

    def _next(self) -> tuple[str, bytes, object]:
        raw = self._read()
        self._line += 1
        if not raw:
            raise self._damaged("it ends too early")
        try:
            what, payload = split_line(raw)
            row = decode(what, payload)
        except BadLine as error:
            raise self._damaged(str(error)) from error
        self._sha256.update(raw)
        return what, payload, row

    def _read(self) -> bytes:
        try:
            return self._file.readline(MAX_LINE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged("the compressed file is cut off or altered") from error

    def _damaged(self, why: str) -> DamagedArchive:
        return DamagedArchive(self._line, why, self._subject)


def check_archive(stream: BinaryIO) -> tuple[Header, End]:
    """Read all of it. Raises DamagedArchive."""
    reader = ArchiveReader(stream)
    for _ in reader:
        pass
    return reader.header, reader.end
