"""Dates in Chinese and English text, resolved against the time something was said. Pure; days are UTC's."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from cluster.model import Millis

Precision = Literal["day", "weekend", "week", "month", "year"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
            }[self.precision]
        return {
            "day": f"on {day.isoformat()}",
            "weekend": f"on the weekend of {day.isoformat()}",
            "week": f"in the week of {day.isoformat()}",
            "month": f"in {day.year:04}-{day.month:02}",
            "year": f"in {day.year}",
        }[self.precision]


def day_millis(day: date) -> Millis:
    """Midnight UTC of `day` in milliseconds."""
    return calendar.timegm(day.timetuple()) * 1000


def day_of(at: Millis) -> date:
    """The UTC day of `at`; beyond the years 1 to 9999 the first or last day there is."""
    try:
        return (_EPOCH + timedelta(milliseconds=at)).date()
    except OverflowError:
        return date.max if at > 0 else date.min


_Period = tuple[date, date, Precision]

_MONTH_NAMES = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sept sep", "october oct", "november nov", "december dec",
)  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
_WEEKDAY_NAMES = (
    "monday mon", "tuesday tues tue", "wednesday wed", "thursday thurs thu", "friday fri", "saturday sat",
    "sunday sun",
)  # fmt: skip
_WEEKDAYS = {name: number for number, names in enumerate(_WEEKDAY_NAMES) for name in names.split()}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "a couple of": 2, "couple of": 2, "a couple": 2,
}  # fmt: skip
_ZH_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_ZH_TENS = {"十": 10, "百": 100, "千": 1000}


def zh_number(text: str) -> int | None:
    """ "28", "二十八", "十" and "两" as a number; None when it is not one, or has over six digits."""
    if text.isascii():
        return int(text) if text.isdigit() and len(text) <= 6 else None
    total, digit = 0, 0
    for character in text:
        if character in _ZH_DIGITS:
            digit = _ZH_DIGITS[character]
        elif character in _ZH_TENS:
            total += (digit or 1) * _ZH_TENS[character]
            digit = 0
        else:
            return None
    return total + digit if text else None


def _count(text: str) -> int:
    """A number in either language. Raises ValueError when it is none."""
    number = _NUMBERS.get(text.lower())
    if number is None:
        number = zh_number(text)
    if number is None:
        raise ValueError(f"{text!r} is not a number")
    return number


def _day(first: date) -> _Period:
    return first, first + timedelta(days=1), "day"


def _week(today: date, weeks: int) -> _Period:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)
    return monday, monday + timedelta(days=7), "week"


def _month(year: int, month: int) -> _Period:
    """The month; `month` may run over into other years."""
    years, index = divmod(month - 1, 12)
    following, after = divmod(month, 12)
    return date(year + years, index + 1, 1), date(year + following, after + 1, 1), "month"


def _year(year: int) -> _Period:
    return date(year, 1, 1), date(year + 1, 1, 1), "year"


def _span(today: date, unit: str, count: int) -> _Period:
    """The period that lies `count` units from `today`: two weeks ago is that week."""
    if unit == "day":
        return _day(today + timedelta(days=count))
    if unit == "week":
        return _week(today, count)
    if unit == "weekend":
        saturday = _week(today, count)[0] + timedelta(days=5)
        return saturday, saturday + timedelta(days=2), "weekend"
    if unit == "month":
        return _month(today.year, today.month + count)
    return _year(today.year + count)


def _weekday(today: date, weekday: int, which: str) -> _Period:
    """ "last Friday" is the one before today, "next Friday" the one of next week, "on Friday" the coming."""
    if which == "last":
        return _day(today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1))
    if which == "coming":
        return _day(today + timedelta(days=(weekday - today.weekday()) % 7))
    return _day(_week(today, 1 if which == "next" else 0)[0] + timedelta(days=weekday))


def _nearest_day(today: date, month: int, day: int) -> _Period:
    """A day without a year: the one nearest to `today`. Raises ValueError when there is no such day."""
    choices = [
        date(year, month, day)
        for year in (today.year - 1, today.year, today.year + 1)
        if 1 <= year <= 9999 and day <= calendar.monthrange(year, month)[1]
    ]
    if not choices:
        raise ValueError("no such day")
    return _day(min(choices, key=lambda choice: abs((choice - today).days)))


def _named_month(today: date, month: int, word: str) -> _Period:
    """ "in May" is the nearest May, "last May" the one before this month, "next May" the one after."""
    this = today.replace(day=1)
    choices = [date(year, month, 1) for year in (today.year - 1, today.year, today.year + 1)]
    if word == "last":
        chosen = max(choice for choice in choices if choice < this)
    elif word == "next":
        chosen = min(choice for choice in choices if choice > this)
    elif word == "this":
        chosen = choices[1]
    else:
        chosen = min(choices, key=lambda choice: abs((choice - this).days))
    return _month(chosen.year, chosen.month)


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], date], _Period]]
_ISO: list[_Rule] = [
    (
        re.compile(r"(?<![\d.-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d-])"),
        lambda m, _: _day(date(int(m[1]), int(m[2]), int(m[3]))),
    )
]

_MONTH = rf"({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_WEEKDAY = rf"({'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})"
_COUNT = rf"(\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_OFFSETS = {"yesterday": -1, "last night": -1, "tomorrow": 1}
_DIRECTIONS = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}


def _en_weekday(m: re.Match[str], today: date) -> _Period:
    which = {"this past": "last", "this coming": "coming"}.get(m[1].lower(), m[1].lower())
    return _weekday(today, _WEEKDAYS[m[2].lower()], which)


def _en_day(today: date, month: str, day: str, year: str | None) -> _Period:
    number = _MONTHS[month.lower()]
    return _day(date(int(year), number, int(day))) if year else _nearest_day(today, number, int(day))


def _en(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


_ENGLISH: list[_Rule] = [
    *_ISO,
    (_en(r"\b(?:the )?day before yesterday\b"), lambda _, t: _span(t, "day", -2)),
    (_en(r"\b(?:the )?day after tomorrow\b"), lambda _, t: _span(t, "day", 2)),
    (
        _en(
            r"\b(yesterday|last night|today|tonight|this morning|this afternoon|this evening|tomorrow)"
            r"(?: morning| afternoon| evening| night)?\b"
        ),
        lambda m, t: _span(t, "day", _OFFSETS.get(m[1].lower(), 0)),
    ),
    (
        _en(rf"\b(?:about |around )?{_COUNT} (day|week|weekend|month|year)s? (ago|from now|later)\b"),
        lambda m, t: _span(t, m[2].lower(), _count(m[1]) * (-1 if m[3].lower() == "ago" else 1)),
    ),
    (
        _en(rf"\bin {_COUNT} (day|week|month|year)s?(?: time)?\b"),
        lambda m, t: _span(t, m[2].lower(), _count(m[1])),
    ),
    (
        _en(r"\b(?:over |during )?(last|past|this past|this coming|this|next) (week|weekend|month|year)\b"),
        lambda m, t: _span(t, m[2].lower(), _DIRECTIONS[m[1].lower().split()[-1]]),
    ),
    (_en(rf"\b(?:on )?(last|this past|this coming|this|next) {_WEEKDAY}\b"), _en_weekday),
    (
        _en(rf"\b(?:on )?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? (\d{{4}}))?(?!\w)"),
        lambda m, t: _en_day(t, m[2], m[1], m[3]),
    ),
    (
        _en(rf"\b(?:on )?{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?(?![\w:])"),
        lambda m, t: _en_day(t, m[1], m[2], m[3]),
    ),
    (
        _en(rf"\b(?:in |back in |since )?{_MONTH},? (\d{{4}})\b"),
        lambda m, _: _month(int(m[2]), _MONTHS[m[1].lower()]),
    ),
    (
        _en(rf"\b(in|back in|this|last|next) {_MONTH}(?!\w)"),
        lambda m, t: _named_month(t, _MONTHS[m[2].lower()], m[1].lower()),
    ),
    (_en(r"\b(?:in|since|back in) ((?:19|20)\d\d)\b"), lambda m, _: _year(int(m[1]))),
    (_en(rf"\bon {_WEEKDAY}\b"), lambda m, t: _weekday(t, _WEEKDAYS[m[1].lower()], "coming")),
]

# Traditional forms of the characters used here, one for one.
_SIMPLIFY = str.maketrans("後週個這禮號兩日", "后周个这礼号两日")
_ZH_DAYS = {"今": 0, "明": 1, "昨": -1, "前": -2, "后": 2, "大前": -3, "大后": 3}
_ZH_WHICH = {"上上": -2, "上": -1, "上个": -1, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "下下": 2}
_ZH_YEARS = {"去": -1, "今": 0, "明": 1, "前": -2, "后": 2}
_ZH_WEEKDAYS = {day: number for number, day in enumerate("一二三四五六日")} | {"天": 6}
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
_ZH_MONTH = r"(\d{1,2}|十[一二]?|[一二三四五六七八九])月"
_ZH_DAY = r"(\d{1,2}|[一二三四五六七八九十]{1,3})[日号]"
_ZH_COUNT = r"(\d{1,3}|[一二两三四五六七八九十]{1,3})"
_ZH_YEAR = r"((?:19|20)\d\d)年"


def _zh_day(year: int, month: str, day: str) -> _Period:
    return _day(date(year, _count(month), _count(day)))


def _zh_day_of_month(m: re.Match[str], today: date) -> _Period:
    first = _month(today.year, today.month + _ZH_WHICH[m[1]])[0]
    return _day(first.replace(day=_count(m[2])))


_CHINESE: list[_Rule] = [
    *_ISO,
    (re.compile(rf"{_ZH_YEAR}{_ZH_MONTH}{_ZH_DAY}"), lambda m, _: _zh_day(int(m[1]), m[2], m[3])),
    (re.compile(rf"{_ZH_YEAR}{_ZH_MONTH}份?"), lambda m, _: _month(int(m[1]), _count(m[2]))),
    (
        re.compile(rf"([去今明])年{_ZH_MONTH}{_ZH_DAY}"),
        lambda m, t: _zh_day(t.year + _ZH_YEARS[m[1]], m[2], m[3]),
    ),
    (
        re.compile(rf"([去今明])年{_ZH_MONTH}份?"),
        lambda m, t: _month(t.year + _ZH_YEARS[m[1]], _count(m[2])),
    ),
    (re.compile(rf"(上个|下个|这个|本)月{_ZH_DAY}"), _zh_day_of_month),
    (
        re.compile(rf"(?<![\d年]){_ZH_MONTH}{_ZH_DAY}"),
        lambda m, t: _nearest_day(t, _count(m[1]), _count(m[2])),
    ),
    (
        re.compile(rf"{_WHICH}(?:周|星期|礼拜)([一二三四五六日天])"),
        lambda m, t: _day(_week(t, _ZH_WHICH[m[1]])[0] + timedelta(days=_ZH_WEEKDAYS[m[2]])),
    ),
    (re.compile(rf"{_WHICH}周末"), lambda m, t: _span(t, "weekend", _ZH_WHICH[m[1]])),
    (re.compile(rf"{_WHICH}(?:周(?!到)|星期|礼拜)"), lambda m, t: _week(t, _ZH_WHICH[m[1]])),
    (re.compile(r"(上个|下个|这个|本)月"), lambda m, t: _span(t, "month", _ZH_WHICH[m[1]])),
    (
        re.compile(rf"{_ZH_COUNT}个?(天|日|周|星期|礼拜|月|年)之?(前|后|以前|以后)"),
        lambda m, t: _span(t, _ZH_UNITS[m[2]], _count(m[1]) * (-1 if m[3].endswith("前") else 1)),
    ),
    (
        re.compile(r"(大前|大后|今|明|昨|前|后)[天日](?:早上|上午|中午|下午|晚上|凌晨|夜里)?"),
        lambda m, t: _span(t, "day", _ZH_DAYS[m[1]]),
    ),
    (re.compile(r"(昨|今|明)[晚早]上?"), lambda m, t: _span(t, "day", _ZH_DAYS[m[1]])),
    (
        re.compile(r"(?<![\d一二三四五六七八九十两几])([去今明前后])年(?![龄级轻])"),
        lambda m, t: _year(t.year + _ZH_YEARS[m[1]]),
    ),
    (re.compile(rf"(?<!\d){_ZH_YEAR}"), lambda m, _: _year(int(m[1]))),
]


def dates_in(text: str, said_at: Millis, language: str) -> list[DateMention]:
    """The date expressions of `text` ("zh" or "en"), in order; what cannot be a date is left out.

    "last Friday" is the Friday before the day of `said_at`, "上周五" the Friday of the week before (as
    each is used); a day and month without a year is the nearest one.
    """
    return sorted(_mentions(text, day_of(said_at), language))


def _mentions(text: str, today: date, language: str) -> Iterator[DateMention]:
    rules = _ENGLISH
    if language == "zh":
        rules, text = _CHINESE, text.translate(_SIMPLIFY)
    taken: list[tuple[int, int]] = []
    for pattern, resolve in rules:
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
