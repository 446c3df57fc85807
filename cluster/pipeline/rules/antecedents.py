"""Who "she" is: only where nobody else can be meant.

A pronoun that begins a clause stands for a relative of the speaker ("my wife", "我女儿") when of everyone
mentioned before it in the message only that one fits it; where the message has mentioned nobody, of everyone
in the speaker's message before and the replies to it. Whoever else might fit (a friend, a nurse, a name, two
sisters) makes it unclear, and so does a sentence that is no plain statement: then it stands for nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from cluster.pipeline.rules.chinese import clauses as zh_clauses
from cluster.pipeline.rules.chinese.clauses import simplified
from cluster.pipeline.rules.chinese.values import COMMON_SURNAMES
from cluster.pipeline.rules.chinese.values import FRIEND as ZH_FRIEND
from cluster.pipeline.rules.chinese.values import RELATION as ZH_RELATION
from cluster.pipeline.rules.english import clauses as en_clauses
from cluster.pipeline.rules.english.values import FRIEND, PET, RELATION
from cluster.pipeline.rules.lexicon import (
    EN_LANGUAGES,
    EN_NATIONALITIES,
    EN_RELATIONS,
    ZH_RELATIONS,
    word_list,
)
from cluster.pipeline.rules.slots import key_of

Fits = Literal["she", "he", "they"]

UNCLEAR: Final = "\uf8f0"
"""Stands in a text for what is no plain statement. (Messages cannot bring this character along.)"""


MAX_HEARD: Final = 2000
"""Characters said before, in which people are looked for; after more it is not clear who is meant."""


class Heard(NamedTuple):
    """What was said before a sentence."""

    here: str = ""
    """In the same message."""
    earlier: str = ""
    """In the speaker's message before and the replies to it, in the speaker's own words; "" if unclear."""
    reply: str = ""
    """What somebody else said just before the message."""


NOTHING: Final = Heard()


class _Mention(NamedTuple):
    whom: str
    fits: Fits | None
    """None: any pronoun."""
    word: str | None
    """What the speaker calls a relative; None for anyone else."""


_MentionsOf = Callable[[str], "list[_Mention] | None"]
_PRONOUN = re.compile(
    r"(?P<p>she|he|they)(?P<rest>(?:'s|'re)?(?: .*))$|(?P<of>her|his)(?P<is> name(?: is|'s).*)$", re.I
)
_ZH_PRONOUN = re.compile(r"(?P<p>她们|他们|她|他)(?P<rest>.+)$")
_ZH_FITS: dict[str, Fits] = {"她": "she", "他": "he", "她们": "they", "他们": "they"}

_SHE = word_list(
    "mother wife daughter sister grandmother aunt niece fiancée girlfriend granddaughter stepdaughter "
    "stepmother stepsister "
    "mother-in-law sister-in-law 女儿 妻子 妈妈 姐姐 妹妹 奶奶 外婆 阿姨 姑姑 表姐 表妹 堂姐 堂妹 孙女 "
    "外孙女 侄女 女朋友 未婚妻 大女儿 小女儿"
)
_HE = word_list(
    "father husband son brother grandfather uncle nephew fiancé boyfriend grandson stepson father-in-law "
    "stepfather stepbrother "
    "brother-in-law 儿子 丈夫 爸爸 哥哥 弟弟 爷爷 外公 叔叔 舅舅 表哥 表弟 堂哥 堂弟 孙子 外孙 侄子 男朋友 "
    "未婚夫 大儿子 小儿子"
)
_PLURAL = r"parents|grandparents|in-laws|kids|children"
_PERSON = (
    r"friends?|boss|colleagues?|co-?workers?|teachers?|doctors?|neighbou?rs?|guys?|m[ae]n|wom[ae]n|"
    r"girls?|boys?|"
    r"lady|ladies|coach|therapist|nurse|manager|clients?|customers?|roommates?|flatmates?|ex|people|person|"
    r"student|classmate|landlord|landlady|stranger|family|families|baby|babies"
)
_ADJECTIVE = (
    r"(?:(?:older|elder|younger|little|big|late|dear|new|eldest|oldest|youngest|twin|only|first|second|other|"
    r"lovely|beautiful|wonderful|amazing) )*"
)
_NAME = r"[A-Z][\w'-]*[a-z](?: [A-Z][\w-]*[a-z])?"
_RELATIVE = re.compile(
    rf"\b(?:(?i:my|our)|(?i:have|got) (?i:an?|one)) (?P<adj>{_ADJECTIVE})(?P<x>(?i:{RELATION}))\b(?!s\b)"
    rf"(?P<alias>(?:,? (?:named|called|is called|is named|whose name is)|'s name is|,)? {_NAME})?"
)
_THEIRS = re.compile(r"'s(?=\s*[.!?,;]|\s*$)")
""" "I mix it up with my brother's": something of his, and who is spoken of is somebody else."""
_RELATIVES = re.compile(rf"\b(?i:my|our) (?:two |both )?(?P<x>(?i:{_PLURAL}))\b")
_SOMEONE = re.compile(
    rf"(?P<is>\b(?:is|was|am|are|were|be|been|being|become|became|as|works as|'s|'m|'re) (?:also |now )?an? "
    rf"(?:[\w-]+ ){{0,3}}?)?\b(?P<x>{FRIEND}|{_PERSON}|{_PLURAL}|(?:{RELATION})s?)\b|"
    r"\b(?:someone|somebody|anyone|everyone|nobody|others)\b",
    re.I,
)
_PROPER = re.compile(
    r"(?P<at>\b(?:in|at|near|works? for|working for|moved to|moves to|moving to|flew to|went to|from|of|on|"
    r"by|speaks|learning|called|named|name is|name's) (?:the )?)?"
    r"(?<![\w'.-])(?P<v>[A-Z][a-z][\w-]*(?: [A-Z][\w-]*)*)"
)
_NO_NAMES = (
    EN_LANGUAGES
    | EN_NATIONALITIES
    | word_list(
        """
        monday tuesday wednesday thursday friday saturday sunday january february march april may june july
        august september october november december i i'm i've my our we she he they it it's this that these
        those there here what when where why who how yes no yeah nope ok okay well so and but or also then now
        today yesterday tomorrow last next in on at for from with by the a an your you her his their its as if
        because since although though not both some many most all one two three just only actually honestly
        sometimes usually recently lately currently finally maybe both oh hi hey hello thanks thank good great
        nice sorry please let do did does is are was were have has had can could would will should
        congratulations wow sounds wonderful lovely ha haha aww aw ooh cute ah
        """
    )
)
_ZH_PERSON = (
    r"闺蜜|医生|护士|老师|领导|客户|男生|女生|男孩|女孩|男的|女的|男人|女人|人家|师傅|前任|前女友|前男友|对象|亲戚|大家|"
    r"教练|经理|学生|有人|别人|某人|家人|全家"
)
_ZH_IS = re.compile(r"(?:是|当|做|成为|成了|担任)(?:一?[个名位])?[^，。,]{0,6}$")
_ZH_RELATIVE = re.compile(
    rf"(?:我们?家?的?|我[和跟与]|[有生]了?一?[个位]|(?:^|(?<=[，,。！!；;？?\s：:]))家?里?)"
    rf"(?P<adj>[大小二])?(?P<x>{ZH_RELATION})(?P<s>们)?(?P<of>的?(?:{ZH_RELATION}|{ZH_FRIEND}|{_ZH_PERSON}))?"
)
_ZH_SOMEONE = re.compile(rf"{ZH_RELATION}|{ZH_FRIEND}|{_ZH_PERSON}")
_ZH_WITH = re.compile(
    r"(?:(?<![暖温平总])和|跟|与|认识|遇到|碰到|见到|见了|陪|找|帮|请|问|嫁|娶|照顾|介绍)(?!我|平|\u3000)[\u4e00-\u9fffA-Z]"
)
"""Brings somebody in whose name need not look like one."""
_ZH_NAMED = re.compile(
    rf"(?:^|[，,。！!；;？?\s：:]|喜欢|爱上|崇拜|佩服)[{COMMON_SURNAMES}][\u4e00-\u9fff]{{1,2}}"
    r"(?=[来是在说也今去有的给打住很就都刚，,。！!；;\s]|$)"
)


def english_clause(clause: str, heard: Heard) -> str | None:
    """The clause with the relative in place of its pronoun: "my wife works at Siemens"; None where it begins
    with none, or it is unclear whose it is."""
    found = _PRONOUN.match(clause)
    if found is None:
        return None
    fits = found["p"] or {"her": "she", "his": "he"}[found["of"].lower()]
    word = _antecedent(_fits(fits.lower()), heard, _mentions)
    if word is None:
        return None
    return f"my {word}{found['rest']}" if found["p"] else f"my {word}'s{found['is']}"


_NAMED_IT = re.compile(
    r"(?:(?:she|he|it)(?:'s| is) (?:called|named)|(?:her|his|its) name(?:'s| is)"
    r"|(?:(?:we|i)(?:'ve| have)? (?:just )?(?:named|called|call)) (?:her|him|it)) (?P<v>(?-i:[A-Z][a-z]).*)$",
    re.I,
)
_NAMED_THEM = re.compile(
    r"(?:they(?:'re| are) (?:called|named)|their names are"
    r"|(?:(?:we|i)(?:'ve| have)? (?:just )?(?:named|called|call)) them) (?P<v>(?-i:[A-Z][a-z]).*)$",
    re.I,
)
_HAS = (
    r"\b(?:my|our|(?:have|and|or|plus|got|adopted|rescued|bought|keep|picked up|brought home|getting|had) "
    r"(?:an?|the|our|my|this|another|one|two|three|four|five|six|\d))(?: (?!ha[sd]\b|have\b|is\b|got\b"
    r"|and\b|with\b|keeps\b)[\w-]+){0,3}? "
)
_OWN_PET = re.compile(rf"{_HAS}(?P<x>{PET})\b(?!s\b)", re.I)
_OWN_SEVERAL = re.compile(
    rf"{_HAS}(?P<x>{PET}|kid|son|daughter|brother|sister|children)(?:s\b|(?<=children)\b)", re.I
)


def named_clause(clause: str, heard: Heard) -> str | None:
    """ "We named her Pepper" as "my dog is called Pepper", "their names are Al and Bo" as "my cats are
    called Al and Bo"; None where it names nobody, or may mean somebody else than those the speaker said they
    have."""
    one, several = _NAMED_IT.match(clause), _NAMED_THEM.match(clause)
    named = one or several
    said = f"{heard.earlier}\n{heard.here}"
    if named is None or len(said) > MAX_HEARD:
        return None
    have = {
        key_of(match["x"].lower()): match["x"].lower()
        for match in (_OWN_PET if one else _OWN_SEVERAL).finditer(said)
    }
    others = _mentions(_OWN_SEVERAL.sub(" ", said))
    if len(have) != 1 or others or UNCLEAR in said:
        return None
    ((_, word),) = have.items()
    if one:
        return f"my {word} is called {named['v']}"
    return f"my {word if word == 'children' else f'{word}s'} are called {named['v']}"


def chinese_relative(clause: str, heard: Heard) -> tuple[str, int] | None:
    """The relative that the pronoun at the beginning of a clause stands for ("我老婆"), and the pronoun's
    length; None where there is no pronoun, or it is unclear."""
    found = _ZH_PRONOUN.match(clause)
    if found is None:
        return None
    word = _antecedent(_ZH_FITS[found["p"]], heard, _zh_mentions)
    return None if word is None else (f"我{word}", len(found["p"]))


_ALLERGIC_TO_IT = re.compile(
    r"(?P<said>(?:i'm|i am|im) (?:(?:also|really|very|badly|actually) )*allergic to) (?:them|it)\b", re.I
)
_ALLERGENS = re.compile(
    r"\b(?P<v>peanut|nut|almond|cashew|walnut|hazelnut|kiwi|strawberrie|mango|avocado|banana|apple|peach|"
    r"prawn|shrimp|oyster|mussel|crab|lobster|egg|sesame|soy|soya|wheat|latex|penicillin|pollen|cat|dog|"
    r"horse|"
    r"rabbit|hamster|shellfish|lupin|celery|mustard|tomatoe|bee sting|wasp sting|ibuprofen|"
    r"aspirin)(?P<s>s)?\b",
    re.I,
)


def what_allergic_to(clause: str, heard: Heard) -> str | None:
    """ "I'm allergic to them" with what they are; None where it is anything else, or more than one thing that
    people are allergic to was mentioned before."""
    found = _ALLERGIC_TO_IT.match(clause)
    said = f"{heard.earlier}\n{heard.reply}\n{heard.here}"
    if found is None or len(said) > MAX_HEARD:
        return None
    things = {match["v"].lower() for match in _ALLERGENS.finditer(said)}
    if len(things) != 1:
        return None
    (thing,) = things
    plural = thing if thing in _UNCOUNTED else f"{thing}s"
    return f"{found['said']} {plural}{clause[found.end() :]}"


_UNCOUNTED = word_list(
    "sesame soy soya wheat latex penicillin pollen shellfish lupin celery mustard ibuprofen aspirin"
)
_BEGINNING = re.compile(r"(?:^|(?<=[.!?\n]))\W*[A-Z][a-z]+\b(?! (?:is|was|has|had)\b)")
"""A word that is capitalised because a sentence begins with it."""
_ANYONE = re.compile(r"\b(?:he|she|they|his|her|him|their|them)\b", re.I)


def is_alone(heard: Heard) -> bool:
    """Whether nobody but the speaker can be meant where an English clause has no subject: nobody else was
    mentioned in the message before it, nor in what it answers."""
    reply = _BEGINNING.sub(lambda match: match[0].lower(), as_speaker(heard.reply))
    said = f"{reply}\n{heard.here}"
    return len(said) <= MAX_HEARD and not _mentions(said) and _ANYONE.search(said) is None


def is_plain(text: str) -> bool:
    """Whether it is a plain statement: nobody in a joke, a wish or a story is anybody."""
    return not any(
        pattern.search(text)
        for clauses in (en_clauses, zh_clauses)
        for pattern in (clauses.HYPOTHETICAL, clauses.JOKE, clauses.SARCASM)
    )


def as_speaker(reply: str) -> str:
    """What an assistant has said, with the speaker as "I": "your wife" becomes "my wife"."""
    reply = re.sub(r"\b(?:my|our)\b", "the", reply, flags=re.I)
    reply = re.sub(r"\byour\b", "my", reply, flags=re.I)
    return re.sub(r"[你您](?:家|们)?的?", "我", reply.replace("我", "某"))


def _fits(pronoun: str) -> Fits:
    return "she" if pronoun == "she" else "he" if pronoun == "he" else "they"


def _antecedent(pronoun: Fits, heard: Heard, mentions_of: _MentionsOf) -> str | None:
    if len(heard.here) + len(heard.earlier) > MAX_HEARD:
        return None
    clear = heard.here.rpartition(UNCLEAR)[2]
    mentions = mentions_of(clear)
    if mentions is not None and not mentions and UNCLEAR not in heard.here:
        mentions = mentions_of(f"{heard.earlier}\n{heard.here}") if heard.earlier else []
    if not mentions:
        return None
    fitting = {
        mention.whom: mention
        for mention in mentions
        if pronoun == "they" or mention.fits is None or mention.fits == pronoun
    }
    if len(fitting) != 1:
        return None
    ((_, mention),) = fitting.items()
    return mention.word if (mention.fits == "they") == (pronoun == "they") else None


def _mentions(text: str) -> list[_Mention] | None:
    """Everyone whom an English text mentions."""
    found: list[_Mention] = []
    called: set[str] = set()

    def relative(match: re.Match[str]) -> str:
        about = EN_RELATIONS[match["x"].lower()]
        word = None if _THEIRS.match(text, match.end()) else match["x"].lower()
        found.append(_Mention(f"{match['adj']}{about}".lower(), _kind_of(about), word))
        if match["alias"]:
            called.update(re.findall(r"[A-Z][\w'-]*", match["alias"]))
        return " " * len(match[0])

    def relatives(match: re.Match[str]) -> str:
        found.append(_Mention(match["x"].lower(), "they", match["x"].lower()))
        return " " * len(match[0])

    rest = _RELATIVES.sub(relatives, _RELATIVE.sub(relative, text))
    for match in _SOMEONE.finditer(rest):
        if match["is"] is None:
            word = (match["x"] or match[0]).lower()
            about = EN_RELATIONS.get(word)
            found.append(_Mention(word, None if about is None else _kind_of(about), None))
    for match in _PROPER.finditer(rest):
        names = [name for name in match["v"].split() if name.lower() not in _NO_NAMES and name not in called]
        exclaims = " " not in match["v"] and rest[match.end() :].startswith("!")  # "Enjoy!"
        if names and match["at"] is None and not exclaims:
            found.append(_Mention(names[0], None, None))
    return found


def _zh_mentions(text: str) -> list[_Mention] | None:
    """The same of a Chinese text; None where somebody may be named whose name does not look like one."""
    found: list[_Mention] = []

    def relative(match: re.Match[str]) -> str:
        adjective, about = match["adj"] or "", ZH_RELATIONS[match["x"]]
        if match["of"] or match["s"]:
            found.append(_Mention(match[0], None, None))
        else:
            kind: Fits | None = "they" if about == "父母" else _kind_of(about)
            found.append(_Mention(f"{adjective}{about}", kind, f"{adjective}{match['x']}"))
        return "\u3000" * len(match[0])

    rest = _ZH_RELATIVE.sub(relative, simplified(text))
    others = (match for match in _ZH_SOMEONE.finditer(rest) if not _ZH_IS.search(rest[: match.start()]))
    found.extend(_Mention(match[0], None, None) for match in others)
    return None if _ZH_WITH.search(rest) or _ZH_NAMED.search(rest) else found


def _kind_of(about: str) -> Fits | None:
    return "she" if about in _SHE else "he" if about in _HE else None
