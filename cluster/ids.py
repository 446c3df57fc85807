"""Ids and time: UUIDv7 minted by the server, and the clock as something that is passed in."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import uuid_utils

from cluster.model import Millis

Clock = Callable[[], Millis]
"""Milliseconds since the epoch."""


def system_clock() -> Millis:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


class _Mint:
    """Makes UUIDv7s whose 12 bits after the time are a counter, so that those of one millisecond sort too.

    `uuid_utils.uuid7` counts in lower bits, which `message_id` needs for the index.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: Millis = 0
        self._count = 0

    def __call__(self) -> str:
        with self._lock:
            if (now := system_clock()) > self._at:
                self._at, self._count = now, 0
            else:  # the same millisecond, or the clock was set back
                self._count += 1
                if self._count == 1 << 12:
                    self._at, self._count = self._at + 1, 0
            place = self._at << 16 | 7 << 12 | self._count
        return str(uuid_utils.UUID(int=place << 64 | 0b10 << 62 | secrets.randbits(62)))


_mint = _Mint()


def new_id() -> str:
    """A UUIDv7: ids of one process sort in the order they were minted."""
    return _mint()


def minted_at(uuid7: str) -> Millis:
    """The time in a UUIDv7. Raises ValueError when `uuid7` is not one."""
    value = uuid_utils.UUID(uuid7)
    if value.version != 7:
        raise ValueError(f"{uuid7!r} is not a UUIDv7")
    return value.int >> 80


def message_id(request_id: str, index: int) -> str:
    """The id of message `index` (below 16,384) of a request: the same request always gives the same ids.

    A UUIDv7 with the request's time and 12-bit counter, then the index, then 48 bits of the request's
    own randomness: the messages of a request sort by index, requests by when they were minted.
    """
    if not 0 <= index < 1 << 14:
        raise ValueError(f"message index {index} is out of range")
    request = uuid_utils.UUID(request_id).int
    value = (request >> 64 << 64) | (0b10 << 62) | (index << 48) | (request & ((1 << 48) - 1))
    return str(uuid_utils.UUID(int=value))


def is_message_id(text: str) -> bool:
    """Whether `text` looks like an id that this server mints."""
    try:
        minted_at(text)
    except ValueError:
        return False
    return True
