"""The embedding backlog: what it counts, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cluster.embedding.port import EmbeddingRole
from memgrid.errors import Unavailable
from memgrid.subject import Subject
from tests.owners import FakeEmbedder, running_owner

ANNA = Subject("default", "user", "anna")


class WatchedEmbedder(FakeEmbedder):
    """Says when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.batches: list[Sequence[str]] = []

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        self.asked.set()
        self.batches.append(texts)
        return await super().embed(texts, role)


async def test_units_being_embedded_are_in_the_backlog() -> None:
    embedder = WatchedEmbedder()
    embedder.gate.clear()
    async with running_owner(embedder=embedder) as ask:
        await ask.add(ANNA, "我喜欢打羽毛球", infer=False)
        await asyncio.wait_for(embedder.asked.wait(), 5)
        assert (await ask("buffer_status", ANNA)).embedding_backlog >= 1
        embedder.gate.set()
        await ask.owner.vectors.settled()
        assert (await ask("buffer_status", ANNA)).embedding_backlog == 0


async def test_an_add_that_waits_is_found_by_its_meaning_when_it_returns() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    async with running_owner(embedder=embedder) as ask:
        asyncio.get_running_loop().call_later(0.02, embedder.gate.set)
        await ask.add(ANNA, "我喜欢打羽毛球", wait=True)
        found = await ask("search", ANNA, query="something in other words", user_id=ANNA.id)
        assert found.results


async def test_a_search_does_not_wait_for_embeddings() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    async with running_owner(embedder=embedder) as ask:
        await ask.add(ANNA, "我喜欢打羽毛球")
        by_words = await ask("search", ANNA, query="羽毛球", user_id=ANNA.id)
        assert by_words.results
        assert not embedder.gate.is_set()
        embedder.gate.set()


async def test_nor_for_an_embedding_that_fails() -> None:
    embedder = WatchedEmbedder()
    async with running_owner(embedder=embedder) as ask:
        vectors = ask.owner.vectors
        embedder.error = Unavailable("the endpoint is down")
        await ask.add(ANNA, "我喜欢打羽毛球", wait=True)
        await asyncio.wait_for(embedder.asked.wait(), 5)
        await vectors.soon(ANNA)  # returns when the try has failed, if it had not before
        assert vectors.failing is not None
        assert vectors.backlog(ANNA) > 0
        async with asyncio.timeout(0.1):
            await vectors.soon(ANNA)


async def test_an_import_does_not_keep_the_others_waiting() -> None:
    embedder = WatchedEmbedder()
    embedder.gate.clear()
    imports = [Subject("default", "user", f"import {number}") for number in range(4)]
    async with running_owner(embedder=embedder, embedding_batch_size=32) as ask:
        await ask.add(imports[0], "the first of all")
        await asyncio.wait_for(embedder.asked.wait(), 5)
        for subject in imports:
            await ask.add(subject, *(f"{subject.id}, line {number}" for number in range(100)))
        await ask.add(ANNA, "good evening")
        embedder.gate.set()
        await ask.owner.vectors.settled()
        batch = next(at for at, texts in enumerate(embedder.batches) if "good evening" in texts)
        assert batch <= 2
        assert all(len(texts) <= 32 for texts in embedder.batches)
        assert sum(map(len, embedder.batches)) == 402
