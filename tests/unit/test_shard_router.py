"""The way to the shard actors, with stand-ins for their handles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cluster.ids import new_id
from memgrid.errors import Unavailable
from memgrid.operations import Nothing
from memgrid.routing import Call
from memgrid.shard_router import ShardRouter, Topology
from memgrid.subject import Subject

TOPOLOGY = Topology(shards=16, actors=2)


class Remote:
    """What Ray has for a method."""

    def __init__(self, answer: Callable[..., Awaitable[Any]]) -> None:
        self.remote = answer


class Handle:
    """An actor that answers each call with its subject, or not at all."""

    def __init__(self, *, answers: bool) -> None:
        self.call_many = Remote(self._answer if answers else self._never)

    async def _answer(self, batch: Sequence[tuple[Any, ...]]) -> list[tuple[bool, bytes]]:
        return [(True, subject[2].encode()) for _, subject, _, _ in batch]

    async def _never(self, batch: Sequence[tuple[Any, ...]]) -> list[tuple[bool, bytes]]:
        await asyncio.Event().wait()
        return []


async def test_an_owner_that_does_not_answer_costs_the_others_nothing() -> None:
    router = ShardRouter(TOPOLOGY, revive=lambda actor: Handle(answers=actor == 0))
    calls = [Call("profile", Subject("t", "user", str(n)), Nothing(), new_id()) for n in range(20)]
    answers = await router.call_many(calls, timeout=0.05)
    owners = [TOPOLOGY.actor_of(call.subject) for call in calls]
    assert set(owners) == {0, 1}
    for call, owner, answer in zip(calls, owners, answers, strict=True):
        if owner == 0:
            assert answer == call.subject.id.encode()
        else:
            assert isinstance(answer, Unavailable)
