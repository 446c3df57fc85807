"""Waiting for an extraction that takes long: nobody else waits with it, and what is kept is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from actors.owner import CallArgs
from actors.waiters import Waiters
from cluster.ids import new_id
from memgrid.errors import InvalidInput, Overloaded
from memgrid.models import AddRequest, AddResult, ErrorDetail
from memgrid.subject import Subject
from tests.owners import Asking, running_owner
from tests.scripted_extractor import ScriptedExtractor

LI, WANG = Subject("default", "user", "li"), Subject("default", "user", "wang")


@pytest.fixture
def hung() -> ScriptedExtractor:
    """A model that does not answer."""
    extractor = ScriptedExtractor()
    extractor.gate.clear()
    return extractor


@pytest.fixture
async def ask(hung: ScriptedExtractor) -> AsyncGenerator[Asking]:
    async with running_owner(extractor=hung, max_inflight_requests=2) as asking:
        yield asking
        hung.gate.set()


@pytest.fixture
async def short(hung: ScriptedExtractor) -> AsyncGenerator[Asking]:
    async with running_owner(extractor=hung, request_timeout_seconds=0.1) as asking:
        yield asking
        hung.gate.set()


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():  # noqa: ASYNC110 - what is waited for is a counter
            await asyncio.sleep(0.001)


def batch(items: Sequence[tuple[Subject, dict[str, Any]]]) -> list[CallArgs]:
    return [
        (
            "add",
            (subject.tenant, subject.kind, subject.id),
            new_id(),
            AddRequest.model_validate(item).model_dump_json(exclude_unset=True).encode(),
        )
        for subject, item in items
    ]


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"content": text}], **fields}


async def test_whoever_waits_for_an_extraction_takes_no_room_from_others(
    ask: Asking, hung: ScriptedExtractor
) -> None:
    waiting = [asyncio.create_task(ask.add(LI, f"I live in {n}", wait=True)) for n in range(2)]
    await until(lambda: len(ask.owner.waiters) == 2)
    added = await ask.add(WANG, "I like tea")
    assert (added.status, len((await ask("search", WANG, query="tea")).results)) == ("pending", 1)
    assert (await ask("profile", LI)).total_memories == 0
    hung.gate.set()
    assert [(await task).status for task in waiting] == ["done", "done"]
    assert len(ask.owner.waiters) == 0


async def test_whoever_does_not_wait_still_takes_room(ask: Asking) -> None:
    held = asyncio.Event()
    append = ask.owner.store.append

    async def slow(*arguments: Any) -> bool:
        await held.wait()
        return await append(*arguments)

    ask.owner.store.append = slow  # pyright: ignore[reportAttributeAccessIssue]
    adding = [asyncio.create_task(ask.add(LI, str(n))) for n in range(2)]
    await asyncio.sleep(0)  # each has begun
    with pytest.raises(Overloaded, match="2 requests in flight"):
        await ask.add(WANG, "I like tea")
    held.set()
    await asyncio.gather(*adding)


async def test_as_many_as_may_be_in_flight_may_wait_and_one_more_is_told_how_far_it_is(
    ask: Asking, hung: ScriptedExtractor
) -> None:
    waiting = [asyncio.create_task(ask.add(LI, f"I live in {n}", wait=True)) for n in range(2)]
    await until(lambda: len(ask.owner.waiters) == 2)
    third = await ask.add(WANG, "I like tea", wait=True)
    assert third.status in ("pending", "running")
    assert not any(task.done() for task in waiting)
    hung.gate.set()
    await asyncio.gather(*waiting)


async def test_a_wait_ends_with_what_is_kept_and_how_far_it_is(
    short: Asking, hung: ScriptedExtractor
) -> None:
    added = await short.add(LI, "I live in Hangzhou", wait=True)
    assert (added.status, added.results, added.memory_id) == ("running", [], None)
    flushed = await short("process", LI)
    assert (flushed.status, flushed.results) == ("running", [])
    assert (await short("process", LI, ids=added.message_ids)).status == "running"
    assert len(short.owner.waiters) == 0
    hung.gate.set()
    await short.owner.waiters.wait(LI, added.message_ids)
    assert (await short("job", LI, id=added.job_id)).status == "done"


async def test_driving_a_parked_run_ends_in_time_too_and_goes_on(
    short: Asking, hung: ScriptedExtractor
) -> None:
    hung.gate.set()
    hung.failures = [InvalidInput("no answer")]
    added = await short.add(LI, "I live in Hangzhou", wait=True)
    assert added.status == "parked"
    [run] = (await short("runs", LI, status="parked")).runs
    hung.gate.clear()
    assert (await short("drive_run", LI, id=run.id)).status == "running"
    again = asyncio.create_task(short("drive_run", LI, id=run.id))
    await until(lambda: len(short.owner.waiters) == 1)
    hung.gate.set()
    assert (await again).status == "done"
    assert [memory.memory for memory in (await short("list_memories", LI)).memories] == ["I live in Hangzhou"]


async def test_a_drive_that_fails_or_is_stopped_leaves_the_run_parked(hung: ScriptedExtractor) -> None:
    async with running_owner(extractor=hung) as ask:
        hung.gate.set()
        hung.failures = [InvalidInput("no answer"), InvalidInput("still none")]
        await ask.add(LI, "I live in Hangzhou", wait=True)
        [run] = (await ask("runs", LI, status="parked")).runs
        with pytest.raises(InvalidInput, match="still none"):
            await ask("drive_run", LI, id=run.id)
        hung.gate.clear()
        driving = asyncio.create_task(ask("drive_run", LI, id=run.id))
        await until(lambda: len(ask.owner.waiters) == 1)
        await ask.owner.buffering.close()
        assert (await driving).status == "parked"


async def test_a_shutdown_says_of_what_is_kept_that_it_is_kept(hung: ScriptedExtractor) -> None:
    async with running_owner(extractor=hung, extraction_max_in_flight=1) as ask:
        first = asyncio.create_task(ask.add(LI, "I live in Hangzhou", wait=True))
        await hung.begun.wait()
        queued = asyncio.create_task(ask.add(WANG, "I like tea", wait=True))
        await until(lambda: len(ask.owner.waiters) == 2)
        closing = asyncio.create_task(ask.owner.close())
        await asyncio.sleep(0)
        hung.gate.set()
        assert ((await first).status, (await queued).status) == ("done", "pending")
        await closing


async def test_a_slow_item_of_a_batch_is_no_error_of_the_others(short: Asking) -> None:
    items = [
        (LI, said("I live in Hangzhou", user_id="li", wait=True)),
        (WANG, said("I like tea", user_id="wang")),
    ]
    replies = await short.owner.call_many(batch(items))
    assert [(ok, AddResult.model_validate_json(reply).status) for ok, reply in replies] == [
        (True, "running"),
        (True, "pending"),
    ]


async def test_the_items_of_one_subject_go_one_after_the_other_and_share_one_patience(
    hung: ScriptedExtractor,
) -> None:
    async with running_owner(extractor=hung, request_timeout_seconds=1.0) as ask:
        items = [(LI, said(text, user_id="li", wait=True, idempotency_key="k")) for text in ("a", "a", "b")]
        items += [(LI, said(str(n), user_id="li", wait=True)) for n in range(200)]
        async with asyncio.timeout(60):  # with a patience of its own for each it would be 100 s
            replies = await ask.owner.call_many(batch(items))
        ok = [AddResult.model_validate_json(reply) for fine, reply in replies if fine]
        assert [added.duplicates for added in ok] == [0, 1, *(0 for _ in range(200))]
        assert not replies[2][0], "another payload under the same key"
        assert ErrorDetail.model_validate_json(replies[2][1]).code == "conflict"
        said_in_order = [message.content for message in (await ask("messages", LI, limit=1000)).messages]
        assert said_in_order == ["a", *map(str, range(200))]
        hung.gate.set()


async def test_who_has_given_up_waiting_leaves_nothing_behind() -> None:
    waiters = Waiters(patience=60, most=10)
    gone = asyncio.create_task(waiters.wait(LI, ["a"]))
    await until(lambda: len(waiters) == 1)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert len(waiters) == 0
    waiters.settled(LI, ["a"])
