"""Answers that lean on a question: "Lisbon" to "Where do you live?", "Yes" to "You live in Rome, right?"."""

from __future__ import annotations

import re
from typing import Final

from cluster.pipeline.rules.english.clauses import strip_opener
from cluster.pipeline.rules.english.values import NAME, NUMBER, PET

_LONGEST: Final = 400
"""Characters of what was said before, at its end, in which the question is looked for."""
_QUESTION = re.compile(r"(?:^|(?<=[.!?\n]))\s*(?P<q>[^.!?\n]{4,160})\?")
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|correct|exactly|right|that's right|indeed|i do|i am)\b"
    r"(?!\W*(?:but|kind of|sort of|sometimes|partly|almost|nearly|used to|until|only|except|though)\b)",
    re.I,
)
_NO = re.compile(r"(?:no|nope|nah)[\s,.!-]+(?=\S)", re.I)
_NOTHING = re.compile(
    r"(?:yes|yeah|yep|yup|no|none|not|nope|nah|nothing|never|i|i'm|i've|we|my|you|it|that|this|what|why|how|"
    r"who|where|when|sorry|well|"
    r"hmm+|oh|ok|okay|sure|thanks|thank|good|great|please|just|only|can|could|do|does|don't|let|depends|"
    r"maybe|guess|somewhere|everywhere|nowhere|here|there|near|far|earth|mars|ask|stop|same|nobody|forget|"
    r"any|all|both|neither|call|old|young|too)\b(?!')",
    re.I,
)
_NO_MORE_THAN = re.compile(r"^(?:just|only) (?=[\w-]+\W*$)", re.I)
_IT_IS = r"(?:(?:it's|its|it is|that's|that is|this is|they're|in|at|for|from)\s+)*"
_A_NAME = rf"{_IT_IS}{NAME}(?=[\s,.!;]*(?:$|[,.;!(]|\sand\b|\sbut\b))"
_YOUR_WORK = (
    r"what do you do(?: for (?:a living|work))?|what kind of work do you do|"
    r"what(?:'s| is) your (?:(?:current|main|day) )?(?:job|profession|occupation)"
)
_ASKED: Final = tuple(
    (re.compile(rf"(?:.*\b)?{question}\W*$", re.I), re.compile(rf"^{answer}", re.I), said)
    for question, answer, said in (
        (
            r"(?:(?:what's|what is|what was|may i (?:have|ask|know)|(?:can|could) i (?:have|get|take)|"
            r"(?:can|could) you (?:give|tell) me) your (?:(?:full|first) )?name\b.*|your name(?:,? please)?)",
            _A_NAME,
            "my name is {v}",
        ),
        (
            r"(?:where (?:do you live|are you (?:based|living|located))(?: now| these days| at the moment)?|"
            r"(?:what|which) (?:city|town|country|part of the \w+) (?:do you live|are you|are you based) in)",
            _A_NAME,
            "I live in {v}",
        ),
        (r"where (?:are|do) you (?:originally )?(?:come )?from(?: originally)?", _A_NAME, "I'm from {v}"),
        (
            r"(?:where do you work|who do you work for|which company do you work for)",
            _A_NAME,
            "I work at {v}",
        ),
        (
            rf"(?:{_YOUR_WORK})",
            rf"{_IT_IS}(?:as )?(?P<v>an? .+)$",
            "my job is {v}",
        ),
        (
            rf"(?:{_YOUR_WORK})",
            r"(?:i'm )?(?P<v>(?!a\b|an\b)[\w-]+(?: [\w-]+){0,2})(?=\s*(?:$|[,.;!]| at\b))",
            "I'm a {v}",
        ),
        (r"how old are you(?: now)?", r"(?P<v>[1-9]\d)(?: (?:years old|now))?(?=\W*$|[,.;])", "I'm {v}"),
        (
            r"(?:what's|what is|what are) (?P<whose>his|her) name|what(?:'s| is) (?P<who>s?he) called",
            _A_NAME,
            "{whose} name is {v}",
        ),
        (
            r"(?:do you have|have you got|got) (?:any )?(?:(?:pets|animals|kids|children|siblings|"
            r"brothers|sisters)\b"
            r"[^?]*)",
            rf"(?:i have |i've got )?(?P<v>(?:{NUMBER}) [^.!?]+)$",
            "I have {v}",
        ),
        (
            r"(?:do you have|have you got|are there|got) any (?:food )?(?:allergies|dietary [a-z]+|"
            r"intolerances)\b[^?]*",
            r"(?:(?:just|only|to) )*(?P<v>(?:pea)?nuts|shellfish|gluten|dairy|eggs?|latex|penicillin|"
            r"pollen|cats|dogs|"
            r"sesame|soy|soya|wheat|tree nuts|strawberries)(?=\W*$|[,.;!]| and\b)",
            "I'm allergic to {v}",
        ),
        (
            r"(?:what (?:are you|do you|did you) (?:(?:going|planning|hoping) to )?study(?:ing)?|what(?:'s"
            r"| is) "
            r"your major)\b[^?]*",
            r"(?:i study |i'm studying |it's )?(?P<v>[a-z]{5,}(?: (?:and )?[a-z]+){0,3})(?=\W*$|[,.;!])",
            "my major is {v}",
        ),
        (
            r"(?:what (?:sort|kind|type)s? of|which) (?P<kind>books|music|films|movies|food|games|shows)"
            r" (?:do you (?:like|enjoy|love|listen to|read|watch|play|prefer)|are you into)\b[^?]*",
            r"(?P<v>(?!i\b)[a-z][\w &'-]{2,25}?)(?=\W*$|,)",
            "I like {v} {kind}",
        ),
        (
            r"what (?:did|do|have) you (?:name|call|named|called) (?P<whom>him|her|it)|does (?P<has>s?he"
            r"|it) have a name|"
            r"what(?:'s| is) (?P<its>its) name|what(?:'s| is) (?P<it>it) called",
            _A_NAME,
            "{whose} name is {v}",
        ),
        (
            r"(?:(?:do|have) they (?:have|got) names|what are (?:their names|they called|(?:the"
            r"|your) \w+ called)|"
            r"what did you (?:name|call) them)(?: yet)?",
            r"(?P<v>(?-i:[A-Z])[\w'-]*(?:, [A-Z][\w'-]*)*,? (?:and|&) (?-i:[A-Z])[\w'-]*)(?=\W*$|[,.;!])",
            "their names are {v}",
        ),
        (
            r"(?:and )?where(?:'s| is) home(?: for you)?(?: now| these days)?",
            _A_NAME,
            "I live in {v}",
        ),
        (
            r"what(?:'s| is) your (?:surname|last name|family name)",
            _A_NAME,
            "my surname is {v}",
        ),
        (
            r"(?:which|what) languages do you (?:speak|know)|what do you speak",
            r"(?:i speak )?(?P<v>(?-i:[A-Z])[\w-]+(?:, [A-Z][\w-]+)*(?:,? and [A-Z][\w-]+)?)(?=\W*$|[,.;!])",
            "I speak {v}",
        ),
        (
            r"what(?:'s| is) your (?:all-time )?favou?rite (?P<fav>[a-z]+(?: [a-z]+)?)",
            r"(?:it's |probably |definitely )?(?P<v>(?!i\b|probably\b|that|too\b|all\b|any|hard\b|tough\b"
            r"|tricky\b|difficult\b|um|er\b|none\b|not\b|no\b|it\b|depends|good\b|maybe\b|either\b|don't"
            r"|can't|you\b|what|hmm)[a-z][\w &'-]{2,25}?)(?=\W*$|,|[.!])",
            "my favourite {fav} is {v}",
        ),
        (
            rf"what(?:'s| is) (?:your|the) (?P<pet>{PET})(?:'s name| called)",
            _A_NAME,
            "my {pet} is called {v}",
        ),
    )
)
_GUESSED = re.compile(
    r"(?:.*[,;] )?(?:(?:so|and|ah|oh|since|wait|if i remember correctly|i think),? )*"
    r"(?P<said>(?:you (?:live in|work (?:at|for|as)|are from|come from)|you're (?:from|allergic to|an?)|"
    r"your name is) [^,;]{2,60}?)(?:,? (?:right|correct|isn't it|aren't you|don't you|yes|no))?\W*$",
    re.I,
)
_ASKED_WHETHER = re.compile(
    r"(?:do you (?P<do>(?:live in|work (?:at|for|as)|come from) [^,;]{2,60}?)|"
    r"are you (?P<be>(?:from|allergic to|an?) [^,;]{2,60}?)"
    r"|is your name (?P<name>[^,;]{2,40}?))\W*$",
    re.I,
)
_PLACED = re.compile(r"(?P<said>I (?:live in|work at|work for|come from)|I'm from|my name is) (?P<old>.+)$")


_WHOSE: Final = {"he": "his", "him": "his", "she": "her", "her": "her", "it": "its"}


def answered(clause: str, reply: str) -> str | None:
    """The statement that the first clause of a message makes together with the question at the end of what
    was said before it; None where it stands by itself, or it is unclear what was asked."""
    questions = _QUESTION.findall(reply[-_LONGEST:].replace("\u2019", "'"))
    if not questions:
        return None
    question = questions[-1].strip()
    if len(questions) == 1 and (guess := _guess_of(question)) is not None:
        if _YES.match(clause):
            return guess
        no, placed = _NO.match(clause), _PLACED.match(guess)
        if no and placed and (named := re.match(_A_NAME, clause[no.end() :], re.I)):
            return f"{placed['said']} {named['v']}"
        return None
    clause = _NO_MORE_THAN.sub("", strip_opener(clause))
    if _NOTHING.match(clause):
        return None
    for asked, answer, said in _ASKED:
        if (of := asked.match(question)) is not None:
            if (found := answer.match(clause)) is None:
                continue
            groups = of.groupdict()
            who = groups.get("who") or groups.get("whom") or groups.get("has") or groups.get("it") or ""
            whose = groups.get("whose") or groups.get("its") or _WHOSE.get(who.lower())
            return said.format(**{**groups, "v": found["v"], "whose": whose})
    return None


def _guess_of(question: str) -> str | None:
    """ "So you live in Rome, right" and "Do you live in Rome" as "I live in Rome"."""
    if guessed := _GUESSED.match(question):
        said = re.sub(r"^you're\b", "I'm", guessed["said"], flags=re.I)
        said = re.sub(r"^you are\b", "I'm", said, flags=re.I)
        return re.sub(r"^your\b", "my", re.sub(r"^you\b", "I", said, flags=re.I), flags=re.I)
    if asked := _ASKED_WHETHER.match(question):
        if asked["do"]:
            return f"I {asked['do']}"
        return f"I'm {asked['be']}" if asked["be"] else f"my name is {asked['name']}"
    return None
