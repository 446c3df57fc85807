"""Sending conversations in batches: in order within a subject, several subjects at a time, resumable."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

from memgrid.api import MemgridApi
from memgrid.cli.conversations import MAX_LINE_BYTES, BadLine, Conversations, Piece, subject_key
from memgrid.errors import Conflict, InvalidInput, MemgridError, Overloaded, Unavailable, error_from_code
from memgrid.models import BatchItem

BATCH_ITEMS = 100
BATCH_MESSAGES = 500
BATCH_BYTES = 2 * 1024 * 1024
CONCURRENCY = 4
PATIENCE = 120.0
"""Seconds without one success after which the import stops."""
SAVE_EVERY = 1.0
REPORTED_PROBLEMS = 1000


@dataclass
class Totals:
    """What an import has done."""

    conversations: int = 0
    messages: int = 0
    already_there: int = 0
    memories_skipped: int = 0
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list[str])
    """`line N: why`, the first thousand."""

    def problem(self, line: int, why: str) -> None:
        """Count a line that did not go in."""
        self.bad_lines += 1
        if len(self.problems) < REPORTED_PROBLEMS:
            self.problems.append(f"line {line}: {why}")


class Mark(NamedTuple):
    """The end of a line: how many bytes of the file lie before it, and their hash."""

    line: int
    offset: int
    digest: str


class Progress:
    """How far an import has come, in a file beside its input.

    It holds only while the destination and the bytes already imported are the same. Losing it is
    harmless: messages that went in are known to the server by their ids.
    """

    def __init__(self, source: Path, target: str) -> None:
        self.path = source.with_name(source.name + ".memgrid-progress")
        self._source = source
        self._target = target

    def load(self) -> int:
        """The number of lines that need not be sent again."""
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            target, line, offset, digest = (saved[k] for k in ("target", "line", "offset", "digest"))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0
        if target != self._target or not isinstance(line, int) or not isinstance(offset, int):
            return 0
        return line if self._digest(offset) == digest else 0

    def save(self, mark: Mark) -> None:
        """Remember that everything up to `mark` is in."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps({"target": self._target, **mark._asdict()}), encoding="utf-8")
        new.replace(self.path)

    def clear(self) -> None:
        """The import is complete."""
        self.path.unlink(missing_ok=True)

    def _digest(self, size: int) -> str | None:
        digest = hashlib.blake2b(digest_size=16)
        with self._source.open("rb") as file:
            while size > 0 and (block := file.read(min(size, 1 << 20))):
                digest.update(block)
                size -= len(block)
        return digest.hexdigest() if size == 0 else None


def lines_of(file: BinaryIO) -> Iterator[tuple[Mark, bytes]]:
    """Each line and where it ends; what is beyond the limit of a line is not kept in memory."""
    digest = hashlib.blake2b(digest_size=16)
    offset = number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        digest.update(raw)
        offset += len(raw)
        rest = raw
        while len(rest) == MAX_LINE_BYTES + 1 and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
            digest.update(rest)
            offset += len(rest)
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        yield Mark(number, offset, digest.hexdigest()), raw


class Importer:
    """One import: reads `file`, sends what is in it, keeps `progress`."""

    def __init__(
        self,
        client: MemgridApi,
        conversations: Conversations,
        *,
        progress: Progress | None,
        done_lines: int = 0,
        on_advance: Callable[[int, Totals], None] = lambda offset, totals: None,
    ) -> None:
        self.totals = Totals()
        self._client = client
        self._conversations = conversations
        self._progress = progress
        self._done_lines = done_lines
        self._on_advance = on_advance
        self._marks: deque[Mark] = deque()
        self._open: dict[int, int] = {}
        self._saved_at = time.monotonic()
        self._last_success = time.monotonic()
        self._done: Mark | None = None

    async def run(self, file: BinaryIO) -> Totals:
        """Import everything. Raises MemgridError when the server cannot go on; what is done is kept."""
        queues: list[asyncio.Queue[Piece | None]] = [asyncio.Queue(32) for _ in range(CONCURRENCY)]
        try:
            async with asyncio.TaskGroup() as group:
                for queue in queues:
                    group.create_task(self._send(queue))
                for mark, raw in lines_of(file):
                    for piece in self._read(mark, raw):
                        number = crc32(subject_key(piece.request).encode()) % CONCURRENCY
                        await queues[number].put(piece)
                for queue in queues:
                    await queue.put(None)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._settle(save=True)
        if self._progress is not None:
            self._progress.clear()
        return self.totals

    def _read(self, mark: Mark, raw: bytes) -> list[Piece]:
        """The pieces of a line that are to be sent. Bad lines are counted and left out."""
        self._marks.append(mark)
        if not raw.strip():
            return []
        try:
            pieces = self._conversations.read(mark.line, raw)
        except BadLine as error:
            self.totals.problem(mark.line, str(error))
            return []
        if pieces is None:
            self.totals.memories_skipped += 1
            return []
        self.totals.conversations += 1
        if mark.line <= self._done_lines:
            count = sum(len(piece.request.messages) for piece in pieces)
            self.totals.messages += count
            self.totals.already_there += count
            return []
        if pieces:
            self._open[mark.line] = len(pieces)
        return pieces

    async def _send(self, queue: asyncio.Queue[Piece | None]) -> None:
        """Send what is in the queue, as much at a time as lies there; one batch at a time."""
        held: Piece | None = None
        while True:
            first = held or await queue.get()
            if first is None:
                return
            batch, size, messages, held = [first], first.size, len(first.request.messages), None
            ended = False
            while len(batch) < BATCH_ITEMS and not queue.empty():
                piece = queue.get_nowait()
                if piece is None:
                    ended = True
                    break
                size += piece.size
                messages += len(piece.request.messages)
                if size > BATCH_BYTES or messages > BATCH_MESSAGES:
                    held = piece
                    break
                batch.append(piece)
            await self._deliver(batch)
            if ended:
                return

    async def _deliver(self, batch: list[Piece]) -> None:
        """Send until every piece is in, or known to be bad."""
        pause = 0.5
        while batch:
            try:
                answer = await self._client.add_batch([piece.request for piece in batch])
            except (InvalidInput, Conflict) as error:
                if len(batch) == 1:
                    self._failed(batch[0], error)
                    return
                for piece in batch:  # one of them spoils the batch
                    await self._deliver([piece])
                return
            again: list[Piece] = []
            refused: MemgridError | None = None
            for piece, item in zip(batch, answer.results, strict=True):
                error = self._settled(piece, item)
                if error is not None:
                    again.append(piece)
                    refused = error
            self._settle(save=False)
            if refused is not None:
                if time.monotonic() - self._last_success > PATIENCE:
                    raise refused
                await asyncio.sleep(min(refused.retry_after or pause, 30.0))
                pause = min(pause * 2, 10.0)
            batch = again

    def _settled(self, piece: Piece, item: BatchItem) -> MemgridError | None:
        """Count the piece; the error when it is worth sending again."""
        if item.result is not None:
            self._last_success = time.monotonic()
            self.totals.messages += len(piece.request.messages)
            self.totals.already_there += item.result.duplicates
            self._close(piece)
            return None
        if item.error is None:
            error: MemgridError = MemgridError("the server gave neither a result nor an error")
        else:
            error = error_from_code(
                item.error.code,
                item.error.message,
                field=item.error.field,
                remedy=item.error.remedy,
                retry_after=item.error.retry_after,
            )
        if isinstance(error, (Overloaded, Unavailable)):
            return error
        self._failed(piece, error)
        return None

    def _failed(self, piece: Piece, error: MemgridError) -> None:
        self.totals.problem(piece.line, error.message)
        self._close(piece)

    def _close(self, piece: Piece) -> None:
        self._open[piece.line] -= 1
        if not self._open[piece.line]:
            del self._open[piece.line]

    def _settle(self, *, save: bool) -> None:
        """Move the mark to the last line before which everything is in."""
        first_open = min(self._open, default=None)
        while self._marks and (first_open is None or self._marks[0].line < first_open):
            self._done = self._marks.popleft()
        if self._done is None:
            return
        self._on_advance(self._done.offset, self.totals)
        now = time.monotonic()
        if self._progress is not None and (save or now - self._saved_at >= SAVE_EVERY):
            if self._done.line > self._done_lines:
                self._progress.save(self._done)
            self._saved_at = now


def dry_run(conversations: Conversations, file: BinaryIO) -> Totals:
    """What an import would send, and which lines it could not."""
    totals = Totals()
    for mark, raw in lines_of(file):
        if not raw.strip():
            continue
        try:
            pieces = conversations.read(mark.line, raw)
        except BadLine as error:
            totals.problem(mark.line, str(error))
            continue
        if pieces is None:
            totals.memories_skipped += 1
        else:
            totals.conversations += 1
            totals.messages += sum(len(piece.request.messages) for piece in pieces)
    return totals
