"""What the HTTP API is tested against: a recording router, a store of keys and ids, an index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from cluster.api.app import create_app
from cluster.search_index.port import IndexHit, IndexQuery, Proposed
from cluster.settings import Settings
from cluster.wide_store.codec import vector_to_bytes
from cluster.wide_store.port import ApiKeyRow
from memgrid import kinds
from memgrid import models as m
from memgrid.errors import MemgridError, Unavailable
from memgrid.extraction import ExtractionConfigOut, RunDetail, Usage, UsageDay
from memgrid.operations import OPERATIONS, Hydrate, Hydrated, QueryVector, Stats
from memgrid.profile_config import ProfileConfig, ProfileConfigOut
from memgrid.routing import Call
from memgrid.subject import Subject

NOW = "2026-11-21T08:00:00Z"
MEMORY = "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c"
RUN = "01936d5e-8a10-7c55-8e02-4b1f0c9d7e21"
MESSAGE = "01936d5e-7c2a-7f3b-9a41-000000000001"

VECTOR = vector_to_bytes(np.array([0.6, 0.8], np.float32))
"""That of every question."""

Answer = BaseModel | bytes | MemgridError | Callable[[Call], BaseModel]


def memory(id: str = MEMORY, text: str = "喜欢打羽毛球", **fields: Any) -> m.MemoryOut:
    return m.MemoryOut.model_validate(
        {"id": id, "memory": text, "kind": "fact", "created_at": NOW, "updated_at": NOW, "revision": 1}
        | fields
    )


def message(id: str = MESSAGE, **fields: Any) -> m.MessageOut:
    return m.MessageOut.model_validate(
        {
            "id": id,
            "session_id": "s1",
            "role": "user",
            "content": "我叫张三",
            "event_time": NOW,
            "created_at": NOW,
            "tokens": 4,
        }
        | fields
    )


def memory_hit(score: float = 0.9, **fields: Any) -> m.SearchHit:
    found = memory(**fields)
    return m.SearchHit(
        type="memory",
        id=found.id,
        content=found.memory,
        score=score,
        created_at=found.created_at,
        memory=found,
        message_ids=[MESSAGE],
    )


def message_hit(score: float = 0.5, **fields: Any) -> m.SearchHit:
    found = message(**fields)
    return m.SearchHit(
        type="message",
        id=found.id,
        content=found.content,
        score=score,
        created_at=found.created_at,
        message=found,
        message_ids=[found.id],
    )


def task() -> kinds.TaskOut:
    return kinds.TaskOut(
        id=MEMORY,
        task="部署",
        when_to_use="部署",
        what_to_do="先备份",
        outcome="success",
        created_at=NOW,  # pyright: ignore[reportArgumentType]
        updated_at=NOW,  # pyright: ignore[reportArgumentType]
    )


def default_answers() -> dict[str, Answer]:
    """A plausible answer to every operation."""
    process = m.ProcessResult(job_id="job", status="done")
    run = RunDetail(
        id=RUN,
        status="parked",
        message_ids=[MESSAGE],
        extractor="rules",
        duration_ms=3,
        error="x",
        created_at=NOW,
    )
    buffer = m.BufferStatus(
        tokens=3, full_at=8192, is_full=False, message_ids=[MESSAGE], policy=m.BufferPolicy()
    )
    return {
        "add": lambda call: m.AddResult(job_id="job", status="pending", message_ids=[call.request_id]),
        "add_document": m.AddResult(job_id="job", status="pending", message_ids=[MESSAGE]),
        "search": m.SearchResult(results=[memory_hit(), message_hit()], total=2),
        "hydrate": Hydrated(results=[]),
        "query_vector": QueryVector(vector=VECTOR),
        "list_memories": m.MemoryPage(memories=[memory()], total=1),
        "get_memory": memory(),
        "update_memory": memory(),
        "delete_memory": m.Count(count=1),
        "delete_memories": m.Count(count=3),
        "history": m.History(history=[]),
        "context": m.ContextBlock(context="用户相关记忆:\n- 喜欢打羽毛球", tokens=9),
        "profile": m.Profile(
            user_id="u",
            total_memories=0,
            profile_summary="新用户，暂无足够数据生成画像",
            generated_at=NOW,
            key_interests=[],
            interaction_patterns={},
        ),
        "variables": m.Variables(variables={"姓名": "张三"}),
        "set_variables": m.Variables(variables={}),
        "delete_variables": m.Count(count=1),
        "sessions": m.SessionPage(sessions=[]),
        "messages": m.MessagePage(messages=[message()]),
        "mark_messages": m.Count(count=1),
        "delete_messages": m.Count(count=1),
        "buffer_status": buffer,
        "set_buffer_policy": buffer,
        "process": process,
        "job": m.Job(job_id="job", status="done", messages=1, done=1),
        "runs": m.RunPage(runs=[run]),
        "run": run,
        "drive_run": process,
        "cleanup": m.CleanupResult(deleted_count=0, total_old_memories=0, cleanup_date=NOW),
        "erase": m.EraseResult(subject_kind="user", subject_id="u", memories=1, messages=2),
        "stats": Stats(days=[]),
        "events": kinds.EventPage(events=[]),
        "record_task": task(),
        "tasks": kinds.TaskPage(tasks=[task()]),
        "use_task": task(),
        "update_task": task(),
        "related": kinds.Related(relations=[]),
        "link_memory": kinds.Related(relations=[]),
        "entities": kinds.EntityPage(entities=[kinds.Entity(name="杭州", type="place", memories=1)]),
        "entity": kinds.EntityOut(name="杭州", type="place", memories=[memory()]),
        "share_memory": kinds.Shares(shares=["user:b"]),
        "unshare_memory": kinds.Shares(shares=[]),
        "profile_config": ProfileConfigOut(config=ProfileConfig()),
        "set_profile_config": ProfileConfigOut(config=ProfileConfig()),
        "extraction_config": ExtractionConfigOut(),
        "set_extraction_config": ExtractionConfigOut(instructions="…"),
        "usage": Usage(days=[], total=UsageDay(date="2026-11-01/2026-11-30"), generated_at=NOW),
    }


class FakeRouter:
    """Answers from a table, and keeps every call. A request is carried as JSON, as the real one does."""

    def __init__(self) -> None:
        self.answers = default_answers()
        self.calls: list[Call] = []
        self.batches: list[list[Call]] = []
        self.broadcasts: list[str] = []
        self.actors: dict[str, dict[str, bytes | MemgridError]] = {
            "memgrid-shard-actor-0": {"health": b'{"status":"healthy"}', "metrics": b""}
        }

    def called(self, operation: str) -> list[Call]:
        return [call for call in self.calls if call.operation == operation]

    async def call(self, call: Call, *, timeout: float | None = None) -> bytes:
        request_model, _ = OPERATIONS[call.operation]
        carried = request_model.model_validate_json(call.request.model_dump_json(exclude_unset=True))
        self.calls.append(call._replace(request=carried))
        answer = self.answers[call.operation]
        if isinstance(answer, MemgridError):
            raise answer
        if callable(answer):
            answer = answer(self.calls[-1])
        return answer if isinstance(answer, bytes) else answer.model_dump_json().encode()

    async def call_many(
        self, calls: Sequence[Call], *, timeout: float | None = None
    ) -> list[bytes | MemgridError]:
        self.batches.append(list(calls))
        answers: list[bytes | MemgridError] = []
        for call in calls:
            try:
                answers.append(await self.call(call))
            except MemgridError as error:
                answers.append(error)
        return answers

    async def broadcast(
        self, method: str, *, timeout: float | None = None
    ) -> dict[str, bytes | MemgridError]:
        self.broadcasts.append(method)
        return {name: said[method] for name, said in self.actors.items()}


class FakeStore:
    """The rows the ingress reads. Tests reach in to make it fail."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKeyRow] = {}
        self.lookups = 0
        self.memories: dict[tuple[str, str], Subject] = {}
        self.runs: dict[tuple[str, str], Subject] = {}
        self.scopes: dict[tuple[str, str, str], list[tuple[Subject, str]]] = {}
        self.down: Unavailable | None = None

    async def api_keys(self, tenant: str | None = None) -> Sequence[ApiKeyRow]:
        return [row for row in self.keys.values() if tenant in (None, row.tenant)]

    async def api_key_by_hash(self, key_hash: bytes) -> ApiKeyRow | None:
        self.lookups += 1
        return next((row for row in self.keys.values() if row.key_hash == key_hash), None)

    async def put_api_key(self, row: ApiKeyRow) -> None:
        self.keys[row.id] = row

    async def resolve_memory(self, tenant: str, memory_id: str) -> Subject | None:
        return self.memories.get((tenant, memory_id))

    async def resolve_run(self, tenant: str, run_id: str) -> Subject | None:
        return self.runs.get((tenant, run_id))

    async def scope(
        self, tenant: str, label: str, label_id: str, *, cursor: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[tuple[Subject, str]], str | None]:
        rows = self.scopes.get((tenant, label, label_id), [])
        at = int(cursor or 0)
        # Two at a time, so that whoever enumerates has to go on.
        return rows[at : at + 2], str(at + 2) if at + 2 < len(rows) else None

    async def ping(self) -> None:
        if self.down is not None:
            raise self.down


class FakeIndex:
    """Proposes what it is told to."""

    def __init__(self) -> None:
        self.hits: list[IndexHit] = []
        self.cut = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.queries: list[IndexQuery] = []
        self.down: Unavailable | None = None

    async def search(self, query: IndexQuery) -> Proposed:
        self.queries.append(query)
        await self.gate.wait()
        if self.down is not None:
            raise self.down
        return Proposed(self.hits, self.cut)

    async def ping(self) -> None:
        if self.down is not None:
            raise self.down


class FakeTime:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Api:
    """The application with its fakes."""

    def __init__(self, **settings: Any) -> None:
        self.router, self.store, self.index, self.time = FakeRouter(), FakeStore(), FakeIndex(), FakeTime()
        self.settings = Settings(**settings)
        self.app: FastAPI = create_app(
            self.router,
            self.store,  # pyright: ignore[reportArgumentType]
            self.index,  # pyright: ignore[reportArgumentType]
            self.settings,
            clock=lambda: int(self.time() * 1000),
            monotonic=self.time,
        )

    @asynccontextmanager
    async def client(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as client:
            yield client


Kind = Literal["memory", "message"]


def hit(subject: Subject, id: str, kind: Kind = "memory") -> IndexHit:
    return IndexHit(subject, id, kind, 1.0, None)


def hydrate_request(call: Call) -> Hydrate:
    assert isinstance(call.request, Hydrate)
    return call.request
