"""The command line, against a fake server over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner, Result

import memgrid
from memgrid import cli
from memgrid.cli import importing, output
from memgrid.cli.conversations import PIECE_MESSAGES, Conversations, Whose
from tests.fake_memgrid import FakeMemgrid, error, memory, serving


@pytest.fixture
def fake() -> Generator[FakeMemgrid]:
    with serving(FakeMemgrid()) as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MEMGRID_URL", "MEMGRID_API_KEY", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


def run(fake: FakeMemgrid | None, *arguments: str, stdin: bytes | str | None = None) -> Result:
    env = {"MEMGRID_URL": fake.url if fake else "http://127.0.0.1:1"}
    result = CliRunner().invoke(cli.build(), list(arguments), input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(*bodies: Any) -> str:
    return "".join((b if isinstance(b, str) else json.dumps(b, ensure_ascii=False)) + "\n" for b in bodies)


def talk(*texts: str, **rest: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts], **rest}


# --- the command line itself ------------------------------------------------------------------


def test_version() -> None:
    result = run(None, "--version")
    assert (result.exit_code, result.stdout) == (0, f"memgrid {memgrid.__version__}\n")


def command_names(group: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found += (
            command_names(command, (*prefix, name)) if hasattr(command, "commands") else [(*prefix, name)]
        )
    return found


def test_every_command_has_help() -> None:
    names = command_names(typer.main.get_command(cli.build()))
    assert {("add",), ("search",), ("import",), ("export",), ("profile",), ("context",)} <= set(names)
    for name in names:
        result = run(None, *name, "-h")
        assert result.exit_code == 0
        assert "Usage: memgrid" in result.stdout or "Usage: root" in result.stdout


def test_no_command_shows_the_help() -> None:
    assert "Commands" in run(None).output


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "x"),
        ("search", "x", "-u", "a", "--strategy", "magic"),
        ("search", "x", "-u", "a", "-k", "0"),
        ("add", "", "-u", "a"),
        ("add", "x", "-u", "a", "--meta", "novalue"),
        ("delete",),
        ("delete", "1", "--all"),
        ("delete", "--all"),
        ("profile",),
        ("nonsense",),
    ],
)
def test_what_is_not_understood_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run(None, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_an_unreachable_server_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memgrid._http._FIRST_PAUSE", 0.001)
    result = run(None, "search", "x", "-u", "a")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "memgrid serve" in result.stderr
    assert result.stdout == ""


def test_an_error_names_field_and_remedy(fake: FakeMemgrid) -> None:
    fake.fail = lambda *_: error(
        422, "invalid_input", "no [bold]such[/] filter", field="filters", remedy="fix it"
    )
    result = run(fake, "search", "x", "-u", "a")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: no [bold]such[/] filter",
        "field: filters",
        "  fix: fix it",
    ]


def test_an_error_is_json_where_json_is_wanted(fake: FakeMemgrid) -> None:
    result = run(fake, "get", "nope", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["code"] == "not_found"
    assert result.stdout == ""


def test_the_key_is_sent(fake: FakeMemgrid) -> None:
    fake.keys = {"secret"}
    assert run(fake, "profile", "-u", "a").exit_code == 1
    assert run(fake, "profile", "-u", "a", "--api-key", "secret").exit_code == 0


def test_the_real_program_in_a_pipe(fake: FakeMemgrid) -> None:
    fake.memories["张三"] = [memory("1", "爱好是打羽毛球\x1b[31m\nin two lines")]
    command = [sys.executable, "-c", "from memgrid.cli import main; main()", "list", "-u", "张三"]
    env = {
        "MEMGRID_URL": fake.url,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(Path(memgrid.__file__).parents[1]),
    }
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    assert done.stderr == b""
    assert done.stdout.decode() == "1\tfact\t\t2026-11-21 12:00:00\t爱好是打羽毛球�[31m in two lines\n"
    env["PYTHONIOENCODING"] = "ascii"
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    assert rb"\u7231\u597d" in done.stdout


def test_a_table_on_a_terminal_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from rich.console import Console

    screen = Console(file=StringIO(), force_terminal=True, width=40, markup=False, color_system=None)
    monkeypatch.setattr(output, "console", lambda **_: screen)
    output.print_table(["id", "text"], [["1", "我喜欢打羽毛球" * 5], ["2", "[red]x[/red]"]], empty="")
    shown = screen.file.getvalue()  # pyright: ignore
    assert shown.count("羽") == 5
    assert "[red]x[/red]" in shown


# --- memories ---------------------------------------------------------------------------------


def test_add(fake: FakeMemgrid) -> None:
    result = run(
        fake, "add", "我叫张三", "-u", "张三", "-s", "s1", "--wait", "--meta", "from=cli", "--name", "阿三"
    )
    assert result.exit_code == 0
    assert result.stdout == "+ 名字是张三\n"
    (kept,) = fake.messages["张三"]
    assert (kept["content"], kept["session_id"], kept["name"]) == ("我叫张三", "s1", "阿三")
    assert kept["metadata"] == {"from": "cli"}


def test_an_add_whose_extraction_takes_long_is_kept_all_the_same(fake: FakeMemgrid) -> None:
    slow = {"job_id": "j1", "status": "running", "message_ids": ["m"], "results": []}
    fake.fail = lambda method, path, body: (200, slow) if path.endswith("/memories") else None
    result = run(fake, "add", "我叫张三", "-u", "张三", "--wait")
    assert result.exit_code == 0
    assert result.stdout == "kept; the extraction goes on: memgrid job j1 tells how far it is\n"


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("pending", "kept; the extraction goes on: memgrid job j1 tells how far it is\n"),
        ("done", "+ 名字是张三\n"),
    ],
)
def test_job(fake: FakeMemgrid, status: str, shown: str) -> None:
    made = [{"id": "1", "event": "ADD", "memory": "名字是张三"}] if status == "done" else []
    job = {"job_id": "j1", "status": status, "messages": 1, "done": len(made), "results": made}
    fake.fail = lambda method, path, body: (200, job) if path == "/api/v1/jobs/j1" else None
    assert run(fake, "job", "j1").stdout == shown
    assert json.loads(run(fake, "job", "j1", "--json").stdout)["status"] == status
    if status == "done":
        assert run(fake, "job", "j1", "--wait").stdout == shown


def test_add_reads_stdin(fake: FakeMemgrid) -> None:
    result = run(fake, "add", "-", "-u", "a", "--role", "assistant", stdin="你好\n世界")
    assert result.exit_code == 0
    assert "job j1" in result.stdout
    assert fake.messages["a"][0]["content"] == "你好\n世界"
    assert fake.messages["a"][0]["role"] == "assistant"


def test_search(fake: FakeMemgrid) -> None:
    run(fake, "add", "我喜欢打羽毛球", "-u", "a")
    shown = run(fake, "search", "运动", "-u", "a", "--explain")
    assert shown.stdout == "0.500\tmessage\t2026-11-21 12:00:00\t我喜欢打羽毛球\twords=0.500\n"
    found = json.loads(run(fake, "search", "运动", "-u", "a", "--json").stdout)
    assert found["results"][0]["content"] == "我喜欢打羽毛球"
    assert "我喜欢" in run(fake, "search", "运动", "-u", "a", "--json").stdout
    nothing = run(fake, "search", "运动", "-u", "b")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "nothing found\n")


def test_a_filter_goes_along_and_has_to_be_an_object(fake: FakeMemgrid) -> None:
    assert run(fake, "search", "x", "-u", "a", "--filter", '{"kind": "fact"}').exit_code == 0
    assert fake.requests[-1][2]["filters"] == {"kind": "fact"}
    for wrong in ("{", "[1]"):
        refused = run(fake, "search", "x", "-u", "a", "--filter", wrong)
        assert refused.exit_code == 2
        assert "--filter" in refused.stderr


def test_the_form_and_the_period_of_a_context_go_along(fake: FakeMemgrid) -> None:
    form = ("--sections", "--template", "{facts}", "--since", "2026-11-01", "--until", "2026-11-02")
    assert run(fake, "context", "x", "-u", "a", *form).exit_code == 0
    asked = parse_qs(urlsplit(fake.requests[-1][1]).query)
    assert (asked["plain"], asked["template"]) == (["false"], ["{facts}"])
    assert (asked["since"], asked["until"]) == (["2026-11-01T00:00:00"], ["2026-11-02T00:00:00"])


def test_context_and_profile(fake: FakeMemgrid) -> None:
    assert run(fake, "context", "周末？", "-u", "张三").stdout == "- 张三: 周末？\n"
    shown = run(fake, "profile", "-u", "张三")
    assert shown.stdout.splitlines()[0] == "张三喜欢打羽毛球"
    assert "interest\tsport\t打羽毛球" in shown.stdout
    assert json.loads(run(fake, "profile", "-u", "张三", "--json").stdout)["total_memories"] == 2


def test_list_get_history_delete(fake: FakeMemgrid) -> None:
    fake.memories["a"] = [memory("1", "likes tea", tags=["drink"]), memory("2", "lives in Hangzhou")]
    assert [line.split("\t")[0] for line in run(fake, "list", "-u", "a").stdout.splitlines()] == ["1", "2"]
    assert len(json.loads(run(fake, "list", "-u", "a", "--json", "--limit", "1").stdout)) == 1
    assert run(fake, "get", "1").stdout.splitlines()[0] == "likes tea"
    assert "extraction" in run(fake, "history", "1").stdout
    assert run(fake, "delete", "1", "2").stdout == "forgotten: 2\n"


def test_forgetting_everything_is_confirmed(fake: FakeMemgrid) -> None:
    fake.memories["a"] = [memory("1", "likes tea")]
    run(fake, "add", "hi", "-u", "a")
    refused = run(fake, "delete", "--all", "-u", "a")
    assert refused.exit_code == 1
    assert "--yes" in refused.stderr
    assert run(fake, "erase", "-u", "a").exit_code == 1
    assert fake.memories["a"]
    assert fake.messages["a"]
    assert run(fake, "delete", "--all", "-u", "a", "--yes").stdout == "forgotten: 1\n"
    assert run(fake, "erase", "-u", "a", "-y").stdout == "erased: 0 memories, 1 messages\n"


def extraction_run(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "status": "done",
        "message_ids": ["m0"],
        "memory_ids": ["1"],
        "extractor": "llm",
        "prompt_version": "extract.v2.zh",
        "model": "small",
        "input_tokens": 700,
        "output_tokens": 50,
        "cost": 0.00025,
        "llm_calls": 1,
        "duration_ms": 1234,
        "created_at": "2026-11-21T12:00:00Z",
        "recorded": True,
        "calls": [{"purpose": "extract", "model": "small", "prompt_version": "extract.v2.zh"}],
        "decisions": [{"action": "ADD", "memory_id": "1", "reason": "new", "claim": "住在杭州"}],
        "dropped": [{"claim": "住在火星", "reason": "its value was not said"}],
        **rest,
    }


def test_runs_page_by_page_and_by_status(fake: FakeMemgrid) -> None:
    fake.runs = [
        extraction_run("r0"),
        extraction_run("r1", status="parked", error="the model is away", cost=None, model=None),
        extraction_run("r2"),
    ]
    page = run(fake, "runs", "-u", "a", "--limit", "2")
    assert page.stdout.splitlines() == [
        "2026-11-21 12:00:00\tdone\tsmall\t700+50\t0.00025\t1.23 s\t1\t1\tr0\t",
        "2026-11-21 12:00:00\tparked\tllm\t700+50\t\t1.23 s\t1\t1\tr1\tthe model is away",
    ]
    assert page.stderr == "more with --cursor 2\n"
    rest = run(fake, "runs", "-u", "a", "--limit", "2", "--cursor", "2")
    assert ("r2" in rest.stdout, rest.stderr) == (True, "")
    parked = run(fake, "runs", "-u", "a", "--status", "parked", "--json")
    assert [one["id"] for one in json.loads(parked.stdout)["runs"]] == ["r1"]


def test_one_run_tells_why_and_what_it_cost(fake: FakeMemgrid) -> None:
    fake.runs = [extraction_run("r0", status="parked", error="the model is away")]
    shown = run(fake, "runs", "r0").stdout
    for told in ("small", "extract.v2.zh", "700 in, 50 out", "0.00025", "1.23 s", "the model is away"):
        assert told in shown
    assert "ADD\t住在杭州\tnew\t1\n" in shown
    assert "住在火星\tits value was not said\n" in shown
    assert json.loads(run(fake, "runs", "r0", "--json").stdout)["decisions"][0]["reason"] == "new"
    assert "driven again: done" in run(fake, "runs", "r0", "--drive").stdout
    assert run(fake, "runs", "unknown").exit_code == 1
    assert run(fake, "runs", "r0", "--status", "parked").exit_code == 2
    assert run(fake, "runs", "--drive").exit_code == 2


def test_health(fake: FakeMemgrid) -> None:
    well = run(fake, "health")
    assert well.exit_code == 0
    assert "wide_store\thealthy" in well.stdout
    report = {"timestamp": "2026-01-01T00:00:00Z", "components": {}, "overall": "unhealthy"}
    body = {"error": {"code": "unavailable", "message": ""}, "detail": report}
    fake.fail = lambda *_: (503, body)
    ill = run(fake, "health", "--json")
    assert ill.exit_code == 1
    assert json.loads(ill.stdout)["overall"] == "unhealthy"


# --- import -----------------------------------------------------------------------------------


def test_import_keeps_every_message_in_order(fake: FakeMemgrid, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    texts = [f"第{number}句" for number in range(PIECE_MESSAGES * 2 + 7)]
    file.write_text(
        lines(
            talk(*texts, user_id="long"),
            *(talk(f"{i}-a", f"{i}-b", user_id=f"u{i % 7}", session_id=f"s{i}") for i in range(200)),
        ),
        encoding="utf-8",
    )
    result = run(fake, "import", str(file), "--json")
    assert result.exit_code == 0, result.output
    totals = json.loads(result.stdout)
    assert (totals["conversations"], totals["messages"], totals["bad_lines"]) == (201, len(texts) + 400, 0)
    assert fake.said("long") == texts
    for user in range(7):
        expected = [f"{i}-{side}" for i in range(200) if i % 7 == user for side in "ab"]
        assert fake.said(f"u{user}") == expected
    assert not list(tmp_path.glob("*progress*"))


def test_a_second_import_changes_nothing(fake: FakeMemgrid, tmp_path: Path) -> None:
    body = lines(
        talk("hi", "hi", "好", user_id="a"),
        talk("hi", "again", user_id="a", session_id="s"),
        talk("hi", user_id="a", session_id="s"),
        {"user_id": "a", "messages": [{"id": "own", "content": "x"}]},
        talk("bare fine-tuning line", tools=[], parallel_tool_calls=True),
    )
    (tmp_path / "one.jsonl").write_text(body, encoding="utf-8")
    (tmp_path / "two.jsonl").write_text(body, encoding="utf-8")
    first = json.loads(run(fake, "import", "one.jsonl", "-u", "a", "--json").stdout)
    assert (first["messages"], first["already_there"]) == (8, 0)
    kept = list(fake.messages["a"])
    assert len(kept) == 8
    for again in (("one.jsonl",), ("two.jsonl",), ("one.jsonl", "--restart")):
        totals = json.loads(run(fake, "import", *again, "-u", "a", "--json").stdout)
        assert (totals["messages"], totals["already_there"]) == (8, 8)
    assert fake.messages["a"] == kept


def test_the_same_words_twice_in_a_session_are_two_messages(fake: FakeMemgrid) -> None:
    body = lines(talk("ok", user_id="a", session_id="s"), talk("ok", user_id="a", session_id="s"))
    run(fake, "import", "-", stdin=body)
    assert fake.said("a") == ["ok", "ok"]


def test_a_conversation_that_grew_adds_what_is_new(fake: FakeMemgrid) -> None:
    run(fake, "import", "-", stdin=lines(talk("one", "two", user_id="a", session_id="s")))
    run(fake, "import", "-", stdin=lines(talk("one", "two", "three", user_id="a", session_id="s")))
    assert fake.said("a") == ["one", "two", "three"]


BAD_LINES: list[tuple[str, str]] = [
    ('{"messages": [', "not JSON"),
    ("[]", "not a JSON object"),
    ('{"user_id": "a"}', "messages"),
    ('{"messages": "hi"}', "messages"),
    ('{"messages": ["hi"]}', "messages.0"),
    ('{"messages": [{"role": "user"}]}', "messages.0.content"),
    ('{"messages": [{"content": 3}]}', "messages.0.content"),
    ('{"messages": [{"content": "x"}], "sesion_id": "typo"}', "sesion_id"),
    ('{"messages": [{"content": "x", "timestamp": "yesterday"}]}', "messages.0.timestamp"),
    ('{"messages": [{"content": "x"}], "type": "poem"}', "type"),
    ('{"messages": [{"content": "\\ud800"}]}', "not JSON"),
    ('{"messages": [{"content": "x", "n": NaN}]}', "not JSON"),
    ('{"messages": [{"content": "x", "n": ' + "[" * 5000 + "]" * 5000 + "}]}", "not JSON"),
    ('{"messages": [{"content": "' + "x" * 300 + '"}], "user_id": "' + "u" * 300 + '"}', "user_id"),
]


@pytest.mark.parametrize(("bad", "why"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_named_and_does_not_stop_the_others(fake: FakeMemgrid, bad: str, why: str) -> None:
    body = lines(talk("before", user_id="u"), "", bad, talk("after", user_id="u"))
    result = run(fake, "import", "-", "-u", "default", stdin=body)
    assert result.exit_code == 1
    assert f"line 3: {why}" in result.stderr
    assert "imported 2 messages of 2 conversations" in result.stderr
    assert fake.said("u") == ["before", "after"]


def test_bytes_that_are_no_text_are_a_bad_line(fake: FakeMemgrid) -> None:
    body = b'\xef\xbb\xbf{"messages": [{"content": "x"}]}\r\n{"messages": [{"content": "\xff"}]}'
    result = run(fake, "import", "-", "-u", "u", stdin=body)
    assert result.exit_code == 1
    assert "line 2: not JSON" in result.stderr
    assert fake.said("u") == ["x"]


def test_a_line_that_names_nobody_needs_a_user(fake: FakeMemgrid) -> None:
    result = run(fake, "import", "-", stdin=lines(talk("hi"), talk("hi", agent_id="bot")))
    assert "line 1: user_id" in result.stderr
    assert fake.said("bot") == ["hi"]


def test_the_option_does_not_take_over_a_line_that_names_someone(fake: FakeMemgrid) -> None:
    run(fake, "import", "-", "-u", "me", stdin=lines(talk("hi", agent_id="bot")))
    assert fake.said("bot") == ["hi"]
    assert fake.said("me") == []


def test_a_message_that_only_calls_tools_is_kept(fake: FakeMemgrid) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    run(fake, "import", "-", stdin=lines({"user_id": "a", "messages": [call]}))
    assert fake.messages["a"][0]["extra"] == {"tool_calls": [{"id": "1"}]}


def test_dry_run_sends_nothing(fake: FakeMemgrid) -> None:
    body = lines(talk("hi", "ho", user_id="a"), "{", {"type": "memory", "memory": "x"})
    result = run(fake, "import", "-", "--dry-run", stdin=body)
    assert result.exit_code == 1
    assert "would import 2 messages of 1 conversations" in result.stderr
    assert "line 2: not JSON" in result.stderr
    assert not fake.requests


def test_a_missing_file_is_an_error() -> None:
    result = run(None, "import", "nowhere.jsonl", "-u", "a")
    assert result.exit_code == 1
    assert "nowhere.jsonl cannot be read" in result.stderr


def test_an_item_the_server_refuses_is_a_bad_line(fake: FakeMemgrid) -> None:
    fake.fail_item = lambda item: (
        {"code": "conflict", "message": "used before"} if item["user_id"] == "b" else None
    )
    result = run(fake, "import", "-", stdin=lines(talk("x", user_id="a"), talk("y", user_id="b")))
    assert result.exit_code == 1
    assert "line 2: used before" in result.stderr
    assert fake.said("a") == ["x"]


def test_a_batch_that_is_refused_as_a_whole_is_sent_one_by_one(fake: FakeMemgrid) -> None:
    def fail(method: str, path: str, body: Any) -> Any:
        if path.endswith("/batch") and any("poison" in str(item) for item in body["items"]):
            return error(422, "invalid_input", "items.1: unknown")
        return None

    fake.fail = fail
    body = lines(*(talk(text, user_id="a") for text in ("one", "poison", "two")))
    result = run(fake, "import", "-", stdin=body)
    assert result.exit_code == 1
    assert "line 2: items.1: unknown" in result.stderr
    assert fake.said("a") == ["one", "two"]


def test_an_overloaded_subject_is_waited_for(fake: FakeMemgrid) -> None:
    refusals = iter([{"code": "overloaded", "message": "full", "retry_after": 0.01}] * 3)
    fake.fail_item = lambda item: next(refusals, None) if item["user_id"] == "a" else None
    result = run(fake, "import", "-", stdin=lines(talk("x", user_id="a"), talk("y", user_id="b")))
    assert result.exit_code == 0
    assert fake.said("a") == ["x"]


def test_an_import_that_gets_nowhere_stops(fake: FakeMemgrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PATIENCE", 0.05)
    fake.fail_item = lambda item: {"code": "overloaded", "message": "full", "retry_after": 0.01}
    result = run(fake, "import", "-", stdin=lines(talk("x", user_id="a")))
    assert result.exit_code == 1
    assert "error: full" in result.stderr


def test_an_interrupted_import_goes_on_where_it_was(
    fake: FakeMemgrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memgrid._http._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("memgrid._http._LONGEST_BACKOFF", 0.001)
    file = tmp_path / "chats.jsonl"
    bodies = [talk(f"m{i}", user_id="a", session_id="s") for i in range(1000)]
    file.write_text(lines(*bodies[:500], "{", *bodies[500:]), encoding="utf-8")
    batches = 0

    def fail(method: str, path: str, body: Any) -> Any:
        nonlocal batches
        batches += 1
        return error(503, "unavailable", "gone") if batches > 12 else None

    fake.fail = fail
    stopped = run(fake, "import", str(file), "--json")
    assert stopped.exit_code == 1
    progress = tmp_path / "chats.jsonl.memgrid-progress"
    done = json.loads(progress.read_text(encoding="utf-8"))["line"]
    arrived = len(fake.messages["a"])
    assert 0 < arrived < 1000
    assert done - (done > 500) <= arrived

    fake.fail = lambda *_: None
    fake.requests.clear()
    finished = run(fake, "import", str(file), "--json")
    assert finished.exit_code == 1  # the bad line
    totals = json.loads(finished.stdout)
    assert (totals["messages"], totals["bad_lines"]) == (1000, 1)
    assert fake.said("a") == [f"m{i}" for i in range(1000)]
    sent = sum(len(body["items"]) for _, _, body in fake.requests)
    assert sent == 1000 - (done - (done > 500))
    assert not progress.exists()


def test_ctrl_c_keeps_what_is_done(fake: FakeMemgrid, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(lines(*(talk(f"m{i}", user_id="a") for i in range(2000))), encoding="utf-8")
    reached, released = threading.Event(), threading.Event()

    def fail(method: str, path: str, body: Any) -> None:
        if len(fake.requests) == 5:
            reached.set()
            released.wait(120)

    fake.fail = fail
    command = [sys.executable, "-c", "from memgrid.cli import main; main()", "import", str(file)]
    root = str(Path(memgrid.__file__).parents[1])
    env = {"MEMGRID_URL": fake.url, "PYTHONPATH": root, "PATH": os.environ["PATH"]}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert reached.wait(120)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        released.set()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "goes on from here" in err
    progress = json.loads((tmp_path / "chats.jsonl.memgrid-progress").read_text(encoding="utf-8"))
    assert progress["line"] > 0
    assert run(fake, "import", str(file)).exit_code == 0
    assert fake.said("a") == [f"m{i}" for i in range(2000)]


@pytest.mark.parametrize("change", ["file", "target", "garbage"])
def test_progress_of_another_import_is_not_believed(fake: FakeMemgrid, tmp_path: Path, change: str) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(lines(talk("one"), talk("two")), encoding="utf-8")
    target = json.dumps(
        {
            "user_id": "a",
            "agent_id": None,
            "app_id": None,
            "run_id": None,
            "session": None,
            "infer": True,
            "url": fake.url,
        }
    )
    progress = importing.Progress(file, target)
    with file.open("rb") as source:
        mark, _ = next(importing.lines_of(source))
    progress.save(mark)
    assert progress.load() == 1
    user = "a"
    if change == "file":
        file.write_text(lines(talk("0ne"), talk("two")), encoding="utf-8")
    elif change == "target":
        user = "b"
    else:
        progress.path.write_text('{"line": "x"', encoding="utf-8")
    assert run(fake, "import", str(file), "-u", user).exit_code == 0
    assert len(fake.said(user)) == 2


def test_a_line_beyond_the_limit_is_left_out(fake: FakeMemgrid, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("importing", "conversations"):
        monkeypatch.setattr(f"memgrid.cli.{module}.MAX_LINE_BYTES", 200)
    body = lines(talk("x" * 1000, user_id="a"), talk("short", user_id="a"))
    result = run(fake, "import", "-", stdin=body)
    assert "line 1: longer than 200 bytes" in result.stderr
    assert fake.said("a") == ["short"]


def test_ids_do_not_depend_on_the_file_or_on_the_order_of_keys() -> None:
    def ids(raw: str) -> list[str | None]:
        pieces = Conversations(Whose(user_id="a")).read(9, raw.encode())
        return [message.id for piece in pieces or [] for message in piece.request.messages]

    one = ids('{"messages": [{"role": "user", "content": "好"}, {"content": "x", "role": "user"}]}')
    two = ids('{"messages": [{"content": "好", "role": "user"}, {"role": "user", "content": "x"}]}')
    assert one == two
    assert len(set(one)) == 2
    assert ids('{"messages": [{"role": "user", "content": "坏"}]}')[0] not in one


# --- export -----------------------------------------------------------------------------------


RICH = [
    {
        "role": "user",
        "content": "我叫张三",
        "name": "阿三",
        "id": "c1",
        "timestamp": "2024-01-02T03:04:05Z",
        "marks": ["seen"],
    },
    {"role": "assistant", "content": "", "tool_calls": [{"id": "t"}]},
    {
        "role": "user",
        "content": [{"type": "text", "text": "图"}, {"type": "image_url", "image_url": {"url": "x"}}],
    },
]


def test_what_was_exported_is_imported_as_it_was(fake: FakeMemgrid, tmp_path: Path) -> None:
    run(
        fake,
        "import",
        "-",
        stdin=lines({"user_id": "张三", "session_id": "s", "messages": RICH, "metadata": {"k": 1}}),
    )
    run(fake, "add", "later", "-u", "张三", "-s", "s")
    run(fake, "add", "elsewhere", "-u", "张三", "-s", "a")
    fake.memories["张三"] = [memory("1", "名字是张三")]
    out = tmp_path / "张三.jsonl"
    result = run(fake, "export", "-u", "张三", "-o", str(out), "--json")
    assert json.loads(result.stdout) == {"messages": 5, "memories": 1, "file": str(out)}
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["type"] for line in written] == ["conversation", "conversation", "conversation", "memory"]
    assert "张三" in out.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.part"))

    with serving(FakeMemgrid()) as other:
        imported = run(other, "import", str(out))
        assert imported.exit_code == 0, imported.output
        assert "1 memories left out" in imported.stderr
        fields = ("session_id", "role", "content", "name", "event_time", "marks", "metadata", "extra")

        def seen(server: FakeMemgrid) -> list[Any]:
            rows = [{name: m[name] for name in fields} for m in server.messages["张三"]]
            for row in rows:
                row["event_time"] = row["event_time"].replace("+00:00", "Z")
            return sorted(rows, key=lambda row: (row["session_id"], row["event_time"], str(row)))

        assert seen(other) == seen(fake)
        again = run(other, "import", str(out), "--json")
        assert json.loads(again.stdout)["already_there"] == 5


def test_export_to_a_pipe_is_nothing_but_jsonl(fake: FakeMemgrid) -> None:
    run(fake, "add", "hi", "-u", "a")
    result = run(fake, "export", "-u", "a")
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["messages"][0]["content"] == "hi"
    assert "exported 1 messages and 0 memories" in result.stderr


def test_a_failed_export_leaves_no_file(fake: FakeMemgrid, tmp_path: Path) -> None:
    run(fake, "add", "hi", "-u", "a")
    fake.fail = lambda method, path, body: (
        error(500, "internal_error", "broken") if path.endswith("/messages") else None
    )
    out = tmp_path / "out.jsonl"
    assert run(fake, "export", "-u", "a", "-o", str(out)).exit_code == 1
    assert not list(tmp_path.iterdir())
    assert run(fake, "export", "-u", "a", "-o", str(tmp_path / "no" / "where")).exit_code == 1


def test_batches_are_bounded(fake: FakeMemgrid) -> None:
    many = (talk("x" * 900, user_id=f"u{i % 5}") for i in range(1200))
    long = (talk(*(["y"] * 300), user_id=f"v{i}") for i in range(12))
    heavy = (talk("z" * 900_000, user_id="w", session_id=str(i)) for i in range(5))
    run(fake, "import", "-", stdin=lines(*many, *long, *heavy))
    batches = [body["items"] for _, path, body in fake.requests if path.endswith("/batch")]
    assert sum(map(len, batches)) == 1217
    assert max(map(len, batches)) <= importing.BATCH_ITEMS
    assert max(sum(len(item["messages"]) for item in items) for items in batches) <= importing.BATCH_MESSAGES
    assert max(len(json.dumps(items)) for items in batches) <= importing.BATCH_BYTES * 1.1
