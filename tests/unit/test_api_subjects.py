from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from memgrid import AsyncMemgrid, kinds
from memgrid import models as m
from memgrid.errors import InternalError, InvalidInput, Overloaded, Unavailable
from memgrid.extraction import ExtractionConfig, GroupQuery, LlmChoice, UsageQuery
from memgrid.operations import (
    OPERATIONS,
    PROJECT,
    PROJECT_OPERATIONS,
    DeleteVariables,
    MessagesQuery,
    RunsQuery,
    StatsQuery,
)
from memgrid.profile_config import ProfileConfig, ProfileConfigQuery
from memgrid.subject import Subject
from tests.api_fakes import MEMORY, RUN, Api

ALICE = Subject("default", "user", "alice")

PATHS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "profile": ("GET", "profile", {}),
    "variables": ("GET", "variables", {}),
    "set_variables": ("PUT", "variables", {"json": {"variables": {"a": "b"}}}),
    "delete_variables": ("DELETE", "variables", {"params": {"names": ["a", "b"]}}),
    "sessions": ("GET", "sessions", {}),
    "messages": ("GET", "messages", {"params": {"session_id": "s", "newest_first": "true", "limit": 3}}),
    "mark_messages": ("POST", "messages/marks", {"json": {"new": "x"}}),
    "delete_messages": ("DELETE", "messages", {"json": {"session_id": "s"}}),
    "buffer_status": ("GET", "buffers", {}),
    "set_buffer_policy": ("PUT", "buffers/policy", {"json": {"on_idle": False}}),
    "process": ("POST", "buffers/process", {"json": {"ids": [MEMORY], "wait": False}}),
    "runs": ("GET", "runs", {"params": {"status": "parked"}}),
    "stats": ("GET", "stats", {"params": {"days": 30}}),
}
IN_PATH_ONLY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "context": ("GET", "/context", {"params": {"message": "hi"}}),
    "cleanup": ("DELETE", "/memories/cleanup", {}),
    "erase": ("DELETE", "", {}),
}


@pytest.mark.parametrize("kind", ["user", "agent", "app", "run"])
async def test_every_kind_of_subject_by_path_and_by_query(kind: str) -> None:
    api = Api()
    async with api.client() as client:
        for operation, (method, path, given) in PATHS.items():
            by_path = await client.request(method, f"/api/v1/{kind}s/x1/{path}", **given)
            extra = {**given, "params": {**given.get("params", {}), f"{kind}_id": "x1"}}
            by_query = await client.request(method, f"/api/v1/{path}", **extra)
            assert (by_path.status_code, by_query.status_code) == (200, 200), (operation, by_query.text)
            one, other = api.router.calls[-2:]
            assert one.operation == other.operation == operation
            assert one.subject == other.subject == Subject("default", kind, "x1")  # pyright: ignore[reportArgumentType]
            assert one.request == other.request
        for operation, (method, path, given) in IN_PATH_ONLY.items():
            answer = await client.request(method, f"/api/v1/{kind}s/x1{path}", **given)
            assert answer.status_code == 200
            assert api.router.calls[-1].operation == operation
            assert api.router.calls[-1].subject == Subject("default", kind, "x1")  # pyright: ignore[reportArgumentType]


async def test_what_is_asked_arrives() -> None:
    api = Api()
    async with api.client() as client:
        for method, path, given in PATHS.values():
            await client.request(method, f"/api/v1/users/alice/{path}", **given)
        await client.post("/api/v1/users/alice/buffers/flush?wait=false")
    asked = {call.operation: call.request for call in api.router.calls[:-1]}
    assert asked["delete_variables"] == DeleteVariables(names=["a", "b"])
    assert asked["messages"] == MessagesQuery(session_id="s", newest_first=True, limit=3)
    assert asked["set_buffer_policy"] == m.BufferPolicy(on_idle=False)
    assert asked["process"] == m.ProcessRequest(ids=[MEMORY], wait=False)
    assert asked["runs"] == RunsQuery(status="parked")
    assert asked["stats"] == StatsQuery(days=30)
    assert api.router.calls[-1].request == m.ProcessRequest(ids=None, wait=False)


@pytest.mark.parametrize("id_", ["张三", "a/b", "a%2Fb", "..", "a b?c#d", "😀", "x" * 256])
async def test_ids_in_paths_are_any_text(id_: str) -> None:
    api = Api()
    async with api.client() as client:
        path = f"/api/v1/users/{quote(id_, safe='').replace('.', '%2E')}/profile"
        answer = await client.get(path)
    assert answer.status_code == 200
    assert api.router.calls[0].subject.id == id_


@pytest.mark.parametrize("path", ["%ff", "a%00b", "x" * 257, "%ED%A0%80"])
async def test_ids_in_paths_that_are_none(path: str) -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.get(f"/api/v1/users/{path}/profile")
    assert answer.status_code == 422
    assert api.router.calls == []


async def test_context_is_as_it_always_was() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.get(
            "/api/v1/memories/context/alice", params={"message": "周末", "max_tokens": 50}
        )
    assert answer.json()["context"] == "用户相关记忆:\n- 喜欢打羽毛球"
    assert api.router.calls[0].subject == ALICE
    assert api.router.calls[0].request == m.ContextQuery(message="周末", max_tokens=50, language="zh")


@pytest.mark.parametrize(
    ("accept", "parameters", "language"),
    [
        (None, {}, "zh"),
        (None, {"plain": False}, None),
        (None, {"template": "{profile}"}, None),
        ("fr", {"plain": False}, None),
        ("en", {"plain": False}, "en"),
        ("en", {"plain": False, "language": "zh"}, "zh"),
        ("en", {}, "en"),
    ],
)
async def test_sections_are_in_the_language_of_the_memories_unless_told(
    accept: str | None, parameters: dict[str, Any], language: str | None
) -> None:
    api = Api()
    async with api.client(**({"Accept-Language": accept} if accept else {})) as client:
        await client.get("/api/v1/memories/context/alice", params=parameters)
    asked = api.router.calls[0].request
    assert isinstance(asked, m.ContextQuery)
    assert asked.language == language


async def test_a_user_may_be_called_like_a_route() -> None:
    api = Api()
    async with api.client() as client:
        for name in ("history", "search", "batch", "context"):
            assert (await client.get(f"/api/v1/memories/context/{name}")).status_code == 200
            assert api.router.calls[-1].subject.id == name


@pytest.mark.parametrize(
    ("accept", "language", "text"),
    [
        (None, None, "记忆检索失败"),
        ("en", None, "Searching the memories failed"),
        ("en", "zh", "记忆检索失败"),
    ],
)
@pytest.mark.parametrize("error", [Unavailable("down"), InternalError("broken")])
async def test_a_context_that_fails_does_not_stop_the_conversation(
    accept: str | None, language: str | None, text: str, error: Exception
) -> None:
    api = Api()
    api.router.answers["context"] = error  # pyright: ignore[reportArgumentType]
    headers = {"Accept-Language": accept} if accept else {}
    async with api.client(**headers) as client:
        answer = await client.get(
            "/api/v1/memories/context/alice", params={"language": language} if language else {}
        )
        counted = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.json()["context"] == text
    assert answer.json()["degraded"] is True
    assert 'memgrid_http_degraded_total{operation="get_context",replica="0"} 1.0' in counted.text


async def test_a_context_that_is_refused_is_refused() -> None:
    api = Api()
    api.router.answers["context"] = Overloaded("full", retry_after=4)
    async with api.client() as client:
        answer = await client.get("/api/v1/memories/context/alice")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "4"


async def test_a_new_users_profile() -> None:
    api = Api()
    async with api.client() as client:
        chinese = (await client.get("/api/v1/users/alice/profile")).json()
        english = (await client.get("/api/v1/users/alice/profile", headers={"Accept-Language": "en"})).json()
    assert chinese["profile_summary"] == "新用户，暂无足够数据生成画像"
    assert (chinese["total_memories"], chinese["key_interests"]) == (0, [])
    assert chinese["interaction_patterns"] == {}
    assert english == chinese | {"profile_summary": "New user: not enough data for a profile yet"}


async def test_errors_of_profile_and_cleanup_start_as_they_always_did() -> None:
    api = Api()
    api.router.answers |= {"profile": Unavailable("down"), "cleanup": Unavailable("down")}
    async with api.client() as client:
        profile = await client.get("/api/v1/users/alice/profile")
        cleanup = await client.delete("/api/v1/users/alice/memories/cleanup?days_old=0")
    assert profile.json()["detail"].startswith("用户画像生成失败: ")
    assert cleanup.status_code == 422
    assert cleanup.json()["detail"].startswith("记忆清理失败: ")


async def test_requests_that_say_nothing_are_refused() -> None:
    api = Api()
    async with api.client() as client:
        for method, path in (("DELETE", "messages"), ("POST", "messages/marks")):
            answer = await client.request(method, f"/api/v1/users/alice/{path}", json={})
            assert answer.status_code == 422
        assert (await client.get("/api/v1/messages")).status_code == 422
        assert (await client.delete("/api/v1/users/alice/messages")).status_code == 422
    assert api.router.calls == []


async def test_extraction_runs_are_found_with_their_owner() -> None:
    api = Api()
    api.store.runs["default", RUN] = ALICE
    async with api.client() as client:
        assert (await client.get(f"/api/v1/runs/{RUN}")).status_code == 200
        assert (await client.post(f"/api/v1/runs/{RUN}/drive")).status_code == 200
        for unknown in (MEMORY, "nonsense"):
            assert (await client.get(f"/api/v1/runs/{unknown}")).status_code == 404
            assert (await client.post(f"/api/v1/runs/{unknown}/drive")).status_code == 404
    assert [(call.operation, call.subject) for call in api.router.calls] == [
        ("run", ALICE),
        ("drive_run", ALICE),
    ]


async def test_a_job_says_whose_it_is_within_the_callers_tenant() -> None:
    from cluster.jobs import JobKey, encode_job

    api = Api()
    long_id = "用" * 256
    job = encode_job(JobKey("agent", long_id, MEMORY, MEMORY))
    async with api.client() as client:
        assert (await client.get(f"/api/v1/jobs/{job}")).status_code == 200
        assert (await client.get("/api/v1/jobs/nonsense")).status_code == 404
    assert api.router.calls[0].subject == Subject("default", "agent", long_id)


CLIENT_CALLS: dict[str, Callable[[AsyncMemgrid], Awaitable[Any]]] = {
    "add": lambda c: c.add("我叫张三", user_id="u", metadata={"a": 1}, session_id="s"),
    "search": lambda c: c.search("名字", user_id="u", filters={"kind": "fact"}, types=["memory"]),
    "list_memories": lambda c: c.list_page(user_id="u", kinds=["fact"], filters={"kind": "fact"}, cursor="c"),
    "get_memory": lambda c: c.get(MEMORY),
    "update_memory": lambda c: c.update(MEMORY, text="x", expires_at=None),
    "delete_memory": lambda c: c.delete(MEMORY),
    "delete_memories": lambda c: c.delete_all(user_id="u", agent_id="b", kinds=["fact"]),
    "history": lambda c: c.history(MEMORY),
    "sessions": lambda c: c.sessions_page(agent_id="b"),
    "messages": lambda c: c.messages_page(run_id="r", newest_first=True, mark="m"),
}


@pytest.mark.parametrize("operation", CLIENT_CALLS)
async def test_the_client_and_the_server_mean_the_same(operation: str) -> None:
    api = Api()
    api.store.memories["default", MEMORY] = ALICE
    transport = httpx.ASGITransport(app=api.app)
    async with AsyncMemgrid("http://127.0.0.1", "no-key", transport=transport, max_retries=0) as client:
        await CLIENT_CALLS[operation](client)
    assert [call.operation for call in api.router.calls] == [operation]


async def test_the_table_of_the_client_leads_to_every_operation() -> None:
    """Straight from `memgrid.routes`: whatever its methods are called."""
    from memgrid._requests import SubjectRef
    from memgrid.operations import ById, Cleanup, DeleteMemory, Hydrate, Nothing, Page, UpdateMemory
    from memgrid.routes import ROUTES, http_call

    api = Api()
    api.store.memories["default", MEMORY] = ALICE
    api.store.runs["default", RUN] = ALICE
    from cluster.jobs import JobKey, encode_job

    requests: dict[str, Any] = {
        "add": m.AddRequest(messages=[m.MessageIn(content="x")], agent_id="b"),
        "search": m.SearchQuery(query="x", agent_id="b"),
        "list_memories": m.ListQuery(agent_id="b"),
        "update_memory": UpdateMemory(id=MEMORY, patch=m.MemoryPatch(text="x")),
        "context": m.ContextQuery(message="x", language="en", plain=False),
        "set_variables": m.SetVariables(variables={"a": "b"}),
        "delete_variables": DeleteVariables(names=["a"]),
        "sessions": Page(limit=5),
        "messages": MessagesQuery(mark="m"),
        "mark_messages": m.MarkMessages(new="m"),
        "delete_messages": m.DeleteMessages(session_id="s"),
        "set_buffer_policy": m.BufferPolicy(on_full=False),
        "process": m.ProcessRequest(wait=True),
        "job": ById(id=encode_job(JobKey("agent", "b", MEMORY, MEMORY))),
        "runs": RunsQuery(status="parked"),
        "run": ById(id=RUN),
        "drive_run": ById(id=RUN),
        "cleanup": Cleanup(days_old=3),
        "stats": StatsQuery(days=3),
    }
    requests["extraction_config"] = GroupQuery(group_id="vip")
    requests["set_extraction_config"] = ExtractionConfig(
        variables={"城市": "住处"},
        llm=LlmChoice(base_url="https://x.example", model="m", api_key=SecretStr("k")),
    )
    requests["usage"] = UsageQuery(from_=date(2026, 11, 1), to=date(2026, 11, 2))
    requests |= {
        "add_document": kinds.Document(text="x", agent_id="b"),
        "events": kinds.EventsQuery(tags=["a"], query="旅行"),  # pyright: ignore[reportCallIssue]
        "record_task": kinds.RecordTask(task="x"),
        "tasks": kinds.TasksQuery(task="x"),
        "use_task": kinds.UseTask(id=MEMORY, success=True),
        "update_task": kinds.UpdateTask(id=MEMORY, patch=kinds.TaskPatch(lesson="x")),
        "link_memory": kinds.LinkMemory(id=MEMORY, type="cause", memory_id=RUN),
        "entities": Page(limit=5),
        "entity": kinds.EntityQuery(name="a/b"),
        "share_memory": kinds.ShareMemory(id=MEMORY, user_id="x"),
        "unshare_memory": kinds.ShareMemory(id=MEMORY, user_id="x"),
        "profile_config": ProfileConfigQuery(language="zh"),
        "set_profile_config": ProfileConfig(strict=True),
    }
    requests["delete_memory"] = DeleteMemory(id=MEMORY)
    for name in ("get_memory", "history", "related"):
        requests[name] = ById(id=MEMORY)
    agent = SubjectRef("agent", "b")
    owned = {"update_memory", "get_memory", "delete_memory", "history", "run", "drive_run", "job"} | {
        *("related", "link_memory", "share_memory", "unshare_memory", "use_task", "update_task"),
    }
    async with api.client() as client:
        for operation in ROUTES.keys() & OPERATIONS.keys():
            request = requests.get(operation, Nothing())
            whole = operation in owned or operation in PROJECT_OPERATIONS
            call = http_call(operation, request, None if whole else agent)
            answer = await client.request(
                call.method,
                call.path,
                params=call.query,
                content=call.body,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == 200, (operation, answer.text)
            asked = api.router.called(operation)[-1]
            api.router.calls.clear()
            expected = ALICE if operation in owned - {"job"} else Subject("default", "agent", "b")
            if operation in PROJECT_OPERATIONS:
                expected = Subject("default", *PROJECT)
            assert asked.subject == expected, operation
            if operation in requests and operation not in ("add",):
                assert asked.request == request, operation
    assert not OPERATIONS.keys() - ROUTES.keys() - {"hydrate", "query_vector"}, Hydrate.__doc__


async def test_the_client_gets_the_servers_errors_back() -> None:
    api = Api()
    transport = httpx.ASGITransport(app=api.app)
    async with AsyncMemgrid("http://127.0.0.1", transport=transport, max_retries=0) as client:
        with pytest.raises(InvalidInput) as caught:
            await client.search("x", user_id="u", filters={"colour": "red"})
    assert caught.value.field is not None
    assert caught.value.field.startswith("filters")
