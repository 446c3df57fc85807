"""The context operation: what matters for the next turn, gathered for `cluster.context` to lay out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from numpy import float32
from numpy.typing import NDArray

from actors.adding import millis
from actors.query_vectors import QueryVectors
from actors.resident import Resident, Residents
from actors.sharing import Given, Sharing
from cluster.analysis import normalise, search_terms
from cluster.context import build_context, check_template
from cluster.ids import Clock
from cluster.model import Memory, Message, Millis
from cluster.pipeline.recalled import without_recalled
from cluster.pipeline.rules.extractor import HUMAN_ROLES
from cluster.pipeline.rules.sentences import sentences_of
from cluster.retrieval.hot_subject import HotSubject, RankSpec
from cluster.retrieval.results import Ranked
from cluster.summaries import summaries_of
from cluster.tokens import count_tokens
from memgrid.errors import InvalidInput
from memgrid.models import ContextBlock, ContextQuery, ResultType
from memgrid.subject import Subject

_POOL: Final = 5
"""Results looked at for each place in a context block: some messages among them turn out not to fit."""
_SHARE: Final = 0.6
"""A memory goes before messages if it scores at least this share of the best result."""
_KEPT: Final = 1 / 3
"""Share of the plain list that is for memories, however well messages fit."""


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
        wanted = _Wanted(query)
        asked = bool(query.message.strip())
        embedding = asyncio.create_task(self._vectors.of(query.message)) if asked else None
        try:
            async with self._residents.use(subject, fresh=True) as resident:
                now = self._clock()
                vector = await embedding if embedding is not None else None
                given = await self._sharing.given(subject, resident.head.settings, vectors=asked)
                current = [
                    memory
                    for memory in (*resident.hot.memories(), *(each.memory for each in given))
                    if memory.is_current(now) and wanted(memory)
                ]
                if asked:
                    question = _Question(search_terms(query.message), vector, wanted, now)
                    found = self._relevant(resident, query, question, given)
                else:
                    newest = sorted(current, key=lambda m: (m.updated_at, m.id), reverse=True)
                    found = _Relevant(newest[: query.limit], [], {})
                pending = (resident.hot.message(each) for each in sorted(resident.pending))
                buffered = [each for each in pending if each is not None and wanted(each)]
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
        self, resident: Resident, query: ContextQuery, question: _Question, given: Sequence[Given]
    ) -> _Relevant:
        """The `limit` best; memories go before messages, unless they are far behind the best result.

        The plain list is of memories: some places are theirs whatever was said, and of messages it takes only
        what people stated."""
        listed = query.plain and query.template is None
        shared = {each.memory.id: each for each in given if question.wanted(each.memory)}
        hot = resident.hot
        spec = question.spec(query.limit * _POOL, without=_outdated(hot, question.now))
        ranked = hot.search(spec, *question.asked)
        if shared:
            others = HotSubject(self._dimension)
            others.put_memories((each.memory, each.vector) for each in shared.values())
            among = msgspec.structs.replace(question.spec(query.limit), predicate=None)
            ranked = [*ranked, *others.search(among, *question.asked)]
        least = max((hit.score for hit in ranked), default=0.0) * _SHARE
        ranked.sort(key=lambda hit: (hit.kind != "memory" or hit.score < least, -hit.score))
        if listed:
            ranked = self._listed(hot, ranked, query.limit, question)
        found = _Relevant([], [], {hit.id: round(hit.score, 6) for hit in ranked})
        for hit in ranked:
            if len(found.memories) + len(found.messages) == query.limit:
                break
            memory = shared[hit.id].memory if hit.id in shared else hot.memory(hit.id)
            if memory is not None:
                found.memories.append(memory)
            elif (message := hot.message(hit.id)) is not None and not _same(message.content, query.message):
                # An earlier context block in it would be shown again, and in the next one twice.
                found.messages.extend(without_recalled([message], resident.known))
        return found

    def _listed(
        self, hot: HotSubject, ranked: Sequence[Ranked], limit: int, question: _Question
    ) -> list[Ranked]:
        """The same results for a plain list: memories in the first places of `_KEPT`, no questions and
        nothing that assistants said."""
        memories = [hit for hit in ranked if hit.kind == "memory"]
        if len(memories) < limit:
            known = {hit.id for hit in memories}
            more = hot.search(question.spec(limit, types=("memory",)), *question.asked)
            memories += [hit for hit in more if hit.id not in known]
        first = memories[: math.ceil(limit * _KEPT)]
        others = [hit for hit in ranked if hit not in first and (hit.kind == "memory" or _stated(hot, hit))]
        return [*first, *others, *(hit for hit in memories if hit not in first and hit not in others)]


class _Question(NamedTuple):
    """What a context is asked for."""

    terms: Sequence[str]
    vector: NDArray[float32] | None
    wanted: _Wanted
    now: Millis

    @property
    def asked(self) -> tuple[Sequence[str], NDArray[float32] | None, Millis]:
        """The arguments of a search beside its specification."""
        return self.terms, self.vector, self.now

    def spec(
        self,
        limit: int,
        *,
        types: tuple[ResultType, ...] = ("memory", "message"),
        without: frozenset[str] = frozenset(),
    ) -> RankSpec:
        """By meaning and words where there is a vector, else by words."""
        return RankSpec(
            strategy="hybrid" if self.vector is not None else "full_text",
            limit=limit,
            types=types,
            without=without,
            predicate=None if self.wanted.everything else self.wanted,
        )


def _outdated(hot: HotSubject, now: Millis) -> frozenset[str]:
    """Messages that say something which is no longer so."""
    return frozenset(
        source for memory in hot.memories() if not memory.is_current(now) for source in memory.sources
    )


def _stated(hot: HotSubject, hit: Ranked) -> bool:
    """Whether it is a message in which a person says something, and does not only ask."""
    message = hot.message(hit.id)
    return (
        message is not None
        and message.role in HUMAN_ROLES
        and not all(sentence.question for sentence in sentences_of(message.content))
    )


def _same(one: str, other: str) -> bool:
    """Whether they are the same words: what is being answered need not be told again."""
    return normalise(one).split() == normalise(other).split()


class _Wanted:
    """Which memories and messages the query's topics and period let in."""

    def __init__(self, query: ContextQuery) -> None:
        self._topics = None if query.only_topics is None else frozenset(query.only_topics)
        self._since = None if query.since is None else millis(query.since)
        self._until = None if query.until is None else millis(query.until)
        if self._since is not None and self._until is not None and self._since > self._until:
            raise InvalidInput("until lies before since", field="until", remedy="exchange them")

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
