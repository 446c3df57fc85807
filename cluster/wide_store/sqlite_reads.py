"""What is read of one subject: each function runs on one connection. Those that run more than one statement
need a snapshot (`Database.read`); the others are right wherever they run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from cluster.model import Change, Head, Message, Run
from cluster.wide_store import codec
from cluster.wide_store.port import (
    Loaded,
    MessagePageRows,
    MessageQuery,
    SessionRow,
    StoredVector,
    TailPage,
)
from cluster.wide_store.sqlite_database import Row, rows, statements
from memgrid.subject import Subject, subject_from_key

LAST = "\U0010ffff"
"""Sorts behind every id."""


def head(connection: sqlite3.Connection, subject: Subject) -> Head:
    found = rows(connection, statements()["head"], {"key": subject.key})
    return _head(found[0]) if found else Head()


def _head(row: Row) -> Head:
    return Head(revision=row[0], generation=row[1], settings=codec.decode_dict(row[2]))


def tail_rows(connection: sqlite3.Connection, subject: Subject, after: int, limit: int) -> list[Row]:
    """The head joined with up to `limit` messages (all when it is negative), in the order of arrival."""
    return rows(connection, statements()["tail"], {"key": subject.key, "after": after, "limit": limit})


def tail_page(found: list[Row], after: int) -> TailPage:
    if not found:
        return TailPage(head=Head(), messages=(), tail=str(after))
    messages = [codec.decode_message(row[4]) for row in found if row[3] is not None]
    messages.sort(key=lambda message: message.id)
    return TailPage(head=_head(found[0]), messages=messages, tail=str(found[-1][3] or after))


def load(connection: sqlite3.Connection, subject: Subject) -> Loaded:
    sql = statements()
    key = {"key": subject.key}
    arrived = rows(connection, sql["last_arrival"], key)[0][0]
    return Loaded(
        head=head(connection, subject),
        memories=[codec.decode_memory(body) for (body,) in rows(connection, sql["memories"], key)],
        pending=[codec.decode_message(body) for (body,) in rows(connection, sql["pending_messages"], key)],
        parked=_runs(
            rows(
                connection,
                sql["runs_with_status"],
                {**key, "status": "parked", "cursor": LAST, "limit": -1},
            )
        ),
        tail=str(arrived),
    )


def get_messages(connection: sqlite3.Connection, subject: Subject, ids: Sequence[str]) -> list[Message]:
    statement = statements()["message"]
    key = subject.key
    found = (rows(connection, statement, {"key": key, "id": id}) for id in ids)
    return [codec.decode_message(row[0][0]) for row in found if row]


def messages(
    connection: sqlite3.Connection, subject: Subject, query: MessageQuery, cursor: str | None, limit: int
) -> MessagePageRows:
    order, compare, start = ("DESC", "<", LAST) if query.newest_first else ("ASC", ">", "")
    statement = statements()[_for_query("messages", query)].format(order=order, compare=compare)
    parameters = _query_parameters(subject, query) | {"cursor": cursor or start, "limit": limit + 1}
    found, following = _page(rows(connection, statement, parameters), limit)
    return MessagePageRows(messages=[codec.decode_message(row[1]) for row in found], cursor=following)


def count_messages(connection: sqlite3.Connection, subject: Subject, query: MessageQuery) -> int:
    statement = statements()[_for_query("count_messages", query)]
    return rows(connection, statement, _query_parameters(subject, query))[0][0]


def _for_query(statement: str, query: MessageQuery) -> str:
    """The statement that walks the narrowest index."""
    if query.mark is not None:
        return f"{statement}_with_mark"
    return f"{statement}_of_session" if query.session is not None else statement


def _query_parameters(subject: Subject, query: MessageQuery) -> dict[str, Any]:
    return {
        "key": subject.key,
        "session": query.session,
        "mark": query.mark,
        "exclude": query.exclude_mark,
    }


def _page(found: list[Row], limit: int) -> tuple[list[Row], str | None]:
    """The page itself, and the cursor (its last id) when there is more."""
    return found[:limit], found[limit - 1][0] if len(found) > limit else None


def recent_messages(
    connection: sqlite3.Connection, subject: Subject, model: str, before: str | None, limit: int
) -> tuple[list[tuple[Message, StoredVector | None]], str | None]:
    found, following = _page(
        rows(
            connection,
            statements()["recent_messages"],
            {"key": subject.key, "model": model, "cursor": before or LAST, "limit": limit + 1},
        ),
        limit,
    )
    answer = [
        (codec.decode_message(body), None if vector is None else _vector((id, content_hash, vector)))
        for id, body, content_hash, vector in found
    ]
    return answer, following


def memory_vectors(connection: sqlite3.Connection, subject: Subject, model: str) -> list[StoredVector]:
    found = rows(connection, statements()["memory_vectors"], {"key": subject.key, "model": model})
    return [_vector(row) for row in found]


def message_vectors(
    connection: sqlite3.Connection, subject: Subject, model: str, ids: Sequence[str]
) -> list[StoredVector]:
    statement = statements()["message_vector"]
    key = subject.key
    found = (rows(connection, statement, {"key": key, "model": model, "id": id}) for id in ids)
    return [_vector(row[0]) for row in found if row]


def _vector(row: Row) -> StoredVector:
    return StoredVector(row[0], row[1], codec.vector_from_bytes(row[2]))


def sessions(
    connection: sqlite3.Connection, subject: Subject, cursor: str | None, limit: int
) -> tuple[list[SessionRow], str | None]:
    parameters = {"key": subject.key, "cursor": cursor or "", "limit": limit + 1}
    found, following = _page(rows(connection, statements()["sessions"], parameters), limit)
    return [SessionRow(*row) for row in found], following


def changes(connection: sqlite3.Connection, subject: Subject, after: int, limit: int) -> list[Change]:
    parameters = {"key": subject.key, "after": after, "limit": limit}
    return [codec.decode_change(body) for (body,) in rows(connection, statements()["changes"], parameters)]


def memory_history(
    connection: sqlite3.Connection, subject: Subject, memory_id: str, limit: int
) -> list[Change]:
    parameters = {"key": subject.key, "memory_id": memory_id, "limit": limit}
    newest_first = rows(connection, statements()["memory_history"], parameters)
    return [_cut_down(codec.decode_change(body), memory_id) for (body,) in reversed(newest_first)]


def claims(connection: sqlite3.Connection, subject: Subject, after: tuple[str, str], limit: int) -> list[Row]:
    """Kind, key and body of each."""
    kind, key = after
    parameters = {"key": subject.key, "kind": kind, "claim_key": key, "limit": limit}
    return rows(connection, statements()["claims"], parameters)


def _cut_down(change: Change, memory_id: str) -> Change:
    entries = tuple(entry for entry in change.entries if entry.memory_id == memory_id)
    return msgspec.structs.replace(change, entries=entries)


def runs(
    connection: sqlite3.Connection,
    subject: Subject,
    status: Literal["done", "parked"] | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Run], str | None]:
    statement = statements()["runs" if status is None else "runs_with_status"]
    parameters = {"key": subject.key, "status": status, "cursor": cursor or LAST, "limit": limit + 1}
    found, following = _page(rows(connection, statement, parameters), limit)
    return _runs(found), following


def _runs(found: list[Row]) -> list[Run]:
    return [codec.decode_run(body) for _, body in found]


def get_run(connection: sqlite3.Connection, subject: Subject, run_id: str) -> Run | None:
    found = rows(connection, statements()["run"], {"key": subject.key, "id": run_id})
    return codec.decode_run(found[0][0]) if found else None


def run_record(connection: sqlite3.Connection, subject: Subject, run_id: str) -> bytes | None:
    sql = statements()
    key = subject.key
    found = rows(connection, sql["run_record"], {"key": key, "id": run_id})
    if not found:
        return None
    record, run = found[0][0], codec.decode_run(found[0][1])
    for statement, ids in (
        (sql["message_is_forgotten"], run.input_ids),
        (sql["memory_is_forgotten"], run.memory_ids),
    ):
        if any(rows(connection, statement, {"key": key, "id": id}) for id in ids):
            return None
    return record


def runs_of(connection: sqlite3.Connection, subject: Subject, message_ids: Sequence[str]) -> list[Run]:
    statement = statements()["runs_of_message"]
    key = subject.key
    bodies: dict[str, bytes] = {}
    for message_id in message_ids:
        bodies.update(rows(connection, statement, {"key": key, "message_id": message_id}))
    return [codec.decode_run(bodies[id]) for id in sorted(bodies)]


def keys(found: list[Row]) -> list[Subject]:
    """The subjects whose keys are in the first column."""
    return [subject_from_key(row[0]) for row in found]
