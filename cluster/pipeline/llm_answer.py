"""What a model answered: its claims, read as leniently as the text allows. Pure.

Models put their JSON into fences, add a comma too many, or are cut off: what is whole is taken, and what is
not is told, so that the caller can ask again. Only what holds no claims in any reading is an error.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from cluster.llm.errors import MalformedCompletion

_REASONING = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_SUMMARY = re.compile(r'"summary"\s*:\s*"')
_SEPARATORS = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder(strict=False)

_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
_Value = Annotated[str, msgspec.Meta(max_length=4000)]
_Name = Annotated[str, msgspec.Meta(max_length=256)]
_ProfileType = Literal[
    "personal_information", "interest_hobbies", "social_information", "asset_information", "other_information"
]


class CauseClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One of "causes": by number another of "memories", or one of "known"."""

    memory: int | None = None
    known: int | None = None
    quote: _Value


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One of "memories", as `extract.v3.schema.json` has it (what versions before had not is optional)."""

    n: int | None = None
    text: _Text
    kind: Literal["fact", "profile", "event", "task"]
    evidence: list[int]
    quote: _Value | None = None
    value: _Value | None = None
    topic: _Name | None = None
    subtopic: _Name | None = None
    profile_type: _ProfileType | None = None
    single_valued: bool = False
    negates: bool = False
    tags: list[_Name] = []
    entities: list[_Name] = []
    event_date: str | None = None
    event_end: str | None = None
    when_to_use: _Value | None = None
    causes: list[CauseClaim] | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class VariableClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One of "variables"."""

    name: _Name
    value: _Text
    evidence: list[int]
    quote: _Value | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of an answer."""

    memories: tuple[Claim, ...] = ()
    variables: tuple[VariableClaim, ...] = ()
    summary: str | None = None
    faults: tuple[tuple[str, str], ...] = ()
    """(what a claim said, what is wrong with its form)."""
    whole: bool = True
    """False: it was cut off, and more may have followed."""

    @property
    def claims(self) -> int:
        """How many claims could be read."""
        return len(self.memories) + len(self.variables)


class _Envelope(msgspec.Struct):
    memories: list[Any]
    variables: list[Any] = []
    summary: str | None = None


def read_answer(text: str) -> Answer:
    """The answer in a completion. Raises MalformedCompletion when there is none in it."""
    text = _REASONING.sub("", text)
    body = text[max(text.find("{"), 0) : text.rfind("}") + 1]
    try:
        envelope, whole = msgspec.json.decode(body, type=_Envelope), True
    except (msgspec.DecodeError, UnicodeError) as error:
        salvaged = _salvage(text)
        if salvaged is None:
            raise MalformedCompletion(f"the model's answer is malformed: {error}") from error
        envelope, whole = salvaged
    faults: list[tuple[str, str]] = []
    memories = _converted(envelope.memories, Claim, faults)
    variables = _converted(envelope.variables, VariableClaim, faults)
    if faults and not memories and not variables:
        raise MalformedCompletion(f"the model's answer is malformed: {faults[0][1]}")
    return Answer(
        memories=tuple(memories),
        variables=tuple(variables),
        summary=(envelope.summary or "").strip() or None,
        faults=tuple(faults),
        whole=whole,
    )


def read_object(text: str, shape: type[_Shape]) -> _Shape:
    """The one object of this shape in a completion. Raises MalformedCompletion when there is none."""
    text = _REASONING.sub("", text)
    start = max(text.find("{"), 0)
    try:
        found = msgspec.json.decode(_without_trailing_commas(text, start), type=shape)
        msgspec.json.encode(found)  # a lone surrogate is no text
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedCompletion(f"the model's answer is malformed: {_printable(str(error))}") from error
    return found


def _converted(items: list[Any], shape: type[msgspec.Struct], faults: list[tuple[str, str]]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        try:
            claim = msgspec.convert(item, shape)
            msgspec.json.encode(claim)  # a lone surrogate is no text
        except (msgspec.ValidationError, UnicodeError) as error:
            said = cast("dict[str, Any]", item).get("text") if isinstance(item, dict) else None
            faults.append((_printable(said if isinstance(said, str) else ""), _printable(str(error))))
        else:
            found.append(claim)
    return found


def _salvage(text: str) -> tuple[_Envelope, bool] | None:
    """The whole elements of what is not JSON; None where there are none at all."""
    memories, memories_end = _elements(text, "memories")
    variables, variables_end = _elements(text, "variables")
    if not memories and not variables:
        return None
    summary: str | None = None
    if (found := _SUMMARY.search(text)) is not None:
        try:
            summary, _ = _DECODER.raw_decode(text, found.end() - 1)
        except ValueError:
            summary = None
    # An array that is absent was, or was to be, left out; one that has begun must have ended.
    whole = memories_end is True and variables_end is not False
    return _Envelope(memories, variables, summary), whole


def _elements(text: str, name: str) -> tuple[list[Any], bool | None]:
    """The readable elements of an array, and whether it ended; None where it never began."""
    found = re.search(rf'"{name}"\s*:\s*\[', text)
    if found is None:
        return [], None
    elements: list[Any] = []
    at = found.end()
    while True:
        at = cast("re.Match[str]", _SEPARATORS.match(text, at)).end()
        if at >= len(text):
            return elements, False
        if text[at] == "]":
            return elements, True
        try:
            element, at = _DECODER.raw_decode(_without_trailing_commas(text, at), 0)[0], _end(text, at)
        except ValueError:
            return elements, False
        elements.append(element)


def _end(text: str, start: int) -> int:
    """Behind the object that begins at `start`. Raises ValueError when it does not end."""
    depth, quoted, at = 0, False, start
    while at < len(text):
        character = text[at]
        if quoted:
            if character == "\\":
                at += 1
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if depth == 0:
                return at + 1
        elif depth == 0:
            raise ValueError("not an object")
        at += 1
    raise ValueError("the object does not end")


def _without_trailing_commas(text: str, start: int) -> str:
    """The object that begins at `start`, without the commas before its closing brackets."""
    parts: list[str] = []
    quoted = False
    span = text[start : _end(text, start)]
    at = 0
    while at < len(span):
        character = span[at]
        if quoted and character == "\\":
            parts.append(span[at : at + 2])
            at += 2
            continue
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted and span[at + 1 :].lstrip()[:1] in ("}", "]"):
            at += 1
            continue
        parts.append(character)
        at += 1
    return "".join(parts)


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()[:500]
