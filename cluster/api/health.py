"""Health and metrics: probes that create nothing, take no longer than their timeout, and tell no one more
than they may know. /health and /health/ready are open, for load balancers that have no key, and name no
part; /health/detailed and /metrics name machines and volumes, and want a key where keys exist.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cluster.api.errors import ErrorBody, error_response
from cluster.api.exchange import Services, exchange, json_response
from cluster.api.metrics import merge_expositions
from cluster.api.route import OpenRoute, reader_routes
from memgrid.errors import MemgridError, Unavailable
from memgrid.models import Answer, ComponentHealth, HealthDetail

TIMEOUT: Final = 2.0
"""Seconds a component has for its answer."""
_FRESH: Final = 0.5
"""Seconds that an answer serves further probes: open routes must not multiply into calls."""

Status = Literal["healthy", "degraded", "unhealthy"]


class Health(Answer):
    """Whether the service answers requests."""

    status: Literal["healthy"] = "healthy"
    service: Literal["memory"] = "memory"


class Ready(Answer):
    """Whether requests may be sent here."""

    status: Literal["ready"] = "ready"


class _Said(msgspec.Struct):
    """What a shard actor says of itself."""

    status: Status = "healthy"
    error: str | None = None


class HealthCheck:
    """Asks the components, once for all probes that come at the same time."""

    def __init__(self, services: Services, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self._services = services
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._last: tuple[float, HealthDetail] | None = None

    async def detail(self) -> HealthDetail:
        """Every component with its latency. The store and the shard actors are needed; without the
        search index memgrid is degraded."""
        async with self._lock:
            if self._last is not None and self._monotonic() - self._last[0] < _FRESH:
                return self._last[1]
            report = await self._ask()
            self._last = (self._monotonic(), report)
            return report

    async def _ask(self) -> HealthDetail:
        store, index, actors = await asyncio.gather(
            _timed(self._services.store.ping()),
            _timed(self._services.search_index.ping()),
            self._actors(),
        )
        components = {"wide_store": store, "search_index": index, **actors}
        overall: Status = "healthy"
        if index.status != "healthy" or any(one.status == "degraded" for one in components.values()):
            overall = "degraded"
        if any(one.status == "unhealthy" for name, one in components.items() if name != "search_index"):
            overall = "unhealthy"
        now = datetime.fromtimestamp(self._services.clock() / 1000, UTC)
        return HealthDetail(timestamp=now, components=components, overall=overall)

    async def _actors(self) -> dict[str, ComponentHealth]:
        started = time.perf_counter()
        answers = await self._services.router.broadcast("health", timeout=TIMEOUT)
        latency = _milliseconds(started)
        found: dict[str, ComponentHealth] = {}
        for name, answer in answers.items():
            if isinstance(answer, MemgridError):
                found[name] = ComponentHealth(status="unhealthy", latency=latency, error=answer.message)
                continue
            said = msgspec.json.decode(answer, type=_Said)
            found[name] = ComponentHealth(status=said.status, latency=latency, error=said.error)
        return found


async def _timed(ping: Awaitable[None]) -> ComponentHealth:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT):
            await ping
    except TimeoutError:
        return ComponentHealth(
            status="unhealthy", latency=_milliseconds(started), error=f"no answer within {TIMEOUT:g} s"
        )
    except MemgridError as error:
        return ComponentHealth(status="unhealthy", latency=_milliseconds(started), error=error.message)
    return ComponentHealth(status="healthy", latency=_milliseconds(started))


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def health_routes(check: HealthCheck) -> tuple[APIRouter, ...]:
    """The probes."""
    down = {503: {"model": ErrorBody, "description": "A part that is needed is down"}}
    probes = APIRouter(route_class=OpenRoute, responses=down)  # pyright: ignore[reportArgumentType]
    keyed = reader_routes()

    @probes.get("/health", response_model=Health, summary="Health")
    async def health(request: Request) -> Response:
        """200 while requests are served, degraded or not; else 503."""
        await _require(check)
        return json_response(Health().model_dump_json().encode())

    @probes.get("/health/ready", response_model=Ready, summary="Readiness")
    async def ready(request: Request) -> Response:
        """200 once the store and every shard actor answer; else 503."""
        await _require(check)
        return json_response(Ready().model_dump_json().encode())

    @keyed.get("/health/detailed", response_model=HealthDetail, summary="Health of each component")
    async def health_detailed(request: Request) -> Response:
        """Each component with its latency in milliseconds; 503 with the same under `detail` when one that
        is needed is down."""
        report = await check.detail()
        if report.overall == "unhealthy":
            return error_response(
                _unhealthy(), exchange(request).request_id, report=report.model_dump(mode="json")
            )
        return json_response(report.model_dump_json(exclude_none=True).encode())

    @keyed.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """This replica's numbers and every shard actor's."""
        services = exchange(request).services
        answers = await services.router.broadcast("metrics", timeout=TIMEOUT)
        texts = [answer.decode() for answer in answers.values() if isinstance(answer, bytes)]
        return Response(merge_expositions([services.metrics.text(), *texts]), media_type=CONTENT_TYPE_LATEST)

    return probes, keyed


async def _require(check: HealthCheck) -> None:
    if (await check.detail()).overall == "unhealthy":
        raise _unhealthy()


def _unhealthy() -> Unavailable:
    return Unavailable(
        "a component is down", remedy="GET /health/detailed names it, and so does `memgrid doctor`"
    )
