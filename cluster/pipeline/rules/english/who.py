"""Who the speaker is, and where: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import (
    AGE,
    ANY_NAME,
    END,
    I_AM,
    LOWER_PLACE,
    NAME,
    PLACE,
    YEARS_OLD,
    Context,
    person_of,
    place_of,
    proper,
)
from cluster.pipeline.rules.english.work import occupation_of
from cluster.pipeline.rules.lexicon import EN_NATIONALITIES, EN_NOT_NAMES, EN_RELATIONS, word_list
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

# "I moved to Spain for a year": where that was, not where it led.
_NOT_FOR_GOOD = re.compile(
    r"\W*(?:(?:and|but) )?(?:then|later|before|until|when|"
    r"for (?:the (?:summer|winter|semester|season)|(?:about |almost |just )?(?:an?|one|two|three|four|five|"
    r"six|"
    r"\d+|a few|a couple of|some) (?:weeks?|months?|years?|semesters?|summers?))\b)",
    re.I,
)
# "I'm Batman": who says so is somebody else.
_NOBODY = word_list("batman superman spiderman spider-man groot barbie hulk thor santa god jesus team legend")
_NO_NAME = word_list(
    "not a the on in so very what also pretty hard spelled spelt written pronounced short easy common "
    "unusual changed different from really just too actually"
)


@RULES.rule(
    rf"my (?:full |real |first |own )?name(?:'s| is| would be)(?: actually| now)? {ANY_NAME}(?P<rest>.*)$"
)
def _name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = person_of(match["v"])
    if value and value.split()[0].lower() not in _NO_NAME:
        yield Claim("name", value, confidence=0.97)


@RULES.rule(rf"my (?:surname|last name|family name)(?:'s| is) {NAME}\W*$")
def _surname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].split()[0].lower() not in _NO_NAME:
        yield Claim("surname", match["v"])


@RULES.rule(
    (
        rf"(?:please |just |but |you can |everyone |everybody |people |friends |my friends )*(?:all |"
        rf"usually |just )*calls? me {NAME}\W*(?:please|instead|for short|not [\w'-]+)?\W*$"
    ),
    rf"(?:i go by|my nickname(?:'s| is)) {NAME}\W*$",
    case=False,
)
def _nickname(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = person_of(match["v"])
    if value and proper(value):
        yield Claim("nickname", value, confidence=0.9)


@RULES.rule(
    rf"(?:please |just |can you |and |then )*(?i:sign)(?: (?:it|this|that|the (?:letter|email|mail|card|"
    rf"note)))?(?: off)?"
    rf"(?: (?:as|from|with))?:? {NAME}(?P<rest>\W*$|, .*$| and\b.*$| please\b.*$)",
    case=True,
)
def _signs(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = person_of(match["v"])
    if (
        value
        and proper(value)
        and not any(
            word.lower() in EN_NOT_NAMES | _NOBODY or word.lower() in EN_RELATIONS for word in value.split()
        )
    ):
        yield Claim("name", value, confidence=0.8)


@RULES.rule(
    (
        rf"(?:I'm|I am|Im|i'm|i am) {NAME}(?P<rest>, (?:an? |\d{{1,2}}(?:,|$)|from [A-Z]).{{0,120}}|"
        rf", (?:[a-z][\w-]*(?: |$|,)).{{0,120}}|[,.! ]*(?:by the way|here|"
        rf"nice to meet you|and (?:I|i)\b.*)?)$"
    ),
    rf"(?:This is|this is) {NAME}(?P<rest> (?:here|speaking)\b.*)$",
    case=True,
)
def _i_am_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = person_of(match["v"])
    if (
        value
        and proper(value)
        and not any(word.lower() in EN_NOT_NAMES or word.lower() in _NOBODY for word in value.split())
        and not re.search(r"'s |-[a-z]", value)
        and value.lower() not in _RELIGIONS
        and (work := _work_beside_name(match["rest"])) is not None
    ):
        yield Claim("name", value, confidence=0.85)
        yield from work
        if home := re.search(rf"^, .*\b(?:living|based) in {PLACE}{END}", match["rest"]):
            yield Claim("residence", home["v"])
        if age := re.match(r", ([1-9]\d)(?:,|$)", match["rest"]):
            yield Claim("age", age[1])
        if (origin := re.search(rf", from {PLACE}(?: originally)?{END}", match["rest"])) and (
            place := place_of(origin["v"])
        ):
            yield Claim("hometown", place)
    elif value and value.lower() in EN_NATIONALITIES:
        yield Claim("nationality", value)


_BESIDE = re.compile(
    r", (?:(?P<age>[1-9]\d), )?(?P<an>an? )?(?P<v>(?!from\b|by the way\b|here\b|nice\b|and\b)[a-z].*)"
)


def _work_beside_name(rest: str) -> list[Claim] | None:
    """What "I'm Ann" goes on to say of work: ", 34, senior accountant at Sony"; None where what follows the
    name is nothing that stands beside names."""
    beside = _BESIDE.match(rest)
    if beside is None:
        return []
    work = list(occupation_of(beside["v"]))
    return work if work or beside["an"] or beside["age"] else None


@RULES.rule(
    (
        rf"{I_AM} (?:now |currently |only |already |just )?{AGE}(?: {YEARS_OLD}| years of age|"
        rf"{YEARS_OLD})(?! (?:boy|girl|dog))\b(?P<rest>.*)$"
    ),
    rf"{I_AM} (?:now |currently |only |already )?{AGE}(?P<rest>)(?:[.!,]|$| (?:and|with)\b|"
    r" (?:now|already|this year|obviously|myself|by now)\W*$)",
    rf"(?:i (?:just )?turned|i've (?:just )?turned) {AGE}(?P<rest>)(?=\W*$|[,.;!]|"
    r"\s(?:and|but|so|years|today|this|last|on|recently)\b)",
    rf"my age(?:'s| is) {AGE}\b(?P<rest>)",
)
def _age(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future or context.vague:
        if context.future and re.match(I_AM, match[0], re.I):  # "I'm 80 in June"
            yield Claim("event", f"turns {match['age']}", dated=True)
        return
    if 3 <= int(match["age"]) <= 120 and not re.match(r"\s+in\b", match["rest"]):
        yield Claim("age", match["age"], confidence=0.95)


@RULES.rule(
    rf"(?:i turn|{I_AM} turning|i'll be|i will be) (?:the big )?{AGE}(?P<rest>)(?=\W*$|[,.;!(]|\s(?:and|but"
    rf"|so)\b)"
)
def _turns(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.dated and context.future and 3 <= int(match["age"]) <= 120:
        yield Claim("event", f"turns {match['age']}", dated=True)
    elif not context.dated and "turning" in match[0].lower() and 10 <= int(match["age"]) <= 120:
        yield Claim("event", f"is turning {match['age']}", dated=True, confidence=0.8)


@RULES.rule(
    rf"{I_AM} (?:just )?an? {AGE}(?:-| )years?(?:-| )old (?P<rest>.+)$",
)
def _aged_noun(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if 3 <= int(match["age"]) <= 120:
        yield Claim("age", match["age"], confidence=0.95)
    yield from gender_of(match["rest"])
    yield from occupation_of(match["rest"])


@RULES.rule(
    rf"{I_AM} an? (?P<rest>(?:(?:cis|trans|transgender|young|straight|single|married|black|white|"
    rf"middle-aged) )*(?:man|woman|guy|girl|boy|female|male|lady))\b\W*(?:$|from|in|who|with|and|"
    rf"living)"
)
def _gender(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield from gender_of(match["rest"])


def gender_of(text: str) -> Iterator[Claim]:
    found = re.match(r"(?:[\w-]+ ){0,3}?(man|woman|guy|girl|boy|female|male|lady)\b", text, re.I)
    if found:
        word = found[1].lower()
        yield Claim("gender", "male" if word in {"man", "guy", "boy", "male"} else "female")


@RULES.rule(
    rf"(?:{I_AM}|we're|we are) (?:originally |actually |both )*from {PLACE}{END}",
    rf"i (?:come|hail) from {PLACE}{END}",
    rf"i (?:came|emigrated|immigrated) (?:here |over )?(?:to (?:the )?[A-Z]\w+ )?from {PLACE}{END}",
    rf"(?:i (?:grew up|was raised|was born and raised) in|my home ?town(?:'s| is)) {PLACE}{END}",
    rf"i was born in {PLACE}{END}",
    rf"i (?:grew up|was raised) (?:in|on) an? (?:[\w-]+ ){{0,3}}?(?:village|town|farm|island|suburb|"
    rf"croft|estate)"
    rf"(?: just)? (?:in|on|of|near|outside) {PLACE}{END}",
    rf"{I_AM} originally from {LOWER_PLACE}\W*$",
    case=False,
)
def _hometown(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = place_of(match["v"])
    if value:
        yield Claim("hometown", value)


@RULES.rule(
    (
        rf"{I_AM} (?:originally |half[- ]|an? )?(?P<v>{'|'.join(sorted(EN_NATIONALITIES))})(?: "
        rf"citizen| expat| national)?\W*(?:$|and (?!half\b|\w+ (?:food|wine))|but\b|so\b|living|in "
        rf"(?-i:[A-Z]))"
    ),
    r"my nationality(?:'s| is) (?P<v>[A-Za-z]+)",
    (
        rf"i(?:'ve got| have|'ve)(?: got)? an? (?P<v>{'|'.join(sorted(EN_NATIONALITIES))}) "
        r"(?:passport|citizenship)\W*(?:$|and\b|but\b)"
    ),
)
def _nationality(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if "half" not in match[0].lower():
        yield Claim("nationality", match["v"].capitalize())


_DEMONYMS = {
    "brit": "British", "dane": "Danish", "swede": "Swedish", "pole": "Polish", "finn": "Finnish",
    "spaniard": "Spanish", "aussie": "Australian", "scot": "Scottish", "turk": "Turkish",
    "dutchman": "Dutch", "irishman": "Irish", "frenchman": "French", "englishman": "English",
    "welshman": "Welsh", "new zealander": "New Zealand",
}  # fmt: skip


_PEOPLE_OF = {
    "scouser": "Liverpool", "geordie": "Newcastle", "brummie": "Birmingham", "mancunian": "Manchester",
    "glaswegian": "Glasgow", "londoner": "London", "new yorker": "New York", "parisian": "Paris",
    "berliner": "Berlin", "texan": "Texas", "californian": "California", "dubliner": "Dublin",
    "bostonian": "Boston", "torontonian": "Toronto", "sydneysider": "Sydney", "chicagoan": "Chicago",
}  # fmt: skip


@RULES.rule(
    rf"{I_AM} (?:originally )?an? (?:(?:proud|born and bred|native|true|real) )*"
    rf"(?P<v>{'|'.join(_PEOPLE_OF)})\b"
    r"(?=\W*$|[,.;!(]|\s(?:and|so|but|who|born|living|through|at heart|originally)\b)"
)
def _one_of_its_people(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("hometown", _PEOPLE_OF[match["v"].lower()], confidence=0.85)


@RULES.rule(rf"{I_AM} an? (?P<v>{'|'.join(_DEMONYMS)})\b\W*(?:$|living|in (?-i:[A-Z]))")
def _demonym(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("nationality", _DEMONYMS[match["v"].lower()])


_RELIGIONS = (
    "muslim", "jewish", "hindu", "sikh", "buddhist", "christian", "catholic", "mormon", "atheist", "quaker",
    "jain", "protestant", "methodist", "orthodox christian", "jehovah's witness", "agnostic",
)  # fmt: skip


@RULES.rule(
    rf"{I_AM} (?:also |actually |a |an |practi[cs]ing |strict |devout )*(?P<v>{'|'.join(_RELIGIONS)})"
    r"(?=\W*$|[,.;!]|\s(?:and|but|so|because|myself|too|now)\b)"
)
def _religion(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = match["v"].lower()
    noun = {"jehovah's witness": "a Jehovah's Witness", "atheist": "an atheist", "agnostic": "agnostic"}
    yield Claim("religion", noun.get(value, value.title()))


@RULES.rule(
    (
        rf"(?:i|we) (?:(?:currently|now|still|actually|just|both|all) )*(?:live|reside)"
        rf"(?: alone| together| with [\w ']{{2,30}}?)?(?: "
        rf"(?:right|over) here| out| up| down)? in {PLACE}{END}"
    ),
    (
        rf"(?:{I_AM}|i've been) (?:(?:currently|now|actually|still|finally) )*(?:living|based|residing|"
        rf"settled) in {PLACE}{END}"
    ),
    (
        rf"(?:(?:i|we) (?:now )?live|{I_AM}|we're) (?:now )?in an? (?:[\w-]+ ){{0,2}}?(?:flat|flatshare|"
        rf"house|houseshare|apartment|studio|condo|cottage|bungalow|terrace|dorm) in {PLACE}{END}"
    ),
    rf"i(?:'ve| have)? (?:(?:just|recently|finally|now) )*settled (?:down )?in {PLACE}{END}",
    (
        rf"i(?:'ve| have) (?:(?:now|also) )*been (?:here )?in {PLACE} "
        r"(?=for (?:[\w-]+ ){1,3}?(?:months|years?|decades?)\b)"
    ),
    (
        rf"(?:i|we)(?:'ve| have)? (?:(?:just|recently|finally|actually|already) )*"
        rf"(?:had to move|ended up moving|moved|relocated)"
        rf"(?: back| over| out| down| up| here)*(?: from [A-Z][\w ,.'-]{{1,40}}?)? to {PLACE}{END}"
    ),
    rf"i(?:'ve| have) lived in {PLACE} (?=for (?:[\w-]+ ){{1,3}}?(?:months|years?|decades?)\b)",
    rf"i(?:'ve| have) lived in {PLACE}{END}",
    rf"(?:my home is|my home's) in {PLACE}{END}",
    rf"home(?: is|'s)(?: now| currently| still)?(?: in)? {PLACE}(?=\W*$|[,.;!(]|\s(?:now|these days|for now"
    rf"|at the|and)\b)",
    rf"(?:i|we) (?:(?:currently|now|still|just) )*(?:rent|share|house-?share|flat-?share) (?:an?|our"
    rf"|my) (?:[\w-]+ ){{0,2}}?"
    rf"(?:flat|house|apartment|studio|condo|cottage|bungalow|place|room|bedsit) (?:here )?in {PLACE}{END}",
    rf"(?:.*\b)?(?i:my|our) (?:[\w-]+ )?(?:flat|house|apartment|studio|cottage|bungalow) here in"
    rf" {PLACE}{END}",
    rf"(?:{I_AM}|we're|we are) (?:(?:now|back|out|over|up|down) )*in {PLACE} (?=(?:these days|nowadays)\b)",
    rf"{I_AM} living (?:and working|with my [\w-]+) in {PLACE}{END}",
    rf"(?:my|our) (?:new )?(?:house|apartment|flat|place|home) is in {PLACE}{END}",
    rf"(?:i|we)(?:'ve| have)? (?:(?:just|recently) )*moved (?:back )?in with my [\w-]+ in {PLACE}{END}",
    rf"i (?:(?:currently|now|still) )*live in {LOWER_PLACE}\W*(?:$|now|and i\b|with my)",
    (
        rf"i(?:'ve| have)? (?:(?:just|recently) )*moved(?: from [a-z ]{{2,30}}?)? to {LOWER_PLACE}\W*(?:$|"
        rf"and i\b)"
    ),
)
def _residence(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = place_of(match["v"])
    moved = re.search(r"\b(?:moved?|moving|relocated)\b", match[0], re.I) is not None
    lasting = match.string[match.end() :].startswith("for ")
    if re.match(r"i(?:'ve| have)? lived", match[0], re.I) and not context.dated and not lasting:
        return  # "I've lived in Japan and Korea": perhaps not now
    if moved and _NOT_FOR_GOOD.match(match.string[match.end() :]):
        return
    rents = re.match(r"(?:i|we) (?:\w+ )*?(?:rent|share)", match[0], re.I) is not None
    typed_small = match[0][0] == "i" and value is not None and value.islower()
    if value and (proper(value) or typed_small) and not (context.future and (moved or rents)):
        yield Claim("residence", value, confidence=0.95, dated=moved)


@RULES.rule(
    rf"i used to live in {PLACE}{END}",
    rf"i (?:don't|do not|no longer) live in {PLACE}(?: any ?more)?\W*$",
)
def _not_residence(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = place_of(match["v"])
    ended = (
        "used to" in match[0].lower()
        or "no longer" in match[0].lower()
        or "any" in match[0][match.end("v") - match.start() :].lower()
    )
    if value and ended:
        yield Claim("residence", re.sub(r" any ?more$", "", value, flags=re.I), negates=True)


@RULES.rule(
    (
        rf"{I_AM} (?:(?:quite|very|really|pretty|a bit|naturally|also) )*(?:an? )?(?:(?:total|huge|"
        rf"big|real) )*"
        r"(?P<v>introvert(?:ed)?|extrovert(?:ed)?|perfectionist|night owl|early bird|morning person|"
        r"left[- ]handed|only child|homebody|stay-at-home (?:mom|dad|mother|father|parent))"
        r"\W*(?:$|(?:and|so|but|by)\b)"
    ),
)
def _trait(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = match["v"].lower().replace("left handed", "left-handed")
    if value.startswith("stay-at-home"):
        yield Claim("title", value)
        return
    if not value.endswith("ed"):
        value = f"{'an' if value[0] in 'aeiou' else 'a'} {value}"
    yield Claim("trait", value)


@RULES.rule(
    (
        rf"{I_AM} (?:(?:really|also|so|absolutely|very|deathly) )*(?:afraid|terrified|scared) of "
        r"(?P<v>heights|spiders|snakes|dogs|cats|clowns|flying|needles|the dark|water|thunder|insects|bugs|"
        r"bees|public speaking|small spaces|enclosed spaces|elevators|blood|mice|rats|sharks|storms)\b"
    ),
)
def _fear(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("fear", match["v"].lower())
