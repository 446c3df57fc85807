"""The same work on many things, some at a time: most of it is waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def each(items: Iterable[T], at_a_time: int, work: Callable[[T], Awaitable[R]]) -> list[R]:
    """What `work` gives for each item, in their order. The first error ends the others."""
    gate = asyncio.Semaphore(at_a_time)

    async def one(item: T) -> R:
        async with gate:
            return await work(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
