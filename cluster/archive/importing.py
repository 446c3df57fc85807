"""From an archive into a store: what is missing is copied, what is there is compared, nothing is overwritten.

An import that was interrupted is run again: what is there already is known by its hash, and a history
goes on at the revision that the head has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from cluster.archive.comparing import compare, stored_rows
from cluster.archive.copying import copy_missing
from cluster.archive.lines import Header, encode, shown
from cluster.archive.plain_rows import subject_key_of
from cluster.archive.reading import ArchiveReader, Line
from cluster.archive.subject_lines import SubjectLines, parts_of
from cluster.ids import Clock, system_clock
from cluster.search_index.imported import Arrivals
from cluster.wide_store.port import ApiKeyRow, PlainRow, StaleRevision, WideStore
from memgrid.errors import MemgridError
from memgrid.subject import Subject, subject_from_key

AT_A_TIME = 16
"""Subjects that are compared and written side by side: most of the time is spent waiting for the store."""
_ROWS_AT_A_TIME = 64

OnSubject = Callable[[int, int], None]
"""Told after each subject: subjects and rows so far."""


@dataclass
class Problem:
    """What of the archive is not in the store, and why."""

    what: str
    """A subject, an API key or a row, as people read it."""
    why: str
    subject: Subject | None = None


@dataclass
class Report:
    """What an import or a verification has found."""

    subjects: int = 0
    copied: list[Subject] = field(default_factory=list[Subject])
    """Subjects of which something was missing, and now is there."""
    already_there: int = 0
    rows: dict[str, int] = field(default_factory=dict[str, int])
    """Rows of each kind in the archive, those of refused subjects left out."""
    problems: list[Problem] = field(default_factory=list[Problem])
    vectors: bool = False
    """Whether the archive's vectors were taken; else everything is embedded anew."""
    vectors_left_out: str | None = None
    """Why they were not, though the archive has some."""
    not_announced: str | None = None
    """Why owners that run now do not know of it before they start again."""


async def import_archive(
    store: WideStore,
    stream: BinaryIO,
    *,
    clock: Clock = system_clock,
    on_subject: OnSubject = lambda subjects, rows: None,
) -> Report:
    """Copy what the store lacks. Where it has anything else of a subject, that is left alone and reported.

    Raises DamagedArchive; subjects before the damage are complete then.
    """
    return await _Work(store, stream, clock, on_subject, copy=True).run()


async def verify_archive(
    store: WideStore,
    stream: BinaryIO,
    *,
    clock: Clock = system_clock,
    on_subject: OnSubject = lambda subjects, rows: None,
) -> Report:
    """Count and hash both ends, and report what is not the same. Raises DamagedArchive."""
    return await _Work(store, stream, clock, on_subject, copy=False).run()


class _Work:
    """One reading of an archive beside a store."""

    def __init__(
        self,
        store: WideStore,
        stream: BinaryIO,
        clock: Clock,
        on_subject: OnSubject,
        *,
        copy: bool,
    ) -> None:
        self._store = store
        self._reader = ArchiveReader(stream)
        self._clock = clock
        self._on_subject = on_subject
        self._copy = copy
        self._model: str | None = None
        self._refused: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._arrivals: Arrivals | None = None
        self._report = Report()

    async def run(self) -> Report:
        await self._compare_stores(self._reader.header)
        rows: list[Line] = []
        try:
            for part in parts_of(self._reader):
                if isinstance(part, SubjectLines):
                    await self._wait(AT_A_TIME - 1)
                    self._start(part)
                    continue
                await self._wait(0)
                rows.append(part)
                if len(rows) == _ROWS_AT_A_TIME:
                    await self._rows(rows)
                    rows = []
            await self._wait(0)
            await self._rows(rows)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._announce()
        return self._report

    async def _announce(self) -> None:
        """Also of an import that was interrupted: what it has copied is there."""
        if self._arrivals is None:
            return
        try:
            await self._arrivals.announce()
        except MemgridError as error:  # the rows are there: owners find them when they start
            self._report.not_announced = error.message

    async def _compare_stores(self, header: Header) -> None:
        """Its number of shards, and whether it takes the vectors: it has the same model, or none yet."""
        info = await self._store.info()
        if self._copy:
            self._arrivals = Arrivals(self._store, info.shards)
        if not header.vectors or header.embedding_model is None or header.embedding_dimension is None:
            return
        if info.embedding_model is None and self._copy:
            info = await self._store.set_embedding_model(header.embedding_model, header.embedding_dimension)
        if info.embedding_model == header.embedding_model:
            self._model = header.embedding_model
            self._report.vectors = True
        else:
            self._report.vectors_left_out = (
                f"they are of {header.embedding_model}, and the store's are of {info.embedding_model}"
            )

    def _start(self, lines: SubjectLines) -> None:
        task = asyncio.create_task(self._subject(lines))
        task.add_done_callback(lambda _: lines.close())
        self._running.add(task)

    async def _wait(self, running: int) -> None:
        """Until at most so many subjects are being worked on. Raises what went wrong with one."""
        while len(self._running) > running:
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._running.remove(task)
                task.result()

    async def _subject(self, lines: SubjectLines) -> None:
        try:
            why = await self._compared(lines)
        except StaleRevision:
            why = "somebody else is writing to it: nothing of theirs was overwritten"
        report = self._report
        report.subjects += 1
        if why is not None:
            self._refused.add(lines.subject.key.hex())
            report.problems.append(Problem(shown(lines.subject), why, lines.subject))
        else:
            for what, count in lines.digest.counts.items():
                report.rows[what] = report.rows.get(what, 0) + count
        self._on_subject(report.subjects, sum(report.rows.values()))

    async def _compared(self, lines: SubjectLines) -> str | None:
        """Why the subject is not in the store as it is in the archive; None when it is, now."""
        stored = await stored_rows(self._store, lines.subject, self._model, self._clock)
        vectors = self._model is not None
        difference = compare(lines, stored, vectors=vectors, clock=self._clock)
        if not difference:
            self._report.already_there += 1
            return None
        if self._arrivals is None or difference.other or difference.head:
            return str(difference)
        await self._arrivals.expect(lines.subject)
        await copy_missing(self._store, lines, stored, vectors=vectors, clock=self._clock)
        stored = await stored_rows(self._store, lines.subject, self._model, self._clock)
        difference = compare(lines, stored, vectors=vectors, clock=self._clock)
        if difference:
            return f"it was copied, and is not the same: {difference}"
        self._report.copied.append(lines.subject)
        return None

    async def _rows(self, lines: Sequence[Line]) -> None:
        """API keys and plain rows; those of refused subjects are left out."""
        wanted = [line for line in lines if not self._is_of_refused(line.row)]
        reasons = await asyncio.gather(*(self._row(line.row) for line in wanted))
        for line, why in zip(wanted, reasons, strict=True):
            if why is None:
                self._report.rows[line.what] = self._report.rows.get(line.what, 0) + 1
            else:
                self._report.problems.append(Problem(_name(line.row), why))

    def _is_of_refused(self, row: object) -> bool:
        return isinstance(row, PlainRow) and subject_key_of(row) in self._refused

    async def _row(self, row: object) -> str | None:
        if isinstance(row, ApiKeyRow):
            return await self._api_key(row)
        if not isinstance(row, PlainRow):
            raise TypeError(type(row).__name__)
        return await self._settled(
            row.value,
            lambda: self._store.get_row(row.table, row.key),
            lambda: self._store.put_row(row.table, row.key, row.value),
        )

    async def _api_key(self, row: ApiKeyRow) -> str | None:
        by_hash = await self._store.api_key_by_hash(row.key_hash)
        if by_hash is not None and by_hash.id != row.id:
            return f"the key {by_hash.id} here is the same key"

        async def stored() -> ApiKeyRow | None:
            return next((key for key in await self._store.api_keys() if key.id == row.id), None)

        return await self._settled(row, stored, lambda: self._store.put_api_key(row))

    async def _settled(
        self,
        wanted: object,
        get: Callable[[], Awaitable[object | None]],
        put: Callable[[], Awaitable[None]],
    ) -> str | None:
        there = await get()
        if there is None and self._copy:
            await put()
            there = await get()
        if there is None:
            return "the store lacks it"
        return None if encode(there) == encode(wanted) else "the store has another: it was left as it is"


def _name(row: object) -> str:
    if isinstance(row, PlainRow):
        if (key := subject_key_of(row)) is None:
            return f"row {row.key!r} of {row.table}"
        whose = shown(subject_from_key(bytes.fromhex(key)))
        return f"{row.table} {row.key.partition('/')[2]} of {whose}"
    return f"API key {row.id}" if isinstance(row, ApiKeyRow) else str(row)
