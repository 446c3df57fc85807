"""Role play: what somebody says in a role that they took before is nobody's, until they step out of it.

A message that hands out roles ("you play a recruiter and I'll be the candidate") holds for the messages after
it; a single message in a role is the business of `sentences.is_instruction`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cluster.model import Message

MAX_LENGTH: Final = 20
"""Messages of a session after which a role is taken to be forgotten."""
_SCANNED: Final = 400
"""Characters at a message's beginning in which roles are handed out."""
_BEGINS = re.compile(
    r"\b(?:let'?s|can we|shall we|could we|want to|wanna) (?:(?:do|start|play|have) (?:an?|some)"
    r" (?:[\w-]+ ){0,3})?role-?play"
    r"|\bi(?:'ll be|'m| am) (?:the |an? |your )?[\w' -]{2,40}?,? and you(?:'re| are|'ll be) (?:the|an?|my)\b"
    r"|\bpretend (?:that )?(?:i'?m|i am|we'?re|we are)\b"
    r"|\b(?:you be|(?:you |can you |could you )(?:play|act as)|you'?re|you are|act as) (?:an?|the|my)"
    r" [\w' -]{2,40}?,? and i(?:'ll| will|'m| am)(?: be| play)? (?:an?|the|your)\b"
    r"|\bi(?:'ll| will) (?:be|play) (?:the|your) [\w' -]{2,40}?,? (?:and )?you(?:'ll| will|'re| are)?"
    r"(?: be| play)? (?:an?|the|my)\b"
    r"|(?:陪我|跟我|和我|咱们?|我们)(?:来)?(?:演练|排练|彩排|模拟面试)|(?:面试|采访)我(?:吧|一下|$|[，,。！!])|(?:来|做|进行)(?:一?[场次])?模拟(?:面试"
    r"|答辩)|你(?:来)?(?:扮演|演)[^，,。]{1,12}[。！!]?$"
    r"|(?:陪我|跟我|和我|帮我|咱们?|我们|我想)(?:来)?(?:练|模拟|演|排)(?:练|习|一练)?(?:一?[下个次场遍]|会儿?)*(?:面试|答辩|相亲|谈判|采访|点餐|砍价|情景对话)"
    r"|你(?:现在)?(?:是|做|来当|来做)(?:一?[个名位])?(?:面试官|考官|HR|hr|评委|记者|店员|服务员|掌柜|客服|房东"
    r"|相亲对象)(?:本人)?[，,。！!\s]*我(?:就)?(?:是|做|来当|来做|扮)"
    r"|(?:来|玩|做)(?:一?[个场])?角色扮演|你(?:来)?(?:扮演|演|当)[^，,。]{1,12}[，,]?我(?:来)?(?:扮演|演|当|是)",
    re.I,
)
_REHEARSES = re.compile(
    r"^\W*(?:(?:尊敬|敬爱|亲爱)的)?(?:各位)?(?:面试官|考官|评委|HR)(?:老师|们)*[，,]?(?:大家)?(?:您|你|早上|上午|下午|晚上)?(?:们)?好",
    re.I,
)
"""How a speech before a jury opens: the message itself is in the role already."""
_GAME = re.compile(
    r"\b(?:let'?s|can we|shall we) play (?:an? (?:[\w-]+ )?game|a character|pretend"
    r"|make-believe)\b[^?]{0,40}?"
    r"[.!,:;\u2014-]+\s*(?:(?:so|ok|okay)\b[\s,]*)*(?:i'?m|i am|i'll be|you'?re|you are|you be)\b"
    r"|\b(?:let'?s|shall we) (?:play|pretend|role-?play)[.!,:;]+\s*you(?:'?re| are)\b[^.!?]{2,60}?"
    r"\band i(?:'?m| am)\b",
    re.I,
)
"""Opens a game in which somebody is somebody: the message itself is in the role already."""
_GAME_ENDS = re.compile(
    r"^\W*(?:(?:ha(?:ha)+|lol|ok|okay|right|alright|anyway|wait|phew)[\s,.!]+)*(?:pause|time-?\s?out|game"
    r" over)\b"
    r"(?=\W*$|\s*[,.!:;])"
    r"|\bback to (?:(?:the )?real (?:world|stuff|business|question)|normal|business|being me)\b",
    re.I,
)
_ENDS = re.compile(
    r"\b(?:(?:in|back to) (?:real life|reality)|real me|irl|out of (?:the )?(?:character|role)|ooc|enough|"
    r"(?:stop|end|finish|quit) (?:of )?(?:the |this )?(?:game|scene|role-?play\w*|pretending)|for real now)\b"
    r"|^\W*(?:停|暂停|打住|卡)+[，,。！!\s]|^\W*(?:好了?|行了?|OK|ok)?[，,\s]*(?:先)?(?:停一下|停一停|暂停一下|打住|停)(?:[，,。！!\s]|$)"
    r"|先到这|到此为止|不练了"
    r"|回到现实|现实(?:中|里|生活)|说正经的|不玩了|不演了|言归正传|角色扮演结束",
    re.I,
)


def in_a_role(before: Sequence[Message], message: Message) -> bool:
    """Whether the speaker of `message` still plays the role that one of the messages `before` it in the
    session handed out, or rehearses a speech."""
    playing = 0
    for earlier in (*before[-MAX_LENGTH:], message):
        if playing:
            playing -= 1
        if earlier.name != message.name or earlier.role != message.role:
            continue
        said = earlier.content[:_SCANNED].replace("\u2019", "'")
        if _REHEARSES.search(said) or _GAME.search(said):
            playing = MAX_LENGTH
        elif _ENDS.search(said) or _GAME_ENDS.search(said):
            playing = 0
        elif earlier is not message and _BEGINS.search(said):
            playing = MAX_LENGTH
    return playing > 0
