"""Reaching the shard actors through Ray: named actors, retried calls."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import ray
from ray.exceptions import RayActorError, RayTaskError

from memgrid.errors import InternalError, MemgridError, Unavailable, error_from_code
from memgrid.models import ErrorDetail
from memgrid.routing import Call
from memgrid.subject import RAY_NAMESPACE, Subject, actor_name, shard_of

Reply = tuple[bool, bytes]
_FIRST_DELAY = 0.05
_MAX_DELAY = 1.0


class Topology(msgspec.Struct, frozen=True):
    """How subjects are spread: `shards` logical shards over `actors` shard actors."""

    shards: int
    actors: int

    def actor_of(self, subject: Subject) -> int:
        """The number of the shard actor that owns `subject`."""
        return shard_of(subject, self.shards) % self.actors


class ShardRouter:
    """A `memgrid.routing.Router` over named shard actors.

    A call to an actor that is gone or restarting is sent again, with the same request id, until
    `patience` seconds have passed. `revive` is asked to create an actor that does not exist.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        patience: float = 60.0,
        revive: Callable[[int], Any] | None = None,
    ) -> None:
        self.topology = topology
        self._patience = patience
        self._revive = revive
        self._handles: dict[int, Any] = {}

    async def call(self, call: Call, *, timeout: float | None = None) -> bytes:
        """One operation on one subject. See `Router.call`."""
        actor = self.topology.actor_of(call.subject)
        body = call.request.model_dump_json(exclude_unset=True).encode()
        reply = await self._ask(
            actor, "call", (call.operation, tuple(call.subject), call.request_id, body), timeout
        )
        return _unwrap(reply)

    async def call_many(
        self, calls: Sequence[Call], *, timeout: float | None = None
    ) -> list[bytes | MemgridError]:
        """Many operations, one actor call for each shard actor. See `Router.call_many`."""
        places: dict[int, list[int]] = defaultdict(list)
        for place, call in enumerate(calls):
            places[self.topology.actor_of(call.subject)].append(place)
        answers: list[bytes | MemgridError] = [InternalError("not answered")] * len(calls)

        async def ask(actor: int, mine: list[int]) -> None:
            batch = [
                (
                    calls[p].operation,
                    tuple(calls[p].subject),
                    calls[p].request_id,
                    calls[p].request.model_dump_json(exclude_unset=True).encode(),
                )
                for p in mine
            ]
            try:
                replies = await self._ask(actor, "call_many", (batch,), timeout)
            except MemgridError as error:
                for place in mine:
                    answers[place] = error
                return
            for place, reply in zip(mine, replies, strict=True):
                try:
                    answers[place] = _unwrap(reply)
                except MemgridError as error:
                    answers[place] = error

        await asyncio.gather(*(ask(actor, mine) for actor, mine in places.items()))
        return answers

    async def ask_any(self, method: str, *args: Any, timeout: float | None = None) -> bytes:
        """Ask one shard actor what any of them knows."""
        return _unwrap(await self._ask(random.randrange(self.topology.actors), method, args, timeout))

    async def broadcast(
        self, method: str, *, timeout: float | None = None
    ) -> dict[str, bytes | MemgridError]:
        """Ask every shard actor. See `Router.broadcast`."""

        async def ask(actor: int) -> bytes | MemgridError:
            try:
                return _unwrap(await self._ask(actor, method, (), timeout))
            except MemgridError as error:
                return error

        actors = range(self.topology.actors)
        answers = await asyncio.gather(*(ask(actor) for actor in actors))
        return {actor_name(actor): answer for actor, answer in zip(actors, answers, strict=True)}

    async def _ask(self, actor: int, method: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        deadline = time.monotonic() + (self._patience if timeout is None else timeout)
        delay = _FIRST_DELAY
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable(
                    f"the owner ({actor_name(actor)}) did not answer in time",
                    remedy="send the same request again",
                    retry_after=1.0,
                )
            try:
                # Looking a name up hangs while the GCS is away, so it is bounded like the call.
                async with asyncio.timeout(left):
                    handle = await self._handle(actor)
                    return await getattr(handle, method).remote(*args)
            except RayTaskError as error:
                raise InternalError(f"the owner failed: {type(error.cause).__name__}") from error
            except (RayActorError, ValueError, ConnectionError):
                # Dead, restarting, or not created yet: forget the handle and look the name up again.
                self._handles.pop(actor, None)
            except TimeoutError:
                continue
            await asyncio.sleep(min(delay, max(0.0, deadline - time.monotonic())) * random.uniform(0.5, 1))
            delay = min(delay * 2, _MAX_DELAY)

    async def _handle(self, actor: int) -> Any:
        if (handle := self._handles.get(actor)) is None:
            find = self._revive or _find
            handle = self._handles[actor] = await asyncio.to_thread(find, actor)
        return handle


def _find(actor: int) -> Any:
    return ray.get_actor(actor_name(actor), namespace=RAY_NAMESPACE)


def _unwrap(reply: Reply) -> bytes:
    ok, body = reply
    if ok:
        return body
    detail = ErrorDetail.model_validate_json(body)
    raise error_from_code(
        detail.code,
        detail.message,
        field=detail.field,
        remedy=detail.remedy,
        retry_after=detail.retry_after,
    )
