"""The labelled conversations and the metric that every retrieval benchmark shares.

The files are read from a folder the caller names (`MEMGRID_TEST_DATA`, or `--data`); none is kept here.

recall@k: walk the results in rank order, expand each into the turns it came from, keep the first k
distinct turns; the share of the question's evidence turns among them, averaged over questions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

DatasetName = Literal["locomo", "memorybank-zh", "memorybank-en"]

DATASETS: dict[DatasetName, str] = {
    "locomo": "locomo_dev.json",
    "memorybank-zh": "memorybank_dev_cn.json",
    "memorybank-en": "memorybank_dev_en.json",
}

_TURN_ID = re.compile(r"D:?(\d+):(\d+)")
_ADVERSARIAL = 5
"""LoCoMo's category of questions that have no answer."""


@dataclass(frozen=True)
class Said:
    """One message of a conversation, as a client would send it."""

    id: str
    """Unique within its conversation."""
    turn: str
    """The turn that evidence labels name; both sides of a MemoryBank turn share one."""
    session: str
    role: str
    name: str | None
    content: str
    time: datetime


@dataclass(frozen=True)
class Question:
    text: str
    evidence: frozenset[str]
    """Ids of turns."""
    category: str


@dataclass(frozen=True)
class Conversation:
    """Everything one user said and was asked about."""

    user: str
    messages: tuple[Said, ...]
    questions: tuple[Question, ...]


def load(name: DatasetName, folder: Path) -> list[Conversation]:
    """The conversations of a data set. Raises FileNotFoundError when `folder` does not hold it."""
    rows = json.loads((folder / DATASETS[name]).read_text(encoding="utf-8"))
    return [_locomo(row) if name == "locomo" else _memorybank(row) for row in rows]


def recall(ranked: Iterable[Iterable[str]], evidence: frozenset[str], cutoffs: Sequence[int]) -> list[float]:
    """recall@k for each k of `cutoffs`; `ranked` gives each result's turns, best result first."""
    seen: dict[str, None] = {}
    for turns in ranked:
        seen.update(dict.fromkeys(turns))
        if len(seen) >= max(cutoffs):
            break
    order = list(seen)
    return [len(evidence.intersection(order[:k])) / len(evidence) for k in cutoffs]


def _locomo(row: dict[str, Any]) -> Conversation:
    talk = row["conversation"]
    messages = tuple(_locomo_messages(talk))
    known = {said.turn for said in messages}
    questions = tuple(
        Question(text=qa["question"], evidence=evidence, category=str(qa["category"]))
        for qa in row["qa"]
        if qa["category"] != _ADVERSARIAL
        if (evidence := _locomo_evidence(qa["evidence"]) & known)
    )
    return Conversation(user=row["sample_id"], messages=messages, questions=questions)


def _locomo_messages(talk: dict[str, Any]) -> Iterator[Said]:
    sessions = sorted(int(key.split("_")[1]) for key in talk if re.fullmatch(r"session_\d+", key))
    for number in sessions:
        started = datetime.strptime(talk[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        begin = started.replace(tzinfo=UTC).timestamp()
        for index, turn in enumerate(talk[f"session_{number}"]):
            yield Said(
                id=turn["dia_id"],
                turn=turn["dia_id"],
                session=f"session_{number}",
                role="user",
                name=turn["speaker"],
                content=turn["text"],
                time=datetime.fromtimestamp(begin + index, UTC),
            )


def _locomo_evidence(labels: Sequence[str]) -> frozenset[str]:
    """Some labels hold several ids, or one with a leading zero: `D8:6; D9:17`, `D30:05`."""
    return frozenset(
        f"D{int(session)}:{int(turn)}" for label in labels for session, turn in _TURN_ID.findall(label)
    )


def _memorybank(row: dict[str, Any]) -> Conversation:
    messages = tuple(_memorybank_messages(row))
    known = {said.turn for said in messages}
    questions = tuple(
        Question(text=qa["question"], evidence=evidence, category=str(qa["category"]))
        for qa in row["qa"]
        if (evidence := frozenset(qa["evidence"]) & known)
    )
    return Conversation(user=row["user"], messages=messages, questions=questions)


def _memorybank_messages(row: dict[str, Any]) -> Iterator[Said]:
    for day, turns in sorted(row["history"].items()):
        begin = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC).timestamp()
        for index, turn in enumerate(turns):
            for side, (role, name, key) in enumerate(
                (("user", row["user"], "query"), ("assistant", None, "response"))
            ):
                yield Said(
                    id=f"{day}:{index}:{role}",
                    turn=f"{day}:{index}",
                    session=day,
                    role=role,
                    name=name,
                    content=turn[key],
                    time=datetime.fromtimestamp(begin + 60 * index + side, UTC),
                )
