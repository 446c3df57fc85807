"""What an extraction run did to the memories that are there now, as its add, its job and its drive tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from actors.resident import Resident
from cluster.model import ChangeEntry, Run
from cluster.wide_store.port import WideStore
from memgrid.models import MemoryChange

_REMEMBERED: Final = 2048
"""Runs whose changes are remembered; those of others are read from the histories of their memories."""


class RunResults:
    """The changes of runs. Of a memory that was deleted since, by whichever owner, nothing is told."""

    def __init__(self, store: WideStore) -> None:
        self._store = store
        self._recent: OrderedDict[str, Sequence[ChangeEntry]] = OrderedDict()

    def remember(self, run: Run, entries: Sequence[ChangeEntry]) -> None:
        """What a run of this owner has done."""
        self._recent[run.id] = entries
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    async def of(self, resident: Resident, run: Run) -> list[MemoryChange]:
        """The changes of a run, for a caller that has followed the store: a text counts only while its memory
        is there, wherever the entry comes from."""
        entries = self._recent.get(run.id)
        if entries is None:
            entries = await self._stored(resident, run)
        return [change for entry in entries if (change := _told(resident, entry)) is not None]

    async def _stored(self, resident: Resident, run: Run) -> list[ChangeEntry]:
        entries: list[ChangeEntry] = []
        for memory_id in run.memory_ids:
            for change in await self._store.memory_history(resident.subject, memory_id):
                if change.run_id == run.id:
                    entries.extend(change.entries)
        return entries


def _told(resident: Resident, entry: ChangeEntry) -> MemoryChange | None:
    if entry.event == "DELETE":  # by the run itself, for a cap
        return MemoryChange(id=entry.memory_id, event=entry.event, memory=None)
    memory = resident.hot.memory(entry.memory_id)
    if memory is None:
        return None
    text = entry.new_text
    if entry.event == "SUPERSEDE" and memory.superseded_by is not None:
        by = resident.hot.memory(memory.superseded_by)
        text = None if by is None else by.text
    return MemoryChange(id=entry.memory_id, event=entry.event, memory=text, old_memory=entry.old_text)
