"""The gist of a statement: what stays of it when only its wording is taken away.

Two statements with the same gist say the same, and are one memory. The rule is conservative: frames that
mean one thing ("lives in", "resides in", "'s home is in") and a few synonyms are written as one sign,
articles and "the user" go, plurals are cut off; every other word stays, **in its order**. So a differing
number, name, negation, relation or direction always keeps two statements apart. The similarity of
embeddings is no part of it: it does not tell "prefers tea over coffee" from its reverse
(docs/decisions/0009).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cluster.analysis import looks_chinese, normalise

_Rewrites = Sequence[tuple[re.Pattern[str], str]]


def _rules(*pairs: tuple[str, str]) -> _Rewrites:
    return [(re.compile(pattern), sign) for pattern, sign in pairs]


# A sign is a word that no text has after normalising: it begins with "x_".
_ENGLISH: Final = _rules(
    (r"^(?:the )?user\b(?!name)", ""),
    (r"\b(?:does not|do not|did not|is not|are not|was not|can not|cannot)\b", "x_not"),
    (r"\b(?:doesn't|don't|didn't|isn't|aren't|wasn't|can't)", "x_not"),
    (r"\bno longer\b", "x_nolonger"),
    (r"\bx_not (?:really )?(?:like|enjoy|love)\b|\b(?:dislikes|hates|detests)\b", "x_dislike"),
    (r"\b(?:would like to|wants to|wishes to|hopes to|is hoping to)\b", "x_want"),
    (
        r"\b(?:likes|enjoys|loves|adores|is fond of|is keen on|is into|is a (?:big |huge )?fan of)\b"
        r"(?: to\b)?(?: (?:drinking|drink)\b)?",
        "x_like",
    ),
    (r"(?:\b(?:lives|resides|is living|is based)|'s home is|'s residence is) in\b", "x_live"),
    (r"\b(?:works|is working|is employed) as (?:an? )?", "x_job "),
    (r"'s (?:job|occupation|profession) is (?:an? )?", "x_job "),
    (r"\b(?:works|is working) (?:at|for)\b|\bis employed (?:at|by)\b", "x_workat"),
    (r"\bhas an? ([\w ]{2,40}?) allergy\b", r"x_allergic \1"),
    (r"\b(?:is allergic|has an allergy) to\b", "x_allergic"),
    (r"(?:\bis (?:called|named)\b|'s name is\b)", "x_named"),
    (r"\b(?:owns|has got|has)\b", "x_have"),
    (r"\bevery day\b", "daily"),
    (r"\b(?:every|on) (mon|tues|wednes|thurs|fri|satur|sun)days?\b", r"x_\1day"),
    (r"\b(?:mom|mum|mommy|mummy)\b", "mother"),
    (r"\b(?:dad|daddy)\b", "father"),
    (r"\bkids\b", "children"),
    (r"\bkid\b", "child"),
    (r"(?<![\w.@-])(?:(?:an?|the|really|currently) (?=\w)|(?:now|very much)$)", ""),
)  # fmt: skip
_NUMBERS: Final = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_ZH_NUMBERS: Final = {
    "一": "1", "两": "2", "二": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "八": "8",
    "九": "9",
}  # fmt: skip
_MEASURE: Final = "个只条位名匹头辆台套间岁本"
_CHINESE: Final = _rules(
    (r"^用户", ""),
    (r"(?:太太|老婆)", "妻子"),
    (r"老公", "丈夫"),
    (r"(?:母亲|老妈)", "妈妈"),
    (r"(?:父亲|老爸)", "爸爸"),
    (r"(?:天天|每日)", "每天"),
    (r"(?:每周|每个?星期|每个?礼拜|星期|礼拜)([一二三四五六日天])", r"周\1"),
    (r"周天", "周日"),
    (r"^(?:很|非常|特别)?(?:喜欢|喜爱|热爱|酷爱|钟爱|爱(?=[喝吃看听玩打跑唱画读写]))喝?", "x_like "),
    (r"^(?:现在|目前)?(?:居住在|定居在|住在|现居|家住|的家在|的住址是)", "x_live "),
    (r"^(?:的职业是|的工作是|是一名|是一位|是个)(?:一名|一位|一个)?", "x_job "),
    (r"^在(.{1,40}?)(?:工作|上班|任职|就职)$", r"x_workat \1"),
    (r"^(?:就职于|任职于|供职于)", "x_workat "),
    (r"^(?:对(.{1,20}?)(?<![不没])有?过敏|有(.{1,20}?)过敏)$", r"x_allergic \1\2"),
    (r"^(?:养了|养着|养有|家里养了|家里有|家有|拥有)", "x_have "),
    (r"(?:的?名字是|名叫|名字叫|叫做|的名字叫)", "叫"),
    (r"^(?:很|非常)?(?:希望|想要|想)(?:能|去)?", "x_want "),
    (r"学习", "学"),
    (rf"([一两二三四五六七八九])(?=[{_MEASURE}])", "x_n\\1 "),
)  # fmt: skip
_SIGN = re.compile(r"x_\w+")
_QUOTES: Final = ".,;:!?\"'()[]"
_PUNCTUATION = re.compile(r"[\s。．.!！?？,，;；:：、\"“”‘’「」『』()（）]+")


@lru_cache(16_384)
def gist_of(text: str) -> str:
    """The gist of a statement, or "" where nothing but frame is left."""
    folded = normalise(text).strip(" .。!！;；")
    return _chinese(folded) if looks_chinese(folded) else _english(folded)


def _english(text: str) -> str:
    for pattern, sign in _ENGLISH:
        text = pattern.sub(sign, text)
    signs: list[str] = []
    at = 0
    for match in _SIGN.finditer(text):
        signs += _plain(text[at : match.start()])
        signs.append(match[0])
        at = match.end()
    signs += _plain(text[at:])
    return " ".join(signs) if any(not word.startswith("x_") for word in signs) else ""


def _plain(text: str) -> list[str]:
    return [_singular(_NUMBERS.get(word, word)) for part in text.split() if (word := part.strip(_QUOTES))]


def _singular(word: str) -> str:
    """Without the s of a plural or of a verb. No stemmer: to one, policy and police are the same."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "ws")):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") and len(word) > 4 else word[:-1]


def _chinese(text: str) -> str:
    text = _PUNCTUATION.sub("", text)
    for pattern, sign in _CHINESE:
        text = pattern.sub(sign, text)
    for word, digit in _ZH_NUMBERS.items():
        text = text.replace(f"x_n{word} ", digit)
    return text if _SIGN.sub("", text).strip() else ""
