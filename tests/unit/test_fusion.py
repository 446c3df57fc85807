from __future__ import annotations

from cluster.search_index.fusion import fused
from cluster.search_index.port import IndexHit
from memgrid.subject import Subject

ALICE = Subject("t", "user", "alice")


def hit(id_: str, text: float | None, vector: float | None) -> IndexHit:
    return IndexHit(ALICE, id_, "memory", text, vector)


def order(*hits: IndexHit, limit: int = 10) -> list[str]:
    return [each.id for each in fused(hits, limit)]


def test_what_both_propose_comes_before_what_one_does() -> None:
    both = hit("both", 1.0, 0.2)
    assert order(hit("words", 30.0, None), hit("vector", None, 0.99), both) == ["both", "words", "vector"]


def test_only_ranks_count() -> None:
    """A BM25 of 100 says no more than one of 2, when both are the best."""
    for factor in (1.0, 100.0):
        hits = [hit("a", 2.0 * factor, 0.1), hit("b", 1.0 * factor, 0.9), hit("c", 0.5 * factor, 0.8)]
        assert order(*hits) == ["b", "a", "c"]


def test_one_list_keeps_its_order_and_the_limit_cuts_the_worst() -> None:
    hits = [hit(f"h{n}", None, n / 10) for n in range(6)]
    assert order(*hits, limit=3) == ["h5", "h4", "h3"]
    assert order() == []


def test_the_same_hits_come_in_the_same_order() -> None:
    hits = [hit(f"h{n}", 1.0, 0.5) for n in range(20)]
    assert order(*hits, limit=20) == [f"h{n}" for n in range(20)]
