"""What the user says again in the same words: evidence for what is known, without asking an extractor.

So the thousandth "I live in Hangzhou" costs nothing. A message counts as repeated when the subject's current
memories rest on the latest message with the same words by the same speaker, and it says by itself what they
say: it has each one's value, or the words of its gist, so that "yes, I do" is never taken for one. What is
dated, an event, about a "she" who may be someone else now, or was taken back meanwhile goes to the extractor.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cluster.model import Memory, Message, Millis
from cluster.pipeline.dates import dates_in
from cluster.pipeline.known_index import normalise
from cluster.pipeline.paraphrase import gist_of
from cluster.pipeline.port import Candidate

_HUMAN = frozenset({"user", "human"})
_EXTRACTED = frozenset({"fact", "profile"})
_SIGN = re.compile(r"x_\w+|[\s]+")
_SOMEONE = re.compile(r"\b(?:he|she|they|him|her|them|his|hers|theirs?)\b|[他她]", re.I)
_Words = tuple[str | None, str]


class Repeats(NamedTuple):
    """What is left to extract, what is said again, its claims, and the memories they are of."""

    fresh: Sequence[Message]
    repeated: Sequence[Message]
    candidates: Sequence[Candidate]
    memory_ids: frozenset[str]


def find_repeats(
    messages: Sequence[Message],
    memories: Iterable[Memory],
    message_of: Callable[[str], Message | None],
    now: Millis,
) -> Repeats:
    """Part `messages` (oldest first) into those to extract and those that repeat earlier ones.

    `memories` are all of the subject; `message_of` gives an earlier message while it is at hand.
    """
    wanted = {_words(message) for message in messages if _may_repeat(message)}
    cited = _citing(wanted, memories, message_of) if wanted else {}
    fresh: list[Message] = []
    repeated: list[Message] = []
    candidates: list[Candidate] = []
    ids: set[str] = set()
    said_at: set[Millis] = set()
    for message in messages:
        known = cited.get(_words(message), ()) if _may_repeat(message) else ()
        # Of messages with one time the order counts, which evidence merged first would not keep.
        if known and message.event_time not in said_at and all(_repeats(message, m, now) for m in known):
            repeated.append(message)
            candidates += [_again(memory, message) for memory in known]
            ids.update(memory.id for memory in known)
        else:
            fresh.append(message)
            if message.role.lower() in _HUMAN:
                said_at.add(message.event_time)
    return Repeats(fresh, repeated, candidates, frozenset(ids))


def _may_repeat(message: Message) -> bool:
    if message.role.lower() not in _HUMAN or not 2 <= len(message.content) <= 2000:
        return False
    if _SOMEONE.search(message.content):
        return False
    return not any(dates_in(message.content, message.event_time, language) for language in ("en", "zh"))


def _words(message: Message) -> _Words:
    return message.name, normalise(message.content)


def _citing(
    wanted: set[_Words], memories: Iterable[Memory], message_of: Callable[[str], Message | None]
) -> dict[_Words, list[Memory]]:
    """The memories, current or not, that rest on the latest message with these words."""
    cited: dict[_Words, dict[str, Memory]] = defaultdict(dict)
    latest: dict[_Words, tuple[Millis, str]] = {}
    for memory in memories:
        for source in memory.sources:
            message = message_of(source)
            if message is None or (words := _words(message)) not in wanted:
                continue
            at = (message.event_time, message.id)
            if at > latest.get(words, (-1, "")):
                latest[words] = at
                cited[words] = {}
            if at == latest[words]:
                cited[words][memory.id] = memory
    return {words: list(found.values()) for words, found in cited.items()}


def _repeats(message: Message, memory: Memory, now: Millis) -> bool:
    if memory.kind not in _EXTRACTED or memory.immutable or not memory.is_current(now):
        return False
    said = normalise(message.content)
    value = memory.attributes.get("value")
    if isinstance(value, str):
        return normalise(value) in said
    words = [word for word in _SIGN.split(gist_of(memory.text)) if len(word) > 1]
    return bool(words) and all(word in said for word in words)


def _again(memory: Memory, message: Message) -> Candidate:
    speaker = memory.attributes.get("speaker")
    value = memory.attributes.get("value")
    return Candidate(
        kind=memory.kind,
        text=memory.text,
        value=value if isinstance(value, str) else None,
        topic=memory.topic,
        subtopic=memory.subtopic,
        profile_type=memory.profile_type,
        negates=bool(memory.attributes.get("negates")),
        attributes={"speaker": speaker} if isinstance(speaker, str) else {},
        sources=(message.id,),
        confidence=memory.confidence,
        language=memory.language or "en",
        event_time=message.event_time,
    )
