"""Family, friends and pets: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.health import (
    CONDITION_ADJECTIVE,
    allergens_in,
    condition_of,
    conditions_in,
)
from cluster.pipeline.rules.english.values import (
    CONTEXT_BOUND,
    END,
    FRIEND,
    I_AM,
    NAME,
    NUMBER,
    PARTNER,
    PET,
    PLACE,
    RELATION,
    YEARS_OLD,
    Context,
    person_of,
    place_of,
    proper,
)
from cluster.pipeline.rules.english.work import occupation_of
from cluster.pipeline.rules.lexicon import EN_FRIENDS, EN_LANGUAGES, EN_NOT_NAMES, EN_RELATIONS
from cluster.pipeline.rules.registry import Rules, first_claims
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)


@RULES.rule(
    (
        rf"my (?:\w+ )??(?P<x>{RELATION}|{FRIEND})(?:'s name is|'s called| is called| is named|'s named) "
        rf"{NAME}{END}(?P<rest>.*)"
    ),
    (
        rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|late|dear|baby|twin) "
        rf")?(?P<x>{RELATION}|{FRIEND}),? {NAME},? (?P<rest>(?:is|was|has|had|works|lives|just|loves|likes|"
        rf"and|turned|turns|got|gave|who|went|moved|started|studies|can|can't|won't|will|says|said|thinks|"
        rf"doesn't|does|isn't|hates|wants|needs|came|comes|goes|made|makes|keeps|knows|never|always|used)\b"
        r".*)$"
    ),
)
def _relative_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = person_of(match["v"])
    relation = match["x"].lower()
    if not name or not proper(name) or name.lower() in EN_NOT_NAMES:
        return
    if relation in EN_FRIENDS:
        yield Claim("friend_name", name, about=EN_FRIENDS[relation])
        return
    about = EN_RELATIONS[relation]
    yield Claim("family_name", name, about=about)
    rest = match["rest"].strip(" ,")
    yield from _relative_state(about, rest)


@RULES.rule(
    rf"my (?:(?:eldest|oldest|youngest|older|younger|little|big|only|baby) "
    rf")?(?P<x>{RELATION})(?P<rest>(?:'s| is| has| was| works| lives| turned| just| moved| became)\b.*)$"
)
def _relative(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    if rest.startswith("'s got "):
        rest = f"has{rest[6:]}"
    elif rest.startswith("'s"):
        rest = f"is{rest[2:]}"
    yield from _relative_state(EN_RELATIONS[match["x"].lower()], rest)


def _relative_state(about: str, rest: str) -> Iterator[Claim]:
    """What "is 70 years old and lives in Florida" says about a relative."""
    for state in re.split(r"(?:,| and|, and) (?=(?:is|has|works|lives) )", rest):
        age = re.match(
            rf"(?:is|just turned|turned) (?:now |already |only )?(\d{{1,3}})(?: {YEARS_OLD})?"
            r"\W*(?:$|and\b|now\b|,)",
            state,
            re.I,
        )
        home = re.match(rf"(?:lives in|(?:just |has |recently )*moved (?:back )?to) {PLACE}{END}", state)
        company = re.match(
            r"works (?:at|for) (?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3})\W*(?:$|\s)", state
        )
        if age and int(age[1]) <= 120:
            yield Claim("family_age", age[1], about=about)
        elif home and (value := place_of(home["v"])):
            yield Claim("family_home", value, about=about)
        elif company:
            yield Claim("family_company", company["v"], about=about)
        elif claims := list(_relative_health(about, state)):
            yield from claims
        elif job := re.match(r"(?:is|works as|became) (?:also |now )?an? (.+)$", state, re.I):
            for claim in occupation_of(job[1]):
                if claim.slot == "title":
                    yield Claim("family_job", claim.value, about=about)


# What "my daughter's vegan friend" is not.
_SAID = r"\b(?=\W*$|\s*[,.;!(]|\s+(?:and|but|so|too|now|since|because|like|as|for|from|again|these|who|by)\b)"


def _relative_health(about: str, state: str) -> Iterator[Claim]:
    """What "is allergic to nuts", "has asthma" or "is a vegan" says about a relative."""
    adverbs = r"(?:(?:also|severely|very|really|now|a|an|strictly) )*"
    if allergic := re.match(rf"is {adverbs}allergic to (.+)$", state, re.I):
        yield from (Claim("family_allergy", value, about=about) for value in allergens_in(allergic[1]))
    elif ill := re.match(rf"is {adverbs}({CONDITION_ADJECTIVE}){_SAID}", state, re.I):
        yield Claim("family_condition", condition_of(ill[1]), about=about)
    elif diet := re.match(rf"is {adverbs}(vegetarian|vegan|pescatarian){_SAID}", state, re.I):
        yield Claim("family_diet", diet[1].lower(), about=about)
    elif allergy := re.match(r"has an? (?:\w+ )??(\w+) allergy\b", state, re.I):
        yield from (Claim("family_allergy", value, about=about) for value in allergens_in(allergy[1]))
    elif has := re.match(
        r"(?:has|was diagnosed with) (?:also )?(?:(?:mild|severe|chronic|bad) )?(.+)$", state, re.I
    ):
        yield from (Claim("family_condition", value, about=about) for value in conditions_in(has[1]))


@RULES.rule(
    r"(?:i|we)(?:'ve| have)?(?: (?:also|now|only|just))* (?:got|have|'ve got)?(?: )?(?P<v>(?:an?|one|two|"
    r"three) "
    r"(?:new |young |\d{1,2}[- ](?:week|month|year)[- ]old )?(?P<x>baby|babies|toddlers?|newborn|"
    r"teenagers?|infant))"
    r"(?=\W*$|[,.;!(]|\s(?:and|who|at home|so|but|now|in the house|myself|too)\b)",
)
def _little_ones(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if re.match(r"(?:i|we)(?:'ve)? (?:\w+ )*?(?:have|got)\b", match[0], re.I):
        yield Claim("family", match["v"].lower(), about="child")
        yield from _and_others(match.string[match.end() :], context)


@RULES.rule(
    rf"(?:.*\b)?(?i:my|our) (?P<age>\d{{1,2}})(?:[- ]|\s?)(?:years?|yrs?|y)[- ]?(?:olds?|o)\b"
    rf"(?: (?:(?:little|baby|twin|sweet|only) )*(?P<x>{RELATION})\b)?(?P<rest>.*)$"
)
def _aged_child(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["x"] is None and not _NO_NOUN.match(match["rest"]):
        return  # "my 5 year old laptop"
    relation = (match["x"] or "child").lower()
    if int(match["age"]) <= 17 or match["x"]:
        yield Claim("family_age", match["age"], about=EN_RELATIONS.get(relation, "child"))


_NO_NOUN = re.compile(
    r"\s*$|[,.;!?']|\s+(?:and|who|is|has|was|won't|keeps?|just|loves?|hates?|can't|doesn't|to|for|in|at|with|"
    r"but|so|that|because|gets?|wants?|started|will|can|on|says?|had|does)\b",
    re.I,
)


@RULES.rule(
    r"(?:i|we) (?:don't|do not) (?:(?:actually|even|currently) )*have (?:any )?(?P<v>kids|children|"
    r"siblings|pets|"
    r"brothers or sisters)(?: (?:yet|myself|of my own|ourselves))*(?=\W*$|[,.;!]|\s(?:and|but|so|or|"
    r"because)\b)",
    r"(?:i|we) (?:have|'ve got)(?: got)? no (?P<v>kids|children|siblings|pets|brothers or sisters)"
    r"(?: (?:yet|myself|of my own))*(?=\W*$|[,.;!]|\s(?:and|but|so|or|because)\b)",
)
def _without(match: re.Match[str], _: Context) -> Iterator[Claim]:
    what = {"kids": "children", "brothers or sisters": "siblings"}.get(match["v"].lower(), match["v"].lower())
    yield Claim("family", f"no {what}", about=what)


@RULES.rule(
    rf"(?:.*\b(?:at|to|from|near|round) )?my (?P<x>{RELATION})'s(?: (?:house|place|flat|home))? in "
    rf"{PLACE}{END}"
)
def _at_a_relatives(match: re.Match[str], _: Context) -> Iterator[Claim]:
    visits = re.search(r"\b(?:at|to|from|near|round) my", match[0], re.I)
    if visits and (value := place_of(match["v"])):
        yield Claim("family_home", value, about=EN_RELATIONS[match["x"].lower()])


@RULES.rule(rf"my (?P<x>parents|grandparents|kids|children|in-laws) (?:both )?live in {PLACE}{END}")
def _relatives_home(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := place_of(match["v"]):
        yield Claim("family_plural_home", value, about=match["x"].lower())


@RULES.rule(
    (
        rf"(?:i|we) (?:(?:also|only|now|just) )?(?:have|have got|'ve got)(?: got)? (?P<n>{NUMBER}) "
        rf"(?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|young|grown|adult|twin|elder|"
        rf"small|great|half|step) )*(?P<x>{RELATION})(?P<s>s|ren)?\b(?P<rest>.*)$"
    ),
    (
        rf"i've got (?P<n>{NUMBER}) (?:(?:beautiful|wonderful|lovely|amazing|older|younger|little|big|"
        rf"young|grown|adult|twin) )*(?P<x>{RELATION})(?P<s>s|ren)?\b(?P<rest>.*)$"
    ),
    (
        rf"{I_AM} (?:a |the )?(?:proud )?(?:mother|father|mom|mum|dad|parent) (?:of|to) "
        rf"(?P<n>{NUMBER})(?P<x>)(?P<s>)\b(?P<rest>)(?:$|\W| (?:kids|children))"
    ),
)
def _family(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match["rest"].startswith("'"):
        return  # "a daughter's recital"
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
    yield from _named(rest, "family_name", relation, single=single)
    if single and (age := re.match(r".{0,40}?\b(?:who is|who's|and (?:he|she) is|aged) (\d{1,2})\b", rest)):
        yield Claim("family_age", age[1], about=relation)
    yield from _and_others(rest, context)


def _named(rest: str, slot: str, about: str, *, single: bool) -> Iterator[Claim]:
    """The names in what follows "a dog" or "two kids": "named Max", ", Tom and Ann"."""
    named = re.match(rf"\W*(?:named|called|whose names? (?:is|are)|,|-)\s*{NAME}(?P<more>.*)$", rest, re.I)
    if named is None or not (name := person_of(named["v"])) or not proper(name):
        return
    yield Claim(slot, name, about=about)
    if not single:
        for other in re.findall(r"(?:,| and) ([A-Z][\w'-]*)", named["more"]):
            yield Claim(slot, other, about=about)


_ANOTHER = re.compile(rf"(?:.{{0,40}}?)(?:,| and|, and) (?P<next>{NUMBER} .+)$", re.I)


def _and_others(rest: str, context: Context) -> Iterator[Claim]:
    """The relatives and pets that "I have two kids" goes on with: "and a dog"."""
    if more := _ANOTHER.match(rest):
        yield from first_claims(RULES.rules, f"I have {more['next']}", context)


@RULES.rule(
    (
        rf"(?:i|we) (?:(?:also|now|just|recently|have|only) )*(?:have|own|got|adopted|'ve got|keep) "
        rf"(?P<n>{NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{PET})(?P<s>s|es|ies)?\b(?P<rest>.*)$"
    ),
    (
        r"(?:i|we)(?:'ve| have)? (?:(?:also|now|just) )*(?:have|got|keep|raise|breed)(?P<n>) (?:some "
        r")?(?:(?:pygmy|rescue|"
        r"pet|backyard|two|rare) )?(?P<x>cat|dog|rabbit|chicken|hen|duck|goat|horse|pony|ferret|hamster|"
        r"budgie|parrot|"
        r"guinea pig|snake|gecko|alpaca|llama|donkey|pig|sheep|bee|goldfish|stick insect|snail)(?P<s>s"
        r"|ies)?\b(?P<rest>\W*$|(?: and|"
        r",| at home|"
        r" too| now| so| in (?:the|my|our)) ?.*)$"
    ),
    (
        rf"(?:i've|we've) (?:(?:got|adopted)|had(?=.*\b(?:since|for (?:[\w-]+ )+?(?:years|months"
        rf"|ages))\b)) (?P<n>{NUMBER}) (?:(?:\w+[-']?\w*) ){{0,3}}?(?P<x>{PET})(?P<s>s|"
        rf"es|ies)?\b(?P<rest>.*)$"
    ),
)
def _pet(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if re.match(
        (
            r"\s+(?:allergy|person|lover|hair|food|toy|problem|owner|costume|phobia|sanctuary|shirt|"
            r"painting|for (?:dinner|lunch))\b"
        ),
        rest,
        re.I,
    ):
        return
    if not _AFTER_PET.match(rest) or _NOT_TO_KEEP.match(rest):
        return
    number = match["n"].lower()
    if not number and not match["s"]:
        return
    start, stop = (
        match.start("n") if number else match.start("x"),
        match.end("s") if match["s"] else match.end("x"),
    )
    phrase = match[0][start - match.start() : stop - match.start()]
    if CONTEXT_BOUND.search(phrase) or len(phrase.split()) > 5:
        return
    about = match["x"].lower()
    phrase = f"{number}{phrase[len(number) :]}"
    yield Claim("pet", phrase.replace("one ", "a ", 1) if number == "one" else phrase, about=about)
    single = number in {"a", "an", "one", "1"}
    yield from _named(rest, "pet_name", about, single=single)
    if single or not _BREEDS.search(rest):  # "two dogs, a beagle and a mutt"
        yield from _and_others(rest, context)


_AFTER_PET = re.compile(
    r"\s*$|\W*[,.!;:()\u2013\u2014-]|\s+(?:and|or|named|called|who|whose|that|which|with|at home|in (?:the|"
    r"my|our)|"
    r"too|now|already|but|so|because|since|from|of (?:my|our)|as well|here|back home|for|if|i|we|it|he|she|"
    r"they)\b",
    re.I,
)
_NOT_TO_KEEP = re.compile(
    r"\s+for (?:sale|dinner|lunch|adoption|the (?:day|week|weekend)|an? (?:few |couple of )?(?:days?|week|"
    r"weekend))\b"
)
_BREEDS = re.compile(
    r"\b(?:retriever|labrador|corgi|poodle|shepherd|bulldog|beagle|husky|dachshund|chihuahua|pug|terrier|"
    r"collie|"
    r"mutt|mongrel|siamese|persian|tabby|tortoiseshell)s?\b",
    re.I,
)


_NAMES = r"(?P<v>(?-i:[A-Z][a-z][\w'-]*(?:, [A-Z][a-z][\w'-]*)*,? (?:and|&) [A-Z][a-z][\w'-]*))"


@RULES.rule(
    rf"(?:my|our) (?:(?:two|three|four|five|\d) )?(?P<x>{RELATION}|children|twins|{PET})s? (?:are"
    rf"|'re) (?:called|named) "
    rf"{_NAMES}(?=\W*$|[,.;!(]|\s(?:and|who|but|so)\b)",
    rf"(?:my|our) (?P<x>{RELATION}|children|twins|{PET})(?:s?'s?) names are"
    rf" {_NAMES}(?=\W*$|[,.;!(]|\s(?:and|but|so)\b)",
)
def _several_named(match: re.Match[str], _: Context) -> Iterator[Claim]:
    word = match["x"].lower()
    relation = {"children": "child", "twins": "child"}.get(word, EN_RELATIONS.get(word))
    for name in re.split(r",? (?:and|&) |, ", match["v"]):
        if name.lower() not in EN_NOT_NAMES:
            yield Claim("family_name" if relation else "pet_name", name, about=relation or word)


@RULES.rule(
    (
        rf"(?:my|our) (?:\w+ ){{0,2}}?(?P<x>{PET})(?:'s name is|'s called| is called| is named|'s named) "
        rf"{NAME}{END}"
    ),
    (
        rf"(?:my|our) (?:\w+ )?(?P<x>{PET}),? {NAME},? (?:is|was|has|just|loves|likes|and|who|turned|got|"
        rf"keeps|always)\b"
    ),
)
def _pet_name(match: re.Match[str], _: Context) -> Iterator[Claim]:
    name = person_of(match["v"])
    if name and proper(name):
        yield Claim("pet_name", name, about=match["x"].lower())


@RULES.rule(
    (
        rf"(?:{I_AM}|we're|we are|we've been|i've been) (?:(?:now|currently|happily|newly|recently|already|"
        rf"still|finally|legally|officially|getting) )*(?P<v>married|single|divorced|engaged|widowed|"
        rf"separated)\b(?!-)(?P<rest>.*)$"
    ),
    (
        r"(?:i (?:just |recently |finally )*got|we (?:just |recently |finally )*got) (?P<v>married|"
        r"divorced|engaged)\b(?P<rest>.*)$"
    ),
    r"(?:we|i)(?:'ve| have)? (?:been )?(?P<v>married)(?P<rest>(?: for)? (?:over |nearly |almost )?(?:\d+|"
    r"[a-z]+) years\b.*)$",
    r"we (?P<v>married)(?P<rest>\W*$)",
)
def _marital(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = match["rest"].strip()
    elsewhere = re.match(
        (
            rf"(?:in|with|by|from (?!my (?:{PARTNER})\b)|handed|to (?:this|that|these|those|it|(?:my|the)"
            rf" (?!\w+ (?:sweetheart|friend)|love|man|woman|person|guy|girl|boy|{RELATION}|{FRIEND})))\b"
        ),
        rest,
        re.I,
    )
    if "getting" in match[0].lower() or context.future or elsewhere:
        return
    if re.match(r"(?:once|twice|\w+ times|before)\b", rest, re.I):
        return
    if ended := re.match(r"[^,.;]{0,30}?\band (?:then |we |i )?(?:got )?(divorced|separated)\b", rest, re.I):
        yield Claim("marital", ended[1].lower())
        return
    yield Claim("marital", match["v"].lower(), dated="got" in match[0].lower())
    spouse = re.match(rf"to {NAME}{END}", rest)
    if spouse and match["v"].lower() == "married" and (name := person_of(spouse["v"])) and proper(name):
        yield Claim("family_name", name, about="spouse")


NAMED = frozenset({"family_name", "friend_name"})
_APPOSED = re.compile(
    rf"\b(?i:my|our) (?i:(?:\w+ ){{0,2}}?)(?P<x>(?i:{RELATION}|{FRIEND}))"
    r"(?: (?P<v>(?:(?:Mrs?|Ms|Miss|Dr|Prof)\b\.? )?(?!(?:Mrs?|Ms|Dr|Prof)\b)[A-Z][a-z][\w-]*+)|"
    r", (?P<w>(?!(?:Mrs?|Ms|Miss|Dr|Prof)\b)[A-Z][a-z][\w-]*+), )(?! (?:[A-Z]|and [A-Z]))"
)


def apposed_names(clause: str) -> Iterator[Claim]:
    """The names that stand beside what somebody is to the speaker: "dinner with my uncle Bob". Whatever the
    clause says of them, that is what they are called."""
    for match in _APPOSED.finditer(clause):
        if re.search(r"\b(?:call|name|calling|naming) $", clause[: match.start()], re.I):
            continue  # "Shall I call my son Max?"
        name, relation = match["v"] or match["w"], match["x"].lower()
        if name.lower() in EN_NOT_NAMES | EN_LANGUAGES or name.lower() in EN_RELATIONS:
            continue
        if relation in EN_FRIENDS:
            yield Claim("friend_name", name, about=EN_FRIENDS[relation])
        else:
            yield Claim("family_name", name, about=EN_RELATIONS[relation])


_OWN_PET = re.compile(
    r"\b(?:my|our) (?:(?:new|little|big|fat|silly|lovely|poor|elderly|rescue|two|three|other|tiny|fluffy) )*"
    r"(?P<x>dog|cat|puppy|kitten|hamster|rabbit|bunny|parrot|tortoise|guinea pig|ferret|gecko|pony|horse|"
    r"budgie|"
    r"labrador|retriever|corgi|poodle|bulldog|beagle|husky|dachshund|chihuahua|pug|collie|cockatiel|"
    r"gerbil)(?P<s>s)?\b"
    r"(?=\W*$|[,.;!?']|\s+(?:and|who|is|has|isn't|won't|can't|doesn't|keeps?|kept|just|loves?|likes?|"
    r"hates?|eats?|"
    r"ate|threw|barks?|sleeps?|needs?|gets?|got|wants?|started|will|can|always|never|chewed|jumps?|"
    r"limps?|to|for|"
    r"in|at|with|on|but|so|that|because|since|when|while|after|every|about|does|today|again)\b)",
    re.I,
)
_WHOSE_ELSE = re.compile(
    r"\b(?:died|dead|passed away|rip|put down|miss(?:ed)?|when i was|as a (?:kid|child)|lost)\b", re.I
)


_APPOSED_PET = re.compile(
    rf"\b(?i:my|our) (?:[a-z]+ ){{0,2}}?(?P<x>(?i:{PET}))(?: called"
    rf"| named)?,? (?P<v>[A-Z][a-z][\w-]*+)(?! [A-Z])"
)


def own_pets(clause: str) -> Iterator[Claim]:
    """The animals that somebody speaks of as theirs, whatever is said of them: "my cat won't eat", "we walked
    with my dog Max"."""
    if _WHOSE_ELSE.search(clause):
        return
    for match in _APPOSED_PET.finditer(clause):
        if match["v"].lower() not in EN_NOT_NAMES | EN_LANGUAGES:
            yield Claim("pet_name", match["v"], about=match["x"].lower(), confidence=0.85)
    for match in _OWN_PET.finditer(clause):
        about = match["x"].lower()
        yield Claim("pet", f"{about}s" if match["s"] else f"a {about}", about=about, confidence=0.85)


_OWN_KIN = re.compile(
    r"\b(?:(?:my|our) (?:(?:dear|lovely|own|poor|little|grown-up|three|four) )*"
    r"(?P<x>wife|husband|hubby|fianc[eé]e?|twins|kids|children|missus)|the (?P<y>missus|hubby))\b"
    r"(?!-|'?s? (?:ex|first|former|to be)\b| (?:of|meal|menu|party)\b| (?-i:[A-Z]))",
    re.I,
)
_NO_LONGER = re.compile(
    r"\b(?:late|ex|former|first|future|would-be|divorced?|left|died|passed|widow(?:er|ed)?|dead|lost|"
    r"broke up|"
    r"split|estranged|used to|no longer|miss|don't have|not)\b",
    re.I,
)


def own_kin(clause: str) -> Iterator[Claim]:
    """The spouse and the children whom somebody speaks of as theirs: who says "my husband" has one."""
    if _NO_LONGER.search(clause):
        return
    for match in _OWN_KIN.finditer(clause):
        word = (match["x"] or match["y"]).lower()
        if word in {"kids", "children", "twins"}:
            several = "twins" if word == "twins" else "children"
            yield Claim("family", several, about=several, confidence=0.85)
            continue
        relation = EN_RELATIONS[word]
        yield Claim("family", f"a {relation}", about=relation, confidence=0.85)
