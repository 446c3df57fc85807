"""The extraction loop: drives the buffers' state machine and does what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from actors.briefing import Briefing
from actors.commits import Commits, in_chunks
from actors.deciding import decide
from actors.driving import Drive, driven
from actors.off_loop import off_loop
from actors.profile_configs import ProfileConfigs
from actors.resident import Resident, Residents
from actors.run_results import RunResults
from actors.vanishing import vanish
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.buffer import ShardBuffers
from cluster.ids import Clock, minted_at, new_id
from cluster.llm.errors import GivenUp, MalformedCompletion, NotTried
from cluster.logs import get_log
from cluster.model import DAY_MS, Changes, Memory, Message, Run
from cluster.pipeline.merge import Decisions
from cluster.pipeline.port import Extraction
from cluster.pipeline.recalled import without_recalled
from cluster.pipeline.repeated import Repeats, find_repeats
from cluster.summaries import with_summaries
from cluster.wide_store.port import MessageQuery, StaleRevision, WideStore
from memgrid.errors import Conflict, InvalidInput, MemgridError, Overloaded
from memgrid.subject import Subject

_log = get_log()
_CONTENDED_ROUNDS = 20
_MAX_LOOK_BACK = 200
_MODEL_SECONDS = 10.0
"""How long a drain waits for models: most answers in flight come within it, and are paid for. Kubernetes
kills 30 s after its SIGTERM unless told, and commits, index and stores want their part of that."""


class ExtractionLoop:
    """Feeds events to `ShardBuffers`, runs extractions, and tells waiters what is settled."""

    def __init__(
        self,
        *,
        store: WideStore,
        residents: Residents,
        commits: Commits,
        briefing: Briefing,
        profiles: ProfileConfigs,
        buffers: ShardBuffers[Subject],
        waiters: Waiters,
        clock: Clock,
        context_messages: int,
        max_memories: int,
    ) -> None:
        self._store = store
        self._briefing = briefing
        self._profiles = profiles
        self.buffers = buffers
        self._waiters = waiters
        self._clock = clock
        self._context_messages = context_messages
        self._max_memories = max_memories
        self._residents = residents
        self._commits = commits
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()
        self.results = RunResults(store)
        self.done = 0
        self.parked = 0
        self.failed = 0
        self.claims_dropped = 0

    async def drain(self) -> None:
        """Start nothing new and return when nothing is in flight. A model that does not answer in time is
        given up: its messages are pending, and whoever owns the subject next extracts them."""
        asyncio.get_running_loop().call_later(_MODEL_SECONDS, self._briefing.give_up)
        self.dispatch(events.Drained())
        await self._drained.wait()
        if self._timer is not None:
            self._timer.cancel()

    def dispatch(self, event: events.Event[Subject]) -> None:
        """Hand an event to the state machine and do what it answers."""
        for action in self.buffers.handle(event, self._clock()):
            match action:
                case events.StartRun():
                    self._spawn(action.run_id, self._run(action))
                case events.ParkRun():
                    self._spawn(action.run_id, self._park(action))
                case events.AbandonRun():
                    if (task := self._runs.get(action.run_id)) is not None:
                        task.cancel()
                        erased = isinstance(event, events.Forgotten) and event.ids is None
                        self._spawn(f"end of {action.run_id}", self._abandoned(action, task, erased=erased))
                case events.Settled():
                    self._waiters.settled(action.key, action.ids)
                case events.DrainComplete():
                    self._drained.set()
                case events.UnloadRefused():
                    pass
        self._set_timer()

    async def drive(self, resident: Resident, run: Run) -> None:
        """Extract the messages of a parked run again. Raises what the extraction raises, and Conflict for an
        answer of the model that cannot be read: the run stays parked."""
        messages = await self._store.get_messages(resident.subject, run.input_ids)
        if not messages:
            await self._commits.commit(resident, lambda: self._emptied(resident, run))
            return
        drive = Drive(run, new_id())
        try:
            if await self._extract_and_commit(
                resident, run.id, messages, attempt=run.attempts + 1, drive=drive
            ):
                await self._driven_in_vain(resident, drive, "another owner has driven it meanwhile")
                return
        except asyncio.CancelledError:
            await self._driven_in_vain(resident, drive, "it was called off")
            raise
        except MemgridError as error:
            await self._driven_in_vain(resident, drive, error.message, tried=not isinstance(error, NotTried))
            if isinstance(error, MalformedCompletion):
                raise Conflict(
                    f"{error.message}; the run stays parked",
                    field="id",
                    remedy="see the model's answers in the run's record; give it another model, more room "
                    "for its answer or other instructions, then drive it again",
                ) from error
            raise
        finally:
            self._briefing.settled(drive.id)
        self._vanish_soon(resident.subject, messages)

    async def _driven_in_vain(
        self, resident: Resident, drive: Drive, why: str, *, tried: bool = True
    ) -> None:
        """Keep what a drive has taken that settled nothing."""
        account = self._account(drive.id, drive.run.id, why)
        if not (tried or account.calls):
            return

        def build() -> Changes | None:
            runs = [account] if account.calls else []
            if (parked := resident.parked.get(drive.run.id)) is not None:
                runs.append(
                    msgspec.structs.replace(
                        parked,
                        attempts=parked.attempts + 1,
                        error=why,
                        driven=parked.driven + account.spent,
                    )
                )
            if not runs:
                return None
            return Changes(
                commit_id=drive.id, at=self._clock(), actor="extraction", runs=tuple(runs), run_id=drive.id
            )

        await self._briefing.record(resident, drive.run, (), drive=drive.id)
        await self._commits.commit(resident, build)

    def _account(self, key: str, of: str, why: str | None) -> Run:
        """What work on the run `of` has taken, traced under `key`."""
        return self._briefing.accounted(
            Run(
                id=key,
                status="done",
                input_ids=(),
                buckets=(),
                extractor=self._briefing.name,
                duration_ms=self._briefing.trace(key).duration_ms,
                error=why,
                created_at=self._clock(),
                drives=of,
            )
        )

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self.buffers.next_wake()
        if wake is not None:
            delay = max(0.0, (wake - self._clock()) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay, self.dispatch, events.Tick())

    def _spawn(self, run_id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._runs[run_id] = task
        task.add_done_callback(lambda done: self._finished(run_id, done))

    def _finished(self, run_id: str, task: asyncio.Task[None]) -> None:
        if self._runs.get(run_id) is task:
            del self._runs[run_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("extraction task failed", run_id=run_id, exc_info=error)

    async def _run(self, action: events.StartRun[Subject]) -> None:
        subject = action.key
        try:
            async with self._residents.use(subject, fresh=False) as resident:
                messages = await self._messages(resident, action.ids)
                refused = await self._extract_and_commit(
                    resident, action.run_id, messages, attempt=action.attempt
                )
                settled = [i for i in action.ids if i not in resident.pending]
        except GivenUp as error:
            await self._written_off(subject, action.run_id, error.message)
            self.dispatch(events.RunFailed(subject, action.run_id, error.message, tried=False))
        except MemgridError as error:
            self.failed += 1
            _log.warning(
                "extraction failed", run_id=action.run_id, attempt=action.attempt, error=error.message
            )
            failure = events.RunFailed(
                subject,
                action.run_id,
                error.message,
                retryable=not isinstance(error, InvalidInput),
                wait_ms=int((error.retry_after or 0) * 1000),
                tried=not isinstance(error, NotTried),
            )
            self.dispatch(failure)
        except Exception as error:  # noqa: BLE001 - the run's outermost level: a defect must park, not vanish
            self.failed += 1
            _log.exception("extraction failed", run_id=action.run_id, attempt=action.attempt)
            self.dispatch(events.RunFailed(subject, action.run_id, f"{type(error).__name__}: {error}", True))
        else:
            if refused:
                left = tuple(i for i in action.ids if i in resident.pending)
                if not left:
                    await self._written_off(subject, action.run_id, "another owner was faster")
                self.dispatch(events.RunRefused(subject, action.run_id, left))
            else:
                self.done += 1
                self._vanish_soon(subject, messages)
                self.dispatch(events.RunDone(subject, action.run_id, tuple(settled)))

    async def _abandoned(
        self, action: events.AbandonRun[Subject], task: asyncio.Task[None], *, erased: bool
    ) -> None:
        await asyncio.wait([task])
        if erased:
            self._briefing.settled(action.run_id)  # its account is forgotten with all the others
        else:
            await self._written_off(action.key, action.run_id, "messages of it were deleted")

    async def _written_off(self, subject: Subject, run_id: str, why: str) -> None:
        """Keep what a run has taken that ends without a row of its own."""
        account = self._account(run_id, run_id, why)
        self._briefing.settled(run_id)
        if not account.calls:
            return
        try:
            async with self._residents.use(subject, fresh=False) as resident:
                await self._commits.commit(
                    resident,
                    lambda: Changes(
                        commit_id=new_id(),
                        at=self._clock(),
                        actor="extraction",
                        runs=(account,),
                        run_id=run_id,
                    ),
                )
        except MemgridError as error:
            _log.warning("what a run has taken is not kept", run_id=run_id, error=error.message)

    async def _messages(self, resident: Resident, ids: Sequence[str]) -> list[Message]:
        found = [resident.hot.message(i) for i in ids]
        if all(message is not None for message in found):
            return [message for message in found if message is not None]
        return list(await self._store.get_messages(resident.subject, ids))

    async def _extract_and_commit(
        self,
        resident: Resident,
        run_id: str,
        messages: Sequence[Message],
        *,
        attempt: int,
        drive: Drive | None = None,
    ) -> bool:
        """True when another owner settled some of the messages meanwhile: what is left must run anew."""
        key = run_id if drive is None else drive.id
        trace = self._briefing.trace(key)
        started = time.monotonic()
        try:
            extraction, repeated = await self._extracted(resident, key, messages, parked=drive is not None)
        finally:
            trace.duration_ms += round((time.monotonic() - started) * 1000)
        wanted = {message.id for message in messages}
        topics = await self._profiles.rules(resident.subject.tenant)
        async with resident.writing:
            for _ in range(_CONTENDED_ROUNDS):
                if not (wanted <= resident.pending if drive is None else run_id in resident.parked):
                    return True
                if not all(self._stands(resident, memory_id) for memory_id in repeated):
                    return True  # what was said again has changed meanwhile: it is news
                decisions = await off_loop(
                    lambda: decide(
                        resident,
                        messages,
                        extraction,
                        topics,
                        now=self._clock(),
                        max_memories=self._max_memories,
                    )
                )
                run = Run(
                    id=run_id,
                    status="done",
                    input_ids=tuple(message.id for message in messages),
                    buckets=tuple(sorted({message.bucket for message in messages})),
                    # Those that a cap has deleted are nothing that the run's record could rest on.
                    memory_ids=tuple(
                        dict.fromkeys(
                            entry.memory_id
                            for entry in decisions.entries
                            if entry.memory_id not in decisions.delete
                        )
                    ),
                    extractor=extraction.extractor,
                    prompt_version=extraction.prompt_version,
                    model=extraction.model,
                    attempts=attempt,
                    duration_ms=trace.duration_ms,
                    created_at=self._clock(),
                )
                if drive is None:
                    runs = [run := self._briefing.accounted(run)]
                else:
                    account = self._account(drive.id, run_id, None)
                    run = driven(resident.parked[run_id], run, account)
                    runs = [run, account] if account.calls else [run]
                why = decisions.decisions
                await self._briefing.record(resident, run, why, extraction, drive=drive and drive.id)
                try:
                    await self._commit_held(resident, runs, decisions, extraction.summaries)
                except StaleRevision:
                    await self._residents.reload(resident)
                    continue
                self._briefing.settled(key)
                self.claims_dropped += len(trace.dropped)
                self.results.remember(run, decisions.entries)
                if decisions.delete:
                    _log.warning("caps dropped memories", run_id=run_id, dropped=len(decisions.delete))
                return False
        raise Overloaded("another owner keeps changing this subject", retry_after=1.0)

    async def _extracted(
        self, resident: Resident, key: str, messages: Sequence[Message], *, parked: bool
    ) -> tuple[Extraction, frozenset[str]]:
        """What is claimed in the messages, and the memories of which that is for being said again."""
        inferred = [message for message in messages if message.infer]
        if not inferred:
            return Extraction(candidates=(), extractor="verbatim"), frozenset()
        async with resident.writing:
            repeats = await off_loop(lambda: self._repeats(resident, inferred, parked=parked))
        extraction = Extraction(candidates=(), extractor=self._briefing.name)

        async def earlier(first: Message) -> Sequence[Message]:
            return _context(await self._earlier(resident, first), repeats)

        if repeats.fresh:
            extraction = await self._briefing.extract(
                resident,
                key,
                repeats.fresh,
                earlier=earlier,
                known=[m for m in resident.hot.memories() if m.is_current(self._clock())],
            )
        candidates = (*repeats.candidates, *extraction.candidates)
        return msgspec.structs.replace(extraction, candidates=candidates), repeats.memory_ids

    def _stands(self, resident: Resident, memory_id: str) -> bool:
        memory = resident.hot.memory(memory_id)
        return memory is not None and memory.is_current(self._clock())

    def _repeats(self, resident: Resident, messages: Sequence[Message], *, parked: bool) -> Repeats:
        """What of the messages is news. Reads what `resident.writing` keeps as it is."""
        heard = without_recalled(messages, resident.known)
        if parked:
            return Repeats(heard, (), (), frozenset())
        return find_repeats(heard, resident.hot.memories(), resident.hot.message, self._clock())

    async def _commit_held(
        self, resident: Resident, runs: Sequence[Run], decisions: Decisions, summaries: Mapping[str, str]
    ) -> None:
        """All of it in one commit; a large one in several, the last of which settles the messages, so that
        a crash in between runs the extraction again and merges into what has landed."""
        chunks = in_chunks([*decisions.put, *decisions.delete]) or [[]]
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            ids = {row if isinstance(row, str) else row.id for row in chunk}
            await self._commits.try_commit_held(
                resident,
                Changes(
                    commit_id=new_id(),
                    at=self._clock(),
                    actor="extraction",
                    put=tuple(row for row in chunk if isinstance(row, Memory)),
                    delete=tuple(row for row in chunk if isinstance(row, str)),
                    entries=tuple(entry for entry in decisions.entries if entry.memory_id in ids),
                    runs=tuple(runs) if last else (),
                    run_id=runs[0].id,
                    settings=with_summaries(resident.head.settings, summaries)
                    if last and summaries
                    else None,
                ),
            )

    async def _park(self, action: events.ParkRun[Subject]) -> None:
        subject = action.key
        try:
            async with self._residents.use(subject, fresh=False) as resident:
                run = self._parked_run(action)
                await self._briefing.record(resident, run, ())
                await self._commits.commit(resident, lambda: self._parked(resident, run))
                self._briefing.settled(action.run_id)
        except MemgridError as error:
            self.dispatch(events.RunFailed(subject, action.run_id, error.message))
            return
        self.parked += 1
        _log.error("extraction parked", run_id=action.run_id, attempts=action.attempts, error=action.error)
        self.dispatch(events.RunParked(subject, action.run_id))

    def _parked_run(self, action: events.ParkRun[Subject]) -> Run:
        run = Run(
            id=action.run_id,
            status="parked",
            input_ids=action.ids,
            buckets=(),
            extractor=self._briefing.name,
            attempts=action.attempts,
            duration_ms=self._briefing.trace(action.run_id).duration_ms,
            error=action.error,
            created_at=self._clock(),
        )
        return self._briefing.accounted(run)

    def _parked(self, resident: Resident, run: Run) -> Changes | None:
        ids = tuple(i for i in run.input_ids if i in resident.pending)
        if not ids:
            return None
        buckets = tuple(sorted({minted_at(i) // DAY_MS for i in ids}))
        run = msgspec.structs.replace(run, input_ids=ids, buckets=buckets)
        return Changes(commit_id=new_id(), at=self._clock(), actor="extraction", runs=(run,), run_id=run.id)

    def activated(self, resident: Resident) -> None:
        """Messages that should have vanished, had their owner not been lost, do now."""
        self._vanish_soon(resident.subject, resident.hot.messages())

    def _vanish_soon(self, subject: Subject, messages: Iterable[Message]) -> None:
        ids = tuple(message.id for message in messages if message.transient)
        if ids:
            self._spawn(f"vanish {ids[0]}", vanish(self._residents, self._commits, subject, ids, self._clock))

    def _emptied(self, resident: Resident, run: Run) -> Changes | None:
        """A parked run whose messages were all deleted has nothing left to do."""
        if run.id not in resident.parked:
            return None
        done = msgspec.structs.replace(run, status="done", error=None)
        return Changes(commit_id=new_id(), at=self._clock(), actor="extraction", runs=(done,), run_id=run.id)

    async def _earlier(self, resident: Resident, first: Message) -> Sequence[Message]:
        if self._context_messages == 0:
            return ()
        page = await self._store.messages(
            resident.subject,
            MessageQuery(session=first.session, newest_first=True),
            limit=min(self._context_messages + len(resident.pending), _MAX_LOOK_BACK),
        )
        older = [message for message in page.messages if message.id < first.id]
        return older[: self._context_messages][::-1]


def _context(earlier: Sequence[Message], repeats: Repeats) -> list[Message]:
    """Earlier messages, and those of the run that are extracted already: what follows may be about them."""
    known = {message.id for message in earlier}
    return [*earlier, *(message for message in repeats.repeated if message.id not in known)]
