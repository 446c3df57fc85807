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
    third_person,
    value_of,
)
from cluster.pipeline.rules.lexicon import EN_INDUSTRIES, EN_LANGUAGES, EN_OCCUPATIONS, word_list
from cluster.pipeline.rules.registry import Rules
from cluster.pipeline.rules.slots import Claim

RULES: Rules[Context] = Rules(re.IGNORECASE)

_ORGANISATION = (
    r"(?:the )?(?-i:(?=[\d.,]*[A-Za-z\u00c0-\u024f])"
    r"[A-Z0-9][\w&.'\-]*(?: (?:(?:of|and|for|&|at|the) )?[A-Z][\w&.'\-]*){0,5})"
)
_SOME_EMPLOYER = (
    r"an? (?:[\w\-]+ ){0,3}?(?:company|firm|startup|start-up|bank|hospital|school|university|agency|studio|"
    r"restaurant|store|shop|clinic|lab|bakery|hotel|factory|library|museum|charity|nonprofit|"
    r"non-profit|cafe|café)"
)
_NOTHING_SAID = re.compile(r"an? (?:\w+ )?(?:company|firm|place)$", re.I)
_OCCUPATION_END = re.compile(
    r"\s*(?:[,.!?;:()]|\s-+\s|$)|\s(?:at|for|with|in|from|and|who|but|by|on|specializing|specialising|of|"
    r"working|living|based|to|since|until|now|currently|here|these|trying|because|so|right|too|as|by|not|"
    r"myself|again|which|these|where)\b",
    re.I,
)
_NOT_A_JOB = re.compile(
    r"\b(?:big|huge|total|bit|real|great|terrible|bad|lousy|decent|fast|slow|lucky|not|good|better|natural|"
    r"morning|night|amazing|awesome|horrible|avid|former|ex|aspiring|future|wannabe|people|proud|hopeless|"
    r"complete|quick|fair|true|born|rubbish|awful|useless|mediocre|poor|keen|brilliant|excellent|dreadful|"
    r"crap|"
    r"shit|pathetic|ok|okay|nervous|careful|messy|light|heavy|strong|weak|passionate|enthusiastic|casual|"
    r"occasional|sometime|mean|wonderful|fantastic|better|worse|best|worst|team|group|couple|pair|person|"
    r"human|fan|victim)\b|n't",
    re.I,
)
# "a copywriter at Saatchi": whose place of work is named has work that is named.
_AT_WORK = re.compile(rf"\s+(?:at|for) {_ORGANISATION}", re.I)
_SOUND = re.compile(r"^sound (?=engineer|designer|technician)", re.I)
_LEADERS = word_list("head director vp president chief dean professor")
_OF_WHAT = re.compile(
    r" of (?!the\b|an?\b|my\b|our\b|this\b|that\b)[\w-]+(?: [\w&-]+){0,2}?"
    r"(?=\W*$|[,.;:!?(]|\s(?:at|for|with|in|from|who|since|on|but|so|until|now)\b)"
)
# "an engineer at heart", "a singer in a choir": no one's job.
_ONLY_AS_IT_WERE = re.compile(
    r"\s+(?:at (?:heart|best|worst|home|night|times|parties)|on paper|in (?:my|another|spirit|theory|"
    r"disguise|"
    r"training|name|waiting|an? (?:past|former|previous|parallel)|an? (?:[\w-]+ ){0,2}(?:choir|band|"
    r"orchestra|"
    r"play|musical|league|club|team))|by (?:nature|heart|night|accident|training|marriage|default|education|"
    r"degree)|for (?:fun|once|today|(?!a reason\b|a living\b)an? \w+|the (?:day|weekend))|"
    r"but (?:i )?(?:now |currently )?(?:work|sell|never|don't|can't|quit))\b",
    re.I,
)
_AGENT = re.compile(r"(?:er|or|ist|ian|ant|man|woman|ive|lead|head)$", re.I)
_NO_WORKERS = word_list(
    "customer member newcomer beginner passenger visitor regular player loser winner sucker believer "
    "stranger volunteer subscriber user shopper survivor voter participant contestant supporter applicant"
)
# "a guide to …", "a driver of …": occupations only when nothing of the kind follows.
_AMBIGUOUS = re.compile(
    r"\s+(?:of|to|for(?! a (?:reason|living)\b| (?:(?:over|almost|about|more than) )?[\w-]+ "
    r"(?:years|decades|months)\b)|by|"
    r"on(?! (?:the |an? )?(?:(?:night|day|late|early|graveyard) shifts?|nights|(?:\w+ )?ward"
    r"|railways?|buses)\b))\b"
)
_SCHOOLS = re.compile(
    r"\b(?:university|college|school|institute|academy|polytechnic|mit|ucla|nyu|stanford|harvard|yale|oxford|"
    r"cambridge|tsinghua|princeton|berkeley|caltech|uc \w+)\b",
    re.I,
)
_EMPLOYERS = re.compile(
    r"\b(?:inc|corp|ltd|llc|google|microsoft|apple|amazon|meta|netflix|tesla|alibaba|tencent|"
    r"bytedance|huawei|"
    r"company|bank|studios?|hospital|university|labs?|agency|group)\b",
    re.I,
)


@RULES.rule(
    rf"{I_AM} {ADVERBS}(?:working as |more of )?an? (?P<rest>.+)$",
    rf"{I_AM} {ADVERBS}(?P<rest>(?:cabin|ground|flight) crew\b.*)$",
    rf"{I_AM} {ADVERBS}(?:just |only )*the (?P<rest>(?:[\w-]+ )?(?:receptionist|accountant|bookkeeper|"
    rf"secretary|"
    r"nurse|vet|librarian|caretaker|janitor|cleaner|headteacher|paralegal|pharmacist|chaplain|midwife|"
    r"paramedic|"
    r"carpenter|plumber|electrician|intern|apprentice|sysadmin|electrician|physio)(?= at\b| here\b| "
    r"not\b|,|\W*$).*)$",
    r"(?:speaking|asking|talking|writing) as an? (?P<rest>(?:[\w-]+ ){0,2}[\w-]+)(?: myself)?\W*$",
    rf"i {ADVERBS}work as an? (?P<rest>.+)$",
    r"my (?:current |new )?(?:job|occupation|profession)(?:'s| is)(?: being| as)? an? (?P<rest>.+)$",
    r"i(?:'ve| have) been (?:an? |(?=(?:deputy |assistant |vice )?(?:head|director) of\b))"
    r"(?P<rest>.+ for (?:[\w-]+ ){1,3}?(?:months|years|decades)\b.*)$",
    rf"{I_AM} (?:now |currently )?(?P<rest>(?:deputy |assistant |vice )?(?:head|director) of .+)$",
    r"i(?:'ve| have) (?:just )?(?:started (?:working )?as|become) an? (?P<rest>.+)$",
    r"i(?:'ve| have)? (?:just |recently )?(?:got|been|was) promoted to (?:an? |the )?(?P<rest>.+)$",
    (
        r"i (?:now |just |recently )?(?:got|started|took|have) (?:a )?(?:new )?(?:job|work|position|role)"
        r" as an? (?P<rest>.+)$"
    ),
)
def _title(match: re.Match[str], context: Context) -> Iterator[Claim]:
    said_to_be_work = (
        re.match(
            rf"(?:{I_AM} {ADVERBS}(?:more of )?|i(?:'ve| have) (?:been|"
            rf"(?:just )?become) )an? ",
            match[0],
            re.I,
        )
        is None
    )
    if not context.future and not _CREW.match(match["rest"]):
        known = re.match(r"(?:\w+ )?as ", match[0], re.I) is not None
        yield from occupation_of(match["rest"], trusted=said_to_be_work and not known)
    elif not context.future:
        yield Claim("title", " ".join(match["rest"].split()[:2]).lower().strip(",.!"))


@RULES.rule(
    r"i(?:'ve| have) been (?P<did>driving|teaching) (?P<v>(?:an? |the )?[a-z]+(?: [a-z]+)?) (?=for"
    r" (?:[\w-]+ ){1,4}?"
    r"(?:years|decades)\b)",
    r"i (?P<did>drive) (?P<v>(?:an? )?[a-z]+(?: [a-z]+)?) (?=for a living\b|for"
    r" (?:[\w&'-]+ ){1,4}?(?:company|firm)\b)",
)
def _driver(match: re.Match[str], _: Context) -> Iterator[Claim]:
    what = re.sub(r"^(?:an?|the) ", "", match["v"].lower())
    if match["did"].lower() == "teaching":
        if value_of(what, words=2) and what not in _NOT_TAUGHT and not _WHERE_TAUGHT.match(what):
            yield Claim("title", f"{what} teacher")
    elif (driven := _DRIVEN.get(what)) is not None:
        yield Claim("title", f"{driven} driver")


_DRIVEN = {
    "truck": "truck", "trucks": "truck", "lorry": "lorry", "lorries": "lorry", "bus": "bus", "buses": "bus",
    "taxi": "taxi", "taxis": "taxi", "cab": "cab", "cabs": "cab", "tram": "tram", "trams": "tram",
    "train": "train", "trains": "train", "van": "van", "vans": "van", "ambulance": "ambulance",
    "ambulances": "ambulance", "school bus": "school bus",
}  # fmt: skip


@RULES.rule(
    r"i (?:(?:also|now|currently|still) )*(?:run|manage|look after|head|lead|supervise|staff|work on"
    r"|work) the "
    r"(?:front desk|reception|kitchen|bar|office|shop floor|counter|till|tills) (?:at|of|in|for) "
    r"(?P<v>an? (?:[\w-]+ ){0,2}?(?:practice|clinic|hospital|school|hotel|restaurant|pub|garage|gym|bank"
    r"|library|"
    r"museum|shop|store|theatre|office|surgery|company|firm|agency|charity|nursery|care home|bakery|caf[eé]))"
    r"(?=\W*$|[,.;!(]|\s(?:and|but|so|in|near|now|with|where|which|here|on|outside|for|been)\b)"
)
def _in_charge(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated and not CONTEXT_BOUND.search(match["v"]):
        yield Claim("work_place", match["v"].lower())


_CREW = re.compile(r"\w+ crew\b", re.I)


def occupation_of(rest: str, *, trusted: bool = False) -> Iterator[Claim]:
    """What "software engineer at Google from Ohio" says: a title, perhaps an employer and a home town.

    Unless `trusted`, the title must be a known occupation.
    """
    student = re.match(r"((?:[\w-]+ ){0,3}student)\b", rest, re.I)
    if student:
        yield from _student(student[1], rest[student.end() :])
        return
    end = _OCCUPATION_END.search(rest)
    noun = (rest[: end.start()] if end else rest).strip(" '")
    tail = rest[len(noun) :]
    words = noun.split()
    if _ONLY_AS_IT_WERE.match(tail):
        return
    if not 1 <= len(words) <= 5 or _NOT_A_JOB.search(noun) or CONTEXT_BOUND.search(_SOUND.sub("", noun)):
        return
    head = words[-1].lower()
    if head in _LEADERS and (of := _OF_WHAT.match(tail)):
        noun, tail = f"{noun}{of[0]}", tail[of.end() :]
    elif head == "head":
        return
    trusted = trusted or bool(_AT_WORK.match(tail) and _AGENT.search(head) and head not in _NO_WORKERS)
    known = head in EN_OCCUPATIONS or " ".join(words[-2:]).lower() in EN_OCCUPATIONS
    if not trusted and (not known or (len(words) == 1 and _AMBIGUOUS.match(tail))):
        return
    yield Claim("title", noun.lower() if noun.istitle() else noun)
    if company := re.match(rf"\s+(?:at|with|for) (?P<v>{_ORGANISATION})", tail, re.I):
        yield Claim("company", company["v"].strip(" .,"))
    origin = re.match(rf"\s+from {PLACE}", tail)
    if origin and (place := place_of(origin["v"])):
        yield Claim("hometown", place)


def _student(title: str, tail: str) -> Iterator[Claim]:
    if re.search(r"\b(?:of|former|ex|good|bad|great|terrible|straight)\b", title, re.I) or tail.startswith(
        " of "
    ):
        return
    yield Claim("title", title)
    if school := re.match(rf"\s*(?:[\w ]{{0,30}}?\b)?(?P<p>at|from) (?P<v>{_ORGANISATION})", tail, re.I):
        place = place_of(school["v"])
        if school["p"].lower() == "at" or _SCHOOLS.search(school["v"]):
            yield Claim("school", school["v"].strip(" .,"))
        elif place:
            yield Claim("hometown", place)
    if major := re.match(r" (?:studying|majoring in) (?P<v>[a-z][a-z ]{2,40}?)(?: at\b|,|$)", tail, re.I):
        yield Claim("major", major["v"])


@RULES.rule(
    (
        rf"(?:i {ADVERBS}work|{I_AM} {ADVERBS}(?:working|employed))(?: remotely| part[- ]time| full[- ]time|"
        rf" nights| from home)? (?:at|for|with(?!.* on\b)) "
        rf"(?P<v>{_ORGANISATION}|{_SOME_EMPLOYER})(?: as an? (?P<job>[\w -]{{3,40}}?))?{END}"
    ),
    (
        r"i(?:'ve| have)? (?:(?:just|recently) )*(?:joined|started (?:working |work |a new job |a job )?at|"
        r"got (?:a|the) (?:new )?job (?:at|with)|got hired (?:at|by)|accepted an offer from) "
        rf"(?P<v>{_ORGANISATION})(?: as an? (?P<job>[\w -]{{3,40}}?))?{END}"
    ),
    (
        rf"i(?:'ve| have) been (?:working|employed) (?:at|for|with) (?P<v>{_ORGANISATION}|{_SOME_EMPLOYER})"
        rf"(?P<job>){END}"
    ),
    rf"i(?:'ve| have) been (?:at|with) (?P<v>{_ORGANISATION})(?P<job>) (?:for )?(?:[\w-]+ ){{1,3}}?years?\b",
    rf"i(?:'ve| have) been (?:at|with) (?P<v>{_ORGANISATION})(?P<job>)(?: now| here)? (?=since\b)",
    (
        rf"(?:i {ADVERBS}(?:drive|deliver|drive a (?:van|lorry|truck|bus|cab)|cook|code|teach|consult|"
        rf"freelance|"
        rf"clean|fly) for|{I_AM} {ADVERBS}(?:driving|delivering|coding|consulting|freelancing|interning) "
        rf"(?:for|at)) "
        rf"(?P<v>{_ORGANISATION})(?P<job>){END}"
    ),
    rf"my (?:current )?(?:employer|company)(?:'s| is)(?: called| named)? (?P<v>{_ORGANISATION})(?P<job>)\W*$",
    r"i (?:currently )?work (?:at|for) (?P<v>(?-i:[a-z][\w&.\-]+))(?P<job>)\W*$",
)
def _company(match: re.Match[str], context: Context) -> Iterator[Claim]:
    value = match["v"].strip(" .,'")
    joined = re.match(r"i(?:'ve| have)? (?:(?:just|recently) )*joined", match[0], re.I)
    if (
        context.future
        or (context.dated and re.match(I_AM, match[0], re.I))  # "today I'm working at a cafe"
        or CONTEXT_BOUND.search(value)
        or _NOTHING_SAID.match(value)
        or value.lower() in _NOT_EMPLOYERS
        or (joined and not match["job"] and not _EMPLOYERS.search(value))
    ):
        return
    if value.endswith("'s") and "since" in match.string[match.end() - 6 :][:12].lower():
        return  # "I've been at Tom's since noon"
    if re.match(
        r"(?:mum|mom|dad|charity|christmas|thanksgiving|easter|england|scotland|wales|\w+day)s?$", value, re.I
    ):
        return  # "I cook for Mum", "I drive for England"
    yield Claim("company", value, dated=match[0][:25].lower().find("work ") < 0)
    if match["job"]:
        yield from occupation_of(match["job"], trusted=True)


_WHERE_TAUGHT = re.compile(r"(?:at|in|to|for|on|with|by|from|about|part|full)\b")
_NOT_TAUGHT = word_list(
    "kids children people classes students now here there online well too part-time full-time again"
)
_NOT_EMPLOYERS = word_list(
    "home night nights least myself free church yoga fun hours now years months days peace money weekends"
)


@RULES.rule(
    rf"i (?:no longer|don't|do not) work (?:at|for) (?P<v>{_ORGANISATION}?)(?P<more> any ?more)?\W*$",
    rf"i used to work (?:at|for) (?P<v>{_ORGANISATION})\W*$",
    (
        r"i(?:'ve| have)? (?:(?:just|recently) )?(?:was|got|been|were) (?:just )?"
        rf"(?:laid off|fired|let go|made redundant|sacked) (?:from|by|at) (?P<v>{_ORGANISATION}){END}"
    ),
    (
        r"i(?:'ve| have)? (?:(?:just|recently|finally) )*(?:quit|left|resigned from) (?:my job (?:at|with) )"
        rf"(?P<v>{_ORGANISATION}){END}"
    ),
)
def _not_company(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if not re.match(r"i do(?:n't| not)", match[0], re.I) or match["more"]:
        yield Claim("company", match["v"], negates=True)


@RULES.rule(
    rf"{I_AM} (?:(?:now|already|happily|recently|finally|officially) )*retired\b(?! (?:from|my|the|it)\b)",
    r"i(?:'ve| have)? (?:(?:just|finally|recently) )*retired\b(?! (?:my|the|it|him|her|them|to)\b)",
)
def _retired(_: re.Match[str], __: Context) -> Iterator[Claim]:
    yield Claim("title", "retired")


_WORKPLACE = (
    r"bank|hospital|school|primary school|high school|nursery|kindergarten|university|restaurant|kitchen|"
    r"bakery|"
    r"hotel|factory|warehouse|library|museum|charity shop|shop|supermarket|garage|pharmacy|clinic|lab|"
    r"laboratory|"
    r"call cent(?:re|er)|care home|nursing home|pub|bar|caf[eé]|coffee shop|law firm|gp surgery|salon|"
    r"garden centre|"
    r"bookshop|bookstore|office|theatre|prison|hospice|vet'?s|petrol station|butcher'?s|florist'?s|post "
    r"office|"
    r"[a-z]+ factory|[a-z]+ shop|[a-z]+ plant"
)


@RULES.rule(
    rf"(?:i {ADVERBS}work|{I_AM} {ADVERBS}working) (?:part[- ]time |full[- ]time |nights |shifts |"
    rf"weekends )?(?:in|at) "
    rf"(?P<v>an? (?:(?:big|small|local|busy|tiny|large|private|public) )*(?:{_WORKPLACE}))"
    r"(?=\W*$|[,.;!(]|\s(?:and|but|so|in|as|near|now|these|with|where|which|too|here|called|full|part|on|"
    r"outside)\b)"
)
def _work_place(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        yield Claim("work_place", match["v"].lower())


@RULES.rule(
    r"(?:i|we) (?:(?:also|now|still|currently) )*(?:run|own|have|'ve got|opened|started) (?P<v>(?:an?|my "
    r"own|our own) "
    r"(?:(?:small|little|tiny|family|online|local|own|wee|dog|food|vintage|craft|tea) )*(?:bakery|"
    r"caf[eé]|coffee shop|"
    r"shop|restaurant|garage|salon|business|company|farm|smallholding|croft|pub|b&b|guesthouse|agency|"
    r"dental practice|"
    r"startup|start-up|nursery|bookshop|food truck|market stall|etsy shop|dog[- ]walking business))"
    r"(?=\W*$|[,.;!(]|\s(?:in|on|and|but|so|with|near|selling|that sells|called|of|for|outside)\b)"
)
def _business(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future:
        yield Claim("business", third_person(match["v"]))


@RULES.rule(
    rf"{I_AM} {ADVERBS}(?P<x>training|retraining|studying|qualifying|apprenticing) (?:as|to be|to "
    rf"become) an? "
    r"(?P<v>[a-z][\w -]{2,30}?)(?=\W*$|[,.;!(]|\s(?:and|but|so|at|in|with|now|right|since|after|because|"
    r"from)\b)"
)
def _training(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future and not _NOT_A_JOB.search(match["v"]) and not CONTEXT_BOUND.search(match["v"]):
        yield Claim("habit", f"is {match['x'].lower()} to be {_an(match['v'])}")


def _an(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"


_ARRANGEMENT = (
    r"from home|remotely|nights|night shifts?|(?:rotating )?shifts|part[- ]time|full[- ]time|freelance|"
    r"weekends|for myself"
)


@RULES.rule(
    rf"i {ADVERBS}(?:mostly |fully )?work (?P<v>{_ARRANGEMENT})\b(?! (?:today|tomorrow|tonight|this)\b)",
    rf"(?:{I_AM}|i've been) {ADVERBS}on (?P<v>nights|night shifts?)(?=\W*$|\s(?:and|so|for|but|since|now|"
    rf"\d|these)\b)",
    rf"{I_AM} {ADVERBS}working (?P<v>{_ARRANGEMENT})\b(?! (?:today|tomorrow|tonight|this)\b)",
    (
        rf"{I_AM} {ADVERBS}(?:fully |completely |100% )?(?P<v>remote|self[- ]employed|freelance)"
        r"\W*(?:$|and\b|so\b)"
    ),
)
def _arrangement(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.dated:
        value = match["v"].lower()
        yield Claim("arrangement", "remotely" if value == "remote" else value.replace("self e", "self-e"))


@RULES.rule(
    r"i (?:(?:currently|also|now) )*teach (?P<v>[a-z]+(?: [a-z]+)?)"
    r"(?: (?:at|to|in|for) (?:an? |the |my )?(?![\w ]*\bon (?:weekends|\w+days)\b)[\w ]{3,40})?\W*$"
)
def _teacher(match: re.Match[str], _: Context) -> Iterator[Claim]:
    subject = match["v"].lower()
    if value_of(subject, words=2) and subject not in _NOT_TAUGHT and not _WHERE_TAUGHT.match(subject):
        yield Claim("title", f"{match['v']} teacher")


@RULES.rule(
    rf"(?:i {ADVERBS}work|{I_AM} {ADVERBS}(?:working )?) ?"
    r"in (?:the )?(?P<v>[\w -]{2,30}?)(?: industry| sector| field| business)?" + END
)
def _industry(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if match["v"].lower() in EN_INDUSTRIES:
        yield Claim("industry", match["v"])


@RULES.rule(
    (
        rf"(?:i (?:(?:now|currently) )*(?:study|go to|attend)|{I_AM} (?:(?:now|currently) )*(?:studying|"
        rf"enrolled)) (?:(?P<m>(?-i:[a-z])[a-z ]{{2,40}}?) )?(?P<at>at |in )?(?P<v>{_ORGANISATION}){END}"
    ),
)
def _school(match: re.Match[str], _: Context) -> Iterator[Claim]:
    school = match["v"].strip(" .,")
    goes = "go to" in match[0][:20].lower()
    if _SCHOOLS.search(school) or (match["m"] and (match["at"] or "").lower().startswith("at")):
        yield Claim("school", school)
        if match["m"] and not goes and (major := value_of(match["m"], words=4)):
            yield Claim("major", major)
    elif not goes and not match["m"] and not match["at"] and "study" in match[0][:20].lower():
        if school.lower() in EN_LANGUAGES:
            yield Claim("learning", school)
        else:
            yield Claim("major", school, confidence=0.8)


_ACADEMIC = (
    r"(?:medicine|law|physics|chemistry|biology|economics|psychology|mathematics|philosophy|linguistics"
    r"|sociology|"
    r"computer science|political science)\b|[a-z]+(?: [a-z]+)? degree\b"
)
"""What is no job and no pastime: who "is doing law" studies it."""
_STUDIED_END = (
    r"(?=\W*$|[,.;!(]|\s(?:and|but|so|now|instead|here|this year|right now|at the moment|because)\b)"
)
_YEAR = r"(?:first|second|third|fourth|fifth|final|last|1st|2nd|3rd|4th|5th)"
_DISCIPLINE = (
    r"(?:computer|medicine|law|physics|chemistry|biology|economics|psychology|mathematics|maths?|history|"
    r"philosophy|engineering|architecture|design|art|music|nursing|finance|accounting|marketing|mechanical|"
    r"electrical|civil|political|environmental|software|data|business|literature|linguistics|journalism|"
    r"sociology|statistics|education)(?: (?!(?:at|in|on|with|for|by|from|every|all)\b)[a-z]+){0,2}?"
)


@RULES.rule(
    (
        r"(?:my major(?:'s| is| was)|i(?:'m| am)? major(?:ing|ed)? in|i have a (?:degree|master's|masters|"
        r"bachelor's|bachelors|phd)(?: degree)? in) (?P<v>[A-Za-z][\w &-]{2,40}?)"
        rf"(?: (?:at|from) (?P<s>{_ORGANISATION}))?\W*(?:$|\band\b|,)"
    ),
    (
        rf"(?:i (?:(?:now|currently) )*study|{I_AM} (?:(?:now|currently) )*studying) (?P<v>{_DISCIPLINE})"
        r"(?P<s>)\W*(?:$|\band\b|,|right now|in college|(?:at|on|in) (?:night|weekends|the evenings?))"
    ),
    (
        rf"(?:{I_AM} (?:now |currently |just )?(?:in|starting|doing|finishing) (?:my|the) {_YEAR} year"
        rf" (?:of|doing|"
        rf"studying)|(?:i (?:just |recently |'ve )?(?:switched|changed)(?: majors?| subjects?| courses?)?"
        rf"(?: from [a-z ]+?)? to"
        rf"|{I_AM} doing)(?= (?:an? )?(?:{_ACADEMIC})(?:{_STUDIED_END}| (?:at|in"
        rf"|degree)\b))) (?:an? )?(?P<v>{_DISCIPLINE})(?: degree"
        rf"| studies)?(?: (?:at|in) (?P<s>{_ORGANISATION}))?"
        rf"{_STUDIED_END}"
    ),
    (
        rf"i (?:studied|read|did) (?:an? )?(?P<v>{_DISCIPLINE})(?: degree)? at "
        rf"(?P<s>(?:the )?{_ORGANISATION})(?P<done>)\W*$"
    ),
)
def _major(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := value_of(match["v"], words=4):
        yield Claim("major", value)
    if match["s"]:
        slot = "school" if match.groupdict().get("done") is None else "alma_mater"
        yield Claim(slot, match["s"].strip(" .,"))


@RULES.rule(
    (
        rf"(?:{I_AM} (?:(?:currently|now|also) )*(?:doing|pursuing|finishing|working on)|i'm in) (?:an?|my) "
        r"(?:master'?s?|bachelor'?s?|phd|doctorate|degree|msc|mba|ma|ba|bsc)(?: degree)? in "
        rf"(?P<v>[a-z][\w &-]{{2,40}}?)(?: (?:at|from) (?P<s>{_ORGANISATION}))?\W*(?:$|,)"
    ),
)
def _degree(match: re.Match[str], _: Context) -> Iterator[Claim]:
    if value := value_of(match["v"], words=4):
        yield Claim("major", value)
        if match["s"]:
            yield Claim("school", match["s"].strip(" .,"))


@RULES.rule(rf"i (?:just |recently )?graduated (?:from|at) (?P<v>{_ORGANISATION})(?: (?:with|in)\b.*)?{END}")
def _alma_mater(match: re.Match[str], context: Context) -> Iterator[Claim]:
    if not context.future:
        yield Claim("alma_mater", match["v"].strip(" .,"), dated=True)
