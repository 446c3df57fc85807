from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message, Scope

from cluster.api.body import parse_json
from memgrid import models as m
from memgrid.errors import InvalidInput
from memgrid.subject import Subject
from tests.api_fakes import MEMORY, Api

ADD = "/api/v1/memories"
JSON = {"Content-Type": "application/json"}


def add(**fields: Any) -> dict[str, Any]:
    return {"user_id": "u", "messages": [{"role": "user", "content": "hi"}]} | fields


async def refused(api: Api, answer_of: Any, status: int) -> m.ErrorDetail:
    """The error of an answer, which left no trace."""
    answer = await answer_of
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "detail"}
    detail = m.ErrorDetail.model_validate(answer.json()["error"])
    assert detail.message
    assert detail.request_id == answer.headers["X-Memgrid-Request-ID"]
    assert api.router.calls == []
    assert api.router.broadcasts == []
    return detail


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        (b"", "body", "required"),
        (b"{", "body", "not JSON"),
        (b"[]", "body", "valid dictionary"),
        (b'"text"', "body", "valid dictionary"),
        (b"{} trailing", "body", "not JSON"),
        (b'{"user_id": "u", "messages": [{"content": "\\ud800"}]}', "messages.0.content", "surrogate"),
        (b'{"user_id": "u", "messages": [], "metadata": {"a": {"\\udc00": 1}}}', "metadata.a", "surrogate"),
        (b'{"user_id": "u\\u0000", "messages": []}', "user_id", "NUL"),
        (b'{"user_id": "u", "messages": [], "metadata": {"a\\u0000": 1}}', "metadata", "NUL"),
        (b'{"user_id": "\xff", "messages": []}', "body", "UTF-8"),
        (b'{"user_id": "\xed\xa0\x80", "messages": []}', "body", "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "body", "UTF-8"),
        (b'{"user_id": "u", "messages": [], "metadata": {"a": [1, NaN]}}', "metadata.a.1", "finite"),
        (b'{"user_id": "u", "messages": [], "metadata": {"a": -Infinity}}', "metadata.a", "finite"),
        (b'{"user_id": "u", "messages": [], "metadata": {"a": 1e400}}', "metadata.a", "finite"),
        (
            b'{"user_id": "u", "messages": [], "metadata": {"a": 123456789012345678901234567890}}',
            "metadata.a",
            "64",
        ),
        (b'{"user_id": "u", "messages": [], "metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 41, None, "deep"),
        (b'{"user_id": "u", "messages": [], "metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}", None, "deep"),
    ],
)
async def test_what_is_not_json_that_a_store_could_keep(raw: bytes, field: str | None, says: str) -> None:
    api = Api()
    async with api.client(**JSON) as client:
        detail = await refused(api, client.post(ADD, content=raw), 422)
    assert detail.code == "invalid_input"
    assert says in detail.message
    if field is not None:
        assert detail.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (add(unknown=1), "unknown"),
        (add(user_id=1), "user_id"),
        (add(user_id=""), "user_id"),
        (add(user_id="x" * 257), "user_id"),
        (add(messages="text"), "messages"),
        (add(messages=[{"role": "user"}]), "messages.0.content"),
        (add(messages=[{"role": "", "content": "x"}]), "messages.0.role"),
        (add(messages=[{"role": "user", "content": 7}]), "messages.0.content"),
        (add(messages=[{"role": "user", "content": {"type": "text"}}]), "messages.0.content"),
        (add(messages=[{"role": "user", "content": ["hello"]}]), "messages.0.content"),
        (add(metadata=[]), "metadata"),
        (add(wait="perhaps"), "wait"),
        (add(timestamp="yesterday"), "timestamp"),
        (add(timestamp="0001-01-01T00:00:00+14:00"), "timestamp"),
        (add(timestamp="9999-12-31T23:59:59-12:00"), "timestamp"),
        (add(timestamp="12026-01-01T00:00:00Z"), "timestamp"),
        (add(timestamp=1e300), "timestamp"),
        (
            add(messages=[{"content": "x", "timestamp": "9999-12-31T23:59:59-12:00"}]),
            "messages.0.timestamp",
        ),
        (add(messages=[{"content": "x", "created_at": "when I was young"}]), "messages.0.created_at"),
        (add(user_id=None), "user_id"),
        ({"user_id": "u"}, "messages"),
    ],
)
async def test_what_an_add_cannot_be(body: dict[str, Any], field: str) -> None:
    api = Api()
    async with api.client() as client:
        detail = await refused(api, client.post(ADD, json=body), 422)
    assert detail.field == field


async def test_unknown_fields_stay_inside_messages_and_metadata() -> None:
    api = Api()
    body = add(messages=[{"content": "x", "mood": {"a": [1]}}], metadata={"anything": {"goes": None}})
    async with api.client() as client:
        assert (await client.post(ADD, json=body)).status_code == 200


async def test_numbers_within_range_and_real_emoji_are_fine() -> None:
    api = Api()
    metadata = {
        "big": 2**63,
        "small": -(2**63),
        "float": 1e308,
        "long": 0.1234567890123456789,
        "o": "😀\u0001",
    }
    async with api.client() as client:
        answer = await client.post(ADD, content=json.dumps(add(metadata=metadata)), headers=JSON)
    assert answer.status_code == 200
    request = api.router.calls[0].request
    assert isinstance(request, m.AddRequest)
    assert request.metadata == {"source": "conversation", **metadata}


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk"]
)
async def test_a_body_must_be_announced_as_json(content_type: str | None) -> None:
    api = Api()
    async with api.client() as client:
        headers = {"Content-Type": content_type} if content_type else {}
        detail = await refused(api, client.post(ADD, content=json.dumps(add()), headers=headers), 415)
    assert detail.code == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8; v=1", "application/merge-patch+json"]
)
async def test_json_has_several_names(content_type: str) -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post(ADD, content=json.dumps(add()), headers={"Content-Type": content_type})
    assert answer.status_code == 200


async def test_too_many_messages() -> None:
    api = Api()
    raw = json.dumps(add(messages=[{"content": "x"}] * 100_001))
    async with api.client(**JSON) as client:
        detail = await refused(api, client.post(ADD, content=raw), 413)
    assert (detail.code, detail.field) == ("payload_too_large", "messages")


async def test_the_limit_of_messages_is_a_setting() -> None:
    api = Api(max_messages_per_add=2)
    async with api.client() as client:
        assert (await client.post(ADD, json=add(messages=[{"content": "x"}] * 2))).status_code == 200
        answer = await client.post(ADD, json=add(messages=[{"content": "x"}] * 3))
    assert answer.status_code == 413
    assert "2" in answer.json()["error"]["message"]
    assert len(api.router.calls) == 1


async def test_too_large_is_said_before_the_body_is_read() -> None:
    api = Api()
    reads, sent = await asgi(api, headers=[(b"content-length", b"11000000")], chunks=[b"x" * 1024] * 10)
    assert reads == 0
    assert sent[0]["status"] == 413


async def test_a_chunked_body_is_read_no_further_than_the_limit() -> None:
    api = Api(max_body_bytes=4096)
    reads, sent = await asgi(api, headers=[(b"transfer-encoding", b"chunked")], chunks=[b" " * 1024] * 1000)
    assert reads == 5
    assert sent[0]["status"] == 413
    assert api.router.calls == []


async def test_many_large_bodies_at_a_time_are_too_many() -> None:
    api = Api(max_body_bytes=1024)
    whole = json.dumps(add(metadata={"x": "x" * 600})).encode()
    budget = 16 * 1024
    slow: list[AsyncIterator[Message]] = []

    async def held() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": whole, "more_body": True}

    import asyncio

    async def hang(parts: AsyncIterator[Message], read: asyncio.Event) -> Message:
        async for part in parts:
            return part
        read.set()
        await asyncio.Event().wait()
        raise AssertionError

    waiting: list[asyncio.Task[None]] = []
    for _ in range(budget // len(whole)):
        parts, read = held(), asyncio.Event()
        slow.append(parts)
        waiting.append(asyncio.create_task(call(api, lambda p=parts, r=read: hang(p, r), [])))
        await read.wait()
    sent: list[Message] = []
    _, sent = await asgi(api, chunks=[whole])
    assert sent[0]["status"] == 429
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    _, sent = await asgi(api, chunks=[whole])
    assert sent[0]["status"] == 200, "what the others held is given back"


async def test_a_client_that_hangs_up_is_not_an_error() -> None:
    api = Api()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await call(api, receive, sent)
    assert sent == []
    assert 'status="499"' in api_metrics(api)


async def call(
    api: Api, receive: Any, sent: list[Message], headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": ADD,
        "raw_path": ADD.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8005),
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *(headers or [])],
    }

    async def send(message: Message) -> None:
        sent.append(message)

    await api.app(scope, receive, send)


async def asgi(
    api: Api, *, chunks: list[bytes], headers: list[tuple[bytes, bytes]] | None = None
) -> tuple[int, list[Message]]:
    """Post chunks as they are; how many were read, and what was sent back."""
    left = list(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    await call(api, receive, sent, headers)
    return len(chunks) - len(left), sent


def api_metrics(api: Api) -> str:
    from prometheus_client import REGISTRY

    assert "memgrid_http_requests_total" not in {metric.name for metric in REGISTRY.collect()}
    [ingress] = [each for each in api.app.user_middleware if "services" in each.kwargs]
    services: Any = ingress.kwargs["services"]
    return services.metrics.text()


@pytest.mark.parametrize(
    "filters",
    [
        {"colour": "red"},
        {"AND": "x"},
        {"created_at": {"gte": "someday"}},
        {"kind": {"like": "f"}},
        {"AND": [{"kind": "fact"}] * 300},
    ],
)
async def test_a_filter_that_does_not_parse(filters: dict[str, Any]) -> None:
    api = Api()
    query = {"query": "x", "user_id": "u"}
    async with api.client() as client:
        posted = await refused(api, client.post(f"{ADD}/search", json={**query, "filters": filters}), 422)
        as_text = {"filters": json.dumps(filters)}
        await refused(api, client.get(f"{ADD}/search", params={**query, **as_text}), 422)
        await refused(api, client.get(ADD, params={"user_id": "u", **as_text}), 422)
        await refused(api, client.delete(ADD, params={"user_id": "u", **as_text}), 422)
    assert posted.field is not None
    assert posted.field.startswith("filters")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("query=x", "user_id"),
        ("user_id=u", "query"),
        ("query=&user_id=u", "query"),
        ("query=x&user_id=u&limit=0", "limit"),
        ("query=x&user_id=u&limit=1001", "limit"),
        ("query=x&user_id=u&threshold=2", "threshold"),
        ("query=x&user_id=u&threshold=nan", "threshold"),
        ("query=x&user_id=u&strategy=magic", "strategy"),
        ("query=x&user_id=u&kinds=dream", "kinds.0"),
        ("query=x&user_id=u&filters=nonsense", "filters"),
        ("query=x&user_id=u&filters=[1]", "filters"),
        ("query=x&user_id=u&unknown=1", "unknown"),
        ("query=%ff&user_id=u", "query"),
        ("query=x&user_id=a%00b", "query"),
    ],
)
async def test_what_a_search_cannot_be(query: str, field: str) -> None:
    api = Api()
    async with api.client() as client:
        detail = await refused(api, client.get(f"{ADD}/search?{query}"), 422)
    assert detail.field == field


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/memories/search", {"query": "x" * 32_769, "user_id": "u"}, "query"),
        ("POST", "/memories/search", {"query": "x", "user_id": "u", "top_k": "many"}, "top_k"),
        ("POST", "/memories/batch", {"items": []}, "items"),
        ("POST", "/memories/batch", {"items": ["text"]}, "items.0"),
        ("POST", "/memories/batch", {"items": {"user_id": "u"}}, "items"),
        ("POST", "/memories/batch", [{"user_id": "u"}], "body"),
        ("PATCH", f"/memories/{MEMORY}", {"text": ""}, "text"),
        ("PATCH", f"/memories/{MEMORY}", {"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ("PATCH", f"/memories/{MEMORY}", {"kind": "fact"}, "kind"),
        ("GET", "/memories?user_id=u&limit=0", None, "limit"),
        ("GET", f"/memories?user_id=u&cursor={'x' * 1025}", None, "cursor"),
        ("GET", "/memories?agent_id=a&cursor=garbage", None, "cursor"),
        ("GET", "/memories?agent_id=a&cursor=xgarbage", None, "cursor"),
        ("GET", "/memories?agent_id=a&cursor=x", None, "cursor"),
        ("GET", "/memories/context/u?max_tokens=0", None, "max_tokens"),
        ("GET", "/memories/context/u?language=fr", None, "language"),
        ("GET", "/users/u/messages?limit=x", None, "limit"),
        ("GET", "/users/u/runs?status=lost", None, "status"),
        ("GET", "/users/u/stats?days=0", None, "days"),
        ("PUT", "/users/u/variables", {"variables": {"a": 1}}, "variables.a"),
        ("DELETE", "/users/u/variables", None, "names"),
        ("PUT", "/users/u/buffers/policy", {"on_fire": True}, "on_fire"),
        ("DELETE", "/users/u/memories/cleanup?days_old=many", None, "days_old"),
    ],
)
async def test_what_the_others_cannot_be(method: str, path: str, body: Any, field: str) -> None:
    api = Api()
    api.store.memories["default", MEMORY] = Subject("default", "user", "u")
    async with api.client() as client:
        detail = await refused(api, client.request(method, f"/api/v1{path}", json=body), 422)
    assert detail.field == field


async def test_routes_and_methods_that_are_none() -> None:
    api = Api()
    async with api.client() as client:
        assert (await refused(api, client.get("/api/v2/memories"), 404)).code == "not_found"
        assert (await refused(api, client.get("/api/v1/memories/"), 404)).code == "not_found"
        assert (await refused(api, client.put(ADD), 405)).code == "method_not_allowed"
        assert "Allow" in (await client.put("/api/v1/memories/batch")).headers


def test_json_without_suspicion_is_not_walked() -> None:
    assert parse_json('{"a": [1, "汉字", null, true, 1.5e10]}'.encode(), 32) == {
        "a": [1, "汉字", None, True, 1.5e10]
    }


def test_depth_counts_what_is_inside_each_other_not_beside() -> None:
    beside = json.dumps([{"a": [1]}] * 100).encode()
    assert len(parse_json(beside, 3)) == 100
    with pytest.raises(InvalidInput, match="more than 2 levels"):
        parse_json(beside, 2)


async def test_a_compressed_body_is_refused_by_name() -> None:
    api = Api()
    async with api.client() as client:
        headers = {**JSON, "Content-Encoding": "gzip"}
        detail = await refused(api, client.post(ADD, content=b"\x1f\x8b", headers=headers), 415)
    assert detail.field == "Content-Encoding"


async def test_a_parameter_given_twice_is_refused_unless_it_is_a_list() -> None:
    api = Api()
    async with api.client() as client:
        for path in ("/api/v1/memories?user_id=a&user_id=b", "/api/v1/users/a/messages?limit=1&limit=2"):
            detail = await refused(api, client.get(path), 422)
            assert detail.field in ("user_id", "limit")
        lists = "/api/v1/memories?user_id=a&kinds=fact&kinds=note"
        assert (await client.get(lists)).status_code == 200


async def test_a_number_of_thousands_of_digits_is_named() -> None:
    api = Api()
    text = '{"user_id": "u", "messages": [{"content": "x", "n": %s}]}' % ("9" * 5000)
    async with api.client() as client:
        detail = await refused(api, client.post(ADD, content=text, headers=JSON), 422)
    assert detail.field == "messages.0.n"
    assert "64 bits" in detail.message


async def test_filters_that_are_no_json_are_not_called_the_body() -> None:
    api = Api()
    async with api.client() as client:
        detail = await refused(api, client.get("/api/v1/memories?user_id=a&filters={"), 422)
    assert detail.field == "filters"
    assert "body" not in detail.message


async def test_ids_that_cannot_be_seen_are_refused() -> None:
    api = Api()
    async with api.client() as client:
        detail = await refused(api, client.post(ADD, json=add(user_id=" \u200b")), 422)
        assert (detail.field, detail.message) == ("user_id", "user_id: it is blank")
        await refused(api, client.get("/api/v1/users/%20/profile"), 422)
        await refused(api, client.get("/api/v1/memories/%E2%80%8B"), 422)
        assert (await client.get("/api/v1/users/%2F/profile")).status_code == 200
