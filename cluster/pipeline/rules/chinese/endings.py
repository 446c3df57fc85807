"""What is so no longer, whose new value may be none that is understood: rules for Chinese.

"我搬家了" ends a home, "我换工作了" an employer, "我跟阿哲分了" a couple, "跑着跑着就喜欢上了" a
dislike. What denies a claim made before, or known, has its value, so that `merge` closes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from cluster.model import Memory, Message
from cluster.pipeline.known_index import normalise
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.chinese.clauses import HYPOTHETICAL, simplified, strip_opener, without_final
from cluster.pipeline.rules.chinese.unsaid import speaks_of_somebody
from cluster.pipeline.rules.denials import denial, denies, said_value
from cluster.pipeline.rules.slots import SLOTS

_LONGEST: Final = 300
"""Characters of a message that tells of an ending; a longer one tells a story."""
_NOT_MEANT = re.compile(
    r"[?？\"“”「『]|差点|(?<!没)想|打算|准备|考虑|会被|要被|开玩笑|梦见|[他她]说|[说问][:：]|"
    r"以前|当年|曾经|那年|小时候|没有?(?:搬|换|分|离)|还没"
)
_SURPRISE = re.compile(r"^(?:没想到|想不到|谁(?:知道?|承想|料到?)|结果)")
_STAYS = re.compile(
    r"(?:还|仍然?|依然)是?(?:在(?!适应|找|学|磨|熟悉|习惯|忙|收拾|整理|过渡|实习|试用)|做|当|干|住)|没(?:离开|出)|同一?个(?:小区|城市|公司|集团)|老本行"
)
"""What was so goes on."""
_CLAUSE = re.compile(r"[，,。！!；;、：:\n…~～]+")
_WHEN = (
    r"(?:今天|昨天|前天|上个?(?:周|月|星期)|这个?(?:周|月|星期)|去年|今年|[\d一二三四五六七八九十]+月份?|年初|年底|最近|现在|后来|"
    r"前阵子|刚刚?|已经|终于|正式|又|也|都|居然|竟然|早就?|不久前|前几天|和平)*+"
)
_I = rf"{_WHEN}我(?:们|俩|们俩|自己)?{_WHEN}"
_MAYBE_I = rf"{_WHEN}(?:我(?:们|俩|们俩|自己)?{_WHEN})?"
_WITH = (
    r"(?:(?:和|跟|与)(?:我的?)?(?P<what>[\u3400-\u9fffA-Za-z]{1,8}?)"
    r"(?:已经|最后|终于|正式|和平|彻底|又|也|上个?月|上周|昨天|前几天)*)?"
)
_WHAT = r"(?P<what>[\u3400-\u9fffA-Za-z]{1,8}?)"
_UNMARRIED: Final = ("boyfriend", "girlfriend", "partner")
_MARRIED: Final = ("wife", "husband", "spouse")
_CALLED: Final = {
    "男朋友": "boyfriend", "男友": "boyfriend", "女朋友": "girlfriend", "女友": "girlfriend",
    "对象": "partner",
    "老公": "husband", "丈夫": "husband", "老婆": "wife", "媳妇": "wife", "妻子": "wife", "爱人": "spouse",
}  # fmt: skip

_Claim = Candidate | Memory


class _Ending(NamedTuple):
    pattern: re.Pattern[str]
    slots: frozenset[str]
    """Names in SLOTS, all of which end."""
    says: str
    """How the denial is worded: {s} who, {v} the value."""
    fits: Callable[[str, str], bool]
    """Whether it ends a claim, by what the clause names ("" if nothing) and the claim's value."""


def _any(_: str, __: str) -> bool:
    return True


def _is(what: str, value: str) -> bool:
    return normalise(what) == normalise(value)


def _in(what: str, value: str) -> bool:
    return what in value


def _among(*values: str) -> Callable[[str, str], bool]:
    return lambda _, value: any(one in value for one in values)


def _ending(pattern: str, slots: str, says: str, fits: Callable[[str, str], bool]) -> _Ending:
    return _Ending(re.compile(rf"{pattern}$"), frozenset(slots.split()), says, fits)


_SMOKES = rf"{_I}(?:开始)?(?:抽烟|抽上|复吸|抽起来)(?:烟)?了"
_ENDINGS: Final = (
    _ending(
        rf"{_I}(?:搬家|搬走|搬出[来去]|换房子?|换(?:了个)?地方住|换(?:了个?)?(?:城市|住处))了",
        "residence", "{s}不再住在{v}", _any,
    ),
    _ending(
        rf"{_I}(?:换工作|换了?(?:一?[份个])(?:新?工作)|跳槽|换公司|换单位|换了?(?:一?家)(?:新?(?:公司|单位)))了?",
        "company work_place", "{s}不再在{v}工作", _any,
    ),
    _ending(
        rf"{_I}(?:转行|改行)(?:了|(?:去)?(?:做|当|干|到).*)", "company work_place", "{s}不再在{v}工作", _any,
    ),
    _ending(
        rf"{_I}(?:转行|改行)(?:了|(?:去)?(?:做|当|干|到).*)", "title industry", "{s}不再从事{v}", _any,
    ),
    _ending(rf"{_I}(?:毕业|退学)了", "school", "{s}不再就读于{v}", _any),
    _ending(rf"{_I}(?:毕业|退学)了", "grade", "{s}不再是{v}", _any),
    _ending(
        rf"{_I}(?:脱单|恋爱|谈恋爱|有(?:男|女)朋友|(?:交|找|谈)了?(?:个)?(?:男朋友|女朋友|对象))了",
        "marital", "{s}不再{v}", _among("单身"),
    ),
    _ending(
        rf"{_MAYBE_I}(?:不(?:再)?(?:吃素|素食|吃全素|生酮|吃生酮)|破戒吃肉|开荤|"
        r"(?:又|重新|恢复|开始|改)*吃(?:肉|荤))了",
        "diet", "{s}不再是{v}", _any,
    ),
    _ending(
        rf"{_MAYBE_I}(?:(?<=又)|(?:重新|能|可以|开始)+)(?:吃|喝){_WHAT}了",
        "avoids avoids_drink", "{s}不再忌{v}", _is,
    ),
    _ending(rf"{_SMOKES}", "quit", "{s}又抽烟了", _among("抽烟")),
    _ending(rf"{_SMOKES}", "habit", "{s}又抽烟了", _among("不抽烟")),
    _ending(rf"{_I}(?:开始)?(?:喝酒|喝上|喝起来)(?:酒)?了", "quit", "{s}又喝酒了", _among("喝酒")),
    _ending(rf"{_I}对{_WHAT}(?:已经)?不(?:再)?过敏了", "allergy", "{s}不再对{v}过敏", _is),
    _ending(
        rf"{_MAYBE_I}(?:不(?:再)?(?:讨厌|嫌弃|反感|烦)|喜欢上|爱上|迷上|爱(?:吃|喝|看|听|玩)上){_WHAT}了",
        "dislike", "{s}不再讨厌{v}", _in,
    ),
    _ending(
        rf"{_MAYBE_I}(?:喜欢上|爱上|迷上)了{_WHAT}", "dislike", "{s}不再讨厌{v}", _in,
    ),
    _ending(
        r"(?P<what>[\u3400-\u9fff]{1,2})着(?P=what)着我?(?:就|倒|居然|竟然|竟|反而|也|还|真)*(?:喜欢|爱|迷)上(?:它|这个)?了",
        "dislike", "{s}不再讨厌{v}", _in,
    ),
    _ending(
        rf"{_MAYBE_I}{_WHAT}(?:也|都|终于|已经|总算)*(?:考?过|考完|考上|通过|结束|拿到|拿下)了",
        "habit", "{s}不再{v}", lambda what, value: value.startswith("在准备") and what in value,
    ),
    _ending(rf"{_I}不(?:怎么)?怕{_WHAT}了", "fear", "{s}不再怕{v}", _is),
)  # fmt: skip
_PARTED = re.compile(
    rf"{_MAYBE_I}{_WITH}(?P<how>分手|分(?:开)?|掰|散|吹|黄|拜拜|离婚|离|取消婚约|退婚)(?:很久|好久)?了$"
)
_NAMES_WORK = re.compile(
    r"(?:做|当|干|任|从事)(?!好|完|到|事|过|不|时|然|天|初|年|真)[\u3400-\u9fffA-Za-z]{2,}"
)
_CHANGED_WORK = re.compile(rf"{_I}(?:换工作|换了?(?:一?[份个])(?:新?工作)|跳槽)了?$")
"""With what is done now: what was done before goes too."""


def endings(
    message: Message, found: Sequence[Candidate], before: Sequence[Candidate], known: Sequence[Memory]
) -> Iterator[Candidate]:
    """The denials of what a message says is so no longer, of claims made `before` or `known`; a slot that the
    message itself claims (`found`) anew is left to that claim."""
    text = simplified(message.content)
    if len(text) > _LONGEST or _NOT_MEANT.search(text) or HYPOTHETICAL.search(text):
        return
    standing = [
        claim
        for claim in (*before, *(memory for memory in known if memory.superseded_by is None))
        if claim.attributes.get("speaker") == message.name
    ]
    if not standing:
        return
    claimed = {_place(claim) for claim in found if not claim.negates}
    if _STAYS.search(text):
        return
    standing = [claim for claim in _not_denied(standing) if not _is_claimed_anew(claim, claimed)]
    clauses = [
        without_final(_SURPRISE.sub("", strip_opener(clause.strip()))) for clause in _CLAUSE.split(text)
    ]
    for number, clause in enumerate(clauses):
        for ending in _ENDINGS:
            if (match := ending.pattern.match(clause)) is None:
                continue
            what = match.groupdict().get("what") or ""
            fitting = {
                (_place(claim), normalise(said_value(claim))): claim
                for claim in standing
                if _slot(claim) in ending.slots and ending.fits(what, said_value(claim))
            }
            if not what or len(fitting) == 1:
                for claim in fitting.values():
                    yield _denial(claim, message, ending.says)
        if _CHANGED_WORK.match(clause) and any(map(_NAMES_WORK.search, clauses[number + 1 :])):
            for claim in standing:
                if _slot(claim) in {"title", "industry"}:
                    yield _denial(claim, message, "{s}不再从事{v}")
        if (match := _PARTED.match(clause)) is not None and (
            match["what"] or not speaks_of_somebody("，".join(clauses[:number]))
        ):
            for claim in _partner(match, clause, standing):
                says = "{s}不再和{v}在一起" if (claim.subtopic or "").endswith("_name") else "{s}不再有{v}"
                yield _denial(claim, message, says)


def _partner(match: re.Match[str], clause: str, standing: Sequence[_Claim]) -> Iterator[_Claim]:
    """The claims of the one partner parted from: named, called what they are, or, of a couple's own words
    ("我们分手了"), the only one."""
    what, how = match["what"] or "", match["how"]
    partners = [
        claim for claim in standing if claim.topic == "family" and _about(claim) in _UNMARRIED + _MARRIED
    ]
    if what and what not in _CALLED:
        abouts = {_about(claim) for claim in partners if said_value(claim) == what}
    elif what:
        abouts = {_CALLED[what]}
    elif how in {"分手", "离婚", "退婚", "取消婚约"} and "我" in clause:
        whose = _MARRIED if how == "离婚" else _UNMARRIED
        abouts = {_about(claim) for claim in partners if _about(claim) in whose}
    else:
        return
    fitting = [claim for claim in partners if _about(claim) in abouts]
    if len({said_value(claim) for claim in fitting if (claim.subtopic or "").endswith("_name")}) <= 1:
        yield from fitting


def _about(claim: _Claim) -> str:
    return (claim.subtopic or "").removesuffix("_name")


def _not_denied(standing: Sequence[_Claim]) -> list[_Claim]:
    """The claims that none after them denies, each once."""
    current: dict[tuple[tuple[str | None, str | None], str], _Claim] = {}
    for claim in standing:
        key = (_place(claim), normalise(said_value(claim)))
        if denies(claim):
            current.pop(key, None)
        else:
            current[key] = claim
    return list(current.values())


def _is_claimed_anew(claim: _Claim, claimed: set[tuple[str | None, str | None]]) -> bool:
    """Whether the message gives another value of the claim's slot, which has one value only."""
    slot = _slot(claim)
    return slot is not None and SLOTS[slot].single_valued and _place(claim) in claimed


def _slot(claim: _Claim) -> str | None:
    return _SLOTS.get(_place(claim))


def _place(claim: _Claim) -> tuple[str | None, str | None]:
    return claim.topic, claim.subtopic


_SLOTS: Final[dict[tuple[str | None, str | None], str]] = {
    (SLOTS[name].topic, SLOTS[name].subtopic): name for ending in _ENDINGS for name in ending.slots
}


def _denial(claim: _Claim, message: Message, says: str) -> Candidate:
    value = said_value(claim)
    return denial(claim, message, says.format(s=message.name or "用户", v=value), value=value, language="zh")
