"""An answer is read with its question, where it is clear what was asked."""

from __future__ import annotations

import pytest

from tests.unit.test_pronouns import extracted

ANSWERS = [
    (
        "I'm sorry. May I have your name and the postcode?",
        "its Gareth Pugh, CF11 9LJ.",
        "name",
        "Gareth Pugh",
    ),
    ("What is your name?", "Thanks, it's Ben", "name", "Ben"),
    ("Your name, please?", "Brenda Lomax", "name", "Brenda Lomax"),
    ("Any dislikes?", "can't stand beetroot", "dislike", "beetroot"),
    ("Where do you live?", "in Lisbon, near the river. And you?", "residence", "Lisbon"),
    ("Where are you from originally?", "Brazil", "hometown", "Brazil"),
    ("Where do you work?", "Google", "company", "Google"),
    ("What do you do for a living?", "I'm a nurse", "title", "nurse"),
    ("And what do you do?", "a plumber", "title", "plumber"),
    ("What's your current job?", "quantity surveyor. thrilling", "title", "quantity surveyor"),
    ("How old are you?", "34", "age", "34"),
    ("What's your dog's name?", "Rex!", "dog_name", "Rex"),
    ("You live in Manchester, right? It'll rain.", "No, Macclesfield.", "residence", "Macclesfield"),
    ("So you live in Rome, right?", "Yes", "residence", "Rome"),
    ("Are you a nurse?", "yep", "title", "nurse"),
    ("You're allergic to nuts, correct?", "Exactly.", "allergy", "nuts"),
]


@pytest.mark.parametrize(("asked", "said", "subtopic", "value"), ANSWERS)
async def test_an_answer_is_read_with_its_question(asked: str, said: str, subtopic: str, value: str) -> None:
    assert [(claim.subtopic, claim.value) for claim in await extracted(f"A: {asked}", said)] == [
        (subtopic, value)
    ]


UNCLEAR = [
    ("Where do you live?", "Not telling you"),
    ("Where do you live?", "Why do you ask?"),
    ("Where do you live?", "Near Lyon."),
    ("Where are you from?", "Guess!"),
    ("Do you live in Rome?", "Yes, but only in winter."),
    ("So you live in Rome, right?", "no"),
    ("So you live in Rome, right?", "Yes but not really"),
    ("Do you have a dog? Where do you live?", "Yes"),
    ("Where does your brother live?", "Lisbon"),
    ("How old is your son?", "34"),
    ("What do you do?", "much too little"),
    ("I live in Rome.", "Yes"),
    ("You live in Rome.", "Lisbon"),
    ("Where would you live if you were rich?", "Monaco"),
    ("What's your brother's name?", "Tom"),
]


@pytest.mark.parametrize(("asked", "said"), UNCLEAR)
async def test_what_answers_something_else_claims_nothing(asked: str, said: str) -> None:
    assert await extracted(f"A: {asked}", said) == ()


async def test_what_she_is_called_is_said_of_the_relative() -> None:
    *_, name = await extracted("I have a wife.", "A: What's her name?", "Jean")
    assert (name.subtopic, name.value) == ("wife_name", "Jean")


async def test_only_the_beginning_of_a_message_answers() -> None:
    assert await extracted("A: Where do you live?", "Good question. Lisbon.") == ()
