"""What caps go by: of how much use a memory still is. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from typing import Final

from cluster.model import DAY_MS, Memory, Millis
from cluster.pipeline.known_index import said_at as last_said

USEFUL_DAYS: Final = 365
"""After so many days without being said again a memory is half as useful as it was."""


def least_useful(memories: Iterable[Memory], count: int, now: Millis) -> list[str]:
    """Ids of the `count` that are dropped first."""
    chosen = heapq.nsmallest(
        count,
        (memory for memory in memories if not memory.immutable and not memory.pinned),
        key=lambda memory: usefulness(memory, now),
    )
    return [memory.id for memory in chosen]


def usefulness(memory: Memory, now: Millis) -> tuple[bool, float, Millis, str]:
    """What caps go by, least useful first; immutable and pinned memories are never asked.

    Those no longer current go before all others, the ones closed earliest first. A current memory is worth
    confidence · (1 + log2(evidence)) · 2^(-days since it was last said / USEFUL_DAYS); of equals the
    one less recently updated goes first, then the one with the smaller id.
    """
    if not memory.is_current(now):
        closed = memory.valid_to if memory.valid_to is not None else memory.updated_at
        return False, closed, 0, memory.id
    evidence = memory.attributes.get("evidence", len(memory.sources))
    known_for = 1 + math.log2(max(1, evidence if isinstance(evidence, int) else 1))
    days = max(0, now - last_said(memory)) / DAY_MS
    return True, memory.confidence * known_for * 2 ** (-days / USEFUL_DAYS), memory.updated_at, memory.id
