"""Jobs that end without the employer being named again: "我被裁了", "公司倒闭了".

Where somebody works was claimed before, or is known; what denies it has the employer's name for its value, so
that `merge` closes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cluster.model import Memory, Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.chinese.clauses import simplified
from cluster.pipeline.rules.chinese.unsaid import speaks_of_somebody
from cluster.pipeline.rules.denials import denial, denies, said_value
from cluster.pipeline.rules.slots import SLOTS

_LONGEST: Final = 300
"""Characters of a message that tells of it; a longer one tells a story."""
_NOT_MEANT = re.compile(
    r"[?？\"“”「『]|如果|要是|差点|想|打算|准备|考虑|可能|会被|要被|怕|等|开玩笑|梦见|[说问]|以前|当年|曾经|那年"
)
_CLAUSE = re.compile(r"[，,。！；;、\n…~～]+")
_WHEN = (
    r"(?:唉|哎|完了|其实|今天|昨天|前天|上个?(?:周|月|星期)|这个?(?:周|月|星期)|去年|今年|[\d一二三四五六七八九十]+月底?|年初|年底|最近|"
    r"前阵子|刚刚?|已经|终于|正式|又|也|都|突然|主动)*"
)
_LEFT = re.compile(
    rf"^{_WHEN}(?P<me>我)?{_WHEN}(?:失业|离职|辞职|裸辞|退休|被(?:公司|单位|老板)?(?:裁员?|辞退|开除|优化|解雇|炒(?:鱿鱼)?)(?:掉)?|"
    r"(?:把工作)?辞掉?|丢了?工作|(?:从公司)?离开公司)了(?:工作|那份工作|职)?$"
    rf"|^{_WHEN}(?P<own>我)(?:现在|目前|如今|{_WHEN})(?:是?自己|出来)(?:创业|单干)了?$"
)
_LEFT_IT = re.compile(
    rf"^(?:我|{_WHEN})(?P<name>[\u4e00-\u9fffA-Za-z0-9]{{2,10}}?)(?:我|那边|也|早就?|已经|都|就)*不[待呆干]了$"
)
_CLOSED = re.compile(
    rf"^{_WHEN}(?P<me>我们?)?的?(?:公司|单位|厂|厂子|店){_WHEN}(?:倒闭|破产|黄|解散|关门|关停)了$"
)
_COMPANY: Final = SLOTS["company"]


def left_work(message: Message, before: Sequence[Candidate], known: Sequence[Memory]) -> Iterator[Candidate]:
    """The denial of the last employer, claimed before or known, that a message tells the end of."""
    if len(message.content) > _LONGEST or _NOT_MEANT.search(message.content):
        return
    clauses = [clause.strip() for clause in _CLAUSE.split(simplified(message.content))]
    for number, clause in enumerate(clauses):
        match = _LEFT.match(clause) or _CLOSED.match(clause) or _LEFT_IT.match(clause)
        if match is None:
            continue
        said = match.groupdict()
        if not (said.get("me") or said.get("own")) and speaks_of_somebody("，".join(clauses[:number])):
            continue
        employer = _employer(message, before) or _employer(message, known)
        if employer is not None and not denies(employer) and (said.get("name") or "") in said_value(employer):
            yield _denial(employer, message)
            return


def _employer(message: Message, claims: Sequence[Candidate | Memory]) -> Candidate | Memory | None:
    """The last that was said of where the speaker works."""
    return next(
        (
            claim
            for claim in reversed(claims)
            if (claim.topic, claim.subtopic) == (_COMPANY.topic, _COMPANY.subtopic)
            and claim.attributes.get("speaker") == message.name
            and (isinstance(claim, Candidate) or claim.superseded_by is None)
        ),
        None,
    )


def _denial(employer: Candidate | Memory, message: Message) -> Candidate:
    value = said_value(employer)
    text = _COMPANY.zh_not.format(s=message.name or "用户", v=value)
    return denial(employer, message, text, value=value, language="zh")
