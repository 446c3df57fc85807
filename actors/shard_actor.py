"""The Ray actor around a `ShardOwner`: nothing but the shell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from actors.owner import CallArgs, Reply, ShardOwner, failure
from cluster.logs import configure_logs
from cluster.settings import Settings
from memgrid import sdk_version
from memgrid.errors import MemgridError
from memgrid.subject import SubjectKind, actor_name


class ShardActor:
    """Owns the shards with `shard % actors == number`. A repeated call has one effect: callers may retry."""

    def __init__(self, settings: Settings, number: int, name: str | None = None) -> None:
        self._settings = settings
        self._number = number
        self._name = name or actor_name(number)
        self._owner: ShardOwner | None = None
        self._opening = asyncio.Lock()
        configure_logs(settings)

    async def _open(self) -> ShardOwner:
        if self._owner is None:
            async with self._opening:
                if self._owner is None:
                    mine = range(self._number, self._settings.shards, self._settings.shard_actors)
                    self._owner = await ShardOwner.open(self._settings, shards=mine, name=self._name)
        return self._owner

    async def call(
        self, operation: str, subject: tuple[str, SubjectKind, str], request_id: str, body: bytes
    ) -> Reply:
        """See `ShardOwner.call`."""
        if self._owner is not None:
            return await self._owner.call(operation, subject, request_id, body)
        return await self._opened(lambda owner: owner.call(operation, subject, request_id, body))

    async def call_many(self, calls: Sequence[CallArgs]) -> list[Reply]:
        """See `ShardOwner.call_many`."""
        try:
            return await (await self._open()).call_many(calls)
        except MemgridError as error:
            return [(False, failure(error))] * len(calls)

    async def resolve(self, what: Literal["memory", "run", "job"], tenant: str, id: str) -> Reply:
        """See `ShardOwner.resolve`."""
        return await self._opened(lambda owner: owner.resolve(what, tenant, id))

    async def describe(self) -> Reply:
        """How subjects are spread, and the version: what a Ray client needs before its first call."""
        settings = self._settings
        return True, msgspec.json.encode(
            {"shards": settings.shards, "actors": settings.shard_actors, "version": sdk_version()}
        )

    async def health(self) -> Reply:
        """See `ShardOwner.health`."""
        return await self._opened(lambda owner: owner.health())

    async def metrics(self) -> Reply:
        """See `ShardOwner.metrics`."""
        return await self._opened(lambda owner: owner.metrics())

    async def drain(self) -> Reply:
        """Finish what is in flight and close the stores; the actor answers 429 from then on."""
        if self._owner is not None:
            await self._owner.close()
        return True, b"{}"

    async def _opened(self, ask: Callable[[ShardOwner], Awaitable[Reply]]) -> Reply:
        try:
            owner = await self._open()
        except MemgridError as error:
            return False, failure(error)
        return await ask(owner)

    async def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    async def noop(self, payload: bytes) -> bytes:
        """The floor of a call: benchmarks hold everything else against it."""
        return payload


def actor_options(settings: Settings, number: int) -> dict[str, Any]:
    """How Ray runs a shard actor: detached, restarted for ever, calls never retried behind our back."""
    return {
        "name": actor_name(number),
        "namespace": "memgrid",
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        # Requests in flight, as many that wait for an extraction, and as many to be told 429.
        "max_concurrency": settings.max_inflight_requests * 3,
        "num_cpus": 0,
    }
