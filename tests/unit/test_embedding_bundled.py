"""The bundled models: shapes, roles, hostile text, threads."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from cluster.embedding import e5
from cluster.embedding.bundled import BUNDLED_MODELS, BundledEmbedder
from cluster.embedding.e5 import E5Engine
from cluster.embedding.port import EmbeddingRole
from memgrid.errors import InvalidInput, Unavailable

HOSTILE = ["a\0b", "\ud800 x", "\udfff", "\ufdfa" * 2000, "\x01\x02", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "👩‍👩‍👧‍👦", "\ufffe\uffff"]


@pytest.fixture(scope="module", params=sorted(BUNDLED_MODELS))
def embedder(request: pytest.FixtureRequest) -> Iterator[BundledEmbedder]:
    """One for the module: loading takes a second, and it is bound to no event loop."""
    embedder = BundledEmbedder(request.param)
    yield embedder
    asyncio.run(embedder.close())


async def test_vectors_have_unit_length_and_the_promised_dimension(embedder: BundledEmbedder) -> None:
    vectors = await embedder.embed(["我喜欢打羽毛球", "I like badminton", *HOSTILE], "passage")
    assert vectors.shape == (2 + len(HOSTILE), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_meaning_crosses_languages(embedder: BundledEmbedder) -> None:
    query = await embedder.embed(["What sport does she like?"], "query")
    passages = await embedder.embed(["她喜欢打羽毛球", "明天要下雨，记得带伞"], "passage")
    badminton, rain = (query @ passages.T)[0]
    assert badminton > rain


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\0", "\u3000"])
async def test_a_blank_text_is_the_zero_vector(embedder: BundledEmbedder, blank: str) -> None:
    blank_vector, vector = await embedder.embed([blank, "x"], "query")
    assert not blank_vector.any()
    assert vector.any()


async def test_no_texts_give_no_rows(embedder: BundledEmbedder) -> None:
    assert (await embedder.embed([], "passage")).shape == (0, embedder.dimension)


async def test_a_text_is_embedded_alike_alone_and_in_company(embedder: BundledEmbedder) -> None:
    texts = [f"第{n}条消息 message {n}" for n in range(20)]
    together = await embedder.embed(texts, "passage")
    alone = await embedder.embed(texts[7:8], "passage")
    np.testing.assert_allclose(together[7:8], alone, atol=1e-5)


async def test_of_a_megabyte_only_the_beginning_is_embedded(embedder: BundledEmbedder) -> None:
    text = "The quick brown fox. " * 50_000
    longer, other_end = await embedder.embed([text, text[:500_000] + "完全不同" * 100_000], "passage")
    np.testing.assert_array_equal(longer, other_end)


async def test_after_closing_it_is_unavailable() -> None:
    before = {thread.ident for thread in threading.enumerate()}
    embedder = BundledEmbedder("multilingual-e5-small")
    running = asyncio.gather(
        *(embedder.embed([f"text {n}"] * 400, "passage") for n in range(3)), return_exceptions=True
    )
    await asyncio.sleep(0)
    await embedder.close()
    assert all(isinstance(outcome, Unavailable) for outcome in await running)
    with pytest.raises(Unavailable):
        await embedder.embed(["x"], "query")
    left = {thread.name for thread in threading.enumerate() if thread.ident not in before}
    assert not {name for name in left if name.startswith("embed-")}


async def test_the_event_loop_runs_on_while_a_text_is_embedded() -> None:
    embedder = BundledEmbedder("multilingual-e5-small")
    embedding = asyncio.ensure_future(embedder.embed(["word " * 400], "passage"))
    turns = 0
    while not embedding.done():
        await asyncio.sleep(0.001)
        turns += 1
    await embedder.close()
    assert turns > 20  # a blocked loop would have had none


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_passages_leave_the_processor_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = BundledEmbedder("multilingual-e5-small")
    nice: dict[str, int] = {}
    embed = E5Engine.embed

    def recorded(self: E5Engine, texts: Sequence[str], role: EmbeddingRole) -> NDArray[np.float32]:
        nice[role] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return embed(self, texts, role)

    monkeypatch.setattr(E5Engine, "embed", recorded)
    await embedder.embed(["绿茶"], "passage")
    await embedder.embed(["绿茶"], "query")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert (nice["query"], nice["passage"]) == (own, min(own + 10, 19))
    await embedder.close()


async def test_e5_embeds_queries_and_passages_differently() -> None:
    embedder = BundledEmbedder("multilingual-e5-small")
    query = await embedder.embed(["杭州"], "query")
    passage = await embedder.embed(["杭州"], "passage")
    await embedder.close()
    assert not np.array_equal(query, passage)


def test_an_unknown_model_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(InvalidInput) as refused:
        BundledEmbedder("all-MiniLM")
    assert refused.value.field == "embedding_model"
    assert "multilingual-e5-small" in (refused.value.remedy or "")


def test_the_e5_engine_gives_the_same_vectors_from_many_threads_at_once() -> None:
    texts = [f"{n} 我住在杭州 I live in Hangzhou " + "長い文 " * (n % 9) for n in range(12)]
    e5.E5Engine(1).start()
    expected = [e5.engine().encode(text) for text in texts]
    start = threading.Barrier(4)

    def embed(offset: int) -> bool:
        e5.E5Engine(1).start()
        start.wait()
        order = [*range(offset, len(texts)), *range(offset)]
        return all(np.array_equal(e5.engine().encode(texts[at]), expected[at]) for at in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(embed, (0, 3, 6, 9)))


def test_cleaning_leaves_ordinary_text_alone() -> None:
    text = "Zoë said: 你好 👋\n\ttabs, ﬁ ligatures"
    assert e5.clean(text) is text


def test_the_head_of_a_text_is_within_the_limit_and_not_needlessly_short() -> None:
    for text in ("word " * 5000, "我喜欢打羽毛球。" * 2000, "a" * 100_000, "\u200b" * 9000):
        head = e5.head(text)
        assert text.startswith(head)
        assert e5.token_count(head) <= e5.MAX_TOKENS
    assert e5.token_count(e5.head("我喜欢打羽毛球。" * 2000)) > e5.MAX_TOKENS * 0.9
