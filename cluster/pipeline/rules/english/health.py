"""Health and food: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import I_AM, Context, items_of
from cluster.pipeline.rules.lexicon import EN_CONDITIONS, EN_PETS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_CONDITION_OF = {
    "diabetic": "diabetes", "asthmatic": "asthma", "dyslexic": "dyslexia", "epileptic": "epilepsy",
    "anemic": "anemia", "celiac": "celiac disease", "coeliac": "celiac disease", "deaf": "deafness",
    "type 1 diabetic": "type 1 diabetes", "type one diabetic": "type 1 diabetes",
    "type 2 diabetic": "type 2 diabetes", "type two diabetic": "type 2 diabetes",
    "nearsighted": "nearsightedness", "hard of hearing": "hearing loss", "color blind": "color blindness",
}  # fmt: skip


CONDITION_ADJECTIVE = (
    r"(?:type (?:1|2|one|two) )?diabetic|lactose[- ]intolerant|gluten[- ]intolerant|color[- ]?blind|"
    r"colour[- ]?blind|deaf|dyslexic|asthmatic|epileptic|anemic|celiac|coeliac|nearsighted|hard of hearing"
)
_HOW_OFTEN = re.compile(
    r"\s+(?:(?:maybe|about|around|like|roughly) )?(?:once|twice|\w+ times|every|all the time|since|"
    r"on and off|off and on|"
    r"for (?:\w+ )?(?:years|months|ages)|most days)\b.*$"
)

_ANIMALS = EN_PETS - {"fish", "goldfish"}
# Said to be funny: nobody's body reacts to these.
_NO_ALLERGENS = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|mornings?|stupid(?:ity)?|nonsense|drama|bullshit|bs|"
    r"work(?:ing)?|commitment|exercise|exercising|meetings?|people|idiots?|small talk|responsibilit(?:y|ies)|"
    r"cleaning|math|homework|chores|effort|failure|boredom|fun|food|bad|severe|many|no|some",
    re.I,
)


@RULES.rule(
    (
        rf"{I_AM} (?:(?:also|severely|highly|very|really|mildly|slightly|deathly|super|quite|terribly|a "
        rf"bit|a little|actually|badly|seriously|extremely|pretty|so|just|horribly|dangerously) )*allergic"
        rf" to (?P<rest>.+)$"
    ),
    (
        r"i (?:(?:also|do) )?have (?:a|an|some) (?:(?:severe|bad|mild|serious|slight|terrible|strong|"
        r"life-threatening) )*allerg(?:y|ies) to (?P<rest>.+)$"
    ),
    (
        r"i (?:(?:also|do) )?have (?:a |an )?(?:(?:severe|bad|mild|serious|slight|terrible) "
        r")*(?P<rest>[a-z]+(?: [a-z]+)?) allerg(?:y|ies)\b"
    ),
)
def _allergy(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in allergens_in(match["rest"]):
        yield Claim("allergy", f"{value}s" if value.lower() in _ANIMALS else value, confidence=0.95)


@RULES.rule(
    (
        r"(?:i|we) (?:(?:also|still|actually|both|often|sometimes|regularly|do) )*(?:have been diagnosed "
        r"with|have got|have|get|"
        r"suffer from|struggle with|deal with|live with|"
        r"was diagnosed with|got diagnosed with) (?:(?:mild|severe|chronic|bad|"
        r"terrible|serious|some) )*(?P<rest>.+)$"
    ),
    r"i've (?:got|been diagnosed with|had) (?P<rest>.+)$",
    (rf"{I_AM} (?:(?:severely|also|actually|a bit|a|an) )*(?P<adj>{CONDITION_ADJECTIVE})\b(?P<rest>)"),
)
def _condition(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if adjective := match.groupdict().get("adj"):
        yield Claim("condition", condition_of(adjective), confidence=0.95)
        return
    for value in conditions_in(match["rest"]):
        yield Claim("condition", value, confidence=0.9)


def condition_of(adjective: str) -> str:
    """What somebody has who is "asthmatic" or "lactose-intolerant"."""
    lowered = adjective.lower().replace("-", " ")
    if "blind" in lowered:
        lowered = "color blind"
    return _CONDITION_OF.get(lowered) or f"{lowered.split()[0]} intolerance"


def conditions_in(text: str) -> list[str]:
    """The illnesses at the beginning of a text."""
    return [value for value in items_of(_HOW_OFTEN.sub("", text)) if value.lower() in EN_CONDITIONS]


def allergens_in(text: str) -> list[str]:
    """What somebody is "allergic to"."""
    text = re.sub(r"^(?:all|any|some|most|things like|both) ", "", text, flags=re.I)
    text = re.sub(r"\s+(?:are|is|make|makes|and (?:her|his|their|my|our))\b.*$", "", text)
    return [value for value in items_of(text) if not _NO_ALLERGENS.fullmatch(value)]


_OWN_CONDITION = "|".join(
    sorted((*map(re.escape, EN_CONDITIONS), "stammer", "stutter", "sleep apnoea"), key=len, reverse=True)
)


@RULES.rule(
    rf"my (?:(?:chronic|bad|mild|severe|seasonal|old) )*(?P<v>{_OWN_CONDITION})"
    r"(?='s\b|\W*$| (?:is|are|was|has|have|got|gets|acts|acting|flares|flared|keeps|makes|means|"
    r"medication|meds|"
    r"and|so|but|again|lately|right now|since|because|as)\b)"
)
def _own_condition(match: re.Match[str], _: Context) -> Iterator[Claim]:
    value = match["v"]
    yield Claim("condition", f"a {value}" if value in {"stammer", "stutter"} else value, confidence=0.85)


@RULES.rule(
    r"i(?:'m| am)? (?:weigh |about |around |now |currently |down to |up to )*"
    r"(?P<v>\d{2,3}(?:\.\d)? ?(?:kg|kgs|kilos?|kilograms|lbs?|pounds|stone))\b(?! (?:of|over|under|heavier|"
    r"lighter|down|up)\b)(?= (?:and|now|at|so|though|but|tho|already|atm)\b|\W*$|[,.;!(])"
)
def _weight(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("weight", match["v"])


@RULES.rule(
    rf"{I_AM} (?:about |only )?(?P<v>\d['\u2032]\s?\d{{1,2}}\"?|\d ?(?:ft|foot|feet)(?: ?\d{{1,2}})?|"
    rf"1\d\d ?cm|"
    r"1[.]\d\d ?m)(?: tall)?(?=\W*$|[,.;!]|\s(?:and|so|but)\b)"
)
def _height(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("height", match["v"])


@RULES.rule(
    r"i (?:(?:also|still|now) )*wear (?P<v>glasses|contacts|contact lenses|hearing aids|braces|dentures)\b"
)
def _wears(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        yield Claim("habit", f"wears {match['v'].lower()}")


_LEFT_OUT = r"(?P<v>gluten|dairy|lactose|sugar|alcohol|caffeine|meat|nut)"


@RULES.rule(
    rf"{I_AM} (?:(?:also|strictly|mostly|now|completely|currently) )*{_LEFT_OUT}[- ]free\b(?! (?:for|"
    rf"since|until)\b)",
    r"i (?:really |still |also )*(?:can't|cannot|can not|don't) (?:really )?(?:have|do|tolerate|digest) "
    r"(?:any )?(?P<v>gluten|dairy|lactose|wheat|soy|shellfish|nuts|peanuts|alcohol|caffeine|pork|milk|eggs)"
    r"(?=\W*$|[,.;!]|\s(?:and|but|so|because|at all|any ?more|since)\b)",
)
def _without(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.dated:
        return
    value = match["v"].lower()
    drunk = value in {"alcohol", "caffeine", "milk"}
    yield Claim("avoids_drink" if drunk else "avoids", "nuts" if value == "nut" else value)


@RULES.rule(
    r"i (?:(?:still|do|also|only|currently) )*(?P<verb>smoke|vape)(?: (?:a lot|too much|socially|"
    r"occasionally|"
    r"a bit|(?:(?:about|around|maybe|like|roughly) )?(?:half )?(?:an?|one|two|three|four|five|six|ten|twenty"
    r"|\d+) (?:packs?|cigarettes?|fags?)"
    r"(?: (?:a|per) day)?))?(?=\W*$|[,.;]|\s(?:and|but|so|now|though)\b)"
)
def _smokes(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        yield Claim("habit", f"{match['verb'].lower()}s")


@RULES.rule(
    r"i (?:(?:also|really) )*(?:don't|do not|never) (?P<verb>smoke|vape)(?=\W*$|[,.;]|\s(?:and|but|so|or)\b)",
)
def _smokes_not(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("habit", f"doesn't {match['verb'].lower()}")


@RULES.rule(
    (
        rf"{I_AM} (?:(?:a|an|also|strictly|strict|now|mostly|currently|actually) )*(?P<v>vegetarian|vegan|"
        rf"pescatarian)\b(?!['-])"
    ),
    (
        r"i(?:'ve| have)? (?:recently |just )*(?:been (?:an? )?(?:strict )?|(?:became|become) (?:an? )?|"
        r"went |"
        r"gone |turned )(?P<v>vegetarian|vegan|"
        r"pescatarian)\b(?!['-])(?! for (?:an?|one|two|three|four|five|six|ten|twenty|four|five|six|\d+|a"
        r" few|some|the) "
        r"(?:days?|weeks?|months?)\b)(?! (?:for|in) (?:january|lent)\b)"
    ),
)
def _diet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("diet", match["v"].lower(), confidence=0.95)


@RULES.rule(
    rf"{I_AM} (?:no longer|not) (?:an? )?(?P<v>vegetarian|vegan|pescatarian)\b(?P<more> any ?more\b)?"
    r"(?: lol\b| haha\b)?\s*(?:$|[,.;!])"
)
def _not_diet(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["more"] or "no longer" in match[0].lower():
        yield Claim("diet", match["v"].lower(), negates=True)


@RULES.rule(
    (
        r"i (?:(?:also|really|just|personally|never) )*(?:don't|do not|dont|can't|cannot|never) (?:ever "
        r")?(?P<verb>eat|drink) (?P<rest>.+)$"
    ),
    r"i (?:(?:really|just|personally|also|actually) )*(?:don't|do not|never) "
    r"(?P<verb>drink)(?P<rest>)(?: at all| myself|"
    r" any ?more)?\W*$",
    r"i(?:'ve| have)? (?:no longer|stopped|quit|gave up|given up) (?P<verb>(?:eat|drink|smok)ing|eat|"
    r"drink|smoke)\b"
    r" ?(?P<rest>.*)$",
    r"i (?:don't|do not) (?P<verb>smoke) (?P<rest>any ?more\b.*)$",
    r"i(?:'ve| have)? (?:gave|given) up (?:the |all )?(?P<verb>(?P<thing>beer|wine|booze|alcohol|drink|"
    r"coffee|caffeine|"
    r"cigarettes|fags|meat|sugar|dairy|gluten))\b(?P<rest>)(?! for (?:lent|january|a )\b)",
)
def _avoids(match: re.Match[str], context: Context) -> Iterator[Claim]:
    verb = match["verb"].lower()
    rest = re.sub(r"(?:^|\s+)(?:any ?more|at all)\b.*$", "", match["rest"], flags=re.I)
    if re.search(
        r"(?:^|\s)(?:for|once|when|during|until|while|after|before|on \w+days?|on weekends)\b", rest, re.I
    ):
        return
    if thing := match.groupdict().get("thing"):
        if thing.lower() not in {"cigarettes", "fags"}:
            drunk = thing.lower() not in {"meat", "sugar", "dairy", "gluten"}
            value = "alcohol" if thing.lower() in {"booze", "drink"} else thing.lower()
            yield Claim("avoids_drink" if drunk else "avoids", value)
            return
        verb = "smoke"
    if verb in {"smoking", "smoke"}:
        yield Claim("quit", "smokes")
        return
    if (
        re.match(
            (
                r"(?:much|a lot|enough|well|out|too|for|before|after|at|late|alone|properly|anything|"
                r"breakfast|lunch|dinner|and driv(?:e|ing))\b"
            ),
            rest,
            re.I,
        )
        or context.dated
    ):
        return
    if not rest or re.match(r"(?:so|but|and|because|though|lol)\b", rest, re.I):
        if verb.startswith("drink"):  # without saying what
            yield Claim("avoids_drink", "alcohol")
        return
    for value in items_of(re.sub(r"^(?:any|much) ", "", rest)):
        yield Claim("avoids" if verb.startswith("eat") else "avoids_drink", value)


# How the names of medicines end (INN stems), and words for kinds of them.
_MEDICINE = re.compile(
    r"(?:[a-z-]{2,}(?:cillin|mycin|floxacin|cycline|prazole|conazole|sartan|pril|olol|statin|triptan|"
    r"oxetine|azepam|"
    r"azolam|thyroxine|formin|gliptin|gliflozin|glutide|profen|parin|xaban|dipine|semide|thiazide|sone|"
    r"solone|"
    r"tidine|tadine|rizine|fenadine|codone|codeine|traline|lopram|pidem|setron|lukast|terol|mab|vir|epine|"
    r"apine)|"
    r"insulin|aspirin|paracetamol|acetaminophen|lithium|warfarin|antidepressants|antihistamines|antibiotics|"
    r"statins|beta[- ]blockers|blood thinners|birth control|the pill|iron tablets|vitamin \w{1,3}|"
    r"gabapentin|pregabalin|ritalin|adderall|xanax|prozac|zoloft|ozempic)",
    re.I,
)


@RULES.rule(
    (
        r"(?P<not>i (?:no longer take|stopped taking|don't take|quit taking|came off|am no longer on)) "
        r"(?P<rest>.+)$"
    ),
    (
        r"(?P<not>)i(?:'ve been|'m| am| have been)?(?: (?:also|currently|still|now|usually|already))* "
        r"(?:take|taking|use|using|on) (?:(?:some|my|a low dose of|daily|\d+ ?mg(?: of)?) )*(?P<rest>.+)$"
    ),
)
def _medication(match: re.Match[str], context: Context) -> Iterator[Claim]:
    denied = match["not"] or ""
    ever = re.search(r"\bany ?more\b", match["rest"]) is not None
    if "don't" in denied.lower() and not ever:
        return
    rest = re.sub(
        r"\s+(?:any ?more|for|every|daily|each|in|at|when|already|before|after)\b.*$", "", match["rest"]
    )
    for value in items_of(rest):
        if _MEDICINE.fullmatch(value):
            yield Claim("medication", value, negates=bool(denied))


@RULES.rule(
    rf"{I_AM} (?:(?:now|also|currently|actually|already|almost|about|\w+ (?:weeks|months)) )*"
    r"pregnant\b(?P<rest>.*)$"
)
def _pregnant(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if not re.match(r"\W*(?:pause|with (?:ideas|hope))", match["rest"]):
        yield Claim("event", "is pregnant", dated=True)
