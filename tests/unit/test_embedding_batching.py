"""Batches across callers, each text once, errors to everybody, nothing lost on cancellation."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from cluster.embedding.batching import BatchingEmbedder
from cluster.embedding.port import EmbeddingRole
from memgrid.errors import Overloaded, Unavailable


class SteppedEmbedder:
    """Embeds a text as its length and role; each call waits until the test releases it."""

    model = "stepped"
    dimension = 2

    def __init__(self, *, free: bool = False) -> None:
        self.calls: list[tuple[EmbeddingRole, list[str]]] = []
        self.failure: Exception | None = None
        self.closed = False
        self.cancelled = 0
        self.last: weakref.ref[NDArray[np.float32]] | None = None
        self._free = free
        self._gates: dict[EmbeddingRole, asyncio.Semaphore] = {
            "query": asyncio.Semaphore(0),
            "passage": asyncio.Semaphore(0),
        }

    def release(self, role: EmbeddingRole, calls: int = 1) -> None:
        for _ in range(calls):
            self._gates[role].release()

    async def embed(self, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        self.calls.append((role, list(texts)))
        try:
            if self._free:
                await asyncio.sleep(0)
            else:
                await self._gates[role].acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        vectors = np.array([[len(text), role == "query"] for text in texts], np.float32)
        self.last = weakref.ref(vectors)
        return vectors

    async def close(self) -> None:
        self.closed = True


async def settle() -> None:
    """Let everything run that can run: no step in these tests takes more turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_arrives_while_a_batch_runs_is_the_next_batch_across_callers() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=3)
    callers = [asyncio.ensure_future(embedder.embed(["first"], "passage"))]
    await settle()
    assert inner.calls == [("passage", ["first"])]  # at once: nothing is waited for when idle
    callers += [asyncio.ensure_future(embedder.embed([text, text + "!"], "passage")) for text in "abc"]
    await settle()
    assert embedder.backlog == 7
    inner.release("passage", 3)
    answers = await asyncio.gather(*callers)
    assert inner.calls[1:] == [("passage", ["a", "a!", "b"]), ("passage", ["b!", "c", "c!"])]
    assert [answer[:, 0].tolist() for answer in answers] == [[5], [1, 2], [1, 2], [1, 2]]
    assert embedder.backlog == 0


async def test_a_query_does_not_wait_for_passages() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=1)
    passages = asyncio.ensure_future(embedder.embed(["p1", "p2", "p3"], "passage"))
    await settle()
    query = asyncio.ensure_future(embedder.embed(["q"], "query"))
    inner.release("query")
    assert (await query).tolist() == [[1, 1]]
    assert not passages.done()
    inner.release("passage", 3)
    await passages


async def test_identical_texts_are_embedded_once() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner)
    callers = [asyncio.ensure_future(embedder.embed(["同", "x", "同"], "passage")) for _ in range(3)]
    await settle()
    callers.append(asyncio.ensure_future(embedder.embed(["同"], "passage")))  # while it is in flight
    await settle()
    inner.release("passage", 4)
    answers = await asyncio.gather(*callers)
    assert inner.calls == [("passage", ["同", "x"])]
    assert answers[0].shape == (3, 2)
    assert answers[3].tolist() == [[1, 0]]


async def test_query_vectors_are_remembered_and_passages_are_not() -> None:
    inner = SteppedEmbedder(free=True)
    embedder = BatchingEmbedder(inner, query_cache=2)
    for text in ("a", "b", "a", "c", "a", "b"):  # c pushes b out, a is used in between
        await embedder.embed([text], "query")
    assert [texts for _, texts in inner.calls] == [["a"], ["b"], ["c"], ["b"]]
    for _ in range(2):
        await embedder.embed(["a"], "passage")
    assert [call for call in inner.calls if call[0] == "passage"] == [("passage", ["a"])] * 2


async def test_a_caller_cannot_spoil_the_cache() -> None:
    embedder = BatchingEmbedder(SteppedEmbedder(free=True))
    (await embedder.embed(["abc"], "query"))[:] = 99
    assert (await embedder.embed(["abc"], "query")).tolist() == [[3, 1]]


async def test_a_remembered_query_does_not_keep_its_batch_in_memory() -> None:
    inner = SteppedEmbedder(free=True)
    embedder = BatchingEmbedder(inner)
    await embedder.embed(["a", "b"], "query")
    assert inner.last is not None
    assert inner.last() is None


async def test_without_a_cache_nothing_is_remembered() -> None:
    inner = SteppedEmbedder(free=True)
    embedder = BatchingEmbedder(inner, query_cache=0)
    for _ in range(2):
        await embedder.embed(["a"], "query")
    assert len(inner.calls) == 2


@pytest.mark.parametrize("failure", [Unavailable("down"), ValueError("a defect")])
async def test_an_error_reaches_every_waiter_and_only_those_of_the_batch(failure: Exception) -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=2)
    callers = [asyncio.ensure_future(embedder.embed(list(texts), "passage")) for texts in ("ab", "a", "b")]
    later = asyncio.ensure_future(embedder.embed(["later"], "passage"))
    await settle()
    inner.failure = failure
    inner.release("passage")
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert outcomes == [failure] * 3
    inner.failure = None
    inner.release("passage")
    assert (await later).tolist() == [[5, 0]]
    inner.release("passage")
    assert (await embedder.embed(["a"], "passage")).tolist() == [[1, 0]]  # a failure is not remembered


async def test_a_cancelled_caller_takes_its_waiting_texts_with_it_and_nobody_else_s() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=1)
    first = asyncio.ensure_future(embedder.embed(["running"], "passage"))
    await settle()
    leaving = asyncio.ensure_future(embedder.embed(["running", "mine", "shared"], "passage"))
    staying = asyncio.ensure_future(embedder.embed(["shared"], "passage"))
    await settle()
    leaving.cancel()
    await settle()
    assert leaving.cancelled()
    assert embedder.backlog == 2
    inner.release("passage", 2)
    await asyncio.gather(first, staying)
    assert inner.calls == [("passage", ["running"]), ("passage", ["shared"])]


async def test_a_batch_that_everybody_left_does_no_harm() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner)
    only = asyncio.ensure_future(embedder.embed(["a"], "query"))
    await settle()
    only.cancel()
    await settle()
    inner.failure = Unavailable("down")
    inner.release("query")
    await settle()
    assert embedder.backlog == 0
    inner.failure = None
    inner.release("query")
    assert (await embedder.embed(["a"], "query")).tolist() == [[1, 1]]


async def test_beyond_the_limit_callers_are_told_to_come_back() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=1, max_queued=2)
    taken = [asyncio.ensure_future(embedder.embed([text], "passage")) for text in "abc"]  # one runs, two wait
    await settle()
    with pytest.raises(Overloaded) as refused:
        await embedder.embed(["d"], "passage")
    assert refused.value.retry_after is not None
    inner.release("query")
    await embedder.embed(["the other lane has room"], "query")
    inner.release("passage", 3)
    await asyncio.gather(*taken)
    inner.release("passage")
    await embedder.embed(["d"], "passage")


@pytest.mark.parametrize("turns", range(12))
async def test_a_text_that_comes_just_as_a_worker_ends_finds_one(turns: int) -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner)
    first = asyncio.ensure_future(embedder.embed(["first"], "passage"))
    await settle()
    inner.release("passage", 2)
    for _ in range(turns):
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(embedder.embed(["second"], "passage"), 5)).tolist() == [[6, 0]]
    await first


async def test_several_batches_run_at_a_time_where_that_is_wanted() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=1, parallel=2)
    caller = asyncio.ensure_future(embedder.embed(["a", "b", "c"], "passage"))
    await settle()
    assert [texts for _, texts in inner.calls] == [["a"], ["b"]]
    inner.release("passage", 3)
    assert (await caller).shape == (3, 2)


async def test_closing_fails_who_waits_and_closes_the_inner_one() -> None:
    inner = SteppedEmbedder()
    embedder = BatchingEmbedder(inner, batch_size=1)
    waiting = asyncio.gather(
        *(embedder.embed([text], role) for text in "ab" for role in ("query", "passage")),
        return_exceptions=True,
    )
    await settle()
    await embedder.close()
    assert all(isinstance(outcome, Unavailable) for outcome in await waiting)
    assert inner.closed
    assert inner.cancelled == 2
    with pytest.raises(Unavailable):
        await embedder.embed(["c"], "query")


async def test_no_texts_give_no_rows_and_ask_nobody() -> None:
    inner = SteppedEmbedder()
    assert (await BatchingEmbedder(inner).embed([], "query")).shape == (0, 2)
    assert not inner.calls


async def test_thousands_of_callers_that_come_and_go_all_get_their_own_vectors() -> None:
    inner = SteppedEmbedder(free=True)
    embedder = BatchingEmbedder(inner, batch_size=4, query_cache=8, parallel=2)
    chance = random.Random(7)

    async def caller(number: int) -> bool:
        texts = ["x" * chance.randrange(1, 30) for _ in range(chance.randrange(1, 6))]
        role: EmbeddingRole = "query" if number % 2 else "passage"
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)
        vectors = await embedder.embed(texts, role)
        return vectors.tolist() == [[len(text), number % 2] for text in texts]

    tasks = [asyncio.ensure_future(caller(number)) for number in range(3000)]
    for task in chance.sample(tasks, 300):
        asyncio.get_running_loop().call_soon(task.cancel)
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert sum(outcome is True for outcome in outcomes) >= 2700
    assert all(outcome is True or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert embedder.backlog == 0
    assert all(len(set(texts)) == len(texts) <= 4 for _, texts in inner.calls)
