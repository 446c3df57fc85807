"""Edits: whole whatever happens beside them, and of what they name only; lists that go on where they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import ValidationError

from cluster.ids import system_clock
from cluster.model import DAY_MS
from memgrid.errors import InvalidInput, NotFound, Unavailable
from memgrid.subject import Subject
from tests.owners import Asking, running_owner
from tests.scripted_extractor import ScriptedExtractor

LI = Subject("t", "user", "li")


@pytest.fixture
def now() -> list[int]:
    return [system_clock()]


@pytest.fixture
async def ask(now: list[int]) -> AsyncGenerator[Asking]:
    async with running_owner(
        extractor=ScriptedExtractor(), buffer_idle_seconds=3600, clock=lambda: now[0]
    ) as asking:
        yield asking


async def texts_of(ask: Asking, subject: Subject) -> list[str]:
    page = await ask("list_memories", subject, limit=1000)
    return sorted(memory.memory for memory in page.memories)


async def test_a_cursor_is_of_one_list_and_unchanged(ask: Asking) -> None:
    for text in ("I live in Beijing", "I like tea", "I like jazz"):
        await ask.add(LI, text, session_id=text, wait=True)
    lists = {
        name: (await ask(name, LI, limit=1)).cursor
        for name in ("list_memories", "messages", "sessions", "runs")
    }
    lists["search"] = (await ask("search", LI, query="tea", top_k=1)).cursor
    assert None not in lists.values()
    for name, cursor in lists.items():
        asked: dict[str, object] = {"query": "tea", "top_k": 1} if name == "search" else {"limit": 1}
        others = [other for of, other in lists.items() if of != name]
        changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
        for bad in ("", "x", cursor[:-2], changed, *others):
            with pytest.raises(InvalidInput) as refused:
                await ask(name, LI, cursor=bad, **asked)
            assert refused.value.field == "cursor"
        await ask(name, LI, cursor=cursor, **asked)


async def test_marks_put_at_once_are_all_kept(ask: Asking) -> None:
    added = await ask.add(LI, "one", "two")
    await asyncio.gather(*(ask("mark_messages", LI, new=f"mark-{n}") for n in range(10)))
    for message in (await ask("messages", LI)).messages:
        assert set(message.marks) == {f"mark-{n}" for n in range(10)}
    await asyncio.gather(*(ask("mark_messages", LI, old=f"mark-{n}") for n in range(10)))
    assert all(not m.marks for m in (await ask("messages", LI)).messages)
    assert len(added.message_ids) == 2


async def test_deleting_an_experience_deletes_nothing_else(ask: Asking) -> None:
    [change] = (await ask.add(LI, "I live in Beijing", wait=True)).results
    with pytest.raises(NotFound):
        await ask("delete_memory", LI, id=change.id, kind="task")
    assert await texts_of(ask, LI) == ["I live in Beijing"]


async def test_a_clean_up_goes_on_after_a_failed_delete(
    ask: Asking, now: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.edits.CHUNK", 1)
    await ask.add(LI, "I live in Beijing", "I like tea", "I like jazz", wait=True)
    old = len(await texts_of(ask, LI))
    now[0] += 100 * DAY_MS
    commit, calls = ask.owner.store.commit, 0

    async def fail_once(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Unavailable("away")
        return await commit(*arguments)

    monkeypatch.setattr(ask.owner.store, "commit", fail_once)
    cleaned = await ask("cleanup", LI, days_old=90)
    assert (cleaned.deleted_count, cleaned.total_old_memories) == (old - 1, old)
    assert len(await texts_of(ask, LI)) == 1


async def test_a_text_that_cannot_be_seen_is_refused(ask: Asking) -> None:
    [change] = (await ask.add(LI, "I live in Beijing", wait=True)).results
    with pytest.raises(ValidationError, match="blank"):
        await ask("update_memory", LI, id=change.id, patch={"text": " \u200b"})
    assert await texts_of(ask, LI) == ["I live in Beijing"]
