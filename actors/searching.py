"""Search: a subject as a whole, one that is not ready yet, and what the index proposed to somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.adding import labels_of
from actors.answer_cache import AnswerCache, encode, state_of
from actors.cold_search import WARMING, ColdSearch
from actors.cursors import decode_offset, encode_offset
from actors.indexing import Indexing
from actors.reads import status_of
from actors.resident import Resident, Residents
from actors.views import memory_out, message_out, moment, optional_moment
from cluster.analysis import search_terms
from cluster.embedding.port import Embedder
from cluster.ids import Clock
from cluster.logs import get_log
from cluster.model import Memory, Message
from cluster.retrieval.hot_subject import Ranked, RankSpec
from cluster.retrieval.overtaken import overtaken_messages
from cluster.search_index.port import OLDER_VECTORS, IndexQuery
from cluster.settings import Settings
from cluster.wide_store.codec import vector_from_bytes
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError, Overloaded, Unavailable
from memgrid.models import (
    SearchHit,
    SearchQuery,
    SearchResult,
)
from memgrid.operations import Hydrate, Hydrated
from memgrid.subject import Subject

_log = get_log()
_OLDER = 50
"""Older messages that the search index may bring back into a search of a subject too large to be all hot."""


class Searching:
    """The searches of a shard. Each follows the store first: it sees every acknowledged write."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: WideStore,
        residents: Residents,
        embedder: Embedder,
        indexing: Indexing,
        cache: AnswerCache,
        clock: Clock,
        on_searched: Callable[[Subject, int, float], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._indexing = indexing
        self._residents = residents
        self._embedder = embedder
        self._clock = clock
        self._cold = ColdSearch(
            store=store,
            residents=residents,
            indexing=indexing,
            dimension=embedder.dimension,
            clock=clock,
        )
        self._on_searched = on_searched
        self._cache = cache
        self._overtaken_at: WeakKeyDictionary[Resident, tuple[tuple[int, ...], frozenset[str]]] = (
            WeakKeyDictionary()
        )

    async def search(self, subject: Subject, query: SearchQuery, request_id: str) -> SearchResult | bytes:
        """The subject's memories and messages that answer the query best."""
        embedding: asyncio.Task[NDArray[np.float32]] | None = None
        if query.strategy != "full_text":
            embedding = asyncio.create_task(self._embed(query.query))
        try:
            if (answer := await self._search_cold(subject, query, embedding)) is not None:
                return answer
            async with self._residents.use(subject, fresh=True) as resident:
                key = (subject, "search", query.model_dump_json().encode())
                away = ["search_index"] if self._indexing.down is not None else []
                state = (*state_of(resident), len(away))
                now = self._clock()
                if (cached := self._cache.get(key, state, now)) is not None:
                    self._on_searched(subject, resident.head.generation, -1.0)
                    return cached
                vector, degraded = await self._vector(embedding)
                brought_back = away or resident.complete
                lacking = [] if brought_back else await self._bring_back(resident, query, vector)
                degraded = [*degraded, *away, *lacking]
                offset = decode_offset("search", query.cursor)
                spec = self._spec(resident, query, query.top_k + 1, offset)
                ranked = resident.hot.search(spec, search_terms(query.query), vector, now)
                page = ranked[: query.top_k]
                more = len(ranked) > query.top_k
                result = SearchResult(
                    results=self._hits(resident, page, query.explain),
                    total=len(page),
                    cursor=encode_offset("search", offset + query.top_k) if more else None,
                    degraded=degraded,
                )
                answer = encode(result)
                # what did not work just now may work the next time
                if {*degraded} <= {*away, OLDER_VECTORS} and state == (*state_of(resident), len(away)):
                    self._cache.put(key, state, resident.hot.next_end(now), answer)
                self._on_searched(subject, resident.head.generation, page[0].score if page else 0.0)
                return answer
        finally:
            if embedding is not None and not embedding.done():
                embedding.cancel()

    async def _search_cold(
        self, subject: Subject, query: SearchQuery, embedding: asyncio.Task[NDArray[np.float32]] | None
    ) -> SearchResult | None:
        """An answer before a large subject is ready; None when it is, or when that is waited for."""
        async with self._cold.read_of(subject, query) as read:
            if read is None:
                return None
            vector, degraded = await self._vector(embedding)
            resident = await self._cold.candidates(subject, read, query, vector)
            if resident is None:
                return None
        spec = self._spec(resident, query, query.top_k)
        if query.latest_only:
            overtaken = overtaken_messages(read.loaded.memories, resident.hot.message)
            spec = msgspec.structs.replace(spec, without=overtaken)
        ranked = resident.hot.search(spec, search_terms(query.query), vector, self._clock())
        self._on_searched(subject, resident.head.generation, ranked[0].score if ranked else 0.0)
        return SearchResult(
            results=self._hits(resident, ranked, query.explain),
            total=len(ranked),
            degraded=[*degraded, WARMING],
        )

    async def hydrate(self, subject: Subject, request: Hydrate, request_id: str) -> Hydrated:
        """What is true of ids that the search index proposed, ranked like a search of this subject."""
        query = request.query
        async with self._residents.use(subject, fresh=True) as resident:
            wanted = set(request.memory_ids) | set(request.message_ids)
            missing = [i for i in request.message_ids if resident.hot.message(i) is None]
            if missing:
                resident.put_messages(await self._store.get_messages(subject, missing))
            vector = None if request.vector is None else vector_from_bytes(request.vector)
            # Of what was said often only the copies may be proposed: what stands for them is ranked too. An
            # index that is behind may propose what was deleted: that stands for nothing.
            there = [i for i in request.message_ids if resident.hot.message(i) is not None]
            wanted.update(memory.id for i in there for memory in resident.hot.memories_on(i))
            spec = self._spec(resident, query, len(wanted) + 1)

            def is_wanted(unit: Memory | Message) -> bool:
                return unit.id in wanted and (spec.predicate is None or spec.predicate(unit))

            narrowed = msgspec.structs.replace(spec, predicate=is_wanted)
            ranked = resident.hot.search(narrowed, search_terms(query.query), vector, self._clock())
            return Hydrated(results=self._hits(resident, ranked, query.explain))

    def _overtaken(self, resident: Resident) -> frozenset[str]:
        state = state_of(resident)
        known = self._overtaken_at.get(resident)
        if known is None or known[0] != state:
            ids = overtaken_messages(resident.hot.memories(), resident.hot.message)
            known = self._overtaken_at[resident] = (state, ids)
        return known[1]

    def _spec(self, resident: Resident, query: SearchQuery, limit: int, offset: int = 0) -> RankSpec:
        filters = self._residents.filter_of(resident.subject, query.filters) if query.filters else None
        return RankSpec(
            strategy=query.strategy,
            limit=limit,
            offset=offset,
            threshold=query.threshold,
            types=tuple(query.types) if query.types is not None else ("memory", "message"),
            kinds=tuple(query.kinds) if query.kinds is not None else None,
            session=query.session_id,
            latest_only=query.latest_only,
            predicate=None if filters is None else filters.matches,
            labels=labels_of(query),
            without=self._overtaken(resident) if query.latest_only else frozenset(),
        )

    def _hits(self, resident: Resident, ranked: Sequence[Ranked], explain: bool) -> list[SearchHit]:
        hits: list[SearchHit] = []
        for one in ranked:
            score = round(one.score, 6)
            parts = {name: round(float(part), 6) for name, part in one.parts.items()} if explain else None
            if (memory := resident.hot.memory(one.id)) is not None:
                hits.append(
                    SearchHit.model_construct(
                        type="memory",
                        id=memory.id,
                        content=memory.text,
                        score=score,
                        created_at=moment(memory.created_at),
                        event_time=optional_moment(memory.event_time),
                        memory=memory_out(memory),
                        message=None,
                        message_ids=list(one.sources),
                        explain=parts,
                    )
                )
            elif (message := resident.hot.message(one.id)) is not None:
                hits.append(
                    SearchHit.model_construct(
                        type="message",
                        id=message.id,
                        content=message.content,
                        score=score,
                        created_at=moment(message.created_at),
                        event_time=moment(message.event_time),
                        memory=None,
                        message=message_out(message, status_of(resident, message.id)),
                        message_ids=list(one.sources),
                        explain=parts,
                    )
                )
        return hits

    async def _embed(self, text: str) -> NDArray[np.float32]:
        async with asyncio.timeout(self._settings.search_timeout_seconds):
            return (await self._embedder.embed([text], "query"))[0]

    async def _vector(
        self, embedding: asyncio.Task[NDArray[np.float32]] | None
    ) -> tuple[NDArray[np.float32] | None, list[str]]:
        if embedding is None:
            return None, []
        try:
            return await embedding, []
        except (Unavailable, Overloaded, TimeoutError) as error:
            _log.warning("search without vectors", error=str(error))
            return None, ["embedding"]

    async def _bring_back(
        self, resident: Resident, query: SearchQuery, vector: NDArray[np.float32] | None
    ) -> list[str]:
        """Let the index name older messages that the cache has no room for, so that they are ranked too;
        what could not take part in that."""
        try:
            found = await self._indexing.search(
                IndexQuery(
                    tenant=resident.subject.tenant,
                    subject=resident.subject,
                    kinds=("message",),
                    session=query.session_id,
                    filters=query.filters,
                    text=None if query.strategy == "vector" and vector is not None else query.query,
                    vector=vector,
                    limit=_OLDER,
                )
            )
        except MemgridError as error:
            _log.warning("search without older messages", error=error.message)
            return ["search_index"]
        await self._residents.bring(resident, (hit.id for hit in found.hits))
        return [OLDER_VECTORS] if found.cut else []
