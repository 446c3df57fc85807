"""From text to terms, in every script that comes in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.analysis import MAX_TERM, looks_chinese, search_terms, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caroline's dogs weren’t running", ["carolin", "dog", "werent", "run"]),
        ("I'm the ‘quoted’ one", ["im", "the", "quot", "one"]),
        ("José's naïve CAFÉ", ["jose", "naiv", "cafe"]),
        ("ＡＢＣ１２３", ["abc123"]),
        ("1,234,567 and 12", ["1234567", "and", "12"]),
        ("C++ or C#", ["c++", "c#", "c", "or", "c"]),
        ("well-known", ["well", "known"]),
        ("猫", ["猫"]),
        ("打羽毛球", ["打", "羽", "毛", "球", "打羽", "羽毛", "毛球"]),
        ("हिन्दी में।", ["हिन्दी", "में"]),
        ("العَرَبِيَّة", ["العربية"]),
        ("Привет", ["привет"]),
        ("🎂", ["🎂"]),
        ("so\u00adft\u200bware", ["softwar"]),
        ("", []),
        (" \x00\ud800!?。，", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    "exact",
    ["2023-04-30", "10:30", "li.lei@example.com", "sku-12345", "v1.2.3", "d3:7", "snake_case", "gpt-4o"],
)
@pytest.mark.parametrize("around", ["see {} please", "订单{}已发货", "({}),", "{}。"])
def test_codes_stay_whole_wherever_they_stand(exact: str, around: str) -> None:
    assert exact in tokens(around.format(exact.upper()))
    assert exact in search_terms(around.format(exact))


def test_a_date_is_found_by_its_year_and_a_mail_address_by_its_name() -> None:
    assert {"2023", "lei", "exampl"} <= set(tokens("2023-04-30 li.lei@example.com"))


def test_words_of_one_stem_meet() -> None:
    assert set(tokens("she paints")) & set(search_terms("Who painted?")) == {"paint"}


def test_a_query_looks_for_pairs_and_for_lone_characters() -> None:
    assert search_terms("羽毛球") == ["羽毛", "毛球"]
    assert search_terms("猫") == ["猫"]
    assert set(search_terms("猫")) <= set(tokens("我有一只猫"))


def test_scripts_do_not_run_into_each_other() -> None:
    assert {"gpt4", "模型", "张三"} <= set(tokens("张三GPT4模型"))
    assert {"东京", "タワ"} <= set(tokens("东京タワー"))


@given(st.text(st.characters(codec=None), max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_clean_terms_that_find_it(text: str) -> None:
    found = tokens(text)
    for term in found:
        assert 0 < len(term) <= MAX_TERM
        term.encode()  # no surrogates
        assert not any(character.isspace() or character == "\x00" for character in term)
    assert set(search_terms(text)) <= set(found)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "repeated", ["a", "a-", "a--", "a'", "1,222", ",222", "中", "\ud800", "e\u0301", "c+", "@.", "１,２２２,"]
)
def test_time_grows_with_the_length_only(repeated: str) -> None:
    tokens("1" + repeated * 200_000)


def test_a_long_word_is_cut_and_its_beginning_decides() -> None:
    assert tokens("x" * 10_000) == ["x" * MAX_TERM]


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"running dogs {number} painted mountains generously" for number in range(200)]
    expected = [tokens(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(tokens, texts)) == expected


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("我喜欢打羽毛球", True),
        ("我在用 Python 和 Ray 写代码", True),
        ("My friend 李雷 lives in Hangzhou", False),
        ("hello", False),
        ("東京へ行きました", False),
        ("12345", False),
        ("", False),
        ("好", True),
    ],
)
def test_the_dominant_language(text: str, chinese: bool) -> None:
    assert looks_chinese(text) is chinese
