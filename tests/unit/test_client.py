"""The HTTP clients: what they send, what they make of answers, and what they do when the way is bad."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from memgrid import AsyncMemgrid, Memgrid, _http
from memgrid._requests import subject_of
from memgrid._unasync import _MODULES, _PACKAGE, sync_source
from memgrid.api import MemgridApi
from memgrid.errors import (
    Conflict,
    InternalError,
    InvalidInput,
    MemgridError,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
)
from memgrid.models import MessageIn
from memgrid.operations import OPERATIONS
from memgrid.routes import ROUTES

ADDED = {"job_id": "j1", "status": "pending", "message_ids": ["m1"]}
MEMORY = {
    "id": "1",
    "memory": "likes tea",
    "kind": "fact",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "revision": 1,
}
MESSAGE = {
    "id": "m1",
    "session_id": "s",
    "role": "user",
    "content": "hi",
    "event_time": "2026-01-01T00:00:00Z",
    "created_at": "2026-01-01T00:00:00Z",
    "tokens": 1,
}
RUN = {
    "id": "r",
    "status": "done",
    "message_ids": [],
    "extractor": "rules",
    "duration_ms": 1,
    "created_at": "2026-01-01T00:00:00Z",
}
BUFFER = {"tokens": 0, "full_at": 8192, "is_full": False, "message_ids": [], "policy": {}}
PROFILE = {
    "user_id": "u",
    "total_memories": 0,
    "profile_summary": "",
    "generated_at": "2026-01-01T00:00:00Z",
    "key_interests": [],
    "interaction_patterns": {},
}
HEALTH = {"timestamp": "2026-01-01T00:00:00Z", "components": {}, "overall": "healthy"}
Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers one request after another, and keeps them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def ok(body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


def refused(status: int, code: str, *, retry_after: str | None = None, **detail: Any) -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(
        status, headers=headers, json={"error": {"code": code, "message": "no", **detail}, "detail": "no"}
    )


def client_of(script: Script, **options: Any) -> tuple[AsyncMemgrid, list[float]]:
    """A client of the script, and the pauses it makes instead of sleeping."""
    client = AsyncMemgrid(transport=httpx.MockTransport(script), **options)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    client._transport._sleep = sleep  # pyright: ignore
    return client, pauses


async def collect(items: Any) -> list[Any]:
    return [item async for item in items]


TASK = {
    "id": "r",
    "task": "deploy",
    "when_to_use": "deploy",
    "what_to_do": "restart",
    "outcome": "success",
    "created_at": "2026-11-21T00:00:00Z",
    "updated_at": "2026-11-21T00:00:00Z",
}

# Each method once: how it is called, and what must go over the wire.
CALLS: list[tuple[str, Callable[[MemgridApi], Any], str, str, dict[str, str], Any, object]] = [
    (
        "add",
        lambda c: c.add("我叫张三", user_id="u", session_id="s", idempotency_key="k", wait=True),
        "POST",
        "/api/v1/memories",
        {},
        {
            "messages": [{"content": "我叫张三"}],
            "user_id": "u",
            "session_id": "s",
            "idempotency_key": "k",
            "infer": True,
            "record_message": True,
            "wait": True,
        },
        ADDED,
    ),
    (
        "add_batch",
        lambda c: c.add_batch([{"user_id": "u", "messages": [{"content": "x", "id": "1"}]}]),
        "POST",
        "/api/v1/memories/batch",
        {},
        {"items": [{"user_id": "u", "messages": [{"content": "x", "id": "1"}]}]},
        {"results": [], "succeeded": 0, "failed": 0},
    ),
    (
        "search",
        lambda c: c.search("tea?", user_id="u", agent_id="a", top_k=3, types=["memory"], filters={"a": 1}),
        "POST",
        "/api/v1/memories/search",
        {},
        {
            "query": "tea?",
            "user_id": "u",
            "agent_id": "a",
            "top_k": 3,
            "threshold": 0.0,
            "strategy": "hybrid",
            "filters": {"a": 1},
            "types": ["memory"],
            "latest_only": True,
            "explain": False,
        },
        {"results": [], "total": 0},
    ),
    (
        "context",
        lambda c: c.context("张三", "周末？", max_tokens=50),
        "GET",
        "/api/v1/users/%E5%BC%A0%E4%B8%89/context",
        {"message": "周末？", "max_tokens": "50"},
        None,
        {"context": "", "tokens": 0},
    ),
    ("profile", lambda c: c.profile("u"), "GET", "/api/v1/users/u/profile", {}, None, PROFILE),
    ("get_memory", lambda c: c.get("a/b"), "GET", "/api/v1/memories/a%2Fb", {}, None, MEMORY),
    (
        "update_memory",
        lambda c: c.update("1", text="t", tags=["x"], expires_at=None),
        "PATCH",
        "/api/v1/memories/1",
        {},
        {"text": "t", "tags": ["x"], "expires_at": None},
        MEMORY,
    ),
    ("delete_memory", lambda c: c.delete("1"), "DELETE", "/api/v1/memories/1", {}, None, {"count": 1}),
    (
        "delete_memories",
        lambda c: c.delete_all(user_id="u", agent_id="a", filters={"AND": [{"x": "好"}]}),
        "DELETE",
        "/api/v1/memories",
        {"user_id": "u", "labels": '{"agent":"a"}', "filters": '{"AND":[{"x":"好"}]}'},
        None,
        {"count": 1},
    ),
    ("history", lambda c: c.history("1"), "GET", "/api/v1/memories/1/history", {}, None, {"history": []}),
    (
        "list_memories",
        lambda c: c.list_page(user_id="u", kinds=["fact"], latest_only=False),
        "GET",
        "/api/v1/memories",
        {"user_id": "u", "kinds": "fact", "latest_only": "false", "limit": "100"},
        None,
        {"memories": [], "total": 0},
    ),
    (
        "sessions",
        lambda c: c.sessions_page(agent_id="a"),
        "GET",
        "/api/v1/sessions",
        {"agent_id": "a", "limit": "100"},
        None,
        {"sessions": []},
    ),
    (
        "messages",
        lambda c: c.messages_page(user_id="u", session_id="s", mark="m", newest_first=True),
        "GET",
        "/api/v1/messages",
        {"user_id": "u", "session_id": "s", "mark": "m", "newest_first": "true", "limit": "100"},
        None,
        {"messages": []},
    ),
    (
        "mark_messages",
        lambda c: c.mark_messages(user_id="u", new="seen", ids=["1"]),
        "POST",
        None,
        {"user_id": "u"},
        {"new": "seen", "ids": ["1"]},
        {"count": 1},
    ),
    (
        "delete_messages",
        lambda c: c.delete_messages(user_id="u", session_id="s", memories=True),
        None,
        None,
        {"user_id": "u"},
        {"session_id": "s", "memories": True},
        {"count": 1},
    ),
    (
        "variables",
        lambda c: c.variables("u"),
        "GET",
        "/api/v1/users/u/variables",
        {},
        None,
        {"variables": {}},
    ),
    (
        "set_variables",
        lambda c: c.set_variables({"城市": "杭州"}, user_id="u"),
        None,
        "/api/v1/users/u/variables",
        {},
        {"variables": {"城市": "杭州"}},
        {"variables": {}},
    ),
    (
        "delete_variables",
        lambda c: c.delete_variables(["a", "b"], agent_id="u"),
        "DELETE",
        "/api/v1/agents/u/variables",
        {"names": "a,b"},
        None,
        {"count": 1},
    ),
    ("buffer_status", lambda c: c.buffer(user_id="u"), "GET", None, {"user_id": "u"}, None, BUFFER),
    (
        "set_buffer_policy",
        lambda c: c.set_buffer_policy(user_id="u", on_full=False),
        "PUT",
        None,
        {"user_id": "u"},
        {"on_full": False, "on_idle": True},
        BUFFER,
    ),
    (
        "process",
        lambda c: c.process(user_id="u", ids=["1"]),
        "POST",
        None,
        {"user_id": "u"},
        {"ids": ["1"], "wait": True},
        {"job_id": None, "status": "done"},
    ),
    (
        "job",
        lambda c: c.job("j"),
        "GET",
        "/api/v1/jobs/j",
        {},
        None,
        {"job_id": "j", "status": "done", "messages": 1, "done": 1},
    ),
    (
        "runs",
        lambda c: c.runs_page(user_id="u", status="parked"),
        "GET",
        "/api/v1/runs",
        {"user_id": "u", "status": "parked", "limit": "100"},
        None,
        {"runs": []},
    ),
    ("run", lambda c: c.get_run("r"), "GET", "/api/v1/runs/r", {}, None, RUN),
    ("drive_run", lambda c: c.drive_run("r"), "POST", None, {}, None, {"job_id": None, "status": "done"}),
    (
        "cleanup",
        lambda c: c.cleanup("u", days_old=30),
        "DELETE",
        "/api/v1/users/u/memories/cleanup",
        {"days_old": "30"},
        None,
        {"deleted_count": 0, "total_old_memories": 0, "cleanup_date": "2026-01-01T00:00:00Z"},
    ),
    (
        "erase",
        lambda c: c.erase(agent_id="a"),
        "DELETE",
        "/api/v1/agents/a",
        {},
        None,
        {"subject_kind": "user", "subject_id": "u", "memories": 0, "messages": 0},
    ),
    ("stats", lambda c: c.stats(user_id="u"), "GET", None, {"user_id": "u", "days": "7"}, None, {"days": []}),
    (
        "extraction_config",
        lambda c: c.extraction_config(group_id="vip"),
        "GET",
        "/api/v1/config/extraction",
        {"group_id": "vip"},
        None,
        {"group_id": "vip"},
    ),
    (
        "set_extraction_config",
        lambda c: c.set_extraction_config(
            variables={"city": "home"}, llm={"base_url": "https://x.example", "model": "m", "api_key": "k"}
        ),
        "PUT",
        "/api/v1/config/extraction",
        {},
        {
            "variables": {"city": "home"},
            "llm": {"base_url": "https://x.example", "model": "m", "api_key": "k"},
        },
        {"variables": {"city": "home"}},
    ),
    (
        "usage",
        lambda c: c.usage("2026-11-01", date(2026, 11, 30)),
        "GET",
        "/api/v1/usage",
        {"from": "2026-11-01", "to": "2026-11-30"},
        None,
        {"days": [], "total": {"date": "x"}, "generated_at": "2026-11-30T00:00:00Z"},
    ),
    (
        "add_document",
        lambda c: c.add_document("a text", document_id="d", user_id="u"),
        "POST",
        None,
        {},
        {"text": "a text", "document_id": "d", "source_type": "document", "wait": False, "user_id": "u"},
        {"job_id": "j", "status": "pending", "message_ids": []},
    ),
    (
        "events",
        lambda c: c.events(
            user_id="u", tags=["a", "b"], since=datetime(2026, 1, 2, tzinfo=UTC), query="旅行"
        ),
        "GET",
        None,
        {"user_id": "u", "tags": "a,b", "from": "2026-01-02T00:00:00Z", "query": "旅行", "limit": "100"},
        None,
        {"events": []},
    ),
    (
        "record_task",
        lambda c: c.record_task("deploy", steps=[{"action": "restart"}], outcome="success", agent_id="a"),
        "POST",
        None,
        {"agent_id": "a"},
        {"task": "deploy", "steps": [{"action": "restart"}], "outcome": "success", "tags": []},
        TASK,
    ),
    (
        "tasks",
        lambda c: c.tasks("deploy", agent_id="a"),
        "GET",
        None,
        {"agent_id": "a", "task": "deploy", "limit": "10"},
        None,
        {"tasks": [TASK]},
    ),
    ("use_task", lambda c: c.use_task("r", success=True), "POST", None, {"success": "true"}, None, TASK),
    ("update_task", lambda c: c.update_task("r", lesson="x"), "PATCH", None, {}, {"lesson": "x"}, TASK),
    ("related", lambda c: c.related("r"), "GET", None, {}, None, {"relations": []}),
    (
        "link_memory",
        lambda c: c.link("r", "cause", "s"),
        "POST",
        None,
        {},
        {"type": "cause", "memory_id": "s", "remove": False},
        {"relations": []},
    ),
    (
        "entities",
        lambda c: c.entities("u"),
        "GET",
        "/api/v1/users/u/entities",
        {"limit": "100"},
        None,
        {"entities": []},
    ),
    (
        "entity",
        lambda c: c.entity("a/b", user_id="u"),
        "GET",
        "/api/v1/users/u/entities/a%2Fb",
        {},
        None,
        {"name": "a/b", "type": "place", "memories": []},
    ),
    (
        "share_memory",
        lambda c: c.share("r", user_id="b"),
        "POST",
        None,
        {"user_id": "b"},
        None,
        {"shares": []},
    ),
    (
        "unshare_memory",
        lambda c: c.unshare("r", agent_id="b"),
        "DELETE",
        None,
        {"agent_id": "b"},
        None,
        {"shares": []},
    ),
    (
        "profile_config",
        lambda c: c.profile_config(language="zh"),
        "GET",
        None,
        {"language": "zh"},
        None,
        {"config": {}},
    ),
    (
        "set_profile_config",
        lambda c: c.set_profile_config([{"name": "饮食"}], strict=True),
        "PUT",
        None,
        {},
        {"topics": [{"name": "饮食"}], "strict": True},
        {"config": {}},
    ),
    ("health", lambda c: c.health(), "GET", "/health/detailed", {}, None, HEALTH),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
async def test_a_method_is_one_request(call: Any) -> None:
    name, ask, method, path, query, body, answer = call
    script = Script(ok(answer))
    client, _ = client_of(script, api_key="secret")
    async with client:
        await ask(client)
    (request,) = script.requests
    route = ROUTES[name]
    assert request.method == (method or route.method)
    assert request.url.raw_path.decode().split("?")[0] == (path or route.root + route.path.format(id="r"))
    assert {k: ",".join(request.url.params.get_list(k)) for k in request.url.params} == query
    sent = json.loads(request.content) if request.content else None
    assert sent == body
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("memgrid-python/")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_the_sync_client_sends_the_same(call: Any) -> None:
    name, ask, method, _path, query, _body, answer = call
    script = Script(ok(answer))
    with Memgrid(transport=httpx.MockTransport(script)) as client:
        ask(client)
    (request,) = script.requests
    assert request.method == (method or ROUTES[name].method)
    assert {k: ",".join(request.url.params.get_list(k)) for k in request.url.params} == query


def test_every_operation_has_a_route_and_a_method_that_is_tried_here() -> None:
    internal = {"hydrate", "query_vector"}
    callable_ = OPERATIONS.keys() - internal | {"add_batch", "health"}
    assert set(ROUTES) == callable_
    assert {call[0] for call in CALLS} == callable_


@pytest.mark.parametrize("name", _MODULES)
def test_the_sync_client_is_up_to_date(name: str) -> None:
    written = (_PACKAGE / "_sync" / name).read_text(encoding="utf-8")
    assert written == sync_source(name), "run `python -m memgrid._unasync`"


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        "hi",
        {"role": "user", "content": "hi"},
        MessageIn(content="hi"),
        [MessageIn(content="hi")],
        [{"content": "hi"}],
    ],
)
async def test_messages_may_be_given_in_any_way(messages: Any) -> None:
    script = Script(ok(ADDED))
    client, _ = client_of(script)
    await client.add(messages, user_id="u")
    (body,) = script.bodies()
    assert [m["content"] for m in body["messages"]] == ["hi"]


async def test_extra_keys_of_a_message_and_its_time_are_sent() -> None:
    script = Script(ok(ADDED))
    client, _ = client_of(script)
    said = datetime(2026, 1, 2, tzinfo=UTC)
    await client.add({"content": "hi", "mood": "好", "timestamp": said}, user_id="u")
    (message,) = script.bodies()[0]["messages"]
    assert message == {"content": "hi", "mood": "好", "timestamp": "2026-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.search("q", user_id="u", top_k=0), "top_k"),
        (lambda c: c.search("q", user_id="u", strategy="magic"), "strategy"),
        (lambda c: c.search("", user_id="u"), "query"),
        (lambda c: c.search("q", usr_id="u"), "usr_id"),
        (lambda c: c.add([{"role": "user"}], user_id="u"), "messages.0.content"),
        (lambda c: c.add(["text"], user_id="u"), "messages.0"),
        (lambda c: c.add("a" + "\ud800", user_id="u"), None),
        (lambda c: c.add("a", user_id="u", metadata={"x": float("nan")}), None),
        (lambda c: c.buffer(), "user_id"),
        (lambda c: c.get(""), "id"),
        (lambda c: c.cleanup("u", days_old=0), "days_old"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(call: Any, field: str | None) -> None:
    script = Script(ok({}))
    client, _ = client_of(script)
    with pytest.raises(InvalidInput) as caught:
        await call(client)
    assert field is None or caught.value.field == field
    assert not script.requests


@pytest.mark.parametrize("odd", ["a/b", "..", ".", "a?b#c", "a b", "张三", "%2F"])
async def test_odd_ids_stay_one_path_segment(odd: str) -> None:
    script = Script(ok(PROFILE))
    client, _ = client_of(script)
    await client.profile(odd)
    segments = script.requests[0].url.raw_path.decode().split("/")
    assert len(segments) == 6
    assert httpx.URL(f"http://x/?id={segments[4]}").params["id"] == odd


@pytest.mark.parametrize("kind", ["user", "agent", "app", "run"])
def test_the_first_id_given_is_the_subject(kind: str) -> None:
    order = ["user", "agent", "app", "run"]
    ids = {f"{k}_id": k for k in order[order.index(kind) :]}
    assert subject_of(**ids) == (kind, kind)  # pyright: ignore


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGRID_URL", "http://memory.example:9000/api/v1/")
    monkeypatch.setenv("MEMGRID_API_KEY", "from-env")
    script = Script(ok(PROFILE))
    with Memgrid(transport=httpx.MockTransport(script)) as client:
        client.profile("u")
    assert str(script.requests[0].url) == "http://memory.example:9000/api/v1/users/u/profile"
    assert script.requests[0].headers["Authorization"] == "Bearer from-env"


@pytest.mark.parametrize("url", ["localhost:8005", "ftp://x", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Memgrid(url)
    assert caught.value.field == "base_url"


@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("http://127.0.0.1:8005", False),
        ("http://localhost:1", False),
        ("http://[::1]:8005", False),
        ("https://memory.example", True),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(url: str, proxied: bool) -> None:
    assert _http.goes_through_proxy(url) is proxied


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(422, "invalid_input", field="top_k", remedy="less"), InvalidInput),
        (refused(413, "payload_too_large"), PayloadTooLarge),
        (refused(401, "unauthenticated"), Unauthenticated),
        (refused(404, "not_found"), NotFound),
        (refused(409, "conflict"), Conflict),
        (refused(500, "internal_error"), InternalError),
        (refused(418, "some_later_code"), MemgridError),
        (httpx.Response(404, text="<html>nginx</html>"), NotFound),
        (httpx.Response(422, json={"detail": [{"loc": ["body"]}]}), InvalidInput),
        (httpx.Response(302, headers={"Location": "/login"}), MemgridError),
        (httpx.Response(200, text="<html>a web page</html>"), MemgridError),
        (httpx.Response(200, json={"another": "service"}), MemgridError),
    ],
)
async def test_an_error_answer_is_the_error_of_its_code(answer: httpx.Response, error: type) -> None:
    script = Script(answer)
    client, pauses = client_of(script)
    with pytest.raises(error) as caught:
        await client.profile("u")
    assert type(caught.value) is error
    assert len(script.requests) == 1
    assert not pauses
    if answer.status_code == 422 and "remedy" in answer.text:
        assert (caught.value.field, caught.value.remedy) == ("top_k", "less")


async def test_ill_health_is_an_answer() -> None:
    report = HEALTH | {"overall": "unhealthy", "components": {"store": {"status": "unhealthy", "latency": 1}}}
    script = Script(
        httpx.Response(503, json={"error": {"code": "unavailable", "message": ""}, "detail": report})
    )
    client, pauses = client_of(script)
    state = await client.health()
    assert state.overall == "unhealthy"
    assert state.components["store"].status == "unhealthy"
    assert not pauses


# --- trying again -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.RemoteProtocolError("hung up"),
        httpx.ReadError("reset"),
        refused(503, "unavailable"),
        refused(429, "overloaded"),
        httpx.Response(500, text="Internal Server Error"),  # Serve's own, when a replica has died
        httpx.Response(502, text="bad gateway"),
        httpx.Response(504, text="timed out"),
    ],
)
async def test_what_was_lost_on_the_way_is_sent_again_as_it_was(failure: Any) -> None:
    script = Script(failure, failure, ok(ADDED))
    client, pauses = client_of(script)
    assert (await client.add("hi", user_id="u")).job_id == "j1"
    assert len(pauses) == 2
    bodies = script.bodies()
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["idempotency_key"]


async def test_two_adds_never_share_a_key() -> None:
    script = Script(ok(ADDED))
    client, _ = client_of(script)
    await client.add("hi", user_id="u")
    await client.add("hi", user_id="u")
    first, second = (body["idempotency_key"] for body in script.bodies())
    assert first != second


async def test_a_key_is_minted_only_where_it_is_needed() -> None:
    script = Script(ok({"results": [], "succeeded": 0, "failed": 0}))
    client, _ = client_of(script)
    plain = {"user_id": "u", "messages": [{"content": "x"}]}
    own = {"user_id": "u", "messages": [{"content": "x", "id": "1"}]}
    await client.add_batch([plain, own, {**plain, "idempotency_key": "mine"}])
    keys = [item.get("idempotency_key") for item in script.bodies()[0]["items"]]
    assert keys[0]
    assert keys[1:] == [None, "mine"]


async def test_without_retries_there_is_one_attempt_and_no_key() -> None:
    script = Script(httpx.ConnectError("refused"))
    client, pauses = client_of(script, max_retries=0)
    with pytest.raises(Unavailable) as caught:
        await client.add("hi", user_id="u")
    assert "memgrid serve" in (caught.value.remedy or "")
    assert len(script.requests) == 1
    assert not pauses
    assert "idempotency_key" not in script.bodies()[0]


async def test_retries_end() -> None:
    script = Script(refused(503, "unavailable"))
    client, pauses = client_of(script, max_retries=2)
    with pytest.raises(Unavailable):
        await client.profile("u")
    assert len(script.requests) == 3
    assert len(pauses) == 2


async def test_retry_after_is_honoured() -> None:
    script = Script(refused(429, "overloaded", retry_after="7"), ok(PROFILE))
    client, pauses = client_of(script)
    await client.profile("u")
    assert 7 <= pauses[0] < 13


async def test_a_long_retry_after_is_the_callers_to_decide() -> None:
    script = Script(refused(429, "overloaded", retry_after="3600"))
    client, pauses = client_of(script)
    with pytest.raises(Overloaded) as caught:
        await client.profile("u")
    assert caught.value.retry_after == 3600
    assert not pauses


async def test_an_answer_that_does_not_come_is_not_waited_for_twice() -> None:
    script = Script(httpx.ReadTimeout("slow"))
    client, pauses = client_of(script)
    with pytest.raises(Unavailable, match="in time"):
        await client.profile("u")
    assert not pauses


async def test_a_delete_whose_answer_was_lost_succeeds() -> None:
    script = Script(httpx.ReadError("reset"), refused(404, "not_found"))
    client, _ = client_of(script)
    await client.delete("1")
    with pytest.raises(NotFound):
        await client.delete("1")


def test_backoff_grows_and_stays_bounded() -> None:
    error = Unavailable("x")
    for attempt in range(1, 60):
        pauses = [_http.pause_before_retry(attempt, error, None) for _ in range(50)]
        assert all(p is not None and 0 <= p <= min(5.0, 0.1 * 2.0 ** (attempt - 1)) for p in pauses)


async def test_a_call_that_waits_for_an_extraction_gets_time() -> None:
    script = Script(ok(ADDED))
    client, _ = client_of(script, timeout=5.0)
    await client.add("hi", user_id="u")
    await client.add("hi", user_id="u", wait=True)
    reads = [request.extensions["timeout"]["read"] for request in script.requests]
    assert reads == [5.0, 600.0]


# --- pages and jobs ---------------------------------------------------------------------------


def pages_of(field: str, items: Iterable[dict[str, Any]], **rest: Any) -> Handler:
    """Serves two items a page."""
    everything = list(items)

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("cursor", "0"))
        following = str(start + 2) if start + 2 < len(everything) else None
        return ok({field: everything[start : start + 2], "cursor": following, **rest})

    return answer


async def test_iterators_go_through_all_pages() -> None:
    memories = [MEMORY | {"id": str(number)} for number in range(5)]
    client = AsyncMemgrid(transport=httpx.MockTransport(pages_of("memories", memories, total=5)))
    assert [m.id for m in await collect(client.list(user_id="u"))] == ["0", "1", "2", "3", "4"]
    messages = [MESSAGE | {"id": str(number)} for number in range(4)]
    client = AsyncMemgrid(transport=httpx.MockTransport(pages_of("messages", messages)))
    assert [m.id for m in await collect(client.messages(user_id="u"))] == ["0", "1", "2", "3"]
    client = AsyncMemgrid(transport=httpx.MockTransport(pages_of("runs", [RUN])))
    assert len(await collect(client.runs(user_id="u"))) == 1
    client = AsyncMemgrid(transport=httpx.MockTransport(pages_of("sessions", [])))
    assert await collect(client.sessions(user_id="u")) == []


def test_sync_iterators_go_through_all_pages() -> None:
    memories = [MEMORY | {"id": str(number)} for number in range(5)]
    with Memgrid(transport=httpx.MockTransport(pages_of("memories", memories, total=5))) as client:
        assert [m.id for m in client.list(user_id="u")] == ["0", "1", "2", "3", "4"]


def job(status: str) -> httpx.Response:
    return ok({"job_id": "j", "status": status, "messages": 1, "done": 0})


@pytest.mark.parametrize("end", ["done", "parked"])
async def test_waiting_for_a_job_ends_with_it(end: str) -> None:
    script = Script(job("pending"), job("running"), job(end))
    client, _ = client_of(script)
    assert (await client.wait_for_job("j")).status == end
    assert len(script.requests) == 3


async def test_waiting_for_a_job_ends_in_time() -> None:
    client, _ = client_of(Script(job("running")))
    with pytest.raises(Unavailable, match="still running"):
        await client.wait_for_job("j", timeout=0.01)
