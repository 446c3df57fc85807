"""The directory: subject → shard → shard actor, and the actors themselves, created where they are missing."""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from actors.shard_actor import ShardActor, actor_options
from cluster.logs import get_log
from cluster.settings import Settings
from memgrid.errors import MemgridError
from memgrid.shard_router import ShardRouter, Topology

_log = get_log()


class ShardDirectory(ShardRouter):
    """A router that also creates shard actors: at the start, and again when one is lost for good."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            Topology(settings.shards, settings.shard_actors),
            patience=settings.request_timeout_seconds,
            revive=self._create,
        )
        self._settings = settings

    async def start(self) -> None:
        """Create the shard actors that are missing and wait until each has opened its stores."""
        for answer in (await self.broadcast("health")).values():
            if isinstance(answer, Exception):
                raise answer

    async def drain(self) -> None:
        """Let every shard actor finish, then end it."""
        for name, answer in (await self.broadcast("drain")).items():
            if isinstance(answer, MemgridError):
                _log.warning(
                    "not drained: what it had in flight is resumed", actor=name, error=answer.message
                )
        for number in range(self.topology.actors):
            handle = await asyncio.to_thread(self._create, number)
            await asyncio.to_thread(ray.kill, handle)

    def _create(self, number: int) -> Any:
        return (
            ray.remote(ShardActor)
            .options(**actor_options(self._settings, number))
            .remote(self._settings, number)
        )
