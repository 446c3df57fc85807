"""Reading a request's body: bounded while it arrives, strict when it is parsed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, cast

import pydantic_core
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive

from cluster.api.errors import UnsupportedMediaType
from memgrid.errors import InvalidInput, Overloaded, PayloadTooLarge

_SUSPICIOUS: Final = re.compile(rb"\\u0000|\d[eE]\+?\d{3}|\d{19}")
"""What may hide a NUL, a number beyond a double or beyond 64 bits; without it values need no walk."""
_INT_RANGE: Final = range(-(1 << 63), 1 << 64)
_BODIES_IN_FLIGHT: Final = 16
"""So many bodies of the largest size may be held at a time in one replica."""


class ClientGone(Exception):
    """The client hung up while its body was read: nobody is left to answer."""


class BodyBudget:
    """How many bytes of request bodies a replica holds, so that its memory stays flat."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self._left = _BODIES_IN_FLIGHT * max_body_bytes

    def take(self, size: int) -> None:
        """Raises Overloaded when too much is held already."""
        if size > self._left:
            raise Overloaded(
                "too many large requests at a time", remedy="send it again a little later", retry_after=1.0
            )
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


class BodyReader:
    """Reads one request's body against the budget; `release` when the request is answered."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held = 0

    async def read(self, declared: str | None, receive: Receive) -> bytes:
        """The whole body. Raises PayloadTooLarge, without reading on, once it is beyond the limit."""
        limit = self._budget.max_body_bytes
        if declared is not None and declared.isdecimal() and int(declared) > limit:
            raise self._too_large()
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            if self._held + len(chunk) > limit:
                raise self._too_large()
            self._budget.take(len(chunk))
            self._held += len(chunk)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self) -> None:
        self._budget.give_back(self._held)
        self._held = 0

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"the body is larger than {self._budget.max_body_bytes} bytes",
            field="body",
            remedy="send it in parts, or raise MEMGRID_MAX_BODY_BYTES",
        )


class ParsedRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = raw
        self._value = value

    async def json(self) -> Any:
        """The parsed body."""
        return self._value


def check_content(headers: Headers) -> None:
    """Raises UnsupportedMediaType unless the body is announced as JSON in UTF-8, and not compressed."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(
            "the body is compressed", field="Content-Encoding", remedy="send it as it is"
        )
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = parameters.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if (kind == "application/json" or kind.endswith("+json")) and charset in ("", "utf-8", "utf8"):
        return
    raise UnsupportedMediaType(
        "the body must be JSON in UTF-8", field="Content-Type", remedy="send `Content-Type: application/json`"
    )


def parse_json(raw: bytes, max_depth: int, what: str = "the body") -> Any:
    """The value of a JSON text, which is `what`. Raises InvalidInput with the path of what no store could
    keep: lone surrogates, NUL characters, numbers out of range, too deep nesting."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise _explain(raw, str(error), max_depth, what) from error
    if _SUSPICIOUS.search(raw) or raw.count(b"{") + raw.count(b"[") > max_depth:
        _check(value, max_depth)
    return value


def _explain(raw: bytes, message: str, max_depth: int, what: str) -> InvalidInput:
    """Python's own parser takes more: what it accepts can be named by its path."""
    try:
        _check(json.loads(raw.decode(), parse_int=_integer), max_depth)
    except InvalidInput as problem:
        return problem
    except UnicodeDecodeError as error:
        return InvalidInput(
            f"{what} is not UTF-8 (at byte {error.start})", field="body", remedy="send JSON in UTF-8"
        )
    except RecursionError:
        return _too_deep("body", max_depth)
    except ValueError:
        pass
    return InvalidInput(f"{what} is not JSON: {message}", field="body", remedy="/docs has an example")


def _integer(digits: str) -> int:
    """Python refuses numbers of thousands of digits: one out of range stands for all such."""
    return int(digits) if len(digits) <= 20 else _INT_RANGE.stop


def _check(value: Any, max_depth: int) -> None:
    for path, depth, item in _walk(value):
        if depth > max_depth:
            raise _too_deep(".".join(path[:4]) + "…", max_depth)
        if isinstance(item, str):
            if "\0" in item:
                raise InvalidInput(
                    f"{_name(path)}: has a NUL character", field=_name(path), remedy="remove it"
                )
            if not _is_text(item):
                raise InvalidInput(
                    f"{_name(path)}: has half a surrogate pair, which is not text",
                    field=_name(path),
                    remedy="send whole characters",
                )
        elif isinstance(item, float) and not math.isfinite(item):
            raise InvalidInput(
                f"{_name(path)}: is not a finite number",
                field=_name(path),
                remedy="JSON has none such: send null or text",
            )
        elif isinstance(item, int) and item not in _INT_RANGE:
            raise InvalidInput(
                f"{_name(path)}: is beyond 64 bits", field=_name(path), remedy="send it as text"
            )


def _walk(value: Any) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """Every scalar, key and container with its path and how many containers are around it."""
    stack: list[tuple[tuple[str, ...], int, Any]] = [((), 0, value)]
    while stack:
        path, depth, item = stack.pop()
        if isinstance(item, dict):
            yield path, depth + 1, None
            for key, inner in cast("dict[str, Any]", item).items():
                yield path, depth, key
                stack.append(((*path, key), depth + 1, inner))
        elif isinstance(item, list):
            yield path, depth + 1, None
            inner_items = cast("list[Any]", item)
            stack.extend(((*path, str(at)), depth + 1, inner) for at, inner in enumerate(inner_items))
        else:
            yield path, depth, item


def _name(path: tuple[str, ...]) -> str:
    return ".".join(path).encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000") or "body"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(field: str, max_depth: int) -> InvalidInput:
    return InvalidInput(
        f"the body is nested more than {max_depth} levels deep", field=field, remedy="flatten it"
    )
