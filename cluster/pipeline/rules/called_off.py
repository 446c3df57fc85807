"""Plans that are called off: "we're not going to Iceland after all", "the wedding is off", "西藏不去了".

A plan's text is all there is to know it by, so what denies it has that text for its value, and `merge` closes
the plan it names. Only one plan may fit, and every word of what is called off must be in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cluster.analysis import tokens
from cluster.model import Memory, Message
from cluster.pipeline.periods import MONTH_NAMES, day_of
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.denials import denial, denies
from cluster.pipeline.rules.slots import SLOTS

_LONGEST: Final = 200
"""Characters of a message that calls something off; a longer one tells a story."""
_ZH_COMMA = re.compile(r"(?<=[\u3400-\u9fff]),")
_SENTENCE = re.compile(r"[.!;。！；，\n]+")
_NOT_MEANT = re.compile(
    r"[?？\"“”「『]|\b(?:if|unless|kidding|joking|dream(?:t|ed)?)\b|如果|要是|开玩笑|梦见|[说问]", re.I
)
_ENGLISH = re.compile(
    r"^\s*(?:(?:oh|well|so|ok|okay|actually|sadly|unfortunately|sorry|but)[\s,]+)*(?:"
    r"(?:i'm|i am|we're|we are) (?:not (?:going|travell?ing|flying|moving) to (?P<after>[\w' -]{2,60}?)"
    r" (?:after all|any ?more|any longer)"
    r"|no longer (?:going|travell?ing|flying|moving) to (?P<longer>[\w' -]{2,60}?))"
    r"|(?:i|we)(?:'ve| have)? (?:called off|cancell?ed) (?:my|our) (?:trip|journey|move) to"
    r" (?P<off>[\w' -]{2,60}?)"
    r")\s*$",
    re.I,
)
_OFF = re.compile(
    r"^\s*(?:(?:oh|well|so|ok|okay|actually|sadly|unfortunately|sorry|but|update)[\s,:]+)*(?:"
    r"(?:(?:the|our|my) )?(?:(?:trip|journey|flight|move) to )?(?P<off>[\w'-]+(?: [\w'-]+){0,3}?)"
    r"(?: (?:trip|plan|plans|holiday|thing))?"
    r"(?:'s| is| are| has been| have been| was| got) (?:now )?(?:off|cancell?ed|called off|not happening)"
    r"|(?:i|we)(?:'ve| have)? (?:(?:(?:had|decided) to|are|'re) (?:call(?:ing)? off|cancel(?:l?ing)?|"
    r"postpon(?:e|ing)|put(?:ting)? off)|called off|cancell?ed|postponed|put off)"
    r" (?:the|our|my) (?P<called>[\w' -]{2,60}?)(?: (?:trip|plan|plans|holiday))?"
    r"|(?:i|we)(?:'ve| have)? (?:(?:had to )?(?:pull|drop|withdraw)|pulled|dropped|withdrew)(?: out)? (?:of"
    r"|from) "
    r"(?:the|our|my) (?P<out>[\w' -]{2,60}?)"
    r"|(?:they|they've|the \w+)(?: have| has)? (?:just )?(?:moved|rescheduled|postponed|cancell?ed|pushed"
    r" back) (?:our|my) "
    r"(?P<moved>[\w' -]{2,60}?)(?: (?:to|till|until) .*)?"
    r"|no (?P<no>[\w'-]+(?: [\w'-]+){0,3}?) (?:for (?:me|us)(?: this year)?|this year|"
    r"after all|any ?more|in the end)"
    r")(?: (?:now|after all|completely|altogether|this year|for now))?\s*(?:,|$)",
    re.I,
)
"""Any plan, named by its words."""
_CHINESE = re.compile(
    r"^\s*(?:(?:唉|哎|可惜|算了|其实|最后|还是|遗憾的是)[，,\s]*)*(?:"
    r"(?:我们?|咱们?)?(?:决定|还是)?不(?:打算)?(?:再)?去(?P<to>[\u3400-\u9fff]{2,10}?)(?:玩|旅游|旅行|出差)?了"
    r"|(?P<first>(?!我|他|她|你|它|咱)[\u3400-\u9fff]{2,6}?)(?:我们?|咱们)?(?:不去|去不成|去不了)了"
    r"|(?:我们?|咱们)?(?:把)?取消了?去(?P<off>[\u3400-\u9fff]{2,10}?)的(?:计划|行程|旅行)了?"
    r")\s*$"
)
_ZH_OFF = re.compile(
    r"^\s*(?:(?:唉|哎|可惜|算了|其实|最后|还是|遗憾的是)[，,\s]*)*(?:我们?的?)?"
    r"(?P<off>(?!我|他|她|你|它|咱)[\u3400-\u9fff]{2,6}?)(?:的?(?:计划|行程|安排))?"
    r"(?:(?:也|又|都|被|只好|临时)*(?:取消|泡汤|延期|推迟|改期|改到|改在|挪到|推到|延到).{0,12}"
    r"|[办搞参加看]{1,2}不[成了]了)\s*$"
)
_ZH_ALL_OFF = re.compile(
    r"^\s*(?:(?:唉|哎|可惜|完了|最后|还是|遗憾的是)[，,\s]*)*(?:我们?的?|原来的?|这个?|[那之]前的?)*"
    r"(?:计划|行程|安排)(?:也|又|都|全|临时)*(?:取消|泡汤|黄|作废|变)了\s*$"
)
"""A plan that is not named: the only one there is."""
"""Any plan, named by its words, that will not be, or not then: "婚礼改到十二月了"."""
_ZH_PLAN = re.compile("打算")
_GOES = re.compile(
    r"\bplans to (?:go|travel|fly|move|visit)\b|\bis (?:travell?ing|flying|moving) |"
    r"打算(?:.{0,12}?)(?:去|飞|搬到|游)",
    re.I,
)
_AHEAD = re.compile(
    r"\b(?:plans to|(?P<does>is) \w+ing|has an?|signed up for|registered for|booked) (?=\w)", re.I
)
_SEVERAL = re.compile(r"\b(?:and|or)\b|[和或、]", re.I)
"""A plan of more than one thing is not called off with one of them."""
_EMPTY: Final = frozenset({*tokens("the a an to in our my")})
_SAME: Final = {word: frozenset(tokens("married marrying marry")) for word in tokens("wedding")}
"""What else a plan may be called."""
_MONTHS: Final = frozenset(tokens(" ".join(MONTH_NAMES)))
_PLANS: Final = frozenset((slot.topic, slot.subtopic) for slot in (SLOTS["plan"], SLOTS["event"]))


def called_off(message: Message, before: Sequence[Candidate], known: Sequence[Memory]) -> Iterator[Candidate]:
    """The denials of plans, made just before or known, that a message calls off."""
    if len(message.content) > _LONGEST or _NOT_MEANT.search(message.content):
        return
    for sentence in _SENTENCE.split(_ZH_COMMA.sub("，", message.content.replace("\u2019", "'"))):
        journey = _ENGLISH.match(sentence) or _CHINESE.match(sentence)
        zh_off = _ZH_OFF.match(sentence)
        match = journey or zh_off or _OFF.match(sentence)
        what = next(filter(None, match.groups()), "") if match is not None else ""
        words = set(tokens(what)) - _EMPTY
        unnamed = _ZH_ALL_OFF.match(sentence) is not None
        if not words and not unnamed:
            continue
        standing = [*before, *(memory for memory in known if memory.superseded_by is None)]
        named = _GOES if journey else _ZH_PLAN if zh_off or unnamed else _AHEAD
        plans = {claim.text: claim for claim in standing if _is_plan(claim, message, named)}
        fitting = [claim for claim in plans.values() if unnamed or _is_meant(words, claim)]
        if not fitting and zh_off:
            fitting = [claim for text, claim in plans.items() if _shortens(what, text)]
        if len(fitting) == 1:
            yield _denial(fitting[0], message)


def _is_meant(words: set[str], plan: Candidate | Memory) -> bool:
    """Whether all of the words are said of a plan: its own, another for the same thing, or its month."""
    said = set(tokens(plan.text))
    said |= {word for word, same in _SAME.items() if said & same}
    if plan.event_time is not None and not words <= said:
        said |= set(tokens(MONTH_NAMES[day_of(plan.event_time).month - 1]))
    return words <= said and not words <= _MONTHS


def _shortens(what: str, plan: str) -> bool:
    """Whether something in a plan is named in short: "科三" is "科目三"."""
    if not 2 <= len(what) <= 3:
        return False
    words = re.sub(r"\d+[年月日号]", " ", plan.partition("打算")[2])
    return re.search("[\u3400-\u9fff]{0,2}".join(map(re.escape, what)), words) is not None


def _is_plan(claim: Candidate | Memory, message: Message, named: re.Pattern[str]) -> bool:
    return (
        (claim.topic, claim.subtopic) in _PLANS
        and not denies(claim)
        and claim.attributes.get("speaker") == message.name
        and named.search(claim.text) is not None
        and _SEVERAL.search(claim.text) is None
    )


def _denial(plan: Candidate | Memory, message: Message) -> Candidate:
    zh = "打算" in plan.text
    text = plan.text.replace("打算", "不再打算", 1) if zh else _AHEAD.sub(_no_longer, plan.text, count=1)
    return denial(plan, message, text, value=plan.text, language="zh" if zh else "en")


def _no_longer(ahead: re.Match[str]) -> str:
    """ "is flying" as "is no longer flying", "plans to" as "no longer plans to"."""
    return ahead[0].replace("is ", "is no longer ", 1) if ahead["does"] else f"no longer {ahead[0]}"
