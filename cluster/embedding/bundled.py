"""The embedding models that come with the installation: no server, no key, no download."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.e5 import E5Engine, clean
from cluster.embedding.port import EmbeddingRole
from cluster.embedding.use import UseEngine
from memgrid.errors import InvalidInput, Unavailable


class _Engine(Protocol):
    dimension: ClassVar[int]

    def __init__(self, threads: int) -> None: ...
    def start(self) -> None:
        """Load the model and prepare the calling thread."""
        ...

    def part(self, texts: Sequence[str]) -> int:
        """How many of the first `texts` make up one call, at least one: as many as the engine gains from, as
        few as a cancelled caller still costs."""
        ...

    def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]: ...


_ENGINES: dict[str, type[_Engine]] = {
    "multilingual-e5-small": E5Engine,
    "universal-sentence-encoder": UseEngine,
}

_NICE: Final = 10
"""What passages are embedded at, nobody waiting for them: a tenth of a processor that others want, too."""

_NICEST: Final = 19

BUNDLED_MODELS = frozenset(_ENGINES)
"""The names that need no endpoint."""


class BundledEmbedder:
    """A bundled model behind the embedding port.

    Queries and passages have a worker thread each, so a query waits for no passage; on Linux, passages leave
    the processor to whatever else wants it. The model is loaded
    on first use. An empty or blank text is the zero vector: its cosine with everything is 0. Of a long
    text the beginning counts (`e5.MAX_TOKENS`, `use.MAX_CHARACTERS`).
    """

    def __init__(self, model: str, *, threads: int = 1) -> None:
        """`threads` is what one text may use. Raises InvalidInput for a model that is not bundled."""
        if model not in _ENGINES:
            raise InvalidInput(
                f"embedding model {model!r} is not bundled",
                field="embedding_model",
                remedy=f"choose one of {', '.join(sorted(_ENGINES))}, or set embedding_base_url",
            )
        self._model = model
        self._engine = _ENGINES[model](threads)
        self._closed = False
        self._workers: dict[EmbeddingRole, ThreadPoolExecutor] = {
            role: ThreadPoolExecutor(1, f"embed-{role}", initializer=self._start, initargs=(role,))
            for role in ("query", "passage")
        }

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._engine.dimension

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        cleaned = [(at, text) for at, text in enumerate(map(clean, texts)) if text.strip()]
        loop = asyncio.get_running_loop()
        places, waiting = [at for at, _ in cleaned], [text for _, text in cleaned]
        while waiting:
            self._check_open()
            size = self._engine.part(waiting)
            part = await loop.run_in_executor(self._workers[role], self._embed, waiting[:size], role)
            vectors[places[:size]] = part
            del places[:size], waiting[:size]
        return vectors

    async def close(self) -> None:
        """Ends the worker threads after the call they are at."""
        self._closed = True
        for worker in self._workers.values():
            worker.shutdown(wait=False)
        await asyncio.gather(*(asyncio.to_thread(worker.shutdown) for worker in self._workers.values()))

    def _start(self, role: EmbeddingRole) -> None:
        """On the worker thread. The model first: threads of its own, which serve queries as well, would take
        after this one."""
        self._engine.start()
        if role == "passage" and sys.platform == "linux":  # elsewhere only processes have a priority
            thread = threading.get_native_id()
            nice = os.getpriority(os.PRIO_PROCESS, thread) + _NICE
            os.setpriority(os.PRIO_PROCESS, thread, min(nice, _NICEST))

    def _embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        self._check_open()  # it may have been closed while this waited for the worker
        return self._engine.embed(texts, role)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the embedding model is closed")
