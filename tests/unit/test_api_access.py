from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from cluster.api.route import Route
from cluster.security import Role, create_key, revoke_key
from memgrid.subject import Subject
from tests.api_fakes import MEMORY, Api

SAID = {"user_id": "u", "messages": [{"content": "x"}]}


async def key(api: Api, tenant: str = "acme", role: Role = "admin") -> dict[str, str]:
    text, _ = await create_key(api.store, tenant=tenant, role=role)  # pyright: ignore[reportArgumentType]
    return {"X-API-Key": text}


async def test_a_key_opens_its_tenant_and_no_other() -> None:
    api = Api()
    acme, rival = await key(api), await key(api, "rival")
    api.store.memories["acme", MEMORY] = Subject("acme", "user", "u")
    async with api.client() as client:
        await client.post("/api/v1/memories", json=SAID, headers=acme)
        assert api.router.calls[-1].subject == Subject("acme", "user", "u")
        await client.post("/api/v1/memories", json=SAID, headers=rival)
        assert api.router.calls[-1].subject == Subject("rival", "user", "u")
        assert (await client.get(f"/api/v1/memories/{MEMORY}", headers=acme)).status_code == 200
        before = len(api.router.calls)
        assert (await client.get(f"/api/v1/memories/{MEMORY}", headers=rival)).status_code == 404
        assert len(api.router.calls) == before
        await client.post("/api/v1/memories/search", json={"query": "x", "agent_id": "a"}, headers=rival)
    assert api.index.queries[-1].tenant == "rival"


async def test_as_soon_as_there_is_a_key_one_is_needed() -> None:
    api = Api()
    headers = await key(api)
    async with api.client() as client:
        refused = await client.post("/api/v1/memories", json=SAID)
        wrong = await client.post("/api/v1/memories", json=SAID, headers={"X-API-Key": "mg_nonsense"})
        assert api.router.calls == []
        assert (await client.post("/api/v1/memories", json=SAID, headers=headers)).status_code == 200
    for answer in (refused, wrong):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "unauthenticated"


async def test_a_revoked_key_is_refused() -> None:
    api = Api()
    headers = await key(api)
    [row] = api.store.keys.values()
    await revoke_key(api.store, row.id)  # pyright: ignore[reportArgumentType]
    async with api.client() as client:
        assert (await client.get("/api/v1/memories?user_id=u", headers=headers)).status_code == 401


EXPECTED: dict[Role, list[tuple[str, str]]] = {
    "reader": [
        ("GET", "/api/v1/memories?user_id=u"),
        ("POST", "/api/v1/memories/search"),
        ("GET", "/api/v1/memories/context/u"),
        ("GET", "/api/v1/users/u/profile"),
        ("GET", "/health/detailed"),
        ("GET", "/metrics"),
    ],
    "writer": [
        ("POST", "/api/v1/memories"),
        ("POST", "/api/v1/memories/batch"),
        ("DELETE", f"/api/v1/memories/{MEMORY}"),
        ("DELETE", "/api/v1/memories?user_id=u"),
        ("PUT", "/api/v1/users/u/variables"),
        ("POST", "/api/v1/users/u/buffers/flush"),
        ("DELETE", "/api/v1/users/u/memories/cleanup"),
    ],
    "admin": [("DELETE", "/api/v1/users/u")],
}


@pytest.mark.parametrize("role", ["reader", "writer", "admin"])
async def test_what_a_role_may_do(role: Role) -> None:
    api = Api()
    headers = await key(api, role=role)
    order: list[Role] = ["reader", "writer", "admin"]
    async with api.client(**headers) as client:
        for needed, requests in EXPECTED.items():
            for method, path in requests:
                answer = await client.request(method, path, json={} if method in ("POST", "PUT") else None)
                allowed = order.index(role) >= order.index(needed)
                assert (answer.status_code != 403) is allowed, (role, method, path)
                if not allowed:
                    assert answer.json()["error"]["code"] == "forbidden"


def test_every_route_is_one_that_checks() -> None:
    """Only the two probes are open; everything that is not a GET, except searching, takes a writer."""
    routes = [route for route in Api().app.routes if isinstance(route, APIRoute)]
    assert len(routes) > 30
    for route in routes:
        assert isinstance(route, Route)
        if route.path in ("/health", "/health/ready"):
            assert route.role is None
        elif route.methods == {"GET"} or route.path.endswith("/memories/search"):
            assert route.role == "reader", route.path
        else:
            assert route.role in ("writer", "admin"), route.path


async def test_nobody_unknown_makes_the_server_read_a_body() -> None:
    from tests.unit.test_api_bad_input import asgi

    api = Api()
    await key(api)
    reads, sent = await asgi(api, chunks=[b"x"] * 5)
    assert (reads, sent[0]["status"]) == (0, 401)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8005", 200),
        ("127.0.0.1", 200),
        ("[::1]:8005", 200),
        ("evil.example:8005", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
async def test_without_keys_only_loopback_names_are_answered(host: str, status: int) -> None:
    api = Api()
    async with api.client(Host=host) as client:
        assert (await client.get("/api/v1/memories?user_id=u")).status_code == status
        await key(api)
        api.time.seconds += 10
        assert (await client.get("/api/v1/memories?user_id=u")).status_code == 401, (
            "with keys names do not matter"
        )


async def test_documents_are_open() -> None:
    api = Api()
    await key(api)
    async with api.client() as client:
        for path in ("/docs", "/openapi.json", "/health", "/health/ready"):
            assert (await client.get(path)).status_code == 200
        for path in ("/health/detailed", "/metrics"):
            assert (await client.get(path)).status_code == 401
