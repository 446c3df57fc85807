"""The predicates that a filter is made of: tests of one value, and their combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from cluster.model import Millis
from cluster.retrieval.filter_fields import Getter, Unit

Predicate = Callable[[Unit], bool]
Test = Callable[[Any], bool]


def always(_: Unit) -> bool:
    return True


def on(getter: Getter, test: Test) -> Predicate:
    return lambda unit: test(getter(unit))


def negation(predicate: Predicate) -> Predicate:
    return lambda unit: not predicate(unit)


def failing(test: Test) -> Test:
    return lambda value: not test(value)


def all_of(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def every(unit: Unit) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator costs twice as much in this inner loop
            if not predicate(unit):
                return False
        return True

    return every


def any_of(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def some(unit: Unit) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(unit):
                return True
        return False

    return some


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def present(value: Any) -> bool:
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


def equals(wanted: Any) -> Test:
    if isinstance(wanted, str):

        def is_text(value: Any) -> bool:
            return value == wanted or (isinstance(value, list | tuple) and wanted in value)

        return is_text

    def equal(value: Any) -> bool:
        if _same(value, wanted):
            return True
        return isinstance(value, list | tuple) and any(_same(element, wanted) for element in value)

    return equal


def is_in(wanted: Sequence[Any]) -> Test:
    keys = {_scalar_key(value) for value in wanted}

    def member(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(not isinstance(v, list | tuple | dict) and _scalar_key(v) in keys for v in value)
        return not isinstance(value, dict) and _scalar_key(value) in keys

    return member


def in_spans(spans: Sequence[tuple[Millis, Millis] | None]) -> Test:
    missing = None in spans
    bounds = [span for span in spans if span is not None]

    def inside(value: Any) -> bool:
        if value is None:
            return missing
        return any(start <= value < end for start, end in bounds)

    return inside


def contains(wanted: Any, *, fold: bool) -> Test:
    if not isinstance(wanted, str):
        equal = equals(wanted)
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


def compares(name: str, bound: Any) -> Test:
    comparable: Test = is_number if is_number(bound) else lambda value: isinstance(value, str)
    if name == "gt":
        return lambda value: comparable(value) and value > bound
    if name == "gte":
        return lambda value: comparable(value) and value >= bound
    if name == "lt":
        return lambda value: comparable(value) and value < bound
    return lambda value: comparable(value) and value <= bound
