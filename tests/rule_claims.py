"""What the rules make of a session, for tests."""

from __future__ import annotations

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT

ASSISTANT = ("A: ", "助手：")
"""How a text begins that the assistant said."""


async def claims_of(*said: str) -> tuple[Candidate, ...]:
    """The claims of a session, in their order."""
    messages = [
        Message(
            id=f"m{number:03}",
            session="s",
            role="assistant" if text.startswith(ASSISTANT) else "user",
            content=text.removeprefix("A: ").removeprefix("助手："),
            event_time=SAID_AT + number * 1000,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, text in enumerate(said)
    ]
    return (await RuleExtractor().extract(messages, earlier=(), known=())).candidates


async def noted(*said: str) -> set[tuple[str, str]]:
    """What a session's claims say, and of which slot: "-" marks a denial."""
    return {
        (f"{one.topic}/{'-' if one.negates else ''}{one.subtopic}", one.value or one.text)
        for one in await claims_of(*said)
    }
