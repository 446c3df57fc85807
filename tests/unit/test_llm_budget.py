"""The share of the cluster's limits that one actor has, on a clock that the test moves."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster.llm.budget import MAX_WAIT, MINUTE, Budget, Limits
from cluster.llm.errors import NotTried


class Clock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def budget(clock: Clock, **limits: float | int | None) -> Budget:
    return Budget(Limits(**limits), clock=clock, sleep=clock.sleep)  # pyright: ignore[reportArgumentType]


async def take(given: Budget, clock: Clock, *, tokens: int = 0, took: int | None = None) -> float:
    async with given.call(tokens) as spending:
        at = clock.now
    spending.took(tokens if took is None else took)
    return at


async def test_requests_of_a_minute_are_counted_in_any_minute() -> None:
    clock = Clock()
    mine = budget(clock, requests_per_minute=3)
    assert [await take(mine, clock) for _ in range(7)] == [0, 0, 0, 60, 60, 60, 120]


async def test_a_share_below_one_request_a_minute_takes_as_long_as_it_takes() -> None:
    clock = Clock()
    mine = Budget(Limits(requests_per_minute=2).share(4), clock=clock, sleep=clock.sleep)
    await take(mine, clock)
    with pytest.raises(NotTried) as refused:
        await take(mine, clock)
    assert refused.value.retry_after == 2 * MINUTE
    clock.now = 60
    assert await take(mine, clock) == 120


async def test_tokens_are_reserved_and_then_what_they_were() -> None:
    clock = Clock()
    mine = budget(clock, tokens_per_minute=100)
    assert await take(mine, clock, tokens=90, took=20) == 0
    assert await take(mine, clock, tokens=80) == 0
    assert await take(mine, clock, tokens=1) == 60


async def test_what_is_more_than_the_limit_alone_waits_for_an_empty_minute() -> None:
    clock = Clock()
    mine = budget(clock, tokens_per_minute=100)
    await take(mine, clock, tokens=10)
    assert await take(mine, clock, tokens=500) == 60


async def test_a_call_that_failed_took_a_request_and_no_tokens() -> None:
    clock = Clock()
    mine = budget(clock, tokens_per_minute=100, requests_per_minute=2)
    with pytest.raises(ConnectionError):
        async with mine.call(100):
            raise ConnectionError
    assert await take(mine, clock, tokens=100) == 0
    assert await take(mine, clock, tokens=0) == 60


async def test_calls_at_a_time_are_bounded_also_when_one_fails() -> None:
    mine = Budget(Limits(in_flight=2))
    inside, most, gate = 0, 0, asyncio.Event()

    async def call(number: int) -> None:
        nonlocal inside, most
        async with mine.call(0):
            inside += 1
            most = max(most, inside)
            await gate.wait()
            inside -= 1
            if number % 2:
                raise ConnectionError

    calls = [asyncio.ensure_future(call(number)) for number in range(9)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert (inside, most) == (0, 2)


@settings(max_examples=50, deadline=None)
@example(limit=7, actors=3, pauses=[0, 0, 0])
@given(
    limit=st.integers(1, 20),
    actors=st.integers(1, 5),
    pauses=st.lists(st.floats(0, 40), min_size=1, max_size=40),
)
async def test_the_shares_of_all_actors_stay_within_the_limit_in_every_minute(
    limit: int, actors: int, pauses: list[float]
) -> None:
    started: list[float] = []
    waits: list[float] = []
    for _ in range(actors):
        clock = Clock()
        mine = Budget(Limits(requests_per_minute=limit).share(actors), clock=clock, sleep=clock.sleep)
        for pause in pauses:
            clock.now += pause
            try:
                started.append(await take(mine, clock))
            except NotTried as refused:
                waits.append(refused.retry_after or 0)
    # An actor whose share is below one a minute starts with one: that is the most by which it can be off.
    most = max(limit, actors)
    assert all(wait > MAX_WAIT for wait in waits)
    for at in started:
        assert sum(1 for other in started if at <= other < at + MINUTE) <= most
