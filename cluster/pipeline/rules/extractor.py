"""The rule-based extractor: deterministic, without an LLM, precision before recall."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Literal, NamedTuple

from cluster.model import Memory, Message
from cluster.pipeline.port import Brief, Candidate, Extraction, Trace
from cluster.pipeline.rules.antecedents import UNCLEAR, Heard, as_speaker, is_plain
from cluster.pipeline.rules.called_off import called_off
from cluster.pipeline.rules.chinese import clauses as chinese_clauses
from cluster.pipeline.rules.chinese.endings import endings as chinese_endings
from cluster.pipeline.rules.correction import (
    Correction,
    corrected,
    corrections,
    is_correctable,
    is_of_another_number,
    parts_of,
    replacing,
    retold,
    was_misspoken,
)
from cluster.pipeline.rules.disowned import disowned
from cluster.pipeline.rules.english import clauses as english_clauses
from cluster.pipeline.rules.english.endings import endings
from cluster.pipeline.rules.left_work import left_work
from cluster.pipeline.rules.let_go import let_go
from cluster.pipeline.rules.parted import parted
from cluster.pipeline.rules.reading import Said, read_chinese, read_english
from cluster.pipeline.rules.redating import names_a_day, new_day, redated, redated_before
from cluster.pipeline.rules.role_play import in_a_role
from cluster.pipeline.rules.sentences import (
    MAX_SCANNED,
    Sentence,
    hands_over_text,
    is_instruction,
    sentences_of,
    unmask,
)
from cluster.pipeline.rules.slots import SLOTS, key_of

HUMAN_ROLES = frozenset({"user", "human"})
"""Who is listened to; an assistant, a system prompt or a tool says nothing about the user."""

_INTRODUCTION = re.compile(
    (
        r"^\W*(?:你好|您好|嗨|哈喽|大家好|hi\b|hello\b|hey\b|早上好|下午好|晚上好)|不对|说错|搞错|记错|"
        r"更正|纠正|自我介绍"
    ),
    re.I,
)
_AT_A_TIME = 8
"""Messages that are read between two turns of the event loop: some milliseconds' work."""
_LOOK_BACK = 8
"""Messages among which the speaker's last one is looked for."""
_BARE_JOKE = 24
"""A sentence no longer than this that calls something a joke means the one before it."""
_JOKE_FIRST = re.compile(
    r"(?:哈|嘿|嘻|呵|啊|噢|哦|好啦|好了|其实|我|跟?[你您]|[，,\s])*(?:开(?:个)?玩笑|逗[你您]|骗[你您]|说着玩|闹着玩|瞎说|乱说|胡说)(?:玩|的|呢|了|啦"
    r"|而已)*[，,]\s*(?=我)"
)
"""Calls what was said before a joke, and goes on in earnest: "逗你的，我就一送快递的"."""
_I = re.compile(r"\b(?:i|i'm|i've|my|we)\b.*[,;.!\u2014]|我.*[，,。！!；;\s]", re.I)
"""A statement about the speaker that ends before what follows."""
_NAMES = frozenset({"name", "nickname", "pet_name", "family_name", "friend_name", "company"})


class RuleExtractor:
    """Finds first-person statements of facts in Chinese and English.

    Only messages of `HUMAN_ROLES` are read. A message's `name` is the subject of its claims ("Caroline likes
    painting") and their `speaker` attribute, else they are about "User" / "用户". What surrounds a claim (a
    question, a hypothesis, a report of others, a joke) decides against it.
    """

    name = "rules"

    async def close(self) -> None:
        """Nothing to give back."""

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        """Claims in `messages`, in order. Never raises, whatever the messages contain. Rules follow no
        instructions, so of a `brief` only one that wants no long-term memories matters."""
        if brief is not None and not brief.long_term:
            return Extraction(candidates=(), extractor=self.name)
        candidates: list[Candidate] = []
        latest: dict[str | None, int] = {}
        sessions: dict[str, list[Message]] = {}
        for message in earlier:
            sessions.setdefault(message.session, []).append(message)
        for number, message in enumerate(messages):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # reading takes a while: others are served in between
            before = sessions.setdefault(message.session, [])
            before.append(message)
            if message.role.lower() not in HUMAN_ROLES or in_a_role(before[:-1], message):
                continue
            reading = _read(message, Heard(earlier=_heard_before(before), reply=_reply_before(before)))
            found = list(reading.claims)
            if message.name in latest:
                start = latest[message.name]
                before = [c for c in candidates[start:] if c.attributes.get("speaker") == message.name]
                if reading.was_taken_back:
                    candidates = candidates[:start] + [c for c in candidates[start:] if c not in before]
                elif (mistaken := retold(message, before)) is not None:
                    candidates.remove(mistaken[0])
                    found.append(mistaken[1])
                elif (other := redated_before(reading.day, before, message)) is not None:
                    candidates.remove(other[0])
                    found.append(other[1])
                elif reading.correction is not None and (
                    new := list(_corrected(before, reading.correction, message))
                ):
                    candidates = [c for c in candidates if c.single_valued or c != new[0][0]]
                    found.extend(claim for _, claim in new)
                elif was_misspoken(message, before):
                    candidates = candidates[:start] + [c for c in candidates[start:] if c not in before]
            found = [claim for claim in found if not _is_known_employer(claim, candidates, known)]
            latest[message.name] = len(candidates)
            found.extend(corrections(message, candidates, known))
            found.extend(called_off(message, candidates, known))
            found.extend(let_go(message, candidates, known))
            found.extend(left_work(message, candidates, known))
            found.extend(parted(message, reading.claims, candidates, known))
            denials = [claim for claim in found if claim.negates]
            reply = _reply_before(sessions[message.session])
            found.extend(endings(message, [*candidates, *denials], known, reply))
            found.extend(chinese_endings(message, found, [*candidates, *denials], known))
            candidates.extend(found)
        return Extraction(candidates=tuple(candidates), extractor=self.name)


def _is_known_employer(claim: Candidate, before: Sequence[Candidate], known: Sequence[Memory]) -> bool:
    """Whether a home is where its speaker is known to work: "I've moved to Bosch"."""
    home, company = SLOTS["residence"], SLOTS["company"]
    if (claim.topic, claim.subtopic) != (home.topic, home.subtopic) or claim.value is None or claim.negates:
        return False
    return any(
        (one.topic, one.subtopic) == (company.topic, company.subtopic)
        and one.attributes.get("speaker") == claim.attributes.get("speaker")
        and (one.value if isinstance(one, Candidate) else one.attributes.get("value")) == claim.value
        for one in (*before, *known)
    )


class _Reading(NamedTuple):
    """A message's claims, and what it says about the speaker's message before it."""

    claims: tuple[Candidate, ...] = ()
    was_taken_back: bool = False
    """Nothing stands of that message: a joke, or somebody else's words."""
    correction: Correction | None = None
    day: str | None = None
    """When what that message tells of is, and not when it said."""


def _heard_before(session: Sequence[Message]) -> str:
    """The speaker's message before the last of these, and the replies to it; "" where someone else spoke,
    or it is no plain statement."""
    replies: list[str] = []
    *before, message = session[-_LOOK_BACK:]
    for each in reversed(before):
        if each.role.lower() in HUMAN_ROLES:
            plain = each.name == message.name and not is_instruction(each.content) and is_plain(each.content)
            return "\n".join((each.content[:MAX_SCANNED], *reversed(replies))) if plain else ""
        replies.append(as_speaker(each.content[:MAX_SCANNED]))
    return ""


def _reply_before(session: Sequence[Message]) -> str:
    """What somebody else said just before the last of these."""
    if len(session) < 2:
        return ""
    message, before = session[-1], session[-2]
    return "" if (before.role, before.name) == (message.role, message.name) else before.content[:MAX_SCANNED]


def _read(message: Message, before: Heard) -> _Reading:
    """`before` is what was said before the message."""
    if is_instruction(message.content):
        return _Reading()
    introduces = _INTRODUCTION.search(message.content[:200]) is not None
    read: list[list[Said]] = []
    was_taken_back, of_before, day_before = False, None, None
    sarcastic = False
    here = since = ""
    for written in sentences_of(message.content):
        told = _JOKE_FIRST.match(written.text)
        sentence = written if told is None else written._replace(text=written.text[told.end() :])
        if hands_over_text(sentence):
            break
        heard = before._replace(here=here)
        here = f"{here} {sentence.text if is_plain(sentence.text) else UNCLEAR}"
        before_sarcastic, sarcastic = sarcastic, _clauses(sentence).SARCASM.search(sentence.text) is not None
        if sarcastic or before_sarcastic:
            continue
        if disowned(sentence):
            was_taken_back = was_taken_back or not any(read)
            read.clear()
            continue
        if told is not None:
            was_taken_back = was_taken_back or not any(read)
            if any(read):
                read.pop()
        elif (joke := _joke(sentence)) is not None:
            if joke == "before" and read:
                read.pop()
            elif joke == "before":
                was_taken_back = True
            continue
        day = new_day(sentence)
        if any(read) and day is not None and _redate(read, day, sentence, message):
            continue
        if not any(read) and day is not None and names_a_day(day, message.event_time, sentence.language):
            day_before = day_before or day
            continue
        for correction, part in parts_of(sentence):
            if (
                correction is not None
                and not is_of_another_number(correction, since)
                and not (any(read) and _correct(read, correction))
            ):
                of_before = of_before or correction
            if part.language == "zh":
                read.append(read_chinese(part, message.event_time, introduces=introduces, heard=heard))
            else:
                read.append(read_english(part, message.event_time, heard))
            since = "" if read[-1] else f"{since} {part.text}"
    found = {
        (candidate := _candidate(said, message, number)).text: candidate
        for number, sentence in enumerate(read)
        for said in sentence
    }
    return _Reading(tuple(found.values()), was_taken_back, of_before, day_before)


def _redate(read: list[list[Said]], day: str, sentence: Sentence, message: Message) -> bool:
    """Move what was just said to happen to another day, or take it back where that cannot be; whether it
    was something that happens on a day."""
    last = next(said for said in reversed(read) if said)
    when = last[-1].when
    if when is None or SLOTS[last[-1].claim.slot].kind != "event" or when.precision != "day":
        return False
    if not names_a_day(day, message.event_time, sentence.language):
        return False
    moved = redated(when, day, message.event_time, sentence.language)
    if moved is None:
        last.pop()
    else:
        last[-1] = last[-1]._replace(when=moved)
    return True


def _correct(read: list[list[Said]], correction: Correction) -> bool:
    """Put the corrected value where it fits best in the last sentence that claims anything, else take its
    last claim back; whether it was of that sentence at all."""
    last = next(said for said in reversed(read) if said)
    for at in range(len(last) - 1, -1, -1):
        claim = last[at].claim
        new = (
            replacing(claim.value, correction.new) if correction.new and is_correctable(claim.slot) else None
        )
        if new is not None:
            last[at] = last[at]._replace(claim=claim._replace(value=new))
            return True
    if correction.surely and not is_of_another_number(correction, last[-1].sentence.text):
        # "I have a dog and a cat, or rather my parents do": what was claimed in one breath goes together.
        slot = last[-1].claim.slot
        while last and last[-1].claim.slot == slot:
            last.pop()
    return correction.surely


def _corrected(
    before: Sequence[Candidate], correction: Correction, message: Message
) -> Iterator[tuple[Candidate, Candidate]]:
    """That of the claims made before which the corrected value fits (the most alike, then the newest), and
    what it should be."""
    fitting: list[tuple[Candidate, str]] = []
    for candidate in reversed(before):
        counted = candidate.topic in {"pet", "family"} and not (candidate.subtopic or "").endswith("_name")
        if candidate.value and correction.new and (candidate.single_valued or counted):
            new = replacing(candidate.value, correction.new)
            if new is not None:
                fitting.append((candidate, new))
    if fitting:
        candidate, new = max(fitting, key=_shared)
        yield candidate, corrected(candidate, new, message)


def _shared(correction: tuple[Candidate, str]) -> int:
    """How many characters a name and what it should be have in common: "赵一鸣", "赵一铭"."""
    candidate, new = correction
    return 0 if new.isascii() else len(set(new) & set(candidate.value or ""))


def _clauses(sentence: Sentence) -> ModuleType:
    return chinese_clauses if sentence.language == "zh" else english_clauses


def _joke(sentence: Sentence) -> Literal["before", "itself"] | None:
    """What a sentence calls a joke: "Just kidding." the one before it, "I'm a king, just kidding" itself."""
    found = _clauses(sentence).JOKE.search(sentence.text)
    if found is None:
        return None
    claims_first = _I.search(sentence.text[: found.start()]) is not None
    return "itself" if claims_first or len(sentence.text) > _BARE_JOKE else "before"


def _candidate(said: Said, message: Message, number: int) -> Candidate:
    """A claim of the `number`th sentence."""
    claim, sentence = said.claim, said.sentence
    slot = SLOTS[claim.slot]
    zh = sentence.language == "zh"
    value = unmask(claim.value, sentence.quotes)
    about = unmask(claim.about, sentence.quotes)
    if claim.slot in _NAMES:
        value = value.strip('"“”「」『』 ')
    speaker = message.name or ("用户" if zh else "User")
    when = said.when if claim.dated or slot.kind == "event" else None
    event = slot.kind == "event"
    positive, negative = (slot.zh, slot.zh_not) if zh else (slot.en, slot.en_not)
    template = negative if claim.negates else positive
    date = when.text(sentence.language) if when is not None and event else ""
    text = template.format(s=speaker, v=f"{date}{value}" if zh else value, x=about)
    if date and not zh:
        text = f"{text} {date}"
    return Candidate(
        kind=slot.kind,
        text=text,
        value=None if event else value,
        topic=slot.topic,
        subtopic=slot.subtopic.format(x=key_of(about)),
        profile_type=slot.profile_type,
        single_valued=slot.single_valued,
        negates=claim.negates,
        attributes={"speaker": message.name} if message.name else {},
        sources=(message.id,),
        confidence=claim.confidence,
        language=sentence.language,
        event_time=when.millis if when is not None else message.event_time,
        valid_from=when.millis if when is not None and not event else None,
        key=f"{message.id}/{number}/{said.clause}",
        causes=() if said.because is None else (f"{message.id}/{number}/{said.because}",),
    )
