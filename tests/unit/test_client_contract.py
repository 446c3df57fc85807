"""The clients and the command line against the real API and a real owner, over HTTP and without Ray."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from cluster.api.app import create_app
from cluster.settings import Settings
from memgrid import AsyncMemgrid, Memgrid, cli
from memgrid.errors import Conflict, InvalidInput, MemgridError, NotFound, error_from_code
from memgrid.models import ErrorDetail, MessageIn
from memgrid.routing import Call
from tests.owners import running_owner


class OneOwner:
    """A router to the only owner there is."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    async def call(self, call: Call, *, timeout: float | None = None) -> bytes:
        body = call.request.model_dump_json(exclude_unset=True).encode()
        ok, reply = await self._owner.call(call.operation, tuple(call.subject), call.request_id, body)
        if ok:
            return reply
        detail = ErrorDetail.model_validate_json(reply)
        raise error_from_code(detail.code, detail.message, field=detail.field, remedy=detail.remedy)

    async def call_many(
        self, calls: Sequence[Call], *, timeout: float | None = None
    ) -> list[bytes | MemgridError]:
        answers: list[bytes | MemgridError] = []
        for call in calls:
            try:
                answers.append(await self.call(call))
            except MemgridError as error:
                answers.append(error)
        return answers

    async def broadcast(
        self, method: str, *, timeout: float | None = None
    ) -> dict[str, bytes | MemgridError]:
        _, reply = await self._owner.health() if method == "health" else (True, b"")
        return {"test": reply}


@asynccontextmanager
async def listening() -> AsyncGenerator[str]:
    settings = Settings(shards=4, log_level="error")
    async with running_owner(buffer_idle_seconds=3600) as asking:
        owner = asking.owner
        app = create_app(OneOwner(owner), owner.store, owner.index, settings)
        config = uvicorn.Config(app, log_level="error", lifespan="off", loop="asyncio")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            task = asyncio.create_task(server.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True
            await task


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """A server in a thread of its own, for all tests here: each uses users of its own."""
    found: list[str] = []
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with listening() as address:
            found.append(address)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    with capture_logs():
        thread.start()
        assert started.wait(30)
        try:
            yield found[0]
        finally:
            ended.set()
            thread.join()


@pytest.fixture
async def client(url: str) -> AsyncGenerator[AsyncMemgrid]:
    async with AsyncMemgrid(url) as opened:
        yield opened


async def collect(items: Any) -> list[Any]:
    return [item async for item in items]


async def test_the_seed_example(client: AsyncMemgrid) -> None:
    added = await client.add("我叫张三，我喜欢打羽毛球", user_id="张三", session_id="s", wait=True)
    assert added.status == "done"
    memories = await collect(client.list(user_id="张三"))
    assert {"personal_information", "interest_hobbies"} <= {m.profile_type for m in memories}
    found = await client.search("羽毛球", user_id="张三", types=["memory"], explain=True)
    assert "羽毛球" in found.results[0].content
    assert found.results[0].explain
    assert (await client.profile("张三")).total_memories == len(memories)
    assert "羽毛球" in (await client.context("张三", "打羽毛球？", max_tokens=200)).context
    assert (await client.job(added.job_id)).status == "done"
    assert (await client.wait_for_job(added.job_id)).messages == 1


async def test_a_memory_from_birth_to_death(client: AsyncMemgrid) -> None:
    await client.add(
        "Tea is in the kitchen.", user_id="m", infer=False, wait=True, metadata={"k": {"v": [1]}}
    )
    (known,) = await collect(client.list(user_id="m"))
    changed = await client.update(known.id, text="Tea is in the hall.", tags=["tea"])
    assert (changed.memory, changed.tags) == ("Tea is in the hall.", ["tea"])
    assert (await client.get(known.id)).memory == "Tea is in the hall."
    assert [change.event for change in await client.history(known.id)] == ["ADD", "UPDATE"]
    await client.delete(known.id)
    with pytest.raises(NotFound):
        await client.get(known.id)
    assert await client.delete_all(user_id="m") == 0


async def test_messages_sessions_marks(client: AsyncMemgrid) -> None:
    for number in range(3):
        await client.add(
            [{"content": f"{number}-{i}", "id": f"c{i}"} for i in range(3)],
            user_id="n",
            session_id=f"s/{number}",
        )
    assert [s.session_id for s in await collect(client.sessions(user_id="n", page_size=2))] == [
        "s/0",
        "s/1",
        "s/2",
    ]
    said = await collect(client.messages(user_id="n", page_size=2))
    assert [m.content for m in said] == [f"{number}-{i}" for number in range(3) for i in range(3)]
    assert await client.mark_messages(user_id="n", new="seen", session_id="s/1") == 3
    marked = await collect(client.messages(user_id="n", mark="seen"))
    assert [m.session_id for m in marked] == ["s/1"] * 3
    assert await client.delete_messages(user_id="n", ids=[said[0].id]) == 1
    assert await client.delete_messages(user_id="n", marks=["seen"]) == 3
    assert len(await collect(client.messages(user_id="n"))) == 5


async def test_variables_buffers_runs_stats(client: AsyncMemgrid) -> None:
    assert await client.set_variables({"城市": "杭州", "x": "1"}, user_id="b") == {"城市": "杭州", "x": "1"}
    assert await client.delete_variables(["x"], user_id="b") == 1
    assert await client.variables("b") == {"城市": "杭州"}
    await client.set_buffer_policy(user_id="b", on_full=False, on_idle=False)
    await client.add("My name is Li Lei", user_id="b")
    status = await client.buffer(user_id="b")
    assert (len(status.message_ids), status.policy.on_idle) == (1, False)
    assert (await client.process(user_id="b")).status == "done"
    (run,) = await collect(client.runs(user_id="b"))
    assert (await client.get_run(run.id)).message_ids == status.message_ids
    assert (await client.drive_run(run.id)).status == "done"
    with pytest.raises(NotFound):
        await client.drive_run("00000000-0000-7000-8000-000000000000")
    assert len(await client.stats(user_id="b", days=3)) <= 3


async def test_other_subjects_than_users(client: AsyncMemgrid) -> None:
    await client.add("I am the support agent", agent_id="a/1", infer=False, wait=True)
    assert (await client.profile(agent_id="a/1")).total_memories == 1
    assert "support" in (await client.context(agent_id="a/1", message="support")).context
    assert (await client.cleanup(agent_id="a/1", days_old=30)).deleted_count == 0
    erased = await client.erase(agent_id="a/1")
    assert (erased.subject_kind, erased.memories, erased.messages) == ("agent", 1, 1)


@pytest.mark.parametrize("odd", ["..", "a/b", "a?b#c", "%2F", "张 三", "'; --", "."])
async def test_odd_ids_arrive_as_they_are(client: AsyncMemgrid, odd: str) -> None:
    await client.add("hello", user_id=odd, session_id=odd)
    assert (await client.profile(odd)).user_id == odd
    (message,) = await collect(client.messages(user_id=odd, session_id=odd))
    assert message.session_id == odd
    assert (await client.erase(odd)).messages == 1


async def test_a_message_that_only_calls_tools_is_kept(client: AsyncMemgrid) -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    await client.add([said, MessageIn(role="assistant", content=None)], user_id="tools")
    kept = await collect(client.messages(user_id="tools"))
    assert [(message.content, message.extra) for message in kept] == [("", {"tool_calls": calls}), ("", {})]


async def test_batches_and_idempotency(client: AsyncMemgrid) -> None:
    items = [
        {"user_id": f"p{i % 2}", "messages": [{"content": f"{i}"}], "idempotency_key": f"k{i}"}
        for i in range(4)
    ]
    assert (await client.add_batch(items)).succeeded == 4
    again = await client.add_batch(items)
    assert [item.result.duplicates for item in again.results if item.result] == [1, 1, 1, 1]
    with pytest.raises(Conflict):
        await client.add("other", user_id="p0", idempotency_key="k0")


async def test_errors_come_back_as_they_were(client: AsyncMemgrid) -> None:
    with pytest.raises(InvalidInput) as caught:
        await client.search("x", user_id="e", filters={"nonsense": {"op": 1}})
    assert caught.value.field
    with pytest.raises(InvalidInput):
        await client.search("x")
    with pytest.raises(NotFound):
        await client.job("nope")


async def test_health(client: AsyncMemgrid) -> None:
    assert (await client.health()).components


def test_the_sync_client(url: str) -> None:
    with Memgrid(url) as client:
        client.add("My name is Han Meimei", user_id="sync", wait=True)
        assert [m.memory for m in client.list(user_id="sync")]
        assert [m.content for m in client.messages(user_id="sync")] == ["My name is Han Meimei"]


def run(url: str, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.build(), [*arguments, "--url", url], input=stdin, catch_exceptions=False)


def test_import_twice_and_export(url: str, tmp_path: Path) -> None:
    talks = [
        {
            "user_id": f"导{i % 3}",
            "session_id": f"s{i}",
            "metadata": {"n": i},
            "messages": [
                {"role": "user", "content": f"第{i}句", "timestamp": f"2024-01-{i + 1:02}T03:04:05+08:00"},
                {"role": "assistant", "content": "好的", "mood": "glad"},
            ],
        }
        for i in range(30)
    ]
    file = tmp_path / "talks.jsonl"
    file.write_text("".join(json.dumps(talk, ensure_ascii=False) + "\n" for talk in talks), encoding="utf-8")
    first = json.loads(run(url, "import", str(file), "--json").stdout)
    assert (first["messages"], first["already_there"], first["bad_lines"]) == (60, 0, 0)
    second = json.loads(run(url, "import", str(file), "--json").stdout)
    assert (second["messages"], second["already_there"]) == (60, 60)
    out = tmp_path / "out.jsonl"
    assert run(url, "export", "-u", "导0", "-o", str(out)).exit_code == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    turns = [turn for line in lines if line["type"] == "conversation" for turn in line["messages"]]
    assert [turn["content"] for turn in turns if turn["role"] == "user"] == [
        f"第{i}句" for i in range(0, 30, 3)
    ]
    assert {turn.get("mood") for turn in turns} == {"glad", None}
    again = json.loads(run(url, "import", str(out), "--json").stdout)
    assert (again["messages"], again["already_there"]) == (20, 20)


def test_commands(url: str) -> None:
    shown = run(url, "add", "我叫李雷，我住在杭州", "-u", "cli", "--wait")
    assert shown.stdout.startswith("+ ")
    assert "杭州" in run(url, "search", "杭州", "-u", "cli").stdout
    assert "杭州" in run(url, "context", "杭州", "-u", "cli").stdout
    assert run(url, "profile", "-u", "cli").exit_code == 0
    assert "杭州" in run(url, "list", "-u", "cli").stdout
    assert run(url, "health").exit_code == 0
    assert "杭州" in run(url, "entities", "-u", "cli").stdout
    assert run(url, "record-task", "部署", "--step", "先备份", "-u", "cli").exit_code == 0
    assert "先备份" in run(url, "tasks", "怎么部署", "-u", "cli").stdout
    assert run(url, "events", "-u", "cli", "--since", "2020-01-01").exit_code == 0
    listed = json.loads(run(url, "list", "-u", "cli", "--json").stdout)[0]
    assert "user:cli2" in run(url, "share", listed["id"], "-u", "cli2").stdout
    assert "nobody" in run(url, "share", listed["id"], "-u", "cli2", "--undo").stdout
    assert "memories" in run(url, "erase", "-u", "cli", "--yes").stdout
    assert run(url, "list", "-u", "cli").stdout == ""


async def test_events_tasks_entities_and_sharing(client: AsyncMemgrid) -> None:
    await client.add("I live in Hangzhou. I ran a marathon yesterday.", user_id="k", wait=True)
    (event,) = (await client.events(user_id="k", query="marathon", since=datetime(2020, 1, 1))).events
    assert "marathon" in event.gist
    task = await client.record_task("deploy", steps=[{"action": "restart"}], agent_id="k")
    assert (await client.use_task(task.id, success=True)).successes == 1
    assert (await client.update_task(task.id, lesson="back up")).lesson == "back up"
    assert [t.id for t in (await client.tasks("deploy it", agent_id="k")).tasks] == [task.id]
    (place,) = [e for e in (await client.entities("k")).entities if e.type == "place"]
    (home,) = (await client.entity(place.name, user_id="k")).memories
    await client.link(home.id, "cause", event.id)
    assert [r.memory.id for r in await client.related(home.id)] == [event.id]
    assert await client.share(home.id, user_id="l") == ["user:l"]
    (given,) = await collect(client.list(user_id="l"))
    assert (given.id, given.shared_by) == (home.id, "user:k")
    assert "Hangzhou" in (await client.context("l", "Hangzhou", template="{profile}{facts}")).context
    assert await client.unshare(home.id, user_id="l") == []
    assert await collect(client.list(user_id="l")) == []


async def test_topics_of_the_project(client: AsyncMemgrid) -> None:
    try:
        stored = await client.set_profile_config([{"name": "饮食", "description": "口味"}])
        assert (await client.profile_config(language="zh")).config == stored.config
    finally:
        await client.set_profile_config()
