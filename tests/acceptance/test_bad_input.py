"""What cannot be understood is refused with its field and a remedy, and leaves nothing behind."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.acceptance.conftest import Api, stored, waiting
from tests.cluster.server import Server

pytestmark = pytest.mark.ray

JSON = {"Content-Type": "application/json"}
TURN = {"role": "user", "content": "我叫张三"}
MEGABYTE = 1024 * 1024
LONGEST_ADDRESS = 16_000
"""Characters that HAProxy takes; it answers to longer ones itself, and not in JSON."""


@pytest.fixture
def no_trace(server: Server) -> Generator[None]:
    """Fails the test when a store's row was added or taken away during it."""
    deadline = time.monotonic() + 60
    while waiting(server):
        assert time.monotonic() < deadline, "what earlier tests added is not extracted"
        time.sleep(0.05)
    before = stored(server)
    yield
    assert stored(server) == before


def deep(levels: int) -> str:
    """A JSON text of so many lists in one another, in a message's own key."""
    return (
        '{"user_id":"u","messages":[{"role":"user","content":"x","k":' + "[" * levels + "]" * levels + "}]}"
    )


def add(**fields: Any) -> bytes:
    """An add of one message, some fields replaced."""
    return json.dumps({"user_id": "u", "messages": [TURN], **fields}).encode()


def turn(**fields: Any) -> bytes:
    """An add of one message that has these fields."""
    return add(messages=[{**TURN, **fields}])


def raw(text: str) -> bytes:
    """An add of one message with this JSON text as its content."""
    return b'{"user_id":"u","messages":[{"role":"user","content":%b}]}' % text.encode()


def meta(text: str) -> bytes:
    """An add with metadata of this JSON text."""
    return b'{"user_id":"u","messages":[],"metadata":{"k":%b}}' % text.encode()


BAD_ADDS: dict[str, tuple[bytes, str]] = {
    "not JSON": (b'{"user_id": "u",', "body"),
    "not even text": (b"\xff\xfe{}", "body"),
    "nothing": (b"", "body"),
    "a list": (b"[1]", "body"),
    "a number": (b"7", "body"),
    "null": (b"null", "body"),
    "single quotes": (b"{'user_id': 'u'}", "body"),
    "a trailing comma": (b'{"user_id": "u", "messages": [],}', "body"),
    "an unknown field": (add(user="x"), "user"),
    "a field misspelt": (add(metdata={}), "metdata"),
    "nobody": (json.dumps({"messages": [TURN]}).encode(), "user_id"),
    "no messages": (b'{"user_id": "u"}', "messages"),
    "messages that are text": (add(messages="hello"), "messages"),
    "messages that are null": (add(messages=None), "messages"),
    "a message that is text": (add(messages=["hello"]), "messages.0"),
    "a message without content": (add(messages=[{"role": "user"}]), "messages.0.content"),
    "content that is a number": (turn(content=3), "messages.0.content"),
    "a content part that is text": (turn(content=["hello"]), "messages.0.content"),
    "an empty role": (turn(role=""), "messages.0.role"),
    "a role that is a number": (turn(role=1), "messages.0.role"),
    "an endless role": (turn(role="r" * 65), "messages.0.role"),
    "an endless name": (turn(name="n" * 257), "messages.0.name"),
    "an empty message id": (turn(id=""), "messages.0.id"),
    "marks that are text": (turn(marks="m"), "messages.0.marks"),
    "an empty mark": (turn(marks=[""]), "messages.0.marks.0"),
    "an empty user": (add(user_id=""), "user_id"),
    "a user that is a number": (add(user_id=7), "user_id"),
    "an endless user": (add(user_id="u" * 257), "user_id"),
    "an endless session": (add(session_id="s" * 257), "session_id"),
    "metadata that are a list": (add(metadata=[]), "metadata"),
    "wait that is a word": (add(wait="perhaps"), "wait"),
    "a NUL in the content": (turn(content="a\0b"), "messages.0.content"),
    "a NUL in the user": (add(user_id="a\0b"), "user_id"),
    "a NUL in a key": (turn(**{"a\0b": 1}), "messages.0"),
    "half a surrogate pair": (raw(r'"a\ud83d"'), "messages.0.content"),
    "the other half": (raw(r'"\ude00b"'), "messages.0.content"),
    "half a pair in the metadata": (
        b'{"user_id":"u","messages":[],"metadata":{"k":"\\ud800"}}',
        "metadata.k",
    ),
    "NaN": (raw("NaN"), "messages.0.content"),
    "Infinity in the metadata": (meta("-Infinity"), "metadata.k"),
    "a number beyond a double": (meta("1e999"), "metadata.k"),
    "a number beyond 64 bits": (add(metadata={"k": 1 << 64}), "metadata.k"),
    "a date that is none": (turn(timestamp="yesterday"), "messages.0.timestamp"),
    "the 30th of February": (turn(timestamp="2026-02-30T00:00:00Z"), "messages.0.timestamp"),
    "the year 10000": (turn(timestamp="10000-01-01T00:00:00Z"), "messages.0.timestamp"),
    "an hour before the year 1": (turn(timestamp="0001-01-01T00:00:00+14:00"), "messages.0.timestamp"),
    "an hour after the year 9999": (turn(timestamp="9999-12-31T23:59:59-14:00"), "messages.0.timestamp"),
    "seconds beyond all years": (turn(timestamp=1e18), "messages.0.timestamp"),
    "a created_at that is none": (turn(created_at="soon"), "messages.0.created_at"),
    "a bad default date": (add(timestamp="never"), "timestamp"),
    "nested too deeply": (deep(40).encode(), "messages.0.k"),
    "nested beyond any parser": (deep(100_000).encode(), "body"),
}


@pytest.mark.parametrize("name", BAD_ADDS)
@pytest.mark.usefixtures("no_trace")
def test_a_bad_add(api: Api, name: str) -> None:
    body, field = BAD_ADDS[name]
    error = api.refused(422, "invalid_input", "POST", "/memories", content=body, headers=JSON)
    assert error["field"].startswith(field)
    assert error["remedy"]


@pytest.mark.usefixtures("no_trace")
def test_many_bad_messages_name_the_first(api: Api) -> None:
    body = {"user_id": "u", "messages": [TURN, TURN, {"role": "user"}, {"role": "user"}]}
    error = api.refused(422, "invalid_input", "POST", "/memories", json=body)
    assert error["field"] == "messages.2.content"


@pytest.mark.usefixtures("no_trace")
def test_bad_items_of_a_batch_leave_no_trace(api: Api) -> None:
    items = [{"messages": [TURN]}, {"user_id": "u", "messages": [TURN], "typo": 1}]
    answer = api.ok("POST", "/memories/batch", json={"items": items})
    assert [item["error"]["field"] for item in answer["results"]] == ["user_id", "typo"]
    assert (answer["succeeded"], answer["failed"]) == (0, 2)
    for no_batch in ([], ["text"], None):
        api.refused(422, "invalid_input", "POST", "/memories/batch", json={"items": no_batch})


def test_a_bad_item_of_a_batch_costs_the_others_nothing(api: Api, user: str) -> None:
    items = [
        {"user_id": user, "messages": [TURN]},
        {"messages": [TURN]},
        {"user_id": user, "messages": [TURN]},
    ]
    answer = api.ok("POST", "/memories/batch", json={"items": items})
    assert ["result" in item for item in answer["results"]] == [True, False, True]
    assert len(api.messages(user)) == 2


@pytest.mark.usefixtures("no_trace")
def test_11_megabytes(api: Api) -> None:
    body = turn(content="x" * (11 * MEGABYTE))
    error = api.refused(413, "payload_too_large", "POST", "/memories", content=body, headers=JSON)
    assert (error["field"], "MEMGRID_MAX_BODY_BYTES" in error["remedy"]) == ("body", True)


@pytest.mark.usefixtures("no_trace")
def test_11_megabytes_of_unknown_length(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"user_id":"u","messages":[{"role":"user","content":"'
        for _ in range(11 * 16):
            yield b"x" * (MEGABYTE // 16)
        yield b'"}]}'

    error = api.refused(413, "payload_too_large", "POST", "/memories", content=chunks(), headers=JSON)
    assert error["field"] == "body"


def test_9_megabytes_are_taken(api: Api, user: str) -> None:
    texts = ["x" * (3 * MEGABYTE // 2)] * 6
    api.add(user, *texts, wait=False)
    assert [message["content"] for message in api.messages(user)] == texts
    api.ok("DELETE", f"/users/{user}")


@pytest.mark.usefixtures("no_trace")
def test_a_message_of_3_megabytes(api: Api) -> None:
    messages = [TURN, {"role": "user", "content": "x" * (3 * MEGABYTE)}]
    error = api.refused(
        413, "payload_too_large", "POST", "/memories", json={"user_id": "u", "messages": messages}
    )
    assert error["field"] == "messages.1.content"
    assert "in parts" in error["remedy"]


@pytest.mark.usefixtures("no_trace")
def test_100_001_messages(api: Api) -> None:
    body = json.dumps({"user_id": "u", "messages": [{"content": ""}] * 100_001}).encode()
    assert len(body) < 10 * MEGABYTE
    error = api.refused(413, "payload_too_large", "POST", "/memories", content=body, headers=JSON)
    assert (error["field"], error["remedy"]) == ("messages", "send it in parts")


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=gbk",
    ],
)
def test_a_body_that_is_not_announced_as_json(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    error = api.refused(415, "unsupported_media_type", "POST", "/memories", content=add(), headers=headers)
    assert (error["field"], bool(error["remedy"])) == ("Content-Type", True)


BAD_FILTERS: dict[str, tuple[Any, str]] = {
    "a list": ([{"kind": "fact"}], "filters"),
    "an unknown key": ({"colour": "red"}, "filters.colour"),
    "AND of no list": ({"AND": {"kind": "fact"}}, "filters.AND"),
    "an unknown operator": ({"created_at": {"near": "2026"}}, "filters.created_at.near"),
    "a date that is none": ({"created_at": {"gte": "soon"}}, "filters.created_at"),
    "a mistake inside": ({"AND": [{"OR": [{"kind": "fact"}, {"NOT": 3}]}]}, "filters.AND"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILTERS)
@pytest.mark.usefixtures("no_trace")
def test_a_filter_that_does_not_parse(api: Api, name: str) -> None:
    filters, field = BAD_FILTERS[name]
    search = {"query": "x", "user_id": "u", "filters": filters}
    error = api.refused(422, "invalid_input", "POST", "/memories/search", json=search)
    assert error["field"].startswith(field)
    assert error["remedy"]
    params = {"user_id": "u", "filters": json.dumps(filters)}
    for method, path, rest in (
        ("GET", "/memories", {}),
        ("DELETE", "/memories", {}),
        ("GET", "/memories/search", {"query": "x"}),
    ):
        error = api.refused(422, "invalid_input", method, path, params={**params, **rest})
        assert error["field"].startswith(field)


WHO = {"user_id": "u"}
ASK = {"query": "x", **WHO}
SEARCH = "/memories/search"
VARIABLES = "/users/u/variables"
CLEANUP = "/users/u/memories/cleanup"
BAD_REQUESTS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "search without a query": ("GET", SEARCH, {"params": WHO}, "query"),
    "an empty query": ("POST", SEARCH, {"json": {**ASK, "query": ""}}, "query"),
    "an endless query": ("POST", SEARCH, {"json": {**ASK, "query": "x" * 32_769}}, "query"),
    "search for nobody": ("POST", SEARCH, {"json": {"query": "x"}}, "user_id"),
    "top_k 0": ("POST", SEARCH, {"json": {**ASK, "top_k": 0}}, "top_k"),
    "top_k 1001": ("GET", SEARCH, {"params": {**ASK, "top_k": 1001}}, "top_k"),
    "limit and top_k differ": ("GET", SEARCH, {"params": {**ASK, "top_k": 1, "limit": 2}}, "limit"),
    "a threshold beyond 1": ("POST", SEARCH, {"json": {**ASK, "threshold": 1.1}}, "threshold"),
    "a threshold that is NaN": ("GET", SEARCH, {"params": {**ASK, "threshold": "nan"}}, "threshold"),
    "an unknown strategy": ("POST", SEARCH, {"json": {**ASK, "strategy": "magic"}}, "strategy"),
    "an unknown type": ("POST", SEARCH, {"json": {**ASK, "types": ["dream"]}}, "types.0"),
    "a search's bad cursor": ("POST", SEARCH, {"json": {**ASK, "cursor": "!"}}, "cursor"),
    "an unknown parameter": ("GET", "/memories", {"params": {**WHO, "page": 2}}, "page"),
    "list of nobody": ("GET", "/memories", {}, "user_id"),
    "a list's bad cursor": ("GET", "/memories", {"params": {**WHO, "cursor": "é"}}, "cursor"),
    "an agent's bad cursor": ("GET", "/memories", {"params": {"agent_id": "u", "cursor": "xyz"}}, "cursor"),
    "messages' bad cursor": ("GET", "/messages", {"params": {**WHO, "cursor": "%%"}}, "cursor"),
    "sessions' bad cursor": ("GET", "/sessions", {"params": {**WHO, "cursor": "a"}}, "cursor"),
    "runs' bad cursor": ("GET", "/runs", {"params": {**WHO, "cursor": "a"}}, "cursor"),
    "an endless cursor": ("GET", "/runs", {"params": {**WHO, "cursor": "a" * 2000}}, "cursor"),
    "an unknown run status": ("GET", "/runs", {"params": {**WHO, "status": "lost"}}, "status"),
    "messages of nobody": ("GET", "/messages", {}, "user_id"),
    "an empty patch field": ("PATCH", "/memories/x", {"json": {"text": ""}}, "text"),
    "an unknown patch field": ("PATCH", "/memories/x", {"json": {"memory": "x"}}, "memory"),
    "an expiry that is none": ("PATCH", "/memories/x", {"json": {"expires_at": "soon"}}, "expires_at"),
    "marks without a mark": ("POST", "/messages/marks", {"params": WHO, "json": {}}, "new"),
    "deletion of no message": ("DELETE", "/messages", {"params": WHO, "json": {}}, "ids"),
    "a variable that is a number": ("PUT", VARIABLES, {"json": {"variables": {"a": 1}}}, "variables.a"),
    "a nameless variable": ("PUT", VARIABLES, {"json": {"variables": {"": "x"}}}, "variables"),
    "deletion of no variable": ("DELETE", VARIABLES, {}, "names"),
    "a policy in a word": ("PUT", "/buffers/policy", {"params": WHO, "json": {"on_full": "?"}}, "on_full"),
    "cleanup of the future": ("DELETE", CLEANUP, {"params": {"days_old": -1}}, "days_old"),
    "cleanup without a number": ("DELETE", CLEANUP, {"params": {"days_old": "all"}}, "days_old"),
    "statistics of a century": ("GET", "/stats", {"params": {**WHO, "days": 36500}}, "days"),
    "context with no room": ("GET", "/memories/context/u", {"params": {"max_tokens": 0}}, "max_tokens"),
    "context in Latin": ("GET", "/memories/context/u", {"params": {"language": "la"}}, "language"),
    "an endless user": ("GET", f"/users/{'u' * 257}/profile", {}, "user_id"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
@pytest.mark.usefixtures("no_trace")
def test_a_bad_request(api: Api, name: str) -> None:
    method, path, rest, field = BAD_REQUESTS[name]
    error = api.refused(422, "invalid_input", method, path, **rest)
    assert error["field"].startswith(field)
    assert error["remedy"]


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize("path", ["/users/a%00b/profile", "/users/%FF/profile", "/messages?user_id=%FE"])
def test_an_address_that_is_no_text(api: Api, path: str) -> None:
    error = api.refused(422, "invalid_input", "GET", path)
    assert error["field"] in ("path", "query")
    assert error["remedy"]


@pytest.mark.usefixtures("no_trace")
def test_what_is_not_there(api: Api) -> None:
    unknown = "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c"
    for method, path in (
        ("GET", f"/memories/{unknown}"),
        ("PATCH", f"/memories/{unknown}"),
        ("DELETE", f"/memories/{unknown}"),
        ("GET", f"/memories/{unknown}/history"),
        ("GET", "/memories/not-an-id"),
        ("GET", f"/runs/{unknown}"),
        ("POST", f"/runs/{unknown}/drive"),
        ("GET", "/jobs/not-a-job"),
        ("GET", "/nowhere"),
    ):
        rest = {"json": {"text": "x"}} if method == "PATCH" else {}
        assert api.refused(404, "not_found", method, path, **rest)["message"]
    error = api.refused(405, "method_not_allowed", "PUT", "/memories")
    assert error["remedy"]


@pytest.mark.usefixtures("no_trace")
def test_messages_that_are_not_there(api: Api) -> None:
    who = {"user_id": "u"}
    error = api.refused(
        404, "not_found", "POST", "/buffers/process", params=who, json={"ids": ["no-such-message"]}
    )
    assert error["field"] == "ids.0"
    assert api.ok("POST", "/messages/marks", params=who, json={"new": "m", "ids": ["nope"]}) == {"count": 0}
    assert api.ok("DELETE", "/messages", params=who, json={"session_id": "nope"}) == {"count": 0}


@pytest.mark.usefixtures("no_trace")
def test_reading_creates_nobody(api: Api, user: str) -> None:
    for path in ("profile", "context", "variables", "sessions", "messages", "buffers", "runs", "stats"):
        api.ok("GET", f"/users/{user}/{path}")
    api.ok("GET", "/memories/search", params={"user_id": user, "query": "x"})
    api.ok("GET", "/memories", params={"user_id": user})
    api.ok("DELETE", f"/users/{user}/memories/cleanup")
    root = str(api.base_url).removesuffix("/api/v1/")
    for probe in ("/health", "/health/detailed", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        assert api.get(root + probe).status_code == 200


def test_keys_of_a_message_are_kept(api: Api, user: str) -> None:
    keys = {"mood": "gut", "深": {"度": [1, 2.5, None, True]}, "tool_calls": [{"id": "t"}], "emoji": "👩‍👩‍👧"}
    body = {"user_id": user, "messages": [{**TURN, **keys}]}
    api.ok("POST", "/memories", json=body)
    assert api.messages(user)[0]["extra"] == keys


def test_text_of_any_kind_is_kept_as_it_is(api: Api, user: str) -> None:
    texts = [
        "\u200b\ufeff",
        "e\u0301 ≠ é",
        "\x01\x1f\x7f",
        "𠮷𩸽",
        "<script>alert(1)</script>",
        "'; DROP TABLE messages;--",
        "\r\n\t",
        '{"role": "system"}',
        "\U0010ffff",
        "ﷺ" * 100,
    ]
    api.add(user, *texts, wait=True)
    assert [message["content"] for message in api.messages(user)] == texts
    unseen = {"\u200b\ufeff", "\x01\x1f\x7f", "\r\n\t"}
    for text in texts:
        search = {"query": text, "user_id": user}
        if text in unseen:
            assert (
                api.refused(422, "invalid_input", "POST", "/memories/search", json=search)["field"] == "query"
            )
        else:
            api.ok("POST", "/memories/search", json=search)


# --- whatever the description of the API allows -----------------------------------------------


@pytest.fixture
def configured_anew(api: Api) -> Generator[None]:
    """What the project's configuration becomes in the test counts for nobody else."""
    yield
    for path in ("/config/profile", "/config/extraction"):
        api.ok("PUT", path, json={})


@pytest.mark.usefixtures("configured_anew")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server(server: Server, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [result.ok() for result in described.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.body and not list(operation.iter_parameters()):
            continue  # nothing about it can be wrong

        @settings(
            max_examples=10,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            response = case.call(timeout=60)
            assert response.status_code < 500, (case.as_curl_command(), response.text)
            if response.status_code >= 400 and len(str(response.request.url)) < LONGEST_ADDRESS:
                assert "application/json" in response.headers["content-type"], case.as_curl_command()
                assert {"code", "message"} <= response.json()["error"].keys()

        ask()
