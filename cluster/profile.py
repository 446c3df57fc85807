"""Who a subject is: computed from its memories and its messages, never invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from cluster.analysis import normalise
from cluster.model import HOUR_MS, Memory, Message, Millis
from cluster.texts import Language, text
from memgrid.models import InteractionPatterns, Profile, ProfileEntry
from memgrid.subject import Subject

MAX_INTERESTS: Final = 5
MAX_ACTIVE_HOURS: Final = 3
MAX_TOPICS: Final = 10
MAX_STATEMENTS: Final = 10
"""Statements in the summary."""
MAX_STATEMENT_CHARACTERS: Final = 200
MAX_INTEREST_CHARACTERS: Final = 100

_INTEREST_TOPICS: Final = frozenset({"interest", "interests", "hobby", "hobbies", "兴趣", "爱好", "兴趣爱好"})
_INTEREST_TYPE: Final = "interest_hobbies"
_NOT_INTERESTS: Final = ("dislike", "avoid", "diet")
_SUMMARY_ORDER: Final = {
    topic: place
    for place, topic in enumerate(
        ("basic_info", "contact_info", "work", "education", "demographics", "family", "interest", "health")
    )
}


class MessageStats(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Counts over a subject's messages, kept up to date message by message.

    What is deleted cannot be taken out again: count anew from a scan.
    """

    sessions: dict[str, int] = {}
    """Messages by session."""
    user_messages: int = 0
    user_characters: int = 0
    user_hours: dict[int, int] = {}
    """Messages of the user by the UTC hour in which they were said."""

    def observe(self, message: Message) -> None:
        """Count one more message; the same message twice counts twice."""
        self.sessions[message.session] = self.sessions.get(message.session, 0) + 1
        if message.role == "user":
            hour = message.event_time // HOUR_MS % 24
            self.user_messages += 1
            self.user_characters += len(message.content)
            self.user_hours[hour] = self.user_hours.get(hour, 0) + 1

    def merge(self, other: MessageStats) -> None:
        """Add what another one counted over other messages."""
        for session, count in other.sessions.items():
            self.sessions[session] = self.sessions.get(session, 0) + count
        for hour, count in other.user_hours.items():
            self.user_hours[hour] = self.user_hours.get(hour, 0) + count
        self.user_messages += other.user_messages
        self.user_characters += other.user_characters

    @property
    def average_length(self) -> float:
        """Mean length of the user's messages in characters, to one decimal."""
        return round(self.user_characters / self.user_messages, 1) if self.user_messages else 0.0

    @property
    def most_active_hours(self) -> list[int]:
        """Up to three UTC hours, the busiest first."""
        busiest = sorted(self.user_hours, key=lambda hour: (-self.user_hours[hour], hour))
        return busiest[:MAX_ACTIVE_HOURS]


def build_profile(
    subject: Subject, memories: Iterable[Memory], stats: MessageStats, now: Millis, language: Language
) -> Profile:
    """The profile at `now` from the subject's current memories and the counts of its messages."""
    newest = sorted(memories, key=lambda memory: (memory.updated_at, memory.id), reverse=True)
    generated_at = _moment(now)
    if not newest:
        return Profile(
            user_id=subject.id,
            total_memories=0,
            profile_summary=text("new_user", language),
            generated_at=generated_at,
            key_interests=[],
            interaction_patterns={},
        )
    topics = _conversation_topics(newest)
    return Profile(
        user_id=subject.id,
        total_memories=len(newest),
        profile_summary=_summary(newest, topics, language),
        generated_at=generated_at,
        key_interests=_key_interests(newest),
        interaction_patterns=InteractionPatterns(
            total_conversations=len(stats.sessions),
            average_length=stats.average_length,
            most_active_hours=stats.most_active_hours,
            conversation_topics=topics,
        ),
        topics=_topics(newest),
    )


def _key_interests(newest: Sequence[Memory]) -> list[str]:
    interests: dict[str, str] = {}
    for memory in newest:
        if len(interests) == MAX_INTERESTS:
            break
        if _is_interest(memory):
            value = memory.attributes.get("value")
            interest = _one_line(value if isinstance(value, str) else memory.text, MAX_INTEREST_CHARACTERS)
            if interest:
                interests.setdefault(normalise(interest), interest)
    return list(interests.values())


def _is_interest(memory: Memory) -> bool:
    if (memory.subtopic or "").startswith(_NOT_INTERESTS) or memory.attributes.get("negates"):
        return False
    return memory.topic in _INTEREST_TOPICS or memory.profile_type == _INTEREST_TYPE


def _conversation_topics(memories: Iterable[Memory]) -> list[str]:
    counts = Counter(memory.topic for memory in memories if memory.topic)
    return sorted(counts, key=lambda topic: (-counts[topic], topic))[:MAX_TOPICS]


def _topics(newest: Iterable[Memory]) -> dict[str, dict[str, list[ProfileEntry]]]:
    topics: dict[str, dict[str, list[ProfileEntry]]] = {}
    for memory in _of_the_profile(newest):
        subtopic = memory.subtopic or memory.profile_type or memory.kind
        topics.setdefault(memory.topic or "", {}).setdefault(subtopic, []).append(
            ProfileEntry(id=memory.id, content=memory.text, updated_at=_moment(memory.updated_at))
        )
    return topics


def _summary(newest: Sequence[Memory], topics: Sequence[str], language: Language) -> str:
    """One statement of each slot, who the subject is first; without any, what the memories are about."""
    slots: dict[tuple[str, str | None], str] = {}
    for memory in _of_the_profile(newest):
        statement = _one_line(memory.text, MAX_STATEMENT_CHARACTERS).rstrip("。.；;")
        if statement:
            slots.setdefault((memory.topic or "", memory.subtopic), statement)
    last = len(_SUMMARY_ORDER)
    ordered = sorted(slots, key=lambda slot: _SUMMARY_ORDER.get(slot[0], last))
    statements = [slots[slot] for slot in ordered[:MAX_STATEMENTS]]
    if statements:
        return "；".join(statements) + "。" if language == "zh" else "; ".join(statements) + "."
    if language == "zh":
        about = f"，话题：{'、'.join(topics)}" if topics else ""
        return f"共有{len(newest)}条记忆{about}。"
    about = f", about {', '.join(topics)}" if topics else ""
    return f"{len(newest)} {'memory' if len(newest) == 1 else 'memories'}{about}."


def _of_the_profile(memories: Iterable[Memory]) -> Iterator[Memory]:
    return (memory for memory in memories if memory.topic and memory.kind in ("profile", "fact"))


def _one_line(value: str, limit: int) -> str:
    line = " ".join(value.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _moment(at: Millis) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
