"""Work in a thread: its result, its error, and a caller that is cancelled before its end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from actors.off_loop import off_loop


async def test_what_the_work_returns_or_raises() -> None:
    here = threading.get_ident()
    assert await off_loop(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        await off_loop(lambda: 1 // 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_caller_that_is_cancelled_waits_for_the_end_of_the_work(fails: bool) -> None:
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        if fails:
            raise ValueError("to nobody")

    task = asyncio.create_task(off_loop(work))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
