"""Who and what memories name: people, places, organisations, products and pets.

A name comes from the slot that a memory fills (the value of "residence" is a place), from what the extractor
tagged (`attributes.entities`), and from tags written `person:Anna`. Nothing is guessed from the text.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast, get_args

from cluster.model import Memory
from cluster.pipeline.known_index import normalise
from memgrid.kinds import EntityType

MAX_NAME: Final = 128
_SLOTS: Final[tuple[tuple[re.Pattern[str], EntityType], ...]] = (
    (re.compile(r"contact_info/residence|basic_info/hometown|work/location|family/\w+_residence"), "place"),
    (re.compile(r"work/company|family/\w+_company|education/(school|alma_mater)"), "organisation"),
    (re.compile(r"(family|social)/\w+_name|basic_info/name"), "person"),
    (re.compile(r"pet/\w+_name"), "pet"),
    (re.compile(r"asset/(vehicle|possession)"), "product"),
)
_TYPES: Final = frozenset(get_args(EntityType))
_SYNONYMS: Final[dict[str, EntityType]] = {
    "people": "person",
    "location": "place",
    "org": "organisation",
    "organization": "organisation",
    "人物": "person",
    "地点": "place",
    "组织": "organisation",
    "产品": "product",
}


class Named(NamedTuple):
    """A name and what it is of."""

    name: str
    type: EntityType

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return normalise(self.name)


def entities_of(memory: Memory) -> list[Named]:
    """The names in a memory, each once. Denials name what they deny."""
    found: dict[str, Named] = {}

    def add(name: object, kind: EntityType) -> None:
        if isinstance(name, str) and 0 < len(name.strip()) <= MAX_NAME:
            named = Named(name.strip(), kind)
            known = found.get(named.key)
            if known is None or (known.type == "other" and kind != "other"):
                found[named.key] = named

    slot = f"{memory.topic}/{memory.subtopic}"
    for pattern, kind in _SLOTS:
        if pattern.fullmatch(slot):
            add(memory.attributes.get("value"), kind)
    tagged = memory.attributes.get("entities")
    for item in cast("list[Any]", tagged) if isinstance(tagged, list | tuple) else ():
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            add(fields.get("name"), _type_of(fields.get("type")))
        else:
            add(item, "other")
    for tag in memory.tags:
        kind, colon, name = tag.partition(":")
        if colon and _type_of(kind) != "other":
            add(name, _type_of(kind))
    return list(found.values())


def _type_of(word: object) -> EntityType:
    if not isinstance(word, str):
        return "other"
    word = word.strip().casefold()
    return cast("EntityType", word) if word in _TYPES else _SYNONYMS.get(word, "other")


def count_entities(memories: Iterable[Memory]) -> list[tuple[Named, int]]:
    """The entities of these memories with the number that name each; the most named first, then by name.

    A name is written as it is most often, and is what it is most often said to be.
    """
    names: dict[str, Counter[str]] = defaultdict(Counter)
    types: dict[str, Counter[EntityType]] = defaultdict(Counter)
    for memory in memories:
        for named in entities_of(memory):
            names[named.key][named.name] += 1
            if named.type != "other":
                types[named.key][named.type] += 1
    counted = [
        (Named(_most(spelt), _most(types[key]) if types[key] else "other"), spelt.total())
        for key, spelt in names.items()
    ]
    return sorted(counted, key=lambda pair: (-pair[1], pair[0].key))


def _most(counter: Counter[Any]) -> Any:
    return max(counter, key=lambda item: (counter[item], item))
