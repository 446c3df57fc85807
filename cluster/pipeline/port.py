"""Extraction: messages in, claims out. What becomes of a claim is `merge`'s decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from cluster.model import Memory, Message, Millis
from memgrid.models import MemoryKind
from memgrid.subject import DEFAULT_TENANT


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that an extractor makes about the subject, with the messages it rests on.

    `attributes` may hold: `speaker`, whose claim it is; `entities`, names of people, places, organisations
    and products in it; `event_end`, the last day of an event (milliseconds); `when_to_use`, for which
    tasks an experience is of use.
    """

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
    key: str = ""
    """What other claims of the same extraction call it by, where they are its effects."""
    causes: tuple[str, ...] = ()
    """Why it is so, as the speaker says: keys of other claims, or ids of known memories."""


class EndpointChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An LLM that a tenant or group has chosen for itself."""

    base_url: str
    model: str
    api_key: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one extraction, beside what every extraction does."""

    tenant: str = DEFAULT_TENANT
    instructions: str | None = None
    """The project's own, in its own words: they add to the prompt's."""
    variables: Mapping[str, str] = {}
    """Names to look for, each with a description (or "")."""
    long_term: bool = True
    """False: only variables are wanted."""
    topics: tuple[str, ...] = ()
    """`topic/subtopic: description` of the project's own topics."""
    strict_topics: bool = False
    """True: no other topics are wanted."""
    summaries: Mapping[str, str] = {}
    """What was said before in each session, in short."""
    endpoint: EndpointChoice | None = None
    """Another LLM than the configured one."""


class LlmCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a model. What it was shown is kept as ids: the texts are where they can be forgotten."""

    purpose: Literal["extract", "repair", "language", "continue"]
    model: str
    prompt_version: str
    messages: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    question: str | None = None
    """What was asked beyond the prompt: why the answer before was not good enough."""
    answer: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    """By the configured prices; None where the model has none."""
    duration_ms: int = 0
    error: str | None = None


class Dropped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A claim that was not believed."""

    text: str
    reason: str
    evidence: tuple[str, ...] = ()
    """Ids of the messages it named."""


class Trace:
    """What was done for one run, attempt after attempt, whether or not it led anywhere."""

    def __init__(self) -> None:
        self.calls: list[LlmCall] = []
        self.dropped: list[Dropped] = []
        self.prompts: dict[str, str] = {}
        """The instructions used, by version."""
        self.summarised: int | None = None
        """The subject's revision when summaries of before were first shown; None when none were."""
        self.duration_ms = 0

    @property
    def input_tokens(self) -> int:
        return sum(call.input_tokens for call in self.calls)

    @property
    def output_tokens(self) -> int:
        return sum(call.output_tokens for call in self.calls)

    @property
    def cost(self) -> float | None:
        """Of the calls that have a price; None where none has."""
        costs = [call.cost for call in self.calls if call.cost is not None]
        return sum(costs) if costs else None


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """What an extractor made of some messages, and what it cost."""

    candidates: tuple[Candidate, ...]
    extractor: str
    prompt_version: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    summaries: Mapping[str, str] = {}
    """By session: what has been said in it up to now, in short."""


class Extractor(Protocol):
    """Finds claims in messages."""

    @property
    def name(self) -> str: ...

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        """Claims in `messages` (oldest first); `earlier` is context only, `known` what is on record.

        What is done is told to `trace` as it is done. Raises Unavailable (worth retrying) or
        MalformedCompletion (retried, then parked).
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """How a task was worked on. What is known of the experience already is fixed."""

    task: str
    steps: tuple[tuple[str, str], ...]
    """(what was done, what came of it), in order."""
    outcome: str
    lesson: str | None = None
    when_to_use: str | None = None
    what_to_do: str | None = None
    language: Literal["zh", "en"]


class Experience(msgspec.Struct, frozen=True, kw_only=True):
    """What a trajectory teaches."""

    when_to_use: str
    what_to_do: str


@runtime_checkable
class Distiller(Protocol):
    """An extractor that can also tell what a trajectory teaches."""

    async def distil(self, trajectory: Trajectory, *, brief: Brief, trace: Trace) -> Experience | None:
        """None where there is no model to ask. What is done is told to `trace` as it is done. Raises
        Unavailable, InvalidInput where the endpoint refuses the request, or MalformedCompletion (after the
        model was shown its mistake once)."""
        ...
