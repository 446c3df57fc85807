"""The buffer in the callers' hands: its triggers, what waits in it, and what of it to extract now."""

from __future__ import annotations

import asyncio

from actors.adding import Adding
from actors.commits import Commits
from actors.extraction import ExtractionLoop
from actors.resident import Resident, Residents
from actors.vectors import VectorQueue
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.ids import Clock
from cluster.jobs import JobKey, encode_job
from cluster.logs import get_log
from cluster.model import Changes, Run
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from memgrid.errors import NotFound, Overloaded
from memgrid.models import (
    BufferPolicy,
    BufferStatus,
    ProcessRequest,
    ProcessResult,
)
from memgrid.operations import ById, Nothing
from memgrid.subject import Subject

_log = get_log()


class Buffering:
    """The operations on the buffers of a shard."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: WideStore,
        residents: Residents,
        commits: Commits,
        loop: ExtractionLoop,
        waiters: Waiters,
        vectors: VectorQueue,
        adding: Adding,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._residents = residents
        self._commits = commits
        self._loop = loop
        self._waiters = waiters
        self._vectors = vectors
        self._adding = adding
        self._clock = clock
        self._driving: set[asyncio.Task[None]] = set()

    async def set_buffer_policy(
        self, subject: Subject, request: BufferPolicy, request_id: str
    ) -> BufferStatus:
        """Switch triggers on or off; kept with the subject."""
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                settings = {**resident.head.settings, "buffer": request.model_dump()}
                if settings == resident.head.settings:
                    return None
                return Changes(commit_id=request_id, at=self._clock(), actor="api", settings=settings)

            await self._commits.commit(resident, build)
            self._loop.dispatch(events.PolicySet(subject, request.on_full, request.on_idle))
            return self.buffer_view(resident)

    async def buffer_status(self, subject: Subject, request: Nothing, request_id: str) -> BufferStatus:
        """What waits for extraction."""
        async with self._residents.use(subject, fresh=True) as resident:
            return self.buffer_view(resident)

    def buffer_view(self, resident: Resident) -> BufferStatus:
        """The buffer as callers see it."""
        view = self._loop.buffers.status(resident.subject)
        full_at = self._settings.buffer_full_tokens
        return BufferStatus(
            tokens=view.tokens,
            full_at=full_at,
            is_full=view.tokens >= full_at,
            message_ids=list(view.ids),
            running=list(view.running),
            policy=policy_of(resident),
            embedding_backlog=self._vectors.backlog(resident.subject),
        )

    async def process(self, subject: Subject, request: ProcessRequest, request_id: str) -> ProcessResult:
        """Extract what is buffered, or these messages of it; what was extracted before keeps its result."""
        async with self._residents.use(subject, fresh=True) as resident:
            ids = list(request.ids) if request.ids is not None else sorted(resident.pending)
            if request.ids is not None:
                there = {m.id for m in await self._store.get_messages(subject, ids)}
                for number, unknown in enumerate(ids):
                    if unknown not in there:
                        raise NotFound(f"there is no message {unknown!r}", field=f"ids.{number}")
            waiting = [i for i in ids if i in resident.pending]
            if waiting:
                self._loop.dispatch(events.Flush(subject, tuple(waiting)))
                if request.wait:
                    await self._waiters.wait(subject, [i for i in waiting if i in resident.pending])
            if not ids:
                return ProcessResult(job_id=None, status="done")
            status, results = await self._adding.outcome(resident, ids)
            job = encode_job(JobKey(subject.kind, subject.id, min(ids), max(ids)))
            return ProcessResult(job_id=job, status=status, results=results)

    async def drive_run(self, subject: Subject, request: ById, request_id: str) -> ProcessResult:
        """Try a parked run again. Raises what the extraction raises."""
        async with self._residents.use(subject, fresh=True) as resident:
            run = await self._store.get_run(subject, request.id)
            if run is None:
                raise NotFound("there is no such run", field="id")
            job = encode_job(JobKey(subject.kind, subject.id, min(run.input_ids), max(run.input_ids)))
            if run.status == "parked":
                driving = self._drive(subject, run)
                if not await self._waiters.wait_for(driving):
                    return ProcessResult(job_id=job, status="running")
                if not driving.cancelled():  # or else this owner shuts down, and it is parked as it was
                    driving.result()
            status, results = await self._adding.outcome(resident, run.input_ids)
            return ProcessResult(job_id=job, status=status, results=results)

    async def close(self) -> None:
        """Stop driving: what is not committed stays parked."""
        for driving in self._driving:
            driving.cancel()
        await asyncio.gather(*self._driving, return_exceptions=True)

    def _drive(self, subject: Subject, run: Run) -> asyncio.Task[None]:
        if len(self._driving) >= self._settings.max_inflight_requests:
            raise Overloaded(f"{len(self._driving)} parked runs are driven already", retry_after=1.0)

        async def drive() -> None:
            async with self._residents.use(subject, fresh=False) as resident:
                await self._loop.drive(resident, run)

        def ended(done: asyncio.Task[None]) -> None:
            self._driving.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.warning("driving a parked run failed", run_id=run.id, error=str(error))

        driving = asyncio.create_task(drive())
        self._driving.add(driving)
        driving.add_done_callback(ended)
        return driving


def policy_of(resident: Resident) -> BufferPolicy:
    """The subject's buffer policy; all triggers are on unless it says otherwise."""
    return BufferPolicy.model_validate(resident.head.settings.get("buffer", {}))
