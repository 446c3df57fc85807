"""Work and study: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.chinese.values import (
    CONTEXT_BOUND,
    END_PARTICLES,
    FRIEND,
    NOT_PLACE,
    ONE,
    PAST_STATE,
    SPEAKER,
    YEARS,
    Context,
    known_place,
    occupation_of,
    value_of,
)
from cluster.pipeline.rules.lexicon import ZH_FIELDS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()


@RULES.rule(
    (
        rf"{SPEAKER}(?:在[\u4e00-\u9fffA-Za-z]{{2,12}})?(?:是|当|做|担任|从事)(?:着|"
        rf"了)?{ONE}(?P<v>[\u4e00-\u9fffA-Za-z]{{2,14}})$"
    ),
    (
        r"我的?(?:职业|工作|职位|本职工作|岗位)(?:就)?是(?:一?[名位个])?(?:做|"
        r"当)?(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$"
    ),
    (
        rf"(?:(?:{SPEAKER}(?<=[在前今])|现在|目前|如今)(?:去|到|来)了?|(?:现在|目前|如今)?在)(?P<place>[\u4e00-\u9fffA-Za-z]{{2,14}}?)(?:做|当|"
        r"担任)(?:一?[名位个])?(?P<v>[\u4e00-\u9fffA-Za-z]{2,10})$"
    ),
    r"(?:现在|目前)?是(?:一?[名位个])(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$",
    r"(?:现在|目前)是(?:正式的?)(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$",
    rf"{SPEAKER}?(?P<v>(?:退休|全职|兼职)[\u4e00-\u9fff]{{2,6}})$",
    r"(?:职业|工作)是(?P<v>[\u4e00-\u9fffA-Za-z]{2,14})$",
    rf"{SPEAKER}是做(?P<v>[\u4e00-\u9fffA-Za-z]{{2,10}})(?:的|工作)$",
)
def _title(match: re.Match[str], context: Context) -> Iterator[Claim]:
    text = match["v"]
    if (
        context.past
        or context.future
        or PAST_STATE.search(match[0])
        or re.search(r"想|不|要|梦", match[0][: match.start("v") - match.start()])
    ):
        return
    student = re.match(
        (
            r"(?P<school>[\u4e00-\u9fffA-Za-z]{2,12}(?:大学|学院|中学|高中|一中|"
            r"小学))?的?(?P<year>大[一二三四]|高[一二三]|初[一二三]|研[一二三]|"
            r"[一二三四五六]年级)?(?:的)?(?P<what>[\u4e00-\u9fff]{0,4}?(?:学生|研究生|硕士生?|博士生?|"
            r"高中生|初中生|小学生|留学生|本科生|大学生|新生))$"
        ),
        text,
    )
    if student and "的" not in student["what"]:
        yield Claim("grade" if student["year"] else "title", f"{student['year'] or ''}{student['what']}")
        if student["school"]:
            yield Claim("school", student["school"])
        return
    if student is None and (value := occupation_of(text)):
        yield Claim("title", value.removeprefix("做"))
    company = re.match(
        rf"{SPEAKER}?(?:现在|目前)?在(?P<c>[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?)(?:当|做|担任|从事|是)", match[0]
    )
    if company and occupation_of(text) and (where := employer_of(company["c"])):
        yield where


_YEAR = re.compile(r"大[一二三四五]|研[一二三]|高[一二三]|初[一二三]")
_FIELD = "|".join(sorted(ZH_FIELDS, key=len, reverse=True))
_NO_TRADE = re.compile(
    r"[了过着得错完好给来去到从你我他她它这那]|玩笑|为了|时候|梦|决定|选择|准备|饭|作业|题|实验|核酸|手术|检查|样子|[用玩事人]"
)


_SUBJECT = (
    r"(?:小学|初中|高中|大学|中学|高[一二三]|初[一二三]|[一二三四五六]年级|幼儿园|成人|少儿)?的?"
    r"(?:语文|数学|英语|物理|化学|生物|历史|地理|政治|思政|音乐|美术|体育|信息技术|科学|舞蹈|钢琴|书法|围棋|瑜伽|游泳|编程|日语|法语|德语|对外汉语)"
)
_LIVES_ON = (
    r"(?:卖[\u4e00-\u9fff]{1,6}|"
    r"开(?:地铁|出租车?|公交车?|货车|大货车?|大车|挖掘?机|网约车|滴滴|卡车|火车|高铁|校车|飞机|叉车|塔吊|船|店|网店|饭店|民宿)|"
    r"写(?:代码|小说|剧本|程序|文案|公众号|网文|[A-Za-z+#]{1,10}[\u4e00-\u9fff]{0,2})|"
    r"送(?:外卖|快递|货|水|牛奶|啤酒)|跑(?:滴滴|外卖|快递|业务|运输|货运|网约车|销售|船|长途|出租车?|远洋)|"
    r"修(?:车|电脑|手机|空调|家电|表|路|铁路|飞机|电梯)|种(?:地|菜|水果|草莓|苹果|茶|花|葡萄|大棚)|"
    r"养(?:猪|鸡|牛|羊|鱼|蜂|虾|蟹|鸭)|拍(?:视频|婚纱|纪录片|广告)|"
    rf"教{_SUBJECT})"
)
_ONES_OWN = re.compile(rf"是|^(?:{FRIEND})|老师|医生|老板|教练|律师|导师|经理|班主任|主管|主任$")
_GOES_ON_FOR = rf"(?:都|已经|快|也|有|差不多|整整)*{YEARS}[了啦]$"


@RULES.rule(
    rf"{SPEAKER}(?:是|就是|就)?(?:一个?)?(?:专门|专职|全职|天天)?(?P<v>{_LIVES_ON})的$",
    rf"{SPEAKER}的?工作(?:就)?是(?:给[\u4e00-\u9fff]{{1,6}}?)?(?P<v>{_LIVES_ON})的?$",
    rf"(?:{SPEAKER}|是|现在|目前)?(?P<v>教{_SUBJECT})的?$",
    rf"{SPEAKER}?(?P<v>{_LIVES_ON}){_GOES_ON_FOR}",
    rf"(?:{SPEAKER}|现在|目前|如今)+在(?P<place>[\u4e00-\u9fff]{{2,8}}?)(?P<v>{_LIVES_ON})(?<![店宿的])$",
)
def _livelihood(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """The same without "是": "我开地铁的", "教化学的"."""
    if not (context.dated or PAST_STATE.search(match[0]) or re.search(r"[了过不没想这那]", match["v"])):
        yield Claim("title", match["v"])
        if (place := match.groupdict().get("place")) and (where := employer_of(place)):
            yield where


@RULES.rule(
    rf"{SPEAKER}(?:是)?(?P<v>全职(?:在家)?(?:带娃|带孩子|看孩子|做饭带娃|当妈))(?:的|呢)?$",
    rf"{SPEAKER}(?:在家)(?P<v>全职(?:带娃|带孩子))$",
)
def _at_home(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.dated or PAST_STATE.search(match[0])):
        yield Claim("title", match["v"])


@RULES.rule(
    rf"{SPEAKER}是(?:[他她]|[他她]们|老板|领导|经理|总裁|董事长|[\u4e00-\u9fff]总)的?(?:私人|行政|专职|总裁)*(?P<v>助理|秘书|司机|经纪人|保姆|护工)$"
)
def _someones(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "我是他助理": whose, only the context says."""
    if not context.dated:
        yield Claim("title", match["v"])


@RULES.rule(
    rf"{SPEAKER}在(?:公司的?|我们公司的?|单位的?)?(?P<v>{_FIELD})(?:组|部|部门|岗|科|团队)(?:工作|上班)?$"
)
def _department(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not (context.dated or PAST_STATE.search(match[0])):
        yield Claim("industry", match["v"])


@RULES.rule(
    rf"{SPEAKER}(?:就)?(?P<one>一[个名位]?)(?:小|普通|破|老)?(?P<v>[\u4e00-\u9fffA-Za-z]{{2,8}})$",
    rf"{SPEAKER}(?:就)?(?P<one>一个?)(?P<v>[\u4e00-\u9fff]{{2,6}}?)(?:好|就|也|都|被|哪|居然|天天|还要|不懂).{{1,12}}$",
    rf"{SPEAKER}?(?:是)?(?P<v>[\u4e00-\u9fff]{{2,6}})一枚$",
    rf"{SPEAKER}?(?P<verb>当|做|干)(?P<v>[\u4e00-\u9fffA-Za-z]{{2,8}}?)(?:(?P=verb)了)?{_GOES_ON_FOR}",
    rf"{SPEAKER}?(?:当|做|干)了(?:都|快|差不多)*{YEARS}的?(?P<v>[\u4e00-\u9fffA-Za-z]{{2,8}}?)了$",
)
def _by_trade(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "我一程序员", "我当老师十年了"."""
    if context.dated or PAST_STATE.search(match[0]):
        return
    if "one" in match.groupdict() and _ONES_OWN.search(match["v"]):
        return  # "我一老师": a teacher that the speaker has
    if (value := occupation_of(match["v"])) and not CONTEXT_BOUND.search(value):
        yield Claim("title", value)
    elif match["v"] in ZH_FIELDS and "verb" in match.groupdict():
        yield Claim("industry", match["v"])


@RULES.rule(
    (
        rf"(?:{SPEAKER}|现在|目前)?(?:是)?(?:一?个)?(?:在(?P<place>[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?))?(?:做|搞|从事)"
        rf"(?P<v>[\u4e00-\u9fffA-Za-z]{{0,6}}?(?:{_FIELD}))(?:的|工作|行业|这一?行|方面的?工作)*$"
    ),
    (
        rf"{SPEAKER}(?:是|就是)?(?:一?个)(?:[专职]{{0,2}})(?P<do>做|写|教|卖|搞|拍|画|修|跑|开)"
        r"(?P<v>[\u4e00-\u9fffA-Za-z]{2,8})的$"
    ),
    rf"{SPEAKER}(?:是|就是)(?P<do>做|写|教|卖|搞|拍|画|修|跑|开)(?P<v>[\u4e00-\u9fffA-Za-z]{{2,8}})的$",
    (
        rf"{SPEAKER}在(?P<place>[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?)(?P<do>做|写|教|卖|搞|修|跑|开)"
        r"(?P<v>[\u4e00-\u9fffA-Za-z]{2,8})的$"
    ),
    rf"{SPEAKER}(?:在(?P<place>[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?))(?P<do>教)(?P<v>[\u4e00-\u9fff]{{2,6}})$",
)
def _trade(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """What somebody does for a living, told by the field or by its verb: "我是做外贸的", "我在威海教游泳"."""
    groups = match.groupdict()
    value, place, do = match["v"], groups.get("place"), groups.get("do") or "做"
    if context.past or context.future or PAST_STATE.search(match[0]) or _NO_TRADE.search(value):
        return
    if context.dated or re.search(r"[想不没要]|正在|在做", match[0][: match.start("v") - match.start()]):
        return
    if do == "教" and place and not (known_place(place) or re.search(r"[校学院园馆心构]$", place)):
        return
    if do in {"做", "搞"}:
        yield Claim("industry", value)
    else:
        yield Claim("title", f"{do}{value}")
    if place and (where := employer_of(place)):
        yield where


@RULES.rule(
    rf"{SPEAKER}(?:自己|自个儿)?(?:在[\u4e00-\u9fffA-Za-z0-9]{{2,10}}?)?开(?:着|了)?(?P<n>一?[家个间])?"
    r"(?P<v>[\u4e00-\u9fff]{0,6}(?:店|馆|餐厅|咖啡厅|公司|工作室|工厂|诊所|超市|民宿|酒店|客栈|农家乐|培训班|养殖场))(?:的)?$"
)
def _business(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = f"{match['n'] or ''}{match['v']}"
    if not match["n"] and value[0] in "车会门始房灯窗票玩发回":
        return
    if not (
        context.future or PAST_STATE.search(match[0]) or _NO_TRADE.search(match["v"]) or "了" in match["v"]
    ):
        yield Claim("business", value if value[0] not in "家个间" else f"一{value}", dated=True)


@RULES.rule(
    rf"{SPEAKER}是(?P<major>(?!在|读|念|上)[\u4e00-\u9fff]{{2,8}}?)(?:专业)?(?:的)?(?P<v>大[一二三四五]|研[一二三])(?:的?学生|的)?$",
    rf"{SPEAKER}(?:在|读|念|上|是)*(?P<v>大[一二三四五]|研[一二三]|博[一二三四]|高[一二三]|初[一二三])"
    r"(?:的?学生|了|啦|在读|的)?$",
)
def _student(match: re.Match[str], context: Context) -> Iterator[Claim]:
    major = match.groupdict().get("major")
    if context.future or context.past or PAST_STATE.search(match[0]):
        return
    if major and (CONTEXT_BOUND.search(major) or re.search(r"[校学院中]$|理工$|[师交科]大$", major)):
        return  # a school, not what is studied there
    yield Claim("grade", f"{match['v']}学生")
    if major:
        yield Claim("major", major)


@RULES.rule(rf"{SPEAKER}(?:已经|早就|刚)?(?:退休|离休)(?:了|在家|[一二两三四五六七八九十几\d]+年了?)+$")
def _retired(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future:
        yield Claim("title", "退休")


@RULES.rule(
    (
        rf"(?:{SPEAKER}|现在|目前|如今)?在(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}}?)"
        rf"(?:工作|上班|任职|就职|供职|实习|任教|教书|从业)(?:了?[一二两三四五六七八九十几多\d半]+个?[年月]多?|多年|很多年)?(?:了)?$"
    ),
    rf"{SPEAKER}?(?:就职|任职|供职|受雇)于(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}})$",
    (
        rf"{SPEAKER}?(?:从[\u4e00-\u9fffA-Za-z0-9]{{2,12}}?)?(?:入职|加入|跳槽到|跳槽去)了?"
        rf"(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{{2,20}})(?:公司)?(?:工作)?$"
    ),
    r"我的?(?:公司|单位)(?:是|叫)(?P<v>[\u4e00-\u9fffA-Za-z0-9 ·&]{2,20})$",
    rf"{SPEAKER}在(?P<v>[\u4e00-\u9fffA-Za-z0-9·&]{{2,14}}(?:公司|集团|事务所|研究所|研究院|设计院|出版社|报社|电视台))$",
    (
        rf"(?:{SPEAKER}|现在|目前)?在(?P<v>[\u4e00-\u9fffA-Za-z0-9·&]{{2,14}}?)(?:上班|干|搬砖|打工|打杂|打螺丝|做事|混)了?"
        rf"(?:{_GOES_ON_FOR}|快{YEARS}$)"
    ),
    (
        rf"(?:{SPEAKER}|现在|目前)?在(?P<v>[\u4e00-\u9fffA-Za-z0-9·&]{{1,14}}"
        rf"(?:公司|集团|银行|局|厂|研究所|研究院|设计院|事务所|出版社|报社|电视台))(?:[待呆])?了?{_GOES_ON_FOR}"
    ),
)
def _company(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if (
        (context.dated and not re.search(r"入职|加入|跳槽", match[0]))
        or context.future
        or PAST_STATE.search(match[0])
    ):
        return
    if claim := employer_of(END_PARTICLES.sub("", match["v"])):
        if "加入" in match[0] and not re.search(r"公司|集团|银行|医院|大学|科技|[A-Za-z]{3}", claim.value):
            return
        yield claim


@RULES.rule(rf"{SPEAKER}(?:的)?工作(?:地点?)?在(?P<v>[\u4e00-\u9fff]{{2,8}})$")
def _work_place(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if known_place(match["v"]) and not (context.future or PAST_STATE.search(match[0])):
        yield Claim("work_place", match["v"])


_ANY_EMPLOYER = frozenset(
    (
        "公司",
        "单位",
        "学校",
        "医院",
        "银行",
        "事务所",
        "工厂",
        "工地",
        "机关",
        "超市",
        "餐厅",
        "酒店",
        "政府",
        "研究所",
        "机构",
    )
)


_NO_EMPLOYER = re.compile(
    r"(?:[楼层间前边旁外里]|电脑|手机|室内|线[上下]|前台|后台|基层|一线|县城|镇上|市区|城里|郊区|乡下|村里|市里|县里|同时|期间|时间|深夜|凌晨)$"
)
"""Where in a building, when, or with what somebody works: no employer."""


_ORGANISATION = re.compile(
    r"(?:公司|集团|科技|大学|学院|中学|小学|一中|幼儿园|学校|医院|银行|事务所|研究[所院]|设计院|出版社|报社|[日晚]报|电视台|[^市当]局|厂|酒店|超市)$"
)
_QUARTER = re.compile(
    r"[\u4e00-\u9fff](?:村|路|街|街道|镇|乡|湾|大桥|新城|新区|开发区|高新区|科技园|软件园|产业园|工业园|园区|商圈|CBD)$"
)
"""A part of a town, by its last characters."""


def employer_of(text: str) -> Claim | None:
    """The employer, or else the place, that somebody works at; None where it is neither."""
    text = re.sub(r"(?:还|也|(?<!成)都|就|只|一直)+$", "", text.strip())
    if re.search(
        (
            r"家|某|这|那|哪|外面|外地|努力|认真|(?<!阿)里$|当前|同一|附近|一起|办公室|周末|晚上|白天|早上|"
            r"公司$(?<=目前公司)|我|你|他|她|的|了|哪|现在|疫情|压力|时候|正常|加班|不|找|考虑|准备|打算"
        ),
        text,
    ) and not re.search(
        (
            r"^一家[\u4e00-\u9fff]{1,8}(?:公司|企业|医院|银行|外企|国企|央企|私企|民企)$|^一家(?:外企|"
            r"国企|央企|私企)$"
        ),
        text,
    ):
        return None
    if len(text) < 2 or text in _ANY_EMPLOYER or re.fullmatch(r"一家公司|一个公司", text):
        return None
    if (known_place(text) and not _ORGANISATION.search(text)) or _QUARTER.search(text):
        return Claim("work_place", text)
    return None if _NO_EMPLOYER.search(text) else Claim("company", text)


@RULES.rule(
    rf"{SPEAKER}?(?:已经)?(?:不再|不)在(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,16}}?)(?:工作|上班|任职)了?$",
    rf"{SPEAKER}?(?:已经)?从(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,16}}?)(?:离职|辞职)了?$",
)
def _not_company(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if re.search(r"了$|不再|离职|辞职", match[0]) and (claim := employer_of(match["v"])):
        yield claim._replace(negates=True)


_SCHOOL = (
    r"(?P<v>(?:北大|清华|复旦|浙大|南大|武大|中大|厦大|人大|川大|山大|吉大|安大|同济|南开|天大|华科|西电|北邮)(?!大学|附)|"
    r"[\u4e00-\u9fffA-Za-z ]{1,14}?(?:工大|大学|学院|中学|高中|初中|小学|一中|附中|理工|师大|交大|科大|"
    r"MIT|UCLA))"
)


@RULES.rule(
    rf"{SPEAKER}?(?:就读于|就读|在读于){_SCHOOL}(?P<rest>.*)$",
    (
        rf"{SPEAKER}?在{_SCHOOL}(?P<rest>.{{0,12}}?)(?:读书|上学|念书|学习|读研究生|读研|读博|"
        rf"读[大研博][一二三四]|上[大研][一二三四]|读本科|读硕士|读博士|求学|就读|读[\u4e00-\u9fff]{{2,8}})$"
    ),
    rf"{SPEAKER}?(?:考上了|考入了){_SCHOOL}(?P<rest>)$",
    rf"{SPEAKER}?被{_SCHOOL}(?P<rest>[\u4e00-\u9fff]{{0,8}}?)(?:录取|录)了$",
    rf"{SPEAKER}(?:是|在)?{_SCHOOL}(?P<rest>)的?(?:大[一二三四]|研[一二三]|高[一二三])的?(?:学生|新生)?$",
)
def _school(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future or PAST_STATE.search(match[0]) or NOT_PLACE.search(match["v"]):
        return
    yield Claim("school", match["v"])
    if year := re.search(r"[读上](?P<v>[大研博][一二三四])$", match[0]):
        yield Claim("grade", f"{year['v']}学生")
    major = re.search(
        r"(?:大学|学院)(?:读|学)(?!书|研|博|大[一二三四]|本科|硕士|习)([\u4e00-\u9fff]{2,8}?)(?:专业)?$",
        match[0],
    )
    if major:
        yield Claim("major", major[1])


@RULES.rule(rf"{SPEAKER}?(?:是)?(?:毕业于{_SCHOOL}|从{_SCHOOL.replace('<v>', '<w>')}毕业)(?P<rest>.*)$")
def _alma_mater(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"] or match["w"]
    if not context.future and not re.search(r"如果|想", match[0]):
        yield Claim("alma_mater", value, dated=True)
        if major := re.match(r"([\u4e00-\u9fff]{2,10})专业$", match["rest"] or ""):
            yield Claim("major", major[1])


@RULES.rule(
    (
        r"(?:我的?)?(?:(?:大学|本科|研究生)?(?:所学)?专业是|学的(?:专业)?是)(?P<v>[\u4e00-\u9fff]{2,12}?)"
        r"(?:专业)?$"
    ),
    rf"{SPEAKER}(?:学|读|主修)的?是(?P<v>[\u4e00-\u9fff]{{2,12}}?)(?:专业)?$",
    rf"{SPEAKER}一个?学(?P<v>[\u4e00-\u9fff]{{2,8}}?)的$",
    rf"{SPEAKER}(?:主修|就读)(?P<v>[\u4e00-\u9fff]{{2,12}}?)(?:专业)?$",
    rf"{SPEAKER}(?:(?:大学|本科|研究生|硕士|博士)(?:期间|阶段|时)?(?:其实|主要)?)?是(?:学|读)(?P<v>[\u4e00-\u9fff]{{2,10}}?)(?:专业)?的$",
    rf"{SPEAKER}(?:大学|本科|研究生|硕士|博士)(?:期间|阶段)?(?:学|读)的?(?:是)?(?P<v>[\u4e00-\u9fff]{{2,10}}?)(?:专业)?$",
)
def _major(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if (value := value_of(match["v"], 12)) and not context.future and not _YEAR.search(value):
        yield Claim("major", value)
