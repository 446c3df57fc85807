"""Family, friends and pets: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.periods import zh_number
from cluster.pipeline.rules.chinese.values import (
    ADVERBS,
    CONTEXT_BOUND,
    END_PARTICLES,
    FRIEND,
    NAME,
    NUMBER,
    PAST_STATE,
    PET,
    PLACE,
    RELATION,
    SPEAKER,
    YEARS,
    Context,
    occupation_of,
    person_of,
    place_of,
)
from cluster.pipeline.rules.chinese.work import employer_of
from cluster.pipeline.rules.lexicon import ZH_RELATIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()


@RULES.rule(
    rf"我的?(?:大|小|二)?(?P<x>{RELATION}|{FRIEND})(?:的名字)?(?:也)?(?:叫做?|名叫|是叫){NAME}$",
    rf"我们?家?的?(?P<x>{RELATION})的名字是{NAME}$",
    rf"我(?:们)?(?:家)?有(?:了)?(?:一?[个位])(?P<x>{RELATION}|{FRIEND})(?:名字)?(?:叫做?|名叫){NAME}$",
)
def _relative_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := person_of(match["v"]):
        known = ZH_RELATIONS.get(match["x"])
        if known:
            yield Claim("family_name", value, about=known)
        else:
            yield Claim("friend_name", value, about=match["x"])


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?P<n>[\u4e00-\u9fff]{{2,3}}?)?(?:今年|现在|已经|刚刚?满?|才|都|也|"
    rf"刚)*(?P<v>{NUMBER})(?:周)?岁半?(?:了|啦)?$"
)
def _relative_age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    number = zh_number(match["v"])
    if number is None or not 0 < number <= 120 or context.past or context.future:
        return
    if re.search(r"[我你您他她比]", match["n"] or ""):  # "我弟弟小我三岁"
        return
    about = ZH_RELATIONS[match["x"]]
    if match["n"] and (name := person_of(match["n"])) and match["n"] not in {"明年", "去年", "快要"}:
        yield Claim("family_name", name, about=about)
    yield Claim("family_age", str(number), about=about)


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:已经|都|才|也|快|刚)*"
    r"(?P<v>[1-9]\d|[二三四五六七八九]?十[一二三四五六七八九]?)(?P<end>了|啦|的人了)?$"
)
def _relative_bare_age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "我妈六十二了", "我爸今年70"."""
    number = zh_number(match["v"])
    if number is not None and (match["end"] or context.under_way) and not (context.past or context.future):
        yield Claim("family_age", str(number), about=ZH_RELATIONS[match["x"]])


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:现在|已经|刚刚?|还|也|都|才|正)*(?:在)?(?:上|读|念|是)?"
    r"(?P<v>幼儿园(?:[小中大]班)?|[小中大]班|小学(?:[一二三四五六]年级)?|初中|高中|大学|[一二三四五六]年级|初[一二三]|高[一二三]|"
    r"大[一二三四]|研[一二三]|研究生|博士)(?:了|啦|的?学生)?$"
)
def _relative_grade(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.past or context.future or PAST_STATE.search(match[0])):
        yield Claim("family_grade", match["v"], about=ZH_RELATIONS[match["x"]])


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:已经|早就|早|都)*(?:(?:去世|过世|病逝|不在)(?:了|{YEARS}了?)+|走了{YEARS}了?)$",
    rf"我们?家?的?(?P<x>{RELATION})(?:已经|早就|早|都|刚刚?)*(?P<retired>退休|离休)(?:了|在家|{YEARS}了?)+$",
)
def _relative_no_more(match: re.Match[str], context: Context) -> Iterator[Claim]:
    about = ZH_RELATIONS[match["x"]]
    if context.future:
        return
    if match.groupdict().get("retired"):
        yield Claim("family_job", "退休", about=about)
    else:
        yield Claim("family_ailing", "已去世", about=about)


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:现在|目前|也|都|就)*(?:是|当|做)(?:一?[名位个])?"
    rf"(?P<v>[\u4e00-\u9fffA-Za-z]{{2,12}})$"
)
def _relative_job(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.past and (value := occupation_of(match["v"])):
        yield Claim("family_job", value, about=ZH_RELATIONS[match["x"]])


@RULES.rule(rf"我们?家?的?(?P<x>{RELATION})(?:们)?(?:现在|目前|也|都|一直)*(?:住在|生活在|定居在){PLACE}$")
def _relative_home(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.past and (value := place_of(match["v"])):
        yield Claim("family_home", value, about=ZH_RELATIONS[match["x"]])


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:现在|目前|也|都|一直)*在(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}}?)"
    r"(?:工作|上班|任职|就职|任教|教书)(?:了?[一二两三四五六七八九十几多\d半]+个?[年月]多?)?了?$"
)
def _relative_company(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.dated or PAST_STATE.search(match[0]):
        return
    where = employer_of(match["v"])
    if where is not None and where.slot == "company":
        yield Claim("family_company", where.value, about=ZH_RELATIONS[match["x"]])


@RULES.rule(
    rf"(?:我们?|我家|家里)(?:现在|已经|还|也)*有(?:了)?(?P<n>[一两二三四五六]?[个位对]|俩|仨)?(?:可爱的|"
    rf"双胞胎)?(?P<x>{RELATION})(?P<rest>.*)$"
)
def _family(match: re.Match[str], _: Context) -> Iterator[Claim]:
    relation = ZH_RELATIONS[match["x"]]
    if (match["rest"] and not re.match(r"(?:了|叫|名叫|今年|和)", match["rest"])) or (
        not match["n"] and match["rest"]
    ):
        return
    number = match["n"] or ""
    if len(number) == 1 and number in "个位":
        number = f"一{number}"
    yield Claim("family", f"{number}{match['x']}", about=relation)
    named = re.match(rf"(?:名字)?(?:叫做?|名叫){NAME}$", match["rest"])
    if named and (value := person_of(named["v"])):
        yield Claim("family_name", value, about=relation)


@RULES.rule(
    (
        rf"(?:我|我们|我家|我家里|家里|我们家)(?:{ADVERBS})(?:新?养了?|养着|有|领养了|收养了|"
        rf"喂养)(?P<n>[一两二三四五六几]?[只条个匹群头尾])?(?P<d>[\u4e00-\u9fff]{{0,6}}?)(?P<x>{PET})"
        rf"(?P<rest>.*)$"
    ),
    (
        rf"(?:养了|养着|有)(?P<n>[一两二三四五六]?[只条个匹])(?P<d>[\u4e00-\u9fff]{{0,6}}?)(?P<x>{PET})"
        rf"(?P<rest>.*)$"
    ),
)
def _pet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = END_PARTICLES.sub("", match["rest"])
    if (
        (rest and not re.match(r"(?:名字)?叫|名叫", rest))
        or "过" in match["d"]
        or match["d"].startswith("的")  # "我养的布偶叫团子" names it
        or CONTEXT_BOUND.search(match["d"])
        or (not match["n"] and "养" not in match[0])
    ):
        return
    number = match["n"] or ""
    if len(number) == 1 and number not in "一两二三四五六几":
        number = f"一{number}"
    yield Claim("pet", f"{number}{match['d']}{match['x']}", about=match["x"])
    named = re.match(rf"(?:名字)?(?:叫做?|名叫){NAME}$", rest)
    if named and (value := _pet_called(named["v"])):
        yield Claim("pet_name", value, about=match["x"])


_OWN_PET = re.compile(
    rf"(?<![和跟说像给想])我们?(?:家(?:的|那|那个|这)?|的|那|这)(?P<n>[一两三四五六]?[只条])?(?P<d>小|大|老|胖|黑|白|橘)?(?P<x>(?!鱼|鸟)(?:{PET}))"
    r"(?!玩偶|公仔|毛绒|娃娃|头|表情|图|眼|咖|须|爪|形|步|窝|包|牌|系|奴|粮|砂|友|屋|王|零食|[\u4e00-\u9fff]?罐)"
)
_PET_NO_MORE = re.compile(
    r"以前|小时候|曾|当年|养过|去世|走了|走丢|死|没了|丢了|送人|如果|要是|假如|想养|要养|小说|角色|主角|梦"
)


def pets_taken_for_granted(text: str) -> Iterator[Claim]:
    """ "我家猫最近老吐毛": who speaks of their cat has one."""
    if _PET_NO_MORE.search(text):
        return
    seen: set[str] = set()
    for match in _OWN_PET.finditer(text):
        if match["x"] in seen:
            continue
        seen.add(match["x"])
        number = match["n"] or ""
        if len(number) == 1:
            number = f"一{number}"
        yield Claim("pet", f"{number}{match['d'] or ''}{match['x']}", about=match["x"], confidence=0.85)


@RULES.rule(
    rf"(?:我|我们|我家|我们家)的?(?:小)?(?P<x>{PET})(?:的名字)?(?:也)?(?:叫做?|名叫|是叫){NAME}$",
    rf"我的?(?P<x>{PET})的名字是{NAME}$",
    rf"我们?(?:家)?(?:养的?|那只|那条|家那?[只条])(?:小|大|老|胖)?(?P<x>{PET}|龟)(?:的名字)?(?:就|也)?(?:叫做?|名叫){NAME}$",
    rf"我们?家的?(?P<x>{PET})(?P<v>[\u4e00-\u9fff]{{2}})(?:今年|已经|都|才)*{NUMBER}(?:周?岁|个月)半?(?:了|啦)?$",
)
def _pet_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _pet_called(match["v"]):
        yield Claim("pet_name", value, about=match["x"])


def _pet_called(text: str) -> str | None:
    value = END_PARTICLES.sub("", text).strip("“”\"' ")
    return (
        value
        if value
        and len(value) <= 12
        and not CONTEXT_BOUND.search(value)
        and value[0] not in "了得个不声唤"
        and value != "春"
        and not re.search(r"特别|非常|很", value)
        else None
    )


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION}|{FRIEND})(?P<v>[小阿](?![时学孩我他她你的心气升班型声区众白动便巧姐哥弟妹吃说伙资名两几])[\u4e00-\u9fff])"
    r"(?:$|(?=[在是说也来去今昨明上下总又还就都很要会给跟和对最刚想做有不没家的送请过考买带打住喜]))"
)
def _relative_with_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    """ "我室友小敏": a name right after who it is, where it looks like one."""
    known = ZH_RELATIONS.get(match["x"])
    yield Claim("family_name" if known else "friend_name", match["v"], about=known or match["x"])


@RULES.rule(
    rf"{SPEAKER}(?:到现在|至今|目前|还|也|都)*没有?(?:个|谈)?(?:(?P<v>对象|男朋友|女朋友|男友|女友|谈恋爱)|结婚|成家)(?:啊|哈|的)?$"
)
def _unattached(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated and not PAST_STATE.search(match[0]):
        yield Claim("marital", "单身" if match["v"] else "未婚")


@RULES.rule(
    rf"{SPEAKER}(?:(?:和|跟)?(?:老婆|老公|爱人|对象))?(?:到现在|至今|目前|还|也|都)*没(?:有|生)?(?:孩子|小孩|娃|子女|要孩子)的?$"
)
def _childless(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated and not PAST_STATE.search(match[0]):
        yield Claim("family_none", "孩子", about="孩子")


@RULES.rule(
    (
        rf"{SPEAKER}?(?:(?:和|跟|与)我?(?:老婆|老公|媳妇|爱人|先生|太太|妻子|丈夫))?(?:还)?(?:是)?(?P<v>单身|已婚|未婚|离异|离婚|丧偶|结婚|订婚)(?:狗|贵族|状态|"
        rf"人士)?(?:了)?(?:都|已经|快)?(?:有)?(?:[一二两三四五六七八九十几\d]+年)?(?:了)?(?:的)?$"
    ),
    r"我的?(?:婚姻|感情|婚恋)状(?:况|态)是(?P<v>单身|已婚|未婚|离异|恋爱中)$",
)
def _marital(match: re.Match[str], context: Context) -> Iterator[Claim]:
    word = match["v"]
    if context.future or (
        word in {"结婚", "离婚", "订婚"} and not re.search(r"[了已]|[\d一二三四五六七八九十]年", match[0])
    ):
        return
    yield Claim(
        "marital",
        {"结婚": "已婚", "离婚": "离异", "订婚": "已订婚"}.get(word, word),
        dated="结婚" in match[0],
    )
