from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cluster.ids import minted_at
from memgrid import models as m
from memgrid.errors import Conflict, InternalError, Overloaded, Unavailable
from memgrid.operations import ById, DeleteMemories, UpdateMemory
from memgrid.routing import Call
from memgrid.subject import Subject
from tests.api_fakes import MEMORY, MESSAGE, NOW, Api, memory_hit, message_hit

ALICE = Subject("default", "user", "alice")
SAID = {"messages": [{"role": "user", "content": "我喜欢打羽毛球", "mood": "happy"}]}


async def test_add_answers_as_it_always_has() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "alice", **SAID})
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    assert body["memory_id"] is None
    assert body["message"] == "记忆添加成功"
    assert body["job_id"] == "job"


@pytest.mark.parametrize(
    ("language", "says"), [("zh", "没有要添加的消息"), ("en", "There were no messages to add")]
)
async def test_an_add_of_nothing_says_so(language: str, says: str) -> None:
    api = Api()
    api.router.answers["add"] = m.AddResult(job_id="job", status="done", message_ids=[])
    async with api.client(**{"Accept-Language": language}) as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "alice", "messages": []})
    assert (answer.status_code, answer.json()["message"]) == (200, says)


async def test_add_speaks_english_to_who_prefers_it() -> None:
    async with Api().client(**{"Accept-Language": "de, en-GB;q=0.9, zh;q=0.1"}) as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "alice", **SAID})
    assert answer.json()["message"] == "Memory added"


async def test_add_reaches_the_owner_with_what_was_sent() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post(
            "/api/v1/memories",
            json={"user_id": "alice", "agent_id": "bot", **SAID, "metadata": {"source": "import", "n": 1}},
        )
    [call] = api.router.calls
    assert (call.operation, call.subject) == ("add", ALICE)
    assert call.request_id == answer.headers["X-Memgrid-Request-ID"]
    assert minted_at(call.request_id) > 0
    assert isinstance(call.request, m.AddRequest)
    assert call.request.agent_id == "bot"
    assert call.request.metadata == {"source": "import", "n": 1}, "the caller's keys win"
    assert call.request.messages[0].model_extra == {"mood": "happy"}


async def test_add_says_that_it_comes_from_a_conversation() -> None:
    api = Api()
    async with api.client() as client:
        for _ in range(2):
            await client.post("/api/v1/memories", json={"user_id": "alice", **SAID})
    first, second = (call.request for call in api.router.calls)
    assert isinstance(first, m.AddRequest)
    assert first.metadata == {"source": "conversation"}
    assert first == second, "a retry must be the same payload, or it would be a conflict"


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"agent_id": "b", "run_id": "r"}, Subject("default", "agent", "b")),
        ({"app_id": "a", "run_id": "r"}, Subject("default", "app", "a")),
        ({"run_id": "r"}, Subject("default", "run", "r")),
        ({"user_id": "u", "agent_id": "b"}, Subject("default", "user", "u")),
    ],
)
async def test_the_first_given_is_the_subject(given: dict[str, str], subject: Subject) -> None:
    api = Api()
    async with api.client() as client:
        await client.post("/api/v1/memories", json={**given, **SAID})
    assert api.router.calls[0].subject == subject


async def test_the_idempotency_key_may_come_in_the_header() -> None:
    api = Api()
    async with api.client() as client:
        for body_key in (None, "k1"):
            body = {"user_id": "alice", **SAID} | ({"idempotency_key": body_key} if body_key else {})
            answer = await client.post("/api/v1/memories", json=body, headers={"Idempotency-Key": "k1"})
            assert answer.status_code == 200
        differing = await client.post(
            "/api/v1/memories",
            json={"user_id": "alice", **SAID, "idempotency_key": "k2"},
            headers={"Idempotency-Key": "k1"},
        )
    assert differing.status_code == 422
    assert differing.json()["error"]["field"] == "idempotency_key"
    keys = [
        call.request.idempotency_key for call in api.router.calls if isinstance(call.request, m.AddRequest)
    ]
    assert keys == ["k1", "k1"]


async def test_created_at_inside_a_message_is_when_it_was_said() -> None:
    api = Api()
    message = {"role": "user", "content": "hi", "created_at": "2023-05-08T13:56:00+08:00"}
    async with api.client() as client:
        await client.post("/api/v1/memories", json={"user_id": "alice", "messages": [message]})
    request = api.router.calls[0].request
    assert isinstance(request, m.AddRequest)
    assert request.messages[0].timestamp is not None
    assert request.messages[0].timestamp.isoformat() == "2023-05-08T13:56:00+08:00"
    assert request.messages[0].model_extra == {"created_at": "2023-05-08T13:56:00+08:00"}


async def test_batch_gives_the_owners_all_it_has_for_them_in_order() -> None:
    api = Api()

    def answer(call: Call) -> m.AddResult:
        assert isinstance(call.request, m.AddRequest)
        if call.request.messages[0].content == "refuse":
            raise Overloaded("full", retry_after=3)
        return m.AddResult(job_id=str(call.request.messages[0].content), status="pending", message_ids=[])

    api.router.answers["add"] = answer
    texts = [("a", "1"), ("b", "2"), ("a", "refuse"), ("c", "4"), ("a", "5")]
    items = [{"user_id": u, "messages": [{"role": "user", "content": t}]} for u, t in texts]
    async with api.client() as client:
        response = await client.post(
            "/api/v1/memories/batch", json={"items": items}, headers={"Idempotency-Key": "k"}
        )
    body = response.json()
    assert response.status_code == 200
    assert (body["succeeded"], body["failed"]) == (4, 1)
    assert [r["result"]["job_id"] for r in body["results"] if "result" in r] == ["1", "2", "4", "5"]
    assert body["results"][2]["error"]["code"] == "overloaded"
    assert body["results"][2]["error"]["retry_after"] == 3
    m.BatchAddResult.model_validate(body)
    [batch] = api.router.batches
    sent = [(c.subject.id, c.request.idempotency_key) for c in batch]  # pyright: ignore[reportAttributeAccessIssue]
    assert sent == [("a", "k#0"), ("b", "k#1"), ("a", "k#2"), ("c", "k#3"), ("a", "k#4")]
    assert len({call.request_id for call in api.router.calls}) == len(items), "message ids derive from it"


async def test_each_item_of_a_batch_that_is_at_fault_fails_on_its_own() -> None:
    api = Api(max_messages_per_add=2)
    items: list[dict[str, Any]] = [
        {"user_id": "a", **SAID},
        SAID,
        {"user_id": "b", "unknown": 1, **SAID},
        {"user_id": "c", "messages": [{"role": "user"}]},
        {"user_id": "d", "messages": SAID["messages"] * 3},
        {"user_id": "e", "timestamp": "9999-12-31T23:59:59-12:00", **SAID},
        {},
        {"user_id": "f", **SAID},
    ]
    async with api.client() as client:
        answer = await client.post(
            "/api/v1/memories/batch", json={"items": items}, headers={"Idempotency-Key": "k"}
        )
    body = answer.json()
    assert answer.status_code == 200
    assert (body["succeeded"], body["failed"]) == (2, 6)
    m.BatchAddResult.model_validate(body)
    assert [call.subject.id for call in api.router.calls] == ["a", "f"]
    assert api.router.calls[1].request.idempotency_key == "k#7"  # pyright: ignore[reportAttributeAccessIssue]
    faults = [(item["error"]["code"], item["error"]["field"]) for item in body["results"] if "error" in item]
    assert faults == [
        ("invalid_input", "user_id"),
        ("invalid_input", "unknown"),
        ("invalid_input", "messages.0.content"),
        ("payload_too_large", "messages"),
        ("invalid_input", "timestamp"),
        ("invalid_input", "messages"),
    ]


async def test_a_batch_of_which_nothing_is_valid_asks_nobody() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/batch", json={"items": [SAID]})
    assert (answer.status_code, answer.json()["failed"], api.router.calls) == (200, 1, [])


async def test_post_search_passes_the_owners_answer_on_as_it_is() -> None:
    api = Api()
    raw = b'{"results":[],"total":0,"cursor":null,"degraded":[],"newer_field":1}'
    api.router.answers["search"] = raw
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json={"user_id": "alice", "query": "羽毛球"})
    assert answer.content == raw
    assert answer.headers["content-type"] == "application/json"
    assert api.index.queries == [], "the owner alone answers for its own subject"


async def test_get_search_is_a_bare_list() -> None:
    api = Api()
    api.router.answers["search"] = m.SearchResult(
        results=[
            memory_hit(0.9, session_id="s1", category="sport", tags=["x"], metadata={"n": 1, "kind": "mine"}),
            message_hit(0.5, metadata={"channel": "web", "role": "boss"}),
        ],
        total=2,
        degraded=["embedding"],
    )
    async with api.client() as client:
        answer = await client.get(
            "/api/v1/memories/search",
            params={"query": "运动", "user_id": "alice", "filters": '{"kind": "fact"}'},
        )
    assert answer.headers["X-Memgrid-Degraded"] == "embedding"
    remembered, said = answer.json()
    assert set(remembered) == {"memory_id", "content", "relevance_score", "created_at", "metadata"}
    assert (remembered["memory_id"], remembered["relevance_score"]) == (MEMORY, 0.9)
    assert remembered["created_at"] == NOW
    assert remembered["metadata"] == {
        "type": "memory",
        "kind": "mine",
        "n": 1,
        "category": "sport",
        "tags": ["x"],
        "conversation_id": "s1",
        "tenant_id": "default",
        "embedding_model": "multilingual-e5-small",
        "source_type": "conversation",
        "timestamp": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert said["memory_id"] is None
    assert said["metadata"] == {
        "type": "message",
        "message_id": MESSAGE,
        "session_id": "s1",
        "role": "user",
        "channel": "web",
        "conversation_id": "s1",
        "tenant_id": "default",
        "embedding_model": "multilingual-e5-small",
        "source_type": "conversation",
        "timestamp": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    request = api.router.calls[0].request
    assert isinstance(request, m.SearchQuery)
    assert (request.top_k, request.filters) == (5, {"kind": "fact"})


@pytest.mark.parametrize(
    ("parameters", "top_k"),
    [({"limit": 7}, 7), ({"top_k": 8}, 8), ({"limit": 3, "top_k": 3}, 3), ({}, 5)],
)
async def test_limit_is_another_name_of_top_k(parameters: dict[str, int], top_k: int) -> None:
    api = Api()
    async with api.client() as client:
        await client.get("/api/v1/memories/search", params={"query": "x", "user_id": "alice", **parameters})
        request = api.router.calls[0].request
        differing = await client.get("/api/v1/memories/search?query=x&user_id=a&limit=1&top_k=2")
    assert isinstance(request, m.SearchQuery)
    assert request.top_k == top_k
    assert differing.status_code == 422


async def test_get_search_explains_where_it_is_asked_to() -> None:
    api = Api()
    hit = memory_hit(0.9).model_copy(update={"explain": {"lexical": 0.9}})
    api.router.answers["search"] = m.SearchResult(results=[hit], total=1)
    async with api.client() as client:
        answer = await client.get("/api/v1/memories/search?query=x&user_id=a&explain=true")
    assert [each["explain"] for each in answer.json()] == [{"lexical": 0.9}]
    request = api.router.calls[0].request
    assert isinstance(request, m.SearchQuery)
    assert request.explain


@pytest.mark.parametrize("blank", [" ", "\u3000\n", "\u200b"])
async def test_a_blank_query_is_refused_by_its_name(blank: str) -> None:
    api = Api()
    async with api.client() as client:
        answers = [
            await client.get("/api/v1/memories/search", params={"query": blank, "user_id": "a"}),
            await client.post("/api/v1/memories/search", json={"query": blank, "user_id": "a"}),
        ]
    assert [(each.status_code, each.json()["error"]["field"]) for each in answers] == [(422, "query")] * 2


async def test_get_search_without_results_is_an_empty_list() -> None:
    api = Api()
    api.router.answers["search"] = m.SearchResult(results=[], total=0)
    async with api.client() as client:
        answer = await client.get("/api/v1/memories/search?query=x&user_id=alice")
    assert answer.content == b"[]"
    assert "X-Memgrid-Degraded" not in answer.headers


async def test_list_asks_for_the_page_that_is_wanted() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.get(
            "/api/v1/memories",
            params={
                "user_id": "alice",
                "agent_id": "bot",
                "kinds": ["fact", "event"],
                "limit": 2,
                "cursor": "c",
            },
        )
    assert m.MemoryPage.model_validate(answer.json()).total == 1
    assert api.router.calls[0].request == m.ListQuery(
        user_id="alice", agent_id="bot", kinds=["fact", "event"], limit=2, cursor="c"
    )


async def test_one_memory_is_found_with_its_owner() -> None:
    api = Api()
    api.store.memories["default", MEMORY] = ALICE
    async with api.client() as client:
        for method, path, operation in (
            ("GET", "", "get_memory"),
            ("GET", "/history", "history"),
            ("DELETE", "", "delete_memory"),
        ):
            answer = await client.request(method, f"/api/v1/memories/{MEMORY}{path}")
            assert answer.status_code == 200
            call = api.router.calls[-1]
            assert (call.operation, call.subject) == (operation, ALICE)
            assert isinstance(call.request, ById)
            assert call.request.id == MEMORY


async def test_patch_sends_only_what_is_given() -> None:
    api = Api()
    api.store.memories["default", MEMORY] = ALICE
    async with api.client() as client:
        await client.patch(f"/api/v1/memories/{MEMORY}", json={"expires_at": None, "tags": ["a"]})
    request = api.router.calls[0].request
    assert isinstance(request, UpdateMemory)
    assert request.patch.model_fields_set == {"expires_at", "tags"}


async def test_an_unknown_or_foreign_memory_is_not_found() -> None:
    api = Api()
    api.store.memories["other-tenant", MEMORY] = Subject("other-tenant", "user", "bob")
    async with api.client() as client:
        for id_ in (MEMORY, MEMORY[:-1] + "0", "nonsense", "%2Fetc%2Fpasswd", "x" * 200):
            for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/history")):
                body = {"text": "x"} if method == "PATCH" else None
                answer = await client.request(method, f"/api/v1/memories/{id_}{path}", json=body)
                assert answer.status_code == 404, (method, id_)
                assert answer.json()["error"]["code"] == "not_found"
    assert api.router.calls == []


async def test_delete_all_of_a_user_asks_once() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.delete(
            "/api/v1/memories",
            params={"user_id": "alice", "agent_id": "bot", "labels": '{"run": "r"}', "kinds": ["fact"]},
        )
    assert answer.json() == {"count": 3}
    [call] = api.router.calls
    assert (call.subject, call.request) == (
        ALICE,
        DeleteMemories(kinds=["fact"], labels={"agent": "bot", "run": "r"}),
    )


@pytest.mark.parametrize("labels", ['{"user": 1}', '{"nobody": "x"}', "[1]", "{", '{"agent": "other"}'])
async def test_delete_refuses_labels_that_are_none(labels: str) -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.delete(
            "/api/v1/memories", params={"user_id": "alice", "agent_id": "bot", "labels": labels}
        )
    assert answer.status_code == 422
    assert api.router.calls == []


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Conflict("the key came with another payload", field="idempotency_key"), 409, None),
        (Overloaded("the buffer is full", retry_after=2.5), 429, "3"),
        (Unavailable("the owner did not answer"), 503, "1"),
        (InternalError("a defect"), 500, None),
    ],
)
async def test_the_owners_errors_have_one_shape(
    error: Exception, status: int, retry_after: str | None
) -> None:
    api = Api()
    api.router.answers["add"] = error  # pyright: ignore[reportArgumentType]
    async with api.client() as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "alice", **SAID})
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == retry_after
    body = answer.json()
    assert set(body) == {"error", "detail"}
    detail = m.ErrorDetail.model_validate(body["error"])
    assert detail.request_id == answer.headers["X-Memgrid-Request-ID"]
    assert body["detail"].startswith("记忆添加失败: ")


async def test_what_is_not_expected_is_a_500_that_tells_nothing() -> None:
    api = Api()

    def fail(call: Call) -> m.AddResult:
        raise ZeroDivisionError("秘密")

    api.router.answers["add"] = fail
    async with api.client() as client:
        answer = await client.post("/api/v1/memories", json={"user_id": "alice", **SAID})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "秘密" not in answer.text
    assert json.loads(answer.content)["error"]["request_id"] == answer.headers["X-Memgrid-Request-ID"]


def test_hits_survive_the_way_through_json() -> None:
    assert msgspec.json.decode(memory_hit().model_dump_json())["memory"]["id"] == MEMORY
