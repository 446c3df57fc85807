"""Which memory counts as which fact, and the figures that follow from it.

A memory **says** a fact when all of these hold:

- *value*: its value, or its text, contains the fact's value or one of the aliases, both normalised (NFKC,
  case, punctuation); Latin words as whole words. A text of over MAX_STATEMENT characters says nothing: it
  repeats what was said instead of noting it.
- *slot*: their topics and subtopics are of one concern (`concern_of`: home, work, taste, …) or of two that
  border on each other (RELATED). A memory without a slot, or with one of a model's own that is of no known
  concern, says what its text says.
- *whose*: where the fact is somebody else's ("my sister …"), the memory mentions them.
- *polarity*: both affirm, or both deny ("no longer", "doesn't like", 不再, 讨厌).
- *date*: where the fact has dates, the memory's `event_time` lies in one of them, or its text names one.

Of several facts that a memory says, only those of its own slot count where there are any: "graduated from
ETH" is not also "studies at ETH".

The same rule decides whether a memory is what a trap warns of, but that it is asked only for memories that
say no fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.labelled.dialogues import Dialogue, Fact, Trap, first_day
from cluster.model import Memory
from cluster.pipeline.known_index import normalise

MAX_STATEMENT = 200
"""Characters."""

_CONCERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("pet", r"^pets?/|(?:^|_|/)(?:dog|cat)s?(?:_|$)"),
        ("people", r"^(?:family|social|relationships?|friends?)/|"
                   r"/(?:wife|husband|son|daughter|sister|brother|mother|father|parents?|children|friend)"),
        ("marriage", r"marital|marriage|relationship_status|engagement|wedding"),
        ("origin", r"hometown|origin|birth_?place|nationality|citizenship"),
        ("home", r"residence|home|address|location$|city|lives_in|living|apartment"),
        ("name", r"/(?:\w+_)?name$|/nickname$"),
        ("age", r"age$|birth"),
        ("language", r"language_spoken|/languages?$"),
        ("work", r"^work/|^career/|title|occupation|company|profession|employer|job|industry|business"),
        ("study", r"^education/|school|major|degree|university"),
        ("health", r"^health/|allerg|condition|diet|food_restriction|medication"),
        ("taste", r"^interest|hobb|like|preference|favou?rite|activit"),
        ("habit", r"^habit/|routine|quit"),
        ("doing", r"^plan|^life_event|event|goal|trip|travel"),
        ("asset", r"^asset/|possession|vehicle|/car$"),
        ("character", r"personality|trait|fear"),
    )
)  # fmt: skip
RELATED = frozenset(
    frozenset(pair)
    for pair in (
        ("health", "taste"), ("health", "habit"), ("habit", "taste"), ("habit", "doing"), ("taste", "doing"),
        ("work", "study"), ("work", "doing"), ("study", "doing"), ("marriage", "doing"), ("people", "doing"),
        ("marriage", "people"), ("pet", "people"), ("pet", "doing"), ("asset", "work"), ("people", "health"),
        ("taste", "language"), ("character", "health"), ("character", "taste"), ("taste", "work"),
    )
)  # fmt: skip
"""Concerns between which a careful person might hesitate: "quit smoking" is habit or health."""
_DENYING_SLOTS = re.compile(r"dislike|avoid|quit|fear|allerg")
_DENIAL = re.compile(
    r"\b(?:no longer|not|never|cannot|without|dislikes?|hates?|stopped|quit|gave up|avoids?|afraid|terrified|"
    r"scared|allergic|allergy)\b|n't\b|不|没|讨厌|戒|怕|恐|过敏|反感"
)


@dataclass(frozen=True)
class Judged:
    """One current memory with its verdict: right, optional, again (what another says), or junk."""

    memory: Memory
    facts: tuple[Fact, ...] = ()
    """What it says of the facts that are expected to be current, the optional ones included."""
    again: bool = False
    trap: Trap | None = None
    stale: Fact | None = None
    """It says what is no longer so."""

    @property
    def optional(self) -> bool:
        return bool(self.facts) and all(fact.optional for fact in self.facts)

    @property
    def junk(self) -> bool:
        return not self.facts

    @property
    def right(self) -> bool:
        return bool(self.facts) and not self.optional and not self.again


@dataclass(frozen=True)
class Judgement:
    """How the current memories of one dialogue compare with its labels."""

    dialogue: Dialogue
    judged: tuple[Judged, ...]
    missed: tuple[Fact, ...]
    expected: int


def judge(dialogue: Dialogue, memories: Iterable[Memory]) -> Judgement:
    """Compare the memories that are current at the end with the labels; the others are history."""
    current = [memory for memory in memories if memory.is_current(dialogue.now)]
    alive = [fact for fact in dialogue.facts if not fact.ended]
    ended = [fact for fact in dialogue.facts if fact.ended]
    found: set[Fact] = set()
    judged: list[Judged] = []
    for memory in sorted(current, key=lambda memory: memory.id):
        says = tuple(fact for fact in alive if says_fact(memory, fact))
        says = tuple(fact for fact in says if _slot_of(memory) == fact.slot) or says
        if says:
            judged.append(Judged(memory, says, again=found.issuperset(says)))
            found.update(says)
        else:
            judged.append(
                Judged(
                    memory,
                    trap=next((trap for trap in dialogue.traps if says_trap(memory, trap)), None),
                    stale=next((fact for fact in ended if says_fact(memory, fact)), None),
                )
            )
    wanted = [fact for fact in alive if not fact.optional]
    missed = tuple(fact for fact in wanted if fact not in found)
    return Judgement(dialogue, tuple(judged), missed, len(wanted))


def says_fact(memory: Memory, fact: Fact) -> bool:
    """Whether the memory says the fact."""
    return (
        _contains(memory, (fact.value, *fact.aliases))
        and _of_one_concern(memory, fact.slot)
        and (not fact.mentions or _mentions(memory, fact.mentions))
        and _denies(memory) == _fact_denies(fact)
        and (not fact.dates or any(_is_dated(memory, date) for date in fact.dates))
    )


def says_trap(memory: Memory, trap: Trap) -> bool:
    """Whether the memory is what the trap warns of."""
    return (
        (trap.value is None or _contains(memory, (trap.value, *trap.aliases)))
        and (_slot_of(memory) == trap.slot if trap.value is None else _of_one_concern(memory, trap.slot))
        and _denies(memory) == (trap.negates or _DENYING_SLOTS.search(trap.slot) is not None)
    )


def concern_of(slot: str) -> str | None:
    """What a topic/subtopic is about; None for what is of no known concern."""
    lowered = slot.lower().replace(" ", "_").replace("-", "_")
    return next((name for name, pattern in _CONCERNS if pattern.search(lowered)), None)


def _contains(memory: Memory, values: Sequence[str]) -> bool:
    if len(memory.text) > MAX_STATEMENT:
        return False
    texts = [normalise(memory.text)]
    if (value := memory.attributes.get("value")) is not None:
        texts.append(normalise(str(value)))
    return any(_has_words(text, normalise(value)) for text in texts for value in values)


def _has_words(text: str, value: str) -> bool:
    """Whether `value` stands in `text`, not in the middle of a Latin word or a number."""
    start = r"(?<![a-z0-9])" if value[:1].isascii() else ""
    end = r"(?![a-z0-9])" if value[-1:].isascii() else ""
    return bool(value) and re.search(f"{start}{re.escape(value)}{end}", text) is not None


def _slot_of(memory: Memory) -> str:
    return f"{memory.topic or ''}/{memory.subtopic or ''}"


def _of_one_concern(memory: Memory, slot: str) -> bool:
    said, wanted = concern_of(_slot_of(memory)), concern_of(slot)
    return said is None or said == wanted or frozenset((said, wanted)) in RELATED


def _mentions(memory: Memory, names: Sequence[str]) -> bool:
    where = f"{_slot_of(memory)} {memory.text}".casefold()
    return any(name.casefold() in where for name in names)


def _fact_denies(fact: Fact) -> bool:
    if fact.negates or _DENYING_SLOTS.search(fact.slot):
        return True
    return _DENIAL.search((fact.text or "").replace(fact.value, " ").casefold()) is not None


def _denies(memory: Memory) -> bool:
    slot = _slot_of(memory)
    if memory.attributes.get("negates") or _DENYING_SLOTS.search(slot):
        return True
    value = memory.attributes.get("value")
    text = memory.text.replace(str(value), " ") if value else memory.text
    return _DENIAL.search(text.casefold()) is not None


def _is_dated(memory: Memory, date: str) -> bool:
    year, *rest = date.split("-")
    numbers = [str(int(number)) for number in rest]
    chinese = f"{year}年" + "".join(f"{n}{unit}" for n, unit in zip(numbers, "月日", strict=False))
    if date in memory.text or chinese in memory.text.replace(" ", ""):
        return True
    if memory.event_time is None:
        return False
    day = datetime.fromtimestamp(memory.event_time / 1000, UTC)
    first = first_day(date)
    parts = ("year", "month", "day")[: 1 + len(rest)]
    return all(getattr(day, part) == getattr(first, part) for part in parts)
