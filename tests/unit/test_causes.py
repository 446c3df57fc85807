"""Why something is so: what the rules find of it, and where merging puts it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cluster.model import Memory, Message
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.merge import Decisions, merge
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules import RuleExtractor
from cluster.relations import MAX_LINKS
from memgrid.subject import Subject
from tests.extraction_cases import SAID_AT

USER = Subject("t", "user", "u")


@pytest.mark.parametrize(
    ("said", "effects"),
    [
        ("I don't eat peanuts because I'm allergic to peanuts.", {"User doesn't eat peanuts": "peanuts"}),
        ("I moved to Berlin because I work at Siemens.", {"User lives in Berlin": "Siemens"}),
        ("I moved to Berlin just because I work at Siemens.", {}),
        ("I live in Berlin, and I work at Siemens.", {}),
        ("I moved to Berlin because I'm a nurse at Siemens.", {}),  # which of the two?
        ("It's not because I'm vegan. I don't eat beef.", {}),
        ("因为我对花生过敏，所以我不吃花生。", {"用户不吃花生": "花生"}),
        ("因为我是素食者，所以不吃肉。", {"用户不吃肉": "素食者"}),
        ("由於我是素食者，因此我不吃肉。", {"用户不吃肉": "素食者"}),
        ("因为下雨，所以我喜欢喝茶。", {}),
        ("我喜欢喝茶，所以我住在杭州。", {}),
        ("因为我住在杭州，我喜欢喝茶，所以我不吃肉。", {}),
    ],
)
async def test_the_rules_take_only_the_unmistakable(said: str, effects: dict[str, str]) -> None:
    message = Message(
        id="m", session="s", role="user", content=said, event_time=SAID_AT, created_at=SAID_AT, tokens=1
    )
    found = (await RuleExtractor().extract([message], earlier=(), known=())).candidates
    by_key = {candidate.key: candidate for candidate in found}
    causes = {c.text: by_key[key].value for c in found for key in c.causes}
    assert causes == effects


async def test_a_reason_that_is_denied_is_none_and_no_fact() -> None:
    said = "It's not because I'm vegan, but I don't eat beef."
    message = Message(id="m", session="s", role="user", content=said, event_time=1, created_at=1, tokens=1)
    found = (await RuleExtractor().extract([message], earlier=(), known=())).candidates
    assert [candidate.text for candidate in found] == ["User doesn't eat beef"]


def claim(value: str, message: str = "m1", **fields: Any) -> Candidate:
    return Candidate(kind="fact", text=f"likes {value}", value=value, sources=(message,), **fields)


def merged(known: KnownIndex, *claims: Candidate, now: int = 10, **options: Any) -> Decisions:
    numbers = itertools.count(len(known.memories) + 1)
    given: dict[str, Any] = {"subject": USER, "labels": {}, "session": None, "now": now, "max_memories": 100}
    decisions = merge(claims, known, new_id=lambda: f"x{next(numbers)}", **{**given, **options})
    known.apply(decisions)
    return decisions


def test_both_are_new() -> None:
    known = KnownIndex()
    decisions = merged(known, claim("walks", key="b", causes=("a",)), claim("dogs", key="a"))
    assert known.memories["x1"].links == ("cause:x2",)
    assert [each.reason for each in decisions.decisions] == ["new; caused by x2", "new"]


def test_again_changes_nothing_and_a_known_memory_is_linked_later() -> None:
    known = KnownIndex()
    both = (claim("dogs", key="a"), claim("walks", key="b", causes=("a",)))
    merged(known, *both)
    assert merged(known, *both).put == ()
    decisions = merged(known, claim("boots", "m2"))
    (boots,) = decisions.put
    decisions = merged(known, claim("boots", "m2", causes=("x1", "x1", "gone")))
    assert [(each.action, each.reason) for each in decisions.decisions] == [
        ("UPDATE", "known from these messages; caused by x1")
    ]
    (entry,) = decisions.entries
    assert (entry.memory_id, entry.event, entry.reason) == (boots.id, "UPDATE", "caused by x1")
    assert known.memories[boots.id].links == ("cause:x1",)
    assert known.memories[boots.id].sources == boots.sources


def test_nothing_is_its_own_cause_nor_its_cause_s_cause() -> None:
    known = KnownIndex()
    merged(known, claim("dogs", key="a", causes=("a", "b")), claim("walks", key="b", causes=("a",)))
    assert [memory.links for memory in known.memories.values()] == [("cause:x2",), ()]


def test_an_immutable_memory_is_left_alone_and_links_are_bounded() -> None:
    fixed = Memory(id="f", kind="fact", text="likes walks", immutable=True, created_at=1, updated_at=1)
    full = Memory(
        id="g",
        kind="fact",
        text="likes boots",
        links=tuple(f"cause:{n}" for n in range(MAX_LINKS)),
        created_at=1,
        updated_at=1,
    )
    known = KnownIndex([fixed, full])
    merged(
        known,
        claim("dogs", key="a"),
        claim("walks", "m2", causes=("a",)),
        claim("boots", "m2", causes=("a",)),
    )
    assert known.memories["f"].links == ()
    assert known.memories["g"].links == full.links


def test_what_a_cap_drops_is_not_put_for_a_link() -> None:
    known = KnownIndex()
    decisions = merged(
        known,
        claim("dogs", key="a", confidence=0.1),
        claim("walks", causes=("a",), confidence=0.9),
        max_memories=1,
    )
    assert [memory.text for memory in decisions.put] == ["likes walks"]
