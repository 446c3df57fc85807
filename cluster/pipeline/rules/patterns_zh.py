"""The rules for Chinese: a clause in, claims out. Every pattern is anchored at the clause's beginning.

Patterns are matched against the clause in simplified characters; values are cut out of the clause as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cluster.pipeline.dates import zh_number
from cluster.pipeline.rules.lexicon import (
    ZH_CONDITIONS,
    ZH_COUNTRIES,
    ZH_FRIENDS,
    ZH_LANGUAGES,
    ZH_OCCUPATIONS,
    ZH_PETS,
    ZH_PLACES,
    ZH_RELATIONS,
    ZH_STUDENTS,
    ZH_SURNAMES,
)
from cluster.pipeline.rules.slots import Claim

HYPOTHETICAL = re.compile(
    r"如果|要是|假如|假设|倘若|若是|万一|也许|可能|或许|说不定|假装|扮演|想象|要不要|会不会|是不是|有没有|能不能|好像|仿佛|似乎|"
    r"大概|应该会|恐怕|差点|梦见|梦到|歌词|台词|主角|角色|小说里|电影里|故事里|比方说|打个比方|例如我|比如我"
)
JOKE = re.compile(r"开玩笑|逗你|骗你的|说着玩|闹着玩|说笑|瞎说的|乱说的|胡说的|逗一?下")
REPORTED = re.compile(
    r"(?:他|她|它|你|您|别人|有人|人家|朋友|同事|老师|妈妈|爸爸|老婆|老公|妈|爸|大家|同学|[\u4e00-\u9fff]{1,6})(?:总|老|都|就|还|曾|经常|常|昨天|今天|跟我|对我|和我)*"
    r"(?:说|问|告诉|写道|写着|以为|认为|觉得|猜|骂|夸|讲|声称|表示|称)|听说|据说|引用|写道|写着"
)
QUESTION_WORDS = re.compile(
    r"什么|怎么|怎样|如何|为何|为什么|谁|哪|吗|呢$|吧$|几[个岁时点]|多少|多大|多久|是否|是不是|有没有|能不能|可不可以|会不会|要不要|好不好|对不对|还是.+$|嘛$"
)
_NOT_REPORTED = re.compile(
    r"^(?:说实话|老实说|说真的|说起来|话说|不得不说|我(?:是|就是)?说|跟你说|告诉你|我(?:跟|告诉)你)"
)
_SIMPLIFY = str.maketrans(
    "歡愛養歲學會說們過職業從來對還點號週後個嗎麼誰兒媽爺貓隻條討厭興給請開騙沒無國裡裏這電車買賣讀書聽寫畫雞魚鳥龜臺灣廣東蘇師醫護設計產經錄譯導員記編輯飲飯麵體機場過敏專業畢結離單婚現實習語韓漢親戚傑鄰與參觀覺氣動總長寶綠藍紅黃籃網練鋼彈鍵詞樂戲劇遊獨遠願夢標為種樣題樓鄉縣間陽陰時鐘發現幾歷號將嚴糖尿壓頭關節億萬兩輛雙層",
    "欢爱养岁学会说们过职业从来对还点号周后个吗么谁儿妈爷猫只条讨厌兴给请开骗没无国里里这电车买卖读书听写画鸡鱼鸟龟台湾广东苏师医护设计产经录译导员记编辑饮饭面体机场过敏专业毕结离单婚现实习语韩汉亲戚杰邻与参观觉气动总长宝绿蓝红黄篮网练钢弹键词乐戏剧游独远愿梦标为种样题楼乡县间阳阴时钟发现几历号将严糖尿压头关节亿万两辆双层",
)
_CLAUSE = re.compile(r"[，,；;。！!？?：:~～…\s（()）]+|(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])|—+|-{2,}")
_OPENER = re.compile(
    r"^(?:你好啊?|您好|嗨|哈喽|大家好|哈+|嗯+|哦|啊|呃|嘿|其实|对了|那个|另外|而且|还有|然后|因为|由于|所以|不过|但是|但|可是|"
    r"顺便(?:说一下|告诉你|一提)?|说实话|老实说|说真的|说起来|话说回来|话说|不得不说|我?(?:跟|和)你说(?:过|一下|哦)?|我?告诉你|当然|是的|没错|错了|"
    r"更正一下|纠正一下|(?:请|麻烦)?(?:你)?记住|请?记得|请?记一下|首先|同时|事实上|实际上|总之|除此之外|此外|平日里|AI伴侣|AI|朋友|谢谢你?|好的|"
    r"恩|哎呀?|呀|唉|除了自然环境|除了这个|正如你所知|你也?知道(?=我)|我(?:是)?说过|自我介绍一下|介绍一下|简单介绍一下)+"
)
_ADVERBS = (
    r"(?:也|还|真的|真|非常|特别|很|超级|超|最近|一直都?|平时|平常|通常|其实|现在|目前|就是|都|比较|挺|蛮|从小就?|尤其|主要|经常|常常|"
    r"就|十分|更|今年|已经|刚刚|刚|才|正在|正|始终|依然|仍然|确实|本来就?|真心|打心底|一般|有点儿?|有些|个人|自己|本人|又|则|可|可是|是真的?|相当|格外|无比|极其|向来)*"
)
_I = rf"(?:我|本人|俺|咱){_ADVERBS}"
_CONTEXT = re.compile(
    r"你|您|他|她|它|这|那|此|其(?!他|实)|什么|怎么|怎样|如何|谁|哪|吗|呢|里面|上面|下面|其中|前者|后者|刚才|自己|我|们|一下|某|另一|别的|以上|的话|时候|之类|样子|感觉|同样|东西|事情|问题|刚刚"
)
_END_PARTICLES = re.compile(
    r"(?:了|啦|呀|啊|哦|喔|噢|哈|呐|嘛|哟|的说|哇|诶|吖|哒|呗|滴|来着|~|\s|。|！|!|\.)+$"
)
_NAME = r"(?P<v>[\u4e00-\u9fff·]{1,5}|[A-Za-z][A-Za-z'.\- ]{0,30}|[\ue000-\ue7ff])"
_REL = "|".join(sorted(ZH_RELATIONS, key=len, reverse=True))
_FRIEND = "|".join(sorted(ZH_FRIENDS, key=len, reverse=True))
_PET = "|".join(sorted(ZH_PETS, key=len, reverse=True))
_LANG = "|".join(sorted(ZH_LANGUAGES, key=len, reverse=True))
_COND = "|".join(sorted(ZH_CONDITIONS, key=len, reverse=True))
_OCC = frozenset(ZH_OCCUPATIONS)
_STUDENTS = frozenset(ZH_STUDENTS)
_LONGEST_OCCUPATION = max(map(len, ZH_OCCUPATIONS))
_NUM = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4})"
_A = r"(?:一名|一位|一个|一只|一条|一匹|个|名|位|一)?"
_PAST_STATE = re.compile(r"以前|曾经|之前|小时候|从前|过去|当年|当时|原来|那时|原本|曾|年轻时|上学时|大学时")
_NOT_NAMES = frozenset(
    "外卖 滴滴 快递 救命 服务员 保安 警察 代驾 顺风车 出租车 出租 名字 什么 啥 醒 起床 一声 一下 人 苦 停 好 绝 骂 喊 价 板 得 不 嚣".split()
)
_NOT_NAME_START = frozenset("了他她你它来去到不没个一这那车是的什啥得过在就我做着住")
_COMMON_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范姚谭廖邹熊金陆郝孔崔康毛邱秦顾侯邵孟龙段雷钱汤尹黎武乔贺赖龚"
)


class Context(NamedTuple):
    """What the patterns may know about the clause's surroundings."""

    dated: bool
    past: bool
    """The date lies wholly before the day it was said."""
    future: bool
    today: bool
    greeted: bool
    """The message greets, introduces or corrects: there "我是王峰" is a name."""


class Found(NamedTuple):
    """A claim, with the value as a span of the clause (so that it can be cut out as written)."""

    claim: Claim


_Handler = Callable[[re.Match[str], Context], Iterator[Claim]]
_RULES: list[tuple[re.Pattern[str], _Handler]] = []


def _rule(*patterns: str) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _RULES.extend((re.compile(pattern), handler) for pattern in patterns)
        return handler

    return register


def simplified(text: str) -> str:
    """Traditional characters that the patterns use, as simplified ones; the length stays the same."""
    return text.translate(_SIMPLIFY)


def split_clauses(sentence: str, *, question: bool) -> list[str]:
    """The sentence's clauses; of a question only the statements before what is asked."""
    clauses = [clause for clause in _CLAUSE.split(sentence) if clause]
    if not question or not clauses:
        return clauses
    asked = clauses[-1]
    # "…，对吗？" asks whether all of it is so.
    if len(asked) <= 4 and not asked.startswith(("你", "您")):
        return []
    return [clause for clause in clauses[:-1] if not QUESTION_WORDS.search(clause)]


def strip_opener(clause: str) -> str:
    """The clause without greetings and connectives."""
    return _OPENER.sub("", clause, count=1)


def reported(clause: str) -> bool:
    """Whether the clause tells what someone else says or thinks."""
    if _NOT_REPORTED.match(clause):
        return False
    found = REPORTED.search(clause)
    return found is not None and not clause.startswith("我")


def starts_with_speaker(clause: str) -> bool:
    return clause.startswith(("我", "本人", "俺", "咱", "叫我", "大家", "朋友", "以后叫我", "请叫我"))


_ELIDABLE = re.compile(
    r"^(?:(?:也|还|今年|现在|目前|平时|最|很|非常|特别|比较|不太|不|并且|来自|住在?|喜欢|爱|热爱|讨厌|在|是一?[名位个]|毕业于|养了|养着|有[一两]|对|已婚|单身|今年|老家|家住|就职|任职|从事|叫|名叫|会说|从小)+)"
)


def elidable(clause: str) -> bool:
    """Whether the clause may go on about the speaker without naming them: "住在杭州"."""
    return _ELIDABLE.match(clause) is not None


def claims_in(clause: str, context: Context) -> Iterator[Claim]:
    """The claims that one clause, in simplified characters, makes about its speaker."""
    if QUESTION_WORDS.search(clause):
        return
    for pattern, handler in _RULES:
        match = pattern.match(clause)
        if match is None:
            continue
        found = list(handler(match, context))
        if found:
            yield from found
            return


def _clean(text: str, longest: int = 16) -> str | None:
    """A value; None when it only means something in its context."""
    value = _END_PARTICLES.sub("", text.strip())
    value = (
        re.sub(r"^(?:一种|一些|各种各样的?|各种|所有的?|上了|上|吃|着|的是|去)(?=.)", "", value)
        if len(value) > 2
        else value
    )
    limit = longest if not value.isascii() else 40
    if (
        not value
        or len(value) > limit
        or _CONTEXT.search(value)
        or value.startswith(("的", "了", "过", "得", "和", "跟", "被", "不", "是", "地", "在"))
    ):
        return None
    if value.endswith(("的", "地", "得", "和", "与", "是", "很")):
        return None
    return value


def _items(text: str, longest: int = 16) -> list[str]:
    """The items of "徒步、长跑和攀岩"."""
    text = re.sub(
        r"(?:等等?|之类的?|什么的|这些|这类)(?:的?(?:活动|运动|事情|东西))?$",
        "",
        _END_PARTICLES.sub("", text),
    )
    listed = "、" in text
    parts = [part for part in text.split("、") if part]
    pieces: list[str] = []
    for part in parts:
        halves = re.split(r"(?<=[^一两])(?:以及|还有|和|与|及|跟)(?=.)", part)
        joint = re.search(r"一起|之间|的(?!歌|电影|书|菜)", part) and not listed
        joint = joint or any(len(half) < 2 and not listed for half in halves)
        joint = (
            joint
            or re.match(r"(?:和|跟|与)", part)
            or re.search(
                r"(?:和|跟|与)[^、]{1,6}(?:聊天|玩|散步|说话|吃饭|聚会|相处|打交道|交流|分享|在一起)", part
            )
        )
        pieces.extend([part] if joint else [half for half in halves if half])
    items: list[str] = []
    for piece in pieces:
        value = _clean(piece, longest)
        if value is None:
            break
        items.append(value)
    return items


def _occupation(text: str) -> str | None:
    """The occupation at the end of "资深的软件工程师"; None when it ends with none."""
    text = _END_PARTICLES.sub("", text)
    text = re.sub(r"(?:的工作|工作|这一行|这行|的)$", "", text)
    for length in range(min(len(text), _LONGEST_OCCUPATION), 0, -1):
        if text[-length:] in _OCC:
            before = text[:-length]
            if len(before) > 8 or re.search(r"的|不|好|优秀|合格|我|他|她|你|未来", before):
                return None
            return text
    return None


# --- who ---------------------------------------------------------------------------------------


@_rule(
    rf"(?:我|本人|俺)?(?:的)?(?:中文|真实|全|真|本|大)?(?:名字?|姓名)(?:就)?(?:叫做?|是叫?){_NAME}$",
    rf"(?:我|本人|俺){_ADVERBS}(?:名叫|名为|叫做|叫){_NAME}$",
    rf"(?:名叫|叫做?){_NAME}$",
    rf"我的?名字不(?:是|叫)[^是叫]{{1,8}}(?:是|叫|而是){_NAME}$",
)
def _name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _person(match["v"])
    if value:
        yield Claim("name", value, confidence=0.97)


def _person(text: str) -> str | None:
    value = _END_PARTICLES.sub("", text).strip("“”「」\"' .")
    if value.isascii():
        return value if value and value[0].isalpha() and len(value.split()) <= 4 else None
    if not 2 <= len(value) <= 5 or value in _NOT_NAMES or value[0] in _NOT_NAME_START:
        return None
    if (
        len(value) > 4
        and "·" not in value
        or re.search(r"[了吗呢吧的]|起床|回来|出去|帮忙|外卖|怎么|什么|可以|你们|我们", value)
    ):
        return None
    return value


@_rule(rf"我是(?P<v>[\u4e00-\u9fff]{{2,3}})$", r"我是(?P<v>[A-Z][a-z]+(?: [A-Z][a-z]+)?)$")
def _i_am_name(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"]
    if context.greeted and (value.isascii() or value[0] in _COMMON_SURNAMES) and _occupation(value) is None:
        yield Claim("name", value, confidence=0.8)


@_rule(
    rf"(?:你们?|您|大家|朋友们?|同事们?|同学们?|家人|以后|请|都|可以|就|一般|也|平时|喜欢|习惯)*(?:叫|称呼|喊)我{_NAME}$",
    rf"我的?(?:小名|昵称|外号|绰号|网名|乳名)(?:是|叫){_NAME}$",
    rf"我的?英文名(?:字)?(?:是|叫)(?P<en>)(?P<v>[A-Za-z][A-Za-z ]{{0,20}})$",
)
def _nickname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    text = match["v"]
    trimmed = re.sub(r"(?:就(?:行|好|可以)|即可|吧|好了|都行|都可以)(?:了|啦|哦)?$", "", text)
    if "en" in match.groupdict():
        yield Claim("english_name", trimmed.strip())
        return
    value = _person(trimmed) if len(trimmed) > 1 else None
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


@_rule(
    rf"(?:{_I}|今年|现在|我的?年龄是|我的?年纪是){{0,2}}(?:刚满|满|快满)?(?P<v>{_NUM})(?:周)?岁(?:整|半)?(?:了|啦|的人了)?$",
    rf"{_I}是?(?:一?[个名位])?(?P<v>{_NUM})岁的",
)
def _age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    number = zh_number(match["v"])
    if number is not None and 3 <= number <= 120 and not context.past and not context.future:
        yield Claim("age", str(number), confidence=0.95)


@_rule(
    rf"{_I}是(?:一?[个名位])?(?:\d+岁的?)?(?P<v>男生|女生|男的|女的|男人|女人|男孩子?|女孩子?|男性|女性|小伙子|姑娘)$",
    r"我的?性别是?(?P<v>男|女)性?$",
)
def _gender(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("gender", "男" if match["v"].startswith("男") or match["v"] == "小伙子" else "女")


_PLACE = r"(?P<v>[\u4e00-\u9fff]{2,12}|[A-Za-z][A-Za-z ,.'-]{1,40})"
_NOT_PLACE = re.compile(
    r"一起|家里|学校|宿舍|酒店|附近|楼|朋友|父母|一个|这|那|哪|里面|外面|老家|公寓|房子|地方|隔壁|医院|中心|时候|很|不|我|你|他|她|的|了|过|新家|新房|国外|外地|别的|别处|一家|哪儿|郊外|户外|农村|乡下|城里"
)
_ACTIVITY = re.compile(
    r"(?:生活|工作|上班|上学|读书|居住|定居|发展|打拼|念书|实习|住)+(?:着|了|过)?(?:[一二两三四五六七八九十几多\d半]+个?年[多]?|很久|多年|好多年|好几年)?$"
)


def _place(text: str) -> str | None:
    value = _END_PARTICLES.sub("", text).strip()
    value = re.sub(
        r"(?:已经|有|快)?(?:[一二两三四五六七八九十几多\d半]+个?[年月]多?|很久|多年|好多年|好几年)$",
        "",
        value,
    )
    value = _ACTIVITY.sub("", value)
    value = (
        re.sub(r"(?:这个|这座|这里)?(?:城市)?$", "", value)
        if value.endswith(("这里", "这个城市", "这座城市"))
        else value
    )
    if len(value) < 2 or _NOT_PLACE.search(value) or _CONTEXT.search(value):
        return None
    return value


@_rule(
    rf"{_I}(?:家)?(?:(?:长期|常年|常)?住在|居住在|定居在|定居于|生活在|常住|现居|旅居|住){_PLACE}$",
    rf"{_I}(?:和|跟|与)[\u4e00-\u9fff]{{1,8}}?(?:一起|都)?(?:住在|生活在|居住在){_PLACE}$",
    rf"{_I}(?:[\u4e00-\u9fff]{{0,4}})?(?:从[\u4e00-\u9fffA-Za-z]{{2,10}})?(?:搬家|搬|移居|移民|搬迁)(?:到|去|来|至|回)了?{_PLACE}$",
    rf"{_I}(?:的)?家(?:就|现在)?(?:住)?在{_PLACE}$",
    rf"{_I}在(?P<v>[\u4e00-\u9fff]{{2,8}}?)(?:生活|居住|定居|安家)(?:了.{{1,6}})?$",
    rf"(?:现在|目前|现|家)?(?:住在|定居在|居住在|生活在|家住|现居){_PLACE}$",
)
def _residence(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future or _PAST_STATE.search(match[0]):
        return
    moved = re.search(r"搬|移居|移民", match[0]) is not None
    if context.past and not moved and "了" not in match[0]:
        return
    if re.search(r"想|打算|计划|准备|要搬|考虑|不", match[0][: match.start("v") - match.start()]):
        return
    if value := _place(match["v"]):
        yield Claim("residence", value, confidence=0.95, dated=moved)


@_rule(rf"{_I}?(?:已经)?(?:不再|不)住在?(?P<v>[\u4e00-\u9fff]{{2,10}}?)了?$")
def _not_residence(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if (match[0].endswith("了") or "不再" in match[0]) and (value := _place(match["v"])):
        yield Claim("residence", value, negates=True)


@_rule(
    rf"{_I}?(?:是)?(?:来自于?|出生在|出生于|生于){_PLACE}$",
    rf"我的?(?:老家|家乡|故乡)(?:是|在){_PLACE}$",
    r"(?:老家|家乡)(?:是|在)(?P<v>[\u4e00-\u9fff]{2,12})$",
    rf"{_I}是(?:一?[个名位])?(?P<v>[\u4e00-\u9fff]{{2,8}}?)人$",
    rf"{_I}在(?P<v>[\u4e00-\u9fff]{{2,8}}?)(?:长大|出生)(?:的|长大的)?$",
)
def _hometown(match: re.Match[str], _: Context) -> Iterator[Claim]:
    text = _END_PARTICLES.sub("", match["v"])
    if match[0].endswith("人") and not re.search(r"来自|老家|家乡|故乡|出生|生于", match[0]):
        if text in ZH_COUNTRIES:
            yield Claim("nationality", text)
        elif _known_place(text):
            yield Claim("hometown", text)
        return
    text = re.sub(r"(?:的)?(?:一个)?(?:小)?(?:城市|农村|县城|小镇)$", "", text) if "的" in text else text
    if value := _place(text):
        yield Claim("hometown", value)


def _known_place(text: str) -> bool:
    """Whether it names a place: a listed one, several, or one with a suffix such as 市."""
    if text in ZH_PLACES or text in ZH_COUNTRIES:
        return True
    if len(text) >= 3 and text[-1] in "省市县州区镇":
        return True
    return any(text[:cut] in ZH_PLACES and text[cut:] in ZH_PLACES for cut in (2, 3)) or (
        len(text) > 3 and text[:2] in ZH_PLACES
    )


# --- work and study ----------------------------------------------------------------------------


@_rule(
    rf"{_I}(?:在[\u4e00-\u9fffA-Za-z]{{2,12}})?(?:是|当|做|担任|从事)(?:着|了)?{_A}(?P<v>[\u4e00-\u9fffA-Za-z]{{2,14}})$",
    rf"我的?(?:职业|工作|职位|本职工作|岗位)(?:就)?是(?:一?[名位个])?(?:做|当)?(?P<v>[\u4e00-\u9fffA-Za-z]{{2,14}})$",
    r"(?:现在|目前)?是(?:一?[名位个])(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$",
    r"(?:职业|工作)是(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$",
    rf"{_I}是做(?P<v>[\u4e00-\u9fffA-Za-z]{{2,10}})(?:的|工作)$",
)
def _title(match: re.Match[str], context: Context) -> Iterator[Claim]:
    text = match["v"]
    if (
        context.past
        or context.future
        or _PAST_STATE.search(match[0])
        or re.search(r"想|不|要|梦", match[0][: match.start("v") - match.start()])
    ):
        return
    student = re.match(
        r"(?P<school>[\u4e00-\u9fffA-Za-z]{2,12}(?:大学|学院|中学|高中|一中|小学))?的?(?P<year>大[一二三四]|高[一二三]|初[一二三]|研[一二三]|[一二三四五六]年级)?(?:的)?(?P<what>[\u4e00-\u9fff]{0,4}?(?:学生|研究生|硕士生?|博士生?|高中生|初中生|小学生|留学生|本科生|大学生|新生))$",
        text,
    )
    if student:
        yield Claim("title", f"{student['year'] or ''}{student['what']}")
        if student["school"]:
            yield Claim("school", student["school"])
        return
    if value := _occupation(text):
        yield Claim("title", value)
    company = re.match(rf"{_I}在(?P<c>[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?)(?:当|做|担任|从事|是)", match[0])
    if company and _occupation(text) and (where := _employer(company["c"])):
        yield where


@_rule(
    rf"{_I}?在(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}}?)(?:工作|上班|任职|就职|供职|实习|任教|教书|从业)(?:了?[一二两三四五六七八九十几多\d半]+个?[年月]多?|多年|很多年)?(?:了)?$",
    rf"{_I}?(?:就职|任职|供职|受雇)于(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}})$",
    rf"{_I}(?:入职|加入|跳槽到|跳槽去)了?(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}})(?:公司)?(?:工作)?$",
    r"我的?(?:公司|单位)(?:是|叫)(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{2,20})$",
)
def _company(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if (
        context.past
        and not re.search(r"入职|加入|跳槽", match[0])
        or context.future
        or _PAST_STATE.search(match[0])
    ):
        return
    if claim := _employer(_END_PARTICLES.sub("", match["v"])):
        if "加入" in match[0] and not re.search(r"公司|集团|银行|医院|大学|科技|[A-Za-z]{3}", claim.value):
            return
        yield claim


def _employer(text: str) -> Claim | None:
    text = text.strip()
    if re.search(
        r"家|这|那|哪|外面|外地|努力|认真|里$|当前|同一|附近|一起|办公室|周末|晚上|白天|早上|公司$(?<=目前公司)|我|你|他|她|的|了|哪|现在|疫情|压力|时候|正常|加班|不",
        text,
    ) and not re.search(r"一家[\u4e00-\u9fff]{2,8}(?:公司|企业|医院|银行)$", text):
        return None
    if text in {"公司", "单位", "学校", "医院", "银行"} or re.fullmatch(r"一家公司|一个公司", text):
        return None
    if text in ZH_PLACES or text in ZH_COUNTRIES:
        return Claim("work_place", text)
    return Claim("company", text)


@_rule(
    rf"{_I}?(?:已经)?(?:不再|不)在(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,16}}?)(?:工作|上班|任职)了?$",
    rf"{_I}?(?:已经)?从(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,16}}?)(?:离职|辞职)了?$",
)
def _not_company(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if re.search(r"了$|不再|离职|辞职", match[0]) and (claim := _employer(match["v"])):
        yield claim._replace(negates=True)


_SCHOOL = r"(?P<v>[\u4e00-\u9fffA-Za-z ]{1,14}?(?:大学|学院|中学|高中|初中|小学|一中|附中|理工|师大|交大|科大|MIT|UCLA))"


@_rule(
    rf"{_I}?(?:就读于|就读|在读于){_SCHOOL}(?P<rest>.*)$",
    rf"{_I}?在{_SCHOOL}(?P<rest>.{{0,12}}?)(?:读书|上学|念书|学习|读研究生|读研|读博|读大[一二三四]|上大[一二三四]|读本科|读硕士|读博士|求学|就读|读[\u4e00-\u9fff]{{2,8}})$",
    rf"{_I}?(?:考上了|考入了){_SCHOOL}(?P<rest>)$",
)
def _school(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future or _PAST_STATE.search(match[0]) or _NOT_PLACE.search(match["v"]):
        return
    yield Claim("school", match["v"])
    major = re.search(
        r"(?:读|学)(?!书|研|博|大[一二三四]|本科|硕士|习)([\u4e00-\u9fff]{2,8}?)(?:专业)?$", match[0]
    )
    if major:
        yield Claim("major", major[1])


@_rule(rf"{_I}?(?:是)?(?:毕业于{_SCHOOL}|从{_SCHOOL.replace('<v>', '<w>')}毕业)(?P<rest>.*)$")
def _alma_mater(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"] or match["w"]
    if not context.future and not re.search(r"如果|想", match[0]):
        yield Claim("alma_mater", value, dated=True)
        if major := re.match(r"([\u4e00-\u9fff]{2,10})专业$", match["rest"] or ""):
            yield Claim("major", major[1])


@_rule(
    r"(?:我的?)?(?:大学|本科|研究生)?(?:所学)?专业是(?P<v>[\u4e00-\u9fff]{2,12}?)(?:专业)?$",
    rf"{_I}(?:学|读|主修)的?是(?P<v>[\u4e00-\u9fff]{{2,12}}?)(?:专业)?$",
    rf"{_I}(?:主修|就读)(?P<v>[\u4e00-\u9fff]{{2,12}}?)(?:专业)?$",
    rf"{_I}是学(?P<v>[\u4e00-\u9fff]{{2,10}}?)(?:专业)?的$",
)
def _major(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if (value := _clean(match["v"], 12)) and not context.future:
        yield Claim("major", value)


# --- family, friends, pets ---------------------------------------------------------------------


@_rule(
    rf"我的?(?:大|小|二)?(?P<x>{_REL}|{_FRIEND})(?:的名字)?(?:也)?(?:叫做?|名叫|是叫){_NAME}$",
    rf"我的?(?P<x>{_REL})的名字是{_NAME}$",
    rf"我(?:们)?(?:家)?有(?:了)?(?:一?[个位])(?P<x>{_REL}|{_FRIEND})(?:名字)?(?:叫做?|名叫){_NAME}$",
)
def _relative_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _person(match["v"]):
        known = ZH_RELATIONS.get(match["x"])
        if known:
            yield Claim("family_name", value, about=known)
        else:
            yield Claim("friend_name", value, about=match["x"])


@_rule(
    rf"我的?(?P<x>{_REL})(?P<n>[\u4e00-\u9fff]{{2,3}}?)?(?:今年|现在|已经|刚刚?满?|刚)*(?P<v>{_NUM})(?:周)?岁半?(?:了|啦)?$"
)
def _relative_age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    number = zh_number(match["v"])
    if number is None or not 0 < number <= 120 or context.past or context.future:
        return
    about = ZH_RELATIONS[match["x"]]
    if match["n"] and (name := _person(match["n"])) and match["n"] not in {"明年", "去年", "快要"}:
        yield Claim("family_name", name, about=about)
    yield Claim("family_age", str(number), about=about)


@_rule(
    rf"我的?(?P<x>{_REL})(?:现在|目前|也|都)*(?:是|当|做)(?:一?[名位个])?(?P<v>[\u4e00-\u9fffA-Za-z]{{2,12}})$"
)
def _relative_job(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.past and (value := _occupation(match["v"])):
        yield Claim("family_job", value, about=ZH_RELATIONS[match["x"]])


@_rule(rf"我的?(?P<x>{_REL})(?:们)?(?:现在|目前|也|都|一直)*(?:住在|生活在|定居在){_PLACE}$")
def _relative_home(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.past and (value := _place(match["v"])):
        yield Claim("family_home", value, about=ZH_RELATIONS[match["x"]])


@_rule(
    rf"(?:我们?|我家|家里)(?:现在|已经|还|也)*有(?:了)?(?P<n>[一两二三四五六]?[个位对])?(?:可爱的|双胞胎)?(?P<x>{_REL})(?P<rest>.*)$"
)
def _family(match: re.Match[str], _: Context) -> Iterator[Claim]:
    relation = ZH_RELATIONS[match["x"]]
    if (
        match["rest"]
        and not re.match(r"(?:了|叫|名叫|今年|和)", match["rest"])
        or (not match["n"] and match["rest"])
    ):
        return
    number = match["n"] or ""
    if len(number) == 1 and number in "个位":
        number = f"一{number}"
    yield Claim("family", f"{number}{match['x']}", about=relation)
    if named := re.match(rf"(?:名字)?(?:叫做?|名叫){_NAME}$", match["rest"]):
        if value := _person(named["v"]):
            yield Claim("family_name", value, about=relation)


@_rule(
    rf"(?:我|我们|我家|我家里|家里|我们家)(?:{_ADVERBS})(?:养了?|养着|有|领养了|收养了|喂养)(?P<n>[一两二三四五六几]?[只条个匹群头尾])?(?P<d>[\u4e00-\u9fff]{{0,6}}?)(?P<x>{_PET})(?P<rest>.*)$",
    rf"(?:养了|养着|有)(?P<n>[一两二三四五六]?[只条个匹])(?P<d>[\u4e00-\u9fff]{{0,6}}?)(?P<x>{_PET})(?P<rest>.*)$",
)
def _pet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = _END_PARTICLES.sub("", match["rest"])
    if (
        (rest and not re.match(r"(?:名字)?叫|名叫", rest))
        or _CONTEXT.search(match["d"])
        or (not match["n"] and "养" not in match[0])
    ):
        return
    number = match["n"] or ""
    if len(number) == 1:
        number = f"一{number}"
    yield Claim("pet", f"{number}{match['d']}{match['x']}", about=match["x"])
    if named := re.match(rf"(?:名字)?(?:叫做?|名叫){_NAME}$", rest):
        if value := _pet_called(named["v"]):
            yield Claim("pet_name", value, about=match["x"])


@_rule(
    rf"(?:我|我们|我家|我们家)的?(?:小)?(?P<x>{_PET})(?:的名字)?(?:也)?(?:叫做?|名叫|是叫){_NAME}$",
    rf"我的?(?P<x>{_PET})的名字是{_NAME}$",
)
def _pet_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _pet_called(match["v"]):
        yield Claim("pet_name", value, about=match["x"])


def _pet_called(text: str) -> str | None:
    value = _END_PARTICLES.sub("", text).strip("“”\"' ")
    return (
        value
        if value and len(value) <= 12 and not _CONTEXT.search(value) and value[0] not in "了得个不"
        else None
    )


@_rule(
    rf"{_I}?(?:还)?(?:是)?(?P<v>单身|已婚|未婚|离异|离婚|丧偶|结婚|订婚)(?:狗|贵族|状态|人士)?(?:了)?(?:[一二两三四五六七八九十几\d]+年)?(?:了)?(?:的)?$",
    r"我的?(?:婚姻|感情|婚恋)状(?:况|态)是(?P<v>单身|已婚|未婚|离异|恋爱中)$",
)
def _marital(match: re.Match[str], context: Context) -> Iterator[Claim]:
    word = match["v"]
    if context.future or (word in {"结婚", "离婚", "订婚"} and "了" not in match[0] and "已" not in match[0]):
        return
    yield Claim(
        "marital",
        {"结婚": "已婚", "离婚": "离异", "订婚": "已订婚"}.get(word, word),
        dated="结婚" in match[0],
    )


# --- tastes ------------------------------------------------------------------------------------


@_rule(
    rf"{_I}?最(?:喜欢|爱|喜爱|中意|欣赏)(?:吃|看|听|喝|玩|去|用)?的(?P<x>[\u4e00-\u9fff]{{1,6}}?)(?:就是|是|莫过于|非|有|:|：)(?P<v>.+)$",
)
def _favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    about = match["x"]
    if _CONTEXT.search(about) or re.search(r"部分|地方|一|时|之|还", about):
        return
    verb = re.search(r"最(?:喜欢|爱|喜爱)(吃|看|听|喝|玩)?的", match[0])
    items = _items(match["v"])
    if not items:
        return
    value = "、".join(items)
    yield Claim(
        "favourite",
        value,
        about=f"{(verb and verb[1]) or ''}{'的' if verb and verb[1] else ''}{about}".removeprefix("的"),
    )


_LIKE = r"(?:喜欢上了?|喜欢|热爱|喜爱|钟爱|酷爱|偏爱|痴迷于|迷上了|爱上了|沉迷于?|热衷于|爱好|钟情于|享受|爱)"


@_rule(
    rf"{_I}?(?:最|不是不)?{_LIKE}(?P<v>.+)$",
    rf"{_I}?对(?P<v>[^对]{{1,14}}?)(?:一直)?(?:很|非常|特别|比较|十分|挺|蛮|超|都很|也很|也|更|最|最为)?(?:感兴趣|有兴趣|着迷|情有独钟)$",
    rf"我?的?(?:兴趣爱好|业余爱好|个人爱好|爱好|兴趣|特长|消遣)(?:主要|就)?(?:是|有|包括|:|：)(?P<v>.+)$",
    rf"我?(?:平时|平常|闲暇时|空闲时|业余时间|周末)(?:最|就|都|会)*(?:喜欢|爱){{1}}(?P<v>.+)$",
)
def _like(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = match["v"]
    if (
        _PAST_STATE.search(head)
        or re.search(r"[不没]", head)
        and "不是不" not in head
        or text.startswith(("的", "过", "你", "不"))
    ):
        return
    if (
        "爱" in head
        and "喜" not in head
        and "热" not in head
        and text[:1] in "我你他她它人情意心护惜慕的国"
        and "爱好" not in head
    ):
        return
    if text.endswith("了") and re.search(r"不.*了$", text):
        return
    if context.past and not context.today:
        return
    for value in _items(text):
        yield Claim("like", value)


@_rule(
    rf"{_I}?(?:(?:真的|一点都|一点也|从来|并|最|也|都|特别|非常)*(?:不太|不怎么|不大|不是很|不是特别|不)(?:喜欢|爱)|讨厌|厌恶|反感|受不了|痛恨|最烦|嫌弃|不感兴趣)(?P<v>.+)$",
    rf"{_I}?对(?P<v>[^对]{{1,12}}?)(?:完全|一点都|一点也|并|真的|实在)?(?:不感兴趣|没兴趣|没有兴趣|提不起兴趣|不感冒)$",
)
def _dislike(match: re.Match[str], _: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = match["v"]
    if _PAST_STATE.search(head) or "不是不" in match[0]:
        return
    ended = text.endswith("了")
    for value in _items(text):
        if ended and re.search(r"不(?:太|怎么)?(?:喜欢|爱)", head):
            yield Claim("like", value, negates=True)
        else:
            yield Claim("dislike", value)


@_rule(
    rf"{_I}?(?:已经|早就|再也|现在|也)*(?:不再|再也不)(?:喜欢|爱|热衷|迷)(?P<v>.+)$",
)
def _not_like(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in _items(match["v"]):
        yield Claim("like", value, negates=True)


@_rule(
    rf"{_I}?(?:还)?会(?P<v>(?:弹|拉|吹|打|下|踢|滑|跳|唱|画|游)[\u4e00-\u9fff]{{1,6}})$",
    rf"{_I}?(?:还)?会(?P<v>(?:弹|拉|吹|打|下|踢|滑|跳|唱|画)[\u4e00-\u9fff]{{1,3}}(?:和|、)(?:弹|拉|吹|打|下|踢|滑|跳|唱|画)[\u4e00-\u9fff]{{1,4}})$",
)
def _plays(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.dated and not context.today:
        return
    for value in _items(match["v"], 8):
        if not re.search(r"电话|算|扰|破|开|工|车|雨|针|一|来|出|完|起|架|包|扮|折|扫|断", value):
            yield Claim("plays", value)


@_rule(
    rf"{_I}?(?:开始|在|正在|正|准备)*(?:自学|学习|学着|学)(?!校|会了?|生|期|到|完|历|费|业|问|长|姐|妹|弟|者|院|科|以)(?P<v>.+)$",
)
def _learning(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    if (
        not re.search(r"在|正|最近|开始|自学", head)
        or re.search(r"想|不|准备|曾", head)
        or (context.past and "开始" not in head)
    ):
        return
    text = re.sub(r"^(?:着|了)?(?:一门|一些|新的)*", "", match["v"])
    if re.search(r"很多|许多|了|怎么|如何|效率|困难|方法|技能|技巧|得|语言$|知识|心得", text):
        return
    for value in _items(text, 8):
        yield Claim("learning", value)


# --- health and food ---------------------------------------------------------------------------


@_rule(
    rf"{_I}?对(?P<v>[^对]{{1,16}}?)(?:都|会|严重|有点|有些|轻微|很容易|容易|也|比较|极度|重度)*(?:过敏)$",
    rf"{_I}(?:有|患有)(?:严重的?|轻微的?)?(?P<v>[\u4e00-\u9fff]{{1,6}}?)过敏(?:症|史|体质)?$",
    rf"{_I}(?P<v>花粉|海鲜|青霉素|头孢|花生|牛奶|鸡蛋|坚果|乳糖|尘螨|酒精|芒果|虾|螃蟹|猫毛|狗毛|猫狗毛|紫外线|粉尘|大豆|小麦|麸质)过敏$",
)
def _allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if re.search(r"不|没", match[0]):
        return
    for value in _items(match["v"]):
        if value not in {"药物性", "皮肤", "这个"}:
            yield Claim("allergy", value, confidence=0.95)


@_rule(
    rf"{_I}?(?:有|得了|患有|患了|患上了?|查出(?:来)?有?|确诊了?|被诊断(?:出|为|患有|出患有)|(?:的)?老毛病是)(?:轻度|重度|中度|严重的?|慢性|先天性|比较严重的|一点|点)?(?P<v>(?:{_COND})(?:(?:、|和)(?:{_COND}))*)(?:.{{0,4}}了)?$"
)
def _condition(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if "没" in match[0] or "担心" in match[0]:
        return
    for value in _items(match["v"]):
        yield Claim("condition", value)


@_rule(rf"{_I}?(?:是)?(?:一?[个名位])?(?P<v>素食主义者|素食者|纯素食者|吃素|吃全素)(?:的)?$")
def _diet(_: re.Match[str], __: Context) -> Iterator[Claim]:
    yield Claim("diet", "素食者", confidence=0.95)


@_rule(
    rf"{_I}?(?:从来|从|一直|也|都|因为过敏|一点)*(?:不吃|不能吃|吃不了|不喝|不能喝|喝不了|戒了|戒掉了|戒|不抽)(?P<v>.*)$",
)
def _avoids(match: re.Match[str], context: Context) -> Iterator[Claim]:
    head = match[0][: match.start("v") - match.start()]
    text = _END_PARTICLES.sub("", match["v"])
    if (
        context.dated
        and not context.today
        or not text
        or re.search(r"早饭|晚饭|午饭|早餐|晚餐|饭|东西|饱|太|多|亏|苦|下|完|惯|到|消|一口", text)
    ):
        return
    if "戒" in head:
        if text in {"烟", "酒", "烟酒", "糖", "咖啡", "奶茶"} and "了" in match[0]:
            yield Claim(
                "quit",
                {"烟": "抽烟", "酒": "喝酒", "烟酒": "抽烟喝酒"}.get(
                    text, f"喝{text}" if text != "糖" else "吃糖"
                ),
            )
        return
    verb = "喝" if "喝" in head else "吃"
    if "抽" in head:
        return
    for value in _items(text, 8):
        yield Claim("avoids" if verb == "吃" else "avoids_drink", value)


# --- languages, belongings ---------------------------------------------------------------------


@_rule(
    rf"{_I}?(?:还)?(?:会|能)(?:流利地?)?(?:说|讲)(?:一点|一些|流利的?|点)?(?P<v>(?:{_LANG})(?:(?:、|和|以及|还有)(?:{_LANG}))*)$",
    rf"我的?母语是(?P<v>{_LANG})$",
    rf"{_I}会(?P<v>(?:{_LANG})(?:(?:、|和|以及|还有)(?:{_LANG}))*)$",
)
def _language(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in re.split(r"、|和|以及|还有", match["v"]):
        yield Claim("language", value)


@_rule(
    rf"{_I}(?:名下)?(?:有|拥有|买了|刚买了|购买了|新买了)(?P<v>[一两二三四五六](?:辆|套|栋|台|部|架|把|间|块|幢)[\u4e00-\u9fffA-Za-z0-9 ]{{1,14}})$",
    rf"{_I}开的?(?:是)?(?P<v>[一两]辆[\u4e00-\u9fffA-Za-z0-9 ]{{1,12}})$",
)
def _possession(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future and (value := _clean(match["v"])):
        yield Claim("possession", value)


# --- habits, goals, plans, events --------------------------------------------------------------

_HABIT_VERB = re.compile(
    r"跑|游|打|练|读|看|写|做|吃|喝|去|起|睡|散步|健身|锻炼|冥想|瑜伽|弹|画|学|背|听|骑|走|遛|爬|跳|上班|加班|运动|打坐|喂|陪|带|记|拍|逛|煮|泡|打扫|聚|回|给|刷"
)


@_rule(
    r"(?:我|本人)(?:都|一般|通常|习惯|也|基本上?|几乎|现在|平时|会|坚持)*(?P<v>每(?:天|晚|周|年|月|个?周末|个?星期|个?月|天早上|天晚上|周[一二三四五六日末])(?:都|会|要|早上|晚上|下午|中午|睡前|清晨|早晨|上午|至少|坚持|固定|雷打不动地?)*.{1,20})$",
    r"(?:我)?(?P<e>每(?:天|晚|周|年|个?周末|个?星期|个?月)(?:早上|晚上|下午|中午|睡前|清晨|早晨|上午)?)我?(?P<v>(?:都|会|要|坚持)+.{2,20})$",
    r"我(?:一直)?(?:有|养成了)(?P<v>.{2,14})的习惯$",
    r"我(?:一直)?习惯(?:了)?(?P<v>(?:早起|早睡|晚睡|午睡|熬夜|睡前|饭后|晨跑|夜跑).{0,10})$",
)
def _habit(match: re.Match[str], context: Context) -> Iterator[Claim]:
    text = (match.groupdict().get("e") or "") + match["v"]
    text = _END_PARTICLES.sub("", text)
    if (
        context.past
        or _CONTEXT.search(text)
        or not _HABIT_VERB.search(text)
        or re.search(r"觉得|感觉|感到|想|很忙|不知道|压力|发现|希望|担心|没有|开心|难过|期待", text)
    ):
        return
    text = re.sub(r"(?<=[天晚周年月末上午前晨])(?:都会|都要|都|会|要)", "", text, count=1)
    yield Claim("habit", f"有{text}的习惯" if match[0].endswith("的习惯") else text, confidence=0.85)


@_rule(
    r"我的?(?:人生|最大的?|终极|今年的?|短期|长期|职业|新年|小)*(?P<x>目标|梦想|理想|愿望|志向)(?:就|一直)?是(?:想)?(?P<v>.+)$",
    r"我(?:一直|从小就?|很|真的|也|以后|将来|未来|长大后?)*(?:想要?|希望|渴望|立志)(?:以后|将来|能够?|可以|今后)*(?P<v>(?:当|成为|做一?[名个位]|学会|考上|考研|出国|创业|减肥|瘦到|减掉|买房|开一?家).{0,14})$",
)
def _goal(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = _clean(re.sub(r"^(?:能够?|可以|去)(?=..)", "", match["v"]), 18)
    if value is None or re.search(r"大家|世界和平|聊天|建议", value):
        return
    kind = match.groupdict().get("x")
    slot = {"目标": "goal_is", "梦想": "dream_is"}.get(kind or "", "goal_is" if kind else "goal")
    yield Claim(slot, value, confidence=0.85)


@_rule(
    rf"{_I}(?:和|跟|与)?(?P<w>[\u4e00-\u9fff]{{0,8}}?)(?P<x>打算|计划|准备|决定)(?:要|着)?(?P<v>.+)$",
    rf"{_I}(?P<w>)(?P<x>要|会|将|将要|约了|预约了|报名了|订了|有(?=[一个]*(?:场|次)?(?:考试|面试|会议|手术|演出|比赛|婚礼|约会|体检|航班|演讲)))(?P<v>.+)$",
    r"(?P<w>)(?P<x>打算|计划|准备)(?P<v>.+)$",
)
def _plan(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"]
    explicit = kind in {"打算", "计划", "决定", "准备"}
    ahead = context.future
    if _PAST_STATE.search(match[0]) or re.search(r"没|不|原", match[0][: match.start("v") - match.start()]):
        return
    if not ahead and not (kind in {"打算", "计划"} and not context.dated):
        return
    text = _END_PARTICLES.sub("", match["v"])
    if (
        not explicit
        and kind in {"会", "要"}
        and not re.match(
            r"去|飞|参加|回|搬|结婚|考|面试|出差|上|做|见|和|跟|办|举|开|到|过|带|陪|出国|动|开始|举办|体检|毕业",
            text,
        )
    ):
        return
    if (
        _CONTEXT.search(text)
        or not 2 <= len(text) <= 30
        or re.search(r"休息|试试|努力|考虑|尝试|睡觉|吃晚饭|先|睡了|一下|看看|好好|建议", text)
        or text.startswith(("的", "是", "了", "书"))
    ):
        return
    if explicit:
        yield Claim("plan", text, confidence=0.85, dated=True)
    elif kind.startswith("有") or kind.endswith("了"):
        yield Claim("event", f"{kind}{text}", confidence=0.85, dated=True)
    else:
        yield Claim("plan", text, confidence=0.85, dated=True)


_DONE = re.compile(
    r"(?:去|看|参加|买|做|学会?|吃|见|完成|收到|开始|搬|拿到?|考|通过|跑|爬|游|玩|打|读|听|写|画|拍|举办|毕业|入职|辞职|结婚|订婚|生|养|领养|报名|注册|得|赢|输|丢|摔|受伤|回|到|拜访|参观|旅游|旅行|出差|换|卖|订|种|修|品尝|尝|逛|骑|滑|唱|跳|加入|成立|创办|发表|出版|获得|遇到|认识|约|陪|带|送|办|住)(?:上|到|下|完|好|成|出|过)?(?:了|过)"
)


@_rule(rf"{_I}(?P<v>.{{3,40}})$")
def _event(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated or context.future:
        return
    text = re.sub(r"(?:了)$", "了", match["v"])
    text = _END_PARTICLES.sub("", text) if not text.endswith("了") else text
    found = _DONE.search(text)
    if (
        found is None
        or found.start() > 14
        or _EVENT_CONTEXT.search(text)
        or re.search(r"感觉|觉得|发现|麻烦|困惑|烦恼|决定|想|压力|应该|不|没|聊|一个问题|小问题|建议", text)
    ):
        return
    if len(text) < 3 or text.startswith(("的", "是", "都出")):
        return
    yield Claim("event", text, confidence=0.85, dated=True)


_EVENT_CONTEXT = re.compile(
    r"你|您|他(?!们家)|她|它|这|那|什么|怎么|如何|谁|哪|吗|呢|里面|其中|刚才|一些事|很多事"
)
