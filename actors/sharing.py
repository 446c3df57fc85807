"""Memories shared with another subject of the same tenant.

A share is two rows. The grant is in the shared memory itself (`attributes.shared_with`) and decides; the
reference to it is in the receiver's settings and only says where to look. Every read of the receiver
looks at the giver's row as it is now: what was unshared, changed, superseded, expired, deleted or erased is
seen at once, and a reference without a grant shows nothing. Nothing is copied, and tenants never meet: the
giver's subject is made with the receiver's own tenant.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from actors.adding import labels_of
from actors.commits import Commits
from actors.query_vectors import QueryVectors
from actors.reads import Reads
from actors.resident import Resident, Residents, vector_of
from actors.searching import Searching
from actors.views import memory_out, moment, optional_moment
from cluster.analysis import search_terms
from cluster.ids import Clock, new_id
from cluster.model import ChangeEntry, Changes, Head, Memory
from cluster.retrieval.hot_subject import HotSubject, RankSpec
from cluster.wide_store.codec import Vector
from cluster.wide_store.port import StaleRevision, WideStore
from memgrid.errors import InvalidInput, NotFound, Overloaded
from memgrid.kinds import ShareMemory, Shares
from memgrid.models import ListQuery, MemoryOut, MemoryPage, SearchHit, SearchQuery, SearchResult
from memgrid.subject import SUBJECT_KINDS, Subject

GRANTS: Final = "shared_with"
SETTING: Final = "shared"
MAX_GRANTS: Final = 100
"""Subjects that one memory is shared with."""
MAX_RECEIVED: Final = 1000
"""Memories that one subject is given."""
_CACHED_GIVERS: Final = 256
_TRIES: Final = 30
_BACKOFF_SECONDS: Final = 0.005


class Given(NamedTuple):
    """A memory of someone else that the subject may see."""

    memory: Memory
    giver: Subject
    vector: Vector | None = None


class _Shared(NamedTuple):
    """What a giver shares with anyone, at the head it was read at."""

    head: Head
    memories: dict[str, Memory]
    vectors: dict[str, Vector]
    """Those that were there when they were asked for: embedding goes on behind a commit."""


class Sharing:
    """Gives, takes back, and shows what was given; search and list answer with it where there is any."""

    def __init__(
        self,
        *,
        store: WideStore,
        residents: Residents,
        commits: Commits,
        searching: Searching,
        reads: Reads,
        vectors: QueryVectors,
        model: str,
        dimension: int,
        clock: Clock,
    ) -> None:
        """`model` is the one that has made the vectors, of so many dimensions."""
        self._store = store
        self._residents = residents
        self._commits = commits
        self._searching = searching
        self._reads = reads
        self._vectors = vectors
        self._model = model
        self._dimension = dimension
        self._clock = clock
        self._givers: OrderedDict[Subject, _Shared] = OrderedDict()

    # giving

    async def share_memory(self, subject: Subject, request: ShareMemory, request_id: str) -> Shares:
        """Let another subject see a memory."""
        receiver = _receiver(subject, request)
        if receiver == subject:
            raise InvalidInput("it is this subject's own memory", field=f"{receiver.kind}_id")
        async with self._residents.use(subject, fresh=True) as resident:
            _known(resident, request.id)
            # First where to look: without the grant it shows nothing, and a grant alone would show nothing.
            await self._refer(receiver, [subject.kind, subject.id, request.id], keep=True)
            return await self._grant(resident, request.id, request_id, receiver, give=True)

    async def unshare_memory(self, subject: Subject, request: ShareMemory, request_id: str) -> Shares:
        """No longer let it; nothing happens where it was not shared."""
        receiver = _receiver(subject, request)
        async with self._residents.use(subject, fresh=True) as resident:
            shares = await self._grant(resident, request.id, request_id, receiver, give=False)
            await self._refer(receiver, [subject.kind, subject.id, request.id], keep=False)
            return shares

    async def _grant(
        self, resident: Resident, memory_id: str, request_id: str, receiver: Subject, *, give: bool
    ) -> Shares:
        grant = [receiver.kind, receiver.id]

        def build() -> Changes | None:
            memory = _known(resident, memory_id)
            grants = _grants(memory)
            if (grant in grants) == give:
                return None
            after = [*grants, grant] if give else [each for each in grants if each != grant]
            if len(after) > MAX_GRANTS:
                raise InvalidInput(f"a memory is shared with at most {MAX_GRANTS}", field="id")
            return Changes(
                commit_id=request_id,
                at=self._clock(),
                actor="api",
                put=(msgspec.structs.replace(memory, attributes=memory.attributes | {GRANTS: after}),),
                entries=(
                    ChangeEntry(
                        memory_id=memory.id,
                        event="UPDATE",
                        old_text=memory.text,
                        new_text=memory.text,
                        reason=f"{'shared' if give else 'no longer shared'} with {':'.join(grant)}",
                    ),
                ),
            )

        await self._commits.commit(resident, build)
        return Shares(shares=[":".join(each) for each in _grants(_known(resident, memory_id))])

    async def _refer(self, receiver: Subject, reference: list[str], *, keep: bool) -> None:
        """Change the receiver's references: at its row in the store, for its owner may be elsewhere, and will
        see that the row has changed."""
        for attempt in range(_TRIES):
            head = await self._store.head(receiver)
            there = _references(head.settings)
            if (reference in there) == keep:
                return
            after = [*there, reference] if keep else [each for each in there if each != reference]
            if len(after) > MAX_RECEIVED:
                raise InvalidInput(f"at most {MAX_RECEIVED} memories are received", field="id")
            settings = {**head.settings, SETTING: after}
            changes = Changes(commit_id=new_id(), at=self._clock(), actor="api", settings=settings)
            try:
                await self._store.commit(receiver, head, changes)
            except StaleRevision:
                await asyncio.sleep(_BACKOFF_SECONDS * attempt * random.random())
                continue
            return
        raise Overloaded("the receiver is being changed from many sides at once", retry_after=1.0)

    # receiving

    async def given(
        self, subject: Subject, settings: Mapping[str, Any], *, vectors: bool = False
    ) -> list[Given]:
        """What others share with the subject of these `settings` now, read at their heads of now; with their
        `vectors`, as far as there are any."""
        receiver = [subject.kind, subject.id]
        by_giver: dict[Subject, list[str]] = {}
        for kind, id_, memory_id in _references(settings):
            if kind in SUBJECT_KINDS:
                giver = Subject(subject.tenant, kind, id_)
                by_giver.setdefault(giver, []).append(memory_id)
        now = self._clock()
        found: list[Given] = []
        for giver, ids in by_giver.items():
            shared = await self._shared_by(giver)
            if vectors:
                await self._bring_vectors(giver, shared)
            for memory_id in ids:
                memory = shared.memories.get(memory_id)
                if memory is None or receiver not in _grants(memory):
                    continue
                if memory.expires_at is None or memory.expires_at > now:
                    own = {k: v for k, v in memory.attributes.items() if k != GRANTS}
                    shown = msgspec.structs.replace(memory, attributes=own)
                    found.append(Given(shown, giver, shared.vectors.get(memory_id)))
        return found

    async def _bring_vectors(self, giver: Subject, shared: _Shared) -> None:
        if shared.vectors.keys() >= shared.memories.keys():
            return
        for stored in await self._store.memory_vectors(giver, self._model):
            memory = shared.memories.get(stored.id)
            if memory is not None and (vector := vector_of(memory, stored)) is not None:
                shared.vectors[stored.id] = vector

    async def _shared_by(self, giver: Subject) -> _Shared:
        head = await self._store.head(giver)
        known = self._givers.get(giver)
        if known is None or (known.head.generation, known.head.revision) != (head.generation, head.revision):
            loaded = await self._store.load(giver)
            known = _Shared(loaded.head, {m.id: m for m in loaded.memories if _grants(m)}, {})
            self._givers[giver] = known
        self._givers.move_to_end(giver)
        while len(self._givers) > _CACHED_GIVERS:
            self._givers.popitem(last=False)
        return known

    # reading

    async def search(self, subject: Subject, query: SearchQuery, request_id: str) -> SearchResult | bytes:
        """The subject's own results; on the first page those shared with it among them."""
        answer = await self._searching.search(subject, query, request_id)
        memories = query.types is None or "memory" in query.types
        if query.cursor is not None or query.session_id is not None or not memories:
            return answer  # a session is the subject's own
        resident = self._residents.peek(subject)  # it may not be ready yet, and need not be
        head = await self._store.head(subject) if resident is None else resident.head
        given = await self.given(subject, head.settings, vectors=True)
        given = [each for each in given if _carries(each, subject, query)]
        if not given:
            return answer
        hits = await self._hits(subject, given, query)
        result = SearchResult.model_validate_json(answer) if isinstance(answer, bytes) else answer
        results = sorted([*result.results, *hits], key=lambda hit: hit.score, reverse=True)[: query.top_k]
        return result.model_copy(update={"results": results, "total": len(results)})

    async def _hits(self, subject: Subject, given: Sequence[Given], query: SearchQuery) -> list[SearchHit]:
        """Ranked among themselves, as the query asks."""
        vector = None if query.strategy == "full_text" else await self._vectors.of(query.query)
        hot = HotSubject(self._dimension)
        hot.put_memories((each.memory, each.vector) for each in given)
        by_id = {each.memory.id: each for each in given}
        filters = self._residents.filter_of(subject, query.filters) if query.filters else None
        ranked = hot.search(
            RankSpec(
                strategy="full_text" if vector is None else query.strategy,
                limit=query.top_k,
                threshold=query.threshold,
                types=("memory",),
                kinds=tuple(query.kinds) if query.kinds is not None else None,
                latest_only=query.latest_only,
                predicate=None if filters is None else filters.matches,
            ),
            search_terms(query.query),
            vector,
            self._clock(),
        )
        return [_hit(by_id[hit.id], hit.score, hit.parts if query.explain else None) for hit in ranked]

    async def list_memories(self, subject: Subject, query: ListQuery, request_id: str) -> MemoryPage:
        """The subject's own memories; behind the last of them those shared with it."""
        page = await self._reads.list_memories(subject, query, request_id)
        if page.cursor is not None:
            return page
        async with self._residents.use(subject, fresh=False) as resident:
            given = await self.given(subject, resident.head.settings)
        matches = self._residents.filter_of(subject, query.filters).matches
        now = self._clock()
        shown = [
            shared_out(each)
            for each in sorted(given, key=lambda each: each.memory.id, reverse=True)
            if _carries(each, subject, query)
            and (not query.latest_only or each.memory.is_current(now))
            and (query.kinds is None or each.memory.kind in query.kinds)
            and matches(each.memory)
        ]
        return page.model_copy(
            update={"memories": [*page.memories, *shown], "total": page.total + len(shown)}
        )


def _references(settings: Mapping[str, Any]) -> list[list[str]]:
    """(kind, id, memory id) of what a subject was given, from its settings."""
    return [list(each) for each in settings.get(SETTING, ())]


def _receiver(subject: Subject, request: ShareMemory) -> Subject:
    """Never of another tenant: it is made with the giver's own."""
    named = (request.user_id, request.agent_id, request.app_id, request.run_id)
    for kind, id_ in zip(SUBJECT_KINDS, named, strict=True):
        if id_ is not None:
            return Subject(subject.tenant, kind, id_)
    raise InvalidInput(
        "who may see it?", field="user_id", remedy="give one of user_id, agent_id, app_id, run_id"
    )


def _carries(given: Given, subject: Subject, query: SearchQuery | ListQuery) -> bool:
    """Whether it has the labels asked for: the one that names the subject aside, for it is another's."""
    named = labels_of(query)
    return all(given.memory.labels.get(kind) == id_ for kind, id_ in named.items() if kind != subject.kind)


def shared_out(given: Given) -> MemoryOut:
    """A memory of someone else as callers see it: it says whose it is."""
    return memory_out(given.memory).model_copy(update={"shared_by": f"{given.giver.kind}:{given.giver.id}"})


def _hit(given: Given, score: float, parts: dict[str, float] | None) -> SearchHit:
    memory = given.memory
    return SearchHit(
        type="memory",
        id=memory.id,
        content=memory.text,
        score=round(score, 6),
        created_at=moment(memory.created_at),
        event_time=optional_moment(memory.event_time),
        memory=shared_out(given),
        message_ids=list(memory.sources),
        subject=f"{given.giver.kind}:{given.giver.id}",
        explain=parts,
    )


def _grants(memory: Memory) -> list[list[str]]:
    grants: Any = memory.attributes.get(GRANTS)
    return [list(grant) for grant in grants] if isinstance(grants, list | tuple) else []


def _known(resident: Resident, memory_id: str) -> Memory:
    memory = resident.hot.memory(memory_id)
    if memory is None:
        raise NotFound("there is no such memory", field="id")
    return memory
