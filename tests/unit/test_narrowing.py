"""What an index looks up of a filter never leaves out what the filter lets through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.model import Memory
from cluster.retrieval.filter_fields import FIELDS
from cluster.retrieval.filters import parse_filter
from cluster.search_index.narrowing import (
    ATTRIBUTES,
    MAX_VALUES,
    Between,
    Every,
    Narrow,
    Pair,
    Words,
    narrow,
    words_of,
)
from memgrid.errors import InvalidInput


def memory(**fields: Any) -> Memory:
    return Memory(**{"id": "m", "kind": "fact", "text": "t", "created_at": 0, "updated_at": 0, **fields})


def words(unit: Memory) -> Words:
    attributes = {key: value for key in ATTRIBUTES if (value := FIELDS[key](unit)) is not None}
    return words_of(attributes, unit.metadata)


def holds(wanted: Narrow | None, found: Words) -> bool:
    """As an index evaluates it."""
    if wanted is None or found.cut:
        return True
    if isinstance(wanted, Pair):
        return wanted.word in found.pairs
    if isinstance(wanted, Between):
        return any(wanted.low <= number <= wanted.high for number in found.numbers)
    each = [holds(part, found) for part in wanted.parts]
    return all(each) if isinstance(wanted, Every) else any(each)


@pytest.mark.parametrize(
    ("filters", "metadata", "passes"),
    [
        ({"metadata": {"shop": {"city": "杭州"}}}, {"shop": {"city": "杭州"}}, True),
        ({"metadata": {"shop": {"city": "杭州"}}}, {"shop": {"city": "苏州"}}, False),
        ({"metadata.shop.city": "杭州"}, {"shop": {"city": "杭州"}}, True),
        ({"metadata.shop.city": "杭州"}, {"shop.city": "杭州"}, False),
        ({"metadata": {"shop.city": "杭州"}}, {"shop.city": "杭州"}, True),
        ({"metadata.n": 1}, {"n": 1.0}, True),
        ({"metadata.n": 1}, {"n": True}, False),
        ({"metadata.n": 1}, {"n": "1"}, False),
        ({"metadata.tags": "red"}, {"tags": ["blue", "red"]}, True),
        ({"metadata.tags": ["red", "green"]}, {"tags": ["blue"]}, False),
        ({"metadata.n": {"gt": 2, "lte": 10}}, {"n": 10}, True),
        ({"metadata.n": {"gte": 2}}, {"n": -3}, False),
        ({"metadata.n": {"lt": -2.5}}, {"n": -3}, True),
        ({"metadata.n": {"lt": -2.5}}, {"n": -2}, False),
        ({"metadata.n": {"gte": 9}}, {"n": 10}, True),
        ({"metadata.n": {"$gte": 9}}, {"n": 8}, False),
        ({"kind": "fact"}, {}, True),
        ({"kind": ["event", "profile"]}, {}, False),
        ({"categories": "food"}, {"category": "food"}, True),
        ({"OR": [{"metadata.a": 1}, {"metadata.b": 2}]}, {"b": 2}, True),
        ({"OR": [{"metadata.a": 1}, {"metadata.b": 2}]}, {"b": 3}, False),
        ({"AND": [{"metadata.a": 1}, {"metadata.b": 2}]}, {"a": 1}, False),
        ({"OR": [{"metadata.a": 1}, {"NOT": {"metadata.b": 2}}]}, {"b": 3}, True),
        ({"metadata.a": None}, {}, True),
        ({"metadata.a": "*"}, {"a": "x"}, True),
        ({"metadata.n": 0}, {"n": -0.0}, True),
        ({"metadata.n": {"gte": 0}}, {"n": -0.0}, True),
        ({"metadata.a": {"icontains": "x"}}, {}, True),  # not looked up: the owner refuses it
        ({"metadata.a": [1, None]}, {"b": 1}, True),
    ],
)
def test_what_is_looked_up(filters: dict[str, Any], metadata: dict[str, Any], passes: bool) -> None:
    assert holds(narrow(filters), words(memory(metadata=metadata))) == passes


KEYS = st.sampled_from(["a", "b", "a.b", "eq", "$eq", "gt", "metadata", "键"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, -1e300, 2**80, -(2**80), 10**400]),
    st.sampled_from(["", "x", "杭州", "*", "1", "true"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
TESTS = st.one_of(
    VALUES,
    st.dictionaries(
        st.sampled_from(["eq", "ne", "in", "nin", "gt", "$gte", "lt", "lte", "contains"]), VALUES, max_size=2
    ),
)
NAMES = st.sampled_from(["metadata.a", "metadata.b", "metadata.a.b", "kind", "tags", "category", "topic"])
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.dictionaries(NAMES, TESTS, min_size=1, max_size=2),
        st.fixed_dictionaries({"metadata": st.dictionaries(KEYS, TESTS, min_size=1, max_size=2)}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"AND": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"OR": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"NOT": inner}),
    ),
    max_leaves=4,
)


@settings(max_examples=600, deadline=None)
@given(
    FILTERS,
    st.lists(st.dictionaries(KEYS, VALUES, max_size=3), min_size=1, max_size=4),
    st.sampled_from([("x", "杭州"), (), ("a",)]),
)
def test_whatever_passes_the_filter_is_let_through(
    filters: dict[str, Any], metadatas: list[dict[str, Any]], tags: tuple[str, ...]
) -> None:
    wanted = narrow(filters)  # reads what nobody has checked yet, too
    try:
        parsed = parse_filter(filters)
    except InvalidInput:
        return
    for metadata in metadatas:
        unit = memory(metadata=metadata, tags=tags, topic="x")
        if parsed.matches(unit):
            assert holds(wanted, words(unit)), wanted


def test_a_document_with_too_many_values_passes_every_filter() -> None:
    found = words(memory(metadata={f"key{n}": n for n in range(5_000)}))
    assert found.cut
    assert len(found.pairs) == MAX_VALUES
    assert holds(narrow({"metadata.key4999": 4999}), found)


@pytest.mark.parametrize(
    "rubbish", [{"AND": 3}, {"OR": []}, {"metadata": 1}, {"metadata": {"a": {}}}, {1: 2}]
)
def test_a_filter_that_cannot_be_read_is_no_business_of_the_index(rubbish: Any) -> None:
    assert narrow(rubbish) is None or holds(narrow(rubbish), Words([], [], cut=True))
