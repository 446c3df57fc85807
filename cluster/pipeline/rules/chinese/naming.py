"""Whom a clause names that only says "叫安安": the one relative or pet spoken of, or the speaker."""

from __future__ import annotations

import re

from cluster.pipeline.rules.antecedents import Heard, chinese_relative
from cluster.pipeline.rules.chinese.family import pets_taken_for_granted
from cluster.pipeline.rules.chinese.values import COMMON_SURNAMES, PET, RELATION, person_of
from cluster.pipeline.rules.slots import Claim

_CALLED = re.compile(
    r"(?:名字|小名|大名)?(?:就)?叫做?(?P<v>(?!回|去|吃|上[课班学]|下楼|开[会门]|起床|帮|买|送|打|过[去来]|做|快|别|等|停|救|出|车|我)[\u4e00-\u9fff]{2,3})$"
)
_SURNAMED = re.compile(rf"叫做?[{COMMON_SURNAMES}][\u4e00-\u9fff]{{1,2}}$")
_PET = re.compile(PET)
_THING = re.compile(
    r"[一这那两][家本部款道首所座台辆盆棵](?!里|的|人|长)[\u4e00-\u9fff]|店|公司|工作室|学校|品牌|乐队|歌|剧|电影|书|游戏|软件|账号|频道|项目"
)
"""Has a name too."""
_BORN = re.compile(r"(?:男|女)(?:孩|宝|娃)|(?<!出)(?<!陌)(?<!学)生(?:了|下)|大胖小子|千金")
"""Whoever was born is named rather than whoever bore them."""
_RELATIVE = re.compile(RELATION)


def called_relative(clause: str, heard: Heard) -> str | None:
    """The relative ("我闺女") whom a clause without a subject names, where only one can be meant and no pet
    or thing with a name is about: "我闺女三月份生的，叫安安"."""
    said = f"{heard.earlier}{heard.here}"
    if _name_in(clause) is None or any(each.search(said) for each in (_PET, _THING, _BORN)):
        return None
    fitting = {found[0] for pronoun in "她他" if (found := chinese_relative(f"{pronoun}{clause}", heard))}
    return fitting.pop() if len(fitting) == 1 else None


def called_pet(clause: str, heard: Heard) -> Claim | None:
    """The name of the speaker's pet that a clause without a subject says, where one pet only has been spoken
    of, and nobody else."""
    said = f"{heard.earlier}{heard.here}"
    name = _name_in(clause)
    pets = {claim.about for claim in pets_taken_for_granted(said)} if name is not None else set[str]()
    if name is None or len(pets) != 1 or _RELATIVE.search(said) or _THING.search(said):
        return None
    if set(_PET.findall(said)) != pets:
        return None
    return Claim("pet_name", name, about=pets.pop())


def gives_own_name(clause: str) -> bool:
    """Whether a clause that goes on about the speaker says a name with its surname: "我是新来的，叫何佳"."""
    found = _SURNAMED.match(clause)
    return found is not None and _name_in(clause) is not None


def _name_in(clause: str) -> str | None:
    found = _CALLED.match(clause)
    return None if found is None else person_of(found["v"])
