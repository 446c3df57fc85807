"""Pains 3 and 4 of other memory services, through a real owner with the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

USER = Subject("t", "user", "u")


async def texts(ask: Asking, *, latest_only: bool = True) -> list[str]:
    page = await ask("list_memories", USER, latest_only=latest_only)
    return sorted(memory.memory for memory in page.memories)


@pytest.mark.parametrize(
    ("said", "question", "now", "before"),
    [
        (
            ["I live in Beijing.", "I moved from Beijing to Hangzhou."],
            "where does the user live",
            "Hangzhou",
            "Beijing",
        ),
        (["我住在北京。", "我从北京搬到了杭州。"], "用户住在哪里", "杭州", "北京"),
        (["I work at Acme.", "I now work at Globex."], "where does the user work", "Globex", "Acme"),
        (["我在百度工作", "我现在在字节跳动工作"], "用户在哪里工作", "字节跳动", "百度"),
    ],
)
@pytest.mark.parametrize("strategy", ["hybrid", "full_text", "vector"])
async def test_pain_03_contradictions_sit_side_by_side(
    said: Sequence[str], question: str, now: str, before: str, strategy: str
) -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        for text in said:
            await ask.add(USER, text, wait=True)
        found = (await ask("search", USER, query=question, strategy=strategy)).results
        assert now in found[0].content
        assert [hit.content for hit in found if before in hit.content and now not in hit.content] == []
        (current,) = (await ask("list_memories", USER)).memories
        assert now in current.memory
        everything = (await ask("search", USER, query=question, latest_only=False)).results
        assert [hit for hit in everything if before in hit.content and now not in hit.content]
        closed = next(
            m for m in (await ask("list_memories", USER, latest_only=False)).memories if m.id != current.id
        )
        assert before in closed.memory
        assert closed.superseded_by == current.id
        history = (await ask("history", USER, id=closed.id)).history
        assert [(entry.event, entry.old_memory) for entry in history] == [
            ("ADD", None),
            ("SUPERSEDE", closed.memory),
        ]
        context = (await ask("context", USER, message=question, plain=False, limit=10)).context
        assert now in context


async def test_pain_03_a_correction_is_stored_and_the_old_fact_kept() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        await ask.add(USER, "My name is Tom.", wait=True)
        await ask.add(USER, "My name is Tim.", wait=True)
        assert await texts(ask) == ["User's name is Tim"]
        assert await texts(ask, latest_only=False) == ["User's name is Tim", "User's name is Tom"]


@pytest.mark.parametrize(
    "said", [["I live in Hangzhou.", "我住在上海。"], ["我住在上海。", "I live in Hangzhou."]]
)
async def test_pain_03_in_two_languages_of_one_slot_the_last_word_counts(said: Sequence[str]) -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        for text in said:
            await ask.add(USER, text, wait=True)
        (home,) = (await ask("list_memories", USER)).memories
        assert home.attributes["value"] in said[1]


async def test_what_else_a_message_said_is_still_found() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        await ask.add(USER, "I live in Beijing, and the spare key is under the blue flowerpot.", wait=True)
        await ask.add(USER, "I moved to Hangzhou.", wait=True)
        found = (await ask("search", USER, query="where is the spare key")).results
        assert "flowerpot" in found[0].content


async def test_pain_04_duplicates_for_good_under_concurrency() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    said = ["I like tea.", "I live in Hangzhou.", "我喜欢打羽毛球。"]
    async with (
        running_owner(store=store, buffer_idle_seconds=3600) as one,
        running_owner(store=Kept(store), buffer_idle_seconds=3600) as other,  # pyright: ignore[reportArgumentType]
    ):
        await asyncio.gather(*(ask.add(USER, *said, wait=True) for ask in (one, other) for _ in range(8)))
        await asyncio.gather(one("process", USER), other("process", USER))
        for ask in (one, other):
            assert await texts(ask, latest_only=False) == [
                "User likes tea",
                "User lives in Hangzhou",
                "用户喜欢打羽毛球",
            ]
            page = await ask("list_memories", USER)
            assert {memory.attributes["evidence"] for memory in page.memories} == {16}


async def test_pain_04_adding_a_fact_twice_deletes_it() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        for _ in range(3):
            await ask.add(USER, "I like tea.", wait=True)
        assert await texts(ask, latest_only=False) == ["User likes tea"]


class Kept:
    """A store that stays open when its owner is closed."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None
