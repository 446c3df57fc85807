"""What the writer thread does: each function runs inside one savepoint of one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from cluster.model import Change, Claim, Head, Memory, Message, Millis, Run
from cluster.wide_store import codec
from cluster.wide_store.port import (
    StaleRevision,
    StoreInfo,
)
from cluster.wide_store.prepared_commit import PreparedCommit, PreparedReplay, without_texts
from cluster.wide_store.sqlite_database import rows, statements
from memgrid.subject import Subject

PURGE_ROWS = 2000
"""Rows of an erased generation that one transaction removes: some ten milliseconds."""
EXPIRED_CLAIMS_DROPPED = 16

_BY_ROWID = ("messages", "changes", "runs", "run_records", "claims", "vectors")
_BY_KEY = {
    "pending": "subject, generation, id",
    "message_marks": "subject, generation, mark, id",
    "memories": "subject, generation, id",
    "scopes": "tenant, label, label_id, subject, generation, memory_id",
    "touches": "subject, generation, memory_id, revision",
    "run_inputs": "subject, generation, message_id, run_id",
}


class Place(NamedTuple):
    """A subject and the shard it hashes to."""

    subject: Subject
    shard: int


class _HeadRow(NamedTuple):
    subject: int
    revision: int
    generation: int
    settings: bytes
    listed: int
    active_hour: int

    def head(self) -> Head:
        return Head(
            revision=self.revision, generation=self.generation, settings=codec.decode_dict(self.settings)
        )

    def where(self, **more: Any) -> dict[str, Any]:
        """The parameters that every row of the subject's current generation is found by."""
        return {"subject": self.subject, "generation": self.generation, **more}


def _head_row(connection: sqlite3.Connection, place: Place) -> _HeadRow:
    """The subject's head; created, at revision 0 and not listed, when there is none."""
    sql = statements()
    key = {"key": place.subject.key}
    found = rows(connection, sql["head_row"], key)
    if not found:
        connection.execute(
            sql["create_head"],
            {**key, "tenant": place.subject.tenant, "shard": place.shard, "settings": codec.encode({})},
        )
        found = rows(connection, sql["head_row"], key)
    return _HeadRow(*found[0])


# --- messages, claims, vectors ------------------------------------------------------------------


def append(
    connection: sqlite3.Connection,
    place: Place,
    generation: int,
    messages: Sequence[tuple[Message, bytes]],
    hour: int,
) -> bool:
    sql = statements()
    head = _head_row(connection, place)
    if head.generation != generation:
        return False
    if not head.listed or head.active_hour < hour:
        connection.execute(sql["list_head"], {"subject": head.subject, "hour": hour})
    for message, body in messages:
        row = head.where(id=message.id, session=message.session, event_time=message.event_time, body=body)
        if connection.execute(sql["append_message"], row).rowcount:
            connection.execute(sql["add_pending"], row)
            _add_marks(connection, head, message.id, message.marks)
    return True


def claim(
    connection: sqlite3.Connection, place: Place, generation: int, claims: Sequence[Claim], now: Millis
) -> list[Claim]:
    sql = statements()
    connection.execute(sql["drop_expired_claims"], {"now": now, "limit": EXPIRED_CLAIMS_DROPPED})
    head = _head_row(connection, place)
    answer: list[Claim] = []
    fresh: dict[tuple[str, str], Claim] = {}
    for given in claims:
        stored = rows(connection, sql["claim"], head.where(kind=given.kind, claim_key=given.key))
        if stored and (stored[0][0] is None or stored[0][0] > now):
            answer.append(codec.decode_claim(stored[0][1]))
        else:
            answer.append(fresh.setdefault((given.kind, given.key), given))
    refused = any(kept.payload_hash != given.payload_hash for kept, given in zip(answer, claims, strict=True))
    if head.generation == generation and not refused:  # else the append that follows is, or there is none
        for given in fresh.values():
            row = head.where(kind=given.kind, claim_key=given.key)
            connection.execute(
                sql["put_claim"], {**row, "expires_at": given.expires_at, "body": codec.encode(given)}
            )
    return answer


def put_vectors(
    connection: sqlite3.Connection,
    place: Place,
    generation: int,
    kind: Literal["memory", "message"],
    vectors: Sequence[dict[str, Any]],
) -> None:
    head = _head_row(connection, place)
    if head.generation != generation:
        return
    statement = statements()["put_memory_vector" if kind == "memory" else "put_message_vector"]
    connection.executemany(statement, [head.where(**vector) for vector in vectors])


def put_run_record(
    connection: sqlite3.Connection, place: Place, generation: int, run_id: str, record: bytes
) -> None:
    head = _head_row(connection, place)
    if head.generation == generation:
        connection.execute(statements()["put_run_record"], head.where(id=run_id, body=record))


# --- commit -------------------------------------------------------------------------------------


def commit(connection: sqlite3.Connection, place: Place, prepared: PreparedCommit) -> Head:
    sql = statements()
    head = _head_row(connection, place)
    changes = prepared.changes
    landed = rows(connection, sql["landed"], head.where(commit_id=changes.commit_id))
    if landed:
        return msgspec.structs.replace(head.head(), revision=landed[0][0])
    expected = prepared.expected
    if (head.revision, head.generation) != (expected.revision, expected.generation):
        raise StaleRevision(head.head())
    moved = head._replace(revision=head.revision + 1)
    if changes.erase:
        moved = moved._replace(generation=head.generation + 1, settings=codec.encode({}))
        connection.execute(sql["erase_head"], moved._asdict())
        connection.execute(sql["dig_grave"], head.where())
        purge(connection)
    else:
        if changes.settings is not None:
            moved = moved._replace(settings=codec.encode(changes.settings))
        connection.execute(sql["move_head"], moved._asdict())
        for memory, body in prepared.memories:
            _put_memory(connection, head, place.subject.tenant, memory, body)
        for memory_id in changes.delete:
            _forget_memory(connection, head, memory_id)
        for run, body in prepared.runs:
            _put_run(connection, head, run, body)
        _mark_messages(connection, head, changes.mark_messages)
        for message_id in changes.delete_messages:
            _forget_message(connection, head, message_id)
        if changes.delete or changes.delete_messages:
            # Nobody knows what one without a run rests on.
            connection.execute(sql["forget_orphan_records"], head.where())
    _add_change(connection, moved, prepared.change, prepared.body)
    return moved.head()


def replay(connection: sqlite3.Connection, place: Place, prepared: PreparedReplay, hour: int) -> Head:
    sql = statements()
    head = _head_row(connection, place)
    given, expected = prepared.replay, prepared.expected
    last = given.changes[-1]
    landed = rows(connection, sql["landed"], head.where(commit_id=last.commit_id))
    if landed:
        return msgspec.structs.replace(head.head(), revision=landed[0][0])
    if (head.revision, head.generation) != (expected.revision, expected.generation):
        raise StaleRevision(head.head())
    if given.head.generation != head.generation:
        if rows(connection, sql["has_messages"], head.where()):
            raise StaleRevision(head.head())
        connection.execute(sql["dig_grave"], head.where())
    moved = head._replace(
        revision=given.head.revision,
        generation=given.head.generation,
        settings=codec.encode(given.head.settings),
    )
    connection.execute(sql["replay_head"], {**moved._asdict(), "hour": hour})
    for memory_id in given.forgotten_memories:
        connection.execute(sql["forget_memory"], moved.where(id=memory_id))
    for message_id in given.forgotten_messages:
        _forget_message(connection, moved, message_id)
    for memory, body in prepared.memories:
        _put_memory(connection, moved, place.subject.tenant, memory, body)
    for run, body in prepared.runs:
        _put_run(connection, moved, run, body)
    for change, body in prepared.changes:
        _add_change(connection, moved, change, body)
    return moved.head()


def _add_change(connection: sqlite3.Connection, head: _HeadRow, change: Change, body: bytes) -> None:
    sql = statements()
    row = head.where(revision=change.revision, commit_id=change.commit_id, body=body)
    connection.execute(sql["add_change"], row)
    for entry in change.entries:
        touch = head.where(memory_id=entry.memory_id, revision=change.revision)
        connection.execute(sql["add_touch"], touch)


def _put_memory(
    connection: sqlite3.Connection, head: _HeadRow, tenant: str, memory: Memory, body: bytes
) -> None:
    sql = statements()
    connection.execute(sql["put_memory"], head.where(id=memory.id, body=body))
    row = head.where(memory_id=memory.id)
    connection.execute(sql["remove_scopes"], row)
    connection.executemany(
        sql["add_scope"],
        [
            {**row, "tenant": tenant, "label": label, "label_id": label_id}
            for label, label_id in memory.labels.items()
        ],
    )


def _forget_memory(connection: sqlite3.Connection, head: _HeadRow, memory_id: str) -> None:
    sql = statements()
    connection.execute(sql["forget_memory"], head.where(id=memory_id))
    connection.execute(sql["remove_vectors"], head.where(kind="memory", id=memory_id))
    row = head.where(memory_id=memory_id)
    connection.execute(sql["remove_scopes"], row)
    for change_row, stored in rows(connection, sql["touching_changes"], row):
        change = codec.decode_change(stored)
        if change.run_id is not None:
            connection.execute(sql["forget_run_record"], head.where(id=change.run_id))
        scrubbed = tuple(
            without_texts(entry, reason=None) if entry.memory_id == memory_id else entry
            for entry in change.entries
        )
        body = codec.encode(msgspec.structs.replace(change, entries=scrubbed))
        connection.execute(sql["update_change"], {"row": change_row, "body": body})


def _put_run(connection: sqlite3.Connection, head: _HeadRow, run: Run, body: bytes) -> None:
    sql = statements()
    replaced = rows(connection, sql["run_row"], head.where(id=run.id))
    dropped = set(codec.decode_run(replaced[0][0]).input_ids) - set(run.input_ids) if replaced else set[str]()
    connection.execute(sql["put_run"], head.where(id=run.id, status=run.status, body=body))
    for message_id in run.input_ids:
        connection.execute(sql["add_run_input"], head.where(message_id=message_id, run_id=run.id))
        connection.execute(sql["settle_pending"], head.where(id=message_id))
    for message_id in dropped:
        connection.execute(sql["remove_run_input"], head.where(message_id=message_id, run_id=run.id))
        if rows(connection, sql["live_message"], head.where(id=message_id)):
            connection.execute(sql["add_pending"], head.where(id=message_id))


def _mark_messages(
    connection: sqlite3.Connection, head: _HeadRow, marked: Mapping[str, tuple[str, ...]]
) -> None:
    sql = statements()
    for message_id, marks in marked.items():
        found = rows(connection, sql["live_message"], head.where(id=message_id))
        if not found:
            continue
        message = codec.decode_message(found[0][0])
        _remove_marks(connection, head, message)
        body = codec.encode(msgspec.structs.replace(message, marks=marks))
        connection.execute(sql["update_message"], head.where(id=message_id, body=body))
        _add_marks(connection, head, message_id, marks)


def _forget_message(connection: sqlite3.Connection, head: _HeadRow, message_id: str) -> None:
    sql = statements()
    found = rows(connection, sql["live_message"], head.where(id=message_id))
    if found:
        _remove_marks(connection, head, codec.decode_message(found[0][0]))
    connection.execute(sql["forget_message"], head.where(id=message_id))
    connection.execute(sql["settle_pending"], head.where(id=message_id))
    connection.execute(sql["forget_records_of_message"], head.where(id=message_id))
    connection.execute(sql["remove_vectors"], head.where(kind="message", id=message_id))


def _add_marks(connection: sqlite3.Connection, head: _HeadRow, message_id: str, marks: Sequence[str]) -> None:
    for mark in marks:
        connection.execute(statements()["add_mark"], head.where(id=message_id, mark=mark))


def _remove_marks(connection: sqlite3.Connection, head: _HeadRow, message: Message) -> None:
    for mark in message.marks:
        connection.execute(statements()["remove_mark"], head.where(id=message.id, mark=mark))


def purge(connection: sqlite3.Connection, limit: int = PURGE_ROWS) -> bool:
    """Remove up to `limit` rows of an erased generation. False when nothing is left to remove."""
    sql = statements()
    graves = rows(connection, sql["graves"], {})
    if not graves:
        return False
    grave = {"subject": graves[0][0], "generation": graves[0][1]}
    for table in _BY_ROWID:
        limit -= connection.execute(sql["purge"].format(table=table), {**grave, "limit": limit}).rowcount
        if limit <= 0:
            return True
    for table, columns in _BY_KEY.items():
        names = {"table": table, "columns": columns}
        found = rows(connection, sql["purgeable"].format(**names), {**grave, "limit": limit})
        values = ", ".join("?" * len(columns.split(", ")))
        connection.executemany(sql["purge_keyed"].format(**names, values=values), found)
        limit -= len(found)
        if limit <= 0:
            return True
    connection.execute(sql["close_grave"], grave)
    return bool(rows(connection, sql["graves"], {}))


# --- meta rows ----------------------------------------------------------------------------------


def read_or_create_info(
    connection: sqlite3.Connection, *, shards: int, files: int, now: Millis
) -> tuple[int, StoreInfo]:
    """The number of files and the rest of what was decided at creation, which may be now."""
    sql = statements()
    found = rows(connection, sql["info"], {})
    if found:
        return found[0][0], codec.decode_info(found[0][1])
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    info = StoreInfo(shards=shards, schema_version=version, created_at=now)
    connection.execute(sql["create_info"], {"files": files, "body": codec.encode(info)})
    return files, info


def set_embedding_model(connection: sqlite3.Connection, model: str, dimension: int) -> StoreInfo:
    sql = statements()
    info = codec.decode_info(rows(connection, sql["info"], {})[0][1])
    if info.embedding_model is None:
        info = msgspec.structs.replace(info, embedding_model=model, embedding_dimension=dimension)
        connection.execute(sql["update_info"], {"body": codec.encode(info)})
    return info


def run(connection: sqlite3.Connection, statement: str, parameters: Mapping[str, Any]) -> None:
    """One named statement."""
    connection.execute(statements()[statement], parameters)
