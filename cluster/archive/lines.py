"""The lines of an archive: one JSON object each, with one key that says what it is.

    {"memgrid_archive": …}    the header
    {"subject": …}            whose rows follow, with its head
    {"memory": …} {"run": …} {"change": …} {"run_record": …} {"message": …} {"claim": …} {"vector": …}
    {"digest": …}             of the subject: how many rows of each kind, and their hash
    {"api_key": …} {"row": …} after the last subject
    {"end": …}                how much there is of everything, and the hash of every byte before

`docs/export-format.md` says it to people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import msgspec

from cluster.model import Change, Claim, Memory, Message, Run
from cluster.wide_store.port import ApiKeyRow, PlainRow
from memgrid.archives import ARCHIVE
from memgrid.errors import InvalidInput
from memgrid.subject import Subject, SubjectKind

VERSION = 1
MAX_LINE_BYTES = 64 * 1024 * 1024
_HASH_BYTES = 16


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A subject by name."""

    tenant: str
    kind: SubjectKind
    id: str

    @property
    def subject(self) -> Subject:
        return Subject(self.tenant, self.kind, self.id)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive is, and of what."""

    version: int
    memgrid: str
    """The version that wrote it."""
    created_at: str
    tenant: str | None
    """Everything of this tenant; None: of all."""
    subject: Named | None
    """Everything of this subject; None: of all."""
    vectors: bool
    embedding_model: str | None
    embedding_dimension: int | None
    shards: int
    counts: dict[str, int]
    """Subjects, API keys and plain rows, as they were when the export began."""


class SubjectRow(Named, frozen=True, kw_only=True):
    """The head of a subject."""

    revision: int
    generation: int
    settings: dict[str, Any]


class RunRecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did in detail."""

    run: str
    record: bytes


class VectorRow(msgspec.Struct, frozen=True, kw_only=True):
    """An embedding: little-endian float16."""

    of: Literal["memory", "message"]
    id: str
    model: str
    content_hash: bytes
    vector: bytes


class Digest(Named, frozen=True, kw_only=True):
    """The rows of a subject, counted and hashed by kind."""

    counts: dict[str, int]
    hashes: dict[str, str]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last line."""

    subjects: int
    counts: dict[str, int]
    """Rows of each kind, over all subjects."""
    sha256: str
    """Of all bytes of the uncompressed file before this line."""


ROWS: Mapping[str, type[msgspec.Struct]] = {
    "subject": SubjectRow,
    "memory": Memory,
    "run": Run,
    "change": Change,
    "run_record": RunRecordRow,
    "message": Message,
    "claim": Claim,
    "vector": VectorRow,
    "api_key": ApiKeyRow,
    "row": PlainRow,
}
"""What is counted and hashed. Those of a subject come in this order."""
OF_SUBJECT = ("subject", "memory", "run", "change", "run_record", "message", "claim", "vector")

encode = msgspec.json.Encoder().encode
_DECODERS: dict[str, Callable[[bytes], object]] = {
    name: msgspec.json.Decoder(type_).decode
    for name, type_ in {**ROWS, ARCHIVE: Header, "digest": Digest, "end": End}.items()
}
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class BadLine(Exception):
    """The line is not one of an archive; the text says why."""


def line_of(what: str, payload: bytes) -> bytes:
    """The payload as a line."""
    return b'{"' + what.encode() + b'":' + payload + b"}\n"


def split_line(line: bytes) -> tuple[str, bytes]:
    """What the line is, and its payload as it was written. Raises BadLine."""
    if not line.endswith(b"\n"):
        raise BadLine("the line is cut off" if len(line) < MAX_LINE_BYTES else "the line is too long")
    try:
        ((what, payload),) = _split(line).items()
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadLine("the line is not an object with one key") from error
    if what not in _DECODERS:
        raise BadLine(f"{what!r} is nothing that an archive of version {VERSION} has")
    return what, bytes(payload)


def decode(what: str, payload: bytes) -> object:
    """The row, header, digest or end. Raises BadLine, also for fields that would not be kept."""
    try:
        row = _DECODERS[what](payload)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadLine(f"not a {what}: {error}") from error
    if what in ROWS and encode(row) != payload:
        raise BadLine(f"this {what} has fields that this version of memgrid would not keep as they are")
    return row


def row_hash(payload: bytes) -> int:
    """BLAKE2b of the row's JSON, as a number."""
    return int.from_bytes(hashlib.blake2b(payload, digest_size=_HASH_BYTES).digest(), "big")


class Tally:
    """Rows by kind, counted and hashed. A kind's hash is the sum of its rows': order does not count."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._sums: dict[str, int] = {}

    def add(self, what: str, hashed: int) -> None:
        """One row of this kind, with its `row_hash`."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self._sums[what] = (self._sums.get(what, 0) + hashed) % (1 << 8 * _HASH_BYTES)

    def include(self, other: Tally) -> None:
        """Add what another tally has counted."""
        for what, count in other.counts.items():
            self.counts[what] = self.counts.get(what, 0) + count

    @property
    def hashes(self) -> dict[str, str]:
        return {what: f"{total:0{2 * _HASH_BYTES}x}" for what, total in self._sums.items()}

    def digest(self, subject: Subject) -> Digest:
        return Digest(
            tenant=subject.tenant,
            kind=subject.kind,
            id=subject.id,
            counts=dict(self.counts),
            hashes=self.hashes,
        )


def shown(subject: Subject) -> str:
    """The subject as people read it."""
    return f"{subject.kind} {subject.id!r} of tenant {subject.tenant!r}"


def as_header(row: object) -> Header:
    """The header, if this version can read the archive. Raises InvalidInput."""
    header = cast(Header, row)
    if header.version != VERSION:
        raise InvalidInput(
            f"the archive has version {header.version}, and this memgrid reads version {VERSION}",
            field="FILE",
            remedy=f"import it with memgrid {header.memgrid} or later",
        )
    return header
