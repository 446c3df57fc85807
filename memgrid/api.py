"""What a client of memgrid can do, whether HTTP (`memgrid.client`) or Ray (`memgrid.ray_client`) carries it.

Written once, as async code; the sync form in `memgrid/_sync/` is generated (`memgrid._unasync`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, Unpack

from pydantic import BaseModel, ValidationError

from memgrid._requests import (
    UNSET,
    Messages,
    OtherWhose,
    SubjectRef,
    Unset,
    Whose,
    as_messages,
    build,
    first_problem,
    other_labels,
    required_subject,
    subject_of,
)
from memgrid.errors import MemgridError, Unavailable
from memgrid.models import (
    AddRequest,
    AddResult,
    BatchAddRequest,
    BatchAddResult,
    BufferPolicy,
    BufferStatus,
    CleanupResult,
    ContextBlock,
    ContextQuery,
    Count,
    DeleteMessages,
    EraseResult,
    Filter,
    HealthDetail,
    History,
    HistoryEntry,
    Job,
    ListQuery,
    MarkMessages,
    MemoryKind,
    MemoryOut,
    MemoryPage,
    MemoryPatch,
    MessageOut,
    MessagePage,
    ProcessRequest,
    ProcessResult,
    Profile,
    ResultType,
    RunOut,
    RunPage,
    RunStatus,
    SearchQuery,
    SearchResult,
    SessionOut,
    SessionPage,
    SetVariables,
    Strategy,
    UserStats,
    Variables,
)
from memgrid.operations import (
    ById,
    Cleanup,
    DeleteMemories,
    DeleteVariables,
    MessagesQuery,
    Nothing,
    Page,
    RunsQuery,
    Stats,
    StatsQuery,
    UpdateMemory,
)

_A = TypeVar("_A", bound=BaseModel)


class Transport(Protocol):
    """Carries one operation to memgrid and brings its answer back.

    `operation` is a name of `memgrid.operations.OPERATIONS`, or `add_batch` (BatchAddRequest →
    BatchAddResult) or `health` (Nothing → HealthDetail). `subject` is None where the operation names an
    id (of a memory or run) and nothing else: the other side finds whose it is.
    """

    async def send(self, operation: str, request: BaseModel, subject: SubjectRef | None) -> bytes:
        """The answer model as JSON. Raises the MemgridError the other side answered with."""
        ...

    async def aclose(self) -> None:
        """Give the connection back."""
        ...


class MemgridApi:
    """Everything memgrid can do for an application.

    Whose memory it is is said with `user_id`, `agent_id`, `app_id` or `run_id`; where several are given, the
    memory lives with the first in that order and carries all as labels. All methods raise the errors of
    `memgrid.errors`: `InvalidInput` before anything is sent when an argument is out of range,
    `Unavailable` when memgrid cannot be reached.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections back. Calls after it fail."""
        await self._transport.aclose()

    # --- in ---------------------------------------------------------------------------------

    async def add(
        self,
        messages: Messages,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        infer: bool = True,
        wait: bool = False,
        timestamp: datetime | None = None,
        idempotency_key: str | None = None,
        **whose: Unpack[Whose],
    ) -> AddResult:
        """Keep messages, and let memgrid distil memories from them.

        The messages are durable when this returns, and are found by `search` at once; the memories
        follow (`wait=True` waits for them, so does `wait_for_job(result.job_id)`).

            await client.add("我叫张三，我喜欢打羽毛球", user_id="zhangsan")
            await client.add(
                [
                    {"role": "user", "content": "I moved to Hangzhou."},
                    {"role": "assistant", "content": "How do you like it?"},
                ],
                user_id="lilei",
                session_id="2026-11-21",
            )

        `infer=False` keeps each message word for word as a memory of kind `note`. A message's own `id`, or an
        `idempotency_key`, makes sending it again harmless; Conflict when the key came with another payload.
        """
        request = build(
            AddRequest,
            messages=as_messages(messages),
            **whose,
            session_id=session_id,
            metadata=metadata,
            infer=infer,
            wait=wait,
            timestamp=timestamp,
            idempotency_key=idempotency_key,
        )
        subject = subject_of(**whose)
        return await self._ask("add", request, subject, AddResult)

    async def add_batch(self, items: Sequence[AddRequest | Mapping[str, Any]]) -> BatchAddResult:
        """Several adds, of one or many users, in one call: each succeeds or fails on its own.

        Items of one user are added in the order given. Results are in the places of their items.

            batch = await client.add_batch([
                {"user_id": "a", "messages": [{"role": "user", "content": "I play the cello"}]},
                {"user_id": "b", "messages": [{"role": "user", "content": "我住在成都"}]},
            ])
            batch.failed  # 0
        """
        request = build(BatchAddRequest, items=items)
        return await self._ask("add_batch", request, None, BatchAddResult)

    # --- out --------------------------------------------------------------------------------

    async def search(
        self,
        query: str,
        *,
        session_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        strategy: Strategy = "hybrid",
        filters: Filter | None = None,
        types: Sequence[ResultType] | None = None,
        kinds: Sequence[MemoryKind] | None = None,
        latest_only: bool = True,
        explain: bool = False,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> SearchResult:
        """The memories and messages that fit `query` best, best first, scores in [0, 1].

            found = await client.search("what sport does he play?", user_id="zhangsan", top_k=3)
            for hit in found.results:
                print(f"{hit.score:.2f} {hit.content}")

        `types` narrows to memories or messages, `filters` is the filter language (`{"AND": […]}`),
        `explain=True` adds what each score is made of.
        """
        request = build(
            SearchQuery,
            query=query,
            **whose,
            session_id=session_id,
            top_k=top_k,
            threshold=threshold,
            strategy=strategy,
            filters=filters,
            types=types,
            kinds=kinds,
            latest_only=latest_only,
            explain=explain,
            cursor=cursor,
        )
        subject = subject_of(**whose)
        return await self._ask("search", request, subject, SearchResult)

    async def context(
        self,
        user_id: str | None = None,
        message: str = "",
        *,
        max_tokens: int | None = None,
        limit: int | None = None,
        language: Literal["zh", "en"] | None = None,
        plain: bool | None = None,
        **other: Unpack[OtherWhose],
    ) -> ContextBlock:
        """What to put into the prompt before answering `message`, within `max_tokens`.

        block = await client.context("zhangsan", "周末有什么活动推荐？", max_tokens=500)
        prompt = block.context + "\\n\\n" + question
        """
        request = build(
            ContextQuery,
            message=message,
            max_tokens=max_tokens,
            limit=limit,
            language=language,
            plain=plain,
        )
        subject = required_subject(user_id=user_id, **other)
        return await self._ask("context", request, subject, ContextBlock)

    async def profile(self, user_id: str | None = None, **other: Unpack[OtherWhose]) -> Profile:
        """Who the user is: summary, interests and topics, computed from memories and messages."""
        return await self._ask("profile", Nothing(), required_subject(user_id=user_id, **other), Profile)

    # --- memories ---------------------------------------------------------------------------

    async def get(self, memory_id: str) -> MemoryOut:
        """One memory. Raises NotFound."""
        return await self._ask("get_memory", build(ById, id=memory_id), None, MemoryOut)

    async def update(
        self,
        memory_id: str,
        *,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
        category: str | Unset | None = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        immutable: bool | None = None,
    ) -> MemoryOut:
        """Change what is given of a memory; `expires_at=None` clears it. Raises NotFound, Conflict."""
        cleared = {
            name: value
            for name, value in (("category", category), ("expires_at", expires_at))
            if not isinstance(value, Unset)
        }
        patch = build(MemoryPatch, cleared, text=text, metadata=metadata, tags=tags, immutable=immutable)
        request = build(UpdateMemory, id=memory_id, patch=patch)
        return await self._ask("update_memory", request, None, MemoryOut)

    async def delete(self, memory_id: str) -> None:
        """Forget one memory, its history's texts too. Raises NotFound."""
        await self._ask("delete_memory", build(ById, id=memory_id), None, Count)

    async def delete_all(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        **whose: Unpack[Whose],
    ) -> int:
        """Forget all memories of a subject, or those that fit; the messages stay. How many there were.

        With several ids: the memories of the first that carry the others as labels. `erase` forgets
        the messages too.
        """
        subject = required_subject(**whose)
        labels = other_labels(subject, **whose)
        request = build(DeleteMemories, kinds=kinds, labels=labels or None, filters=filters)
        return (await self._ask("delete_memories", request, subject, Count)).count

    async def history(self, memory_id: str) -> Sequence[HistoryEntry]:
        """Every change of one memory, oldest first. Raises NotFound."""
        request = build(ById, id=memory_id)
        return (await self._ask("history", request, None, History)).history

    async def list_page(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        latest_only: bool = True,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> MemoryPage:
        """One page of memories, newest first; `cursor` of the page leads to the next one."""
        request = build(
            ListQuery,
            **whose,
            kinds=kinds,
            filters=filters,
            latest_only=latest_only,
            limit=limit,
            cursor=cursor,
        )
        subject = subject_of(**whose)
        return await self._ask("list_memories", request, subject, MemoryPage)

    # --- sessions and messages --------------------------------------------------------------

    async def sessions_page(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> SessionPage:
        """One page of the subject's sessions, by name."""
        subject = required_subject(**whose)
        request = build(Page, limit=limit, cursor=cursor)
        return await self._ask("sessions", request, subject, SessionPage)

    async def sessions(
        self,
        *,
        page_size: int = 100,
        **whose: Unpack[Whose],
    ) -> AsyncIterator[SessionOut]:
        """All sessions of the subject, by name, fetched page by page."""
        cursor: str | None = None
        while True:
            page = await self.sessions_page(
                **whose,
                limit=page_size,
                cursor=cursor,
            )
            for session in page.sessions:
                yield session
            cursor = page.cursor
            if cursor is None:
                return

    async def messages_page(
        self,
        *,
        session_id: str | None = None,
        mark: str | None = None,
        exclude_mark: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> MessagePage:
        """One page of stored messages, in the order they arrived."""
        subject = required_subject(**whose)
        request = build(
            MessagesQuery,
            session_id=session_id,
            mark=mark,
            exclude_mark=exclude_mark,
            newest_first=newest_first,
            limit=limit,
            cursor=cursor,
        )
        return await self._ask("messages", request, subject, MessagePage)

    async def messages(
        self,
        *,
        session_id: str | None = None,
        mark: str | None = None,
        exclude_mark: str | None = None,
        newest_first: bool = False,
        page_size: int = 500,
        **whose: Unpack[Whose],
    ) -> AsyncIterator[MessageOut]:
        """All stored messages that fit, in the order they arrived, fetched page by page.

        async for message in client.messages(user_id="zhangsan", session_id="2026-11-21"):
            print(message.role, message.content)
        """
        cursor: str | None = None
        while True:
            page = await self.messages_page(
                **whose,
                session_id=session_id,
                mark=mark,
                exclude_mark=exclude_mark,
                newest_first=newest_first,
                limit=page_size,
                cursor=cursor,
            )
            for message in page.messages:
                yield message
            cursor = page.cursor
            if cursor is None:
                return

    async def mark_messages(
        self,
        *,
        new: str | None = None,
        old: str | None = None,
        ids: Sequence[str] | None = None,
        session_id: str | None = None,
        **whose: Unpack[Whose],
    ) -> int:
        """Change marks, and say on how many messages: `new` alone adds, `old` alone removes, both replace."""
        subject = required_subject(**whose)
        request = build(MarkMessages, new=new, old=old, ids=ids, session_id=session_id)
        return (await self._ask("mark_messages", request, subject, Count)).count

    async def delete_messages(
        self,
        *,
        ids: Sequence[str] | None = None,
        marks: Sequence[str] | None = None,
        session_id: str | None = None,
        memories: bool = False,
        **whose: Unpack[Whose],
    ) -> int:
        """Forget messages by id, by mark or by session; with `memories` what rests on nothing else too."""
        subject = required_subject(**whose)
        request = build(DeleteMessages, ids=ids, marks=marks, session_id=session_id, memories=memories)
        return (await self._ask("delete_messages", request, subject, Count)).count

    # --- variables --------------------------------------------------------------------------

    async def variables(self, user_id: str | None = None, **other: Unpack[OtherWhose]) -> dict[str, str]:
        """The variables, by name."""
        subject = required_subject(user_id=user_id, **other)
        return (await self._ask("variables", Nothing(), subject, Variables)).variables

    async def set_variables(self, variables: Mapping[str, str], **whose: Unpack[Whose]) -> dict[str, str]:
        """Set these variables, leave the others as they are; all of them afterwards."""
        request = build(SetVariables, variables=variables)
        subject = required_subject(**whose)
        return (await self._ask("set_variables", request, subject, Variables)).variables

    async def delete_variables(self, names: Sequence[str], **whose: Unpack[Whose]) -> int:
        """Forget these variables; how many there were."""
        request = build(DeleteVariables, names=names)
        return (await self._ask("delete_variables", request, required_subject(**whose), Count)).count

    # --- buffer, jobs, runs -----------------------------------------------------------------

    async def buffer(
        self,
        **whose: Unpack[Whose],
    ) -> BufferStatus:
        """The messages not yet extracted: their ids, their tokens, and what may start an extraction."""
        subject = required_subject(**whose)
        return await self._ask("buffer_status", Nothing(), subject, BufferStatus)

    async def set_buffer_policy(
        self,
        *,
        on_full: bool = True,
        on_idle: bool = True,
        **whose: Unpack[Whose],
    ) -> BufferStatus:
        """Say which triggers may start an extraction on their own; with neither, only `process` does."""
        subject = required_subject(**whose)
        request = build(BufferPolicy, on_full=on_full, on_idle=on_idle)
        return await self._ask("set_buffer_policy", request, subject, BufferStatus)

    async def process(
        self,
        *,
        ids: Sequence[str] | None = None,
        wait: bool = True,
        **whose: Unpack[Whose],
    ) -> ProcessResult:
        """Extract the buffered messages now, all of them or these; `wait=False` only starts it."""
        subject = required_subject(**whose)
        request = build(ProcessRequest, ids=ids, wait=wait)
        return await self._ask("process", request, subject, ProcessResult)

    async def job(self, job_id: str) -> Job:
        """How far an add has come. Raises NotFound."""
        return await self._ask("job", build(ById, id=job_id), None, Job)

    async def wait_for_job(self, job_id: str, *, timeout: float = 300.0) -> Job:
        """The job once it is `done` or `parked`. Raises Unavailable after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        pause = 0.05
        while True:
            job = await self.job(job_id)
            if job.status in ("done", "parked"):
                return job
            if time.monotonic() + pause > deadline:
                raise Unavailable(
                    f"job {job_id} is still {job.status} after {timeout:g} s ({job.done}/{job.messages})",
                    remedy="wait longer, or look at the buffer and the parked runs of this subject",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    async def runs_page(
        self,
        *,
        status: RunStatus | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> RunPage:
        """One page of the subject's extraction runs, newest first (`run_id` names a subject here too)."""
        subject = required_subject(**whose)
        request = build(RunsQuery, status=status, limit=limit, cursor=cursor)
        return await self._ask("runs", request, subject, RunPage)

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        page_size: int = 100,
        **whose: Unpack[Whose],
    ) -> AsyncIterator[RunOut]:
        """All extraction runs of the subject, newest first, fetched page by page."""
        cursor: str | None = None
        while True:
            page = await self.runs_page(
                **whose,
                status=status,
                limit=page_size,
                cursor=cursor,
            )
            for run in page.runs:
                yield run
            cursor = page.cursor
            if cursor is None:
                return

    async def get_run(self, extraction_run_id: str) -> RunOut:
        """One extraction run. Raises NotFound."""
        return await self._ask("run", build(ById, id=extraction_run_id), None, RunOut)

    async def drive_run(self, extraction_run_id: str) -> ProcessResult:
        """Extract the input of a parked run again; one that is done keeps its result. Raises NotFound."""
        return await self._ask("drive_run", build(ById, id=extraction_run_id), None, ProcessResult)

    # --- housekeeping -----------------------------------------------------------------------

    async def erase(self, user_id: str | None = None, **other: Unpack[OtherWhose]) -> EraseResult:
        """Forget everything of a user, everywhere, for good: memories, messages, runs, variables."""
        return await self._ask("erase", Nothing(), required_subject(user_id=user_id, **other), EraseResult)

    async def cleanup(
        self, user_id: str | None = None, *, days_old: int = 90, **other: Unpack[OtherWhose]
    ) -> CleanupResult:
        """Forget the memories that were not updated for `days_old` days."""
        request = build(Cleanup, days_old=days_old)
        subject = required_subject(user_id=user_id, **other)
        return await self._ask("cleanup", request, subject, CleanupResult)

    async def stats(
        self,
        *,
        days: int = 7,
        **whose: Unpack[Whose],
    ) -> Sequence[UserStats]:
        """What was added and searched on each of the last `days` days."""
        subject = required_subject(**whose)
        return (await self._ask("stats", build(StatsQuery, days=days), subject, Stats)).days

    async def health(self) -> HealthDetail:
        """Each component with its latency. An unhealthy memgrid is an answer here, not an error."""
        return await self._ask("health", Nothing(), None, HealthDetail)

    # `list` comes last: below it the name means this method, not the built-in type.
    async def list(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        latest_only: bool = True,
        page_size: int = 100,
        **whose: Unpack[Whose],
    ) -> AsyncIterator[MemoryOut]:
        """All memories of a subject, newest first, fetched page by page.

        async for memory in client.list(user_id="zhangsan", kinds=["profile"]):
            print(memory.topic, memory.memory)
        """
        cursor: str | None = None
        while True:
            page = await self.list_page(
                **whose,
                kinds=kinds,
                filters=filters,
                latest_only=latest_only,
                limit=page_size,
                cursor=cursor,
            )
            for memory in page.memories:
                yield memory
            cursor = page.cursor
            if cursor is None:
                return

    async def _ask(
        self, operation: str, request: BaseModel, subject: SubjectRef | None, answer: type[_A]
    ) -> _A:
        raw = await self._transport.send(operation, request, subject)
        try:
            return answer.model_validate_json(raw)
        except ValidationError as error:
            raise MemgridError(
                f"the answer to {operation!r} is not what this client knows: {first_problem(error)[1]}",
                remedy="check that this is a memgrid server, and of the version of this client",
            ) from error
