"""Dates in Chinese and English text, resolved against the time something was said. Pure; days are UTC days."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from cluster.model import Millis

Precision = Literal["day", "week", "month", "year"]


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
                "week": f"{day.year}年{day.month}月{day.day}日那一周",
                "month": f"{day.year}年{day.month}月",
                "year": f"{day.year}年",
            }[self.precision]
        return {
            "day": f"on {day.isoformat()}",
            "week": f"in the week of {day.isoformat()}",
            "month": f"in {day.strftime('%Y-%m')}",
            "year": f"in {day.year}",
        }[self.precision]


def day_millis(day: date) -> Millis:
    """Midnight UTC of `day` in milliseconds."""
    return calendar.timegm(day.timetuple()) * 1000


def day_of(at: Millis) -> date:
    """The UTC day of `at`. Raises ValueError or OverflowError outside years 1 to 9999."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).date()


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        ("monday mon", "tuesday tues tue", "wednesday wed", "thursday thurs thu", "friday fri",
         "saturday sat", "sunday sun")
    )
    for name in names.split()
}  # fmt: skip
_NUMBERS = {
    word: number
    for number, words in enumerate(
        ("", "one a an", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
    for word in words.split()
} | {"a couple of": 2, "couple of": 2, "a couple": 2}  # fmt: skip
_ZH_DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "兩": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_ZH_WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6, "末": 5}


def zh_number(text: str) -> int | None:
    """ "28", "二十八", "十" and "两" as a number below 1,000,000; None when it is not one."""
    if text.isascii():
        return int(text) if text.isdigit() and len(text) <= 6 else None
    total, digit = 0, 0
    for character in text:
        if character in _ZH_DIGITS:
            digit = _ZH_DIGITS[character]
        elif character in "十百千":
            total += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[character]
            digit = 0
        else:
            return None
    return total + digit if text else None


def _month(day: date, months: int) -> date:
    """The first of the month that is `months` after the month of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _days(first: date, length: int = 1) -> tuple[date, date, Precision]:
    return first, first + timedelta(days=length), "day"


def _week(today: date, weeks: int) -> tuple[date, date, Precision]:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)
    return monday, monday + timedelta(days=7), "week"


def _months(today: date, months: int) -> tuple[date, date, Precision]:
    return _month(today, months), _month(today, months + 1), "month"


def _year(year: int) -> tuple[date, date, Precision]:
    return date(year, 1, 1), date(year + 1, 1, 1), "year"


def _span(today: date, unit: str, count: int) -> tuple[date, date, Precision]:
    """The period `count` units from `today`: a number of weeks gives that week, and so on."""
    if unit == "day":
        return _days(today + timedelta(days=count))
    if unit == "week":
        return _week(today, count)
    if unit == "weekend":
        monday = _week(today, count)[0]
        return _days(monday + timedelta(days=5), 2)
    if unit == "month":
        return _months(today, count)
    return _year(today.year + count)


def _weekday(today: date, weekday: int, which: str) -> tuple[date, date, Precision]:
    """ "last Friday" is the one before today, "next Friday" the one of next week, else the coming one."""
    if which == "last":
        return _days(today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1))
    if which == "next":
        return _days(_week(today, 1)[0] + timedelta(days=weekday))
    if which == "this":
        return _days(_week(today, 0)[0] + timedelta(days=weekday))
    return _days(today + timedelta(days=(weekday - today.weekday()) % 7))


def _nearest_year(today: date, month: int, day: int) -> date:
    """A date without a year: the one nearest to the time it was said."""
    choices: list[date] = []
    for year in (today.year - 1, today.year, today.year + 1):
        if 1 <= year <= 9999 and day <= calendar.monthrange(year, month)[1]:
            choices.append(date(year, month, day))
    if not choices:
        raise ValueError("no such day")
    return min(choices, key=lambda choice: abs((choice - today).days))


_Found = tuple[date, date, Precision]
_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], date], _Found]]

_EN_MONTH = (
    r"(january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|"
    r"apr|jun|jul|aug|sept|sep|oct|nov|dec)\.?"
)
_EN_WEEKDAY = (
    r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues|tue|wed|thurs|thu|fri|sat|sun)"
)
_EN_COUNT = (
    r"(\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a couple of|a couple|"
    r"couple of)"
)
_ZH_COUNT = r"(\d{1,3}|[一二两兩三四五六七八九十]{1,3})"


def _count(text: str) -> int:
    lowered = text.lower()
    if lowered in _NUMBERS:
        return _NUMBERS[lowered]
    number = zh_number(text)
    if number is None:
        raise ValueError("not a number")
    return number


def _en_direction(word: str) -> int:
    return {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}[word.lower()]


def _en_day_of_month(month: str, day: str, year: str | None, today: date) -> _Found:
    number = _MONTHS[month.lower()]
    if year:
        return _days(date(int(year), number, int(day)))
    return _days(_nearest_year(today, number, int(day)))


_ZH_DAYS = {"今": 0, "明": 1, "昨": -1, "前": -2, "后": 2, "後": 2, "大前": -3, "大后": 3, "大後": 3}
_ZH_WEEKS = {"上": -1, "上个": -1, "上個": -1, "这": 0, "這": 0, "本": 0, "这个": 0, "這個": 0, "下": 1, "下个": 1,
             "下個": 1, "上上": -2, "下下": 2}  # fmt: skip
_ZH_YEARS = {"去": -1, "今": 0, "明": 1, "前": -2, "后": 2, "後": 2}
_ZH_UNITS = {"天": "day", "日": "day", "周": "week", "週": "week", "星期": "week", "礼拜": "week", "禮拜": "week",
             "月": "month", "年": "year"}  # fmt: skip

_ISO: list[_Rule] = [
    (
        re.compile(r"(?<![\d-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d-])"),
        lambda m, _: _days(date(int(m[1]), int(m[2]), int(m[3]))),
    ),
]
_EN: list[_Rule] = [
    *_ISO,
    (re.compile(r"\b(?:the )?day before yesterday\b", re.I), lambda _, t: _days(t - timedelta(days=2))),
    (re.compile(r"\b(?:the )?day after tomorrow\b", re.I), lambda _, t: _days(t + timedelta(days=2))),
    (
        re.compile((r"\b(yesterday|last night|today|tonight|this morning|this afternoon|this evening|tomorrow)(?: "
r"morning| afternoon| evening| night)?\b"), re.I),
        lambda m, t: _days(
            t + timedelta(days={"yesterday": -1, "last night": -1, "tomorrow": 1}.get(m[1].lower(), 0))
        ),
    ),
    (
        re.compile(rf"\b(?:about |around )?{_EN_COUNT} (day|week|weekend|month|year)s? (ago|from now|later)\b", re.I),
        lambda m, t: _span(t, m[2].lower(), _count(m[1]) * (-1 if m[3].lower() == "ago" else 1)),
    ),
    (
        re.compile(rf"\bin {_EN_COUNT} (day|week|month|year)s?(?: time)?\b", re.I),
        lambda m, t: _span(t, m[2].lower(), _count(m[1])),
    ),
    (
        re.compile((r"\b(?:over |during )?(?:the )?(?<!the )(last|past|this past|this coming|this|next) (week|"
r"weekend|month|year)\b"), re.I),
        lambda m, t: _span(t, m[2].lower(), _en_direction(m[1].split()[-1])),
    ),
    (
        re.compile(rf"\b(?:on )?(last|this past|this coming|this|next) {_EN_WEEKDAY}\b", re.I),
        lambda m, t: _weekday(
            t,
            _WEEKDAYS[m[2].lower()],
            {"this past": "last", "this coming": "coming"}.get(m[1].lower(), m[1].lower()),
        ),
    ),
    (
        re.compile(rf"\b(?:on )?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_EN_MONTH}(?:,? (\d{{4}}))?(?![\w])", re.I),
        lambda m, t: _en_day_of_month(m[2], m[1], m[3], t),
    ),
    (
        re.compile(rf"\b(?:on )?{_EN_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?(?![\w:])", re.I),
        lambda m, t: _en_day_of_month(m[1], m[2], m[3], t),
    ),
    (
        re.compile(rf"\b(?:in |back in )?{_EN_MONTH},? (\d{{4}})\b", re.I),
        lambda m, _: _months(date(int(m[2]), _MONTHS[m[1].lower()], 1), 0),
    ),
    (
        re.compile(rf"\b(?:in|back in|this|last|next) {_EN_MONTH}(?![\w])", re.I),
        lambda m, t: _months(_nearest_month(t, _MONTHS[m[1].lower()], m[0].split()[0].lower()), 0),
    ),
    (re.compile(r"\b(?:in|since|back in) ((?:19|20)\d\d)\b", re.I), lambda m, _: _year(int(m[1]))),
    (
        re.compile(rf"\bon {_EN_WEEKDAY}\b", re.I),
        lambda m, t: _weekday(t, _WEEKDAYS[m[1].lower()], "coming"),
    ),
]  # fmt: skip
_ZH: list[_Rule] = [
    *_ISO,
    (
        re.compile(r"((?:19|20)\d\d)年(\d{1,2})月(\d{1,2})[日号號]?"),
        lambda m, _: _days(date(int(m[1]), int(m[2]), int(m[3]))),
    ),
    (re.compile(r"((?:19|20)\d\d)年(\d{1,2})月"), lambda m, _: _months(date(int(m[1]), int(m[2]), 1), 0)),
    (
        re.compile(r"([去今明])年(\d{1,2}|十[一二]?|[一二三四五六七八九])月(?:份|(\d{1,2}|"
r"[一二三四五六七八九十]{1,3})[日号號])?"),
        lambda m, t: _zh_month_day(t.year + _ZH_YEARS[m[1]], m[2], m[3]),
    ),
    (
        re.compile(r"(上个|上個|下个|下個|这个|這個|本)月(\d{1,2}|[一二三四五六七八九十]{1,3})[日号號]"),
        lambda m, t: _zh_day_in_month(_month(t, _ZH_WEEKS[m[1]]), m[2]),
    ),
    (
        re.compile(r"(?<![\d年])(\d{1,2}|十[一二]?|[一二三四五六七八九])月(\d{1,2}|"
r"[一二三四五六七八九十]{1,3})[日号號]"),
        lambda m, t: _days(_nearest_year(t, _count(m[1]), _count(m[2]))),
    ),
    (
        re.compile(r"(上上|下下|上个?|上個|下个?|下個|这个?|這個?|本)(?:周|週|星期|礼拜|禮拜)([一二三四五六日天])"),
        lambda m, t: _days(_week(t, _ZH_WEEKS[m[1]])[0] + timedelta(days=_ZH_WEEKDAYS[m[2]])),
    ),
    (
        re.compile(r"(上上|下下|上个?|上個|下个?|下個|这个?|這個?|本)(?:周|週)末"),
        lambda m, t: _span(t, "weekend", _ZH_WEEKS[m[1]]),
    ),
    (
        re.compile(r"(上上|下下|上个?|上個|下个?|下個|这个?|這個?|本)(?:周|週|星期|礼拜|禮拜)(?!到|几|幾)"),
        lambda m, t: _week(t, _ZH_WEEKS[m[1]]),
    ),
    (re.compile(r"(上个|上個|下个|下個|这个|這個|本)月"), lambda m, t: _months(t, _ZH_WEEKS[m[1]])),
    (
        re.compile(rf"{_ZH_COUNT}(?:个|個)?(天|日|周|週|星期|礼拜|禮拜|月|年)(?:之)?(前|后|後|以前|以后|以後)"),
        lambda m, t: _span(t, _ZH_UNITS[m[2]], _count(m[1]) * (-1 if "前" in m[3] else 1)),
    ),
    (
        re.compile(r"(大前|大后|大後|今|明|昨|前|后|後)(?:天|日)(?:早上|上午|中午|下午|晚上|凌晨|夜里|夜裡)?"),
        lambda m, t: _days(t + timedelta(days=_ZH_DAYS[m[1]])),
    ),
    (re.compile(r"(昨|今|明)(?:晚|早)"), lambda m, t: _days(t + timedelta(days=_ZH_DAYS[m[1]]))),
    (re.compile(r"(?<![\d一二三四五六七八九十两几])([去今明前后後])年(?!龄|齡|级|級|轻|輕)"), lambda m, t: _year(t.year + _ZH_YEARS[m[1]])),
    (re.compile(r"(?<!\d)((?:19|20)\d\d)年"), lambda m, _: _year(int(m[1]))),
]  # fmt: skip


def _nearest_month(today: date, month: int, word: str) -> date:
    """ "in May" is the nearest May, "last May" the one before this month, "next May" the one after."""
    this = today.replace(day=1)
    choices = [date(year, month, 1) for year in (today.year - 1, today.year, today.year + 1)]
    if word == "last":
        return max(choice for choice in choices if choice < this)
    if word == "next":
        return min(choice for choice in choices if choice > this)
    if word == "this":
        return choices[1]
    return min(choices, key=lambda choice: abs((choice - this).days))


def _zh_month_day(year: int, month: str, day: str | None) -> _Found:
    if day:
        return _days(date(year, _count(month), _count(day)))
    return _months(date(year, _count(month), 1), 0)


def _zh_day_in_month(first: date, day: str) -> _Found:
    return _days(first.replace(day=_count(day)))


def dates_in(text: str, said_at: Millis, language: str) -> list[DateMention]:
    """The date expressions of `text` ("zh" or "en"), in order; what cannot be a date is left out.

    "last Friday" is the Friday before the day of `said_at`, "上周五" the Friday of the week before (as
    each is used); a day and month without a year is the nearest one.
    """
    return sorted(_mentions(text, said_at, language))


def _mentions(text: str, said_at: Millis, language: str) -> Iterator[DateMention]:
    try:
        today = day_of(said_at)
    except (ValueError, OverflowError):
        return
    taken: list[tuple[int, int]] = []
    for pattern, resolve in _ZH if language == "zh" else _EN:
        for match in pattern.finditer(text):
            start, stop = match.span()
            if any(start < other_stop and other_start < stop for other_start, other_stop in taken):
                continue
            try:
                first, end, precision = resolve(match, today)
            except (ValueError, OverflowError):
                continue
            taken.append((start, stop))
            yield DateMention(start, stop, first, end, precision)
