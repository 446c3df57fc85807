"""Reading a sentence: its dates are taken out, its clauses are gone through, and claims come out."""

from __future__ import annotations

import re
from typing import NamedTuple

from cluster.model import Millis
from cluster.pipeline.dates import DateMention, dates_in
from cluster.pipeline.periods import day_of, zh_number
from cluster.pipeline.rules import chinese, english
from cluster.pipeline.rules.antecedents import (
    NOTHING,
    Heard,
    chinese_relative,
    english_clause,
    is_alone,
    named_clause,
    what_allergic_to,
)
from cluster.pipeline.rules.birthday import birthday_in
from cluster.pipeline.rules.chinese import clauses as zh
from cluster.pipeline.rules.chinese.naming import called_pet, called_relative, gives_own_name
from cluster.pipeline.rules.chinese.unsaid import (
    answer,
    fronted,
    is_own_kin,
    is_spoken_of_as_own,
    speaks_of_somebody,
    tells_of_speaker,
)
from cluster.pipeline.rules.chinese.values import RELATION, occupation_of
from cluster.pipeline.rules.chinese.values import Context as ChineseContext
from cluster.pipeline.rules.english import clauses as en
from cluster.pipeline.rules.english.answers import answered
from cluster.pipeline.rules.english.employers import is_employer
from cluster.pipeline.rules.english.values import Context as EnglishContext
from cluster.pipeline.rules.lexicon import ZH_PETS
from cluster.pipeline.rules.sentences import DATE_BASE, Sentence
from cluster.pipeline.rules.slots import Claim

_DATE_MARK = re.compile(r"[\ue900-\ue93f]")
_ZH_SINCE = re.compile(
    r"(?:打|自)?从([\ue900-\ue93f])(?:开始|起|以来)?(?:就|一直)*|自([\ue900-\ue93f])(?:起|以来)(?:就|一直)*"
)
"""Since when something holds, which is no day on which it happened."""
_DATE_GAP = re.compile(
    r"^\s*[\ue900-\ue93f]\s*,?(?:的(?=[\u4e00-\u9fffA-Za-z])(?!时候|话))?"
    r"|\s*[\ue900-\ue93f](?:的(?=[\u4e00-\u9fffA-Za-z])(?!时候|话))?"
)
"""A day, with what joins it to the thing that is of that day: "今晚的飞机"."""
_MAX_DATES = 0x40
_MAY_HAVE_DATE = re.compile(
    r"\d|day\b|night\b|morning\b|evening\b|week|month\b|year\b|years\b|ago\b|tomorrow|"
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\b(?:mon|tue|wed|thu|fri|sat|sun)",
    re.I,
)
_CALLED = re.compile(r"(?:名字|它|他|她|另?一[只条个位]|大的|小的)?(?:的名字)?(?:叫做?|名叫)(?P<v>\S{1,6})$")
_ASKS_FOR_WORDS = re.compile(
    r"(?<![想要你您])(?:写|说|唱|讲|念)(?:了|的|的是|了些|些)?(?:什么|啥)[^我你您]{0,6}[？?]\s*$|[他她]们?怎么(?:说|写"
    r"|回)[^我你您]{0,6}[？?]\s*$"
)
"""What comes next repeats somebody's words."""
_HAD = frozenset({"pet", "pet_name", "possession", "vehicle"})
_DENIED_NAME = re.compile(r"我的?名字不(?:是|叫)|我不叫|我姓[\u4e00-\u9fff]{1,2}$")
_WHO = frozenset(
    ("name", "nickname", "title", "company", "work_place", "residence", "hometown", "age", "gender", "school")
)
"""What is said of the speaker and names nobody else, about whom the next clause might go on."""
_RELATIVE = re.compile(f"(?:{RELATION})")
_OWN_KIN = re.compile(
    r"(?:老婆|老公|媳妇|女儿|闺女|儿子|爸妈|父母|老爸|老妈|爷爷|奶奶|外公|外婆|姥姥|姥爷|婆婆|岳母|岳父|丈母娘)(?!们|的)"
)
"""Who are the speaker's own where nobody else is spoken of."""
_BUT = re.compile(r"(?:而?是|应该是|叫)(?P<v>[\u4e00-\u9fff]{2,4}|[A-Za-z]{2,20})$")
_AGED = re.compile(r"(?:他|她|它)?(?:已经)?(?P<v>\d{1,2}|[一二三四五六七八九十]{1,3})岁(?:了|半)?$")
_STUDIED = re.compile(
    r"(?:学|读)的?(?:是)?(?P<v>(?![了过着到校历分习得])[\u4e00-\u9fff]{2,10}?)(?:专业)?的?$"
)
_WORKS = re.compile(
    r"(?:现在|目前)?(?:在[\u4e00-\u9fffA-Za-z]{2,8}?)?(?:是|当|做)(?:一?[名位个])?(?P<v>[\u4e00-\u9fffA-Za-z]{2,10})$"
)
_STUDENTS = ("大学", "学院", "理工", "师大", "交大", "科大", "生")
_BARE_AGE = re.compile(
    r"我?(?:已经|刚|才|满)*(?P<v>[1-9]\d|[二三四五六七八九]?十[一二三四五六七八九]?)(?:了|啦)?$"
)
_LISTED = re.compile(r"(?!真的|哈|很|也|你|我|还|非|特|最|就|都|不|这|那|所|因|但|而)[\u4e00-\u9fff]{2,4}$")


_BUT_I = re.compile(r"(?:but (?:i|i'm|i've|im|my)|because i'm an?)\b", re.I)
"""Sets the speaker's own words against what others said, or says why they did."""
_BECAUSE = re.compile(r"because\b", re.I)
_NOT_BECAUSE = re.compile(r"\b(?:not|just|only|simply|merely|partly|never)\W*$", re.I)
_NOT = re.compile(r"\bnot$", re.I)
_ZH_BECAUSE = re.compile(r"(?:因为|由于)")
_ZH_THEREFORE = re.compile(r"(?:所以|因此|因而)")


class Said(NamedTuple):
    """A claim with the sentence it was made in, and the date its clause names."""

    claim: Claim
    sentence: Sentence
    when: DateMention | None
    clause: int = -1
    """Where in the sentence."""
    because: int | None = None
    """The clause that says why."""


def read_english(sentence: Sentence, said_at: Millis, heard: Heard = NOTHING) -> list[Said]:
    """The claims of an English sentence."""
    found = _birthday(sentence, said_at)
    if en.UNREAL.search(sentence.text):
        return found
    text, mentions = sentence.text, []
    if _MAY_HAVE_DATE.search(text):
        text, mentions = _mask_dates(sentence, said_at)
    carried: DateMention | None = None
    reported = False
    if sentence.question:
        found.extend(Said(claim, sentence, None) for claim in english.presupposed(text))
    clauses = en.split_clauses(text, question=sentence.question)
    for number, clause in enumerate(clauses):
        if en.CONDITIONAL.search(clause):
            break
        if reported and not _BUT_I.match(clause):
            continue
        if number and _BECAUSE.match(clause) and _NOT.search(clauses[number - 1]):
            continue  # "It's not because I'm vegan"
        bare, when = _take_date(clause, mentions, gap=" ")
        if when is not None and len(bare) < 4:  # "Last week, I …"
            carried = when
            continue
        when, carried = when or carried, None
        said_before = heard._replace(here=f"{heard.here} {', '.join(clauses[:number])}")
        begun = any(map(en.strip_opener, clauses[:number]))
        whole = None if heard.here or begun else answered(bare, heard.reply)
        bare = en.strip_opener(whole or bare)
        if (to_mention := en.MENTION_THAT.match(bare)) or (
            number == 0 and (to_mention := en.AND_THAT.match(clause)) and en.MENTION_THAT.search(heard.here)
        ):
            bare = (clause if to_mention.re is en.AND_THAT else bare)[to_mention.end() :]
        bare = (
            english_clause(bare, said_before)
            or named_clause(bare, said_before)
            or what_allergic_to(bare, said_before)
            or (en.with_subject(bare) if not begun and is_alone(heard) else bare)
        )
        bare = en.settled(bare, said_before.here)
        context = EnglishContext(
            dated=when is not None,
            future=_is_future(when, said_at),
            vague=when is not None and when.precision != "day",
        )
        claims = english.claims_in(bare, context)
        said = f"{heard.earlier} {heard.reply} {heard.here} {sentence.text}"
        found.extend(
            Said(claim, sentence, when, number)
            for claim in claims
            if not (claim.slot == "residence" and claim.dated and is_employer(claim.value, said, bare))
        )
        reported = en.REPORTED.search(bare) is not None
    return _with_causes(
        found,
        [
            (number, number - 1)
            for number in range(1, len(clauses))
            if _BECAUSE.match(clauses[number]) and not _NOT_BECAUSE.search(clauses[number - 1])
        ],
    )


def read_chinese(
    sentence: Sentence, said_at: Millis, *, introduces: bool, heard: Heard = NOTHING
) -> list[Said]:
    """The claims of a Chinese sentence. `introduces`: the message greets or corrects, so that "我是王峰"
    gives a name."""
    found = _birthday(sentence, said_at)
    if _ASKS_FOR_WORDS.search(heard.reply):
        return []
    text, mentions = _mask_dates(sentence, said_at)
    if mentions:
        text = _ZH_SINCE.sub(lambda match: _unless_ahead(match, mentions, said_at), text)
    today = day_of(said_at) if mentions else None
    about_speaker = False
    carried: DateMention | None = None
    last: list[Claim] = []
    listing = denied = reported = False
    clauses = zh.split_clauses(text, question=sentence.question)
    for number, clause in enumerate(clauses):
        written, when = _take_date(clause, mentions, gap="")
        simplified = zh.simplified(written)
        bare = zh.strip_opener(simplified)
        written = written[len(simplified) - len(bare) :]
        bare = zh.without_final(bare)
        written = written[: len(bare)]
        if not bare:
            carried = when or carried
            continue
        asked = "" if heard.here or number else heard.earlier.rpartition("\n")[2]
        if (whole := answer(bare, asked) or fronted(bare)) is not None:
            bare, written = whole.of(bare), whole.of(written)
        elif when is not None and when.precision == "year" and (aged := _BARE_AGE.match(bare)):
            bare = written = f"{'我' if bare.startswith('我') else '今年'}{aged['v']}岁"
        if (known := zh.without_knower(bare)) > 0:
            bare, written = bare[known:], written[known:]
        if zh.HYPOTHETICAL.search(bare):
            break
        if zh.reported(bare):
            reported = True
            continue
        if reported and not zh.own_words(clause):
            continue
        reported = False
        when, carried = when or carried, None
        if last and last[-1].slot in _HAD and zh.gone(bare):
            lost = last[-1].about
            while found and found[-1].claim.slot in _HAD and found[-1].claim.about == lost:
                found.pop()
            continue
        if (follow_up := _follow_up(bare, last)) is not None:
            found.append(Said(_as_written(follow_up, bare, written), sentence, None))
            continue
        if (
            last
            and last[-1].slot == "like"
            and (listing or _begins_list(bare, clauses[number + 1 :]))
            and _LISTED.match(bare)
        ):
            listing = True
            last = [Claim("like", bare)]
            found.append(Said(_as_written(last[0], bare, written), sentence, None))
            continue
        so_far = f"{heard.earlier}{heard.here}{'，'.join(clauses[:number])}"
        if (
            (kin := _OWN_KIN.match(bare)) and (is_own_kin(so_far) or is_spoken_of_as_own(kin[0], so_far))
        ) or (
            last and last[-1].about and _RELATIVE.match(bare)  # "我爸爸是医生，妈妈是老师"
        ):
            bare, written = f"我{bare}", f"我{written}"
        said_before = heard._replace(here=f"{heard.here} {'，'.join(clauses[:number])}")
        if (relative := chinese_relative(bare, said_before)) is not None:
            whom, pronoun = relative
            bare, written = f"{whom}{bare[pronoun:]}", f"{whom}{written[pronoun:]}"
        elif (whom := called_relative(bare, said_before)) is not None:
            bare, written = f"{whom}{bare}", f"{whom}{written}"
        elif (named_pet := called_pet(bare, said_before)) is not None:
            found.append(Said(_as_written(named_pet, bare, written), sentence, None))
            continue
        elif about_speaker and gives_own_name(bare):
            bare, written = f"我{bare}", f"我{written}"
        if denied and (named := _BUT.match(bare)):
            found.append(Said(Claim("name", named["v"]), sentence, None))
        denied = _DENIED_NAME.match(bare) is not None
        follows = bool(last) and last[-1].slot in _WHO and zh.moved(bare)
        last, listing = [], False
        before = f"{heard.earlier}{said_before.here}"
        named = zh.starts_with_speaker(bare) and not (zh.names_home_only(bare) and speaks_of_somebody(before))
        if not named and not (about_speaker and (follows or zh.elidable(bare))):
            about_speaker = tells_of_speaker(
                bare, before, dated=when is not None, future=_is_future(when, said_at)
            )
            if not about_speaker:
                continue
        context = ChineseContext(
            dated=when is not None,
            past=when is not None and today is not None and when.end <= today,
            future=_is_future(when, said_at),
            today=when is not None and today is not None and when.first <= today < when.end,
            under_way=when is not None
            and today is not None
            and when.precision != "day"
            and when.first <= today < when.end,
            away=zh.AWAY.search(text) is not None,
            from_elsewhere=any(said.claim.slot == "hometown" for said in found),
            introduces=introduces,
        )
        last = chinese.claims_in(bare, context)
        if not last and not zh.starts_with_speaker(bare):
            bare, written = f"我{bare}", f"我{written}"
            last = chinese.claims_in(bare, context)
        found.extend(Said(_as_written(claim, bare, written), sentence, when, number) for claim in last)
        if any(claim.about for claim in last):
            about_speaker = False
        elif zh.starts_with_speaker(bare):
            about_speaker = bool(last) or zh.has_speaker_as_subject(bare)
    if not zh.HYPOTHETICAL.search(text):
        pets = {said.claim.about for said in found if said.claim.slot in _HAD}
        found.extend(
            Said(claim, sentence, None) for claim in chinese.presupposed(text) if claim.about not in pets
        )
    simple = [zh.simplified(clause) for clause in clauses]
    return _with_causes(
        found,
        [
            (number, number + 1)
            for number in range(len(simple) - 1)
            if _ZH_BECAUSE.match(simple[number]) and _ZH_THEREFORE.match(simple[number + 1])
        ],
    )


def _with_causes(found: list[Said], pairs: list[tuple[int, int]]) -> list[Said]:
    """`found`, with what "because" joins: clauses (cause, effect) that claim one thing each."""
    for cause, effect in pairs:
        why = [said for said in found if said.clause == cause]
        at = [number for number, said in enumerate(found) if said.clause == effect]
        if len(why) == len(at) == 1:
            found[at[0]] = found[at[0]]._replace(because=cause)
    return found


def _follow_up(clause: str, last: list[Claim]) -> Claim | None:
    """ "叫旺财" after "我养了一只狗", "今年5岁" after "我女儿叫小雨", "学通信工程" after
    "我是北京大学大三的", "是医生" after "我姐夫40岁"."""
    if last and last[-1].slot in {"school", "title", "grade"} and (studied := _STUDIED.match(clause)):
        return Claim("major", studied["v"]) if last[-1].value.endswith(_STUDENTS) else None
    if (
        last
        and last[-1].slot in {"family", "family_name", "family_age"}
        and (works := _WORKS.match(clause))
        and (job := occupation_of(works["v"]))
    ):
        return Claim("family_job", job, about=last[-1].about)
    if not last or last[-1].slot not in {"pet", "family", "family_name"}:
        return None
    about = last[-1].about
    if last[-1].slot != "family_name" and (called := _CALLED.match(clause)):
        return Claim("pet_name" if about in ZH_PETS else "family_name", called["v"], about=about)
    if about not in ZH_PETS and (aged := _AGED.match(clause)):
        number = aged["v"] if aged["v"].isdigit() else str(zh_number(aged["v"]))
        return Claim("family_age", number, about=about)
    return None


def _begins_list(clause: str, following: list[str]) -> bool:
    """ "我喜欢唱歌，健身，旅游": a list by commas has at least two more items."""
    return _LISTED.match(clause) is not None and bool(following) and _LISTED.match(following[0]) is not None


def _mask_dates(sentence: Sentence, said_at: Millis) -> tuple[str, list[DateMention]]:
    """The sentence with each date expression replaced by one private character."""
    mentions = dates_in(sentence.text, said_at, sentence.language)[:_MAX_DATES]
    text, at = "", 0
    for number, mention in enumerate(mentions):
        text += f"{sentence.text[at : mention.start]}{chr(DATE_BASE + number)}"
        at = mention.stop
    return text + sentence.text[at:], mentions


def _unless_ahead(since: re.Match[str], mentions: list[DateMention], said_at: Millis) -> str:
    """Nothing in place of "从去年开始"; "从明天开始" stays."""
    when = mentions[ord(since[1] or since[2]) - DATE_BASE]
    return since[0] if _is_future(when, said_at) else ""


def _take_date(clause: str, mentions: list[DateMention], *, gap: str) -> tuple[str, DateMention | None]:
    """The clause without its dates, and the first of them."""
    mark = _DATE_MARK.search(clause)
    if mark is None:
        return clause, None
    return _DATE_GAP.sub(gap, clause).strip(), mentions[ord(mark[0]) - DATE_BASE]


def _is_future(when: DateMention | None, said_at: Millis) -> bool:
    """Whether the date lies ahead: a period that has begun does not."""
    return when is not None and when.millis > said_at


def _as_written(claim: Claim, bare: str, written: str) -> Claim:
    """The claim with its value in the characters that were typed, not in the simplified ones."""
    at = bare.find(claim.value) if bare != written else -1
    return claim if at < 0 else claim._replace(value=written[at : at + len(claim.value)])


def _birthday(sentence: Sentence, said_at: Millis) -> list[Said]:
    claim = birthday_in(sentence, said_at)
    return [] if claim is None else [Said(claim, sentence, None)]
