"""The rules for English: a clause in, claims out. Every pattern is anchored at the clause's beginning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cluster.pipeline.rules.lexicon import (
    EN_CONDITIONS,
    EN_FRIENDS,
    EN_INDUSTRIES,
    EN_LANGUAGES,
    EN_NATIONALITIES,
    EN_NOT_NAMES,
    EN_OCCUPATIONS,
    EN_PETS,
    EN_RELATIONS,
)
from cluster.pipeline.rules.slots import Claim

HYPOTHETICAL = re.compile(
    r"\b(?:if|unless|would|wouldn't|could|might|maybe|perhaps|possibly|probably|imagine|suppose|supposing|pretend|"
    r"wish|what if|as though|let's say|hypothetically|in a dream|dreamed|dreamt|character|lyrics?|joke|example)\b|'d\b",
    re.I,
)
JOKE = re.compile(
    r"\b(?:just kidding|kidding|jk|j/k|joking|just messing|messing with you|pulling your leg|not really lol|april fool'?s?)\b",
    re.I,
)
REPORTED = re.compile(
    r"\b(?:says?|said|saying|told me|tells me|asked|asks|claims?|claimed|wrote|writes|thinks|thought|believes?|"
    r"according to|heard|quote|goes|like to say|assumes?|insists?)\b",
    re.I,
)
CORRECTION = re.compile(
    r"^(?:(?:no|oh|sorry|actually|wait|correction|i meant?|oops|my mistake)[\s,!.]+)+(?:it's|it is|that's|i meant?)?\s*"
    r"(?P<new>[^,.!?]{1,40}?),? (?:and )?not (?P<old>[^,.!?]{1,40})[.!]?$",
    re.I,
)
_OPENER = re.compile(
    r"^(?:(?:well|oh|hi|hey|hello|hiya|yeah|yes|yep|yup|sure|ok|okay|so|and|but|also|plus|actually|honestly|haha|hmm+|um|"
    r"btw|by the way|as for me|for me|personally|in fact|to be honest|tbh|anyway|now|these days|nowadays|lately|"
    r"recently|currently|at the moment|right now|nice to meet you|of course|no|nope|as you know|because|cause|"
    r"i(?: already)? told you(?: that)?|just so you know|fyi|you know(?: that)?|remember(?: that)?|please remember(?: that)?|"
    r"note that|the (?:fact|thing) is|usually|in general|generally|basically|sorry|wait|good morning|good evening|"
    r"good afternoon|there|everyone|all|friend|speaking of which|oh and|wow|awesome|great|cool|thanks|thank you)\b"
    r"[\s,!:.\-]*)+",
    re.I,
)
_SPLIT = re.compile(
    r"\s*(?:[;:()\u2013\u2014]|\s-+\s|,(?=\s*(?:and |but |so |plus |because |though |although |yet )?(?:i|i'm|i've|my|mine|we|"
    r"she|he|they|it|it's|you|what|how|where|who|do|are|have|can|could|which|right|is)\b))\s*"
    r"|\s+(?=(?:and|but|so|plus|because|cuz|though|although)\s+(?:i|i'm|i've|my)\b)",
    re.I,
)
_CONJUNCTION = re.compile(r"^(?:and|but|so|plus|because|cuz|though|although|yet|or)\s+", re.I)
_QUESTION_CLAUSE = re.compile(
    r"^(?:and |but |so |or )?(?:what|how|where|who|why|when|which|do|does|did|are|is|was|were|have|has|can|could|would|will|"
    r"should|any|you|ever|guess|know|don't|isn't|aren't)\b",
    re.I,
)
_TAG = re.compile(
    r"^(?:right|correct|no|yes|isn't it|am i|aren't i|do i|don't i|or not|is it|yeah|ok|okay|eh|huh|you know)\W*$",
    re.I,
)

# Cuts a value off; CUT_RESTRICTIVE words narrow it, so that what is before them is not what was said.
_CUT = re.compile(
    r"\s*[,.!?;:()]|\s+-+\s|\s+(?:because|cuz|since|but|so|though|although|too|as well|a lot|very much|so much|lol|haha|"
    r"right now|at the moment|these days|nowadays|lately|actually|honestly|myself|and (?:i|i'm|i've|it|it's|its|they|he|she|"
    r"that|this|we|you|my|have|am|was|would|can|then|just|also|live|lives|work|works|enjoy|love|like|hate|don't|currently|"
    r"been|usually|always|often|play|study))\b",
    re.I,
)
_RESTRICTIVE = re.compile(
    r"\b(?:that|which|who|whose|where|when|whenever|while|as|than|if|until|before|after|unless|how|what|why)\b",
    re.I,
)
_CONTEXT = re.compile(
    r"\b(?:it|it's|its|this|that|these|those|them|they|they're|their|him|her|hers|his|he|she|she's|he's|you|your|yours|you're|"
    r"u|ur|there|here|ones?|something|anything|everything|everyone|everybody|someone|nothing|stuff|things?|such|same|"
    r"others?|another|both|idea|ideas|vibes?|feelings?|way|part|point|rest|bit|lot|lots|reminder|design|hearing|"
    r"i|i'm|i've|we|we're|us|much|more|sound|look|looks|sounds)\b",
    re.I,
)
_THE_OK = re.compile(
    r"^the (?:beach|ocean|sea|outdoors|mountains?|piano|guitar|violin|drums|cello|flute|rain|snow|cold|heat|sun|city|countryside|"
    r"gym|suburbs|coast|color \w+|colour \w+|theat(?:er|re)|arts|beatles|\ue000|[A-Z]\w+)",
)
_PLACE = r"(?P<v>(?:the )?[A-Z\u00c0-\u00de][\w.'\-]*(?:,? (?:of |de |del |la |and )?[A-Z\u00c0-\u00de][\w.'\-]*){0,4})"
_LOWER_PLACE = r"(?P<v>[a-z][a-z\-]{2,}(?: [a-z]{3,}){0,1})"
_NOT_PLACES = frozenset(
    """a an the my this that fear hope hell peace love harmony luxury poverty apartment house flat dorm city town
    village home here there mind style touch bed person reality moment present past area same different
    order front back case""".split()
)
_NAME = r"(?P<v>[A-Z\u00c0-\u00de\u4e00-\u9fff][\w'\-]*(?: (?:(?:de|van|von|der|la|bin|al) )?[A-Z\u00c0-\u00de][\w'.\-]*){0,3})"
_ANY_NAME = r"(?P<v>[A-Za-z\u00c0-\u024f\u4e00-\u9fff][\w'\-]*(?: [A-Za-z\u00c0-\u024f][\w'.\-]*){0,2})"
_END = r"\s*(?=$|[,.!?;:()\u2013\u2014]|\s-+\s|\s(?:and|but|so|because|since|for|with|now|right now|these days|too|at the moment|currently)\b)"
_ADVERBS = r"(?:(?:also|really|absolutely|just|still|currently|now|recently|always|definitely|truly|genuinely|actually|usually|often|mainly|mostly|particularly|especially|totally|simply|too|all) )*"
_I_AM = r"(?:i'm|i am|im|i'm)"
_NUMBER = r"(?:\d{1,2}|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
_REL = "|".join(sorted(map(re.escape, EN_RELATIONS), key=len, reverse=True))
_FRIEND = "|".join(sorted(map(re.escape, EN_FRIENDS), key=len, reverse=True))
_PETS = "|".join(sorted((f"{re.escape(pet)}" for pet in EN_PETS), key=len, reverse=True))
_AGE = r"(?P<age>\d{1,3})"
_UNIT = r"(?:-?\s?years?[- ]old|yrs? old|y/?o)"


class Context(NamedTuple):
    """What the patterns may know about the clause's surroundings."""

    dated: bool
    """The clause contains a date."""
    future: bool
    """The date lies after the time it was said."""


_Handler = Callable[[re.Match[str], Context], Iterator[Claim]]
_RULES: list[tuple[re.Pattern[str], _Handler]] = []


def _rule(*patterns: str, case: bool = False) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _RULES.extend((re.compile(pattern, 0 if case else re.I), handler) for pattern in patterns)
        return handler

    return register


def split_clauses(sentence: str, *, question: bool) -> list[str]:
    """The sentence's clauses; of a question only the statements that come before what is asked."""
    clauses = [clause.strip(" ,.!") for clause in _SPLIT.split(sentence)]
    clauses = [clause for clause in clauses if clause]
    if not question:
        return clauses
    kept: list[str] = []
    for clause in clauses:
        if _TAG.match(clause):
            return []
        if _QUESTION_CLAUSE.match(_OPENER.sub("", clause)):
            return kept
        kept.append(clause)
    return []


def claims_in(clause: str, context: Context) -> Iterator[Claim]:
    """The claims that one clause makes about its speaker."""
    clause = _CONJUNCTION.sub("", clause)
    clause = _OPENER.sub("", clause).strip()
    if not clause:
        return
    first = clause[:3].lower()
    if first[0] not in "imytcbpfweh\ue000" and " my " not in clause[:80] and "'s my" not in clause[:60]:
        return
    for pattern, handler in _RULES:
        match = pattern.match(clause)
        if match is None:
            continue
        found = list(handler(match, context))
        if found:
            yield from found
            return


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


_DOUBLING = frozenset(
    "run swim sit get put cut win plan shop jog hug travel chat knit rub sip nap jam".split()
)


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


def _value(text: str, *, words: int = 7, the: bool = False) -> str | None:
    """A value cut out of the rest of a clause; None when it only means something in its context."""
    cut = _CUT.search(text)
    value = (text[: cut.start()] if cut else text).strip(" \t'*_~-")
    if not value or len(value.split()) > words or _CONTEXT.search(value) or _RESTRICTIVE.search(value):
        return None
    if not the and value.lower().startswith("the ") and not _THE_OK.match(value):
        return None
    return third_person(value) if re.search(r"\b(?:my|me|our|us)\b", value, re.I) else value


_FIXED_PAIRS = re.compile(
    r"\b(?:rock and roll|rock & roll|mac and cheese|fish and chips|arts and crafts|r&b|r & b|bread and butter|drum and bass|"
    r"black and white|peanut butter and jelly|dungeons and dragons|d&d|m&ms?|ins and outs|friends and family|"
    r"family and friends|give and take|beer and wine)\b",
    re.I,
)
_ITEM_END = re.compile(r"\s*(?:[.!?;:()]|\s-+\s)")


def _items(text: str) -> list[str]:
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
            value = _value(piece, words=6 if number == 0 else 4)
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


def _liking(text: str) -> list[str]:
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
    return [_untidy(item) for item in _items(text)]


def _untidy(value: str) -> str:
    return re.sub(
        r"^(?:all kinds of|all sorts of|a good|some|any|most|lots of|really|all types of|all|eating|to) (?=\w)",
        "",
        value,
        flags=re.I,
    )


def _proper(value: str) -> bool:
    return bool(value) and (value[0].isupper() or not value[0].isascii())


# --- who ---------------------------------------------------------------------------------------


@_rule(
    rf"my (?:full |real |first |own )?name(?:'s| is| would be)(?: actually| now)? {_ANY_NAME}(?P<rest>.*)$"
)
def _name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _person(match["v"])
    if value and value.split()[0].lower() not in {
        "not",
        "a",
        "the",
        "on",
        "in",
        "so",
        "very",
        "what",
        "also",
        "pretty",
        "hard",
    }:
        yield Claim("name", value, confidence=0.97)


@_rule(
    rf"(?:please |just |but |you can |everyone |everybody |people |friends |my friends )*(?:all |usually |just )*calls? me {_NAME}\W*(?:please|instead|for short)?\W*$",
    rf"(?:i go by|my nickname(?:'s| is)) {_NAME}\W*$",
    case=False,
)
def _nickname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _person(match["v"])
    if value and _proper(value):
        yield Claim("nickname", value, confidence=0.9)


@_rule(
    rf"(?:I'm|I am|Im|This is|this is|i'm|i am) {_NAME}(?P<rest>[,.! ]*(?:by the way|here|nice to meet you|and (?:I|i)\b.*)?)$",
    case=True,
)
def _i_am_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _person(match["v"])
    if value and _proper(value) and not any(word.lower() in EN_NOT_NAMES for word in value.split()):
        yield Claim("name", value, confidence=0.85)
    elif value and value.lower() in EN_NATIONALITIES:
        yield Claim("nationality", value)


def _person(text: str) -> str | None:
    """A person's name out of what follows "my name is": lower-case words end it."""
    words = text.split()
    kept = [words[0]]
    for word in words[1:]:
        if not _proper(word) and word.lower() not in {"de", "van", "von", "der", "la", "bin", "al"}:
            break
        kept.append(word)
    if any(word in {"I", "I'm", "Im", "My", "And", "From"} for word in kept[1:]):
        kept = kept[:1]
    return " ".join(kept).strip("'.-") or None


@_rule(
    rf"{_I_AM} (?:now |currently |only |already |just )?{_AGE}(?: {_UNIT}| years of age|{_UNIT})(?! (?:boy|girl|dog))\b(?P<rest>.*)$",
    rf"{_I_AM} (?:now |currently |only |already )?{_AGE}(?P<rest>)(?:[.!,]|$| and\b)",
    rf"(?:i (?:just )?turned|i've (?:just )?turned) {_AGE}\b(?! (?:degrees|pages|miles))(?P<rest>)",
    rf"my age(?:'s| is) {_AGE}\b(?P<rest>)",
)
def _age(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if 3 <= int(match["age"]) <= 120:
        yield Claim("age", match["age"], confidence=0.95)


@_rule(
    rf"{_I_AM} (?:just )?an? {_AGE}(?:-| )years?(?:-| )old (?P<rest>.+)$",
)
def _aged_noun(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if 3 <= int(match["age"]) <= 120:
        yield Claim("age", match["age"], confidence=0.95)
    yield from _gender_of(match["rest"])
    yield from _occupation(match["rest"], context)


@_rule(
    rf"{_I_AM} an? (?P<rest>(?:(?:cis|trans|transgender|young|straight|single|married|black|white|middle-aged) )*(?:man|woman|guy|girl|boy|female|male|lady))\b\W*(?:$|from|in|who|with|and|living)"
)
def _gender(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield from _gender_of(match["rest"])


def _gender_of(text: str) -> Iterator[Claim]:
    found = re.match(r"(?:[\w-]+ ){0,3}?(man|woman|guy|girl|boy|female|male|lady)\b", text, re.I)
    if found:
        word = found[1].lower()
        yield Claim("gender", "male" if word in {"man", "guy", "boy", "male"} else "female")


@_rule(
    rf"{_I_AM} (?:originally |actually )*from {_PLACE}{_END}",
    rf"i (?:come|came|hail) from {_PLACE}{_END}",
    rf"(?:i (?:grew up|was raised|was born and raised) in|my home ?town(?:'s| is)) {_PLACE}{_END}",
    rf"i was born in {_PLACE}{_END}",
    case=False,
)
def _hometown(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _place(match["v"])
    if value:
        yield Claim("hometown", value)


@_rule(
    rf"{_I_AM} (?:originally |half[- ])?(?P<v>{'|'.join(sorted(EN_NATIONALITIES))})(?: citizen)?\W*(?:$|and i\b|but i\b|living)",
    rf"my nationality(?:'s| is) (?P<v>[A-Za-z]+)",
)
def _nationality(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if "half" not in match[0].lower():
        yield Claim("nationality", match["v"].capitalize())


@_rule(
    rf"i (?:(?:currently|now|still|actually|just) )*(?:live|reside|stay)(?: alone| together)?(?: (?:right|over) here| out| up| down)? in {_PLACE}{_END}",
    rf"(?:{_I_AM}|i've been) (?:(?:currently|now|actually|still) )*(?:living|based|residing|settled) in {_PLACE}{_END}",
    rf"i(?:'ve| have)? (?:(?:just|recently|finally|actually|already) )*(?:moved|relocated)(?: back| over| out| down| up| here)*(?: from [A-Z][\w ,.'-]{{1,40}}?)? to {_PLACE}{_END}",
    rf"i(?:'ve| have) lived in {_PLACE}{_END}",
    rf"(?:my home is|my home's) in {_PLACE}{_END}",
    rf"(?:my (?:house|apartment|place|home) is) in {_PLACE}{_END}",
    rf"i (?:(?:currently|now|still) )*live in {_LOWER_PLACE}\W*(?:$|now|and i\b|with my)",
    rf"i(?:'ve| have)? (?:(?:just|recently) )*moved(?: from [a-z ]{{2,30}}?)? to {_LOWER_PLACE}\W*(?:$|and i\b)",
)
def _residence(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = _place(match["v"])
    moved = "moved" in match[0].lower() or "relocated" in match[0].lower()
    if value and not (context.future and moved):
        yield Claim("residence", value, confidence=0.95, dated=moved)


def _place(text: str) -> str | None:
    value = text.strip(" ,.'")
    words = value.lower().split()
    if not words or words[0] in _NOT_PLACES or any(word in {"i", "i'm", "my", "it", "we"} for word in words):
        return None
    if words[0] == "the" and not _proper(value[4:]) and words[-1] not in {"countryside", "suburbs"}:
        return None
    return value


@_rule(
    rf"i used to live in {_PLACE}{_END}",
    rf"i (?:don't|do not|no longer) live in {_PLACE}(?: any ?more)?\W*$",
)
def _not_residence(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _place(match["v"])
    ended = (
        "used to" in match[0].lower()
        or "no longer" in match[0].lower()
        or "any" in match[0][match.end("v") - match.start() :].lower()
    )
    if value and ended:
        yield Claim("residence", re.sub(r" any ?more$", "", value, flags=re.I), negates=True)


# --- work and study ----------------------------------------------------------------------------

_AT = r"(?: (?:at|for|with) (?P<company>(?:the |an? )?[A-Z][\w&.'\-]*(?: (?:of |and |& )?[A-Z][\w&.'\-]*){0,4}))?"


@_rule(
    rf"{_I_AM} {_ADVERBS}(?:working as )?an? (?P<rest>.+)$",
    rf"i {_ADVERBS}work as an? (?P<rest>.+)$",
    rf"my (?:job|occupation|profession)(?:'s| is)(?: being| as)? an? (?P<rest>.+)$",
    rf"i(?:'ve| have) (?:just )?(?:started|become) (?:working )?(?:as )?an? (?P<rest>.+)$",
    r"i (?:now |just |recently )?(?:got|started|took|have) (?:a )?(?:new )?(?:job|work|position|role)s? as an? (?P<rest>.+)$",
)
def _job(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future:
        return
    yield from _occupation(
        match["rest"], context, trust=not re.match(rf"{_I_AM} {_ADVERBS}an? ", match[0], re.I)
    )


_OCCUPATION_END = re.compile(
    r"\s*(?:[,.!?;:()]|\s-+\s|$)|\s(?:at|for|with|in|from|and|who|but|by|on|specializing|specialising|of|working|living|based|to|"
    r"now|currently|here|these days|trying|because|so|these|right)\b",
    re.I,
)
_NOT_JOB = re.compile(
    r"\b(?:big|huge|total|bit|real|great|terrible|bad|lousy|decent|fast|slow|lucky|not|good|better|natural|morning|night|amazing|"
    r"awesome|horrible|avid|former|ex|aspiring|future|wannabe|home|people|dog|cat|proud|hopeless|complete|quick|fair|true)\b|n't",
    re.I,
)


def _occupation(rest: str, context: Context, *, trust: bool = False) -> Iterator[Claim]:
    end = _OCCUPATION_END.search(rest)
    noun = (rest[: end.start()] if end else rest).strip(" '")
    words = noun.split()
    head = words[-1].lower() if words else ""
    student = re.match(r"((?:[\w-]+ ){0,3}student)\b", rest, re.I)
    tail = rest[len(noun) :]
    if student and not re.search(r"\b(?:of|former|ex)\b", student[1], re.I):
        yield Claim("title", student[1], confidence=0.9)
        school = re.match(
            r"\s*(?:[\w ]{0,30}?\b)?(?:at|from) (?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |at |and )?[A-Z][\w&.'\-]*){0,4})",
            rest[student.end() :],
        )
        if school:
            yield Claim("school", school["v"].strip(" .,"))
        return
    known = (
        head in EN_OCCUPATIONS
        or head.rstrip("s") in EN_OCCUPATIONS
        or " ".join(words[-2:]).lower() in EN_OCCUPATIONS
    )
    if not 1 <= len(words) <= 5 or not (known or trust) or _NOT_JOB.search(noun) or _CONTEXT.search(noun):
        return
    if (
        not trust
        and head
        in {
            "model",
            "guide",
            "driver",
            "cook",
            "officer",
            "judge",
            "buyer",
            "guard",
            "executive",
            "mover",
            "coach",
            "athlete",
            "artist",
            "dancer",
            "writer",
            "planner",
            "magician",
            "specialist",
            "mason",
            "poet",
            "singer",
            "waiter",
            "potter",
        }
        and len(words) == 1
        and re.match(r"\s+(?:of|to|for|by|on)\b", tail)
    ):
        return
    yield Claim("title", noun.lower() if noun.istitle() else noun, confidence=0.9)
    company = re.match(
        r"\s+(?:at|with|for) (?P<v>(?:the |a |an )?[A-Z][\w&.'\-]*(?: (?:of |and |& )?[A-Z][\w&.'\-]*){0,4})",
        tail,
    )
    if company:
        yield Claim("company", company["v"].strip(" .,"))
    origin = re.match(rf"\s+from {_PLACE}", tail)
    if origin and (value := _place(origin["v"])):
        yield Claim("hometown", value)


@_rule(
    rf"(?:i {_ADVERBS}work|{_I_AM} {_ADVERBS}(?:working|employed)) (?:at|for) (?P<v>(?:the |an? (?!lot|while|few|living|long|bit|couple))?[A-Za-z][\w&.'\-]*(?: (?:of |and |& |the )?[A-Za-z][\w&.'\-]*){{0,4}}?)(?: as an? (?P<job>[\w -]{{3,40}}?))?{_END}",
    rf"i(?:'ve| have)? (?:(?:just|recently) )*(?:joined|started (?:working )?at|got a (?:new )?job at|started a (?:new )?job at) (?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |and |& )?[A-Z][\w&.'\-]*){{0,4}}?)(?: as an? (?P<job>[\w -]{{3,40}}?))?{_END}",
    r"my (?:employer|company)(?:'s| is)(?: called| named)? (?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3})(?P<job>)\W*$",
)
def _company(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"].strip(" .,'")
    words = value.lower().split()
    if (
        words
        and words[0]
        in {
            "my",
            "home",
            "myself",
            "night",
            "nights",
            "least",
            "the",
            "a",
            "an",
            "it",
            "that",
            "this",
            "hours",
            "free",
            "them",
            "him",
            "her",
            "you",
            "us",
            "school",
            "church",
            "yoga",
        }
        and not _proper(value.split(" ", 1)[-1])
    ):
        if words[0] not in {"a", "an"} or len(words) < 2:
            return
    if (
        not words
        or _CONTEXT.search(value)
        or words[-1] in {"moment", "while", "years", "months", "time", "hours", "now"}
        or re.search(r"\d", words[0])
    ):
        return
    joined = re.match(r"i(?:'ve| have)? (?:(?:just|recently) )*joined", match[0], re.I)
    if (
        joined
        and not re.search(
            r"\b(?:inc|corp|ltd|google|microsoft|apple|amazon|meta|company|bank|studio|hospital|university)\b",
            value,
            re.I,
        )
        and not match["job"]
    ):
        return
    if not _proper(value.removeprefix("the ").removeprefix("a ").removeprefix("an ")) and len(words) > 4:
        return
    yield Claim("company", value, confidence=0.9)
    if match["job"]:
        yield from _occupation(match["job"], context, trust=True)


@_rule(
    r"i (?:no longer|don't|do not) work (?:at|for) (?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3}?)(?: any ?more)?\W*$",
    r"i used to work (?:at|for) (?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3}?)\W*$",
    r"i(?:'ve| have)? (?:(?:just|recently|finally) )*(?:quit|left|resigned from) (?:my job (?:at|with) )?(?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3}?)\W*$",
)
def _not_company(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if "left" in match[0].lower() and "job" not in match[0].lower():
        return
    yield Claim("company", match["v"], negates=True)


@_rule(rf"i {_ADVERBS}work in (?:the )?(?P<v>[\w -]{{2,30}}?)(?: industry| sector| field| business)?{_END}")
def _industry(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].lower() in EN_INDUSTRIES:
        yield Claim("industry", match["v"])


_SCHOOL = r"(?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |at |and |& )?[A-Z][\w&.'\-]*){0,5})"


@_rule(
    rf"(?:i (?:(?:now|currently) )*(?:study|go to|attend)|{_I_AM} (?:(?:now|currently) )*(?:studying|enrolled)) (?:(?P<m>[a-z][a-z ]{{2,40}}?) )?(?:at |in )?{_SCHOOL}{_END}",
)
def _school(match: re.Match[str], _: Context) -> Iterator[Claim]:
    verb = match[0].lower()
    school = match["v"].strip(" .,")
    looks_like = re.search(
        r"\b(?:university|college|school|institute|academy|mit|ucla|nyu|stanford|harvard|yale|oxford|cambridge|tsinghua|uc \w+|polytechnic)\b",
        school,
        re.I,
    )
    if " at " in verb or looks_like:
        if looks_like:
            yield Claim("school", school)
        if match["m"] and "go to" not in verb and (major := _value(match["m"], words=4)):
            yield Claim("major", major)
    elif ("study" in verb) and not match["m"] and " in " not in verb and school.lower() not in EN_LANGUAGES:
        yield Claim("major", school, confidence=0.8)


@_rule(
    r"(?:my major(?:'s| is)|i(?:'m| am)? major(?:ing|ed)? in|i have a (?:degree|master's|bachelor's|phd)(?: degree)? in) (?P<v>[A-Za-z][\w &-]{2,40}?)(?: at (?P<s>(?:the )?[A-Z][\w&.'\-]*(?: (?:of )?[A-Z][\w&.'\-]*){0,4}))?\W*(?:$|and|,)",
    rf"(?:i (?:(?:now|currently) )*study|{_I_AM} (?:(?:now|currently) )*studying) (?P<v>(?:computer|medicine|law|physics|chemistry|biology|economics|psychology|mathematics|math|history|philosophy|engineering|architecture|design|art|music|nursing|finance|accounting|marketing|mechanical|electrical|civil|political|environmental|software|data|business|literature|linguistics|journalism)(?: [a-z]+){{0,2}}?)(?P<s>)\W*(?:$|and\b|,|right now|in college)",
)
def _major(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _value(match["v"], words=4):
        yield Claim("major", value)
    if match["s"]:
        yield Claim("school", match["s"].strip(" .,"))


@_rule(rf"i (?:just |recently )?graduated (?:from|at) {_SCHOOL}(?: (?:with|in)\b.*)?{_END}")
def _alma_mater(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future:
        yield Claim("alma_mater", match["v"].strip(" .,"), dated=True)


# --- family, friends, pets ---------------------------------------------------------------------


@_rule(
    rf"my (?:\w+ )?(?P<x>{_REL}|{_FRIEND})(?:'s name is|'s called| is called| is named|'s named) {_NAME}{_END}(?P<rest>.*)",
    rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|late|dear|baby|twin) )?(?P<x>{_REL}|{_FRIEND}),? {_NAME},? (?P<rest>(?:is|was|has|works|lives|just|loves|likes|and|turned|got|who|went|started)\b.*)$",
)
def _relative_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = _person(match["v"])
    relation = match["x"].lower()
    if not name or not _proper(name) or name.lower() in EN_NOT_NAMES:
        return
    if relation in EN_FRIENDS:
        yield Claim("friend_name", name, about=EN_FRIENDS[relation])
        return
    about = EN_RELATIONS[relation]
    yield Claim("family_name", name, about=about)
    rest = match["rest"].strip(" ,")
    yield from _relative_state(about, rest)


@_rule(
    rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|baby) )?(?P<x>{_REL})(?P<rest>(?:'s| is| works| lives| turned| just)\b.*)$"
)
def _relative(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    if rest.startswith("'s"):
        rest = f"is{rest[2:]}"
    yield from _relative_state(EN_RELATIONS[match["x"].lower()], rest)


def _relative_state(about: str, rest: str) -> Iterator[Claim]:
    age = re.match(
        rf"(?:is|just turned|turned|is turning) (?:now |already |only )?(\d{{1,3}})(?: {_UNIT})?\W*(?:$|and\b|now\b|,)",
        rest,
        re.I,
    )
    if age and "turning" not in age[0] and int(age[1]) <= 120:
        yield Claim("family_age", age[1], about=about)
        return
    job = re.match(r"(?:is|works as) (?:also )?an? (.+)$", rest, re.I)
    if job:
        for claim in _occupation(job[1], Context(dated=False, future=False)):
            if claim.slot == "title":
                yield Claim("family_job", claim.value, about=about)
        return
    home = re.match(rf"lives in {_PLACE}{_END}", rest)
    if home and (value := _place(home["v"])):
        yield Claim("family_home", value, about=about)


@_rule(rf"my (?P<x>parents|grandparents|kids|children|in-laws) (?:both )?live in {_PLACE}{_END}")
def _relatives_home(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _place(match["v"]):
        yield Claim("family_plural_home", value, about=match["x"].lower())


@_rule(
    rf"(?:i|we) (?:(?:also|only|now|just) )?(?:have|have got|'ve got)(?: got)? (?P<n>{_NUMBER}) (?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|young|grown|adult|twin|elder|small|great|half|step) )*(?P<x>{_REL})(?P<s>s|ren)?\b(?P<rest>.*)$",
    rf"i've got (?P<n>{_NUMBER}) (?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|young|grown|adult|twin) )*(?P<x>{_REL})(?P<s>s|ren)?\b(?P<rest>.*)$",
    rf"{_I_AM} (?:a |the )?(?:proud )?(?:mother|father|mom|mum|dad|parent) (?:of|to) (?P<n>{_NUMBER})(?P<x>)(?P<s>)\b(?P<rest>)(?:$|\W| (?:kids|children))",
)
def _family(match: re.Match[str], _: Context) -> Iterator[Claim]:
    relation = EN_RELATIONS.get((match["x"] or "child").lower(), "child")
    number = match["n"].lower()
    single = number in {"a", "an", "one", "1"}
    if relation in {"wife", "husband", "mother", "father", "partner", "twin", "spouse"} and not single:
        return
    rest = match["rest"]
    if re.match(r"\s+(?:who|that|which|in|to|of|problem|friend)\b", rest) and not re.match(
        r"\s+who (?:is|'s) \d", rest
    ):
        rest = ""
    plural = {"child": "children"}.get(relation, f"{relation}s")
    value = f"a {relation}" if single else f"{number} {plural}"
    if single and relation[0] in "aeiou":
        value = f"an {relation}"
    yield Claim("family", value, about=relation)
    named = re.match(rf"\W*(?:named|called|whose name is|,) {_NAME}(?P<more>.*)$", rest)
    if named and (name := _person(named["v"])) and _proper(name):
        yield Claim("family_name", name, about=relation)
        if not single:
            for other in re.findall(r"(?:,| and) ([A-Z][\w'-]*)", named["more"]):
                yield Claim("family_name", other, about=relation)
        elif age := re.match(r"\W*(?:who is|who's|and (?:he|she) is|aged) (\d{1,2})\b", named["more"]):
            yield Claim("family_age", age[1], about=relation)


@_rule(
    rf"(?:i|we) (?:(?:also|now|just|recently|have|only) )*(?:have|own|got|adopted|'ve got|keep) (?P<n>{_NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{_PETS})(?P<s>s|es|ies)?\b(?P<rest>.*)$",
    rf"(?:i've|we've) (?:got|adopted) (?P<n>{_NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{_PETS})(?P<s>s|es|ies)?\b(?P<rest>.*)$",
)
def _pet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if re.match(
        r"\s+(?:allergy|person|lover|hair|food|toy|problem|owner|costume|phobia|sanctuary|shirt|painting|for (?:dinner|lunch))\b",
        rest,
        re.I,
    ):
        return
    number = match["n"].lower()
    start, stop = match.start("n"), match.end("s") if match["s"] else match.end("x")
    phrase = match[0][start - match.start() : stop - match.start()]
    if _CONTEXT.search(phrase) or len(phrase.split()) > 5:
        return
    about = match["x"].lower()
    yield Claim("pet", phrase.replace("one ", "a ", 1) if number == "one" else phrase, about=about)
    named = re.match(rf"\W*(?:named|called|whose name is|,|-)\s*{_NAME}(?P<more>.*)$", rest)
    if named and (name := _person(named["v"])) and _proper(name):
        yield Claim("pet_name", name, about=about)
        if number not in {"a", "an", "one", "1"}:
            for other in re.findall(r"(?:,| and) ([A-Z][\w'-]*)", named["more"]):
                yield Claim("pet_name", other, about=about)


@_rule(
    rf"(?:my|our) (?:\w+ ){{0,2}}?(?P<x>{_PETS})(?:'s name is|'s called| is called| is named|'s named) {_NAME}{_END}",
    rf"(?:my|our) (?:\w+ )?(?P<x>{_PETS}),? {_NAME},? (?:is|was|has|just|loves|likes|and|who|turned|got|keeps|always)\b",
)
def _pet_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = _person(match["v"])
    if name and _proper(name):
        yield Claim("pet_name", name, about=match["x"].lower())


@_rule(
    rf"{_I_AM} (?:(?:now|currently|happily|newly|recently|already|still|finally|legally|getting) )*(?P<v>married|single|divorced|engaged|widowed|separated)\b(?P<rest>.*)$",
    rf"(?:i (?:just |recently |finally )*got|we (?:just |recently |finally )*got) (?P<v>married|divorced|engaged)\b(?P<rest>.*)$",
)
def _marital(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    if (
        "getting" in match[0].lower()
        or context.future
        or re.match(
            r"(?:in|with|by|from|handed|parent|mother|father|mom|dad|to (?:my|the) (?:job|work))\b",
            rest,
            re.I,
        )
    ):
        if not re.match(r"(?:mother|father|mom|dad|parent)", rest, re.I):
            return
    yield Claim("marital", match["v"].lower(), dated="got" in match[0].lower())
    spouse = re.match(rf"to {_NAME}{_END}", rest)
    if spouse and match["v"].lower() == "married" and (name := _person(spouse["v"])) and _proper(name):
        yield Claim("family_name", name, about="spouse")


# --- tastes ------------------------------------------------------------------------------------


@_rule(
    r"my (?:all[- ]time |absolute |personal )?(?:favou?rite|fave?|fav) (?P<x>[a-z][a-z -]{1,30}?)(?:s)?(?:'s| is| are| was always| has always been|:) (?P<rest>.+)$",
    r"my (?:all[- ]time |absolute |personal )?(?:favou?rite|fave?|fav) (?P<x>[a-z][a-z -]{1,30}?)(?: to [a-z]+)(?: is| are) (?P<rest>.+)$",
)
def _favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    about = match["x"].lower().strip()
    if _CONTEXT.search(about) or re.search(r"\b(?:of|from|in|about|so|memory|moment|piece|for)\b", about):
        return
    rest = re.sub(
        r"^(?:definitely|probably|actually|still|always|called|by far) ", "", match["rest"], flags=re.I
    )
    if re.match(r"(?:when|how|that|not|the (?:part|one)|to |by |from )", rest, re.I):
        return
    value = _value(rest, the=True)
    if value and not value.lower().startswith(("a ", "an ", "so ", "just ", "about ")):
        yield Claim("favourite", _untidy(value), about=about)


@_rule(
    r"(?P<v>[A-Z\ue000-\ue7ff][\w' \ue000-\ue7ff-]{0,40}?)(?:'s| is| are) my (?:all[- ]time |absolute )?(?:favou?rite|fave) (?P<x>[a-z][a-z -]{1,25}?)\W*(?:$|,)"
)
def _is_favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if (
        not _CONTEXT.search(match["v"])
        and not _CONTEXT.search(match["x"])
        and not re.search(r"\b(?:of|from|in|about|memory|moment|to)\b", match["x"])
    ):
        yield Claim("favourite", match["v"], about=match["x"].lower())


@_rule(
    rf"i {_ADVERBS}(?:like|love|enjoy|adore|prefer)(?: doing)? (?P<rest>.+)$",
    rf"i(?:'ve| have) (?:always|long) (?:liked|loved|enjoyed|adored|been (?:fond of|into|interested in|passionate about|a (?:big |huge )?fan of)) (?P<rest>.+)$",
    rf"{_I_AM} {_ADVERBS}(?:(?:so|very|quite|pretty|super|big|deeply|extremely|kind of|really) )*(?:interested in|passionate about|fond of|into|keen on|crazy about|obsessed with|addicted to) (?P<rest>.+)$",
    rf"{_I_AM} {_ADVERBS}(?:such )?a (?:(?:big|huge|massive|great|die-hard|lifelong|real|total|long-time) )*(?:fan of|lover of) (?P<rest>.+)$",
    r"(?:one of )?my (?:(?:main|favou?rite|biggest|other) )*(?:hobby|hobbies|interests?|passions?|pastimes?)(?:'s| is| are| includes?)(?: also)? (?P<rest>.+)$",
)
def _like(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if "prefer" in match[0][:25].lower():
        rest = (
            re.sub(r"\s+(?:to|over|rather than|than|instead of)\s.*$", "", rest)
            if not rest.startswith("to ")
            else rest
        )
    rest = re.sub(
        r"\s+(?:the most|most of all|best|in my (?:free|spare) time|on weekends|in general|as a hobby)\b.*$",
        "",
        rest,
        flags=re.I,
    )
    if context.dated and not re.match(r"\w+ing\b", rest):
        return
    for value in _liking(rest):
        yield Claim("like", value)


@_rule(
    rf"i (?:(?:really|also|just|still|honestly|absolutely) )*(?:hate|dislike|detest|despise|loathe) (?P<rest>.+)$",
    r"i (?:really |just |honestly |still |also )*(?:don't|do not|dont) (?:(?:really|particularly|actually) )*(?:like|enjoy|love|care for) (?P<rest>.+)$",
    r"i (?:really |just )*(?:can't|cannot|can not) stand (?P<rest>.+)$",
    rf"{_I_AM} (?:really )?not (?:(?:really|much of|that|such|at all) )*(?:a (?:big |huge )?fan of|into|fond of|keen on|interested in) (?P<rest>.+)$",
)
def _dislike(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    ended = re.search(r"\s+any ?more\b.*$", rest, re.I)
    if ended:
        for value in _liking(rest[: ended.start()]):
            yield Claim("like", value, negates=True)
        return
    rest = re.sub(r"\s+(?:at all|one bit|that much|very much|either)\b.*$", "", rest, flags=re.I)
    if re.match(r"to (?:say|admit|ask|see|hear|think|bother|be|break|leave|tell|brag|do)\b", rest, re.I):
        return
    for value in _liking(rest):
        yield Claim("dislike", value)


@_rule(
    r"i (?:no longer|don't really|stopped) (?:like|love|enjoy|liking|enjoying) (?P<rest>.+?)(?: any ?more)?\W*$",
    r"i used to (?:like|love|enjoy) (?P<rest>.+)$",
)
def _not_like(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in _liking(match["rest"]):
        yield Claim("like", value, negates=True)


_GAMES = frozenset(
    "tennis badminton basketball football soccer volleyball baseball golf hockey rugby cricket chess piano guitar violin drums cello flute saxophone trumpet ukulele bass squash poker softball pickleball ping-pong harp clarinet lacrosse billiards bridge go".split()
)


@_rule(
    r"i (?:(?:also|still|usually|often|mostly|now) )*play (?:the |a )?(?P<v>[a-z-]+(?: and (?:the )?[a-z-]+)?)(?P<rest>.*)$",
    r"i(?:'ve| have) been playing (?:the )?(?P<v>[a-z-]+)(?P<rest>.*)$",
)
def _plays(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in re.split(r" and (?:the )?", match["v"].lower()):
        if value in _GAMES:
            yield Claim("plays", value)


@_rule(
    r"i (?:no longer play|used to play|don't play) (?:the )?(?P<v>[a-z-]+)(?P<more> any ?more)?\W*$",
)
def _not_plays(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].lower() in _GAMES and ("don't" not in match[0].lower() or match["more"]):
        yield Claim("plays", match["v"].lower(), negates=True)


@_rule(
    rf"(?:{_I_AM}|i've been) (?:(?:also|currently|now|still|just|recently|trying) )*(?:learning|teaching myself)(?: how)?(?: to (?:speak|play|use|do))? (?P<rest>.+)$",
    r"i(?:'ve| have)? (?:(?:just|recently) )*(?:started|began) learning(?: how)?(?: to (?:speak|play))? (?P<rest>.+)$",
)
def _learning(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if re.match(
        r"(?:a lot|so much|more|new|that|from|about|as|every|all|the ropes|lots|to (?:be|love|accept|trust|let|live|deal|cope|say|take|appreciate|embrace|balance)|by|on)\b",
        rest,
        re.I,
    ):
        return
    to = " to " in match[0][: match.start("rest") - match.start()] and not re.search(
        r"to (?:speak|play|use|do)\s*$", match[0][: match.start("rest") - match.start()]
    )
    value = _value(re.sub(r"\s+(?:with|from|for|in|on|by|at)\s.*$", "", rest), words=4)
    if value and not to:
        yield Claim("learning", value)


# --- health and food ---------------------------------------------------------------------------


@_rule(
    rf"{_I_AM} (?:(?:also|severely|highly|very|really|mildly|slightly|deathly|super|quite|terribly|a bit|a little|actually) )*allergic to (?P<rest>.+)$",
    r"i (?:(?:also|do) )?have (?:a|an|some) (?:(?:severe|bad|mild|serious|slight|terrible|strong|life-threatening) )*allerg(?:y|ies) to (?P<rest>.+)$",
    r"i (?:(?:also|do) )?have (?:a |an )?(?:(?:severe|bad|mild|serious|slight|terrible) )*(?P<rest>[a-z]+(?: [a-z]+)?) allerg(?:y|ies)\b",
)
def _allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = re.sub(r"^(?:all|any|some|most|things like|both) ", "", match["rest"], flags=re.I)
    rest = re.sub(r"\s+(?:are|is|make|makes)\b.*$", "", rest)
    for value in _items(rest):
        if value.lower() not in {"food", "bad", "severe", "work", "many", "no", "some"}:
            yield Claim("allergy", value, confidence=0.95)


@_rule(
    r"i (?:(?:also|still|actually) )*(?:have|have got|suffer from|struggle with|deal with|live with|was diagnosed with|got diagnosed with|have been diagnosed with) (?:(?:mild|severe|chronic|bad|terrible|serious|some) )*(?P<rest>.+)$",
    r"i've (?:got|been diagnosed with|had) (?P<rest>.+)$",
    rf"{_I_AM} (?:(?:severely|also|actually|a bit) )*(?P<adj>diabetic|lactose[- ]intolerant|gluten[- ]intolerant|color[- ]?blind|colour[- ]?blind|deaf|dyslexic|asthmatic|epileptic|anemic|celiac|coeliac|nearsighted|hard of hearing)\b(?P<rest>)",
)
def _condition(match: re.Match[str], _: Context) -> Iterator[Claim]:
    adjective = match.groupdict().get("adj")
    if adjective:
        names = {"diabetic": "diabetes", "asthmatic": "asthma", "dyslexic": "dyslexia", "epileptic": "epilepsy",
                 "anemic": "anemia", "celiac": "celiac disease", "coeliac": "celiac disease", "deaf": "deafness",
                 "nearsighted": "nearsightedness", "hard of hearing": "hearing loss"}  # fmt: skip
        lowered = adjective.lower().replace("-", " ")
        value = names.get(lowered) or (
            "color blindness" if "blind" in lowered else f"{lowered.split()[0]} intolerance"
        )
        yield Claim("condition", value, confidence=0.95)
        return
    for value in _items(match["rest"]):
        if value.lower() in EN_CONDITIONS or f"{value.lower()}" in EN_CONDITIONS:
            yield Claim("condition", value, confidence=0.9)


@_rule(
    rf"{_I_AM} (?:(?:a|an|also|strictly|strict|now|mostly|currently|actually) )*(?P<v>vegetarian|vegan|pescatarian)\b(?!['-])",
    r"i(?:'ve| have)? (?:recently |just )*(?:became|become|went|gone|turned) (?P<v>vegetarian|vegan|pescatarian)\b",
)
def _diet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("diet", match["v"].lower(), confidence=0.95)


@_rule(
    r"i (?:(?:also|really|just|personally|never) )*(?:don't|do not|dont|can't|cannot|never) (?:ever )?(?P<verb>eat|drink) (?P<rest>.+)$",
    r"i (?:no longer|stopped|quit|gave up) (?P<verb>eat|drink|eating|drinking|smoking|smoke) ?(?P<rest>.*)$",
)
def _avoids(match: re.Match[str], context: Context) -> Iterator[Claim]:
    verb = match["verb"].lower()
    rest = re.sub(r"\s+(?:any ?more|at all|anymore)\b.*$", "", match["rest"], flags=re.I)
    if verb in {"smoking", "smoke"}:
        yield Claim("quit", "smokes")
        return
    if (
        re.match(
            r"(?:much|a lot|enough|well|out|too|for|before|after|at|late|alone|properly|anything|breakfast|lunch|dinner)\b",
            rest,
            re.I,
        )
        or not rest
        or context.dated
    ):
        return
    if verb.startswith("eat"):
        for value in _items(re.sub(r"^(?:any|much) ", "", rest)):
            yield Claim("avoids", value)


# --- languages, belongings ---------------------------------------------------------------------

_LANG = "|".join(sorted(EN_LANGUAGES))


@_rule(
    rf"i (?:(?:can|also|only|already|fluently) )*speak (?:(?:fluent|some|a little|a bit of|basic|both|good) )*(?P<rest>(?:{_LANG})\b.*)$",
    rf"{_I_AM} (?:(?:also|pretty|quite) )*(?:fluent|bilingual) in (?P<rest>(?:{_LANG})\b.*)$",
    rf"my (?:native|first|mother) (?:language|tongue)(?:'s| is) (?P<rest>(?:{_LANG})\b.*)$",
)
def _language(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for word in re.split(r"\s*,\s*(?:and )?|\s+and\s+(?:a (?:little|bit of) |some )?|\s+", match["rest"]):
        if word.strip(".!").lower() not in EN_LANGUAGES:
            break
        yield Claim("language", word.strip(".!").capitalize())


@_rule(r"i (?:(?:currently|now|still|actually) )*drive (?:an?|my) (?P<rest>.+)$")
def _vehicle(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = _value(re.sub(r"\s+(?:to|for|every|around|in|on)\s.*$", "", match["rest"]), words=4)
    if value and value.lower() not in {"car", "long way", "lot"}:
        yield Claim("vehicle", f"a {value}" if value[0].lower() not in "aeiou" else f"an {value}")


@_rule(rf"i (?:(?:also|currently|still|actually|now) )*own (?P<v>(?:{_NUMBER}) .+)$")
def _possession(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := _value(match["v"], words=5):
        yield Claim("possession", value)


# --- habits, goals, plans, events --------------------------------------------------------------

_EVERY = r"(?:every|each) (?:single )?(?:day|morning|evening|night|week|weekend|month|year|summer|winter|spring|fall|autumn|monday|tuesday|wednesday|thursday|friday|saturday|sunday|other day)s?|(?:once|twice|three times|four times|five times|several times) (?:a|per) (?:day|week|month|year)|on (?:weekends|weekdays|mondays|tuesdays|wednesdays|thursdays|fridays|saturdays|sundays)|daily"
_HABIT = re.compile(rf"^(?P<body>.{{2,60}}?) (?P<every>{_EVERY})\b(?P<after>.*)$", re.I)
_HABIT_VERBS = frozenset(
    """go run jog swim walk hike cycle bike meditate read write cook bake practice exercise train volunteer work
    study play watch drink eat do take visit call attend wake get paint draw sing dance garden journal travel
    commute climb surf ski fish camp teach coach stretch pray sleep skip fast clean shop meet""".split()
)


@_rule(
    r"i (?:(?:usually|always|often|also|normally|typically|still|generally) )*(?P<verb>[a-z]+) (?P<rest>.+)$"
)
def _habit(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match["verb"].lower() not in _HABIT_VERBS or context.dated:
        return
    found = _HABIT.match(f"{match['verb']} {match['rest']}")
    if (
        found is None
        or _CONTEXT.search(found["body"])
        or _RESTRICTIVE.search(found["body"])
        or len(found["body"].split()) > 9
    ):
        return
    verb, _, rest = third_person(found["body"]).partition(" ")
    phrase = f"{inflect(verb.lower())} {rest}".strip()
    yield Claim("habit", f"{phrase} {found['every'].lower()}", confidence=0.85)


@_rule(
    r"my (?:(?:main|biggest|ultimate|current|long-term|next|life|lifelong|career|short-term|big|new year's) )*(?P<x>goal|dream|ambition)(?: for [\w ]{3,20})?(?:'s| is| has always been) (?:to )?(?P<rest>.+)$",
    r"i(?:'ve| have)? (?:(?:really|always|still|also|eventually|someday|one day|just) )*(?:want|wanted|hope|aim|dream of|dreamed of|aspire)(?: to)? (?P<x>become|becoming|learn|learning|be|being) (?P<rest>.+)$",
    rf"{_I_AM} (?:(?:currently|also|now) )*(?P<x>training for|saving (?:up )?for|preparing for|studying for) (?P<rest>.+)$",
)
def _goal(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"].lower()
    rest = match["rest"]
    if re.match(
        r"(?:there|here|more|able|a part|part|with|in|on|myself|better|happy|sure|good|honest|clear|careful|about|like|from|the best|as|known|prepared|ready)\b",
        rest,
        re.I,
    ):
        return
    value = _value(
        re.sub(r"\s+(?:someday|one day|eventually|in the future)\b.*$", "", rest, flags=re.I),
        words=10,
        the=True,
    )
    if value is None:
        return
    if kind in {"goal", "dream", "ambition"}:
        if (
            re.match(r"(?:\w+ing|an?|the|not|come|still|so|my)\b", value, re.I)
            and not value.lower().endswith("ing")
            and not re.match(r"\w+ing ", value)
        ):
            return
        infinitive = re.search(
            r"(?:is|'s|been) to ", match[0][: match.start("rest") - match.start() + 1], re.I
        )
        yield Claim("goal" if infinitive else "goal_is", value, confidence=0.85)
    elif kind.split()[0] in {"training", "saving", "preparing", "studying"}:
        yield (
            Claim("event", f"is {kind} {value}", confidence=0.85)
            if False
            else Claim("habit", f"is {kind} {value}", confidence=0.85)
        )
    else:
        verb = {"becoming": "become", "learning": "learn", "being": "be"}.get(kind, kind)
        if verb == "be" and not re.match(r"an? ", value):
            return
        yield Claim("goal", f"{verb} {value}", confidence=0.85)


@_rule(
    rf"(?:{_I_AM}|we're|we are) (?:(?:also|currently|now|really|just|actually|still) )*(?P<x>planning(?: on)?|going|about|scheduled|hoping|thinking of)(?P<to> to)? (?P<rest>.+)$",
    r"i (?:(?:also|currently|now|really|just|actually) )*(?P<x>plan|intend|will|gonna)(?P<to> to)? (?P<rest>.+)$",
    r"(?:i'll|im gonna|i'm gonna)(?P<x>)(?P<to>) (?P<rest>.+)$",
    rf"{_I_AM} (?P<x>flying|traveling|travelling|moving|leaving|starting|getting|visiting|attending|meeting|having|hosting|running|taking|celebrating|graduating|seeing)(?P<to>) (?P<rest>.+)$",
    r"i(?:'ve got| have) (?P<x>an? (?:[\w-]+ ){0,2}(?:appointment|meeting|interview|exam|flight|concert|wedding|competition|recital|performance|surgery|trip|race|tournament|presentation|test|date))(?P<to>)\b(?P<rest>.*)$",
)
def _plan(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"].lower()
    rest = match["rest"].strip()
    explicit = kind.startswith(("plan", "intend"))
    if not explicit and not (context.dated and context.future):
        return
    if kind in {"hoping", "thinking of", "about"}:
        return
    if (
        kind.startswith("planning")
        and not match["to"]
        and not re.match(r"on |an? ", rest)
        and "on" not in kind
    ):
        return
    value = _event_value(rest)
    if value is None and kind.split()[0] not in {"a", "an"}:
        return
    if kind in {"planning", "plan", "intend"} and match["to"] and value:
        yield Claim("plan", value, dated=True, confidence=0.85)
    elif kind in {"planning on", "planning"} and value:
        yield Claim(
            "event",
            f"is planning {'on ' if 'on' in kind.split() else ''}{value}",
            dated=True,
            confidence=0.85,
        )
    elif kind == "going" and value:
        yield Claim(
            "plan",
            value if match["to"] and not _proper(rest) else f"go {'to ' if match['to'] else ''}{value}",
            dated=True,
            confidence=0.85,
        )
    elif kind in {"will", "gonna", ""} and value:
        if not re.match(
            r"(?:be|let|keep|check|try|see|definitely|never|always|probably|make sure|have to)\b", value, re.I
        ):
            yield Claim("plan", value, dated=True, confidence=0.8)
    elif kind.split()[0] in {"a", "an"}:
        tail = _event_value(rest) if rest else ""
        if tail is not None:
            yield Claim("event", f"has {kind} {tail}".strip(), dated=True, confidence=0.85)
    elif value:
        yield Claim("event", f"is {kind} {value}", dated=True, confidence=0.85)


def _event_value(rest: str) -> str | None:
    """What is planned or was done, up to the first comma; None when it needs its context."""
    end = re.search(
        r"\s*[,.!?;:()]|\s+-+\s|\s+(?:because|but|so|and (?:it|it's|that|the|they|he|she|was|were|had|i|we)|which|where|though|since|to see if|as)\b",
        rest,
        re.I,
    )
    value = re.sub(r"\s+", " ", rest[: end.start()] if end else rest).strip(" -'*")
    value = re.sub(r"\s+(?:on|in|at|for|and|with|to|the|by|of|a)$", "", value, flags=re.I)
    if not value or not 1 <= len(value.split()) <= 14 or _EVENT_CONTEXT.search(value):
        return None
    return third_person(value)


_EVENT_CONTEXT = re.compile(
    r"\b(?:it|it's|this|that|these|those|them|they|him|her|he|she|you|your|there|here|one|something|anything|stuff|things?|"
    r"how|what|why|who|when|where|i|i'm|i've|such)\b",
    re.I,
)
_PAST = frozenset(
    """went visited bought got started finished joined attended met adopted celebrated graduated won lost ran hiked
    played watched saw read tried made cooked baked painted took had signed volunteered traveled travelled flew
    drove broke quit moved organized hosted participated received completed registered enrolled climbed camped
    swam saw performed published launched opened sold wrote planted built fixed injured sprained hurt passed failed
    interviewed presented gave ordered booked picked learned practiced helped donated discovered found became
    created received earned ate drank biked cycled skied surfed shot recorded filmed auditioned auctioned retired
    proposed married divorced applied accepted resigned joined upgraded renovated repaired discussed taught led
    competed scored beat raised ran reached set sang danced drew photographed binge-watched rode sailed fished
    toured explored stayed spent woke sent submitted hung threw ended decided did""".split()
)


@_rule(
    r"(?:i|we)(?:'ve| have)? (?:(?:just|finally|recently|also|actually|even|both|all|already) )*(?P<verb>[a-z-]+) (?P<rest>.+)$"
)
def _event(match: re.Match[str], context: Context) -> Iterator[Claim]:
    verb = match["verb"].lower()
    if verb not in _PAST or not context.dated or context.future:
        return
    rest = match["rest"]
    if verb in {"had", "got", "did", "made", "took", "decided", "found"} and re.match(
        r"(?:to|so|a (?:great|good|nice|fun|blast|lot|bad|tough|rough|hard|wonderful|really|bit|feeling|chance)|it|that|some (?:fun|news)|back|really|me|used|great|fun)\b",
        rest,
        re.I,
    ):
        return
    value = _event_value(rest)
    if value and (len(value.split()) > 1 or _proper(value)):
        yield Claim("event", f"{verb} {value}", dated=True, confidence=0.85)
