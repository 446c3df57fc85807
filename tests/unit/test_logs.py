from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from cluster.logs import KEPT_DAYS, DailyFile, configure_logs, get_log
from cluster.security import create_key
from cluster.settings import Settings
from tests.api_fakes import Api

DAY = 86_400


@pytest.fixture(autouse=True)
def _leave_no_handlers() -> Iterator[None]:
    yield
    logger = logging.getLogger("memgrid")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    structlog.reset_defaults()


class Days:
    """Handlers of one file with a clock of their own: a line is written at its time, not the test's."""

    def __init__(self, path: Path, *, handlers: int = 1) -> None:
        self.path = path
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
        self.handlers = [DailyFile(path, clock=lambda: self.now) for _ in range(handlers)]

    def write(self, text: str, *, handler: int = 0) -> None:
        record = logging.LogRecord("memgrid", logging.INFO, "", 0, text, None, None)
        self.handlers[handler].emit(record)
        os.utime(self.path, (self.now, self.now))

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    days = Days(tmp_path / "logs" / "memgrid.log")
    days.write("one")
    days.write("two")
    days.now += DAY
    days.write("three")
    days.close()
    assert days.path.read_text() == "three\n"
    assert (tmp_path / "logs" / "memgrid.log.2026-11-21").read_text() == "one\ntwo\n"


def test_two_processes_rotate_once(tmp_path: Path) -> None:
    days = Days(tmp_path / "memgrid.log", handlers=2)
    days.write("first")
    days.write("second", handler=1)
    days.now += DAY
    days.write("first again")
    days.write("second again", handler=1)
    days.close()
    assert days.path.read_text() == "first again\nsecond again\n"
    assert (tmp_path / "memgrid.log.2026-11-21").read_text() == "first\nsecond\n"


def test_a_clock_that_is_set_back_begins_no_day_again(tmp_path: Path) -> None:
    days = Days(tmp_path / "memgrid.log")
    days.write("late")
    days.now -= DAY
    days.write("early")
    days.close()
    assert days.path.read_text() == "late\nearly\n"


def test_thirty_days_are_kept(tmp_path: Path) -> None:
    days = Days(tmp_path / "memgrid.log")
    for _ in range(KEPT_DAYS + 5):
        days.write("x")
        days.now += DAY
    days.write("today")
    days.close()
    kept = sorted(tmp_path.glob("memgrid.log.2*"))
    assert len(kept) == KEPT_DAYS
    assert kept[0].name == "memgrid.log.2026-11-26"


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    days = Days(tmp_path / "memgrid.log")
    days.write("one")
    days.path.rename(tmp_path / "taken")
    days.write("two")
    days.close()
    assert days.path.read_text() == "two\n"


async def test_a_request_is_one_line_of_json_without_content_or_keys(tmp_path: Path) -> None:
    path = tmp_path / "memgrid.log"
    configure_logs(Settings(log_file=path))
    api = Api()
    text, row = await create_key(api.store, tenant="acme")  # pyright: ignore[reportArgumentType]
    async with api.client(**{"Authorization": f"Bearer {text}", "X-Request-ID": "mine"}) as client:
        answer = await client.post(
            "/api/v1/memories", json={"user_id": "张三", "messages": [{"content": "我的秘密"}]}
        )
        await client.get("/api/v1/memories/search?query=秘密的问题&user_id=u")
    written = path.read_text()
    entries = [json.loads(one) for one in written.splitlines()]
    assert [entry["operation"] for entry in entries] == ["add_memories", "search_memories_plain"]
    entry = entries[0]
    assert entry.pop("duration_ms") > 0
    assert datetime.fromisoformat(entry.pop("at")).tzinfo is not None
    assert entry == {
        "event": "request",
        "level": "info",
        "operation": "add_memories",
        "method": "POST",
        "status": 200,
        "request_id": answer.headers["X-Memgrid-Request-ID"],
        "client_request_id": "mine",
        "tenant": "acme",
        "key": row.id,
        "replica": "0",
    }
    for secret in ("秘密", "张三", text, text[-43:]):
        assert secret not in written


async def test_a_defect_is_logged_with_its_place_but_not_its_words(tmp_path: Path) -> None:
    path = tmp_path / "memgrid.log"
    configure_logs(Settings(log_file=path))
    api = Api()
    secret = "".join(["秘", "密"])  # not in a source line, which a traceback quotes

    def fail(call: object) -> None:
        raise ValueError(secret)

    api.router.answers["add"] = fail  # pyright: ignore[reportArgumentType]
    async with api.client() as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "u", "messages": [{"content": "x"}]})
    defect, request = (json.loads(one) for one in path.read_text().splitlines())
    assert (defect["level"], defect["error"]) == ("error", "ValueError")
    assert "in fail" in defect["traceback"]
    assert secret not in path.read_text()
    assert defect["request_id"] == request["request_id"] == answer.headers["X-Memgrid-Request-ID"]
    assert (request["level"], request["status"]) == ("warning", 500)


def test_the_level_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "memgrid.log"
    configure_logs(Settings(log_file=path, log_level="error"))
    log = get_log(part="test")
    log.info("not this")
    log.error("but this", count=1)
    configure_logs(Settings(log_file=path, log_level="error"))
    get_log().error("once")
    entries = [json.loads(one) for one in path.read_text().splitlines()]
    assert [(entry["event"], entry.get("part")) for entry in entries] == [
        ("but this", "test"),
        ("once", None),
    ]
    assert stat.S_ISREG(path.stat().st_mode)
