"""The labelled dialogues as types, and how `zh.yaml` and `en.yaml` are read.

A file is a list of dialogues:

    - id: moved-to-lisbon
      shows: [contradiction, sessions]
      sessions:
        - at: 2024-03-04 09:00            # UTC; each message is a minute after the one before it
          said:
            - user: I live in Porto.
            - assistant: How is it there?
      facts:                              # the memory state at the end
        - {slot: contact_info/residence, value: Porto, said: [1], ended: true}
      traps:                              # what must not be in it
        - {slot: basic_info/hometown, value: Porto, why: lives there, was not born there}

Messages are numbered from 1 through all sessions. A fact's keys are the fields of `Fact`, a trap's those of
`Trap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from cluster.model import Memory, Message, Millis
from cluster.pipeline.known_index import normalise
from cluster.pipeline.periods import day_millis
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.slots import SLOTS, Slot
from cluster.tokens import count_tokens

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

State = frozenset[tuple[str, str, bool, bool]]
"""What memories say, each as (topic/subtopic, normalised value or text, denied, current)."""


@dataclass(frozen=True)
class Fact:
    """One thing that is true of the user, or was until they said otherwise."""

    slot: str
    """topic/subtopic, as the rules name them."""
    value: str
    """The bare value; for an event or plan the words that a note of it must contain."""
    said: tuple[int, ...]
    """Numbers of the messages that it rests on, each enough by itself."""
    aliases: tuple[str, ...] = ()
    """Other wordings of the value."""
    mentions: tuple[str, ...] = ()
    """Whose it is, where not the user's own: a memory must contain one of these ("sister", "妹妹")."""
    negates: bool = False
    """It says that something is no longer so."""
    ended: bool = False
    """Said, and no longer so at the end: kept, but not current."""
    optional: bool = False
    """True, but nobody would miss it: found or not, it counts neither way."""
    dates: tuple[str, ...] = ()
    """When it happened or will happen: 2024-05-09, 2024-05 or 2024, each acceptable."""
    text: str | None = None
    """The note in full; needed for events and for slots that the rules do not know."""


@dataclass(frozen=True)
class Trap:
    """What an extractor is tempted to claim, and must not. Without a value any value of the slot is one."""

    slot: str
    why: str
    value: str | None = None
    aliases: tuple[str, ...] = ()
    negates: bool = False


@dataclass(frozen=True)
class Session:
    """Messages that are extracted together, oldest first."""

    id: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Dialogue:
    id: str
    language: Language
    shows: tuple[str, ...]
    sessions: tuple[Session, ...]
    facts: tuple[Fact, ...]
    traps: tuple[Trap, ...]

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages; a fact's number n names the n-th."""
        return tuple(message for session in self.sessions for message in session.messages)

    @property
    def now(self) -> Millis:
        """A day after the last message: when the memory state is looked at."""
        return max(message.event_time for message in self.messages) + 86_400_000


@cache
def load(language: Language) -> tuple[Dialogue, ...]:
    """The dialogues of a language. Raises ValueError naming the dialogue whose labels make no sense."""
    text = Path(__file__).with_name(f"{language}.yaml").read_text(encoding="utf-8")
    dialogues = tuple(_dialogue(row, language) for row in yaml.safe_load(text))
    if len({dialogue.id for dialogue in dialogues}) != len(dialogues):
        raise ValueError(f"{language}.yaml: two dialogues have the same id")
    return dialogues


def perfect_answer(dialogue: Dialogue) -> tuple[Candidate, ...]:
    """The claims of an extractor without fault, in the order they were said: one for each fact and message.

    Optional facts are among them.
    """
    claims = [(number, _candidate(fact, dialogue, number)) for fact in dialogue.facts for number in fact.said]
    return tuple(claim for _, claim in sorted(claims, key=lambda numbered: numbered[0]))


def expected_state(dialogue: Dialogue) -> State:
    """What merging the perfect answer leads to."""
    return frozenset(
        (
            fact.slot,
            normalise(str(_candidate(fact, dialogue, fact.said[-1]).value or fact.text)),
            fact.negates,
            not fact.ended,
        )
        for fact in dialogue.facts
    )


def state_of(memories: Iterable[Memory], now: Millis) -> State:
    """What these memories say."""
    return frozenset(
        (
            f"{memory.topic}/{memory.subtopic}",
            normalise(str(memory.attributes.get("value") or memory.text)),
            bool(memory.attributes.get("negates")),
            memory.is_current(now),
        )
        for memory in memories
    )


def first_day(date: str) -> datetime:
    """The first day of "2024-05-09", "2024-05" or "2024"."""
    year, month, day = (*map(int, date.split("-")), 1, 1)[:3]
    return datetime(year, month, day, tzinfo=UTC)


def _dialogue(row: dict[str, Any], language: Language) -> Dialogue:
    name = f"{language}.yaml: {row['id']}"
    sessions: list[Session] = []
    number = 0
    for at, session in enumerate(row["sessions"], 1):
        begin = datetime.fromisoformat(str(session["at"])).replace(tzinfo=UTC)
        messages: list[Message] = []
        for minute, said in enumerate(session["said"]):
            number += 1
            ((role, content),) = said.items()
            messages.append(_message(f"m{number:03}", f"s{at}", role, str(content).strip(), begin, minute))
        sessions.append(Session(f"s{at}", tuple(messages)))
    roles = [message.role for session in sessions for message in session.messages]
    facts = tuple(_fact(fields, roles, name) for fields in row.get("facts") or ())
    traps = tuple(Trap(**_fields(fields, "aliases")) for fields in row.get("traps") or ())
    return Dialogue(row["id"], language, tuple(row["shows"]), tuple(sessions), facts, traps)


def _message(message_id: str, session: str, role: str, content: str, begin: datetime, minute: int) -> Message:
    at = int((begin + timedelta(minutes=minute)).timestamp() * 1000)
    return Message(
        id=message_id,
        session=session,
        role=role,
        content=content,
        event_time=at,
        created_at=at,
        tokens=count_tokens(content),
    )


def _fact(fields: dict[str, Any], roles: Sequence[str], name: str) -> Fact:
    fact = Fact(**_fields(fields, "said", "aliases", "mentions", "dates"))
    if not fact.said or any(not 0 < n <= len(roles) or roles[n - 1] != "user" for n in fact.said):
        raise ValueError(f"{name}: {fact.value} must rest on messages of the user, not on {fact.said}")
    spec = _spec(fact.slot)
    if fact.text is None and (spec is None or spec[0].kind == "event"):
        raise ValueError(f"{name}: {fact.slot} needs a text")
    return fact


def _fields(fields: dict[str, Any], *lists: str) -> dict[str, Any]:
    """YAML's values as the labels' types: 5, 2024 and 2024-05-09 are texts to us."""
    typed: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "said":
            typed[name] = tuple(value)
        elif name in lists:
            typed[name] = tuple(map(str, value if isinstance(value, list) else [value]))
        else:
            typed[name] = value if isinstance(value, bool) or value is None else str(value)
    return typed


def _spec(slot: str) -> tuple[Slot, str] | None:
    """The rules' slot of that name, and what it is about ("sister" in family/sister_name)."""
    best: tuple[Slot, str] | None = None
    for spec in SLOTS.values():
        pattern = re.escape(f"{spec.topic}/{spec.subtopic}").replace(r"\{x\}", "(?P<x>.+)")
        if (match := re.fullmatch(pattern, slot)) is None:
            continue
        about = match.groupdict().get("x") or ""
        if best is None or len(about) < len(best[1]):
            best = spec, about
    return best


def _candidate(fact: Fact, dialogue: Dialogue, number: int) -> Candidate:
    message = dialogue.messages[number - 1]
    spec = _spec(fact.slot)
    topic, _, subtopic = fact.slot.partition("/")
    date = day_millis(first_day(fact.dates[0]).date()) if fact.dates else None
    event = spec is not None and spec[0].kind == "event"
    return Candidate(
        kind="fact" if spec is None else spec[0].kind,
        text=fact.text or _worded(fact, spec, dialogue.language),
        value=None if event else fact.value,
        topic=topic,
        subtopic=subtopic,
        profile_type=None if spec is None else spec[0].profile_type,
        single_valued=spec is not None and spec[0].single_valued,
        negates=fact.negates,
        sources=(message.id,),
        language=dialogue.language,
        event_time=message.event_time if date is None else date,
    )


def _worded(fact: Fact, spec: tuple[Slot, str] | None, language: Language) -> str:
    if spec is None:
        raise ValueError(f"{fact.slot} needs a text")
    slot, about = spec
    zh = language == "zh"
    positive, negative = (slot.zh, slot.zh_not) if zh else (slot.en, slot.en_not)
    about = fact.mentions[0] if fact.mentions else about.replace("_", " ")
    return (negative if fact.negates else positive).format(s="用户" if zh else "User", v=fact.value, x=about)
