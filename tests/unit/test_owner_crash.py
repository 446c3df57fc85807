"""kill -9 of an owner: what it has acknowledged is there once, whatever it was doing. And its twin: an owner
that acknowledges before it has written is found out by the same check."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.ids import new_id
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import MemgridError
from tests.owner_process import DEADLY, SUBJECT

ROOT = Path(__file__).parents[2]
KILLS = 3


class Gone(Exception):
    """The process died before it answered."""


class Child:
    """An owner process, and the calls to it that are under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, operation: str, request_id: str | None = None, **fields: Any) -> dict[str, Any]:
        """The reply. Raises Gone, and MemgridError when the owner refused."""
        request_id = request_id or new_id()
        future = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        if self._reading.done():
            raise Gone
        stdin = self.process.stdin
        assert stdin is not None
        line = json.dumps({"operation": operation, "request_id": request_id, "fields": fields})
        stdin.write(line.encode() + b"\n")
        reply = await future
        if not reply["ok"]:
            raise MemgridError(reply["reply"]["message"])
        return reply["reply"]

    async def add(self, text: str, request_id: str | None = None, **fields: Any) -> dict[str, Any]:
        return await self.call("add", request_id, messages=[{"content": text}], user_id="li", **fields)

    def kill(self) -> None:
        """kill -9. Not by the transport, which may reap what asyncio's watcher waits for."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)

    async def died(self) -> None:
        """Until it is gone, and everything that it has said is read."""
        assert await self.process.wait() == -signal.SIGKILL
        await self._reading

    async def _read(self) -> None:
        stdout = self.process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            reply = json.loads(line)
            self._waiting.pop(reply["id"]).set_result(reply)
        for future in self._waiting.values():
            future.set_exception(Gone())


@asynccontextmanager
async def child(folder: Path, variant: str = "real") -> AsyncGenerator[Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.owner_process",
        str(folder),
        variant,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert json.loads(await process.stdout.readline()) == {"ready": True}
    running = Child(process)
    try:
        yield running
    finally:
        running.kill()
        await running.died()
        process.stdin.close()


def sentence(number: int) -> str:
    return f"I like soup number{number}."


def effect(number: int) -> str:
    return f"User likes soup number{number}"


async def problems_of(owner: Child, acked: set[int], unknown: set[int]) -> list[str]:
    """What is wrong, given which adds were acknowledged and which may or may not have got through."""
    await owner.call("process")
    assert (await owner.call("buffer_status"))["message_ids"] == []
    problems: list[str] = []
    for what, found in (
        ("messages", Counter(m["content"] for m in await everything(owner, "messages", "messages"))),
        ("memories", Counter(m["memory"] for m in await everything(owner, "list_memories", "memories"))),
    ):
        text = sentence if what == "messages" else effect
        if lost := {text(n) for n in acked} - found.keys():
            problems.append(f"{what} lost: {sorted(lost)}")
        if strange := found.keys() - {text(n) for n in acked | unknown}:
            problems.append(f"{what} that nobody added: {sorted(strange)}")
        if doubled := [text for text, times in found.items() if times > 1]:
            problems.append(f"{what} more than once: {doubled}")
    runs = await everything(owner, "runs", "runs")
    inputs = Counter(i for run in runs for i in run["message_ids"])
    if doubled := [i for i, times in inputs.items() if times > 1]:
        problems.append(f"messages in more than one run: {doubled}")
    return problems


async def everything(owner: Child, operation: str, field: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await owner.call(operation, limit=1000, **({"cursor": cursor} if cursor else {}))
        rows += page[field]
        if (cursor := page.get("next_cursor")) is None:
            return rows


async def killed_under_load(folder: Path, variant: str) -> list[str]:
    """Kill an owner at random moments while it answers adds, and then look at what is there."""
    acked: set[int] = set()
    unknown: set[int] = set()
    numbers = iter(range(1_000_000))

    async def adding(owner: Child) -> None:
        while True:
            number = next(numbers)
            try:
                await owner.add(sentence(number))
            except Gone:
                unknown.add(number)
                return
            acked.add(number)

    for _ in range(KILLS):
        before = len(acked)
        async with child(folder, variant) as owner, asyncio.TaskGroup() as users:
            for _ in range(3):
                users.create_task(adding(owner))
            while len(acked) < before + random.randint(5, 60):  # noqa: ASYNC110 - a random moment
                await asyncio.sleep(0.001)
            owner.kill()
    async with child(folder) as owner:
        problems = await problems_of(owner, acked, unknown)
    print(
        f"\n{variant}: {KILLS} kills, {len(acked)} adds acknowledged, {len(unknown)} not, "
        f"{len(problems)} problems"
    )
    return problems


async def test_what_was_acknowledged_before_a_kill_is_there_once(tmp_path: Path) -> None:
    assert await killed_under_load(tmp_path, "real") == []


async def test_an_append_moved_after_the_ack_is_found_out(tmp_path: Path) -> None:
    problems = await killed_under_load(tmp_path, "append-after-ack")
    assert [problem for problem in problems if problem.startswith("messages lost")]


@pytest.mark.parametrize("point", ["die-after-append", "die-before-commit", "die-after-commit"])
async def test_a_crash_at_any_point_has_one_effect_when_the_call_is_repeated(
    tmp_path: Path, point: str
) -> None:
    request_id = new_id()
    fields = {"messages": [{"content": f"I like {DEADLY} soup."}], "user_id": "li", "wait": True}
    async with child(tmp_path, point) as owner:
        await owner.add(sentence(0), wait=True)
        with pytest.raises(Gone):
            await owner.call("add", request_id, **fields)
        await owner.died()
    async with child(tmp_path) as owner:
        result = await owner.call("add", request_id, **fields)
        assert result["status"] == "done"
        assert [change["memory"] for change in result["results"]] == [f"User likes {DEADLY} soup"]
        contents = sorted(m["content"] for m in await everything(owner, "messages", "messages"))
        assert contents == sorted([f"I like {DEADLY} soup.", sentence(0)])
        memories = sorted(m["memory"] for m in await everything(owner, "list_memories", "memories"))
        assert memories == sorted([f"User likes {DEADLY} soup", effect(0)])
        runs = await everything(owner, "runs", "runs")
        assert Counter(i for run in runs for i in run["message_ids"]).most_common(1)[0][1] == 1


@pytest.mark.parametrize("point", ["die-after-append", "die-before-commit", "die-after-commit"])
async def test_after_a_crash_extraction_goes_on_without_a_request(tmp_path: Path, point: str) -> None:
    async with child(tmp_path, point) as owner:
        with pytest.raises(Gone):
            await owner.add(f"I like {DEADLY} soup.", wait=True)
        await owner.died()
    async with child(tmp_path) as owner:
        # A request of the subject would resume it: the store is asked, from outside.
        assert await extracted(tmp_path) == 1
        assert (await owner.call("list_memories"))["memories"][0]["memory"] == f"User likes {DEADLY} soup"


async def extracted(folder: Path) -> int:
    """How many runs there are, as soon as there is one."""
    store = SqliteStore(folder)
    await store.open(shards=4)
    try:
        async with asyncio.timeout(20):
            while not (found := (await store.runs(SUBJECT))[0]):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.02)
        return len(found)
    finally:
        await store.close()
