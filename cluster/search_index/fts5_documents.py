"""What is done inside one index file: put, delete, search, on an open connection.

Text goes through `cluster.analysis` and reaches FTS5 as terms separated by spaces. Beside the terms each
document has scope tokens, hashes that stand for its subject, its labels, its session and its kind: so
one MATCH narrows and ranks, and vectors are compared within the same scope. Nothing of a user's text or
ids is ever read as FTS5 syntax: every token of a MATCH is quoted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster.analysis import search_terms, tokens
from cluster.search_index.indexed import (
    MAX_INDEXED_CHARACTERS,
    MAX_QUERY_TERMS,
    label_token,
    scope_token,
    tenant_token,
    unit_vector,
)
from cluster.search_index.port import Filling, IndexDocument, IndexedKind, IndexQuery
from memgrid.subject import Subject

MAX_VECTORS: Final = 50_000
"""Vectors compared in one file for one query: those of the documents written last."""

_HALF: Final = np.dtype("<f2")


class PreparedDocument(NamedTuple):
    """A document ready to be stored."""

    id: str
    kind: IndexedKind
    generation: int
    version: int
    terms: str
    scope: str
    vector: bytes | None


class Found(NamedTuple):
    subject: bytes
    id: str
    kind: IndexedKind
    text_score: float | None
    vector_score: float | None


# --- writing ----------------------------------------------------------------------------------


def prepare(subject: Subject, document: IndexDocument) -> PreparedDocument:
    """Analyse a document. Raises ValueError on a vector with NaN or infinity."""
    labels = document.labels | {subject.kind: subject.id}
    scope = [
        scope_token("subject", *subject),
        scope_token("kind", document.kind),
        tenant_token(subject.tenant),
        *(label_token(subject.tenant, kind, value) for kind, value in labels.items()),
    ]
    if document.session is not None:
        scope.append(scope_token("session", document.session))
    return PreparedDocument(
        document.id,
        document.kind,
        document.generation,
        document.version,
        " ".join(tokens(document.text[:MAX_INDEXED_CHARACTERS])),
        " ".join(scope),
        None if document.vector is None else _pack(document.vector),
    )


def put(connection: sqlite3.Connection, subject: Subject, documents: Sequence[PreparedDocument]) -> None:
    """Add or replace documents, except those older than what is known of them."""
    owner, floor = _subject(connection, subject)
    for document in documents:
        if document.generation < floor:
            continue
        stored = connection.execute(
            "SELECT no, kind, generation, version FROM documents WHERE subject = ? AND id = ?",
            (owner, document.id),
        ).fetchone()
        if stored is None:
            _insert(connection, owner, document)
            continue
        number, kind, *known = stored
        age = (document.generation, document.version)
        # at the same version a deletion stands, and a vector may still arrive
        if age < tuple(known) or (kind is None and age == tuple(known)):
            continue
        _replace(connection, number, document, keep_vector=age == tuple(known))


def delete(
    connection: sqlite3.Connection, subject: Subject, generation: int, ids: Sequence[tuple[str, int]]
) -> None:
    """Remove documents up to the given versions, and keep late puts of those versions out."""
    owner, floor = _subject(connection, subject)
    if generation < floor:
        return
    for document_id, version in ids:
        stored = connection.execute(
            "SELECT no, generation, version FROM documents WHERE subject = ? AND id = ?", (owner, document_id)
        ).fetchone()
        if stored is None:
            connection.execute(
                "INSERT INTO documents (subject, id, generation, version) VALUES (?, ?, ?, ?)",
                (owner, document_id, generation, version),
            )
        elif (stored[1], stored[2]) <= (generation, version):
            _clear(connection, stored[0])
            connection.execute(
                "UPDATE documents SET kind = NULL, generation = ?, version = ? WHERE no = ?",
                (generation, version, stored[0]),
            )


def delete_subject(connection: sqlite3.Connection, subject: Subject, generation: int) -> None:
    """Remove what has a lower generation, and keep late puts of it out."""
    owner, floor = _subject(connection, subject)
    if generation <= floor:
        return
    connection.execute("UPDATE subjects SET floor = ? WHERE no = ?", (generation, owner))
    old = (owner, generation)
    connection.execute(
        "DELETE FROM words WHERE rowid IN (SELECT no FROM documents WHERE subject = ? AND generation < ?)",
        old,
    )
    connection.execute(
        """
        DELETE FROM vectors
        WHERE document IN (SELECT no FROM documents WHERE subject = ? AND generation < ?)
        """,
        old,
    )
    connection.execute("DELETE FROM documents WHERE subject = ? AND generation < ?", old)


def _subject(connection: sqlite3.Connection, subject: Subject) -> tuple[int, int]:
    """The subject's number, and the generation below which nothing is taken in."""
    row = connection.execute("SELECT no, floor FROM subjects WHERE key = ?", (subject.key,)).fetchone()
    if row is not None:
        return row
    cursor = connection.execute("INSERT INTO subjects (key, floor) VALUES (?, 0)", (subject.key,))
    assert cursor.lastrowid is not None  # noqa: S101
    return cursor.lastrowid, 0


def _insert(connection: sqlite3.Connection, owner: int, document: PreparedDocument) -> None:
    cursor = connection.execute(
        "INSERT INTO documents (subject, id, kind, generation, version) VALUES (?, ?, ?, ?, ?)",
        (owner, document.id, document.kind, document.generation, document.version),
    )
    assert cursor.lastrowid is not None  # noqa: S101
    _fill(connection, cursor.lastrowid, document)


def _replace(
    connection: sqlite3.Connection, number: int, document: PreparedDocument, *, keep_vector: bool
) -> None:
    words = connection.execute("SELECT terms, scope FROM words WHERE rowid = ?", (number,)).fetchone()
    if words == (document.terms, document.scope):
        # the common second put of a message only brings its vector
        if document.vector is not None:
            _put_vector(connection, number, document.vector)
        elif not keep_vector:
            connection.execute("DELETE FROM vectors WHERE document = ?", (number,))
    else:
        _clear(connection, number)
        _fill(connection, number, document)
    connection.execute(
        "UPDATE documents SET kind = ?, generation = ?, version = ? WHERE no = ?",
        (document.kind, document.generation, document.version, number),
    )


def _fill(connection: sqlite3.Connection, number: int, document: PreparedDocument) -> None:
    connection.execute(
        "INSERT INTO words (rowid, terms, scope) VALUES (?, ?, ?)", (number, document.terms, document.scope)
    )
    if document.vector is not None:
        _put_vector(connection, number, document.vector)


def _put_vector(connection: sqlite3.Connection, number: int, vector: bytes) -> None:
    connection.execute("INSERT OR REPLACE INTO vectors (document, vector) VALUES (?, ?)", (number, vector))


def _clear(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM words WHERE rowid = ?", (number,))
    connection.execute("DELETE FROM vectors WHERE document = ?", (number,))


# --- reading ----------------------------------------------------------------------------------


def search(connection: sqlite3.Connection, query: IndexQuery) -> tuple[list[Found], bool]:
    """The best `limit` by words and the best `limit` by vector within the query's scope, and whether there
    were more vectors than are compared."""
    scope = _scope_match(query)
    by_text: dict[int, float] = {}
    by_vector: dict[int, float] = {}
    cut = False
    if query.text is not None:
        by_text = _by_text(connection, scope, query.text, query.limit)
    if query.vector is not None:
        by_vector, cut = _by_vector(connection, scope, query.vector, query.limit)
    found: list[Found] = []
    for number in by_text | by_vector:
        subject, document_id, kind = connection.execute(
            "SELECT s.key, d.id, d.kind FROM documents d JOIN subjects s ON s.no = d.subject WHERE d.no = ?",
            (number,),
        ).fetchone()
        found.append(Found(subject, document_id, kind, by_text.get(number), by_vector.get(number)))
    return found, cut


def count(connection: sqlite3.Connection, subject: Subject) -> int:
    """How many documents there are of a subject."""
    return connection.execute(
        "SELECT count(d.kind) FROM subjects s JOIN documents d ON d.subject = s.no WHERE s.key = ?",
        (subject.key,),
    ).fetchone()[0]


def listed(
    connection: sqlite3.Connection, subject: Subject, after: int, limit: int
) -> tuple[list[tuple[str, IndexedKind]], str | None]:
    """(id, kind) of a page of the subject's documents, and the next cursor."""
    rows = connection.execute(
        """
        SELECT d.no, d.id, d.kind FROM subjects s JOIN documents d ON d.subject = s.no
        WHERE s.key = ? AND d.kind IS NOT NULL AND d.no > ? ORDER BY d.no LIMIT ?
        """,
        (subject.key, after, limit),
    ).fetchall()
    return [(id_, kind) for _, id_, kind in rows], str(rows[-1][0]) if len(rows) == limit else None


# --- filling ----------------------------------------------------------------------------------


def filling(connection: sqlite3.Connection) -> Filling:
    """Which shards this file has completely."""
    [(rebuilding,)] = connection.execute("SELECT rebuilding FROM meta").fetchall()
    shards = (shard for (shard,) in connection.execute("SELECT shard FROM filled"))
    return Filling(filled=frozenset(shards), rebuilding=bool(rebuilding))


def set_filled(connection: sqlite3.Connection, shards: Sequence[int]) -> None:
    """These are complete."""
    connection.executemany("INSERT OR IGNORE INTO filled VALUES (?)", [(shard,) for shard in shards])


def begin_rebuild(connection: sqlite3.Connection) -> None:
    """No shard is known to be complete any more; nothing changes while a rebuild is under way."""
    if not filling(connection).rebuilding:
        connection.execute("DELETE FROM filled")
        connection.execute("UPDATE meta SET rebuilding = 1")


def end_rebuild(connection: sqlite3.Connection) -> None:
    """The rebuild is over."""
    connection.execute("UPDATE meta SET rebuilding = 0")


# --- words and vectors ------------------------------------------------------------------------


def _by_text(connection: sqlite3.Connection, scope: str, text: str, limit: int) -> dict[int, float]:
    terms = list(dict.fromkeys(search_terms(text)))[:MAX_QUERY_TERMS]
    if not terms:
        return {}
    match = f"{scope} AND terms : ({' OR '.join(_quoted(terms))})"
    rows = connection.execute(
        "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (match, limit)
    )
    return dict(rows)


def _by_vector(
    connection: sqlite3.Connection, scope: str, vector: NDArray[np.float32], limit: int
) -> tuple[dict[int, float], bool]:
    unit = unit_vector(vector)
    if unit is None:
        return {}, False
    rows = connection.execute(
        """
        SELECT v.document, v.vector FROM words w JOIN vectors v ON v.document = w.rowid
        WHERE w.words MATCH ? AND length(v.vector) = ? ORDER BY w.rowid DESC LIMIT ?
        """,
        (scope, unit.size * _HALF.itemsize, MAX_VECTORS + 1),
    ).fetchall()
    if not rows:
        return {}, False
    cut = len(rows) > MAX_VECTORS
    del rows[MAX_VECTORS:]
    matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=_HALF).reshape(len(rows), unit.size)
    scores = np.clip(matrix.astype(np.float32) @ unit, -1.0, 1.0)
    # stable: among equals the document written last comes first
    best = np.argsort(-scores, kind="stable")[:limit]
    return {rows[index][0]: float(scores[index]) for index in best}, cut


# --- tokens -----------------------------------------------------------------------------------


def _scope_match(query: IndexQuery) -> str:
    """The part of a MATCH that keeps a search within its tenant, subject, labels, session and kinds."""
    required = [tenant_token(query.tenant)] if query.whole_tenant else []
    required += [label_token(query.tenant, kind, value) for kind, value in query.labels.items()]
    if query.subject is not None:
        required.append(scope_token("subject", *query.subject))
    if query.session is not None:
        required.append(scope_token("session", query.session))
    parts = [f"scope : {token}" for token in _quoted(required)]
    if len(set(query.kinds)) == 1:
        parts.extend(f"scope : {token}" for token in _quoted([scope_token("kind", query.kinds[0])]))
    return " AND ".join(parts)


def _quoted(terms: Iterable[str]) -> list[str]:
    return ['"' + term.replace('"', '""') + '"' for term in terms]


def _pack(vector: NDArray[np.float32]) -> bytes | None:
    unit = unit_vector(vector)
    return None if unit is None else unit.astype(_HALF).tobytes()
