"""Plans that are called off, through a real owner: what closes, and what must not."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from memgrid.subject import Subject
from tests.owners import Asking, running_owner

ANNA = Subject("t", "user", "anna")


@pytest.fixture
async def ask() -> AsyncGenerator[Asking]:
    async with running_owner(buffer_idle_seconds=3600) as asking:
        yield asking


async def plans(ask: Asking) -> list[str]:
    page = await ask("list_memories", ANNA)
    return [memory.memory for memory in page.memories if memory.topic == "plan"]


OFF = [
    ("We're going to Iceland next month.", "We're not going to Iceland after all."),
    ("I plan to visit Norway.", "Sadly, I'm not going to Norway anymore. Too expensive."),
    ("I'm planning to travel to Japan.", "I've cancelled my trip to Japan."),
    ("I plan to move to Berlin.", "Actually I'm no longer moving to Berlin"),
    ("我打算去西藏旅游。", "不去西藏了。"),
    ("我计划明年去冰岛。", "唉，我们不去冰岛了"),
    ("我打算去西藏旅游。", "西藏去不成了。"),
]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("plan", "off"), OFF)
async def test_a_plan_called_off_is_closed(ask: Asking, plan: str, off: str, together: bool) -> None:
    if together:
        await ask.add(ANNA, plan, off, wait=True)
    else:
        await ask.add(ANNA, plan, wait=True)
        assert len(await plans(ask)) == 1
        await ask.add(ANNA, off, wait=True)
    (left,) = await plans(ask)
    assert "no longer plans" in left or "不再打算" in left
    everything = (await ask("list_memories", ANNA, latest_only=False)).memories
    assert len([memory for memory in everything if memory.topic == "plan"]) == 2


OFF_BY_NAME = [
    ("We're flying to Japan next month.", "Well, Japan is off. The visa didn't come.", "Japan"),
    ("I have a dentist appointment tomorrow.", "My dentist appointment got cancelled.", "dentist"),
    ("I'm running a marathon next month.", "We had to cancel our marathon", "marathon"),
    ("I signed up for the Ghent marathon next month.", "stress fracture. no marathon for me", "marathon"),
    ("We're getting a puppy next week.", "no puppy in the end, the breeder is dodgy", "puppy"),
    ("We're flying to Japan next month.", "We're no longer flying to Japan", "Japan"),
    ("We're getting married next month!", "The wedding is off.", "married"),
    ("I'm running a marathon next month.", "I pulled out of the marathon", "marathon"),
    ("I have a dentist appointment tomorrow.", "They moved my dentist appointment to Monday.", "dentist"),
    (
        "We're getting married on September 7th, 2031!",
        "We've had to call off the September wedding.",
        "married",
    ),
]


@pytest.mark.parametrize(("plan", "off", "about"), OFF_BY_NAME)
async def test_whatever_was_ahead_is_called_off_by_its_name(
    ask: Asking, plan: str, off: str, about: str
) -> None:
    await ask.add(ANNA, plan, wait=True)
    await ask.add(ANNA, off, wait=True)
    (left,) = (memory for memory in (await ask("list_memories", ANNA)).memories if about in memory.memory)
    assert "no longer" in left.memory


@pytest.mark.parametrize(
    "said", ["The October wedding is off.", "My cousin's wedding is off.", "September is off."]
)
async def test_another_wedding_that_is_off_closes_nothing(ask: Asking, said: str) -> None:
    await ask.add(ANNA, "We're getting married on September 7th, 2031!", wait=True)
    await ask.add(ANNA, said, wait=True)
    (left,) = (await ask("list_memories", ANNA)).memories
    assert "no longer" not in left.memory


@pytest.mark.parametrize("said", ["The milk is off.", "Is Japan off?", "If it rains, Japan is off."])
async def test_what_is_off_otherwise_closes_nothing(ask: Asking, said: str) -> None:
    await ask.add(ANNA, "We're flying to Japan next month.", wait=True)
    (before,) = (await ask("list_memories", ANNA)).memories
    await ask.add(ANNA, said, wait=True)
    assert [memory.memory for memory in (await ask("list_memories", ANNA)).memories] == [before.memory]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("We're going to Iceland next month.", "We're not going to Ireland after all."),
        ("We're going to Iceland next month.", "We're not going to Iceland with Tom after all."),
        ("We're going to Iceland next month.", "We're not going to Iceland after all?"),
        ("We're going to Iceland next month.", "If it rains we're not going to Iceland after all."),
        ("We're going to Iceland next month.", "Tom says we're not going to Iceland after all."),
        ("We're going to Iceland next month.", "They're not going to Iceland after all."),
        ("We're going to Iceland next month.", "We're not going to Iceland after all, just kidding"),
        ("I plan to travel to Iceland and Norway.", "We're not going to Iceland after all."),
        ("I plan to learn Icelandic.", "We're not going to Iceland after all."),
        ("我打算去西藏旅游。", "不去新疆了。"),
        ("我打算去西藏旅游。", "他不去西藏了。"),
        ("我打算去西藏旅游。", "要是下雪就不去西藏了。"),
        ("我打算去西藏旅游。", "不去西藏了吗？"),
        ("我打算去西藏旅游。", "不去西藏博物馆了。"),
    ],
)
async def test_a_near_miss_closes_nothing(ask: Asking, plan: str, said: str) -> None:
    await ask.add(ANNA, plan, wait=True)
    before = await plans(ask)
    assert len(before) == 1
    await ask.add(ANNA, said, wait=True)
    assert before[0] in await plans(ask)


@pytest.mark.parametrize(("plan", "off"), [OFF[0], OFF[4]])
async def test_a_plan_taken_up_again_stands_and_other_plans_too(ask: Asking, plan: str, off: str) -> None:
    await ask.add(ANNA, plan, wait=True)
    (first,) = await plans(ask)
    await ask.add(ANNA, off, wait=True)
    await ask.add(ANNA, "I plan to visit Norway.", wait=True)
    assert len(await plans(ask)) == 2
    await ask.add(ANNA, plan, wait=True)
    assert sorted(await plans(ask)) == sorted([first, "User plans to visit Norway"])


async def test_where_two_plans_fit_none_is_closed(ask: Asking) -> None:
    await ask.add(ANNA, "I plan to visit Norway.", "I plan to travel to Norway by train.", wait=True)
    before = await plans(ask)
    assert len(before) == 2
    await ask.add(ANNA, "I'm not going to Norway after all.", wait=True)
    assert sorted(await plans(ask)) == sorted(before)
