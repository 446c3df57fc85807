"""Filling the search index from the wide store, while serving: after it was lost, and to make it anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from actors.resident import Resident, vector_of
from cluster.logs import get_log
from cluster.model import Memory, Message
from cluster.retrieval.filter_fields import FIELDS
from cluster.retrieval.unit_text import embedding_text
from cluster.search_index.narrowing import ATTRIBUTES
from cluster.search_index.port import FOREVER, IndexDocument, RefusedDocuments, SearchIndex
from cluster.side_by_side import each
from cluster.wide_store.port import WideStore
from memgrid.subject import Subject

_log = get_log()
_T = TypeVar("_T")
_PAGE = 500
_AT_A_TIME = 8
"""Subjects of a shard read and put side by side."""
_SHARDS_AT_A_TIME = 4
MAX_LATE = 100_000
"""Subjects looked at once more at the end of `rebuild`."""


def document(unit: Memory | Message, generation: int, vector: NDArray[np.float32] | None) -> IndexDocument:
    """A memory or message as the search index keeps it."""
    memory = isinstance(unit, Memory)
    return IndexDocument(
        id=unit.id,
        kind="memory" if memory else "message",
        text=embedding_text(unit),
        version=unit.revision if memory else unit.created_at,
        generation=generation,
        labels=unit.labels,
        session=unit.session,
        created_at=unit.created_at,
        attributes={key: value for key in ATTRIBUTES if (value := FIELDS[key](unit)) is not None},
        metadata=unit.metadata,
        vector=vector,
    )


def documents_of(resident: Resident, ids: Iterable[str]) -> list[IndexDocument]:
    """Those units of a resident subject that are still there."""
    hot = resident.hot
    units = ((hot.memory(id_) or hot.message(id_)) for id_ in ids)
    return [
        document(unit, resident.head.generation, hot.vector(unit.id)) for unit in units if unit is not None
    ]


async def put_all(index: SearchIndex, subject: Subject, documents: Sequence[IndexDocument]) -> int:
    """Put all that the index takes; how many it refused, which is a defect to be seen and no reason to
    stop: it would refuse them again."""
    try:
        await index.put(subject, documents)
    except RefusedDocuments as error:
        _log.error("documents refused by the index", ids=error.ids[:10], error=error.message)
        return len(error.ids)
    return 0


async def rebuild(
    store: WideStore,
    index: SearchIndex,
    *,
    shards: int,
    model: str,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Make the index anew beside the one in use, fill it, and let it take over; how many documents.

    Everyone goes on writing and searching meanwhile. Interrupted, it goes on where it was when it is
    called again. `progress` is called with the shards done and the documents put. Raises Unavailable.
    """
    await index.begin_rebuild()
    refill = Refill(store, index, model)
    filled = (await index.filling(range(shards))).filled
    empty: list[int] = []
    done = len(filled)

    async def fill(shard: int) -> None:
        nonlocal done
        if await refill.shard(shard, clean=None):
            await index.set_filled([shard])
        else:
            empty.append(shard)
        done += 1
        if progress is not None:
            progress(done, refill.documents)

    await each((shard for shard in range(shards) if shard not in filled), _SHARDS_AT_A_TIME, fill)
    await index.set_filled(empty)
    # What had no vector when it was read may have been put into the old index, and got its vector in the
    # store, since.
    for subject in refill.late:
        await reindex_subject(store, index, subject, model)
    await index.end_rebuild()
    _log.info("index made anew", documents=refill.documents)
    return refill.documents


class Refill:
    """Puts whole shards into the index.

    Safe beside everything else: an older version never replaces a newer one, and what is deleted
    meanwhile cannot be hydrated. Everything raises Unavailable, and may be called again.
    """

    def __init__(self, store: WideStore, index: SearchIndex, model: str) -> None:
        """`model` names the embeddings."""
        self._store = store
        self._index = index
        self._model = model
        self.documents = 0
        self.late: set[Subject] = set()
        """Subjects with something that has no vector yet, as far as there is room."""

    async def shard(self, shard: int, *, clean: Set[Subject] | None) -> int:
        """Put every memory and message of the shard; how many.

        Of the subjects in `clean` (None: all) what the store no longer has is removed.
        """
        before = self.documents
        cursor: str | None = None
        while True:
            subjects, cursor = await self._store.subjects(shard=shard, cursor=cursor)
            await self.subjects(subjects)
            if cursor is None:
                break
        await self.clean(shard, clean)
        return self.documents - before

    async def subjects(self, subjects: Iterable[Subject]) -> None:
        """Put every memory and message of these, some side by side: most of it is waiting."""
        await each(subjects, _AT_A_TIME, self._subject)

    async def _subject(self, subject: Subject) -> None:
        put, complete = await _put_subject(self._store, self._index, subject, self._model)
        self.documents += put
        if not complete and len(self.late) < MAX_LATE:
            self.late.add(subject)

    async def clean(self, shard: int, subjects: Set[Subject] | None) -> None:
        """Remove of these subjects what the store no longer has; None: of all that are not erased."""
        if subjects is not None:
            await each(subjects, _AT_A_TIME, self._clean)
            return
        cursor: str | None = None
        while True:
            page, cursor = await self._store.subjects(shard=shard, cursor=cursor)
            await each(page, _AT_A_TIME, self._clean)
            if cursor is None:
                break

    async def _clean(self, subject: Subject) -> None:
        await clean_subject(self._store, self._index, subject)


async def reindex_subject(store: WideStore, index: SearchIndex, subject: Subject, model: str) -> int:
    """Put every memory and message of one subject; how many there were."""
    documents, _ = await _put_subject(store, index, subject, model)
    return documents


async def clean_subject(store: WideStore, index: SearchIndex, subject: Subject) -> None:
    """Remove what the store no longer has."""
    head = await store.head(subject)
    if head.generation:
        await index.delete_subject(subject, head.generation)
    cursor: str | None = None
    while True:
        page, cursor = await index.listed(subject, cursor=cursor, limit=_PAGE)
        messages = [id_ for id_, kind in page if kind == "message"]
        there = {message.id for message in await store.get_messages(subject, messages)} if messages else set()
        gone = [(id_, FOREVER) for id_ in messages if id_ not in there]
        memories = [id_ for id_, kind in page if kind == "memory"]
        if memories:
            loaded = await store.load(subject)
            known = {memory.id for memory in loaded.memories}
            gone += [(id_, loaded.head.revision) for id_ in memories if id_ not in known]
        await index.delete(subject, head.generation, gone)
        if cursor is None:
            return


async def _put_subject(
    store: WideStore, index: SearchIndex, subject: Subject, model: str
) -> tuple[int, bool]:
    """How many documents, and whether each had its vector."""
    loaded = await store.load(subject)
    generation = loaded.head.generation
    vectors = {stored.id: stored for stored in await store.memory_vectors(subject, model)}
    memories = [(memory, vectors.get(memory.id)) for memory in loaded.memories]
    documents = [document(memory, generation, vector_of(memory, stored)) for memory, stored in memories]
    count, complete = len(documents), all(each.vector is not None for each in documents)
    for start in range(0, len(documents), _PAGE):
        await put_all(index, subject, documents[start : start + _PAGE])
    before: str | None = None
    while True:
        page, before = await store.recent_messages(subject, model, before=before, limit=_PAGE)
        documents = [
            document(message, generation, None if stored is None else stored.vector)
            for message, stored in page
        ]
        await put_all(index, subject, documents)
        count += len(documents)
        complete = complete and all(each.vector is not None for each in documents)
        if before is None:
            return count, complete
