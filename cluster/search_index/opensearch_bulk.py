"""Writing: what many subjects put at the same time goes out together, in bounded bulk requests.

Every action carries an external version, so their order does not matter and one that arrives twice
changes nothing. A conflict says that the index knows something newer, which is success.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog
from opensearchpy import AsyncOpenSearch

from cluster.search_index.opensearch_client import (
    RETRY_AFTER,
    Blocked,
    Missing,
    asked,
    from_status,
    reason_of,
)
from cluster.search_index.opensearch_documents import Action
from cluster.search_index.port import RefusedDocuments
from memgrid.errors import MemgridError, Overloaded, Unavailable

MAX_REQUEST_ITEMS: Final = 500
MAX_REQUEST_BYTES: Final = 4 << 20
MAX_REQUESTS: Final = 2
"""Bulk requests under way at a time."""
MAX_WAITING_BYTES: Final = 32 << 20
"""Beyond it whoever puts more waits until some have been written."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0

_log = structlog.get_logger(__name__)


class _Ticket:
    """What one caller waits for: all of its actions."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: MemgridError | None = None
        self.refused: list[tuple[str, str]] = []

    def settle(self, *, refused: tuple[str, str] | None = None, failure: MemgridError | None = None) -> None:
        self.left -= 1
        if refused is not None:
            self.refused.append(refused)
        self.failure = self.failure or failure
        if self.left or self.future.done():
            return
        if self.failure is not None:
            self.future.set_exception(self.failure)
        elif self.refused:
            self.future.set_exception(RefusedDocuments(self.refused))
        else:
            self.future.set_result(None)


class _Waiting(NamedTuple):
    action: Action
    ticket: _Ticket


class BulkWriter:
    """Sends actions to the index behind `alias`; `make` is called when that is not there."""

    def __init__(
        self,
        client: AsyncOpenSearch,
        alias: str,
        *,
        patience: float,
        make: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._alias = alias
        self._patience = patience
        """Seconds for which a busy server is asked again."""
        self._make = make
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._room = asyncio.Condition()
        self._senders: set[asyncio.Task[None]] = set()

    @property
    def waiting_bytes(self) -> int:
        """What has been accepted and is not written yet."""
        return self._bytes

    async def write(self, actions: Sequence[Action]) -> None:
        """Returns when all are in the index, or known to be out of date.

        Raises Unavailable, Overloaded, and RefusedDocuments after everything else was written.
        """
        if not actions:
            return
        ticket = _Ticket(len(actions))
        for action in actions:
            async with self._room:
                # what exceeds the limit by itself must get in, too
                await self._room.wait_for(lambda: self._bytes < MAX_WAITING_BYTES)
                self._bytes += len(action.lines)
            self._queue.append(_Waiting(action, ticket))
            if len(self._senders) < MAX_REQUESTS:
                self._senders.add(asyncio.create_task(self._send_all()))
        await ticket.future

    async def close(self) -> None:
        """Let what was accepted end, well or badly."""
        while self._senders:
            await asyncio.wait(self._senders)

    async def _send_all(self) -> None:
        try:
            while self._queue:
                batch = self._next_batch()
                await self._deliver(batch)
                async with self._room:
                    self._bytes -= sum(len(each.action.lines) for each in batch)
                    self._room.notify_all()
        finally:
            # in the same step as the queue was seen to be empty: what comes next starts another
            sender = asyncio.current_task()
            assert sender is not None  # noqa: S101
            self._senders.discard(sender)

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._queue.popleft()]
        size = len(batch[0].action.lines)
        while self._queue and len(batch) < MAX_REQUEST_ITEMS:
            size += len(self._queue[0].action.lines)
            if size > MAX_REQUEST_BYTES:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _deliver(self, batch: Sequence[_Waiting]) -> None:
        """Settle every action of the batch, asking again while the server is busy."""
        until = asyncio.get_running_loop().time() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                batch, busy = await self._once(batch)
            except (Unavailable, Overloaded) as error:
                busy = error
                if not isinstance(error, Overloaded | Missing | Blocked):
                    _fail(batch, error)
                    return
            except MemgridError as error:
                _fail(batch, error)
                return
            if not batch or busy is None:
                return
            if asyncio.get_running_loop().time() + pause > until:
                _fail(batch, busy)
                return
            try:
                if isinstance(busy, Missing):
                    await self._make()
            except MemgridError as error:
                _fail(batch, error)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, batch: Sequence[_Waiting]) -> tuple[list[_Waiting], MemgridError | None]:
        """One request; what has to be sent again, and why."""
        answer = await asked(
            self._client.bulk(
                body=b"".join(each.action.lines for each in batch),
                index=self._alias,
                # an index of that name would be made by the server, with a mapping that it guesses
                params={"require_alias": "true", "filter_path": "errors,items.*.status,items.*.error"},
            )
        )
        if not answer["errors"]:
            for each in batch:
                each.ticket.settle()
            return [], None
        again: list[_Waiting] = []
        why: MemgridError | None = None
        for each, item in zip(batch, answer["items"], strict=True):
            status, error = int(item["index"]["status"]), item["index"].get("error")
            if status < 300 or status == 409:
                each.ticket.settle()
                continue
            failure = _failure(status, error)
            if failure is None:
                reason = reason_of(error)
                _log.error("document refused by the index", id=each.action.name, reason=reason)
                each.ticket.settle(refused=(each.action.name, reason))
            else:
                again.append(each)
                why = failure
        return again, why


def _failure(status: int, error: Any) -> MemgridError | None:
    """Why an action has to be sent again; None when that would be no use."""
    if status == 403:
        return Blocked(reason_of(error), retry_after=RETRY_AFTER)
    if status in (404, 429) or status >= 500:
        return from_status(status, reason_of(error))
    return None


def _fail(batch: Sequence[_Waiting], error: MemgridError) -> None:
    for each in batch:
        each.ticket.settle(failure=error)
