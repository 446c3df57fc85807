"""Everything that a store has of a subject, as the rows of an archive: the same whichever store it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from cluster.archive.lines import RunRecordRow, SubjectRow, VectorRow, encode
from cluster.model import Head, Millis
from cluster.run_record import deletes, standing_record
from cluster.wide_store.codec import vector_to_bytes
from cluster.wide_store.port import MessageQuery, StoredVector, WideStore
from memgrid.subject import Subject

T = TypeVar("T")

_PAGE = 1000


async def is_empty(store: WideStore, subject: Subject, head: Head) -> bool:
    """Whether the subject was never written to."""
    if head != Head():
        return False
    messages = await store.messages(subject, MessageQuery(), limit=1)
    return not messages.messages and not (await store.claims(subject, limit=1))[0]


async def subject_rows(
    store: WideStore, subject: Subject, model: str | None, now: Millis
) -> AsyncIterator[tuple[str, bytes]]:
    """What there is of a subject: kind and JSON of each row, in the order of an archive.

    Claims that have expired at `now` are left out; vectors are those of `model`, none without one.
    """
    loaded = await store.load(subject)
    head = loaded.head
    yield (
        "subject",
        encode(
            SubjectRow(
                **subject._asdict(),
                revision=head.revision,
                generation=head.generation,
                settings=head.settings,
            )
        ),
    )
    for memory in loaded.memories:
        yield "memory", encode(memory)
    runs = await every(lambda cursor: store.runs(subject, cursor=cursor))
    runs.reverse()
    for run in runs:
        yield "run", encode(run)
    after = last_deletion = 0
    while changes := await store.changes(subject, after, _PAGE):
        for change in changes:
            yield "change", encode(change)
            if deletes(change):
                last_deletion = change.revision
        after = changes[-1].revision

    async def deleted_since(revision: int) -> bool:
        return last_deletion > revision

    memory_ids = {memory.id for memory in loaded.memories}
    for run in runs:
        record = await standing_record(
            store, subject, run.id, memory_ids=memory_ids, deleted_since=deleted_since
        )
        if record is not None:
            yield "run_record", encode(RunRecordRow(run=run.id, record=record))
    cursor: str | None = None
    while True:
        page = await store.messages(subject, MessageQuery(), cursor=cursor, limit=_PAGE)
        for message in page.messages:
            yield "message", encode(message)
        cursor = page.cursor
        if cursor is None:
            break
    # After the messages: a claim without its message binds nobody, a message without its claim comes twice.
    for claim in await every(lambda cursor: store.claims(subject, cursor=cursor)):
        if claim.expires_at is None or claim.expires_at > now:
            yield "claim", encode(claim)
    if model is not None:
        async for payload in _vectors(store, subject, model):
            yield "vector", payload


async def _vectors(store: WideStore, subject: Subject, model: str) -> AsyncIterator[bytes]:
    for stored in await store.memory_vectors(subject, model):
        yield encode(_vector_row("memory", model, stored))
    before: str | None = None
    while True:
        page, before = await store.recent_messages(subject, model, before=before, limit=_PAGE)
        for _, stored in page:
            if stored is not None:
                yield encode(_vector_row("message", model, stored))
        if before is None:
            return


def _vector_row(of: Literal["memory", "message"], model: str, stored: StoredVector) -> VectorRow:
    return VectorRow(
        of=of,
        id=stored.id,
        model=model,
        content_hash=stored.content_hash,
        vector=vector_to_bytes(stored.vector),
    )


async def every(page: Callable[[str | None], Awaitable[tuple[Sequence[T], str | None]]]) -> list[T]:
    """All items of a listing, page after page."""
    found: list[T] = []
    cursor: str | None = None
    while True:
        items, cursor = await page(cursor)
        found += items
        if cursor is None:
            return found
