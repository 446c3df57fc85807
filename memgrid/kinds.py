"""What goes in and out about events, experience with tasks, entities, relations, sharing and documents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from memgrid.models import Answer, Identifier, Limit, MemoryOut, Request

Cursor = Annotated[str, Field(max_length=1024)]
Text = Annotated[str, Field(min_length=1, max_length=65_536)]
RelationType = Literal[
    "superseded_by", "supersedes", "contradiction", "refinement", "cause", "effect", "same_entity"
]
EntityType = Literal["person", "place", "organisation", "product", "pet", "other"]
Outcome = Literal["success", "failure", "unknown"]

# --- events -----------------------------------------------------------------------------------


class EventsQuery(Request):
    """Which events: in a period, with one of these tags, about something."""

    since: datetime | None = Field(None, alias="from")
    """Events at this time or later; `from` in a query."""
    until: datetime | None = Field(None, alias="to")
    """Events before this time; `to` in a query."""
    tags: Annotated[list[Identifier], Field(max_length=64)] | None = None
    query: Annotated[str, Field(min_length=1, max_length=32_768)] | None = None
    """What they are about: the best first. Without it the latest come first."""
    limit: Limit = 100
    cursor: Cursor | None = None

    model_config = Request.model_config | {"populate_by_name": True, "serialize_by_alias": True}


class EventOut(Answer):
    """Something that happened, or is to happen, at a time."""

    id: str
    gist: str
    """In a sentence."""
    at: datetime
    """When: resolved against the time of the message where that said "yesterday"."""
    until: datetime | None = None
    tags: list[str] = Field(default_factory=list[str])
    score: float | None = None
    memory: MemoryOut


class EventPage(Answer):
    events: list[EventOut]
    cursor: str | None = None


# --- experience with tasks --------------------------------------------------------------------


class Step(Request):
    """One step of a trajectory: what was done, and what came of it."""

    action: Text
    result: Annotated[str, Field(max_length=65_536)] = ""


class RecordTask(Request):
    """A task that was worked on. What is left out of `when_to_use` and `what_to_do` is made of the steps: by
    the project's language model where it has one, else the task and the steps as they were."""

    task: Text
    """What was to be done."""
    steps: Annotated[list[Step], Field(max_length=200)] = Field(default_factory=list[Step])
    outcome: Outcome = "unknown"
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    """How well it went."""
    when_to_use: Text | None = None
    """For which tasks this is of use."""
    what_to_do: Text | None = None
    lesson: Text | None = None
    """What was learnt; of a failure, what to avoid."""
    tags: Annotated[list[Identifier], Field(max_length=64)] = Field(default_factory=list[Identifier])
    metadata: dict[str, Any] = Field(default_factory=dict)


class TasksQuery(Request):
    """Experience that helps with a task, the best first; without a task all of it, newest first."""

    task: Annotated[str, Field(min_length=1, max_length=32_768)] | None = None
    outcome: Outcome | None = None
    limit: Limit = 10
    cursor: Cursor | None = None


class TaskPatch(Request):
    """What to change of an experience; what is left out stays."""

    when_to_use: Text | None = None
    what_to_do: Text | None = None
    lesson: Text | None = None
    outcome: Outcome | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    tags: Annotated[list[Identifier], Field(max_length=64)] | None = None


class UpdateTask(Request):
    id: Identifier
    patch: TaskPatch


class UseTask(Request):
    """That an experience was used, and whether it helped."""

    id: Identifier
    success: bool


class TaskOut(Answer):
    """An experience with a kind of task."""

    id: str
    task: str
    when_to_use: str
    what_to_do: str
    lesson: str | None = None
    outcome: Outcome
    score: float | None = None
    distilled_by: Literal["rules", "llm"] | None = None
    """What made of the steps what the caller had left out; None where nothing was left out."""
    uses: int = 0
    successes: int = 0
    tags: list[str] = Field(default_factory=list[str])
    relevance: float | None = None
    """How well it fits the task that was asked for, 0..1."""
    created_at: datetime
    updated_at: datetime


class TaskPage(Answer):
    tasks: list[TaskOut]
    cursor: str | None = None


# --- relations and entities -------------------------------------------------------------------


class Relation(Answer):
    """How another memory is related to the one asked for."""

    type: RelationType
    entity: str | None = None
    """The name they share."""
    memory: MemoryOut


class Related(Answer):
    relations: list[Relation]


class LinkBody(Request):
    """A relation that the caller knows of: the memory `memory_id` is this one's cause, refines it, …"""

    type: Literal["cause", "refinement", "contradiction", "same_entity"]
    memory_id: Identifier
    remove: bool = False


class LinkMemory(LinkBody):
    id: Identifier


class Entity(Answer):
    """Someone or something with a name."""

    name: str
    type: EntityType
    memories: int
    """How many current memories name it."""


class EntityPage(Answer):
    entities: list[Entity]
    cursor: str | None = None


class EntityQuery(Request):
    name: Identifier


class EntityOut(Answer):
    """An entity with its memories, newest first."""

    name: str
    type: EntityType
    memories: list[MemoryOut]


# --- sharing ----------------------------------------------------------------------------------


class ShareMemory(Request):
    """A memory, and who else may see it: the first given of user, agent, app and run."""

    id: Identifier
    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None


class Shares(Answer):
    """With whom a memory is shared, as `kind:id`."""

    shares: list[str]


# --- documents --------------------------------------------------------------------------------


class Document(Request):
    """A text to keep and to find again: it is cut into parts of a few hundred tokens, each a memory."""

    text: Annotated[str, Field(min_length=1, max_length=4_000_000)]
    title: Annotated[str, Field(max_length=1024)] | None = None
    document_id: Identifier | None = None
    """Your own id: the same document sent again changes nothing."""
    user_id: Identifier | None = None
    agent_id: Identifier | None = None
    app_id: Identifier | None = None
    run_id: Identifier | None = None
    source_type: Literal["document", "manual"] = "document"
    metadata: dict[str, Any] = Field(default_factory=dict)
    wait: bool = False
