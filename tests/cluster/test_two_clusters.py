"""Two complete memgrids on one Cassandra and one OpenSearch, as in the middle of a Kubernetes upgrade.

Each has a Ray of its own, so nothing but the stores tells one of the other. The same users send to both at
once, and read from one what they have just written to the other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from memgrid import AsyncMemgrid
from tests.cluster.production import production
from tests.cluster.server import Server
from tests.servers.cassandra import CassandraCluster
from tests.servers.opensearch import OpenSearchNode

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
USERS = [f"user{n}" for n in range(4)]
CLIENTS = 2
"""A user's, at the same time."""
ROUNDS = 8


@pytest.fixture(scope="module")
def servers(
    cassandra: CassandraCluster, opensearch: OpenSearchNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    settings = {
        **production(cassandra, opensearch, "two_clusters"),
        "buffer_idle_seconds": "0.2",
        "extraction_backoff_seconds": "0.05",
    }
    first, second = (Server(tmp_path_factory.mktemp(name), **settings) for name in ("first", "second"))
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        first.stop()
        second.stop()


class Traffic:
    """A client that goes to either memgrid, whichever; what it has written it must read from both."""

    def __init__(self, sides: tuple[AsyncMemgrid, AsyncMemgrid], user: str, name: str) -> None:
        self.sides = sides
        self.user = user
        self.name = name
        self.facts: set[str] = set()
        self.gone: set[str] = set()
        self.variables: dict[str, str] = {}

    async def go(self) -> None:
        for n in range(ROUNDS):
            one, other = self.sides if n % 2 else self.sides[::-1]
            fact = f"soup {self.name}n{n}q"
            key = f"{self.name}-{n}"
            first = await one.add(f"I like {fact}.", user_id=self.user, idempotency_key=key, wait=n % 4 == 3)
            self.facts.add(fact)
            await self.sees(other, fact)
            again = await other.add(f"I like {fact}.", user_id=self.user, idempotency_key=key)
            assert again.message_ids == first.message_ids, "a repeat that goes to the other side is the same"
            await self.edits(one, other, n)

    async def sees(self, side: AsyncMemgrid, fact: str) -> None:
        word = fact.split()[1]
        found = await side.search(word, user_id=self.user, strategy="full_text", top_k=5)
        assert any(word in hit.content for hit in found.results), f"{fact} is not found on the other side"

    async def edits(self, one: AsyncMemgrid, other: AsyncMemgrid, n: int) -> None:
        name = f"{self.name}-{n % 3}"
        self.variables[name] = str(n)
        await one.set_variables({name: str(n)}, user_id=self.user)
        assert (await other.variables(self.user))[name] == str(n)
        if n % 4 == 1:
            word = f"{self.name}n{n}gone"
            added = await one.add(f"I like soup {word}.", user_id=self.user)
            assert await other.delete_messages(user_id=self.user, ids=added.message_ids, memories=True) == 1
            self.gone.add(word)
            found = await one.search(word, user_id=self.user, strategy="full_text")
            assert not any(word in hit.content for hit in found.results if hit.type == "message")


async def quiet(side: AsyncMemgrid, user: str) -> None:
    async with asyncio.timeout(120):
        while (buffer := await side.buffer(user_id=user)).message_ids or buffer.running:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def check(side: AsyncMemgrid, user: str, mine: list[Traffic]) -> None:
    """Once each: every message, every extraction's effect, every edit."""
    await quiet(side, user)
    facts = set[str]().union(*(each.facts for each in mine))
    said = [message.content async for message in side.messages(user_id=user)]
    assert Counter(said) == Counter(f"I like {fact}." for fact in facts)
    memories = [memory async for memory in side.list(user_id=user)]
    likes = Counter(memory.memory for memory in memories if memory.kind != "variable")
    assert likes == Counter(f"User likes {fact}" for fact in facts)
    wanted = {name: value for each in mine for name, value in each.variables.items()}
    assert await side.variables(user) == wanted
    runs = [run async for run in side.runs(user_id=user)]
    assert {run.status for run in runs} <= {"done"}
    inputs = Counter(message for run in runs for message in run.message_ids)
    assert not [message for message, times in inputs.items() if times > 1], "messages in two runs"


async def test_two_memgrids_on_the_same_stores_lose_and_double_nothing(
    servers: tuple[Server, Server],
) -> None:
    async with AsyncMemgrid(servers[0].url) as first, AsyncMemgrid(servers[1].url) as second:
        sides = (first, second)
        traffic = [Traffic(sides, user, f"{user}c{c}") for user in USERS for c in range(CLIENTS)]
        async with asyncio.TaskGroup() as clients:
            for each in traffic:
                clients.create_task(each.go())
        for user in USERS:
            for side in sides:
                await check(side, user, [each for each in traffic if each.user == user])
