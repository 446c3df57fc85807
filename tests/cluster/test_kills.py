"""kill -9 under load: of the shard actor, of the Serve replica, of everything."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.load import Load
from tests.cluster.server import Server

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ACTOR_KILLS = 5
REPLICA_KILLS = 3
FULL_KILLS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("kills")
    running = Server(folder, buffer_idle_seconds="0.3")
    running.start()
    yield running
    running.kill_everything()


async def killed_at_random(load: Load) -> None:
    """Some requests get through, and then it may happen at any time."""
    await load.wait_for_adds(5)
    await asyncio.sleep(random.uniform(0, 1.5))


async def test_a_killed_shard_actor_is_a_delay_and_nothing_else(server: Server) -> None:
    load = Load(server.url, "actor")
    async with load.running():
        for _ in range(ACTOR_KILLS):
            await killed_at_random(load)
            assert await asyncio.to_thread(server.kill_actor) == 1
        await load.wait_for_adds(5)
    print(
        f"\n{ACTOR_KILLS} kills of the shard actor: {load.adds} adds, {load.searches} searches, "
        f"slowest add {load.slowest:.1f} s"
    )
    assert load.sdk_errors == []
    assert not any(load.unknown.values()), "a request without a key failed too"
    await load.check()


async def test_a_killed_replica_loses_nothing(server: Server) -> None:
    load = Load(server.url, "replica")
    async with load.running():
        for _ in range(REPLICA_KILLS):
            await killed_at_random(load)
            assert await asyncio.to_thread(server.kill_replica) == 1
        await load.wait_for_adds(5)
    print(
        f"\n{REPLICA_KILLS} kills of the replica: {load.adds} adds, {load.searches} searches, "
        f"slowest add {load.slowest:.1f} s, {len(load.sdk_errors)} calls failed after the client's retries"
    )
    await load.check()


async def test_killing_everything_loses_nothing(server: Server) -> None:
    load = Load(server.url, "all")
    seconds: list[float] = []
    async with load.running():
        for _ in range(FULL_KILLS):
            await killed_at_random(load)
            assert await asyncio.to_thread(server.kill_everything) > 3
            began = time.monotonic()
            await asyncio.to_thread(server.start)
            seconds.append(time.monotonic() - began)
        await load.wait_for_adds(5)
    print(
        f"\n{FULL_KILLS} kills of everything: {load.adds} adds, {load.searches} searches, "
        f"ready again after {', '.join(f'{each:.0f}' for each in seconds)} s"
    )
    await load.check()
