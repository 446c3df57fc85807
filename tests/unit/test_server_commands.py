"""serve, keys, config and doctor, up to where Ray begins."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import actors.runtime
from actors import commands, doctor
from cluster.settings import Settings
from memgrid.cli.output import MemgridGroup
from memgrid.errors import InvalidInput, Unavailable
from tests.fake_memgrid import FakeMemgrid, serving
from tests.servers.processes import free_port


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEMGRID_API_KEY", "MEMGRID_URL", "MEMGRID_PORT", "MEMGRID_HOST", "MEMGRID_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    root = typer.Typer(cls=MemgridGroup, pretty_exceptions_enable=False)
    root.add_typer(commands.app)
    result = CliRunner().invoke(root, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings that a server was started with, instead of a server."""
    started: list[Settings] = []

    def run(settings: Settings, on_ready: Callable[[], None]) -> None:
        started.append(settings)
        on_ready()

    monkeypatch.setattr(actors.runtime, "run", run)
    return started


# --- serve ------------------------------------------------------------------------------------


def test_serve_takes_options_over_everything_else(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMGRID_PORT", "9001")
    Path("other.yaml").write_text("port: 9002\nlog_level: error\n", encoding="utf-8")
    result = run("serve", "--port", "9003", "--data-dir", "d", "--config", "other.yaml")
    assert result.exit_code == 0, result.output
    (settings,) = served
    assert (settings.port, settings.data_dir, settings.log_level) == (9003, Path("d"), "error")
    assert f"{tmp_path}/d" in result.stderr.replace("\n", "")
    assert "http://127.0.0.1:9003/docs" in result.stderr
    assert "only this machine" in result.stderr


def test_serve_refuses_the_network_without_keys(served: list[Settings]) -> None:
    result = run("serve", "--host", "0.0.0.0")
    assert result.exit_code == 1
    assert "memgrid keys create" in result.stderr
    assert not served


def test_serve_opens_to_the_network_with_keys(served: list[Settings]) -> None:
    assert run("keys", "create").exit_code == 0
    result = run("serve", "--host", "0.0.0.0")
    assert result.exit_code == 0, result.output
    assert served[0].host == "0.0.0.0"
    assert "API keys are required" in result.stderr
    assert "Authorization: Bearer" in result.stderr


def test_a_wrong_setting_is_an_error_with_a_remedy(served: list[Settings]) -> None:
    Path("config.yaml").write_text("prot: 9000\n", encoding="utf-8")
    result = run("serve")
    assert result.exit_code == 1
    assert "prot" in result.stderr
    assert "port" in result.stderr.split("fix:")[1]
    assert not served


def test_a_setting_without_effect_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://q")
    result = run("config", "--validate")
    assert result.exit_code == 0
    assert "QDRANT_URL" in result.stderr


# --- keys -------------------------------------------------------------------------------------


def test_a_key_is_shown_once_listed_and_revoked() -> None:
    created = json.loads(run("keys", "create", "--tenant", "t", "--label", "笔记本", "--json").stdout)
    assert created["key"].startswith("mg_")
    assert (created["tenant"], created["role"], created["label"]) == ("t", "writer", "笔记本")
    run("keys", "create", "--role", "admin")
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert {row["role"] for row in listed} == {"writer", "admin"}
    assert created["key"] not in run("keys", "list").stdout
    assert [row["id"] for row in json.loads(run("keys", "list", "--tenant", "t", "--json").stdout)] == [
        created["id"]
    ]
    assert run("keys", "revoke", created["id"]).exit_code == 0
    (row,) = json.loads(run("keys", "list", "--tenant", "t", "--json").stdout)
    assert row["revoked_at"]


def test_the_text_of_a_key_can_be_piped() -> None:
    result = run("keys", "create")
    assert result.stdout.startswith("mg_")
    assert result.stdout.count("\n") == 1


def test_a_key_that_is_not_there_is_an_error() -> None:
    result = run("keys", "revoke", "nope")
    assert result.exit_code == 1
    assert "keys list" in result.stderr


def test_a_role_that_is_none_is_a_usage_error() -> None:
    assert run("keys", "create", "--role", "god").exit_code == 2


# --- config -----------------------------------------------------------------------------------


def test_config_shows_where_a_value_comes_from_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_LLM_API_KEY", "sk-very-secret")
    Path("config.yaml").write_text("port: 9000\n", encoding="utf-8")
    shown = run("config")
    rows = {line.split("\t")[0]: line.split("\t") for line in shown.stdout.splitlines()}
    assert rows["port"][1:3] == ["9000", "config.yaml port"]
    assert "sk-very-secret" not in shown.stdout
    listed = {row["name"]: row for row in json.loads(run("config", "--json").stdout)}
    assert set(listed) == set(Settings.model_fields)
    assert listed["host"]["source"] == "default"


# --- doctor -----------------------------------------------------------------------------------


def by_name(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(result.stdout)}


def test_doctor_finds_this_machine_well() -> None:
    result = run("doctor", "--port", str(free_port()), "--json")
    found = by_name(result)
    assert result.exit_code == 0, result.output
    assert not [f for f in found.values() if f["state"] == "failed"]
    assert {"python", "settings", "data folder", "sqlite", "memory", "embedding", "port"} <= set(found)
    assert "Chinese and English" in found["embedding"]["found"]
    assert not Path("data").exists()  # looking changes nothing


def test_doctor_names_what_is_wrong_and_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data").write_text("a file where the folder should be", encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        taken.settimeout(10)
        monkeypatch.setattr(doctor, "SERVER_TIMEOUT", 0.2)
        result = run("doctor", "--port", str(taken.getsockname()[1]), "--json")
    found = by_name(result)
    assert result.exit_code == 1
    assert found["data folder"]["state"] == "failed"
    assert "MEMGRID_DATA_DIR" in found["data folder"]["fix"]
    assert found["port"]["state"] == "failed"
    assert "MEMGRID_PORT" in found["port"]["fix"]


@pytest.fixture
def fake() -> Generator[FakeMemgrid]:
    with serving(FakeMemgrid()) as server:
        yield server


async def test_doctor_recognises_a_running_memgrid(fake: FakeMemgrid) -> None:
    port = int(fake.url.rpartition(":")[2])
    (well,) = [finding async for finding in doctor._port(Settings(port=port))]
    assert (well.name, well.state) == ("server", "ok")
    report = {
        "timestamp": "2026-01-01T00:00:00Z",
        "overall": "unhealthy",
        "components": {
            "llm": {"status": "unhealthy", "latency": 1, "error": "no answer"},
            "wide_store": {"status": "healthy", "latency": 1},
        },
    }
    fake.fail = lambda *_: (503, {"error": {"code": "unavailable", "message": ""}, "detail": report})
    findings = [finding async for finding in doctor._port(Settings(port=port))]
    assert [(f.name, f.state) for f in findings] == [("server", "failed"), ("server llm", "failed")]
    assert findings[1].found == "unhealthy: no answer"


async def test_doctor_stops_at_settings_that_do_not_load() -> None:
    def load() -> Settings:
        raise InvalidInput("port: no", remedy="8005")

    last = (await doctor.examine(load))[-1]
    assert (last.name, last.state, last.fix) == ("settings", "failed", "8005")


async def test_doctor_tries_the_llm_endpoint(fake: FakeMemgrid) -> None:
    answers = {401: "refuses the key", 500: "answers 500", 404: "answers; model gpt-4o-mini"}
    for status, expected in answers.items():
        fake.fail = lambda *_, status=status: (status, {})
        finding = await doctor._llm(Settings(llm_base_url=f"{fake.url}/v1"))
        assert expected in finding.found
        assert finding.state == ("ok" if status == 404 else "failed")
        assert fake.requests[-1][1] == "/v1/models"
    finding = await doctor._llm(Settings(llm_base_url="http://127.0.0.1:1/v1"))
    assert (finding.state, finding.fix) == ("failed", "see MEMGRID_LLM_BASE_URL")


class Confused:
    """An embedding model that takes everything for the same."""

    model = "confused"

    async def embed(self, texts: list[str], role: str) -> Any:
        import numpy as np

        return np.ones((len(texts), 2), dtype=np.float32)

    async def close(self) -> None: ...


class Gone(Confused):
    async def embed(self, texts: list[str], role: str) -> Any:
        raise Unavailable("no endpoint", remedy="start it")


@pytest.mark.parametrize(("embedder", "fix"), [(Confused(), "MEMGRID_EMBEDDING_MODEL"), (Gone(), "start it")])
async def test_doctor_finds_an_embedding_model_that_is_no_use(
    embedder: Any, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.composition.build_embedder", lambda settings: embedder)
    finding = await doctor._embedding(Settings())
    assert finding.state == "failed"
    assert fix in (finding.fix or "")


def test_doctor_finds_packages_that_are_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = ["httpx>=0.27", "pydantic>=99", "no-such-package>=1", "rich; extra == 'x'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "httpx==0.0.1 ; python_version < '3' \\\n  --hash=sha256:0\nhttpx==0.0.2 \\\n    --hash=sha256:00\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(doctor, "LOCK_FILE", lock)
    found = {finding.name: finding for finding in doctor._packages()}
    assert found["package httpx"].state == "warning"
    assert "0.0.2" in found["package httpx"].found
    assert found["package pydantic"].state == "failed"
    assert found["package no-such-package"].fix == "pip install 'no-such-package>=1'"
    assert len(found) == 3


# --- migrate ----------------------------------------------------------------------------------


def test_migrate_makes_a_store_that_is_up_to_date(tmp_path: Path) -> None:
    for _ in range(2):
        result = run("migrate", "--data-dir", str(tmp_path / "data"))
        assert (result.exit_code, result.output) == (0, "sqlite: the schema is up to date\n")
    assert (tmp_path / "data" / "meta.sqlite").exists()


def test_migrate_says_that_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_WIDE_STORE", "cassandra")
    monkeypatch.setenv("MEMGRID_CASSANDRA_PORT", "1")
    result = run("migrate")
    assert result.exit_code == 1
    assert "cannot be reached" in result.output


def test_config_shows_what_is_not_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_PORT", "9001")
    shown = json.loads(run("config", "--changed", "--json").stdout)
    assert [row["name"] for row in shown] == ["port"]


def test_a_setting_that_is_like_none_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_FOO", "1")
    refused = run("config")
    assert refused.exit_code == 1
    assert "did you mean" not in refused.stderr
    monkeypatch.delenv("MEMGRID_FOO")
    monkeypatch.setenv("MEMGRID_PROT", "1")
    assert "did you mean MEMGRID_PORT?" in run("config").stderr.replace("\n", " ")
