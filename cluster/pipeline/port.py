"""Extraction: messages in, claims out. What becomes of a claim is `merge`'s decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from cluster.model import Memory, Message, Millis
from memgrid.models import MemoryKind


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that an extractor makes about the subject, with the messages it rests on."""

    kind: MemoryKind
    text: str
    """A full statement in the speaker's language, as a person would note it down."""
    value: str | None = None
    """The bare value ("Hangzhou"), where the claim fills a slot."""
    topic: str | None = None
    subtopic: str | None = None
    profile_type: str | None = None
    single_valued: bool = False
    """True where a subject has one at a time (name, home, job): a new value supersedes the old one."""
    negates: bool = False
    """True for "I no longer …": closes what it contradicts."""
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = {}
    sources: tuple[str, ...]
    confidence: float = 1.0
    language: str = "en"
    event_time: Millis | None = None
    valid_from: Millis | None = None


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """What an extractor made of some messages, and what it cost."""

    candidates: tuple[Candidate, ...]
    extractor: str
    prompt_version: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Extractor(Protocol):
    """Finds claims in messages."""

    @property
    def name(self) -> str: ...

    async def extract(
        self, messages: Sequence[Message], *, earlier: Sequence[Message], known: Sequence[Memory]
    ) -> Extraction:
        """Claims in `messages` (oldest first); `earlier` is context only, `known` what is on record.

        Raises Unavailable (worth retrying) or MalformedCompletion (retried, then parked).
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
