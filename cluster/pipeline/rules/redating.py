"""Another day for what was just said: "the dentist next Tuesday … actually, it's on Wednesday"."""

from __future__ import annotations

import re
from datetime import timedelta

from cluster.model import Millis
from cluster.pipeline.dates import DateMention, dates_in
from cluster.pipeline.periods import WEEKDAYS, ZH_WEEKDAYS, day_of, one_day, one_week
from cluster.pipeline.rules.sentences import Sentence

_ENGLISH = re.compile(
    r"\W*(?:(?:no|oh|oops|sorry|actually|wait|well|hmm+|correction|my mistake|my bad|i mean)[\s,!.:]+)+"
    r"(?:it's|it is|it was|that's|that was|make that|i meant?)?\s*(?:on |in |at )?"
    r"(?P<date>[^,.!?;]{3,30}?)[.!]*$",
    re.I,
)
_CHINESE = re.compile(
    r"\W*(?:(?:不对|不是|错了|我?说错了|我?记错了|更正一下|纠正一下|哦不|啊不|抱歉|不好意思|其实)[，,。！!\s]*)+"
    r"(?:应该)?是?在?(?P<date>[^，,。！!？?；;\s]{2,12}?)(?:才对|才是)?[。！!]*$"
)
_WEEKDAY = re.compile(rf"(?:on )?({'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})", re.I)
_ZH_WEEKDAY = re.compile(r"(?:周|星期|礼拜)([一二三四五六日天])")


def new_day(sentence: Sentence) -> str | None:
    """What a sentence that does nothing else gives as the day it should have been; None of any other."""
    found = (_CHINESE if sentence.language == "zh" else _ENGLISH).match(sentence.text)
    return None if found is None or sentence.question else found["date"]


def names_a_day(day: str, said_at: Millis, language: str) -> bool:
    """Whether that is a day at all, and nothing else."""
    return _weekday(day, language) is not None or _mention(day, said_at, language) is not None


def redated(when: DateMention, day: str, said_at: Millis, language: str) -> DateMention | None:
    """`when` on another day: a mere weekday is that of its week. None where what is to come would be over,
    or the other way round."""
    today = day_of(said_at)
    weekday, mention = _weekday(day, language), _mention(day, said_at, language)
    if weekday is not None:
        first, end, precision = one_day(one_week(when.first, 0)[0] + timedelta(days=weekday))
    elif mention is not None:
        first, end, precision = mention.first, mention.end, mention.precision
    else:
        return None
    if (when.first > today) != (first > today):
        return None
    return when._replace(first=first, end=end, precision=precision)


def _weekday(day: str, language: str) -> int | None:
    found = (_ZH_WEEKDAY if language == "zh" else _WEEKDAY).fullmatch(day)
    if found is None:
        return None
    return ZH_WEEKDAYS[found[1]] if language == "zh" else WEEKDAYS[found[1].lower()]


def _mention(day: str, said_at: Millis, language: str) -> DateMention | None:
    mentions = dates_in(day, said_at, language)
    whole = len(mentions) == 1 and mentions[0].stop - mentions[0].start >= len(day) - 3
    return mentions[0] if whole else None
