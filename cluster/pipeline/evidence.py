"""Whether a claim is borne out by the messages it names. Pure, and the same for any model.

The rule, for Chinese and English alike (texts are compared without case, accents, spaces and punctuation):

1. It names messages that are there, at least one by a person who said something.
2. Its quote stands in one of those, letter by letter; or, since models smooth what they copy, at least
   QUOTED of the quote's terms stand in one of them. A claim without a quote is measured by its value, or
   else by its own text. Terms are word stems, and pairs of characters where words are not spaced.
3. What must be copied was: the value of a slot like a name or a place, the number in a value, and what a
   denial denies (that in the very messages it names), wherever both are written in the same script. (A nurse
   may be "works at a hospital"; a Zhang San may not be a Li Si.)
4. It names nobody and nothing that was not named: a capitalised word of a claim in Latin script must be in
   something the model was shown.
5. It is in the language that was spoken.
6. Why it is so is believed where a message it names says "because", "so" or the like, in a quote that also
   speaks of what is named as the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from cluster.analysis import normalise, search_terms, tokens
from cluster.model import Memory, Message
from cluster.pipeline.llm_answer import Claim, VariableClaim

QUOTED: Final = 0.75
"""Share of a quote's terms that must stand in one message, where it is not there letter by letter."""
UNQUOTED: Final = 0.5
"""Share of a text's terms that must, where there is no quote: it also says what the message left unsaid."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")
_NUMBER = re.compile(r"\d+")
_DIGITS = "零一二三四五六七八九"
_NUMBER_WORD = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|once|twice|dozen)\b",
    re.I,
)
_NAME = re.compile(r"\b[A-Z][\w'’-]*")
_ALWAYS_KNOWN = re.compile(
    r"users?|i|jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|"
    r"nov(ember)?|dec(ember)?|mon(day)?|tues?(day)?|wed(nesday)?|thu(rs(day)?)?|fri(day)?|sat(urday)?|sun(day)?",
    re.I,
)
_CAUSAL = re.compile(
    r"\b(?:because|'?cause|since|so|due to|owing to|thanks to|therefore|that's why|which is why|that is why|"
    r"hence|the reason|as a result|made me|led to|leads to|lets me)\b|"
    r"因为|因為|由于|由於|所以|因此|因而|于是|於是|是为了|是為了|导致|導致|害得|使得|原因",
    re.I,
)
_THAT_IS_WHY = re.compile(
    r"\W*(?:that's why|that is why|which is why|so|therefore|as a result|所以|因此|因而|于是|於是)", re.I
)
"""Refers to what was said before it."""
_GENERIC = frozenset({*tokens("user"), *tokens("用户")})
_COPIED = re.compile(
    r"(nick|full_|first_|last_|family_)?name|residence|city|hometown|birthplace|address|company|employer|"
    r"school|university|phone|email"
)
"""Slots whose value is copied from what was said, not concluded from it."""


def is_person(message: Message) -> bool:
    """Whether a person wrote it: what anyone else says is no evidence about people."""
    return message.role.lower() not in _NOT_PEOPLE


_NOT_PEOPLE = frozenset({"assistant", "ai", "system", "developer", "tool", "function"})


class Shown(msgspec.Struct, frozen=True):
    """What the model was shown."""

    said: Sequence[Message]
    """Numbered from 1."""
    earlier: Sequence[Message] = ()
    known: Sequence[Memory] = ()

    def named(self, evidence: Iterable[int]) -> list[Message]:
        """The messages with these numbers, those that are there."""
        return [self.said[n - 1] for n in dict.fromkeys(evidence) if 1 <= n <= len(self.said)]

    def words(self) -> set[str]:
        """Every term of every text."""
        texts = [f"{message.name or ''} {message.content}" for message in (*self.said, *self.earlier)]
        return {term for text in (*texts, *(memory.text for memory in self.known)) for term in tokens(text)}


def why_not(claim: Claim, shown: Shown, words: set[str]) -> str | None:
    """Why the claim is not believed; None when it is. `words` is `shown.words()`."""
    if not claim.text.strip():
        return "it says nothing"
    return (
        _unsupported(claim.text, claim.value, claim.evidence, claim.quote, shown)
        or _miscopied(claim, shown)
        or _invented_name(claim, words)
    )


def why_not_cause(quote: str, effect: Claim, cause: str, shown: Shown) -> str | None:
    """Why a cause of a claim is not believed; None when it is. `cause` is what the cause is said to be."""
    people = _people(shown.named(effect.evidence))
    if not _plain(quote) or not any(_plain(quote) in _plain(message.content) for message in people):
        return "its cause is not in the messages it names"
    if _CAUSAL.search(quote) is None:
        return "nothing says that it is the cause"
    if _THAT_IS_WHY.match(quote) is None and not _telling(quote) & _telling(cause):
        return "what says why speaks of something else"
    return None


def _telling(text: str) -> set[str]:
    """The terms of a text that mean something by themselves."""
    return {term for term in search_terms(text) if len(term) > 3 or _HAN.search(term)} - _GENERIC


def why_not_variable(claim: VariableClaim, shown: Shown) -> str | None:
    """The same for a variable, whose value must be copied."""
    if not claim.value.strip():
        return "it says nothing"
    if reason := _unsupported(claim.value, claim.value, claim.evidence, claim.quote, shown):
        return reason
    return _not_said(claim.value, [message.content for message in _people(shown.named(claim.evidence))])


def speaks_otherwise(text: str, sources: Sequence[Message]) -> bool:
    """Whether a text is in another language than the messages it rests on: Chinese of what has none, or
    nothing Chinese of what is all Chinese."""
    said = "\n".join(message.content for message in _people(sources) or sources)
    for message in sources:
        if message.name:
            text = text.replace(message.name, "")
    if _HAN.search(text):
        return _LATIN.search(said) is not None and not _HAN.search(said)
    return _LATIN.search(text) is not None and _HAN.search(said) is not None and not _LATIN.search(said)


def _people(messages: Iterable[Message]) -> list[Message]:
    return [message for message in messages if is_person(message) and message.content.strip()]


def _unsupported(
    text: str, value: str | None, evidence: Sequence[int], quote: str | None, shown: Shown
) -> str | None:
    people = _people(shown.named(evidence))
    if not people:
        return "it names no message of a person"
    if quote is None or not _plain(quote):
        copied = set(search_terms(value or ""))
        if copied and any(copied <= _terms(message) for message in people):
            return None
        terms, share, wanted = _said_in(text), UNQUOTED, "its text"
    elif any(_plain(quote) in _plain(message.content) for message in people):
        return None
    else:
        terms, share, wanted = set(search_terms(quote)), QUOTED, "its quote"
    best = max(len(terms & _terms(message)) for message in people)
    if not terms or best < share * len(terms):
        return f"{wanted} is not in the messages it names"
    return None


def _said_in(text: str) -> set[str]:
    """The words, or characters, of a text that is no quotation: who it is about aside."""
    return {term for term in tokens(text) if len(term) == 1 or not _HAN.search(term)} - _GENERIC


def _terms(message: Message) -> set[str]:
    return set(tokens(f"{message.name or ''} {message.content}"))


def _miscopied(claim: Claim, shown: Shown) -> str | None:
    if claim.value is None or not claim.value.strip():
        return "it denies nothing in particular" if claim.negates else None
    people = [f"{message.name or ''} {message.content}" for message in _people(shown.named(claim.evidence))]
    if claim.negates:
        return _not_said(claim.value, people)
    texts = [*people, *(f"{message.name or ''} {message.content}" for message in shown.earlier)]
    if _COPIED.fullmatch(claim.subtopic or ""):
        return _not_said(claim.value, texts)
    return _wrong_number(claim.value, texts)


def _not_said(value: str, texts: Sequence[str]) -> str | None:
    if not _same_script(value, "\n".join(texts)):
        return None
    if _NUMBER.search(value) is not None:
        return _wrong_number(value, texts)
    terms = set(search_terms(value))
    return None if any(terms & set(tokens(text)) for text in texts) else "its value was not said"


def _wrong_number(value: str, texts: Sequence[str]) -> str | None:
    numbers = set(_NUMBER.findall(value))
    said = "\n".join(texts)
    if not numbers or _NUMBER_WORD.search(said) or numbers & set(_NUMBER.findall(said)):
        return None
    if any(spelt in said for number in numbers for spelt in _in_chinese(number)):
        return None
    return "a number in its value was not said"


def _in_chinese(number: str) -> set[str]:
    """How a number below 10,000 is written in Chinese: 1993 is 一千九百九十三, or 一九九三."""
    plain = "".join(_DIGITS[int(digit)] for digit in number)
    if len(number) > 4 or number.startswith("0"):
        return {plain}
    parts = [
        ("零" if digit == "0" else _DIGITS[int(digit)] + unit)
        for digit, unit in zip(number, ["千", "百", "十", ""][-len(number) :], strict=True)
    ]
    whole = re.sub("零+", "零", "".join(parts)).rstrip("零")
    spelt = {plain, whole, whole.replace("二千", "两千").replace("二百", "两百")}
    if number == "2":
        spelt.add("两")
    return spelt | ({whole[1:]} if whole.startswith("一十") else set())


def _same_script(value: str, said: str) -> bool:
    if _HAN.search(value):
        return _HAN.search(said) is not None
    return _LATIN.search(value) is None or _LATIN.search(said) is not None


def _invented_name(claim: Claim, words: set[str]) -> str | None:
    if _HAN.search(claim.text):
        return None
    for match in _NAME.finditer(claim.text):
        name = match[0]
        begins = claim.text[: match.start()].rstrip(" \"'“‘(")[-1:] in ("", ".", "!", "?", ":", ";")
        terms = set(tokens(name))
        if begins or _ALWAYS_KNOWN.fullmatch(name.removesuffix("'s")) or not terms or terms & words:
            continue
        return "it names what nobody has named"
    return None


def _plain(text: str) -> str:
    return "".join(character for character in normalise(text) if character.isalnum())
