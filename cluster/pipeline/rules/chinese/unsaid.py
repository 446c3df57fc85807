"""What a Chinese clause leaves out or puts first, said in full: the patterns know one wording of each.

"香菜我不吃" talks of coriander first; "现在住通州" leaves out who lives there; "护士" answers a question.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cluster.pipeline.rules.chinese.values import (
    ADVERBS,
    COMMON_SURNAMES,
    CONDITION,
    CONTEXT_BOUND,
    DONE,
    LANGUAGE,
    MEDICINE,
    NUMBER,
    PAST_STATE,
    REGULARLY,
    RELATION,
    YEARS,
    known_place,
    occupation_of,
)


class Whole(NamedTuple):
    """A clause in full: `prefix`, then the clause's characters at each of `parts`."""

    prefix: str
    parts: tuple[slice, ...]

    def of(self, clause: str) -> str:
        """`clause`, or another of its length (as it was typed, before it was simplified), in full."""
        return self.prefix + "".join(clause[part] for part in self.parts)


_FRONTED = re.compile(
    rf"(?P<what>[\u4e00-\u9fffA-Za-z0-9\ue000-\ue7ff]{{2,10}}?)(?P<says>我(?:们|俩)?{ADVERBS}(?:"
    r"(?:从来|从|真的?|一点|完全|根本|实在|最|更)*(?:都|也)?(?:不太|不怎么|不大|不是很|不能|不)?"
    r"(?:喜欢|爱(?:吃|喝|看|听|玩)|吃|喝)|最?讨厌|受不了|最烦|吃不了|喝不了|不学|不碰|戒掉?|害怕|怕))"
    r"(?P<end>的|了|啦)?$"
)
_PLAIN_EAT = re.compile(r"我(?:们|俩)?[^不]*(?<!爱)[吃喝]$")
_NO_TOPIC = re.compile(
    r"^(?:我|现在|平时|最近|后来|其实|反正|所以|因为|但是|可是|虽然|确实|当然|难怪|主要|只要|只有|真的?|早上|晚上|"
    r"中午|今天|明天|昨天|除了|比起)|的|说|觉得|知道|问|以为|都$|[就也还]$|[不没]"
)
_FRONTED_ALLERGY = re.compile(
    r"(?P<what>[\u4e00-\u9fff]{2,6}?|[\u4e00-\u9fff]{1,4}(?:、[\u4e00-\u9fff]{1,4})*(?:和|跟|、)[\u4e00-\u9fff]{1,4}?)"
    r"(?P<says>我(?:会|也|都|有点)*|(?<=[和跟、][\u4e00-\u9fff])我?都(?:会)?|(?<=[和跟、][\u4e00-\u9fff]{2})我?都(?:会)?)过敏$"
)


def fronted(clause: str) -> Whole | None:
    """The clause with what it talks of behind its verb: "香菜我不吃" is "我不吃香菜"; None where it is
    there already."""
    if allergy := _FRONTED_ALLERGY.match(clause):
        start, end = allergy.span("what")
        named = not (
            _NO_TOPIC.search(allergy["what"]) or speaks_of_somebody(allergy["what"])
        ) and not CONTEXT_BOUND.search(allergy["what"])
        return Whole("我对", (slice(start, end), slice(end + len(allergy["says"]), None))) if named else None
    found = _FRONTED.match(clause)
    if found is None or _PLAIN_EAT.match(found["says"]):
        return None
    what = found["what"]
    if _NO_TOPIC.search(what) or CONTEXT_BOUND.search(what) or PAST_STATE.search(what):
        return None
    ended = slice(found.start("end"), None) if found["end"] in {"了", "啦"} else slice(0)
    return Whole("", (slice(*found.span("says")), slice(*found.span("what")), ended))


_SOMEBODY = re.compile(
    rf"[他她它您宠]|(?<![本个工成老大病有为没丢])人(?![均民生气格物次在品名]|没事|多|少|间|口|工智)|[狗猫孩娃某谁]|宝宝|{RELATION}|仓鼠|兔子|鹦鹉|乌龟|鸟|老板|领导|经理|老师|学生|客户|客人|同[事学桌]|邻居|房东|室友|员工|师傅|朋友|"
    rf"闺蜜|对象|前任|公婆|岳|女生|男生|医生|患者|病人|学员|徒弟|租客|顾客|乘客|老乡|保姆|有一?[个位名](?!习惯|爱好|毛病|梦想|目标)|[网战校好队病]友|博主|主播|亲戚|[小老阿][{COMMON_SURNAMES}]|[{COMMON_SURNAMES}](?:[总工哥姐叔姨]|主任)"
)
_STATE = re.compile(
    r"(?:(?:现在|目前|如今|眼下|刚刚?|终于|已经|最近|今年|平时|一直|从小|本来|后来|也|又)*+"
    r"(?:(?<=[在前今下直时])住在?|家住|定居|现居|搬(?:家)?[到去来至回]了?(?P<place>[\u4e00-\u9fff]{2,10}?)(?:了|啦)?$|入职|跳槽|单身|已婚|未婚|离异|毕业于|就读|就职|任职|养了|"
    r"从[\u4e00-\u9fffA-Za-z0-9]{2,12}(?:离职|辞职|毕业|搬)|坐标|人在|[Bb]ase|属[鼠牛虎兔龙蛇马羊猴鸡狗猪]的?(?:$|本命年)|"
    rf"(?:{CONDITION})(?:都|已经|快|有)*{YEARS}[了啦]|(?:本科|研究生|大学)(?:学|读)的?是|[\u4e00-\u9fff]{{2,5}}一枚$|"
    r"教[\u4e00-\u9fff]{2,6}的$|被[\u4e00-\u9fff]{2,10}(?:大学|学院)(?:录取|录)了|(?:正?在|在?准备)备?考|"
    rf"(?:在|来|到|搬[来到]|漂在)[\u4e00-\u9fffA-Za-z0-9·&]{{2,12}}?{YEARS}[了啦]$|(?:结婚|戒[烟酒]|吃素|[学玩练弹打唱画写跑跳]){YEARS}|"
    rf"(?P<verb>[学玩练弹打唱画写跑跳教做当])[\u4e00-\u9fff]{{1,6}}?(?P=verb)?了?(?:都|已经|快|有)*{YEARS}[了啦]?$|"
    r"在[\u4e00-\u9fffA-Za-z0-9 ]{2,14}?(?:工作|上班|上学|读[大研博本硕]|实习|做|当|教|开|合租|租房))"
    r"|今年(?:刚)?[\d一二三四五六七八九十]{1,3}岁?$|老家|家乡|目标是|职业是|专业是|身高|体重|性格|爱好是?|母语"
    rf"|{REGULARLY}(?:[吃服打]|服用|注射)着?{MEDICINE}|(?:{CONDITION})(?:又|老|总)+(?:犯|复发|发作)了$"
    rf"|(?:{LANGUAGE})(?:就)?是母语$|唯一的(?:爱好|兴趣)|(?:最近|后来|突然)(?:迷上|爱上|喜欢上)了?|(?:提|入手|换)了一?[辆台部]"
    r"|(?<=现在)是(?:正式的?)?(?P<job>[\u4e00-\u9fff]{2,10})$|(?P<trade>(?:退休|全职|兼职)[\u4e00-\u9fff]{2,6})$"
    r"|打算|改学|(?:从小|一直)就?对[^，]{1,8}过敏$|[\u4e00-\u9fff]{2,4}过敏$|(?:从来|一直)?(?:不能|不)[吃喝]|对[^，]{1,8}过敏$"
    r"|(?:最|很|特别|比较|非常|超级?|挺|一直|从小|尤其|不太|不怎么|真的|平时|平常)+(?:就|都|最)?(?:喜欢|爱[吃喝看玩听]|讨厌))"
)


_DEED = re.compile(
    rf"(?:在[\u4e00-\u9fffA-Za-z0-9]{{2,8}}?|[和跟带陪][\u4e00-\u9fff]{{1,6}}?)?(?:刚刚?|终于|已经)?(?:{DONE})"
)
_AHEAD = re.compile(
    r"(?:得|还得|就|才|一早|坐高铁|坐飞机|开车|请个?假|早上|上午|下午|晚上|中午)*(?:去(?!掉|除|世|哪)|飞|回(?!复|答|头|想)[\u4e00-\u9fff]|搬(?:家|去|到|走)|入职|报到|体检|"
    r"复[查试诊]|[面笔]试|答辩|手术|出发|出差|开庭|领证|拔|考(?!虑)[\u4e00-\u9fffA-Z])"
)
_APPOINTMENT = re.compile(
    r"(?:体检|复[查试诊]|[面笔]试|答辩|手术|面签|开庭|婚礼|航班|飞机|高铁|火车|比赛|演出|毕业典礼|考试)(?:时间)?(?:就|也|也就|是|在|定|安排|约|订|改|到)*$"
)
_INTENT = re.compile(r"(?:打算|计划|准备|要|约了|预约了|报名了|订了)(?!是|求|么|不|点|紧|素|命)")


_ADDRESSED = re.compile(
    r"(?:^|(?<=[\s。！!]))(?:各位|尊敬的)?(?:老师|医生|大夫|律师|师傅|大佬|兄弟|姐妹|朋友|客服|亲爱的?|亲)?们?(?:[你您]们?|大家)?好[啊呀]?(?=[，,。！!~\s])"
)
"""Who is greeted is not spoken of: "老师您好，…"."""


def speaks_of_somebody(said: str) -> bool:
    """Whether somebody other than the speaker is named, or meant."""
    return _SOMEBODY.search(_ADDRESSED.sub("", said)) is not None


_OWN_FAMILY = re.compile(
    r"我(?:们?家)?的?[大小]?(?:老婆|老公|媳妇|爱人|女儿|闺女|儿子|孩子|娃)"
    r"|(?:^|[，,。！!；;\s])[大小]?(?:老婆|老公|媳妇|爱人|女儿|闺女|儿子|爸妈|父母)"
)


def is_own_kin(said: str) -> bool:
    """Whether a relative named without "我" is the speaker's: nobody but the speaker's own family has been
    spoken of before (`said`), whose relative it might be."""
    return not speaks_of_somebody(_OWN_FAMILY.sub("", said))


def is_spoken_of_as_own(relative: str, said: str) -> bool:
    """Whether the relative has been called the speaker's before ("我外婆"), with nobody else about."""
    rest, times = re.subn(rf"(?:我们?家?的?)?{relative}", "", said)
    return times > 0 and f"我{relative}" in said and not speaks_of_somebody(rest)


def tells_of_speaker(clause: str, said: str, *, dated: bool, future: bool = False) -> bool:
    """Whether a clause without a subject is about its speaker: it names a state that people name of
    themselves, or (`dated`) what somebody did or (`future`) will do one day, and nobody else has
    been spoken of before
    (`said`)."""
    if speaks_of_somebody(said):
        return False
    if dated and (_DEED.match(clause) or _INTENT.match(clause)):
        return True
    if future and (_AHEAD.match(clause) or _APPOINTMENT.match(clause)):
        return True
    state = _STATE.match(clause)
    if state is None:
        return False
    if (job := state["job"] or state["trade"]) is not None:
        return occupation_of(job) is not None
    return state["place"] is None or known_place(state["place"])  # not "搬到客厅了", of a sofa


_ASKED = re.compile(
    rf"(?P<relative>{RELATION})(?:现在|今年)*(?:多大|几岁)"
    r"|(?P<work>我(?:现在|目前|平时)*(?:是)?(?:做|从事)(?:什么|哪)|我的?(?:职业|工作|职位)是|什么(?:岗位|职业|工作)|哪个科室)"
    r"|(?P<home>我(?:现在|目前)*(?:是)?(?:住在?哪|住什么|在哪(?:个|座)?(?:城市|里|儿|边)?(?:居?住|生活))|"
    r"(?:哪|什么)(?:个|座)?城市)"
    r"|(?P<age>我(?:今年|现在)*(?:多大|几岁|多少岁)|我的?年龄)"
    r"|(?P<name>(?:怎么|如何)称呼|我(?:贵姓|叫什么|的?(?:名字|姓名))|确认(?:一下)?姓名)"
)
_NUMBER = re.compile(rf"(?:今年|刚|快|已经)*(?P<v>{NUMBER})(?:周?岁)?半?(?:了|啦)?$")
_WORK = re.compile(r"是?(?:一?[名个位])?(?P<v>[\u4e00-\u9fffA-Za-z ]{2,12})$")
_HOME = re.compile(r"(?:现在)?(?:住?在)?(?P<v>[\u4e00-\u9fff]{2,8})$")
_NAMED = re.compile(
    rf"(?:叫|是)?(?P<v>[{COMMON_SURNAMES}](?!先生|女士|小姐|老师|[一二三四五六日末何是])[\u4e00-\u9fff]{{1,2}})$"
)


def answer(clause: str, question: str) -> Whole | None:
    """What a bare answer says: "护士" after "您是做什么工作的？" is "我是护士". In `question` the speaker is
    called "我"."""
    asked = _ASKED.search(question)
    if asked is None:
        return None
    if asked["relative"] or asked["age"]:
        found = _NUMBER.match(clause)
        return Whole(f"我{asked['relative'] or ''}{found['v']}岁", ()) if found else None
    if asked["work"]:
        found = _WORK.match(clause)
        return _answered("我是", found) if found and occupation_of(found["v"]) else None
    if asked["home"]:
        found = _HOME.match(clause)
        return _answered("我住在", found) if found and known_place(found["v"]) else None
    found = _NAMED.match(clause)
    return _answered("我叫", found) if found and occupation_of(found["v"]) is None else None


def _answered(prefix: str, found: re.Match[str]) -> Whole:
    return Whole(prefix, (slice(*found.span("v")),))
