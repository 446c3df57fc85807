"""What English rules are made of: pieces of patterns, and how a value is cut out of a clause."""

from __future__ import annotations

import re
from typing import NamedTuple

from cluster.pipeline.rules.lexicon import EN_FRIENDS, EN_PETS, EN_RELATIONS, word_list

# _CUT ends a value; a word of RESTRICTIVE narrows it, so that what stands before it is not what was said.
_CUT = re.compile(
    r"\s*[,.!?;:()]|\s+-+\s|\s+(?:because|cuz|since|but|so|though|although|too|as well|a lot|more than|"
    r"(?:even )?"
    r"(?:more|worse|better) than|cos|coz|'cause|bc|seeing as|"
    r"(?:it's|its|that's|they're|he's|she's) (?:just|so|too|really|very|not|such|always|an?|the|my|"
    r"easier|better)|"
    r"very "
    r"much|so much|lol|haha|"
    r"at least|at most|by the way|btw|i (?:think|guess|suppose|must say)|you know|"
    r"right now|at the moment|these days|nowadays|lately|actually|honestly|and (?:i|i'm|i've|"
    r"it|it's|its|they|he|she|"
    r"that|this|we|you|my|have|am|was|would|can|then|just|also|live|lives|work|works|enjoy|love|like|"
    r"hate|don't|currently|"
    r"been|usually|always|often|play|study))\b",
    re.I,
)
RESTRICTIVE = re.compile(
    (
        r"\b(?:that|which|who|whose|whatever|whoever|wherever|however|where|when|whenever|while|as|than|if|"
        r"until|before|after|unless|how|"
        r"what|why)\b"
    ),
    re.I,
)
CONTEXT_BOUND = re.compile(
    r"\b(?:it|it's|its|this|that|these|those|them|they|they're|their|him|her|hers|his|he|she|she's|"
    r"he's|you|your|yours|you're|"
    r"u|ur|there|here|ones?|something|anything|everything|everyone|everybody|someone|nothing|stuff|"
    r"things?|such|same|"
    r"others?|another|both|everywhere|anywhere|nowhere|somewhere|idea|ideas|vibes?|feelings?|way|part|"
    r"point|rest|bit|lot|lots|reminder|"
    r"design|hearing|"
    r"options?|versions?|choices?|suggestions?|chats?|conversations?|"
    r"neither|either|none|former|latter|i|i'm|i've|we|we're|us|much|more|sound|look|looks|sounds)\b",
    re.I,
)
_THE_OK = re.compile(
    r"^the (?:beach|ocean|sea|outdoors|mountains?|piano|guitar|violin|drums|cello|flute|rain|snow|"
    r"cold|heat|sun|city|countryside|"
    r"gym|suburbs|coast|color \w+|colour \w+|theat(?:er|re)|arts|beatles|\ue000|[A-Z]\w+)",
)
PLACE = (
    r"(?P<v>(?:the )?(?-i:[A-Z\u00c0-\u00de][\w.'\-]*"
    r"(?:,? (?:of |de |del |la |and )?[A-Z\u00c0-\u00de][\w.'\-]*){0,4}))"
)
LOWER_PLACE = r"(?P<v>(?-i:[a-z][a-z\-]{2,}(?: [a-z]{3,}){0,1}))"
NOT_PLACES = word_list(
    """
    a an the my this that fear hope hell peace love harmony luxury poverty apartment house flat dorm
    city town village home here there mind style touch bed person reality moment present past area same
    different order front back case tears bed sofa couch floor top next another new team side
    hr it sales marketing accounting accounts finance legal support procurement operations engineering
    purchasing reception maintenance management production logistics
    windows linux macos android ios excel slack teams notion chrome firefox premium
    """
)
NAME = (
    r"(?P<v>(?-i:[A-Z\u00c0-\u00de\u4e00-\u9fff][\w'\-]*"
    r"(?: (?:(?:de|van|von|der|la|bin|al) )?[A-Z\u00c0-\u00de][\w'.\-]*){0,3}))"
)
ANY_NAME = r"(?P<v>[A-Za-z\u00c0-\u024f\u4e00-\u9fff][\w'\-]*(?: [A-Za-z\u00c0-\u024f][\w'.\-]*){0,2})"
END = (
    r"\s*(?=$|[,.!?;:()\u2013\u2014]|\s-+\s|\s(?:and|but|so|because|since|for|with|now|these days|"
    r"too|at the moment|currently|in|on|near|as|where|which|when|while|"
    r"though|although)\b)"
)
ADVERBS = (
    r"(?:(?:also|really|absolutely|just|still|currently|now|recently|always|definitely|truly|genuinely|"
    r"do|actually|usually|often|mainly|mostly|particularly|especially|totally|simply|too|all) )*"
)
I_AM = r"(?:i'm|i am|im|i'm)"
NUMBER = r"(?:\d{1,2}|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
RELATION = "|".join(sorted(map(re.escape, EN_RELATIONS), key=len, reverse=True))
PARTNER = "boyfriend|girlfriend|partner|fiancée?|fiancee?|wife|husband|hubby|spouse"
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
    vague: bool = False
    """The date names no day."""


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


_DOUBLING = word_list("run swim sit get put cut win plan shop jog hug travel chat knit rub sip nap jam")


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


_EMPTY = re.compile(
    r"(?:to|too|then|but|and|not|up|down|out|off|away|back|over|around|alone|still|a few|few|several|"
    r"new skills?|a new skill|a ton|tons|loads|sorry|thanks|please|"
    r"unfortunately|obviously|apparently|mostly|ok|okay|right)$|(?:and|or|but|not|no|of) ",
    re.I,
)
_UNFINISHED = re.compile(
    r"\b(?:the|an?|of|to|with|for|from|at|and|or|than|my|our|his|their|very|so|not|is|are|was|really)$", re.I
)
"""A value that ends so has lost what it is about."""
_TRAILING = re.compile(
    r"(?:\s+(?:recently|now|lately|next|then|sometimes|together|again|anyway|now and then|later|instead|soon|"
    r"from time to time|once in a while|every now and then|these|already|for sure|as always|and))+$",
    re.I,
)


def value_of(text: str, *, words: int = 7, the: bool = False) -> str | None:
    """A value cut out of the rest of a clause; None when it only means something in its context."""
    cut = _CUT.search(text)
    value = (text[: cut.start()] if cut else text).strip(" \t'*_~-")
    value = _TRAILING.sub("", value)
    if not value or len(value.split()) > words or CONTEXT_BOUND.search(value) or RESTRICTIVE.search(value):
        return None
    if _EMPTY.match(value) or _UNFINISHED.search(value):
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
_LIST_END = re.compile(
    r"\s*(?:[.!?;:()]|\s-+\s|,\s*(?:but|so|because|which|who|especially|particularly|mainly|like|such "
    r"as|though|"
    r"although|it|it's|they|i|i'm|and (?:i|it|it's|they|that|so)|since|when|while|even|not|too|then|"
    r"just|as|if|you|we|"
    r"he|she|where|with|to|in|on|at|for|from)\b)",
    re.I,
)
_PREPOSITION = re.compile(r"\b(?:near|in|at|on|with|to|of|for|about|from|around|by|through)\b", re.I)
_ADJECTIVE_LIST = re.compile(r"\b(?:an?|the) \w+$", re.I)


def items_of(text: str) -> list[str]:
    """The items of "singing, dancing and working out": up to the first that is none."""
    end = _LIST_END.search(text)
    text = (text[: end.start()] if end else text).strip()
    parts = [part for part in re.split(r"\s*,\s*(?:and |or |& )?|\s*,?\s+etc\b\.?", text) if part]
    if len(parts) > 1 and _ADJECTIVE_LIST.search(parts[0]):
        return []  # "a safe, inviting place"
    items: list[str] = []
    for part in parts:
        if items and _PREPOSITION.search(parts[0]) and not _is_gerund(part):
            return items  # "shooting near beaches, mountains and lakes"
        for piece in _halves(part, listed=len(parts) > 1):
            value = value_of(piece, words=9 if not items else 5)
            if value is None or (items and _VERBAL.search(value)):
                return items
            items.append(value)
    return items


def _halves(part: str, *, listed: bool) -> list[str]:
    """What stands on both sides of "and", where that joins two things and not two words of one."""
    if _FIXED_PAIRS.search(part):
        return [part]
    halves = re.split(r"\s+(?:and|&)\s+(?:also )?", part)
    if len(halves) == 1:
        return halves
    first, rest = halves[0], halves[1:]
    if _is_gerund(first):
        alone = len(first.split()) == 1 and not listed
        if all(re.search(r"ing\b", half) for half in rest) or (
            alone and len(rest) == 1 and len(rest[0].split()) == 1
        ):
            return halves
        return [part] if len(first.split()) > 1 or not listed else halves
    if any(len(half.split()) > 4 for half in rest) or len(first.split()) > 3:
        return [part]
    # "action and comedy movies" has one head; "comedies and romance films" has two.
    if len(first.split()) == 1 and any(len(half.split()) > 1 for half in rest):
        return halves if first.endswith("s") else [part]
    return halves


_VERBAL = re.compile(
    r"\b(?:is|are|was|were|am|has|have|had|do|does|did|will|can|live|work|makes?|helps?|let|makes|"
    r"tastes?|smells?|looks?|feels?|sounds?|gives?|gets?|takes?|keeps?|turns?|goes|ruins?|seems?|reminds?|"
    r"needs?|"
    r"always have|never have)\b|n't\b",
    re.I,
)


def _is_gerund(text: str) -> bool:
    return text.split(" ", 1)[0].lower().endswith("ing")


_NOT_LIKINGS = word_list("be have think say know hear see admit help ask tell break do get imagine believe")


def liking(text: str) -> list[str]:
    """What is liked: "to cook" as "cooking"."""
    text = re.sub(r"^(?:all|both|some of|most of|each of) (?=the\b)", "", text.strip(), flags=re.I)
    infinitive = re.match(r"to (?:also )?([a-z]+)\b(.*)", text, re.I)
    if infinitive:
        if infinitive[1].lower() in _NOT_LIKINGS:
            return []
        text = gerund(infinitive[1]) + infinitive[2]
    return [tidied(item) for item in items_of(text)]


def tidied(value: str) -> str:
    """A value without the words around it that say nothing of it."""
    return re.sub(
        r"^(?:all kinds of|all sorts of|all types of|a good|some|any|most|lots of|really|all|eating|"
        r"especially|"
        r"particularly|mainly|mostly|also|doing) (?=\w)",
        "",
        value,
        flags=re.I,
    )


def proper(value: str) -> bool:
    """Whether it begins with a capital, or in a script that has none."""
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


_ANOTHER = re.compile(r",\s*[^,]+'s$")
"""What the sentence goes on about: "in Augsburg, Munich's too expensive"."""


def place_of(text: str) -> str | None:
    """A place's name; None when it is none ("the moment")."""
    value = _ANOTHER.sub("", text).strip(" ,.'")
    words = value.lower().split()
    if (
        len(value) < 2
        or (words[0] in NOT_PLACES and not re.match(r"(?:New|Hope|Home) [A-Z]", value))
        or any(word in {"i", "i'm", "my", "it", "we"} for word in words)
    ):
        return None
    if words[0] == "the" and not proper(value[4:]) and words[-1] not in {"countryside", "suburbs"}:
        return None
    return value
