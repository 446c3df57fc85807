"""Pure work that takes its time, done in a thread: meanwhile the event loop serves others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """What `work` returns or raises. A caller that is cancelled still waits for its end: it may hold what the
    work reads, and must not give it free before."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # nobody is left to hear it
        raise
