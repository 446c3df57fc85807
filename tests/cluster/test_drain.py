"""SIGTERM under load: what is in flight is finished, and a restart shows everything."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memgrid import AsyncMemgrid
from tests.cluster.load import Load
from tests.cluster.server import Server

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
END_SECONDS = 60
"""Serve lets requests finish (30 s at most) and each shard actor its extractions; idle it takes seconds."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, buffer_idle_seconds="0.3")
    running.start()
    yield running
    running.kill_everything()


async def test_a_drain_under_load_finishes_and_loses_nothing(server: Server) -> None:
    load = Load(server.url, "drain")
    async with load.running():
        await load.wait_for_adds(10)
        server.terminate()
        began = time.monotonic()
        status = await asyncio.to_thread(server.wait_ended, END_SECONDS)
        seconds = time.monotonic() - began
        assert status == 0, server.log_tail()
        assert server.processes() == []
        await asyncio.to_thread(server.start)
        await load.wait_for_adds(5)
    print(f"\ndrained in {seconds:.1f} s; {load.adds} adds, {sum(map(len, load.unknown.values()))} refused")
    await load.check()


async def test_a_restart_resumes_what_was_pending_without_a_request(tmp_path: Path) -> None:
    store = tmp_path / "data" / "store-0.sqlite"
    patient = Server(tmp_path, buffer_idle_seconds="3600")
    patient.start()
    try:
        async with AsyncMemgrid(patient.url) as client:
            for n in range(3):
                await client.add(f"I like soup{n}.", user_id="sleeper")
        patient.terminate()
        assert await asyncio.to_thread(patient.wait_ended, END_SECONDS) == 0
    finally:
        patient.kill_everything()
    assert rows(store, "pending") == 3, "a drain starts nothing new"
    prompt = Server(tmp_path, buffer_idle_seconds="0.3")
    prompt.start()
    try:
        async with asyncio.timeout(30):
            while rows(store, "pending"):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.05)
        async with AsyncMemgrid(prompt.url) as client:
            likes = [memory.memory async for memory in client.list(user_id="sleeper")]
        assert sorted(likes) == [f"User likes soup{n}" for n in range(3)]
    finally:
        prompt.kill_everything()


def rows(store: Path, table: str) -> int:
    """How many there are, asked of the store itself: a request would wake the subject."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
