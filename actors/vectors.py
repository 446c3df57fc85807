"""The work behind an ack: embedding what was added.

The ack never waits for it. What is missing is the backlog, and it is found again when the subject is
activated, so nothing is lost with this process.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actors.indexing import Indexing
from actors.reindex import document
from actors.resident import Resident, Residents, content_hash
from cluster.embedding.port import Embedder
from cluster.logs import get_log
from cluster.model import Memory, Message
from cluster.retrieval.unit_text import embedding_text
from cluster.search_index.port import IndexDocument
from cluster.wide_store.port import StoredVector, WideStore
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject

_log = get_log()
_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 30.0
_LEAST_SHARE = 4
"""Of a batch, for each subject: every subject in it costs a write to the store and to the index."""
_FEW = 32
_MOMENT_SECONDS = 2.0
"""An add that waits waits for at most so many embeddings, and for at most so long."""


class VectorQueue:
    """Embeds the units of hot subjects in the background, batched over users."""

    def __init__(
        self,
        store: WideStore,
        indexing: Indexing,
        embedder: Embedder,
        residents: Residents,
        *,
        batch_size: int,
    ) -> None:
        self._store = store
        self._indexing = indexing
        self._embedder = embedder
        self._batch_size = batch_size
        self._residents = residents
        self._queue: OrderedDict[Subject, dict[str, None]] = OrderedDict()
        self._embedding: Counter[Subject] = Counter()
        """Units taken from the queue whose vectors are not here yet."""
        self._progress = asyncio.Event()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.failures = 0
        self.failing: str | None = None
        """Why the last try failed; None when it did not."""
        self.embedded = 0

    def start(self) -> None:
        """Begin the background work."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what is still queued is found again at the next activation."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def backlog(self, subject: Subject) -> int:
        """How many units of the subject wait for their embedding."""
        return len(self._queue.get(subject, ())) + self._embedding[subject]

    @property
    def total_backlog(self) -> int:
        return sum(len(ids) for ids in self._queue.values()) + self._embedding.total()

    def add(self, resident: Resident, ids: list[str]) -> None:
        """Embed and index these units of a resident subject."""
        if ids:
            self._queue.setdefault(resident.subject, {}).update(dict.fromkeys(ids))
            self._idle.clear()
            self._wake.set()

    def drop(self, subject: Subject, ids: Iterable[str]) -> None:
        """These are gone: they need no embedding any more."""
        queued = self._queue.get(subject)
        if queued is not None:
            for unit in ids:
                queued.pop(unit, None)

    async def soon(self, subject: Subject) -> None:
        """Wait for the subject's embeddings where that is a matter of a moment, so that what was added with
        `wait` is found by its meaning too; nobody waits for an import."""
        try:
            async with asyncio.timeout(_MOMENT_SECONDS):
                while self.failing is None and 0 < self.backlog(subject) <= _FEW:
                    await self._progress.wait()
        except TimeoutError:
            return

    async def settled(self) -> None:
        """Wait until nothing is queued."""
        await self._idle.wait()

    async def _run(self) -> None:
        delay = _RETRY_SECONDS
        while True:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                self._idle.set()
                continue
            try:
                await self._embed(batch)
                delay = _RETRY_SECONDS
                self.failing = None
            except (Unavailable, Overloaded) as error:
                self.failures += 1
                self.failing = error.message
                _log.warning("embedding delayed", error=error.message, retry_seconds=delay)
                for resident, unit in batch:
                    self._queue.setdefault(resident.subject, {})[unit.id] = None
                self._embedding.clear()
                self._progressed()
                await asyncio.sleep(delay)
                delay = min(delay * 2, _MAX_RETRY_SECONDS)

    def _next_batch(self) -> list[tuple[Resident, Memory | Message]]:
        """Up to a batch of units, some of each subject in turn: an import must not keep others waiting."""
        batch: list[tuple[Resident, Memory | Message]] = []
        while self._queue and len(batch) < self._batch_size:
            share = max(_LEAST_SHARE, self._batch_size // len(self._queue))
            subject, ids = self._queue.popitem(last=False)
            resident = self._residents.peek(subject)
            if resident is None:
                continue  # evicted: found again at its next activation
            end = min(len(batch) + share, self._batch_size)
            while ids and len(batch) < end:
                unit_id = next(iter(ids))
                del ids[unit_id]
                unit = resident.hot.memory(unit_id) or resident.hot.message(unit_id)
                if unit is not None:
                    batch.append((resident, unit))
                    self._embedding[subject] += 1
            if ids:
                self._queue[subject] = ids
        return batch

    async def _embed(self, batch: list[tuple[Resident, Memory | Message]]) -> None:
        texts = [embedding_text(unit) for _, unit in batch]
        vectors = await self._embedder.embed(texts, "passage")
        by_subject: dict[Subject, tuple[Resident, list[int]]] = {}
        for at, (resident, _) in enumerate(batch):
            by_subject.setdefault(resident.subject, (resident, []))[1].append(at)
        for resident, places in by_subject.values():
            await self._keep(resident, [(batch[at][1], texts[at], vectors[at]) for at in places])

    async def _keep(
        self, resident: Resident, embedded: list[tuple[Memory | Message, str, NDArray[np.float32]]]
    ) -> None:
        generation = resident.head.generation
        documents: list[IndexDocument] = []
        stored: dict[Literal["memory", "message"], list[StoredVector]] = {"memory": [], "message": []}
        for unit, text, vector in embedded:
            current = resident.hot.memory(unit.id) or resident.hot.message(unit.id)
            if current is None or embedding_text(current) != text:
                continue  # changed or deleted meanwhile: it was queued again, or is gone
            resident.hot.set_vector(unit.id, vector)
            documents.append(document(current, generation, vector))
            kind = "memory" if isinstance(current, Memory) else "message"
            stored[kind].append(StoredVector(unit.id, content_hash(text), vector))
        resident.touch()
        del self._embedding[resident.subject]
        self._progressed()
        # The index comes first: a vector in the store means that the index has been told as well, or is
        # known to be behind, so the missing vectors are the backlog of both.
        await self._indexing.tell(resident.subject, documents)
        for kind, vectors in stored.items():
            if vectors:
                await self._store.put_vectors(
                    resident.subject, generation, kind, self._embedder.model, vectors
                )
        self.embedded += len(documents)
        if resident.head.generation != generation:
            # erased meanwhile, and what was put above may have come after that
            self._indexing.forget(resident.subject, resident.head.generation, ())

    def _progressed(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
