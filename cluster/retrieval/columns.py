"""A numpy array that grows: one value for each of a subject's units."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Generic[Scalar]):
    """An append-only array with room to spare (half its length, so appends cost constant time)."""

    def __init__(self, dtype: type[Scalar] | np.dtype[Scalar]) -> None:
        self._array: NDArray[Scalar] = np.zeros(0, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[Scalar]:
        """A view of the values; writing to it changes the column. Valid until the next append."""
        return self._array[: self._length]

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def extend(self, values: NDArray[Scalar]) -> None:
        self._reserve(len(values))
        self._array[self._length : self._length + len(values)] = values
        self._length += len(values)

    def replace(self, values: NDArray[Scalar]) -> None:
        """Hold exactly `values` from now on."""
        self._array = values.astype(self._array.dtype, copy=True)
        self._length = len(values)

    def clear(self) -> None:
        self._array = self._array[:0].copy()
        self._length = 0

    def _reserve(self, more: int) -> None:
        needed = self._length + more
        if needed > len(self._array):
            grown = np.zeros(max(16, needed + needed // 2), self._array.dtype)
            grown[: self._length] = self._array[: self._length]
            self._array = grown
