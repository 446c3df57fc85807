"""The wide store's semantics as one small dictionary: the reference the adapters are compared with.

Pure and synchronous: no clock, no I/O, no limits. What it returns is in a fixed
order, or a set where the port promises none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from cluster.model import Change, ChangeEntry, Changes, Claim, Head, Memory, Message, Millis, Run
from cluster.wide_store.port import MessageQuery, SessionRow, StaleRevision
from memgrid.subject import Subject

VectorKey = tuple[Literal["memory", "message"], str, str]
"""Kind, id, model."""


@dataclass
class _SubjectRows:
    """A subject's rows of one generation."""

    head: Head = field(default_factory=Head)
    listed: bool = False
    messages: dict[str, Message] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    memories: dict[str, Memory] = field(default_factory=dict)
    forgotten_memories: set[str] = field(default_factory=set)
    runs: dict[str, Run] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    vectors: dict[VectorKey, tuple[bytes, float]] = field(default_factory=dict)


class WideStoreModel:
    """One method for each verb, with the port's meaning. A vector is one number here."""

    def __init__(self) -> None:
        self._subjects: dict[Subject, _SubjectRows] = {}

    def _rows(self, subject: Subject) -> _SubjectRows:
        return self._subjects.setdefault(subject, _SubjectRows())

    # writing

    def append(self, subject: Subject, generation: int, messages: list[Message]) -> bool:
        rows = self._rows(subject)
        if rows.head.generation != generation:
            return False
        rows.listed = True
        for message in messages:
            if message.id not in rows.messages and message.id not in rows.forgotten:
                rows.messages[message.id] = message
                rows.arrived.append(message.id)
        return True

    def claim(self, subject: Subject, generation: int, claims: list[Claim], now: Millis) -> list[Claim]:
        rows = self._rows(subject)
        answer: list[Claim] = []
        fresh: dict[tuple[str, str], Claim] = {}
        for claim in claims:
            stored = rows.claims.get((claim.kind, claim.key))
            if stored is None or (stored.expires_at is not None and stored.expires_at <= now):
                stored = fresh.setdefault((claim.kind, claim.key), claim)
            answer.append(stored)
        agreed = [stored.payload_hash for stored in answer] == [claim.payload_hash for claim in claims]
        if agreed and generation == rows.head.generation:
            rows.claims |= fresh
        return answer

    def put_vector(
        self, subject: Subject, generation: int, key: VectorKey, content_hash: bytes, value: float
    ) -> None:
        rows = self._rows(subject)
        gone = rows.forgotten_memories if key[0] == "memory" else rows.forgotten
        if generation == rows.head.generation and key[1] not in gone:
            rows.vectors[key] = (content_hash, value)

    def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        rows = self._rows(subject)
        for change in rows.changes:
            if change.commit_id == changes.commit_id:
                return msgspec.structs.replace(rows.head, revision=change.revision)
        if (head.revision, head.generation) != (rows.head.revision, rows.head.generation):
            raise StaleRevision(rows.head)
        revision = head.revision + 1
        if changes.erase:
            moved = Head(revision=revision, generation=head.generation + 1)
            rows = self._subjects[subject] = _SubjectRows(head=moved)
        else:
            settings = rows.head.settings if changes.settings is None else changes.settings
            rows.head = Head(revision=revision, generation=head.generation, settings=settings)
            rows.listed = True
            self._apply(rows, changes, revision)
        rows.changes.append(self._change_row(changes, revision))
        return rows.head

    def _apply(self, rows: _SubjectRows, changes: Changes, revision: int) -> None:
        for memory in changes.put:
            rows.memories[memory.id] = msgspec.structs.replace(memory, revision=revision)
            rows.forgotten_memories.discard(memory.id)
        for memory_id in changes.delete:
            rows.memories.pop(memory_id, None)
            rows.forgotten_memories.add(memory_id)
            _drop_vectors(rows, "memory", memory_id)
        rows.changes = [_scrubbed(change, changes.delete) for change in rows.changes]
        rows.runs.update({run.id: run for run in changes.runs})
        for message_id, marks in changes.mark_messages.items():
            if message_id in rows.messages:
                rows.messages[message_id] = msgspec.structs.replace(rows.messages[message_id], marks=marks)
        for message_id in changes.delete_messages:
            rows.messages.pop(message_id, None)
            rows.forgotten.add(message_id)
            _drop_vectors(rows, "message", message_id)

    def _change_row(self, changes: Changes, revision: int) -> Change:
        return Change(
            revision=revision,
            commit_id=changes.commit_id,
            at=changes.at,
            actor=changes.actor,
            run_id=changes.run_id,
            entries=tuple(
                msgspec.structs.replace(entry, old_text=None, new_text=None)
                if entry.memory_id in changes.delete
                else entry
                for entry in changes.entries
            ),
            input_ids=tuple(dict.fromkeys(id for run in changes.runs for id in run.input_ids)),
            deleted_messages=changes.delete_messages,
            marked_messages=tuple(changes.mark_messages),
        )

    # reading

    def head(self, subject: Subject) -> Head:
        return self._rows(subject).head

    def memories(self, subject: Subject) -> dict[str, Memory]:
        return self._rows(subject).memories

    def arrivals(self, subject: Subject) -> list[str]:
        """Ids of the messages that are there, in the order of their arrival."""
        rows = self._rows(subject)
        return [id for id in rows.arrived if id in rows.messages]

    def messages(self, subject: Subject, query: MessageQuery) -> list[Message]:
        found = [
            message
            for message in self._rows(subject).messages.values()
            if query.session in (None, message.session)
            and (query.mark is None or query.mark in message.marks)
            and (query.exclude_mark is None or query.exclude_mark not in message.marks)
        ]
        return sorted(found, key=lambda message: message.id, reverse=query.newest_first)

    def pending(self, subject: Subject) -> list[Message]:
        settled = {id for run in self._rows(subject).runs.values() for id in run.input_ids}
        return [m for m in self.messages(subject, MessageQuery()) if m.id not in settled]

    def sessions(self, subject: Subject) -> dict[str, SessionRow]:
        times: dict[str, list[Millis]] = {}
        for message in self._rows(subject).messages.values():
            times.setdefault(message.session, []).append(message.event_time)
        return {name: SessionRow(name, len(at), min(at), max(at)) for name, at in times.items()}

    def runs(self, subject: Subject, status: Literal["done", "parked"] | None = None) -> list[Run]:
        found = [run for run in self._rows(subject).runs.values() if status in (None, run.status)]
        return sorted(found, key=lambda run: run.id, reverse=True)

    def runs_of(self, subject: Subject, message_id: str) -> set[str]:
        return {run.id for run in self._rows(subject).runs.values() if message_id in run.input_ids}

    def changes(self, subject: Subject, after: int = 0) -> list[Change]:
        return [change for change in self._rows(subject).changes if change.revision > after]

    def memory_history(self, subject: Subject, memory_id: str) -> list[Change]:
        found: list[Change] = []
        for change in self._rows(subject).changes:
            entries = tuple(entry for entry in change.entries if entry.memory_id == memory_id)
            if entries:
                found.append(msgspec.structs.replace(change, entries=entries))
        return found

    def vectors(self, subject: Subject, kind: str, model: str) -> dict[str, tuple[bytes, float]]:
        rows = self._rows(subject)
        there = rows.memories if kind == "memory" else rows.messages
        return {key[1]: v for key, v in rows.vectors.items() if key[::2] == (kind, model) and key[1] in there}

    def owners(self, tenant: str, memory_id: str) -> set[Subject]:
        return {s for s, rows in self._subjects.items() if s.tenant == tenant and memory_id in rows.memories}

    def subjects(self) -> set[Subject]:
        return {subject for subject, rows in self._subjects.items() if rows.listed}

    def scope(self, tenant: str, label: str, label_id: str) -> set[tuple[Subject, str]]:
        return {
            (subject, memory.id)
            for subject, rows in self._subjects.items()
            for memory in rows.memories.values()
            if subject.tenant == tenant and memory.labels.get(label) == label_id
        }


def _drop_vectors(rows: _SubjectRows, kind: str, id: str) -> None:
    for key in [key for key in rows.vectors if key[:2] == (kind, id)]:
        del rows.vectors[key]


def _scrubbed(change: Change, deleted: tuple[str, ...]) -> Change:
    entries = tuple(
        ChangeEntry(memory_id=entry.memory_id, event=entry.event) if entry.memory_id in deleted else entry
        for entry in change.entries
    )
    return msgspec.structs.replace(change, entries=entries)
