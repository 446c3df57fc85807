"""The labelled cases: precision and recall over all claims."""

from __future__ import annotations

from collections import Counter

import pytest

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.pipeline.rules import RuleExtractor
from tests.extraction_cases import CHINESE, ENGLISH, SAID_AT, Case, Expected

PRECISION = 0.95
RECALL = 0.95


def _messages(case: Case) -> list[Message]:
    return [
        Message(
            id=f"m{number:03}",
            session="s",
            role="user",
            content=content,
            event_time=SAID_AT + number * 1000,
            created_at=SAID_AT,
            tokens=1,
        )
        for number, content in enumerate(case.messages)
    ]


def _label(candidate: Candidate) -> Expected:
    subtopic = f"-{candidate.subtopic}" if candidate.negates else candidate.subtopic
    return f"{candidate.topic}/{subtopic}", candidate.value or candidate.text


async def _extract(case: Case) -> Counter[Expected]:
    extraction = await RuleExtractor().extract(_messages(case), earlier=(), known=())
    return Counter(map(_label, extraction.candidates))


@pytest.mark.parametrize("cases", [ENGLISH, CHINESE], ids=["en", "zh"])
async def test_precision_and_recall(cases: tuple[Case, ...]) -> None:
    right = found = expected = 0
    wrong: list[str] = []
    for case in cases:
        got, want = await _extract(case), Counter(case.expected)
        right += (got & want).total()
        found += got.total()
        expected += want.total()
        if got != want:
            wrong.append(f"{case.messages}: found {dict(got - want)}, missed {dict(want - got)}")
    report = "\n".join(wrong)
    assert right / found >= PRECISION, report
    assert right / expected >= RECALL, report


@pytest.mark.parametrize("cases", [ENGLISH, CHINESE], ids=["en", "zh"])
async def test_what_is_no_fact_gives_nothing(cases: tuple[Case, ...]) -> None:
    for case in cases:
        if not case.expected:
            assert not await _extract(case), case.messages


def test_there_are_enough_cases() -> None:
    assert len(ENGLISH) >= 60
    assert len(CHINESE) >= 60
