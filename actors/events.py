"""Events: what happened when, by time, tag and text."""

from __future__ import annotations

from collections.abc import Callable

from actors.adding import millis
from actors.cursors import decode_offset, encode_offset
from actors.query_vectors import QueryVectors
from actors.resident import Resident, Residents
from actors.views import memory_out, moment, optional_moment
from cluster.analysis import search_terms
from cluster.ids import Clock
from cluster.model import Memory, Message
from cluster.retrieval.hot_subject import RankSpec
from memgrid.kinds import EventOut, EventPage, EventsQuery
from memgrid.subject import Subject


class Events:
    """The reading operation on events; each follows the store first."""

    def __init__(self, *, residents: Residents, vectors: QueryVectors, clock: Clock) -> None:
        self._residents = residents
        self._vectors = vectors
        self._clock = clock

    async def events(self, subject: Subject, query: EventsQuery, request_id: str) -> EventPage:
        """Current events, the best first where something is asked, else the latest first."""
        vector = await self._vectors.of(query.query) if query.query else None
        wanted = _wanted(query)
        offset = decode_offset("events", query.cursor)
        async with self._residents.use(subject, fresh=True) as resident:
            now = self._clock()
            if query.query:
                ranked = resident.hot.search(
                    RankSpec(
                        strategy="full_text" if vector is None else "hybrid",
                        limit=query.limit + 1,
                        offset=offset,
                        types=("memory",),
                        kinds=("event",),
                        predicate=lambda unit: isinstance(unit, Memory) and wanted(unit),
                    ),
                    search_terms(query.query),
                    vector,
                    now,
                )
                found = [(resident.hot.memory(hit.id), hit.score) for hit in ranked]
                chosen = [_event(memory, score) for memory, score in found if memory is not None]
            else:
                events = sorted(
                    (m for m in _events(resident) if m.is_current(now) and wanted(m)),
                    key=lambda memory: (_at(memory), memory.id),
                    reverse=True,
                )
                chosen = [_event(memory, None) for memory in events[offset : offset + query.limit + 1]]
            more = len(chosen) > query.limit
            return EventPage(
                events=chosen[: query.limit],
                cursor=encode_offset("events", offset + query.limit) if more else None,
            )


def _events(resident: Resident) -> list[Memory]:
    return [memory for memory in resident.hot.memories() if memory.kind == "event"]


def _at(memory: Memory) -> int:
    return memory.created_at if memory.event_time is None else memory.event_time


def _wanted(query: EventsQuery) -> Callable[[Memory | Message], bool]:
    """In the period (an event that lasts is in it with any of its days), with any of the tags."""
    since = None if query.since is None else millis(query.since)
    until = None if query.until is None else millis(query.until)
    tags = None if query.tags is None else {tag.casefold() for tag in query.tags}

    def wanted(memory: Memory | Message) -> bool:
        if not isinstance(memory, Memory):
            return False
        begin = _at(memory)
        end = _end(memory) or begin
        return (
            (since is None or end >= since)
            and (until is None or begin < until)
            and (tags is None or not tags.isdisjoint(tag.casefold() for tag in memory.tags))
        )

    return wanted


def _end(memory: Memory) -> int | None:
    end = memory.attributes.get("event_end")
    return end if isinstance(end, int) else None


def _event(memory: Memory, score: float | None) -> EventOut:
    gist = memory.attributes.get("gist")
    return EventOut(
        id=memory.id,
        gist=gist if isinstance(gist, str) and gist else memory.text,
        at=moment(_at(memory)),
        until=optional_moment(_end(memory)),
        tags=list(memory.tags),
        score=None if score is None else round(score, 6),
        memory=memory_out(memory),
    )
