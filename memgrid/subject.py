"""Whose memory it is, and which shard that makes responsible."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple, get_args

SubjectKind = Literal["user", "agent", "app", "run"]
SUBJECT_KINDS: tuple[SubjectKind, ...] = get_args(SubjectKind)

DEFAULT_TENANT = "default"
RAY_NAMESPACE = "memgrid"


class Subject(NamedTuple):
    """`(tenant, kind, id)`: the owner of a buffer, of messages and of memories."""

    tenant: str
    kind: SubjectKind
    id: str

    @property
    def key(self) -> bytes:
        """The subject as one byte string in which no two subjects look alike (length-prefixed)."""
        parts = (part.encode() for part in self)
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def subject_from_key(key: bytes) -> Subject:
    """The inverse of `Subject.key`. Raises ValueError on anything that is not such a key."""
    parts: list[str] = []
    at = 0
    while at < len(key):
        size = int.from_bytes(key[at : at + 4], "big")
        part = key[at + 4 : at + 4 + size]
        if len(part) != size:
            raise ValueError("truncated subject key")
        parts.append(part.decode())
        at += 4 + size
    if len(parts) != 3 or parts[1] not in SUBJECT_KINDS:
        raise ValueError("not a subject key")
    return Subject(parts[0], parts[1], parts[2])  # pyright: ignore[reportArgumentType]


def shard_of(subject: Subject, shards: int) -> int:
    """The shard in `range(shards)` that `subject` hashes to: BLAKE2b of its key, never `hash()`."""
    digest = hashlib.blake2b(subject.key, digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def actor_name(actor: int) -> str:
    """The Ray name of shard actor number `actor` (it owns the shards with `shard % actors == actor`)."""
    return f"memgrid-shard-actor-{actor}"
