"""The extraction benchmark: its dialogues, its matching rule, its figures, and the rules on them."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from benchmarks.extraction import chosen, small_model_settings
from benchmarks.extraction_model import SmallModel, missing_packages
from benchmarks.extraction_pipeline import Cost, Outcome, extract_and_merge, figures_of
from benchmarks.labelled import (
    Dialogue,
    Fact,
    Language,
    Trap,
    expected_state,
    load,
    perfect_answer,
    state_of,
)
from benchmarks.labelled.dialogues import LANGUAGES, first_day
from benchmarks.labelled.matching import judge, says_fact, says_trap
from cluster.composition import build_extractor
from cluster.model import Memory, Message
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.merge import merge
from cluster.pipeline.port import Extraction
from cluster.pipeline.rules import RuleExtractor
from memgrid.errors import Unavailable
from memgrid.subject import Subject

DIALOGUES = [dialogue for language in LANGUAGES for dialogue in load(language)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_enough_dialogues_of_several_turns(language: Language) -> None:
    dialogues = load(language)
    assert len(dialogues) >= 30
    assert all(len(dialogue.messages) >= 4 for dialogue in dialogues)
    assert all(dialogue.facts or dialogue.traps for dialogue in dialogues)


def merged(dialogue: Dialogue, batches: Iterable[Sequence[str]]) -> list[Memory]:
    """The memories that the perfect answer leads to, delivered in these batches of message ids."""
    known = KnownIndex()
    numbers = itertools.count(1)
    said_at = {message.id: message.event_time for message in dialogue.messages}
    for batch in batches:
        claims = [claim for claim in perfect_answer(dialogue) if claim.sources[0] in batch]
        decisions = merge(
            claims,
            known,
            subject=Subject("t", "user", "u"),
            labels={},
            session=None,
            now=dialogue.now - 1000,
            new_id=lambda: f"memory-{next(numbers):04}",
            max_memories=1000,
            said_at=said_at,
        )
        known.apply(decisions)
    return list(known.memories.values())


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.id)
def test_a_perfect_answer_merges_to_the_labelled_state(dialogue: Dialogue) -> None:
    by_session = [[message.id for message in session.messages] for session in dialogue.sessions]
    one_by_one = [[message.id] for message in dialogue.messages]
    for batches in (by_session, one_by_one, by_session[::-1], one_by_one[::-1]):
        assert state_of(merged(dialogue, batches), dialogue.now) == expected_state(dialogue)


def memory(text: str, slot: str = "", value: str | None = None, **fields: Any) -> Memory:
    """A current memory; `at` is its event's day."""
    topic, _, subtopic = slot.partition("/")
    at = fields.pop("at", None)
    attributes = {"value": value} if value is not None else {}
    return Memory(
        id=fields.pop("id", "memory-1"),
        kind="profile",
        text=text,
        topic=topic or None,
        subtopic=subtopic or None,
        attributes=attributes | fields.pop("attributes", {}),
        created_at=0,
        updated_at=0,
        event_time=None if at is None else int(first_day(at).timestamp() * 1000),
        **fields,
    )


HOME = Fact("contact_info/residence", "Lisbon", (1,), aliases=("里斯本",))
SISTER = Fact("family/sister_residence", "Wuhan", (1,), mentions=("sister", "姐姐"))
DISLIKE = Fact("interest/dislike", "coffee", (1,))
RACE = Fact("life_event/event", "half marathon", (1,), dates=("2024-04-14",), text="User ran a half marathon")


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        (memory("User lives in Lisbon", "contact_info/residence", "Lisbon"), HOME),
        (memory("User lives in LISBON, Portugal.", "contact_info/residence", "LISBON, Portugal"), HOME),
        (memory("用户住在里斯本", "contact_info/residence", "里斯本"), HOME),
        (memory("User lives in Lisbon", "location/current_city"), HOME),
        (memory("User lives in Lisbon"), HOME),
        (memory("User's sister lives in Wuhan", "family/sister_residence", "Wuhan"), SISTER),
        (memory("User's sister lives in Wuhan", "family/siblings"), SISTER),
        (memory("User dislikes coffee", "interest/dislike", "coffee"), DISLIKE),
        (memory("User doesn't like coffee", "preference/drinks"), DISLIKE),
        (memory("用户讨厌 coffee", "interest/taste"), DISLIKE),
        (memory("User ran a half marathon", "life_event/event", at="2024-04-14"), RACE),
        (memory("User ran a half marathon on 2024-04-14", "sport/running"), RACE),
        (memory("用户2024年4月14日跑了half marathon", "life_event/event"), RACE),
    ],
)
def test_a_memory_that_says_a_fact(said: Memory, fact: Fact) -> None:
    assert says_fact(said, fact)


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        (memory("User lives in Porto", "contact_info/residence", "Porto"), HOME),  # another value
        (memory("User lives in Lisbonville", "contact_info/residence"), HOME),  # part of another word
        (memory("User is from Lisbon", "basic_info/hometown", "Lisbon"), HOME),  # another concern
        (memory("User's sister lives in Lisbon", "family/sister_residence", "Lisbon"), HOME),
        (memory("User no longer lives in Lisbon", "contact_info/residence", "Lisbon"), HOME),
        (memory("用户不再住在里斯本", "contact_info/residence"), HOME),
        (
            memory("User lives in Lisbon", "contact_info/residence", "Lisbon", attributes={"negates": True}),
            HOME,
        ),
        (memory("I live in Lisbon " + "and so on " * 30), HOME),  # the message word for word
        (memory("User lives in Wuhan", "contact_info/residence", "Wuhan"), SISTER),
        (memory("User lives in Wuhan"), SISTER),
        (memory("User likes coffee", "interest/like", "coffee"), DISLIKE),
        (
            memory("User ran a half marathon", "life_event/event", at="2024-04-17"),
            RACE,
        ),  # the day it was said
        (memory("User ran a half marathon", "life_event/event"), RACE),
    ],
)
def test_a_memory_that_does_not(said: Memory, fact: Fact) -> None:
    assert not says_fact(said, fact)


def test_the_month_of_a_fact_takes_any_day_of_it() -> None:
    trip = Fact("plan/plan", "Norway", (1,), dates=("2024-08",), text="User plans to go to Norway")
    assert says_fact(memory("User goes to Norway", "plan/plan", at="2024-08-23"), trip)
    assert not says_fact(memory("User goes to Norway", "plan/plan", at="2024-09-01"), trip)


def test_a_trap_without_a_value_is_any_value_of_its_slot() -> None:
    trap = Trap("interest/favourite_lullaby", "sarcasm")
    assert says_trap(memory("User's favorite lullaby is drilling", "interest/favourite_lullaby", "x"), trap)
    assert not says_trap(memory("User likes drilling", "interest/like", "drilling"), trap)


@pytest.fixture
def dialogue() -> Dialogue:
    """Porto once, Lisbon now; a sister in Wuhan; an optional fact; a trap."""
    facts = (
        Fact("contact_info/residence", "Porto", (1,), ended=True),
        HOME,
        SISTER,
        Fact("interest/like", "tea", (1,), optional=True),
    )
    return dataclasses.replace(load("en")[0], facts=facts, traps=(Trap("work/title", "her job", "nurse"),))


def outcome(dialogue: Dialogue, *memories: Memory) -> Outcome:
    return Outcome(memories, judge(dialogue, memories), Cost(calls=3, model_tokens=500, text_tokens=250))


def test_figures_of_right_wrong_repeated_and_missing(dialogue: Dialogue) -> None:
    figures = figures_of(
        [
            outcome(
                dialogue,
                memory("User lives in Lisbon", "contact_info/residence", "Lisbon", id="1"),
                memory("User's home is in Lisbon", "contact_info/home", "Lisbon", id="2"),
                memory("User likes tea", "interest/like", "tea", id="3"),
                memory("User is a nurse", "work/title", "nurse", id="4"),
                memory("User lives in Porto", "contact_info/residence", "Porto", id="5"),
                memory("User likes rain", "interest/like", "rain", id="6", superseded_by="1"),
            )
        ]
    )
    assert figures.precision == 1 / 4  # Lisbon, of Lisbon twice, the nurse and Porto
    assert figures.recall == 1 / 2  # the sister is missing
    assert figures.f1 == pytest.approx(1 / 3)
    assert (figures.duplicates, figures.traps) == (1, 1)
    assert figures.junk == 2 / 5
    assert (figures.calls, figures.tokens) == (12, 2000)


def test_one_memory_may_say_two_facts(dialogue: Dialogue) -> None:
    both = memory("User lives in Lisbon, the sister lives in Wuhan")
    figures = figures_of([outcome(dialogue, both)])
    assert (figures.precision, figures.recall) == (1, 1)


def test_nothing_found_is_no_precision(dialogue: Dialogue) -> None:
    figures = figures_of([outcome(dialogue)])
    assert (figures.precision, figures.recall, figures.f1, figures.junk) == (None, 0, 0, 0)


class Perfect:
    """An extractor without fault: answers each session from the labels."""

    name = "perfect"

    def __init__(self, dialogue: Dialogue) -> None:
        self._claims = perfect_answer(dialogue)

    async def extract(self, messages: Sequence[Message], **_: object) -> Extraction:
        ids = {message.id for message in messages}
        found = tuple(claim for claim in self._claims if claim.sources[0] in ids)
        return Extraction(candidates=found, extractor=self.name)

    async def close(self) -> None: ...


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.id)
async def test_a_perfect_extractor_has_perfect_figures(dialogue: Dialogue) -> None:
    """So no label contradicts another, and the matching rule knows its own labels."""
    figures = figures_of([await extract_and_merge(Perfect(dialogue), dialogue)])
    assert figures.precision in (1, None)
    assert figures.recall == 1
    assert (figures.duplicates, figures.junk, figures.traps) == (0, 0, 0)


class Failing(Perfect):
    """Fails at the second session."""

    async def extract(self, messages: Sequence[Message], **_: object) -> Extraction:
        if messages[0].session != "s1":
            raise Unavailable("no model there")
        return await super().extract(messages)


async def test_a_failed_session_is_counted_and_gives_nothing() -> None:
    dialogue = next(one for one in load("en") if one.id == "moved-across-the-river")
    failed = await extract_and_merge(Failing(dialogue), dialogue)
    assert figures_of([failed]).failed == 1
    assert [one.stale.value for one in failed.judgement.judged if one.stale] == ["Porto"]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_rules_are_precise(language: Language) -> None:
    outcomes = [await extract_and_merge(RuleExtractor(), dialogue) for dialogue in load(language)]
    wrong = [
        f"{outcome.judgement.dialogue.id}: {one.memory.text}"
        for outcome in outcomes
        for one in outcome.judgement.judged
        if one.junk or one.again
    ]
    figures = figures_of(outcomes)
    assert figures.precision is not None
    assert figures.precision >= 0.95, "\n".join(wrong)
    assert figures.recall >= 0.6


def test_dialogues_are_chosen_by_language_id_and_number() -> None:
    assert {one.language for one in chosen(["zh"], None)} == {"zh"}
    assert [one.id for one in chosen(["april-fool"], None)] == ["april-fool"]
    assert len(chosen([], 2)) == 4
    with pytest.raises(SystemExit, match="no-such"):
        chosen(["no-such"], None)


@pytest.mark.skipif(
    "MEMGRID_TEST_SMALL_MODEL" not in os.environ,
    reason="MEMGRID_TEST_SMALL_MODEL is not set: minutes with a real model",
)
@pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {', '.join(missing_packages())}")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_real_model_in_the_loop(language: Language) -> None:
    """Wiring only: it is asked, it answers by the schema, what it says is counted. Not how well."""
    dialogue = load(language)[0]
    with SmallModel() as model:
        extractor = build_extractor(small_model_settings(model))
        outcome = await extract_and_merge(extractor, dialogue)
        await extractor.close()
    assert outcome.cost.errors == ()
    assert outcome.cost.calls >= len(dialogue.sessions)
    assert outcome.cost.model_tokens > outcome.cost.text_tokens
