"""The client's methods on a subject: its messages, variables, buffer and runs, and all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Unpack

from memgrid._requests import OtherWhose, Whose, build, required_subject
from memgrid._transport import Sender
from memgrid.errors import Unavailable
from memgrid.extraction import RunDetail
from memgrid.models import (
    BufferPolicy,
    BufferStatus,
    CleanupResult,
    Count,
    DeleteMessages,
    EraseResult,
    HealthDetail,
    Job,
    MarkMessages,
    MessageOut,
    MessagePage,
    ProcessRequest,
    ProcessResult,
    RunOut,
    RunPage,
    RunStatus,
    SessionOut,
    SessionPage,
    SetVariables,
    UserStats,
    Variables,
)
from memgrid.operations import (
    ById,
    Cleanup,
    DeleteVariables,
    MessagesQuery,
    Nothing,
    Page,
    RunsQuery,
    Stats,
    StatsQuery,
)


class SubjectsApi(Sender):
    """Reads and changes what belongs to one subject beside its memories."""

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
        """Extract the buffered messages now, all of them or these; `wait=False` only starts it.

        `wait` ends with what a request may take: while `status` is `pending` or `running` the extraction goes
        on, and `wait_for_job(result.job_id)` waits for it.
        """
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

    async def get_run(self, extraction_run_id: str) -> RunDetail:
        """One extraction run with what was recorded of it: calls, decisions, claims that were not believed.
        Raises NotFound."""
        return await self._ask("run", build(ById, id=extraction_run_id), None, RunDetail)

    async def drive_run(self, extraction_run_id: str) -> ProcessResult:
        """Extract the input of a parked run again; one that is done keeps its result. Raises NotFound.

        When `status` is `running` it goes on: `get_run` tells what became of it.
        """
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
