"""Health and metrics. /health and /health/ready are open, for load balancers that have no key, and name no
part; /health/detailed and /metrics name machines and volumes, and want a key where keys exist.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cluster.api.errors import error_response
from cluster.api.exchange import exchange, json_response
from cluster.api.health_check import TIMEOUT
from cluster.api.metrics import merge_expositions
from cluster.api.route import Section
from memgrid.errors import Unavailable
from memgrid.models import Answer, HealthDetail


class Health(Answer):
    """Whether the service answers requests."""

    status: Literal["healthy"] = "healthy"
    service: Literal["memory"] = "memory"


class Ready(Answer):
    """Whether requests may be sent here."""

    status: Literal["ready"] = "ready"


async def health(request: Request) -> Response:
    """200 while requests are served, degraded or not; else 503."""
    await _require(request)
    return json_response(Health().model_dump_json().encode())


async def ready(request: Request) -> Response:
    """200 once the store and every shard actor answer; else 503."""
    await _require(request)
    return json_response(Ready().model_dump_json().encode())


async def health_detailed(request: Request) -> Response:
    """Each component with its latency in milliseconds; 503 with the same under `detail` when one that
    is needed is down."""
    report = await exchange(request).services.health.detail()
    if report.overall == "unhealthy":
        return error_response(
            _unhealthy(), exchange(request).request_id, report=report.model_dump(mode="json")
        )
    return json_response(report.model_dump_json(exclude_none=True).encode())


async def metrics(request: Request) -> Response:
    """This replica's numbers and every shard actor's."""
    services = exchange(request).services
    answers = await services.router.broadcast("metrics", timeout=TIMEOUT)
    texts = [answer.decode() for answer in answers.values() if isinstance(answer, bytes)]
    return Response(merge_expositions([services.metrics.text(), *texts]), media_type=CONTENT_TYPE_LATEST)


async def _require(request: Request) -> None:
    report = await exchange(request).services.health.detail()
    if report.overall == "unhealthy":
        raise _unhealthy()


def _unhealthy() -> Unavailable:
    return Unavailable(
        "a component is down", remedy="GET /health/detailed names it, and so does `memgrid doctor`"
    )


def add_routes(section: Section) -> None:
    """Put them into the section."""
    probes, keyed = section.probes, section.reads
    probes.get("/health", response_model=Health, summary="Health")(health)
    probes.get("/health/ready", response_model=Ready, summary="Readiness")(ready)
    keyed.get("/health/detailed", response_model=HealthDetail, summary="Health of each component")(
        health_detailed
    )
    keyed.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)(metrics)
