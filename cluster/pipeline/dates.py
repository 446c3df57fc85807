"""Dates in Chinese and English text, resolved against the time something was said. Pure; days are UTC's.

What names its own direction ("last Friday", "上周五", "three days ago") is resolved here, by that; what does
not, a bare date ("Friday", "in August", "八月", "月底"), in `bare_dates`, by the clause it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from cluster.model import Millis
from cluster.pipeline.bare_dates import BARE_CHINESE, BARE_ENGLISH
from cluster.pipeline.periods import (
    EN_MONTH,
    EN_PART_OF,
    EN_WEEKDAY,
    MONTHS,
    NUMBERS,
    WEEKDAYS,
    ZH_MONTH,
    ZH_WEEKDAYS,
    Period,
    Precision,
    day_millis,
    day_of,
    named_month,
    nearest_day,
    number_of,
    on_weekday,
    one_day,
    one_month,
    one_week,
    one_year,
    part_of,
    span,
)
from cluster.pipeline.tense import direction_of


class DateMention(NamedTuple):
    """A date expression: where it stands in the text, and the period it means (`end` exclusive)."""

    start: int
    stop: int
    first: date
    end: date
    precision: Precision

    @property
    def millis(self) -> Millis:
        """The beginning of the period."""
        return day_millis(self.first)

    def text(self, language: str) -> str:
        """The period written out: "on 2023-05-07", "in the week of 2023-05-01", "2023年5月"."""
        day = self.first
        if language == "zh":
            return {
                "day": f"{day.year}年{day.month}月{day.day}日",
                "weekend": f"{day.year}年{day.month}月{day.day}日那个周末",
                "week": f"{day.year}年{day.month}月{day.day}日那一周",
                "month": f"{day.year}年{day.month}月",
                "year": f"{day.year}年",
                "month_start": f"{day.year}年{day.month}月初",
                "month_end": f"{day.year}年{day.month}月底",
                "year_start": f"{day.year}年初",
                "year_end": f"{day.year}年底",
            }[self.precision]
        return {
            "day": f"on {day.isoformat()}",
            "weekend": f"on the weekend of {day.isoformat()}",
            "week": f"in the week of {day.isoformat()}",
            "month": f"in {day.year:04}-{day.month:02}",
            "year": f"in {day.year}",
            "month_start": f"at the beginning of {day.year:04}-{day.month:02}",
            "month_end": f"at the end of {day.year:04}-{day.month:02}",
            "year_start": f"at the beginning of {day.year}",
            "year_end": f"at the end of {day.year}",
        }[self.precision]


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], date], Period]]
_ISO: list[_Rule] = [
    (
        re.compile(r"(?<![\d.-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d-])"),
        lambda m, _: one_day(date(int(m[1]), int(m[2]), int(m[3]))),
    )
]

_COUNT = rf"(\d{{1,3}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
_OFFSETS = {"yesterday": -1, "last night": -1, "tomorrow": 1}
_DIRECTIONS = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}


def _en_weekday(m: re.Match[str], today: date) -> Period:
    which = {"this past": "last", "this coming": "coming"}.get(m[1].lower(), m[1].lower())
    return on_weekday(today, WEEKDAYS[m[2].lower()], which)


def _en_day(today: date, month: str, day: str, year: str | None) -> Period:
    number = MONTHS[month.lower()]
    return one_day(date(int(year), number, int(day))) if year else nearest_day(today, number, int(day))


def _en(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


_ENGLISH: list[_Rule] = [
    *_ISO,
    (
        _en(rf"{EN_PART_OF} (last|this|next) (month|year)\b"),
        lambda m, t: part_of(
            span(t, m[3].lower(), _DIRECTIONS[m[2].lower()]), end=m["part"].lower() == "end"
        ),
    ),
    (_en(r"\b(?:the )?day before yesterday\b"), lambda _, t: span(t, "day", -2)),
    (_en(r"\b(?:the )?day after tomorrow\b"), lambda _, t: span(t, "day", 2)),
    (
        _en(
            r"\b(yesterday|last night|today|tonight|this morning|this afternoon|this evening|tomorrow)"
            r"(?: morning| afternoon| evening| night)?\b"
        ),
        lambda m, t: span(t, "day", _OFFSETS.get(m[1].lower(), 0)),
    ),
    (
        _en(rf"\b(?:about |around )?{_COUNT} (day|week|weekend|month|year)s? (ago|from now|later)\b"),
        lambda m, t: span(t, m[2].lower(), number_of(m[1]) * (-1 if m[3].lower() == "ago" else 1)),
    ),
    (
        _en(rf"\bin {_COUNT} (day|week|month|year)s?(?: time)?\b"),
        lambda m, t: span(t, m[2].lower(), number_of(m[1])),
    ),
    (
        _en(r"\b(?:over |during )?(last|past|this past|this coming|this|next) (week|weekend|month|year)\b"),
        lambda m, t: span(t, m[2].lower(), _DIRECTIONS[m[1].lower().split()[-1]]),
    ),
    (_en(rf"\b(?:on )?(last|this past|this coming|this|next) {EN_WEEKDAY}\b"), _en_weekday),
    (
        _en(rf"\b(?:on )?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{EN_MONTH}(?:,? (\d{{4}}))?(?!\w)"),
        lambda m, t: _en_day(t, m[2], m[1], m[3]),
    ),
    (
        _en(rf"\b(?:on )?{EN_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?(?![\w:])"),
        lambda m, t: _en_day(t, m[1], m[2], m[3]),
    ),
    (
        _en(rf"\b(?:in |back in |since )?{EN_MONTH},? (\d{{4}})\b"),
        lambda m, _: one_month(int(m[2]), MONTHS[m[1].lower()]),
    ),
    (
        _en(rf"\b(this|last|next) {EN_MONTH}(?!\w)"),
        lambda m, t: named_month(t, MONTHS[m[2].lower()], m[1].lower()),
    ),
    (_en(r"\b(?:in|since|back in) ((?:19|20)\d\d)\b"), lambda m, _: one_year(int(m[1]))),
]
# Traditional forms of the characters used here, one for one.
_SIMPLIFY = str.maketrans("後週個這禮號兩日", "后周个这礼号两日")
_ZH_DAYS = {"今": 0, "明": 1, "昨": -1, "前": -2, "后": 2, "大前": -3, "大后": 3}
_ZH_WHICH = {"上上": -2, "上": -1, "上个": -1, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "下下": 2}
_ZH_YEARS = {"去": -1, "今": 0, "明": 1, "前": -2, "后": 2}
_ZH_UNITS = {
    "天": "day",
    "日": "day",
    "周": "week",
    "星期": "week",
    "礼拜": "week",
    "月": "month",
    "年": "year",
}
_WHICH = r"(上上|下下|上个?|下个?|这个?|本)"
_ZH_DAY = r"(\d{1,2}|[一二三四五六七八九十]{1,3})[日号]"
_ZH_COUNT = r"(\d{1,3}|[一二两三四五六七八九十]{1,3})"
_ZH_YEAR = r"((?:19|20)\d\d)年"


def _zh_day(year: int, month: str, day: str) -> Period:
    return one_day(date(year, number_of(month), number_of(day)))


def _zh_day_of_month(m: re.Match[str], today: date) -> Period:
    first = one_month(today.year, today.month + _ZH_WHICH[m[1]])[0]
    return one_day(first.replace(day=number_of(m[2])))


_CHINESE: list[_Rule] = [
    *_ISO,
    (re.compile(rf"{_ZH_YEAR}{ZH_MONTH}{_ZH_DAY}"), lambda m, _: _zh_day(int(m[1]), m[2], m[3])),
    (
        re.compile(rf"{_ZH_YEAR}{ZH_MONTH}([底末初])"),
        lambda m, _: part_of(one_month(int(m[1]), number_of(m[2])), end=m[3] != "初"),
    ),
    (re.compile(rf"{_ZH_YEAR}{ZH_MONTH}份?"), lambda m, _: one_month(int(m[1]), number_of(m[2]))),
    (
        re.compile(rf"([去今明])年{ZH_MONTH}{_ZH_DAY}"),
        lambda m, t: _zh_day(t.year + _ZH_YEARS[m[1]], m[2], m[3]),
    ),
    (
        re.compile(rf"([去今明])年{ZH_MONTH}([底末初])"),
        lambda m, t: part_of(one_month(t.year + _ZH_YEARS[m[1]], number_of(m[2])), end=m[3] != "初"),
    ),
    (
        re.compile(r"([去今明])年年?([底末初])"),
        lambda m, t: part_of(one_year(t.year + _ZH_YEARS[m[1]]), end=m[2] != "初"),
    ),
    (
        re.compile(rf"([去今明])年{ZH_MONTH}份?"),
        lambda m, t: one_month(t.year + _ZH_YEARS[m[1]], number_of(m[2])),
    ),
    (re.compile(rf"(上个|下个|这个|本)月{_ZH_DAY}"), _zh_day_of_month),
    (
        re.compile(rf"(?<![\d年]){ZH_MONTH}{_ZH_DAY}"),
        lambda m, t: nearest_day(t, number_of(m[1]), number_of(m[2])),
    ),
    (
        re.compile(rf"{_WHICH}(?:周|星期|礼拜)([一二三四五六日天])"),
        lambda m, t: one_day(one_week(t, _ZH_WHICH[m[1]])[0] + timedelta(days=ZH_WEEKDAYS[m[2]])),
    ),
    (re.compile(rf"{_WHICH}周末"), lambda m, t: span(t, "weekend", _ZH_WHICH[m[1]])),
    (re.compile(rf"{_WHICH}(?:周(?!到)|星期|礼拜)"), lambda m, t: one_week(t, _ZH_WHICH[m[1]])),
    (
        re.compile(r"(上个?|下个?|这个?|本)月([底末初])"),
        lambda m, t: part_of(span(t, "month", _ZH_WHICH[m[1]]), end=m[2] != "初"),
    ),
    (re.compile(r"(上个|下个|这个|本)月"), lambda m, t: span(t, "month", _ZH_WHICH[m[1]])),
    (
        re.compile(rf"{_ZH_COUNT}个?(天|日|周|星期|礼拜|月|年)之?(前|后|以前|以后)"),
        lambda m, t: span(t, _ZH_UNITS[m[2]], number_of(m[1]) * (-1 if m[3].endswith("前") else 1)),
    ),
    (
        re.compile(r"(大前|大后|今|明|昨|前|后)[天日](?:早上|上午|中午|下午|晚上|凌晨|夜里)?"),
        lambda m, t: span(t, "day", _ZH_DAYS[m[1]]),
    ),
    (re.compile(r"(昨|今|明)[晚早]上?"), lambda m, t: span(t, "day", _ZH_DAYS[m[1]])),
    (
        re.compile(r"(?<![\d一二三四五六七八九十两几])([去今明前后])年(?![龄级轻])"),
        lambda m, t: one_year(t.year + _ZH_YEARS[m[1]]),
    ),
    (re.compile(rf"(?<!\d){_ZH_YEAR}"), lambda m, _: one_year(int(m[1]))),
]


def dates_in(text: str, said_at: Millis, language: str) -> list[DateMention]:
    """The date expressions of `text` ("zh" or "en"), in order; what cannot be a date is left out.

    "last Friday" is the Friday before the day of `said_at`, "上周五" the Friday of the week before (as
    each is used); a day and month without a year is the nearest one; bare dates go by the rule above.
    """
    return sorted(_mentions(text, day_of(said_at), language))


def _mentions(text: str, today: date, language: str) -> Iterator[DateMention]:
    rules, bare = _ENGLISH, BARE_ENGLISH
    if language == "zh":
        rules, bare, text = _CHINESE, BARE_CHINESE, text.translate(_SIMPLIFY)
    taken: list[tuple[int, int]] = []

    def found(pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        for match in pattern.finditer(text):
            start, stop = match.span()
            if not any(start < other_stop and other_start < stop for other_start, other_stop in taken):
                yield match

    for pattern, resolve in rules:
        for match in found(pattern):
            try:
                mention = DateMention(*match.span(), *resolve(match, today))
            except (ValueError, OverflowError):
                continue
            taken.append(match.span())
            yield mention
    for pattern, resolve_bare in bare:
        for match in found(pattern):
            taken.append(match.span())
            try:
                direction = direction_of(text, *match.span(), language)
                yield DateMention(*match.span(), *resolve_bare(match, today, direction))
            except (ValueError, OverflowError):
                continue
