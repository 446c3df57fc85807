"""What was deleted is in no later answer: of a job, a repeated request, runs, histories, caches, archives."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster.archive.exporting import export_archive
from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import NotFound
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

LI = Subject("t", "user", "li")
SAID = "I live in Zanzibar"
FOUND = "User lives in Zanzibar"


class Shared:
    """A store of two owners, closed by neither."""

    def __init__(self, store: WideStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None


@asynccontextmanager
async def two_owners() -> AsyncGenerator[tuple[Asking, Asking]]:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    shared: Any = Shared(store)
    async with (
        running_owner(store=shared, buffer_idle_seconds=3600) as first,
        running_owner(store=shared, buffer_idle_seconds=3600) as second,
    ):
        yield first, second
    await store.close()


async def everything(ask: Asking, added: list[Any], memory_ids: list[str]) -> str:
    """All answers about Li and about these adds and memories, as text."""
    answers: list[Any] = [
        await ask("list_memories", LI, latest_only=False),
        await ask("search", LI, query="where does she live", latest_only=False),
        await ask("context", LI, message="where does she live"),
        await ask("entities", LI),
        await ask("events", LI),
    ]
    answers += [await ask(read, LI) for read in ("profile", "variables", "messages", "runs", "sessions")]
    for one in added:
        answers.append(await ask("job", LI, id=one.job_id))
    for run in (await ask("runs", LI)).runs:
        answers.append(await ask("run", LI, id=run.id))
        answers.append(await ask("drive_run", LI, id=run.id))
    for memory_id in memory_ids:
        try:
            answers.append(await ask("history", LI, id=memory_id))
        except NotFound:
            continue
    archive = io.BytesIO()
    await export_archive(ask.owner.store, archive, subject=LI)
    rows = [json.loads(line) for line in archive.getvalue().splitlines()]
    records = [
        b64decode(row["run_record"]["record"]).decode(errors="replace") for row in rows if "run_record" in row
    ]
    return "\n".join((*(answer.model_dump_json() for answer in answers), str(rows), *records))


@pytest.mark.parametrize("by", ["this owner", "another"])
@pytest.mark.parametrize("what", ["the memory", "the message with its memories"])
async def test_no_answer_of_the_run_repeats_what_was_deleted(what: str, by: str) -> None:
    async with two_owners() as (ask, other):
        added = await ask.add(LI, SAID, wait=True, idempotency_key="k")
        assert [change.memory for change in added.results] == [FOUND]
        deleter = ask if by == "this owner" else other
        if what == "the memory":
            await deleter("delete_memory", LI, id=added.memory_id)
        else:
            await deleter("delete_messages", LI, ids=added.message_ids, memories=True)
        (run,) = (await deleter("runs", LI)).runs
        again = await ask.add(LI, SAID, wait=True, idempotency_key="k")
        assert (again.status, again.memory_id, again.results) == ("done", None, [])
        assert (await ask("drive_run", LI, id=run.id)).results == []
        assert (await ask("job", LI, id=added.job_id)).results == []
        if what == "the memory":
            assert (await ask("process", LI, ids=added.message_ids)).results == []


async def test_what_a_run_did_to_others_is_still_told() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, f"{SAID}. I like tea.", wait=True)
        zanzibar = next(change.id for change in added.results if change.memory == FOUND)
        await ask("delete_memory", LI, id=zanzibar)
        assert [c.memory for c in (await ask("job", LI, id=added.job_id)).results] == ["User likes tea"]


@pytest.mark.parametrize("message_too", [True, False])
@pytest.mark.parametrize("place", ["Zanzibar", "Oslo"])
async def test_the_history_of_another_memory_does_not_repeat_it(place: str, message_too: bool) -> None:
    """Of two that contradict, the later closed the earlier: each is deleted in its turn."""
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = [await ask.add(LI, f"I live in {where}", wait=True) for where in ("Zanzibar", "Oslo")]
        for memory in (await ask("list_memories", LI)).memories:
            # So that the next claim is found in it, and changes nothing.
            await ask("update_memory", LI, id=memory.id, patch={"immutable": True})
        added.append(await ask.add(LI, f"Yes, I live in {place}, and I like tea", wait=True))
        listed = (await ask("list_memories", LI, latest_only=False)).memories
        if message_too:
            for one in added:
                await ask("delete_messages", LI, ids=one.message_ids)
        for memory in listed:
            if place in memory.memory:
                await ask("delete_memory", LI, id=memory.id)
        told = await everything(ask, added, [memory.id for memory in listed])
        assert (f"User lives in {place}" in told, "User likes tea" in told) == (False, True)
