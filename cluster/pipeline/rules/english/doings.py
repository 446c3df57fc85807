"""Habits, goals, plans and events: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import (
    CONTEXT_BOUND,
    I_AM,
    RESTRICTIVE,
    Context,
    inflect,
    proper,
    third_person,
    value_of,
)
from cluster.pipeline.rules.lexicon import word_list
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_DAYS = r"(?:weekends|weekdays|mondays|tuesdays|wednesdays|thursdays|fridays|saturdays|sundays)"
_EVERY = (
    r"(?:every|each) (?:single )?(?:day|morning|evening|night|week|weekend|month|year|summer|winter|"
    r"spring|fall|autumn|monday|tuesday|wednesday|thursday|friday|saturday|sunday|other day)s?|(?:once|"
    r"twice|three times|four times|five times|several times|(?:[2-6]|two|three|four|five|six) days) "
    rf"(?:a|per) (?:day|week|month|year)|on {_DAYS}(?:(?:, | and |, and |, or | or ){_DAYS})*|daily"
)
_HABIT = re.compile(rf"^(?P<body>.{{2,60}}?) (?P<every>{_EVERY})\b(?P<after>.*)$", re.I)
_HABIT_VERBS = word_list(
    """
    go run jog swim walk hike cycle bike meditate read write cook bake practice exercise train volunteer
    work study play watch drink eat do take visit call attend wake get paint draw sing dance garden
    journal travel commute climb surf ski fish camp lift row box sail skate bowl knit drum
    teach coach stretch pray sleep skip fast clean shop
    meet
    """
)
# "I go every Monday": where to was said before, or nowhere.
_NEEDS_MORE = word_list("go do take get visit call attend meet watch play have")


@RULES.rule(
    r"i (?:(?:usually|always|often|also|normally|typically|still|generally) )*(?P<verb>[a-z]+) (?P<rest>.+)$"
)
def _habit(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match["verb"].lower() not in _HABIT_VERBS or context.dated:
        return
    found = _HABIT.match(f"{match['verb']} {match['rest']}")
    if (
        found is None
        or CONTEXT_BOUND.search(found["body"])
        or RESTRICTIVE.search(found["body"])
        or len(found["body"].split()) > 9
    ):
        return
    verb, _, rest = third_person(found["body"]).partition(" ")
    if rest.startswith("and ") or (not rest and verb.lower() in _NEEDS_MORE):
        return
    phrase = f"{inflect(verb.lower())} {rest}".strip()
    yield Claim("habit", f"{phrase} {found['every'].lower()}", confidence=0.85)


@RULES.rule(
    rf"{I_AM} (?:(?:also|now|currently|still) )*(?P<verb>volunteering|coaching|teaching|training|helping"
    rf" out|working) "
    r"(?P<rest>.+)$"
)
def _habit_now(match: re.Match[str], context: Context) -> Iterator[Claim]:
    found = _HABIT.match(f"{match['verb']} {match['rest']}")
    if (
        context.dated
        or found is None
        or CONTEXT_BOUND.search(found["body"])
        or len(found["body"].split()) > 9
    ):
        return
    yield Claim("habit", f"is {third_person(found['body'])} {found['every'].lower()}", confidence=0.85)


@RULES.rule(
    r"i (?:don't|do not) (?:(?:actually|even) )*(?P<has>own|have) (?P<v>an? (?:tv|telly|television|car"
    r"|smartphone|"
    r"mobile(?: phone)?|microwave|dishwasher|washing machine|driving licen[cs]e|driver'?s licen[cs]e|credit"
    r" card|oven|"
    r"computer|laptop|garden|freezer))(?: (?:either|myself|any ?more|at all|at"
    r" home))*(?=\W*$|[,.;!(]|\s(?:and|so|but|because)\b)"
)
def _goes_without(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        value = match["v"].lower().replace("tv", "TV")
        yield Claim("habit", f"doesn't {match['has'].lower()} {value}", confidence=0.85)


@RULES.rule(
    r"(?:i|we) (?:(?:actually|also) )*(?P<verb>start|begin|finish|leave|fly|travel|move|graduate"
    r"|retire) (?P<rest>.+)$"
)
def _timetabled(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """ "I start my new job on Monday": what is fixed for a day is said in the present."""
    if not (context.dated and context.future) or _OF_THE_MOMENT.match(f"{match['verb']}ing {match['rest']}"):
        return
    value = _event_value(match["rest"])
    if value and re.match(
        r"(?:my|our|to (?-i:[A-Z])|for (?-i:[A-Z])|back to (?-i:[A-Z])|at (?-i:[A-Z])|(?:the|a) new)",
        match["rest"],
        re.I,
    ):
        yield Claim("event", f"{inflect(match['verb'].lower())} {value}", dated=True, confidence=0.85)


@RULES.rule(
    (
        r"my (?:(?:main|biggest|ultimate|current|long-term|next|life|lifelong|career|short-term|big|new "
        r"year's) )*(?P<x>goal|dream|ambition)(?: for [\w ]{3,20})?(?:'s| is| has always been) (?:to "
        r")?(?P<rest>.+)$"
    ),
    (
        r"i(?: (?:(?:really|always|still|also|eventually|someday|one day|just) )*(?:want|hope|aim|dream of|"
        r"aspire)|"
        r"(?:'ve| have) (?:(?:really|always|long|just) )*(?:wanted|dreamed of))(?: to)? "
        r"(?P<x>become|becoming|learn|learning|be|being) (?P<rest>.+)$"
    ),
    (
        rf"{I_AM} (?:(?:currently|also|now) )*(?P<x>training for|saving (?:up )?for|preparing for|"
        rf"studying for) (?P<rest>.+)$"
    ),
)
def _goal(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"].lower()
    rest = match["rest"]
    if re.match(
        (
            r"(?:there|here|more|able|a part|part|with|in|on|myself|better|happy|sure|good|honest|clear|"
            r"careful|about|like|from|the best|as|known|prepared|ready)\b"
        ),
        rest,
        re.I,
    ):
        return
    value = value_of(
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
    elif kind.partition(" ")[0] in {"training", "saving", "preparing", "studying"}:
        yield Claim("habit", f"is {kind} {value}", confidence=0.85)
    else:
        verb = {"becoming": "become", "learning": "learn", "being": "be"}.get(kind, kind)
        if (verb == "be" and not re.match(r"an? ", value)) or re.search(r"\b(?:better|good) ", value):
            return
        yield Claim("goal", f"{verb} {value}", confidence=0.85)


@RULES.rule(
    (
        rf"(?:{I_AM}|we're|we are) (?:(?:also|currently|now|really|just|actually|still) "
        rf")*(?P<x>planning(?: on)?|going|about|scheduled|hoping|thinking of)(?P<to> to)? (?P<rest>.+)$"
    ),
    (
        r"i (?:(?:also|currently|now|really|just|actually) )*(?P<x>plan|intend|will|gonna)(?P<to> to)? "
        r"(?P<rest>.+)$"
    ),
    r"(?:i'll|im gonna|i'm gonna)(?P<x>)(?P<to>) (?P<rest>.+)$",
    (
        rf"(?:{I_AM}|we're|we are) (?P<x>flying|traveling|travelling|moving|leaving|starting|getting|"
        rf"visiting|attending|meeting|having|hosting|running|taking|celebrating|graduating|"
        rf"seeing)(?P<to>) (?P<rest>.+)$"
    ),
    (
        r"i(?:'ve got|'ve| have) (?P<x>an? (?:[\w-]+ ){0,2}(?:appointment|meeting|interview|exam|flight|"
        r"concert|wedding|competition|recital|performance|surgery|trip|race|tournament|presentation|test|"
        r"date|marathon|viewing|checkup|check-up|audition|gig|hearing|defen[cs]e|"
        r"deadline))(?P<to>)\b(?P<rest>.*)$"
    ),
)
def _plan(match: re.Match[str], context: Context) -> Iterator[Claim]:
    kind = match["x"].lower()
    rest = match["rest"].strip()
    explicit = kind.startswith(("plan", "intend"))
    if not explicit and not (context.dated and context.future):
        return
    if kind in {"hoping", "thinking of", "about"} or _OF_THE_MOMENT.match(f"{kind} {rest}"):
        return
    if (
        kind.startswith("planning")
        and not match["to"]
        and not re.match(r"on |an? ", rest)
        and "on" not in kind
    ):
        return
    value = _event_value(rest)
    if value is None and kind.partition(" ")[0] not in {"a", "an"}:
        return
    if value is not None and re.match(
        r"(?:(?:go on|keep|carry on|continue) \w+ing|kill|die|murder|strangle|cry|scream|explode|lose)\b",
        value,
        re.I,
    ):
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
            value if match["to"] and not _WHERE.match(rest) else f"go {'to ' if match['to'] else ''}{value}",
            dated=True,
            confidence=0.85,
        )
    elif kind in {"will", "gonna", ""} and value:
        if not re.match(
            r"(?:be|let|keep|check|try|see|do|think|feel|rest|relax|sleep|definitely|never|always|probably|"
            r"make sure|have to|kill|die|murder|cry|scream|explode|ask|tell|call|ring|phone|text|email|mail|"
            r"send|"
            r"message|write|order|buy|bring|return|pick|pay|look|show|use|come|wait|stop|put|give|report|"
            r"update|"
            r"read|eat|drink|find|talk|speak|say|add|change|remove|set|post|share|print|take (?!part))\b",
            value,
            re.I,
        ):
            yield Claim("plan", value, dated=True, confidence=0.8)
    elif kind.partition(" ")[0] in {"a", "an"}:
        tail = _event_value(rest) if rest else ""
        if tail is not None:
            yield Claim("event", f"has {kind} {tail}".strip(), dated=True, confidence=0.85)
    elif value:
        yield Claim("event", f"is {kind} {value}", dated=True, confidence=0.85)


def _event_value(rest: str) -> str | None:
    """What is planned or was done, up to the first comma; None when it needs its context."""
    end = re.search(
        (
            r"\s*[,.!?;:()]|\s+-+\s|\s+(?:because|but|so|and (?:it|it's|that|the|they|he|she|was|were|had|"
            r"i|we)|"
            r"and (?:never|now|then|still|almost|also|just|immediately|really|not|no|yes|wow|boy|man|oh)|"
            r"which|where|though|since|to see if|as)\b"
        ),
        rest,
        re.I,
    )
    value = re.sub(r"\s+", " ", rest[: end.start()] if end else rest).strip(" -'*")
    value = re.sub(
        r"(?:\s+(?:on|in|at|for|and|with|to|the|by|of|a|together|later|next|recently|back))+$",
        "",
        value,
        flags=re.I,
    )
    if not value or not 1 <= len(value.split()) <= 14 or _EVENT_CONTEXT.search(value):
        return None
    return third_person(value)


_WHERE = re.compile(
    r"(?:the|an?|my|our|his|their|some|bed|church|school|work|court|\w+'s)\b|(?-i:[A-Z])", re.I
)
""" "going to the dentist" goes somewhere, "going to paint" is going to do something."""
_OF_THE_MOMENT = re.compile(
    r"going (?:with|without|by|alone|as|in|at|from|together|again|too|either|(?:back )?(?:to )?(?:bed|"
    r"sleep))\b|"
    r"running (?:late|out|low|behind|into|away|around|errands)\b|"
    r"leaving (?:at|early|late|now|soon|in|by|before|after)\b|"
    r"(?:getting|having) (?:trouble|problems|fun|ready|dressed|up|back|home|old|better|worse|tired|lunch|"
    r"dinner|"
    r"breakfast)\b",
    re.I,
)
_EVENT_CONTEXT = re.compile(
    r"\b(?:it|it's|this|that|these|those|them|they|him|her|he|she|you|your|there|here|one|something|"
    r"anything|stuff|things?|"
    r"how|what|why|who|when|where|i|i'm|i've|such|after|before|while|until)\b|\b(?:few|more|several|"
    r"some|it all)$",
    re.I,
)
_PAST = word_list(
    """
    went visited bought got started finished joined attended met adopted celebrated graduated won lost
    ran hiked played watched saw read tried made cooked baked painted took had signed volunteered
    traveled travelled flew drove broke quit moved organized hosted participated received completed
    registered enrolled climbed camped swam saw performed published launched opened sold wrote planted
    built fixed injured sprained hurt passed failed interviewed presented gave ordered booked picked
    learned practiced helped donated discovered found became created received earned ate drank biked
    cycled skied surfed shot recorded filmed auditioned auctioned retired proposed married divorced
    applied accepted resigned joined upgraded renovated repaired discussed taught led competed scored
    beat raised ran reached set sang danced drew photographed binge-watched rode sailed fished toured
    tore fractured dislocated
    explored stayed spent woke sent submitted hung threw ended decided did
    """
)


@RULES.rule(
    (
        r"my (?P<what>(?:[\w'-]+ ){0,2}(?:surgery|operation|appointment|interview|exam|flight|wedding|"
        r"deadline|due date|test|presentation|defen[cs]e|checkup|check-up|graduation|trial|hearing|scan|race|"
        r"recital|gig))"
        r"(?: is|'s)(?: (?:scheduled|booked|set|due|planned))?(?: for| on| in)?(?P<rest>.*)$"
    ),
    (
        r"(?:i|we)(?:'ve| have)? (?:(?:just|finally|already|also) )*(?P<verb>booked|reserved|signed up for|"
        r"registered for|got tickets (?:for|to)) (?P<rest>.+)$"
    ),
    (
        r"(?:i|we) (?:(?:really|also|just) )*(?P<verb>want|hope|need) to "
        r"(?P<rest>(?!(?:go|do|be|get|make|see|talk|know|have|sleep|eat)\b)\w+ .+)$"
    ),
)
def _ahead(match: re.Match[str], context: Context) -> Iterator[Claim]:
    """What is said to lie ahead by its date."""
    if not (context.dated and context.future):
        return
    groups = match.groupdict()
    if what := groups.get("what"):
        if not re.search(r"\w", match["rest"]) and not CONTEXT_BOUND.search(what):
            yield Claim("event", f"has {_article(what)}{what}", dated=True, confidence=0.85)
    elif value := _event_value(match["rest"]):
        verb = match["verb"].lower()
        said = f"{inflect(verb)} to {value}" if verb in {"want", "hope", "need"} else f"{verb} {value}"
        yield Claim("event", said, dated=True, confidence=0.8)


def _article(noun: str) -> str:
    return "an " if noun[0].lower() in "aeiou" else "a "


@RULES.rule(
    r"(?:i|we)(?:'ve| have)? (?:(?:just|finally|recently|also|actually|even|both|all|already) "
    r")*(?P<verb>[a-z-]+) (?P<rest>.+)$"
)
def _event(match: re.Match[str], context: Context) -> Iterator[Claim]:
    verb = match["verb"].lower()
    if verb not in _PAST or not context.dated or context.future:
        return
    rest = match["rest"]
    if (
        context.vague
        and verb in {"signed", "booked", "registered"}
        and re.search(r"\b(?:for|to)\b", rest, re.I)
    ):
        return  # "I've signed up for a trek in April": the date is the trek's
    if verb in {"had", "got", "did", "made", "took", "decided", "found"} and re.match(
        (
            r"(?:to|so|a (?:great|good|nice|fun|blast|lot|bad|tough|rough|hard|wonderful|really|bit|"
            r"feeling|chance)|it|that|some (?:fun|news)|back|really|me|used|great|fun)\b"
        ),
        rest,
        re.I,
    ):
        return
    value = _event_value(rest)
    if value and (len(value.split()) > 1 or proper(value)) and not _EVERYDAY.match(f"{verb} {value}"):
        yield Claim("event", f"{verb} {value}", dated=True, confidence=0.85)


_EVERYDAY = re.compile(
    r"lost (?:my|our|their) (?:mind|temper|patience|cool|way|place|appetite|train of thought)\b|"
    r"got (?:up|back|home|in|out|off|stuck|to (?:work|bed|sleep))\b|"
    r"made (?:a (?:mistake|typo|joke|fool|mess)|an error|progress|up)\b|ran (?:out|late|errands)\b|"
    r"took (?:a (?:nap|shower|break|bath|picture|photo|seat)|the (?:bus|train|tram|metro|stairs)|notes)\b|"
    r"finished work\b|spent (?:\W?\d|money|hours)",
    re.I,
)
"""What happens on any day, and is forgotten on the next."""
