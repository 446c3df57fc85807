"""What answers about a subject: memories, profile, messages, runs, jobs."""

from __future__ import annotations

from actors.adding import Adding, labels_of
from actors.answer_cache import AnswerCache, encode, state_of
from actors.cursors import decode_cursor, encode_cursor
from actors.edits import variables_of
from actors.resident import Resident, Residents
from actors.views import memory_out, message_out, moment, run_out
from cluster.analysis import looks_chinese
from cluster.ids import Clock
from cluster.jobs import decode_job
from cluster.profile import MessageStats, build_profile
from cluster.settings import Settings
from cluster.wide_store.port import MessageQuery, WideStore
from memgrid.errors import NotFound
from memgrid.models import (
    History,
    HistoryEntry,
    Job,
    ListQuery,
    MemoryOut,
    MemoryPage,
    MessagePage,
    Profile,
    RunPage,
    SessionOut,
    SessionPage,
    Variables,
)
from memgrid.operations import ById, MessagesQuery, Nothing, Page, RunsQuery
from memgrid.subject import Subject

_STATS_PAGE = 1000


class Reads:
    """The reading operations of a shard. Each follows the store first: it sees every acknowledged write."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: WideStore,
        residents: Residents,
        adding: Adding,
        cache: AnswerCache,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._residents = residents
        self._adding = adding
        self._cache = cache
        self._clock = clock

    # memories

    async def list_memories(self, subject: Subject, query: ListQuery, request_id: str) -> MemoryPage:
        """Memories, newest first."""
        matches = self._residents.filter_of(subject, query.filters).matches
        labels = labels_of(query)
        now = self._clock()
        async with self._residents.use(subject, fresh=True) as resident:
            chosen = sorted(
                (
                    memory
                    for memory in resident.hot.memories()
                    if (not query.latest_only or memory.is_current(now))
                    and (memory.expires_at is None or memory.expires_at > now)
                    and (query.kinds is None or memory.kind in query.kinds)
                    and all(memory.labels.get(kind) == value for kind, value in labels.items())
                    and matches(memory)
                ),
                key=lambda memory: memory.id,
                reverse=True,
            )
            start = 0
            if query.cursor is not None:
                after = decode_cursor("memories", query.cursor)
                start = next((n for n, memory in enumerate(chosen) if memory.id < after), len(chosen))
            page = chosen[start : start + query.limit]
            more = start + query.limit < len(chosen)
            return MemoryPage(
                memories=[memory_out(memory) for memory in page],
                cursor=encode_cursor("memories", page[-1].id) if more else None,
                total=len(chosen),
            )

    async def get_memory(self, subject: Subject, request: ById, request_id: str) -> MemoryOut:
        """One memory, superseded or not."""
        async with self._residents.use(subject, fresh=True) as resident:
            memory = resident.hot.memory(request.id)
            if memory is None or (memory.expires_at is not None and memory.expires_at <= self._clock()):
                raise NotFound("there is no such memory", field="id")
            return memory_out(memory)

    async def history(self, subject: Subject, request: ById, request_id: str) -> History:
        """Every change of one memory, oldest first."""
        changes = await self._store.memory_history(subject, request.id, limit=1000)
        if not changes:
            raise NotFound("there is no such memory", field="id")
        return History(
            history=[
                HistoryEntry(
                    memory_id=entry.memory_id,
                    event=entry.event,
                    old_memory=entry.old_text,
                    new_memory=entry.new_text,
                    revision=change.revision,
                    run_id=change.run_id,
                    actor=change.actor,
                    reason=entry.reason,
                    at=moment(change.at),
                )
                for change in changes
                for entry in change.entries
            ]
        )

    async def variables(self, subject: Subject, request: Nothing, request_id: str) -> Variables:
        """The subject's variables."""
        async with self._residents.use(subject, fresh=True) as resident:
            return Variables(variables={name: m.text for name, m in variables_of(resident).items()})

    # profile

    async def profile(self, subject: Subject, request: Nothing, request_id: str) -> Profile | bytes:
        """Who the subject is, computed from memories and messages."""
        async with self._residents.use(subject, fresh=True) as resident:
            key = (subject, "profile", b"")
            state = state_of(resident)
            now = self._clock()
            if (cached := self._cache.get(key, state, now)) is not None:
                return cached
            if resident.stats is None:
                resident.stats = await self._stats(resident)
            memories = [m for m in resident.hot.memories() if m.is_current(now)]
            chinese = not memories or looks_chinese(" ".join(m.text for m in memories[:50]))
            profile = build_profile(subject, memories, resident.stats, now, "zh" if chinese else "en")
            answer = encode(profile)
            if state == state_of(resident):
                self._cache.put(key, state, resident.hot.next_end(now), answer)
            return answer

    async def _stats(self, resident: Resident) -> MessageStats:
        stats = MessageStats()
        cursor: str | None = None
        while True:
            page = await self._store.messages(
                resident.subject, MessageQuery(), cursor=cursor, limit=_STATS_PAGE
            )
            for message in page.messages:
                stats.observe(message)
            cursor = page.cursor
            if cursor is None:
                return stats

    # messages, runs, jobs

    async def sessions(self, subject: Subject, query: Page, request_id: str) -> SessionPage:
        """The subject's sessions by name."""
        cursor = None if query.cursor is None else decode_cursor("sessions", query.cursor)
        rows, after = await self._store.sessions(subject, cursor=cursor, limit=query.limit)
        return SessionPage(
            sessions=[
                SessionOut(
                    session_id=row.session,
                    messages=row.messages,
                    first_at=moment(row.first_at),
                    last_at=moment(row.last_at),
                )
                for row in rows
            ],
            cursor=None if after is None else encode_cursor("sessions", after),
        )

    async def messages(self, subject: Subject, query: MessagesQuery, request_id: str) -> MessagePage:
        """Messages in the order they arrived, or newest first."""
        async with self._residents.use(subject, fresh=True) as resident:
            page = await self._store.messages(
                subject,
                MessageQuery(
                    session=query.session_id,
                    mark=query.mark,
                    exclude_mark=query.exclude_mark,
                    newest_first=query.newest_first,
                ),
                cursor=None if query.cursor is None else decode_cursor("messages", query.cursor),
                limit=query.limit,
            )
            return MessagePage(
                messages=[message_out(m, status_of(resident, m.id)) for m in page.messages],
                cursor=None if page.cursor is None else encode_cursor("messages", page.cursor),
            )

    async def runs(self, subject: Subject, query: RunsQuery, request_id: str) -> RunPage:
        """Extraction runs, newest first."""
        rows, after = await self._store.runs(
            subject,
            status=query.status,
            cursor=None if query.cursor is None else decode_cursor("runs", query.cursor),
            limit=query.limit,
        )
        return RunPage(
            runs=[run_out(run) for run in rows if run.drives is None],
            cursor=None if after is None else encode_cursor("runs", after),
        )

    async def job(self, subject: Subject, request: ById, request_id: str) -> Job:
        """How far an add has come."""
        key = decode_job(request.id)  # without a first message: of an add of none
        async with self._residents.use(subject, fresh=True) as resident:
            ids = await self._ids_between(resident, key.first, key.last)
            if not ids and key.first:
                raise NotFound("there is no such job", field="job_id")
            status, results = await self._adding.outcome(resident, ids)
            error = next(
                (run.error for run in resident.parked.values() if set(run.input_ids).intersection(ids)), None
            )
            return Job(
                job_id=request.id,
                status=status,
                messages=len(ids),
                done=sum(1 for i in ids if i not in resident.pending),
                results=results,
                error=error,
            )

    async def _ids_between(self, resident: Resident, first: str, last: str) -> list[str]:
        hot = [m.id for m in resident.hot.messages() if first <= m.id <= last]
        if hot:
            return hot
        stored = [m.id for m in await self._store.get_messages(resident.subject, [first, last])]
        if stored:
            return stored
        # Messages that vanished when they were extracted are in a run all the same.
        runs = await self._store.runs_of(resident.subject, [first, last])
        return sorted({i for run in runs for i in run.input_ids if first <= i <= last})


def status_of(resident: Resident, message_id: str) -> str:
    """Whether a message waits for extraction, has had it, or is in a parked run."""
    if message_id in resident.pending:
        return "buffered"
    if any(message_id in run.input_ids for run in resident.parked.values()):
        return "parked"
    return "extracted"
