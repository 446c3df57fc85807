"""English sentences to clauses, and what around a clause decides against it."""

from __future__ import annotations

import re

_CONDITIONAL = (
    r"\b(?:if(?! (?:that|it|this)(?:'s| is)? (?:helps?|matters|useful|relevant|makes (?:a|any) difference)\b"
    r"| you(?:'re| are) (?:wondering|asking|curious)\b| you (?:must|need to) know\b| you ask me\b|"
    r" possible\b)|"
    r"unless|(?:would|could)(?! you\b(?! believe)| (?:like|love|prefer) to\b)|(?<!like you )wouldn't|might|"
    r"(?:maybe|perhaps|possibly|probably)(?! (?:\d|once|twice|(?:two|three|four|five|six) times)))\b|"
    r"(?<!\byou)'d\b(?! (?:rather|like|love|prefer)\b)"
)
_UNREAL = (
    r"\b(?:(?<!you can )imagine|suppose|supposing|pretend|"
    r"wish|what if|as though|let's say|hypothetically|in a dream|dreamed|dreamt|character|lyrics?|"
    r"joke|example|"
    r"or (?:so|at least) (?:i|he|she|they|the|my)|or used to|in (?:the|my|this|that|a) (?:\w+'s )?(?:story|"
    r"novel|book|game|movie|"
    r"film|play|show|script|screenplay)|"
    r"for (?:my|our|the|an?) (?:[\w&'-]+ ){0,3}?(?:game|campaign|story|novel|screenplay|script|role-?play|"
    r"skit)"
    r"(?=\s*[,:]))\b"
)
CONDITIONAL = re.compile(_CONDITIONAL, re.I)
"""Says that a clause and what comes after it in the sentence might only be so."""
UNREAL = re.compile(_UNREAL, re.I)
"""Says that nothing of a sentence is so."""
HYPOTHETICAL = re.compile(f"{_CONDITIONAL}|{_UNREAL}", re.I)
JOKE = re.compile(
    (
        r"\b(?:just kidding|kidding|jk|j/k|joking|just messing|messing with you|pulling your leg|not "
        r"really lol|april fool'?s?)\b|^\W*not\W*$"
    ),
    re.I,
)
SARCASM = re.compile(
    r"\boh,? i (?:just|really|simply|absolutely) (?:love|adore|enjoy)\b|"
    r"\b(?:there's )?nothing like (?:being|getting)\b|\b(?-i:I just LOVE)\b|"
    r"\boh,? (?:great|joy|sure|lovely|wonderful|fantastic|brilliant)\b|\byeah,? right\b|\blucky me\b|"
    r"\bjust what i (?:needed|wanted)\b|\bsaid no ?one ever\b|\bnot!+(?:\s|$)|\s/s\b|\U0001f644",
    re.I,
)
"""What says that this sentence and the one after it mean the opposite."""
REPORTED = re.compile(
    r"\b(?:says?|said|saying|told me|tells me|asked|asks|claims?|claimed|wrote|writes|thinks|thought|"
    r"(?<!t )(?<!not )(?<!never )believes?|"
    r"according to|heard|quote|goes|like to say|assumes?|insists?)\b",
    re.I,
)
_OPENER = re.compile(
    r"^(?:(?:well|oh|hi|hey|hello|hiya|yeah|yes|yep|yup|sure|ok|okay|so|and|but|also|plus|actually|"
    r"honestly|haha|hmm+|um|"
    r"btw|by the way|as for me|for me|personally|in fact|to be honest|tbh|anyway|now that|now|these days|"
    r"nowadays|lately|"
    r"recently|currently|at the moment|right now|nice to meet you|of course|no|nope|as you know|"
    r"because|cause|"
    r"i(?: already)? told you(?: that)?|just so you know|fyi|you know(?: that)?|remember(?: that)?|"
    r"please remember(?: that)?|"
    r"note that|the (?:(?:only|good|bad|sad|best|worst) )?(?:fact|thing|part|news|problem|trouble) is|"
    r"usually|in general|generally|basically|sorry|wait|good morning|"
    r"good evening|"
    r"good afternoon|there|everyone|all|friend|speaking of which|oh and|wow|awesome|great|cool|thanks|"
    r"thank you|in the (?:mornings?|afternoons?|evenings?)|on weekends|in my (?:free|spare) time|"
    r"at (?:home|work)|for now|from now on|in reality|in real life|irl|for the record|to be fair|truth is|"
    r"on top of that|in my case|ngl|lol|haha+|phew|ugh+|omg|wow|mind you|turns out|full disclosure|fun fact|"
    r"not gonna lie|for context|thing is|(?:like|as) i (?:said|mentioned|told you)|"
    r"i (?:forgot to|should|should probably) (?:say|mention|add)(?: that)?|"
    r"(?:did|have) i (?:mention|mentioned)(?: that)?|worth (?:noting|mentioning)(?: that)?|"
    r"(?:me|look|listen|see|man|dude|mate|god|damn|right|like|again|still|however|besides|same|yay|eh|meh|ha|"
    r"cheers|perfect|brilliant|nice|good|sweet|thx|ta|(?:even )?though|as|since|cos|coz|cuz|bc|'cause|"
    r"considering|given|seeing as|now)(?: that)?(?=[\s,!:.\-]+(?:i|i'm|i've|my|we|we're|we've)\b)|"
    r"(?:my|the|our) (?:doctors?|gp|dentist|optician|allergist|dietitian|consultant|nurse|specialist"
    r"|tests?|results?)"
    r" (?:just |also )?(?:says?|said|told me|tells me|confirmed|shows?|showed)(?: that)?"
    r"(?=\s(?:i'm|i am|i have|i've got)\b)|"
    r"(?!(?:supposed|alleged|apparent|hopeful|possib|probab|theoretical|"
    r"hypothetical|ideal|near|hard|rare|scarce|on|ear|fami)ly\b)"
    r"[a-z]{4,}ly(?=,? (?:i|i'm|im|i've|my|we)\b))\b"
    r"[\s,!:.\-]*)+",
    re.I,
)
_SPLIT = re.compile(
    r"\s*(?:[;:()\u2013\u2014]|\s-+\s|,(?= so (?!much|many|far|long)\w)|,(?=\s*(?:and |but )?(?:her"
    r"|his) name\b)|,(?=\s*(?:and |but |so |plus |because |though |although |yet )?"
    r"(?:now |currently |these days |nowadays )?(?:i|i'm|im|i've|my|mine|we|"
    r"she|he|they|it|it's|you|what|how|where|who|do|are|have|can|could|which|right|is|any|isn't|aren't|"
    r"does|doesn't|don't|would|should|will)\b))\s*"
    r"|,\s*(?=(?:and |also |now )*(?:live in|work (?:at|as|for|in)|grew up in|born in|originally from|"
    r"from (?-i:[A-Z])|"
    r"based in|allergic to|have (?:an?|one|two|three|four|five|\d) |"
    r"hate |love |don't (?:eat|drink|smoke|have)|can't (?:eat|stand)|married|single|divorced|retired)\b)"
    r"|\s+(?=(?:so|because|cuz|cos|coz|but|though|although)\s+"
    r"(?:he|she|they|we|it|you|that|there)(?:'s|'re|'ve|'ll|'d)?\s)"
    r"|\s+(?=(?:and|but)\s+(?:would|could|might|maybe|perhaps)\b)"
    r"|\s+(?=and\s+(?:he|she|they|it|we)'(?:s|re|ve)\s)"
    r"|\s+(?=(?:since|cos|coz|bc|'cause|considering|seeing (?:as|that)|given|now|even though)(?: that)?\s+"
    r"(?:i|i'm|i've|we're|we've)\b)"
    r"|\s+(?:knows?|forgets?|forgot|(?:the )?fact|realises?|realizes?|remembers?)(?: that)?\s+"
    r"(?=(?:i|i'm|i've|we're|my)\b)"
    r"|\s+(?=(?:and|but|so|plus|because|cuz|though|although)\s+"
    r"(?:(?:in|on|at) (?:the |my )?\w+(?: time)?,? )?(?:i|i'm|im|i've|my|we|we're|we've)\b)"
    r"|\s+(?=and (?:also |now )?(?:work (?:at|for|as)|live in|study (?:at|in))\s)"
    r"|\s+(?=(?:and|but)\s+(?:please |just |you can |everyone |friends )*calls? me\b)",
    re.I,
)
_PARTICLE = re.compile(r"(?:\s+(?:lol|lmao|rofl|haha+|hehe+|tbh|btw|ngl|imo|xd)\b)+\W*$", re.I)
"""Says nothing at a clause's end."""
_CONJUNCTION = re.compile(r"^(?:and|but|so|plus|because|cuz|though|although|yet|or)\s+", re.I)
MENTION_THAT = re.compile(
    r"\b(?:please )?(?:put(?: in)?|mention|add|include|note)(?: there| in there)? that (?=(?:i|i'm|i've"
    r"|my)\b)",
    re.I,
)
"""Has something put into a text about the speaker."""
AND_THAT = re.compile(r"(?:and|also|plus)(?: also)? that (?=(?:i|i'm|i've|my)\b)", re.I)
_PLACED_AFTER_MOVING = re.compile(
    r"(?:.{1,60} and i are|i'm|i am|we're|we are) (?:now )?in (?=(?-i:[A-Z]))", re.I
)
_MOVED = re.compile(
    r"\b(?:i|we)(?:'ve| have)? (?:just |finally |both )*(?:moved|relocated)\b(?! (?:on|in with|up)\b)", re.I
)


def settled(clause: str, before: str) -> str:
    """ "We're in Leeds now" as "I live in Leeds now", where what was said `before` it tells of a move."""
    return _PLACED_AFTER_MOVING.sub("I live in ", clause, count=1) if _MOVED.search(before) else clause


_QUESTION_CLAUSE = re.compile(
    r"^(?:and |but |so |or )?(?:what|how|where|who|why|when|which|do|does|did|are|is|was|were|have|"
    r"has|can|could|would|will|"
    r"should|any|you|ever|guess|know|don't|isn't|aren't)\b",
    re.I,
)
_GIVEN = re.compile(
    r"(?:since|considering|given|seeing (?:as|that)|now|even though)(?: that)? (?:i|i'm|i've|we're|we've)\b",
    re.I,
)
"""What a question takes for granted: "What can I cook, given that I'm vegan?" """
_TAG = re.compile(
    (
        r"^(?:right|correct|no|yes|isn't it|am i|aren't i|do i|don't i|or not|is it|yeah|ok|okay|eh|huh|"
        r"you know)\W*$"
    ),
    re.I,
)


def split_clauses(sentence: str, *, question: bool) -> list[str]:
    """The sentence's clauses; of a question only the statements that come before what is asked."""
    sentence = _AS_WHO.sub(r"\g<0>,", sentence)
    clauses = [_PARTICLE.sub("", clause.strip(" ,.!")) for clause in _SPLIT.split(sentence)]
    clauses = _with_whole_subjects([clause for clause in clauses if clause])
    if not question:
        return clauses
    kept: list[str] = []
    asked = False
    for clause in clauses:
        if _TAG.match(clause):
            return []
        if asked:
            if _GIVEN.match(clause):
                kept.append(clause)
        elif _QUESTION_CLAUSE.match(_OPENER.sub("", clause)):
            asked = True
        else:
            kept.append(clause)
    return kept if asked else []


def _with_whole_subjects(clauses: list[str]) -> list[str]:
    """The clauses: put together again where they were cut within "my wife | and I live in Rome", and with
    their subject where they share it, as in "I live in Rome | and work at Sony"."""
    whole: list[str] = []
    for clause in clauses:
        if whole and _AND_I.match(clause) and _SOMEBODY.fullmatch(strip_opener(whole[-1])):
            whole[-1] = f"{whole[-1]} {clause}"
        elif whole and _AND_WORK.match(clause) and _I_DO.match(strip_opener(whole[-1])):
            whole.append(f"i {strip_opener(clause)}")
        elif whole and (lacking := _LACKING.match(clause)) and _SAYS_OF_I.match(strip_opener(whole[-1])):
            whole.append(f"{'i' if lacking['does'] else 'i am'} {strip_opener(clause)}")
        else:
            if whole and _AS_SOMEBODY.fullmatch(whole[-1]) and _SPEAKER.match(clause):
                whole[-1] = f"speaking {whole[-1]}"
            whole.append(clause)
    return whole


def strip_opener(clause: str) -> str:
    """The clause without greetings, fillers and conjunctions."""
    return _OPENER.sub("", _CONJUNCTION.sub("", clause)).strip()


_AND_WORK = re.compile(r"and (?:also |now )?(?:work|live|study)\b", re.I)
_I_DO = re.compile(r"i (?!am\b|was\b)\w+", re.I)
_LACKING = re.compile(
    r"(?:(?:and|also|now) )*(?:(?P<does>(?:live|work|grew|have|hate|love|don't|can't)\b)|"
    r"(?:born|originally|from|based|allergic|married|single|divorced|retired)\b)",
    re.I,
)
"""A clause that shares the subject of the one before it: "I'm a nurse, live in Leeds"."""
_SAYS_OF_I = re.compile(
    r"(?:i'm|i am|i (?:am|live|work|study|grew|was born|have|love|hate|don't|can't))\b"
    r"(?!.*\b(?:to|want|hope|who|people|someone|not|going|planning|when|where|like)\b)",
    re.I,
)
_AS_SOMEBODY = re.compile(r"as an? [\w-]+(?: [\w-]+){0,2}", re.I)
""" "As a nurse, I …" says who speaks; "As a nurse, what do you do?" does not."""
_AS_WHO = re.compile(r"^(?:\w+,? )?as an? [\w-]+(?: [\w-]+){0,2}?(?= (?:i|i'm|i've|we)\b)", re.I)
""" "As a nurse I …" without its comma."""
_SPEAKER = re.compile(r"(?:i|i'm|i've|my|we)\b", re.I)
_AND_I = re.compile(r"and i\b(?!'m)", re.I)
_SOMEBODY = re.compile(r"(?:my|our) (?:[\w-]+ ){0,2}[\w-]+(?-i:,? [A-Z][\w'-]+)?,?|(?-i:[A-Z][\w'-]+)", re.I)
_I_ARE = re.compile(r"^i are ", re.I)
_TOGETHER_WITH = re.compile(rf"(?:{_SOMEBODY.pattern}) and (?=i\b)", re.I)


def speaker_alone(clause: str) -> str:
    """ "My wife and I live in Rome" as "I live in Rome", "Max and I are in Rome" as "we are in Rome"."""
    if _TOGETHER_WITH.match(clause) is None:
        return clause
    return _I_ARE.sub("we are ", _TOGETHER_WITH.sub("", clause, count=1))


_BEGINNING = r"(?P<adverbs>(?:(?:just|finally|recently|already|also|still|now|officially) )*)"
_ELIDED = tuple(
    (re.compile(rf"{_BEGINNING}(?={words}\b)", re.I), subject)
    for subject, words in (
        (
            "i",
            r"(?:(?:moved|came|relocated) (?:back |over |here )?(?:to|from) (?-i:[A-Z]\w*)|moved (?:back "
            r")?to|relocated to|"
            r"grew up|was born|born and raised|drive for (?-i:[A-Z]\w*)|don't (?:eat|drink|smoke)|"
            r"settled (?:down )?in|quit|gave up|stopped|started|"
            r"bought|sold|booked|joined|adopted|signed up|graduated|got|used to|can't|cannot|really|love|"
            r"hate|live in (?-i:[A-Z]\w*)|work (?:at|for|in)|broke up|split up)",
        ),
        (
            "i've",
            r"been (?:living|working|learning|playing|diagnosed|married|with|at (?-i:[A-Z]\w*)|vegan|"
            r"vegetarian|"
            r"(?:on|working) nights)",
        ),
        (
            "i'm",
            r"(?:allergic to|married|divorced|separated from|engaged|(?:originally )?from (?-i:[A-Z]\w*)|"
            r"based in|living in|"
            r"working (?:at|for|as)|learning|studying|majoring in|saving for|training for|"
            r"planning (?:to|on)|flying to|moving to|"
            r"travell?ing to|terrified of|afraid of|\d+ years old)",
        ),
    )
)


_HAS_VERB = re.compile(
    r"\b(?:is|was|are|were|has|isn't|wasn't|hasn't|can(?!')|will|makes?|takes?|helps?|feels?|seems?|"
    r"sounds?)\b",
    re.I,
)
"""Of which what stands before it is the subject: "Learning German has been tough"."""


def with_subject(clause: str) -> str:
    """A clause that leaves its subject out, as a diary does, with "I": "Finally moved to Rome"."""
    if _HAS_VERB.search(clause):
        return clause
    for pattern, subject in _ELIDED:
        if pattern.match(clause):
            return f"{subject} {clause}"
    return clause
