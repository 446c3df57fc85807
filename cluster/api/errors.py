"""Errors over HTTP: the one table from code to status, and the one shape.

    {"error": {"code", "message", "field", "remedy", "retry_after", "request_id"}, "detail": "…"}

`detail` is the same for people: a sentence, or for /health/detailed the report itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from memgrid.errors import InvalidInput, MemgridError, PayloadTooLarge
from memgrid.models import Answer, ErrorDetail

STATUS: Final[dict[str, int]] = {
    "invalid_input": 422,
    "payload_too_large": 413,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "overloaded": 429,
    "unavailable": 503,
    "internal_error": 500,
    "error": 500,
}
PROTOCOL_CODES: Final[dict[int, str]] = {404: "not_found", 405: "method_not_allowed"}
"""Codes of what is refused before it reaches a route."""
_RETRY_AFTER: Final = 1.0
"""Seconds, where the error names no time of its own."""


class ErrorBody(Answer):
    """Every error answer."""

    error: ErrorDetail
    detail: str | dict[str, Any]


class MethodNotAllowed(MemgridError):
    code = "method_not_allowed"


class UnsupportedMediaType(MemgridError):
    """The body is not announced as JSON (which also keeps web pages from posting across origins)."""

    code = "unsupported_media_type"


_PROTOCOL_STATUS: Final = {"method_not_allowed": 405, "unsupported_media_type": 415}


def status_of(error: MemgridError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(error.code) or _PROTOCOL_STATUS.get(error.code, 500)


def detail_of(error: MemgridError, request_id: str | None) -> dict[str, Any]:
    """The `error` object, without what is not known."""
    retry_after = error.retry_after
    if retry_after is None and error.code in ("overloaded", "unavailable"):
        retry_after = _RETRY_AFTER
    fields = {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "remedy": error.remedy,
        "retry_after": retry_after,
        "request_id": request_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def error_response(
    error: MemgridError,
    request_id: str | None,
    *,
    prefix: str | None = None,
    report: Mapping[str, Any] | None = None,
) -> Response:
    """The answer for an error; `prefix` starts its sentence, `report` takes the sentence's place."""
    detail = detail_of(error, request_id)
    sentence = f"{error.message} ({error.remedy})" if error.remedy else error.message
    body = {
        "error": detail,
        "detail": report or (f"{prefix}: {sentence}" if prefix else sentence),
    }
    headers: dict[str, str] = {}
    if "retry_after" in detail:
        headers["Retry-After"] = str(math.ceil(detail["retry_after"]))
    if error.code == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        # A message may quote text that is not valid Unicode; an error must be sendable all the same.
        msgspec.json.encode(_clean(body)),
        status_of(error),
        headers,
        "application/json",
    )


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    return value


def from_validation(errors: Sequence[Any]) -> InvalidInput:
    """The first thing that is wrong with a request, without repeating what was sent."""
    first = errors[0]
    path = [str(part) for part in first["loc"]]
    if path and path[0] in ("body", "query", "path", "header"):
        where, path = path[0], path[1:]
    else:
        where = "body"
    field = ".".join(path) or where
    kind, message = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return InvalidInput(
            f"{field}: unknown field", field=field, remedy="leave it out; /docs lists the fields"
        )
    if kind == "missing" and field == "body":
        return InvalidInput("a JSON body is required", field="body", remedy="/docs has an example")
    if kind == "too_long":
        limit = first.get("ctx", {}).get("max_length")
        return PayloadTooLarge(f"{field}: at most {limit} are taken", field=field, remedy="send it in parts")
    return InvalidInput(f"{field}: {message}", field=field, remedy="/docs lists what each field takes")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for the error statuses a route can answer with."""
    return {
        status: {"model": ErrorBody, "description": HTTPStatus(status).phrase}
        for status in (401, 403, 404, 422, 429, 500, 503, *statuses)
    }
