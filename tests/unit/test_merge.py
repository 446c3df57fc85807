"""Merging: what is the same, what contradicts, what is older, what is too much."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.model import Memory, Message
from cluster.pipeline.known_index import KnownIndex, normalise
from cluster.pipeline.merge import MAX_SOURCES, Decisions, merge, verbatim
from cluster.pipeline.port import Candidate
from memgrid.subject import Subject
from tests.steps import lines_run

SUBJECT = Subject("t", "user", "u1")
NOW = 1_700_000_000_000


def candidate(text: str, *, source: str = "m1", at: int | None = None, **fields: Any) -> Candidate:
    return Candidate(kind="profile", text=text, sources=(source,), event_time=at, **fields)


def home(city: str, *, source: str, at: int) -> Candidate:
    return candidate(
        f"User lives in {city}",
        value=city,
        topic="contact_info",
        subtopic="residence",
        single_valued=True,
        source=source,
        at=at,
    )


def taste(verb: str, thing: str, *, source: str, at: int, negates: bool = False) -> Candidate:
    return candidate(
        f"User {'no longer ' if negates else ''}{verb}s {thing}",
        value=thing,
        topic="interest",
        subtopic=verb,
        negates=negates,
        source=source,
        at=at,
    )


class Store:
    """A subject's memories, to which decisions are applied as a commit would."""

    def __init__(self, *, max_memories: int = 1000) -> None:
        self.memories: dict[str, Memory] = {}
        self.max_memories = max_memories
        self.ids = (f"k{number:05}" for number in itertools.count())
        self.now = NOW

    def merge(self, *candidates: Candidate, **options: Any) -> Decisions:
        return self.apply(
            merge(
                candidates,
                self.memories.values(),
                subject=SUBJECT,
                labels={"agent": "a1"},
                session="s1",
                now=self.now,
                new_id=lambda: next(self.ids),
                max_memories=self.max_memories,
                **options,
            )
        )

    def apply(self, decisions: Decisions) -> Decisions:
        known = set(self.memories)
        assert set(decisions.delete) <= known
        assert not set(decisions.delete) & {memory.id for memory in decisions.put}
        for memory_id in decisions.delete:
            del self.memories[memory_id]
        for memory in decisions.put:
            self.memories[memory.id] = memory
        touched = {entry.memory_id for entry in decisions.entries}
        assert touched == {memory.id for memory in decisions.put} | set(decisions.delete)
        self.now += 1000
        return decisions

    def edit(self, memory_id: str, **fields: Any) -> None:
        self.memories[memory_id] = msgspec.structs.replace(self.memories[memory_id], **fields)

    def current(self) -> list[str]:
        return sorted(m.text for m in self.memories.values() if m.is_current(self.now))


def actions(decisions: Decisions) -> list[str]:
    return [decision.action for decision in decisions.decisions]


def events(decisions: Decisions) -> list[str]:
    return [entry.event for entry in decisions.entries]


# --- what a new memory is -------------------------------------------------------------------------


def test_a_new_claim_becomes_a_memory_with_all_it_says() -> None:
    store = Store()
    decisions = store.merge(
        home("Hangzhou", source="m1", at=500), said_at={"m1": 400}, metadata={"channel": "web"}
    )
    (memory,) = decisions.put
    assert memory.text == "User lives in Hangzhou"
    assert memory.labels == {"user": "u1", "agent": "a1"}
    assert (memory.session, memory.sources, memory.metadata) == ("s1", ("m1",), {"channel": "web"})
    assert (memory.created_at, memory.event_time, memory.valid_from) == (NOW, 500, 400)
    assert memory.attributes == {"value": "Hangzhou", "said_at": 400}
    assert actions(decisions) == ["ADD"]
    assert events(decisions) == ["ADD"]


# --- the same again -------------------------------------------------------------------------------


def test_a_thousand_repeats_leave_one_memory() -> None:
    store = Store()
    for number in range(1000):
        store.merge(taste("like", "tea", source=f"m{number:04}", at=number))
    (memory,) = store.memories.values()
    assert memory.attributes["evidence"] == 1000
    assert len(memory.sources) == MAX_SOURCES
    assert memory.sources[-1] == "m0999"
    assert memory.text == "User likes tea"


def test_a_thousand_repeats_in_one_batch_leave_one_memory() -> None:
    store = Store()
    decisions = store.merge(
        *(taste("like", "tea", source=f"m{number:04}", at=number) for number in range(1000))
    )
    assert len(decisions.put) == len(decisions.entries) == 1
    assert actions(decisions).count("UPDATE") == 999


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("User likes tea.", "user likes  TEA!"),
        ("用户喜欢打羽毛球", "用户喜欢打羽毛球。"),
        ("User likes ＴＥＡ", "User likes tea"),
    ],
)
def test_the_same_text_in_other_dress_is_the_same(first: str, again: str) -> None:
    store = Store()
    store.merge(candidate(first))
    decisions = store.merge(candidate(again, source="m2"))
    assert actions(decisions) == ["UPDATE"]
    assert [entry.event for entry in decisions.entries] == ["UPDATE"]
    (memory,) = store.memories.values()
    assert memory.text == first
    assert memory.sources == ("m1", "m2")


def test_the_same_slot_and_value_in_other_words_is_the_same() -> None:
    store = Store()
    store.merge(home("Hangzhou", source="m1", at=1))
    again = msgspec.structs.replace(home("hangzhou", source="m2", at=2), text="User's home is Hangzhou")
    assert actions(store.merge(again)) == ["UPDATE"]
    assert store.current() == ["User lives in Hangzhou"]


def test_c_and_c_plus_plus_are_two_things() -> None:
    store = Store()
    store.merge(*(taste("like", name, source=name, at=1) for name in ("C", "C++", "C#")))
    assert len(store.current()) == 3


def test_evidence_changes_neither_text_nor_confidence_downwards() -> None:
    store = Store()
    store.merge(candidate("User likes tea", confidence=0.9))
    store.merge(candidate("User likes tea", source="m2", confidence=0.4))
    (memory,) = store.memories.values()
    assert memory.confidence == 0.9


def test_what_came_from_the_same_message_is_not_counted_twice() -> None:
    store = Store()
    store.merge(candidate("User likes tea"))
    decisions = store.merge(candidate("User likes tea"))
    assert actions(decisions) == ["NONE"]
    assert (decisions.put, decisions.delete, decisions.entries) == ((), (), ())


# --- contradictions ---------------------------------------------------------------------------------


def test_another_value_of_a_single_valued_slot_supersedes() -> None:
    store = Store()
    store.merge(home("Beijing", source="m1", at=100))
    decisions = store.merge(home("Hangzhou", source="m2", at=200))
    assert actions(decisions) == ["SUPERSEDE"]
    assert sorted(events(decisions)) == ["ADD", "SUPERSEDE"]
    old, new = sorted(store.memories.values(), key=lambda memory: memory.id)
    assert (old.text, old.valid_to, old.superseded_by) == ("User lives in Beijing", 200, new.id)
    assert (new.valid_from, new.superseded_by) == (200, None)
    assert store.current() == ["User lives in Hangzhou"]


def test_several_values_of_another_slot_stand_side_by_side() -> None:
    store = Store()
    store.merge(taste("like", "tea", source="m1", at=1), taste("like", "coffee", source="m2", at=2))
    assert len(store.current()) == 2


def test_within_one_batch_too() -> None:
    store = Store()
    decisions = store.merge(home("Beijing", source="m1", at=100), home("Hangzhou", source="m2", at=200))
    assert actions(decisions) == ["ADD", "SUPERSEDE"]
    assert store.current() == ["User lives in Hangzhou"]


def test_back_to_an_earlier_value() -> None:
    store = Store()
    for number, city in enumerate(("Beijing", "Hangzhou", "Beijing")):
        store.merge(home(city, source=f"m{number}", at=100 * number))
    assert store.current() == ["User lives in Beijing"]
    assert len(store.memories) == 3


@pytest.mark.parametrize("options", [{}, {"said_at": {"m1": 200, "m2": 100}}])
def test_older_information_that_arrives_late_does_not_supersede(options: dict[str, Any]) -> None:
    store = Store()
    store.merge(home("Hangzhou", source="m1", at=200), **options)
    decisions = store.merge(home("Beijing", source="m2", at=100), **options)
    assert actions(decisions) == ["ADD"]
    assert store.current() == ["User lives in Hangzhou"]
    late = next(memory for memory in store.memories.values() if memory.text.endswith("Beijing"))
    assert (late.valid_from, late.valid_to) == (100, 200)
    assert late.superseded_by is not None


def test_a_memory_made_by_hand_is_dated_by_its_validity() -> None:
    memory = Memory(
        id="hand",
        kind="profile",
        text="lives in Rome",
        topic="contact_info",
        subtopic="residence",
        created_at=1,
        updated_at=1,
        valid_from=500,
    )
    store = Store()
    store.memories["hand"] = memory
    store.merge(home("Paris", source="m1", at=400))
    assert store.current() == ["lives in Rome"]
    store.merge(home("Oslo", source="m2", at=600))
    assert store.current() == ["User lives in Oslo"]


def test_what_was_said_later_about_an_earlier_time_supersedes() -> None:
    """ "I moved last year", said after "I live in Beijing": the validity is old, the information new."""
    store = Store()
    store.merge(home("Beijing", source="m1", at=1000))
    moved = msgspec.structs.replace(home("Hangzhou", source="m2", at=10), valid_from=10)
    store.merge(moved, said_at={"m1": 1000, "m2": 2000})
    assert store.current() == ["User lives in Hangzhou"]
    old = next(memory for memory in store.memories.values() if memory.superseded_by)
    assert old.valid_to is not None
    assert old.valid_from is not None
    assert old.valid_to >= old.valid_from


def test_liking_and_disliking_the_same_contradict() -> None:
    store = Store()
    store.merge(taste("like", "coffee", source="m1", at=1), taste("like", "tea", source="m2", at=2))
    decisions = store.merge(taste("dislike", "coffee", source="m3", at=3))
    assert actions(decisions) == ["SUPERSEDE"]
    assert store.current() == ["User dislikes coffee", "User likes tea"]
    store.merge(taste("like", "coffee", source="m4", at=4))
    assert store.current() == ["User likes coffee", "User likes tea"]


def test_a_denial_closes_what_it_denies() -> None:
    store = Store()
    store.merge(taste("like", "coffee", source="m1", at=1), taste("like", "tea", source="m2", at=2))
    decisions = store.merge(taste("like", "coffee", source="m3", at=3, negates=True))
    assert actions(decisions) == ["SUPERSEDE"]
    assert store.current() == ["User likes tea", "User no longer likes coffee"]
    closed = next(memory for memory in store.memories.values() if memory.text == "User likes coffee")
    assert closed.valid_to == 3
    assert closed.superseded_by is not None


def test_a_denial_without_a_value_closes_the_slot() -> None:
    store = Store()
    store.merge(home("Rome", source="m1", at=1))
    store.merge(
        candidate(
            "User has no home", topic="contact_info", subtopic="residence", negates=True, source="m2", at=2
        )
    )
    assert store.current() == ["User has no home"]
    store.merge(home("Oslo", source="m3", at=3))
    assert store.current() == ["User lives in Oslo"]


def test_a_denial_of_another_value_leaves_the_current_one() -> None:
    store = Store()
    store.merge(home("Rome", source="m1", at=1), home("Oslo", source="m2", at=2))
    store.merge(msgspec.structs.replace(home("Rome", source="m3", at=3), text="not Rome", negates=True))
    assert store.current() == ["User lives in Oslo", "not Rome"]


def test_a_denial_of_nothing_known_is_kept() -> None:
    store = Store()
    decisions = store.merge(taste("like", "coffee", source="m1", at=1, negates=True))
    assert actions(decisions) == ["ADD"]
    assert store.current() == ["User no longer likes coffee"]


def test_speakers_do_not_contradict_each_other() -> None:
    store = Store()
    for speaker, city in (("Ann", "Rome"), ("Bob", "Oslo")):
        store.merge(
            msgspec.structs.replace(home(city, source=speaker, at=1), attributes={"speaker": speaker})
        )
    assert len(store.current()) == 2


# --- variables --------------------------------------------------------------------------------------


def variable(name: str, value: str, *, source: str, at: int) -> Candidate:
    return Candidate(
        kind="variable", text=value, topic="variable", subtopic=name, sources=(source,), event_time=at
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_variable_has_the_value_said_last(late: bool) -> None:
    store = Store()
    claims = [variable("city", "北京", source="m1", at=1), variable("city", "杭州", source="m2", at=2)]
    for claim in claims[::-1] if late else claims:
        store.merge(claim)
    (only,) = store.memories.values()
    assert (only.kind, only.subtopic, only.text) == ("variable", "city", "杭州")


def test_a_variable_is_changed_in_place_and_its_history_says_so() -> None:
    store = Store()
    store.merge(variable("city", "北京", source="m1", at=1), variable("name", "张三", source="m1", at=1))
    decisions = store.merge(variable("city", "杭州", source="m2", at=2))
    assert [(e.event, e.old_text, e.new_text) for e in decisions.entries] == [("UPDATE", "北京", "杭州")]
    assert actions(store.merge(variable("city", "杭州", source="m2", at=2))) == ["NONE"]
    assert actions(store.merge(variable("city", "杭州", source="m3", at=3))) == ["UPDATE"]
    assert sorted(memory.text for memory in store.memories.values()) == ["张三", "杭州"]


def test_an_immutable_variable_stays() -> None:
    store = Store()
    store.merge(variable("city", "北京", source="m1", at=1))
    store.edit(next(iter(store.memories)), immutable=True)
    assert actions(store.merge(variable("city", "杭州", source="m2", at=2))) == ["NONE"]


# --- immutable --------------------------------------------------------------------------------------


def test_an_immutable_memory_is_never_changed() -> None:
    store = Store()
    store.merge(home("Rome", source="m1", at=1))
    (memory_id,) = store.memories
    store.edit(memory_id, immutable=True)
    before = store.memories[memory_id]
    assert actions(store.merge(home("Rome", source="m2", at=2))) == ["NONE"]
    decisions = store.merge(home("Oslo", source="m3", at=3))
    assert actions(decisions) == ["ADD"]
    assert memory_id in decisions.decisions[0].reason
    assert actions(store.merge(home("Oslo", source="m3", at=3))) == ["NONE"]
    assert store.memories[memory_id] == before


# --- the cap ----------------------------------------------------------------------------------------


def test_the_cap_drops_the_superseded_first_and_the_oldest_of_them() -> None:
    store = Store(max_memories=3)
    for number, city in enumerate(("A", "B", "C")):
        store.merge(home(city, source=f"m{number}", at=number))
    decisions = store.merge(home("D", source="m9", at=9))
    (gone,) = decisions.delete
    assert "User lives in A" not in {memory.text for memory in store.memories.values()}
    entry = next(entry for entry in decisions.entries if entry.memory_id == gone)
    assert (entry.event, entry.reason, entry.old_text, entry.new_text) == (
        "DELETE",
        "cap of 3 memories",
        None,
        None,
    )


def test_then_the_least_certain_then_the_least_recently_updated() -> None:
    store = Store(max_memories=3)
    store.merge(candidate("one", source="1", confidence=0.5))
    store.merge(candidate("two", source="2", confidence=0.9))
    store.merge(candidate("three", source="3", confidence=0.9))
    store.merge(candidate("four", source="4", confidence=0.9))
    assert store.current() == ["four", "three", "two"]
    store.merge(candidate("two", source="5", confidence=0.9))
    store.merge(candidate("five", source="6", confidence=0.9))
    assert store.current() == ["five", "four", "two"]


def test_what_the_cap_drops_at_once_is_not_put() -> None:
    store = Store(max_memories=1)
    store.merge(candidate("sure", confidence=0.9))
    decisions = store.merge(candidate("unsure", source="m2", confidence=0.1))
    assert (decisions.put, decisions.delete, decisions.entries) == ((), (), ())
    assert [(d.action, d.memory_id, d.reason) for d in decisions.decisions] == [
        ("NONE", None, "cap of 1 memories")
    ]


def test_the_cap_never_drops_immutable_memories() -> None:
    store = Store(max_memories=2)
    store.merge(candidate("one", source="1", confidence=0.1), candidate("two", source="2", confidence=0.1))
    for memory_id in list(store.memories):
        store.edit(memory_id, immutable=True)
    store.merge(candidate("three", source="3"))
    assert store.current() == ["one", "two"]


def test_a_pin_and_what_was_said_often_outlast_the_cap() -> None:
    store = Store(max_memories=3)
    for text, times in (("pinned", 1), ("often", 4), ("once", 1)):
        for number in range(times):
            store.merge(candidate(text, source=f"{text}{number}", confidence=0.5))
    store.edit(next(i for i, m in store.memories.items() if m.text == "pinned"), pinned=True, confidence=0.1)
    decisions = store.merge(candidate("sure", source="9", confidence=0.9))
    assert store.current() == ["often", "pinned", "sure"]
    assert [e.reason for e in decisions.entries if e.event == "DELETE"] == ["cap of 3 memories"]


def test_what_was_said_long_ago_is_less_useful() -> None:
    store = Store(max_memories=2)
    store.merge(candidate("old but sure", at=NOW - 3 * 365 * 86_400_000, confidence=0.9))
    store.merge(candidate("recent", source="2", at=NOW, confidence=0.5))
    store.merge(candidate("new", source="3", at=NOW, confidence=0.9))
    assert store.current() == ["new", "recent"]


def test_a_topic_has_a_cap_of_its_own() -> None:
    store = Store()
    decisions = Decisions()
    for number, thing in enumerate(("tea", "coffee", "juice")):
        decisions = store.merge(
            taste("like", thing, source=f"m{number}", at=NOW + number),
            home(thing, source=f"m{number}", at=NOW + number),
            topic_cap={"interest": 2}.get,
        )
    assert store.current() == ["User likes coffee", "User likes juice", "User lives in juice"]
    assert [entry.reason for entry in decisions.entries if entry.event == "DELETE"] == [
        "cap of 2 memories about interest"
    ]


def test_a_topic_that_is_not_wanted_is_dropped_and_said() -> None:
    def admits(claim: Candidate) -> bool:
        return claim.topic != "interest"

    store = Store()
    decisions = store.merge(
        taste("like", "tea", source="m1", at=1), home("Rome", source="m1", at=1), admits=admits
    )
    assert store.current() == ["User lives in Rome"]
    assert (decisions.decisions[0].action, decisions.decisions[0].reason) == ("NONE", "no such topic")


# --- properties -------------------------------------------------------------------------------------

_THINGS = st.sampled_from(["tea", "coffee", "go"])


@st.composite
def histories(draw: st.DrawFn) -> list[Candidate]:
    """Claims with distinct times: homes, tastes, denials of both."""
    claims: list[Candidate] = []
    for at in range(1, draw(st.integers(2, 8)) + 1):
        kind = draw(st.sampled_from(["home", "home", "like", "dislike", "not like", "not home", "homeless"]))
        thing = draw(_THINGS)
        source = f"m{at:03}"
        if kind == "home":
            claims.append(home(thing, source=source, at=at))
        elif kind == "not home":
            denial = home(thing, source=source, at=at)
            claims.append(
                msgspec.structs.replace(denial, text=f"not in {thing}", negates=True, single_valued=False)
            )
        elif kind == "homeless":
            claims.append(
                candidate(
                    "homeless", topic="contact_info", subtopic="residence", negates=True, source=source, at=at
                )
            )
        else:
            claims.append(
                taste(kind.removeprefix("not "), thing, source=source, at=at, negates="not" in kind)
            )
    return claims


def _merged(batches: Iterable[Sequence[Candidate]]) -> Store:
    store = Store()
    for batch in batches:
        store.merge(*batch)
    return store


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=500, deadline=None)
def test_the_order_of_arrival_does_not_decide_what_is_current(history: list[Candidate], random: Any) -> None:
    in_order = _merged([[claim] for claim in history])
    shuffled = list(history)
    random.shuffle(shuffled)
    cut = random.randint(0, len(shuffled))
    assert _merged([[claim] for claim in shuffled]).current() == in_order.current()
    assert _merged([shuffled[:cut], shuffled[cut:]]).current() == in_order.current()


@given(histories(), st.integers(0, 8))
@settings(max_examples=200, deadline=None)
def test_merging_again_changes_nothing(history: list[Candidate], first: int) -> None:
    store = _merged([history[:first], history[first:]])
    again = store.merge(*history)
    assert (again.put, again.delete, again.entries) == ((), (), ())
    assert set(actions(again)) <= {"NONE"}


@given(histories())
@settings(max_examples=200, deadline=None)
def test_nothing_contradicts_side_by_side(history: list[Candidate]) -> None:
    store = _merged([history])
    current = [m for m in store.memories.values() if m.is_current(store.now)]
    homes = [m for m in current if m.subtopic == "residence" and not m.attributes.get("negates")]
    assert len(homes) <= 1
    tastes = [
        (m.attributes["value"], m.subtopic, m.attributes.get("negates", False))
        for m in current
        if m.topic == "interest"
    ]
    for thing, subtopic, negates in tastes:
        if not negates:
            other = "dislike" if subtopic == "like" else "like"
            assert (thing, other, False) not in tastes
            assert (thing, subtopic, True) not in tastes


@given(histories(), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_the_cap_holds_whatever_comes(history: list[Candidate], cap: int) -> None:
    store = Store(max_memories=cap)
    for claim in history:
        store.merge(claim)
        assert len(store.memories) <= cap


@given(histories(), st.integers(0, 8))
@settings(max_examples=100, deadline=None)
def test_an_index_that_is_kept_decides_as_a_new_one(history: list[Candidate], first: int) -> None:
    index, store = KnownIndex(), Store()
    for batch in (history[:first], history[first:]):
        ids = [f"x{number}-{len(store.memories)}" for number in range(20)]
        kept = merge(
            batch,
            index,
            subject=SUBJECT,
            labels={},
            session=None,
            now=NOW,
            new_id=iter(ids).__next__,
            max_memories=5,
        )
        fresh = merge(
            batch,
            list(store.memories.values()),
            subject=SUBJECT,
            labels={},
            session=None,
            now=NOW,
            new_id=iter(ids).__next__,
            max_memories=5,
        )
        assert kept == fresh
        index.apply(kept)
        store.apply(fresh)
    assert index.memories == store.memories


# --- verbatim ---------------------------------------------------------------------------------------


def _message(text: str, *, number: int, role: str = "user", name: str | None = None) -> Message:
    return Message(
        id=f"m{number}",
        session=f"s{number}",
        role=role,
        content=text,
        name=name,
        event_time=number,
        created_at=NOW,
        tokens=1,
        metadata={"n": number},
        infer=False,
    )


def _verbatim(store: Store, *messages: Message) -> Decisions:
    return store.apply(
        verbatim(
            messages,
            store.memories.values(),
            subject=SUBJECT,
            labels={},
            now=store.now,
            new_id=lambda: next(store.ids),
            max_memories=store.max_memories,
        )
    )


def test_verbatim_keeps_each_message_word_for_word() -> None:
    store = Store()
    _verbatim(
        store, _message("Remember the  milk!", number=1), _message("好的。", number=2, role="assistant")
    )
    first, second = store.memories.values()
    assert (first.kind, first.text, first.sources, first.session) == (
        "note",
        "Remember the  milk!",
        ("m1",),
        "s1",
    )
    assert (first.event_time, first.metadata, first.labels) == (1, {"n": 1}, {"user": "u1"})
    assert second.attributes["role"] == "assistant"


def test_verbatim_of_what_is_there_adds_evidence_only() -> None:
    store = Store()
    _verbatim(store, _message("Remember the milk", number=1), _message("remember the milk!", number=2))
    (memory,) = store.memories.values()
    assert (memory.text, memory.sources, memory.attributes["evidence"]) == (
        "Remember the milk",
        ("m1", "m2"),
        2,
    )
    assert actions(_verbatim(store, _message("Remember the milk", number=2))) == ["NONE"]


def test_verbatim_of_nothing_is_nothing() -> None:
    store = Store()
    assert _verbatim(store, _message("", number=1), _message(" \n", number=2)) == Decisions()


def test_verbatim_cuts_what_no_commit_could_hold() -> None:
    store = Store()
    _verbatim(store, _message("字" * 1_000_000, number=1))
    (memory,) = store.memories.values()
    assert len(memory.text.encode()) < 512 * 1024


def test_verbatim_respects_the_cap() -> None:
    store = Store(max_memories=2)
    for number in range(5):
        _verbatim(store, _message(f"note {number}", number=number))
    assert store.current() == ["note 3", "note 4"]


# --- speed ------------------------------------------------------------------------------------------


def test_merging_does_not_walk_all_that_is_known() -> None:
    """A hundred claims take as many steps against 10,000 memories as against 1,000."""

    def steps(known: int) -> int:
        memories = [
            Memory(
                id=f"k{number:05}",
                kind="profile",
                text=f"User likes thing number {number}",
                topic="interest",
                subtopic="like",
                attributes={"value": f"thing number {number}", "said_at": number},
                sources=(f"m{number}",),
                created_at=1,
                updated_at=1,
            )
            for number in range(known)
        ]
        index = KnownIndex(memories)
        claims = [
            taste("dislike", f"thing number {number * 7}", source="new", at=NOW) for number in range(100)
        ]
        new_ids = itertools.count()
        done: list[Decisions] = []

        def work() -> None:
            decided = merge(
                claims,
                index,
                subject=SUBJECT,
                labels={},
                session=None,
                now=NOW,
                new_id=lambda: f"n{next(new_ids)}",
                max_memories=20_000,
            )
            done.append(decided)

        work()  # what the first merge of a subject sets up walks them all
        lines = lines_run(work)
        assert actions(done[-1]) == ["SUPERSEDE"] * 100
        return lines

    assert steps(10_000) < 1.5 * steps(1_000)


def always_elsewhere(number: int) -> Candidate:
    return home(f"town {number}", source=f"m{number:05}", at=number)


def here_and_there(number: int) -> Candidate:
    return home(f"town {number % 2}", source=f"m{number:05}", at=number)


def of_ever_earlier_years(number: int) -> Candidate:
    return home(f"town {number}", source=f"m{number:05}", at=1_000_000 - number)


def likes_and_dislikes(number: int) -> Candidate:
    verb = "like" if number % 2 else "dislike"
    return taste(verb, f"soup {number}", source=f"m{number:05}", at=number, negates=number % 3 == 0)


@pytest.mark.parametrize(
    "claim", [always_elsewhere, here_and_there, of_ever_earlier_years, likes_and_dislikes]
)
def test_merging_does_not_walk_what_was_said_before(claim: Callable[[int], Candidate]) -> None:
    """A batch takes as many steps, however often the like of it was said."""
    new_ids = itertools.count()
    index, lines = KnownIndex(), list[int]()

    def merge_next(first: int) -> None:
        found = merge(
            [claim(number) for number in range(first, first + 100)],
            index,
            subject=SUBJECT,
            labels={},
            session=None,
            now=NOW,
            new_id=lambda: f"n{next(new_ids):05}",
            max_memories=20_000,
        )
        index.apply(found)

    for batch in range(12):
        lines.append(lines_run(lambda batch=batch: merge_next(batch * 100)))
    assert len(index.memories) == 1200
    assert lines[-1] < 1.5 * lines[1]


def test_normalise_keeps_something_of_everything() -> None:
    assert normalise("!!!") == "!!!"
    assert normalise("  ") == ""
    assert normalise("Ünïcode—Dash") == normalise("ünïcode dash")
