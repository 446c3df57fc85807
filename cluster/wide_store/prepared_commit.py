"""A commit or a replay, checked and encoded before it is applied: the same for every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cluster.model import Change, ChangeEntry, Changes, Head, Memory, Run
from cluster.wide_store import codec
from cluster.wide_store.port import (
    MAX_COMMIT_BYTES,
    MAX_COMMIT_ROWS,
    CommitTooLarge,
    Replay,
    check_replay,
)
from memgrid.errors import InvalidInput


class PreparedCommit(NamedTuple):
    """A commit checked and encoded before it is applied, so that its transaction is short."""

    expected: Head
    changes: Changes
    memories: Sequence[tuple[Memory, bytes]]
    runs: Sequence[tuple[Run, bytes]]
    change: Change
    body: bytes
    size: int


def prepare_commit(head: Head, changes: Changes) -> PreparedCommit:
    """Raises CommitTooLarge, and InvalidInput for an erase that is given anything else."""
    if changes.erase and (changes.rows or changes.entries or changes.settings is not None):
        raise InvalidInput("an erase takes no other changes with it")
    if changes.rows > MAX_COMMIT_ROWS:
        raise CommitTooLarge(f"a commit of {changes.rows} rows; at most {MAX_COMMIT_ROWS} are allowed")
    revision = head.revision + 1
    memories = [
        (memory, codec.encode(msgspec.structs.replace(memory, revision=revision))) for memory in changes.put
    ]
    runs = [(run, codec.encode(run)) for run in changes.runs]
    change = Change(
        revision=revision,
        commit_id=changes.commit_id,
        at=changes.at,
        actor=changes.actor,
        run_id=changes.run_id,
        entries=tuple(
            without_texts(entry, reason=entry.reason) if entry.memory_id in changes.delete else entry
            for entry in changes.entries
        ),
        input_ids=tuple(dict.fromkeys(id for run in changes.runs for id in run.input_ids)),
        deleted_messages=changes.delete_messages,
        marked_messages=tuple(changes.mark_messages),
    )
    body = codec.encode(change)
    plain = codec.encode((dict(changes.mark_messages), changes.delete_messages, changes.settings))
    blobs = [body, plain, *(body for _, body in memories), *(body for _, body in runs)]
    size = sum(map(len, blobs))
    if size > MAX_COMMIT_BYTES:
        raise CommitTooLarge(f"a commit of {size} bytes; at most {MAX_COMMIT_BYTES} are allowed")
    return PreparedCommit(head, changes, memories, runs, change, body, size)


def without_texts(entry: ChangeEntry, *, reason: str | None) -> ChangeEntry:
    return msgspec.structs.replace(entry, old_text=None, new_text=None, reason=reason)


class PreparedReplay(NamedTuple):
    """A replay checked and encoded before it is applied."""

    expected: Head
    replay: Replay
    memories: Sequence[tuple[Memory, bytes]]
    runs: Sequence[tuple[Run, bytes]]
    changes: Sequence[tuple[Change, bytes]]
    size: int


def prepare_replay(head: Head, given: Replay) -> PreparedReplay:
    """Raises what `check_replay` raises, and CommitTooLarge."""
    check_replay(head, given)
    memories = [(memory, codec.encode(memory)) for memory in given.put]
    runs = [(run, codec.encode(run)) for run in given.runs]
    changes = [(change, codec.encode(change)) for change in given.changes]
    size = sum(len(body) for encoded in (memories, runs, changes) for _, body in encoded)
    if size > MAX_COMMIT_BYTES:
        raise CommitTooLarge(f"a replay of {size} bytes; at most {MAX_COMMIT_BYTES} are allowed")
    return PreparedReplay(head, given, memories, runs, changes, size)
