"""How much may be asked of language models: requests and tokens in a minute, and calls at a time.

Each shard actor has an even share of the cluster's limits, and holds to it by itself: the sum never exceeds
the limit, nobody has to be asked before a call, and what one actor leaves unused is not used by another.
A share below one request a minute is one request in as many minutes as it takes. (At least one call at a
time is allowed in every actor, so a limit in flight below the number of actors cannot hold; such settings are
refused.)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Final

import msgspec

from cluster.llm.errors import NotTried

MINUTE: Final = 60.0
MAX_WAIT: Final = 60.0
"""Seconds a call waits for its turn; if it would be longer it is told so, and its run waits outside."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None means no limit."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    in_flight: int | None = None

    def share(self, actors: int) -> Limits:
        """One of `actors` equal shares."""
        return Limits(
            requests_per_minute=_part(self.requests_per_minute, actors),
            tokens_per_minute=_part(self.tokens_per_minute, actors),
            in_flight=None if self.in_flight is None else max(1, self.in_flight // actors),
        )


def _part(limit: float | None, actors: int) -> float | None:
    return None if limit is None else limit / actors


class _Window:
    """At most `limit` in any `seconds`: what was spent is remembered until it no longer counts."""

    def __init__(self, per_minute: float) -> None:
        self._limit = max(per_minute, 1.0)
        self._seconds = MINUTE if per_minute >= 1 else MINUTE / per_minute
        self._spent: deque[list[float]] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` fits; what alone is more than the limit fits into an empty window."""
        while self._spent and self._spent[0][0] + self._seconds <= now:
            self._sum -= self._spent.popleft()[1]
        over = self._sum + amount - self._limit
        if over <= 0 or not self._spent:
            return 0.0
        for at, spent in self._spent:
            over -= spent
            if over <= 0:
                return at + self._seconds - now
        return self._spent[-1][0] + self._seconds - now

    def spend(self, amount: float, now: float) -> list[float]:
        """Count it; the entry can be corrected with `correct`."""
        entry = [now, amount]
        self._spent.append(entry)
        self._sum += amount
        return entry

    def correct(self, entry: list[float], amount: float) -> None:
        """It was `amount` after all."""
        if any(each is entry for each in self._spent):
            self._sum += amount - entry[1]
        entry[1] = amount


class Spending:
    """One call: tell what it really took, once that is known."""

    def __init__(self, window: _Window | None, entry: list[float]) -> None:
        self._window = window
        self._entry = entry

    def took(self, tokens: int) -> None:
        """So many, in and out, instead of what was reserved."""
        if self._window is not None:
            self._window.correct(self._entry, tokens)


class Budget:
    """One actor's share. Calls take their turns in the order in which they came."""

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`clock` is in seconds and never goes back."""
        self._clock = clock
        self._sleep = sleep
        self._requests = _Window(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = _Window(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._in_flight = asyncio.Semaphore(limits.in_flight) if limits.in_flight else None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def call(self, tokens: int) -> AsyncGenerator[Spending]:
        """A place for one call, with so many tokens reserved for it; a call that fails has taken none.
        Raises NotTried when it would have to wait for more than MAX_WAIT."""
        async with self._in_flight or nullcontext():
            spending = await self._reserve(tokens)
            try:
                yield spending
            except BaseException:
                spending.took(0)
                raise

    async def _reserve(self, tokens: int) -> Spending:
        async with self._turn:
            while (wait := self._wait(tokens)) > 0:
                if wait > MAX_WAIT:
                    raise NotTried(
                        "the limit of requests or tokens per minute is reached",
                        remedy="raise llm_requests_per_minute or llm_tokens_per_minute",
                        retry_after=wait,
                    )
                await self._sleep(wait)
            now = self._clock()
            if self._requests is not None:
                self._requests.spend(1, now)
            entry = self._tokens.spend(tokens, now) if self._tokens is not None else []
        return Spending(self._tokens, entry)

    def _wait(self, tokens: int) -> float:
        now = self._clock()
        waits = [0.0]
        if self._requests is not None:
            waits.append(self._requests.wait(1, now))
        if self._tokens is not None:
            waits.append(self._tokens.wait(tokens, now))
        return max(waits)
