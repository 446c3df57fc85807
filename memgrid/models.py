"""What goes in and out of memgrid: the same models over HTTP, through Ray, and in the clients.

Times are ISO 8601 in UTC in answers; in requests a time zone may be given, and none means UTC.
Unknown fields are refused, except inside a message, where they are kept and given back.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from memgrid.subject import SubjectKind

MemoryKind = Literal["fact", "profile", "event", "variable", "task", "note"]
Strategy = Literal["full_text", "vector", "hybrid"]
ResultType = Literal["memory", "message"]
ChangeEvent = Literal["ADD", "UPDATE", "SUPERSEDE", "DELETE", "EXPIRE"]
RunStatus = Literal["done", "parked"]
JobStatus = Literal["pending", "running", "done", "parked"]
SourceType = Literal["conversation", "document", "manual"]


_UNSEEN = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))
"""Unicode's categories of control and format characters, and of what separates."""


def _visible(text: str) -> str:
    if all(unicodedata.category(character) in _UNSEEN for character in text):
        raise ValueError("it is blank")
    return text


Visible = AfterValidator(_visible)
"""Text with something to be seen in it."""
Identifier = Annotated[
    str, Field(min_length=1, max_length=256, json_schema_extra={"pattern": r"\S"}), Visible
]
Limit = Annotated[int, Field(ge=1, le=1000)]
Filter = dict[str, Any]


class Request(BaseModel):
    """Base of all request bodies: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Base of all answers: a client ignores fields that a newer server adds."""

    model_config = ConfigDict(extra="ignore")


# --- messages ---------------------------------------------------------------------------------


class MessageIn(BaseModel):
    """One chat turn as a client sends it (OpenAI style). Other keys are kept as they are."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(min_length=1, max_length=64)] = "user"
    content: str | list[dict[str, Any]] | None
    """Text, or OpenAI content parts; the parts of type `text` are what memgrid reads. Null, as of a message
    that only calls tools, is no text."""
    name: Annotated[str, Field(max_length=256)] | None = None
    """The speaker, where one role has several."""
    id: Identifier | None = None
    """The client's own id: the same id in the same session is the same message, however often sent, and a 409
    with another role, name, content or other key. Answers name messages by memgrid's own ids."""
    timestamp: datetime | None = None
    """When it was said (`event_time`); also accepted as `created_at`. Default: when it arrives."""
    marks: list[Identifier] = Field(default_factory=list, max_length=64)

    @field_validator("content", mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        """Null as no text. What cannot be read is the field's fault, not that of each of its types."""
        if content is None:
            return ""
        parts: list[Any] = content if isinstance(content, list) else []
        if not isinstance(content, (str, list)) or not all(isinstance(part, dict) for part in parts):
            raise PydanticCustomError("content", "should be text, a list of content parts, or null")
        return content


class MessageOut(Answer):
    """A stored message."""

    id: str
    session_id: str
    role: str
    content: str
    name: str | None = None
    client_id: str | None = None
    event_time: datetime
    created_at: datetime
    marks: list[str] = []
    tokens: int
    metadata: dict[str, Any] = {}
    labels: dict[str, str] = {}
    """Everyone it was added for: `user`, `agent`, `app`, `run`, `group` → id."""
    infer: bool = True
    extra: dict[str, Any] = {}
    status: Literal["buffered", "extracted", "parked"] = "extracted"


class MessagePage(Answer):
    messages: list[MessageOut]
    cursor: str | None = None


class MarkMessages(Request):
    """Change marks. `old` None adds `new`; `new` None removes `old`; both replace. `ids` narrows: memgrid's
    own ids (`message_ids` of an add), not those that a client gave."""

    new: Identifier | None = None
    old: Identifier | None = None
    ids: Annotated[list[Identifier], Field(max_length=10_000)] | None = None
    session_id: Identifier | None = None


class DeleteMessages(Request):
    """Which messages to forget: by id (memgrid's own, not one that a client gave), by mark, or all of a
    session. At least one must be given."""

    ids: Annotated[list[Identifier], Field(max_length=10_000)] | None = None
    marks: Annotated[list[Identifier], Field(max_length=64)] | None = None
    session_id: Identifier | None = None
    memories: bool = False
    """Also delete the memories that rest on nothing but the deleted messages."""


class Count(Answer):
    """How many were changed."""

    count: int


class SessionOut(Answer):
    session_id: str
    messages: int
    first_at: datetime
    last_at: datetime


class SessionPage(Answer):
    sessions: list[SessionOut]
    cursor: str | None = None


# --- add --------------------------------------------------------------------------------------


class AddRequest(Request):
    """Messages to keep, and to distil memories from."""

    messages: list[MessageIn] = Field(max_length=10_000)
    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None
    session_id: Identifier | None = None
    """The conversation; `run_id` is used when it is missing, and "default" when that is too."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    infer: bool = True
    """False keeps each message word for word as a memory of kind `note`, without extraction."""
    idempotency_key: Identifier | None = None
    """A retry with the same key and the same payload changes nothing; another payload is a 409. Everything
    sent counts, but for `wait`. The key is remembered for seven days."""
    group_id: Identifier | None = None
    """A label inside the subject: a group's configuration says what is extracted, and by which model."""
    record_message: bool = True
    """False: the messages are forgotten as soon as they have been extracted."""
    wait: bool = False
    """True waits until the messages are extracted, for half the request timeout (30 s unless set otherwise)
    at most: then `status` is `pending` or `running`, the messages are kept, and `job_id` tells the rest."""
    timestamp: datetime | None = None
    """`event_time` of messages that carry none."""


class MemoryChange(Answer):
    """What one extraction did to one memory."""

    id: str
    event: ChangeEvent
    memory: str | None
    old_memory: str | None = None


class AddResult(Answer):
    """The messages are durable. `memory_id` and `results` are filled when extraction has run."""

    success: bool = True
    memory_id: str | None = None
    message: str = ""
    job_id: str
    status: JobStatus
    message_ids: list[str]
    duplicates: int = 0
    """How many of the messages were already there."""
    results: list[MemoryChange] = []


class BatchAddRequest(Request):
    items: Annotated[list[AddRequest], Field(min_length=1, max_length=1000)]


class ErrorDetail(Answer):
    """The error shape: one for every error."""

    code: str
    message: str
    field: str | None = None
    remedy: str | None = None
    retry_after: float | None = None
    """Seconds."""
    request_id: str | None = None


class BatchItem(Answer):
    """Either `result` or `error`, in the place of the item it answers; the error's `field` is within it."""

    result: AddResult | None = None
    error: ErrorDetail | None = None


class BatchAddResult(Answer):
    results: list[BatchItem]
    succeeded: int
    failed: int


# --- memories ---------------------------------------------------------------------------------


class MemoryOut(Answer):
    """One unit of knowledge."""

    id: str
    memory: str
    """The text."""
    kind: MemoryKind
    user_id: str | None = None
    agent_id: str | None = None
    app_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    topic: str | None = None
    subtopic: str | None = None
    profile_type: str | None = None
    """The openJiuwen type: personal_information, interest_hobbies, …"""
    tags: list[str] = []
    category: str | None = None
    attributes: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    source_message_ids: list[str] = []
    source_type: SourceType = "conversation"
    confidence: float = 1.0
    language: str | None = None
    created_at: datetime
    updated_at: datetime
    event_time: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    immutable: bool = False
    pinned: bool = False
    """No cap, time to live or clean-up drops it."""
    superseded_by: str | None = None
    shared_by: str | None = None
    """Whose it is, as `kind:id`, where it is someone else's who shares it."""
    revision: int


class MemoryPage(Answer):
    memories: list[MemoryOut]
    cursor: str | None = None
    total: int


class ListQuery(Request):
    """Which memories to list, newest first."""

    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None
    kinds: list[MemoryKind] | None = None
    filters: Filter | None = None
    latest_only: bool = True
    """False also lists memories that were superseded."""
    limit: Limit = 100
    cursor: Annotated[str, Field(max_length=1024)] | None = None


class MemoryPatch(Request):
    """What to change of a memory; what is left out stays. `expires_at: null` clears it."""

    text: Annotated[str, Field(min_length=1, max_length=65_536), Visible] | None = None
    metadata: dict[str, Any] | None = None
    tags: Annotated[list[Identifier], Field(max_length=64)] | None = None
    category: Annotated[str, Field(max_length=256)] | None = None
    expires_at: datetime | None = None
    immutable: bool | None = None
    pinned: bool | None = None


class HistoryEntry(Answer):
    """One change of one memory. The texts of a deleted memory are gone from its history too."""

    memory_id: str
    event: ChangeEvent
    old_memory: str | None = None
    new_memory: str | None = None
    revision: int
    run_id: str | None = None
    actor: str
    """Who did it: extraction, api, sweep."""
    reason: str | None = None
    at: datetime


class History(Answer):
    history: list[HistoryEntry]


# --- search and context -----------------------------------------------------------------------


class SearchQuery(Request):
    """What to look for."""

    query: Annotated[str, Field(min_length=1, max_length=32_768), Visible]
    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None
    everyone: bool = False
    """Of all users, agents, apps and runs of the project; none is named then."""
    strategy: Strategy = "hybrid"
    top_k: Limit = 10
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    filters: Filter | None = None
    types: list[ResultType] | None = None
    """Memories, raw messages, or (default) both."""
    kinds: list[MemoryKind] | None = None
    session_id: Identifier | None = None
    latest_only: bool = True
    explain: bool = False
    cursor: Annotated[str, Field(max_length=1024)] | None = None


class SearchHit(Answer):
    """One result. A message that a memory above it rests on is not listed again, nor is one that says no more
    than the memories made of it; messages of the same text are one result."""

    type: ResultType
    id: str
    content: str
    score: float
    created_at: datetime
    event_time: datetime | None = None
    memory: MemoryOut | None = None
    message: MessageOut | None = None
    message_ids: list[str]
    """The messages the result comes from, those that were found first."""
    subject: str | None = None
    """Whose it is, as `kind:id`, where it is not the own of the one asked for: someone's who carries the
    label, or who shares it (then `memory.shared_by` says so, too)."""
    explain: dict[str, float] | None = None


class SearchResult(Answer):
    results: list[SearchHit]
    total: int
    cursor: str | None = None
    degraded: list[str] = []
    """What could not take part: `embedding`, `search_index`, `owners`, `older_vectors`, `warming`."""


class ContextQuery(Request):
    """What the next turn is about, and how much room there is."""

    message: Annotated[str, Field(max_length=32_768)] = ""
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 3
    language: Literal["zh", "en"] | None = None
    plain: bool = True
    """True gives the plain list of the native route; False profile, memories and buffer in sections."""
    profile_event_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """How the room of profile and events is parted between them; with sections and `max_tokens`."""
    prefer_topics: Annotated[list[Identifier], Field(max_length=100)] | None = None
    """These topics of the profile first."""
    only_topics: Annotated[list[Identifier], Field(max_length=100)] | None = None
    """No other topics; events and messages have none."""
    since: datetime | None = None
    """No events, facts and messages of before."""
    until: datetime | None = None
    """None at this time or later."""
    template: Annotated[str, Field(max_length=16_384)] | None = None
    """A layout of your own, with {profile}, {events}, {facts}, {summary} and {recent} for the sections."""
    explain: bool = False


class ContextLine(Answer):
    """Why a line is in the context."""

    id: str
    section: str
    tokens: int
    score: float | None = None


class ContextBlock(Answer):
    context: str
    tokens: int
    explain: list[ContextLine] | None = None
    memory_ids: list[str] = []
    message_ids: list[str] = []
    degraded: bool = False


# --- profile, variables -----------------------------------------------------------------------


class InteractionPatterns(Answer):
    total_conversations: int
    average_length: float
    most_active_hours: list[int]
    conversation_topics: list[str]


class ProfileEntry(Answer):
    id: str
    content: str
    updated_at: datetime


class Profile(Answer):
    """Who the subject is: computed from memories and messages, never invented."""

    user_id: str
    total_memories: int
    profile_summary: str
    generated_at: datetime
    key_interests: list[str]
    interaction_patterns: InteractionPatterns | dict[str, Any]
    topics: dict[str, dict[str, list[ProfileEntry]]] = {}
    """topic → subtopic → entries."""


class Variables(Answer):
    variables: dict[str, str]


class SetVariables(Request):
    variables: Annotated[dict[Identifier, Annotated[str, Field(max_length=65_536)]], Field(max_length=100)]


# --- buffer, jobs, runs -----------------------------------------------------------------------


class BufferPolicy(Request):
    """Which triggers may start an extraction of this subject's buffer on their own."""

    on_full: bool = True
    on_idle: bool = True


class BufferStatus(Answer):
    """The messages not yet extracted, measured in tokens."""

    tokens: int
    full_at: int
    is_full: bool
    message_ids: list[str]
    running: list[str] = []
    """Ids of messages in an extraction right now."""
    policy: BufferPolicy
    embedding_backlog: int = 0
    """Messages and memories that are found by their words, but not yet by their meaning."""


class ProcessRequest(Request):
    """Extract these buffered messages, or all of them when `ids` is left out."""

    ids: Annotated[list[Identifier], Field(max_length=10_000)] | None = None
    wait: bool = True
    """Wait for the extraction, as long as an add would: `status` says whether it is done."""


class ProcessResult(Answer):
    job_id: str | None
    status: JobStatus
    results: list[MemoryChange] = []


class Job(Answer):
    """How far an add has come; derived from whether its messages are in a run."""

    job_id: str
    status: JobStatus
    messages: int
    done: int
    results: list[MemoryChange] = []
    error: str | None = None


class RunOut(Answer):
    """One extraction run: an immutable record, and the mark that its messages are done."""

    id: str
    status: RunStatus
    message_ids: list[str]
    memory_ids: list[str] = []
    extractor: str
    prompt_version: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 1
    cost: float | None = None
    """By the prices that were set then; null where the model has none."""
    llm_calls: int = 0
    """Calls of a model."""
    dropped_claims: int = 0
    """Claims of a model that the messages do not bear out."""
    duration_ms: int
    error: str | None = None
    created_at: datetime


class RunPage(Answer):
    runs: list[RunOut]
    cursor: str | None = None


# --- housekeeping -----------------------------------------------------------------------------


class CleanupResult(Answer):
    deleted_count: int
    total_old_memories: int
    cleanup_date: datetime
    """The cut-off: what was older is what was removed."""


class EraseResult(Answer):
    """Everything of the subject is gone, everywhere."""

    subject_kind: SubjectKind
    subject_id: str
    memories: int
    messages: int


class UserStats(Answer):
    date: str
    memories_added: int
    searches_performed: int
    avg_relevance_score: float


class ComponentHealth(Answer):
    status: Literal["healthy", "degraded", "unhealthy"]
    latency: float
    """Milliseconds."""
    error: str | None = None


class HealthDetail(Answer):
    service: str = "memory"
    timestamp: datetime
    components: dict[str, ComponentHealth]
    overall: Literal["healthy", "degraded", "unhealthy"]
