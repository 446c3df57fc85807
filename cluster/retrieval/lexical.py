"""BM25 over one subject, in memory: compact postings, and statistics of that subject alone.

Terms are kept as CRC-32, postings as flat arrays in two parts: a base grouped by term, and a small
unsorted tail of what was added since the base was built. A posting takes 6 bytes in the base.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cluster.retrieval.columns import Column

_MIN_TAIL = 4096
_MAX_TF = 0xFFFF


class LexicalScores(NamedTuple):
    """What a query scores."""

    documents: NDArray[np.float32]
    """By ordinal; 0 where nothing matches."""
    full: float
    """What a document of average length scores that has each of the terms once."""
    groups: NDArray[np.float32] | None
    """By group, when groups were given; NaN for one without words."""


class LexicalIndex:
    """BM25 scores of documents 0..n-1.

    Score of a document d for the query terms t (Robertson and Zaragoza 2009, with Lucene's idf, which
    is never negative): sum of idf(t) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · |d| / avg|d|)), where
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)). N, df and avg|d| count live documents only. The
    defaults of k1 and b suit short texts: they were measured.
    """

    def __init__(self, *, k1: float = 0.9, b: float = 0.4) -> None:
        self._k1 = k1
        self._b = b
        self._terms: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._starts: NDArray[np.uint32] = np.zeros(1, np.uint32)
        self._ordinals: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._tfs: NDArray[np.uint16] = np.zeros(0, np.uint16)
        self._tail_terms = Column(np.uint32)
        self._tail_ordinals = Column(np.uint32)
        self._tail_tfs = Column(np.uint16)
        self._lengths = Column(np.uint32)
        self._live = Column(np.bool_)
        self._live_count = 0
        self._live_length = 0

    def __len__(self) -> int:
        """Ordinals given out, removed ones among them."""
        return len(self._live)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self._terms, self._starts, self._ordinals, self._tfs)
        columns = (self._tail_terms, self._tail_ordinals, self._tail_tfs, self._lengths, self._live)
        return sum(array.nbytes for array in arrays) + sum(column.nbytes for column in columns)

    def add(self, tokens: Sequence[str]) -> int:
        """Add one document; its ordinal is the next free one, and is returned."""
        self.add_many((tokens,))
        return len(self) - 1

    def add_many(self, documents: Sequence[Sequence[str]]) -> None:
        """Add documents at the next free ordinals, in order."""
        lengths = np.fromiter((len(tokens) for tokens in documents), np.uint32, len(documents))
        total = int(lengths.sum())
        terms = np.fromiter(
            (crc32(token.encode()) for tokens in documents for token in tokens), np.uint64, total
        )
        ordinals = np.repeat(np.arange(len(self), len(self) + len(documents), dtype=np.uint64), lengths)
        keys, tfs = np.unique((terms << np.uint64(32)) | ordinals, return_counts=True)
        self._tail_terms.extend((keys >> np.uint64(32)).astype(np.uint32))
        self._tail_ordinals.extend(keys.astype(np.uint32))  # the low half
        self._tail_tfs.extend(np.minimum(tfs, _MAX_TF).astype(np.uint16))
        self._lengths.extend(lengths)
        self._live.extend(np.ones(len(documents), np.bool_))
        self._live_count += len(documents)
        self._live_length += total
        if len(self._tail_terms) > max(_MIN_TAIL, len(self._ordinals) // 8):
            self._merge()

    def remove(self, ordinal: int) -> None:
        """Take a document out of all scores and statistics; again is harmless."""
        if self._live.values[ordinal]:
            self._live.values[ordinal] = False
            self._live_count -= 1
            self._live_length -= int(self._lengths.values[ordinal])

    def compact(self, keep: NDArray[np.intp]) -> None:
        """Renumber: the document at old ordinal `keep[i]` becomes `i`; all others are gone for good."""
        self._merge()
        renumbered = np.full(len(self), -1, np.int64)
        renumbered[keep] = np.arange(len(keep))
        ordinals = renumbered[self._ordinals]
        terms = np.repeat(self._terms, np.diff(self._starts))
        kept = ordinals >= 0
        self._lengths.replace(self._lengths.values[keep])
        self._live.replace(self._live.values[keep])
        self._group(terms[kept], ordinals[kept].astype(np.uint32), self._tfs[kept])

    def scores(self, query: Sequence[str], groups: NDArray[np.int32] | None = None) -> LexicalScores:
        """Score everything for the terms of `query`; a term counts as often as it is there.

        `groups` numbers the group (the session) of each ordinal, negative for none; each group is
        then scored too, as if it were one document.
        """
        count = len(self)
        out = np.zeros(count, np.float32)
        full = 0.0
        sessions = None if groups is None else _Groups(groups, self._lengths.values, self._live.values)
        average = max(1.0, self._live_length / max(1, self._live_count))
        norms = self._norms(self._lengths.values.astype(np.float32), average)
        for term, times in Counter(query).items():
            ordinals, tfs = self._postings(crc32(term.encode()))
            weight = self._weight(self._live_count, len(ordinals))
            full += times * weight / (1.0 + self._k1)
            weight *= times
            if not len(ordinals):
                continue
            out[ordinals] += weight * tfs / (tfs + norms[ordinals])
            if sessions is not None:
                sums = sessions.sums(ordinals, tfs)
                weight = times * self._weight(sessions.count, int(np.count_nonzero(sums)))
                sessions.scores += weight * sums / (sums + self._norms(sessions.lengths, sessions.average))
        return LexicalScores(out, full, None if sessions is None else sessions.scores)

    def _norms(self, lengths: NDArray[np.float32], average: float) -> NDArray[np.float32]:
        return np.float32(self._k1 * (1.0 - self._b)) + lengths * np.float32(self._k1 * self._b / average)

    def _weight(self, documents: int, df: int) -> float:
        return (self._k1 + 1.0) * math.log1p((documents - df + 0.5) / (df + 0.5))

    def _postings(self, term: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The live documents with `term`, each once, and how often they have it."""
        ordinals = self._ordinals[:0]
        tfs = self._tfs[:0]
        at = int(np.searchsorted(self._terms, np.uint32(term)))
        if at < len(self._terms) and self._terms[at] == term:
            span = slice(int(self._starts[at]), int(self._starts[at + 1]))
            ordinals, tfs = self._ordinals[span], self._tfs[span]
        if len(self._tail_terms):
            recent = np.flatnonzero(self._tail_terms.values == term)
            if len(recent):
                ordinals = np.concatenate((ordinals, self._tail_ordinals.values[recent]))
                tfs = np.concatenate((tfs, self._tail_tfs.values[recent]))
        if self._live_count < len(self):
            live = self._live.values[ordinals]
            ordinals, tfs = ordinals[live], tfs[live]
        return ordinals.astype(np.intp), tfs.astype(np.float32)

    def _merge(self) -> None:
        """Work the tail into the base."""
        if not len(self._tail_terms):
            return
        self._group(
            np.concatenate((np.repeat(self._terms, np.diff(self._starts)), self._tail_terms.values)),
            np.concatenate((self._ordinals, self._tail_ordinals.values)),
            np.concatenate((self._tfs, self._tail_tfs.values)),
        )
        for column in (self._tail_terms, self._tail_ordinals, self._tail_tfs):
            column.clear()

    def _group(
        self, terms: NDArray[np.uint32], ordinals: NDArray[np.uint32], tfs: NDArray[np.uint16]
    ) -> None:
        order = np.argsort(terms, kind="stable")
        self._terms, starts = np.unique(terms[order], return_index=True)
        self._starts = np.append(starts, len(terms)).astype(np.uint32)
        self._ordinals = ordinals[order]
        self._tfs = tfs[order]


class _Groups:
    """Documents taken together: lengths, and the sums that score them."""

    def __init__(
        self, groups: NDArray[np.int32], lengths: NDArray[np.uint32], live: NDArray[np.bool_]
    ) -> None:
        self._group_of = groups + 1  # the first slot takes those in no group
        self._slots = int(self._group_of.max(initial=0)) + 1
        totals = np.bincount(self._group_of, lengths * live, self._slots)[1:]
        self.lengths = totals.astype(np.float32)
        self.count = int(np.count_nonzero(totals))
        self.average = max(1.0, float(totals.sum()) / max(1, self.count))
        self.scores = np.where(totals > 0, np.float32(0), np.float32(np.nan))

    def sums(self, ordinals: NDArray[np.intp], tfs: NDArray[np.float32]) -> NDArray[np.float32]:
        """How often each group has a term."""
        sums = np.bincount(self._group_of[ordinals], tfs, self._slots)[1:]
        return sums.astype(np.float32)
