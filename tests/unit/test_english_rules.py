"""What English runs together, leaves out or says in passing, and what must not be mistaken for it."""

from __future__ import annotations

import pytest

from tests.rule_claims import noted

HOME, AGE, NAME, TITLE = "contact_info/residence", "basic_info/age", "basic_info/name", "work/title"
COMPANY, LIKE, DISLIKE, HABIT = "work/company", "interest/like", "interest/dislike", "habit/routine"
AVOIDS, ALLERGY, CONDITION, FROM = (
    "health/avoids",
    "health/allergy",
    "health/condition",
    "basic_info/hometown",
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "I'm left-handed so I smudge the ink, which my aunt would hate",
            {("psychological/personality", "left-handed")},
        ),
        ("I'm vegan, could that be why I'm tired?", {("health/diet", "vegan")}),
        ("If it helps, I'm a plumber", {(TITLE, "plumber")}),
        ("if you're wondering, i'm 52", {(AGE, "52")}),
        ("Could you suggest a gym, I live in Porto", {(HOME, "Porto")}),
        ("What can I cook, given that I'm vegan?", {("health/diet", "vegan")}),
        ("Hope the host remembers I don't drink", {(AVOIDS, "alcohol")}),
        ("nobody here knows i'm allergic to sesame", {(ALLERGY, "sesame")}),
        ("I sleep better now I've retired", {(TITLE, "retired")}),
        ("I'm tired since I work nights", {("work/arrangement", "nights")}),
        ("he joined us last year and i'm 31 now so he's the baby", {(AGE, "31")}),
        (
            "I'm a baker, live in Ghent, have two cats",
            {(TITLE, "baker"), (HOME, "Ghent"), ("pet/cat", "two cats")},
        ),
        ("like i said, i hate mushrooms cos they're slimy", {(DISLIKE, "mushrooms")}),
        ("me i love opera its so grand", {(LIKE, "opera")}),
        ("I sing in a choir and we go on tour in June", {(HABIT, "sings in a choir")}),
        ("now that i work from home i never go out", {("work/arrangement", "from home")}),
        ("would love to fly but I'm colour blind", {(CONDITION, "color blindness")}),
    ],
)  # fmt: skip
async def test_a_statement_within_a_longer_sentence(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "If I were a nurse, I'd move to Rome, I hate it here",
        "I would live in Rome, I'm a painter in that life",
        "She asked if I'm vegan",
        "Do you think it's because I'm vegan?",
        "My friend says she's vegan and I hate spas",
        "I'm Captain Rourke and you're the smuggler",
        "I want to be rich, live in Rome, have a dog",
        "I know people who smoke, have a dog, live in Rome",
        "I wish I was a nurse, I live in my head",
        "For our pirate campaign: I'm a gunner, I have a parrot and I hate the crown",
    ],
)
async def test_nothing_stands_after_a_condition_a_report_or_a_wish(said: str) -> None:
    assert not {claim for claim in await noted(said) if claim[0] != "psychological/goal"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("i dont eat pork", {(AVOIDS, "pork")}),
        ("im 44 and ive moved to Ghent", {(AGE, "44"), (HOME, "Ghent")}),
        ("my names Oskar", {(NAME, "Oskar")}),
        ("i cant stand cilantro", {(DISLIKE, "cilantro")}),
    ],
)
async def test_apostrophes_may_be_left_out(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


async def test_what_was_liked_is_disliked_in_the_end() -> None:
    assert await noted("I like handball.", "tbh i dont even like handball its just what we play") == {
        (LIKE, "handball"),
        (DISLIKE, "handball"),
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("I've moved to Siemens",), set()),
        (("I work at Kestrel.", "I've moved to Kestrel"), {(COMPANY, "Kestrel")}),
        (("I had an interview at Kestrel.", "A: Well done!", "We've moved to Kestrel."), set()),
        (("I moved to Kestrel as a test engineer",), set()),
        (("I moved to Kestrel with my family",), {(HOME, "Kestrel")}),
        (("I quit my job and I've moved to Lisbon",), {(HOME, "Lisbon")}),
        (("I moved to Berlin for a new job",), {(HOME, "Berlin")}),
        (("We're in Leeds these days, any museums?",), {(HOME, "Leeds")}),
        (("We're in Leeds for the weekend",), set()),
        (("I grew up on a farm near Galway",), {(FROM, "Galway")}),
        (("I grew up on a farm",), set()),
    ],
)
async def test_where_somebody_lives(said: tuple[str, ...], expected: set[tuple[str, str]]) -> None:
    assert await noted(*said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I'm an actuary for a reason", {(TITLE, "actuary")}),
        ("I'm the accountant not IT", {(TITLE, "accountant")}),
        ("As a midwife, I see that a lot", {(TITLE, "midwife")}),
        ("asking as a tuba player, i play in a brass band", {(HABIT, "plays in a brass band")}),
        ("been at Bosch since autumn", {(COMPANY, "Bosch")}),
        ("I drive for Tesco", {(COMPANY, "Tesco")}),
        ("I work in a small bakery", {("work/location", "a small bakery")}),
        ("we run a small bakery in Turku", {("work/business", "a small bakery")}),
        ("I'm training to be a vet", {(HABIT, "is training to be a vet")}),
        ("I'm cabin crew", {(TITLE, "cabin crew")}),
    ],
)
async def test_work_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "I'm the driver tonight",
        "I'm the teacher in this example",
        "As a doctor, what do you advise?",
        "As a friend, I worry",
        "I cook for Mum",
        "I drive for fun",
        "I work in a team",
        "My brother runs a bakery",
        "I want to run a bakery",
        "My sister is training to be a vet",
        "I've been at Tom's since noon",
    ],
)
async def test_no_work_of_the_speaker(said: str) -> None:
    assert not await noted(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I don't smoke anymore but I vape", {("habit/quit", "smokes"), (HABIT, "vapes")}),
        ("I gave up sugar", {(AVOIDS, "sugar")}),
        ("I can't have dairy so no ice cream", {(AVOIDS, "dairy")}),
        ("i'm gluten-free", {(AVOIDS, "gluten")}),
        ("My asthma is acting up again", {(CONDITION, "asthma")}),
        ("I'm 84 kilos now", {("basic_info/weight", "84 kilos")}),
        ("I'm Muslim so no wine", {("basic_info/religion", "Muslim")}),
        ("I hate moths worse than wasps", {(DISLIKE, "moths")}),
        ("i do judo on and off", {(HABIT, "does judo")}),
        ("yes i crochet", {(HABIT, "crochets")}),
        ("I'm more of a cat person", {(LIKE, "cats")}),
        ("My 7 year old won't eat peas", {("family/child_age", "7")}),
        ("I don't have kids", {("family/children", "no children")}),
        ("We're at my mum's in Ghent", {("family/mother_residence", "Ghent")}),
        ("my nan's got gout", {("family/grandmother_condition", "gout")}),
        ("I've got goats now", {("pet/goat", "goats")}),
        ("I turn 50 on June 2", {("life_event/event", "User turns 50 on 2023-06-02")}),
    ],
)
async def test_health_and_family_in_passing(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "I smoke salmon",
        "I don't smoke meat",
        "I gave up beer for Lent",
        "I can't have dairy today",
        "My cancer research goes well",
        "My friend's asthma is bad",
        "I'm Muslim-friendly",
        "I like tea less than coffee",
        "I paint my house",
        "I'm a people person",
        "My 5 year old laptop died",
        "I have no kids with me today",
        "I'm at my mum's in the kitchen",
        "I have fish for dinner",
        "I have horse riding on Monday",
        "I turn 60 pages a day",
    ],
)
async def test_no_health_or_family_of_the_speaker(said: str) -> None:
    assert not await noted(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("Is there kiwi in that salad?", "i'm allergic to it"), {(ALLERGY, "kiwis")}),
        (("Prawns or peanuts?", "I'm allergic to them"), set()),
        (("I'm allergic to them",), set()),
        (("Hi!", "A: Do you have any pets?", "Two dogs."), {("pet/dog", "two dogs")}),
        (("Hi!", "A: Do you have any pets?", "None."), set()),
        (("Hi!", "A: Any allergies?", "no"), set()),
        (("Hi!", "A: Do you have any food allergies?", "just sesame"), {(ALLERGY, "sesame")}),
        (("Hi!", "A: What kind of music do you like?", "baroque, mostly"), {(LIKE, "baroque music")}),
        (("Hi!", "A: What will you study?", "marine biology!"), set()),
        (("Hi!", "A: What do you study?", "marine biology!"), {("education/major", "marine biology")}),
    ],
)  # fmt: skip
async def test_what_was_named_or_asked_just_before(
    said: tuple[str, ...], expected: set[tuple[str, str]]
) -> None:
    assert await noted(*said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Why won't my cat eat?", {("pet/cat", "a cat")}),
        ("our two beagles chewed the sofa", {("pet/beagle", "beagles")}),
        ("What should I get my husband for his birthday?", {("family/husband", "a husband")}),
        ("My wife says I'm too strict", {("family/wife", "a wife")}),
        ("We're off to the zoo with our kids", {("family/children", "children")}),
        ("We have a toddler and a dog", {("family/child", "a toddler"), ("pet/dog", "a dog")}),
        ("Great. Sign it from Oskar and the boys", {(NAME, "Oskar")}),
        ("I'm a Geordie so I say canny a lot", {(FROM, "Newcastle")}),
        ("I'm a Dane living in Oslo", {("basic_info/nationality", "Danish")}),
        ("my manager Anneke is away", {("social/manager_name", "Anneke")}),
    ],
)
async def test_what_is_taken_for_granted(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "My dog died last year",
        "As a kid my dog slept in my bed",
        "My dog sitter is ill",
        "That horse painting of mine is my horse painting",
        "My hot dog was cold",
        "My late husband loved jazz",
        "My ex-wife took the car",
        "My future husband had better cook",
        "My friend's wife is a doctor",
        "If my wife knew that",
        "My wife-to-be is late",
        "My kids meal was cold",
        "I miss my dog",
        "Sign it from Santa",
        "Sign it from the team",
        "Sign it from Mum and Dad",
        "I have a baby shower on Saturday",
    ],
)
async def test_what_is_not_taken_for_granted(said: str) -> None:
    assert not {claim for claim in await noted(said) if not claim[0].startswith("life_event")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I've lived in New Zealand for thirty years", {(HOME, "New Zealand")}),
        ("I'm 61 and would love to ski again", {(AGE, "61")}),
        ("I'm 80 in June", {("life_event/event", "User turns 80 in 2023-06")}),
        ("As a chemist I get asked that daily", {(TITLE, "chemist")}),
        ("I'm a sound engineer and I like it", {(TITLE, "sound engineer")}),
        ("I'm a student from Hanoi", {(TITLE, "student"), (FROM, "Hanoi")}),
        ("I have been diagnosed with type 2 diabetes", {(CONDITION, "type 2 diabetes")}),
        ("asking since I'm Swiss and too shy to ask here", {("basic_info/nationality", "Swiss")}),
        ("I wear glasses", {(HABIT, "wears glasses")}),
        ("I run half marathons", {(HABIT, "runs half marathons")}),
        ("I'm left handed", {("psychological/personality", "left-handed")}),
        ("We have a greyhound", {("pet/greyhound", "a greyhound")}),
    ],
)
async def test_values_in_other_forms(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "As a kid I hated peas",
        "As a woman I hate that",
        "I'm Italian and Greek food is close to my heart, so to speak",
        "I'm home for thirty minutes",
        "I run meetings",
        "I intend to go on hugging people",
        "I wear black",
        "She is 61 and I would love to ski again",
    ],
)
async def test_what_only_looks_like_such_a_value(said: str) -> None:
    assert not {claim for claim in await noted(said) if claim[0] != "basic_info/nationality"}
