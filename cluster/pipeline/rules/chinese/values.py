"""What Chinese rules are made of: pieces of patterns, and how a value is cut out of a clause."""

from __future__ import annotations

import re
from typing import NamedTuple

from cluster.pipeline.rules.lexicon import (
    ZH_CONDITIONS,
    ZH_COUNTRIES,
    ZH_FRIENDS,
    ZH_LANGUAGES,
    ZH_OCCUPATIONS,
    ZH_PETS,
    ZH_PLACES,
    ZH_RELATIONS,
    word_list,
)

# Possessive, because some of these words are made of others: nothing is ever tried twice.
ADVERBS = (
    r"(?:也|还|这边|真的|真|非常|特别|很|超级?|最近|一直都?|平时|平常|通常|其实|现在|目前|就是(?=[喜爱讨不怕想对很特非最没有住受忍])|都|比较|挺|"
    r"蛮|从(?:小学|初中|高中|大学|小)就?|"
    r"尤其|主要(?!修)|经常|常常|就(?!读|职|业)|十分|更|今年|已经|刚刚?|才|正在?|始终|依然|仍然|确实|本来就?|"
    r"真心|可(?![是以能怜])|打心底|一般|有点儿?|有些|个人|自己|本人|又|则|可是|相当|格外|无比|极其|向来|早就|早(?=[已搬换]))*+"
)
SPEAKER = rf"(?:(?:(?:我|咱)(?:们俩|俩|们)?|本人|俺){ADVERBS})"
CONTEXT_BOUND = re.compile(
    r"你|您|(?<!吉)他|她|它|这|那|此|其(?!他|实)|什么|怎么|怎样|如何|谁|哪|吗|呢|里面|上面|下面|其中|前者|"
    r"后者|第[一二三四五六七八九十\d]|方案|选项|版本|前一|后一|刚才|自己|我|们|一下|某|另一|别的|以上|的话|时候|之类|样子|感觉|同样|东西|事情|问题|刚刚"
)
END_PARTICLES = re.compile(
    r"(?:了|啦|呀|啊|哦|喔|噢|哈|呐|嘛|哟|的说|哇|诶|吖|哒|呗|(?<!滴)滴(?!滴)|来着|~|\s|。|！|!|\.)+$"
)
NAME = r"(?P<v>[\u4e00-\u9fff·]{1,5}|[A-Za-z][A-Za-z'.\- ]{0,30}|[\ue000-\ue7ff])"
# One character is a relation only where no other follows that makes it another: 姐夫, 弟妹, 妈咪.
RELATION = "|".join(
    word if len(word) > 1 else f"{word}(?![夫媳妇公婆爸妈哥姐弟妹子儿们咪])"
    for word in sorted(ZH_RELATIONS, key=len, reverse=True)
)
COMMON_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范"
    "姚谭廖邹熊金陆郝孔崔康毛邱秦顾侯邵孟龙段雷钱汤尹黎武乔贺赖龚"
)
FRIEND = "|".join(sorted(ZH_FRIENDS, key=len, reverse=True))
PET = "|".join(sorted(ZH_PETS, key=len, reverse=True))
LANGUAGE = "|".join(sorted(ZH_LANGUAGES, key=len, reverse=True))
CONDITION = "|".join(
    (
        *sorted(ZH_CONDITIONS, key=len, reverse=True),
        r"(?!发)(?:(?![犯患]|最近|一直|有点)[\u4e00-\u9fff]){1,5}(?:炎|结石|结节|突出|综合征|溃疡|劳损|息肉|肌瘤)",
    )
)
_OCC = frozenset(ZH_OCCUPATIONS)
_LONGEST_OCCUPATION = max(map(len, ZH_OCCUPATIONS))
_BY_ENDING = re.compile(
    r"(?![一两这那全他她你我不没好前大])[\u4e00-\u9fff]{1,4}(?<![会成党团学人队球官动委法巫天祖大军])(?<!老)(?:员|师)"
)
"""接警员, 药剂师: a job by its last character."""
YEARS = r"[一二两三四五六七八九十几多\d半]+(?:个?月|年)(?:半|多|头)?"
MEDICINE = (
    r"(?:二甲双胍|胰岛素|褪黑素|阿司匹林|布洛芬|氯雷他定|西替利嗪|优甲乐|甲状腺素|避孕药|降压药|降糖药|降脂药|安眠药|抗抑郁药|"
    r"止痛药|中药|叶酸|激素|舍曲林|氟西汀|帕罗西汀|[\u4e00-\u9fff]{1,5}(?:他汀|地平|沙坦|洛尔|普利|拉唑|双胍|西林|霉素|普兰))"
)
REGULARLY = r"(?:现在|目前|长期|一直|常年|每[天晚周日]|睡前|早晚|饭[前后]|按时|都|得|要|在|开始|也)+"
NUMBER = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4})"
ONE = r"(?:一名|一位|一个|一只|一条|一匹|个|名|位|一)?"
PAST_STATE = re.compile(r"以前|曾经|之前|小时候|从前|过去|当年|当时|原来|那时|原本|曾|年轻时|上学时|大学时")
DONE = (
    r"(?:去|看|参加|买|做|学会?|吃|见|完成|收到|开始|搬|拿到?|考|通过|跑|爬|游|玩|打|读|听|写|画|拍|"
    r"举办|毕业|入职|辞职|结婚|订婚|生|养|领养|报名|注册|得|赢|输|丢|摔|受伤|回|到|拜访|参观|旅游|"
    r"旅行|出差|换|卖|订|种|修|品尝|尝|逛|骑|滑|唱|跳|加入|成立|创办|发表|出版|获得|遇到|认识|约|陪|"
    r"带|送|办|住)(?:上|到|下|完|好|成|出|过)?(?:了|过)|开始[\u4e00-\u9fff]{2,6}了"
)
"""A verb with the particle that says it has been done."""
_NOT_NAMES = word_list(
    "外卖 滴滴 快递 救命 服务员 保安 警察 代驾 顺风车 出租车 出租 名字 什么 啥 醒 起床 一声 一下 人 "
    "苦 停 好 绝 骂 喊 价 板 得 不 嚣"
)
_NOT_NAME_START = frozenset("了他她你它来去到不没个一这那车是的什啥得过在就我做着住")


class Context(NamedTuple):
    """What the patterns may know about the clause's surroundings."""

    dated: bool
    past: bool
    """The date lies wholly before the day it was said."""
    future: bool
    today: bool
    under_way: bool
    """The date is a week, a month or a year that has begun."""
    from_elsewhere: bool
    """The sentence has said already where the speaker is from: where they grew up is another place."""
    away: bool
    """The sentence tells of a journey: where one stays then is not where one lives."""
    introduces: bool
    """The message greets, introduces or corrects: there "我是王峰" is a name."""


_GOES_ON = re.compile(
    r"但是|但(?!丁)|可是|不过|因为|所以|虽然|然而|结果|反而|于是|如果|只要|只是|就是|胜过|多过|甚于|超过"
)
"""What begins another statement, or a comparison: a value ends before it."""
_BARE_VERBS = frozenset("吃喝看听玩做打去读说写用买学唱跑走骑弹")
"""Of what, only the context says."""


def value_of(text: str, longest: int = 16) -> str | None:
    """A value; None when it only means something in its context."""
    value = END_PARTICLES.sub("", _GOES_ON.split(text.strip(), maxsplit=1)[0])
    if value in _BARE_VERBS or re.search(r"喜欢|讨厌", value):
        return None
    value = (
        re.sub(r"^(?:一种|一些|各种各样的?|各种|所有的?|上了|上|吃|着|的是|去)(?=.)", "", value)
        if len(value) > 2
        else value
    )
    limit = longest if not value.isascii() else 40
    if (
        not value
        or len(value) > limit
        or CONTEXT_BOUND.search(value)
        or value.startswith(
            (
                "的",
                "了",
                "过",
                "得",
                "和",
                "跟",
                "被",
                "不",
                "是",
                "地",
                "在",
                "归",
                "倒",
                "就",
                "才",
                "便",
                "又",
            )
        )
    ):
        return None
    if value.endswith(("的", "地", "得", "和", "与", "是", "很")):
        return None
    return value


def items_of(text: str, longest: int = 16) -> list[str]:
    """The items of "徒步、长跑和攀岩"."""
    text = re.sub(
        r"(?:等等?|之类的?|什么的|这些|这类)(?:的?(?:活动|运动|事情|东西))?$",
        "",
        END_PARTICLES.sub("", text),
    )
    listed = "、" in text
    if listed and "的" in text.rsplit("、", 1)[1] and "的" not in text.rsplit("、", 1)[0]:
        whole = value_of(text, longest)  # "晴朗、温暖的天气"
        return [whole] if whole else []
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
        value = value_of(piece, longest)
        if value is None:
            break
        items.append(value)
    return items


def occupation_of(text: str) -> str | None:
    """The occupation at the end of "资深的软件工程师"; None when it ends with none."""
    text = END_PARTICLES.sub("", text)
    text = re.sub(r"(?:的工作|工作|这一行|这行|的)$", "", text)
    if len(text) == 3 and text[0] in COMMON_SURNAMES and text[1:] in _OCC:
        return text[1:]  # "我是王老师"
    if _BY_ENDING.fullmatch(text):
        return text
    for length in range(min(len(text), _LONGEST_OCCUPATION), 0, -1):
        if text[-length:] in _OCC:
            before = text[:-length]
            if len(before) > 8 or re.search(r"的|过|年|演|像|不|好|优秀|合格|我|他|她|你|未来|打$", before):
                return None
            return text
    return None


def person_of(text: str) -> str | None:
    value = END_PARTICLES.sub("", text).strip("“”「」\"' .")
    if value.isascii():
        return value if value and value[0].isalpha() and len(value.split()) <= 4 else None
    if not 2 <= len(value) <= 5 or value in _NOT_NAMES or value[0] in _NOT_NAME_START:
        return None
    if (len(value) > 4 and "·" not in value) or re.search(
        r"[了吗呢吧的不没]|起床|回来|出去|帮忙|外卖|怎么|什么|可以|你们|我们", value
    ):
        return None
    return value


PLACE = r"(?P<v>[\u4e00-\u9fff]{2,12}|[A-Za-z][A-Za-z ,.'-]{1,40})"
NOT_PLACE = re.compile(
    r"一起|家里|学校|宿舍|酒店|附近|楼|朋友|父母|一个|这|那|哪|里面|外面|老家|公寓|房子|地方|隔壁|"
    r"喺|医院|中心|时候|很|不|我|你|他|她|的|了|过|新家|新房|国外|外地|别的|别处|一家|哪儿|郊外|户外|"
    r"农村|乡下|城里|沙发|床上|工位|座位|办公室|部门|未来|过去|地球|火星|外星|天上|梦里|星期|周[一二三四五六日末]|来自"
)
_NO_PLACE = re.compile(
    r"^得(?!克)|着|帐篷|别墅$|家庭|家$|(?<!延)边$|[旁间层]$|[上下中]铺$|单间|[一二三四两][室厅居]|对面$|门前$|"
    r"(?:车|船|房|屋|院|楼|校|店|厂|营|厢|洞|圈)里$|(?:车|船|山|楼|岛|路|街|网|树)[上下]$"
)
"""A kind of room, or where something is from something else: no name of a place."""
_ACTIVITY = re.compile(
    r"(?:生活|工作|上班|上学|读书|居住|定居|发展|打拼|念书|实习|住)+(?:着|了|"
    r"过)?(?:[一二两三四五六七八九十几多\d半]+个?年[多]?|很久|多年|好多年|好几年)?$"
)


def place_of(text: str) -> str | None:
    value = END_PARTICLES.sub("", text).strip()
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
    if len(value) < 2 or NOT_PLACE.search(value) or CONTEXT_BOUND.search(value):
        return None
    return None if _NO_PLACE.search(value) and not known_place(value) else value


_WITHIN = re.compile(r"[的了人学公司大校院玩旅过吃看等住去来做读养卖当]|工作|上班")
"""Is no further part of a place's name."""


def listed_place(text: str) -> bool:
    """Whether it begins with a listed place, and is that or something in it: 山东德州, not 爸杭州."""
    listed = any(text[:cut] in ZH_PLACES or text[:cut] in ZH_COUNTRIES for cut in (2, 3, 4))
    return listed and len(text) <= 6 and not _WITHIN.search(text[2:])


def known_place(text: str) -> bool:
    """Whether it names a place: a listed one, several, or one with a suffix such as 市."""
    if text in ZH_PLACES or text in ZH_COUNTRIES:
        return True
    if len(text) >= 3 and text[-1] in "省市县州区镇":
        return True
    return any(text[:cut] in ZH_PLACES and text[cut:] in ZH_PLACES for cut in (2, 3)) or (
        len(text) > 3 and text[:2] in ZH_PLACES
    )
