"""Asking the parts how they are: bounded in time, creating nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from cluster.ids import Clock
from cluster.search_index.port import SearchIndex
from cluster.wide_store.port import WideStore
from memgrid.errors import MemgridError
from memgrid.models import ComponentHealth, HealthDetail
from memgrid.routing import Router

TIMEOUT: Final = 2.0
"""Seconds a component has for its answer."""
_FRESH: Final = 0.5
"""Seconds that an answer serves further probes: open routes must not multiply into calls."""

Status = Literal["healthy", "degraded", "unhealthy"]


class _Said(msgspec.Struct):
    """What a shard actor says of itself."""

    status: Status = "healthy"
    error: str | None = None


class HealthCheck:
    """Asks the components, once for all probes that come at the same time."""

    def __init__(
        self,
        router: Router,
        store: WideStore,
        index: SearchIndex,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        """`monotonic` gives seconds."""
        self._router = router
        self._store = store
        self._index = index
        self._clock = clock
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
            _timed(self._store.ping()),
            _timed(self._index.ping()),
            self._actors(),
        )
        components = {"wide_store": store, "search_index": index, **actors}
        overall: Status = "healthy"
        if index.status != "healthy" or any(one.status == "degraded" for one in components.values()):
            overall = "degraded"
        if any(one.status == "unhealthy" for name, one in components.items() if name != "search_index"):
            overall = "unhealthy"
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        return HealthDetail(timestamp=now, components=components, overall=overall)

    async def _actors(self) -> dict[str, ComponentHealth]:
        started = time.perf_counter()
        answers = await self._router.broadcast("health", timeout=TIMEOUT)
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
