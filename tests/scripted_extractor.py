"""A stand-in for a model: says of each message what a test has it say, fails as often as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from cluster.model import Memory, Message
from cluster.pipeline.port import Brief, Candidate, Extraction, Trace


def echo(message: Message) -> tuple[Candidate, ...]:
    """One claim, the message's own text."""
    return (Candidate(kind="fact", text=message.content, sources=(message.id,)),)


class ScriptedExtractor:
    """Claims what `claims` makes of each message."""

    name = "scripted"

    def __init__(self, claims: Callable[[Message], Iterable[Candidate]] = echo) -> None:
        self._claims = claims
        self.failures: list[Exception] = []
        """Raised by the next calls, in order."""
        self.seen: list[list[str]] = []
        """Ids of the messages of each call."""
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        """No call goes on while it is cleared."""
        self.gate.set()

    async def close(self) -> None:
        return None

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        self.seen.append([message.id for message in messages])
        self.begun.set()
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        claims = tuple(claim for message in messages for claim in self._claims(message))
        return Extraction(candidates=claims, extractor=self.name)
