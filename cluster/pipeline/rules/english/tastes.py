"""What the speaker likes and does not: rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.pipeline.rules.english.values import (
    ADVERBS,
    CONTEXT_BOUND,
    I_AM,
    Context,
    inflect,
    liking,
    third_person,
    tidied,
    value_of,
)
from cluster.pipeline.rules.lexicon import word_list
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)


@RULES.rule(
    (
        r"my (?:all[- ]time |absolute |personal )?(?:favou?rite|fave?|fav) "
        r"(?P<x>[a-z][a-z -]{1,30}?)(?:s)?(?:'s| is| are| was always| has always been|:) (?P<rest>.+)$"
    ),
    (
        r"my (?:all[- ]time |absolute |personal )?(?:favou?rite|fave?|fav) (?P<x>[a-z][a-z -]{1,30}?)(?: "
        r"to [a-z]+)(?: is| are) (?P<rest>.+)$"
    ),
)
def _favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    about = match["x"].lower().strip()
    if CONTEXT_BOUND.search(about) or re.search(
        r"\b(?:of|from|in|about|so|memory|moment|piece|for)\b", about
    ):
        return
    rest = re.sub(
        r"^(?:definitely|probably|actually|still|always|called|by far) ", "", match["rest"], flags=re.I
    )
    if re.match(r"(?:when|how|that|not|the (?:part|one)|to |by |from )", rest, re.I):
        return
    value = value_of(rest, the=True)
    if value and not value.lower().startswith(("a ", "an ", "so ", "just ", "about ")):
        yield Claim("favourite", tidied(value), about=about)


@RULES.rule(
    r"(?P<v>[A-Z\ue000-\ue7ff][\w' \ue000-\ue7ff-]{0,40}?)(?:'s| is| are) my (?:all[- ]time |absolute "
    r")?(?:favou?rite|fave) (?P<x>[a-z][a-z -]{1,25}?)\W*(?:$|,)"
)
def _is_favourite(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if (
        not CONTEXT_BOUND.search(match["v"])
        and not CONTEXT_BOUND.search(match["x"])
        and not re.search(r"\b(?:of|from|in|about|memory|moment|to)\b", match["x"])
    ):
        yield Claim("favourite", match["v"], about=match["x"].lower())


@RULES.rule(
    rf"i {ADVERBS}(?:like|love|enjoy|adore|prefer)(?: doing)? (?P<rest>.+)$",
    (
        r"i(?:'ve| have) (?:always|long) (?:liked|loved|enjoyed|adored|been (?:fond of|into|interested in|"
        r"passionate about|a (?:big |huge )?fan of)) (?P<rest>.+)$"
    ),
    (
        rf"{I_AM} {ADVERBS}(?:(?:so|very|quite|pretty|super|big|deeply|extremely|kind of|really|more) "
        rf")*(?:interested in|passionate about|fond of|into|keen on|crazy about|obsessed with|addicted "
        rf"to) (?P<rest>.+)$"
    ),
    (
        rf"{I_AM} {ADVERBS}(?:such )?a (?:(?:big|huge|massive|great|die-hard|lifelong|real|total|"
        rf"long-time) )*(?:fan of|lover of) (?P<rest>.+)$"
    ),
    (
        r"(?:one of )?my (?:(?:main|favou?rite|biggest|other) )*(?:hobby|hobbies|interests?|passions?|"
        r"pastimes?)(?:'s| is| are| includes?)(?: also)? (?P<rest>.+)$"
    ),
)
def _like(match: re.Match[str], context: Context) -> Iterator[Claim]:
    rest = re.sub(r"^me (?:some|an?) ", "", match["rest"])
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
    if re.search(r"\binto $", match[0][: match.start("rest") - match.start()], re.I) and _SO_FAR_INTO.match(
        rest
    ):
        return
    for value in liking(rest):
        yield Claim("like", value)


_SO_FAR_INTO = re.compile(
    r"(?:my|our|the) (?:\w+(?:st|nd|rd|th)|next|last|final|\w+ (?:hour|day|week|month|year))\b|"
    r"(?:week|month|day|year|chapter|page|hour|season|episode|level|part) \w+|\d",
    re.I,
)
""" "I'm into my third coffee": how far, not what is liked."""


@RULES.rule(
    (
        r"i (?:(?:really|also|just|still|honestly|absolutely) )*(?:hate|dislike|detest|despise|loathe) "
        r"(?P<rest>.+)$"
    ),
    (
        r"i (?:really |just |honestly |still |also )*(?:don't|do not) (?:(?:really|particularly|even|ever|"
        r"actually|much|personally) )*(?:like|enjoy|love|care for) (?P<rest>.+)$"
    ),
    (
        r"i (?:really |just )*(?:can't|cannot|can not) stand (?!(?:up|still|straight|for|on|here|there|near|"
        r"by|in|"
        r"at|between|against|properly|without|longer|long|upright)\b)(?P<rest>.+)$"
    ),
    (
        rf"{I_AM} (?:really )?not (?:(?:really|much of|that|such|at all) )*(?:a (?:big |huge )?fan of|"
        rf"into|fond of|keen on|interested in) (?P<rest>.+)$"
    ),
)
def _dislike(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    ended = re.search(r"\s+any ?more\b.*$", rest, re.I)
    if ended:
        for value in liking(rest[: ended.start()]):
            yield Claim("like", value, negates=True)
        return
    rest = re.sub(r"\s+(?:at all|one bit|that much|very much|either)\b.*$", "", rest, flags=re.I)
    if re.match(
        r"to (?:say|admit|ask|see|hear|think|bother|be|break|leave|tell|brag|do|complain|boast|interrupt|nag|"
        r"pester|repeat|disagree|argue|generali[sz]e)\b",
        rest,
        re.I,
    ):
        return
    for value in liking(re.sub(r"\s+or\s+", " and ", rest)):
        yield Claim("dislike", value)


@RULES.rule(
    (
        r"i (?:no longer|stopped) (?:like|love|enjoy|liking|enjoying) (?P<rest>.+?)(?: any "
        r"?more)?\W*$"
    ),
)
def _not_like(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in liking(match["rest"]):
        yield Claim("like", value, negates=True)


_INSTRUMENT = re.compile(
    r"(?:phone|ophone|bone|horn|pipes?|organ|lute|lyre|zither|sitar|oboe|bassoon|viola|tuba|banjo|mandolin|"
    r"accordion|harmonica|recorder|fiddle|drum|guitar|harp|lele|keyboards?|cymbals|bugle|cornet|piccolo|"
    r"concertina|bongos?|tabla|erhu|koto|oud)$"
)
_GAMES = word_list(
    "tennis badminton basketball football soccer volleyball baseball golf hockey rugby cricket chess "
    "piano guitar violin drums cello flute saxophone trumpet ukulele bass squash poker softball "
    "pickleball ping-pong banjo trombone oboe viola harmonica accordion mandolin harp clarinet "
    "lacrosse billiards bridge go"
)


@RULES.rule(
    (
        r"i (?:(?:also|still|usually|often|mostly|now) )*play (?P<the>the |a )?(?P<v>[a-z-]+(?: and (?:the "
        r")?[a-z-]+)?)(?P<rest>.*)$"
    ),
    r"i(?:'ve| have) been playing (?P<the>the )?(?P<v>[a-z-]+)(?P<rest>.*)$",
)
def _plays(match: re.Match[str], _: Context) -> Iterator[Claim]:
    for value in re.split(r" and (?:the )?", match["v"].lower()):
        # Whoever plays "the trombone" plays an instrument; "the fool" and "the lottery" are none.
        instrument = (match["the"] or "").lower() == "the " and _INSTRUMENT.search(value)
        if value in _GAMES or instrument:
            yield Claim("plays", value)


_SPORTS = (
    r"gymnastics|yoga|pilates|karate|judo|taekwondo|jiu-?jitsu|bjj|ballet|crossfit|kickboxing|boxing|"
    r"athletics|"
    r"martial arts|tai chi|parkour|triathlons?|marathons|archery|fencing|rowing|capoeira|aikido|improv|"
    r"am dram|"
    r"stand-?up|open mics?|pottery|calligraphy"
)
_CRAFTS = word_list(
    "knit crochet sew quilt garden paint sculpt surf ski snowboard skateboard climb blog juggle embroider"
)


@RULES.rule(
    rf"i (?:(?:also|still|usually|often|mostly|now|actually) )*(?:do|practi[cs]e) (?:some |a bit of "
    rf")?(?P<v>{_SPORTS})"
    r"(?=\W*$|[,.;!]|\s(?:and|but|so|every|on|at|in|twice|once|for|with|now|too|as|instead|regularly|"
    r"most)\b)",
    rf"i(?:'ve| have) (?:been doing|done) (?P<v>{_SPORTS})(?= (?:for|since)\b)",
)
def _does(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        yield Claim("habit", f"does {match['v'].lower()}")


@RULES.rule(
    r"i (?:(?:also|still|mostly|usually) )*run (?P<v>(?:half[- ])?marathons|ultras|ultramarathons|5ks|"
    r"10ks|triathlons)"
    r"(?=\W*$|[,.;!]|\s(?:and|but|so|for fun)\b)"
)
def _runs(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        yield Claim("habit", f"runs {match['v'].lower()}")


@RULES.rule(
    r"i (?:(?:also|still|really|do|actually|now) )*(?P<verb>[a-z]+)(?: a (?:lot|bit|little))?(?: too| as "
    r"well| myself)?\W*$"
)
def _crafts(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if match["verb"].lower() in _CRAFTS and not context.dated:
        yield Claim("habit", inflect(match["verb"].lower()))


@RULES.rule(
    r"i (?:(?:also|still|now) )*(?P<verb>sing|play|dance|row|act) (?:(?P<what>[a-z]+(?: [a-z]+)?) "
    r")?(?:in|for|with) "
    r"(?P<with>an?|the|my|our) (?P<v>(?:[\w'-]+ ){0,3}?(?:choir|band|orchestra|trio|quartet|quintet|ensemble|"
    r"theatre group|theater group|dance group|folk group))\b",
    rf"{I_AM} (?:(?:also|still|now) )*(?P<verb>)(?P<what>)in (?P<with>an?) (?P<v>(?:[\w'-]+ "
    rf"){{0,2}}?(?:choir|band|"
    r"orchestra|trio|quartet|book club))\b(?! of\b)",
)
def _member(match: re.Match[str], context: Context) -> Iterator[Claim]:
    whole = f"{match['with']} {match['v']}"
    if context.dated or CONTEXT_BOUND.search(whole) or CONTEXT_BOUND.search(match["what"] or ""):
        return
    did = inflect(match["verb"].lower()) if match["verb"] else "is"
    yield Claim("habit", " ".join(filter(None, (did, match["what"], "in", third_person(whole)))))


_PERSONS = {
    "cat": "cats", "dog": "dogs", "tea": "tea", "coffee": "coffee", "beer": "beer", "wine": "wine",
    "beach": "the beach", "chocolate": "chocolate", "cheese": "cheese",
}  # fmt: skip


@RULES.rule(
    rf"{I_AM} (?P<not>not )?(?:really |much of |definitely |more of |such |still )*an? (?:big |huge |"
    rf"total |real )?"
    rf"(?P<v>{'|'.join(_PERSONS)}) (?:person|drinker|lover)\b"
)
def _kind_of_person(match: re.Match[str], _: Context) -> Iterator[Claim]:
    yield Claim("dislike" if match["not"] else "like", _PERSONS[match["v"].lower()])


@RULES.rule(
    r"i (?:no longer play|used to play|don't play) (?:the )?(?P<v>[a-z-]+)(?P<more> any ?more)?\W*$",
)
def _not_plays(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].lower() in _GAMES and ("don't" not in match[0].lower() or match["more"]):
        yield Claim("plays", match["v"].lower(), negates=True)


@RULES.rule(
    (
        rf"(?:{I_AM}|i've been) (?:(?:also|currently|now|still|just|recently|trying) )*(?:learning|"
        rf"teaching myself)(?: how)?(?: to (?:speak|play|use|do))? (?P<rest>.+)$"
    ),
    (
        r"i(?:'ve| have)? (?:(?:just|recently) )*(?:started|began) learning(?: how)?(?: to (?:speak|"
        r"play))? (?P<rest>.+)$"
    ),
)
def _learning(match: re.Match[str], _: Context) -> Iterator[Claim]:
    rest = match["rest"]
    if re.match(
        (
            r"(?:a lot|so much|a ton|tons|loads|more|new|that|from|about|as|every|all|the ropes|lots|"
            r"in|at|with|for|under|through|during|"
            r"to (?:be|love|accept|"
            r"trust|let|live|deal|cope|say|take|appreciate|embrace|balance)|by|on)\b"
        ),
        rest,
        re.I,
    ):
        return
    to = " to " in match[0][: match.start("rest") - match.start()] and not re.search(
        r"to (?:speak|play|use|do)\s*$", match[0][: match.start("rest") - match.start()]
    )
    value = value_of(
        re.sub(r"\s+(?:with|from|for|in|on|by|at|off|via|through|using)\s.*$", "", rest), words=4
    )
    if value and not to:
        yield Claim("learning", value)
