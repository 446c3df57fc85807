"""The edits that callers make: of memories, variables, messages, and forgetting all there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.adding import check_metadata, millis
from actors.commits import CHUNK, Commits
from actors.daily_stats import DailyStats
from actors.extraction import ExtractionLoop
from actors.resident import Resident, Residents
from actors.views import memory_out, moment
from cluster import buffer_events as events
from cluster.ids import Clock, new_id
from cluster.logs import get_log
from cluster.model import DAY_MS, ChangeEntry, Changes, Memory
from cluster.wide_store.port import MessageQuery, WideStore
from memgrid.errors import Conflict, InvalidInput, MemgridError, NotFound
from memgrid.models import (
    CleanupResult,
    Count,
    DeleteMessages,
    EraseResult,
    MarkMessages,
    MemoryOut,
    SetVariables,
    Variables,
)
from memgrid.operations import (
    Cleanup,
    DeleteMemories,
    DeleteMemory,
    DeleteVariables,
    Nothing,
    UpdateMemory,
)
from memgrid.subject import Subject

_log = get_log()

_DELETED_PAGE = 500
VARIABLE_TOPIC = "variable"


class Edits:
    """The editing operations of a shard."""

    def __init__(
        self,
        *,
        store: WideStore,
        residents: Residents,
        commits: Commits,
        loop: ExtractionLoop,
        stats: DailyStats,
        clock: Clock,
    ) -> None:
        self._store = store
        self._stats = stats
        self._residents = residents
        self._commits = commits
        self._loop = loop
        self._clock = clock

    # memories

    async def update_memory(self, subject: Subject, request: UpdateMemory, request_id: str) -> MemoryOut:
        """Change a memory; its history keeps the old text."""
        patch = request.patch.model_dump(exclude_unset=True)
        check_metadata(patch.get("metadata"), "metadata")
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                old = _known_memory(resident, request.id)
                if old.immutable and set(patch) - {"immutable", "pinned"}:
                    raise Conflict(
                        "this memory is immutable",
                        field="id",
                        remedy="set immutable to false first, in a request of its own",
                    )
                now = self._clock()
                changed: dict[str, Any] = {
                    key: value
                    for key, value in patch.items()
                    if key in ("metadata", "immutable", "pinned", "text", "category")
                    and (value is not None or key == "category")
                }
                if patch.get("tags") is not None:
                    changed["tags"] = tuple(patch["tags"])
                if "expires_at" in patch:
                    at = request.patch.expires_at
                    changed["expires_at"] = None if at is None else millis(at)
                new = msgspec.structs.replace(old, **changed)
                if new == old:
                    return None
                return Changes(
                    commit_id=request_id,
                    at=now,
                    actor="api",
                    put=(msgspec.structs.replace(new, updated_at=now),),
                    entries=(
                        ChangeEntry(memory_id=old.id, event="UPDATE", old_text=old.text, new_text=new.text),
                    ),
                )

            await self._commits.commit(resident, build)
            return memory_out(_known_memory(resident, request.id))

    async def delete_memory(self, subject: Subject, request: DeleteMemory, request_id: str) -> Count:
        """Forget a memory for good."""
        async with self._residents.use(subject, fresh=True) as resident:
            memory = resident.hot.memory(request.id)
            if memory is not None and request.kind not in (None, memory.kind):
                raise NotFound(f"there is no such {request.kind}", field="id")
            if memory is None:
                # The same request may have deleted it, in an owner that was lost before it could say so.
                changes = await self._store.memory_history(subject, request.id, limit=1)
                if any(change.commit_id == request_id for change in changes):
                    return Count(count=1)
                raise NotFound("there is no such memory", field="id")
            return Count(count=await self._delete(resident, [request.id], "api", commit_id=request_id))

    async def delete_memories(self, subject: Subject, request: DeleteMemories, request_id: str) -> Count:
        """Forget all memories that match."""
        matches = self._residents.filter_of(subject, request.filters).matches
        async with self._residents.use(subject, fresh=True) as resident:
            ids = [
                memory.id
                for memory in resident.hot.memories()
                if (request.kinds is None or memory.kind in request.kinds)
                and all(memory.labels.get(kind) == value for kind, value in request.labels.items())
                and matches(memory)
            ]
            return Count(count=await self._delete_all(resident, ids, "api", matches))

    async def _delete_all(
        self, resident: Resident, ids: Sequence[str], actor: str, wanted: Callable[[Memory], bool]
    ) -> int:
        """Delete those that still are `wanted` when it is their turn; how many that were."""
        deleted = 0
        for page in _chunks(ids):
            deleted += await self._delete(resident, page, actor, wanted)
        return deleted

    async def _delete(
        self,
        resident: Resident,
        ids: Sequence[str],
        actor: str,
        wanted: Callable[[Memory], bool] = lambda memory: True,
        commit_id: str | None = None,
    ) -> int:
        """One commit of `_delete_all`."""
        gone: list[str] = []

        def build() -> Changes | None:
            there = (resident.hot.memory(i) for i in ids)
            gone[:] = [memory.id for memory in there if memory is not None and wanted(memory)]
            if not gone:
                return None
            return Changes(
                commit_id=commit_id or new_id(),
                at=self._clock(),
                actor=actor,
                delete=tuple(gone),
                entries=tuple(
                    ChangeEntry(memory_id=i, event="EXPIRE" if actor == "sweep" else "DELETE") for i in gone
                ),
            )

        await self._commits.commit(resident, build)
        return len(gone)

    async def cleanup(self, subject: Subject, request: Cleanup, request_id: str) -> CleanupResult:
        """Forget memories that were not updated for `days_old` days; immutable and pinned ones stay."""
        cutoff = self._clock() - request.days_old * DAY_MS
        async with self._residents.use(subject, fresh=True) as resident:

            def is_old(memory: Memory) -> bool:
                return memory.updated_at < cutoff and not memory.immutable and not memory.pinned

            old = [memory.id for memory in resident.hot.memories() if is_old(memory)]
            deleted = 0
            for page in _chunks(old):
                try:
                    deleted += await self._delete(resident, page, "api", is_old)
                except MemgridError as error:
                    # The others are tried all the same; the difference of the two counts is what is left.
                    _log.warning("clean-up left memories behind", memories=len(page), error=error.message)
            return CleanupResult(
                deleted_count=deleted, total_old_memories=len(old), cleanup_date=moment(cutoff)
            )

    async def expire(self, subject: Subject, ttl_days: int | None) -> int:
        """The sweep of one subject: memories past `expires_at`, and those older than the time to live."""
        now = self._clock()
        async with self._residents.use(subject, fresh=True) as resident:

            def is_over(memory: Memory) -> bool:
                if memory.expires_at is not None and memory.expires_at <= now:
                    return True
                return (
                    ttl_days is not None
                    and not memory.immutable
                    and not memory.pinned
                    and memory.updated_at < now - ttl_days * DAY_MS
                )

            over = [memory.id for memory in resident.hot.memories() if is_over(memory)]
            return await self._delete_all(resident, over, "sweep", is_over)

    # variables

    async def set_variables(self, subject: Subject, request: SetVariables, request_id: str) -> Variables:
        """Create or change variables."""
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                known = variables_of(resident)
                now = self._clock()
                put: list[Memory] = []
                entries: list[ChangeEntry] = []
                for name, value in request.variables.items():
                    old = known.get(name)
                    if old is not None and old.text == value:
                        continue
                    new = (
                        msgspec.structs.replace(
                            old, text=value, attributes=old.attributes | {"said_at": now}, updated_at=now
                        )
                        if old is not None
                        else Memory(
                            id=new_id(),
                            kind="variable",
                            text=value,
                            topic=VARIABLE_TOPIC,
                            subtopic=name,
                            attributes={"said_at": now},
                            labels={subject.kind: subject.id},
                            source_type="manual",
                            created_at=now,
                            updated_at=now,
                        )
                    )
                    put.append(new)
                    entries.append(
                        ChangeEntry(
                            memory_id=new.id,
                            event="ADD" if old is None else "UPDATE",
                            old_text=None if old is None else old.text,
                            new_text=value,
                        )
                    )
                if not put:
                    return None
                return Changes(
                    commit_id=request_id, at=now, actor="api", put=tuple(put), entries=tuple(entries)
                )

            await self._commits.commit(resident, build)
            return Variables(variables={name: m.text for name, m in variables_of(resident).items()})

    async def delete_variables(self, subject: Subject, request: DeleteVariables, request_id: str) -> Count:
        """Forget variables."""
        async with self._residents.use(subject, fresh=True) as resident:
            known = variables_of(resident)
            ids = [known[name].id for name in request.names if name in known]
            return Count(count=await self._delete(resident, ids, "api"))

    # messages

    async def mark_messages(self, subject: Subject, request: MarkMessages, request_id: str) -> Count:
        """Add, remove or replace a mark; counts the messages that changed."""
        if request.new is None and request.old is None:
            raise InvalidInput("neither a new nor an old mark is given", field="new", remedy="give one")
        async with self._residents.use(subject, fresh=True) as resident:
            changed = 0
            async for page in self._pages(resident, request.ids, request.session_id, request.old):
                for chunk in _chunks([message.id for message in page]):
                    changed += await self._mark(resident, chunk, request.new, request.old)
            return Count(count=changed)

    async def _mark(self, resident: Resident, ids: Sequence[str], new: str | None, old: str | None) -> int:
        """One commit of `mark_messages`."""
        marks: dict[str, tuple[str, ...]] = {}

        async def build() -> Changes | None:
            marks.clear()
            for message in await self._store.get_messages(resident.subject, ids):
                marked = _marked(message.marks, new, old)
                if marked != message.marks:
                    marks[message.id] = marked
            if not marks:
                return None
            return Changes(commit_id=new_id(), at=self._clock(), actor="api", mark_messages=dict(marks))

        await self._commits.commit(resident, build)
        return len(marks)

    async def delete_messages(self, subject: Subject, request: DeleteMessages, request_id: str) -> Count:
        """Forget messages for good, and on request the memories that rest on nothing else."""
        if request.ids is None and request.marks is None and request.session_id is None:
            raise InvalidInput(
                "nothing says which messages to delete",
                field="ids",
                remedy="give ids, marks or session_id",
            )
        async with self._residents.use(subject, fresh=True) as resident:
            gone: set[str] = set()
            for mark in request.marks if request.marks is not None else [None]:
                async for page in self._pages(resident, request.ids, request.session_id, mark):
                    ids = [message.id for message in page]
                    for chunk in _chunks(ids):
                        await self._commits.commit(
                            resident,
                            lambda chunk=chunk: Changes(
                                commit_id=new_id(),
                                at=self._clock(),
                                actor="api",
                                delete_messages=tuple(chunk),
                            ),
                        )
                    gone.update(ids)
            if gone:
                self._loop.dispatch(events.Forgotten(subject, tuple(gone)))
            if request.memories:

                def is_orphan(memory: Memory) -> bool:
                    return bool(memory.sources) and gone.issuperset(memory.sources)

                orphans = [memory.id for memory in resident.hot.memories() if is_orphan(memory)]
                await self._delete_all(resident, orphans, "api", is_orphan)
            return Count(count=len(gone))

    async def _pages(
        self, resident: Resident, ids: Sequence[str] | None, session: str | None, mark: str | None
    ):
        """The messages that are meant, page by page, surviving their deletion on the way."""
        if ids is not None:
            for start in range(0, len(ids), _DELETED_PAGE):
                found = await self._store.get_messages(resident.subject, ids[start : start + _DELETED_PAGE])
                yield [
                    m
                    for m in found
                    if (session is None or m.session == session) and (mark is None or mark in m.marks)
                ]
            return
        cursor: str | None = None
        while True:
            page = await self._store.messages(
                resident.subject,
                MessageQuery(session=session, mark=mark),
                cursor=cursor,
                limit=_DELETED_PAGE,
            )
            yield list(page.messages)
            cursor = page.cursor
            if cursor is None:
                return

    # everything

    async def erase(self, subject: Subject, request: Nothing, request_id: str) -> EraseResult:
        """Forget the subject: everything, everywhere, for good."""
        async with self._residents.use(subject, fresh=True) as resident:
            memories = sum(1 for _ in resident.hot.memories())
            messages = await self._store.count_messages(subject, MessageQuery())

            def build() -> Changes | None:
                return Changes(commit_id=request_id, at=self._clock(), actor="api", erase=True)

            # Before it, so that none are left when this owner is lost before it comes to delete what was
            # written meanwhile.
            generation = resident.head.generation
            await self._stats.erase(subject, generation)
            await self._commits.commit(resident, build)
            for erased in range(generation, resident.head.generation):
                await self._stats.erase(subject, erased)
            self._loop.dispatch(events.Forgotten(subject, None))
        return EraseResult(
            subject_kind=subject.kind, subject_id=subject.id, memories=memories, messages=messages
        )


def variables_of(resident: Resident) -> dict[str, Memory]:
    """The subject's variables by name."""
    return {
        memory.subtopic: memory
        for memory in resident.hot.memories()
        if memory.kind == "variable" and memory.subtopic is not None and memory.superseded_by is None
    }


def _known_memory(resident: Resident, memory_id: str) -> Memory:
    memory = resident.hot.memory(memory_id)
    if memory is None:
        raise NotFound("there is no such memory", field="id")
    return memory


def _marked(marks: tuple[str, ...], new: str | None, old: str | None) -> tuple[str, ...]:
    if old is not None and old not in marks:
        return marks
    left = tuple(mark for mark in marks if mark != old)
    return left if new is None or new in left else (*left, new)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
