"""`memgrid export --all`, `import` and `verify`, on embedded stores, without a server."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.archive import exporting
from cluster.search_index.imported import unput
from cluster.wide_store.sqlite import SqliteStore
from memgrid.cli import build
from memgrid.subject import Subject, shard_of
from tests.conformance.wide_store.samples import conversation
from tests.store_contents import contents
from tests.unit.test_archive import LI, MODEL, SUBJECTS, USER, filled

SHARDS = 256


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEMGRID_API_KEY", "MEMGRID_URL", "MEMGRID_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(build(), list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ran(*arguments: str, stdin: bytes | None = None) -> Result:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


async def opened(folder: str) -> SqliteStore:
    store = SqliteStore(Path(folder))
    await store.open(shards=SHARDS)
    return store


async def everything_in(folder: str) -> dict[Any, Any]:
    store = await opened(folder)
    try:
        return await contents(store, model=MODEL)
    finally:
        await store.close()


@pytest.fixture
def source() -> str:
    """A folder with a store of three subjects."""

    async def fill() -> None:
        store = await opened("source")
        await filled(store)
        await store.close()

    asyncio.run(fill())
    return "source"


@pytest.mark.parametrize("file", ["all.jsonl", "all.jsonl.gz"])
def test_a_store_is_moved_by_two_commands(source: str, file: str) -> None:
    done = json.loads(ran("export", "--all", "--vectors", file, "--data-dir", source, "--json").stdout)
    assert done["subjects"] == 3
    raw = Path(file).read_bytes()
    assert raw.startswith(b"\x1f\x8b") is file.endswith(".gz")
    assert Path(file).stat().st_mode & 0o077 == 0
    assert [path.name for path in Path().glob("*.part")] == []
    ran("verify", "--file-only", file)
    assert run("verify", file, "--data-dir", "target").exit_code == 1  # there is no such store

    report = json.loads(ran("import", file, "--data-dir", "target", "--json").stdout)
    # The source's request claims are over by the clock of today.
    assert (report["subjects"], report["copied"], report["problems"]) == (3, 3, [])
    there, here = asyncio.run(everything_in(source)), asyncio.run(everything_in("target"))
    for subject in SUBJECTS:
        claims = there[subject]["claims"]
        there[subject]["claims"] = {key: claim for key, claim in claims.items() if key[0] == "message"}
    assert here == there
    again = json.loads(ran("import", file, "--data-dir", "target", "--json").stdout)
    assert (again["copied"], again["already_there"]) == (0, 3)
    assert "verified 3 subjects" in ran("verify", file, "--data-dir", "target").stderr
    assert "verified 3 subjects" in ran("verify", file, "--data-dir", source).stderr


def test_a_server_is_asked_to_fill_its_index(source: str) -> None:
    ran("export", "--all", "--user", USER.id, "--tenant", USER.tenant, "one.jsonl", "--data-dir", source)
    ran("import", "one.jsonl", "--data-dir", "target")

    async def named() -> dict[int, object]:
        store = await opened("target")
        found = await unput(store, range(SHARDS))
        await store.close()
        return {shard: each.subjects for shard, each in found.items()}

    assert asyncio.run(named()) == {shard_of(USER, SHARDS): {USER}}


def test_parts_of_a_store(source: str) -> None:
    ran("export", "--all", "--tenant", "acme", "tenant.jsonl", "--data-dir", source)
    ran("import", "tenant.jsonl", "--data-dir", "tenant")
    found = asyncio.run(everything_in("tenant"))
    assert {each for each in found if isinstance(each, Subject)} == {USER, LI}
    ran("export", "--all", "--tenant", "acme", "--agent", LI.id, "agent.jsonl", "--data-dir", source)
    ran("import", "agent.jsonl", "--data-dir", "agent")
    found = asyncio.run(everything_in("agent"))
    assert {each for each in found if isinstance(each, Subject)} == {LI}
    missing = run("export", "--all", "--user", "nobody", "nobody.jsonl", "--data-dir", source)
    assert missing.exit_code == 1
    assert "the store has nothing of user 'nobody'" in missing.stderr
    assert not Path("nobody.jsonl").exists()


def test_through_pipes(source: str) -> None:
    archive = ran("export", "--all", "-", "--data-dir", source).stdout_bytes
    ran("import", "-", "--data-dir", "one", stdin=archive)
    ran("import", "-", "--data-dir", "other", stdin=gzip.compress(archive))
    assert asyncio.run(everything_in("one")) == asyncio.run(everything_in("other"))
    cut = run("import", "-", "--data-dir", "cut", stdin=archive[:-100])
    assert cut.exit_code == 1
    assert "damaged at line" in cut.stderr


def test_what_is_refused_is_named(source: str) -> None:
    ran("export", "--all", "all.jsonl", "--data-dir", source)

    async def live() -> None:
        store = await opened("target")
        await store.append(USER, 0, conversation(1))
        await store.close()

    asyncio.run(live())
    result = run("import", "all.jsonl", "--data-dir", "target")
    assert result.exit_code == 1
    assert "user '张三' of tenant 'acme': the store lacks" in result.stderr
    assert "imported 2 subjects" in result.stderr
    checked = run("verify", "all.jsonl", "--data-dir", "target", "--json")
    assert checked.exit_code == 1
    (problem,) = json.loads(checked.stdout)["problems"]
    assert problem["what"] == "user '张三' of tenant 'acme'"


def test_an_altered_file_is_refused_before_anything_is_taken(source: str) -> None:
    ran("export", "--all", "all.jsonl", "--data-dir", source)
    lines = Path("all.jsonl").read_bytes().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if line.startswith(b'{"message"'))
    lines[last] = lines[last].replace("第4句".encode(), "第五句".encode())
    Path("all.jsonl").write_bytes(b"".join(lines))
    result = run("import", "all.jsonl", "--data-dir", "target", "--json")
    assert result.exit_code == 1
    error = json.loads(result.stderr)["error"]
    assert "its message rows are not those that were written" in error["message"]
    assert any(repr(subject.id) in error["message"] for subject in SUBJECTS)
    assert not Path("target").exists()
    assert run("import", "all.jsonl", "--dry-run").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "--all", "--url", "http://x", "f"), "HTTP"),
        (("export", "--all"), "FILE"),
        (("export", "--vectors", "--user", "u"), "--all"),
        (("export", "--user", "u", "f", "-o", "g"), "--output"),
        (("import", "a.jsonl", "--user", "u"), "conversations"),
        (("import", "a.jsonl", "--no-infer"), "conversations"),
        (("import", "c.jsonl", "--data-dir", "d"), "archives"),
    ],
)
def test_options_that_mean_nothing_are_refused(source: str, arguments: tuple[str, ...], said: str) -> None:
    ran("export", "--all", "a.jsonl", "--data-dir", source)
    Path("c.jsonl").write_text('{"messages": []}\n', encoding="utf-8")
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(("file", "said"), [("a.jsonl", "no file was written"), ("-", "not whole")])
def test_an_export_that_is_stopped_says_what_there_is(
    source: str, file: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "export_archive", stopped)
    result = run("export", "--all", file, "--data-dir", source)
    assert result.exit_code == 130
    assert said in result.stderr
    assert not Path("a.jsonl").exists()
    assert not Path("a.jsonl.part").exists()


def test_a_killed_import_goes_on(source: str) -> None:
    """kill -9 between two writes of the real command, wherever it happens to be."""

    async def fill() -> None:
        store = await opened(source)
        for number in range(300):
            await store.append(Subject("acme", "user", f"u{number}"), 0, conversation(20))
        await store.close()

    asyncio.run(fill())
    ran("export", "--all", "--vectors", "all.jsonl", "--data-dir", source)
    command = [Path(sys.executable).with_name("memgrid"), "import", "all.jsonl", "--data-dir", "target"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as importing:
        deadline = time.monotonic() + 60
        while subjects_in("target") < 20:
            assert importing.poll() is None
            assert time.monotonic() < deadline
        importing.send_signal(signal.SIGKILL)
        importing.wait()
    assert 20 <= subjects_in("target") < 303
    report = json.loads(ran("import", "all.jsonl", "--data-dir", "target", "--json").stdout)
    assert report["already_there"] > 0
    assert report["copied"] + report["already_there"] == 303
    assert "verified 303 subjects" in ran("verify", "all.jsonl", "--data-dir", "target").stderr


def subjects_in(folder: str) -> int:
    """How many subjects a store has, seen from outside."""
    path = Path(folder) / "store-0.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM heads WHERE listed = 1").fetchone()[0]
        except sqlite3.OperationalError:  # it is just being made
            return 0
