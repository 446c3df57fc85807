"""Relations between a subject's memories, and the entities they name."""

from __future__ import annotations

import msgspec

from actors.commits import Commits
from actors.cursors import decode_offset, encode_offset
from actors.resident import Resident, Residents
from actors.views import memory_out
from cluster.entities import count_entities, entities_of
from cluster.ids import Clock
from cluster.model import ChangeEntry, Changes, Memory
from cluster.pipeline.known_index import normalise
from cluster.relations import MAX_LINKS, link_text, related
from memgrid.errors import InvalidInput, NotFound
from memgrid.kinds import Entity, EntityOut, EntityPage, EntityQuery, LinkMemory, Related, Relation
from memgrid.operations import ById, Page
from memgrid.subject import Subject


class Relations:
    """The operations on relations and entities; each follows the store first."""

    def __init__(self, *, residents: Residents, commits: Commits, clock: Clock) -> None:
        self._residents = residents
        self._commits = commits
        self._clock = clock

    async def related(self, subject: Subject, request: ById, request_id: str) -> Related:
        """The memories related to one, with how."""
        async with self._residents.use(subject, fresh=True) as resident:
            memory = _known(resident, request.id, "id")
            return Related(
                relations=[
                    Relation(type=link.type, entity=link.entity, memory=memory_out(link.memory))
                    for link in related(memory, resident.known, self._clock())
                ]
            )

    async def link_memory(self, subject: Subject, request: LinkMemory, request_id: str) -> Related:
        """Relate two memories of the subject; with `remove` no longer."""
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                memory = _known(resident, request.id, "id")
                link = link_text(request.type, request.memory_id)
                if request.remove:
                    links = tuple(each for each in memory.links if each != link)
                else:
                    _known(resident, request.memory_id, "memory_id")
                    links = memory.links if link in memory.links else (*memory.links, link)
                if request.memory_id == request.id or len(links) > MAX_LINKS:
                    raise InvalidInput(
                        f"a memory has at most {MAX_LINKS} links, and none to itself", field="memory_id"
                    )
                if links == memory.links:
                    return None
                return Changes(
                    commit_id=request_id,
                    at=self._clock(),
                    actor="api",
                    put=(msgspec.structs.replace(memory, links=links),),
                    entries=(
                        ChangeEntry(
                            memory_id=memory.id,
                            event="UPDATE",
                            old_text=memory.text,
                            new_text=memory.text,
                            reason=f"{'no longer ' if request.remove else ''}linked: {link}",
                        ),
                    ),
                )

            await self._commits.commit(resident, build)
        return await self.related(subject, ById(id=request.id), request_id)

    async def entities(self, subject: Subject, request: Page, request_id: str) -> EntityPage:
        """Who and what the current memories name, the most named first."""
        offset = decode_offset("entities", request.cursor)
        async with self._residents.use(subject, fresh=True) as resident:
            counted = count_entities(self._current(resident))
            page = counted[offset : offset + request.limit]
            more = offset + request.limit < len(counted)
            return EntityPage(
                entities=[Entity(name=named.name, type=named.type, memories=n) for named, n in page],
                cursor=encode_offset("entities", offset + request.limit) if more else None,
            )

    async def entity(self, subject: Subject, request: EntityQuery, request_id: str) -> EntityOut:
        """One entity with the current memories that name it."""
        wanted = normalise(request.name)
        async with self._residents.use(subject, fresh=True) as resident:
            naming = [m for m in self._current(resident) if any(n.key == wanted for n in entities_of(m))]
            if not naming:
                raise NotFound("no memory names this", field="name")
            named = next(named for named, _ in count_entities(naming) if named.key == wanted)
            naming.sort(key=lambda memory: memory.id, reverse=True)
            return EntityOut(name=named.name, type=named.type, memories=[memory_out(m) for m in naming])

    def _current(self, resident: Resident) -> list[Memory]:
        now = self._clock()
        return [memory for memory in resident.hot.memories() if memory.is_current(now)]


def _known(resident: Resident, memory_id: str, field: str) -> Memory:
    memory = resident.hot.memory(memory_id)
    if memory is None:
        raise NotFound("there is no such memory", field=field)
    return memory
