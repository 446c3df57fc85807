"""Plain statements of one's life in the forms that people give them, and what looks like them."""

from __future__ import annotations

import pytest

from tests.unit.test_pronouns import extracted

NAME, AGE, HOME, TITLE = "basic_info/name", "basic_info/age", "contact_info/residence", "work/title"
COMPANY, HABIT, SPEAKS = "work/company", "habit/routine", "basic_info/language_spoken"
MAJOR, SCHOOL = "education/major", "education/school"


async def noted(*said: str) -> set[tuple[str, str]]:
    """What is noted of a session, and where; what begins with "A: " was said by the assistant."""
    return {
        (f"{claim.topic}/{'-' if claim.negates else ''}{claim.subtopic}", claim.value or claim.text)
        for claim in await extracted(*said)
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I'm Olga Brandt, junior architect at Moss & Sons.", {
            (NAME, "Olga Brandt"), (TITLE, "junior architect"), (COMPANY, "Moss & Sons"),
        }),
        ("I'm Ravi, 41, maths teacher in Hull, three kids", {
            (NAME, "Ravi"), (AGE, "41"), (TITLE, "maths teacher"),
        }),
        ("I've been a midwife for twelve years.", {(TITLE, "midwife")}),
        ("I've been head of procurement for two years now", {(TITLE, "head of procurement")}),
        ("I've been driving buses for nine years.", {(TITLE, "bus driver")}),
        ("I've been teaching physics for thirty years", {(TITLE, "physics teacher")}),
        ("I'm a porter on the night shift", {(TITLE, "porter")}),
        ("I manage the kitchen at a care home", {("work/location", "a care home")}),
        ("People always assume things because I'm a magician.", {(TITLE, "magician")}),
        ("I work from home two days a week, so there's no rush tomorrow", {
            ("work/arrangement", "from home"),
        }),
        ("I'm in my third year of medicine at Leiden.", {(MAJOR, "medicine"), (SCHOOL, "Leiden")}),
        ("I'm doing philosophy now, it suits me", {(MAJOR, "philosophy")}),
        ("I switched from law to economics", {(MAJOR, "economics")}),
        ("I studied chemistry at the University of Porto.", {
            (MAJOR, "chemistry"), ("education/alma_mater", "the University of Porto"),
        }),
        ("My doctor says I'm lactose intolerant.", {("health/condition", "lactose intolerance")}),
        ("I'm badly allergic to cashews", {("health/allergy", "cashews")}),
        ("I've had migraines on and off since school", {("health/condition", "migraines")}),
        ("I smoke about ten cigarettes a day", {(HABIT, "smokes")}),
        ("I'm turning 50, can you believe it", {("life_event/event", "User is turning 50")}),
        ("Home is Galway these days.", {(HOME, "Galway")}),
        ("We rent a house in Ghent for now.", {(HOME, "Ghent")}),
        ("I adore my flat here in Turin", {(HOME, "Turin")}),
        ("Guess what, we've moved! Sam and I are in Utrecht now.", {(HOME, "Utrecht")}),
        ("I have two sisters, so you can imagine the noise.", {("family/sister", "two sisters")}),
        ("I speak Polish at home and German at work.", {(SPEAKS, "Polish"), (SPEAKS, "German")}),
        ("I go to choir on Tuesdays and Thursdays.", {(HABIT, "goes to choir on tuesdays and thursdays")}),
        ("I'm coaching the under-nines on Saturdays", {(HABIT, "is coaching the under-nines on saturdays")}),
        ("I don't own a car.", {(HABIT, "doesn't own a car")}),
        ("I've had three hens for two years", {("pet/hen", "three hens")}),
        ("A long walk with my dog Pickle helps", {("pet/dog_name", "Pickle")}),
        ("My cats are called Salt and Pepper.", {("pet/cat_name", "Salt"), ("pet/cat_name", "Pepper")}),
        ("Please add that I sing in a choir. And that I have a tortoise called Speedy.", {
            (HABIT, "sings in a choir"), ("pet/tortoise", "a tortoise"), ("pet/tortoise_name", "Speedy"),
        }),
        ("My neighbour Mrs. Doyle helps me.", {("social/neighbor_name", "Mrs. Doyle")}),
        ("I start my new job on June 2nd!", {
            ("life_event/event", "User starts their new job on 2023-06-02"),
        }),
        ("My sister and I are celebrating our birthday on June 9", {
            ("life_event/event", "User is celebrating their birthday on 2023-06-09"),
        }),
    ],
)  # fmt: skip
async def test_what_is_plainly_said_is_noted(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "I'm Happy, thanks",
        "I'm Sam, nurse told me to wait",
        "I've been a fan of jazz for ten years",
        "I've been head of the table for years",
        "I've been driving my mother mad for years",
        "I've been teaching online for years",
        "I'm a model on the cover in my dreams",
        "I manage the office party at a pub tomorrow",
        "I'm in my third year of marriage",
        "I'm doing art with the neighbours",
        "I'm doing data now",
        "I switched to tea",
        "My neighbour says I'm diabetic",
        "My boss says I'm lactose intolerant",
        "Home is where the heart is",
        "I rent a car in Ghent",
        "Home's Great when it's quiet",
        "We share a flat in Rome on Friday",
        "I'm doing medicine reviews now",
        "Sam and I are in Utrecht now",
        "Imagine I have two sisters",
        "I'd love it if I spoke Polish at home",
        "I'm coaching on Saturday",
        "I don't have a car today",
        "I've had three dogs in my life",
        "My dog Pickle died in 2020",
        "My friend's cats are called Salt and Pepper",
        "He hates me. And that I have a tortoise.",
        "Say that I have a tortoise, what does it eat?",
        "I start to worry on Sunday nights",
        "I leave early tomorrow",
        "Should I mention that I'm vegan?",
    ],
)
async def test_what_looks_like_a_plain_statement_is_not_noted(said: str) -> None:
    assert await noted(said) == set()


NAMED = [
    (("I have a cat.", "A: Lovely! What's her name?", "Olive"), ("pet/cat_name", "Olive")),
    (("My cat broke a vase.", "A: Oh no! What's he called?", "Bandit."), ("pet/cat_name", "Bandit")),
    (("We adopted a dog today. We named him Otto.",), ("pet/dog_name", "Otto")),
    (("I have two sisters.", "A: What are their names?", "Ida and Eva"), ("family/sister_name", "Ida")),
    (("We keep three goats.", "A: Do they have names?", "Al, Bo and Cy."), ("pet/goat_name", "Cy")),
    (("A: What's your surname?", "Moreau"), ("basic_info/surname", "Moreau")),
    (("A: Which languages do you speak?", "Dutch, Turkish and French"), (SPEAKS, "Turkish")),
    (("A: What's your favourite season?", "Autumn, easily"), ("interest/favourite_season", "Autumn")),
    (("A: And where's home?", "Bergen"), (HOME, "Bergen")),
    (("A: What did you study?", "Geology, ages ago"), (MAJOR, "Geology")),
]


@pytest.mark.parametrize(("said", "expected"), NAMED)
async def test_a_pet_or_relative_gets_the_name_that_is_given(
    said: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert expected in await noted(*said)


@pytest.mark.parametrize(
    "said",
    [
        ("My friend has a cat.", "A: What's her name?", "Olive"),
        ("I have a cat and a dog.", "A: What's her name?", "Olive"),
        ("I have a cat. My sister had a girl. We named her Zoe.",),
        ("I want a dog.", "A: What would you call it?", "Otto"),
        ("I always mix it up with my brother's.", "A: What's his name?", "Kit"),
        ("My friends are twins.", "A: What are their names?", "Ida and Eva"),
        ("My cousin has two kids.", "A: What are their names?", "Ida and Eva"),
    ],
)
async def test_a_name_is_nobodys_where_it_is_unclear_whose(said: tuple[str, ...]) -> None:
    assert not any(place.endswith("_name") for place, _ in await noted(*said))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            ("We have four hens.", "A: Names?", "Sadly yes. Oh, actually it's three, a fox came."),
            "three hens",
        ),
        (("I have two cats. Actually I have three.",), "three cats"),
        (("I've got five goats.", "Actually, six now."), "six goats"),
        (("We have four hens.", "Actually it's three euros each"), "four hens"),
        (("We have four hens. The train leaves at two. Actually it's three.",), "four hens"),
    ],
)
async def test_how_many_there_are_can_be_corrected(said: tuple[str, ...], expected: str) -> None:
    assert [value for place, value in await noted(*said) if place.startswith("pet/")] == [expected]


async def test_a_number_that_is_far_off_corrects_something_else() -> None:
    assert await noted("I'm 44 and I have two cats. Actually 45.") == {(AGE, "45"), ("pet/cat", "two cats")}


@pytest.mark.parametrize("said", ["hard to say", "Depends", "Anything spicy"])
async def test_no_favourite_is_no_favourite(said: str) -> None:
    assert await noted("A: What's your favourite film?", said) == set()


async def test_a_corrected_number_beside_a_claim_does_not_take_the_claim_back() -> None:
    assert await noted("I've been at Bosch for seven years. Wait, no, eight.") == {(COMPANY, "Bosch")}


@pytest.mark.parametrize("begins", [
    "Let's play a game. I'm King Arthur, I'm 900 years old.",
    "Can we play pretend? I'd be first. Let's play a character: I'm King Arthur",
])  # fmt: skip
@pytest.mark.parametrize("ends", ["ok, pause.", "Game over!", "Right, back to real business."])
async def test_a_game_is_nobodys_until_it_is_stopped(begins: str, ends: str) -> None:
    found = await noted(begins, "I live in Camelot", "A: My liege!", f"{ends} I live in Leeds.")
    assert found == {(HOME, "Leeds")}


async def test_a_game_that_nobody_is_anybody_in_is_no_role() -> None:
    assert await noted("Let's play a board game tonight? I'm 34.") == {(AGE, "34")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I go every Monday.", set()),
        ("I go to the pool every Monday.", {(HABIT, "goes to the pool every monday")}),
        ("I live in Linz, Vienna's too big.", {(HOME, "Linz")}),
        ("I live in St. John's.", {(HOME, "St. John's")}),
        ("Let's play. You're the captain and I'm Orla, a smuggler from Cork.", set()),
        ("Let's play tennis. You're good and I'm Orla.", {(NAME, "Orla")}),
    ],
)
async def test_what_goes_on_about_something_else(said: str, expected: set[tuple[str, str]]) -> None:
    assert await noted(said) == expected
