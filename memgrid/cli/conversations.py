"""From a line of JSONL to adds that may be sent any number of times.

Every message gets an id: its own, or one made of its session, its place there and what it says. So
importing a line again, from this file or another, adds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from memgrid._requests import Whose, first_problem, subject_of
from memgrid.models import AddRequest

MAX_LINE_BYTES = 64 * 1024 * 1024
PIECE_MESSAGES = 500
"""A longer conversation is sent in pieces."""
PIECE_BYTES = 1024 * 1024
_NOT_MEMORY = {"type", "tools", "functions", "parallel_tool_calls", "weight"}
"""What else an OpenAI fine-tuning line may hold."""


class BadLine(Exception):
    """The line cannot be imported; the text says why."""


class Piece(NamedTuple):
    """A conversation, or a part of a long one, ready to be sent."""

    line: int
    request: AddRequest
    size: int
    """Bytes of JSON."""


class Conversations:
    """Reads lines in order, and knows how far each session has come."""

    def __init__(self, defaults: Whose, *, session_id: str | None = None, infer: bool = True) -> None:
        self._defaults = defaults
        self._session_id = session_id
        self._infer = infer
        self._places: dict[bytes, int] = {}

    def read(self, line: int, raw: bytes) -> list[Piece] | None:
        """The pieces of one line; None for a line that is not a conversation (an exported memory).

        Raises BadLine.
        """
        body = _parse(raw)
        if body.get("type", "conversation") == "memory":
            return None
        if body.get("type", "conversation") != "conversation":
            raise BadLine(f"type: {body['type']!r} is not 'conversation' or 'memory'")
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise BadLine("messages: a list of messages is missing")
        turns = [_turn(number, message) for number, message in enumerate(messages)]
        rest = {name: value for name, value in body.items() if name not in _NOT_MEMORY | {"messages"}}
        if not any(rest.get(name) for name in Whose.__annotations__):
            rest |= {name: value for name, value in self._defaults.items() if value is not None}
        session = rest.get("session_id") or self._session_id or rest.get("run_id")
        if session is None:
            # Of the whole conversation: the same line twice is one conversation.
            session = rest["session_id"] = "import-" + _digest(turns)
            place = 0
        else:
            rest["session_id"] = rest.get("session_id") or self._session_id
            place = self._place(rest, session, len(turns))
        rest.setdefault("infer", self._infer)
        pieces: list[Piece] = []
        for part in _parts(turns):
            for message in part:
                if message.get("id") is None:
                    message["id"] = "import-" + _digest([session, place, message])
                place += 1
            pieces.append(_piece(line, {**rest, "messages": part}))
        return pieces

    def _place(self, rest: Mapping[str, Any], session: object, count: int) -> int:
        """How many messages of this session earlier lines brought."""
        whose = [rest.get(name) for name in Whose.__annotations__]
        key = hashlib.blake2b(json.dumps([whose, session]).encode(), digest_size=12).digest()
        place = self._places.get(key, 0)
        self._places[key] = place + count
        return place


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_LINE_BYTES:
        raise BadLine(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        body: object = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadLine(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadLine("not a JSON object")
    return body  # pyright: ignore[reportUnknownVariableType]


def _turn(number: int, message: object) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise BadLine(f"messages.{number}: not an object")
    turn: dict[str, Any] = dict(message)  # pyright: ignore[reportUnknownArgumentType]
    if turn.get("content") is None and ("tool_calls" in turn or "function_call" in turn):
        turn["content"] = ""  # an assistant that only calls tools says nothing
    return turn


def _parts(turns: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for turn in turns:
        bytes_ = len(json.dumps(turn, ensure_ascii=False).encode())
        if part and (len(part) == PIECE_MESSAGES or size + bytes_ > PIECE_BYTES):
            yield part
            part, size = [], 0
        part.append(turn)
        size += bytes_
    if part:
        yield part


def _piece(line: int, body: dict[str, Any]) -> Piece:
    try:
        request = AddRequest.model_validate(body)
    except ValidationError as error:
        raise BadLine(first_problem(error)[1]) from error
    if subject_of(**_whose(request)) is None:
        raise BadLine("user_id: whose conversation is it? Put it into the line, or give --user")
    return Piece(line, request, len(request.model_dump_json(exclude_unset=True)))


def _whose(request: AddRequest) -> Whose:
    return Whose(
        user_id=request.user_id,
        agent_id=request.agent_id,
        app_id=request.app_id,
        run_id=request.run_id,
    )


def subject_key(request: AddRequest) -> str:
    """The subject the request's messages go to, as text."""
    return ":".join(subject_of(**_whose(request)) or ())


def _digest(value: object) -> str:
    """The same for the same value, whatever the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_default)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _default(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
