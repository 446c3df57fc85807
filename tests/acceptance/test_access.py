"""API keys: who may come in, what they may do, and that no tenant sees another."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from cluster.security import CACHE_SECONDS
from memgrid import AsyncMemgrid, Unauthenticated
from tests.acceptance.conftest import Api, run_cli, stored
from tests.cluster.server import Server

pytestmark = pytest.mark.ray

SEED = "我叫张三，我喜欢打羽毛球"


class Keyed(Server):
    """A server with API keys."""

    def create_key(self, tenant: str, role: str, label: str = "") -> dict[str, Any]:
        """A new key, made while the server runs."""
        options = ("--tenant", tenant, "--role", role, "--label", label, "--json")
        return json.loads(self.keys("create", *options).stdout)

    def keys(self, *arguments: str):
        """`memgrid keys …` on this server's data."""
        return run_cli(self, "keys", *arguments, "--data-dir", str(self.folder / "data"))

    def api(self, key: dict[str, Any]) -> Api:
        """HTTP with this key."""
        return Api(self, Authorization=f"Bearer {key['key']}")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Keyed]:
    """A server on which the first key is created while it runs."""
    server = Keyed(tmp_path_factory.mktemp("keyed"))
    try:
        server.start()
        with Api(server) as anyone:
            anyone.add("before-keys", SEED)
            server.create_key("default", "admin", "the first")
            wait_for_status(anyone, 401)
        yield server
    finally:
        server.stop()


def wait_for_status(api: Api, status: int) -> float:
    """Seconds until a read is answered with this status."""
    started = time.monotonic()
    while (found := api.get("/users/u/profile").status_code) != status:
        assert time.monotonic() - started < 10 * CACHE_SECONDS, found
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def acme(keyed: Keyed) -> Generator[Api]:
    with keyed.api(keyed.create_key("acme", "admin")) as api:
        yield api


@pytest.fixture(scope="module")
def globex(keyed: Keyed) -> Generator[Api]:
    with keyed.api(keyed.create_key("globex", "admin")) as api:
        yield api


# --- coming in --------------------------------------------------------------------------------


def test_without_a_key(keyed: Keyed) -> None:
    with Api(keyed) as nobody:
        before = stored(keyed)
        for method, path in (("GET", "/users/u/profile"), ("GET", "/memories"), ("DELETE", "/users/u")):
            error = nobody.refused(401, "unauthenticated", method, path)
            assert "Authorization: Bearer" in error["remedy"]
        body = {"user_id": "u", "messages": [{"content": SEED}]}
        refused = nobody.post("/memories", json=body)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert stored(keyed) == before
        assert nobody.get(f"{keyed.url}/health").status_code == 200
        assert nobody.get(f"{keyed.url}/health/ready").status_code == 200
        assert nobody.get(f"{keyed.url}/health/detailed").status_code == 401
        assert nobody.get(f"{keyed.url}/metrics").status_code == 401


def test_every_way_to_send_a_key(keyed: Keyed) -> None:
    key = keyed.create_key("headers", "reader")["key"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Token {key}"},
        {"Authorization": f"bearer {key}"},
        {"X-API-Key": key},
    ):
        with Api(keyed, **headers) as api:
            assert api.ok("GET", "/users/u/profile")["total_memories"] == 0


def test_what_is_no_key(keyed: Keyed) -> None:
    key = keyed.create_key("headers", "reader")["key"]
    other = ("A" if key[-2] != "A" else "B") + key[-1]
    for headers in (
        {"Authorization": f"Bearer {key[:-2]}{other}"},
        {"Authorization": f"Basic {key}"},
        {"Authorization": "Bearer"},
        {"Authorization": key},
        {"X-API-Key": ""},
        {"X-API-Key": "' OR 1=1 --"},
        {"X-API-Key": key.upper()},
    ):
        with Api(keyed, **headers) as api:
            assert api.refused(401, "unauthenticated", "GET", "/users/u/profile")["remedy"]


async def test_the_sdk_and_the_command_line(keyed: Keyed) -> None:
    key = keyed.create_key("sdk", "writer")["key"]
    async with AsyncMemgrid(keyed.url, key) as client:
        assert (await client.add(SEED, user_id="u", wait=True)).status == "done"
    async with AsyncMemgrid(keyed.url) as nobody:
        with pytest.raises(Unauthenticated) as caught:
            await nobody.profile("u")
        assert caught.value.remedy
    assert "张三" in run_cli(keyed, "profile", "--user", "u", MEMGRID_API_KEY=key).stdout
    assert "张三" in run_cli(keyed, "profile", "--user", "u", "--api-key", key).stdout
    refused = run_cli(keyed, "profile", "--user", "u", check=False)
    assert refused.returncode == 1
    assert "an API key is required" in refused.stderr


def test_a_revoked_key_is_refused_within_the_stated_time(keyed: Keyed) -> None:
    key = keyed.create_key("brief", "admin", "to be revoked")
    with keyed.api(key) as api:
        api.ok("GET", "/users/u/profile")
        said = keyed.keys("revoke", key["id"]).stdout
        assert f"within {CACHE_SECONDS:g} s" in said
        assert wait_for_status(api, 401) < CACHE_SECONDS + 0.5
        api.refused(401, "unauthenticated", "GET", "/users/u/profile")
    listed = {row["id"]: row for row in json.loads(keyed.keys("list", "--json").stdout)}
    assert listed[key["id"]]["revoked_at"] is not None
    assert listed[key["id"]]["label"] == "to be revoked"


def test_a_key_is_stored_nowhere(keyed: Keyed) -> None:
    key = keyed.create_key("secret", "admin")["key"]
    with Api(keyed, **{"X-API-Key": key}) as api:
        api.ok("GET", "/users/u/profile")
    secret = key.split("_", 2)[2]
    assert secret not in keyed.keys("list").stdout
    files = [path for path in keyed.folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("meta.sqlite") for path in files)
    for path in files:
        assert secret.encode() not in path.read_bytes(), path


# --- what a role may do -----------------------------------------------------------------------


READS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/memories/search", {"params": {"user_id": "roles", "query": "运动"}}),
    ("POST", "/memories/search", {"json": {"user_id": "roles", "query": "运动"}}),
    ("GET", "/memories", {"params": {"user_id": "roles"}}),
    ("GET", "/memories/context/roles", {}),
    ("GET", "/users/roles/profile", {}),
    ("GET", "/messages", {"params": {"user_id": "roles"}}),
    ("GET", "/buffers", {"params": {"user_id": "roles"}}),
    ("GET", "/runs", {"params": {"user_id": "roles"}}),
]
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/memories", {"json": {"user_id": "roles", "messages": [{"content": SEED}], "wait": True}}),
    ("POST", "/memories/batch", {"json": {"items": [{"user_id": "roles", "messages": []}]}}),
    ("PUT", "/users/roles/variables", {"json": {"variables": {"a": "b"}}}),
    ("PUT", "/buffers/policy", {"params": {"user_id": "roles"}, "json": {"on_idle": False}}),
    ("POST", "/buffers/flush", {"params": {"user_id": "roles"}}),
    ("POST", "/messages/marks", {"params": {"user_id": "roles"}, "json": {"new": "m"}}),
    ("DELETE", "/messages", {"params": {"user_id": "roles"}, "json": {"session_id": "s"}}),
    ("DELETE", "/users/roles/memories/cleanup", {}),
    ("DELETE", "/memories", {"params": {"user_id": "roles"}}),
]
ADMIN: list[tuple[str, str, dict[str, Any]]] = [("DELETE", "/users/roles", {})]


def test_roles(keyed: Keyed) -> None:
    allowed = {
        "reader": (READS, WRITES + ADMIN),
        "writer": (READS + WRITES, ADMIN),
        "admin": (READS + WRITES + ADMIN, []),
    }
    for role, (may, may_not) in allowed.items():
        with keyed.api(keyed.create_key("roles", role)) as api:
            before = stored(keyed)
            for method, path, rest in may_not:
                error = api.refused(403, "forbidden", method, path, **rest)
                assert role in error["message"]
                assert error["remedy"]
            assert stored(keyed) == before
            for method, path, rest in may:
                api.ok(method, path, **rest)


# --- tenants ----------------------------------------------------------------------------------


def test_no_tenant_sees_another(acme: Api, globex: Api, user: str) -> None:
    both = {"user_id": user, "agent_id": "shared-agent"}
    mine = acme.add(user, SEED, agent_id="shared-agent", session_id="s")
    globex.add(user, "I live in Springfield.", agent_id="shared-agent", session_id="s")
    acme.ok("PUT", f"/users/{user}/variables", json={"variables": {"owner": "acme"}})

    assert [m["memory"] for m in globex.memories(user)] == ["User lives in Springfield"]
    assert [m["content"] for m in globex.messages(user)] == ["I live in Springfield."]
    everything = [
        globex.ok("POST", "/memories/search", json={"query": SEED, "user_id": user, "top_k": 100}),
        globex.ok("POST", "/memories/search", json={"query": SEED, "agent_id": "shared-agent"}),
        globex.ok("GET", "/memories/search", params={"query": SEED, **both}),
        globex.ok("GET", "/memories", params={"agent_id": "shared-agent"}),
        globex.ok("GET", f"/users/{user}/profile"),
        globex.ok("GET", f"/memories/context/{user}", params={"message": SEED}),
        globex.ok("GET", f"/users/{user}/variables"),
        globex.ok("GET", "/sessions", params={"user_id": user}),
        globex.ok("GET", "/runs", params={"user_id": user}),
    ]
    seen = json.dumps(everything, ensure_ascii=False)
    assert "张三" not in seen
    assert "羽毛球" not in seen
    assert "acme" not in seen
    assert mine["message_ids"][0] not in seen
    assert "Springfield" in seen


def test_another_tenants_ids_are_not_found(acme: Api, globex: Api, user: str) -> None:
    added = acme.add(user, SEED)
    run = acme.ok("GET", "/runs", params={"user_id": user})["runs"][0]["id"]
    memory = f"/memories/{added['memory_id']}"
    for method, path, rest in (
        ("GET", memory, {}),
        ("GET", f"{memory}/history", {}),
        ("PATCH", memory, {"json": {"text": "用户的名字是李四"}}),
        ("DELETE", memory, {}),
        ("GET", f"/runs/{run}", {}),
        ("POST", f"/runs/{run}/drive", {}),
        ("GET", f"/jobs/{added['job_id']}", {}),
        ("POST", "/buffers/process", {"params": {"user_id": user}, "json": {"ids": added["message_ids"]}}),
    ):
        globex.refused(404, "not_found", method, path, **rest)
    who = {"user_id": user}
    assert globex.ok("DELETE", "/messages", params=who, json={"ids": added["message_ids"]}) == {"count": 0}
    assert globex.ok("DELETE", "/memories", params=who) == {"count": 0}
    assert globex.ok("DELETE", f"/users/{user}")["messages"] == 0
    assert len(acme.memories(user)) == 2
    assert len(acme.messages(user)) == 1


def test_what_was_there_before_keys_is_the_default_tenants(keyed: Keyed, acme: Api) -> None:
    with keyed.api(keyed.create_key("default", "reader")) as api:
        assert len(api.memories("before-keys")) == 2
    assert acme.memories("before-keys") == []


# --- no keys ----------------------------------------------------------------------------------


def test_without_keys_it_serves_this_machine_only(server: Server, api: Api) -> None:
    for host in ("evil.example", "192.168.1.5:8005", "localhost.evil.example"):
        error = api.refused(403, "forbidden", "GET", "/users/u/profile", headers={"Host": host})
        assert "memgrid keys create" in error["remedy"]
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:8005"):
        api.ok("GET", "/users/u/profile", headers={"Host": host})


@pytest.mark.parametrize("host", ["0.0.0.0", "example.com"])
def test_serve_refuses_the_network_without_keys(server: Server, host: str) -> None:
    fresh = str(server.folder / "fresh")
    refused = run_cli(server, "serve", "--host", host, "--port", "1", "--data-dir", fresh, check=False)
    assert refused.returncode == 1
    assert f"not on {host}" in refused.stderr
    assert "memgrid keys create" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_body_is_not_read_for_nobody(keyed: Keyed) -> None:
    """Who has no key cannot make the server hold megabytes."""
    body = b'{"user_id":"u","messages":[' + b" " * (9 * 1024 * 1024)
    answer = httpx.post(
        f"{keyed.url}/api/v1/memories", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401
