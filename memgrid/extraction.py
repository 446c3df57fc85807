"""Models of how extraction is told what to do, and of what it tells: configuration, runs, usage."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_serializer

from memgrid.models import Answer, Identifier, MessageOut, Request, RunOut

Purpose = Literal["extract", "repair", "language", "continue"]


def _printable(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable() and 0 < len(text) <= 4096):
        raise ValueError("an API key is printable ASCII")
    return key


class LlmChoice(Request):
    """An OpenAI-compatible endpoint of the project's own."""

    base_url: Annotated[str, Field(pattern=r"^https?://", max_length=2048)]
    """A public address, unless the operator allows others."""
    model: Annotated[str, Field(min_length=1, max_length=256)]
    api_key: Annotated[SecretStr, AfterValidator(_printable)] | None = None
    """Never given back. Left out where one is stored for this address, that one stays."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @field_serializer("api_key", when_used="unless-none")
    def _carried(self, key: SecretStr) -> str:
        return key.get_secret_value()


class ExtractionConfig(Request):
    """What the project, or one of its groups, wants of extraction. What is left out, or null, is as in the
    project's; what that leaves out is as in the settings."""

    group_id: Identifier | None = None
    """Whose it is; without one it is the project's."""
    instructions: Annotated[str, Field(max_length=8000)] | None = None
    """In your own words, in addition to the prompt's: what to note, what to leave out."""
    long_term_memory: bool | None = None
    """False: only variables are extracted."""
    variables: (
        Annotated[dict[Identifier, Annotated[str, Field(max_length=1000)]], Field(max_length=100)] | None
    ) = None
    """Names of values to look for, each with a description."""
    llm: LlmChoice | None = None


class LlmChoiceOut(Answer):
    base_url: str
    model: str
    has_api_key: bool
    temperature: float | None = None
    max_tokens: int | None = None


class ExtractionConfigOut(Answer):
    """What is stored for the project or group: null where it says nothing."""

    group_id: str | None = None
    instructions: str | None = None
    long_term_memory: bool | None = None
    variables: dict[str, str] | None = None
    llm: LlmChoiceOut | None = None


class GroupQuery(Request):
    group_id: Identifier | None = None


class RunCall(Answer):
    """One call of a model."""

    purpose: Purpose
    """`extract` is the question itself; the others ask again: for another form, language, or the rest."""
    model: str
    prompt_version: str
    message_ids: list[str] = Field(default_factory=list)
    """What it was to take notes of."""
    earlier_ids: list[str] = Field(default_factory=list)
    """Messages it was shown as context."""
    known_ids: list[str] = Field(default_factory=list)
    """Memories it was shown as known."""
    question: str | None = None
    answer: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    duration_ms: int = 0
    error: str | None = None


class RunDecision(Answer):
    """What became of one claim, and why."""

    action: Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
    memory_id: str | None
    reason: str
    claim: str
    message_ids: list[str] = Field(default_factory=list)


class DroppedClaim(Answer):
    """A claim of a model that was not believed, and why."""

    claim: str
    reason: str
    message_ids: list[str] = Field(default_factory=list)


class RunDetail(RunOut):
    """A run with everything that was recorded of it. The record goes when something it rests on is
    forgotten; `recorded` says whether it is there."""

    messages: list[MessageOut] = Field(default_factory=list)
    """The input, as far as it is not forgotten: the first 200 messages."""
    recorded: bool = False
    prompts: dict[str, str] = Field(default_factory=dict)
    """The instructions that the calls began with, by version; what followed is said by the ids in `calls`."""
    calls: list[RunCall] = Field(default_factory=list)
    decisions: list[RunDecision] = Field(default_factory=list)
    dropped: list[DroppedClaim] = Field(default_factory=list)
    summaries: dict[str, str] = Field(default_factory=dict)


class UsageQuery(Request):
    """Days in UTC, both included: at most 366. The last thirty when none is given."""

    from_: Annotated[date | None, Field(alias="from")] = None
    """29 days before `to` when it is left out."""
    to: date | None = None
    """Today when it is left out."""

    model_config = Request.model_config | {"populate_by_name": True, "serialize_by_alias": True}


class UsageOfModel(Answer):
    runs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


class UsageDay(Answer):
    """One day of the project: sums over the extraction runs that ended on it; what driving a parked run again
    has taken is with the day of that."""

    date: str
    runs: int = 0
    parked: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    """By the prices that were set when the runs were made; null where no price was."""
    dropped_claims: int = 0
    by_model: dict[str, UsageOfModel] = Field(default_factory=dict)


class Usage(Answer):
    days: list[UsageDay]
    total: UsageDay
    generated_at: datetime
