"""From a store to an archive: each subject as it was at one revision."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, BinaryIO

from cluster.archive.lines import (
    ARCHIVE,
    VERSION,
    End,
    Header,
    Named,
    Tally,
    encode,
    line_of,
    row_hash,
    shown,
)
from cluster.archive.plain_rows import rows_of
from cluster.archive.rows import every, is_empty, subject_rows
from cluster.archive.subject_lines import SPOOL_BYTES
from cluster.ids import Clock, system_clock
from cluster.wide_store.port import WideStore
from memgrid import sdk_version
from memgrid.errors import Conflict, InvalidInput
from memgrid.subject import Subject

AT_A_TIME = 4
"""Subjects that are read side by side."""
_TRIES = 5

OnSubject = Callable[[int, int], None]
"""Told after each subject: subjects and rows so far."""


async def export_archive(
    store: WideStore,
    out: BinaryIO,
    *,
    tenant: str | None = None,
    subject: Subject | None = None,
    vectors: bool = False,
    clock: Clock = system_clock,
    on_subject: OnSubject = lambda subjects, rows: None,
) -> End:
    """Write everything of the store, of one tenant, or of one subject, as lines.

    A store may be exported while it serves: of each subject everything up to one revision is there. Raises
    Conflict when a subject is changed faster than it can be read, InvalidInput when it is not there.
    """
    info = await store.info()
    wanted = await _subjects(store, tenant, subject)
    keys = [] if subject is not None else await store.api_keys(tenant)
    plain = 0
    async for _ in rows_of(store, tenant=tenant, subject=subject):
        plain += 1
    model = info.embedding_model if vectors else None
    header = Header(
        version=VERSION,
        memgrid=sdk_version(),
        created_at=datetime.fromtimestamp(clock() / 1000, UTC).isoformat(timespec="seconds"),
        tenant=tenant,
        subject=None if subject is None else Named(**subject._asdict()),
        vectors=vectors,
        embedding_model=info.embedding_model,
        embedding_dimension=info.embedding_dimension,
        shards=info.shards,
        counts={"subject": len(wanted), "api_key": len(keys), "row": plain},
    )
    sha256 = hashlib.sha256()
    total = Tally()

    def write(line: bytes) -> None:
        sha256.update(line)
        out.write(line)

    write(line_of(ARCHIVE, encode(header)))
    reading: deque[asyncio.Task[tuple[IO[bytes], Tally]]] = deque()
    left = iter(wanted)
    done = 0
    try:
        while True:
            for each in left:
                reading.append(asyncio.create_task(_spooled(store, each, model, clock)))
                if len(reading) == AT_A_TIME:
                    break
            if not reading:
                break
            spool, tally = await reading.popleft()
            with spool:
                for line in spool:
                    write(line)
            total.include(tally)
            done += 1
            on_subject(done, sum(total.counts.values()))
    finally:
        for task in reading:
            task.cancel()
        for left_over in await asyncio.gather(*reading, return_exceptions=True):
            if not isinstance(left_over, BaseException):
                left_over[0].close()

    def write_row(what: str, row: object) -> None:
        payload = encode(row)
        total.add(what, row_hash(payload))
        write(line_of(what, payload))

    for key in keys:
        write_row("api_key", key)
    async for row in rows_of(store, tenant=tenant, subject=subject):
        write_row("row", row)
    end = End(subjects=done, counts=total.counts, sha256=sha256.hexdigest())
    out.write(line_of("end", encode(end)))
    return end


async def _subjects(store: WideStore, tenant: str | None, subject: Subject | None) -> list[Subject]:
    if subject is None:
        return await every(lambda cursor: store.subjects(tenant=tenant, cursor=cursor))
    if await is_empty(store, subject, await store.head(subject)):
        raise InvalidInput(f"the store has nothing of {shown(subject)}")
    return [subject]


async def _spooled(
    store: WideStore, subject: Subject, model: str | None, clock: Clock
) -> tuple[IO[bytes], Tally]:
    """The subject's lines, with its digest, as they were at one revision."""
    for _ in range(_TRIES):
        spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by the caller
        tally = Tally()
        before = await store.head(subject)
        async for what, payload in subject_rows(store, subject, model, clock()):
            tally.add(what, row_hash(payload))
            spool.write(line_of(what, payload))
        if await store.head(subject) == before:
            spool.write(line_of("digest", encode(tally.digest(subject))))
            spool.seek(0)
            return spool, tally
        spool.close()
    raise Conflict(
        f"{shown(subject)} is changed faster than it can be read",
        remedy="export when less is written, or stop the server meanwhile",
    )
