"""The owner of some shards: everything a shard actor is, without Ray."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ValidationError

from actors.adding import Adding
from actors.answer_cache import AnswerCache
from actors.briefing import Briefing
from actors.buffering import Buffering, policy_of
from actors.commits import Commits
from actors.contexts import Contexts
from actors.daily_stats import DailyStats
from actors.documents import Documents
from actors.edits import Edits
from actors.events import Events
from actors.extraction import ExtractionLoop
from actors.indexing import Indexing
from actors.owner_metrics import OwnerMetrics
from actors.profile_configs import ProfileConfigs
from actors.projects import Projects
from actors.query_vectors import QueryVectors
from actors.reads import Reads
from actors.relations import Relations
from actors.resident import Resident, Residents
from actors.run_details import RunDetails
from actors.searching import Searching
from actors.sharing import Sharing
from actors.sweep import Sweep
from actors.tasks import Tasks
from actors.vectors import VectorQueue
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.buffer import ShardBuffers
from cluster.composition import (
    build_embedder,
    build_extraction_configs,
    build_extractor,
    open_index,
    open_store,
)
from cluster.embedding.port import Embedder
from cluster.ids import Clock, system_clock
from cluster.jobs import decode_job
from cluster.logs import get_log
from cluster.model import Changes
from cluster.pipeline.port import Extractor
from cluster.search_index.port import FOREVER, SearchIndex
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from memgrid.errors import InternalError, InvalidInput, MemgridError, NotFound, Overloaded
from memgrid.models import ErrorDetail
from memgrid.operations import OPERATIONS, Stats, StatsQuery
from memgrid.subject import Subject, SubjectKind

_log = get_log()

Reply = tuple[bool, bytes]
CallArgs = tuple[str, tuple[str, SubjectKind, str], str, bytes]
Operation = Callable[[Subject, Any, str], Awaitable[BaseModel | bytes]]


class ShardOwner:
    """Serves the subjects of its shards: one owner a subject as a rule, and correct when there are two."""

    def __init__(
        self,
        settings: Settings,
        *,
        shards: Sequence[int],
        name: str,
        store: WideStore,
        index: SearchIndex,
        embedder: Embedder,
        extractor: Extractor,
        clock: Clock = system_clock,
    ) -> None:
        self._settings = settings
        self.name = name
        self.store = store
        self.index = index
        self.embedder = embedder
        self.extractor = extractor
        self._clock = clock
        self._inflight = 0
        self._idle = asyncio.Event()
        """Set while no request is in flight."""
        self._idle.set()
        self._draining = False
        # The other half of the time is for the append, and for the way there and back.
        patience = settings.request_timeout_seconds / 2
        self.waiters = Waiters(patience=patience, most=settings.max_inflight_requests)
        self.configs = build_extraction_configs(settings, store)
        self.stats = DailyStats(store, clock)
        buffers: ShardBuffers[Subject] = ShardBuffers(
            events.BufferLimits(
                full_tokens=settings.buffer_full_tokens,
                run_tokens=settings.buffer_run_tokens,
                idle_ms=int(settings.idle_seconds * 1000),
                max_in_flight=settings.extraction_max_in_flight,
                attempts=settings.extraction_attempts,
                backoff_ms=int(settings.extraction_backoff_seconds * 1000),
                max_backoff_ms=int(settings.extraction_backoff_seconds * 60_000),
            ),
            Random(),
        )
        self.residents = Residents(
            store,
            model=embedder.model,
            dimension=embedder.dimension,
            max_bytes=settings.hot_bytes,
            position=lambda: buffers.position,
            on_loaded=self._on_loaded,
            on_appended=self._on_appended,
            on_activated=self._on_activated,
            on_dropped=self._may_drop,
        )
        self.indexing = Indexing(
            store,
            index,
            self.residents,
            shards=shards,
            of=settings.shards,
            model=embedder.model,
            on_imported=self._on_imported,
        )
        self.commits = Commits(store, self.residents, self._on_landed, self.indexing.deleting)
        self.vectors = VectorQueue(
            store, self.indexing, embedder, self.residents, batch_size=settings.embedding_batch_size
        )
        self.profiles = ProfileConfigs(store)
        briefing = Briefing(store, extractor, self.configs, self.profiles)
        self.loop = ExtractionLoop(
            store=store,
            residents=self.residents,
            commits=self.commits,
            briefing=briefing,
            profiles=self.profiles,
            buffers=buffers,
            waiters=self.waiters,
            clock=clock,
            context_messages=settings.extraction_context_messages,
            max_memories=settings.max_memories_per_subject,
        )
        self.adding = Adding(
            settings=settings,
            store=store,
            residents=self.residents,
            loop=self.loop,
            waiters=self.waiters,
            vectors=self.vectors,
            clock=clock,
        )
        self.buffering = Buffering(
            settings=settings,
            store=store,
            residents=self.residents,
            commits=self.commits,
            loop=self.loop,
            waiters=self.waiters,
            vectors=self.vectors,
            adding=self.adding,
            clock=clock,
        )
        self.edits = Edits(
            store=store,
            residents=self.residents,
            commits=self.commits,
            loop=self.loop,
            stats=self.stats,
            clock=clock,
        )
        self.cache = AnswerCache(settings.result_cache_bytes)
        self.searching = Searching(
            settings=settings,
            store=store,
            residents=self.residents,
            embedder=embedder,
            indexing=self.indexing,
            cache=self.cache,
            clock=clock,
            on_searched=self.stats.searched,
        )
        self.reads = Reads(
            settings=settings,
            store=store,
            residents=self.residents,
            adding=self.adding,
            cache=self.cache,
            clock=clock,
        )
        self.run_details = RunDetails(store, self.residents)
        self.projects = Projects(store, self.configs, clock)
        self.documents = Documents(self.adding)
        vectors = self.query_vectors = QueryVectors(embedder, settings.search_timeout_seconds)
        self.events = Events(residents=self.residents, vectors=vectors, clock=clock)
        self.tasks = Tasks(
            residents=self.residents,
            commits=self.commits,
            vectors=vectors,
            briefing=briefing,
            patience=patience,
            clock=clock,
        )
        self.relations = Relations(residents=self.residents, commits=self.commits, clock=clock)
        self.sharing = Sharing(
            store=store,
            residents=self.residents,
            commits=self.commits,
            searching=self.searching,
            reads=self.reads,
            vectors=vectors,
            model=embedder.model,
            dimension=embedder.dimension,
            clock=clock,
        )
        self.contexts = Contexts(
            residents=self.residents,
            vectors=vectors,
            sharing=self.sharing,
            dimension=embedder.dimension,
            clock=clock,
        )
        self.sweep = Sweep(
            store=store,
            residents=self.residents,
            edits=self.edits,
            shards=shards,
            clock=clock,
            cleanup_seconds=settings.cleanup_interval_hours * 3600,
            memory_ttl_days=settings.memory_ttl_days,
        )
        self._operations = self._table()
        self._metrics = OwnerMetrics(self)

    @classmethod
    async def open(cls, settings: Settings, *, shards: Sequence[int], name: str) -> ShardOwner:
        """Build everything from the settings and start the background work."""
        store = await open_store(settings)
        embedder = build_embedder(settings)
        if settings.embedding_base_url is not None and settings.embedding_dimension is None:
            await embedder.embed(["memgrid"], "query")  # an endpoint tells its dimension with an answer
        info = await store.set_embedding_model(embedder.model, embedder.dimension)
        if (info.embedding_model, info.embedding_dimension) != (embedder.model, embedder.dimension):
            raise InvalidInput(
                f"the store was filled with embeddings of {info.embedding_model} "
                f"({info.embedding_dimension} dimensions), and the settings say {embedder.model}",
                field="embedding_model",
                remedy=f"set embedding_model to {info.embedding_model}, or start with a new data_dir",
            )
        index = await open_index(settings, embedder.dimension)
        owner = cls(
            settings,
            shards=shards,
            name=name,
            store=store,
            index=index,
            embedder=embedder,
            extractor=build_extractor(settings),
        )
        owner.start()
        return owner

    def start(self) -> None:
        """Begin the background work."""
        self.indexing.start()
        self.vectors.start()
        self.stats.start()
        self.sweep.start()

    async def close(self) -> None:
        """Drain: refuse what is new, finish what is in flight, close the stores."""
        self._draining = True
        await self.sweep.close()
        await self.loop.drain()
        await self.buffering.close()
        self.waiters.close()
        await self._idle.wait()
        await self.vectors.close()
        await self.indexing.close()
        await self.stats.close()
        await self.extractor.close()
        await self.embedder.close()
        await self.index.close()
        await self.store.close()

    # calls

    async def call(
        self, operation: str, subject: tuple[str, SubjectKind, str], request_id: str, body: bytes
    ) -> Reply:
        """One operation, its outcome as bytes either way."""
        started = time.perf_counter()
        outcome = "ok"
        try:
            if self._draining:
                raise Overloaded("this owner is shutting down", retry_after=1.0)
            # Who merely waits for an extraction takes no room from those who read and add.
            busy = self._inflight - len(self.waiters)
            if busy >= self._settings.max_inflight_requests:
                raise Overloaded(
                    f"this shard has {busy} requests in flight",
                    remedy="send the same request again later",
                    retry_after=1.0,
                )
            self._inflight += 1
            self._idle.clear()
            try:
                return True, await self._answer(operation, Subject(*subject), request_id, body)
            finally:
                self._inflight -= 1
                if not self._inflight:
                    self._idle.set()
        except MemgridError as error:
            outcome = error.code
            return False, failure(error)
        except Exception as error:  # noqa: BLE001 - the call's outermost level: logged, counted, answered
            outcome = "internal_error"
            _log.exception("operation failed", operation=operation, request_id=request_id)
            return False, failure(InternalError(f"{operation} failed: {type(error).__name__}"))
        finally:
            self._metrics.observe(operation, outcome, time.perf_counter() - started)

    async def call_many(self, calls: Sequence[CallArgs]) -> list[Reply]:
        """Several operations: those of one subject one after the other, subjects side by side."""
        replies: list[Reply] = [(False, b"")] * len(calls)
        places: dict[tuple[str, SubjectKind, str], list[int]] = defaultdict(list)
        for place, (_, subject, _, _) in enumerate(calls):
            places[subject].append(place)

        async def serve(mine: list[int]) -> None:
            for place in mine:
                replies[place] = await self.call(*calls[place])

        with self.waiters.together():
            await asyncio.gather(*map(serve, places.values()))
        return replies

    async def resolve(self, what: Literal["memory", "run", "job"], tenant: str, id: str) -> Reply:
        """Whose memory, run or job this is: its subject's kind and id as JSON."""
        try:
            if what == "job":
                subject = decode_job(id).subject(tenant)
            elif what == "run":
                subject = await self.store.resolve_run(tenant, id)
            else:
                subject = await self.store.resolve_memory(tenant, id)
            if subject is None:
                raise NotFound(f"there is no such {what}", field="id")
            return True, msgspec.json.encode((subject.kind, subject.id))
        except MemgridError as error:
            return False, failure(error)

    async def health(self) -> Reply:
        """The owner's own view: its store answers; without embeddings or the index it is degraded."""
        try:
            await self.store.ping()
        except MemgridError as error:
            return False, failure(error)
        if (failing := self.vectors.failing or self.indexing.down) is not None:
            return True, msgspec.json.encode({"status": "degraded", "error": failing})
        return True, b'{"status":"healthy"}'

    async def metrics(self) -> Reply:
        """Prometheus text."""
        return True, self._metrics.text()

    async def _answer(self, operation: str, subject: Subject, request_id: str, body: bytes) -> bytes:
        handler = self._operations.get(operation)
        if handler is None:
            raise NotFound(f"there is no operation {operation!r}")
        try:
            request = OPERATIONS[operation][0].model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InvalidInput(
                first["msg"], field=".".join(str(part) for part in first["loc"]) or None
            ) from error
        answer = await handler(subject, request, request_id)
        return answer if isinstance(answer, bytes) else answer.model_dump_json().encode()

    async def _stats(self, subject: Subject, request: StatsQuery, request_id: str) -> Stats:
        return await self.stats.read(subject, request.days)

    def _table(self) -> dict[str, Operation]:
        table: dict[str, Operation] = {"stats": self._stats}
        for name in OPERATIONS:
            # Sharing comes last: it answers with what others share, and asks the reads for the rest.
            for part in (
                self.adding,
                self.buffering,
                self.edits,
                self.searching,
                self.reads,
                self.run_details,
                self.projects,
                self.documents,
                self.events,
                self.tasks,
                self.relations,
                self.profiles,
                self.query_vectors,
                self.contexts,
                self.sharing,
            ):
                if (method := getattr(part, name, None)) is not None:
                    table[name] = method
        missing = OPERATIONS.keys() - table.keys()
        if missing:
            raise InternalError(f"operations without a handler: {sorted(missing)}")
        return table

    # what the parts tell each other

    def _on_loaded(self, resident: Resident, items: tuple[events.Item, ...], as_of: int) -> None:
        policy = policy_of(resident)
        self.loop.dispatch(
            events.Loaded(resident.subject, items, events.Policy(policy.on_full, policy.on_idle), as_of=as_of)
        )

    def _on_appended(self, resident: Resident, items: tuple[events.Item, ...]) -> None:
        self.loop.dispatch(events.Appended(resident.subject, items))

    async def _on_activated(self, resident: Resident) -> None:
        self.loop.activated(resident)
        self.vectors.add(resident, [unit for unit, _ in resident.hot.missing_vectors()])

    def _may_drop(self, resident: Resident, with_backlog: bool) -> bool:
        if resident.pending or (not with_backlog and self.vectors.backlog(resident.subject)):
            return False
        self.loop.dispatch(events.Unloaded(resident.subject))
        return True

    def _on_imported(self) -> None:
        self.sweep.resume_soon()  # what came without vectors is embedded when it is activated

    def _on_landed(self, resident: Resident, changes: Changes) -> None:
        subject = resident.subject
        added = sum(1 for entry in changes.entries if entry.event == "ADD")
        self.stats.added(subject, resident.head.generation, added)
        for run in changes.runs:
            self.waiters.settled(subject, run.input_ids)
        self.waiters.settled(subject, changes.delete_messages)
        if changes.erase:
            self.waiters.erased(subject)
            self.indexing.forget(subject, resident.head.generation, ())
        gone = [(memory, resident.head.revision) for memory in changes.delete]
        gone += [(message, FOREVER) for message in changes.delete_messages]
        if gone:
            self.vectors.drop(subject, (unit for unit, _ in gone))
            self.indexing.forget(subject, resident.head.generation, tuple(gone))
        if changes.put:
            changed = {memory.id: resident.hot.needs_vector(memory.id) for memory in changes.put}
            self.vectors.add(resident, [memory for memory, needs in changed.items() if needs])
            self.indexing.change(subject, [memory for memory, needs in changed.items() if not needs])


def failure(error: MemgridError) -> bytes:
    """An error as the JSON that travels."""
    return (
        ErrorDetail(
            code=error.code,
            message=error.message,
            field=error.field,
            remedy=error.remedy,
            retry_after=error.retry_after,
        )
        .model_dump_json()
        .encode()
    )
