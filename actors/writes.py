"""What changes a subject: adding messages, and the edits that callers make."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actors.commits import CHUNK, Commits
from actors.extraction import ExtractionLoop
from actors.resident import Resident, Residents, items_of
from actors.vectors import VectorQueue
from actors.views import memory_out, moment
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.ids import Clock, is_message_id, message_id, minted_at, new_id
from cluster.jobs import JobKey, encode_job
from cluster.model import DAY_MS, ChangeEntry, Changes, Claim, Labels, Memory, Message, Millis, Run
from cluster.retrieval.filters import parse_filter
from cluster.settings import Settings
from cluster.tokens import count_tokens
from cluster.wide_store.port import MAX_MESSAGE_BYTES, MessageQuery, WideStore
from memgrid.errors import Conflict, InvalidInput, NotFound, Overloaded, PayloadTooLarge
from memgrid.models import (
    AddRequest,
    AddResult,
    BufferPolicy,
    BufferStatus,
    CleanupResult,
    Count,
    DeleteMessages,
    EraseResult,
    MarkMessages,
    MemoryChange,
    MemoryOut,
    MessageIn,
    ProcessRequest,
    ProcessResult,
    SetVariables,
    Variables,
)
from memgrid.operations import ById, Cleanup, DeleteMemories, DeleteVariables, Nothing, UpdateMemory
from memgrid.subject import Subject

_REQUEST_CLAIM_MS = 7 * DAY_MS
"""How long an idempotency key is remembered."""
_REDO_ROUNDS = 10
_DELETED_PAGE = 500
VARIABLE_TOPIC = "variable"
MAX_METADATA_BYTES = 65_536
"""Metadata is copied to every memory, and a memory has to fit in a commit."""


class Writes:
    """The changing operations of a shard."""

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
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._residents = residents
        self._commits = commits
        self._loop = loop
        self._waiters = waiters
        self._vectors = vectors
        self._clock = clock

    # adding

    async def add(self, subject: Subject, request: AddRequest, request_id: str) -> AddResult:
        """Make the messages durable, then buffer them for extraction."""
        check_metadata(request.metadata, "metadata")
        async with self._residents.use(subject, fresh=False) as resident:
            if len(resident.pending) >= self._settings.max_pending_messages:
                raise Overloaded(
                    f"{len(resident.pending)} messages of this subject wait for extraction",
                    remedy="wait, or extract them with the buffer's flush",
                    retry_after=30.0,
                )
            messages, duplicates = await self._append(resident, request, request_id)
            first, last = (messages[0].id, messages[-1].id) if messages else ("", "")
            ids = [message.id for message in messages]
            waiting = [i for i in ids if i in resident.pending]
            if request.wait and waiting:
                self._loop.dispatch(events.Flush(subject, tuple(waiting)))
                await self._waiters.wait(subject, [i for i in waiting if i in resident.pending])
            if request.wait:
                await self._vectors.soon(subject)
            status, results = await self.outcome(resident, ids)
            return AddResult(
                memory_id=next((change.id for change in results), None),
                job_id=encode_job(JobKey(subject.kind, subject.id, first, last)),
                status=status,
                message_ids=ids,
                duplicates=duplicates,
                results=results,
            )

    async def outcome(self, resident: Resident, ids: Sequence[str]) -> tuple[Any, list[MemoryChange]]:
        """How far these messages have come, and what their extraction did."""
        if any(i in resident.pending for i in ids):
            running = set(self._loop.buffers.status(resident.subject).running)
            return ("running" if running.intersection(ids) else "pending"), []
        if not ids:
            return "done", []
        wanted = set(ids)
        if any(wanted.intersection(run.input_ids) for run in resident.parked.values()):
            return "parked", []
        results: list[MemoryChange] = []
        for run in await self._store.runs_of(resident.subject, ids):
            results.extend(await self._results(resident, run))
        return "done", results

    async def _results(self, resident: Resident, run: Run) -> list[MemoryChange]:
        if (remembered := self._loop.results(run)) is not None:
            return remembered
        results: list[MemoryChange] = []
        for memory_id in run.memory_ids:
            for change in await self._store.memory_history(resident.subject, memory_id):
                if change.run_id == run.id:
                    results.extend(
                        MemoryChange(
                            id=entry.memory_id,
                            event=entry.event,
                            memory=entry.new_text,
                            old_memory=entry.old_text,
                        )
                        for entry in change.entries
                    )
        return results

    async def _append(
        self, resident: Resident, request: AddRequest, request_id: str
    ) -> tuple[list[Message], int]:
        """The request's messages as they are stored, and how many of them were there before."""
        now = minted_at(request_id)
        labels = labels_of(request)
        session = request.session_id or request.run_id or "default"
        messages = [
            self._message(message, message_id(request_id, number), now, labels, session, request)
            for number, message in enumerate(request.messages)
        ]
        for number, message in enumerate(messages):
            if (size := len(msgspec.msgpack.encode(message))) > MAX_MESSAGE_BYTES:
                raise PayloadTooLarge(
                    f"message {number} takes {size} bytes, more than the {MAX_MESSAGE_BYTES} of one message",
                    field=f"messages.{number}.content",
                    remedy="send it in parts, as several messages",
                )
        for _ in range(_REDO_ROUNDS):
            generation = resident.head.generation
            claimed = await self._claim(resident.subject, generation, messages, request)
            known = {m.id for m in claimed} - {m.id for m in messages}
            # Asked before the append: as soon as they are stored a read may take them up.
            there = {m.id for m in claimed if resident.hot.message(m.id) is not None}
            if await self._store.append(resident.subject, generation, claimed):
                break
            await self._residents.follow(resident)  # erased meanwhile: these messages come after that
        else:
            raise Overloaded("this subject is being erased again and again", retry_after=1.0)
        kept = await self._alive(resident, claimed, known)
        fresh = resident.put_messages(kept)
        in_runs: set[str] = set()
        # A repeated request, too, may bring messages that were settled before, and are no longer hot.
        if fresh and (known or not resident.complete):
            for run in await self._store.runs_of(resident.subject, [m.id for m in fresh]):
                in_runs.update(run.input_ids)
        pending = [m for m in fresh if m.id not in in_runs]
        resident.pending.update(m.id for m in pending)
        self._vectors.add(resident, [m.id for m in fresh])
        if pending:
            self._loop.dispatch(events.Appended(resident.subject, items_of(pending)))
        return claimed, len(there | known)

    async def _alive(self, resident: Resident, claimed: list[Message], known: set[str]) -> list[Message]:
        """Without those that were deleted since an earlier request stored them."""
        if not known:
            return claimed
        stored = await self._store.get_messages(resident.subject, [m.id for m in claimed])
        return list(stored)

    def _message(
        self,
        message: MessageIn,
        new: str,
        now: Millis,
        labels: Labels,
        session: str,
        request: AddRequest,
    ) -> Message:
        extra = dict(message.model_extra or {})
        created = extra.pop("created_at", None)
        text, parts = text_of(message)
        if parts:
            extra["content"] = parts
        said = message.timestamp or parse_time(created) or request.timestamp
        return Message(
            id=new,
            session=session,
            role=message.role,
            content=text,
            name=message.name,
            client_id=message.id,
            event_time=millis(said) if said is not None else now,
            created_at=now,
            tokens=count_tokens(text),
            infer=request.infer,
            transient=not request.record_message,
            marks=tuple(dict.fromkeys(message.marks)),
            labels=labels,
            metadata=request.metadata,
            extra=extra,
        )

    async def _own(self, subject: Subject, messages: Sequence[Message]) -> set[str]:
        """Client ids that are ids of this subject's own messages, as an export writes them: given back with
        the same content they are those messages, not new ones."""
        named = {m.client_id: m for m in messages if m.client_id is not None and is_message_id(m.client_id)}
        if not named:
            return set()
        stored = await self._store.get_messages(subject, list(named))
        return {m.id for m in stored if payload_hash(m) == payload_hash(named[m.id])}

    async def _claim(
        self, subject: Subject, generation: int, messages: list[Message], request: AddRequest
    ) -> list[Message]:
        """The messages under the ids that their keys were first given; each key's first payload counts."""
        now = self._clock()
        by_key: dict[str, Message] = {}
        claims: list[Claim] = []
        own = await self._own(subject, messages)
        for number, message in enumerate(messages):
            if message.client_id is None or message.client_id in own:
                continue
            key = f"{message.session}\0{message.client_id}"
            if (earlier := by_key.setdefault(key, message)) is not message:
                if payload_hash(earlier) != payload_hash(message):
                    raise Conflict(
                        f"message id {message.client_id!r} stands for two different messages",
                        field=f"messages.{number}.id",
                        remedy="give each message of a session its own id",
                    )
                continue
            claims.append(
                Claim(kind="message", key=key, payload_hash=payload_hash(message), message_ids=(message.id,))
            )
        if request.idempotency_key is not None:
            whole = hashlib.blake2b(b"".join(payload_hash(m) for m in messages), digest_size=16).digest()
            claims.append(
                Claim(
                    kind="request",
                    key=request.idempotency_key,
                    payload_hash=whole,
                    message_ids=tuple(m.id for m in messages),
                    expires_at=now + _REQUEST_CLAIM_MS,
                )
            )
        won = await self._store.claim(subject, generation, claims, now) if claims else ()
        ids = {m.id: m.id for m in messages}
        for wanted, stored in zip(claims, won, strict=True):
            if stored.payload_hash != wanted.payload_hash:
                field = "idempotency_key"
                if wanted.kind == "message":
                    field = f"messages.{[m.id for m in messages].index(wanted.message_ids[0])}.id"
                raise Conflict(
                    f"{wanted.key.rpartition(chr(0))[2]!r} was used before for something else",
                    field=field,
                    remedy="use a new key for a new request",
                )
            if wanted.kind == "request":
                ids = dict(zip(wanted.message_ids, stored.message_ids, strict=True))
        for wanted, stored in zip(claims, won, strict=True):
            if wanted.kind == "message":
                ids[wanted.message_ids[0]] = stored.message_ids[0]
        for message in messages:
            if message.client_id in own:
                ids[message.id] = message.client_id
            elif message.client_id is not None:
                ids[message.id] = ids[by_key[f"{message.session}\0{message.client_id}"].id]
        renamed: dict[str, Message] = {}
        for message in messages:
            kept = ids[message.id]
            renamed.setdefault(kept, msgspec.structs.replace(message, id=kept, created_at=minted_at(kept)))
        return list(renamed.values())

    # memories

    async def update_memory(self, subject: Subject, request: UpdateMemory, request_id: str) -> MemoryOut:
        """Change a memory; its history keeps the old text."""
        patch = request.patch.model_dump(exclude_unset=True)
        check_metadata(patch.get("metadata"), "patch.metadata")
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

    async def delete_memory(self, subject: Subject, request: ById, request_id: str) -> Count:
        """Forget a memory for good."""
        async with self._residents.use(subject, fresh=True) as resident:
            if resident.hot.memory(request.id) is None:
                # The same request may have deleted it, in an owner that was lost before it could say so.
                changes = await self._store.memory_history(subject, request.id, limit=1)
                if any(change.commit_id == request_id for change in changes):
                    return Count(count=1)
                raise NotFound("there is no such memory", field="id")
            return Count(count=await self._delete(resident, [request.id], "api", request_id))

    async def delete_memories(self, subject: Subject, request: DeleteMemories, request_id: str) -> Count:
        """Forget all memories that match."""
        matches = parse_filter(request.filters or {}).matches
        async with self._residents.use(subject, fresh=True) as resident:
            ids = [
                memory.id
                for memory in resident.hot.memories()
                if (request.kinds is None or memory.kind in request.kinds)
                and all(memory.labels.get(kind) == value for kind, value in request.labels.items())
                and matches(memory)
            ]
            return Count(count=await self._delete(resident, ids, "api"))

    async def _delete(
        self, resident: Resident, ids: Sequence[str], actor: str, commit_id: str | None = None
    ) -> int:
        deleted = 0
        for start in range(0, len(ids), CHUNK):
            page = ids[start : start + CHUNK]
            gone: list[str] = []

            def build(page: Sequence[str] = page, gone: list[str] = gone) -> Changes | None:
                gone[:] = [i for i in page if resident.hot.memory(i) is not None]
                if not gone:
                    return None
                return Changes(
                    commit_id=commit_id or new_id(),
                    at=self._clock(),
                    actor=actor,
                    delete=tuple(gone),
                    entries=tuple(
                        ChangeEntry(memory_id=i, event="EXPIRE" if actor == "sweep" else "DELETE")
                        for i in gone
                    ),
                )

            await self._commits.commit(resident, build)
            deleted += len(gone)
        return deleted

    async def cleanup(self, subject: Subject, request: Cleanup, request_id: str) -> CleanupResult:
        """Forget memories that were not updated for `days_old` days; immutable and pinned ones stay."""
        cutoff = self._clock() - request.days_old * DAY_MS
        async with self._residents.use(subject, fresh=True) as resident:
            old = [
                m
                for m in resident.hot.memories()
                if m.updated_at < cutoff and not m.immutable and not m.pinned
            ]
            count = await self._delete(resident, [memory.id for memory in old], "api")
            return CleanupResult(
                deleted_count=count, total_old_memories=len(old), cleanup_date=moment(cutoff)
            )

    async def expire(self, subject: Subject, ttl_days: int | None) -> int:
        """The sweep of one subject: memories past `expires_at`, and those older than the time to live."""
        now = self._clock()
        async with self._residents.use(subject, fresh=True) as resident:
            old = [
                memory.id
                for memory in resident.hot.memories()
                if (memory.expires_at is not None and memory.expires_at <= now)
                or (
                    ttl_days is not None
                    and not memory.immutable
                    and not memory.pinned
                    and memory.updated_at < now - ttl_days * DAY_MS
                )
            ]
            return await self._delete(resident, old, "sweep")

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
                marks: dict[str, tuple[str, ...]] = {}
                for message in page:
                    new = _marked(message.marks, request.new, request.old)
                    if new != message.marks:
                        marks[message.id] = new
                for chunk in _chunks(list(marks)):
                    part = {i: marks[i] for i in chunk}
                    await self._commits.commit(
                        resident,
                        lambda part=part: Changes(
                            commit_id=new_id(), at=self._clock(), actor="api", mark_messages=part
                        ),
                    )
                changed += len(marks)
            return Count(count=changed)

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
                orphans = [
                    memory.id
                    for memory in resident.hot.memories()
                    if memory.sources and gone.issuperset(memory.sources)
                ]
                await self._delete(resident, orphans, "api")
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

    # buffer

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
            status, results = await self.outcome(resident, ids)
            job = encode_job(JobKey(subject.kind, subject.id, min(ids), max(ids)))
            return ProcessResult(job_id=job, status=status, results=results)

    async def drive_run(self, subject: Subject, request: ById, request_id: str) -> ProcessResult:
        """Try a parked run again."""
        async with self._residents.use(subject, fresh=True) as resident:
            run = await self._store.get_run(subject, request.id)
            if run is None:
                raise NotFound("there is no such run", field="id")
            if run.status == "parked":
                await self._loop.drive(resident, run)
            status, results = await self.outcome(resident, run.input_ids)
            job = encode_job(JobKey(subject.kind, subject.id, min(run.input_ids), max(run.input_ids)))
            return ProcessResult(job_id=job, status=status, results=results)

    # everything

    async def erase(self, subject: Subject, request: Nothing, request_id: str) -> EraseResult:
        """Forget the subject: everything, everywhere, for good."""
        async with self._residents.use(subject, fresh=True) as resident:
            memories = sum(1 for _ in resident.hot.memories())
            messages = await self._store.count_messages(subject, MessageQuery())

            def build() -> Changes | None:
                return Changes(commit_id=request_id, at=self._clock(), actor="api", erase=True)

            await self._commits.commit(resident, build)
            self._loop.dispatch(events.Forgotten(subject, None))
        return EraseResult(
            subject_kind=subject.kind, subject_id=subject.id, memories=memories, messages=messages
        )


def check_metadata(metadata: dict[str, Any] | None, field: str) -> None:
    """Raises PayloadTooLarge for metadata beyond MAX_METADATA_BYTES."""
    if metadata and len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise PayloadTooLarge(
            f"metadata is larger than {MAX_METADATA_BYTES} bytes",
            field=field,
            remedy="keep large things elsewhere, and a reference to them here",
        )


def labels_of(request: AddRequest) -> Labels:
    """Everyone named in the request."""
    named = {
        "user": request.user_id,
        "agent": request.agent_id,
        "app": request.app_id,
        "run": request.run_id,
        "group": request.group_id,
    }
    return {kind: value for kind, value in named.items() if value is not None}


def policy_of(resident: Resident) -> BufferPolicy:
    """The subject's buffer policy; all triggers are on unless it says otherwise."""
    return BufferPolicy.model_validate(resident.head.settings.get("buffer", {}))


def variables_of(resident: Resident) -> dict[str, Memory]:
    """The subject's variables by name."""
    return {
        memory.subtopic: memory
        for memory in resident.hot.memories()
        if memory.kind == "variable" and memory.subtopic is not None and memory.superseded_by is None
    }


def text_of(message: MessageIn) -> tuple[str, list[dict[str, Any]]]:
    """The text of a message, and its content parts where it came in parts."""
    if isinstance(message.content, str):
        return message.content, []
    texts = [str(part.get("text", "")) for part in message.content if part.get("type") == "text"]
    return "\n".join(texts), message.content


def millis(at: datetime) -> Millis:
    """A datetime in milliseconds since the epoch; without a zone it is UTC."""
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)


def parse_time(value: Any) -> datetime | None:
    """A client's `created_at` where it is a time (ISO 8601 or epoch seconds), else None."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and 0 <= value < 253_402_300_800:
        return datetime.fromtimestamp(value, UTC)
    return None


def payload_hash(message: Message) -> bytes:
    """What makes two messages the same to a key: who said what."""
    parts = (message.role, message.name or "", message.content)
    encoded = [part.encode() for part in parts]
    return hashlib.blake2b(
        b"".join(len(part).to_bytes(8, "big") + part for part in encoded), digest_size=16
    ).digest()


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


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
