"""Embedding: text to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

EmbeddingRole = Literal["query", "passage"]


class Embedder(Protocol):
    """Turns texts into unit-length float32 vectors, off the event loop."""

    @property
    def model(self) -> str:
        """The name stored beside every vector; vectors of two models are never compared."""
        ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        """Shape (len(texts), dimension). Raises Unavailable when the model cannot be reached."""
        ...

    async def close(self) -> None: ...
