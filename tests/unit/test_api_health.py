from __future__ import annotations

import asyncio

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.api import health_check
from cluster.api.metrics import merge_expositions
from memgrid import models as m
from memgrid.errors import Unavailable
from tests.api_fakes import MEMORY, Api

AWAY = Unavailable("it does not answer")


async def test_healthy() -> None:
    api = Api()
    async with api.client() as client:
        assert (await client.get("/health")).json() == {"status": "healthy", "service": "memory"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
        report = m.HealthDetail.model_validate((await client.get("/health/detailed")).json())
    assert report.overall == "healthy"
    assert set(report.components) == {"wide_store", "search_index", "memgrid-shard-actor-0"}
    assert all(one.latency >= 0 for one in report.components.values())
    assert api.router.calls == [], "a probe creates no subject"


@pytest.mark.parametrize("what", ["store", "actor"])
async def test_down(what: str) -> None:
    api = Api()
    if what == "store":
        api.store.down = AWAY
    else:
        api.router.actors["memgrid-shard-actor-1"] = {"health": AWAY, "metrics": AWAY}
    async with api.client() as client:
        short = await client.get("/health")
        ready = await client.get("/health/ready")
        detailed = await client.get("/health/detailed")
    assert (short.status_code, ready.status_code, detailed.status_code) == (503, 503, 503)
    assert short.json()["detail"].startswith("服务不可用")
    assert "memgrid-shard-actor" not in short.text, "an open route names no part"
    assert "Retry-After" in short.headers
    report = m.HealthDetail.model_validate(detailed.json()["detail"])
    assert report.overall == "unhealthy"
    down = {name: one for name, one in report.components.items() if one.status == "unhealthy"}
    assert set(down) == {"wide_store" if what == "store" else "memgrid-shard-actor-1"}
    assert [one.error for one in down.values()] == ["it does not answer"]
    assert detailed.json()["error"]["code"] == "unavailable"


async def test_degraded_still_serves() -> None:
    api = Api()
    api.index.down = AWAY
    async with api.client() as client:
        assert (await client.get("/health")).status_code == 200
        detailed = await client.get("/health/detailed")
    assert detailed.status_code == 200
    report = m.HealthDetail.model_validate(detailed.json())
    assert (report.overall, report.components["search_index"].status) == ("degraded", "unhealthy")


async def test_an_actor_may_say_that_it_is_degraded() -> None:
    api = Api()
    api.router.actors["memgrid-shard-actor-0"]["health"] = b'{"status":"degraded","error":"no embedding"}'
    async with api.client() as client:
        report = m.HealthDetail.model_validate((await client.get("/health/detailed")).json())
    assert report.overall == "degraded"
    assert report.components["memgrid-shard-actor-0"].error == "no embedding"


async def test_a_component_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    monkeypatch.setattr(health_check, "TIMEOUT", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(api.store, "ping", hang)
    async with api.client() as client:
        answer = await client.get("/health/detailed")
    assert answer.status_code == 503
    assert "no answer" in answer.json()["detail"]["components"]["wide_store"]["error"]


async def test_many_probes_ask_once() -> None:
    api = Api()
    async with api.client() as client:
        await asyncio.gather(*(client.get("/health") for _ in range(20)))
        assert api.router.broadcasts == ["health"]
        api.time.seconds += 1
        await client.get("/health")
    assert api.router.broadcasts == ["health", "health"]


async def test_metrics_count_by_operation_and_never_by_path() -> None:
    api = Api()
    api.router.actors = {
        f"memgrid-shard-actor-{n}": {
            "health": b"{}",
            "metrics": (
                "# HELP memgrid_adds_total Messages added.\n# TYPE memgrid_adds_total counter\n"
                f'memgrid_adds_total{{actor="{n}"}} {n}\n'
            ).encode(),
        }
        for n in range(2)
    }
    api.router.actors["memgrid-shard-actor-2"] = {"health": AWAY, "metrics": AWAY}
    async with api.client() as client:
        for path in (f"/api/v1/memories/{MEMORY}", "/secret/path", "/api/v1/users/zhangsan/profile"):
            await client.get(path)
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for hidden in (MEMORY, "secret", "zhangsan"):
        assert hidden not in answer.text
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    counted = {
        (sample.labels["operation"], sample.labels["status"]): sample.value
        for sample in families["memgrid_http_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted == {("get_memory", "404"): 1, ("unmatched", "404"): 1, ("get_profile", "200"): 1}
    [in_flight] = families["memgrid_http_requests_in_flight"].samples
    assert in_flight.value == 1, "this one"
    assert [s.value for s in families["memgrid_adds"].samples] == [0, 1]
    assert answer.text.count("# TYPE memgrid_adds_total") == 1


def test_expositions_are_merged_family_by_family() -> None:
    one = '# HELP a A.\n# TYPE a gauge\na{x="1"} 1\n# HELP b B.\n# TYPE b gauge\nb 1\n'
    two = '# HELP b B.\n# TYPE b gauge\nb{x="2"} 2\n# TYPE a gauge\na 2\n# EOF\n'
    assert merge_expositions([one, two]) == (
        '# HELP a A.\n# TYPE a gauge\na{x="1"} 1\na 2\n# HELP b B.\n# TYPE b gauge\nb 1\nb{x="2"} 2\n'
    )
    assert merge_expositions([]) == ""


def test_what_actors_say_is_read_leniently() -> None:
    said = msgspec.json.decode(b'{"status":"healthy","shards":3}', type=health_check._Said)  # pyright: ignore[reportPrivateUsage]
    assert said.status == "healthy"


async def test_head_is_get_without_a_body() -> None:
    api = Api()
    async with api.client() as client:
        for path in ("/health", "/health/ready", "/health/detailed", "/api/v1/users/li/profile"):
            full, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (full.status_code, b"")
            assert head.headers["Content-Type"] == full.headers["Content-Type"]
