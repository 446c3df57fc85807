"""What the async and the sync HTTP client share: no I/O, only decisions."""

from __future__ import annotations

import json
import os
import random
import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal

import httpx
from pydantic import BaseModel, ValidationError

from memgrid.errors import (
    InvalidInput,
    MemgridError,
    NotFound,
    Overloaded,
    Unavailable,
    error_from_code,
)
from memgrid.models import AddRequest, BatchAddRequest, ErrorDetail, ProcessRequest
from memgrid.routes import PREFIX

Language = Literal["zh", "en"]
DEFAULT_URL: Final = "http://127.0.0.1:8005"
DEFAULT_TIMEOUT: Final = 60.0
WAIT_TIMEOUT: Final = 600.0
"""Seconds for a call that waits for an extraction."""
MAX_PAUSE: Final = 30.0
"""A server that wants a longer pause than this is not waited for: the caller decides."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_BACKOFF: Final = 5.0

_CODE_OF_STATUS: Final = {
    400: "invalid_input",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "payload_too_large",
    414: "payload_too_large",
    422: "invalid_input",
    429: "overloaded",
    431: "payload_too_large",
    500: "unavailable",  # the front door's, when the process that was to answer has died
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
"""For answers that carry no memgrid error: a proxy's, or another server's."""


def sdk_version() -> str:
    """The version of the installed package; "0" in a source tree that is not installed."""
    try:
        return version("memgrid")
    except PackageNotFoundError:
        return "0"


def server_url(base_url: str | None) -> str:
    """The server's address without a trailing slash: given, else MEMGRID_URL, else the default.

    Raises InvalidInput when it is not an http(s) address.
    """
    url = (base_url or os.environ.get("MEMGRID_URL") or DEFAULT_URL).rstrip("/").removesuffix(PREFIX)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{url!r} is not an address: {error}", field="base_url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput(
            f"{url!r} is not an http address", field="base_url", remedy=f"write it like {DEFAULT_URL}"
        )
    return url


def headers(api_key: str | None, language: Language | None) -> dict[str, str]:
    """The headers of every call; the key is the given one, else MEMGRID_API_KEY."""
    key = api_key or os.environ.get("MEMGRID_API_KEY")
    sent = {
        "User-Agent": f"memgrid-python/{sdk_version()}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }
    if language:
        sent["Accept-Language"] = language
    if key:
        sent["Authorization"] = f"Bearer {key}"
    return sent


def goes_through_proxy(url: str) -> bool:
    """A server on this machine is never asked through the environment's HTTP proxy."""
    host = httpx.URL(url).host
    return not (host in ("localhost", "::1") or host.startswith("127."))


def keyed(request: BaseModel) -> BaseModel:
    """The same request, an add with an idempotency key, so that it can be sent again.

    Messages that all have an id of their own need none: the id does the same for good.
    """
    if isinstance(request, AddRequest) and request.idempotency_key is None:
        if all(message.id is not None for message in request.messages):
            return request
        return request.model_copy(update={"idempotency_key": str(uuid.uuid4())})
    if isinstance(request, BatchAddRequest):
        return request.model_copy(update={"items": [keyed(item) for item in request.items]})
    return request


def read_timeout(request: BaseModel, timeout: float) -> float:
    """Seconds to wait for the answer: longer where the call waits for an extraction."""
    waits = (
        (isinstance(request, (AddRequest, ProcessRequest)) and request.wait)
        or (isinstance(request, BatchAddRequest) and any(item.wait for item in request.items))
    )  # fmt: skip
    return max(timeout, WAIT_TIMEOUT) if waits else timeout


def answer_of(operation: str, response: httpx.Response) -> bytes | None:
    """The answer's JSON, or None when the response is an error."""
    if response.is_success:
        return response.content
    if operation == "health" and response.status_code == 503:
        detail = _json_object(response).get("detail")
        if isinstance(detail, dict) and "components" in detail:
            return json.dumps(detail).encode()
    return None


def error_of(response: httpx.Response) -> MemgridError:
    """The error that the server answered with."""
    retry_after = _retry_after(response)
    body = _json_object(response)
    try:
        detail = ErrorDetail.model_validate(body["error"])
    except (KeyError, ValidationError):
        code = _CODE_OF_STATUS.get(response.status_code, "error")
        said = body.get("detail") if isinstance(body.get("detail"), str) else response.reason_phrase
        return error_from_code(
            code,
            f"{response.request.url} answered {response.status_code} {said}".rstrip(),
            remedy="is this the address of a memgrid server?" if code in ("error", "not_found") else None,
            retry_after=retry_after,
        )
    return error_from_code(
        detail.code,
        detail.message,
        field=detail.field,
        remedy=detail.remedy,
        retry_after=detail.retry_after if retry_after is None else retry_after,
    )


def unreachable(error: httpx.TransportError, url: str) -> MemgridError:
    """The network's error as one of ours."""
    what = str(error) or type(error).__name__
    if isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout)):
        return Unavailable(
            f"{url} did not answer in time",
            remedy="give the client a longer `timeout`, or look at its health",
        )
    return Unavailable(
        f"{url} cannot be reached: {what}",
        remedy="start it with `memgrid serve`, or give its address as base_url or MEMGRID_URL",
    )


def pause_before_retry(attempt: int, error: MemgridError, cause: httpx.TransportError | None) -> float | None:
    """Seconds to wait before attempt `attempt` + 1, or None when trying again is of no use.

    Exponential from 0.1 s to 5 s with full jitter, and never sooner than `Retry-After`.
    """
    if isinstance(cause, (httpx.ReadTimeout, httpx.WriteTimeout, httpx.UnsupportedProtocol)):
        return None
    if not isinstance(error, (Overloaded, Unavailable)):
        return None
    backoff = random.uniform(0, min(_LONGEST_BACKOFF, _FIRST_PAUSE * 2.0 ** (attempt - 1)))
    if error.retry_after is None:
        return backoff
    return None if error.retry_after > MAX_PAUSE else error.retry_after + backoff


def already_done(operation: str, attempt: int, error: MemgridError) -> bytes | None:
    """The answer to a repeated delete whose first attempt had got through, though its answer had not."""
    if attempt > 1 and operation == "delete_memory" and isinstance(error, NotFound):
        return b'{"count":1}'
    return None


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        body: object = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds from the header; its date form is not one that memgrid sends."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
