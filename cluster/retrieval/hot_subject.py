"""What an owner keeps in memory of one subject, so that a search asks no store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.analysis import search_terms
from cluster.model import Memory, Message, Millis
from cluster.retrieval.hot_vectors import HotVectors, Vector
from cluster.retrieval.lexical import LexicalIndex
from cluster.retrieval.ranking import (
    FEATURES,
    Evidence,
    Features,
    Ranking,
    Scores,
    by_vector,
    by_words,
    closeness,
    rank,
    surroundings,
)
from cluster.retrieval.results import Page, Ranked, resting_on
from cluster.retrieval.session_order import NONE, SessionOrder
from cluster.retrieval.unit_text import embedding_text, index_tokens
from cluster.retrieval.units import Mask, Unit, Units
from memgrid.models import MemoryKind, ResultType, Strategy

POOL = 100
"""How many of the best by words, and how many of the best by vector, are ranked with all evidence."""

_MIN_DEAD = 64


class RankSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a search asks for besides its query."""

    strategy: Strategy = "hybrid"
    limit: int = 10
    offset: int = 0
    """Results to leave out at the top: those of earlier pages."""
    threshold: float = 0.0
    """The least score of a result (`Ranked.score`)."""
    types: tuple[ResultType, ...] = ("memory", "message")
    kinds: tuple[MemoryKind, ...] | None = None
    """Only memories of these kinds; messages are of none."""
    session: str | None = None
    latest_only: bool = True
    """False also finds memories that were superseded, or whose validity is over."""
    predicate: Callable[[Memory | Message], bool] | None = None
    labels: Mapping[str, str] = {}
    """Labels a result must carry."""
    without: frozenset[str] = frozenset()
    """Ids of units that are no results."""


class HotSubject:
    """Memories and messages of one subject, with their words and vectors. Not thread-safe."""

    def __init__(self, dimension: int, *, features: Features = FEATURES) -> None:
        self._features = features
        self._units = Units()
        self._lexical = LexicalIndex()
        self._vectors = HotVectors(dimension)
        self._order = SessionOrder()

    def __len__(self) -> int:
        """Memories and messages held."""
        return self._units.count

    @property
    def nbytes(self) -> int:
        """Bytes held: exact for the arrays, estimated for Python objects. Cheap to ask."""
        return self._units.nbytes + self._lexical.nbytes + self._vectors.nbytes + self._order.nbytes

    # what is held

    def memory(self, memory_id: str) -> Memory | None:
        """The memory with this id."""
        unit = self._unit(memory_id)
        return unit if isinstance(unit, Memory) else None

    def message(self, message_id: str) -> Message | None:
        """The message with this id."""
        unit = self._unit(message_id)
        return unit if isinstance(unit, Message) else None

    def memories(self) -> Iterator[Memory]:
        """All memories, superseded and expired ones among them."""
        return self._units.memories()

    def messages(self) -> Iterator[Message]:
        """All messages."""
        return self._units.messages()

    def memories_on(self, message_id: str) -> list[Memory]:
        """All memories that rest on a message, superseded and expired ones among them."""
        resting = (self.memory(each) for each in self._units.resting_on(message_id))
        return [memory for memory in resting if memory is not None]

    def next_end(self, now: Millis) -> Millis:
        """Until when a search made at `now` stays true if nothing changes: the next expiry."""
        return self._units.next_end(now)

    def vector(self, unit_id: str) -> Vector | None:
        """The unit's vector, if it has one."""
        ordinal = self._units.ordinal(unit_id)
        return None if ordinal is None else self._vectors.vector(ordinal)

    def needs_vector(self, unit_id: str) -> bool:
        """Whether the unit is here, and has no vector yet."""
        ordinal = self._units.ordinal(unit_id)
        return ordinal is not None and not self._vectors.present[ordinal]

    def missing_vectors(self) -> list[tuple[str, str]]:
        """(id, text to embed) of every unit without a vector."""
        missing = np.flatnonzero(self._units.live & ~self._vectors.present).tolist()
        return [(self._units.id(at), embedding_text(self._units.get(at))) for at in missing]

    # changing it

    def put_memory(self, memory: Memory, vector: Vector | None) -> None:
        """Add or replace a memory. Without `vector`, the one it has is kept if its text is unchanged."""
        self._put(((memory, vector),))

    def put_memories(self, memories: Iterable[tuple[Memory, Vector | None]]) -> None:
        """`put_memory` for many, quicker."""
        self._put(memories)

    def put_message(self, message: Message, vector: Vector | None) -> None:
        """Add or replace a message; as `put_memory`."""
        self._put(((message, vector),))

    def put_messages(self, messages: Iterable[tuple[Message, Vector | None]]) -> None:
        """`put_message` for many, quicker."""
        self._put(messages)

    def replace_message(self, message: Message) -> None:
        """Replace a message by one that differs in marks or metadata; its vector is kept."""
        self._put(((message, None),))

    def set_vector(self, unit_id: str, vector: Vector) -> None:
        """Give a unit its vector; nothing happens when the unit is gone."""
        ordinal = self._units.ordinal(unit_id)
        if ordinal is not None:
            self._vectors.set(ordinal, vector)

    def remove(self, unit_id: str) -> None:
        """Forget a unit; nothing happens when it is gone."""
        ordinal = self._units.ordinal(unit_id)
        if ordinal is None:
            return
        unit = self._units.get(ordinal)
        if isinstance(unit, Message):
            self._order.remove(ordinal, unit.session, unit.event_time, unit.id)
        self._units.remove(ordinal)
        self._lexical.remove(ordinal)
        self._vectors.clear(ordinal)
        dead = len(self._units) - self._units.count
        if dead > _MIN_DEAD and dead * 4 > len(self._units):
            keep = np.flatnonzero(self._units.live)
            self._units.compact(keep)
            self._lexical.compact(keep)
            self._vectors.compact(keep)
            self._order.compact(keep)

    def _put(self, pairs: Iterable[tuple[Unit, Vector | None]]) -> None:
        fresh: dict[str, tuple[Unit, Vector | None]] = {}
        for unit, vector in pairs:
            ordinal = self._units.ordinal(unit.id)
            if ordinal is None:
                fresh[unit.id] = (unit, vector)
                continue
            old = self._units.get(ordinal)
            if _place(old) == _place(unit) and index_tokens(old) == index_tokens(unit):
                self._units.replace(ordinal, unit)
                if vector is not None:
                    self._vectors.set(ordinal, vector)
                continue
            same = embedding_text(old) == embedding_text(unit)
            kept = self._vectors.vector(ordinal) if vector is None and same else vector
            self.remove(unit.id)
            fresh[unit.id] = (unit, kept)
        if fresh:
            self._add([unit for unit, _ in fresh.values()], [vector for _, vector in fresh.values()])

    def _add(self, units: Sequence[Unit], vectors: Sequence[Vector | None]) -> None:
        first = self._units.add(units)
        self._lexical.add_many([index_tokens(unit) for unit in units])
        self._vectors.add(vectors)
        self._order.extend(len(units))
        for ordinal, unit in enumerate(units, start=first):
            if isinstance(unit, Message):
                self._order.place(ordinal, unit.session, unit.event_time, unit.id)

    def _unit(self, unit_id: str) -> Unit | None:
        ordinal = self._units.ordinal(unit_id)
        return None if ordinal is None else self._units.get(ordinal)

    # searching

    def search(
        self, spec: RankSpec, query_terms: Sequence[str], query_vector: Vector | None, now: Millis
    ) -> list[Ranked]:
        """The results of one page, best first, ties by time (newest first) and id.

        `query_terms` come from `cluster.analysis.search_terms`. Without `query_vector` (the embedding
        is down) every strategy goes by words. What says the same is one result: see `results`.
        """
        allowed = self._units.allowed(
            now,
            types=spec.types,
            kinds=spec.kinds,
            session=spec.session,
            labels=spec.labels,
            latest_only=spec.latest_only,
            predicate=spec.predicate,
        )
        for unit_id in spec.without:
            if (ordinal := self._units.ordinal(unit_id)) is not None:
                allowed[ordinal] = False
        wanted = spec.offset + spec.limit
        if spec.strategy == "vector" and query_vector is not None:
            return self._by_vector(spec, query_vector, allowed)
        if spec.strategy != "hybrid":
            found = self._lexical.scores(query_terms)
            candidates = np.flatnonzero((found.documents > 0) & allowed)
            ranking = by_words(found.documents[candidates], found.full)
            return self._results(spec, candidates, ranking)
        results: list[Ranked] = []
        for deep in (False, True) if wanted <= POOL else (True,):
            candidates, evidence, others = self._evidence(allowed, query_terms, query_vector, deep=deep)
            if evidence.pool == 0:
                return []
            ranking = rank(evidence, self._features)
            results = self._results(spec, candidates, ranking)
            if len(results) == spec.limit or not others or float(ranking.scores.min()) < spec.threshold:
                break
        return results

    def _by_vector(self, spec: RankSpec, vector: Vector, allowed: Mask) -> list[Ranked]:
        results: list[Ranked] = []
        for count in (2 * (spec.offset + spec.limit) + POOL, len(self)):
            nearest, cosines = self._vectors.search(vector, count, allowed)
            if len(nearest) == 0:
                return []
            last = float(cosines[-1])
            resting = resting_on(self._units, nearest.tolist(), allowed & self._vectors.present)
            resting = np.setdiff1d(resting, nearest)
            candidates = np.concatenate((nearest, resting))
            cosines = np.concatenate((cosines, self._vectors.cosines(vector, resting)))
            results = self._results(spec, candidates, by_vector(cosines))
            # What ties with the last may be missing, and all of them may be copies of one text.
            full = len(results) == spec.limit and results[-1].score > last
            if full or len(nearest) < count or last < spec.threshold:
                break
        return results

    def _evidence(
        self, allowed: Mask, terms: Sequence[str], vector: Vector | None, *, deep: bool
    ) -> tuple[NDArray[np.intp], Evidence, int]:
        """The candidates, what is known of them, and how many others there are.

        Those are the best by words and the best by vector, and the memories that rest on them; `deep` adds
        all others behind them.
        """
        found = self._lexical.scores(terms, self._units.message_sessions)
        bm25 = found.documents
        before, after = self._order.before, self._order.after
        context = surroundings(bm25, before, after)

        matching = (bm25 + context) * allowed
        eligible = matching > 0
        pool = _best(matching, POOL)
        if vector is not None:
            eligible |= allowed & self._vectors.present
            pool = np.union1d(pool, self._vectors.search(vector, POOL, allowed)[0])
        pool = np.union1d(pool, resting_on(self._units, pool.tolist(), eligible))
        candidates = pool
        others = int(np.count_nonzero(eligible)) - len(pool)
        if deep:
            eligible[pool] = False
            candidates = np.concatenate((pool, np.flatnonzero(eligible)))
            others = 0
        place = self._places(candidates)
        before, after = before[place].astype(np.intp), after[place].astype(np.intp)
        cosines = None if vector is None else self._cosines(vector, np.stack((candidates, before, after)))
        evidence = Evidence(
            pool=len(pool),
            bm25=bm25[candidates],
            bm25_full=found.full,
            lexical_context=context[place],
            session=self._session_scores(found.groups, place),
            speaker=self._speaker_named(terms, place),
            alone=(before == NONE) & (after == NONE),
            cosine=None if cosines is None else cosines[0],
            closeness=None if cosines is None else closeness(cosines, len(pool)),
        )
        return candidates, evidence, others

    def _results(self, spec: RankSpec, candidates: NDArray[np.intp], ranking: Ranking) -> list[Ranked]:
        """The page of `spec`, from candidates and their scores."""
        page = Page(self._units, candidates, ranking)
        best_first = self._best_first(candidates, ranking.order)
        return page.of(best_first, offset=spec.offset, limit=spec.limit, threshold=spec.threshold)

    def _best_first(self, candidates: NDArray[np.intp], order: Scores) -> Iterator[int]:
        """Positions in `candidates`, sorted in growing portions since few are usually asked for."""
        left = np.arange(len(candidates))
        portion = 128
        while len(left):
            # A portion takes in all that tie with its last, so that portions do not split a tie.
            least = -np.inf if len(left) <= portion else np.partition(order[left], -portion)[-portion]
            inside = order[left] >= least
            head, left = left[inside], left[~inside]
            # Candidates come by ordinal, which is no order to rely on: time and id break ties.
            ids = [self._units.id(ordinal) for ordinal in candidates[head].tolist()]
            keys = (np.array(ids, np.str_), -self._units.times[candidates[head]], -order[head])
            yield from head[np.lexsort(keys)].tolist()
            portion *= 4

    def _places(self, candidates: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where in the conversation each candidate stands: a memory at its first source that is here."""
        places = candidates.copy()
        for at in np.flatnonzero(~self._units.messages_mask[candidates]).tolist():
            for source in self._units.memory_at(int(candidates[at])).sources:
                if (ordinal := self._units.ordinal(source)) is not None:
                    places[at] = ordinal
                    break
        return places

    def _cosines(self, vector: Vector, ordinals: NDArray[np.intp]) -> Scores:
        """Cosines in the shape of `ordinals`, NaN for NONE and for what has no vector."""
        known = (ordinals != NONE) & self._vectors.present[ordinals]
        cosines = np.full(ordinals.shape, np.nan, np.float32)
        cosines[known] = self._vectors.cosines(vector, ordinals[known])
        return cosines

    def _session_scores(self, sessions: Scores | None, places: NDArray[np.intp]) -> Scores:
        out = np.zeros(len(places), np.float32)
        if sessions is None or np.isnan(sessions).all():
            return out
        low, high = np.nanmin(sessions), np.nanmax(sessions)
        of = self._units.message_sessions[places]
        if high > low:
            out[of >= 0] = (sessions[of[of >= 0]] - low) / (high - low)
        return np.where(np.isnan(out), np.float32(0), out)

    def _speaker_named(self, terms: Sequence[str], places: NDArray[np.intp]) -> Scores:
        asked = set(terms)
        named = [
            code
            for name, code in self._units.speaker_codes.items()
            if not asked.isdisjoint(_name_terms(name))
        ]
        if len(named) != 1:
            return np.zeros(len(places), np.float32)
        return (self._units.speakers[places] == named[0]).astype(np.float32)


@functools.lru_cache(maxsize=4096)
def _name_terms(name: str) -> frozenset[str]:
    """What a speaker may be called in a question; initials and the like say nothing."""
    return frozenset(term for term in search_terms(name) if len(term) > 1 + term.isascii())


def _best(values: Scores, count: int) -> NDArray[np.intp]:
    """The ordinals of the `count` greatest values above 0."""
    found = np.flatnonzero(values > 0)
    if len(found) <= count:
        return found
    return found[np.argpartition(-values[found], count - 1)[:count]]


def _place(unit: Unit) -> tuple[str, int] | None:
    """What decides where a message stands among the others."""
    return None if isinstance(unit, Memory) else (unit.session, unit.event_time)
