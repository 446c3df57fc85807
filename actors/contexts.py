"""The context operation: what matters for the next turn, gathered for `cluster.context` to lay out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from numpy import float32
from numpy.typing import NDArray

from actors.adding import millis
from actors.query_vectors import QueryVectors
from actors.resident import Resident, Residents
from actors.sharing import Given, Sharing
from cluster.analysis import search_terms
from cluster.context import build_context, check_template
from cluster.ids import Clock
from cluster.model import Memory, Message, Millis
from cluster.pipeline.recalled import without_recalled
from cluster.retrieval.hot_subject import HotSubject, RankSpec
from cluster.retrieval.overtaken import overtaken_messages
from cluster.summaries import summaries_of
from cluster.tokens import count_tokens
from memgrid.models import ContextBlock, ContextQuery
from memgrid.subject import Subject

_POOL: Final = 5
"""Results looked at for each place in a context block."""
_SHARE: Final = 0.6
"""A memory goes before messages if it scores at least this share of the best result."""


class _Relevant(NamedTuple):
    memories: list[Memory]
    messages: list[Message]
    scores: dict[str, float]


class Contexts:
    """Answers `context`; it follows the store first, so that it sees every acknowledged write."""

    def __init__(
        self,
        *,
        residents: Residents,
        vectors: QueryVectors,
        sharing: Sharing,
        dimension: int,
        clock: Clock,
    ) -> None:
        self._residents = residents
        self._vectors = vectors
        self._sharing = sharing
        self._dimension = dimension
        self._clock = clock

    async def context(self, subject: Subject, query: ContextQuery, request_id: str) -> ContextBlock:
        """What matters for the next turn, as text for a prompt."""
        if query.template is not None:
            check_template(query.template)
        asked = bool(query.message.strip())
        embedding = asyncio.create_task(self._vectors.of(query.message)) if asked else None
        try:
            async with self._residents.use(subject, fresh=True) as resident:
                now = self._clock()
                vector = await embedding if embedding is not None else None
                given = await self._sharing.given(subject, resident.head.settings, vectors=asked)
                wanted = _Wanted(query)
                current = [
                    memory
                    for memory in (*resident.hot.memories(), *(each.memory for each in given))
                    if memory.is_current(now) and wanted(memory)
                ]
                if asked:
                    found = self._relevant(resident, query, wanted, vector, given, now)
                else:
                    newest = sorted(current, key=lambda m: (m.updated_at, m.id), reverse=True)
                    found = _Relevant(newest[: query.limit], [], {})
                buffered = [m for i in sorted(resident.pending) if (m := resident.hot.message(i)) is not None]
                summaries = list(summaries_of(resident.head.settings).values())
                return build_context(
                    memories=found.memories,
                    messages=found.messages,
                    profile=[memory for memory in current if memory.kind == "profile"],
                    buffered=without_recalled(buffered, resident.known),
                    summary=summaries[-1] if summaries else None,
                    max_tokens=query.max_tokens,
                    count_tokens=count_tokens,
                    language=query.language,
                    plain=query.plain,
                    degraded=asked and vector is None,
                    ratio=query.profile_event_ratio,
                    prefer_topics=query.prefer_topics or (),
                    template=query.template,
                    scores=found.scores if query.explain else None,
                )
        finally:
            if embedding is not None and not embedding.done():
                embedding.cancel()

    def _relevant(
        self,
        resident: Resident,
        query: ContextQuery,
        wanted: _Wanted,
        vector: NDArray[float32] | None,
        given: Sequence[Given],
        now: Millis,
    ) -> _Relevant:
        """The `limit` best: memories that are about the message, then whatever fits it next.

        A message says the same as the memory made of it in more words, and may be small talk: memories go
        first, where they are not far behind the best.
        """
        terms = search_terms(query.message)
        spec = RankSpec(
            strategy="hybrid" if vector is not None else "full_text",
            limit=query.limit * _POOL,
            predicate=None if wanted.everything else wanted,
            without=overtaken_messages(resident.hot.memories(), resident.hot.message),
        )
        ranked = resident.hot.search(spec, terms, vector, now)
        shared = {each.memory.id: each.memory for each in given if wanted(each.memory)}
        if shared:
            hot = HotSubject(self._dimension)
            hot.put_memories((each.memory, each.vector) for each in given if each.memory.id in shared)
            among = RankSpec(strategy=spec.strategy, limit=query.limit * _POOL)
            ranked = [*ranked, *hot.search(among, terms, vector, now)]
        least = max((hit.score for hit in ranked), default=0.0) * _SHARE
        ordered = sorted(ranked, key=lambda hit: (hit.kind != "memory" or hit.score < least, -hit.score))
        found = _Relevant([], [], {hit.id: round(hit.score, 6) for hit in ranked})
        said: set[str] = set()
        for hit in ordered:
            if len(found.memories) + len(found.messages) == query.limit:
                break
            memory = shared.get(hit.id) or resident.hot.memory(hit.id)
            if memory is not None:
                found.memories.append(memory)
            elif (message := resident.hot.message(hit.id)) is not None:
                # An earlier context block in it would be shown again, and in the next one twice.
                for own in without_recalled([message], resident.known):
                    if own.content not in said:
                        found.messages.append(own)
                        said.add(own.content)
        return found


class _Wanted:
    """Which memories and messages the query's topics and period let in."""

    def __init__(self, query: ContextQuery) -> None:
        self._topics = None if query.only_topics is None else frozenset(query.only_topics)
        self._since = None if query.since is None else millis(query.since)
        self._until = None if query.until is None else millis(query.until)

    @property
    def everything(self) -> bool:
        return self._topics is None and self._since is None and self._until is None

    def __call__(self, unit: Memory | Message) -> bool:
        if isinstance(unit, Memory):
            if unit.kind in ("variable", "task"):
                return self.everything
            if self._topics is not None and unit.kind != "event" and unit.topic not in self._topics:
                return False
            if unit.kind == "profile":
                return True  # who someone is belongs to no period
            at = unit.created_at if unit.event_time is None else unit.event_time
        else:
            at = unit.event_time
        return (self._since is None or at >= self._since) and (self._until is None or at < self._until)
