"""What an owner keeps of a subject: put, replaced, removed, and found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from cluster.analysis import search_terms
from cluster.model import Memory, Message
from cluster.retrieval import hot_subject
from cluster.retrieval.hot_subject import HotSubject, Ranked, RankSpec
from cluster.retrieval.unit_text import embedding_text

D = 32
NOW = 1_000_000


def vector_of(text: str) -> NDArray[np.float32]:
    """A direction that depends on the text alone."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    row = np.random.default_rng(seed).normal(size=D).astype(np.float32)
    return row / np.linalg.norm(row)


def message(number: int, content: str, **fields: Any) -> Message:
    given = {"session": "s", "role": "user", "event_time": number, "created_at": number, "tokens": 1}
    return Message(id=f"message-{number:04d}", content=content, **{**given, **fields})


def memory(number: int, text: str, **fields: Any) -> Memory:
    given = {"kind": "fact", "created_at": number, "updated_at": number}
    return Memory(id=f"memory-{number:04d}", text=text, **{**given, **fields})


def hot_with(*units: Memory | Message, embedded: bool = True) -> HotSubject:
    hot = HotSubject(D)
    put(hot, units, embedded=embedded)
    return hot


def put(hot: HotSubject, units: Sequence[Memory | Message], *, embedded: bool = True) -> None:
    for unit in units:
        vector = vector_of(embedding_text(unit)) if embedded else None
        if isinstance(unit, Memory):
            hot.put_memory(unit, vector)
        else:
            hot.put_message(unit, vector)


def search(hot: HotSubject, query: str, *, vector: bool = True, **spec: Any) -> list[Ranked]:
    return hot.search(RankSpec(**spec), search_terms(query), vector_of(query) if vector else None, NOW)


def ids(results: Sequence[Ranked]) -> list[str]:
    return [result.id for result in results]


# --- what it finds ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
def test_finds_in_both_languages(strategy: str) -> None:
    hot = hot_with(
        message(1, "我叫张三，我喜欢打羽毛球"),
        message(2, "今天天气不错"),
        memory(3, "Li Lei lives in Hangzhou"),
    )
    queries = {"今天天气不错": "message-0002", "Li Lei lives in Hangzhou": "memory-0003"}
    if strategy == "full_text":
        queries = {
            "羽毛球": "message-0001",
            "谁喜欢羽毛球": "message-0001",
            "Who lived in Hangzhou?": "memory-0003",
        }
    for query, expected in queries.items():
        assert search(hot, query, strategy=strategy)[0].id == expected


def test_words_alone_find_only_what_has_one_of_them() -> None:
    hot = hot_with(message(1, "green tea"), message(2, "black coffee"))
    assert ids(search(hot, "tea", strategy="full_text")) == ["message-0001"]
    assert search(hot, "water", strategy="full_text") == []


def test_a_unit_is_found_by_its_words_before_it_has_a_vector_and_by_both_after() -> None:
    hot = hot_with(*(message(number, f"filler number {number}") for number in range(5)))
    put(hot, [message(9, "the passport is in the blue drawer", session="t")], embedded=False)
    assert search(hot, "Where is the passport?")[0].id == "message-0009"
    assert hot.missing_vectors() == [("message-0009", "the passport is in the blue drawer")]
    assert hot.needs_vector("message-0009")
    hot.set_vector("message-0009", vector_of("where my papers are"))
    assert hot.missing_vectors() == []
    assert search(hot, "where my papers are", strategy="vector")[0].id == "message-0009"


@pytest.mark.parametrize("strategy", ["vector", "hybrid", "full_text"])
def test_without_a_query_vector_every_strategy_goes_by_words(strategy: str) -> None:
    hot = hot_with(message(1, "green tea"), message(2, "coffee", session="t"))
    assert ids(search(hot, "tea", vector=False, strategy=strategy)) == ["message-0001"]


def test_an_empty_subject_and_an_empty_query_find_nothing() -> None:
    assert search(HotSubject(D), "tea") == []
    assert HotSubject(D).search(RankSpec(limit=500), [], None, NOW) == []
    assert hot_with(message(1, "tea")).search(RankSpec(limit=500), [], None, NOW) == []


# --- context ------------------------------------------------------------------------------------


def test_an_answer_is_found_by_the_question_before_it() -> None:
    talk = [f"small talk about the weather, part {number}" for number in range(20)]
    talk[7] = "Which city did your sister move to?"
    talk[8] = "Lisbon, last year!"
    hot = hot_with(*(message(number, text) for number, text in enumerate(talk)), embedded=False)
    found = search(hot, "Where did the sister move to?", vector=False)
    assert set(ids(found)[:2]) == {"message-0007", "message-0008"}


def test_a_session_that_is_about_it_comes_before_one_that_is_not() -> None:
    filler = [message(number, f"word{number}", session="b") for number in range(10, 20)]
    hot = hot_with(
        message(1, "we packed the tent", session="camping"),
        message(2, "one"),
        message(3, "camping trip, camping stove, camping site", session="camping", event_time=900),
        message(4, "the tent we packed", session="theatre"),
        *(message(number, f"other{number}", session="camping") for number in range(30, 34)),
        *(message(number, f"other{number}", session="theatre") for number in range(40, 44)),
        *filler,
        embedded=False,
    )
    ranked = ids(search(hot, "tent on the camping trip", vector=False))
    assert ranked.index("message-0001") < ranked.index("message-0004")


def test_the_speaker_whom_the_query_names_comes_first() -> None:
    hot = hot_with(
        message(1, "I adopted a puppy", name="Caroline", session="a"),
        message(2, "I adopted a puppy", name="Melanie", session="b"),
        message(3, "我领养了一只小狗", name="张曼婷", session="c"),
        message(4, "我领养了一只小狗", name="李小明", session="d"),
        embedded=False,
    )
    assert search(hot, "When did Melanie adopt a puppy?", vector=False)[0].id == "message-0002"
    assert search(hot, "When did Caroline adopt a puppy?", vector=False)[0].id == "message-0001"
    assert search(hot, "李小明的小狗", vector=False)[0].id == "message-0004"
    assert search(hot, "张曼婷的小狗", vector=False)[0].id == "message-0003"


def test_the_order_in_a_session_is_that_of_time_however_messages_arrive() -> None:
    talk = [message(number, f"line {number} about topic {number % 3}") for number in range(9)]
    forwards, backwards = hot_with(*talk), hot_with(*reversed(talk))
    for query in ("topic 1", "line 4", "about"):
        assert outcome(search(forwards, query)) == outcome(search(backwards, query))


def test_a_memory_stands_where_its_source_stood() -> None:
    talk = [message(number, f"chat{number}") for number in range(6)]
    talk[2] = message(2, "Which allergy do you have?")
    talk[3] = message(3, "Peanuts")
    near, far = (memory(n, "peanuts", sources=(f"message-000{n}",)) for n in (3, 5))
    for order in ((near, far), (far, near)):
        found = search(hot_with(*talk, *order), "allergy to peanuts", types=("memory",))
        assert ids(found) == ["memory-0003", "memory-0005"]
        assert found[0].parts["lexical_context"] > found[1].parts["lexical_context"]


# --- which units may be results -----------------------------------------------------------------


def test_a_message_is_dropped_below_the_memory_that_rests_on_it_and_kept_above_it() -> None:
    source, other = message(1, "tea tea tea, oolong"), message(2, "tea and much else besides, really")
    below = memory(3, "drinks tea", sources=("message-0001",))
    found = search(hot_with(source, other, below), "tea", strategy="full_text")
    assert ids(found) == ["message-0001", "memory-0003", "message-0002"]
    above = memory(3, "tea tea tea tea tea tea", sources=("message-0001", "message-0002"))
    found = search(hot_with(source, other, above), "tea", strategy="full_text")
    assert ids(found) == ["memory-0003"]
    assert found[0].sources == ("message-0001", "message-0002")
    assert found[0].kind == "memory"


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
def test_messages_of_the_same_text_are_one_result_that_names_them(strategy: str) -> None:
    copies = [message(n, "Green  tea, please") for n in range(300)]
    copies.append(message(300, "green tea, please"))
    hot = hot_with(*copies, message(900, "tea or coffee"))
    found = search(hot, "green tea", strategy=strategy, limit=2)
    assert [hot.message(each.id).content.lower().split()[0] for each in found] == ["green", "tea"]
    assert set(found[0].sources) <= {each.id for each in copies}
    assert len(found[0].sources) > 200
    assert ids(search(hot, "green tea", strategy=strategy, limit=1, offset=1)) == ["message-0900"]


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
def test_a_message_gives_its_place_to_the_memories_that_say_all_of_it(strategy: str) -> None:
    said = [message(n, "我对花生过敏", session=f"s{n}") for n in range(150)]
    more = message(900, "我对花生过敏，医生上周说的")
    others = [message(n, f"过敏的事 {n}", session=f"s{n}") for n in range(200, 204)]
    known = memory(1, "用户对花生过敏", sources=(*(each.id for each in said), more.id))
    query, spec = "我对花生过敏", {"strategy": strategy, "limit": 10}
    alone = search(hot_with(*said, more, *others), query, **spec)
    found = search(hot_with(*said, more, *others, known), query, **spec)
    assert alone[0].kind == "message"
    assert found[0].id == known.id
    assert found[0].score == pytest.approx(alone[0].score, abs=0.01), "it has the better score"
    assert found[0].sources[0] == alone[0].id, "the messages that were found come first"
    assert set(found[0].sources) == set(known.sources)
    assert not {each.id for each in found} & {each.id for each in said}
    assert ids(search(hot_with(*said, more, *others, known), query, strategy=strategy, limit=1)) == [known.id]
    assert ids(search(hot_with(*said, more, *others, known), query, types=("message",), **spec))[0] in {
        each.id for each in said
    }


def test_a_message_that_says_more_than_its_memories_keeps_its_place() -> None:
    both = message(1, "我喜欢科幻电影，推荐你看流浪地球")
    likes = memory(2, "用户喜欢科幻电影", sources=(both.id,))
    hot = hot_with(both, likes, message(3, "今天天气不错"))
    assert ids(search(hot, "推荐 科幻 电影 流浪", strategy="full_text"))[0] == both.id
    closed = memory(4, "用户推荐看流浪地球", sources=(both.id,), superseded_by="memory-0009")
    put(hot, [closed])
    assert ids(search(hot, "推荐 科幻 电影 流浪", strategy="full_text")) == [likes.id]
    hot.remove(closed.id)
    assert ids(search(hot, "推荐 科幻 电影 流浪", strategy="full_text"))[0] == both.id
    everything = memory(5, "用户喜欢科幻电影，推荐看流浪地球", sources=(both.id,))
    put(hot, [everything])
    assert both.id not in ids(search(hot, "推荐 科幻 电影 流浪", strategy="full_text"))
    put(hot, [msgspec.structs.replace(everything, sources=())])
    assert both.id in ids(search(hot, "推荐 科幻 电影 流浪", strategy="full_text"))


def test_few_are_the_first_of_many_where_copies_tie() -> None:
    best = message(999, "green tea")
    copies = [message(n, "black tea", session=f"s{n}") for n in range(300)]
    hot = hot_with(best, *copies)
    few, many = (search(hot, "green tea", strategy="vector", limit=limit) for limit in (2, 200))
    assert ids(few) == ids(many) == [best.id, "message-0299"]


def test_expired_superseded_and_ended_memories() -> None:
    hot = hot_with(
        memory(1, "tea", expires_at=NOW),
        memory(2, "tea", expires_at=NOW + 1),
        memory(3, "tea", superseded_by="memory-0002"),
        memory(4, "tea", valid_to=NOW),
        memory(5, "tea", valid_to=NOW + 1),
        memory(6, "tea", valid_to=0),
    )
    assert set(ids(search(hot, "tea"))) == {"memory-0002", "memory-0005"}
    everything = {"memory-0002", "memory-0003", "memory-0004", "memory-0005", "memory-0006"}
    assert set(ids(search(hot, "tea", latest_only=False))) == everything
    assert {unit.id for unit in hot.memories() if unit.is_current(NOW)} == {"memory-0002", "memory-0005"}


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, {"message-0001", "message-0002", "memory-0003", "memory-0004"}),
        ({"types": ("memory",)}, {"memory-0003", "memory-0004"}),
        ({"types": ("message",)}, {"message-0001", "message-0002"}),
        ({"kinds": ("event",)}, {"memory-0004"}),
        ({"kinds": ()}, set()),
        ({"session": "b"}, {"message-0002", "memory-0004"}),
        ({"session": "nowhere"}, set()),
        ({"labels": {"agent": "x"}}, {"message-0002", "memory-0003"}),
        ({"labels": {"agent": "x", "run": "1"}}, {"memory-0003"}),
        ({"labels": {"agent": "y"}}, set()),
        ({"predicate": lambda unit: unit.created_at >= 3}, {"memory-0003", "memory-0004"}),
        ({"predicate": lambda unit: isinstance(unit, Message), "session": "b"}, {"message-0002"}),
    ],
)
def test_conditions(strategy: str, conditions: dict[str, Any], expected: set[str]) -> None:
    hot = hot_with(
        message(1, "green tea", session="a", labels={"user": "u"}),
        message(2, "black tea", session="b", labels={"user": "u", "agent": "x"}),
        memory(3, "white tea", labels={"user": "u", "agent": "x", "run": "1"}),
        memory(4, "iced tea", kind="event", session="b"),
    )
    assert set(ids(search(hot, "tea", strategy=strategy, **conditions))) == expected


def test_a_selective_condition_finds_what_is_far_down() -> None:
    units = [message(number, f"tea number {number}", session=f"s{number % 50}") for number in range(1000)]
    hot = hot_with(*units, memory(5000, "coffee", metadata={"wanted": True}))
    found = search(hot, "tea", predicate=lambda unit: unit.metadata.get("wanted") is True)
    assert ids(found) == ["memory-5000"]


# --- scores and pages ---------------------------------------------------------------------------


def test_scores_are_comparable_between_queries() -> None:
    hot = hot_with(*(message(number, f"filler {number}", session=f"s{number}") for number in range(50)))
    put(hot, [message(99, "the passport is in the drawer", session="z")])
    for strategy in ("full_text", "hybrid", "vector"):
        good = search(hot, "the passport is in the drawer", strategy=strategy)[0]
        assert good.id == "message-0099"
        poor = search(hot, "the quarterly budget review", strategy=strategy)
        assert 0.75 < good.score <= 1
        assert all(result.score < 0.5 for result in poor)
        assert ids(search(hot, "the passport is in the drawer", strategy=strategy, threshold=0.5)) == [
            good.id
        ]
        assert search(hot, "the quarterly budget review", strategy=strategy, threshold=0.5) == []


def test_parts_add_up_to_the_score() -> None:
    hot = hot_with(*(message(number, f"tea {number} with Bob", name="Bob") for number in range(30)))
    for strategy in ("full_text", "vector", "hybrid"):
        for result in search(hot, "tea 7 Bob", strategy=strategy, limit=30):
            assert sum(result.parts.values()) == pytest.approx(result.score, abs=1e-5)
            assert 0 <= result.score <= 1


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
def test_pages_are_parts_of_one_order(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_subject, "POOL", 20)
    units: list[Memory | Message] = [
        message(number, f"tea {number % 7} of {number // 14}", session=f"s{number % 9}")
        for number in range(150)
    ]
    units += [memory(number, f"tea {number}", sources=(f"message-{number:04d}",)) for number in range(40)]
    hot = hot_with(*units)
    everything = ids(search(hot, "tea 3", strategy=strategy, limit=1000))
    pages: list[str] = []
    while page := ids(search(hot, "tea 3", strategy=strategy, limit=7, offset=len(pages))):
        pages += page
    assert pages == everything
    assert len(set(pages)) == len(pages) >= 80
    for limit in (1, 19, 20, 21, 60):
        assert ids(search(hot, "tea 3", strategy=strategy, limit=limit)) == everything[:limit]
    scores = [result.score for result in search(hot, "tea 3", strategy=strategy, limit=1000)]
    assert scores == sorted(scores, reverse=True)


def test_ties_go_to_the_newer_then_to_the_smaller_id() -> None:
    units = [memory(number, "tea", event_time=number // 2) for number in (4, 2, 5, 3)]
    expected = ["memory-0004", "memory-0005", "memory-0002", "memory-0003"]
    for order in (units, units[::-1]):
        for strategy in ("full_text", "vector", "hybrid"):
            assert ids(search(hot_with(*order), "tea", strategy=strategy)) == expected


# --- keeping ------------------------------------------------------------------------------------


def test_a_replaced_message_keeps_its_vector_unless_its_text_changed() -> None:
    hot = hot_with(message(1, "green tea"), message(2, "coffee"))
    hot.replace_message(message(1, "green tea", marks=("hint",)))
    assert hot.message("message-0001") == message(1, "green tea", marks=("hint",))
    assert not hot.needs_vector("message-0001")
    hot.put_message(message(1, "green tea", session="elsewhere"), None)
    assert not hot.needs_vector("message-0001")
    assert ids(search(hot, "tea", session="elsewhere", strategy="full_text")) == ["message-0001"]
    hot.put_message(message(1, "oolong"), None)
    assert hot.needs_vector("message-0001")
    assert search(hot, "green", strategy="full_text") == []
    assert ids(search(hot, "oolong", strategy="full_text")) == ["message-0001"]


def test_an_edited_memory_is_found_by_its_new_text_and_tags_only() -> None:
    hot = hot_with(memory(1, "likes tea", tags=("beverage",)))
    assert ids(search(hot, "beverage", strategy="full_text")) == ["memory-0001"]
    hot.put_memory(memory(1, "likes tea", tags=("drink",)), None)
    assert not hot.needs_vector("memory-0001")
    assert search(hot, "beverage", strategy="full_text") == []
    assert ids(search(hot, "drink", strategy="full_text")) == ["memory-0001"]


def test_what_was_removed_is_gone_everywhere() -> None:
    hot = hot_with(
        message(1, "a secret"), message(2, "tea"), memory(3, "the secret", sources=("message-0001",))
    )
    hot.remove("message-0001")
    hot.remove("memory-0003")
    hot.remove("memory-0003")
    hot.set_vector("memory-0003", vector_of("the secret"))
    assert len(hot) == 1
    assert hot.message("message-0001") is None
    assert hot.memory("memory-0003") is None
    assert [unit.id for unit in hot.messages()] == ["message-0002"]
    assert list(hot.memories()) == []
    for strategy in ("full_text", "vector", "hybrid"):
        assert "secret" not in "".join(ids(search(hot, "the secret", strategy=strategy)))
        assert set(ids(search(hot, "the secret", strategy=strategy))) <= {"message-0002"}


def test_a_message_is_no_memory() -> None:
    hot = hot_with(message(1, "tea"), memory(2, "tea"))
    assert hot.memory("message-0001") is None
    assert hot.message("memory-0002") is None
    assert hot.message("unknown") is None


def test_bytes_rise_with_what_is_put_and_fall_with_what_is_removed() -> None:
    hot = HotSubject(D)
    empty = hot.nbytes
    hot.put_messages((message(number, f"tea number {number}"), None) for number in range(2000))
    full = hot.nbytes
    assert full > empty + 2000 * 300
    for number in range(1900):
        hot.remove(f"message-{number:04d}")
    assert hot.nbytes < empty + (full - empty) / 5


class Kept(RuleBasedStateMachine):
    """After anything at all, a subject answers like one that was given the survivors only."""

    def __init__(self) -> None:
        super().__init__()
        self.hot = HotSubject(D)
        self.units: dict[str, Memory | Message] = {}
        self.vectors: dict[str, NDArray[np.float32]] = {}

    numbers = st.integers(0, 9)
    texts = st.sampled_from(["tea", "green tea", "我喜欢喝茶", "coffee with Bob", "a long walk in the park"])

    @rule(
        number=numbers,
        text=texts,
        session=st.sampled_from(["a", "b"]),
        time=st.integers(0, 3),
        name=st.sampled_from([None, "Bob", "Eve"]),
        embedded=st.booleans(),
    )
    def put_message(
        self, number: int, text: str, session: str, time: int, name: str | None, embedded: bool
    ) -> None:
        self._put(message(number, text, session=session, event_time=time, name=name), embedded)

    @rule(
        number=numbers,
        text=texts,
        source=numbers,
        ends=st.sampled_from([None, NOW, 2 * NOW]),
        embedded=st.booleans(),
    )
    def put_memory(self, number: int, text: str, source: int, ends: int | None, embedded: bool) -> None:
        self._put(memory(number, text, sources=(f"message-{source:04d}",), valid_to=ends), embedded)

    def _put(self, unit: Memory | Message, embedded: bool) -> None:
        old = self.units.get(unit.id)
        if old is not None and embedding_text(old) != embedding_text(unit):
            self.vectors.pop(unit.id, None)
        if embedded:
            self.vectors[unit.id] = vector_of(embedding_text(unit))
        self.units[unit.id] = unit
        put(self.hot, [unit], embedded=embedded)

    @rule(number=numbers, kind=st.sampled_from(["message", "memory"]))
    def remove(self, number: int, kind: str) -> None:
        unit_id = f"{kind}-{number:04d}"
        self.units.pop(unit_id, None)
        self.vectors.pop(unit_id, None)
        self.hot.remove(unit_id)

    @rule()
    def embed_what_is_missing(self) -> None:
        for unit_id, text in self.hot.missing_vectors():
            self.vectors[unit_id] = vector_of(text)
            self.hot.set_vector(unit_id, vector_of(text))

    @invariant()
    def holds_what_was_put(self) -> None:
        assert len(self.hot) == len(self.units)
        held = {unit.id: unit for unit in (*self.hot.memories(), *self.hot.messages())}
        assert held == self.units
        assert {
            unit_id for unit_id, _ in self.hot.missing_vectors()
        } == self.units.keys() - self.vectors.keys()

    @invariant()
    def answers_like_a_fresh_one(self) -> None:
        fresh = HotSubject(D)
        survivors = sorted(self.units.values(), key=lambda unit: unit.id, reverse=True)
        fresh.put_memories((u, self.vectors.get(u.id)) for u in survivors if isinstance(u, Memory))
        fresh.put_messages((u, self.vectors.get(u.id)) for u in survivors if isinstance(u, Message))
        for query in ("green tea with Bob", "喝茶"):
            for strategy in ("full_text", "vector", "hybrid"):
                found, expected = (
                    search(hot, query, strategy=strategy, limit=50) for hot in (self.hot, fresh)
                )
                assert outcome(found) == outcome(expected)


def outcome(results: Sequence[Ranked]) -> dict[str, dict[str, float]]:
    """Who was found, with which scores (sums in another order may differ in the last bit)."""
    return {
        result.id: {name: round(part, 4) for name, part in (*result.parts.items(), ("score", result.score))}
        for result in results
    }


TestKept = pytest.mark.usefixtures("compacts_early")(Kept.TestCase)
TestKept.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.fixture(scope="class")
def compacts_early() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hot_subject, "_MIN_DEAD", 2)
        yield


def test_specifications_can_be_narrowed() -> None:
    spec = msgspec.structs.replace(RankSpec(limit=3), predicate=lambda unit: unit.id == "memory-0001")
    hot = hot_with(memory(1, "tea"), memory(2, "tea"))
    assert ids(hot.search(spec, search_terms("tea"), None, NOW)) == ["memory-0001"]
