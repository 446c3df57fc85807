"""How candidates are scored: a few features of each, scaled to 0..1 and added up by weight.

A message is often meaningful only beside its neighbours and in its session ("Yes, last week!"), so what
surrounds a candidate counts besides its own words and vector. The weights were chosen by recall on
labelled conversations in English and Chinese: `benchmarks/ranking.py` prints the table.

Everything here is pure; the evidence comes from `HotSubject`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

_LEAST_SPREAD = 0.05
"""Among a handful of units, differences of cosines smaller than this are not blown up."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of each candidate: arrays with one entry for each, the pool first."""

    pool: int
    """How many candidates are the pool; scales come from these alone, so that later pages do not
    change earlier ones."""
    bm25: Scores
    bm25_full: float
    """The BM25 of a text of average length that has every word of the query."""
    lexical_context: Scores
    """BM25 of what was said around it: see `surroundings`."""
    session: Scores
    """BM25 of the whole session, 0..1 among the subject's sessions."""
    speaker: Scores
    """1 where the query names the speaker, and no other."""
    alone: NDArray[np.bool_]
    """Where nothing was said around it."""
    cosine: Scores | None
    """With the query; NaN for a unit without a vector. None when the search is by words alone."""
    closeness: Scores | None
    """The cosines of the candidate, of the message before and of the one after it (three rows), as
    `closeness` scales them; NaN where there is none."""


class Ranking(msgspec.Struct, frozen=True):
    """Candidates scored."""

    order: Scores
    """The greater, the better."""
    scores: Scores
    """0..1, in the same order; see `rank`."""
    parts: dict[str, Scores]
    """What each feature contributes; they add up to the score."""


def _lexical(evidence: Evidence) -> Scores:
    return _sum((1.0 / _top(evidence), evidence.bm25))


def _lexical_context(evidence: Evidence) -> Scores:
    # Nothing around it: it stands for itself, and its own words count a little more instead.
    context = np.where(evidence.alone, evidence.bm25 * np.float32(0.5), evidence.lexical_context)
    return _sum((1.0 / _top(evidence), context))


def _vector(evidence: Evidence) -> Scores:
    if evidence.closeness is None:
        return np.zeros_like(evidence.bm25)
    own = evidence.closeness[0]
    # Not embedded yet: its words speak for its meaning too.
    return np.where(np.isnan(own), _lexical(evidence), own)


def _vector_context(evidence: Evidence) -> Scores:
    if evidence.closeness is None:
        return np.zeros_like(evidence.bm25)
    before, after = np.where(np.isnan(evidence.closeness[1:]), np.float32(0), evidence.closeness[1:])
    context = _sum((0.6, before), (0.4, after))
    return np.where(evidence.alone, _vector(evidence) * np.float32(0.5), context)


def _session(evidence: Evidence) -> Scores:
    return evidence.session


def _speaker(evidence: Evidence) -> Scores:
    return evidence.speaker


Features = Mapping[str, tuple[float, Callable[[Evidence], Scores]]]

FEATURES: Features = {
    "lexical": (1.0, _lexical),
    "vector": (1.5, _vector),
    "lexical_context": (1.3, _lexical_context),
    "vector_context": (0.5, _vector_context),
    "session": (0.5, _session),
    "speaker": (0.4, _speaker),
}
"""Name → weight and feature."""


def surroundings(bm25: Scores, before: NDArray[np.int32], after: NDArray[np.int32]) -> Scores:
    """For each ordinal the mean BM25 of the two messages before and the two after it, the nearer ones
    weighing more; `before` and `after` give each one's neighbours (-1 for none)."""
    around = np.zeros(len(bm25) + 1, np.float32)  # the last entry serves -1
    around[:-1] = bm25
    near_before, near_after = around[before], around[after]
    around[:-1] = near_before
    far_before = around[before]
    around[:-1] = near_after
    far_after = around[after]
    return _sum((0.385, near_before), (0.308, near_after), (0.1535, far_before), (0.1535, far_after))


def closeness(cosines: Scores, pool: int) -> Scores:
    """Cosines scaled so that 1 is the greatest in the pool, and 0 the least of the pool and its neighbours.

    Models differ in the cosines they give (E5 puts nearly everything above 0.7), so only their place
    in the range that occurs says something. `cosines` has the candidates' own in its first row.
    """
    seen = cosines[:, :pool]
    if np.isnan(seen[0]).all():
        return np.full_like(cosines, np.nan)
    high = np.nanmax(seen[0])
    spread = max(high - np.nanmin(seen), _LEAST_SPREAD)
    return np.clip(1 - (high - cosines) / spread, 0, None, dtype=np.float32)


def rank(evidence: Evidence, features: Features) -> Ranking:
    """Score the candidates of a hybrid search.

    The features decide the order. The score of the best result says how well it matches in absolute terms
    (the mean of `by_words` and `by_vector`); every other score is in
    proportion to it. So a threshold means the same for every query.
    """
    parts = {name: _sum((weight, feature(evidence))) for name, (weight, feature) in features.items()}
    total = _sum(*((1.0, part) for part in parts.values()))
    inside = total[: evidence.pool]
    most = float(inside.max())
    # Several may be best: which of them comes first here is chance.
    best = np.flatnonzero(inside >= most * (1 - 1e-6)).tolist()
    factor = max(_strength(evidence, at) for at in best) / max(most, 1e-9)
    parts = {name: _sum((factor, part)) for name, part in parts.items()}
    order = _sum((factor, total))
    # What is outside the pool comes after it, and ties with nothing in it.
    below = np.nextafter(order[: evidence.pool].min(), np.float32(-np.inf))
    order[evidence.pool :] = np.minimum(order[evidence.pool :], below)
    return Ranking(order, np.clip(order, 0, 1), parts)


def by_words(bm25: Scores, full: float) -> Ranking:
    """Score by words alone: the share of `full`, the BM25 of a text of average length with every word."""
    scores = np.minimum(_sum((1.0 / max(full, 1e-9), bm25)), np.float32(1))
    return Ranking(bm25, scores, {"lexical": scores})


def by_vector(cosine: Scores) -> Ranking:
    """Score by meaning alone: the cosine with the query, 0 where it is negative."""
    scores = np.clip(cosine, 0, 1)
    return Ranking(cosine, scores, {"vector": scores})


def _strength(evidence: Evidence, candidate: int) -> float:
    covered = min(1.0, float(evidence.bm25[candidate]) / max(evidence.bm25_full, 1e-9))
    if evidence.cosine is None or np.isnan(evidence.cosine[candidate]):
        return covered
    return (covered + min(1.0, max(0.0, float(evidence.cosine[candidate])))) / 2


def _sum(*weighted: tuple[float, Scores]) -> Scores:
    total = np.zeros_like(weighted[0][1])
    for weight, values in weighted:
        total += values * np.float32(weight)
    return total


def _top(evidence: Evidence) -> float:
    return max(float(evidence.bm25[: evidence.pool].max(initial=0.0)), 1e-9)
