"""What of a filter an index can look up, so that what it proposes is not all filtered away afterwards.

Whoever hydrates a hit applies the whole filter. So an index may let through what does not match, and must
let through everything that does: what cannot be looked up (NOT, `contains`, text ranges, missing values)
is left out, and what is only one alternative of an OR takes the OR with it.

Users choose the keys of their metadata, so a key must cost an index nothing that lasts: every value becomes
one opaque word made of its path and itself, and every number also one that sorts like the number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from cluster.search_index.indexed import scope_token

ATTRIBUTES: Final = ("kind", "topic", "subtopic", "profile_type", "category", "tags", "role", "language")
"""Keys of the filter DSL, beside metadata, whose values are looked up."""
_KEYS: Final[Mapping[str, str]] = {**{key: key for key in ATTRIBUTES}, "categories": "category"}
MAX_VALUES: Final = 256
"""Values of one document that are looked up; one with more passes every filter on its attributes."""
_MAX_DEPTH: Final = 16

Path = tuple[str, ...]


class Words(NamedTuple):
    """The values of one document."""

    pairs: list[str]
    """One word for each value at its path."""
    numbers: list[str]
    """One word for each number at its path, in the order of the numbers."""
    cut: bool
    """Whether there were more values than MAX_VALUES."""


class Pair(NamedTuple):
    """A value at a path."""

    word: str


class Between(NamedTuple):
    """A number at a path, from one word to another, both among them: a bound itself is let through."""

    low: str
    high: str


class Every(NamedTuple):
    """All of these."""

    parts: tuple[Narrow, ...]


class Some(NamedTuple):
    """One of these at least."""

    parts: tuple[Narrow, ...]


Narrow = Pair | Between | Every | Some


def words_of(attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> Words:
    """The values of a document: attributes by their key, metadata by the path of keys."""
    pairs: list[str] = []
    numbers: list[str] = []
    for path, value in (*_leaves((), attributes, 0), *_leaves(("metadata",), metadata, 0)):
        if len(pairs) >= MAX_VALUES:
            return Words(pairs, numbers, cut=True)
        if (word := _pair(path, value)) is not None:
            pairs.append(word)
        if (number := _number(value)) is not None:
            numbers.append(_sorted(path, number))
    return Words(pairs, numbers, cut=False)


def narrow(filters: Mapping[str, Any]) -> Narrow | None:
    """What must hold of every match of a filter; None when nothing is known of them.

    A filter that cannot be read is no business of an index: whoever parses it refuses it.
    """
    return _every(_conditions(filters))


def _leaves(path: Path, value: object, depth: int) -> Iterator[tuple[Path, object]]:
    """The values that a filter can reach, by their path."""
    if isinstance(value, Mapping):
        if depth < _MAX_DEPTH:
            for key, inner in cast("Mapping[object, object]", value).items():
                yield from _leaves((*path, str(key)), inner, depth + 1)
    elif isinstance(value, list | tuple):
        for element in cast("Sequence[object]", value):
            if not isinstance(element, Mapping | list | tuple):
                yield path, element
    else:
        yield path, value


def _conditions(group: object) -> Iterator[Narrow | None]:
    if not isinstance(group, Mapping):
        return
    for key, value in cast("Mapping[object, object]", group).items():
        if key == "AND" and isinstance(value, list | tuple):
            for member in cast("Sequence[object]", value):
                yield _every(_conditions(member))
        elif key == "OR" and isinstance(value, list | tuple):
            yield _some(_every(_conditions(member)) for member in cast("Sequence[object]", value))
        elif key == "metadata":
            yield from _nested(value, ("metadata",))
        elif isinstance(key, str) and key.startswith("metadata."):
            yield _tests(tuple(key.split(".")), value)
        elif isinstance(key, str) and key in _KEYS:
            yield _tests((_KEYS[key],), value)


def _nested(value: object, path: Path) -> Iterator[Narrow | None]:
    if not isinstance(value, Mapping):
        return
    for key, inner in cast("Mapping[object, object]", value).items():
        below = (*path, str(key))
        if isinstance(inner, Mapping) and not _operators(cast("Mapping[object, object]", inner)):
            yield from _nested(cast("object", inner), below)
        else:
            yield _tests(below, cast("object", inner))


def _operators(value: Mapping[object, object]) -> bool:
    """Whether an object is read as operators; one that is both or neither narrows nothing either way."""
    return all(isinstance(key, str) and key.removeprefix("$") in _TESTS for key in value)


def _tests(path: Path, value: object) -> Narrow | None:
    if isinstance(value, Mapping):
        given = cast("Mapping[object, object]", value)
        return _every(_test(path, str(name).removeprefix("$"), operand) for name, operand in given.items())
    if value == "*":
        return None
    return _test(path, "in" if isinstance(value, list | tuple) else "eq", value)


def _test(path: Path, name: str, operand: object) -> Narrow | None:
    if name == "eq":
        word = _pair(path, operand)
        return None if word is None else Pair(word)
    if name == "in" and isinstance(operand, list | tuple):
        return _some(_test(path, "eq", value) for value in cast("Sequence[object]", operand))
    number = _number(operand)
    if number is None:
        return None
    if name in ("gt", "gte"):
        return Between(_sorted(path, number), _sorted(path, math.inf))
    if name in ("lt", "lte"):
        return Between(_sorted(path, -math.inf), _sorted(path, number))
    return None


_TESTS: Final = frozenset({"eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "icontains"})


def _every(parts: Iterator[Narrow | None]) -> Narrow | None:
    known = tuple(part for part in parts if part is not None)
    return Every(known) if len(known) > 1 else known[0] if known else None


def _some(parts: Iterator[Narrow | None]) -> Narrow | None:
    known: list[Narrow] = []
    for part in parts:
        if part is None:
            return None
        known.append(part)
    return Some(tuple(known)) if known else None


def _pair(path: Path, value: object) -> str | None:
    """The word for a value at a path; None for what is not a plain value. Equal numbers are one word."""
    if isinstance(value, str):
        return scope_token("pair", *path, "text", value.encode("utf-8", "replace").decode())
    if isinstance(value, bool):
        return scope_token("pair", *path, "bool", str(value))
    number = _number(value)
    return None if number is None else scope_token("pair", *path, "number", repr(number))


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) + 0.0  # -0.0 is 0.0
    except OverflowError:
        return None


def _sorted(path: Path, number: float) -> str:
    """The path's word, and the number's bits so that they sort as the numbers do."""
    bits = int.from_bytes(struct.pack(">d", number), "big")
    bits = bits ^ 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63
    return f"{scope_token('numbers', *path)}{bits:016x}"
