"""Periods of days in the calendar: which one "last week" or "the nearest 3 May" is. Pure; days are UTC's."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from cluster.model import Millis

Precision = Literal[
    "day", "weekend", "week", "month", "year", "month_start", "month_end", "year_start", "year_end"
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_millis(day: date) -> Millis:
    """Midnight UTC of `day` in milliseconds."""
    return calendar.timegm(day.timetuple()) * 1000


def day_of(at: Millis) -> date:
    """The UTC day of `at`; beyond the years 1 to 9999 the first or last day there is."""
    try:
        return (_EPOCH + timedelta(milliseconds=at)).date()
    except OverflowError:
        return date.max if at > 0 else date.min


Period = tuple[date, date, Precision]
"""The first day, the day after the last, and what kind of period it is."""

MONTH_NAMES = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sept sep", "october oct", "november nov", "december dec",
)  # fmt: skip
MONTHS = {name: number for number, names in enumerate(MONTH_NAMES, 1) for name in names.split()}
WEEKDAY_NAMES = (
    "monday mon", "tuesday tues tue", "wednesday wed", "thursday thurs thu", "friday fri", "saturday sat",
    "sunday sun",
)  # fmt: skip
WEEKDAYS = {name: number for number, names in enumerate(WEEKDAY_NAMES) for name in names.split()}
EN_MONTH = rf"({'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
EN_WEEKDAY = rf"({'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})"
EN_PART_OF = r"\b(?:at |towards? )?(?:the )?(?P<part>end|beginning|start) of"
ZH_MONTH = r"(\d{1,2}|十[一二]?|[一二三四五六七八九])月"
ZH_WEEKDAYS = {day: number for number, day in enumerate("一二三四五六日")} | {"天": 6}
NUMBERS = {
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


def number_of(text: str) -> int:
    """A number in either language. Raises ValueError when it is none."""
    number = NUMBERS.get(text.lower())
    if number is None:
        number = zh_number(text)
    if number is None:
        raise ValueError(f"{text!r} is not a number")
    return number


def one_day(first: date) -> Period:
    return first, first + timedelta(days=1), "day"


def one_week(today: date, weeks: int) -> Period:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)
    return monday, monday + timedelta(days=7), "week"


def one_month(year: int, month: int) -> Period:
    """The month; `month` may run over into other years."""
    years, index = divmod(month - 1, 12)
    following, after = divmod(month, 12)
    return date(year + years, index + 1, 1), date(year + following, after + 1, 1), "month"


def one_year(year: int) -> Period:
    return date(year, 1, 1), date(year + 1, 1, 1), "year"


def part_of(period: Period, *, end: bool) -> Period:
    """The first or last third of a month, the first or last month of a year."""
    first, stop, of = period
    if of == "year":
        return (
            (date(first.year, 12, 1), stop, "year_end")
            if end
            else (first, date(first.year, 2, 1), "year_start")
        )
    return (
        (first.replace(day=21), stop, "month_end") if end else (first, first.replace(day=11), "month_start")
    )


def span(today: date, unit: str, count: int) -> Period:
    """The period that lies `count` units from `today`: two weeks ago is that week."""
    if unit == "day":
        return one_day(today + timedelta(days=count))
    if unit == "week":
        return one_week(today, count)
    if unit == "weekend":
        saturday = one_week(today, count)[0] + timedelta(days=5)
        return saturday, saturday + timedelta(days=2), "weekend"
    if unit == "month":
        return one_month(today.year, today.month + count)
    return one_year(today.year + count)


def on_weekday(today: date, weekday: int, which: str) -> Period:
    """ "last Friday" is the one before today, "next Friday" the one of next week, "on Friday" the coming."""
    if which == "last":
        return one_day(today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1))
    if which == "coming":
        return one_day(today + timedelta(days=(weekday - today.weekday()) % 7))
    return one_day(one_week(today, 1 if which == "next" else 0)[0] + timedelta(days=weekday))


def nearest_day(today: date, month: int, day: int) -> Period:
    """A day without a year: the one nearest to `today`. Raises ValueError when there is no such day."""
    choices = [
        date(year, month, day)
        for year in (today.year - 1, today.year, today.year + 1)
        if 1 <= year <= 9999 and day <= calendar.monthrange(year, month)[1]
    ]
    if not choices:
        raise ValueError("no such day")
    return one_day(min(choices, key=lambda choice: abs((choice - today).days)))


def named_month(today: date, month: int, word: str) -> Period:
    """ "last May" is the one before this month, "next May" the one after."""
    this = today.replace(day=1)
    choices = [date(year, month, 1) for year in (today.year - 1, today.year, today.year + 1)]
    if word == "last":
        chosen = max(choice for choice in choices if choice < this)
    elif word == "next":
        chosen = min(choice for choice in choices if choice > this)
    else:
        chosen = choices[1]
    return one_month(chosen.year, chosen.month)
