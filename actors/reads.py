"""What a subject's owner answers without changing anything: search, lists, profile."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from actors.adding import Adding
from actors.cold_search import WARMING, ColdSearch
from actors.cursors import decode_cursor, decode_offset, encode_cursor, encode_offset
from actors.edits import variables_of
from actors.indexing import Indexing
from actors.resident import Resident, Residents
from actors.views import memory_out, message_out, moment, optional_moment, run_out
from cluster.analysis import looks_chinese, search_terms
from cluster.embedding.port import Embedder
from cluster.ids import Clock
from cluster.jobs import decode_job
from cluster.logs import get_log
from cluster.model import Memory, Message, Millis
from cluster.profile import MessageStats, build_profile
from cluster.retrieval.filters import parse_filter
from cluster.retrieval.hot_subject import Ranked, RankSpec
from cluster.retrieval.overtaken import overtaken_messages
from cluster.search_index.port import OLDER_VECTORS, IndexQuery
from cluster.settings import Settings
from cluster.wide_store.codec import vector_from_bytes
from cluster.wide_store.port import MessageQuery, WideStore
from memgrid.errors import MemgridError, NotFound, Overloaded, Unavailable
from memgrid.models import (
    History,
    HistoryEntry,
    Job,
    ListQuery,
    MemoryOut,
    MemoryPage,
    MessagePage,
    Profile,
    RunPage,
    SearchHit,
    SearchQuery,
    SearchResult,
    SessionOut,
    SessionPage,
    Variables,
)
from memgrid.operations import ById, Hydrate, Hydrated, MessagesQuery, Nothing, Page, RunsQuery
from memgrid.subject import Subject

_log = get_log()
_STATS_PAGE = 1000
_OLDER = 50
"""Older messages that the search index may bring back into a search of a subject too large to be all hot."""


class AnswerCache:
    """Encoded answers by subject and question, bounded in bytes.

    An entry holds as long as the subject's revision and position are what they were, and no memory has
    expired since: it is never stale.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[Subject, str, bytes], tuple[tuple[int, ...], Millis, bytes]] = (
            OrderedDict()
        )
        self.hits = 0
        self.misses = 0

    def get(self, key: tuple[Subject, str, bytes], state: tuple[int, ...], now: Millis) -> bytes | None:
        """The answer, if it is still true."""
        entry = self._entries.get(key)
        if entry is None or entry[0] != state or entry[1] <= now:
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry[2]

    def put(
        self, key: tuple[Subject, str, bytes], state: tuple[int, ...], until: Millis, answer: bytes
    ) -> None:
        """Keep an answer that is true at `state` until `until`."""
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= _cost(key, old[2])
        self._entries[key] = (state, until, answer)
        self._bytes += _cost(key, answer)
        while self._bytes > self._max_bytes:
            dropped, (_, _, value) = self._entries.popitem(last=False)
            self._bytes -= _cost(dropped, value)


def _cost(key: tuple[Subject, str, bytes], answer: bytes) -> int:
    return len(answer) + len(key[2]) + len(key[0].id) + 400


class Reads:
    """The reading operations of a shard. Each follows the store first: it sees every acknowledged write."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: WideStore,
        residents: Residents,
        adding: Adding,
        embedder: Embedder,
        indexing: Indexing,
        clock: Clock,
        on_searched: Callable[[Subject, float], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._indexing = indexing
        self._residents = residents
        self._adding = adding
        self._embedder = embedder
        self._clock = clock
        self._cold = ColdSearch(
            store=store,
            residents=residents,
            indexing=indexing,
            model=embedder.model,
            dimension=embedder.dimension,
            clock=clock,
        )
        self._on_searched = on_searched
        self.cache = AnswerCache(settings.result_cache_bytes)
        self._overtaken_at: WeakKeyDictionary[Resident, tuple[tuple[int, ...], frozenset[str]]] = (
            WeakKeyDictionary()
        )

    # search

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
                state = (*_state(resident), len(away))
                now = self._clock()
                if (cached := self.cache.get(key, state, now)) is not None:
                    self._on_searched(subject, -1.0)
                    return cached
                vector, degraded = await self._vector(embedding)
                brought_back = away or resident.complete
                lacking = [] if brought_back else await self._bring_back(resident, query, vector)
                degraded = [*degraded, *away, *lacking]
                offset = decode_offset(query.cursor)
                spec = self._spec(resident, query, query.top_k + 1, offset)
                ranked = resident.hot.search(spec, search_terms(query.query), vector, now)
                page = ranked[: query.top_k]
                more = len(ranked) > query.top_k
                result = SearchResult(
                    results=self._hits(resident, page, query.explain),
                    total=len(page),
                    cursor=encode_offset(offset + query.top_k) if more else None,
                    degraded=degraded,
                )
                answer = encode(result)
                # what did not work just now may work the next time
                if {*degraded} <= {*away, OLDER_VECTORS} and state == (*_state(resident), len(away)):
                    self.cache.put(key, state, resident.hot.next_end(now), answer)
                self._on_searched(subject, page[0].score if page else 0.0)
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
        self._on_searched(subject, ranked[0].score if ranked else 0.0)
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
            spec = self._spec(resident, query, len(wanted) + 1)

            def is_wanted(unit: Memory | Message) -> bool:
                return unit.id in wanted and (spec.predicate is None or spec.predicate(unit))

            narrowed = msgspec.structs.replace(spec, predicate=is_wanted)
            ranked = resident.hot.search(narrowed, search_terms(query.query), vector, self._clock())
            return Hydrated(results=self._hits(resident, ranked, query.explain))

    def _overtaken(self, resident: Resident) -> frozenset[str]:
        state = _state(resident)
        known = self._overtaken_at.get(resident)
        if known is None or known[0] != state:
            ids = overtaken_messages(resident.hot.memories(), resident.hot.message)
            known = self._overtaken_at[resident] = (state, ids)
        return known[1]

    def _spec(self, resident: Resident, query: SearchQuery, limit: int, offset: int = 0) -> RankSpec:
        labels = {
            kind: value
            for kind, value in (
                ("user", query.user_id),
                ("agent", query.agent_id),
                ("app", query.app_id),
                ("run", query.run_id),
            )
            if value is not None
        }
        return RankSpec(
            strategy=query.strategy,
            limit=limit,
            offset=offset,
            threshold=query.threshold,
            types=tuple(query.types) if query.types is not None else ("memory", "message"),
            kinds=tuple(query.kinds) if query.kinds is not None else None,
            session=query.session_id,
            latest_only=query.latest_only,
            predicate=parse_filter(query.filters).matches if query.filters else None,
            labels=labels,
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
                        message_ids=list(memory.sources),
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
                        message_ids=[message.id],
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
        lacking = [OLDER_VECTORS] if found.cut else []
        missing = [hit.id for hit in found.hits if resident.hot.message(hit.id) is None]
        if not missing:
            return lacking
        messages = await self._store.get_messages(resident.subject, missing)
        vectors = await self._store.message_vectors(
            resident.subject, self._embedder.model, [message.id for message in messages]
        )
        by_id = {stored.id: stored.vector for stored in vectors}
        resident.hot.put_messages((message, by_id.get(message.id)) for message in messages)
        return lacking

    # memories

    async def list_memories(self, subject: Subject, query: ListQuery, request_id: str) -> MemoryPage:
        """Memories, newest first."""
        matches = parse_filter(query.filters or {}).matches
        labels = {
            kind: value
            for kind, value in (
                ("user", query.user_id),
                ("agent", query.agent_id),
                ("app", query.app_id),
                ("run", query.run_id),
            )
            if value is not None
        }
        now = self._clock()
        async with self._residents.use(subject, fresh=True) as resident:
            chosen = sorted(
                (
                    memory
                    for memory in resident.hot.memories()
                    if (not query.latest_only or memory.is_current(now))
                    and (memory.expires_at is None or memory.expires_at > now)
                    and (query.kinds is None or memory.kind in query.kinds)
                    and all(memory.labels.get(kind) == value for kind, value in labels.items())
                    and matches(memory)
                ),
                key=lambda memory: memory.id,
                reverse=True,
            )
            start = 0
            if query.cursor is not None:
                after = decode_cursor(query.cursor)
                start = next((n for n, memory in enumerate(chosen) if memory.id < after), len(chosen))
            page = chosen[start : start + query.limit]
            more = start + query.limit < len(chosen)
            return MemoryPage(
                memories=[memory_out(memory) for memory in page],
                cursor=encode_cursor(page[-1].id) if more else None,
                total=len(chosen),
            )

    async def get_memory(self, subject: Subject, request: ById, request_id: str) -> MemoryOut:
        """One memory, superseded or not."""
        async with self._residents.use(subject, fresh=True) as resident:
            memory = resident.hot.memory(request.id)
            if memory is None or (memory.expires_at is not None and memory.expires_at <= self._clock()):
                raise NotFound("there is no such memory", field="id")
            return memory_out(memory)

    async def history(self, subject: Subject, request: ById, request_id: str) -> History:
        """Every change of one memory, oldest first."""
        changes = await self._store.memory_history(subject, request.id, limit=1000)
        if not changes:
            raise NotFound("there is no such memory", field="id")
        return History(
            history=[
                HistoryEntry(
                    memory_id=entry.memory_id,
                    event=entry.event,
                    old_memory=entry.old_text,
                    new_memory=entry.new_text,
                    revision=change.revision,
                    run_id=change.run_id,
                    actor=change.actor,
                    reason=entry.reason,
                    at=moment(change.at),
                )
                for change in changes
                for entry in change.entries
            ]
        )

    async def variables(self, subject: Subject, request: Nothing, request_id: str) -> Variables:
        """The subject's variables."""
        async with self._residents.use(subject, fresh=True) as resident:
            return Variables(variables={name: m.text for name, m in variables_of(resident).items()})

    # profile

    async def profile(self, subject: Subject, request: Nothing, request_id: str) -> Profile | bytes:
        """Who the subject is, computed from memories and messages."""
        async with self._residents.use(subject, fresh=True) as resident:
            key = (subject, "profile", b"")
            state = _state(resident)
            now = self._clock()
            if (cached := self.cache.get(key, state, now)) is not None:
                return cached
            if resident.stats is None:
                resident.stats = await self._stats(resident)
            memories = [m for m in resident.hot.memories() if m.is_current(now)]
            chinese = not memories or looks_chinese(" ".join(m.text for m in memories[:50]))
            profile = build_profile(subject, memories, resident.stats, now, "zh" if chinese else "en")
            answer = encode(profile)
            if state == _state(resident):
                self.cache.put(key, state, resident.hot.next_end(now), answer)
            return answer

    async def _stats(self, resident: Resident) -> MessageStats:
        stats = MessageStats()
        cursor: str | None = None
        while True:
            page = await self._store.messages(
                resident.subject, MessageQuery(), cursor=cursor, limit=_STATS_PAGE
            )
            for message in page.messages:
                stats.observe(message)
            cursor = page.cursor
            if cursor is None:
                return stats

    # messages, runs, jobs

    async def sessions(self, subject: Subject, query: Page, request_id: str) -> SessionPage:
        """The subject's sessions by name."""
        cursor = None if query.cursor is None else decode_cursor(query.cursor)
        rows, after = await self._store.sessions(subject, cursor=cursor, limit=query.limit)
        return SessionPage(
            sessions=[
                SessionOut(
                    session_id=row.session,
                    messages=row.messages,
                    first_at=moment(row.first_at),
                    last_at=moment(row.last_at),
                )
                for row in rows
            ],
            cursor=None if after is None else encode_cursor(after),
        )

    async def messages(self, subject: Subject, query: MessagesQuery, request_id: str) -> MessagePage:
        """Messages in the order they arrived, or newest first."""
        async with self._residents.use(subject, fresh=True) as resident:
            page = await self._store.messages(
                subject,
                MessageQuery(
                    session=query.session_id,
                    mark=query.mark,
                    exclude_mark=query.exclude_mark,
                    newest_first=query.newest_first,
                ),
                cursor=None if query.cursor is None else decode_cursor(query.cursor),
                limit=query.limit,
            )
            return MessagePage(
                messages=[message_out(m, status_of(resident, m.id)) for m in page.messages],
                cursor=None if page.cursor is None else encode_cursor(page.cursor),
            )

    async def runs(self, subject: Subject, query: RunsQuery, request_id: str) -> RunPage:
        """Extraction runs, newest first."""
        rows, after = await self._store.runs(
            subject,
            status=query.status,
            cursor=None if query.cursor is None else decode_cursor(query.cursor),
            limit=query.limit,
        )
        return RunPage(
            runs=[run_out(run) for run in rows], cursor=None if after is None else encode_cursor(after)
        )

    async def job(self, subject: Subject, request: ById, request_id: str) -> Job:
        """How far an add has come."""
        key = decode_job(request.id)  # without a first message: of an add of none
        async with self._residents.use(subject, fresh=True) as resident:
            ids = await self._ids_between(resident, key.first, key.last)
            if not ids and key.first:
                raise NotFound("there is no such job", field="job_id")
            status, results = await self._adding.outcome(resident, ids)
            error = next(
                (run.error for run in resident.parked.values() if set(run.input_ids).intersection(ids)), None
            )
            return Job(
                job_id=request.id,
                status=status,
                messages=len(ids),
                done=sum(1 for i in ids if i not in resident.pending),
                results=results,
                error=error,
            )

    async def _ids_between(self, resident: Resident, first: str, last: str) -> list[str]:
        hot = [m.id for m in resident.hot.messages() if first <= m.id <= last]
        if hot:
            return hot
        stored = [m.id for m in await self._store.get_messages(resident.subject, [first, last])]
        if stored:
            return stored
        # Messages that vanished when they were extracted are in a run all the same.
        runs = await self._store.runs_of(resident.subject, [first, last])
        return sorted({i for run in runs for i in run.input_ids if first <= i <= last})


def status_of(resident: Resident, message_id: str) -> str:
    """Whether a message waits for extraction, has had it, or is in a parked run."""
    if message_id in resident.pending:
        return "buffered"
    if any(message_id in run.input_ids for run in resident.parked.values()):
        return "parked"
    return "extracted"


def encode(answer: BaseModel) -> bytes:
    """An answer as JSON."""
    return answer.model_dump_json().encode()


def _state(resident: Resident) -> tuple[int, ...]:
    return (resident.head.generation, resident.head.revision, resident.position)
