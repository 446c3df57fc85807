"""The extractor on what nobody would write on purpose: hostile, huge, empty, foreign."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import CHINESE, ENGLISH, SAID_AT


def message(content: str, *, role: str = "user", name: str | None = None, number: int = 0) -> Message:
    return Message(
        id=f"m{number:06}",
        session="s",
        role=role,
        content=content,
        name=name,
        event_time=SAID_AT,
        created_at=SAID_AT,
        tokens=1,
    )


async def extract(*messages: Message) -> tuple[Candidate, ...]:
    return (await RuleExtractor().extract(messages, earlier=(), known=())).candidates


async def test_others_are_served_while_many_messages_are_read() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    served = asyncio.create_task(others())
    await extract(*(message("I live in Oslo", number=number) for number in range(100)))
    served.cancel()
    assert turns > 10


async def test_an_intention_that_means_nothing_by_itself_claims_nothing() -> None:
    assert await extract(message("I'll try that tomorrow, thanks.")) == ()


_FRAGMENTS = (
    "I'm ", "my ", "really ", "also ", "and ", ", ", " - ", "a ", "name is ", "I live in ", "A", "é",
    "also", "likes ", "我", "喜欢", "真的", "可是真", "一直都", "不", "、", "和", "的", "，", "了",
    "是真", "今年", "搬到", "从", '"', "“", "《", "`", "```", "<a ", "(", ")", "。", ".", "? ", "1",
    "岁", "第", "every ", "day ", "Mc", "-", "'", " \n", "\x00", "\ud800", "\ue000", "\ue900", "🙂",
    "I have a ", "dog ", "named ", "go ", "my favorite x ", "is ", "translate ", "请", "帮我", "他说",
    "http://", "She is ", "My wife. ", "my older ", "Anna ", "她在", "我老婆，", "on Friday ", "周五", "月底",
    "because I ", "因为我", "the end of ", "I'll ", "that ", "tomorrow ",
)  # fmt: skip


@pytest.mark.parametrize("fragment", _FRAGMENTS)
async def test_long_runs_take_time_in_proportion(fragment: str) -> None:
    """A megabyte, in one sentence as far as may be, of what a pattern could start on again and again."""
    for content in (fragment * (1_000_000 // len(fragment)), f"I'm {fragment * 90}!", f"我{fragment * 90}!"):
        start = time.process_time()
        await extract(message(content))
        assert time.process_time() - start < 10, repr(content[:60])


@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=120).map("".join))
@settings(max_examples=300, deadline=None)
async def test_any_mixture_is_survived_quickly(content: str) -> None:
    start = time.process_time()
    await extract(message(content))
    assert time.process_time() - start < 5


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
async def test_any_text_gives_clean_claims(content: str) -> None:
    for candidate in await extract(message(content)):
        assert candidate.text.strip() == candidate.text
        assert candidate.sources == ("m000000",)
        assert 0 < candidate.confidence <= 1
        assert not any("\ue000" <= character <= "\uf8ff" for character in candidate.text)


async def test_the_same_twice() -> None:
    messages = [message(case.messages[0]) for case in (*ENGLISH, *CHINESE)]
    assert await extract(*messages) == await extract(*messages)


@pytest.mark.parametrize("role", ["assistant", "system", "tool", "developer", "function", "bot"])
async def test_only_people_are_listened_to(role: str) -> None:
    assert await extract(message("My name is Bob. 我住在北京。", role=role)) == ()
    assert await extract(message("My name is Bob.", role="User"))


async def test_a_named_speaker_is_the_subject() -> None:
    found = await extract(
        message("I love painting.", name="Caroline"), message("我喜欢画画", name="小雨", number=1)
    )
    assert [(c.text, c.attributes) for c in found] == [
        ("Caroline likes painting", {"speaker": "Caroline"}),
        ("小雨喜欢画画", {"speaker": "小雨"}),
    ]


async def test_a_joke_takes_back_only_what_its_speaker_said() -> None:
    found = await extract(
        message("I live on Mars.", name="Ann"),
        message("I live in Rome.", name="Bob", number=1),
        message("Just kidding!", name="Ann", number=2),
    )
    assert [c.text for c in found] == ["Bob lives in Rome"]


async def test_each_claim_has_what_merging_needs() -> None:
    name, hobby = await extract(message("我叫张三，我喜欢打羽毛球"))
    assert (name.topic, name.subtopic, name.value) == ("basic_info", "name", "张三")
    assert (name.profile_type, name.single_valued, name.language) == ("personal_information", True, "zh")
    assert name.event_time == SAID_AT
    assert (hobby.text, hobby.profile_type, hobby.single_valued) == (
        "用户喜欢打羽毛球",
        "interest_hobbies",
        False,
    )


async def test_a_paraphrase_is_the_same_statement() -> None:
    for texts in (
        ("I love to cook.", "Cooking is fun and I really enjoy cooking!", "My hobby is cooking."),
        ("我喜欢打羽毛球", "我特别喜欢打羽毛球。", "打羽毛球很好玩，我爱打羽毛球", "我的爱好是打羽毛球"),
    ):
        found = await extract(*(message(text, number=number) for number, text in enumerate(texts)))
        assert len(found) == len(texts)
        assert len({candidate.text for candidate in found}) == 1


async def test_a_move_is_dated() -> None:
    (claim,) = await extract(message("I moved to Lisbon last year."))
    assert claim.valid_from is not None
    assert claim.valid_from < SAID_AT - 4 * 30 * 86_400_000


async def test_a_correction_finds_what_is_known() -> None:
    from cluster.model import Memory

    known = Memory(
        id="k",
        kind="profile",
        text="User's name is Rob",
        topic="basic_info",
        subtopic="name",
        attributes={"value": "Rob"},
        created_at=1,
        updated_at=1,
    )
    extraction = await RuleExtractor().extract(
        [message("Actually, it's Bob, not Rob.")], earlier=(), known=[known]
    )
    (claim,) = extraction.candidates
    assert (claim.text, claim.value, claim.single_valued) == ("User's name is Bob", "Bob", True)
    other = await RuleExtractor().extract([message("It's tea, not coffee.")], earlier=(), known=[known])
    assert other.candidates == ()
