"""The filter DSL: each rule by example, then against a naive evaluator of the same grammar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.model import Memory, Message
from cluster.retrieval.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    Filter,
    parse_filter,
)
from memgrid.errors import InvalidInput

NEW_YEAR = 1_735_689_600_000  # 2025-01-01T00:00:00Z
DAY = 86_400_000


def a_memory(**fields: Any) -> Memory:
    return Memory(
        **{
            "id": "m1",
            "kind": "fact",
            "text": "张三 likes badminton（羽毛球）",
            "created_at": NEW_YEAR,
            "updated_at": NEW_YEAR + DAY,
            **fields,
        }
    )


def a_message(**fields: Any) -> Message:
    return Message(
        **{
            "id": "g1",
            "session": "s1",
            "role": "user",
            "content": "你好",
            "event_time": NEW_YEAR,
            "created_at": NEW_YEAR + DAY,
            "tokens": 2,
            **fields,
        }
    )


RICH = a_memory(
    topic="interest",
    subtopic="like",
    profile_type="interest_hobbies",
    tags=("sport", "球类"),
    category="hobby",
    labels={"user": "u1", "agent": "a1"},
    session="s1",
    source_type="manual",
    language="zh",
    event_time=NEW_YEAR - DAY,
    expires_at=NEW_YEAR + 365 * DAY,
    metadata={
        "tenant_id": "t1",
        "score": 3,
        "ratio": 0.5,
        "on": True,
        "none": None,
        "tags": ["a", "b"],
        "mixed": [1, "1", None],
        "a.b": "dotted",
        "键": {"嵌套": "值", "deep": {"n": 7}},
        "eq": "named like an operator",
        "shape": {"x": 1},
        "due": "2025-06-01",
        "*": "star key",
        "star": "*",
        "": "empty key",
    },
)
BARE = a_memory()
MESSAGE = a_message(
    name="Lei",
    labels={"user": "u1"},
    metadata={"category": "hobby", "tags": ["x"], "source_type": "document"},
)


@pytest.mark.parametrize(
    ("raw", "rich", "bare", "message"),
    [
        ({}, True, True, True),
        ({"user_id": "u1"}, True, False, True),
        ({"user_id": "u"}, False, False, False),
        ({"user_id": 1}, False, False, False),
        ({"user_id": "*"}, True, False, True),
        ({"user_id": {"eq": "*"}}, False, False, False),
        ({"user_id": None}, False, True, False),
        ({"user_id": {"ne": "u1"}}, False, True, False),
        ({"user_id": {"nin": ["u2", "u3"]}}, True, True, True),
        ({"user_id": ["u1", "u2"]}, True, False, True),
        ({"user_id": []}, False, False, False),
        ({"user_id": {"in": ["u1", None]}}, True, True, True),
        ({"agent_id": "a1", "app_id": None, "run_id": None}, True, False, False),
        ({"session_id": "s1"}, True, False, True),
        ({"kind": "fact"}, True, True, False),
        ({"kind": ["event", "profile"]}, False, False, False),
        ({"type": "memory"}, True, True, False),
        ({"type": {"ne": "memory"}}, False, False, True),
        ({"topic": "interest", "subtopic": {"icontains": "LIK"}}, True, False, False),
        ({"profile_type": {"contains": "hobbies"}}, True, False, False),
        ({"category": "hobby"}, True, False, True),
        ({"categories": {"in": ["hobby", "work"]}}, True, False, True),
        ({"categories": {"contains": "hob"}}, True, False, True),
        ({"tags": "sport"}, True, False, False),
        ({"tags": ["球类", "x"]}, True, False, True),
        ({"tags": {"contains": "spo"}}, True, False, False),
        ({"tags": {"ne": "sport"}}, False, True, True),
        ({"tags": {"eq": ["sport", "球类"]}}, True, False, False),
        ({"tags": "*"}, True, False, True),
        ({"tags": {"gt": "a"}}, False, False, False),
        ({"text": {"icontains": "BADMINTON"}}, True, True, False),
        ({"text": {"contains": "BADMINTON"}}, False, False, False),
        ({"text": "你好"}, False, False, True),
        ({"keywords": "羽毛球"}, True, True, False),
        ({"keywords": ["绿茶", "Badminton"]}, True, True, False),
        ({"keywords": {"contains": "Badminton"}}, False, False, False),
        ({"keywords": {"icontains": "Badminton"}}, True, True, False),
        ({"role": "user", "name": "Lei"}, False, False, True),
        ({"source_type": "manual"}, True, False, False),
        ({"source_type": "document"}, False, False, True),
        ({"source_type": "conversation"}, False, True, False),
        ({"language": "zh"}, True, False, False),
        ({"ids": ["m1", "m2"]}, True, True, False),
        ({"ids": "g1"}, False, False, True),
        ({"memory_ids": ["m1", "g1"]}, True, True, False),
        # dates
        ({"created_at": NEW_YEAR}, True, True, False),
        ({"created_at": NEW_YEAR / 1000}, True, True, False),
        ({"created_at": "2025-01-01"}, True, True, False),
        ({"created_at": "2025-01-01T08:00:00+08:00"}, True, True, False),
        ({"created_at": {"gt": "2025-01-01"}}, False, False, True),
        ({"created_at": {"lte": "2025-01-01"}}, True, True, False),
        ({"created_at": {"gte": "2025-01-01", "lt": "2025-01-02"}}, True, True, False),
        ({"created_at": {"gt": "2025-01-01T00:00:00Z"}}, False, False, True),
        ({"created_at": {"gte": "2025-01-01T00:00:00"}}, True, True, True),
        ({"created_at": {"ne": "2025-01-01"}}, False, False, True),
        ({"created_at": ["2024-01-01", "2025-01-02"]}, False, False, True),
        ({"updated_at": "2025-01-02"}, True, True, True),
        ({"timestamp": {"lt": "2025-01-01"}}, True, False, False),
        ({"timestamp": "2025-01-01"}, False, True, True),
        ({"event_time": "2024-12-31"}, True, False, False),
        ({"event_time": "*"}, True, False, True),
        ({"event_time": None}, False, True, False),
        ({"expires_at": {"gt": 0}}, True, False, False),
        ({"expiration_date": {"nin": ["2026-01-01", None]}}, False, False, False),
        ({"expires_at": None}, False, True, True),
        # metadata
        ({"metadata": {}}, True, True, True),
        ({"metadata": {"tenant_id": "t1"}}, True, False, False),
        ({"metadata": {"score": 3.0}}, True, False, False),
        ({"metadata": {"score": "3"}}, False, False, False),
        ({"metadata": {"score": {"gt": 2, "lte": 3}}}, True, False, False),
        ({"metadata": {"score": {"gt": "2"}}}, False, False, False),
        ({"metadata": {"score": {"$gte": 3}}}, True, False, False),
        ({"metadata": {"on": True}}, True, False, False),
        ({"metadata": {"on": 1}}, False, False, False),
        ({"metadata": {"on": {"gt": 0}}}, False, False, False),
        ({"metadata": {"on": {"in": [1, "true"]}}}, False, False, False),
        ({"metadata": {"none": None}}, True, True, True),
        ({"metadata": {"none": "*"}}, False, False, False),
        ({"metadata": {"tags": "a"}}, True, False, False),
        ({"metadata": {"tags": {"contains": "b"}}}, True, False, False),
        ({"metadata": {"mixed": {"contains": 1}}}, True, False, False),
        ({"metadata": {"mixed": {"contains": True}}}, False, False, False),
        ({"metadata": {"mixed": None}}, True, True, True),
        ({"metadata": {"a.b": "dotted"}}, True, False, False),
        ({"metadata.a.b": "dotted"}, False, False, False),
        ({"metadata": {"键": {"嵌套": "值"}}}, True, False, False),
        ({"metadata.键.嵌套": "值"}, True, False, False),
        ({"metadata.键.deep.n": {"gte": 7}}, True, False, False),
        ({"metadata": {"键": {"嵌套": "值", "deep": {"n": {"lt": 7}}}}}, False, False, False),
        ({"metadata": {"eq": {"contains": "operator"}}}, True, False, False),
        ({"metadata.eq": "named like an operator"}, True, False, False),
        ({"metadata": {"shape": {"eq": {"x": 1}}}}, True, False, False),
        ({"metadata": {"shape": {"eq": {"x": True}}}}, False, False, False),
        ({"metadata": {"tenant_id": {"deeper": 1}}}, False, False, False),
        ({"metadata": {"due": {"gt": "2025-05-31"}}}, True, False, False),
        ({"metadata": {"*": "star key"}}, True, False, False),
        ({"metadata": {"star": {"eq": "*"}}}, True, False, False),
        ({"metadata": {"": "empty key"}}, True, False, False),
        ({"metadata": {"missing": {"ne": 1}}}, True, True, True),
        # combinations
        ({"AND": []}, True, True, True),
        ({"AND": [{"user_id": "u1"}, {"kind": "fact"}]}, True, False, False),
        ({"OR": [{"role": "user"}, {"topic": "interest"}]}, True, False, True),
        ({"OR": [{}, {"user_id": "nobody"}]}, True, True, True),
        ({"NOT": {"user_id": "u1"}}, False, True, False),
        ({"NOT": [{"user_id": "u2"}, {"topic": "interest"}]}, False, True, True),
        ({"NOT": {"user_id": "u1", "kind": "fact"}}, False, True, True),
        ({"NOT": {}}, False, False, False),
        ({"NOT": []}, True, True, True),
        ({"NOT": {"NOT": {"user_id": "u1"}}}, True, False, True),
        ({"user_id": "u1", "OR": [{"kind": "fact"}], "NOT": {"role": "user"}}, True, False, False),
        ({"AND": [{"OR": [{"AND": [{"tags": "sport"}]}, {"name": "Lei"}]}]}, True, False, True),
    ],
)
def test_examples(raw: dict[str, Any], rich: bool, bare: bool, message: bool) -> None:
    parsed = parse_filter(raw)
    assert (parsed.matches(RICH), parsed.matches(BARE), parsed.matches(MESSAGE)) == (rich, bare, message)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], "filters"),
        ("user_id", "filters"),
        ({1: "x"}, "filters"),
        ({"user": "u1"}, "filters.user"),
        ({"and": []}, "filters.and"),
        ({"metadata.": 1}, "filters.metadata."),
        ({"metadata.a..b": 1}, "filters.metadata.a..b"),
        ({"metadata": 3}, "filters.metadata"),
        ({"metadata": {"a": {"$near": 1}}}, "filters.metadata.a.$near"),
        ({"metadata": {"a": {"gt": 1, "foo": 2}}}, "filters.metadata.a.foo"),
        ({"metadata": {"a": {}}}, "filters.metadata.a"),
        ({"metadata.a": {"foo": 2}}, "filters.metadata.a.foo"),
        ({"user_id": {"like": "u%"}}, "filters.user_id.like"),
        ({"user_id": {}}, "filters.user_id"),
        ({"user_id": {"in": "u1"}}, "filters.user_id.in"),
        ({"user_id": {"in": [["u1"]]}}, "filters.user_id.in.0"),
        ({"user_id": {"contains": ["u"]}}, "filters.user_id.contains"),
        ({"user_id": {"gt": None}}, "filters.user_id.gt"),
        ({"user_id": {"gt": True}}, "filters.user_id.gt"),
        ({"kind": "facts"}, "filters.kind"),
        ({"kind": ["fact", "facts"]}, "filters.kind.1"),
        ({"type": "blob"}, "filters.type"),
        ({"AND": {"user_id": "u1"}}, "filters.AND"),
        ({"OR": []}, "filters.OR"),
        ({"NOT": "x"}, "filters.NOT"),
        ({"AND": [{"OR": [{"kind": "fact"}, {"nope": 1}]}]}, "filters.AND.0.OR.1.nope"),
        ({"AND": [3]}, "filters.AND.0"),
        ({"created_at": {"contains": "2025"}}, "filters.created_at.contains"),
        ({"created_at": "yesterday"}, "filters.created_at"),
        ({"created_at": "2025-02-30"}, "filters.created_at"),
        ({"created_at": {"gte": "0001-01-01T00:00:00+14:00"}}, "filters.created_at.gte"),
        ({"created_at": {"lt": 1e300}}, "filters.created_at.lt"),
        ({"created_at": {"lt": float("nan")}}, "filters.created_at.lt"),
        ({"created_at": {"lt": 10**400}}, "filters.created_at.lt"),
        ({"created_at": {"lt": -99_999_999_999}}, "filters.created_at.lt"),
        ({"created_at": True}, "filters.created_at"),
        ({"created_at": {"gt": None}}, "filters.created_at.gt"),
        ({"created_at": ["2025-01-01", "no"]}, "filters.created_at.1"),
        ({"topic": "\ud800"}, "filters.topic"),
        ({"topic": "x" * (MAX_TEXT + 1)}, "filters.topic"),
        ({"memory_ids": ["x"] * (MAX_VALUES + 1)}, "filters.memory_ids"),
        ({"metadata": {"a": {"eq": [[0] * MAX_VALUES, 1]}}}, "filters.metadata.a.eq.0"),
    ],
)
def test_mistakes_are_named(raw: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_filter(raw)
    assert caught.value.field == field
    assert caught.value.remedy


def nested(levels: int, make: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {"user_id": "u1"}
    for _ in range(levels):
        raw = make(raw)
    return raw


@pytest.mark.parametrize("make", [lambda f: {"NOT": f}, lambda f: {"AND": [f]}, lambda f: {"OR": [f]}])
def test_depth_is_limited(make: Any) -> None:
    negations = MAX_DEPTH - 1 if "NOT" in make({}) else 0
    assert parse_filter(nested(MAX_DEPTH - 1, make)).matches(RICH) is (negations % 2 == 0)
    with pytest.raises(InvalidInput, match="deep"):
        parse_filter(nested(MAX_DEPTH, make))


def test_hostile_depth_does_not_overflow_the_stack() -> None:
    with pytest.raises(InvalidInput, match="deep"):
        parse_filter(nested(100_000, lambda f: {"AND": [f]}))
    metadata: Any = 1
    for _ in range(100_000):
        metadata = {"a": metadata}
    with pytest.raises(InvalidInput, match="deep"):
        parse_filter({"metadata": metadata})
    with pytest.raises(InvalidInput, match="deep"):
        parse_filter({"metadata": {"a": {"eq": metadata}}})
    with pytest.raises(InvalidInput, match="deep"):
        parse_filter({"metadata." + ".".join("a" * 100): 1})


def test_the_number_of_conditions_is_limited() -> None:
    parse_filter({"OR": [{"user_id": "u"}] * MAX_CONDITIONS})
    with pytest.raises(InvalidInput, match="conditions"):
        parse_filter({"OR": [{"user_id": "u"}] * (MAX_CONDITIONS + 1)})


@pytest.mark.parametrize(
    ("raw", "labels", "session"),
    [
        ({}, {}, None),
        ({"user_id": "u1"}, {"user": "u1"}, None),
        ({"user_id": {"eq": "u1"}, "session_id": "s"}, {"user": "u1"}, "s"),
        ({"user_id": {"eq": "*"}}, {"user": "*"}, None),
        ({"user_id": "*"}, {}, None),
        ({"user_id": ["u1"]}, {"user": "u1"}, None),
        ({"user_id": ["u1", "u1"]}, {"user": "u1"}, None),
        ({"user_id": ["u1", "u2"]}, {}, None),
        ({"user_id": ["u1", None]}, {}, None),
        ({"user_id": {"ne": "u1"}}, {}, None),
        ({"user_id": None}, {}, None),
        ({"AND": [{"user_id": "u1"}, {"AND": [{"agent_id": "a"}]}]}, {"user": "u1", "agent": "a"}, None),
        ({"OR": [{"user_id": "u1"}]}, {}, None),
        ({"NOT": {"user_id": "u1"}}, {}, None),
        ({"AND": [{"NOT": {"AND": [{"user_id": "u1"}]}}]}, {}, None),
        ({"app_id": "p", "run_id": "r"}, {"app": "p", "run": "r"}, None),
    ],
)
def test_labels_that_every_match_carries(
    raw: dict[str, Any], labels: dict[str, str], session: str | None
) -> None:
    parsed = parse_filter(raw)
    assert parsed.labels == labels
    assert parsed.session == session
    assert parsed.matches_all is (raw == {})


# --- against a naive evaluator ----------------------------------------------------------------


def typed(value: Any) -> Any:
    """JSON equality as Python equality: true is not 1, a tuple is a list."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return ("list", [typed(v) for v in value])
    if isinstance(value, dict):
        return ("dict", sorted((k, typed(v)) for k, v in value.items()))
    return value


def elements(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def naive_operator(name: str, value: Any, operand: Any) -> bool:
    if name == "ne":
        return not naive_operator("eq", value, operand)
    if name == "nin":
        return not naive_operator("in", value, operand)
    if name == "eq":
        return typed(value) == typed(operand) or any(typed(e) == typed(operand) for e in elements(value))
    if name == "in":
        candidates = elements(value) if isinstance(value, list | tuple) else [value]
        return any(typed(c) == typed(o) for c in candidates for o in operand)
    if name in ("contains", "icontains"):
        if not isinstance(operand, str):
            return any(typed(e) == typed(operand) for e in elements(value))
        texts = [value, *elements(value)]
        fold = str.casefold if name == "icontains" else str
        return any(fold(operand) in fold(t) for t in texts if isinstance(t, str))
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, operand))
    if not numbers and not (isinstance(value, str) and isinstance(operand, str)):
        return False
    return {
        "gt": value > operand,
        "gte": value >= operand,
        "lt": value < operand,
        "lte": value <= operand,
    }[name]


def naive_value(unit: Memory | Message, key: str) -> Any:
    kind = {"user_id": "user", "agent_id": "agent"}.get(key)
    if kind:
        return unit.labels.get(kind)
    if key == "session_id":
        return unit.session
    if key == "tags":
        return getattr(unit, "tags", ()) or unit.metadata.get("tags")
    return getattr(unit, key, None)


def naive_condition(value: Any, condition: Any) -> bool:
    if condition == "*":
        return value is not None and value not in ([], ())
    if isinstance(condition, list):
        return naive_operator("in", value, condition)
    if isinstance(condition, dict):
        return all(naive_operator(name, value, operand) for name, operand in condition.items())
    return naive_operator("eq", value, condition)


def naive(raw: dict[str, Any], unit: Memory | Message) -> bool:
    def holds(key: str, value: Any) -> bool:
        if key == "AND":
            return all(naive(f, unit) for f in value)
        if key == "OR":
            return any(naive(f, unit) for f in value)
        if key == "NOT":
            return not any(naive(f, unit) for f in ([value] if isinstance(value, dict) else value))
        if key == "created_at":
            return naive_condition(unit.created_at, value)
        if key == "metadata":
            return all(naive_condition(unit.metadata.get(k), v) for k, v in value.items())
        return naive_condition(naive_value(unit, key), value)

    return all(holds(key, value) for key, value in raw.items())


words = st.sampled_from(["u1", "u2", "a", "A", "羽毛球", "Straße", "STRASSE", "1", "", "eq"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5]), words)
json_values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(words, scalars, max_size=2))
bounds = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1.0]), words)
instants = st.integers(NEW_YEAR - 2, NEW_YEAR + 2)


def operator_objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    operands: dict[str, st.SearchStrategy[Any]] = {
        "eq": values,
        "ne": values,
        "in": st.lists(scalars, max_size=3),
        "nin": st.lists(scalars, max_size=3),
        "contains": scalars,
        "icontains": scalars,
        "gt": bounds,
        "gte": bounds,
        "lt": bounds,
        "lte": bounds,
    }
    return st.lists(st.sampled_from(sorted(operands)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: operands[name] for name in names})
    )


conditions = st.one_of(scalars, st.just("*"), st.lists(scalars, max_size=3), operator_objects(json_values))
date_conditions = st.one_of(
    instants,
    st.lists(instants, min_size=1, max_size=2),
    st.sampled_from(["gt", "gte", "lt", "lte", "eq", "ne"]).flatmap(
        lambda name: st.fixed_dictionaries({name: instants})
    ),
)
metadata_keys = st.sampled_from(["k", "键", "a.b", "OR", "metadata", "gt", "user_id", ""])
fields = st.fixed_dictionaries(
    {},
    optional={
        "user_id": conditions,
        "agent_id": conditions,
        "session_id": conditions,
        "topic": conditions,
        "tags": conditions,
        "created_at": date_conditions,
        "metadata": st.dictionaries(metadata_keys, conditions, max_size=2),
    },
)
filters = st.recursive(
    fields,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "AND": st.lists(inner, max_size=3),
            "OR": st.lists(inner, min_size=1, max_size=3),
            "NOT": st.one_of(inner, st.lists(inner, max_size=2)),
            "user_id": conditions,
        },
    ),
    max_leaves=6,
)
memories = st.builds(
    a_memory,
    labels=st.dictionaries(st.sampled_from(["user", "agent"]), words),
    session=st.none() | words,
    topic=st.none() | words,
    tags=st.lists(words, max_size=2).map(tuple),
    created_at=instants,
    metadata=st.dictionaries(metadata_keys, json_values, max_size=3),
)
messages = st.builds(
    a_message,
    labels=st.dictionaries(st.sampled_from(["user", "agent"]), words),
    session=words,
    created_at=instants,
    metadata=st.dictionaries(metadata_keys, json_values, max_size=3),
)


@settings(max_examples=400, deadline=None)
@given(filters, st.lists(memories | messages, min_size=1, max_size=4))
def test_agrees_with_the_naive_evaluator(raw: dict[str, Any], units: list[Memory | Message]) -> None:
    parsed = parse_filter(raw)
    for unit in units:
        assert parsed.matches(unit) is naive(raw, unit), (raw, unit)


@settings(max_examples=200, deadline=None)
@given(filters, memories)
def test_pinned_labels_are_carried_by_every_match(raw: dict[str, Any], unit: Memory) -> None:
    parsed = parse_filter(raw)
    if parsed.matches(unit):
        assert all(unit.labels.get(kind) == value for kind, value in parsed.labels.items())
        assert parsed.session in (None, unit.session)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["AND", "OR", "NOT", "metadata", "metadata.x", "created_at", "kind", "gt", "in", "eq", "?"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(anything, memories)
def test_any_json_parses_or_is_refused(raw: Any, unit: Memory) -> None:
    refusal: InvalidInput | None = None
    parsed: Filter | None = None
    try:
        parsed = parse_filter(raw)
    except InvalidInput as error:
        refusal = error
    if parsed is not None:
        assert parsed.matches(unit) in (True, False)
    else:
        assert refusal is not None
        assert (refusal.field or "").startswith("filters")
        assert refusal.remedy


@settings(max_examples=100, deadline=None)
@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30)), st.integers(-1, 1))
def test_dates_written_differently_are_the_same(moment: datetime, offset: int) -> None:
    aware = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    millis = round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    unit = a_memory(created_at=millis + offset)
    for written in (aware.isoformat(), aware.replace(tzinfo=None).isoformat("T", "milliseconds")):
        assert parse_filter({"created_at": written}).matches(unit) is (offset == 0)
        assert parse_filter({"created_at": {"lt": written}}).matches(unit) is (offset < 0)
        assert parse_filter({"created_at": {"gte": written}}).matches(unit) is (offset >= 0)
