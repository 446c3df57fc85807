"""The rule-based extractor: deterministic, without an LLM, precision before recall."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from cluster.model import Memory, Message
from cluster.pipeline.port import Candidate, Extraction
from cluster.pipeline.rules.chinese import clauses as chinese_clauses
from cluster.pipeline.rules.correction import corrections
from cluster.pipeline.rules.english import clauses as english_clauses
from cluster.pipeline.rules.reading import Said, read_chinese, read_english
from cluster.pipeline.rules.sentences import Sentence, is_instruction, sentences_of, unmask
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
_BARE_JOKE = 24
"""A sentence no longer than this that calls something a joke means the one before it."""
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
        self, messages: Sequence[Message], *, earlier: Sequence[Message], known: Sequence[Memory]
    ) -> Extraction:
        """Claims in `messages`, in order. Never raises, whatever the messages contain."""
        candidates: list[Candidate] = []
        latest: dict[str | None, int] = {}
        for message in messages:
            if message.role.lower() not in HUMAN_ROLES:
                continue
            found, retracts = _read(message)
            if retracts and message.name in latest:
                start = latest[message.name]
                candidates = candidates[:start] + [
                    candidate
                    for candidate in candidates[start:]
                    if candidate.attributes.get("speaker") != message.name
                ]
            latest[message.name] = len(candidates)
            corrected = corrections(message, candidates, known)
            candidates.extend(found)
            candidates.extend(corrected)
        return Extraction(candidates=tuple(candidates), extractor=self.name)


def _read(message: Message) -> tuple[list[Candidate], bool]:
    """The message's claims, and whether it takes back what the speaker said in the message before it."""
    if is_instruction(message.content):
        return [], False
    introduces = _INTRODUCTION.search(message.content[:200]) is not None
    read: list[list[Said]] = []
    retracts = False
    for sentence in sentences_of(message.content):
        if _jokes(sentence):
            if len(sentence.text) <= _BARE_JOKE:
                if read:
                    read.pop()
                else:
                    retracts = True
        elif sentence.language == "zh":
            read.append(read_chinese(sentence, message.event_time, introduces=introduces))
        else:
            read.append(read_english(sentence, message.event_time))
    found = {(candidate := _candidate(said, message)).text: candidate for said in chain.from_iterable(read)}
    return list(found.values()), retracts


def _jokes(sentence: Sentence) -> bool:
    clauses = chinese_clauses if sentence.language == "zh" else english_clauses
    return clauses.JOKE.search(sentence.text) is not None


def _candidate(said: Said, message: Message) -> Candidate:
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
    )
