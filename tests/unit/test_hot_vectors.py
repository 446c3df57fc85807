"""The vectors of a subject: exact search, late vectors, masks, removal."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cluster.retrieval.hot_vectors import HotVectors

D = 16


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    present=st.lists(st.booleans(), min_size=1, max_size=40),
    allowed=st.none() | st.lists(st.booleans(), min_size=40, max_size=40),
    k=st.integers(1, 50),
    late=st.sets(st.integers(0, 39)),
    cleared=st.sets(st.integers(0, 39)),
    kept=st.none() | st.sets(st.integers(0, 39)),
)
@settings(max_examples=100, deadline=None)
def test_search_is_exact_over_what_is_there_and_allowed(
    present: list[bool],
    allowed: list[bool] | None,
    k: int,
    late: set[int],
    cleared: set[int],
    kept: set[int] | None,
) -> None:
    rows = unit_vectors(len(present))
    vectors = HotVectors(D)
    vectors.add([row if there else None for row, there in zip(rows, present, strict=True)])
    there = np.array(present)
    for ordinal in late & set(range(len(present))):
        vectors.set(ordinal, rows[ordinal])
        there[ordinal] = True
    for ordinal in cleared & set(range(len(present))):
        vectors.clear(ordinal)
        there[ordinal] = False
    if kept is not None:
        keep = np.array(sorted(kept & set(range(len(present)))), np.intp)
        vectors.compact(keep)
        rows, there = rows[keep], there[keep]
    mask = None if allowed is None else np.array(allowed[: len(rows)], np.bool_)
    eligible = there if mask is None else there & mask
    query = unit_vectors(1, seed=9)[0]

    ordinals, cosines = vectors.search(query, k, mask)

    expected = np.flatnonzero(eligible)[np.argsort(-(rows @ query)[eligible], kind="stable")][:k]
    assert set(ordinals) == set(expected)
    np.testing.assert_allclose(cosines, (rows @ query)[ordinals], atol=2e-3)
    assert (np.diff(cosines) <= 0).all()
    np.testing.assert_allclose(vectors.cosines(query, ordinals), cosines, atol=1e-5)


def test_a_vector_comes_back_as_half_precision_keeps_it() -> None:
    rows = unit_vectors(2)
    vectors = HotVectors(D)
    vectors.add([rows[0], None])
    back = vectors.vector(0)
    assert back is not None
    np.testing.assert_array_equal(back, rows[0].astype(np.float16).astype(np.float32))
    assert vectors.vector(1) is None


def test_a_vector_of_another_length_is_refused() -> None:
    vectors = HotVectors(D)
    with pytest.raises(ValueError, match="broadcast"):
        vectors.add([np.ones(D + 1, np.float32)])
    assert len(vectors) == 0


def test_a_search_uses_one_thread() -> None:
    vectors = HotVectors(D)
    vectors.add(list(unit_vectors(10)))
    vectors.search(unit_vectors(1)[0], 3)
    assert faiss.omp_get_max_threads() == 1
