"""The language model: one call, messages in, JSON out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec


class ChatMessage(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    model: str
    input_tokens: int
    output_tokens: int
    whole: bool = True
    """False: the answer reached its longest length, and was cut off there."""


class Llm(Protocol):
    """An OpenAI-compatible chat model."""

    @property
    def model(self) -> str: ...

    async def complete(
        self, messages: Sequence[ChatMessage], *, schema: dict[str, Any] | None = None
    ) -> Completion:
        """One completion; with `schema` the answer is JSON of that schema where the endpoint supports it.

        Rate limits, timeouts, 5xx and connection errors are retried with backoff and then raised as
        Unavailable (`NotTried` where the endpoint was not asked at all); an answer that was refused raises
        MalformedCompletion.
        """
        ...

    async def close(self) -> None: ...
