"""Habits, goals, plans and events: rules for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.chinese.values import (
    CONTEXT_BOUND,
    DONE,
    END_PARTICLES,
    FRIEND,
    PAST_STATE,
    SPEAKER,
    Context,
    value_of,
)
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules()

_HABIT_VERB = re.compile(
    r"跑|游|打|练|读|看|写|做|吃|喝|去|起|睡|散步|健身|锻炼|冥想|瑜伽|弹|画|学|背|听|骑|走|遛|爬|跳|"
    r"上班|加班|运动|打坐|喂|陪|带|记|拍|逛|煮|泡|打扫|聚|回|给|刷"
)


# "每天喝三杯": of what, only the context says.
_UNNAMED = re.compile(r"(?:[一二两三四五六七八九十几半多]|\d)+[杯个瓶碗根包支只本件片份盘串首篇页]$")


@RULES.rule(
    (
        r"(?:我|本人)(?:都|一般|通常|习惯|也|基本上?|几乎|现在|平时|会|坚持)*(?P<v>(?:天天|每(?:天|晚|周|年|月|"
        r"个?周末|个?星期|个?月|天早上|天晚上|周[一二三四五六日末]))(?:都|会|要|早上|晚上|下午|中午|睡前|"
        r"清晨|早晨|上午|至少|坚持|固定|雷打不动地?)*.{1,20})$"
    ),
    (
        r"(?:我)?(?P<e>每(?:天|晚|周|年|个?周末|个?星期|个?月)(?:早上|晚上|下午|中午|睡前|清晨|早晨|"
        r"上午)?)我?(?P<v>(?:都|会|要|坚持)+.{2,20})$"
    ),
    r"(?:我(?:们)?)?(?P<e>周末|下班后?|放假|没事|有空)(?:的时候)?(?:我(?:们)?)?(?:一般|通常|都|经常|常|总)+(?:会)?(?P<v>(?:就|去).{1,14})$",
    r"我(?:一直)?(?:有|养成了)(?P<v>.{2,14})的习惯$",
    r"我(?:一直)?习惯(?:了)?(?P<v>(?:早起|早睡|晚睡|午睡|熬夜|睡前|饭后|晨跑|夜跑).{0,10})$",
)
def _habit(match: re.Match[str], context: Context) -> Iterator[Claim]:
    text = (match.groupdict().get("e") or "") + match["v"]
    text = END_PARTICLES.sub("", text)
    if (
        context.past
        or CONTEXT_BOUND.search(text)
        or not _HABIT_VERB.search(text)
        or _UNNAMED.search(text)
        or re.search(r"觉得|感觉|感到|想|很忙|不知道|压力|发现|希望|担心|没有|开心|难过|期待", text)
    ):
        return
    text = re.sub(r"(?<=[天晚周年月末上午前晨])(?:都会|都要|都|会|要)", "", text, count=1)
    yield Claim("habit", f"有{text}的习惯" if match[0].endswith("的习惯") else text, confidence=0.85)


@RULES.rule(rf"{SPEAKER}?(?:在|正|正在)*(?:准备考|备考|备战)(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,8}})$")
@RULES.rule(
    rf"{SPEAKER}(?:在|正|正在)*(?:准备|备考|备战)(?P<v>考研|高考|中考|雅思|托福|考公|公务员考试|"
    rf"司法考试|面试|答辩|婚礼|马拉松|出国|创业|[\u4e00-\u9fff]{{2,6}}考试)$"
)
def _preparing(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.past and not re.search(r"没|不", match[0]):
        yield Claim("habit", f"在准备{match['v']}", confidence=0.85)


@RULES.rule(
    (
        r"(?:我的?)?(?:人生|最大的?|终极|今年的?|短期|长期|职业|新年|小)*(?P<x>目标|梦想|理想|愿望|志向)(?:就|"
        r"一直)?是(?:想)?(?P<v>.+)$"
    ),
    (
        r"我(?:一直|从小就?|很|真的|也|以后|将来|未来|长大后?)*(?:想要?|希望|渴望|立志)(?:以后|将来|能够?|"
        r"可以|今后)*(?P<v>(?:当|成为|做一?[名个位]|学会?(?!习)|考上|考研|出国|创业|减肥|瘦到|减掉|买房|"
        r"开一?家).{0,14})$"
    ),
)
def _goal(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = value_of(re.sub(r"^(?:能够?|可以|去)(?=..)", "", match["v"]), 18)
    if value is None or context.today or re.search(r"大家|世界和平|聊天|建议|更好|优秀的人", value):
        return
    if (role := _ROLE.match(value)) is not None and not _SOMEONE_OF_TRADE.search(role["who"]):
        return  # "想当个废物"
    kind = match.groupdict().get("x")
    slot = {"目标": "goal_is", "梦想": "dream_is"}.get(kind or "", "goal_is" if kind else "goal")
    yield Claim(slot, value, confidence=0.85)


@RULES.rule(
    rf"{SPEAKER}(?:和|跟|与)?(?P<w>[\u4e00-\u9fff]{{0,8}}?)(?P<x>打算|计划|准备|决定)(?:要|着)?(?P<v>.+)$",
    (
        rf"{SPEAKER}(?P<w>)(?P<x>要|会|将|将要|约了|预约了|报名了|订了|有(?=[一个]*(?:场|次)?(?:考试|面试|"
        rf"会议|手术|演出|比赛|婚礼|约会|体检|航班|演讲)))(?P<v>.+)$"
    ),
    r"(?P<w>)(?P<x>打算|计划|准备|要|约了|预约了|报名了|订了)(?P<v>.+)$",
)
def _plan(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"]
    explicit = kind in {"打算", "计划", "决定", "准备"}
    ahead = context.future or (explicit and context.under_way)
    if PAST_STATE.search(match[0]) or re.search(r"没|不|原", match[0][: match.start("v") - match.start()]):
        return
    if not ahead and not (kind in {"打算", "计划"} and not context.dated):
        return
    text = END_PARTICLES.sub("", match["v"])
    if (
        not explicit
        and kind in {"会", "要"}
        and not re.match(
            (
                r"去|飞|参加|回|搬|结婚|考|面试|出差|上|做|见|和|跟|办|举|开|到|过|带|陪|出国|动|开始|"
                r"举办|体检|毕业"
            ),
            text,
        )
    ):
        return
    if (
        CONTEXT_BOUND.search(text)
        or not 2 <= len(text) <= 30
        or re.search(
            r"休息|试试|努力|考虑|尝试|睡|会儿|吃晚饭|先|再活|活到|活个|躺平|摆烂|辈子|一下|看看|谈谈|聊聊|说说|走走|想想|问问|好好|建议",
            text,
        )
        or text.startswith(("的", "是", "了", "书"))
    ):
        return
    if explicit:
        yield Claim("plan", text, confidence=0.85, dated=True)
    elif kind.startswith("有") or kind.endswith("了"):
        yield Claim("event", f"{kind}{text}", confidence=0.85, dated=True)
    else:
        yield Claim("plan", text, confidence=0.85, dated=True)


_WHEN_OF_DAY = r"(?:得|还得|就|才|一早|早上|上午|下午|晚上|中午|傍晚|凌晨)*"
_GOING = re.compile(
    r"(?:坐高铁|坐火车|坐飞机|开车|请个?假|带[\u4e00-\u9fff]{1,5}?|[陪和跟][\u4e00-\u9fff]{1,5}?)?(?:去(?!掉|除|世|哪|了|过|的|年|不)|飞(?!了|的)|回(?!复|答|头|想|了|的|不)[\u4e00-\u9fff]"
    r"|搬(?:家|去|到|走)|入职|报到|体检|复[查试诊]|[面笔]试|答辩|(?:做|动)?手术|出发|出差|出院|住院|开庭|领证|结婚|毕业|拔|考(?!虑|的|得|了|完)[\u4e00-\u9fffA-Z])"
)
_NO_PLAN = re.compile(
    r"[多少贵挤堵远就是]$|合适|便宜|比较|最好|应该|可以|不如|建议|方便|估计|的人|的话|怎么|睡|吃饭|上班|上课|有没有|不了|取消|没|哪|还是|觉得|呢$"
)


@RULES.rule(rf"{SPEAKER}?{_WHEN_OF_DAY}(?P<v>[\u4e00-\u9fffA-Za-z0-9]{{2,16}})$")
def _dated_ahead(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """What lies ahead needs no word for it: "我下周去北京出差"."""
    text = END_PARTICLES.sub("", match["v"])
    if not context.future or not _GOING.match(text) or _NO_PLAN.search(text) or CONTEXT_BOUND.search(text):
        return
    if len(text) > 2 or text not in {"去的", "回家"}:
        yield Claim("plan", text, confidence=0.85, dated=True)


_APPOINTED = (
    r"体检|复查|复试|复诊|面试|笔试|答辩|手术|面签|开庭|婚礼|航班|飞机|高铁|火车|比赛|演出|毕业典礼|"
    r"(?:(?![我有你他她的])[\u4e00-\u9fffA-Z]){0,4}考试"
)


@RULES.rule(
    rf"(?:{SPEAKER}的?)?(?P<v>{_APPOINTED})(?:时间|日期)?(?:就|也|都|是|在|定|安排|约|订|改|到|了)*$",
    rf"{SPEAKER}{_WHEN_OF_DAY}有?(?:一?[个场次])?(?P<v>{_APPOINTED})$",
)
def _appointed(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "面签是8月6号"."""
    if context.future and not re.search(r"[没不]", match[0]):
        yield Claim("event", f"有{match['v']}", confidence=0.85, dated=True)


_LONG_TERM = (
    r"(?:(?:去)?(?:考(?!虑)|报(?:名|考|班)|学(?!校|习)|读(?:研|博|在职|[\u4e00-\u9fff]?士)|申请|留学|移民|创业|当兵)|申(?:博|硕|请)|买[房车]|换工作|辞职|离职|跳槽|转行|结婚|离婚|"
    r"要(?:孩子|二胎)|生二胎|备孕|搬家|搬(?:去|到)|装修|养(?:一|只|条|个)|开(?:一?[个家])|减肥|戒)"
)


@RULES.rule(
    rf"{SPEAKER}(?:在|正在?|也|最近)*(?:准备|决定|下定决心)(?:要)?(?P<v>{_LONG_TERM}[\u4e00-\u9fffA-Za-z0-9]{{0,12}})$"
)
def _resolved(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """A resolution of weight is a plan without a date too; "我准备睡了" is none."""
    text = END_PARTICLES.sub("", match["v"])
    if not (
        context.dated or CONTEXT_BOUND.search(text) or PAST_STATE.search(match[0]) or _NO_PLAN.search(text)
    ):
        yield Claim("plan", text, confidence=0.85, dated=True)


_ROLE = re.compile(r"(?:当|成为|做)(?:一?[名个位])?(?P<who>.+)$")
_SOMEONE_OF_TRADE = re.compile(
    r"[员师家手官者长生人工民]$|医|会计|老板|翻译|警察|教授|教练|经理|司机|护士|主播|博主|演员"
)

_DONE = re.compile(DONE)
_EVERYDAY = re.compile(
    r"(?<![去陪带])(?:吃|喝|听|看|聊|刷|睡|洗|打|玩|写|唱|跑|读|走|品尝|尝)(?:上|到|下|好|出|过)?[了过]|"
    r"[\u4e00-\u9fff]了[一二两三四五六七八九十几半\d]+(?:斤|杯|瓶|包|袋|盒|份|碗|根|串|口|顿|眼|会儿?)"
)
"""What people do any day, or use up: told of and forgotten."""
_NOT_EVERYDAY = re.compile(
    r"[\ue000-\ue7ff]|第一次|首次|人生|终于|赛|马拉松|[半全]马|演唱会|音乐会|音乐节|话剧|展|医生|病|奖|公里|日出|极光|"
    r"[和跟与陪带][\u4e00-\u9fff]"
)
_AT_ONCE = re.compile(r"(?:刚刚?|才|已经|终于|又|也|都)*")
_SOMEONE_ELSE = re.compile(rf"的?(?:{FRIEND})(?!.{{0,4}}[和跟]我)")
_WHOLE_DEED = re.compile(r"(?:毕业|入职|辞职|离职|结婚|订婚|受伤|搬家|出院|住院)了$")


@RULES.rule(rf"{SPEAKER}?(?!我|本人|俺|咱)(?P<v>.{{3,40}})$")
def _event(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated or context.future:
        return
    text = match["v"] if match["v"].endswith("了") else END_PARTICLES.sub("", match["v"])
    found = _DONE.search(text)
    if (
        found is None
        or found.start() > 14
        or _EVENT_CONTEXT.search(text)
        or re.search(r"感觉|觉得|发现|麻烦|困惑|烦恼|决定|想|压力|该|不|没|聊|问题|建议", text)
    ):
        return
    if len(text) < 3 or text.startswith(("的", "是", "都出", "从开始")) or _SOMEONE_ELSE.match(text):
        return
    if (_EVERYDAY.match(text, found.start()) and not _NOT_EVERYDAY.search(text)) or "一下" in text:
        return
    if (
        _AT_ONCE.fullmatch(text[: found.start()])
        and len(text) < found.end() + 2
        and not _WHOLE_DEED.search(text)
    ):
        return  # "跑完了": of what, only the context says
    yield Claim("event", text.replace("我", "自己"), confidence=0.85, dated=True)


@RULES.rule(
    rf"{SPEAKER}(?:刚刚?|最近|已经|终于|被)*(?P<v>怀孕|怀上|失业|被裁员?|被辞退|升职|转正|毕业|骨折|住院|出院|当爸爸?|"
    r"当妈妈?|脱单|退伍|上岸|考上|录取)了$"
)
def _life_change(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """What changes a life is worth a note without a date."""
    if not context.future:
        yield Claim("event", f"{match['v']}了", confidence=0.85, dated=True)


_EVENT_CONTEXT = re.compile(
    r"你|您|他(?!们家)|她|它|这|那|什么|怎么|如何|谁|哪|吗|呢|里面|其中|刚才|一些事|很多事"
)
