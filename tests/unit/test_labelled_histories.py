"""Labelled dialogues with perfect answers lead to exactly the labelled state, whatever happens on the way.

First through merging alone: messages in any order, in any batches, some delivered again. Then through two
real owners of one store: extractions that fail, commits that fail, commits that land and whose answer is
lost, owners that are restarted, both at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.labelled import Dialogue, expected_state, load, perfect_answer, state_of
from benchmarks.labelled.dialogues import LANGUAGES
from cluster.model import Changes, Head, Memory, Message
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.merge import merge
from cluster.pipeline.port import Candidate
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject
from tests.owners import running_owner
from tests.scripted_extractor import ScriptedExtractor

DIALOGUES = [dialogue for language in LANGUAGES for dialogue in load(language)]
CONTRADICTING = [
    dialogue
    for dialogue in DIALOGUES
    if any(fact.ended or fact.negates for fact in dialogue.facts) or len(dialogue.sessions) > 1
]
USER = Subject("t", "user", "u")
STEP_SECONDS = 30
"""No step takes so long, unless it waits for ever."""


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_order_any_batches_any_repetition_merge_to_the_labelled_state(data: st.DataObject) -> None:
    dialogue = data.draw(st.sampled_from(DIALOGUES), label="dialogue")
    order = data.draw(st.permutations([message.id for message in dialogue.messages]), label="order")
    again = data.draw(st.lists(st.sampled_from(order), max_size=6), label="delivered again")
    batches = split(data, [*order, *again])
    claims = perfect_answer(dialogue)
    said_at = {message.id: message.event_time for message in dialogue.messages}
    kept, numbers = KnownIndex(), itertools.count(1)
    for batch in batches:
        # An owner that has just begun knows what is stored, and not how it was indexed.
        known = KnownIndex(kept.memories.values()) if data.draw(st.booleans()) else kept
        decisions = merge(
            [claim for claim in claims if claim.sources[0] in batch],
            known,
            subject=USER,
            labels={},
            session=None,
            now=dialogue.now - 1000,
            new_id=lambda: f"memory-{next(numbers):04}",
            max_memories=1000,
            said_at=said_at,
        )
        kept.apply(decisions)
    assert state_of(kept.memories.values(), dialogue.now) == expected_state(dialogue)


def split(data: st.DataObject, ids: Sequence[str]) -> list[list[str]]:
    """`ids` in consecutive batches."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(ids) - 1), max_size=len(ids) - 1), label="cuts"))
    return [list(ids[a:b]) for a, b in itertools.pairwise([0, *cuts, len(ids)])]


def perfectly(dialogue: Dialogue) -> Callable[[Message], Iterator[Candidate]]:
    """The perfect answer to each message, whatever its id has become."""
    contents = {message.id: message.content for message in dialogue.messages}
    by_content: dict[str, list[Candidate]] = {}
    for claim in perfect_answer(dialogue):
        by_content.setdefault(contents[claim.sources[0]], []).append(claim)

    def claims(message: Message) -> Iterator[Candidate]:
        for claim in by_content.get(message.content, ()):
            yield msgspec.structs.replace(claim, sources=(message.id,))

    return claims


class Faulty:
    """A store whose commits fail as scripted; it stays open when an owner is closed."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.faults: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        fault = self.faults.pop() if self.faults else "none"
        if fault == "before":
            raise Unavailable("nothing has landed")
        landed = await self._store.commit(subject, head, changes)
        if fault == "after":
            raise Unavailable("it has landed, and nobody knows")
        return landed


STEPS = st.fixed_dictionaries(
    {
        "owner": st.integers(0, 1),
        "failures": st.integers(0, 2),
        "faults": st.lists(st.sampled_from(["before", "after", "none"]), max_size=2),
        "both": st.booleans(),
        "again": st.booleans(),
        "restart": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_failures_restarts_and_a_second_owner_change_nothing(data: st.DataObject) -> None:
    dialogue = data.draw(st.sampled_from(CONTRADICTING), label="dialogue")
    order = data.draw(st.permutations(dialogue.messages), label="order")
    batches = split(data, [message.id for message in order])
    steps = [data.draw(STEPS, label="step") for _ in batches]
    state = asyncio.run(asyncio.wait_for(lived(dialogue, batches, steps), STEP_SECONDS * 4))
    assert state == expected_state(dialogue)


async def lived(dialogue: Dialogue, batches: Sequence[Sequence[str]], steps: Sequence[dict[str, Any]]) -> Any:
    """The state of the last owner's list after these batches were added, with what the steps say."""
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    faulty, extractor = Faulty(store), ScriptedExtractor(perfectly(dialogue))
    options: dict[str, Any] = {
        "store": faulty,
        "extractor": extractor,
        "buffer_idle_seconds": 3600,
        "extraction_backoff_seconds": 0.001,
        "extraction_attempts": 6,
    }
    contexts = [running_owner(**options) for _ in range(2)]
    asks = [await context.__aenter__() for context in contexts]
    try:
        for batch, step in zip(batches, steps, strict=True):
            owner = step["owner"]
            await asks[owner]("add", USER, **request(dialogue, batch))
            if step["again"]:
                await asks[1 - owner]("add", USER, **request(dialogue, batch))
            extractor.failures = [Unavailable("scripted")] * step["failures"]
            faulty.faults = list(step["faults"])
            await asyncio.gather(
                *(process(ask) for ask in (asks if step["both"] else [asks[owner]])),
            )
            extractor.failures, faulty.faults = [], []
            if step["restart"]:
                await contexts[owner].__aexit__(None, None, None)
                contexts[owner] = running_owner(**options)
                asks[owner] = await contexts[owner].__aenter__()
        for ask in asks:
            await ask("process", USER)
        return state_of(await remembered(store), dialogue.now)
    finally:
        for context in contexts:
            await context.__aexit__(None, None, None)
        await store.close()


async def process(ask: Any) -> None:
    with contextlib.suppress(Unavailable, Overloaded):
        await ask("process", USER)


async def remembered(store: SqliteStore) -> Sequence[Memory]:
    loaded = await store.load(USER)
    assert not loaded.pending
    assert not loaded.parked
    return loaded.memories


def request(dialogue: Dialogue, ids: Sequence[str]) -> dict[str, Any]:
    by_id = {message.id: message for message in dialogue.messages}
    return {
        "user_id": USER.id,
        "messages": [
            {
                "role": by_id[each].role,
                "content": by_id[each].content,
                "id": each,
                "timestamp": datetime.fromtimestamp(by_id[each].event_time / 1000, UTC),
            }
            for each in ids
        ],
    }


def test_there_are_contradictions_in_both_languages() -> None:
    for language in LANGUAGES:
        assert sum(1 for dialogue in CONTRADICTING if dialogue.language == language) >= 8


@pytest.mark.parametrize("fault", ["before", "after"])
async def test_the_faults_happen(fault: str) -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    faulty = Faulty(store)
    faulty.faults = [fault]
    with pytest.raises(Unavailable):
        await faulty.commit(USER, Head(), Changes(commit_id="c", at=1, actor="test"))
    assert (await store.head(USER)).revision == (1 if fault == "after" else 0)
    await store.close()
