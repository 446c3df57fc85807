"""Birthdays: the one claim whose date is its value, and not the time of something."""

from __future__ import annotations

import re

from cluster.model import Millis
from cluster.pipeline.periods import day_of
from cluster.pipeline.rules.chinese import clauses as zh
from cluster.pipeline.rules.english import clauses as en
from cluster.pipeline.rules.sentences import Sentence
from cluster.pipeline.rules.slots import Claim

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = (
    rf"(?:(?:the )?\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}|{_MONTH} (?:the )?\d{{1,2}}(?:st|nd|rd|th)?)"
    r"(?:,? (?:19|20)\d\d)?"
)
_ZH_DAY = (
    r"(?:农历|阴历|阳历|公历)?(?:(?:19|20)\d\d年)?(?:\d{1,2}|[一二三四五六七八九十正腊]{1,3})月"
    r"(?:初)?(?:\d{1,2}|[一二三四五六七八九十廿]{1,3})[日号號]?"
)
_CLAUSE = r"(?:^|[,;.!] ?|\band )"
_PATTERNS: list[tuple[str, re.Pattern[str]]] = [
    (
        "birthday",
        re.compile(rf"{_CLAUSE}(?:my birthday(?:'s| is)(?: on)?|i was born on) (?:the )?(?P<v>{_DAY})", re.I),
    ),
    ("birth_year", re.compile(rf"{_CLAUSE}i was born in (?P<v>(?:19|20)\d\d)\b", re.I)),
    ("birthday", re.compile(rf"我的?生日(?:就)?[是在](?:每年的?)?(?P<v>{_ZH_DAY})")),
    (
        "birthday",
        re.compile(r"我(?:出生[于在]|生[于在]|是)(?P<v>(?:19|20)\d\d年\d{1,2}月\d{1,2}[日号號])(?:出生|生)?"),
    ),
    ("birth_year", re.compile(r"我(?:出生[于在]|生[于在]|是)?(?P<v>(?:19|20)\d\d)年(?:出生|生的?)")),
    ("birth_year", re.compile(r"我(?:出生[于在]|生[于在])(?P<v>(?:19|20)\d\d)年(?!\d)")),
]
_ZH_DIGITS = dict(zip("零〇一二三四五六七八九", "00123456789", strict=True))
_ZH_SHORT_YEAR = re.compile(
    r"(?:^|[，,。！!；;\s]|其实)我(?:自己)?(?:是)?(?P<v>[5-9]\d|0\d|[五六七八九零〇][零〇一二三四五六七八九])年(?:出生|生)?的?"
    r"(?<=[的生])(?=[，,。！!；;\s]|$)"
)
""" "我是九六年的"."""
_TODAY = re.compile(
    rf"{_CLAUSE}(?:today(?:'s| is) my birthday|it's my birthday(?: today)?)\b"
    r"(?! (?:tomorrow|on|next|in|soon|this)\b)|今天(?:就)?是我的?生日",
    re.I,
)


def birthday_in(sentence: Sentence, said_at: Millis) -> Claim | None:
    """The speaker's birthday or year of birth, if the sentence tells it."""
    text = sentence.text
    if "birth" not in text.lower() and "born" not in text and "生" not in text and "年的" not in text:
        return None
    if sentence.question or en.HYPOTHETICAL.search(text) or zh.HYPOTHETICAL.search(text):
        return None
    if short := _ZH_SHORT_YEAR.search(text):
        digits = "".join(_ZH_DIGITS.get(digit, digit) for digit in short["v"])
        return Claim("birth_year", f"{20 if digits < '30' else 19}{digits}", confidence=0.95)
    for slot, pattern in _PATTERNS:
        if match := pattern.search(text):
            return Claim(slot, match["v"], confidence=0.95)
    if _TODAY.search(text):
        day = day_of(said_at)
        value = (
            f"{day.month}月{day.day}日" if sentence.language == "zh" else f"{day.strftime('%B')} {day.day}"
        )
        return Claim("birthday", value)
    return None
