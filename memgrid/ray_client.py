"""memgrid through Ray, for batch jobs: straight to the shard actors, without HTTP.

    async with await RayMemgrid.connect() as client:
        await client.add("我叫张三，我喜欢打羽毛球", user_id="zhangsan")

What is needed, besides the same versions of memgrid, Ray and Python as the cluster's:

- The address. A Ray Job has it. On a machine where one Ray runs it is found; `memgrid serve` logs it as
  `ray_address` when it begins to serve: `connect("127.0.0.1:40123")`. From another machine it is that of
  Ray's client server: `connect("ray://head:10001")`.
- Ray's token. A local cluster asks for the one in ~/.ray/auth_token, which the same user's processes read by
  themselves; others are given it in RAY_AUTH_MODE=token and RAY_AUTH_TOKEN.

Whoever can reach the Ray cluster can run any code in it, so there are no API keys here: the tenant is named.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
import ray
import uuid_utils
from pydantic import BaseModel
from ray._private import ray_constants, services
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)

from memgrid._http import sdk_version
from memgrid._requests import SubjectRef, subject_of
from memgrid.api import MemgridApi
from memgrid.errors import InvalidInput, MemgridError, Unavailable
from memgrid.models import (
    AddRequest,
    AddResult,
    BatchAddRequest,
    BatchAddResult,
    BatchItem,
    ComponentHealth,
    ErrorDetail,
    HealthDetail,
    SearchQuery,
)
from memgrid.operations import PROJECT, PROJECT_OPERATIONS
from memgrid.routing import Call
from memgrid.shard_router import ShardRouter, Topology
from memgrid.subject import DEFAULT_TENANT, RAY_NAMESPACE, Subject

_BY_ID = {
    "get_memory": "memory",
    "update_memory": "memory",
    "delete_memory": "memory",
    "history": "memory",
    "run": "run",
    "drive_run": "run",
    "job": "job",
    "use_task": "memory",
    "update_task": "memory",
    "related": "memory",
    "link_memory": "memory",
    "share_memory": "memory",
    "unshare_memory": "memory",
}
_CONNECT_SECONDS = 60.0
_PROBE_SECONDS = 10.0
_LOOPBACK = re.compile(r"(127\.[0-9.]+|localhost|\[::1\]):\d+")


class RayTransport:
    """Carries operations to the shard actors (`memgrid.api.Transport`)."""

    def __init__(self, router: ShardRouter, tenant: str, *, disconnect: bool) -> None:
        self._router = router
        self._tenant = tenant
        self._disconnect = disconnect

    async def send(self, operation: str, request: BaseModel, subject: SubjectRef | None) -> bytes:
        """See `memgrid.api.Transport.send`."""
        if isinstance(request, BatchAddRequest):
            return (await self._add_batch(request)).model_dump_json().encode()
        if operation == "health":
            return (await self._health()).model_dump_json().encode()
        if operation in PROJECT_OPERATIONS:
            subject = PROJECT
        if subject is None:
            subject = await self._whose(operation, request)
        return await self._router.call(self._call(operation, request, subject))

    async def aclose(self) -> None:
        """Leave the Ray cluster, if this client joined it."""
        if self._disconnect:
            await asyncio.to_thread(ray.shutdown)

    def _call(self, operation: str, request: BaseModel, subject: SubjectRef) -> Call:
        whole = Subject(self._tenant, subject.kind, subject.id)
        return Call(operation, whole, request, str(uuid_utils.uuid7()))

    async def _whose(self, operation: str, request: BaseModel) -> SubjectRef:
        what = _BY_ID.get(operation)
        if isinstance(request, SearchQuery) and request.everyone:
            raise InvalidInput(
                "a search of everyone is answered over HTTP",
                field="everyone",
                remedy="use the HTTP client, or name one subject",
            )
        if what is None:
            raise InvalidInput(
                "whose memory is meant?",
                field="user_id",
                remedy="give one of user_id, agent_id, app_id, run_id",
            )
        reply = await self._router.ask_any("resolve", what, self._tenant, request.model_dump()["id"])
        return msgspec.json.decode(reply, type=SubjectRef)

    async def _add_batch(self, request: BatchAddRequest) -> BatchAddResult:
        """Items of one subject one after the other, subjects side by side."""
        results: list[BatchItem | None] = [None] * len(request.items)
        groups: dict[SubjectRef, list[int]] = {}
        for place, item in enumerate(request.items):
            subject = subject_of(
                user_id=item.user_id, agent_id=item.agent_id, app_id=item.app_id, run_id=item.run_id
            )
            if subject is None:
                results[place] = _failed(
                    InvalidInput(
                        "whose memory is meant?",
                        field="user_id",
                        remedy="give one of user_id, agent_id, app_id, run_id",
                    )
                )
            else:
                groups.setdefault(subject, []).append(place)

        async def add(subject: SubjectRef, places: list[int]) -> None:
            for place in places:
                results[place] = await self._add_one(subject, request.items[place])

        await asyncio.gather(*(add(subject, places) for subject, places in groups.items()))
        done = [item for item in results if item is not None]
        failed = sum(1 for item in done if item.error is not None)
        return BatchAddResult(results=done, succeeded=len(done) - failed, failed=failed)

    async def _add_one(self, subject: SubjectRef, item: AddRequest) -> BatchItem:
        try:
            answer = await self._router.call(self._call("add", item, subject))
        except MemgridError as error:
            return _failed(error)
        return BatchItem(result=AddResult.model_validate_json(answer))

    async def _health(self) -> HealthDetail:
        started = time.perf_counter()
        answers = await self._router.broadcast("health")
        latency = round((time.perf_counter() - started) * 1000, 3)
        components: dict[str, ComponentHealth] = {}
        for name, answer in answers.items():
            if isinstance(answer, MemgridError):
                components[name] = ComponentHealth(status="unhealthy", latency=latency, error=answer.message)
            else:
                components[name] = ComponentHealth.model_validate(
                    {**msgspec.json.decode(answer), "latency": latency}
                )
        worst = {component.status for component in components.values()}
        overall = "unhealthy" if "unhealthy" in worst else "degraded" if "degraded" in worst else "healthy"
        return HealthDetail.model_validate(
            {"timestamp": time.time(), "components": components, "overall": overall}
        )


def _failed(error: MemgridError) -> BatchItem:
    return BatchItem(
        error=ErrorDetail(
            code=error.code,
            message=error.message,
            field=error.field,
            remedy=error.remedy,
            retry_after=error.retry_after,
        )
    )


class RayMemgrid(MemgridApi):
    """The same methods as `AsyncMemgrid`, through Ray. Made by `connect`."""

    @classmethod
    async def connect(cls, address: str | None = None, *, tenant: str = DEFAULT_TENANT) -> Self:
        """Join the Ray cluster at `address` and find its shard actors.

        `address` is `ray://host:10001`, a GCS address, or None for the cluster this process is already in
        (a Ray Job), RAY_ADDRESS names, or runs on this machine. Raises Unavailable when it cannot be joined
        or no memgrid runs there, and InvalidInput when it runs another version than this client.
        """
        joined = not ray.is_initialized()
        if joined:
            await asyncio.to_thread(join_cluster, address)
        router = ShardRouter(Topology(1, 1), patience=_CONNECT_SECONDS)
        try:
            found: dict[str, Any] = msgspec.json.decode(await router.ask_any("describe"))
        except Unavailable as error:
            if joined:
                await asyncio.to_thread(ray.shutdown)
            raise Unavailable(
                "no memgrid runs in this Ray cluster", remedy="start one with `memgrid serve`"
            ) from error
        if found["version"] != sdk_version():
            raise InvalidInput(
                f"memgrid {found['version']} runs there, and this client is {sdk_version()}",
                field="address",
                remedy=f"install memgrid=={found['version']}, or use the HTTP client",
            )
        router.topology = Topology(found["shards"], found["actors"])
        return cls(RayTransport(router, tenant, disconnect=joined))


def join_cluster(address: str | None) -> None:
    """Join a Ray cluster. Raises Unavailable."""
    target = address or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        if target == "auto":
            target = services.get_ray_address_from_environment("auto", None)
        _probe(target)
        with _on_loopback() if _LOOPBACK.fullmatch(target) else nullcontext():
            ray.init(target, namespace=RAY_NAMESPACE, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise Unavailable(
            f"the Ray cluster at {target} cannot be joined: {error}",
            remedy="give the `ray_address` that `memgrid serve` logs, and see that Ray's token is at hand",
        ) from error


def _probe(address: str) -> None:
    """Raises OSError at once where nobody listens: Ray would try for minutes."""
    parsed = urlsplit(address if "://" in address else f"//{address}")
    if parsed.hostname is not None and parsed.port is not None:
        socket.create_connection((parsed.hostname, parsed.port), _PROBE_SECONDS).close()


@contextmanager
def _on_loopback() -> Generator[None]:
    """Join as `memgrid serve` starts Ray, in this process too: on loopback only, and with the token.

    Ray would take 127.0.0.1 for this machine's outer address, where such a cluster does not listen, and
    looks for the token by itself only when it has found the address by itself.
    """
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
