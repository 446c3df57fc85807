"""How a shard changes a user's memories: build the changes, commit, and build them anew when stale."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import msgspec

from actors.resident import Resident, Residents
from cluster.model import Changes, Head, Memory
from cluster.summaries import without_summaries
from cluster.wide_store.port import StaleRevision, WideStore
from memgrid.errors import Overloaded
from memgrid.subject import Subject

_TRIES = 30
_BACKOFF_SECONDS = 0.005
_MAX_BACKOFF_SECONDS = 0.5

_MAX_WAITING = 128
"""Changes of one subject that may wait for their turn: each is a commit to the store, one after the other."""

CHUNK = 150
"""Rows in one commit of a bulk change: well below MAX_COMMIT_ROWS, and below its bytes for usual texts."""

_CHUNK_BYTES = 200_000
"""Encoded memories in one commit of several: their texts are in its change row once more."""

Build = Callable[[], Changes | Awaitable[Changes | None] | None]
"""Called anew for every try, with no other change of this owner under way: what it builds rests on what it
reads then, in memory or in the store."""


class Commits:
    """The only writer of memories: every change of every part of the shard goes through `commit`."""

    def __init__(
        self,
        store: WideStore,
        residents: Residents,
        on_landed: Callable[[Resident, Changes], None],
        deleting: Callable[[Subject], AbstractAsyncContextManager[None]],
    ) -> None:
        """`deleting` is entered around a commit that deletes something."""
        self._store = store
        self._residents = residents
        self._on_landed = on_landed
        self._deleting = deleting
        self.landed = 0
        self.refused = 0

    async def commit(self, resident: Resident, build: Build) -> Head:
        """Apply what `build` makes of the subject as it is now; None from it means nothing to do.

        When another owner was faster the subject is read anew and `build` called again. Raises
        Overloaded when that goes on for `_TRIES` rounds, and when too many changes of the subject wait.
        """
        if resident.waiting >= _MAX_WAITING:
            raise Overloaded(
                f"{resident.waiting} changes of this subject are waiting",
                remedy="send fewer at a time, or several memories in one request",
                retry_after=1.0,
            )
        resident.waiting += 1
        try:
            async with resident.writing:
                return await self.commit_held(resident, build)
        finally:
            resident.waiting -= 1

    async def commit_held(self, resident: Resident, build: Build) -> Head:
        """`commit` for a caller that holds `resident.writing`."""
        delay = _BACKOFF_SECONDS
        for _ in range(_TRIES):
            built = build()
            changes = built if built is None or isinstance(built, Changes) else await built
            if changes is None:
                return resident.head
            try:
                return await self.try_commit_held(resident, changes)
            except StaleRevision:
                await self._residents.reload(resident)
                await asyncio.sleep(delay * random.random())
                delay = min(delay * 2, _MAX_BACKOFF_SECONDS)
        raise Overloaded(
            "this subject is being changed from many sides at once",
            remedy="send the same request again",
            retry_after=1.0,
        )

    async def try_commit_held(self, resident: Resident, changes: Changes) -> Head:
        """One try at the resident's head, for a caller that holds its lock. Raises StaleRevision."""
        before = resident.head
        stamped = msgspec.structs.replace(
            changes, put=tuple(_stamp(memory, before.revision + 1) for memory in changes.put)
        )
        if (changes.delete or changes.delete_messages) and changes.settings is None:
            stamped = msgspec.structs.replace(stamped, settings=without_summaries(before.settings))
        deletes = changes.delete or changes.delete_messages or changes.erase
        async with self._deleting(resident.subject) if deletes else nullcontext():
            return await self._land(resident, before, stamped)

    async def _land(self, resident: Resident, before: Head, stamped: Changes) -> Head:
        try:
            head = await self._store.commit(resident.subject, before, stamped)
        except StaleRevision:
            self.refused += 1
            raise
        self.landed += 1
        if head.revision == before.revision + 1 and not stamped.erase:
            resident.apply(
                head, stamped.put, (*stamped.delete, *stamped.delete_messages), stamped.mark_messages
            )
            if stamped.delete_messages:
                resident.stats = None
            for run in stamped.runs:
                resident.settle(run)
            resident.pending.difference_update(stamped.delete_messages)
        else:
            # An erasure, or a commit that had landed before: what is stored is what counts.
            await self._residents.reload(resident)
        self._on_landed(resident, stamped)
        return head


def _stamp(memory: Memory, revision: int) -> Memory:
    return msgspec.structs.replace(memory, revision=revision)


def in_chunks(rows: Sequence[Memory | str]) -> list[list[Memory | str]]:
    """Memories to put and ids to delete, in parts that each fit into one commit."""
    chunks: list[list[Memory | str]] = []
    room = 0
    for row in rows:
        size = len(msgspec.msgpack.encode(row))
        if not chunks or len(chunks[-1]) >= CHUNK or size > room:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(row)
        room -= size
    return chunks
