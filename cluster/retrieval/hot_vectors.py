"""The vectors of one subject in memory: FAISS, half precision, exact search.

A document's ordinal is its position. One that has no vector yet holds its place with zeros.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from cluster.retrieval.columns import Column

Vector = NDArray[np.float32]

_thread = threading.local()


class HotVectors:
    """Unit vectors of documents 0..n-1; the score is the inner product, which is their cosine."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._index = self._empty()
        self._present = Column(np.bool_)

    def __len__(self) -> int:
        """Ordinals given out, those without a vector among them."""
        return len(self._present)

    @property
    def nbytes(self) -> int:
        """Bytes held, with the room that a growing C++ vector keeps to spare."""
        return int(len(self) * self._dimension * 2 * 1.5) + self._present.nbytes

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which ordinals have a vector. Valid until the next `add`."""
        return self._present.values

    def add(self, vectors: Sequence[Vector | None]) -> None:
        """Add documents at the next free ordinals, in order; None is one whose vector comes later."""
        rows = np.zeros((len(vectors), self._dimension), np.float32)
        for row, vector in zip(rows, vectors, strict=True):
            if vector is not None:
                row[:] = vector
        self._index.add(rows)
        self._present.extend(np.fromiter((vector is not None for vector in vectors), np.bool_, len(vectors)))

    def set(self, ordinal: int, vector: Vector) -> None:
        """Give a document its vector, or another one."""
        self._half()[ordinal] = vector
        self._present.values[ordinal] = True

    def clear(self, ordinal: int) -> None:
        """Take a document's vector away."""
        self._half()[ordinal] = 0
        self._present.values[ordinal] = False

    def compact(self, keep: NDArray[np.intp]) -> None:
        """Renumber: the document at old ordinal `keep[i]` becomes `i`; all others are gone for good."""
        rows = self._half()[keep].astype(np.float32)
        self._index = self._empty()
        self._index.add(rows)
        self._present.replace(self._present.values[keep])

    def search(
        self, query: Vector, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], Vector]:
        """Up to `k` ordinals with a vector that are nearest to `query`, best first, and their cosines.

        `allowed` is a mask over all ordinals.
        """
        eligible = self.present if allowed is None else self.present & allowed
        k = min(k, int(np.count_nonzero(eligible)))
        if k == 0:
            return np.zeros(0, np.intp), np.zeros(0, np.float32)
        _use_one_thread()
        query = np.ascontiguousarray(query, np.float32)[None, :]
        if eligible.all():
            cosines, ordinals = self._index.search(query, k)
        else:
            bits = np.packbits(eligible, bitorder="little")
            only = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # pyright: ignore[reportCallIssue]
            cosines, ordinals = self._index.search(query, k, params=only)
        return ordinals[0].astype(np.intp), cosines[0]

    def cosines(self, query: Vector, ordinals: NDArray[np.intp]) -> Vector:
        """The cosine of each given ordinal with `query`; 0 for one without a vector."""
        _use_one_thread()
        # FAISS decodes at twice numpy's speed; and `@` would start a team of BLAS threads.
        rows = self._index.sa_decode(self._half()[ordinals].view(np.uint8))
        return np.einsum("ij,j->i", rows, query)

    def vector(self, ordinal: int) -> Vector | None:
        """A document's vector, as far as half precision keeps it."""
        return self._half()[ordinal].astype(np.float32) if self.present[ordinal] else None

    def _empty(self) -> faiss.IndexScalarQuantizer:
        return faiss.IndexScalarQuantizer(
            self._dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )

    def _half(self) -> NDArray[np.float16]:
        """The index's own storage (an fp16 code is the number itself); valid until the next `add`."""
        codes = self._index.codes
        if codes.size() == 0:
            return np.zeros((0, self._dimension), np.float16)
        raw = faiss.rev_swig_ptr(codes.data(), codes.size())
        return raw.view(np.float16).reshape(-1, self._dimension)


def _use_one_thread() -> None:
    """Keep FAISS from starting a team of threads for a search; the setting is the calling thread's own."""
    if not hasattr(_thread, "limited"):
        faiss.omp_set_num_threads(1)
        _thread.limited = True
