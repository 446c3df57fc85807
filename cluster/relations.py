"""How memories of a subject are related: what the merge has found, what they name, what callers say.

- `superseded_by`, `supersedes`: of two that contradict, the later closed the earlier.
- `contradiction`: both stand and cannot both be true (one of them may not be changed).
- `refinement`: the same slot, and one value says more ("tea", "green tea").
- `same_entity`: they name the same person, place, organisation, product or pet.
- `cause`, `effect`: why it is so, and what is so because of it: as the speaker says, or a caller.
  Kept in the `links` of the effect as `cause:id`; so are others that a caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast, get_args

from cluster.analysis import looks_chinese
from cluster.entities import entities_of
from cluster.model import Memory, Millis
from cluster.pipeline.known_index import KnownIndex, claim_of, normalise
from memgrid.kinds import RelationType

MAX_RELATIONS: Final = 100
MAX_LINKS: Final = 100
"""Links that one memory keeps."""
_TYPES: Final = frozenset(get_args(RelationType))
_SELF: Final = ("basic_info", "name")


class Link(NamedTuple):
    """A relation to another memory."""

    type: RelationType
    memory: Memory
    entity: str | None = None


def link_text(kind: RelationType, memory_id: str) -> str:
    """How a link is kept."""
    return f"{kind}:{memory_id}"


def related(memory: Memory, known: KnownIndex, now: Millis) -> list[Link]:
    """The relations of `memory`, the telling ones first, at most MAX_RELATIONS; each pair and type once."""
    found: dict[tuple[str, str], Link] = {}
    for link in _links(memory, known, now):
        if link.memory.id != memory.id and len(found) < MAX_RELATIONS:
            found.setdefault((link.type, link.memory.id), link)
    return list(found.values())


def _links(memory: Memory, known: KnownIndex, now: Millis) -> Iterator[Link]:
    memories = known.memories
    if memory.superseded_by is not None and memory.superseded_by in memories:
        yield Link("superseded_by", memories[memory.superseded_by])
    for other in memories.values():
        if other.superseded_by == memory.id:
            yield Link("supersedes", other)
    for link in memory.links:
        kind, _, other_id = link.partition(":")
        if kind in _TYPES and other_id in memories:
            yield Link(cast("RelationType", kind), memories[other_id])
    own = {link_text(kind, memory.id): "effect" if kind == "cause" else kind for kind in _TYPES}
    for other in memories.values():
        for link in other.links:
            if link in own:
                yield Link(cast("RelationType", own[link]), other)
    current = [other for other in memories.values() if other.id != memory.id and other.is_current(now)]
    if memory.is_current(now):
        claim = claim_of(memory)
        for other_id in known.contradicting(claim, single_valued=False):
            if memories[other_id].is_current(now):
                yield Link("contradiction", memories[other_id])
        for other in current:
            if _refines(memory, other) or _refines(other, memory):
                yield Link("refinement", other)
    names = {named.key: named.name for named in entities_of(memory)}
    if names and (memory.topic, memory.subtopic) != _SELF:
        for other in sorted(current, key=lambda each: each.id, reverse=True):
            for named in entities_of(other):
                if named.key in names:
                    yield Link("same_entity", other, names[named.key])


def _refines(one: Memory, other: Memory) -> bool:
    """Whether `one` says the same as `other`, and more."""
    if one.topic is None or (one.topic, one.subtopic) != (other.topic, other.subtopic):
        return False
    more, less = one.attributes.get("value"), other.attributes.get("value")
    if not isinstance(more, str) or not isinstance(less, str):
        return False
    more, less = normalise(more), normalise(less)
    if more == less:
        return False
    return less in more if looks_chinese(less) else set(less.split()) < set(more.split())
