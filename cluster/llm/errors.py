"""What a language model gets wrong."""

from __future__ import annotations

from memgrid.errors import MemgridError, Unavailable


class MalformedCompletion(MemgridError):
    """The model's answer is not what was asked for: refused, no JSON, another schema.

    `input_tokens` and `output_tokens` are what it cost all the same.
    """

    code = "unavailable"

    def __init__(
        self, message: str, *, remedy: str | None = None, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class NotTried(Unavailable):
    """The endpoint rests, or a limit is reached: it was not asked. `retry_after` says when it may be."""


class GivenUp(NotTried):
    """Whoever asked shuts down, and waits for the answer no longer. It counts as no attempt."""
