"""The memories and messages of one subject by ordinal, and the columns that decide who may be a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.model import Memory, Message, Millis
from cluster.retrieval.columns import Column
from cluster.retrieval.resting import RestingMemories
from memgrid.models import MemoryKind, ResultType

Unit = Memory | Message
Predicate = Callable[[Unit], bool]
Mask = NDArray[np.bool_]

_MESSAGE = 0
_KINDS: dict[MemoryKind, int] = {kind: code for code, kind in enumerate(get_args(MemoryKind), start=1)}
_NOBODY = -1
_FOREVER = int(np.iinfo(np.int64).max)
_ROW = np.dtype(
    [
        ("live", np.bool_),
        ("kind", np.uint8),
        ("session", np.int32),
        ("speaker", np.int32),
        ("labels", np.int32),
        ("current_until", np.int64),
        ("exists_until", np.int64),
        ("time", np.int64),
    ]
)
_PER_UNIT = 330
"""Bytes of Python objects a unit needs besides its content: its id, dictionary entry and list slots."""


class Units:
    """Memories and messages at ordinals 0..n-1. Messages are kept encoded: they are many, and seldom read."""

    def __init__(self) -> None:
        self._ordinals: dict[str, int] = {}
        self._ids: list[str] = []
        self._contents: list[Memory | bytes | None] = []
        self._weights = Column(np.uint32)
        self._rows = Column(_ROW)
        self._sessions: dict[str, int] = {}
        self._speakers: dict[str, int] = {}
        self._labels: dict[tuple[tuple[str, str], ...], int] = {}
        self._resting = RestingMemories()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Message)
        self._content_bytes = 0

    def __len__(self) -> int:
        """Ordinals given out, removed ones among them."""
        return len(self._ids)

    @property
    def count(self) -> int:
        """Units held."""
        return len(self._ordinals)

    @property
    def live(self) -> Mask:
        """Which ordinals hold a unit."""
        return self._rows.values["live"]

    @property
    def messages_mask(self) -> Mask:
        """Which ordinals hold a message, or held one."""
        return self._rows.values["kind"] == _MESSAGE

    @property
    def message_sessions(self) -> NDArray[np.int32]:
        """A number for each message's session; negative for a memory."""
        return np.where(self.messages_mask, self._rows.values["session"], np.int32(_NOBODY))

    @property
    def speakers(self) -> NDArray[np.int32]:
        """The code of each message's speaker in `speaker_codes`; negative for none."""
        return self._rows.values["speaker"]

    @property
    def speaker_codes(self) -> Mapping[str, int]:
        """Every name a speaker was given, and its code."""
        return self._speakers

    @property
    def times(self) -> NDArray[np.int64]:
        """When it was said or happened, or else was made."""
        return self._rows.values["time"]

    @property
    def nbytes(self) -> int:
        """Bytes held; an estimate, since Python objects are among them."""
        arrays = self._rows.nbytes + self._weights.nbytes
        return self._content_bytes + _PER_UNIT * len(self) + arrays + self._resting.nbytes

    def ordinal(self, unit_id: str) -> int | None:
        """Where the unit is."""
        return self._ordinals.get(unit_id)

    def id(self, ordinal: int) -> str:
        """The id of the unit at an ordinal."""
        return self._ids[ordinal]

    def is_message(self, ordinal: int) -> bool:
        """Whether the unit is a message."""
        return bool(self._rows.values["kind"][ordinal] == _MESSAGE)

    def get(self, ordinal: int) -> Unit:
        """The unit at an ordinal. Raises LookupError when it was removed."""
        content = self._contents[ordinal]
        if content is None:
            raise LookupError(f"the unit at {ordinal} was removed")
        return content if isinstance(content, Memory) else self._decoder.decode(content)

    def memory_at(self, ordinal: int) -> Memory:
        """The memory at an ordinal. Raises LookupError when there is none."""
        content = self._contents[ordinal]
        if not isinstance(content, Memory):
            raise LookupError(f"there is no memory at {ordinal}")
        return content

    def resting_on(self, message_id: str) -> tuple[str, ...]:
        """Ids of the memories that rest on a message."""
        return self._resting.on(message_id)

    def memories(self) -> Iterator[Memory]:
        """All memories."""
        return (content for content in self._contents if isinstance(content, Memory))

    def messages(self) -> Iterator[Message]:
        """All messages."""
        return (self._decoder.decode(content) for content in self._contents if isinstance(content, bytes))

    def add(self, units: Sequence[Unit]) -> int:
        """Add units with new ids at the next free ordinals; the first of these is returned."""
        first = len(self)
        for unit in units:
            self._ids.append(unit.id)
            self._contents.append(None)
        self._weights.extend(np.zeros(len(units), np.uint32))
        self._rows.extend(np.array([self._row(unit) for unit in units], _ROW))
        for ordinal, unit in enumerate(units, start=first):
            self._keep(ordinal, unit)
            # Last: whoever looks it up in another thread finds it whole, or not at all.
            self._ordinals[unit.id] = ordinal
        return first

    def replace(self, ordinal: int, unit: Unit) -> None:
        """Put another version of the same unit in its place."""
        self._rows.values[ordinal] = self._row(unit)
        self._keep(ordinal, unit)

    def remove(self, ordinal: int) -> None:
        """Let go of a unit; its ordinal stays, empty, until `compact`."""
        del self._ordinals[self._ids[ordinal]]
        self._rows.values["live"][ordinal] = False
        self._let_go(ordinal)
        self._contents[ordinal] = None
        self._weigh(ordinal, 0)

    def compact(self, keep: NDArray[np.intp]) -> None:
        """Renumber: old ordinal `keep[i]` becomes `i`. What is not kept must have been removed before."""
        self._ids = [self._ids[ordinal] for ordinal in keep]
        self._contents = [self._contents[ordinal] for ordinal in keep]
        self._ordinals = {unit_id: ordinal for ordinal, unit_id in enumerate(self._ids)}
        self._weights.replace(self._weights.values[keep])
        self._rows.replace(self._rows.values[keep])

    def allowed(
        self,
        now: Millis,
        *,
        types: Sequence[ResultType] = ("memory", "message"),
        kinds: Sequence[MemoryKind] | None = None,
        session: str | None = None,
        labels: Mapping[str, str] | None = None,
        latest_only: bool = True,
        predicate: Predicate | None = None,
    ) -> Mask:
        """Which ordinals hold a unit that a search with these conditions may show at `now`.

        Expired memories are never among them. `kinds` are kinds of memories, so a message is of none.
        """
        rows = self._rows.values
        mask: Mask = rows["live"] & (rows["current_until" if latest_only else "exists_until"] > now)
        if "message" not in types or kinds is not None:
            mask &= rows["kind"] != _MESSAGE
        if "memory" not in types:
            mask &= rows["kind"] == _MESSAGE
        if kinds is not None:
            mask &= np.isin(rows["kind"], [_KINDS[kind] for kind in kinds])
        if session is not None:
            mask &= rows["session"] == self._sessions.get(session, _NOBODY - 1)
        if labels:
            wanted = labels.items()
            codes = [code for pairs, code in self._labels.items() if wanted <= set(pairs)]
            mask &= np.isin(rows["labels"], codes)
        if predicate is not None:
            for ordinal in np.flatnonzero(mask).tolist():
                mask[ordinal] = predicate(self.get(ordinal))
        return mask

    def next_end(self, now: Millis) -> Millis:
        """When the next unit ends by itself: expires, or is no longer valid. Far away when none does."""
        ends = self._rows.values["current_until"][self.live]
        later = ends[ends > now]
        return int(later.min()) if len(later) else _FOREVER

    def _row(self, unit: Unit) -> tuple[object, ...]:
        if isinstance(unit, Memory):
            kind = _KINDS[unit.kind]
            speaker = None
            exists = _FOREVER if unit.expires_at is None else unit.expires_at
            valid = _FOREVER if unit.valid_to is None else unit.valid_to
            current = min(exists, valid) if unit.superseded_by is None else np.iinfo(np.int64).min
        else:
            kind, speaker, exists, current = _MESSAGE, unit.name, _FOREVER, _FOREVER
        return (
            True,
            kind,
            _NOBODY if unit.session is None else self._sessions.setdefault(unit.session, len(self._sessions)),
            _NOBODY if speaker is None else self._speakers.setdefault(speaker, len(self._speakers)),
            self._labels.setdefault(tuple(sorted(unit.labels.items())), len(self._labels)),
            current,
            exists,
            unit.created_at if unit.event_time is None else unit.event_time,
        )

    def _keep(self, ordinal: int, unit: Unit) -> None:
        encoded = self._encoder.encode(unit)
        self._let_go(ordinal)
        if isinstance(unit, Memory):
            self._contents[ordinal] = unit
            self._resting.add(unit)
            self._weigh(ordinal, 700 + 2 * len(encoded))  # the struct, its strings and tuples
        else:
            self._contents[ordinal] = encoded
            self._weigh(ordinal, 33 + len(encoded))

    def _let_go(self, ordinal: int) -> None:
        content = self._contents[ordinal]
        if isinstance(content, Memory):
            self._resting.remove(content)

    def _weigh(self, ordinal: int, weight: int) -> None:
        self._content_bytes += weight - int(self._weights.values[ordinal])
        self._weights.values[ordinal] = weight
