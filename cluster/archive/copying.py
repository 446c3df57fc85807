"""Writing what a store lacks of a subject: first its history, then what rests on it.

History comes first, so that a server that finds the subject half copied sees which messages are done: were
they there before their runs, it would extract them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from cluster.archive.comparing import Stored
from cluster.archive.lines import RunRecordRow, VectorRow
from cluster.archive.reading import Line
from cluster.archive.subject_lines import SubjectLines, is_over
from cluster.ids import Clock
from cluster.model import Change, Claim, Head, Memory, Run
from cluster.wide_store.codec import vector_from_bytes
from cluster.wide_store.port import Replay, StaleRevision, StoredVector, WideStore
from memgrid.subject import Subject

PIECE_ROWS = 150
PIECE_BYTES = 200 * 1024
"""Of JSON in one replay: well within the limits of a commit. What one commit wrote stays together."""
_BATCH_ROWS = 500
_BATCH_BYTES = 1024 * 1024


async def copy_missing(
    store: WideStore, lines: SubjectLines, stored: Stored, *, vectors: bool, clock: Clock
) -> None:
    """Copy the rows that are not in `stored`. Raises StaleRevision when somebody else writes to it."""
    subject = lines.subject
    head = stored.head
    for piece in pieces(lines, head.revision):
        head = await store.replay(subject, head, piece)
    missing = (
        line for line in lines if not stored.has(line.what, line.hashed) and not is_over(line.row, clock)
    )
    for what, rows in _batches(missing):
        if what == "run_record":
            await _put_records(store, subject, head.generation, rows)
        elif what == "message":
            if not await store.append(subject, head.generation, rows):
                raise StaleRevision(await store.head(subject))
        elif what == "claim":
            await _claim(store, subject, head.generation, rows, clock)
        elif what == "vector" and vectors:
            await _put_vectors(store, subject, head.generation, rows)


def pieces(lines: SubjectLines, after: int) -> Iterator[Replay]:
    """The history above a revision: each change with the memories of its revision, and the runs it was the
    last to name."""
    memories: dict[int, list[tuple[Memory, int]]] = {}
    runs: dict[str, tuple[Run, int]] = {}
    settled_at: dict[str, int] = {}
    for line in lines:
        size = len(line.payload)
        match line.row:
            case Memory(revision=revision) as memory:
                memories.setdefault(revision, []).append((memory, size))
            case Run(id=id) as run:
                runs[id] = (run, size)
            case Change(revision=revision, run_id=str(run_id)):
                settled_at[run_id] = revision
            case _:
                pass
    runs_at: dict[int, list[tuple[Run, int]]] = {}
    for id, (run, size) in runs.items():
        runs_at.setdefault(settled_at.get(id, lines.head.revision), []).append((run, size))
    piece = _Piece(lines)
    for line in lines:
        if isinstance(line.row, Change) and line.row.revision > after:
            unit = _Piece(lines)
            unit.add(line.row, len(line.payload))
            for row, size in (*memories.get(line.row.revision, ()), *runs_at.get(line.row.revision, ())):
                unit.add(row, size)
            if not piece.has_room_for(unit):
                yield piece.replay()
                piece = _Piece(lines)
            piece.include(unit)
    if piece.rows:
        yield piece.replay()


class _Piece:
    """A replay as it grows."""

    def __init__(self, lines: SubjectLines) -> None:
        self._final = lines.head
        self.rows: list[Change | Memory | Run] = []
        self._cost = 0
        self._bytes = 0

    def add(self, row: Change | Memory | Run, size: int) -> None:
        self.rows.append(row)
        self._bytes += size
        self._cost += 1
        if isinstance(row, Change):
            self._cost += len(row.entries) + len(row.deleted_messages)

    def has_room_for(self, other: _Piece) -> bool:
        fits = self._cost + other._cost <= PIECE_ROWS and self._bytes + other._bytes <= PIECE_BYTES
        return fits or not self.rows

    def include(self, other: _Piece) -> None:
        self.rows += other.rows
        self._cost += other._cost
        self._bytes += other._bytes

    def replay(self) -> Replay:
        changes = tuple(row for row in self.rows if isinstance(row, Change))
        return Replay(
            head=Head(
                revision=changes[-1].revision,
                generation=self._final.generation,
                settings=self._final.settings,
            ),
            changes=changes,
            put=tuple(row for row in self.rows if isinstance(row, Memory)),
            runs=tuple(row for row in self.rows if isinstance(row, Run)),
        )


def _batches(lines: Iterable[Line]) -> Iterator[tuple[str, list[Any]]]:
    """Neighbours of one kind together, up to a batch."""
    what, rows, size = "", list[object](), 0
    for line in lines:
        if line.what != what or len(rows) == _BATCH_ROWS or size + len(line.payload) > _BATCH_BYTES:
            if rows:
                yield what, rows
            what, rows, size = line.what, [], 0
        rows.append(line.row)
        size += len(line.payload)
    if rows:
        yield what, rows


async def _put_records(store: WideStore, subject: Subject, generation: int, rows: list[RunRecordRow]) -> None:
    for row in rows:
        await store.put_run_record(subject, generation, row.run, row.record)


async def _claim(
    store: WideStore, subject: Subject, generation: int, claims: list[Claim], clock: Clock
) -> None:
    if list(await store.claim(subject, generation, claims, clock())) != claims:
        raise StaleRevision(await store.head(subject))


async def _put_vectors(store: WideStore, subject: Subject, generation: int, rows: list[VectorRow]) -> None:
    kinds: set[tuple[Literal["memory", "message"], str]] = {(row.of, row.model) for row in rows}
    for of, model in kinds:
        vectors = [
            StoredVector(row.id, row.content_hash, vector_from_bytes(row.vector))
            for row in rows
            if (row.of, row.model) == (of, model)
        ]
        await store.put_vectors(subject, generation, of, model, vectors)
