"""The vector of a question, or none in time: whoever ranks goes by words then."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.port import Embedder
from cluster.logs import get_log
from cluster.wide_store.codec import vector_to_bytes
from memgrid.errors import Overloaded, Unavailable
from memgrid.operations import QueryText, QueryVector
from memgrid.subject import Subject

_log = get_log()


class QueryVectors:
    """Embeds questions, each within a time limit."""

    def __init__(self, embedder: Embedder, timeout: float) -> None:
        """`timeout` in seconds."""
        self._embedder = embedder
        self._timeout = timeout

    async def of(self, question: str) -> NDArray[np.float32] | None:
        """The vector, or None when the model cannot give it now."""
        try:
            async with asyncio.timeout(self._timeout):
                return (await self._embedder.embed([question], "query"))[0]
        except (Unavailable, Overloaded, TimeoutError) as error:
            _log.warning("search without vectors", error=str(error))
            return None

    async def query_vector(self, subject: Subject, request: QueryText, request_id: str) -> QueryVector:
        """The same for one who has no model: the ingress, when it searches across subjects."""
        vector = await self.of(request.text)
        return QueryVector(vector=None if vector is None else vector_to_bytes(vector))
