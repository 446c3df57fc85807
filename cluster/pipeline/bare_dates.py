"""Bare dates, which do not say whether they lie behind or ahead: "Friday", "in August", "15号", "月底".

They go by the clause they stand in (`tense`):

- it tells what was: the last such day or month (this month may be it); what is to come: the next one;
- nothing shows which, and "on Friday", "on the 15th": the next one, as these are used; a month: the nearest,
  where it is at most NEAR_MONTHS away; all else: not resolved;
- it tells a habit, or looks both ways, or the day is today's own weekday or number: not resolved;
- the end of a month or year that was is the last one, unless this one's has come (from the 25th, in
  December).

A resolver raises ValueError for what is not resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from cluster.pipeline.periods import (
    EN_MONTH,
    EN_PART_OF,
    EN_WEEKDAY,
    MONTHS,
    WEEKDAY_NAMES,
    WEEKDAYS,
    ZH_MONTH,
    ZH_WEEKDAYS,
    Period,
    number_of,
    on_weekday,
    one_day,
    one_month,
    part_of,
    span,
)
from cluster.pipeline.tense import Direction

NEAR_MONTHS: Final = 4
"""A bare month of which nothing says whether it was or will be is resolved up to this far away."""


def _weekday(today: date, weekday: int, direction: Direction) -> Period:
    if direction in ("open", "unclear") or weekday == today.weekday():
        raise ValueError("it may be either")
    return on_weekday(today, weekday, "last" if direction == "past" else "coming")


def _weekend(today: date, direction: Direction) -> Period:
    if direction in ("open", "unclear") or today.weekday() >= 5:
        raise ValueError("it may be either")
    return span(today, "weekend", -1 if direction == "past" else 0)


def _month(today: date, month: int, direction: Direction) -> Period:
    away = (month - today.month) % 12
    if direction == "past":
        away -= 12 if away else 0
    elif direction == "open":
        away = min(away, away - 12, key=abs)
    if direction == "unclear" or (direction == "open" and abs(away) > NEAR_MONTHS):
        raise ValueError("it may be either")
    return one_month(today.year, today.month + away)


def _day(today: date, day: int, direction: Direction) -> Period:
    if direction in ("open", "unclear") or day == today.day:
        raise ValueError("it may be either")
    month = today.month
    if direction == "past":
        month -= day > today.day
    else:
        month += day < today.day
    return one_day(one_month(today.year, month)[0].replace(day=day))


def _part(today: date, unit: str, direction: Direction, *, end: bool) -> Period:
    """ "at the end of the month", "年初"."""
    if direction in ("open", "unclear"):
        raise ValueError("it may be either")
    now, turn = (today.month, 12) if unit == "year" else (today.day, 25)
    if end:
        units = -1 if direction == "past" and now < turn else 0
    elif direction == "past" and now > 1:
        units = 0
    else:
        raise ValueError("it may be either")
    return part_of(span(today, unit, units), end=end)


_NO_DAY_BEFORE = "".join(
    rf"(?<!\b{word} )"
    for word in ["by", "till", "until", "since", "from", "through", "to", "or", "is", "black", "good"]
)


def _en(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


BareRule = tuple[re.Pattern[str], Callable[[re.Match[str], date, Direction], Period]]

_WEEKDAY_NAME = rf"({'|'.join(names.split()[0] for names in WEEKDAY_NAMES)})"
BARE_ENGLISH: list[BareRule] = [
    (
        _en(
            rf"(?:\b(?P<on>on) {EN_WEEKDAY}|(?<![\w-]){_NO_DAY_BEFORE}{_WEEKDAY_NAME})"
            r"(?: (?:morning|afternoon|evening|night))?\b(?!'|-| (?:to|through|or|and) \w+day\b)"
        ),
        lambda m, t, d: _weekday(t, WEEKDAYS[(m[2] or m[3]).lower()], _ahead(d) if m["on"] else d),
    ),
    (
        _en(rf"\b(?P<back>back )?in {EN_MONTH}(?!\w)|\b(?:in )?(?:early|mid|late)[- ]{EN_MONTH}(?!\w)"),
        lambda m, t, d: _month(t, MONTHS[(m[2] or m[3]).lower()], "past" if m["back"] else d),
    ),
    (
        _en(
            r"\bon the (\d{1,2})(?:st|nd|rd|th)"
            r"(?=\W*$|[,;.!?]| (?:at|for|and|with|in the|we|i|i'm|i'll|my)\b)"
        ),
        lambda m, t, d: _day(t, int(m[1]), _ahead(d)),
    ),
    (_en(r"\b(?:at|on|over|during) the weekend\b"), lambda _, t, d: _weekend(t, d)),
    (
        _en(rf"{EN_PART_OF} the (month|year)\b"),
        lambda m, t, d: _part(t, m[2].lower(), d, end=m["part"].lower() == "end"),
    ),
]


def _ahead(direction: Direction) -> Direction:
    """ "on Friday" of which nothing shows which is the next one."""
    return "future" if direction == "open" else direction


_ZH_HOUR = r"(?:早上|早晨|上午|中午|下午|晚上|傍晚|凌晨|夜里|晚)?"
_ZH_RANGE = r"[到至和跟或、~—-]"
BARE_CHINESE: list[BareRule] = [
    (
        re.compile(
            rf"(?<!{_ZH_RANGE})(?<![上下这本每个隔姓天是])(?:周|星期|礼拜)([一二三四五六日天]){_ZH_HOUR}"
            rf"(?!{_ZH_RANGE}|[一二三四五六日天报刊])"
        ),
        lambda m, t, d: _weekday(t, ZH_WEEKDAYS[m[1]], d),
    ),
    (re.compile(r"(?<![上下这本每个隔])周末(?![到至])"), lambda _, t, d: _weekend(t, d)),
    (
        re.compile(
            rf"(?<!{_ZH_RANGE})(?<![\d一二三四五六七八九十个年每去今明上下历闰]){ZH_MONTH}份?(?:上旬|中旬|下旬|[底末初])?"
            rf"(?!{_ZH_RANGE}|[\d一二三四五六七八九十日号大龄季])"
        ),
        lambda m, t, d: _month(t, number_of(m[1]), d),
    ),
    (
        re.compile(
            r"(?<![\d月第路街弄巷村栋楼座线住一二三四五六七八九十])(\d{1,2}|[二三]?十[一二三四五六七八九]?)[号日]"
            r"(?=那天|早上|上午|中午|下午|晚上|要|会|去|我|有|考|出发|回|到期|之前|前|[，,。！!；;\s]|$)"
        ),
        lambda m, t, d: _day(t, number_of(m[1]), d),
    ),
    (
        re.compile(r"(?<![\d一二三四五六七八九十个岁正腊闰日蜜每半上下这本])月([底末初])"),
        lambda m, t, d: _part(t, "month", d, end=m[1] != "初"),
    ),
    (
        re.compile(r"(?<![\d一二三四五六七八九十几多每去今明前后半童青老成])年([底末初])(?![一二三])"),
        lambda m, t, d: _part(t, "year", d, end=m[1] != "初"),
    ),
]
