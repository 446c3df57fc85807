"""What the speaker likes and does not: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.chinese.values import (
    CONTEXT_BOUND,
    END_PARTICLES,
    LANGUAGE,
    PAST_STATE,
    SPEAKER,
    YEARS,
    Context,
    items_of,
)
from cluster.pipeline.rules.lexicon import word_list
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()

_FEARS = word_list("狗 猫 蛇 蜘蛛 老鼠 蟑螂 虫子 虫 高 黑 鬼 水 血 打雷 打针 飞机 牙医 密集 冷 热 辣 生 人多")


@RULES.rule(
    (
        rf"{SPEAKER}?最(?:喜欢|爱|喜爱|中意|欣赏)(?:吃|看|听|喝|玩|去|"
        rf"用)?的(?P<x>[\u4e00-\u9fff]{{1,6}}?)(?:就是|是|莫过于|非|有|:|：)(?P<v>.+)$"
    ),
)
def _favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    about = match["x"]
    if CONTEXT_BOUND.search(about) or re.search(r"部分|地方|一|时|之|还", about):
        return
    verb = re.search(r"最(?:喜欢|爱|喜爱)(吃|看|听|喝|玩)?的", match[0])
    items = items_of(match["v"])
    if not items:
        return
    value = "、".join(items)
    yield Claim(
        "favourite",
        value,
        about=f"{(verb and verb[1]) or ''}{'的' if verb and verb[1] else ''}{about}".removeprefix("的"),
    )


_LIKE = (
    r"(?:喜欢上了?|喜欢|热爱|喜爱|钟爱|酷爱|偏爱|痴迷于|迷上了?|爱上了?|沉迷于?|热衷于|爱好|钟情于|享受|爱)"
)


@RULES.rule(
    rf"{SPEAKER}?(?:最|不是不)?{_LIKE}(?P<v>.+)$",
    (
        rf"{SPEAKER}?对(?P<v>[^对]{{1,14}}?)(?:一直)?(?:很|非常|特别|比较|十分|挺|蛮|超|都很|也很|也|更|"
        rf"最|最为)?(?:感兴趣|有兴趣|着迷|情有独钟)$"
    ),
    r"我?(?:的)?(?:唯一|最大)的?(?:爱好|兴趣|消遣)(?:就|也)?是(?P<v>.+)$",
    r"我?的?(?:兴趣爱好|业余爱好|个人爱好|爱好|兴趣|特长|消遣)(?:主要|就)?(?:是|有|包括|:|：)(?P<v>.+)$",
    rf"{SPEAKER}是(?:一?个)?(?:很|非常|特别)?(?:喜欢|热爱)(?P<v>.+)的人$",
    rf"{SPEAKER}是(?P<v>[^的是]{{1,10}})的?(?:忠实|铁杆|超级|资深|老|小)*(?:粉丝|球迷|歌迷|影迷|书迷|乐迷|爱好者|发烧友)$",
    rf"{SPEAKER}?最(?:喜欢|爱)(?:吃|看|听|喝|玩)?的(?:就)?是(?P<v>.+)$",
    rf"{SPEAKER}(?:喜欢|爱)的[\u4e00-\u9fff]{{1,4}}(?:是|有)(?P<v>.+)$",
    r"我?(?:平时|平常|闲暇时|空闲时|业余时间|周末)(?:最|就|都|会)*(?:喜欢|爱){1}(?P<v>.+)$",
)
def _like(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = match["v"]
    if (
        PAST_STATE.search(head)
        or (re.search(r"[不没]", head) and "不是不" not in head)
        or text.startswith(("的", "过", "你", "不"))
    ):
        return
    if (
        "爱" in head
        and "喜" not in head
        and "热" not in head
        and text[:1] in "我你他她它人情意心护惜慕的国死疯惨莫答理搭"
        and "爱好" not in head
    ):
        return
    if re.match(r"[一某]个.{0,6}(?:人|女孩|男孩|姑娘|女生|男生)", text):
        return
    if text.endswith("了") and re.search(r"不.*了$", text):
        return
    if (context.past and not context.today) or re.search(r"[不没](?:什么|太|怎么)?$", text):
        return
    for value in items_of(text):
        yield Claim("like", value)


@RULES.rule(
    (
        rf"{SPEAKER}?(?:(?:真的|一点都|一点也|从来|并|最|也|都|特别|非常)*(?:不太|不怎么|不大|不是很|"
        rf"不是特别|不)(?:喜欢|爱)|最?讨厌|厌恶|反感|受不了|痛恨|最烦|嫌弃|不感兴趣)(?P<v>.+)$"
    ),
    (
        rf"{SPEAKER}?对(?P<v>[^对]{{1,12}}?)(?:完全|一点都|一点也|并|真的|实在)?(?:不感兴趣|没兴趣|"
        rf"没(?:有|什么|啥|多大)兴趣|提不起兴趣|不感冒)$"
    ),
)
def _dislike(match: re.Match[str], _: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = match["v"]
    if PAST_STATE.search(head) or "不是不" in match[0]:
        return
    ended = text.endswith("了")
    if flavour := re.match(r"(?:吃|喝)?(?:太|很|特别)?(?:甜|辣|咸|酸|苦|油腻?|冷|烫|生)的$", text):
        yield Claim("dislike", flavour[0])
        return
    for value in items_of(text):
        if ended and re.search(r"不(?:太|怎么)?(?:喜欢|爱)", head):
            yield Claim("like", value, negates=True)
        else:
            yield Claim("dislike", value)


@RULES.rule(
    rf"{SPEAKER}?(?:已经|早就|再也|现在|也)*(?:不再|再也不)(?:喜欢|爱|热衷|迷)(?P<v>.+)$",
)
def _not_like(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in items_of(match["v"]):
        yield Claim("like", value, negates=True)


@RULES.rule(
    (
        rf"{SPEAKER}?(?:还)?会(?P<v>(?:弹|拉|吹|打|下|踢|滑|跳|唱|画)[\u4e00-\u9fff]{{1,6}}|游泳|做饭|"
        rf"做菜|开车|编程|写代码|骑马|书法)$"
    ),
    (
        rf"{SPEAKER}?(?:还)?会(?P<v>(?:弹|拉|吹|打|下|踢|滑|跳|唱|画)[\u4e00-\u9fff]{{1,3}}(?:和|、)(?:弹|"
        rf"拉|吹|打|下|踢|滑|跳|唱|画)[\u4e00-\u9fff]{{1,4}})$"
    ),
)
def _plays(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.dated and not context.today:
        return
    for value in items_of(match["v"], 8):
        if not re.search(r"电话|算|扰|破|工|雨|针|一|来|出|完|起|架(?!子鼓)|包|扮|折|扫|断", value):
            yield Claim("plays", value)


@RULES.rule(
    (
        rf"{SPEAKER}?(?:开始|在|正在|正|准备)*(?:(?:用|跟着?|通过)[^，学]{{1,12}}?)?(?:改?自学|改学|学习|学着|学)(?!校|会了?|生|期|到|完|历|费|业|问|长|"
        rf"姐|妹|弟|者|院|科|以)(?P<v>.+)$"
    ),
)
def _learning(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    if (
        not re.search(r"在|正|最近|开始|自学|改学", head)
        or re.search(r"想|不|准备|曾", head)
        or (context.past and "开始" not in head)
    ):
        return
    text = re.sub(r"^(?:着|了)?(?:一门|一些|新的)*", "", match["v"])
    if "改学" in head:
        text = END_PARTICLES.sub("", text)
    if re.search(r"很多|许多|了|怎么|如何|效率|困难|方法|技能|技巧|得|语言$|知识|心得", text):
        return
    for value in items_of(text, 8):
        yield Claim("learning", value)


@RULES.rule(
    rf"{SPEAKER}(?:玩|练|学|打|弹|踢|滑|跳|拉|搞)(?P<v>[\u4e00-\u9fff]{{2,5}}?)(?:都|已经|也|快|有|差不多)*"
    r"[一二两三四五六七八九十几多\d半]+个?年多?了$"
)
def _practises(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """Two 了 would tell of years that go on; the last is enough: "我练瑜伽三年了"."""
    if not context.dated and not re.search(r"[没不]|对象|工$", match[0]) and "了" not in match["v"]:
        yield Claim("plays", match[0][match.start("v") - match.start() - 1] + match["v"])


@RULES.rule(
    rf"{SPEAKER}?(?P<verb>玩|练|学|打|弹|踢|滑|跳|拉|画|写|唱|吹|跑|钓|游)(?P<v>[\u4e00-\u9fff]{{1,5}}?)"
    rf"(?:都|已经|也|才)*(?P=verb)了?(?:都|快|有|差不多|整整)*(?P<long>{YEARS})(?:了|啦)?$"
)
def _practises_long(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """The verb said again with how long: "弹吉他弹了两年了"."""
    verb, value = match["verb"], match["v"]
    if context.dated or re.search(r"[没不想]|对象|工$|[了过]", value) or CONTEXT_BOUND.search(value):
        return
    if verb == "学":
        yield Claim("learning", value)
    elif "年" in match["long"]:
        yield Claim("plays", f"{verb}{value}")


@RULES.rule(
    rf"{SPEAKER}(?:报名?|参加)了?(?:一?个|一门)?(?P<v>{LANGUAGE}|钢琴|吉他|尤克里里|古筝|小提琴|架子鼓|瑜伽|普拉提|游泳|书法|国画|油画|素描|绘画|画画|"
    r"舞蹈|街舞|拉丁舞|爵士舞|声乐|编程|烘焙|插花|摄影|围棋|太极|陶艺|网球|羽毛球)(?:学习|兴趣|培训)?[班课]$"
)
def _takes_a_class(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.past and context.dated) and not PAST_STATE.search(match[0]):
        yield Claim("learning", match["v"])


@RULES.rule(rf"{SPEAKER}?(?:已经|早就?|后来)*(?:不再|不)学(?P<v>[\u4e00-\u9fffA-Za-z]{{2,8}}?)了$")
def _not_learning(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in items_of(match["v"], 8):
        yield Claim("learning", value, negates=True)


@RULES.rule(rf"{SPEAKER}?(?:害怕|恐惧|怕|恐)(?P<v>[\u4e00-\u9fff]{{1,5}})$")
def _fear(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"]
    if value in _FEARS or value.removeprefix("坐").removeprefix("看") in _FEARS:
        yield Claim("fear", value)
