"""Embedding for many callers at once: batches across users, a cache of queries, each text once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.port import Embedder, EmbeddingRole
from memgrid.errors import Overloaded, Unavailable

Vector = NDArray[np.float32]


class _Job:
    """One text that somebody waits for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.waiters = 0
        self.done: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if self.waiters and not self.done.done():  # with nobody waiting, asyncio would report it as lost
            self.done.set_exception(error)


class _Lane:
    """The texts of one role: a queue, and up to `parallel` batches of them at the embedder.

    A batch starts as soon as there is a text and room; what arrives while it runs makes up the next one.
    """

    def __init__(self, inner: Embedder, role: EmbeddingRole, *, batch_size: int, parallel: int) -> None:
        self._inner = inner
        self._role: EmbeddingRole = role
        self._batch_size = batch_size
        self._parallel = parallel
        self._queued: OrderedDict[str, _Job] = OrderedDict()
        self._running: dict[str, _Job] = {}
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        return len(self._queued)

    @property
    def backlog(self) -> int:
        return len(self._queued) + len(self._running)

    async def embed(self, texts: Iterable[str]) -> list[Vector]:
        """The vectors of distinct texts, in order."""
        jobs = [self._job(text) for text in texts]
        for job in jobs:
            job.waiters += 1
        self._start_workers()
        try:
            await asyncio.wait([job.done for job in jobs])
        finally:
            for job in jobs:
                job.waiters -= 1
                if job.done.done():
                    job.done.exception()  # looked at, or asyncio reports the ones not raised below as lost
                if not job.waiters and self._queued.get(job.text) is job:
                    del self._queued[job.text]
        return [job.done.result() for job in jobs]

    async def close(self) -> None:
        """Stop; whoever waits gets Unavailable."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for job in (*self._running.values(), *self._queued.values()):
            job.fail(Unavailable("the embedding model is closed"))
        self._queued.clear()
        self._running.clear()

    def _job(self, text: str) -> _Job:
        job = self._running.get(text) or self._queued.get(text)
        if job is None:
            job = self._queued[text] = _Job(text)
        return job

    def _start_workers(self) -> None:
        # Workers that are running take what is queued when their batch is done; another is worth starting
        # for as much as is queued now.
        while self._queued and len(self._workers) < self._parallel:
            self._workers.add(asyncio.create_task(self._work(self._next_batch())))

    def _next_batch(self) -> list[_Job]:
        size = min(self._batch_size, len(self._queued))
        batch = [self._queued.popitem(last=False)[1] for _ in range(size)]
        self._running.update((job.text, job) for job in batch)
        return batch

    async def _work(self, batch: list[_Job]) -> None:
        while batch:
            call = asyncio.ensure_future(self._inner.embed([job.text for job in batch], self._role))
            try:
                await asyncio.wait([call])
            finally:
                call.cancel()
            # Whatever went wrong, the waiters must hear of it: nothing is caught, the outcome is passed on.
            error = call.exception()
            for at, job in enumerate(batch):
                del self._running[job.text]
                if error is not None:
                    job.fail(error)
                else:
                    job.done.set_result(call.result()[at])
            batch = self._next_batch()
        # Before the task ends, not in a callback after: what is queued in between would find no worker.
        self._workers.discard(asyncio.current_task())  # pyright: ignore[reportArgumentType]


class BatchingEmbedder:
    """Wraps an embedder so that concurrent callers share its calls.

    Queries and passages have a lane each, so a query never waits behind a batch of passages. A text that is
    asked for twice at the same time is embedded once; query vectors are also remembered, the least
    recently used forgotten first. A caller that is cancelled takes its waiting texts with it. An error of
    the inner embedder reaches everybody who waits for that batch.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        batch_size: int = 32,
        query_cache: int = 4096,
        max_queued: int = 10_000,
        parallel: int = 1,
    ) -> None:
        """`query_cache` counts query vectors; `max_queued` texts waiting in a lane make it refuse more;
        `parallel` batches of a lane run at a time (more than 1 is for endpoints, not for bundled models)."""
        self._inner = inner
        self._max_queued = max_queued
        self._query_cache = query_cache
        self._queries: OrderedDict[str, Vector] = OrderedDict()
        self._closed = False
        self._lanes: dict[EmbeddingRole, _Lane] = {
            role: _Lane(inner, role, batch_size=batch_size, parallel=parallel)
            for role in ("query", "passage")
        }

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def backlog(self) -> int:
        """Texts that wait for their vector or are being embedded."""
        return sum(lane.backlog for lane in self._lanes.values())

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> Vector:
        """As the inner embedder. Raises Overloaded when too many texts are queued already."""
        if self._closed:
            raise Unavailable("the embedding model is closed")
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        known: dict[str, Vector] = {}
        missing: dict[str, None] = {}
        for text in texts:
            vector = self._recall(text) if role == "query" else None
            if vector is not None:
                known[text] = vector
            else:
                missing[text] = None
        if missing:
            lane = self._lanes[role]
            if lane.queued >= self._max_queued:
                raise Overloaded(f"{lane.queued} texts are waiting to be embedded", retry_after=1.0)
            vectors = await lane.embed(missing)
            known.update(zip(missing, vectors, strict=True))
            if role == "query":
                self._remember(missing, vectors)
        return np.stack([known[text] for text in texts])

    async def close(self) -> None:
        self._closed = True
        for lane in self._lanes.values():
            await lane.close()
        await self._inner.close()

    def _recall(self, text: str) -> Vector | None:
        vector = self._queries.get(text)
        if vector is not None:
            self._queries.move_to_end(text)
        return vector

    def _remember(self, texts: Iterable[str], vectors: Iterable[Vector]) -> None:
        for text, vector in zip(texts, vectors, strict=True):
            self._queries[text] = vector.copy()  # a row would keep its whole batch in memory
        while len(self._queries) > self._query_cache:
            self._queries.popitem(last=False)
