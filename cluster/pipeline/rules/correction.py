""" "Actually, it's Bob, not Rob": the slot that holds Rob is to hold Bob."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from cluster.model import Memory, Message
from cluster.pipeline.known_index import normalise
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.slots import SLOTS

_ENGLISH = re.compile(
    r"^\W*(?:(?:no|oh|sorry|actually|wait|correction|i meant?|oops|my mistake|my bad)[\s,!.]+)+"
    r"(?:it's|it is|that's|i meant?)?\s*(?P<new>[^,.!?\n]{1,40}?),? (?:and )?not "
    r"(?P<old>[^,.!?\n]{1,40})[.!]?$",
    re.I,
)
_CHINESE = re.compile(
    r"^(?:(?:不对|不是|错了|说错了|更正一下|纠正一下|抱歉|不好意思|其实)[，,。！!\s]*)+"
    r"(?:应该)?是(?P<new>[^，,。？?\s]{1,12})[，,]?(?:而?不是|不是)(?P<old>[^，,。？?\s]{1,12})[。！!]?$"
)
_SINGLE_VALUED = frozenset(
    (slot.topic, slot.subtopic) for slot in SLOTS.values() if slot.single_valued and "{" not in slot.subtopic
)


def corrections(
    message: Message, before: Sequence[Candidate], known: Sequence[Memory]
) -> Iterator[Candidate]:
    """The claim that a message of the form "X, not Y" makes, where Y is what a single-valued slot holds.

    The slot is looked for among the claims made just before, newest first, then in what is known.
    """
    content = message.content.strip()
    match = _ENGLISH.match(content) or _CHINESE.match(content) if len(content) < 120 else None
    if match is None:
        return
    new, old = match["new"].strip(), normalise(match["old"])
    for candidate in (*reversed(before), *map(_as_candidate, known)):
        if (
            candidate.value is not None
            and normalise(candidate.value) == old
            and (candidate.topic, candidate.subtopic) in _SINGLE_VALUED
            and candidate.attributes.get("speaker") == message.name
        ):
            yield msgspec.structs.replace(
                candidate,
                text=candidate.text.replace(candidate.value, new),
                value=new,
                sources=(message.id,),
                event_time=message.event_time,
                valid_from=None,
            )
            return


def _as_candidate(memory: Memory) -> Candidate:
    value = memory.attributes.get("value")
    current = memory.superseded_by is None and not memory.attributes.get("negates")
    return Candidate(
        kind=memory.kind,
        text=memory.text,
        value=value if isinstance(value, str) and current else None,
        topic=memory.topic,
        subtopic=memory.subtopic,
        profile_type=memory.profile_type,
        single_valued=True,
        attributes={name: memory.attributes[name] for name in ("speaker",) if name in memory.attributes},
        sources=(),
        language=memory.language or "en",
    )
