"""A TCP proxy that loses a chosen request, or the answer to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

Loss = Literal["request", "answer", "answer, silently"]
"""Cut before the request goes on; cut after it went on; or say nothing more, with the connection open."""


class CuttingProxy:
    """Forwards to `port` of this machine. The next request with `marker` in it gets lost."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.marker: bytes | None = None
        self.loss: Loss = "answer"
        self.lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def lose(self, marker: bytes, loss: Loss) -> None:
        self.marker, self.loss = marker, loss
        self.lost.clear()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CuttingProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        silent, answered = asyncio.Event(), asyncio.Event()
        answers = asyncio.create_task(self._answers(to_reader, writer, silent, answered))
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(1 << 16):
                    if self.marker is None or self.marker not in data:
                        to_writer.write(data)
                        await to_writer.drain()
                        continue
                    self.marker = None
                    silent.set()
                    if self.loss != "request":
                        to_writer.write(data)
                        await answered.wait()
                    self.lost.set()
                    if self.loss != "answer, silently":
                        break
        finally:
            answers.cancel()
            for each in (writer, to_writer):
                each.close()

    async def _answers(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        silent: asyncio.Event,
        answered: asyncio.Event,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if silent.is_set():
                    answered.set()
                else:
                    writer.write(data)
                    await writer.drain()
