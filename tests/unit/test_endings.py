"""What is so no longer, said without a new claim: what closes, and what must not."""

from __future__ import annotations

import pytest

from cluster.model import Message
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT


async def denied(*said: str) -> list[str]:
    messages = [
        Message(
            id=f"m{number}",
            session="s",
            role="assistant" if content.startswith("A: ") else "user",
            content=content.removeprefix("A: "),
            event_time=SAID_AT + number,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, content in enumerate(said)
    ]
    extraction = await RuleExtractor().extract(messages, earlier=(), known=())
    return sorted(str(claim.value) for claim in extraction.candidates if claim.negates)


@pytest.mark.parametrize(
    ("before", "said", "ended"),
    [
        ("I work at Bosch.", "I lost my job.", ["Bosch"]),
        ("I work at Bosch.", "Bosch fired me.", ["Bosch"]),
        ("I'm a vegetarian.", "Also, I eat meat again.", ["vegetarian"]),
        ("I don't drink coffee.", "I'm drinking coffee again.", ["coffee"]),
        ("I quit smoking.", "I started smoking again.", ["smokes"]),
        ("I have a dog called Rex.", "Rex died yesterday.", ["a dog"]),
        ("I have a cat.", "Our cat passed away.", ["a cat"]),
        ("I play tennis.", "I gave up tennis because of my knee.", ["tennis"]),
        ("I play the clarinet.", "I gave up the clarinet too, no time.", ["clarinet"]),
        ("I'm learning Greek.", "I quit Greek last week.", ["Greek"]),
        ("I run every morning.", "I don't run anymore.", ["runs every morning"]),
        ("I run every morning.", "I stopped running.", ["runs every morning"]),
        ("I study law at Leiden.", "I dropped out.", ["Leiden"]),
        ("I'm single.", "I have a boyfriend now!", ["single"]),
        ("I'm engaged.", "We called off the wedding.", ["engaged"]),
        ("I'm allergic to nuts.", "Turns out I'm not allergic to nuts.", ["nuts"]),
        ("I'm vegan.", "I'm eating eggs and cheese again.", ["vegan"]),
        ("I live in Oslo.", "We've left Oslo for good.", ["Oslo"]),
        ("I live in Oslo.", "I'm not in Oslo any more.", ["Oslo"]),
        ("I work at Lidl.", "I handed in my notice at Lidl.", ["Lidl"]),
        ("I work at Lidl.", "I don't work there any more.", ["Lidl"]),
        ("I work at Lidl.", "My contract wasn't renewed.", ["Lidl"]),
        ("I work at Lidl.", "Lidl let me go.", ["Lidl"]),
        ("I'm a waiter.", "I'm not a waiter any more.", ["waiter"]),
        ("I study law at Leiden.", "I quit uni.", ["Leiden"]),
        ("I have two dogs.", "We lost one of the dogs in spring.", ["two dogs"]),
        ("I have a dog called Rufus.", "We had to say goodbye to Rufus on Sunday.", ["a dog"]),
        ("I have a hamster.", "The hamster died.", ["a hamster"]),
        ("I drive a Fiat.", "I swapped the Fiat for something newer.", ["a Fiat"]),
        ("I play the guitar.", "I haven't touched my guitar in years.", ["guitar"]),
        ("I'm learning Welsh.", "I've given up on Welsh.", ["Welsh"]),
        ("I swim every morning.", "I don't go swimming any more.", ["swims every morning"]),
        ("I go to the gym on Mondays.", "I cancelled my gym membership.", ["goes to the gym on mondays"]),
        ("I take metformin.", "They took me off metformin.", ["metformin"]),
        ("I take metformin.", "I'm off the metformin now.", ["metformin"]),
        ("I'm allergic to cats.", "The test says I'm not allergic to cats after all.", ["cats"]),
        ("I don't eat gluten.", "Turns out gluten is fine for me.", ["gluten"]),
        ("I'm engaged.", "We broke off the engagement.", ["engaged"]),
        ("I'm single.", "I've met someone, we're together since spring.", ["single"]),
        ("I'm a vegetarian.", "I'm not vegetarian anymore.", ["vegetarian"]),
        ("I drive a Golf.", "The engine gave up and I had to sell her for scrap.", ["a Golf"]),
        ("I drive a Golf.", "My car got stolen.", ["a Golf"]),
        ("I drive a Golf.", "We finally sold the car.", ["a Golf"]),
        ("I smoke.", "Guess who hasn't touched a cigarette in six weeks?", ["smokes"]),
        ("I smoke.", "I'm three months smoke-free!", ["smokes"]),
        ("I play tennis.", "I stopped playing tennis in May.", ["tennis"]),
        ("I drive a Golf.", "I crashed the Golf.", ["a Golf"]),
    ],
)
async def test_what_ended_is_denied(before: str, said: str, ended: list[str]) -> None:
    assert await denied(before, said) == ended


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("I work at Bosch.", "I almost lost my job."),
        ("I work at Bosch.", "My brother lost his job."),
        ("I run every morning.", "I stopped running at the lights."),
        ("I'm a vegetarian.", "I'm eating eggs again."),
        ("I live in Oslo.", "I left Oslo at noon, back on Sunday."),
        ("I live in Oslo.", "I'm not in Oslo today."),
        ("I work at Lidl.", "My brother handed in his notice."),
        ("I work at Lidl.", "Lidl let my sister go."),
        ("I'm a waiter.", "I'm not a cook any more."),
        ("I have two dogs.", "My aunt lost one of the dogs."),
        ("I have a hamster.", "The goldfish died."),
        ("I have a hamster.", "The hamster died in the movie."),
        ("I have two dogs.", "We lost one of the dogs for an hour."),
        ("I play the guitar.", "I haven't touched my piano in years."),
        ("I take metformin.", "They took me off the list."),
        ("I go to the gym on Mondays.", "I cancelled my magazine subscription."),
        ("I don't eat gluten.", "Dairy is fine for me."),
        ("I'm single.", "I met someone at the bus stop."),
        ("I drive a Golf.", "My brother's car got stolen."),
        ("I drive a Golf.", "I might sell the car."),
        ("I drive a Golf.", "I sold her my old phone."),
        ("I smoke.", "I haven't had a cigarette today."),
        ("I smoke.", "My dad hasn't smoked since spring."),
        ("I run every morning.", "I don't run on Sundays."),
        ("I'm single.", "I'm seeing a doctor."),
        ("I have a dog called Rex.", "Tom died yesterday."),
        ("I have two dogs, Rex and Bo.", "We lost Rex last week."),
        ("I'm a vegetarian.", "Would you eat meat again?"),
        ("I'm allergic to nuts.", "My brother is not allergic to nuts."),
        ("I play tennis.", "I gave up chess."),
        ("I study law at Leiden.", "My sister dropped out."),
    ],
)
async def test_what_did_not_end_stays(before: str, said: str) -> None:
    assert await denied(before, said) == []


@pytest.mark.parametrize(
    ("before", "reply", "said", "ended"),
    [
        ("I'm vegan.", "I thought you were vegan?", "I gave that up in May.", ["vegan"]),
        ("I live in Rome.", "How is Rome?", "Oh, I left last month.", ["Rome"]),
        ("I play the piano.", "Do you still play the piano?", "Not any more.", ["piano"]),
        ("I'm vegan.", "A soup, perhaps?", "I gave that up.", []),
        ("I play the piano. I live in Rome.", "Piano lessons in Rome, perhaps?", "Not any more.", []),
        ("I live in Rome.", "How is Rome?", "I left my keys in Rome.", []),
        ("I'm vegan.", "Are you still vegan?", "My wife gave that up.", []),
    ],
)
async def test_what_the_reply_mentions_can_be_given_up(
    before: str, reply: str, said: str, ended: list[str]
) -> None:
    assert await denied(before, f"A: {reply}", said) == ended
