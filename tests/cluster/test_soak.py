"""A mixed load for a while: memory, threads and files stay where they are, and nothing fails.

MEMGRID_SOAK_SECONDS sets how long, after a warm-up of a third of it (at least 15 s).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from memgrid import AsyncMemgrid
from memgrid.errors import NotFound
from tests.cluster.server import Server

SECONDS = float(os.environ.get("MEMGRID_SOAK_SECONDS", "30"))
WARM_UP_SECONDS = max(15.0, SECONDS / 3)
pytestmark = [pytest.mark.ray, pytest.mark.timeout(SECONDS + WARM_UP_SECONDS + 240)]

USERS = 400
CLIENTS = 4
GROWTH = 0.10
SLACK_BYTES = 24 * 1024 * 1024
"""After the warm-up a process may grow by a tenth, and by what allocators, caches of the embedding model and
Ray's own tables take: a leak of a kilobyte a request would be more than that in three minutes."""
MORE_THREADS = 4
MORE_FILES = 16


class Size(NamedTuple):
    rss: int
    threads: int
    files: int


def size_of(pid: int) -> Size:
    process = psutil.Process(pid)
    return Size(process.memory_info().rss, process.num_threads(), process.num_fds())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # A cache that holds only a few of the users, so that eviction and activation go on all the time.
    running = Server(
        tmp_path, buffer_idle_seconds="0.2", hot_bytes=str(1024 * 1024), result_cache_bytes=str(1024 * 1024)
    )
    running.start()
    yield running
    running.kill_everything()


class Mix:
    """Clients that do everything, on users of whom all but a few are cold."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count()
        self.calls = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with AsyncMemgrid(self._url, max_retries=0) as client:
            tasks = [asyncio.create_task(self._client(client)) for _ in range(CLIENTS)]
            try:
                yield
                for task in tasks:
                    if task.done():
                        task.result()  # the error that ended it
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _client(self, client: AsyncMemgrid) -> None:
        while True:
            user = f"soak{random.randrange(USERS)}"
            number = next(self._numbers)
            match random.randrange(8):
                case 0 | 1 | 2:
                    await client.add(f"I like soup{number}. 今天我们聊了聊天气和工作。", user_id=user)
                case 3 | 4:
                    await client.search("what do they like? 喜欢什么", user_id=user)
                case 5:
                    await client.profile(user)
                case 6:
                    await client.context(user, "soup?")
                case _:
                    async for memory in client.list(user_id=user):
                        if random.random() < 0.5:
                            with contextlib.suppress(NotFound):  # another client was faster
                                await client.delete(memory.id)
                        break
            self.calls += 1


async def test_nothing_grows(server: Server) -> None:
    (actor,) = server.pids_of("ray::ShardActor")
    (replica,) = server.pids_of("ray::ServeReplica")
    watched = {"shard actor": actor, "replica": replica}
    mix = Mix(server.url)
    async with mix.running():
        await asyncio.sleep(WARM_UP_SECONDS)
        warm = {name: size_of(pid) for name, pid in watched.items()}
        calls = mix.calls
        peak = dict(warm)
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            await asyncio.sleep(1)
            for name, pid in watched.items():
                peak[name] = Size(*map(max, peak[name], size_of(pid)))
    metrics = await metrics_of(server)
    print(f"\n{mix.calls - calls} calls in {SECONDS:g} s, {metrics['evictions']:g} evictions")
    for name, before in warm.items():
        after = peak[name]
        print(
            f"{name}: {before.rss / 1e6:.0f} → {after.rss / 1e6:.0f} MB, "
            f"{before.threads} → {after.threads} threads, {before.files} → {after.files} files"
        )
    assert metrics["evictions"] > 20, "next to nothing was pushed out: this soak shows nothing"
    for name, before in warm.items():
        after = peak[name]
        assert after.rss <= before.rss * (1 + GROWTH) + SLACK_BYTES, name
        assert after.threads <= before.threads + MORE_THREADS, name
        assert after.files <= before.files + MORE_FILES, name


async def metrics_of(server: Server) -> dict[str, float]:
    """The shard actor's counters."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{server.url}/metrics")).text
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("memgrid_owner_") and "operation" not in line:
            name, value = line.rsplit(" ", 1)
            found[name.partition("{")[0].removeprefix("memgrid_owner_")] = float(value)
    return found
