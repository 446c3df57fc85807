"""A large subject is searched before it is ready: nothing that was acknowledged is missing, nothing that is
gone is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from actors import cold_search, resident
from actors.resident import Residents
from cluster.ids import new_id, system_clock
from cluster.model import DAY_MS, Changes, Head, Memory, Message, Run
from cluster.search_index.port import IndexQuery
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

LI = Subject("t", "user", "li")
LONG_AGO = system_clock() - DAY_MS


def note(text: str, **fields: Any) -> Memory:
    return Memory(
        **{
            "id": new_id(),
            "kind": "fact",
            "text": text,
            "labels": {"user": "li"},
            "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
            **fields,
        }
    )


def said(text: str, at: int = LONG_AGO) -> Message:
    return Message(
        id=new_id(),
        session="s",
        role="user",
        content=text,
        event_time=at,
        created_at=at,
        tokens=5,
        labels={"user": "li"},
    )


class Warming:
    """Holds every subject where its rows are read and not yet taken up."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.held = 0


@pytest.fixture
def warming(monkeypatch: pytest.MonkeyPatch) -> Warming:
    held = Warming()
    take_up = Residents._take_up_memories

    async def waits(self: Residents, *args: Any) -> None:
        held.held += 1
        await held.gate.wait()
        await take_up(self, *args)

    monkeypatch.setattr(cold_search, "_LARGE", 5)
    monkeypatch.setattr(Residents, "_take_up_memories", waits)
    return held


@pytest.fixture
async def ask(warming: Warming) -> AsyncGenerator[Asking]:
    async with running_owner(buffer_idle_seconds=3600) as asking:
        yield asking
        warming.gate.set()


async def commit(ask: Asking, head: Head, **fields: Any) -> Head:
    changes = Changes(commit_id=new_id(), at=system_clock(), actor="test", **fields)
    return await ask.owner.store.commit(LI, head, changes)


async def filled(ask: Asking, *texts: str) -> tuple[Head, list[Memory]]:
    """Memories that the index knows, of a subject that is not held."""
    known = [note(text) for text in (*texts, *(f"note {n}" for n in range(10)))]
    head = await commit(ask, Head(), put=tuple(known))
    await ask("list_memories", LI, limit=1)
    await ask.owner.vectors.settled()
    await ask.owner.indexing.settled()
    ask.owner.residents.drop(LI)
    return head, known


async def search(ask: Asking, query: str, **fields: Any) -> Any:
    return await ask("search", LI, query=query, user_id="li", **fields)


@pytest.mark.parametrize("strategy", ["full_text", "vector", "hybrid"])
async def test_it_is_answered_before_it_is_ready_and_says_so(
    ask: Asking, warming: Warming, strategy: str
) -> None:
    warming.gate.set()
    await filled(ask, "在杭州喝龙井茶", "lives in Lisbon")
    warming.gate.clear()
    early = await search(ask, "杭州 龙井", strategy=strategy, top_k=3)
    assert (early.results[0].content, early.degraded, early.cursor) == ("在杭州喝龙井茶", ["warming"], None)
    warming.gate.set()
    ready = await search(ask, "杭州 龙井", strategy=strategy, top_k=3)
    while ready.degraded:  # it is still being taken up
        ready = await search(ask, "杭州 龙井", strategy=strategy, top_k=3)
    assert ready.results[0].content == "在杭州喝龙井茶"


async def test_what_was_said_often_is_found_as_its_memory(ask: Asking, warming: Warming) -> None:
    """The index has room for the copies alone."""
    warming.gate.set()
    copies = [said("我对花生过敏", LONG_AGO + n) for n in range(150)]
    await ask.owner.store.append(LI, 0, copies)
    known = note("用户对花生过敏", sources=tuple(each.id for each in copies))
    run = Run(id=new_id(), status="done", input_ids=known.sources, buckets=(), created_at=LONG_AGO)
    await commit(ask, Head(), put=(known,), runs=(run,))
    await ask("list_memories", LI, limit=1)
    await ask.owner.vectors.settled()
    await ask.owner.indexing.settled()
    ask.owner.residents.drop(LI)
    warming.gate.clear()
    early = await search(ask, "我对花生过敏")
    assert (early.results[0].content, early.degraded) == ("用户对花生过敏", ["warming"])


async def test_what_was_acknowledged_a_moment_ago_is_found(ask: Asking, warming: Warming) -> None:
    """Pending, appended by another owner meanwhile, settled, remembered: whatever the index knows."""
    warming.gate.set()
    head, _ = await filled(ask, "lives in Lisbon")
    warming.gate.clear()
    store, now = ask.owner.store, system_clock()
    settled, pending, late = said("soup settled", now), said("soup pending", now), said("soup late", now)
    await store.append(LI, 0, [settled, pending])
    fresh = note("soup remembered", updated_at=now)
    run = Run(id=new_id(), status="done", input_ids=(settled.id,), buckets=(), created_at=now)
    await commit(ask, head, put=(fresh,), runs=(run,))
    first = await search(ask, "soup", strategy="full_text")
    assert {hit.content for hit in first.results} == {"soup settled", "soup pending", "soup remembered"}
    await store.append(LI, 0, [late])
    second = await search(ask, "soup", strategy="full_text")
    assert {hit.content for hit in second.results} >= {"soup late", "soup pending", "soup settled"}
    status = {hit.content: hit.message.status for hit in second.results if hit.message is not None}
    assert status == {"soup settled": "extracted", "soup pending": "buffered", "soup late": "buffered"}
    assert first.degraded == second.degraded == ["warming"]
    assert warming.held == 2  # when it was filled, and once for both


async def test_a_subject_is_taken_up_after_the_searches_that_do_not_wait_for_it(
    ask: Asking, warming: Warming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are answered with nothing else in their way, but hold it back only so long."""
    warming.gate.set()
    await filled(ask, "lives in Lisbon")
    assert warming.held == 1
    index_search, searching, answer = ask.owner.indexing.search, asyncio.Event(), asyncio.Event()

    async def slow(query: IndexQuery) -> Any:
        searching.set()
        await answer.wait()
        return await index_search(query)

    monkeypatch.setattr(ask.owner.indexing, "search", slow)
    waiting = asyncio.create_task(search(ask, "Lisbon", strategy="full_text"))
    await searching.wait()
    for _ in range(200):
        await asyncio.sleep(0)
    assert warming.held == 1
    answer.set()
    assert (await waiting).degraded == ["warming"]
    await ask("list_memories", LI, limit=1)
    assert warming.held == 2
    ask.owner.residents.drop(LI)
    monkeypatch.setattr(resident, "_HELD_BACK_SECONDS", 0.01)
    answer.clear()
    waiting = asyncio.create_task(search(ask, "Lisbon", strategy="full_text"))
    await ask("list_memories", LI, limit=1)
    assert not waiting.done()
    answer.set()
    assert (await waiting).results


async def test_what_was_deleted_meanwhile_is_not_shown(ask: Asking, warming: Warming) -> None:
    warming.gate.set()
    head, known = await filled(ask, "lives in Lisbon")
    warming.gate.clear()
    assert (await search(ask, "Lisbon", strategy="full_text")).degraded == ["warming"]
    await commit(ask, head, delete=(known[0].id,))
    waiting = asyncio.create_task(search(ask, "Lisbon", strategy="full_text"))
    for _ in range(200):
        await asyncio.sleep(0)
    assert not waiting.done(), "what was read is no longer so: only the whole subject can tell"
    warming.gate.set()
    assert (await waiting).results == []


async def test_what_is_no_longer_so_is_left_out_with_the_message_that_said_it(
    ask: Asking, warming: Warming
) -> None:
    warming.gate.set()
    before = said("I live in Lisbon.")
    await ask.owner.store.append(LI, 0, [before])
    head, known = await filled(ask, "lives in Oslo")
    old = note("lives in Lisbon", superseded_by=known[0].id, sources=(before.id,))
    run = Run(id=new_id(), status="done", input_ids=(before.id,), buckets=(), created_at=LONG_AGO)
    await commit(ask, head, put=(old,), runs=(run,))
    await ask("list_memories", LI, limit=1)
    await ask.owner.vectors.settled()
    await ask.owner.indexing.settled()
    ask.owner.residents.drop(LI)
    warming.gate.clear()
    found = await search(ask, "lives in", strategy="full_text")
    assert [hit.content for hit in found.results] == ["lives in Oslo"]
    everything = await search(ask, "lives in", strategy="full_text", latest_only=False)
    assert "lives in Lisbon" in {hit.content for hit in everything.results}
    assert found.degraded == everything.degraded == ["warming"]


@pytest.mark.parametrize("why", ["small", "filters", "many", "index away", "index behind", "much is new"])
async def test_otherwise_it_is_waited_for(
    ask: Asking, warming: Warming, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warming.gate.set()
    await filled(ask, "lives in Lisbon")
    warming.gate.clear()
    for task in ask.owner.indexing._tasks:  # it would mend in a moment what is broken here
        task.cancel()
    fields: dict[str, Any] = {}
    match why:
        case "small":
            monkeypatch.setattr(cold_search, "_LARGE", 100)
        case "filters":
            fields = {"filters": {"kind": "fact"}}
        case "many":
            fields = {"top_k": 51}
        case "index away":
            ask.owner.indexing.down = "away"
        case "index behind":
            ask.owner.indexing._units[LI] = {"x": None}
        case _:
            monkeypatch.setattr(cold_search, "_AT_MOST", 0)
    waiting = asyncio.create_task(search(ask, "Lisbon", strategy="full_text", **fields))
    for _ in range(200):
        await asyncio.sleep(0)
    assert not waiting.done()
    warming.gate.set()
    found = await waiting
    assert [hit.content for hit in found.results] == ["lives in Lisbon"]
    assert "warming" not in found.degraded
