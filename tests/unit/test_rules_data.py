"""The extractor on real conversations (MEMGRID_TEST_DATA)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.model import Message
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import SAID_AT

DATA = os.environ.get("MEMGRID_TEST_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(DATA is None, reason="MEMGRID_TEST_DATA names no folder of conversations"),
]


def _read(name: str) -> list[dict]:
    return json.loads((Path(DATA or "") / name).read_text())


def _said(texts: Iterator[tuple[str, str | None]], role: str = "user") -> list[Message]:
    return [
        Message(
            id=f"m{number:06}",
            session="s",
            role=role,
            content=text,
            name=name,
            event_time=SAID_AT,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, (text, name) in enumerate(texts)
    ]


@pytest.mark.parametrize("language", ["cn", "en"])
async def test_everybody_in_memorybank_has_the_name_they_give(language: str) -> None:
    for user in _read(f"memorybank_dev_{language}.json"):
        turns = [turn for day in user["history"].values() for turn in day]
        messages = _said((turn["query"], None) for turn in turns)
        found = (await RuleExtractor().extract(messages, earlier=(), known=())).candidates
        names = {claim.value for claim in found if claim.subtopic == "name"}
        assert len(names) <= 1, user["user"]
        if any(
            f"我叫{user['user']}" in turn["query"] or f"name is {user['user']}" in turn["query"]
            for turn in turns
        ):
            assert names == {user["user"]}
        replies = _said(((turn["response"], None) for turn in turns), role="assistant")
        assert (await RuleExtractor().extract(replies, earlier=(), known=())).candidates == ()


async def test_few_claims_out_of_much_chat() -> None:
    """Most chat says nothing lasting; each LoCoMo speaker's claims are about that speaker."""
    for sample in _read("locomo_dev.json"):
        conversation = sample["conversation"]
        turns = [turn for key, turns in conversation.items() if isinstance(turns, list) for turn in turns]
        messages = _said((turn["text"], turn["speaker"]) for turn in turns)
        found = (await RuleExtractor().extract(messages, earlier=(), known=())).candidates
        assert 0 < len(found) < len(messages) / 8
        assert all(claim.text.startswith(claim.attributes["speaker"]) for claim in found)
