"""Taking back whole messages: what somebody else wrote, or is meant, was nobody's claim.

"停停停，这是我从网上抄的模板", "that's my sister's CV", "我替我表姐问的": nothing stands of what came before.
"""

from __future__ import annotations

import re

from cluster.pipeline.rules.chinese.values import FRIEND, RELATION
from cluster.pipeline.rules.english.values import FRIEND as EN_FRIEND
from cluster.pipeline.rules.english.values import RELATION as EN_RELATION
from cluster.pipeline.rules.sentences import Sentence

_ZH_PERSON = (
    rf"(?:我?们?家?的?(?:{RELATION}|{FRIEND}|[舍室队网校]友|上铺|下铺|同[事学桌])|"
    r"别人|人家|网友|某人|客户|[他她])"
)
_ZH_TEXT = (
    r"(?:简历|自我介绍|模板|范文|例文|样本|作文|文案|稿子?|资料|介绍|信息|病历|台词|小说|剧本|歌词|段子)"
)
_CHINESE = re.compile(
    rf"(?:这|那|上面|以上|刚才|刚刚|前面)[个段条篇份句些那这]?(?:{_ZH_TEXT}|话|都|其实|就|可|只|只是|内容|的|发的|说的)*"
    rf"(?:是|不是)(?:"
    rf"(?:我)?(?:从|在|网上|别处)[^，。]{{0,10}}?(?:抄|复制|粘贴?|摘|找|看到|下载|搜)(?:来|到)?的"
    rf"|{_ZH_PERSON}(?:写|发|说|问|讲)?的(?:{_ZH_TEXT}|情况|问题|事)?(?:$|[，,。！!；;\s])"
    rf"|[^，。]{{0,8}}?(?:{_ZH_TEXT})$|我(?:瞎|乱|随便)?(?:编|杜撰|虚构)的)"
    rf"|(?:这|那|刚才|上面)[^，。]{{0,6}}?(?:不是(?:我(?:自己)?|本人)(?:的|写的|说的)?$|说的不是我)"
    rf"|(?:^|[，,。！!；;\s…])(?:这?是?我?是?)?(?:替|帮|代|给)(?P<whom>{_ZH_PERSON})(?:问|写|查|打听|咨询|转)(?:一下|的)*"
    r"(?:$|[，,。！!；;\s])"
    r"|(?:网上|百度)(?:随便)?(?:抄|复制|找|搜)(?:来|到)?的"
)
_ENGLISH = re.compile(
    r"^(?:\W|no|wait|stop|oh|oops|sorry|actually|haha|lol|btw|ok|okay|and|but|well|ha)*"
    r"(?:(?:that|this|it|the (?:above|text|bio|profile|cv|resume))(?:'s| is| was| isn't| wasn't)"
    r"(?: just| actually| only| all)*"
    rf" (?:(?:my|a|our|his|her|their|some) (?:{EN_RELATION}|{EN_FRIEND}|guy|girl|client|student)(?:'s|s')?"
    r"(?: (?:cv|resume|résumé|bio|profile|intro\w*|letter|text|post|story|ad|words))"
    r"|(?:from )?(?:an? )?(?:template|sample|example (?:text|bio|cv))"
    r"|(?:something |what )?(?:i )?(?:copied|found|copy-?pasted|pasted|grabbed|lifted)\b"
    r"|not (?:me|mine|about me)\b)"
    r"|(?:i )?(?:just )?(?:copied|copy-?pasted|pasted|grabbed) (?:it|that|this)(?: \w+){0,2} (?:from|off)\b"
    r"|(?:i )?(?:just )?found (?:it|that|this) (?:online|(?:on|in|off) (?:\w+ ){0,2}"
    r"(?:profile|website|site|internet|web|forum|blog|page|template|app|reddit|linkedin|facebook|google))\b"
    r"|(?:i'm |just )*asking for (?:a|my) (?:\w+ )?"
    rf"(?:{EN_FRIEND}|{EN_RELATION})\b)",
    re.I,
)


def disowned(sentence: Sentence) -> bool:
    """Whether the sentence says that what was said before it is somebody else's, or about them."""
    if sentence.question:
        return False
    pattern = _CHINESE if sentence.language == "zh" else _ENGLISH
    return pattern.search(sentence.text) is not None
