"""What belongs to one subject: profile, context, variables, sessions, messages, buffer, runs, statistics.

Written once and mounted once for each way of naming a subject: `/users/{user_id}/…`, the same for
agents, apps and runs, and `/…?user_id=` (or agent_id, app_id, run_id) without a place in the path.
"""

# No `from __future__ import annotations`: the routes' annotations are local to their factory.

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Body, Depends, Path, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.errors import documented
from cluster.api.exchange import Whose, exchange, json_response
from cluster.api.language import language_of, stated_language
from cluster.api.parameters import Parameters, WithSlashes
from cluster.api.route import Section
from cluster.texts import Language, text
from memgrid.errors import InternalError, InvalidInput, Unavailable
from memgrid.models import (
    BufferPolicy,
    BufferStatus,
    CleanupResult,
    ContextBlock,
    ContextQuery,
    Count,
    DeleteMessages,
    EraseResult,
    Identifier,
    Limit,
    MarkMessages,
    MessagePage,
    ProcessRequest,
    ProcessResult,
    Profile,
    RunPage,
    RunStatus,
    SessionPage,
    SetVariables,
    Variables,
    Visible,
)
from memgrid.operations import (
    Cleanup,
    Cursor,
    DeleteVariables,
    MessagesQuery,
    Nothing,
    Page,
    RunsQuery,
    Stats,
    StatsQuery,
)
from memgrid.subject import SubjectKind

Naming = Callable[..., Whose]
"""A FastAPI dependency that says whose memory is meant."""


def in_path(kind: SubjectKind) -> Naming:
    """The subject is the path's `{<kind>_id}`."""

    def whose(
        id_: Annotated[
            str,
            Path(alias=f"{kind}_id", min_length=1, max_length=256, examples=["zhangsan"]),
            WithSlashes,
            Visible,
        ],
    ) -> Whose:
        return Whose(**{kind: id_})

    return whose


def in_query(
    user_id: Annotated[Identifier | None, Query(examples=["zhangsan"])] = None,
    agent_id: Annotated[Identifier | None, Query()] = None,
    app_id: Annotated[Identifier | None, Query()] = None,
    run_id: Annotated[Identifier | None, Query()] = None,
) -> Whose:
    """The subject is the first given of user, agent, app and run."""
    return Whose(user_id, agent_id, app_id, run_id)


class ContextParameters(Parameters):
    """What the next turn is about, and how much room there is."""

    message: Annotated[str, Field(max_length=32_768, examples=["周末有什么活动推荐？"])] = ""
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 3
    language: Language | None = None
    plain: bool = True
    profile_event_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    prefer_topics: Annotated[list[Identifier], Field(max_length=100)] | None = None
    only_topics: Annotated[list[Identifier], Field(max_length=100)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    template: Annotated[str, Field(max_length=16_384)] | None = None
    explain: bool = False


async def ask(request: Request, whose: Whose, operation: str, body: BaseModel) -> Response:
    """The owner's answer, as it is."""
    call = exchange(request)
    return json_response(await call.ask(operation, whose.subject(call.tenant), body))


def add_context(section: Section, path: str, naming: Naming) -> None:
    """Put the context block under `path`, which names its subject."""

    @section.reads.get(
        path, response_model=ContextBlock, summary="Context for the next turn", responses=documented(413)
    )
    async def get_context(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        parameters: Annotated[ContextParameters, Query()],
    ) -> Response:
        """What to put into the prompt before answering `message`: a list of memories, or with `plain=false`
        profile, memories and recent messages in sections. If it cannot be made, `degraded` is true.
        """
        call = exchange(request)
        given = parameters.model_dump(exclude_none=True, exclude_unset=True)
        # The list of the native route is Chinese unless told otherwise, as ever; sections are in the
        # language of what they say.
        listed = parameters.plain and parameters.template is None
        language = language_of(request) if listed else stated_language(request)
        query = ContextQuery.model_validate({"language": language, **given})
        limit = call.services.settings.search_timeout_seconds
        try:
            answer = await call.ask("context", whose.subject(call.tenant), query, timeout=limit)
        except (Unavailable, InternalError) as error:
            # The next turn goes on without memories rather than not at all.
            call.services.log.error("context failed", request_id=call.request_id, code=error.code)
            call.services.metrics.degraded("get_context")
            failed = ContextBlock(
                context=text("search_failed", query.language or "zh"), tokens=0, degraded=True
            )
            answer = failed.model_dump_json().encode()
        return json_response(answer)


def add_routes(section: Section, naming: Naming) -> None:
    """Put in the routes of one subject, which `naming` finds in the request."""
    reads, writes = section.reads, section.writes

    @reads.get("/profile", response_model=Profile, summary="Profile")
    async def get_profile(request: Request, whose: Annotated[Whose, Depends(naming)]) -> Response:
        """Who the subject is, computed from its memories and messages; nothing is invented."""
        call = exchange(request)
        answer = await call.ask("profile", whose.subject(call.tenant), Nothing())
        if language_of(request) == "en" and b'"total_memories":0,' in answer:
            answer = answer.replace(text("new_user", "zh").encode(), text("new_user", "en").encode())
        return json_response(answer)

    @reads.get("/variables", response_model=Variables, summary="Variables")
    async def get_variables(request: Request, whose: Annotated[Whose, Depends(naming)]) -> Response:
        """The subject's variables, by name."""
        return await ask(request, whose, "variables", Nothing())

    @writes.put("/variables", response_model=Variables, summary="Set variables")
    async def set_variables(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[SetVariables, Body(openapi_examples=examples.VARIABLES)],
    ) -> Response:
        """Set the variables given; others stay. All variables are answered."""
        return await ask(request, whose, "set_variables", body)

    @writes.delete("/variables", response_model=Count, summary="Delete variables")
    async def delete_variables(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        names: Annotated[list[Identifier], Query(min_length=1, max_length=100, examples=[["爱好"]])],
    ) -> Response:
        """Forget variables by name."""
        return await ask(request, whose, "delete_variables", DeleteVariables(names=names))

    @reads.get("/sessions", response_model=SessionPage, summary="Sessions")
    async def list_sessions(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        limit: Annotated[Limit, Query()] = 100,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """The subject's sessions by name, page by page."""
        return await ask(request, whose, "sessions", Page(limit=limit, cursor=cursor))

    @reads.get("/messages", response_model=MessagePage, summary="Messages")
    async def list_messages(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        session_id: Annotated[Identifier | None, Query()] = None,
        mark: Annotated[Identifier | None, Query()] = None,
        exclude_mark: Annotated[Identifier | None, Query()] = None,
        newest_first: Annotated[bool, Query()] = False,
        limit: Annotated[Limit, Query()] = 100,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """Stored messages, word for word, in the order they arrived."""
        query = MessagesQuery(
            session_id=session_id,
            mark=mark,
            exclude_mark=exclude_mark,
            newest_first=newest_first,
            limit=limit,
            cursor=cursor,
        )
        return await ask(request, whose, "messages", query)

    @writes.post("/messages/marks", response_model=Count, summary="Mark messages")
    async def mark_messages(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[MarkMessages, Body(openapi_examples=examples.MARKS)],
    ) -> Response:
        """Add (`new`), remove (`old`) or replace (both) a mark of messages."""
        if body.new is None and body.old is None:
            raise InvalidInput(
                "a mark to add or to remove is needed", field="new", remedy="give new, old or both"
            )
        return await ask(request, whose, "mark_messages", body)

    @writes.delete("/messages", response_model=Count, summary="Delete messages")
    async def delete_messages(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[DeleteMessages, Body(openapi_examples=examples.DELETE_MESSAGES)],
    ) -> Response:
        """Forget messages by id, by mark, or all of a session; with `memories` also what rests on nothing
        else.
        """
        if body.ids is None and body.marks is None and body.session_id is None:
            raise InvalidInput(
                "which messages?",
                field="ids",
                remedy="give ids, marks or session_id; DELETE /users/{id} erases all",
            )
        return await ask(request, whose, "delete_messages", body)

    @reads.get("/buffers", response_model=BufferStatus, summary="Buffer")
    async def get_buffer(request: Request, whose: Annotated[Whose, Depends(naming)]) -> Response:
        """The messages that are not extracted yet, and which triggers are on."""
        return await ask(request, whose, "buffer_status", Nothing())

    @writes.put("/buffers/policy", response_model=BufferStatus, summary="Buffer policy")
    async def set_buffer_policy(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[BufferPolicy, Body(openapi_examples=examples.POLICY)],
    ) -> Response:
        """Which triggers may start an extraction on their own: full, idle."""
        return await ask(request, whose, "set_buffer_policy", body)

    @writes.post("/buffers/flush", response_model=ProcessResult, summary="Flush the buffer")
    async def flush_buffer(
        request: Request, whose: Annotated[Whose, Depends(naming)], wait: Annotated[bool, Query()] = True
    ) -> Response:
        """Extract everything in the buffer now. `wait` waits as long as an add would; `status` says whether
        it is done.
        """
        return await ask(request, whose, "process", ProcessRequest(wait=wait))

    @writes.post("/buffers/process", response_model=ProcessResult, summary="Process messages of the buffer")
    async def process_buffer(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        body: Annotated[ProcessRequest, Body(openapi_examples=examples.PROCESS)],
    ) -> Response:
        """Extract these buffered messages now; those already extracted answer with their earlier result.
        `wait` waits as long as an add would; `status` says whether it is done.
        """
        return await ask(request, whose, "process", body)

    @reads.get("/runs", response_model=RunPage, summary="Extraction runs")
    async def list_runs(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        status: Annotated[RunStatus | None, Query()] = None,
        limit: Annotated[Limit, Query()] = 100,
        cursor: Annotated[Cursor | None, Query()] = None,
    ) -> Response:
        """Extraction runs, newest first; `status=parked` lists those that failed for good."""
        return await ask(request, whose, "runs", RunsQuery(status=status, limit=limit, cursor=cursor))

    @reads.get("/stats", response_model=Stats, summary="Daily statistics")
    async def get_stats(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        days: Annotated[int, Query(ge=1, le=366)] = 7,
    ) -> Response:
        """Memories added, searches performed and their average score, by day."""
        return await ask(request, whose, "stats", StatsQuery(days=days))


def add_whole_subject(section: Section, naming: Naming) -> None:
    """Put in what takes memories of a subject away wholesale; it must be named in the path."""

    @section.writes.delete("/memories/cleanup", response_model=CleanupResult, summary="Clean up old memories")
    async def clean_up_memories(
        request: Request,
        whose: Annotated[Whose, Depends(naming)],
        days_old: Annotated[int, Query(ge=1, le=36_500)] = 90,
    ) -> Response:
        """Remove memories that were not updated for so many days."""
        return await ask(request, whose, "cleanup", Cleanup(days_old=days_old))

    @section.admin.delete("", response_model=EraseResult, summary="Erase")
    async def erase_subject(request: Request, whose: Annotated[Whose, Depends(naming)]) -> Response:
        """Everything of the subject, everywhere, for good: messages, memories, history."""
        return await ask(request, whose, "erase", Nothing())
