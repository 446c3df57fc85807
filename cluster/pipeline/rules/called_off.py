"""Journeys that are called off: "we're not going to Iceland after all", "西藏不去了".

A plan's text is all there is to know it by, so what denies it has that text for its value, and `merge` closes
the plan it names. Only one plan may fit, and every word of what is called off must be in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cluster.analysis import tokens
from cluster.model import Memory, Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.slots import SLOTS

_LONGEST: Final = 200
"""Characters of a message that calls something off; a longer one tells a story."""
_SENTENCE = re.compile(r"[.!;。！；\n]+")
_NOT_MEANT = re.compile(
    r"[?？\"“”「『]|\b(?:if|unless|kidding|joking|dream(?:t|ed)?)\b|如果|要是|开玩笑|梦见", re.I
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
_CHINESE = re.compile(
    r"^\s*(?:(?:唉|哎|可惜|算了|其实|最后|还是|遗憾的是)[，,\s]*)*(?:"
    r"(?:我们?|咱们?)?(?:决定|还是)?不(?:打算)?(?:再)?去(?P<to>[\u3400-\u9fff]{2,10}?)(?:玩|旅游|旅行|出差)?了"
    r"|(?P<first>(?!我|他|她|你|它|咱)[\u3400-\u9fff]{2,6}?)(?:我们?|咱们)?(?:不去|去不成|去不了)了"
    r"|(?:我们?|咱们)?(?:把)?取消了?去(?P<off>[\u3400-\u9fff]{2,10}?)的(?:计划|行程|旅行)了?"
    r")\s*$"
)
_GOES = re.compile(r"\bplans to (?:go|travel|fly|move|visit)\b|打算(?:.{0,12}?)(?:去|飞|搬到|游)", re.I)
_SEVERAL = re.compile(r"\b(?:and|or)\b|[和或、]", re.I)
"""A plan of more than one thing is not called off with one of them."""
_EMPTY: Final = frozenset({*tokens("the a an to in our my")})
_PLAN: Final = SLOTS["plan"]


def called_off(message: Message, before: Sequence[Candidate], known: Sequence[Memory]) -> Iterator[Candidate]:
    """The denials of plans, made just before or known, that a message calls off."""
    if len(message.content) > _LONGEST or _NOT_MEANT.search(message.content):
        return
    for sentence in _SENTENCE.split(message.content.replace("\u2019", "'")):
        match = _ENGLISH.match(sentence) or _CHINESE.match(sentence)
        what = next(filter(None, match.groups()), "") if match is not None else ""
        words = set(tokens(what)) - _EMPTY
        if not words:
            continue
        texts = dict.fromkeys(
            [claim.text for claim in before if _is_plan(claim, message)]
            + [memory.text for memory in known if memory.superseded_by is None and _is_plan(memory, message)]
        )
        fitting = [text for text in texts if words <= set(tokens(text))]
        if len(fitting) == 1:
            yield _denial(fitting[0], message)


def _is_plan(claim: Candidate | Memory, message: Message) -> bool:
    denies = claim.negates if isinstance(claim, Candidate) else claim.attributes.get("negates")
    return (
        (claim.topic, claim.subtopic) == (_PLAN.topic, _PLAN.subtopic)
        and not denies
        and claim.attributes.get("speaker") == message.name
        and _GOES.search(claim.text) is not None
        and _SEVERAL.search(claim.text) is None
    )


def _denial(plan: str, message: Message) -> Candidate:
    zh = "打算" in plan
    text = (
        plan.replace("打算", "不再打算", 1) if zh else plan.replace(" plans to ", " no longer plans to ", 1)
    )
    return Candidate(
        kind=_PLAN.kind,
        text=text,
        value=plan,
        topic=_PLAN.topic,
        subtopic=_PLAN.subtopic,
        profile_type=_PLAN.profile_type,
        negates=True,
        attributes={"speaker": message.name} if message.name else {},
        sources=(message.id,),
        language="zh" if zh else "en",
        event_time=message.event_time,
    )
