"""Owners for tests: real store, index and rules in memory, and a fake embedding that is named as one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from actors.owner import ShardOwner
from cluster.analysis import tokens
from cluster.embedding.port import EmbeddingRole
from cluster.ids import Clock, new_id, system_clock
from cluster.pipeline.port import Extractor
from cluster.pipeline.rules.extractor import RuleExtractor
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import SearchIndex
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import error_from_code
from memgrid.models import ErrorDetail
from memgrid.operations import OPERATIONS
from memgrid.subject import Subject

DIMENSION = 64


class FakeEmbedder:
    """A fake: sums a pseudo-random vector for each token, so that shared words mean closeness."""

    model = "fake"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        self.calls += 1
        if role == "passage":
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return np.stack([self._vector(text) for text in texts])

    async def close(self) -> None:
        return None

    def _vector(self, text: str) -> NDArray[np.float32]:
        total = np.full(DIMENSION, 1e-3, np.float32)
        for token in tokens(text):
            seed = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big")
            total += np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
        return total / np.linalg.norm(total)


class Asking:
    """A `ShardOwner` asked as the ingress asks it: requests as JSON, answers as models."""

    def __init__(self, owner: ShardOwner, embedder: FakeEmbedder) -> None:
        self.owner = owner
        self.embedder = embedder

    async def __call__(
        self, operation: str, subject: Subject, request_id: str | None = None, **fields: Any
    ) -> Any:
        request_model, answer_model = OPERATIONS[operation]
        request: BaseModel = request_model.model_validate(fields)
        body = request.model_dump_json(exclude_unset=True).encode()
        ok, reply = await self.owner.call(operation, tuple(subject), request_id or new_id(), body)
        if ok:
            return answer_model.model_validate_json(reply)
        detail = ErrorDetail.model_validate_json(reply)
        raise error_from_code(
            detail.code,
            detail.message,
            field=detail.field,
            remedy=detail.remedy,
            retry_after=detail.retry_after,
        )

    async def add(self, subject: Subject, *texts: str, **fields: Any) -> Any:
        """Add user messages of these texts."""
        messages = [{"role": "user", "content": text} for text in texts]
        return await self("add", subject, messages=messages, **{f"{subject.kind}_id": subject.id}, **fields)


@asynccontextmanager
async def running_owner(
    *,
    store: WideStore | None = None,
    index: SearchIndex | None = None,
    extractor: Extractor | None = None,
    embedder: FakeEmbedder | None = None,
    clock: Clock = system_clock,
    folder: Path | None = None,
    **settings: Any,
) -> AsyncGenerator[Asking]:
    """A started owner of all shards; drained at the end."""
    given = Settings(**{"shards": 4, "extraction_backoff_seconds": 0.01, **settings})
    if store is None:
        store = SqliteStore(folder if folder is not None else ":memory:")
        await store.open(shards=given.shards)
    if index is None:
        index = Fts5Index(":memory:")
        await index.open()
    embedder = embedder or FakeEmbedder()
    owner = ShardOwner(
        given,
        shards=range(given.shards),
        name="test",
        store=store,
        index=index,
        embedder=embedder,
        extractor=extractor or RuleExtractor(),
        clock=clock,
    )
    owner.start()
    try:
        yield Asking(owner, embedder)
    finally:
        await owner.close()
