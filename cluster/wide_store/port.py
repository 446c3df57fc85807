"""The wide store: the one hard port. What it holds is true; everything else is derived from it.

Shaped for Cassandra (plain idempotent inserts for messages, one conditional batch in one partition for
everything else), so an adapter may not assume that one process owns a subject: two may, and then the
revision in the subject's head decides.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.model import Change, Changes, Claim, Head, Memory, Message, Millis, Run
from memgrid.errors import InvalidInput, MemgridError, PayloadTooLarge
from memgrid.subject import Subject

Vector = NDArray[np.float32]

MAX_COMMIT_ROWS = 200
MAX_COMMIT_BYTES = 512 * 1024
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Of one message as it is stored. Cassandra takes no write larger than half a segment of its commit log."""
MAX_RUN_RECORD_BYTES = 4 * 1024 * 1024


class StaleRevision(MemgridError):
    """The subject's head moved on: nothing was applied. `head` is the one that is stored."""

    code = "conflict"

    def __init__(self, head: Head) -> None:
        super().__init__(f"the subject is at revision {head.revision}", remedy="reload and try again")
        self.head = head


class CommitTooLarge(MemgridError):
    """More than MAX_COMMIT_ROWS rows or MAX_COMMIT_BYTES in one commit: split it."""

    code = "payload_too_large"


class StoredVector(msgspec.Struct, frozen=True, gc=False):
    """An embedding of the text with `content_hash`; kept in half precision (finite, within ±65504)."""

    id: str
    """The memory's or message's id."""
    content_hash: bytes
    vector: Vector


class Loaded(msgspec.Struct, frozen=True):
    """A subject as it is at `head`: everything an owner needs to serve it."""

    head: Head
    memories: Sequence[Memory]
    """All that are not deleted, superseded ones among them."""
    pending: Sequence[Message]
    """Messages in no run, oldest first."""
    parked: Sequence[Run]
    tail: str
    """Where `tail()` goes on from."""


class TailPage(msgspec.Struct, frozen=True):
    """What has been appended since a tail cursor, and the head read with it."""

    head: Head
    messages: Sequence[Message]
    """In the order of their ids; may contain messages that were seen before, never misses one."""
    tail: str


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages of a subject; None means any."""

    session: str | None = None
    mark: str | None = None
    exclude_mark: str | None = None
    newest_first: bool = False


class MessagePageRows(msgspec.Struct, frozen=True):
    messages: Sequence[Message]
    cursor: str | None


class SessionRow(msgspec.Struct, frozen=True):
    session: str
    messages: int
    first_at: Millis
    last_at: Millis
    """The earliest and the latest `event_time`."""


class ApiKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API key: only its hash is stored."""

    id: str
    tenant: str
    role: Literal["admin", "writer", "reader"]
    key_hash: bytes
    """SHA-256 of the key's text."""
    label: str = ""
    created_at: Millis
    revoked_at: Millis | None = None


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided when a store is created, and only then."""

    shards: int
    schema_version: int
    created_at: Millis
    embedding_model: str | None = None
    embedding_dimension: int | None = None


class PlainRow(msgspec.Struct, frozen=True):
    """What `put_row` has put."""

    table: str
    key: str
    value: dict[str, Any]


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a subject's history in another store, to be written here as it was there.

    Pieces come in the order of their revisions. A memory belongs to the piece of its revision's change; a
    run to any. What a change deleted must not be in `put`, unless it came back later.
    """

    head: Head
    """What the head becomes: its revision is that of the last change."""
    changes: tuple[Change, ...]
    """At least one, oldest first."""
    put: tuple[Memory, ...] = ()
    runs: tuple[Run, ...] = ()

    @property
    def forgotten_memories(self) -> tuple[str, ...]:
        """Memories that these changes deleted: a marker is left of each."""
        there = {memory.id for memory in self.put}
        return tuple(
            dict.fromkeys(
                entry.memory_id
                for change in self.changes
                for entry in change.entries
                if entry.event in ("DELETE", "EXPIRE") and entry.memory_id not in there
            )
        )

    @property
    def forgotten_messages(self) -> tuple[str, ...]:
        """Messages that these changes deleted: should they arrive again, they never appear."""
        return tuple(dict.fromkeys(id for change in self.changes for id in change.deleted_messages))

    @property
    def rows(self) -> int:
        """How many rows it writes besides one change row."""
        written = len(self.changes) - 1 + len(self.put) + len(self.runs)
        return written + len(self.forgotten_memories) + len(self.forgotten_messages)


def check_replay(head: Head, replay: Replay) -> None:
    """Raises InvalidInput for a history that does not go on from `head`; CommitTooLarge."""
    revisions = [change.revision for change in replay.changes]
    forward = revisions and all(map(operator.lt, [head.revision, *revisions], revisions))
    if not forward or revisions[-1] != replay.head.revision:
        raise InvalidInput(f"not a history that goes on from revision {head.revision}")
    if replay.head.generation != head.generation and head != Head():
        raise InvalidInput("only a subject that was never written to can change its generation")
    if replay.rows > MAX_COMMIT_ROWS:
        raise CommitTooLarge(f"a replay of {replay.rows} rows; at most {MAX_COMMIT_ROWS} are allowed")


def check_run_record(record: bytes) -> None:
    """Raises PayloadTooLarge above MAX_RUN_RECORD_BYTES."""
    if len(record) > MAX_RUN_RECORD_BYTES:
        raise PayloadTooLarge(
            f"a run record of {len(record)} bytes; at most {MAX_RUN_RECORD_BYTES} are allowed"
        )


class WideStore(Protocol):
    """The system of record. All methods may raise `Unavailable`; all may be called again safely.

    Every read of one subject is of its current generation: what was erased is never returned.
    Cursors are opaque, and stay valid while rows are added or deleted; one that cannot be read is
    InvalidInput. A `limit` is at least 1.
    """

    async def open(self, *, shards: int) -> StoreInfo:
        """Connect, create or migrate the schema, and record `shards` if the store is new.

        Raises InvalidInput when the store was created with another number of shards, or by a newer memgrid.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then disconnect. Calls after it raise Unavailable."""
        ...

    async def info(self) -> StoreInfo:
        """What is recorded of the store now."""
        ...

    async def set_embedding_model(self, model: str, dimension: int) -> StoreInfo:
        """Record the embedding model if none is recorded yet; the stored one is returned."""
        ...

    # messages

    async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
        """Make the messages durable; a message whose id is already there, or was deleted, is left as it is.

        False, with nothing kept, when the subject's generation is no longer `generation`.
        When it returns True the messages survive any process being killed. Also registers the subject
        (`subjects`) and its activity (`active_subjects`, by the writer's clock).
        """
        ...

    async def claim(
        self, subject: Subject, generation: int, claims: Sequence[Claim], now: Millis
    ) -> Sequence[Claim]:
        """For each claim the one that is stored: the given one if it won, else the earlier one.

        An expired claim (`expires_at` <= `now`), or one whose generation is over, is replaced. When
        `generation` itself is over nothing is stored: the append that follows will be refused. Nor when
        one of the claims has another payload than the stored one: there will be no append, and its
        other keys must stay free.
        """
        ...

    async def claims(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Claim], str | None]:
        """The subject's claims, perhaps with some that have expired, and the next cursor."""
        ...

    async def tail(self, subject: Subject, tail: str) -> TailPage:
        """The head, and the messages appended since `tail` (from `load` or an earlier `tail`)."""
        ...

    async def messages(
        self, subject: Subject, query: MessageQuery, *, cursor: str | None = None, limit: int = 100
    ) -> MessagePageRows:
        """A page of messages in the order of their ids (which is the order of arrival)."""
        ...

    async def get_messages(self, subject: Subject, ids: Sequence[str]) -> Sequence[Message]:
        """Those of `ids` that exist, in the order given."""
        ...

    async def count_messages(self, subject: Subject, query: MessageQuery) -> int:
        """How many messages `messages` would give in all."""
        ...

    async def sessions(
        self, subject: Subject, *, cursor: str | None = None, limit: int = 100
    ) -> tuple[Sequence[SessionRow], str | None]:
        """The subject's sessions by name, and the next cursor."""
        ...

    # the subject's row

    async def head(self, subject: Subject) -> Head:
        """The head; a subject never written to has revision 0, generation 0."""
        ...

    async def load(self, subject: Subject) -> Loaded:
        """The subject, read at one revision."""
        ...

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        """Apply `changes` if the stored revision and generation are those of `head`, else nothing.

        Returns the new head (revision + 1). A commit whose `commit_id` has landed before changes
        nothing and returns the revision it led to, with the settings of now (StaleRevision if the subject was
        erased since). Memories in `put` are stored with the new revision. What is both changed and deleted
        is deleted; a message deleted before it arrives never appears. Deleting a memory also removes
        its texts and reasons from earlier change rows, the texts of its own entries, its vectors and its
        way in. Raises StaleRevision, CommitTooLarge; InvalidInput for an erase that comes with other changes.
        """
        ...

    async def replay(self, subject: Subject, head: Head, replay: Replay) -> Head:
        """Write a piece of a history that another store had, as it was: nothing gets a new revision.

        Like `commit` it applies all of it if the stored revision and generation are those of `head`, else
        nothing, is bound by the same limits (settings aside), and when its last change has landed
        before changes nothing. So a copy is resumed at the head's revision. It also registers the subject
        and its activity. The generation is set by the first piece: a subject without changes has none to
        lose but messages, and with those it is StaleRevision. Raises StaleRevision, CommitTooLarge;
        InvalidInput for a history that does not go on from `head`.
        """
        ...

    async def changes(self, subject: Subject, after: int, limit: int = 1000) -> Sequence[Change]:
        """Change rows with a revision above `after`, oldest first."""
        ...

    async def memory_history(self, subject: Subject, memory_id: str, *, limit: int = 100) -> Sequence[Change]:
        """The newest `limit` change rows that touch the memory, oldest first, each cut down to that
        memory's entries."""
        ...

    async def runs(
        self,
        subject: Subject,
        *,
        status: Literal["done", "parked"] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> tuple[Sequence[Run], str | None]:
        """Extraction runs, newest first (by their ids), and the next cursor."""
        ...

    async def get_run(self, subject: Subject, run_id: str) -> Run | None:
        """One run."""
        ...

    async def runs_of(self, subject: Subject, message_ids: Sequence[str]) -> Sequence[Run]:
        """The runs that have any of these messages among their inputs."""
        ...

    # run records: plain, idempotent, written before the commit that settles the run

    async def put_run_record(self, subject: Subject, generation: int, run_id: str, record: bytes) -> None:
        """Keep what a run did in detail (opaque here); again for the same run replaces it.

        One whose run is never committed, or of an old generation, is an orphan that no read returns. It
        rests on the run's `input_ids` and `memory_ids`: a commit that deletes one of those removes it.
        Raises PayloadTooLarge above MAX_RUN_RECORD_BYTES.
        """
        ...

    async def run_record(self, subject: Subject, run_id: str) -> bytes | None:
        """The record of a run that is there; None without one, or when anything it rests on is deleted,
        even if it was put (again) after that."""
        ...

    # vectors: plain, idempotent, written before they are needed

    async def put_vectors(
        self,
        subject: Subject,
        generation: int,
        kind: Literal["memory", "message"],
        model: str,
        vectors: Sequence[StoredVector],
    ) -> None:
        """Keep embeddings. One for a memory or message that is gone, or of an old generation, is an orphan
        that no read returns."""
        ...

    async def memory_vectors(self, subject: Subject, model: str) -> Sequence[StoredVector]:
        """The embeddings of the subject's memories; at most one an id, the newest."""
        ...

    async def message_vectors(
        self, subject: Subject, model: str, ids: Sequence[str]
    ) -> Sequence[StoredVector]:
        """The embeddings of those of these messages that have one."""
        ...

    async def recent_messages(
        self, subject: Subject, model: str, *, before: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Message, StoredVector | None]], str | None]:
        """Messages newest first with their embeddings, and the cursor for the next older page."""
        ...

    # ways in

    async def resolve_memory(self, tenant: str, memory_id: str) -> Subject | None:
        """Whose memory this is, within the tenant."""
        ...

    async def resolve_run(self, tenant: str, run_id: str) -> Subject | None:
        """Whose extraction run this is, within the tenant."""
        ...

    async def subjects(
        self,
        *,
        tenant: str | None = None,
        shard: int | None = None,
        cursor: str | None = None,
        limit: int = 1000,
    ) -> tuple[Sequence[Subject], str | None]:
        """Subjects that were ever written to and are not erased, by key, and the next cursor."""
        ...

    async def scope(
        self, tenant: str, label: str, label_id: str, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Subject, str]], str | None]:
        """(subject, memory id) of memories that carry this label, and the next cursor."""
        ...

    async def active_subjects(
        self, shard: int, *, since: Millis, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[Subject], str | None]:
        """Subjects of the shard with appends in the hour of `since` or later."""
        ...

    async def swept_through(self, shard: int) -> Millis:
        """Up to when every active subject of the shard is known to have nothing pending."""
        ...

    async def set_swept_through(self, shard: int, through: Millis) -> None:
        """Move the mark; never back."""
        ...

    # tenant rows

    async def api_keys(self, tenant: str | None = None) -> Sequence[ApiKeyRow]:
        """All API keys, revoked ones among them."""
        ...

    async def api_key_by_hash(self, key_hash: bytes) -> ApiKeyRow | None:
        """The key with this hash, revoked or not."""
        ...

    async def put_api_key(self, row: ApiKeyRow) -> None:
        """Create or replace a key."""
        ...

    async def get_row(self, table: str, key: str) -> dict[str, Any] | None:
        """A small plain row (statistics, indexing hints, import progress) by table name and key."""
        ...

    async def put_row(self, table: str, key: str, value: dict[str, Any]) -> None:
        """Create or replace a small plain row: last writer wins."""
        ...

    async def delete_row(self, table: str, key: str) -> None:
        """Remove a small plain row; one that is not there is no error."""
        ...

    async def rows(
        self, table: str | None = None, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[PlainRow], str | None]:
        """The plain rows of one table, or of all, and the next cursor."""
        ...

    async def ping(self) -> None:
        """A cheap round trip. Raises Unavailable."""
        ...
