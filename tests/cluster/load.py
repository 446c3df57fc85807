"""Many users at once on a server that may be killed at any time, and the account of what must hold then."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from memgrid import AsyncMemgrid
from memgrid.errors import Overloaded, Unavailable

SETTLE_SECONDS = 90.0
"""After the last kill: everything acknowledged is extracted by then."""


class Load:
    """Users who each add messages that state a fact of their own, and search for what they have added.

    Every third user sends each add once, without an idempotency key: what was not acknowledged may be there
    once or not at all. All others go on with the same key until they are acknowledged.
    """

    def __init__(self, url: str, name: str, *, users: int = 6, pause: float = 0.05) -> None:
        self.url = url
        self.users = [f"{name}-{n}" for n in range(users)]
        self._pause = pause
        self.acked: dict[str, set[str]] = {user: set() for user in self.users}
        """Each user's facts that must be there."""
        self.unknown: dict[str, set[str]] = {user: set() for user in self.users}
        """Facts whose add was not acknowledged."""
        self.sdk_errors: list[str] = []
        """What callers of the SDK saw."""
        self.searches = 0
        self.problems: list[str] = []
        self.slowest = 0.0
        self._stopping = False

    @property
    def adds(self) -> int:
        return sum(len(facts) for facts in self.acked.values())

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Users add and search until the block ends; then each finishes what it has begun."""
        self._stopping = False
        async with (
            AsyncMemgrid(self.url, timeout=70) as client,
            httpx.AsyncClient(base_url=self.url, timeout=70, trust_env=False) as raw,
            asyncio.TaskGroup() as tasks,
        ):
            for number, user in enumerate(self.users):
                work = self._unkeyed(raw, user) if number % 3 == 2 else self._keyed(client, user)
                tasks.create_task(work)
                tasks.create_task(self._searching(client, user))
            try:
                yield
            finally:
                self._stopping = True

    async def wait_for_adds(self, more: int, timeout: float = 60) -> None:
        """Until so many adds were acknowledged from now on."""
        wanted = self.adds + more
        async with asyncio.timeout(timeout):
            while self.adds < wanted:  # noqa: ASYNC110 - many tasks count
                await asyncio.sleep(0.02)

    async def _keyed(self, client: AsyncMemgrid, user: str) -> None:
        number = 0
        while not self._stopping:
            number += 1
            fact = f"{uuid.uuid4().hex[:8]}q soup"
            key = str(uuid.uuid4()) if number % 2 else None
            began = time.monotonic()
            message = {"role": "user", "content": f"I like {fact}."}
            if key is None:
                message["id"] = fact
            await self._until_acked(client, user, message, key)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.acked[user].add(fact)
            await self._see(client, user, fact)
            await asyncio.sleep(random.uniform(0, self._pause))

    async def _until_acked(
        self, client: AsyncMemgrid, user: str, message: dict[str, str], key: str | None
    ) -> None:
        while True:
            try:
                await client.add([message], user_id=user, idempotency_key=key)
            except (Unavailable, Overloaded) as error:
                self.sdk_errors.append(f"add: {error}")
                await asyncio.sleep(0.2)
            else:
                return

    async def _unkeyed(self, raw: httpx.AsyncClient, user: str) -> None:
        while not self._stopping:
            fact = f"{uuid.uuid4().hex[:8]}q soup"
            body = {"user_id": user, "messages": [{"role": "user", "content": f"I like {fact}."}]}
            try:
                response = await raw.post("/api/v1/memories", json=body)
                acked = response.status_code < 300
            except httpx.TransportError:
                acked = False
            (self.acked if acked else self.unknown)[user].add(fact)
            await asyncio.sleep(random.uniform(0, self._pause) if acked else 0.5)

    async def _see(self, client: AsyncMemgrid, user: str, fact: str) -> None:
        """What was acknowledged is found by the next search: now, and after any crash."""
        word = fact.split(" ", maxsplit=1)[0]
        try:
            found = await client.search(word, user_id=user, strategy="full_text", top_k=5)
        except (Unavailable, Overloaded) as error:
            self.sdk_errors.append(f"search: {error}")
            return
        self.searches += 1
        if not any(word in hit.content for hit in found.results):
            self.problems.append(f"{user}: {fact} was acknowledged, and is not found")

    async def _searching(self, client: AsyncMemgrid, user: str) -> None:
        while not self._stopping:
            try:
                await client.search("what do they like?", user_id=user)
                self.searches += 1
            except (Unavailable, Overloaded) as error:
                self.sdk_errors.append(f"search: {error}")
            await asyncio.sleep(random.uniform(0, self._pause * 4))

    async def check(self) -> None:
        """Everything acknowledged is there once, and its extraction's effect once; nothing else is."""
        async with AsyncMemgrid(self.url, timeout=70, max_retries=20) as client:
            for user in self.users:
                await self._settled(client, user)
                await self._check_user(client, user)
        assert not self.problems, "\n".join(self.problems)

    async def _settled(self, client: AsyncMemgrid, user: str) -> None:
        async with asyncio.timeout(SETTLE_SECONDS):
            while (buffer := await client.buffer(user_id=user)).message_ids or buffer.running:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _check_user(self, client: AsyncMemgrid, user: str) -> None:
        messages = [message async for message in client.messages(user_id=user)]
        self._compare(user, "message", Counter(m.content[len("I like ") : -1] for m in messages))
        memories = [memory async for memory in client.list(user_id=user)]
        facts = Counter(m.memory.removeprefix("User likes ") for m in memories)
        self._compare(user, "memory", facts)
        there = {m.content[len("I like ") : -1] for m in messages}
        if facts.keys() != there:
            self.problems.append(f"{user}: memories and messages differ: {facts.keys() ^ there}")
        inputs = Counter[str]()
        async for run in client.runs(user_id=user):
            if run.status != "done":
                self.problems.append(f"{user}: run {run.id} is {run.status}")
            inputs.update(run.message_ids)
        if twice := [message for message, times in inputs.items() if times > 1]:
            self.problems.append(f"{user}: {len(twice)} messages are in two runs")
        if missing := {message.id for message in messages} - inputs.keys():
            self.problems.append(f"{user}: {len(missing)} messages are in no run")

    def _compare(self, user: str, what: str, found: Counter[str]) -> None:
        if lost := self.acked[user] - found.keys():
            self.problems.append(
                f"{user}: {len(lost)} of {len(self.acked[user])} {what} lost: {sorted(lost)[:3]}"
            )
        if strange := found.keys() - self.acked[user] - self.unknown[user]:
            self.problems.append(f"{user}: {what} that nobody added: {sorted(strange)[:3]}")
        if doubled := [fact for fact, times in found.items() if times > 1]:
            self.problems.append(f"{user}: {what} more than once: {sorted(doubled)[:3]}")
