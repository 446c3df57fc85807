"""What is let go of: things sold or given away, pastimes given up, employers left.

"捷达卖给我表弟了", "I sold the Jetta", "I left Siemens".

What denies such a claim has its value, so that `merge` closes it. What is let go of is named by a word of
that value, and only one claim may fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cluster.model import Memory, Message
from cluster.pipeline.known_index import normalise
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.denials import denial, denies, said_value
from cluster.pipeline.rules.sentences import with_apostrophes
from cluster.pipeline.rules.slots import SLOTS

_LONGEST: Final = 300
"""Characters of a message that lets go of something; a longer one tells a story."""
_CLAUSE = re.compile(r"[.!;,。！；，、\n]+")
_NOT_MEANT = re.compile(
    r"[?？\"“”「『]|\b(?:if|unless|almost|nearly|kidding|joking|dream(?:t|ed)?)\b|如果|要是|差点|开玩笑|"
    r"梦见|[说问]|没",
    re.I,
)
_ZH_ONLY_WANTED = re.compile("想|打算|准备")
_ZH_WHEN = (
    r"(?:我们?|后来|最后|终于|已经|早就?|都|也|刚刚?|前几天|昨天|前天|上个?(?:周|月|星期)|去年|今年|[那这])*"
)
_CHINESE = re.compile(
    rf"^{_ZH_WHEN}(?:把)?(?:[那这]?[辆台个套部只条把架]|我的?|原来的|之前的|旧|老)*(?P<what>[\u3400-\u9fffA-Za-z0-9]{{1,8}}?)"
    rf"{_ZH_WHEN}(?:(?P<thing>卖|出手|转手|转让|送人|送|捐|扔)(?:掉|出去)?(?:给[^，。]{{1,8}})?|"
    r"(?P<pastime>放弃|不学|不练|不弹|不玩|[学练弹]不下去|坚持不下去))了$"
)
_ZH_TAKEN_NO_MORE = re.compile(
    rf"^{_ZH_WHEN}(?:现在|再也|早就?)*(?:(?:不再?(?:喝|吃|抽|沾|碰)|戒(?:喝|吃|抽)?)掉?(?P<behind>[\u3400-\u9fffA-Za-z]{{1,6}}?)了"
    rf"|(?P<front>[\u3400-\u9fffA-Za-z]{{1,6}}?)(?:我|现在|已经|一口|一点儿?|一滴|再也|早就?|都|也)*"
    r"(?:不(?:喝|吃|抽|沾|碰)|戒)掉?了?)$"
)
_ENGLISH = re.compile(
    r"^\s*(?:(?:so|and|well|oh|also|finally|then)\s+)*(?:i|we)(?:'ve| have)?"
    r"(?: (?:just|finally|already|also))* (?:(?P<thing>sold|donated|gave away|given away|got rid of)"
    r" (?:my|our|the)|(?P<pastime>gave up|given up|quit))"
    r" (?:old )?(?P<what>[\w-]+(?: [\w-]+){0,2}?)(?: (?:to|last|yesterday|this|in|on) .*)?$",
    re.I,
)
_LEFT = re.compile(
    r"^\s*(?:(?:so|and|well|oh|also|finally|then|update)[:\s]\s*)*(?:i|we)(?:'ve| have)?"
    r"(?: (?:just|finally|already|also))* (?:left|quit|resigned from) (?P<what>[\w&'.-]+(?: [\w&'.-]+){0,4}?)"
    r"(?: (?:last|yesterday|this|in|on|after|because|for) .*)?$",
    re.I,
)
_TAKEN: Final = frozenset({(SLOTS["habit"].topic, SLOTS["habit"].subtopic)})
"""What is eaten, drunk or smoked as a habit."""
_EMPLOYERS: Final = frozenset({(SLOTS["company"].topic, SLOTS["company"].subtopic)})
_THINGS: Final = frozenset((SLOTS[name].topic, SLOTS[name].subtopic) for name in ("possession", "vehicle"))
_PASTIMES: Final = frozenset((SLOTS[name].topic, SLOTS[name].subtopic) for name in ("learning", "plays"))


def let_go(message: Message, before: Sequence[Candidate], known: Sequence[Memory]) -> Iterator[Candidate]:
    """The denials of belongings, pastimes and employers, claimed before or known, that are let go of."""
    if len(message.content) > _LONGEST or _NOT_MEANT.search(message.content):
        return
    for clause in _CLAUSE.split(with_apostrophes(message.content)):
        if _ZH_ONLY_WANTED.search(clause):
            continue
        match = _CHINESE.match(clause.strip()) or _ENGLISH.match(clause) or _LEFT.match(clause)
        taken = _ZH_TAKEN_NO_MORE.match(clause.strip())
        if match is not None:
            what = match["what"]
            slots = _EMPLOYERS if match.re is _LEFT else _THINGS if match["thing"] else _PASTIMES
        elif taken is not None:
            what, slots = taken["behind"] or taken["front"], _TAKEN
        else:
            continue
        standing = [*before, *(memory for memory in known if memory.superseded_by is None)]
        fitting = {
            normalise(said_value(claim)): claim
            for claim in standing
            if (claim.topic, claim.subtopic) in slots
            and claim.attributes.get("speaker") == message.name
            and not denies(claim)
            and (_is if slots is _EMPLOYERS else _names)(what, said_value(claim))
        }
        if len(fitting) == 1:
            ((_, claim),) = fitting.items()
            yield _denial(claim, message, zh=match is None or match.re is _CHINESE)


def _is(what: str, value: str) -> bool:
    """Whether `what` is all of a value: who "left home" has not left Home Depot."""
    return normalise(what).removeprefix("the ") == normalise(value).removeprefix("the ")


def _names(what: str, value: str) -> bool:
    """Whether `what` is said in a value: "捷达" in "一辆老捷达", as a whole word in English."""
    if what.isascii():
        return (
            re.search(rf"(?<![a-z0-9]){re.escape(what.casefold())}(?![a-z0-9])", value.casefold()) is not None
        )
    return what in value


def _denial(claim: Candidate | Memory, message: Message, *, zh: bool) -> Candidate:
    speaker, value = message.name or ("用户" if zh else "User"), said_value(claim)
    if (claim.topic, claim.subtopic) in _THINGS:
        text = f"{speaker}不再有{value}" if zh else f"{speaker} no longer has {value}"
    elif (claim.topic, claim.subtopic) in _EMPLOYERS:
        text = SLOTS["company"].en_not.format(s=speaker, v=value)
    else:
        text = f"{speaker}放弃了{value}" if zh else f"{speaker} gave up {value}"
    return denial(claim, message, text, value=value, language="zh" if zh else "en")
