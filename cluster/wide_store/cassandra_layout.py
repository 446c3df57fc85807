"""Where things are in Cassandra: buckets, sections, the names of rows, and what a process remembers of them.

A subject's decisive rows are one partition of `subject_rows`, clustered by generation, section and name; the
sections are numbered so that what an activation needs is one contiguous slice. Its messages are in one
partition of `messages` for each UTC day that their ids were minted on (sliced above SLICE_MESSAGES), together
with the log of their arrival and what they are found by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, Generic, TypeVar

import msgspec
import uuid_utils

from cluster.model import DAY_MS, Millis
from memgrid.subject import Subject

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
PackedId = bytes | str
"""The sixteen bytes of a UUIDv7, or the text of any other id."""

SLICE_MESSAGES = 50_000
"""Messages after which a writer begins another slice of a bucket: some 60 MB, and never a wide partition."""
REGISTRY_SLICES = 16
"""Partitions over which one label's memories, and one tenant's subjects, are spread."""
CLAIM_SLICES = 16
CLOSE_AFTER_MS = DAY_MS + 26 * 3_600_000
"""From a day's start: nobody can append to its arrivals any more."""
NO_BUCKET = 99_999_999
LAST = "\U0010ffff"
"""Sorts behind every name."""
GONE = b""
"""The value of a row that was deleted. A marker, for a row tombstone would slow every later read down."""
HERE = b"1"


class Section(IntEnum):
    """Of `subject_rows`. An activation reads INPUT (from a bucket on) through OVERLAY (back to it)."""

    INPUT = 1
    """The messages that a run settles, by bucket and run."""
    MEMORY = 2
    PARKED = 3
    """Runs that are parked, whole; GONE when they no longer are."""
    OVERLAY = 4
    """What commits made of messages: GONE, or their marks. Newest bucket first."""
    CHANGE = 5
    """Change rows by revision, without texts."""
    TEXT = 6
    """The entries of changes by memory and revision, with texts: a deleted memory's are one range."""
    HISTORY = 7
    """The revisions that touched a memory before it was deleted."""
    COMMIT = 8
    """Commit ids, and the revisions they led to."""
    RUN = 9


class Facet(IntEnum):
    """Sections of `messages`."""

    MESSAGE = 0
    ARRIVAL = 1
    """What appends brought, by writer and number: in the slice 0 of the day on which they were made."""
    SESSION = 2
    MARK = 3
    RUN_OF = 4
    """(message, run): written before the run is committed, so only a run that is there counts."""


def canonical(id: str) -> uuid_utils.UUID | None:
    """The UUIDv7 that `id` is the usual text of, or None."""
    try:
        value = uuid_utils.UUID(id)
    except ValueError:
        return None
    return value if value.version == 7 and str(value) == id else None


def bucket_of_id(id: str) -> int:
    """The UTC day on which `id` was minted; 0 for one that is no UUIDv7."""
    value = canonical(id)
    return 0 if value is None else (value.int >> 80) // DAY_MS


def day_of(at: Millis) -> int:
    return at // DAY_MS


def by_bucket(ids: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for id in ids:
        found.setdefault(bucket_of_id(id), []).append(id)
    return found


_decode_packed: Callable[[bytes], list[PackedId]] = msgspec.msgpack.Decoder(list[Any]).decode


def pack_ids(ids: Iterable[str]) -> bytes:
    """Ids in as few bytes as can be: 18 for a UUIDv7."""
    return msgspec.msgpack.encode([value.bytes if (value := canonical(id)) else id for id in ids])


def packed_ids(blob: bytes) -> list[PackedId]:
    """What `pack_ids` has packed, to be compared: a day may have more of them than one wants to unpack."""
    return _decode_packed(blob)


def unpacked(id: PackedId) -> str:
    return id if isinstance(id, str) else str(uuid_utils.UUID(bytes=id))


def bucket_of_packed(id: PackedId) -> int:
    """`bucket_of_id` of a packed id."""
    return 0 if isinstance(id, str) else int.from_bytes(id[:6], "big") // DAY_MS


def input_name(bucket: int, run_id: str = "") -> str:
    return f"{bucket:08d}/{run_id}"


def overlay_name(bucket: int, message_id: str = "") -> str:
    return f"{NO_BUCKET - bucket:08d}/{message_id}"


def overlay_message(name: str) -> str:
    return name[9:]


def key_of(subject: Subject) -> tuple[str, str, str]:
    return (subject.tenant, subject.kind, subject.id)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Recent(Generic[K, V]):
    """The values last used, up to `limit` of them: what need not be written or asked again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        self._values.pop(key, None)
