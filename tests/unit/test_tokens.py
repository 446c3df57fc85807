"""The token counter: agreement with the engine, hostile text, cost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.embedding.e5 import token_count
from cluster.tokens import count_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t\0", 0),
        ("hello world", 3),  # ▁hell o ▁world
        ("我叫张三", 4),  # ▁我 叫 张 三
    ],
)
def test_known_counts(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abcXYZ019éß,.!?'-你好杭州喜欢，。カナ한국", min_size=1, max_size=30), max_size=12))
def test_counting_word_by_word_is_counting_the_whole(words: list[str]) -> None:
    text = " ".join(words)
    assert count_tokens(text) == (token_count(text) if words else 0)


def test_sentences_count_exactly_as_the_engine_counts_them() -> None:
    for text in (
        "I moved to Hangzhou last spring and I really like playing badminton with my colleagues.",
        "我叫张三，我喜欢打羽毛球，周末经常和同事一起去体育馆。",
        "Meeting at 10:30 with Zoë (R&D) — don't forget: 3,14 €!",
    ):
        assert count_tokens(text) == token_count(text)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    assert count_tokens(text) >= 0


def test_the_exploding_ligature_stays_within_the_engine_s_buffer() -> None:
    # Left in, 10,000 of them write 560 KB beyond the end of a buffer and kill the process.
    assert count_tokens("\ufdfa" * 10_000) > 10_000


def test_a_long_unspaced_run_is_estimated_from_its_beginning() -> None:
    text = "我喜欢打羽毛球。" * 20_000
    exact = sum(token_count(text[at : at + 8_000]) for at in range(0, len(text), 8_000))
    assert count_tokens(text) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("unit", ["a", "我", "word ", "\ufdfa", " ", "x\0"])
def test_a_megabyte_is_counted_in_time_in_proportion(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    started = time.process_time()
    count_tokens(text)
    assert time.process_time() - started < 5
