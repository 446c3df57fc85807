"""Health and food: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.chinese.values import (
    CONDITION,
    END_PARTICLES,
    MEDICINE,
    REGULARLY,
    RELATION,
    SPEAKER,
    YEARS,
    Context,
    items_of,
)
from cluster.pipeline.rules.lexicon import ZH_RELATIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()


# Said to be funny: nobody's body reacts to these.
_NO_ALLERGENS = re.compile(
    r"周[一二三四五六日末]|星期|早起|早上|傻|蠢|笨|废话|加班|上班|工作|上学|考试|作业|开会|数学|学习|运动|家务|"
    r"[春夏秋冬]天|换季|大家|全家|前任|老板|领导|渣男|人$"
)


@RULES.rule(
    (
        rf"{SPEAKER}?对(?P<v>[^对]{{1,16}}?)(?:都|会|严重|有点|有些|轻微|很容易|容易|也|比较|极度|"
        rf"重度)*(?:过敏)$"
    ),
    rf"{SPEAKER}(?:有|患有)(?:严重的?|轻微的?)?(?P<v>[\u4e00-\u9fff]{{1,6}}?)过敏(?:症|史|体质)?$",
    (
        rf"{SPEAKER}?(?P<v>花粉|海鲜|青霉素|头孢|花生|牛奶|鸡蛋|坚果|乳糖|尘螨|酒精|芒果|虾|螃蟹|猫毛|狗毛|"
        rf"猫狗毛|紫外线|粉尘|大豆|小麦|麸质)过敏$"
    ),
)
def _allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if re.search(r"不|没", match[0]):
        return
    for value in items_of(match["v"]):
        if value not in {"药物性", "皮肤", "这个"} and not _NO_ALLERGENS.search(value):
            yield Claim("allergy", value, confidence=0.95)


_AILING = (
    r"(?P<ailing>(?:肠胃|胃|腰|颈椎|膝盖|心脏|肾|肝|肺|嗓子|视力|听力|睡眠|皮肤|牙|牙齿|眼睛)(?:一直|向来|有点|有些|都|也|比较|很)*"
    r"(?:不好|不太好|不行|敏感)|(?:血压|血糖|血脂|尿酸|胆固醇)(?:一直|有点|有些|也|比较|很)*(?:高|低|偏高|偏低)|"
    r"(?:有点|很|特别|容易|严重)*晕(?:车|船|机|血|针)|恐高)"
)
_TYPE = r"(?:[一二12ⅠⅡ]型)?"
_SUFFERS = (
    rf"(?:(?:有|得了|患有|患了|患上了?|(?:体检)?(?:查出|发现)(?:来)?有?|确诊了?|体检有?)(?:轻度|重度|中度|严重的?|慢性|先天性|"
    rf"一点|有?点)*|有点|轻度|重度|一直|常年|经常)?(?P<v>{_TYPE}(?:{CONDITION})(?:(?:、|和)(?:{CONDITION}))*)"
    r"(?:(?:好|快|有|都)*[一二两三四五六七八九十几多\d半]+个?[年月]多?了?|很多年了?|多年了?|患者)?$"
)


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:也|从小|一直|现在|还|就|只|才|倒)*(?:对(?P<v>[^对]{{1,10}}?)(?:都|也|会|严重)*|(?P<w>[\u4e00-\u9fff]{{2,4}}?))过敏$"
)
def _relative_allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if re.search(r"[不没]", match[0]):
        return
    for value in items_of(match["v"] or match["w"]):
        if not _NO_ALLERGENS.search(value):
            yield Claim("family_allergy", value, about=ZH_RELATIONS[match["x"]])


@RULES.rule(
    rf"我们?家?的?(?P<x>{RELATION})(?:也|从小|一直|现在|还)*{_AILING}$",
    rf"我们?家?的?(?P<x>{RELATION})(?:也|从小|现在|还)*{_SUFFERS}",
)
def _relative_condition(match: re.Match[str], context: Context) -> Iterator[Claim]:
    about, groups = ZH_RELATIONS[match["x"]], match.groupdict()
    if context.future or re.search(r"没|担心", match[0]):
        return
    if groups.get("ailing"):
        yield Claim("family_ailing", groups["ailing"], about=about)
    else:
        for value in items_of(match["v"]):
            yield Claim("family_condition", value, about=about)


@RULES.rule(rf"{SPEAKER}的?{_AILING}$")
def _ailing(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match["ailing"] == "恐高":
        yield Claim("fear", "高")
    elif not context.dated:
        yield Claim("ailing", match["ailing"])


@RULES.rule(rf"{SPEAKER}{_SUFFERS}")
def _suffers(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.future or (context.dated and not context.today)):
        for value in items_of(match["v"]):
            yield Claim("condition", value)


@RULES.rule(
    rf"{SPEAKER}?(?:有|得了|患有|患了|患上了?|查出(?:来)?有?|确诊了?|被诊断(?:出|为|患有|出患有)|"
    rf"(?:的)?老毛病是)(?:轻度|重度|中度|严重的?|慢性|先天性|比较严重的|一点|"
    rf"点)?(?P<v>{_TYPE}(?:{CONDITION})(?:(?:、|和)(?:{CONDITION}))*)(?:.{{0,4}}了)?$"
)
def _condition(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if "没" in match[0] or "担心" in match[0]:
        return
    for value in items_of(match["v"]):
        yield Claim("condition", value)


@RULES.rule(
    rf"{SPEAKER}?{REGULARLY}(?:[吃服打]|服用|注射)着?(?P<v>{MEDICINE})(?:来?(?:控制|治疗)[\u4e00-\u9fff]{{0,4}})?$",
)
def _medication(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.past or context.future or re.search(r"[不没停]", match[0])):
        yield Claim("medication", match["v"])


@RULES.rule(
    rf"{SPEAKER}?(?:的)?(?:老毛病)?(?P<v>{CONDITION})(?:又|老|总|最近|这两天)*(?:犯|复发|发作|加重)了$"
)
def _again(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "腰椎间盘突出又犯了"."""
    if not context.future:
        yield Claim("condition", match["v"])


@RULES.rule(
    rf"{SPEAKER}?(?:开始|正?在|现在|最近|一直|坚持)*(?:吃|做|坚持|执行)?(?P<v>生酮|低碳|地中海)(?:饮食)?(?:了|啦)?(?:{YEARS}了?)?$"
)
def _regimen(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future and re.search(r"吃|做|坚持|执行|饮食|在", match[0]):
        yield Claim("diet", f"{match['v']}饮食")


@RULES.rule(
    rf"{SPEAKER}?(?:是)?(?:一?[个名位])?(?P<v>素食主义者|素食者|纯素食者|吃素|吃全素)"
    rf"(?:的|了)?(?:都|已经|快|有)*(?:{YEARS}|好多年|很多年)?(?:了|啦)?$"
)
def _diet(_: re.Match[str], __: Context) -> Iterator[Claim]:
    yield Claim("diet", "素食者", confidence=0.95)


@RULES.rule(
    (
        rf"{SPEAKER}?(?:从来|从|一直|也|都|因为过敏|一点)*(?:不吃|不能吃|吃不了|不喝|不能喝|喝不了|戒了|"
        rf"戒掉了|戒了?|不抽)(?P<v>.*?)(?P<since>(?:整整|已经|快|都|满|有)*[一二两三四五六七八九十百几半\d]+(?:个?[年月]|周|个?星期|天)半?多?了)?$"
    ),
)
def _avoids(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = END_PARTICLES.sub("", match["v"])
    if "抽" in head and re.match(r"烟(?:$|的$|不|也不)", text):
        if not context.dated:
            yield Claim("habit", "不抽烟")
        return
    if (
        (context.dated and not context.today)
        or not text
        or re.search(
            r"早饭|晚饭|午饭|早餐|晚餐|饭|东西|饱|太|多|亏|苦|下|完|惯|到|消|一口|开车|上路|加班|熬夜|^[全纯]?素",
            text,
        )
    ):
        return
    if "戒" in head:
        if text in {"烟", "酒", "烟酒", "糖", "咖啡", "奶茶"} and match[0].endswith(
            ("了", "年", "月", "天", "周")
        ):
            yield Claim(
                "quit",
                {"烟": "抽烟", "酒": "喝酒", "烟酒": "抽烟喝酒"}.get(
                    text, f"喝{text}" if text != "糖" else "吃糖"
                ),
            )
        return
    verb = "喝" if "喝" in head else "吃"
    if "抽" in head:
        return  # "不抽雪茄", "不抽签"
    text = text.removesuffix("的") if text in {"酒的", "酒精的", "肉的"} else text
    for value in items_of(text, 8):
        yield Claim("avoids" if verb == "吃" else "avoids_drink", value)
