"""What an import has brought into the store behind the owners' backs, so that they put it into the index.

An import has a row for each shard it comes to, which no owner writes, and an owner another, which no import
writes: neither undoes what the other says. One more row is the bell, written at an import's end. A running
owner looks at that alone, however many shards it has, and reads the others when it has been rung.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from cluster.ids import new_id
from cluster.side_by_side import each
from cluster.wide_store.port import WideStore
from memgrid.subject import Subject, shard_of

INDEX_IMPORTED: Final = "index_imported"
"""The table of these rows."""
MAX_NAMED: Final = 100
"""Subjects of one shard that are named; beyond it the whole shard is put."""
_BELL: Final = "bell"
_AT_A_TIME: Final = 64

Subjects = frozenset[Subject] | None
"""Those of a shard; None: all of it."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What imports have brought into a shard."""

    id: str
    """Another with every change: what an owner has put is known by it."""
    subjects: Subjects = frozenset()

    def names(self, subjects: Subjects) -> bool:
        """Whether all of these are in it."""
        return self.subjects is None or (subjects is not None and subjects <= self.subjects)

    def joined(self, subjects: Subjects) -> Imported:
        """With these, under a new id."""
        both = None if self.subjects is None or subjects is None else self.subjects | subjects
        return Imported(id=new_id(), subjects=None if both is not None and len(both) > MAX_NAMED else both)


class Arrivals:
    """The side of one import."""

    def __init__(self, store: WideStore, shards: int) -> None:
        """The store has so many shards."""
        self._store = store
        self._of = shards
        self._named: dict[int, Imported] = {}
        """By shard, what this import has written."""
        self._writing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By shard, held from reading its row to writing it."""

    async def expect(self, subject: Subject) -> None:
        """Before the first write to it: should the import be killed, owners know when they start."""
        shard, wanted = shard_of(subject, self._of), frozenset([subject])
        if shard not in self._named or not self._named[shard].names(wanted):
            await self._name(shard, wanted)

    async def announce(self) -> None:
        """All is written that will be: owners put it from now on, within seconds.

        What an owner has put before counts as not put: it may have seen half of a subject. Another import at
        the same moment may have written over a row, so they are looked at again.
        """
        shards = list(self._named)
        await each(shards, _AT_A_TIME, lambda shard: self._name(shard, frozenset()))
        await each(shards, _AT_A_TIME, self._look_again)
        await self._store.put_row(INDEX_IMPORTED, _BELL, {"rung": new_id()})

    async def _look_again(self, shard: int) -> None:
        there = await read_imported(self._store, shard)
        if there is None or not there.names(self._named[shard].subjects):
            await self._name(shard, frozenset())

    async def _name(self, shard: int, subjects: Subjects) -> None:
        """Add to the row of a shard what this import has named, and what others have that is not put yet."""
        async with self._writing[shard]:
            named = self._named.get(shard) or Imported(id="")
            there = await _unput(self._store, shard) or Imported(id="")
            named = named.joined(subjects).joined(there.subjects)
            await self._store.put_row(INDEX_IMPORTED, str(shard), msgspec.to_builtins(named))
            self._named[shard] = named


async def bell(store: WideStore) -> str | None:
    """Another answer than before means that an import has ended since; None: there was none ever."""
    row = await store.get_row(INDEX_IMPORTED, _BELL)
    return None if row is None else row["rung"]


async def unput(store: WideStore, shards: Iterable[int]) -> dict[int, Imported]:
    """By shard, what has been imported and not been put into the index."""
    asked = list(shards)
    found = await each(asked, _AT_A_TIME, lambda shard: _unput(store, shard))
    return {shard: each for shard, each in zip(asked, found, strict=True) if each is not None}


async def _unput(store: WideStore, shard: int) -> Imported | None:
    there = await read_imported(store, shard)
    return None if there is None or there.id == await read_put(store, shard) else there


async def read_imported(store: WideStore, shard: int) -> Imported | None:
    """What imports have brought into the shard, put or not."""
    row = await store.get_row(INDEX_IMPORTED, str(shard))
    return None if row is None else msgspec.convert(row, Imported)


async def read_put(store: WideStore, shard: int) -> str | None:
    """The id of what was put last of the shard."""
    row = await store.get_row(INDEX_IMPORTED, f"{shard}/put")
    return None if row is None else row["id"]


async def write_put(store: WideStore, shard: int, id_: str) -> None:
    """What has this id is in the index."""
    await store.put_row(INDEX_IMPORTED, f"{shard}/put", {"id": id_})
