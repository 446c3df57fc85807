"""BM25 in memory, against the formula written out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.retrieval import lexical
from cluster.retrieval.lexical import LexicalIndex

WORDS = ["猫", "喜欢", "tea", "run", "2023-04-30", "the", "rare"]
K1, B = 0.9, 0.4

documents = st.lists(st.sampled_from(WORDS), max_size=12)


def bm25(live: dict[int, Sequence[str]], query: Sequence[str]) -> dict[int, float]:
    """The formula, as slow as it likes."""
    average = max(1.0, sum(map(len, live.values())) / max(1, len(live)))
    scores = dict.fromkeys(live, 0.0)
    for term, times in Counter(query).items():
        df = sum(term in words for words in live.values())
        idf = math.log1p((len(live) - df + 0.5) / (df + 0.5))
        for ordinal, words in live.items():
            if tf := Counter(words)[term]:
                norm = K1 * (1 - B + B * len(words) / average)
                scores[ordinal] += times * idf * tf * (K1 + 1) / (tf + norm)
    return scores


def check(index: LexicalIndex, live: dict[int, Sequence[str]], query: Sequence[str]) -> None:
    expected = np.zeros(len(index))
    for ordinal, score in bm25(live, query).items():
        expected[ordinal] = score
    found = index.scores(query)
    np.testing.assert_allclose(found.documents, expected, rtol=1e-5, atol=1e-6)


@given(
    batches=st.lists(st.lists(documents, max_size=6), max_size=6),
    removed=st.sets(st.integers(0, 35)),
    query=documents,
    compacts=st.booleans(),
    tail=st.sampled_from([0, 5, 1000]),
)
@settings(max_examples=150, deadline=None)
def test_scores_are_the_formula_whatever_was_added_and_removed(
    batches: list[list[list[str]]], removed: set[int], query: list[str], compacts: bool, tail: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "_MIN_TAIL", tail)
        index = LexicalIndex()
        live: dict[int, Sequence[str]] = {}
        for batch in batches:
            for words in batch:
                live[len(live)] = words
            index.add_many(batch)
            check(index, live, query)
        for ordinal in removed & live.keys():
            index.remove(ordinal)
            index.remove(ordinal)
            del live[ordinal]
        check(index, live, query)
        if compacts:
            index.compact(np.array(sorted(live), np.intp))
            live = dict(enumerate(live[ordinal] for ordinal in sorted(live)))
            check(index, live, query)
            index.add(["猫", "tea"])
            live[len(live)] = ["猫", "tea"]
            check(index, live, query)


@given(
    texts=st.lists(documents, min_size=1, max_size=12),
    sizes=st.lists(st.integers(-1, 3), min_size=12, max_size=12),
    removed=st.sets(st.integers(0, 11)),
    query=documents,
)
@settings(max_examples=100, deadline=None)
def test_a_group_scores_as_one_document(
    texts: list[list[str]], sizes: list[int], removed: set[int], query: list[str]
) -> None:
    index = LexicalIndex()
    index.add_many(texts)
    groups = np.array(sizes[: len(texts)], np.int32)
    whole: dict[int, list[str]] = {}
    for ordinal, words in enumerate(texts):
        if ordinal in removed:
            index.remove(ordinal)
        elif groups[ordinal] >= 0 and words:
            whole.setdefault(int(groups[ordinal]), []).extend(words)
    found = index.scores(query, groups).groups
    assert found is not None
    expected = np.full(len(found), np.nan)
    for group, score in bm25(whole, query).items():
        expected[group] = score
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_text_of_average_length_with_every_term_scores_in_full() -> None:
    index = LexicalIndex()
    index.add_many([["猫", "tea", "x"], ["y", "z", "w"], ["run", "u", "v"]])
    found = index.scores(["tea", "猫", "x"])
    assert found.documents[0] == pytest.approx(found.full)
    assert index.scores(["tea", "run"]).documents.max() < index.scores(["tea", "run"]).full


def test_an_empty_index_scores_nothing() -> None:
    found = LexicalIndex().scores(["tea"], np.zeros(0, np.int32))
    assert len(found.documents) == 0


def test_a_posting_takes_few_bytes() -> None:
    random = np.random.default_rng(0)
    texts = [[f"w{word}" for word in random.zipf(1.3, 20)] for _ in range(5000)]
    index = LexicalIndex()
    index.add_many(texts)
    postings = sum(len(set(words)) for words in texts)
    assert index.nbytes / postings < 12
