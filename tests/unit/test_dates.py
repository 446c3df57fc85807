"""Date expressions, resolved against Wednesday 10 May 2023."""

from __future__ import annotations

import calendar
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.pipeline.dates import dates_in
from cluster.pipeline.periods import day_millis, day_of, zh_number

SAID_AT = calendar.timegm((2023, 5, 10, 23, 59, 59)) * 1000

ENGLISH = {
    "today": "2023-05-10 day",
    "yesterday": "2023-05-09 day",
    "last night": "2023-05-09 day",
    "the day before yesterday": "2023-05-08 day",
    "tomorrow morning": "2023-05-11 day",
    "the day after tomorrow": "2023-05-12 day",
    "three days ago": "2023-05-07 day",
    "in 3 days": "2023-05-13 day",
    "last Friday": "2023-05-05 day",
    "last Wednesday": "2023-05-03 day",
    "on Friday": "2023-05-12 day",
    "this Friday": "2023-05-12 day",
    "next Monday": "2023-05-15 day",
    "last Tues": "2023-05-09 day",
    "last week": "2023-05-01 week",
    "two weeks ago": "2023-04-24 week",
    "in two weeks": "2023-05-22 week",
    "last weekend": "2023-05-06 weekend",
    "next month": "2023-06-01 month",
    "two months ago": "2023-03-01 month",
    "last year": "2022-01-01 year",
    "a couple of years ago": "2021-01-01 year",
    "on May 3rd": "2023-05-03 day",
    "May 3, 2021": "2021-05-03 day",
    "the 3rd of May": "2023-05-03 day",
    "on 20 December": "2022-12-20 day",
    "in June": "2023-06-01 month",
    "last June": "2022-06-01 month",
    "in March 2020": "2020-03-01 month",
    "since 2015": "2015-01-01 year",
    "2023-04-30": "2023-04-30 day",
}
CHINESE = {
    "今天": "2023-05-10 day",
    "昨天": "2023-05-09 day",
    "昨晚": "2023-05-09 day",
    "前天": "2023-05-08 day",
    "大前天": "2023-05-07 day",
    "明天下午": "2023-05-11 day",
    "后天": "2023-05-12 day",
    "三天前": "2023-05-07 day",
    "两周前": "2023-04-24 week",
    "半个月": None,
    "上周五": "2023-05-05 day",
    "上个星期天": "2023-05-07 day",
    "下周一": "2023-05-15 day",
    "这周六": "2023-05-13 day",
    "上上周三": "2023-04-26 day",
    "上周": "2023-05-01 week",
    "上周末": "2023-05-06 weekend",
    "下个月": "2023-06-01 month",
    "上个月3号": "2023-04-03 day",
    "三个月前": "2023-02-01 month",
    "去年": "2022-01-01 year",
    "前年": "2021-01-01 year",
    "去年10月": "2022-10-01 month",
    "明年五月一日": "2024-05-01 day",
    "5月3号": "2023-05-03 day",
    "十二月二十日": "2022-12-20 day",
    "2020年3月": "2020-03-01 month",
    "2019年": "2019-01-01 year",
    "2021年8月15日": "2021-08-15 day",
    "昨天晚上": "2023-05-09 day",
    "上個禮拜": "2023-05-01 week",
    "後天": "2023-05-12 day",
}


@pytest.mark.parametrize(
    ("text", "expected", "language"),
    [(*item, "en") for item in ENGLISH.items()] + [(*item, "zh") for item in CHINESE.items()],
)
def test_resolved(text: str, expected: str | None, language: str) -> None:
    mentions = dates_in(text, SAID_AT, language)
    assert [f"{mention.first} {mention.precision}" for mention in mentions] == (
        [expected] if expected else []
    )


@pytest.mark.parametrize(
    "text", ["I may go", "May 32", "2023-13-40", "13月40号", "the last one", "next door"]
)
def test_what_is_no_date_is_left_out(text: str) -> None:
    assert dates_in(text, SAID_AT, "zh" if "月" in text else "en") == []


def test_a_day_without_a_year_is_the_nearest_one() -> None:
    new_year = day_millis(date(2023, 1, 2))
    assert dates_in("on December 30th", new_year, "en")[0].first == date(2022, 12, 30)
    assert dates_in("12月30号", new_year, "zh")[0].first == date(2022, 12, 30)


def test_the_29th_of_february_is_in_a_leap_year() -> None:
    assert dates_in("2月29日", day_millis(date(2022, 6, 1)), "zh") == []
    assert dates_in("2月29日", day_millis(date(2023, 12, 1)), "zh")[0].first == date(2024, 2, 29)


def test_several_in_one_text_stand_where_they_are() -> None:
    text = "Yesterday I ran, and next week I swim."
    assert [text[m.start : m.stop] for m in dates_in(text, SAID_AT, "en")] == ["Yesterday", "next week"]


def test_written_out() -> None:
    def written(text: str, language: str) -> str:
        return dates_in(text, SAID_AT, language)[0].text(language)

    assert written("yesterday", "en") == "on 2023-05-09"
    assert written("last week", "en") == "in the week of 2023-05-01"
    assert written("last weekend", "en") == "on the weekend of 2023-05-06"
    assert written("next month", "en") == "in 2023-06"
    assert written("去年", "zh") == "2022年"
    assert written("上周末", "zh") == "2023年5月6日那个周末"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("28", 28),
        ("十", 10),
        ("十二", 12),
        ("二十八", 28),
        ("一百零五", 105),
        ("两", 2),
        ("x", None),
        ("", None),
    ],
)
def test_chinese_numbers(text: str, number: int | None) -> None:
    assert zh_number(text) == number


_EXPRESSIONS = sorted(ENGLISH) + sorted(CHINESE)


@given(
    st.sampled_from(_EXPRESSIONS),
    st.one_of(
        st.integers(min_value=-(2**63), max_value=2**63),
        st.dates(date(1, 1, 1), date(9999, 12, 31)).map(day_millis),
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_time_is_survived_and_periods_are_not_empty(text: str, at: int) -> None:
    for language in ("en", "zh"):
        for mention in dates_in(text, at, language):
            assert mention.first < mention.end
            assert day_of(mention.millis) == mention.first
