"""A circuit to one endpoint: after failures in a row it rests, and then one call tries whether it is back.

A `Retry-After` rests the whole endpoint, not only the call that was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

OPENS_AFTER: Final = 5
"""Failed attempts in a row."""
FIRST_REST: Final = 5.0
"""Seconds; doubles with each further failure."""
LONGEST_REST: Final = 300.0


class Circuit:
    """What is known of one endpoint's health, from the attempts to reach it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds and never goes back."""
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0
        self._trying = False

    def rest(self) -> float:
        """Seconds until an attempt may be made; 0: now, and this attempt counts as the one that tries."""
        left = self._rests_until - self._clock()
        if left > 0:
            return left
        if self._failures < OPENS_AFTER:
            return 0.0
        if self._trying:
            return FIRST_REST
        self._trying = True
        return 0.0

    def succeeded(self) -> None:
        """It answered, whatever the answer."""
        self._failures = 0
        self._trying = False

    def failed(self) -> None:
        """It did not answer, or said that it cannot."""
        self._failures += 1
        self._trying = False
        if self._failures >= OPENS_AFTER:
            pause = min(FIRST_REST * 2 ** min(self._failures - OPENS_AFTER, 10), LONGEST_REST)
            self._rests_until = max(self._rests_until, self._clock() + pause)

    def told_to_wait(self, seconds: float) -> None:
        """It asked to be left alone for so long."""
        self._trying = False
        self._rests_until = max(self._rests_until, self._clock() + min(seconds, LONGEST_REST))

    def given_up(self) -> None:
        """The attempt ended without an outcome (it was cancelled)."""
        self._trying = False
