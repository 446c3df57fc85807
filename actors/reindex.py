"""Filling the search index again from the wide store, while serving."""

from __future__ import annotations

from collections.abc import Sequence

from actors.resident import content_hash
from actors.vectors import document
from cluster.logs import get_log
from cluster.model import Memory, Message
from cluster.retrieval.unit_text import embedding_text
from cluster.search_index.port import SearchIndex
from cluster.wide_store.port import StoredVector, WideStore
from memgrid.subject import Subject

_log = get_log()
_PAGE = 500


async def reindex(store: WideStore, index: SearchIndex, *, shards: Sequence[int], model: str) -> int:
    """Put every memory and message of these shards into the index; how many there were.

    Safe beside everything else: an older version never replaces a newer one, and what was deleted
    meanwhile is dropped when a hit on it cannot be hydrated. Units without a vector yet are put when they
    get one. Raises Unavailable; running it again starts over.
    """
    documents = 0
    for shard in shards:
        cursor: str | None = None
        while True:
            subjects, cursor = await store.subjects(shard=shard, cursor=cursor)
            for subject in subjects:
                documents += await reindex_subject(store, index, subject, model)
            if cursor is None:
                break
    _log.info("index filled", documents=documents)
    return documents


async def reindex_subject(store: WideStore, index: SearchIndex, subject: Subject, model: str) -> int:
    """`reindex` of one subject."""
    loaded = await store.load(subject)
    generation = loaded.head.generation
    vectors = {stored.id: stored for stored in await store.memory_vectors(subject, model)}
    memories = [
        (memory, stored)
        for memory in loaded.memories
        if (stored := vectors.get(memory.id)) is not None
        and stored.content_hash == content_hash(embedding_text(memory))
    ]
    documents = 0
    for start in range(0, len(memories), _PAGE):
        documents += await _put(index, subject, generation, memories[start : start + _PAGE])
    before: str | None = None
    while True:
        page, before = await store.recent_messages(subject, model, before=before, limit=_PAGE)
        embedded = [(message, stored) for message, stored in page if stored is not None]
        documents += await _put(index, subject, generation, embedded)
        if before is None:
            return documents


async def _put(
    index: SearchIndex,
    subject: Subject,
    generation: int,
    units: Sequence[tuple[Memory | Message, StoredVector]],
) -> int:
    if units:
        await index.put(subject, [document(unit, generation, stored.vector) for unit, stored in units])
    return len(units)
