"""Adding messages: durable first, each once whatever is sent again, then buffered for extraction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actors.extraction import ExtractionLoop
from actors.resident import Resident, Residents, items_of
from actors.vectors import VectorQueue
from actors.waiters import Waiters
from cluster import buffer_events as events
from cluster.ids import Clock, is_message_id, message_id, minted_at
from cluster.jobs import JobKey, encode_job
from cluster.model import DAY_MS, Claim, Labels, Message, Millis
from cluster.settings import Settings
from cluster.tokens import count_tokens
from cluster.wide_store.port import MAX_MESSAGE_BYTES, WideStore
from memgrid.errors import Conflict, Overloaded, PayloadTooLarge
from memgrid.models import (
    AddRequest,
    AddResult,
    ListQuery,
    MemoryChange,
    MessageIn,
    MessageOut,
    SearchQuery,
)
from memgrid.subject import SUBJECT_KINDS, Subject

_REQUEST_CLAIM_MS = 7 * DAY_MS
"""How long an idempotency key is remembered."""
_REDO_ROUNDS = 10
_PARTS = "content"
"""Under which a message's `extra` keeps the parts that it came in."""
MAX_METADATA_BYTES = 65_536
"""Metadata is copied to every memory, and a memory has to fit in a commit."""


class Adding:
    """The adds of a shard, and what became of what was added."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: WideStore,
        residents: Residents,
        loop: ExtractionLoop,
        waiters: Waiters,
        vectors: VectorQueue,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._residents = residents
        self._loop = loop
        self._waiters = waiters
        self._vectors = vectors
        self._clock = clock

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
                memory_id=next((change.id for change in results if change.event != "DELETE"), None),
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
        # Another owner may have deleted what an extraction has found: no text of that is told.
        await self._residents.follow(resident)
        results: list[MemoryChange] = []
        for run in await self._store.runs_of(resident.subject, ids):
            results.extend(await self._loop.results.of(resident, run))
        return "done", results

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
        if known or not resident.complete:
            in_runs = await self._residents.settled_among(resident.subject, [m.id for m in fresh])
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
            extra[_PARTS] = parts
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
            claims.append(
                Claim(
                    kind="request",
                    key=request.idempotency_key,
                    payload_hash=request_hash(request),
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


def check_metadata(metadata: dict[str, Any] | None, field: str) -> None:
    """Raises PayloadTooLarge for metadata beyond MAX_METADATA_BYTES."""
    if metadata and len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise PayloadTooLarge(
            f"metadata is larger than {MAX_METADATA_BYTES} bytes",
            field=field,
            remedy="keep large things elsewhere, and a reference to them here",
        )


def labels_of(request: AddRequest | SearchQuery | ListQuery) -> Labels:
    """Everyone named in the request."""
    named = {f"{kind}_id": kind for kind in (*SUBJECT_KINDS, "group")}
    return {named[name]: value for name, value in request if name in named and value is not None}


def text_of(message: MessageIn) -> tuple[str, list[dict[str, Any]]]:
    """The text of a message, and its content parts where it came in parts."""
    if not isinstance(message.content, list):
        return message.content or "", []
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
    """What makes two messages the same to an id: who said what, and all else that came inside the message.

    When it was said, how it is marked and what came beside it make no other message: those an export adds
    or a call changes. Neither do the fields of a `MessageOut`: messages may be given back as they were shown.
    """
    shown = message.extra.get("extra")
    extra = {**shown, **message.extra} if isinstance(shown, dict) else message.extra
    told = {
        name: value
        for name, value in extra.items()
        if value is not None and (name == _PARTS or name not in MessageOut.model_fields)
    }
    said = [part.encode() for part in (message.role, message.name or "", message.content)]
    if told:
        said.append(msgspec.json.encode(told, order="deterministic"))
    return hashlib.blake2b(
        b"".join(len(part).to_bytes(8, "big") + part for part in said), digest_size=16
    ).digest()


def request_hash(request: AddRequest) -> bytes:
    """What makes two requests the same to an idempotency key: everything that was sent, but for the key, and
    for how long the answer is waited for."""
    sent = request.model_dump(mode="json", exclude={"idempotency_key", "wait"}, exclude_defaults=True)
    return hashlib.blake2b(msgspec.json.encode(sent, order="deterministic"), digest_size=16).digest()
