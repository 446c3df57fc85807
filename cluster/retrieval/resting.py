"""Which memories rest on which messages, of one subject."""

from __future__ import annotations

from cluster.model import Memory

_PER_SOURCE = 100
"""Bytes of a message's entry, and of its share of the dictionary; the ids are kept anyway."""


class RestingMemories:
    """Memories by the messages that are their evidence."""

    def __init__(self) -> None:
        self._by_message: dict[str, tuple[str, ...]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held; an estimate."""
        return _PER_SOURCE * len(self._by_message)

    def on(self, message_id: str) -> tuple[str, ...]:
        """Ids of the memories that rest on a message."""
        return self._by_message.get(message_id, ())

    def add(self, memory: Memory) -> None:
        """Take up a memory with its sources."""
        for source in dict.fromkeys(memory.sources):
            self._by_message[source] = (*self.on(source), memory.id)

    def remove(self, memory: Memory) -> None:
        """Let go of a memory as it was added."""
        for source in dict.fromkeys(memory.sources):
            left = tuple(each for each in self.on(source) if each != memory.id)
            if left:
                self._by_message[source] = left
            else:
                self._by_message.pop(source, None)
