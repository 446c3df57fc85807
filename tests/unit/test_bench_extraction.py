"""The extraction benchmark: its dialogues, its matching rule, its figures, and the rules on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest

from benchmarks.labelled import Dialogue, Language, expected_state, load, perfect_answer, state_of
from benchmarks.labelled.dialogues import LANGUAGES
from cluster.model import Memory
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.merge import merge
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
