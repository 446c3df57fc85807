"""Events, experience with tasks, entities, relations and sharing."""

# No `from __future__ import annotations`: the routes' annotations are local to their factory.

from datetime import datetime
from typing import Annotated

from fastapi import Body, Depends, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.errors import documented
from cluster.api.exchange import Whose, exchange, json_response
from cluster.api.memories import MemoryId
from cluster.api.parameters import WithSlashes
from cluster.api.route import Section
from cluster.api.subjects import Naming, ask, in_query
from memgrid.kinds import (
    Cursor,
    EntityOut,
    EntityPage,
    EntityQuery,
    EventPage,
    EventsQuery,
    LinkBody,
    LinkMemory,
    Outcome,
    RecordTask,
    Related,
    ShareMemory,
    Shares,
    TaskOut,
    TaskPage,
    TaskPatch,
    TasksQuery,
    UpdateTask,
    UseTask,
)
from memgrid.models import Count, Identifier, Limit, Visible
from memgrid.operations import ById, DeleteMemory, Page

TaskId = Annotated[Identifier, Path(alias="id", examples=[examples.MEMORY_ID])]


def add_of_subject(section: Section, naming: Naming) -> None:
    """Put in the routes of one subject, which `naming` finds in the request."""
    reads, writes = section.reads, section.writes

    @reads.get("/events", response_model=EventPage, summary="Events", responses=documented(413))
    async def list_events(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        since: Annotated[datetime | None, Query(alias="from", examples=["2026-11-01T00:00:00Z"])] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
        tags: Annotated[list[Identifier] | None, Query(max_length=64)] = None,
        query: Annotated[str | None, Query(min_length=1, max_length=32_768)] = None,
        limit: Annotated[Limit, Query()] = 100,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """What happened, or is to happen, from one time (included) to another (not included), with any of the
        tags: the latest first, or with `query` the best. "Last Friday" is resolved against its message.
        """
        body = EventsQuery(since=since, until=until, tags=tags, query=query, limit=limit, cursor=cursor)  # pyright: ignore[reportCallIssue]
        return await ask(request, whose, "events", body)

    @reads.get("/tasks", response_model=TaskPage, summary="Experience with tasks")
    async def list_tasks(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        task: Annotated[str | None, Query(min_length=1, max_length=32_768, examples=["部署服务"])] = None,
        outcome: Annotated[Outcome | None, Query()] = None,
        limit: Annotated[Limit, Query()] = 10,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """What helps with a task, the best and most proven first; without a task all of it, newest first."""
        body = TasksQuery(task=task, outcome=outcome, limit=limit, cursor=cursor)
        return await ask(request, whose, "tasks", body)

    @writes.post("/tasks", response_model=TaskOut, summary="Record a task")
    async def record_task(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[RecordTask, Body(openapi_examples=examples.TASK)],
    ) -> Response:
        """Keep how a task was worked on: when that is of use and what to do, for the next one like it."""
        return await ask(request, whose, "record_task", body)

    @reads.get("/entities", response_model=EntityPage, summary="Entities")
    async def list_entities(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        limit: Annotated[Limit, Query()] = 100,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """People, places, organisations, products and pets that current memories name."""
        return await ask(request, whose, "entities", Page(limit=limit, cursor=cursor))

    @reads.get("/entities/{name}", response_model=EntityOut, summary="One entity")
    async def get_entity(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        name: Annotated[str, Path(min_length=1, max_length=256, examples=["杭州"]), WithSlashes, Visible],
    ) -> Response:
        """The current memories that name it, newest first."""
        return await ask(request, whose, "entity", EntityQuery(name=name))


# --- by id ------------------------------------------------------------------------------------


async def get_related(request: Request, memory_id: MemoryId) -> Response:
    """What superseded it and what it superseded, contradictions, refinements, causes, shared entities."""
    return await _of_memory(request, memory_id, "related", ById(id=memory_id))


async def link_memory(
    request: Request,
    memory_id: MemoryId,
    body: Annotated[LinkBody, Body(openapi_examples=examples.LINK)],
) -> Response:
    """Relate it to another memory of the subject, or with `remove` no longer."""
    return await _of_memory(request, memory_id, "link_memory", LinkMemory(id=memory_id, **body.model_dump()))


async def update_task(
    request: Request,
    memory_id: TaskId,
    body: Annotated[TaskPatch, Body(openapi_examples=examples.TASK_PATCH)],
) -> Response:
    """Change what is given of an experience."""
    return await _of_memory(request, memory_id, "update_task", UpdateTask(id=memory_id, patch=body))


async def use_task(
    request: Request, memory_id: TaskId, success: Annotated[bool, Query(examples=[True])]
) -> Response:
    """Say that an experience was used, and whether it helped: what helps comes first."""
    return await _of_memory(request, memory_id, "use_task", UseTask(id=memory_id, success=success))


async def delete_task(request: Request, memory_id: TaskId) -> Response:
    """Forget an experience."""
    return await _of_memory(request, memory_id, "delete_memory", DeleteMemory(id=memory_id, kind="task"))


async def share_memory(
    request: Request, memory_id: MemoryId, whose: Annotated[Whose, Depends(in_query)]
) -> Response:
    """Let another user, agent, app or run of the project see it, in its searches, lists and contexts."""
    return await _of_memory(request, memory_id, "share_memory", _share(memory_id, whose))


async def unshare_memory(
    request: Request, memory_id: MemoryId, whose: Annotated[Whose, Depends(in_query)]
) -> Response:
    """No longer let it: it is gone there at once."""
    return await _of_memory(request, memory_id, "unshare_memory", _share(memory_id, whose))


def _share(memory_id: str, whose: Whose) -> ShareMemory:
    kind = whose.kind  # raises where nobody is named
    return ShareMemory.model_validate({"id": memory_id, f"{kind}_id": whose.labels[kind]})


async def _of_memory(request: Request, memory_id: str, operation: str, body: BaseModel) -> Response:
    call = exchange(request)
    subject = await call.owner_of_memory(memory_id)
    return json_response(await call.ask(operation, subject, body))


def add_by_id(section: Section) -> None:
    """Put in the routes of one memory or experience."""
    reads, writes = section.reads, section.writes
    path = "/memories/{id}"
    reads.get(f"{path}/related", response_model=Related, summary="Related memories")(get_related)
    writes.post(f"{path}/links", response_model=Related, summary="Relate two memories")(link_memory)
    writes.post(f"{path}/shares", response_model=Shares, summary="Share a memory")(share_memory)
    writes.delete(f"{path}/shares", response_model=Shares, summary="Share it no longer")(unshare_memory)
    writes.patch("/tasks/{id}", response_model=TaskOut, summary="Change an experience")(update_task)
    writes.post("/tasks/{id}/uses", response_model=TaskOut, summary="Count a use")(use_task)
    writes.delete("/tasks/{id}", response_model=Count, summary="Forget an experience")(delete_task)
