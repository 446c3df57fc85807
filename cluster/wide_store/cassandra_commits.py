"""`commit` and `replay`: one conditional batch in the subject's partition, and what goes before and after it.

Before it, plainly: the ways in to what it puts (an orphan is harmless) and a grave for what it forgets. After
it: what was forgotten leaves the other tables. The batch names the head that it expects, and its commit id
must be new. When its outcome is unknown the commit id is looked for at serial consistency; only when it has
not landed, and the head has not moved, is the same batch sent again: whichever of the two is applied, the
other is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cluster.model import Change, ChangeEntry, Changes, Head, Memory, Run
from cluster.wide_store import codec
from cluster.wide_store.cassandra_arrivals import Arrivals
from cluster.wide_store.cassandra_connection import CassandraConnection, OutcomeUnknown, Statement
from cluster.wide_store.cassandra_graves import Grave, Graves, scopes_of
from cluster.wide_store.cassandra_heads import HeadRow, Heads, OnceWritten
from cluster.wide_store.cassandra_layout import (
    GONE,
    HERE,
    REGISTRY_SLICES,
    Facet,
    Section,
    bucket_of_id,
    by_bucket,
    chunks,
    input_name,
    key_of,
    overlay_name,
    pack_ids,
)
from cluster.wide_store.cassandra_messages import Messages
from cluster.wide_store.cassandra_subjects import Subjects
from cluster.wide_store.cassandra_walk import NAMES_AT_ONCE, Facts, Walk
from cluster.wide_store.port import Replay, StaleRevision
from cluster.wide_store.prepared_commit import PreparedCommit, prepare_commit, prepare_replay
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject, shard_of

_SETTLE_TRIES = 12
_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0

_decode_revisions = msgspec.msgpack.Decoder(tuple[int, ...]).decode


@dataclass
class _Writes:
    """What one commit writes, and where in time."""

    batch: list[Statement] = field(default_factory=list[Statement])
    once: list[Statement] = field(default_factory=list[Statement])
    """Ways in, before the batch."""
    before: list[list[Statement]] = field(default_factory=list[list[Statement]])
    """Plain writes before the batch, those of one partition together."""
    after: list[list[Statement]] = field(default_factory=list[list[Statement]])
    grave: Grave | None = None


class Commits:
    """The conditional writes of subjects, for one connection."""

    def __init__(
        self,
        connection: CassandraConnection,
        heads: Heads,
        once: OnceWritten,
        arrivals: Arrivals,
        messages: Messages,
        subjects: Subjects,
        graves: Graves,
        shards: int,
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._once = once
        self._arrivals = arrivals
        self._messages = messages
        self._subjects = subjects
        self._graves = graves
        self._shards = shards
        self._walk = Walk(connection)

    async def commit(self, subject: Subject, head: Head, changes: Changes) -> Head:
        prepared = prepare_commit(head, changes)
        if changes.erase:
            return await self._erase(subject, head, prepared)
        at = Head(revision=head.revision + 1, generation=head.generation)
        writes = _Writes(batch=_move_head(subject, head, at, changes.commit_id))
        if changes.settings is not None:
            writes.batch.append(("set_settings", (codec.encode(changes.settings), *key_of(subject))))
        self._add_change(writes, subject, at.generation, prepared.change)
        deleted = set(changes.delete)
        put = [(memory, body) for memory, body in prepared.memories if memory.id not in deleted]
        self._put_memories(writes, subject, at, put)
        self._remove_markers(writes, subject, head, changes)
        self._put_runs(writes, subject, at, prepared.runs)
        self._forget_messages(writes, subject, at, changes.delete_messages)
        marks = {id: m for id, m in changes.mark_messages.items() if id not in changes.delete_messages}
        then = HeadRow(head.revision, head.generation, overlaid=True)
        # What leads to it may be there before it is known whether the head is the one expected.
        stored, replaced, forgotten, there, _ = await asyncio.gather(
            self._heads.read(subject),
            self._subjects.runs_named(subject, then, [run.id for run, _ in prepared.runs]),
            self._look_at_memories(subject, then, changes.delete),
            self._walk.facts_named(subject, then, list(marks)),
            self._lead_there(subject, at, writes),
        )
        if _has_moved(stored, head):
            return await self._landed(subject, changes.commit_id)
        if stored.revision < head.revision:
            stored = await self._heads.read(subject, serial=True)
        self._replace_runs(writes, subject, at, prepared.runs, replaced)
        self._forget_memories(writes, subject, at, changes.delete, forgotten.revisions)
        await self._mark_messages(writes, subject, at, marks, there)
        if changes.delete or changes.delete_messages:
            writes.grave = Grave(
                at.revision, changes.delete, changes.delete_messages, forgotten.scopes, forgotten.run_ids
            )
        moved = HeadRow(at.revision, at.generation, stored.began, stored.settings, True)
        if changes.settings is not None:
            moved = moved._replace(settings=codec.encode(changes.settings))
        return await self._perform(subject, head, moved, changes.commit_id, writes)

    async def replay(self, subject: Subject, head: Head, replay: Replay) -> Head:
        prepared = prepare_replay(head, replay)
        last = replay.changes[-1]
        stored = await self._heads.read(subject)
        if _has_moved(stored, head):
            return await self._landed(subject, last.commit_id)
        given = replay.head
        if given.generation != head.generation and await self._arrivals.any(subject, head.generation):
            raise StaleRevision(stored.head())
        settings = codec.encode(given.settings)
        moved = HeadRow(given.revision, given.generation, stored.began, settings, True)
        writes = _Writes(batch=_move_head(subject, head, given, last.commit_id))
        writes.batch.append(("set_settings", (settings, *key_of(subject))))
        writes.once += self._messages.activity(subject, given.generation)
        for change, _ in prepared.changes:
            self._add_change(writes, subject, given.generation, change)
            if change is not last:
                number = _number(change.revision)
                writes.batch.append(_row(subject, given.generation, Section.COMMIT, change.commit_id, number))
        self._forget_memories(writes, subject, given, replay.forgotten_memories, {})
        self._forget_messages(writes, subject, given, replay.forgotten_messages)
        self._put_memories(writes, subject, given, prepared.memories)
        self._put_runs(writes, subject, given, prepared.runs)
        replaced, _ = await asyncio.gather(
            self._subjects.runs_named(subject, moved, [run.id for run, _ in prepared.runs]),
            self._lead_there(subject, given, writes),
        )
        self._replace_runs(writes, subject, given, prepared.runs, replaced)
        writes.grave = Grave(given.revision, replay.forgotten_memories, replay.forgotten_messages)
        return await self._perform(subject, head, moved, last.commit_id, writes)

    async def _erase(self, subject: Subject, head: Head, prepared: PreparedCommit) -> Head:
        # Its id is recorded in the generation that it begins, so the batch cannot see that it landed before.
        found, landed_at = await self._look_for(subject, prepared.changes.commit_id)
        if landed_at is not None:
            return _at(found, landed_at)
        if _has_moved(found, head):
            raise StaleRevision(found.head())
        key, revision, generation = key_of(subject), head.revision + 1, head.generation
        rows = await self._connection.rows("rows_of_section", *key, generation, Section.MEMORY)
        scopes = scopes_of(codec.decode_memory(value) for _, value in rows if value)
        writes = _Writes()
        writes.batch = [
            ("erase_head", (revision, generation + 1, revision, *key, *_stored(head))),
            _once(subject, generation + 1, prepared.changes.commit_id, revision),
            ("remove_generation", (*key, generation)),
        ]
        self._add_change(writes, subject, generation + 1, prepared.change)
        await self._graves.dig_for_all(subject, generation, revision)
        landed = await self._apply(subject, head, prepared.changes.commit_id, writes.batch)
        if landed is not None:
            return landed
        self._heads.seen(subject, generation + 1)
        with contextlib.suppress(
            Unavailable, Overloaded
        ):  # listings look at the head: these are in the way only
            await asyncio.gather(
                self._messages.unlist(subject, generation),
                self._graves.remove_scopes(subject, generation, revision, scopes),
            )
        self._graves.empty_soon(subject, generation)
        return Head(revision=revision, generation=generation + 1)

    # the order of things

    async def _perform(
        self, subject: Subject, head: Head, moved: HeadRow, name: str, writes: _Writes
    ) -> Head:
        """Before, the batch, after. Raises StaleRevision."""
        before = [self._connection.batch(rows) for rows in writes.before]
        if writes.grave is not None:
            before.append(self._graves.dig(subject, moved.generation, name, writes.grave))
        await asyncio.gather(*before)
        landed = await self._apply(subject, head, name, writes.batch)
        if landed is not None:
            return landed
        self._heads.seen(subject, moved.generation)
        # It has landed, whatever happens now; a grave that is not emptied here is emptied by a sweep.
        with contextlib.suppress(Unavailable, Overloaded):
            await asyncio.gather(*(self._connection.batch(rows) for rows in writes.after))
            if writes.grave is not None:
                await self._graves.empty(subject, moved, writes.grave)
        return moved.head()

    async def _lead_there(self, subject: Subject, at: Head, writes: _Writes) -> None:
        """Ways in: an orphan among them, of a commit that is refused, is verified where it leads to."""
        early, writes.before = writes.before, []
        await asyncio.gather(
            self._once.write([*self._messages.listing(subject, at.generation), *writes.once]),
            *(self._connection.batch(rows) for rows in early),
        )

    async def _apply(
        self, subject: Subject, head: Head, commit_id: str, batch: Sequence[Statement]
    ) -> Head | None:
        """None when it was applied just now; the head when it had landed before. Raises StaleRevision."""
        unknown: Unavailable | None = None
        for attempt in range(_SETTLE_TRIES):
            try:
                if unknown is not None:
                    pause = min(_BACKOFF_SECONDS * 2**attempt, _MAX_BACKOFF_SECONDS)
                    await asyncio.sleep(pause * random.random())
                    found, revision = await self._look_for(subject, commit_id)
                    if revision is not None:
                        return None if revision > head.revision else _at(found, revision)
                    if (found.revision, found.generation) != (head.revision, head.generation):
                        raise StaleRevision(found.head())
                if await self._connection.conditional(batch):
                    return None
                found, revision = await self._look_for(subject, commit_id)
                if revision is None:
                    raise StaleRevision(found.head())
                return None if unknown and revision > head.revision else _at(found, revision)
            except Unavailable as error:
                if unknown is None and not isinstance(error, OutcomeUnknown):
                    raise
                unknown = error
        raise OutcomeUnknown(
            "it is unknown whether a commit was applied: Cassandra does not answer",
            remedy="send the same request again",
            retry_after=1.0,
        ) from unknown

    async def _landed(self, subject: Subject, commit_id: str) -> Head:
        """For a head that has moved on: what the commit led to, if it has landed. Raises StaleRevision."""
        found, revision = await self._look_for(subject, commit_id)
        if revision is None:
            raise StaleRevision(found.head())
        return _at(found, revision)

    async def _look_for(self, subject: Subject, commit_id: str) -> tuple[HeadRow, int | None]:
        """The head, and the revision that the commit led to, once all that was under way is finished."""
        head = await self._heads.read(subject, serial=True)
        place = (*key_of(subject), head.generation, Section.COMMIT, commit_id)
        row = await self._connection.row("row", *place, serial=True)
        return head, None if row is None else int.from_bytes(row[0], "big")

    # what a commit consists of

    def _add_change(self, writes: _Writes, subject: Subject, generation: int, change: Change) -> None:
        """The change row without texts, and the texts by memory."""
        bare = tuple(ChangeEntry(memory_id=e.memory_id, event=e.event) for e in change.entries)
        body = codec.encode(msgspec.structs.replace(change, entries=bare))
        writes.batch.append(_row(subject, generation, Section.CHANGE, "", body, change.revision))
        texts: dict[str, list[ChangeEntry]] = {}
        for entry in change.entries:
            texts.setdefault(entry.memory_id, []).append(entry)
        for memory_id, entries in texts.items():
            value = codec.encode(entries)
            writes.batch.append(_row(subject, generation, Section.TEXT, memory_id, value, change.revision))

    def _put_memories(
        self, writes: _Writes, subject: Subject, at: Head, memories: Iterable[tuple[Memory, bytes]]
    ) -> None:
        slice = shard_of(subject, self._shards) % REGISTRY_SLICES
        scopes: dict[tuple[str, str], list[Statement]] = {}
        for memory, body in memories:
            writes.batch.append(_row(subject, at.generation, Section.MEMORY, memory.id, body))
            writes.once.append(_way_in(subject, at.generation, "memory", memory.id))
            for label, id in memory.labels.items():
                place = (subject.tenant, label, id, slice, subject.key, at.generation, memory.id)
                scopes.setdefault((label, id), []).append(("put_scope", (*place, HERE, at.revision + 1)))
        writes.before += [list(part) for rows in scopes.values() for part in chunks(rows, NAMES_AT_ONCE)]

    def _remove_markers(self, writes: _Writes, subject: Subject, head: Head, changes: Changes) -> None:
        used = (*(memory.id for memory in changes.put), *changes.delete)
        for first, last in self._subjects.markers(subject, head, used):
            place = (*key_of(subject), head.generation, Section.MEMORY)
            writes.batch.append(("remove_between", (*place, first, last)))

    async def _look_at_memories(
        self, subject: Subject, stored: HeadRow, memory_ids: Sequence[str]
    ) -> _Forgotten:
        """What deleting these memories takes with it."""
        place = (*key_of(subject), stored.generation)
        found = _Forgotten()
        for part in chunks(list(dict.fromkeys(memory_ids)), NAMES_AT_ONCE):
            names = list(part)
            texts, histories, memories = await asyncio.gather(
                self._connection.rows("numbers_named", *place, Section.TEXT, names),
                self._connection.rows("rows_named", *place, Section.HISTORY, names),
                self._connection.rows("rows_named", *place, Section.MEMORY, names),
            )
            for name, number in texts:
                found.revisions.setdefault(name, set()).add(number)
            for name, _, value in histories:
                found.revisions.setdefault(name, set()).update(_decode_revisions(value))
            found.scopes += scopes_of(codec.decode_memory(value) for _, _, value in memories if value)
        touched = sorted({revision for revisions in found.revisions.values() for revision in revisions})
        changes = await self._subjects.changes_at(subject, stored, touched)
        found.run_ids += tuple(change.run_id for change in changes if change.run_id is not None)
        return found

    def _forget_memories(
        self,
        writes: _Writes,
        subject: Subject,
        at: Head,
        memory_ids: Iterable[str],
        revisions: Mapping[str, set[int]],
    ) -> None:
        key = key_of(subject)
        for memory_id in dict.fromkeys(memory_ids):
            writes.batch.append(_row(subject, at.generation, Section.MEMORY, memory_id, GONE))
            touched = revisions.get(memory_id)
            if touched:
                place = (*key, at.generation, Section.TEXT, memory_id, at.revision)
                history = codec.encode(sorted(touched))
                writes.batch += [
                    ("remove_texts", place),
                    _row(subject, at.generation, Section.HISTORY, memory_id, history),
                ]

    def _put_runs(
        self, writes: _Writes, subject: Subject, at: Head, runs: Sequence[tuple[Run, bytes]]
    ) -> None:
        key, generation = key_of(subject), at.generation
        for run, body in runs:
            writes.batch.append(_row(subject, generation, Section.RUN, run.id, body))
            if run.status == "parked":
                writes.batch.append(_row(subject, generation, Section.PARKED, run.id, body))
            writes.once.append(_way_in(subject, generation, "run", run.id))
            for bucket, ids in by_bucket(run.input_ids).items():
                name = input_name(bucket, run.id)
                writes.batch.append(_row(subject, generation, Section.INPUT, name, pack_ids(ids)))
                writes.once.append(("put_bucket", (*key, generation, bucket, 0)))
                place = (*key, generation, bucket, 0, Facet.RUN_OF)
                rows: list[Statement] = [("put_facet", (*place, id, run.id, HERE, 1)) for id in ids]
                writes.before += [list(part) for part in chunks(rows, NAMES_AT_ONCE)]

    def _replace_runs(
        self,
        writes: _Writes,
        subject: Subject,
        at: Head,
        runs: Sequence[tuple[Run, bytes]],
        replaced: Iterable[Run],
    ) -> None:
        """What earlier runs of the same ids have left, and these do not overwrite."""
        given = {run.id: run for run, _ in runs}
        for old in replaced:
            run = given[old.id]
            if not set(old.input_ids) <= set(run.input_ids):
                writes.batch.append(("set_unsettled", (at.revision, *key_of(subject))))
            if old.status == "parked" and run.status != "parked":
                writes.batch.append(_row(subject, at.generation, Section.PARKED, run.id, GONE))
            for bucket in by_bucket(old.input_ids).keys() - by_bucket(run.input_ids).keys():
                name = input_name(bucket, run.id)
                writes.batch.append(_row(subject, at.generation, Section.INPUT, name, GONE))

    async def _mark_messages(
        self,
        writes: _Writes,
        subject: Subject,
        at: Head,
        marked: Mapping[str, tuple[str, ...]],
        there: Mapping[str, Facts],
    ) -> None:
        """Only of those that are there: one that is not has no marks to replace."""
        key, generation = key_of(subject), at.generation
        for id, facts in there.items():
            bucket = bucket_of_id(id)
            value = codec.encode(marked[id])
            writes.batch.append(_row(subject, generation, Section.OVERLAY, overlay_name(bucket, id), value))
            place = (*key, generation, bucket)
            fresh: list[Statement] = []
            for mark in marked[id]:
                fresh.append(("put_facet", (*place, 0, Facet.MARK, mark, id, HERE, at.revision + 1)))
                register = ("put_facet_bucket", (*key, generation, Facet.MARK, mark, bucket))
                writes.before.append([register])
            if fresh:
                writes.before.append(fresh)
            for slice in await self._walk.slices(subject, generation, bucket):
                gone: list[Statement] = [
                    ("put_facet", (*place, slice, Facet.MARK, mark, id, GONE, at.revision + 1))
                    for mark in set(facts.marks).difference(marked[id])
                ]
                if gone:
                    writes.after.append(gone)
        if there:
            writes.batch.append(("set_overlaid", key))

    def _forget_messages(
        self, writes: _Writes, subject: Subject, at: Head, message_ids: Iterable[str]
    ) -> None:
        ids = dict.fromkeys(message_ids)
        for id in ids:
            name = overlay_name(bucket_of_id(id), id)
            writes.batch.append(_row(subject, at.generation, Section.OVERLAY, name, GONE))
        if ids:
            writes.batch.append(("set_overlaid", key_of(subject)))


@dataclass
class _Forgotten:
    """What deleting memories takes with it."""

    revisions: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    """By memory, those of the changes that touched it."""
    scopes: tuple[tuple[str, str, str], ...] = ()
    run_ids: tuple[str, ...] = ()


def _has_moved(stored: HeadRow, head: Head) -> bool:
    """Surely: a head that is read plainly may be behind, never ahead."""
    return stored.revision > head.revision or (
        stored.revision == head.revision and stored.generation != head.generation
    )


def _at(stored: HeadRow, revision: int) -> Head:
    return msgspec.structs.replace(stored.head(), revision=revision)


def _stored(head: Head) -> tuple[int | None, int | None]:
    """The head's columns as a condition: a subject that was never written to has none."""
    return (head.revision, head.generation) if head.revision else (None, None)


def _number(revision: int) -> bytes:
    return revision.to_bytes(8, "big")


def _row(
    subject: Subject, generation: int, section: Section, name: str, value: bytes, number: int = 0
) -> Statement:
    return "put_row", (*key_of(subject), generation, section, name, number, value == GONE, value)


def _once(subject: Subject, generation: int, commit_id: str, revision: int) -> Statement:
    """The commit's id, which must be new."""
    place = (*key_of(subject), generation, Section.COMMIT, commit_id, 0)
    return "put_row_once", (*place, False, _number(revision))


def _way_in(subject: Subject, generation: int, what: str, id: str) -> Statement:
    return "put_way_in", (subject.tenant, what, id, subject.key, generation)


def _move_head(subject: Subject, head: Head, moved: Head, commit_id: str) -> list[Statement]:
    """The conditions of a batch: the head is as expected, and the commit is new."""
    return [
        ("move_head", (moved.revision, moved.generation, *key_of(subject), *_stored(head))),
        _once(subject, moved.generation, commit_id, moved.revision),
    ]
