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
- `tenant_id`, `conversation_id`, `source_type`, `category`, `tags`, `embedding_model`, `created_at` and
  `updated_at` are what the metadata given with it says, where it does, as in answers.
- Inside `metadata: {…}` keys are taken literally, dots and all. An object there is read as operators when
  all its keys are operators, else as a nested key; `metadata.a.eq` reaches a key that is named like one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from cluster.model import Millis
from cluster.retrieval.filter_dates import span_of
from cluster.retrieval.filter_fields import (
    CONSTANTS,
    DATES,
    FIELDS,
    LABEL_OF,
    VALUES,
    Unit,
    constant,
    metadata_at,
)
from cluster.retrieval.filter_tests import (
    Predicate,
    Test,
    all_of,
    always,
    any_of,
    compares,
    contains,
    equals,
    failing,
    in_spans,
    is_in,
    is_number,
    negation,
    on,
    present,
)
from memgrid.errors import InvalidInput

MAX_DEPTH: Final = 16
"""Levels of AND, OR, NOT and of nested metadata keys."""
MAX_CONDITIONS: Final = 256
MAX_VALUES: Final = 10_000
"""Values in all lists together."""
MAX_TEXT: Final = 32_768
"""Characters of one text value or key."""

_ORDERING: Final = frozenset({"gt", "gte", "lt", "lte"})
_TEXTUAL: Final = frozenset({"contains", "icontains"})
_OPERATORS: Final = frozenset({"eq", "ne", "in", "nin"}) | _ORDERING | _TEXTUAL
_DATE_OPERATORS: Final = _OPERATORS - _TEXTUAL


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
        self.labels = {LABEL_OF[key]: value for key, value in pinned.items() if key in LABEL_OF}
        self.session = pinned.get("session_id")

    def matches(self, unit: Unit) -> bool:
        """Whether the memory or message passes. Never raises."""
        return self._predicate is None or self._predicate(unit)


def parse_filter(raw: Mapping[str, Any], constants: Mapping[str, str] | None = None) -> Filter:
    """Read a filter; `{}` matches everything. `constants` are the values of `filter_fields.CONSTANTS`.

    Raises InvalidInput with the dotted path of what is wrong: an unknown key or operator, a value of
    the wrong shape, an unreadable date, or a filter that is too deep or too large.
    """
    parser = _Parser(constants or {})
    return Filter(parser.group(raw, "filters", 1), parser.pinned)


class _Parser:
    """One pass over one filter: counts what it takes, collects what it pins down."""

    def __init__(self, constants: Mapping[str, str]) -> None:
        self.pinned: dict[str, str] = {}
        self._constants = constants
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
                getter = metadata_at(segments)
                found.extend(on(getter, test) for test in self._tests(value, at, _OPERATORS))
            else:
                self._field(name, value, at, found, conjunctive=conjunctive)
        return all_of(found) if found else None

    def _combination(
        self, name: str, value: object, path: str, depth: int, *, conjunctive: bool
    ) -> Predicate | None:
        if name == "NOT" and isinstance(value, Mapping):
            inner = self.group(cast("object", value), path, depth + 1, conjunctive=False)
            return negation(always if inner is None else inner)
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
            return (
                None if any(part is None for part in parts) else any_of([p for p in parts if p is not None])
            )
        if name == "NOT":
            return all_of([negation(always if part is None else part) for part in parts]) if parts else None
        found = [part for part in parts if part is not None]
        return all_of(found) if found else None

    def _field(
        self, name: str, value: object, path: str, found: list[Predicate], *, conjunctive: bool
    ) -> None:
        getter = constant(name, self._constants.get(name)) if name in CONSTANTS else FIELDS.get(name)
        if getter is None:
            names = ", ".join((*FIELDS, *CONSTANTS))
            raise InvalidInput(
                f"{path}: unknown key {name!r}",
                field=path,
                remedy=f"use one of AND, OR, NOT, {names}, metadata, metadata.<key>",
            )
        if name in DATES:
            found.extend(on(getter, test) for test in self._date_tests(value, path))
            return
        if name == "keywords" and isinstance(value, str | list | tuple):
            # a word to look for, not the whole text
            found.append(on(getter, self._any_word(cast("object", value), path)))
            return
        allowed = VALUES.get(name)
        found.extend(on(getter, test) for test in self._tests(value, path, _OPERATORS, allowed))
        if conjunctive and (name in LABEL_OF or name == "session_id"):
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
                getter = metadata_at(below)
                found.extend(on(getter, test) for test in self._tests(inner, at, _OPERATORS))

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
                tests.append(present)
            elif name in ("in", "nin"):
                values = [
                    self._scalar(v, f"{at}.{i}", allowed) for i, v in enumerate(self._list(operand, at))
                ]
                tests.append(is_in(values) if name == "in" else failing(is_in(values)))
            elif name in ("eq", "ne"):
                wanted = self._json(operand, at, allowed)
                tests.append(equals(wanted) if name == "eq" else failing(equals(wanted)))
            elif name in _TEXTUAL:
                tests.append(contains(self._scalar(operand, at, None), fold=name == "icontains"))
            else:
                bound = self._scalar(operand, at, None)
                if not isinstance(bound, str) and not is_number(bound):
                    raise InvalidInput(f"{at} must be a number or text", field=at, remedy="send a bound")
                tests.append(compares(name, bound))
        return tests

    def _date_tests(self, value: object, path: str) -> list[Test]:
        tests: list[Test] = []
        for name, operand, at in self._operations(value, path, _DATE_OPERATORS):
            if name == "present":
                tests.append(present)
            elif name in ("in", "nin"):
                spans = [self._date(v, f"{at}.{i}") for i, v in enumerate(self._list(operand, at))]
                tests.append(in_spans(spans) if name == "in" else failing(in_spans(spans)))
            elif name in ("eq", "ne"):
                span = self._date(operand, at)
                tests.append(in_spans([span]) if name == "eq" else failing(in_spans([span])))
            else:
                span = self._date(operand, at)
                if span is None:
                    raise InvalidInput(
                        f"{at} must be a date", field=at, remedy="use eq with null for missing"
                    )
                start, end = span
                # on whole milliseconds: after the span, from its start, before it, up to its end
                bound = {"gt": end, "gte": start, "lt": start, "lte": end}[name]
                tests.append(compares({"gt": "gte", "lte": "lt"}.get(name, name), bound))
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
            return present
        words = self._list(operand, at) if name == "in" else [operand]
        tests = [contains(self._scalar(word, at, None), fold=True) for word in words]
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
        try:
            return span_of(value)
        except ValueError:
            raise _bad_date(value, path) from None


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
