"""The extraction loop: drives the buffers' state machine and does what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast, get_args

import msgspec

from actors.briefing import Briefing
from actors.commits import CHUNK, Commits, in_chunks
from actors.off_loop import off_loop
from actors.profile_configs import ProfileConfigs
from actors.resident import Resident, Residents
from actors.run_results import RunResults
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.buffer import ShardBuffers
from cluster.ids import Clock, minted_at, new_id
from cluster.llm.errors import NotTried
from cluster.logs import get_log
from cluster.model import DAY_MS, Changes, Memory, Message, Millis, Run
from cluster.pipeline.merge import Decisions, KnownIndex, merge, verbatim
from cluster.pipeline.port import Extraction
from cluster.pipeline.recalled import without_recalled
from cluster.pipeline.repeated import Repeats, find_repeats
from cluster.profile_topics import TopicRules
from cluster.summaries import with_summaries
from cluster.wide_store.port import MessageQuery, StaleRevision, WideStore
from memgrid.errors import InvalidInput, MemgridError, Overloaded
from memgrid.models import SourceType
from memgrid.subject import Subject

_log = get_log()
_CONTENDED_ROUNDS = 20
_MAX_LOOK_BACK = 200


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
        """Start nothing new and return when nothing is in flight."""
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
                case events.Settled():
                    self._waiters.settled(action.key, action.ids)
                case events.DrainComplete():
                    self._drained.set()
                case events.UnloadRefused():
                    pass
        self._set_timer()

    async def drive(self, resident: Resident, run: Run) -> None:
        """Extract the messages of a parked run again. Raises what the extraction raises."""
        messages = await self._store.get_messages(resident.subject, run.input_ids)
        if not messages:
            await self._commits.commit(resident, lambda: self._emptied(resident, run))
            return
        await self._extract_and_commit(resident, run.id, messages, attempt=run.attempts + 1, parked=True)
        self._vanish_soon(resident.subject, messages)

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
                    resident, action.run_id, messages, attempt=action.attempt, parked=False
                )
                settled = [i for i in action.ids if i not in resident.pending]
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
                self.dispatch(events.RunRefused(subject, action.run_id, left))
            else:
                self.done += 1
                self._vanish_soon(subject, messages)
                self.dispatch(events.RunDone(subject, action.run_id, tuple(settled)))

    async def _messages(self, resident: Resident, ids: Sequence[str]) -> list[Message]:
        found = [resident.hot.message(i) for i in ids]
        if all(message is not None for message in found):
            return [message for message in found if message is not None]
        return list(await self._store.get_messages(resident.subject, ids))

    async def _extract_and_commit(
        self, resident: Resident, run_id: str, messages: Sequence[Message], *, attempt: int, parked: bool
    ) -> bool:
        """True when another owner settled some of the messages meanwhile: what is left must run anew."""
        started = time.monotonic()
        inferred = [message for message in messages if message.infer]
        extraction = Extraction(candidates=(), extractor="verbatim")
        repeated: frozenset[str] = frozenset()
        if inferred:
            async with resident.writing:
                repeats = await off_loop(lambda: self._repeats(resident, inferred, parked=parked))
            extraction = Extraction(candidates=(), extractor=self._briefing.name)

            async def earlier(first: Message) -> Sequence[Message]:
                return _context(await self._earlier(resident, first), repeats)

            if repeats.fresh:
                extraction = await self._briefing.extract(
                    resident,
                    run_id,
                    repeats.fresh,
                    earlier=earlier,
                    known=[m for m in resident.hot.memories() if m.is_current(self._clock())],
                )
            repeated = repeats.memory_ids
            extraction = msgspec.structs.replace(
                extraction, candidates=(*repeats.candidates, *extraction.candidates)
            )
        wanted = {message.id for message in messages}
        topics = await self._profiles.rules(resident.subject.tenant)
        async with resident.writing:
            for _ in range(_CONTENDED_ROUNDS):
                if not parked and not wanted <= resident.pending:
                    return True
                if parked and run_id not in resident.parked:
                    return False  # another owner has driven it
                if not all(self._stands(resident, memory_id) for memory_id in repeated):
                    return True  # what was said again has changed meanwhile: it is news
                decisions = await off_loop(lambda: self._decide(resident, messages, extraction, topics))
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
                    input_tokens=extraction.input_tokens,
                    output_tokens=extraction.output_tokens,
                    attempts=attempt,
                    duration_ms=int((time.monotonic() - started) * 1000),
                    created_at=self._clock(),
                )
                run = self._briefing.accounted(run)
                await self._briefing.record(resident, run, decisions.decisions, extraction)
                try:
                    await self._commit_held(resident, run, decisions, extraction.summaries)
                except StaleRevision:
                    await self._residents.reload(resident)
                    continue
                self._briefing.settled(run_id)
                self.claims_dropped += run.dropped
                self.results.remember(run, decisions.entries)
                if decisions.delete:
                    _log.warning("caps dropped memories", run_id=run_id, dropped=len(decisions.delete))
                return False
        raise Overloaded("another owner keeps changing this subject", retry_after=1.0)

    def _stands(self, resident: Resident, memory_id: str) -> bool:
        memory = resident.hot.memory(memory_id)
        return memory is not None and memory.is_current(self._clock())

    def _repeats(self, resident: Resident, messages: Sequence[Message], *, parked: bool) -> Repeats:
        """What of the messages is news. Reads what `resident.writing` keeps as it is."""
        heard = without_recalled(messages, resident.known)
        if parked:
            return Repeats(heard, (), (), frozenset())
        return find_repeats(heard, resident.hot.memories(), resident.hot.message, self._clock())

    def _decide(
        self, resident: Resident, messages: Sequence[Message], extraction: Extraction, topics: TopicRules
    ) -> Decisions:
        known = resident.known
        subject, labels, now = resident.subject, messages[-1].labels, self._clock()
        kept = verbatim(
            [message for message in messages if not message.infer],
            known,
            subject=subject,
            labels=labels,
            now=now,
            new_id=new_id,
            max_memories=self._max_memories,
        )
        if not extraction.candidates:
            return msgspec.structs.replace(kept, put=_placed(kept.put, messages))
        if kept.put or kept.delete:
            known = KnownIndex(resident.hot.memories())
            known.apply(kept)
        found = merge(
            extraction.candidates,
            known,
            subject=subject,
            labels=labels,
            session=messages[-1].session,
            now=now,
            new_id=new_id,
            max_memories=self._max_memories,
            said_at={message.id: message.event_time for message in messages},
            admits=topics.admits,
            topic_cap=topics.cap if topics.has_caps else None,
        )
        delete = dict.fromkeys(kept.delete + found.delete)
        put = {memory.id: memory for memory in (*kept.put, *found.put) if memory.id not in delete}
        return Decisions(
            put=_placed(put.values(), messages),
            delete=tuple(delete),
            entries=kept.entries + found.entries,
            decisions=kept.decisions + found.decisions,
        )

    async def _commit_held(
        self, resident: Resident, run: Run, decisions: Decisions, summaries: Mapping[str, str]
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
                    runs=(run,) if last else (),
                    run_id=run.id,
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
        """Messages that should have vanished with their extraction, had their owner not been lost, do now."""
        self._vanish_soon(resident.subject, resident.hot.messages())

    def _vanish_soon(self, subject: Subject, messages: Iterable[Message]) -> None:
        ids = tuple(message.id for message in messages if message.transient)
        if ids:
            self._spawn(f"vanish {ids[0]}", self._vanish(subject, ids))

    async def _vanish(self, subject: Subject, ids: Sequence[str]) -> None:
        """Forget these messages, those that wait or are parked aside."""
        async with self._residents.use(subject, fresh=False) as resident:

            def build() -> Changes | None:
                parked = {i for run in resident.parked.values() for i in run.input_ids}
                gone = [
                    i
                    for i in ids
                    if i not in resident.pending and i not in parked and resident.hot.message(i) is not None
                ]
                if not gone:
                    return None
                return Changes(
                    commit_id=new_id(),
                    at=self._clock(),
                    actor="extraction",
                    delete_messages=tuple(gone[:CHUNK]),
                )

            for _ in range(0, len(ids), CHUNK):
                await self._commits.commit(resident, build)

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


def _placed(memories: Iterable[Memory], messages: Sequence[Message]) -> tuple[Memory, ...]:
    """New memories with the session, labels and metadata of the newest message they rest on."""
    by_id = {message.id: message for message in messages}
    placed: list[Memory] = []
    for memory in memories:
        source = next((by_id[i] for i in reversed(memory.sources) if i in by_id), None)
        if source is None or memory.revision:
            placed.append(memory)
            continue
        source_type = source.metadata.get("source_type")
        given = source_type if source_type in get_args(SourceType) else "conversation"
        placed.append(
            msgspec.structs.replace(
                memory,
                session=source.session,
                labels={**memory.labels, **source.labels},
                tags=memory.tags or _texts(source.metadata.get("tags")),
                category=memory.category or _text(source.metadata.get("category")),
                source_type=given,
                metadata={
                    "source": given,
                    "timestamp": _iso(source.event_time),
                    **source.metadata,
                },
            )
        )
    return tuple(placed)


def _iso(at: Millis) -> str:
    """As times are written in answers."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in cast("list[Any]", value) if isinstance(item, str))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
