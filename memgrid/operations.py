"""What a shard actor can be asked: each operation's name, its request and its answer.

A call is `(operation, subject, request id, body)`, the body being the request model as JSON; the reply is
`(True, answer as JSON)` or `(False, ErrorDetail as JSON)`. The caller mints the request id once and
sends the same one when it tries again: message and commit ids derive from it, so a repeated call has
one effect.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from memgrid._requests import SubjectRef
from memgrid.extraction import (
    ExtractionConfig,
    ExtractionConfigOut,
    GroupQuery,
    RunDetail,
    Usage,
    UsageQuery,
)
from memgrid.kinds import (
    Document,
    EntityOut,
    EntityPage,
    EntityQuery,
    EventPage,
    EventsQuery,
    LinkMemory,
    RecordTask,
    Related,
    ShareMemory,
    Shares,
    TaskOut,
    TaskPage,
    TasksQuery,
    UpdateTask,
    UseTask,
)
from memgrid.models import (
    AddRequest,
    AddResult,
    Answer,
    BufferPolicy,
    BufferStatus,
    CleanupResult,
    ContextBlock,
    ContextQuery,
    Count,
    DeleteMessages,
    EraseResult,
    Filter,
    History,
    Identifier,
    Job,
    Limit,
    ListQuery,
    MarkMessages,
    MemoryKind,
    MemoryOut,
    MemoryPage,
    MemoryPatch,
    MessagePage,
    ProcessRequest,
    ProcessResult,
    Profile,
    Request,
    RunPage,
    RunStatus,
    SearchHit,
    SearchQuery,
    SearchResult,
    SessionPage,
    SetVariables,
    UserStats,
    Variables,
)
from memgrid.profile_config import ProfileConfig, ProfileConfigOut, ProfileConfigQuery

Cursor = Annotated[str, Field(max_length=1024)]


class Nothing(Request):
    """An operation that needs no more than its subject."""


class ById(Request):
    id: Annotated[str, Field(min_length=1, max_length=2048)]
    """Longer than an Identifier: a job's id has its subject's in it."""


class DeleteMemory(ById):
    kind: MemoryKind | None = None
    """Only if it is of this kind; another is not found."""


class UpdateMemory(Request):
    id: Identifier
    patch: MemoryPatch


class DeleteMemories(Request):
    """Delete the subject's memories: all, or those of these kinds, labels and filters."""

    kinds: list[MemoryKind] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    filters: Filter | None = None


class DeleteVariables(Request):
    names: Annotated[list[Identifier], Field(min_length=1, max_length=100)]


class Page(Request):
    limit: Limit = 100
    cursor: Cursor | None = None


class MessagesQuery(Page):
    session_id: Identifier | None = None
    mark: Identifier | None = None
    exclude_mark: Identifier | None = None
    newest_first: bool = False


class RunsQuery(Page):
    status: RunStatus | None = None


class Cleanup(Request):
    days_old: Annotated[int, Field(ge=1, le=36_500)] = 90


class StatsQuery(Request):
    days: Annotated[int, Field(ge=1, le=366)] = 7


class Stats(Answer):
    days: list[UserStats]


_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class QueryText(Request):
    """A question, to be embedded by an owner: whoever searches across subjects has no model."""

    text: Annotated[str, Field(min_length=1, max_length=32_768)]


class QueryVector(Answer):
    model_config = _BYTES

    vector: bytes | None = None
    """Little-endian 16-bit floats; None when the model cannot give it now."""


class Hydrate(Request):
    """Ids that the search index proposed; what the owner does not know is left out."""

    model_config = _BYTES

    query: SearchQuery
    vector: bytes | None = None
    """The query's, as in `QueryVector`; without it the owner goes by words."""
    memory_ids: list[str] = Field(default_factory=list)
    message_ids: list[str] = Field(default_factory=list)


class Hydrated(Answer):
    results: list[SearchHit]


PROJECT: SubjectRef = SubjectRef("app", "memgrid")
"""The subject of each tenant to whose owner the operations of the tenant as a whole are sent."""
PROJECT_OPERATIONS = frozenset(
    {"extraction_config", "set_extraction_config", "usage", "profile_config", "set_profile_config"}
)

OPERATIONS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "add": (AddRequest, AddResult),
    "add_document": (Document, AddResult),
    "search": (SearchQuery, SearchResult),
    "hydrate": (Hydrate, Hydrated),
    "query_vector": (QueryText, QueryVector),
    "list_memories": (ListQuery, MemoryPage),
    "get_memory": (ById, MemoryOut),
    "update_memory": (UpdateMemory, MemoryOut),
    "delete_memory": (DeleteMemory, Count),
    "delete_memories": (DeleteMemories, Count),
    "history": (ById, History),
    "context": (ContextQuery, ContextBlock),
    "profile": (Nothing, Profile),
    "variables": (Nothing, Variables),
    "set_variables": (SetVariables, Variables),
    "delete_variables": (DeleteVariables, Count),
    "sessions": (Page, SessionPage),
    "messages": (MessagesQuery, MessagePage),
    "mark_messages": (MarkMessages, Count),
    "delete_messages": (DeleteMessages, Count),
    "buffer_status": (Nothing, BufferStatus),
    "set_buffer_policy": (BufferPolicy, BufferStatus),
    "process": (ProcessRequest, ProcessResult),
    "job": (ById, Job),
    "runs": (RunsQuery, RunPage),
    "run": (ById, RunDetail),
    "drive_run": (ById, ProcessResult),
    "cleanup": (Cleanup, CleanupResult),
    "erase": (Nothing, EraseResult),
    "stats": (StatsQuery, Stats),
    "extraction_config": (GroupQuery, ExtractionConfigOut),
    "set_extraction_config": (ExtractionConfig, ExtractionConfigOut),
    "usage": (UsageQuery, Usage),
    "events": (EventsQuery, EventPage),
    "record_task": (RecordTask, TaskOut),
    "tasks": (TasksQuery, TaskPage),
    "use_task": (UseTask, TaskOut),
    "update_task": (UpdateTask, TaskOut),
    "related": (ById, Related),
    "link_memory": (LinkMemory, Related),
    "entities": (Page, EntityPage),
    "entity": (EntityQuery, EntityOut),
    "share_memory": (ShareMemory, Shares),
    "unshare_memory": (ShareMemory, Shares),
    "profile_config": (ProfileConfigQuery, ProfileConfigOut),
    "set_profile_config": (ProfileConfig, ProfileConfigOut),
}
