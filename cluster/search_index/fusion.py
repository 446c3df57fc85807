"""One order out of two: what the index proposes by words, and what it proposes by vector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from cluster.search_index.port import IndexHit

RANK_CONSTANT: Final = 60
"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) with the constant of that paper."""


def fused(hits: Sequence[IndexHit], limit: int) -> list[IndexHit]:
    """The best `limit` of the hits, best first: each counts 1 / (60 + its rank) in each of the two lists.

    Only ranks count, because scores by words and by vector are on different scales. Who reads the hits from
    their owners pays for each of them, so the two lists together get no more room than one.
    """
    score: dict[int, float] = defaultdict(float)
    for of in (attrgetter("text_score"), attrgetter("vector_score")):
        ranked = [(value, at) for at, hit in enumerate(hits) if (value := of(hit)) is not None]
        ranked.sort(key=lambda each: (-each[0], each[1]))
        for rank, (_, at) in enumerate(ranked, start=1):
            score[at] += 1 / (RANK_CONSTANT + rank)
    best = sorted(score, key=lambda at: (-score[at], at))
    return [hits[at] for at in best[:limit]]
