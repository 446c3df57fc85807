""" "Actually, it's on Wednesday": what was just said moves to another day. Said on Wednesday 10 May 2023."""

from __future__ import annotations

import pytest

from cluster.model import Message
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ("I have a dentist appointment next Tuesday. Actually it's on Friday.", ["on 2023-05-19"]),
        ("I have a dentist appointment next Tuesday. Sorry, it's next Thursday.", ["on 2023-05-18"]),
        ("I have a dentist appointment next Tuesday. Actually it's on May 20th.", ["on 2023-05-20"]),
        ("I went to Rome last Friday. Sorry, it was yesterday.", ["on 2023-05-09"]),
        ("I plan to visit Oslo tomorrow. Actually it's cold.", ["on 2023-05-11"]),
        ("I plan to visit Oslo tomorrow. Is it Friday?", ["on 2023-05-11"]),
        # Monday of that week is over: whichever is meant, it is not known.
        ("I have a dentist appointment on Friday. Actually it's on Monday.", []),
        ("下周三我要去上海出差。不对，是周四。", ["2023年5月18日"]),
        ("下周三我要去上海出差。说错了，应该是下周五。", ["2023年5月19日"]),
        ("下周三我要去上海出差。其实是后天。", ["2023年5月12日"]),
        ("昨天我去看了话剧。不对，是前天。", ["2023年5月8日"]),
        ("明天我要去上海出差。不对，是昨天。", []),
    ],
)
async def test_the_day_is_another(said: str, texts: list[str]) -> None:
    message = Message(
        id="m", session="s", role="user", content=said, event_time=SAID_AT, created_at=SAID_AT, tokens=1
    )
    found = (await RuleExtractor().extract([message], earlier=(), known=())).candidates
    assert len(found) == len(texts)
    assert all(text in claim.text for claim, text in zip(found, texts, strict=True))


async def test_what_happens_on_no_day_is_left_to_other_corrections() -> None:
    message = Message(
        id="m",
        session="s",
        role="user",
        content="我住在杭州。不对，是上海。",
        event_time=SAID_AT,
        created_at=SAID_AT,
        tokens=1,
    )
    (claim,) = (await RuleExtractor().extract([message], earlier=(), known=())).candidates
    assert claim.value == "上海"
