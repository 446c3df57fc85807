"""Who the speaker is, and where: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.periods import zh_number
from cluster.pipeline.rules.chinese.values import (
    ADVERBS,
    COMMON_SURNAMES,
    END_PARTICLES,
    NAME,
    NUMBER,
    PAST_STATE,
    PLACE,
    SPEAKER,
    YEARS,
    Context,
    known_place,
    listed_place,
    occupation_of,
    person_of,
    place_of,
)
from cluster.pipeline.rules.lexicon import ZH_COUNTRIES
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()


@RULES.rule(
    rf"(?:我|本人|俺)?(?:的)?(?:中文|真实|全|真|本|大)?(?:名字?|姓名)(?:就)?(?:叫做?|是叫?){NAME}$",
    rf"(?:我|本人|俺){ADVERBS}(?:名叫|名为|叫做|叫){NAME}$",
    rf"我的?名字不(?:是|叫)[^是叫]{{1,8}}(?:是|叫|而是){NAME}$",
    rf"我的?(?:全名|本名|真名){NAME}$",
)
def _name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = person_of(match["v"])
    if value:
        yield Claim("name", value, confidence=0.97)


@RULES.rule(r"(?:我|本人|俺)(?:是)?姓(?P<v>(?![啥什名氏何甚])[\u4e00-\u9fff]{1,2})$")
def _surname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("surname", match["v"])


@RULES.rule(r"我是(?P<v>[\u4e00-\u9fff]{2,3})$", r"我是(?P<v>[A-Z][a-z]+(?: [A-Z][a-z]+)?)$")
def _i_am_name(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"]
    if (
        context.introduces
        and (value.isascii() or value[0] in COMMON_SURNAMES)
        and occupation_of(value) is None
    ):
        yield Claim("name", value, confidence=0.8)


@RULES.rule(
    (
        rf"(?:你们?|您|大家|朋友们?|同事们?|同学们?|家人|以后|请|都|可以|就|一般|也|平时|喜欢|习惯)*(?:叫|"
        rf"称呼|喊)我{NAME}$"
    ),
    rf"我的?(?:小名|昵称|外号|绰号|网名|乳名)(?:是|叫){NAME}$",
    r"我的?英文名(?:字)?(?:是|叫)(?P<en>)(?P<v>[A-Za-z][A-Za-z ]{0,20})$",
)
def _nickname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    text = match["v"]
    trimmed = re.sub(r"(?:就(?:行|好|可以)|即可|吧|好了|都行|都可以)(?:了|啦|哦)?$", "", text)
    if "en" in match.groupdict():
        yield Claim("english_name", trimmed.strip())
        return
    value = person_of(trimmed) if len(trimmed) > 1 else None
    hinted = (
        trimmed != text
        or re.match(r"小|老|阿|大", trimmed)
        or trimmed.isascii()
        or "名" in match[0]
        or re.search(r"[哥姐总]$", trimmed)
        or re.match(r"大家|朋友|同事|同学|家人", match[0])
    )
    if value and hinted and not re.match(r"起|去|来|帮|做|吃|滚|别|不", value):
        yield Claim("nickname", value)


@RULES.rule(
    (
        rf"(?:{SPEAKER}|今年|现在|我的?年龄是|我的?年纪是){{0,2}}(?:刚满|满|"
        rf"快满)?(?P<v>{NUMBER})(?:周)?岁(?:整|半)?(?:了|啦|的人了)?$"
    ),
    rf"{SPEAKER}(?P<v>{NUMBER})岁?的人了$",
    r"(?:现在|今年)(?:都|已经|也)*(?P<v>[1-9]\d|[二三四五六七八九]十[一二三四五六七八九]?)了$",
    rf"{SPEAKER}是?(?:一?[个名位])?(?P<v>{NUMBER})岁的",
    r"(?:我|本人|俺)(?=.*[了才都刚]|已经)(?:都|才|也|已经|刚)*(?P<v>[1-9]\d|[二三四五六七八九]?十[一二三四五六七八九]?)(?:了|啦)?$",
)
def _age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    number = zh_number(match["v"])
    if number is not None and 3 <= number <= 120 and not context.past and not context.future:
        yield Claim("age", str(number), confidence=0.95)


@RULES.rule(
    (
        rf"{SPEAKER}是(?:一?[个名位])?(?:\d+岁的?)?(?P<v>男生|女生|男的|女的|男人|女人|男孩子?|女孩子?|"
        rf"男性|女性|小伙子|姑娘)$"
    ),
    r"我的?性别是?(?P<v>男|女)性?$",
    r"(?P<v>男|女)性?$",
)
def _gender(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("gender", "男" if match["v"].startswith("男") or match["v"] == "小伙子" else "女")


@RULES.rule(
    rf"{SPEAKER}(?:家)?(?:(?:长期|常年|常)?住在|居住在|定居在|定居于|生活在|常住|现居|旅居|住){PLACE}$",
    rf"(?:{SPEAKER}(?:[和跟与](?:(?!我|说|讲)[\u4e00-\u9fff]){{1,8}}?)?)?在{PLACE}(?:合租|租房|租了?房子?|租住|同居)$",
    rf"{SPEAKER}在{PLACE}(?:待|呆|住)了(?:快|差不多)?[一二两三四五六七八九十几多\d半]+个?[年月]多?了$",
    rf"{SPEAKER}(?:和|跟|与)(?:(?![我说讲])[\u4e00-\u9fff]){{1,8}}?(?:一起|都)?(?:住在|生活在|居住在){PLACE}$",
    (
        rf"(?:{SPEAKER}(?:[和跟与][\u4e00-\u9fff]{{1,4}}|们?一家人?|们?全家|终于|"
        rf"后来)?|刚刚?|后来)?又?(?:从[\u4e00-\u9fffA-Za-z]{{2,10}})?(?:搬家|搬|移居|移民|"
        rf"搬迁)(?:到|去|来|至|回)了?{PLACE}$"
    ),
    rf"{SPEAKER}(?:的)?家(?:就|现在)?(?:住)?在{PLACE}$",
    rf"{SPEAKER}在(?P<v>[\u4e00-\u9fff]{{2,8}}?)(?:生活|居住|定居|安家)(?:了?.{{1,6}}了)?$",
    rf"(?:现在|目前|现|家)?(?:住在|定居在|居住在|生活在|家住|现居){PLACE}$",
    rf"(?:现在|目前|如今|眼下)住{PLACE}$",
    rf"(?:{SPEAKER}|现在|目前|如今)*(?:人在|坐标(?:是|在)?|[Bb]ase(?:在)?)(?P<known>[\u4e00-\u9fff]{{2,8}}?)(?:了|这边)?$",
    rf"{SPEAKER}?(?:搬|移民|漂)?[来到在](?P<since>[\u4e00-\u9fff]{{2,8}}?)(?:这边|这里)?(?:[待呆住]|生活)?了?(?:也|都|已经|快|有|差不多|整整|第)*{YEARS}[了啦]$",
)
def _residence(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future or PAST_STATE.search(match[0]):
        return
    groups = match.groupdict()
    if sure := groups.get("known") or groups.get("since"):
        if listed_place(sure) and not (context.away and groups.get("known")):
            yield Claim("residence", sure)
        return
    moved = re.search(r"搬|移居|移民", match[0]) is not None
    if context.past and not moved and "了" not in match[0]:
        return
    if context.away and not moved and not re.search(r"家|现居|定居", match[0]):
        return
    if re.search(r"想|打算|计划|准备|要搬|考虑|不", match[0][: match.start("v") - match.start()]):
        return
    if value := place_of(match["v"]):
        yield Claim("residence", value, confidence=0.95, dated=moved)


@RULES.rule(rf"{SPEAKER}?(?:已经)?(?:不再|不)住在?(?P<v>[\u4e00-\u9fff]{{2,10}}?)了?$")
def _not_residence(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if (match[0].endswith("了") or "不再" in match[0]) and (value := place_of(match["v"])):
        yield Claim("residence", value, negates=True)


_NOT_ORIGIN = re.compile(
    r"(?:交大|理工|[局厂所店站社馆]|分部|总部|家庭|世家|[部系班组队]|公司|集团|银行|大学|学院|中学|行业|专业|单位|医院)$"
)
"""Where somebody belongs, not where they were born: "我来自技术部"."""


@RULES.rule(
    rf"{SPEAKER}?(?:是)?(?:来自于?|出生在|出生于|生于){PLACE}$",
    rf"我的?(?:老家|家乡|故乡)(?:是|在){PLACE}(?:的)?$",
    r"(?:老家|家乡)(?:都)?(?:是|在)(?P<v>[\u4e00-\u9fff]{2,12})$",
    rf"{SPEAKER}是?(?:一?[个名位])?(?:地道|正宗|土生土长|纯正|纯|土)?的?(?P<v>[\u4e00-\u9fff]{{2,8}}?)(?:本地|土著)?人$",
    rf"{SPEAKER}是?(?P<of>[\u4e00-\u9fff]{{2,8}})的$",
    r"我们?家(?:就|都)?是?(?P<of>[\u4e00-\u9fff]{2,8})的$",
    r"(?:我的?)?(?:老家|家乡)(?:就|都)?(?P<of>[\u4e00-\u9fff]{2,8}?)(?:的|那边)?$",
    rf"{SPEAKER}在(?P<v>[\u4e00-\u9fff]{{2,8}}?)(?:出生)?(?:并|和)?(?:长大|出生)(?:的|长大的)?$",
)
def _hometown(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match[0].endswith("长大") and context.from_elsewhere:
        return
    if bare := match.groupdict().get("of"):  # "我山东德州的"
        bare = bare.removesuffix("本地").removesuffix("当地")
        if listed_place(bare) and not _NOT_ORIGIN.search(bare) and not context.dated:
            yield Claim("hometown", bare)
        return
    text = END_PARTICLES.sub("", match["v"]).removesuffix("的")
    if match[0].endswith("人") and not re.search(r"来自|老家|家乡|故乡|出生|生于", match[0]):
        if text in ZH_COUNTRIES:
            yield Claim("nationality", text)
        elif listed_place(text) or ("是" in match[0] and known_place(text)):
            yield Claim("hometown", text)
        return
    if "来自" in match[0] and _NOT_ORIGIN.search(text) and not known_place(text):
        return
    text = re.sub(r"(?:的)?(?:一个)?(?:小)?(?:城市|农村|县城|小镇)$", "", text) if "的" in text else text
    if value := place_of(text):
        yield Claim("hometown", value)


@RULES.rule(
    rf"{SPEAKER}?(?:是)?信(?:奉|仰)?(?P<v>佛教?|基督教?|天主教?|伊斯兰教|道教)的?(?:{YEARS}[了啦]?)?$"
)
def _religion(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("religion", {"佛": "佛教", "基督": "基督教", "天主": "天主教"}.get(match["v"], match["v"]))


@RULES.rule(
    (
        rf"(?:{SPEAKER}|我的)性格(?:是|上)?{ADVERBS}(?:偏|属于)?(?P<v>内向|外向|开朗|乐观|悲观|急躁|随和|"
        rf"慢热|安静|活泼|害羞|敏感)(?:型)?(?:的)?$"
    ),
    rf"{SPEAKER}是?(?:一?个)?{ADVERBS}(?P<v>内向|外向|慢热|害羞|社恐|完美主义)(?:的人|者)?$",
    rf"{SPEAKER}是?(?:一?个)?(?P<v>左撇子|夜猫子|完美主义者|社恐|社牛|路痴|脸盲|独生子女|独生子|独生女|[EIei][NSns][FTft][JPjp])$",
    rf"{SPEAKER}是(?:一?[个名位])?(?:典型的?|妥妥的|标准的?)?(?P<v>(?!素食)[\u4e00-\u9fff]{{1,3}}(?:主义者?|党|体质)|[EI][NS][FT][JP])"
    r"(?:型|人格)?(?:的人)?$",
    rf"{SPEAKER}(?:[这个种]*人)(?:就是|就这样)?{ADVERBS}(?P<v>内向|外向|开朗|乐观|悲观|急躁|随和|慢热|安静|活泼|害羞|敏感)(?:的)?$",
)
def _trait(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("trait", match["v"])


@RULES.rule(
    rf"{SPEAKER}是?(?P<v>A|B|AB|O)型血的?$",
    rf"{SPEAKER}是?(?P<z>白羊|金牛|双子|巨蟹|狮子|处女|天秤|天蝎|射手|摩羯|水瓶|双鱼)(?:座的?|男|女)$",
    rf"{SPEAKER}?是?属(?P<a>[鼠牛虎兔龙蛇马羊猴鸡狗猪])的?(?:$|本命年)",
    rf"(?:{SPEAKER}|我的)?体重(?:是|有)?(?P<w>\d{{2,3}}(?:\.\d)?(?:kg|KG|公斤|千克|斤))$",
    rf"{SPEAKER}(?P<w>\d{{2,3}}(?:\.\d)?(?:kg|KG|公斤|千克))$",
    rf"{SPEAKER}(?:有)?(?P<w>(?:[89]\d|[12]\d\d|[八九]十[一二三四五六七八九]?|[一两二]百[零一二三四五六七八九十]{{0,4}})斤)$",
    rf"{SPEAKER}(?P<h>1[.米]\d{{1,2}}|一米[一二三四五六七八九]{{1,2}})(?:的?个子?)?$",
    rf"(?:{SPEAKER}|我的)?身高(?:是|有)?(?P<h>1\d\d|1[.米]\d{{1,2}}|一米[一二三四五六七八九]{{1,2}})(?:cm|CM|厘米|公分|米)?$",
)
def _body(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for group, slot, unit in (
        ("v", "blood_type", "型"),
        ("h", "height", ""),
        ("w", "weight", ""),
        ("z", "zodiac", "座"),
        ("a", "animal_year", ""),
    ):
        if value := match.groupdict().get(group):
            yield Claim(slot, f"{value}{unit}")
