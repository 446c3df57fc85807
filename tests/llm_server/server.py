"""The scripted server itself: a small HTTP/1.1 server on asyncio, in a thread of its own.

No framework, because a framework would stand between the script and the socket: resets, cut bodies and
bytes that are not UTF-8 are what this is for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.llm_server.replies import Reply, default_reply


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Script = Callable[[Recorded], Reply]


class ScriptedLlmServer:
    """Queued replies are used up first, then `script`, then `default_reply`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._queued: deque[Reply] = deque()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="scripted-llm-server")
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._arrival = threading.Condition()
        self.requests: list[Recorded] = []
        self._at_once = 0
        self.most_at_once = 0
        """The most requests that were being answered at a time."""
        self.script: Script | None = None

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}/v1"

    def reply(self, *replies: Reply) -> None:
        """Answer the next requests with these, one each."""
        self._queued.extend(replies)

    def bodies(self, path: str) -> list[Any]:
        """The bodies of the requests to routes that end with `path`."""
        return [request.body for request in self.requests if request.path.endswith(path)]

    def wait_for_requests(self, count: int, timeout: float = 10) -> None:
        """Block until so many requests have arrived. Raises TimeoutError."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests arrived in {timeout} s")

    def __enter__(self) -> ScriptedLlmServer:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the scripted server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def join(self) -> None:
        """Wait until the server's thread ends."""
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, self._host, self._port, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = False
        try:
            request = await _read(reader)
            with self._arrival:
                self.requests.append(request)
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                self._arrival.notify_all()
            answering = True
            if self._queued:
                reply = self._queued.popleft()
            elif self.script is not None:
                reply = self.script(request)
            else:
                reply = default_reply(request.path, request.body)
            await _write(writer, reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as clients that time out do
        finally:
            self._at_once -= answering
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Recorded:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip().split("\r\n")
    method, path, _ = start.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Recorded(method, path, headers, json.loads(content) if content else None)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.hang:
        await asyncio.Event().wait()
    if reply.reset:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return
    headers = {
        "content-type": "application/json",
        "content-length": str(len(reply.body)),
        "connection": "close",
        **reply.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n{head}\r\n".encode("latin-1"))
    if reply.drip_seconds is None:
        writer.write(reply.body[: reply.cut_after])
    else:
        for at in range(len(reply.body)):
            writer.write(reply.body[at : at + 1])
            await writer.drain()
            await asyncio.sleep(reply.drip_seconds)
    await writer.drain()
