"""`memgrid import` and `memgrid export`: what went in comes out, once, however often it is tried."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from memgrid.subject import Subject
from tests.acceptance.conftest import MEMGRID, Api, Cli, json_lines
from tests.acceptance.relay import relaying
from tests.archives import SAID, archive_of
from tests.cluster.server import Server

pytestmark = pytest.mark.ray

LINES = 8
TURNS = 250
"""In a line; each line is one request of the import's."""


def write(path: Path, *lines: Any) -> Path:
    """A JSONL file; text stays as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def talk(user: str, session: str, *texts: str, **rest: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in texts]
    return {"user_id": user, "session_id": session, "messages": messages, **rest}


def long_talk(user: str) -> list[dict[str, Any]]:
    """More than goes into one request."""
    return [
        talk(user, f"s{line}", *(f"第{line}段第{turn}句" for turn in range(TURNS))) for line in range(LINES)
    ]


def contents(api: Api, user: str) -> list[tuple[str, str]]:
    """Session and text of all messages of a user, in order, fetched page by page."""
    found: list[tuple[str, str]] = []
    cursor: str | None = None
    while True:
        params = {"user_id": user, "limit": 1000} | ({"cursor": cursor} if cursor else {})
        page = api.ok("GET", "/messages", params=params)
        found += [(message["session_id"], message["content"]) for message in page["messages"]]
        cursor = page["cursor"]
        if cursor is None:
            return found


def expected(talks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["session_id"], message["content"]) for line in talks for message in line["messages"]]


def test_importing_twice_changes_nothing(api: Api, cli: Cli, user: str, tmp_path: Path) -> None:
    openai = {
        "messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": [{"type": "text", "text": "我叫张三，我喜欢打羽毛球"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function"}]},
            {"role": "assistant", "content": "好的"},
        ],
        "tools": [],
    }
    file = write(tmp_path / "chats.jsonl", openai, talk(user, "s2", "I live in Hangzhou."))
    first = json.loads(cli("import", str(file), "--user", user, "--json").stdout)
    assert (first["conversations"], first["messages"], first["already_there"]) == (2, 5, 0)
    before = api.messages(user)
    assert [message["content"] for message in before] == [
        "You are helpful.",
        "我叫张三，我喜欢打羽毛球",
        "",
        "好的",
        "I live in Hangzhou.",
    ]
    assert before[2]["extra"]["tool_calls"] == openai["messages"][2]["tool_calls"]
    api.ok("POST", "/buffers/flush", params={"user_id": user})
    before = api.messages(user)
    memories = api.memories(user)
    assert {"personal_information", "interest_hobbies"} <= {memory["profile_type"] for memory in memories}
    again = json.loads(cli("import", str(file), "--user", user, "--json").stdout)
    assert (again["messages"], again["already_there"]) == (5, 5)
    renamed = write(tmp_path / "the same.jsonl", talk(user, "s2", "I live in Hangzhou."), openai)
    assert "5 of them were there already" in cli("import", str(renamed), "--user", user).stderr
    assert api.messages(user) == before
    assert api.memories(user) == memories


def test_bad_lines_are_named_and_stop_nothing(api: Api, cli: Cli, user: str, tmp_path: Path) -> None:
    file = write(
        tmp_path / "mixed.jsonl",
        talk(user, "s", "the first"),
        "{not json",
        "",
        {"user_id": user, "turns": []},
        talk(user, "s", "the fifth line"),
        {**talk(user, "s", "x"), "typo": 1},
        '{"user_id": "u", "messages": [{"role": "user", "content": "\\ud800"}]}',
        {"messages": [{"role": "user", "content": "whose?"}]},
        talk(user, "s", "the last"),
    )
    done = cli("import", str(file), "--json", check=False)
    assert done.returncode == 1
    totals = json.loads(done.stdout)
    assert (totals["messages"], totals["bad_lines"]) == (3, 5)
    assert [problem.partition(":")[0] for problem in totals["problems"]] == [
        f"line {number}" for number in (2, 4, 6, 7, 8)
    ]
    assert [message["content"] for message in api.messages(user)] == [
        "the first",
        "the fifth line",
        "the last",
    ]
    shown = cli("import", str(file), "--dry-run", check=False)
    assert shown.returncode == 1
    assert "line 4: messages: a list of messages is missing" in shown.stderr


def test_an_import_that_was_stopped_goes_on(
    server: Server, api: Api, cli: Cli, user: str, tmp_path: Path
) -> None:
    talks = long_talk(user)
    file = write(tmp_path / "long.jsonl", *talks)
    with relaying(server.url) as relay:
        relay.before_answer = lambda number: number < 3
        stopped = cli("import", str(file), MEMGRID_URL=relay.url, check=False)
        assert stopped.returncode == 1
        assert "the same command goes on from here" in stopped.stderr
        assert 0 < len(contents(api, user)) < LINES * TURNS
        assert file.with_name("long.jsonl.memgrid-progress").exists()
        relay.before_answer = lambda number: True
        relay.requests = 0
        done = cli("import", str(file), MEMGRID_URL=relay.url)
        assert "going on after line" in done.stderr
        assert 0 < relay.requests < LINES * TURNS / 250
    assert contents(api, user) == expected(talks)
    assert not file.with_name("long.jsonl.memgrid-progress").exists()
    api.ok("DELETE", f"/users/{user}")


def test_an_import_that_was_killed_goes_on(
    server: Server, api: Api, cli: Cli, user: str, tmp_path: Path
) -> None:
    """kill -9 after the server has taken a request, and before the import knows."""
    talks = long_talk(user)
    file = write(tmp_path / "long.jsonl", *talks)
    reached, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> bool:
        if number == 3:
            reached.set()
            go_on.wait(60)
        return True

    with relaying(server.url) as relay:
        relay.before_answer = hold
        environment = {**os.environ, "MEMGRID_URL": relay.url}
        with subprocess.Popen(
            [MEMGRID, "import", file], env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        ) as importing:
            assert reached.wait(60)
            importing.send_signal(signal.SIGKILL)
            importing.wait()
            go_on.set()
        assert 0 < len(contents(api, user)) < LINES * TURNS
        cli("import", str(file), MEMGRID_URL=relay.url)
    assert contents(api, user) == expected(talks)
    api.ok("DELETE", f"/users/{user}")


def test_what_is_exported_can_be_imported(api: Api, cli: Cli, user: str, tmp_path: Path) -> None:
    sent = [
        {
            "role": "user",
            "content": "我叫张三，我喜欢打羽毛球",
            "name": "张三",
            "id": "m-1",
            "timestamp": "2024-02-29T23:59:59.123Z",
            "marks": ["hint", "重要"],
            "mood": {"score": 0.5},
        },
        {"role": "assistant", "content": "好的\n\t\u2028👍"},
        {"role": "user", "content": ""},
    ]
    whose = {"user_id": user, "agent_id": "导游", "group_id": "work"}
    body = {**whose, "session_id": "第一次", "metadata": {"channel": "web"}, "messages": sent}
    api.ok("POST", "/memories", json={**body, "wait": True})
    api.add(user, "I live in Hangzhou.", session_id="second")
    api.add(user, "Word for word.", session_id="second", infer=False)

    file = tmp_path / "export.jsonl"
    assert "exported 5 messages and 4 memories" in cli("export", "--user", user, "-o", str(file)).stderr
    lines = json_lines(file.read_text(encoding="utf-8"))
    assert [line["type"] for line in lines] == ["conversation"] * 3 + ["memory"] * 4
    assert json_lines(cli("export", "--user", user).stdout) == lines

    other = f"{user}-copy"
    moved = [{**line, "user_id": other} for line in lines]
    totals = json.loads(cli("import", str(write(tmp_path / "moved.jsonl", *moved)), "--json").stdout)
    assert (totals["messages"], totals["memories_skipped"], totals["bad_lines"]) == (5, 4, 0)

    def said(user: str) -> list[dict[str, Any]]:
        messages = api.messages(user)
        for message in messages:
            assert message["labels"].pop("user") == user
            for own in ("id", "client_id", "created_at", "status"):
                message.pop(own, None)
        return messages

    assert said(other) == said(user)
    api.ok("POST", "/buffers/flush", params={"user_id": other})
    texts = sorted(memory["memory"] for memory in api.memories(user))
    assert sorted(memory["memory"] for memory in api.memories(other)) == texts
    again = json.loads(cli("import", str(tmp_path / "moved.jsonl"), "--json").stdout)
    assert again["already_there"] == 5
    assert len(api.messages(other)) == 5


def test_an_archive_is_imported_beside_the_server(
    server: Server, api: Api, cli: Cli, user: str, tmp_path: Path
) -> None:
    """The subject is in its owner's memory when it comes; the index has it soon after, by meaning too."""
    archive = tmp_path / "one.jsonl"
    archive.write_bytes(asyncio.run(archive_of(Subject("default", "user", user), vectors=False)))
    search = {"query": "周末去打羽毛球", "types": ["message"], "top_k": 100, "strategy": "vector"}
    assert api.ok("POST", "/memories/search", json={**search, "user_id": user})["results"] == []
    settings = {"data_dir": str(server.folder / "data"), **server.settings}
    environment = {f"MEMGRID_{name.upper()}": value for name, value in settings.items()}
    assert "imported 1 subjects" in cli("import", str(archive), **environment).stderr
    assert len(api.messages(user)) == len(SAID) + 1
    api.embedded(user)
    assert api.ok("POST", "/memories/search", json={**search, "user_id": user})["results"]
    deadline = time.monotonic() + 60
    while not any(
        hit["subject"] == f"user:{user}"
        for hit in api.ok("POST", "/memories/search", json={**search, "everyone": True})["results"]
    ):
        assert time.monotonic() < deadline, "the index of the running server does not get what was imported"
        time.sleep(0.2)
