"""What English rules are made of: pieces of patterns, and how a value is cut out of a clause."""

from __future__ import annotations

import re
from typing import NamedTuple

from cluster.pipeline.rules.lexicon import EN_FRIENDS, EN_PETS, EN_RELATIONS, words

# Cuts a value off; CUT_RESTRICTIVE words narrow it, so that what is before them is not what was said.
_CUT = re.compile(
    r"\s*[,.!?;:()]|\s+-+\s|\s+(?:because|cuz|since|but|so|though|although|too|as well|a lot|very "
    r"much|so much|lol|haha|"
    r"right now|at the moment|these days|nowadays|lately|actually|honestly|myself|and (?:i|i'm|i've|"
    r"it|it's|its|they|he|she|"
    r"that|this|we|you|my|have|am|was|would|can|then|just|also|live|lives|work|works|enjoy|love|like|"
    r"hate|don't|currently|"
    r"been|usually|always|often|play|study))\b",
    re.I,
)
RESTRICTIVE = re.compile(
    (
        r"\b(?:that|which|who|whose|where|when|whenever|while|as|than|if|until|before|after|unless|how|"
        r"what|why)\b"
    ),
    re.I,
)
CONTEXT_BOUND = re.compile(
    r"\b(?:it|it's|its|this|that|these|those|them|they|they're|their|him|her|hers|his|he|she|she's|"
    r"he's|you|your|yours|you're|"
    r"u|ur|there|here|ones?|something|anything|everything|everyone|everybody|someone|nothing|stuff|"
    r"things?|such|same|"
    r"others?|another|both|idea|ideas|vibes?|feelings?|way|part|point|rest|bit|lot|lots|reminder|"
    r"design|hearing|"
    r"i|i'm|i've|we|we're|us|much|more|sound|look|looks|sounds)\b",
    re.I,
)
_THE_OK = re.compile(
    r"^the (?:beach|ocean|sea|outdoors|mountains?|piano|guitar|violin|drums|cello|flute|rain|snow|"
    r"cold|heat|sun|city|countryside|"
    r"gym|suburbs|coast|color \w+|colour \w+|theat(?:er|re)|arts|beatles|\ue000|[A-Z]\w+)",
)
PLACE = (
    r"(?P<v>(?:the )?[A-Z\u00c0-\u00de][\w.'\-]*(?:,? (?:of |de |del |la |and "
    r")?[A-Z\u00c0-\u00de][\w.'\-]*){0,4})"
)
LOWER_PLACE = r"(?P<v>[a-z][a-z\-]{2,}(?: [a-z]{3,}){0,1})"
NOT_PLACES = words("""a an the my this that fear hope hell peace love harmony luxury poverty apartment house flat dorm city town
    village home here there mind style touch bed person reality moment present past area same different
    order front back case""")
NAME = (
    r"(?P<v>[A-Z\u00c0-\u00de\u4e00-\u9fff][\w'\-]*(?: (?:(?:de|van|von|der|la|bin|al) "
    r")?[A-Z\u00c0-\u00de][\w'.\-]*){0,3})"
)
ANY_NAME = r"(?P<v>[A-Za-z\u00c0-\u024f\u4e00-\u9fff][\w'\-]*(?: [A-Za-z\u00c0-\u024f][\w'.\-]*){0,2})"
END = (
    r"\s*(?=$|[,.!?;:()\u2013\u2014]|\s-+\s|\s(?:and|but|so|because|since|for|with|now|right now|these "
    r"days|too|at the moment|currently)\b)"
)
ADVERBS = (
    r"(?:(?:also|really|absolutely|just|still|currently|now|recently|always|definitely|truly|genuinely|"
    r"actually|usually|often|mainly|mostly|particularly|especially|totally|simply|too|all) )*"
)
I_AM = r"(?:i'm|i am|im|i'm)"
NUMBER = r"(?:\d{1,2}|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
RELATION = "|".join(sorted(map(re.escape, EN_RELATIONS), key=len, reverse=True))
FRIEND = "|".join(sorted(map(re.escape, EN_FRIENDS), key=len, reverse=True))
PET = "|".join(sorted((f"{re.escape(pet)}" for pet in EN_PETS), key=len, reverse=True))
AGE = r"(?P<age>\d{1,3})"
YEARS_OLD = r"(?:-?\s?years?[- ]old|yrs? old|y/?o)"


class Context(NamedTuple):
    """What the patterns may know about the clause's surroundings."""

    dated: bool
    """The clause contains a date."""
    future: bool
    """The date lies after the time it was said."""


def third_person(text: str) -> str:
    """ "walk my dog" as told of someone else: "walk their dog"."""
    swaps = {"my": "their", "me": "them", "myself": "themselves", "mine": "theirs", "our": "their",
             "us": "them", "ourselves": "themselves", "am": "are"}  # fmt: skip
    return re.sub(
        r"\b(?:myself|my|me|mine|ourselves|our|us)\b", lambda m: swaps[m[0].lower()], text, flags=re.I
    )


def inflect(verb: str) -> str:
    """The third person singular of a verb: "go" → "goes"."""
    lowered = verb.lower()
    if lowered in {"have", "do", "go", "be"}:
        return {"have": "has", "do": "does", "go": "goes", "be": "is"}[lowered]
    if lowered.endswith(("s", "sh", "ch", "x", "z", "o")):
        return f"{verb}es"
    if lowered.endswith("y") and lowered[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"


_DOUBLING = words("run swim sit get put cut win plan shop jog hug travel chat knit rub sip nap jam")


def gerund(verb: str) -> str:
    """ "cook" → "cooking", so that "to cook" and "cooking" are one liking."""
    lowered = verb.lower()
    if lowered in {"lie", "die", "tie"}:
        return f"{verb[:-2]}ying"
    if lowered in _DOUBLING and lowered != "travel":
        return f"{verb}{verb[-1]}ing"
    if lowered.endswith("e") and not lowered.endswith(("ee", "oe", "ye")) and lowered != "be":
        return f"{verb[:-1]}ing"
    return f"{verb}ing"


def value_of(text: str, *, words: int = 7, the: bool = False) -> str | None:
    """A value cut out of the rest of a clause; None when it only means something in its context."""
    cut = _CUT.search(text)
    value = (text[: cut.start()] if cut else text).strip(" \t'*_~-")
    if not value or len(value.split()) > words or CONTEXT_BOUND.search(value) or RESTRICTIVE.search(value):
        return None
    if not the and value.lower().startswith("the ") and not _THE_OK.match(value):
        return None
    return third_person(value) if re.search(r"\b(?:my|me|our|us)\b", value, re.I) else value


_FIXED_PAIRS = re.compile(
    r"\b(?:rock and roll|rock & roll|mac and cheese|fish and chips|arts and crafts|r&b|r & b|bread "
    r"and butter|drum and bass|"
    r"black and white|peanut butter and jelly|dungeons and dragons|d&d|m&ms?|ins and outs|friends and family|"
    r"family and friends|give and take|beer and wine)\b",
    re.I,
)
_ITEM_END = re.compile(r"\s*(?:[.!?;:()]|\s-+\s)")


def items_of(text: str) -> list[str]:
    """The items of "singing, dancing and working out": up to the first that is none."""
    end = _ITEM_END.search(text)
    text = (text[: end.start()] if end else text).strip()
    parts = [part for part in re.split(r"\s*,\s*(?:and |or |& )?|\s*,?\s+etc\b\.?", text) if part]
    items: list[str] = []
    for number, part in enumerate(parts):
        pieces = [part]
        if not _FIXED_PAIRS.search(part):
            halves = re.split(r"\s+(?:and|&)\s+(?:also )?", part)
            short = all(len(half.split()) <= 2 for half in halves[:-1]) and len(halves[-1].split()) <= 4
            if len(parts) > 1 or short or all(_is_gerund(half) for half in halves):
                pieces = halves
        for piece in pieces:
            value = value_of(piece, words=6 if number == 0 else 4)
            if value is None or (items and _VERBAL.search(value)):
                return items
            items.append(value)
    return items


_VERBAL = re.compile(
    r"\b(?:is|are|was|were|am|has|have|had|do|does|did|will|can|live|work|makes?|helps?|let|makes)\b|n't\b",
    re.I,
)


def _is_gerund(text: str) -> bool:
    return text.split(" ", 1)[0].lower().endswith("ing")


def liking(text: str) -> list[str]:
    text = text.strip()
    infinitive = re.match(r"to (?:also )?([a-z]+)\b(.*)", text, re.I)
    if infinitive:
        if infinitive[1].lower() in {
            "be",
            "have",
            "think",
            "say",
            "know",
            "hear",
            "see",
            "admit",
            "help",
            "ask",
            "tell",
            "break",
            "do",
            "get",
            "imagine",
            "believe",
        }:
            return []
        text = gerund(infinitive[1]) + infinitive[2]
        text = re.sub(r"(,| and) (?=[a-z]+\b)", r"\1 ", text)
    return [tidied(item) for item in items_of(text)]


def tidied(value: str) -> str:
    return re.sub(
        (
            r"^(?:all kinds of|all sorts of|a good|some|any|most|lots of|really|all types of|all|eating|"
            r"to) (?=\w)"
        ),
        "",
        value,
        flags=re.I,
    )


def proper(value: str) -> bool:
    return bool(value) and (value[0].isupper() or not value[0].isascii())


def person_of(text: str) -> str | None:
    """A person's name out of what follows "my name is": lower-case words end it."""
    words = text.split()
    kept = [words[0]]
    for word in words[1:]:
        if not proper(word) and word.lower() not in {"de", "van", "von", "der", "la", "bin", "al"}:
            break
        kept.append(word)
    if any(word in {"I", "I'm", "Im", "My", "And", "From"} for word in kept[1:]):
        kept = kept[:1]
    return " ".join(kept).strip("'.-") or None


def place_of(text: str) -> str | None:
    value = text.strip(" ,.'")
    words = value.lower().split()
    if not words or words[0] in NOT_PLACES or any(word in {"i", "i'm", "my", "it", "we"} for word in words):
        return None
    if words[0] == "the" and not proper(value[4:]) and words[-1] not in {"countryside", "suburbs"}:
        return None
    return value
