"""Which claims are believed: each is borne out by the messages it names, or it is not taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.model import Memory, Message
from cluster.pipeline.evidence import Shown, speaks_otherwise, why_not
from cluster.pipeline.llm_answer import Claim


def message(content: str, role: str = "user", name: str | None = None) -> Message:
    return Message(
        id="m", session="s", role=role, name=name, content=content, event_time=0, created_at=0, tokens=1
    )


def judged(text: str, *said: Message | str, known: str | None = None, **fields: Any) -> str | None:
    messages = [each if isinstance(each, Message) else message(each) for each in said]
    memories = [Memory(id="k", kind="fact", text=known, created_at=0, updated_at=0)] if known else []
    shown = Shown(said=messages, known=memories)
    given = {"kind": "profile", "evidence": [1], **fields}
    return why_not(Claim(text=text, **given), shown, shown.words())


@pytest.mark.parametrize(
    ("text", "said", "fields"),
    [
        ("用户住在杭州", "我住在 杭州！", {"quote": "我住在杭州"}),
        ("User likes tea", "I really LIKE “tea”, you know", {"quote": 'i really like "tea"'}),
        ("用户喜欢喝茶", "我平时特别喜欢喝茶", {"quote": "我特别喜欢喝茶"}),
        ("User moved to Paris in May", "We moved to Paris in May", {"quote": "I moved to Paris in May"}),
        ("用户三十岁", "我今年三十岁", {"quote": "三十岁", "value": "30"}),
        ("用户有两只猫", "我有两只猫", {"quote": "我有两只猫", "value": "2只猫"}),
        ("User is 30", "I turned thirty", {"quote": "I turned thirty", "value": "30"}),
        ("用户生于1993年", "我是一九九三年生的", {"quote": "一九九三年", "value": "1993"}),
        ("User works in a clinic", "I'm a nurse at St Mary's", {"quote": "I'm a nurse", "value": "clinic"}),
        ("User is a Software Engineer", "i'm a software engineer", {"quote": "software engineer"}),
        ("User likes tea. She drinks it daily", "I like tea, daily", {"quote": "I like tea"}),
        ("User no longer lives in Hangzhou", "I no longer live in Hangzhou",
         {"quote": "no longer live in Hangzhou", "value": "Hangzhou", "negates": True}),
        ("用户住在杭州", "我住杭州", {"value": "杭州"}),
    ],
)  # fmt: skip
def test_what_was_said_is_believed(text: str, said: str, fields: dict[str, Any]) -> None:
    assert judged(text, said, **fields) is None


@pytest.mark.parametrize(
    ("text", "said", "fields", "why"),
    [
        ("用户住在上海", "我住在杭州", {"quote": "我住在上海"}, "quote"),
        ("User likes jazz", "I like tea", {"quote": "I love jazz music"}, "quote"),
        ("User likes jazz", "I drink tea", {}, "its text"),
        ("用户喜欢爵士乐", "今天天气好", {"quote": "  "}, "its text"),
        (
            "用户住在上海",
            "我住在杭州",
            {"quote": "我住在杭州", "value": "上海", "subtopic": "residence"},
            "value",
        ),
        (
            "User is called John",
            "I'm Bob",
            {"quote": "I'm Bob", "value": "John", "subtopic": "name"},
            "value",
        ),
        ("用户45岁", "我叫张三，今年三十岁", {"quote": "今年三十岁", "value": "45"}, "number"),
        ("User met Alice", "I met a friend", {"quote": "I met a friend"}, "named"),
        ("用户不再住在杭州", "忘掉一切", {"quote": "忘掉一切", "value": "杭州", "negates": True}, "value"),
        ("用户不再住在杭州", "忘掉一切", {"quote": "忘掉一切", "negates": True}, "nothing in particular"),
        ("  ", "我住在杭州", {"quote": "我住在杭州"}, "says nothing"),
        ("用户住在杭州", "我住在杭州", {"quote": "我住在杭州", "evidence": [2]}, "no message"),
    ],
)
def test_what_was_not_said_is_not_believed(text: str, said: str, fields: dict[str, Any], why: str) -> None:
    assert why in (judged(text, said, **fields) or "")


@pytest.mark.parametrize("role", ["assistant", "system", "tool", "Assistant"])
def test_only_people_are_evidence(role: str) -> None:
    assert judged("用户住在杭州", message("我住在杭州", role), quote="我住在杭州") is not None


def test_a_name_may_come_from_anything_that_was_shown() -> None:
    said = message("I met her there", name="Caroline")
    claim = {"quote": "I met her there"}
    assert judged("Caroline met Alice in Rome", said, known="Alice lives in Rome", **claim) is None
    assert judged("Caroline met Alice in Rome", said, known="Alice lives in Bonn", **claim) is not None


@pytest.mark.parametrize(
    ("text", "said", "otherwise"),
    [
        ("User lives in Hangzhou", "我住在杭州", True),
        ("用户住在杭州", "I live in Hangzhou", True),
        ("用户在 Google 上班", "我在Google上班", False),
        ("User likes 火锅", "I love 火锅", False),
        ("张曼婷 likes tea", "I like tea", False),
        ("13800000000", "我的电话是13800000000", False),
    ],
)
def test_which_language_is_another(text: str, said: str, otherwise: bool) -> None:
    assert speaks_otherwise(text, [message(said, name="张曼婷")]) is otherwise


LABELLED = Path(__file__).parents[2] / "benchmarks" / "labelled"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_labelled_fact_is_refused_when_it_is_quoted(language: str) -> None:
    """The values that people labelled, as copied values, with the message as the quote."""
    refused: list[str] = []
    total = 0
    for dialogue in yaml.safe_load((LABELLED / f"{language}.yaml").read_text(encoding="utf-8")):
        turns = [turn for session in dialogue["sessions"] for turn in session["said"]]
        said = [message(text, role) for turn in turns for role, text in turn.items()]
        shown = Shown(said=said)
        words = shown.words()
        for fact in dialogue.get("facts") or []:
            if not fact.get("said"):
                continue
            total += 1
            claim = Claim(
                text=str(fact["value"]),
                kind="profile",
                evidence=fact["said"],
                quote=said[fact["said"][0] - 1].content,
                value=str(fact["value"]),
                subtopic=fact["slot"].partition("/")[2],
            )
            if why := why_not(claim, shown, words):
                refused.append(f"{dialogue['id']}: {fact['value']}: {why}")
    assert total > 100
    assert refused == []
