"""A search by an agent goes through all its users, by words and by meaning."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.acceptance.conftest import Api

pytestmark = pytest.mark.ray

QUESTIONS = {
    # Neither shares a word with its answer.
    "谁有宠物": "我养了一只小猫，每天给它铲屎",
    "who plays a musical instrument": "I practise the violin every evening",
}


@pytest.fixture
def agent(api: Api, user: str) -> str:
    """One with three users, each with a session of its own."""
    agent = f"{user}-agent"
    for number, text in enumerate((*QUESTIONS.values(), "昨天的会议改到了下午三点")):
        api.add(f"{user}-{number}", text, agent_id=agent)
        api.embedded(f"{user}-{number}")
    return agent


def search(api: Api, agent: str, query: str, **rest: Any) -> dict[str, Any]:
    body = {"agent_id": agent, "query": query, "types": ["message"], **rest}
    return api.ok("POST", "/memories/search", json=body)


def everyone_is_found(api: Api, agent: str, user: str) -> None:
    """Wait until the index shows what it has been told."""
    deadline = time.monotonic() + 60
    while len(search(api, agent, "小猫", strategy="vector")["results"]) < 3:
        assert time.monotonic() < deadline, f"not all users of {agent} are found"
        time.sleep(0.05)


def test_by_meaning(api: Api, agent: str, user: str) -> None:
    everyone_is_found(api, agent, user)
    for number, (question, answer) in enumerate(QUESTIONS.items()):
        assert search(api, agent, question, strategy="full_text")["results"] == []
        for strategy in ("vector", "hybrid"):
            found = search(api, agent, question, strategy=strategy, explain=True)
            assert found["degraded"] == []
            best = found["results"][0]
            assert (best["content"], best["subject"]) == (answer, f"user:{user}-{number}"), strategy
            assert best["explain"]["vector"] > 0


def test_by_words(api: Api, agent: str, user: str) -> None:
    everyone_is_found(api, agent, user)
    for number, text in enumerate(QUESTIONS.values()):
        word = "小猫" if number == 0 else "violin"
        [found] = search(api, agent, word, strategy="full_text")["results"]
        assert (found["content"], found["subject"]) == (text, f"user:{user}-{number}")


def test_everyone_of_the_project(api: Api, agent: str, user: str) -> None:
    everyone_is_found(api, agent, user)
    body = {"query": QUESTIONS["谁有宠物"], "everyone": True, "types": ["message"], "top_k": 100}
    found = api.ok("POST", "/memories/search", json=body)
    assert f"user:{user}-0" in {each["subject"] for each in found["results"]}


def test_whoever_is_erased_is_found_no_more(api: Api, agent: str, user: str) -> None:
    everyone_is_found(api, agent, user)
    api.ok("DELETE", f"/users/{user}-0")
    found = search(api, agent, "谁有宠物", strategy="hybrid")["results"]
    assert {each["subject"] for each in found} == {f"user:{user}-1", f"user:{user}-2"}
