"""Languages and belongings: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.chinese.values import LANGUAGE, SPEAKER, Context, value_of
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()


@RULES.rule(
    (
        rf"{SPEAKER}?(?:还)?(?:会|能)(?:流利地?)?(?:说|讲)(?:一点|一些|流利的?|"
        rf"点)?(?P<v>(?:{LANGUAGE})(?:(?:、|和|以及|还有)(?:{LANGUAGE}))*)$"
    ),
    rf"我的?母语是(?P<v>{LANGUAGE})$",
    rf"(?P<v>{LANGUAGE})(?:就)?是(?:我的?)?母语$",
    rf"{SPEAKER}?(?:还|也)?会(?:一点儿?|一些|点)?(?P<v>(?:{LANGUAGE})(?:(?:、|和|以及|还有)(?:{LANGUAGE}))*)$",
)
def _language(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in re.split(r"、|和|以及|还有", match["v"]):
        yield Claim("language", value)


_MAKE = (
    r"(?:[A-Za-z][A-Za-z0-9-]{0,11}|五菱|比亚迪|特斯拉|大众|丰田|本田|奔驰|宝马|奥迪|吉利|长安|奇瑞|长城|红旗|小鹏|理想|蔚来|别克|福特|日产|"
    r"现代|起亚|马自达|沃尔沃|雅马哈|小牛|雅迪|爱玛|九号|捷安特|美利达|崔克|富士|索尼|佳能|尼康|徕卡|大疆|联想|戴尔|苹果|华为|小米)"
)


@RULES.rule(rf"{SPEAKER}(?:[那这])(?P<n>[台辆部])(?:破|旧|老|新|小)?(?P<v>{_MAKE})")
def _own_machine(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "我那台五菱开山路没得说": who speaks of their car has one."""
    if not re.search(r"卖|丢|坏|报废|送人|以前|偷|借|租", match.string):
        yield Claim("possession", f"一{match['n']}{match['v']}")


@RULES.rule(
    (
        rf"{SPEAKER}(?:名下)?(?:有|拥有|买了|刚买了|购买了|新买了)(?P<v>[一两二三四五六](?:辆|套|栋|台|部|"
        rf"架|把|间|块|幢)[\u4e00-\u9fffA-Za-z0-9 ]{{1,14}})$"
    ),
    rf"{SPEAKER}?(?:刚刚?|终于|已经)*(?:提|入手|换)了"
    rf"(?P<v>一?[辆台部](?:{_MAKE})[\u4e00-\u9fffA-Za-z0-9 ]{{0,10}})$",
    rf"{SPEAKER}开(?:的是?)?(?P<v>[一两]?辆[\u4e00-\u9fffA-Za-z0-9 ]{{1,12}})$",
)
def _possession(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if "有" in match[0][: match.start("v") - match.start()] and match[0].endswith("了"):
        return  # "我有一台电脑坏了"
    if not context.future and (value := value_of(match["v"])):
        yield Claim("possession", f"一{value}" if value[0] in "辆台部" else value)
