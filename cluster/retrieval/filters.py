"""The filter DSL: a JSON object in, a predicate over memories and messages out.

    {"user_id": "u1", "created_at": {"gte": "2025-01-01"}}              flat: all must hold
    {"AND": [{"kind": ["fact", "event"]}, {"NOT": {"tags": "spam"}}]}   AND, OR, NOT at any depth
    {"metadata": {"shop": {"city": "杭州", "visits": {"gt": 3}}}}        any metadata key, nested
    {"metadata.shop.city": {"icontains": "hang"}}                       the same, dotted

A bare value means `eq`, a bare list `in`, a bare "*" present. `{"eq": "*"}` is the literal star.

- Equality is strict about JSON types: 1 equals 1.0, and neither true nor "1". A value that is a list is
  equal to, in, or contains something when one of its elements is. null equals what is missing.
- `ne` and `nin` are the negations of `eq` and `in`, so what is missing passes them.
- `gt gte lt lte` compare numbers with numbers and text with text; any other pair is false.
- `contains` is a substring of text or an element of a list (or a substring of a text element);
  `icontains` is that without regard to case.
- A date is ISO 8601 (no zone: UTC) or a number, epoch seconds below 10¹¹ and milliseconds from there. A
  day without a time is the whole UTC day: `lte` includes it, `gt` starts after it.
- Inside `metadata: {…}` keys are taken literally, dots and all. An object there is read as operators when
  all its keys are operators, else as a nested key; `metadata.a.eq` reaches a key that is named like one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast, get_args

from cluster.model import DAY_MS, Memory, Message, Millis
from memgrid.errors import InvalidInput
from memgrid.models import MemoryKind, ResultType, SourceType

MAX_DEPTH: Final = 16
"""Levels of AND, OR, NOT and of nested metadata keys."""
MAX_CONDITIONS: Final = 256
MAX_VALUES: Final = 10_000
"""Values in all lists together."""
MAX_TEXT: Final = 32_768
"""Characters of one text value or key."""

Unit = Memory | Message
Predicate = Callable[[Unit], bool]
Getter = Callable[[Unit], Any]
Test = Callable[[Any], bool]

_EARLIEST: Final = -62_135_596_800_000  # 0001-01-01
_LATEST: Final = 253_402_300_799_999  # 9999-12-31
_SECONDS_BELOW: Final = 100_000_000_000
_DAY_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")

_ORDERING: Final = frozenset({"gt", "gte", "lt", "lte"})
_TEXTUAL: Final = frozenset({"contains", "icontains"})
_OPERATORS: Final = frozenset({"eq", "ne", "in", "nin"}) | _ORDERING | _TEXTUAL
_DATE_OPERATORS: Final = _OPERATORS - _TEXTUAL

_MISSING: Final = object()


class Filter:
    """A parsed filter; built by `parse_filter`."""

    __slots__ = ("_predicate", "labels", "matches_all", "session")

    labels: Mapping[str, str]
    """Label kind (`user`, `agent`, `app`, `run`) → the one id that every match must carry."""
    session: str | None
    """The one session that every match must be in."""
    matches_all: bool
    """True when there is no condition."""

    def __init__(self, predicate: Predicate | None, pinned: Mapping[str, str]) -> None:
        self._predicate = predicate
        self.matches_all = predicate is None
        self.labels = {_LABEL_OF[key]: value for key, value in pinned.items() if key in _LABEL_OF}
        self.session = pinned.get("session_id")

    def matches(self, unit: Unit) -> bool:
        """Whether the memory or message passes. Never raises."""
        return self._predicate is None or self._predicate(unit)


def parse_filter(raw: Mapping[str, Any]) -> Filter:
    """Read a filter; `{}` matches everything.

    Raises InvalidInput with the dotted path of what is wrong: an unknown key or operator, a value of
    the wrong shape, an unreadable date, or a filter that is too deep or too large.
    """
    parser = _Parser()
    return Filter(parser.group(raw, "filters", 1), parser.pinned)


# --- fields -----------------------------------------------------------------------------------


def _label(kind: str) -> Getter:
    return lambda unit: unit.labels.get(kind)


def _memory_only(name: str) -> Getter:
    return lambda unit: getattr(unit, name) if isinstance(unit, Memory) else None


def _message_only(name: str) -> Getter:
    return lambda unit: getattr(unit, name) if isinstance(unit, Message) else None


def _text(unit: Unit) -> str:
    return unit.text if isinstance(unit, Memory) else unit.content


def _category(unit: Unit) -> Any:
    if isinstance(unit, Memory) and unit.category is not None:
        return unit.category
    return unit.metadata.get("category")


def _tags(unit: Unit) -> Any:
    if isinstance(unit, Memory) and unit.tags:
        return unit.tags
    return unit.metadata.get("tags")


def _source_type(unit: Unit) -> Any:
    # a memory's own default must not hide what its adder said
    given = unit.metadata.get("source_type")
    if given is not None:
        return given
    return unit.source_type if isinstance(unit, Memory) else "conversation"


def _updated_at(unit: Unit) -> Millis:
    return unit.updated_at if isinstance(unit, Memory) else unit.created_at


def _timestamp(unit: Unit) -> Millis:
    return unit.created_at if unit.event_time is None else unit.event_time


_LABEL_OF: Final[Mapping[str, str]] = {
    "user_id": "user",
    "agent_id": "agent",
    "app_id": "app",
    "run_id": "run",
}

_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": get_args(MemoryKind),
    "type": get_args(ResultType),
    "source_type": get_args(SourceType),
}

_DATES: Final[Mapping[str, Getter]] = {
    "created_at": lambda unit: unit.created_at,
    "updated_at": _updated_at,
    "timestamp": _timestamp,
    "event_time": lambda unit: unit.event_time,
    "expires_at": _memory_only("expires_at"),
    "expiration_date": _memory_only("expires_at"),
}

_FIELDS: Final[Mapping[str, Getter]] = {
    **{key: _label(kind) for key, kind in _LABEL_OF.items()},
    "session_id": lambda unit: unit.session,
    "id": lambda unit: unit.id,
    "ids": lambda unit: unit.id,
    "memory_ids": lambda unit: unit.id if isinstance(unit, Memory) else None,
    "kind": _memory_only("kind"),
    "type": lambda unit: "memory" if isinstance(unit, Memory) else "message",
    "topic": _memory_only("topic"),
    "subtopic": _memory_only("subtopic"),
    "profile_type": _memory_only("profile_type"),
    "category": _category,
    "categories": _category,
    "tags": _tags,
    "text": _text,
    "keywords": _text,
    "role": _message_only("role"),
    "name": _message_only("name"),
    "source_type": _source_type,
    "language": _memory_only("language"),
    **_DATES,
}


def _metadata(path: Sequence[str]) -> Getter:
    if len(path) == 1:
        key = path[0]
        return lambda unit: unit.metadata.get(key)

    def get(unit: Unit) -> Any:
        value: Any = unit.metadata
        for key in path:
            if not isinstance(value, dict):
                return None
            value = cast("dict[str, Any]", value).get(key)
        return value

    return get


# --- parsing ----------------------------------------------------------------------------------


class _Parser:
    """One pass over one filter: counts what it takes, collects what it pins down."""

    def __init__(self) -> None:
        self.pinned: dict[str, str] = {}
        self._conditions = 0
        self._values = 0

    def group(self, raw: object, path: str, depth: int, *, conjunctive: bool = True) -> Predicate | None:
        """An object of conditions that must all hold; None when there are none."""
        if not isinstance(raw, Mapping):
            raise InvalidInput(
                f"{path} must be an object of conditions", field=path, remedy='send {"key": value}'
            )
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        found: list[Predicate] = []
        for key, value in cast("Mapping[object, Any]", raw).items():
            name = self._key(key, path)
            at = f"{path}.{name}"
            if name in ("AND", "OR", "NOT"):
                predicate = self._combination(name, value, at, depth, conjunctive=conjunctive)
                if predicate is not None:
                    found.append(predicate)
            elif name == "metadata":
                self._metadata_object(value, (), at, depth, found)
            elif name.startswith("metadata.") and all(segments := name.split(".")[1:]):
                if depth + len(segments) > MAX_DEPTH:
                    raise _too_deep(at)
                getter = _metadata(segments)
                found.extend(_on(getter, test) for test in self._tests(value, at, _OPERATORS))
            else:
                self._field(name, value, at, found, conjunctive=conjunctive)
        return _all(found) if found else None

    def _combination(
        self, name: str, value: object, path: str, depth: int, *, conjunctive: bool
    ) -> Predicate | None:
        if name == "NOT" and isinstance(value, Mapping):
            inner = self.group(cast("object", value), path, depth + 1, conjunctive=False)
            return _not(_always if inner is None else inner)
        if not isinstance(value, list | tuple):
            shape = "a list of conditions" if name != "NOT" else "a condition or a list of conditions"
            raise InvalidInput(f"{path} must be {shape}", field=path, remedy=f'send {{"{name}": [{{…}}]}}')
        members = cast("Sequence[object]", value)
        if name == "OR" and not members:
            raise InvalidInput(f"{path} is empty", field=path, remedy="give at least one alternative")
        parts = [
            self.group(member, f"{path}.{index}", depth + 1, conjunctive=conjunctive and name == "AND")
            for index, member in enumerate(members)
        ]
        if name == "OR":
            return None if any(part is None for part in parts) else _any([p for p in parts if p is not None])
        if name == "NOT":
            return _all([_not(_always if part is None else part) for part in parts]) if parts else None
        found = [part for part in parts if part is not None]
        return _all(found) if found else None

    def _field(
        self, name: str, value: object, path: str, found: list[Predicate], *, conjunctive: bool
    ) -> None:
        getter = _FIELDS.get(name)
        if getter is None:
            raise InvalidInput(
                f"{path}: unknown key {name!r}",
                field=path,
                remedy=f"use one of AND, OR, NOT, {', '.join(_FIELDS)}, metadata, metadata.<key>",
            )
        if name in _DATES:
            found.extend(_on(getter, test) for test in self._date_tests(value, path))
            return
        if name == "keywords" and isinstance(value, str | list | tuple):
            # a word to look for, not the whole text
            found.append(_on(getter, self._any_word(cast("object", value), path)))
            return
        allowed = _VALUES.get(name)
        found.extend(_on(getter, test) for test in self._tests(value, path, _OPERATORS, allowed))
        if conjunctive and (name in _LABEL_OF or name == "session_id"):
            only = _single_value(value)
            if only is not None:
                self.pinned.setdefault(name, only)

    def _metadata_object(
        self, value: object, keys: tuple[str, ...], path: str, depth: int, found: list[Predicate]
    ) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInput(
                f"{path} must be an object", field=path, remedy='send {"metadata": {"key": value}}'
            )
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        for key, inner in cast("Mapping[object, Any]", value).items():
            name = self._key(key, path)
            at = f"{path}.{name}"
            below = (*keys, name)
            if isinstance(inner, Mapping) and inner and not self._is_operators(inner, at):
                self._metadata_object(cast("object", inner), below, at, depth + 1, found)
            else:
                getter = _metadata(below)
                found.extend(_on(getter, test) for test in self._tests(inner, at, _OPERATORS))

    def _is_operators(self, value: Mapping[Any, Any], path: str) -> bool:
        names = [_operator(key) for key in value]
        if all(names):
            return True
        for key, name in zip(value, names, strict=True):
            if name is None and (any(names) or (isinstance(key, str) and key.startswith("$"))):
                raise _unknown_operator(key, path, _OPERATORS)
        return False

    def _tests(
        self, value: object, path: str, operators: frozenset[str], allowed: tuple[str, ...] | None = None
    ) -> list[Test]:
        """The tests that `value` (bare, list or operators) puts on one field."""
        tests: list[Test] = []
        for name, operand, at in self._operations(value, path, operators):
            if name == "present":
                tests.append(_present)
            elif name in ("in", "nin"):
                values = [
                    self._scalar(v, f"{at}.{i}", allowed) for i, v in enumerate(self._list(operand, at))
                ]
                tests.append(_in(values) if name == "in" else _not_test(_in(values)))
            elif name in ("eq", "ne"):
                wanted = self._json(operand, at, allowed)
                tests.append(_eq(wanted) if name == "eq" else _not_test(_eq(wanted)))
            elif name in _TEXTUAL:
                tests.append(_contains(self._scalar(operand, at, None), fold=name == "icontains"))
            else:
                bound = self._scalar(operand, at, None)
                if not isinstance(bound, str) and not _is_number(bound):
                    raise InvalidInput(f"{at} must be a number or text", field=at, remedy="send a bound")
                tests.append(_order(name, bound))
        return tests

    def _date_tests(self, value: object, path: str) -> list[Test]:
        tests: list[Test] = []
        for name, operand, at in self._operations(value, path, _DATE_OPERATORS):
            if name == "present":
                tests.append(_present)
            elif name in ("in", "nin"):
                spans = [self._date(v, f"{at}.{i}") for i, v in enumerate(self._list(operand, at))]
                tests.append(_in_spans(spans) if name == "in" else _not_test(_in_spans(spans)))
            elif name in ("eq", "ne"):
                span = self._date(operand, at)
                tests.append(_in_spans([span]) if name == "eq" else _not_test(_in_spans([span])))
            else:
                span = self._date(operand, at)
                if span is None:
                    raise InvalidInput(
                        f"{at} must be a date", field=at, remedy="use eq with null for missing"
                    )
                start, end = span
                # on whole milliseconds: after the span, from its start, before it, up to its end
                bound = {"gt": end, "gte": start, "lt": start, "lte": end}[name]
                tests.append(_order({"gt": "gte", "lte": "lt"}.get(name, name), bound))
        return tests

    def _operations(
        self, value: object, path: str, operators: frozenset[str]
    ) -> list[tuple[str, object, str]]:
        """(operator, operand, path of the operand) for each operator that `value` stands for."""
        if isinstance(value, Mapping):
            operations: list[tuple[str, object, str]] = []
            for key, operand in cast("Mapping[object, object]", value).items():
                name = _operator(key)
                if name is None or name not in operators:
                    raise _unknown_operator(key, path, operators)
                operations.append((name, operand, f"{path}.{key}"))
            if not operations:
                raise InvalidInput(f"{path} is an empty object", field=path, remedy="name an operator")
        elif isinstance(value, str) and value == "*":
            operations = [("present", None, path)]
        else:
            operations = [("in" if isinstance(value, list | tuple) else "eq", cast("object", value), path)]
        self._conditions += len(operations)
        if self._conditions > MAX_CONDITIONS:
            raise InvalidInput(
                f"the filter has more than {MAX_CONDITIONS} conditions",
                field=path,
                remedy="use `in` with a list instead of many alternatives",
            )
        return operations

    def _any_word(self, value: object, path: str) -> Test:
        [(name, operand, at)] = self._operations(value, path, _OPERATORS)
        if name == "present":
            return _present
        words = self._list(operand, at) if name == "in" else [operand]
        tests = [_contains(self._scalar(word, at, None), fold=True) for word in words]
        return lambda text: any(test(text) for test in tests)

    def _key(self, key: object, path: str) -> str:
        if not isinstance(key, str):
            raise InvalidInput(f"{path} has a key that is not text", field=path, remedy="send JSON")
        self._text(key, path)
        return key

    def _text(self, value: str, path: str) -> None:
        if len(value) > MAX_TEXT:
            raise InvalidInput(
                f"{path} is longer than {MAX_TEXT} characters", field=path, remedy="shorten it"
            )
        if not value.isascii() and any("\ud800" <= ch <= "\udfff" for ch in value):
            raise InvalidInput(f"{path} is not valid Unicode", field=path, remedy="remove lone surrogates")

    def _list(self, value: object, path: str) -> Sequence[object]:
        if not isinstance(value, list | tuple):
            raise InvalidInput(f"{path} must be a list", field=path, remedy="send a list of values")
        values = cast("Sequence[object]", value)
        self._values += len(values)
        if self._values > MAX_VALUES:
            raise InvalidInput(
                f"the filter lists more than {MAX_VALUES} values", field=path, remedy="split the request"
            )
        return values

    def _scalar(self, value: object, path: str, allowed: tuple[str, ...] | None) -> Any:
        if value is not None and not isinstance(value, str | int | float):
            raise InvalidInput(
                f"{path} must be text, a number, true, false or null", field=path, remedy="send one value"
            )
        if isinstance(value, str):
            self._text(value, path)
            if allowed is not None and value not in allowed:
                raise InvalidInput(
                    f"{path}: there is no {value!r}", field=path, remedy=f"use one of {', '.join(allowed)}"
                )
        return value

    def _json(self, value: object, path: str, allowed: tuple[str, ...] | None, depth: int = 0) -> Any:
        """Any JSON value to be equal to; what is in it counts towards the limits."""
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        if isinstance(value, list | tuple):
            return [
                self._json(v, f"{path}.{i}", None, depth + 1) for i, v in enumerate(self._list(value, path))
            ]
        if isinstance(value, Mapping):
            members = cast("Mapping[object, object]", value)
            self._list(list(members), path)
            return {
                (name := self._key(key, path)): self._json(v, f"{path}.{name}", None, depth + 1)
                for key, v in members.items()
            }
        return self._scalar(value, path, allowed)

    def _date(self, value: object, path: str) -> tuple[Millis, Millis] | None:
        """The milliseconds [start, end) that a date means; None for null."""
        if value is None:
            return None
        if isinstance(value, str):
            return _span_of_text(value, path)
        if _is_number(value):
            number = cast("int | float", value)
            # in this order a NaN is refused too
            if not _EARLIEST <= number <= _LATEST:
                raise _bad_date(value, path)
            millis = int(number * 1000) if abs(number) < _SECONDS_BELOW else int(number)
            if not _EARLIEST <= millis <= _LATEST:
                raise _bad_date(value, path)
            return millis, millis + 1
        raise _bad_date(value, path)


def _operator(key: object) -> str | None:
    """The operator that a key names (LangGraph's `$` spelling too), or None."""
    if not isinstance(key, str):
        return None
    name = key.removeprefix("$")
    return name if name in _OPERATORS else None


def _single_value(value: object) -> str | None:
    """The one text that a condition's value allows, if it is so."""
    if isinstance(value, Mapping):
        operators = {_operator(key): operand for key, operand in cast("Mapping[str, object]", value).items()}
        if isinstance(exact := operators.get("eq"), str):
            return exact
        value = operators.get("in")
        return _single_value(value) if isinstance(value, list | tuple) else None
    if isinstance(value, list | tuple):
        distinct: set[object] = {v for v in cast("Sequence[object]", value) if isinstance(v, str)}
        only = distinct.pop() if len(distinct) == 1 and len(distinct) == len(set(value)) else None
        return only if isinstance(only, str) else None
    return value if isinstance(value, str) and value != "*" else None


def _span_of_text(text: str, path: str) -> tuple[Millis, Millis]:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _bad_date(text, path) from None
    millis = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    return millis, millis + (DAY_MS if _DAY_ONLY.fullmatch(text.strip()) else 1)


def _bad_date(value: object, path: str) -> InvalidInput:
    shown = value[:64] if isinstance(value, str) else value
    return InvalidInput(
        f"{path}: {shown!r} is not a date between the years 1 and 9999",
        field=path,
        remedy="send ISO 8601 (2025-01-31 or 2025-01-31T08:00:00Z) or epoch seconds or milliseconds",
    )


def _too_deep(path: str) -> InvalidInput:
    return InvalidInput(
        f"the filter is nested more than {MAX_DEPTH} levels deep", field=path, remedy="flatten it"
    )


def _unknown_operator(key: object, path: str, operators: Iterable[str]) -> InvalidInput:
    return InvalidInput(
        f"{path}: unknown operator {str(key)[:64]!r}",
        field=f"{path}.{key}"[:1024],
        remedy=f"use one of {', '.join(sorted(operators))}",
    )


# --- predicates -------------------------------------------------------------------------------


def _always(_: Unit) -> bool:
    return True


def _on(getter: Getter, test: Test) -> Predicate:
    return lambda unit: test(getter(unit))


def _not(predicate: Predicate) -> Predicate:
    return lambda unit: not predicate(unit)


def _not_test(test: Test) -> Test:
    return lambda value: not test(value)


def _all(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def every(unit: Unit) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator costs twice as much in this inner loop
            if not predicate(unit):
                return False
        return True

    return every


def _any(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def some(unit: Unit) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(unit):
                return True
        return False

    return some


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, list | tuple) and not value)


def _scalar_key(value: Any) -> object:
    """A hashable that is equal exactly for equal JSON scalars."""
    return (value,) if isinstance(value, bool) else value


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values, true not being 1."""
    if isinstance(left, list | tuple):
        return (
            isinstance(right, list | tuple)
            and len(left) == len(right)
            and all(map(_same, left, cast("Sequence[Any]", right)))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(_same(value, right[key]) for key, value in cast("dict[str, Any]", left).items())
        )
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _eq(wanted: Any) -> Test:
    if isinstance(wanted, str):

        def is_text(value: Any) -> bool:
            return value == wanted or (isinstance(value, list | tuple) and wanted in value)

        return is_text

    def equal(value: Any) -> bool:
        if _same(value, wanted):
            return True
        return isinstance(value, list | tuple) and any(_same(element, wanted) for element in value)

    return equal


def _in(wanted: Sequence[Any]) -> Test:
    keys = {_scalar_key(value) for value in wanted}

    def member(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(not isinstance(v, list | tuple | dict) and _scalar_key(v) in keys for v in value)
        return not isinstance(value, dict) and _scalar_key(value) in keys

    return member


def _in_spans(spans: Sequence[tuple[Millis, Millis] | None]) -> Test:
    missing = None in spans
    bounds = [span for span in spans if span is not None]

    def inside(value: Any) -> bool:
        if value is None:
            return missing
        return any(start <= value < end for start, end in bounds)

    return inside


def _contains(wanted: Any, *, fold: bool) -> Test:
    if not isinstance(wanted, str):
        equal = _eq(wanted)
        return lambda value: isinstance(value, list | tuple) and equal(value)
    needle = wanted.casefold() if fold else wanted

    def inside(value: Any) -> bool:
        if isinstance(value, str):
            return needle in (value.casefold() if fold else value)
        return isinstance(value, list | tuple) and any(
            isinstance(element, str) and needle in (element.casefold() if fold else element)
            for element in value
        )

    return inside


def _order(name: str, bound: Any) -> Test:
    comparable: Test = _is_number if _is_number(bound) else lambda value: isinstance(value, str)
    if name == "gt":
        return lambda value: comparable(value) and value > bound
    if name == "gte":
        return lambda value: comparable(value) and value >= bound
    if name == "lt":
        return lambda value: comparable(value) and value < bound
    return lambda value: comparable(value) and value <= bound
