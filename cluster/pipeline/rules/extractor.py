"""The rule-based extractor: deterministic, without an LLM, precision before recall."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cluster.model import Memory, Message, Millis
from cluster.pipeline.dates import DateMention, dates_in, day_of
from cluster.pipeline.merge import normalise
from cluster.pipeline.port import Candidate, Extraction
from cluster.pipeline.rules import chinese, english
from cluster.pipeline.rules.chinese import clauses as chinese_clauses
from cluster.pipeline.rules.chinese.values import Context as ChineseContext
from cluster.pipeline.rules.english import clauses as english_clauses
from cluster.pipeline.rules.english.values import Context as EnglishContext
from cluster.pipeline.rules.lexicon import ZH_PETS
from cluster.pipeline.rules.sentences import DATE_BASE, Sentence, is_instruction, sentences_of, unmask
from cluster.pipeline.rules.slots import SLOTS, Claim

HUMAN_ROLES = frozenset({"user", "human"})
"""Who is listened to; an assistant, a system prompt or a tool says nothing about the user."""

_GREETING = re.compile(
    (
        r"^\W*(?:你好|您好|嗨|哈喽|大家好|hi\b|hello\b|hey\b|早上好|下午好|晚上好)|不对|说错|搞错|记错|"
        r"更正|纠正|自我介绍"
    ),
    re.I,
)
_BARE_JOKE = 24
"""A sentence no longer than this that calls something a joke means the one before it."""


class _Said(NamedTuple):
    """A claim with what it was said in."""

    claim: Claim
    sentence: Sentence
    when: DateMention | None


class RuleExtractor:
    """Finds first-person statements of facts in Chinese and English.

    Only messages of `HUMAN_ROLES` are read. A message's `name` is the subject of its claims ("Caroline likes
    painting"), else they are about "User" / "用户". What a claim needs from its surroundings (questions,
    hypotheses, reports of others, jokes) decides against it.
    """

    name = "rules"

    async def extract(
        self, messages: Sequence[Message], *, earlier: Sequence[Message], known: Sequence[Memory]
    ) -> Extraction:
        """Claims in `messages`, in order. Never raises for any content."""
        candidates: list[Candidate] = []
        last_of: dict[str | None, int] = {}
        for message in messages:
            if message.role.lower() not in HUMAN_ROLES:
                continue
            start = len(candidates)
            found, retracts = self._read(message)
            if retracts and message.name in last_of:
                del candidates[last_of[message.name] :]
                start = len(candidates)
            candidates.extend(found)
            candidates.extend(_corrections(message, candidates[:start], known))
            last_of[message.name] = start
        return Extraction(candidates=tuple(candidates), extractor=self.name)

    def _read(self, message: Message) -> tuple[list[Candidate], bool]:
        """The message's claims, and whether it takes back the speaker's message before it."""
        if not message.content or is_instruction(message.content):
            return [], False
        greeted = _GREETING.search(message.content[:200]) is not None
        read: list[list[_Said]] = []
        retracts = False
        for number, sentence in enumerate(sentences_of(message.content)):
            joke = (chinese_clauses.JOKE if sentence.language == "zh" else english_clauses.JOKE).search(
                sentence.text
            )
            if joke:
                if len(sentence.text) <= _BARE_JOKE:
                    if number == 0:
                        retracts = True
                    elif read:
                        read.pop()
                read.append([])
                continue
            claims = (
                _chinese(sentence, message.event_time, greeted=greeted)
                if sentence.language == "zh"
                else _english(sentence, message.event_time)
            )
            read.append(list(claims))
        seen: set[str] = set()
        found: list[Candidate] = []
        for said in (item for items in read for item in items):
            candidate = _candidate(said, message)
            if candidate.text not in seen:
                seen.add(candidate.text)
                found.append(candidate)
        return found, retracts


def _masked_dates(sentence: Sentence, said_at: Millis) -> tuple[str, list[DateMention]]:
    """The sentence with each date expression replaced by one private character."""
    mentions = dates_in(sentence.text, said_at, sentence.language)
    text, at = "", 0
    for number, mention in enumerate(mentions[:64]):
        text += f"{sentence.text[at : mention.start]}{chr(DATE_BASE + number)}"
        at = mention.stop
    return text + sentence.text[at:], mentions


_DATE_MARK = re.compile(r"[\ue900-\ue93f]")


def _take_dates(clause: str, mentions: list[DateMention]) -> tuple[str, DateMention | None]:
    """The clause without its date marks, and the date it names if it names one only."""
    marks = _DATE_MARK.findall(clause)
    if not marks:
        return clause, None
    bare = re.sub(
        r"\s*[\ue900-\ue93f]\s*,?", " " if clause.isascii() or " " in clause else "", clause
    ).strip()
    named = [mentions[ord(mark) - DATE_BASE] for mark in marks]
    return bare, named[0]


def _english(sentence: Sentence, said_at: Millis) -> Iterator[_Said]:
    yield from _birthday(sentence, said_at)
    if english_clauses.HYPOTHETICAL.search(sentence.text):
        return
    text, mentions = (
        _masked_dates(sentence, said_at) if _may_have_date(sentence.text) else (sentence.text, [])
    )
    carried: DateMention | None = None
    for clause in english_clauses.split_clauses(text, question=sentence.question):
        bare, when = _take_dates(clause, mentions)
        if when is not None and len(bare) < 4:
            carried = when
            continue
        when = when or carried
        carried = None
        for claim in english.claims_in(bare, EnglishContext(when is not None, _is_future(when, said_at))):
            yield _Said(claim, sentence, when)
        if english_clauses.REPORTED.search(bare):
            return


def _chinese(sentence: Sentence, said_at: Millis, *, greeted: bool) -> Iterator[_Said]:
    yield from _birthday(sentence, said_at)
    text, mentions = _masked_dates(sentence, said_at)
    today = day_of(said_at) if mentions else None
    about_speaker = False
    carried: DateMention | None = None
    pet: str | None = None
    for clause in chinese_clauses.split_clauses(text, question=sentence.question):
        written, when = _take_dates(clause, mentions)
        bare = chinese_clauses.simplified(written)
        opened = chinese_clauses.strip_opener(bare)
        written = written[len(bare) - len(opened) :]
        bare = opened
        if not bare:
            carried = when or carried
            continue
        if chinese_clauses.HYPOTHETICAL.search(bare) or chinese_clauses.reported(bare):
            return
        when = when or carried
        carried = None
        spoken = chinese_clauses.starts_with_speaker(bare)
        if pet is not None and (called := re.match(r"(?:名字|它)?(?:叫做?|名叫)(\S{1,6})$", bare)):
            yield _Said(
                Claim("pet_name" if pet in ZH_PETS else "family_name", called[1], about=pet),
                sentence,
                None,
            )
            pet = None
            continue
        pet = None
        if (
            not spoken
            and not (about_speaker and chinese_clauses.elidable(bare))
            and not bare.startswith(("家里", "老家"))
        ):
            about_speaker = False
            continue
        context = ChineseContext(
            dated=when is not None,
            past=when is not None and today is not None and when.end <= today,
            future=_is_future(when, said_at),
            today=when is not None and today is not None and when.first <= today < when.end,
            greeted=greeted,
        )
        for claim in chinese.claims_in(bare, context):
            if claim.slot in {"pet", "family"}:
                pet = claim.about
            yield _Said(_as_written(claim, bare, written), sentence, when)
        about_speaker = spoken or about_speaker


def _as_written(claim: Claim, bare: str, written: str) -> Claim:
    """The claim with its value in the characters that were typed."""
    at = bare.find(claim.value) if bare != written else -1
    return claim if at < 0 else claim._replace(value=written[at : at + len(claim.value)])


_MAY_HAVE_DATE = re.compile(
    r"\d|day\b|night\b|morning\b|evening\b|week|month\b|year\b|years\b|ago\b|tomorrow|"
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\b(?:mon|tue|wed|thu|fri|sat|sun)",
    re.I,
)


def _may_have_date(text: str) -> bool:
    return _MAY_HAVE_DATE.search(text) is not None


def _is_future(when: DateMention | None, said_at: Millis) -> bool:
    """Whether the date lies ahead: a period that has begun does not."""
    return when is not None and when.millis > said_at


_EN_MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_EN_DAY = (
    rf"(?:(?:the )?\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_EN_MONTHS}|{_EN_MONTHS} (?:the )?\d{{1,2}}(?:st|nd|"
    rf"rd|th)?)(?:,? (?:19|20)\d\d)?"
)
_BIRTHDAYS: list[tuple[str, re.Pattern[str]]] = [
    (
        "birthday",
        re.compile(
            rf"(?:^|[,;.!] ?|\band )(?:my birthday(?:'s| is)(?: on)?|i was born on) (?P<v>{_EN_DAY})", re.I
        ),
    ),
    ("birth_year", re.compile(r"(?:^|[,;.!] ?|\band )i was born in (?P<v>(?:19|20)\d\d)\b", re.I)),
    (
        "birthday",
        re.compile(
            r"我的?生日(?:就)?[是在](?:每年的?)?(?P<v>(?:农历|阴历|阳历|公历)?(?:(?:19|"
            r"20)\d\d年)?(?:\d{1,2}|[一二三四五六七八九十正腊]{1,3})月(?:初)?(?:\d{1,2}|"
            r"[一二三四五六七八九十廿]{1,3})[日号號]?)"
        ),
    ),
    (
        "birthday",
        re.compile(r"我(?:出生[于在]|生[于在]|是)(?P<v>(?:19|20)\d\d年\d{1,2}月\d{1,2}[日号號])(?:出生|生)?"),
    ),
    ("birth_year", re.compile(r"我(?:出生[于在]|生[于在]|是)(?P<v>(?:19|20)\d\d)年(?:出生|生的?)?(?!\d)")),
]
_BIRTHDAY_TODAY = re.compile(
    r"(?:^|[,;.!] ?)(?:today(?:'s| is) my birthday|it's my birthday(?: today)?)\b|今天(?:就)?是我的?生日",
    re.I,
)


def _birthday(sentence: Sentence, said_at: Millis) -> Iterator[_Said]:
    """Birthdays, whose dates are values and not times at which something happens."""
    if "birth" not in sentence.text.lower() and "born" not in sentence.text and "生" not in sentence.text:
        return
    if (
        sentence.question
        or english_clauses.HYPOTHETICAL.search(sentence.text)
        or chinese_clauses.HYPOTHETICAL.search(sentence.text)
    ):
        return
    for slot, pattern in _BIRTHDAYS:
        if match := pattern.search(sentence.text):
            yield _Said(Claim(slot, match["v"].removeprefix("the "), confidence=0.95), sentence, None)
            return
    if _BIRTHDAY_TODAY.search(sentence.text):
        day = day_of(said_at)
        value = (
            f"{day.month}月{day.day}日" if sentence.language == "zh" else f"{day.strftime('%B')} {day.day}"
        )
        yield _Said(Claim("birthday", value, confidence=0.9), sentence, None)


_IDEMPOTENT_SLOTS = frozenset({"plan", "event"})


def _candidate(said: _Said, message: Message) -> Candidate:
    claim, sentence = said.claim, said.sentence
    slot = SLOTS[claim.slot]
    zh = sentence.language == "zh"
    value = unmask(claim.value, sentence.quotes)
    about = unmask(claim.about, sentence.quotes)
    if claim.slot in {"name", "nickname", "pet_name", "family_name", "friend_name", "company"}:
        value = value.strip('"“”「」『』 ')
    speaker = message.name or ("用户" if zh else "User")
    template = (slot.zh if zh else slot.en) if not claim.negates else (slot.zh_not if zh else slot.en_not)
    when = said.when if claim.dated or slot.kind == "event" else None
    if slot.kind == "event" and when is not None:
        if zh:
            stem = template.split("{v}")[0]
            text = f"{stem.format(s=speaker)}{when.text('zh')}{value}"
            if claim.slot == "event":
                text = f"{speaker}{when.text('zh')}{value}"
        else:
            text = f"{template.format(s=speaker, v=value, x=about)} {when.text('en')}"
    else:
        text = template.format(s=speaker, v=value, x=about)
    return Candidate(
        kind=slot.kind,
        text=text,
        value=None if slot.kind == "event" else value,
        topic=slot.topic,
        subtopic=slot.subtopic.format(x=about.replace(" ", "_")),
        profile_type=slot.profile_type,
        single_valued=slot.single_valued,
        negates=claim.negates,
        attributes={"speaker": message.name} if message.name else {},
        sources=(message.id,),
        confidence=claim.confidence,
        language=sentence.language,
        event_time=when.millis if when is not None else message.event_time,
        valid_from=when.millis if when is not None and slot.kind != "event" else None,
    )


def _corrections(
    message: Message, before: Iterable[Candidate], known: Sequence[Memory]
) -> Iterator[Candidate]:
    """ "Actually, it's Bob, not Rob": the slot that holds Rob now holds Bob."""
    content = message.content[:400]
    match = english_clauses.CORRECTION.match(content.strip())
    if match is None:
        return
    new, old = match["new"].strip(), normalise(match["old"])
    for candidate in reversed(list(before)):
        if candidate.single_valued and candidate.value is not None and normalise(candidate.value) == old:
            if candidate.attributes.get("speaker") == message.name:
                yield _corrected(
                    candidate.text,
                    candidate.value,
                    new,
                    candidate.topic,
                    candidate.subtopic,
                    candidate.profile_type,
                    candidate.language,
                    message,
                )
                return
    for memory in known:
        value = memory.attributes.get("value")
        if (
            isinstance(value, str)
            and normalise(value) == old
            and memory.superseded_by is None
            and memory.attributes.get("speaker") == message.name
            and any(
                s.single_valued and (s.topic, s.subtopic) == (memory.topic, memory.subtopic)
                for s in SLOTS.values()
            )
        ):
            yield _corrected(
                memory.text,
                value,
                new,
                memory.topic,
                memory.subtopic,
                memory.profile_type,
                memory.language or "en",
                message,
            )
            return


def _corrected(
    text: str,
    old: str,
    new: str,
    topic: str | None,
    subtopic: str | None,
    profile_type: str | None,
    language: str,
    message: Message,
) -> Candidate:
    return Candidate(
        kind="profile",
        text=text.replace(old, new),
        value=new,
        topic=topic,
        subtopic=subtopic,
        profile_type=profile_type,
        single_valued=True,
        attributes={"speaker": message.name} if message.name else {},
        sources=(message.id,),
        confidence=0.9,
        language=language,
        event_time=message.event_time,
    )
