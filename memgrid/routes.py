"""How each operation is written as an HTTP request: one table, and what fills it in."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from memgrid._requests import SubjectRef
from memgrid.errors import InvalidInput

PREFIX = "/api/v1"


class Route(NamedTuple):
    """Where an operation lives.

    `{id}` and `{name}` in the path are its own, `{kind}` and `{subject}` are the subject's. What is left
    of the request goes into the JSON body or the query; a subject that is not in the path goes into the
    query too, unless the request itself names it.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    payload: Literal["json", "query"] = "query"
    root: str = PREFIX


ROUTES: dict[str, Route] = {
    "add": Route("POST", "/memories", "json"),
    "add_batch": Route("POST", "/memories/batch", "json"),
    "add_document": Route("POST", "/documents", "json"),
    "search": Route("POST", "/memories/search", "json"),
    "list_memories": Route("GET", "/memories"),
    "get_memory": Route("GET", "/memories/{id}"),
    "update_memory": Route("PATCH", "/memories/{id}", "json"),
    "delete_memory": Route("DELETE", "/memories/{id}"),
    "delete_memories": Route("DELETE", "/memories"),
    "history": Route("GET", "/memories/{id}/history"),
    "context": Route("GET", "/{kind}s/{subject}/context"),
    "profile": Route("GET", "/{kind}s/{subject}/profile"),
    "variables": Route("GET", "/{kind}s/{subject}/variables"),
    "set_variables": Route("PUT", "/{kind}s/{subject}/variables", "json"),
    "delete_variables": Route("DELETE", "/{kind}s/{subject}/variables"),
    "sessions": Route("GET", "/sessions"),
    "messages": Route("GET", "/messages"),
    "mark_messages": Route("POST", "/messages/marks", "json"),
    "delete_messages": Route("DELETE", "/messages", "json"),
    "buffer_status": Route("GET", "/buffers"),
    "set_buffer_policy": Route("PUT", "/buffers/policy", "json"),
    "process": Route("POST", "/buffers/process", "json"),
    "job": Route("GET", "/jobs/{id}"),
    "runs": Route("GET", "/runs"),
    "run": Route("GET", "/runs/{id}"),
    "drive_run": Route("POST", "/runs/{id}/drive"),
    "cleanup": Route("DELETE", "/{kind}s/{subject}/memories/cleanup"),
    "erase": Route("DELETE", "/{kind}s/{subject}"),
    "stats": Route("GET", "/stats"),
    "extraction_config": Route("GET", "/config/extraction"),
    "set_extraction_config": Route("PUT", "/config/extraction", "json"),
    "usage": Route("GET", "/usage"),
    "events": Route("GET", "/events"),
    "record_task": Route("POST", "/tasks", "json"),
    "tasks": Route("GET", "/tasks"),
    "use_task": Route("POST", "/tasks/{id}/uses"),
    "update_task": Route("PATCH", "/tasks/{id}", "json"),
    "related": Route("GET", "/memories/{id}/related"),
    "link_memory": Route("POST", "/memories/{id}/links", "json"),
    "entities": Route("GET", "/{kind}s/{subject}/entities"),
    "entity": Route("GET", "/{kind}s/{subject}/entities/{name}"),
    "share_memory": Route("POST", "/memories/{id}/shares"),
    "unshare_memory": Route("DELETE", "/memories/{id}/shares"),
    "profile_config": Route("GET", "/config/profile"),
    "set_profile_config": Route("PUT", "/config/profile", "json"),
    "health": Route("GET", "/health/detailed", root=""),
}


class HttpCall(NamedTuple):
    """One operation, ready to be sent."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes | None


def http_call(operation: str, request: BaseModel, subject: SubjectRef | None) -> HttpCall:
    """The HTTP request that asks for `operation`. Raises InvalidInput when it has no JSON form."""
    route = ROUTES[operation]
    try:
        # "constants" keeps NaN as it is, so that it is refused below and not sent as null.
        given = request.model_dump(exclude_unset=True)
        fields: dict[str, Any] = to_jsonable_python(given, inf_nan_mode="constants")
    except PydanticSerializationError as error:
        raise InvalidInput(
            f"the request cannot be written as JSON: {error}", remedy="send finite numbers and valid Unicode"
        ) from error
    path = route.root + route.path
    for name in ("id", "name"):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", _segment(fields.pop(name)))
    query: list[tuple[str, str]] = []
    if "{subject}" in path and subject is not None:
        path = path.replace("{kind}", subject.kind).replace("{subject}", _segment(subject.id))
    elif subject is not None and f"{subject.kind}_id" not in fields:
        query.append((f"{subject.kind}_id", subject.id))
    if operation in ("update_memory", "update_task"):
        fields = fields["patch"]
    if route.payload == "json":
        return HttpCall(route.method, path, tuple(query), _json(fields))
    for name, value in fields.items():
        query += _parameters(name, value)
    return HttpCall(route.method, path, tuple(query), None)


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:  # NaN, or a lone surrogate
        raise InvalidInput(
            f"the request cannot be written as JSON: {error}", remedy="send finite numbers and valid Unicode"
        ) from error


def _segment(value: str) -> str:
    """One path segment, whatever is in it: "a/b" and ".." stay ids."""
    if value in (".", ".."):
        return value.replace(".", "%2E")
    return quote(value, safe="")


def _parameters(name: str, value: object) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    if isinstance(value, dict):
        return [(name, _json(value).decode())]
    if isinstance(value, list):
        return [(name, str(item)) for item in value]
    return [(name, str(value))]
