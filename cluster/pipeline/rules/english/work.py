"""Work and study: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import (
    ADVERBS,
    CONTEXT_BOUND,
    END,
    I_AM,
    PLACE,
    Context,
    place_of,
    proper,
    value_of,
)
from cluster.pipeline.rules.lexicon import EN_INDUSTRIES, EN_LANGUAGES, EN_OCCUPATIONS
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_AT = (
    r"(?: (?:at|for|with) (?P<company>(?:the |an? )?[A-Z][\w&.'\-]*(?: (?:of |and |& "
    r")?[A-Z][\w&.'\-]*){0,4}))?"
)


@RULES.rule(
    rf"{I_AM} {ADVERBS}(?:working as )?an? (?P<rest>.+)$",
    rf"i {ADVERBS}work as an? (?P<rest>.+)$",
    r"my (?:job|occupation|profession)(?:'s| is)(?: being| as)? an? (?P<rest>.+)$",
    r"i(?:'ve| have) (?:just )?(?:started|become) (?:working )?(?:as )?an? (?P<rest>.+)$",
    (
        r"i (?:now |just |recently )?(?:got|started|took|have) (?:a )?(?:new )?(?:job|work|position|"
        r"role)s? as an? (?P<rest>.+)$"
    ),
)
def _job(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if context.future:
        return
    yield from occupation_of(
        match["rest"], context, trust=not re.match(rf"{I_AM} {ADVERBS}an? ", match[0], re.I)
    )


_OCCUPATION_END = re.compile(
    r"\s*(?:[,.!?;:()]|\s-+\s|$)|\s(?:at|for|with|in|from|and|who|but|by|on|specializing|specialising|"
    r"of|working|living|based|to|"
    r"now|currently|here|these days|trying|because|so|these|right)\b",
    re.I,
)
_NOT_JOB = re.compile(
    r"\b(?:big|huge|total|bit|real|great|terrible|bad|lousy|decent|fast|slow|lucky|not|good|better|"
    r"natural|morning|night|amazing|"
    r"awesome|horrible|avid|former|ex|aspiring|future|wannabe|home|people|dog|cat|proud|hopeless|"
    r"complete|quick|fair|true)\b|n't",
    re.I,
)


def occupation_of(rest: str, context: Context, *, trust: bool = False) -> Iterator[Claim]:
    end = _OCCUPATION_END.search(rest)
    noun = (rest[: end.start()] if end else rest).strip(" '")
    words = noun.split()
    head = words[-1].lower() if words else ""
    student = re.match(r"((?:[\w-]+ ){0,3}student)\b", rest, re.I)
    tail = rest[len(noun) :]
    if student and not re.search(r"\b(?:of|former|ex)\b", student[1], re.I):
        yield Claim("title", student[1], confidence=0.9)
        school = re.match(
            (
                r"\s*(?:[\w ]{0,30}?\b)?(?:at|from) (?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |at |and "
                r")?[A-Z][\w&.'\-]*){0,4})"
            ),
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
    if (
        not 1 <= len(words) <= 5
        or not (known or trust)
        or _NOT_JOB.search(noun)
        or CONTEXT_BOUND.search(noun)
    ):
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
    origin = re.match(rf"\s+from {PLACE}", tail)
    if origin and (value := place_of(origin["v"])):
        yield Claim("hometown", value)


@RULES.rule(
    (
        rf"(?:i {ADVERBS}work|{I_AM} {ADVERBS}(?:working|employed)) (?:at|for) (?P<v>(?:the |an? (?!lot|"
        rf"while|few|living|long|bit|couple))?[A-Za-z][\w&.'\-]*(?: (?:of |and |& |the "
        rf")?[A-Za-z][\w&.'\-]*){{0,4}}?)(?: as an? (?P<job>[\w -]{{3,40}}?))?{END}"
    ),
    (
        rf"i(?:'ve| have)? (?:(?:just|recently) )*(?:joined|started (?:working )?at|got a (?:new )?job at|"
        rf"started a (?:new )?job at) (?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |and |& "
        rf")?[A-Z][\w&.'\-]*){{0,4}}?)(?: as an? (?P<job>[\w -]{{3,40}}?))?{END}"
    ),
    (
        r"my (?:employer|company)(?:'s| is)(?: called| named)? (?P<v>[A-Z][\w&.'\-]*(?: "
        r"[A-Z][\w&.'\-]*){0,3})(?P<job>)\W*$"
    ),
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
        and not proper(value.split(" ", 1)[-1])
    ):
        if words[0] not in {"a", "an"} or len(words) < 2:
            return
    if (
        not words
        or CONTEXT_BOUND.search(value)
        or words[-1] in {"moment", "while", "years", "months", "time", "hours", "now"}
        or re.search(r"\d", words[0])
    ):
        return
    joined = re.match(r"i(?:'ve| have)? (?:(?:just|recently) )*joined", match[0], re.I)
    if (
        joined
        and not re.search(
            (
                r"\b(?:inc|corp|ltd|google|microsoft|apple|amazon|meta|company|bank|studio|hospital|"
                r"university)\b"
            ),
            value,
            re.I,
        )
        and not match["job"]
    ):
        return
    if not proper(value.removeprefix("the ").removeprefix("a ").removeprefix("an ")) and len(words) > 4:
        return
    yield Claim("company", value, confidence=0.9)
    if match["job"]:
        yield from occupation_of(match["job"], context, trust=True)


@RULES.rule(
    (
        r"i (?:no longer|don't|do not) work (?:at|for) (?P<v>[A-Z][\w&.'\-]*(?: "
        r"[A-Z][\w&.'\-]*){0,3}?)(?: any ?more)?\W*$"
    ),
    r"i used to work (?:at|for) (?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3}?)\W*$",
    (
        r"i(?:'ve| have)? (?:(?:just|recently|finally) )*(?:quit|left|resigned from) (?:my job (?:at|"
        r"with) )?(?P<v>[A-Z][\w&.'\-]*(?: [A-Z][\w&.'\-]*){0,3}?)\W*$"
    ),
)
def _not_company(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if "left" in match[0].lower() and "job" not in match[0].lower():
        return
    yield Claim("company", match["v"], negates=True)


@RULES.rule(
    rf"i {ADVERBS}work in (?:the )?(?P<v>[\w -]{{2,30}}?)(?: industry| sector| field| business)?{END}"
)
def _industry(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].lower() in EN_INDUSTRIES:
        yield Claim("industry", match["v"])


_SCHOOL = r"(?P<v>(?:the )?[A-Z][\w&.'\-]*(?: (?:of |at |and |& )?[A-Z][\w&.'\-]*){0,5})"


@RULES.rule(
    (
        rf"(?:i (?:(?:now|currently) )*(?:study|go to|attend)|{I_AM} (?:(?:now|currently) )*(?:studying|"
        rf"enrolled)) (?:(?P<m>[a-z][a-z ]{{2,40}}?) )?(?:at |in )?{_SCHOOL}{END}"
    ),
)
def _school(match: re.Match[str], _: Context) -> Iterator[Claim]:
    verb = match[0].lower()
    school = match["v"].strip(" .,")
    looks_like = re.search(
        (
            r"\b(?:university|college|school|institute|academy|mit|ucla|nyu|stanford|harvard|yale|oxford|"
            r"cambridge|tsinghua|uc \w+|polytechnic)\b"
        ),
        school,
        re.I,
    )
    if " at " in verb or looks_like:
        if looks_like:
            yield Claim("school", school)
        if match["m"] and "go to" not in verb and (major := value_of(match["m"], words=4)):
            yield Claim("major", major)
    elif ("study" in verb) and not match["m"] and " in " not in verb and school.lower() not in EN_LANGUAGES:
        yield Claim("major", school, confidence=0.8)


@RULES.rule(
    (
        r"(?:my major(?:'s| is)|i(?:'m| am)? major(?:ing|ed)? in|i have a (?:degree|master's|bachelor's|"
        r"phd)(?: degree)? in) (?P<v>[A-Za-z][\w &-]{2,40}?)(?: at (?P<s>(?:the )?[A-Z][\w&.'\-]*(?: "
        r"(?:of )?[A-Z][\w&.'\-]*){0,4}))?\W*(?:$|and|,)"
    ),
    (
        rf"(?:i (?:(?:now|currently) )*study|{I_AM} (?:(?:now|currently) )*studying) (?P<v>(?:computer|"
        rf"medicine|law|physics|chemistry|biology|economics|psychology|mathematics|math|history|"
        rf"philosophy|engineering|architecture|design|art|music|nursing|finance|accounting|marketing|"
        rf"mechanical|electrical|civil|political|environmental|software|data|business|literature|"
        rf"linguistics|journalism)(?: [a-z]+){{0,2}}?)(?P<s>)\W*(?:$|and\b|,|right now|in college)"
    ),
)
def _major(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := value_of(match["v"], words=4):
        yield Claim("major", value)
    if match["s"]:
        yield Claim("school", match["s"].strip(" .,"))


@RULES.rule(rf"i (?:just |recently )?graduated (?:from|at) {_SCHOOL}(?: (?:with|in)\b.*)?{END}")
def _alma_mater(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future:
        yield Claim("alma_mater", match["v"].strip(" .,"), dated=True)
