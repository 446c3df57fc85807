"""The domain's words as types: message, memory, run, change, head.

Times are integer milliseconds since the epoch, UTC (`Millis`). Ids are UUIDv7 as 36-character text.
These structs are also the stored form: the wide store keeps each as one opaque MessagePack value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from memgrid.models import ChangeEvent, MemoryKind, SourceType

Millis = int
Labels = dict[str, str]
"""`user`, `agent`, `app`, `run` → id: everyone named with the data, the subject's own among them; and the
`group`, where one was named."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def bucket_of(message_id_ms: Millis) -> int:
    """The UTC day a message belongs to, from the time its id was minted (never from `event_time`)."""
    return message_id_ms // DAY_MS


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One chat turn, kept word for word."""

    id: str
    session: str
    role: str
    content: str
    name: str | None = None
    client_id: str | None = None
    event_time: Millis
    created_at: Millis
    """When the server minted the id: decides the bucket."""
    tokens: int
    infer: bool = True
    transient: bool = False
    """Forgotten as soon as it has been extracted."""
    marks: tuple[str, ...] = ()
    labels: Labels = {}
    metadata: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    """Keys of the client's message that memgrid does not know, and non-text content parts."""

    @property
    def bucket(self) -> int:
        return bucket_of(self.created_at)


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit of knowledge. `revision` is the subject's revision that last changed it."""

    id: str
    kind: MemoryKind
    text: str
    topic: str | None = None
    subtopic: str | None = None
    profile_type: str | None = None
    tags: tuple[str, ...] = ()
    category: str | None = None
    attributes: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    labels: Labels = {}
    session: str | None = None
    sources: tuple[str, ...] = ()
    """Ids of the messages it rests on."""
    source_type: SourceType = "conversation"
    confidence: float = 1.0
    language: str | None = None
    created_at: Millis
    updated_at: Millis
    event_time: Millis | None = None
    valid_from: Millis | None = None
    valid_to: Millis | None = None
    expires_at: Millis | None = None
    immutable: bool = False
    """Neither extraction nor a caller may change it."""
    pinned: bool = False
    """Never dropped by a cap, the time to live or a clean-up."""
    links: tuple[str, ...] = ()
    superseded_by: str | None = None
    revision: int = 0

    def is_current(self, now: Millis) -> bool:
        """Neither superseded nor expired nor past its validity."""
        return (
            self.superseded_by is None
            and (self.expires_at is None or self.expires_at > now)
            and (self.valid_to is None or self.valid_to > now)
        )


class ChangeEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one commit did to one memory. Texts are None once the memory is deleted."""

    memory_id: str
    event: ChangeEvent
    old_text: str | None = None
    new_text: str | None = None
    reason: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The row that every commit writes: history, outbox and proof in one, keyed by its revision."""

    revision: int
    commit_id: str
    at: Millis
    actor: str
    run_id: str | None = None
    entries: tuple[ChangeEntry, ...] = ()
    input_ids: tuple[str, ...] = ()
    deleted_messages: tuple[str, ...] = ()
    marked_messages: tuple[str, ...] = ()


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What work on a run has taken."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    calls: int = 0
    dropped: int = 0
    duration_ms: int = 0

    def __add__(self, other: Spent) -> Spent:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Spent(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=sum(costs) if costs else None,
            calls=self.calls + other.calls,
            dropped=self.dropped + other.dropped,
            duration_ms=self.duration_ms + other.duration_ms,
        )


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One extraction run: which messages went in, what came out, what it cost."""

    id: str
    status: Literal["done", "parked"]
    input_ids: tuple[str, ...]
    """The messages it settles: they are no longer pending."""
    buckets: tuple[int, ...]
    """The buckets of those messages."""
    memory_ids: tuple[str, ...] = ()
    extractor: str = "rules"
    prompt_version: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 1
    cost: float | None = None
    """Of all its calls, by the prices of then; None where the model has none."""
    calls: int = 0
    """Calls of a model, over all attempts that this owner has seen."""
    dropped: int = 0
    """Claims that were not believed."""
    duration_ms: int = 0
    """Of all attempts that this owner has seen."""
    error: str | None = None
    created_at: Millis
    driven: Spent = Spent()
    """What driving it again has taken since it was parked, beside the above. Each drive is counted on its day
    by a run of its own, which says what it `drives`."""
    drives: str | None = None
    """The run that this is an account of: of driving it again when it was parked, or of a run that came to
    nothing. It has no messages or memories of its own."""

    @property
    def spent(self) -> Spent:
        """What it has taken, the drives left out."""
        return Spent(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=self.cost,
            calls=self.calls,
            dropped=self.dropped,
            duration_ms=self.duration_ms,
        )


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subject's decisive row. It is never deleted, never expires, never goes back."""

    revision: int = 0
    generation: int = 0
    settings: dict[str, Any] = {}
    """Per-subject settings, for example the buffer policy."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What one `commit` applies: all of it, or nothing.

    `put` are whole memories (new or changed), `delete` ids of memories, `runs` the extraction runs
    that this commit settles (a run with the id of a parked one replaces it), `mark_messages` the new
    marks of messages, `delete_messages` ids. `settings` replaces the head's when it is not None.
    `erase` forgets the whole subject: generation + 1, and nothing else may be given with it.
    """

    commit_id: str
    at: Millis
    actor: str
    put: tuple[Memory, ...] = ()
    delete: tuple[str, ...] = ()
    entries: tuple[ChangeEntry, ...] = ()
    runs: tuple[Run, ...] = ()
    run_id: str | None = None
    mark_messages: Mapping[str, tuple[str, ...]] = {}
    delete_messages: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None
    erase: bool = False

    @property
    def rows(self) -> int:
        """How many rows the commit writes besides its change row."""
        return (
            len(self.put)
            + len(self.delete)
            + len(self.runs)
            + len(self.mark_messages)
            + len(self.delete_messages)
        )


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client's key, bound for good to the server's ids and the payload it came with."""

    kind: Literal["request", "message"]
    key: str
    """The idempotency key, or session + NUL + the client's message id."""
    payload_hash: bytes
    message_ids: tuple[str, ...]
    expires_at: Millis | None = None
