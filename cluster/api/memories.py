"""Memories: add, search, list, read, change, delete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Body, Header, Path, Query
from pydantic import Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import across, examples
from cluster.api.errors import detail_of, documented, from_validation
from cluster.api.exchange import Exchange, Whose, exchange, json_response
from cluster.api.language import language_of
from cluster.api.parameters import (
    DeleteParameters,
    ListParameters,
    SearchParameters,
    check_filters,
    json_object,
)
from cluster.api.route import Section
from cluster.ids import new_id
from cluster.texts import Language, text
from memgrid import models
from memgrid.errors import InvalidInput, MemgridError, PayloadTooLarge
from memgrid.models import (
    AddRequest,
    AddResult,
    Answer,
    BatchAddResult,
    Count,
    History,
    Identifier,
    ListQuery,
    MemoryOut,
    MemoryPage,
    MemoryPatch,
    SearchQuery,
    SearchResult,
)
from memgrid.operations import ById, DeleteMemories, DeleteMemory, UpdateMemory
from memgrid.routing import Call
from memgrid.subject import SUBJECT_KINDS, Subject

_TIME: TypeAdapter[datetime] = TypeAdapter(datetime)
_NATIVE_TOP_K = 5

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=256,
        description="The same as `idempotency_key` in the body.",
    ),
]
MemoryId = Annotated[Identifier, Path(alias="id", examples=[examples.MEMORY_ID])]


class FoundMemory(Answer):
    """One result of the GET search. A message that was found has no `memory_id`."""

    memory_id: str | None
    content: str
    relevance_score: float = 0.0
    created_at: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    explain: dict[str, float] | None = None
    """Only where it is asked for."""


def whose_of(request: AddRequest | SearchQuery | ListQuery) -> Whose:
    """The ids that a request names."""
    return Whose(request.user_id, request.agent_id, request.app_id, request.run_id)


# --- add --------------------------------------------------------------------------------------


def _each(item: Any, validate: ValidatorFunctionWrapHandler) -> AddRequest | MemgridError:
    """What is wrong with one item is that item's outcome; without an object there is no item."""
    try:
        return validate(item)
    except ValidationError as error:
        if not isinstance(item, dict):
            raise
        return from_validation(error.errors(include_url=False))


class BatchAddRequest(models.BatchAddRequest):
    """Adds, each taken or refused on its own."""

    items: Annotated[list[Annotated[AddRequest, WrapValidator(_each)]], Field(min_length=1, max_length=1000)]


async def add_memories(
    request: Request,
    body: Annotated[AddRequest, Body(openapi_examples=examples.ADD)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep messages and distil memories from them. The messages are durable when this answers;
    `wait` also waits for the extraction, and `job_id` tells how far it has come.
    """
    call = exchange(request)
    subject = _prepare(call, body, idempotency_key)
    return json_response(_with_text(await call.ask("add", subject, body), language_of(request)))


async def add_batch(
    request: Request,
    body: Annotated[BatchAddRequest, Body(openapi_examples=examples.ADD_BATCH)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Several adds in one request. Each succeeds or fails on its own, and its result is in its place.
    Subjects are served side by side, the items of one subject in their order. An Idempotency-Key covers
    the batch: each item without a key of its own gets that key and its place. Items that `wait` share the
    time of one.
    """
    call = exchange(request)
    answers: list[bytes | MemgridError] = []
    calls: list[tuple[int, Call]] = []
    for place, item in enumerate(body.items):
        answers.append(b"")
        if isinstance(item, MemgridError):
            answers[place] = item
            continue
        key = f"{idempotency_key}#{place}" if idempotency_key and not item.idempotency_key else None
        try:
            subject = _prepare(call, item, key)
        except MemgridError as error:
            answers[place] = error
            continue
        # Message ids derive from the request id: every item needs one of its own.
        calls.append((place, Call("add", subject, item, new_id())))
    limit = call.services.settings.request_timeout_seconds
    replies = await call.services.router.call_many([one for _, one in calls], timeout=limit)
    for (place, _), reply in zip(calls, replies, strict=True):
        answers[place] = reply
    language = language_of(request)
    parts = [
        b'{"error":%b}' % msgspec.json.encode(detail_of(answer, call.request_id))
        if isinstance(answer, MemgridError)
        else b'{"result":%b}' % _with_text(answer, language)
        for answer in answers
    ]
    failed = sum(isinstance(answer, MemgridError) for answer in answers)
    return json_response(
        b'{"results":[%b],"succeeded":%d,"failed":%d}' % (b",".join(parts), len(parts) - failed, failed)
    )


def _prepare(call: Exchange, body: AddRequest, header_key: str | None) -> Subject:
    """Check what the model cannot, and fill in what the route adds; the subject it belongs to."""
    subject = whose_of(body).subject(call.tenant)
    most = call.services.settings.max_messages_per_add
    if len(body.messages) > most:
        raise PayloadTooLarge(
            f"messages: at most {most} are taken", field="messages", remedy="send them in parts"
        )
    if header_key is not None:
        if body.idempotency_key not in (None, header_key):
            raise InvalidInput(
                "the Idempotency-Key header and idempotency_key in the body differ",
                field="idempotency_key",
                remedy="send one of them",
            )
        if len(header_key) > 256:
            raise InvalidInput("the key is too long with the item's place", field="Idempotency-Key")
        body.idempotency_key = header_key
    _check_time(body.timestamp, "timestamp")
    for at, message in enumerate(body.messages):
        if message.timestamp is not None:
            _check_time(message.timestamp, f"messages.{at}.timestamp")
        elif (said := (message.model_extra or {}).get("created_at")) is not None:
            try:
                message.timestamp = _TIME.validate_python(said)
            except ValidationError as error:
                field = f"messages.{at}.created_at"
                raise InvalidInput(f"{field}: is not a date", field=field, remedy="write ISO 8601") from error
            _check_time(message.timestamp, f"messages.{at}.created_at")
    # A constant, so that a retry is the same payload; `timestamp` is added on the way out.
    body.metadata = {"source": "conversation", **body.metadata}
    return subject


def _check_time(value: datetime | None, field: str) -> None:
    """Years 1 and 9999 have hours that do not exist in UTC."""
    if value is not None and value.tzinfo is not None:
        try:
            value.astimezone(UTC)
        except OverflowError as error:
            raise InvalidInput(
                f"{field}: is out of range", field=field, remedy="use years 1 to 9999 in UTC"
            ) from error


def _with_text(answer: bytes, language: Language) -> bytes:
    result = msgspec.json.decode(answer)
    result["message"] = text("memory_added" if result["message_ids"] else "nothing_to_add", language)
    return msgspec.json.encode(result)


# --- search -----------------------------------------------------------------------------------


async def search_memories(
    request: Request, body: Annotated[SearchQuery, Body(openapi_examples=examples.SEARCH)]
) -> Response:
    """The memories and messages that fit best, best first, with scores in [0, 1]. A search by an id that
    is not the subject's (an agent over all its users) also finds what is labelled with it.
    """
    return json_response(await _search(exchange(request), body))


async def search_memories_plain(
    request: Request, parameters: Annotated[SearchParameters, Query()]
) -> Response:
    """The same as a bare list of five. What could not take part is named in `X-Memgrid-Degraded`."""
    call = exchange(request)
    limit, top_k = parameters.limit, parameters.top_k
    if limit is not None and top_k is not None and limit != top_k:
        raise InvalidInput(
            "limit and top_k are the same, and differ", field="limit", remedy="give one of them"
        )
    given = parameters.model_dump(exclude={"limit", "top_k", "filters"}, exclude_unset=True)
    depth = call.services.settings.max_json_depth
    query = SearchQuery(
        **given,
        top_k=limit or top_k or _NATIVE_TOP_K,
        filters=json_object(parameters.filters, "filters", depth),
    )
    found = msgspec.json.decode(await _search(call, query))
    headers: dict[str, str] = {}
    if degraded := found.get("degraded"):
        headers["X-Memgrid-Degraded"] = ",".join(degraded)
    common = {
        "tenant_id": call.tenant,
        "embedding_model": call.services.settings.embedding_model,
    }
    plain = [_plain(hit, common) for hit in found["results"]]
    return json_response(msgspec.json.encode(plain), headers=headers)


async def _search(call: Exchange, query: SearchQuery) -> bytes:
    check_filters(query.filters)
    whose = whose_of(query)
    if query.everyone:
        if whose.labels or query.cursor is not None:
            field = "cursor" if query.cursor is not None else "everyone"
            raise InvalidInput("a search of everyone names nobody, and has one page", field=field)
        return await across.search(call, None, {}, query)
    subject = whose.subject(call.tenant)
    if whose.kind == "user" or query.cursor is not None:
        limit = call.services.settings.search_timeout_seconds
        return await call.ask("search", subject, query, timeout=limit)
    return await across.search(call, subject, whose.labels, query)


def _plain(hit: dict[str, Any], common: dict[str, str]) -> dict[str, Any]:
    """A hit as the native route shows it; `common` is the metadata of all, where they say nothing else."""
    created_at = hit.get("created_at") or ""
    memory: dict[str, Any] | None = hit.get("memory")
    message: dict[str, Any] | None = hit.get("message")
    metadata: dict[str, Any] = {"timestamp": hit.get("event_time") or created_at, **common}
    if memory is not None:
        metadata |= {
            "conversation_id": memory.get("session_id"),
            "source_type": memory.get("source_type"),
            "kind": memory.get("kind"),
            "topic": memory.get("topic"),
            "subtopic": memory.get("subtopic"),
            "profile_type": memory.get("profile_type"),
            "category": memory.get("category"),
            "tags": memory.get("tags"),
            "shared_by": memory.get("shared_by"),
            "created_at": memory.get("created_at"),
            "updated_at": memory.get("updated_at"),
            **memory.get("metadata", {}),
            "type": "memory",
        }
    elif message is not None:
        metadata |= {
            "conversation_id": message.get("session_id"),
            "source_type": "conversation",
            "created_at": created_at,
            "updated_at": created_at,
            **message.get("metadata", {}),
            "type": "message",
            "message_id": message["id"],
            "session_id": message.get("session_id"),
            "role": message.get("role"),
        }
    metadata |= {"subject": hit.get("subject")}
    explain = hit.get("explain")
    return {
        "memory_id": memory["id"] if memory is not None else None,
        "content": hit.get("content", ""),
        "relevance_score": hit.get("score", 0.0),
        "created_at": created_at,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        **({} if explain is None else {"explain": explain}),
    }


# --- list, delete many ------------------------------------------------------------------------


async def list_memories(request: Request, parameters: Annotated[ListParameters, Query()]) -> Response:
    """Memories newest first, page by page. A list by an id that is not the subject's goes on with the
    other subjects whose memories carry it; `total` then counts those before kinds and filters.
    """
    call = exchange(request)
    whose = parameters.whose
    subject = whose.subject(call.tenant)
    given = parameters.model_dump(exclude={"filters"}, exclude_unset=True)
    filters = json_object(parameters.filters, "filters", call.services.settings.max_json_depth)
    check_filters(filters)
    query = ListQuery(**given) if filters is None else ListQuery(**given, filters=filters)
    if whose.kind == "user":
        return json_response(await call.ask("list_memories", subject, query))
    return json_response(await across.list_memories(call, subject, whose.labels, query))


async def delete_memories(request: Request, parameters: Annotated[DeleteParameters, Query()]) -> Response:
    """Delete all memories of a subject, or those that carry all ids given, of these kinds, that pass the
    filter. By an id that is not the subject's, everyone's memories with that label go. Messages stay.
    """
    call = exchange(request)
    whose = parameters.whose
    subject = whose.subject(call.tenant)
    depth = call.services.settings.max_json_depth
    filters = json_object(parameters.filters, "filters", depth)
    check_filters(filters)
    labels = {kind: value for kind, value in whose.labels.items() if kind != subject.kind}
    for kind, value in (json_object(parameters.labels, "labels", depth) or {}).items():
        if kind not in SUBJECT_KINDS or not isinstance(value, str) or labels.get(kind, value) != value:
            raise InvalidInput(
                f"labels.{kind}: is not a label", field="labels", remedy=f"label kinds are {SUBJECT_KINDS}"
            )
        labels[kind] = value
    wanted = DeleteMemories(kinds=parameters.kinds, labels=labels, filters=filters)
    if whose.kind == "user":
        return json_response(await call.ask("delete_memories", subject, wanted))
    return json_response(await across.delete_memories(call, subject, wanted))


# --- one memory -------------------------------------------------------------------------------


async def get_memory(request: Request, memory_id: MemoryId) -> Response:
    """One memory, superseded or not."""
    call = exchange(request)
    subject = await call.owner_of_memory(memory_id)
    return json_response(await call.ask("get_memory", subject, ById(id=memory_id)))


async def get_history(request: Request, memory_id: MemoryId) -> Response:
    """Every change of the memory, oldest first."""
    call = exchange(request)
    subject = await call.owner_of_memory(memory_id)
    return json_response(await call.ask("history", subject, ById(id=memory_id)))


async def update_memory(
    request: Request,
    memory_id: MemoryId,
    body: Annotated[MemoryPatch, Body(openapi_examples=examples.PATCH)],
) -> Response:
    """Change what is given; the rest stays. `expires_at: null` and `category: null` clear them."""
    call = exchange(request)
    _check_time(body.expires_at, "expires_at")
    subject = await call.owner_of_memory(memory_id)
    return json_response(await call.ask("update_memory", subject, UpdateMemory(id=memory_id, patch=body)))


async def delete_memory(request: Request, memory_id: MemoryId) -> Response:
    """Forget one memory, and its texts in its history."""
    call = exchange(request)
    subject = await call.owner_of_memory(memory_id)
    return json_response(await call.ask("delete_memory", subject, DeleteMemory(id=memory_id)))


# --- where they are ---------------------------------------------------------------------------


def add_routes(section: Section) -> None:
    """Put them into the section; fixed paths come before `/memories/{id}`."""
    reads, writes = section.reads, section.writes
    writes.post("/memories", response_model=AddResult, summary="Add messages")(add_memories)
    writes.post("/memories/batch", response_model=BatchAddResult, summary="Add messages of many subjects")(
        add_batch
    )
    with_body = documented(413, 415)
    reads.post("/memories/search", response_model=SearchResult, summary="Search", responses=with_body)(
        search_memories
    )
    reads.get("/memories/search", response_model=list[FoundMemory], summary="Search (plain list)")(
        search_memories_plain
    )
    reads.get("/memories", response_model=MemoryPage, summary="List memories")(list_memories)
    writes.delete("/memories", response_model=Count, summary="Delete memories")(delete_memories)
    reads.get("/memories/{id}", response_model=MemoryOut, summary="Read one memory")(get_memory)
    reads.get("/memories/{id}/history", response_model=History, summary="History of one memory")(get_history)
    writes.patch("/memories/{id}", response_model=MemoryOut, summary="Change one memory")(update_memory)
    writes.delete("/memories/{id}", response_model=Count, summary="Delete one memory")(delete_memory)
