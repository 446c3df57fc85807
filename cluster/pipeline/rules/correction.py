"""What a speaker takes back: "41, no wait, I meant 42", and "Actually, it's Bob, not Rob"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

import msgspec

from cluster.model import Memory, Message
from cluster.pipeline.known_index import normalise
from cluster.pipeline.periods import zh_number
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.chinese.values import known_place
from cluster.pipeline.rules.sentences import Sentence
from cluster.pipeline.rules.slots import SLOTS

_ENGLISH = re.compile(
    r"^\W*(?:(?:no|oh|sorry|actually|wait|correction|i meant?|oops|my mistake|my bad)[\s,!.]+)+"
    r"(?:it's|it is|that's|i meant?)?\s*(?P<new>[^,.!?\n]{1,40}?),? (?:and )?not "
    r"(?P<old>[^,.!?\n]{1,40})[.!]?$",
    re.I,
)
_CHINESE = re.compile(
    r"^(?:(?:不对|不是|错了|说错了|更正一下|纠正一下|抱歉|不好意思|其实)[，,。！!\s]*)+"
    r"(?:应该)?是(?P<new>[^，,。？?\s]{1,12})[，,]?(?:而?不是|不是)(?P<old>[^，,。？?\s]{1,12})[。！!]?$"
)
_NOT_BUT = re.compile(
    r"(?:(?:哦|啊|呃|对了|不对|等等|更正一下|纠正一下|抱歉|不好意思|说错了|我?说错了|打错了|搞错了)[，,。！!\s]*)+(?:我?说的)?"
    r"不是(?P<old>[^，,。？?\s]{1,10})[，,]\s*(?:而是|应该是|是)(?P<new>[^，,。？?！!\s]{1,10})(?:[，,][^。？?]{0,14})?[。！!]?$"
)
_RETYPED = re.compile(r"(?:\*\s?(?P<new>[^\W\d_][\w'-]+)(?!\*)|(?P<also>[^\W\d_][\w'-]+)\*$)")
"""A word typed again with an asterisk, as chats do with a typing error."""
_ALIKE: Final = 0.7
"""How much of two words must agree for the one to be the other mistyped."""
_SINGLE_VALUED = frozenset(
    (slot.topic, slot.subtopic) for slot in SLOTS.values() if slot.single_valued and "{" not in slot.subtopic
)

_NEW = r"(?P<new>[^\s,.!?;:]+(?: [^\s,.!?;:]+){0,3}?)"
_HESITATION = r"(?:(?:no|oh|oops|sorry|actually|er+|u[hm]+|hmm+|well|wait)[\s,!.]+)*"
_TAKES_BACK = re.compile(
    r"(?:^|(?<=[\s,;.!?\u2014-]))"
    rf"(?:{_HESITATION}(?P<surely>no,? wait|wait,? no|scratch that|strike that|i misspoke)\b[\s,:.!]*"
    rf"(?:{_HESITATION}(?:(?:it's|it is|that's|i meant?|i'm|make that)\s+)?(?:in |at )?{_NEW}(?=[,.!?;]|$))?"
    r"|(?:but )?(?P<after_all>not any ?more|(?:well|actually|okay),? (?:not really|no\b(?! wait))|or rather)"
    r"(?=[\s,.!?]|$)"
    rf"|{_HESITATION}(?:make that|i meant?),? {_NEW.replace('new', 'meant')}(?=[,.!?;]|$)"
    rf"|(?:sorry|oops|no|wait)[\s,!.]+{_NEW.replace('new', 'late')},? i meant?(?=[,.!?;]|$)"
    rf"|{_HESITATION}actually,? (?:(?:it's|it is|they're|there are|(?:i|we) have|(?:i|we)'ve got|make"
    rf" that) )?"
    r"(?:(?:only|just|more like) )?(?P<count>\d{1,3}|two|three|four|five|six|seven|eight|nine|ten)"
    r"(?: now| of them)?(?=\s*[,.!]|$))",
    re.I,
)
_ZH_TAKES_BACK = re.compile(
    r"(?:^|(?<=[，,。！!；;…—\s]))"
    r"(?P<surely>(?:啊|哦|噢|呃|哎呀?)?(?:不对不对|不对|不不+|哦不|啊不|(?:我)?(?:说|记|搞|打|写)错了|口误|"
    r"其实也?(?:不是|没有|不喜欢|不)(?=[，,。！!；;\s]|$)|(?:不过|但|可)?现在不(?:爱|喜欢|吃|喝)了|也不算))"
    r"(?=[，,。！!；;：:…—\s]|应该|是|我|$)[，,。！!；;：:…—\s]*(?![，,]?[你您])"
    r"(?:(?:应该|其实)?(?P<is>是|叫)?(?P<new>[^，,。！!？?；;：:\s我你他她它]{1,10}?)(?:才对|才是|了|啦)?"
    r"(?=[，,。！!；;\s]|$))?"
)
_EN_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_ZH_UNIT = re.compile(r"(?:周?岁半?|年|号|个|厘米)$")
_HAN_NAME = re.compile(r"[\u4e00-\u9fff]{2,8}")
_NO_NAME = re.compile(r"[的了才就很不也都还是]")
_NAMES = frozenset({"family_name", "friend_name", "pet_name"})
_NOT_FAR: Final = 5
"""By how much who counts miscounts; what is further off was said of something else."""
_COUNTED = frozenset({"pet", "family"})
"""Slots whose values may begin with how many: "four chickens"."""
_SEVERAL = re.compile(rf"(?:{'|'.join(_EN_NUMBERS[2:])}|[2-9]|\d\d)(?= (?P<what>.+))", re.I)
_NUMBER = re.compile(rf"\b(?:\d+|{'|'.join(_EN_NUMBERS)})\b|[\d一二两三四五六七八九十]", re.I)


class Correction(NamedTuple):
    """A speaker's taking back of what they said just before."""

    new: str | None
    """What it should have been, as far as it is said."""
    surely: bool
    """Whether it is taken back even if nothing fit takes its place."""


def parts_of(sentence: Sentence) -> Iterator[tuple[Correction | None, Sentence]]:
    """The sentence, cut where the speaker takes something back; each part with the correction it begins
    with."""
    pattern = _ZH_TAKES_BACK if sentence.language == "zh" else _TAKES_BACK
    correction, start = None, 0
    for match in pattern.finditer(sentence.text):
        if before := sentence.text[start : match.start()].strip(" ,，"):
            yield correction, sentence._replace(text=before)
        groups = match.groupdict()
        new = groups["new"] or groups.get("meant") or groups.get("late") or groups.get("count")
        marker = next((name for name in ("surely", "after_all") if groups.get(name)), None)
        surely = marker is not None
        # What follows the marker is read too: "no wait, I live in Rome" says it in full.
        correction, start = Correction(new, surely), match.end(marker) if marker else match.start()
    yield correction, sentence._replace(text=sentence.text[start:].strip(" ,，"))


def is_correctable(slot: str) -> bool:
    """Whether a claim of this slot has one value that another can take the place of."""
    return SLOTS[slot].single_valued or slot in _NAMES or slot in _COUNTED


def replacing(old: str, new: str) -> str | None:
    """`new` as a value that can stand where `old` stood: a number for a number, a name for a name."""
    if old.isdigit():
        bare = _ZH_UNIT.sub("", new.strip())
        number = zh_number(bare) if bare.lower() not in _EN_NUMBERS else _EN_NUMBERS.index(bare.lower())
        return None if number is None or str(number) == old else str(number)
    if (counted := _SEVERAL.match(old)) is not None:
        then, now = _number(counted[0]), _number(new)
        near = now is not None and then is not None and now > 1 and 0 < abs(now - then) <= _NOT_FAR
        return f"{new.lower()} {counted['what']}" if near else None
    if old[:1].isupper():
        words = new.strip("'\"").split()
        fits = bool(words) and all(word[:1].isupper() or word in {"de", "van", "of", "the"} for word in words)
        return " ".join(words) if fits and words[0] not in {"I", "I'm", "My", "It", "That"} else None
    if not _HAN_NAME.fullmatch(old) or not _HAN_NAME.fullmatch(new) or new == old:
        return None
    fits = known_place(new) if known_place(old) else len(new) <= 4 and _NO_NAME.search(new) is None
    return new if fits else None


def _number(word: str) -> int | None:
    lowered = word.lower()
    return int(word) if word.isdecimal() else _EN_NUMBERS.index(lowered) if lowered in _EN_NUMBERS else None


def is_of_another_number(correction: Correction, claimed: str) -> bool:
    """Whether it corrects a number that the sentence `claimed` something in has beside the claim: "I've been
    at Bosch for eight years. No, wait, nine." """
    return correction.new is not None and bool(_NUMBER.fullmatch(correction.new) and _NUMBER.search(claimed))


def corrections(
    message: Message, before: Sequence[Candidate], known: Sequence[Memory]
) -> Iterator[Candidate]:
    """The claim that a message of the form "X, not Y" makes, where Y is what a single-valued slot holds.

    The slot is looked for among the claims made just before, newest first, then in what is known.
    """
    content = message.content.strip()
    if (typed := _RETYPED.match(content)) is not None:
        yield from _retyped(typed["new"] or typed["also"], message, before)
        return
    match = _ENGLISH.match(content) or _CHINESE.match(content) if len(content) < 120 else None
    if match is None:
        return
    new, old = match["new"].strip(), normalise(match["old"])
    for candidate in (*reversed(before), *map(_as_candidate, known)):
        if (
            candidate.value is not None
            and normalise(candidate.value) == old
            and (candidate.topic, candidate.subtopic) in _SINGLE_VALUED
            and candidate.attributes.get("speaker") == message.name
        ):
            yield corrected(candidate, new, message)
            return


def _retyped(new: str, message: Message, before: Sequence[Candidate]) -> Iterator[Candidate]:
    """The newest claim just before, single-valued, that has a mistyped `new` in its value."""
    for candidate in reversed(before):
        if (
            candidate.value is None
            or (candidate.topic, candidate.subtopic) not in _SINGLE_VALUED
            or candidate.attributes.get("speaker") != message.name
        ):
            continue
        for word in candidate.value.split():
            alike = SequenceMatcher(None, word.casefold(), new.casefold()).ratio()
            if alike >= _ALIKE and word != new:
                yield corrected(candidate, candidate.value.replace(word, new), message)
                return


_MISSPOKEN = re.compile(
    r"^\W*(?:(?:(?:等等|等下|等一下|慢着|哎呀?|啊|哦|噢|呃)[，,。！!\s…]*)+不对|不对不对|"
    r"(?:我)?(?:刚才|刚刚|上面)?(?:说|记|打|写|搞|弄|算)错了|口误|我(?:刚才|刚刚)?(?:说|记)的不对)(?=[，,。！!；;：:…—\s]|我|$)"
    r"|^\W*(?:(?:oh|oops|sorry|hmm|ah)[\s,!.]+)*"
    r"(?:wait,? no\b|no,? wait\b|scratch that\b|strike that\b|i misspoke\b|"
    r"i (?:got|said|typed|wrote) that wrong\b)",
    re.I,
)


def was_misspoken(message: Message, before: Sequence[Candidate]) -> bool:
    """Whether the message takes back what the speaker's message before claimed (`before`), which was one
    thing, whatever it should have been."""
    said = message.content
    if not before or _MISSPOKEN.match(said[:100]) is None or re.search(r"[?？]|[吗呢]\W*$", said):
        return False
    return len({(claim.topic, claim.subtopic) for claim in before}) == 1


def retold(message: Message, before: Sequence[Candidate]) -> tuple[Candidate, Candidate] | None:
    """The claim that "对了，不是美式，是拿铁" says was mistaken, whatever its slot, and what it should be."""
    match = _NOT_BUT.match(message.content.strip())
    if match is None:
        return None
    old, new = match["old"], match["new"]
    for candidate in reversed(before):
        if candidate.value is not None and candidate.value.endswith(old) and not candidate.single_valued:
            value = candidate.value.removesuffix(old) + new
            return candidate, corrected(candidate, value, message)
    return None


def corrected(candidate: Candidate, new: str, message: Message) -> Candidate:
    """The claim with another value, as `message` says it."""
    return msgspec.structs.replace(
        candidate,
        text=candidate.text.replace(candidate.value or "", new),
        value=new,
        sources=(message.id,),
        event_time=message.event_time,
        valid_from=None,
    )


def _as_candidate(memory: Memory) -> Candidate:
    value = memory.attributes.get("value")
    current = memory.superseded_by is None and not memory.attributes.get("negates")
    return Candidate(
        kind=memory.kind,
        text=memory.text,
        value=value if isinstance(value, str) and current else None,
        topic=memory.topic,
        subtopic=memory.subtopic,
        profile_type=memory.profile_type,
        single_valued=True,
        attributes={name: memory.attributes[name] for name in ("speaker",) if name in memory.attributes},
        sources=(),
        language=memory.language or "en",
    )
