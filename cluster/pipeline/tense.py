"""Which way a clause looks: back or ahead. It decides which Friday "on Friday" is. Pure.

Only what is unmistakable counts: a verb in the past, "了", "will", "打算". A clause that looks both ways, or
that tells a habit, is unclear; one that shows nothing is open.
"""

from __future__ import annotations

import re
from typing import Literal

Direction = Literal["past", "future", "open", "unclear"]

_CLAUSE_END = re.compile(
    r"[,;:.!?()\u2013\u2014]|\s(?:but|so|because|while|then)\s|"
    r"\sand (?=(?:i|we|he|she|they|it|my|our|then)\b)",
    re.I,
)
_HABIT = re.compile(
    r"\b(?:every|each|usually|always|often|typically|normally|generally|sometimes|rarely|never|born|birthday)\b",
    re.I,
)
_WENT = re.compile(
    r"\b(?:was|wasn't|were|weren't|had|hadn't|did|didn't|went|saw|met|got|took|made|came|bought|ate|drank|"
    r"left|ran|found|said|told|gave|felt|heard|held|kept|knew|lost|paid|sent|sold|slept|spent|spoke|stood|"
    r"taught|thought|threw|won|wore|wrote|flew|drove|rode|swam|sang|began|became|broke|brought|built|caught|"
    r"chose|fell|forgot|grew|hid|led|lent|sat|shook|stole|woke|sought)\b",
    re.I,
)
_DONE = re.compile(
    r"\b(?!need|feed|seed|speed|breed|exceed|succeed|bleed|indeed|hundred|red|bed|wed|sled)\w{2,}ed\b", re.I
)
_WILL = re.compile(
    r"\b(?:will|won't|shall|going to|gonna|about to|plan(?:s|ning)? (?:to|on)|hope to|hoping to|wants? to|"
    r"wanna)\b|'ll\b",
    re.I,
)
_IS = re.compile(r"\b(?:am|is|are|isn't|aren't|have to|has to|need to|must)\b|'(?:m|re)\b", re.I)

_ZH_CLAUSE_END = re.compile(r"[，,。；;！!？?：:…\s]")
_ZH_SIMPLIFY = str.maketrans(
    "會沒過準備劃計將訂約剛慣時間頻總報預應該開聽經", "会没过准备划计将订约刚惯时间频总报预应该开听经"
)
_ZH_HABIT = re.compile(
    r"每|通常|一般|平时|平常|经常|常常|总是|往往|有时|偶尔|从不|习惯|生日|出生|生的|叫|姓|名"
)
_ZH_BOOKED = re.compile(r"(?:约|预约|订|预订|定|报名?|安排|排|买)(?:好)?了")
_ZH_ABOUT_TO = re.compile(r"(?:快|就|又)?要[^了]*了$")
_ZH_WILL = re.compile(
    r"(?<![重主必紧首需不])要|(?<![开聚晚宴约社机商学教年班三大])会(?![议员计见所场展])|打算|准备|计划|将|即将|得去|该去|想去|到期"
)
_ZH_THERE_IS = re.compile(r"(?<!没)有(?![过了点些时人意名没关])")
_ZH_WENT = re.compile(
    r"了|(?<![不难])过(?![年节生去来程敏期几户])|没(?!有)|没有(?=[\u4e00-\u9fff]{1,6}$)|刚|曾"
)


def direction_of(text: str, start: int, stop: int, language: str) -> Direction:
    """Which way the clause around `text[start:stop]` looks; where that stands alone, the clause behind it."""
    boundary = _ZH_CLAUSE_END if language == "zh" else _CLAUSE_END
    begin = max((match.end() for match in boundary.finditer(text, 0, start)), default=0)
    ends = [match.start() for match in boundary.finditer(text, stop)] + [len(text)]
    before, after = text[begin:start], text[stop : ends[0]]
    if len(ends) > 1 and len(f"{before}{after}".strip()) < 3:
        after = text[stop : ends[1]]
    if language == "zh":
        return _chinese(f"{before}{after}".translate(_ZH_SIMPLIFY).strip())
    return _english(f"{before} {after}")


def _english(clause: str) -> Direction:
    if _HABIT.search(clause):
        return "unclear"
    went, will = _WENT.search(clause) is not None, _WILL.search(clause) is not None
    if went or will:
        return "unclear" if went and will else "past" if went else "future"
    if _IS.search(clause):
        return "future"  # "I'm scheduled", not "I scheduled"
    return "past" if _DONE.search(clause) else "open"


def _chinese(clause: str) -> Direction:
    if _ZH_HABIT.search(clause):
        return "unclear"
    rest = _ZH_BOOKED.sub("", clause)
    if _ZH_ABOUT_TO.search(rest):
        return "future"
    went = _ZH_WENT.search(rest) is not None
    will = rest != clause or _ZH_WILL.search(rest) is not None
    if went or will:
        return "unclear" if went and will else "past" if went else "future"
    return "future" if _ZH_THERE_IS.search(rest) else "open"
