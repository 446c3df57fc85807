"""What is so no longer, said without claiming anything new: "I eat meat again", "Rex died", "I lost my job".

An ending takes back what was claimed before, or is known: its denial has the claim's value, so that `merge`
closes it. Where nothing was claimed it says nothing; where several claims fit, it is unclear which is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from cluster.model import Memory, Message
from cluster.pipeline.known_index import normalise
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules.denials import denial, denies, said_value
from cluster.pipeline.rules.english.values import PET, gerund, inflect
from cluster.pipeline.rules.lexicon import word_list
from cluster.pipeline.rules.sentences import with_apostrophes
from cluster.pipeline.rules.slots import SLOTS, key_of

_LONGEST: Final = 300
"""Characters of a message that tells of it; a longer one tells a story."""
_CLAUSE = re.compile(
    r"[.!;,:\n\u2026\u2014]+|\s(?:and|but|so|because|since)\s(?=(?:i|we|my|our|now)\b)", re.I
)
_NOT_MEANT = re.compile(
    r"[?\"\u201c\u201d]|\b(?:if|unless|almost|nearly|kidding|joking|dream(?:t|ed)?|would|could|might|should|"
    r"(?-i:may)|"
    r"maybe|perhaps|want|wants|wish|afraid|says?(?! goodbye)|said|thinks?|told|never|years ago|used to|when"
    r" i was)\b",
    re.I,
)
_BEFORE = (
    r"\s*(?:(?:so|and|but|well|oh|ok|also|finally|then|update|news|sadly|yesterday|today|actually|turns out|"
    r"guess what|last (?:night|week|month|year))\s+)*"
)
_I = (
    rf"{_BEFORE}(?:(?:i|we)(?:'ve| have| had)?|i'm|we're|i am|we are)"
    r"(?: (?:just|finally|already|also|now|recently|actually))*"
)
_WHEN = (
    r"(?:\s+(?:any ?more|again|too|as well|last|yesterday|today|this|in|after|because|when|since|"
    r"for (?:good|now|my|"
    r"ages)|"
    r"a (?:while|week|month|year)|(?:two|three|a few|some) \w+ ago|now|completely|altogether|"
    r"recently)\b.*)?\s*$"
)
_WHAT = r"(?P<what>[\w'-]+(?: [\w'-]+){0,2}?)"


class _Ending(NamedTuple):
    pattern: re.Pattern[str]
    slots: frozenset[str]
    """Names in SLOTS."""
    says: str
    """How the denial is worded: {s} who, {v} the value."""
    fits: Callable[[str, str], bool]
    """Whether it ends a claim, by what the clause names ("" if nothing) and the claim's value."""


def _names(what: str, value: str) -> bool:
    words = re.sub(r"^(?:my|our|the) (?:old )?", "", what.casefold())
    return re.search(rf"(?<![a-z0-9]){re.escape(words)}(?![a-z0-9])", value.casefold()) is not None


def _is(what: str, value: str) -> bool:
    return normalise(what) == normalise(value)


def _any(_: str, __: str) -> bool:
    return True


def _does(what: str, value: str) -> bool:
    """Whether a habit ("runs every morning") is to do what is named ("run", "running")."""
    verb, _, rest = what.casefold().partition(" ")
    does, _, more = value.casefold().partition(" ")
    stems = {does[:-1], does[:-2], f"{does[:-3]}y"} if does.endswith("s") else set()
    same = any(verb in {stem, gerund(stem)} and inflect(stem) == does for stem in stems if stem)
    return same and more.startswith(rest)


def _only(*values: str) -> Callable[[str, str], bool]:
    return lambda _, value: value.casefold() in values


def _smokes(_: str, value: str) -> bool:
    return value.casefold().startswith("smokes")


def _ending(pattern: str, slots: str, says: str, fits: Callable[[str, str], bool]) -> _Ending:
    return _Ending(re.compile(pattern, re.I), frozenset(slots.split()), says, fits)


_ENDINGS: Final = (
    _ending(
        rf"{_I} (?:no longer play|don't play|stopped (?:playing|learning|studying)|gave up(?: on| playing|"
        rf" learning)?|"
        rf"given up(?: on)?|quit|dropped) (?:the |my )?{_WHAT}(?: classes| class| lessons)?{_WHEN}",
        "plays learning", "{s} gave up {v}", _names,
    ),
    _ending(
        rf"{_I} (?:(?:stopped|quit|gave up|given up|no longer) {_WHAT}{_WHEN}|"
        rf"don't (?P<verb>\w+) (?:[\w' ]+ )?any ?more\s*$)",
        "habit", "{s} gave up: {v}", _does,
    ),
    _ending(
        rf"{_I} (?:(?:traded(?: in)?|crashed|totall?ed|wrecked|scrapped) )(?:my|our|the) {_WHAT}{_WHEN}",
        "vehicle possession", "{s} no longer has {v}", _names,
    ),
    _ending(
        rf"{_I} (?:lost|quit|left|resigned from|walked out of) my job(?: (?:at|"
        rf"with) [A-Z][\w&' -]*?)?{_WHEN}|"
        rf"{_I} (?:was |got |been |were )+(?:fired|laid off|sacked|let go|made redundant){_WHEN}|"
        rf"{_I} (?:unemployed|retired){_WHEN}",
        "company", "{s} no longer works at {v}", _any,
    ),
    _ending(
        rf"{_BEFORE}{_WHAT} (?:has |just )*(?:fired|sacked|laid off|let go of|dumped) me{_WHEN}",
        "company", "{s} no longer works at {v}", _is,
    ),
    _ending(
        rf"{_I} (?:(?:eat|eating|back to eating|back on) (?:meat|chicken|beef|pork|bacon|fish) again\b|"
        rf"(?:started|"
        r"begun|began|went back to) (?:eating|to eat) (?:some )?(?:meat|chicken|beef|pork|fish)\b|(?:gave up|"
        r"stopped|quit|had to give up) being (?:a )?(?:vegan|vegetarian)\b)|"
        rf"{_I} not (?:an? )?(?:vegan|vegetarian) any ?more\b",
        "diet", "{s} is no longer {v}", _only("vegan", "vegetarian"),
    ),
    _ending(
        rf"{_I} (?:(?:started|began|back to|went back to) )?(?:(?:eat|eating|have|having) "
        r"(?:[\w']+ (?:and |or )?){0,3}?|(?:back )?on )(?:eggs?|dairy|cheese|milk|butter|honey)\b"
        r"(?: and \w+)? again\b",
        "diet", "{s} is no longer {v}", _only("vegan"),
    ),
    _ending(
        rf"{_BEFORE}(?:i|we)(?:'ve| have|'d)?(?: (?:just|finally|already|also|had to))* "
        r"(?:traded(?: in)?|crashed|totall?ed|wrecked|scrapped|sell|sold|got rid of|scrap) "
        rf"(?:my|our|the)(?: old| poor)* (?:car|motor|old thing|banger){_WHEN}|"
        rf"{_BEFORE}(?:i|we)(?:'ve| have|'d)?(?: (?:just|finally|already|also|had to))* (?:sell|sold) "
        r"(?:it|her|him) for (?:scrap|parts)\b|"
        r"\s*(?:my|our|the)(?: old| poor)* (?:car|motor|banger) (?:has |was |is |got |been |just |finally )*"
        rf"(?:died|stolen|written off|totall?ed|scrapped|sold|gone){_WHEN}",
        "vehicle", "{s} no longer has {v}", _any,
    ),
    _ending(
        rf"{_BEFORE}(?:(?:i|we) (?:haven't|have not|hadn't|have hardly) (?:had|smoked|touched) (?:an?|one"
        rf"|any) "
        r"(?:single )?(?:cigarettes?|fags?|smokes?)(?=.* (?:in|for|since|ages|all (?:week|month"
        r"|year))\b)|(?:i )?(?:haven't|have not) smoked (?:for|since|in)|"
        r"(?:i'm |i've been )?(?:now )?[\w ]{0,20}?(?:smoke[- ]free|off (?:the )?(?:cigarettes|fags"
        r"|smokes)))\b.*$",
        "habit", "{s} no longer smokes", _smokes,
    ),
    _ending(
        rf"{_I} (?:(?:started|began|back to|went back to) )?(?:eat|drink|eating|"
        rf"drinking) {_WHAT} again{_WHEN}",
        "avoids avoids_drink", "{s} no longer avoids {v}", _names,
    ),
    _ending(
        rf"{_I} (?:smoke|smoking|(?:started|began|back to|went back to) smoking) again{_WHEN}",
        "quit", "{s} smokes again", _only("smokes"),
    ),
    _ending(
        rf"{_I} (?:left|moved away from|moved out of) {_WHAT} (?:for good|behind)\b|"
        rf"{_I} (?:not (?:living )?in {_WHAT.replace('what', 'from')} any ?more|no longer (?:living )?in "
        rf"{_WHAT.replace('what', 'out')}){_WHEN}",
        "residence", "{s} no longer lives in {v}", _is,
    ),
    _ending(
        rf"{_I} (?:handed in|given|gave|giving) (?:in )?my notice(?: (?:at|to) [A-Z][\w&' -]*?)?{_WHEN}|"
        rf"{_BEFORE}my contract (?:at [A-Z][\w&' -]*? )?(?:was not|wasn't|won't be) (?:renewed"
        rf"|extended){_WHEN}|"
        rf"{_I} (?:don't|no longer) work there(?: any ?more)?\s*$",
        "company", "{s} no longer works at {v}", _any,
    ),
    _ending(
        rf"{_BEFORE}{_WHAT} (?:has |have |just )*(?:let me go|made me redundant|laid me off){_WHEN}",
        "company", "{s} no longer works at {v}", _is,
    ),
    _ending(
        rf"{_I} (?:not an? {_WHAT} any ?more|no longer an? {_WHAT.replace('what', 'from')})\s*$",
        "title", "{s} is no longer {v}", _names,
    ),
    _ending(
        rf"{_I} (?:off|come off|came off) (?:the |my )?{_WHAT}{_WHEN}|"
        rf"{_BEFORE}(?:they|he|she|my (?:doctor|gp)|the (?:doctor|hospital)) (?:has |have |just )*(?:took"
        rf"|taken) me off "
        rf"(?:the |my )?{_WHAT.replace('what', 'from')}{_WHEN}",
        "medication", "{s} no longer takes {v}", _names,
    ),
    _ending(
        rf"{_I} (?:don't|no longer) go {_WHAT} any ?more\s*$",
        "habit", "{s} gave up: {v}", _does,
    ),
    _ending(
        rf"{_I} (?:cancel+ed|quit|gave up|ended) (?:my|the) {_WHAT} (?:membership|subscription){_WHEN}",
        "habit", "{s} gave up: {v}", _names,
    ),
    _ending(
        rf"{_I} (?:swapped|replaced|exchanged) (?:my|our|the) {_WHAT} (?:for|with|by)\b.*$",
        "vehicle possession", "{s} no longer has {v}", _names,
    ),
    _ending(
        rf"{_I} (?:haven't|have not) (?:touched|played|picked up) (?:my|the|a) {_WHAT} (?:in|for) "
        r"(?:years|ages|months|over a year)\b.*$",
        "plays", "{s} gave up {v}", _names,
    ),
    _ending(
        rf"{_BEFORE}(?:i|we) (?:can eat|can drink|can have|tolerate) {_WHAT} (?:again|after all|now)\b.*$|"
        rf"{_BEFORE}{_WHAT.replace('what', 'from')} (?:is|are) (?:actually )?(?:fine|ok|okay) (?:for me"
        rf"|after all|again)\b.*$",
        "avoids avoids_drink", "{s} no longer avoids {v}", _names,
    ),
    _ending(
        rf"{_I} (?:broke off|broken off|ended|called off) (?:the|our|my) engagement{_WHEN}",
        "marital", "{s} is no longer {v}", _only("engaged"),
    ),
    _ending(
        rf"{_I} (?:met|found) (?:someone|somebody)\b(?! (?:who|at|in|on|from|else|to)\b).*$",
        "marital", "{s} is no longer {v}", _only("single"),
    ),
    _ending(
        rf"{_I} (?:not|no longer) (?:actually |really )?allergic to {_WHAT}{_WHEN}",
        "allergy", "{s} is not allergic to {v}", _names,
    ),
    _ending(
        rf"{_I} (?:dropped out(?: of .*)?|quit (?:uni|university|college|school)|graduated|finished (?:my"
        rf" (?:degree|studies|phd|master'?s)|uni|"
        rf"university|college|school)){_WHEN}",
        "school", "{s} no longer studies at {v}", _any,
    ),
    _ending(
        rf"{_I} (?:have|got|found) a (?:new )?(?:boyfriend|girlfriend|partner){_WHEN}|{_I} (?:dating|seeing) "
        rf"(?:someone|somebody){_WHEN}|{_I} in a relationship{_WHEN}|we're dating{_WHEN}",
        "marital", "{s} is no longer {v}", _only("single"),
    ),
    _ending(
        rf"{_I} (?:called off|cancelled|canceled) (?:the|our|my) (?:wedding|engagement){_WHEN}",
        "marital", "{s} is no longer {v}", _only("engaged"),
    ),
)  # fmt: skip
_LOST_ONE = re.compile(
    rf"{_I} (?:lost|rehomed|gave away|(?:had to )?(?:put down|rehome)) (?:one|two) of (?:the|our|my) "
    rf"(?:\w+ )??(?P<kind>{PET})s\b(?! for (?:an?|the|some|half)\b)(?!.*\bfound\b)",
    re.I,
)
_TEST_SAYS = re.compile(
    r"\b(?:the|my) (?:tests?|results?|doctor|gp|allergist) (?:says?|said|shows?|showed)(?: that)? (?=i'm\b)",
    re.I,
)
_GUESS_WHO = re.compile(r"^\W*guess who (?:hasn't|has not) (?P<said>[^?!.]+)[?!.]+", re.I)
_PET_DIED = re.compile(
    rf"{_BEFORE}(?:(?:my|our|the) (?:\w+ )??(?P<kind>{PET})(?: [A-Z][\w-]*)?|(?P<name>(?-i:[A-Z][\w-]*)))"
    r" (?:has |had to be |was |just |sadly )*(?:died|passed(?: away)?|put down|put to sleep)\b"
    r"(?! in (?:the|an?|my|this|that) (?:\w+ )?(?:movie|film|book|novel|show|series|episode|game|story"
    r"|dream)\b)|"
    rf"{_I} (?:(?:lost|rehomed)|(?:had to )?(?:put|give|gave|say goodbye to|said goodbye to)) (?:(?:my"
    rf"|our) (?:\w+ )??(?P<kind2>{PET})"
    r"(?: [A-Z][\w-]*)?|(?P<name2>(?-i:[A-Z][\w-]*)))(?: down| away| to sleep)?"
    r"(?:\s+(?:last|yesterday|today|this|in|on|to)\b.*)?\s*$",
    re.I,
)


_OF_WHAT_WAS_MENTIONED: Final = word_list("residence company like plays learning diet medication")
_GIVEN_UP = re.compile(
    r"\W*(?:(?:no|nope|well|oh|ah|actually|sadly|yeah|ha(?:ha)*)[\s,.!]+)*(?:i'm |i am )?(?:"
    r"not any ?more|not any longer|no longer|i(?:'ve| have)? (?:since |already |actually )*(?:gave|given) "
    r"(?:that|it) up|i (?:quit|stopped|dropped|left)(?: (?:that|it|there|them|doing (?:that|it)))?|"
    r"i don't (?:do that|play|live there|work there|take (?:it|that|them)) any ?more|"
    r"(?:that|it)(?:'s| is) (?:over|history|in the past))"
    r"(?=\s*[.!,;]|\s*$|\s(?:in|last|a|this|ages|months|years|since|after|because|when|some|at|back|and"
    r"|i)\b)",
    re.I,
)


def _mentioned(reply: str, standing: Sequence[Candidate | Memory]) -> Candidate | Memory | None:
    """The one claim that what somebody else has just said speaks of."""
    fitting = {
        normalise(said_value(claim)): claim
        for claim in _not_taken_back(standing)
        if _PLACES.get(_place(claim)) is not None and said_value(claim) and _names(said_value(claim), reply)
    }
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def endings(
    message: Message, before: Sequence[Candidate], known: Sequence[Memory], reply: str = ""
) -> Iterator[Candidate]:
    """The denials of what a message says is so no longer, of claims made `before` or `known`; of what the
    `reply` before it mentions, "I gave that up" will do."""
    text = _GUESS_WHO.sub(r"I haven't \g<said>.", with_apostrophes(message.content))
    text = _TEST_SAYS.sub("", text)
    if len(text) > _LONGEST or _NOT_MEANT.search(text):
        return
    standing = [
        claim
        for claim in (*before, *(memory for memory in known if memory.superseded_by is None))
        if claim.attributes.get("speaker") == message.name
    ]
    if not standing:
        return
    if _GIVEN_UP.match(text) and (given_up := _mentioned(reply, standing)) is not None:
        yield _denial(given_up, message, SLOTS[_PLACES[_place(given_up)]].en_not)
        standing.remove(given_up)
    for clause in _CLAUSE.split(text):
        for ending in _ENDINGS:
            if (match := ending.pattern.match(clause)) is None:
                continue
            named = match.groupdict()
            what = next(filter(None, (named.get(name) for name in ("what", "from", "out", "verb"))), "")
            fitting = {
                normalise(said_value(claim)): claim
                for claim in _not_taken_back(standing)
                if _slot(claim) in ending.slots and ending.fits(what, said_value(claim))
            }
            if len(fitting) == 1:
                ((_, claim),) = fitting.items()
                yield _denial(claim, message, ending.says)
        if (match := _LOST_ONE.match(clause)) is not None:
            kind = key_of(match["kind"].lower())
            several = [
                claim for claim in _not_taken_back(standing) if (claim.topic, claim.subtopic) == ("pet", kind)
            ]
            if len(several) == 1 and re.match(r"an? |one ", said_value(several[0])) is None:
                yield _denial(several[0], message, "{s} no longer has {v}")
        if (match := _PET_DIED.match(clause)) is not None:
            kind, name = match["kind"] or match["kind2"], match["name"] or match["name2"]
            for claim in _of_pet(_not_taken_back(standing), kind, name):
                yield _denial(claim, message, "{s} no longer has {v}")


def _not_taken_back(standing: Sequence[Candidate | Memory]) -> list[Candidate | Memory]:
    """The claims that none after them denies."""
    denied = {(_place(claim), normalise(said_value(claim))) for claim in standing if denies(claim)}
    return [
        claim
        for claim in standing
        if not denies(claim) and (_place(claim), normalise(said_value(claim))) not in denied
    ]


def _of_pet(
    standing: list[Candidate | Memory], kind: str | None, name: str | None
) -> list[Candidate | Memory]:
    """That the speaker has the one pet of that kind or name; what it was called remains so."""
    pets = [claim for claim in standing if claim.topic == "pet"]
    kinds = {kind.lower()} if kind else {_kind(claim) for claim in pets if said_value(claim) == name}
    of_kind = [claim for claim in pets if _kind(claim) in kinds]
    names = {said_value(claim) for claim in of_kind if claim.subtopic != _kind(claim)}
    had = [claim for claim in of_kind if claim.subtopic == _kind(claim)]
    alone = len(names) <= 1 and all(re.match(r"(?:an?|one) ", said_value(claim)) for claim in had)
    return had if alone else []


def _kind(claim: Candidate | Memory) -> str:
    return (claim.subtopic or "").removesuffix("_name")


def _slot(claim: Candidate | Memory) -> str | None:
    return _NAMES.get(_place(claim))


def _place(claim: Candidate | Memory) -> tuple[str | None, str | None]:
    return claim.topic, claim.subtopic


_PLACES: Final[dict[tuple[str | None, str | None], str]] = {
    (SLOTS[name].topic, SLOTS[name].subtopic): name for name in _OF_WHAT_WAS_MENTIONED
}
_NAMES: Final[dict[tuple[str | None, str | None], str]] = {
    (SLOTS[name].topic, SLOTS[name].subtopic): name for ending in _ENDINGS for name in ending.slots
}


def _denial(claim: Candidate | Memory, message: Message, says: str) -> Candidate:
    value = said_value(claim)
    return denial(claim, message, says.format(s=message.name or "User", v=value), value=value, language="en")
