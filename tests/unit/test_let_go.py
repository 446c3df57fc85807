"""What is sold, given away or given up is had no longer."""

from __future__ import annotations

import pytest

from cluster.model import Message
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT


async def _denied(*said: str) -> set[str | None]:
    messages = [
        Message(
            id=f"m{number:03}",
            session="s",
            role="user",
            content=text,
            event_time=SAID_AT + number * 1000,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, text in enumerate(said)
    ]
    extraction = await RuleExtractor().extract(messages, earlier=(), known=())
    return {claim.value for claim in extraction.candidates if claim.negates}


@pytest.mark.parametrize(
    ("had", "said", "denied"),
    [
        ("我现在开的是辆老捷达。", "新车提回来了，捷达卖给我表弟了。", "一辆老捷达"),
        ("我有一台咖啡机。", "咖啡机我送人了。", "一台咖啡机"),
        ("我在学吉他。", "吉他早放弃了，手疼。", "吉他"),
        ("I drive a Jetta.", "We sold the Jetta to my cousin.", "Jetta"),
        ("I'm learning Korean.", "I gave up Korean last month.", "Korean"),
        ("I work at St Mary's.", "Update: I left St Mary's last month.", "St Mary's"),
        ("I work at Home Depot.", "I left home at five.", None),
        ("I work at Siemens.", "I left Siemens Street on foot.", None),
        ("我有一台咖啡机。", "冰箱卖了。", None),
        ("我有一台咖啡机。", "我想把咖啡机卖了。", None),
        ("我有一台咖啡机。", "咖啡机没卖了。", None),
        ("我在学吉他。", "他说吉他放弃了。", None),
        ("I drive a Jetta.", "I almost sold the Jetta.", None),
        ("I drive a Jetta.", "I sold the Honda.", None),
    ],
)
async def test_what_is_let_go_of_is_denied(had: str, said: str, denied: str | None) -> None:
    found = await _denied(had, said)
    if denied is None:
        assert not found
    else:
        assert len(found) == 1
        assert denied in str(found.pop())


async def test_one_claim_only_may_fit() -> None:
    assert not await _denied("我有一辆捷达。", "我有一辆红色捷达。", "捷达卖了。")
