"""Another day for what was just said: "the dentist next Tuesday … actually, it's on Wednesday"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from cluster.model import Message, Millis
from cluster.pipeline.dates import DateMention, dates_in
from cluster.pipeline.periods import WEEKDAYS, ZH_WEEKDAYS, day_of, one_day, one_week
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.sentences import Sentence

_ENGLISH = re.compile(
    r"\W*(?:(?:no|oh|oops|sorry|actually|wait|well|hmm+|correction|my mistake|my bad|i mean)[\s,!.:]+)+"
    r"(?:it's|it is|it was|that's|that was|make that|i meant?)?\s*(?:on |in |at )?"
    r"(?P<date>[^,.!?;]{3,30}?)[.!]*$",
    re.I,
)
_CHINESE = re.compile(
    r"\W*(?:(?:(?:哎呀?|噢|哦|啊|呃|等等|等下)[，,\s]*)*(?:不对|不是|错了|我?(?:说|记|看|搞|弄|打)错了|更正一下|纠正一下|哦不|啊不|抱歉|不好意思|其实"
    r"|我?(?:刚刚?|又|再|重新)?(?:去)?(?:看|查|翻|对|确认)了(?:一?[下眼遍])?(?:我的?|的)?(?:日历|日程|行程|车?票|机票|通知|短信|邮件|安排|时间)?)[，,。！!\s]*)+"
    r"(?:应该)?是?在?(?P<date>[^，,。！!？?；;\s]{2,12}?)(?:才对|才是)?(?:[，,](?P<also>[^，,。！!？?；;\s]{2,12}))?[。！!]*$"
)
_WEEKDAY = re.compile(rf"(?:on )?({'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})", re.I)
_ZH_WEEKDAY = re.compile(r"(?:周|星期|礼拜)([一二三四五六日天])")


def new_day(sentence: Sentence) -> str | None:
    """What a sentence that does nothing else gives as the day it should have been; None of any other."""
    found = (_CHINESE if sentence.language == "zh" else _ENGLISH).match(sentence.text)
    return None if found is None or sentence.question else found["date"]


_NOT_A_DAY_ONLY = re.compile(r"[也行好吧呢不没可能]")
_ZH_DATE = re.compile(r"\d{4}年\d{1,2}月(?:\d{1,2}日)?")


def redated_before(
    day: str | None, before: Sequence[Candidate], message: Message
) -> tuple[Candidate, Candidate] | None:
    """The one thing that was to happen on a day, of the Chinese claims made just `before`, and the same on
    `day`, as `message` says it; None where there is no such thing, or more than one."""
    dated = [
        claim
        for claim in before
        if claim.kind == "event" and claim.language == "zh" and _ZH_DATE.search(claim.text) is not None
    ]
    if (
        day is None
        or len(dated) != 1
        or _NOT_A_DAY_ONLY.search(day)
        or not names_a_day(day, message.event_time, "zh")
    ):
        return None
    (claim,) = dated
    then = dates_in(claim.text, claim.event_time or message.event_time, "zh")
    moved = redated(then[0], day, message.event_time, "zh") if then else None
    if moved is None:
        return None
    text = _ZH_DATE.sub(moved.text("zh"), claim.text, count=1)
    return claim, msgspec.structs.replace(claim, text=text, sources=(message.id,), event_time=moved.millis)


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
