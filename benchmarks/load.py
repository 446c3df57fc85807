"""A small closed-loop HTTP/1.1 load generator: so many connections, each sending its next request when the
last is answered. On bare asyncio streams, because a full client costs more CPU than the server under test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What a run measured; times in milliseconds."""

    connections: int
    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def row(self) -> str:
        failed = f"  ({self.errors} errors)" if self.errors else ""
        return f"{self.rate:8.0f}/s  p50 {self.p50:7.2f}  p99 {self.p99:7.2f}{failed}"


Request = Callable[[int], bytes]
"""The bytes of request number n."""


def http_request(method: str, path: str, port: int, body: bytes = b"", headers: str = "") -> bytes:
    """One request with keep-alive."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    ).encode() + body


async def measure(
    port: int, request: Request, *, connections: int, seconds: float, warm_up: float = 1.0
) -> Figures:
    """Load `127.0.0.1:port` for `seconds`; what the first `warm_up` seconds measure is thrown away."""
    begin = time.perf_counter() + warm_up
    end = begin + seconds
    numbers = iter(range(1 << 60))
    times: list[float] = []
    errors = 0

    async def one() -> None:
        nonlocal errors
        while time.perf_counter() < end:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while (started := time.perf_counter()) < end:
                    writer.write(request(next(numbers)))
                    status = await _answer(reader)
                    if started >= begin:
                        times.append(time.perf_counter() - started)
                        errors += status >= 400
            except (asyncio.IncompleteReadError, ConnectionError):
                # A proxy that replaces itself closes its connections; what it had not answered is an error.
                errors += time.perf_counter() >= begin
            finally:
                writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    times.sort()
    return Figures(
        connections=connections,
        requests=len(times),
        seconds=seconds,
        p50=times[len(times) // 2] * 1000 if times else float("nan"),
        p99=times[min(len(times) - 1, len(times) * 99 // 100)] * 1000 if times else float("nan"),
        errors=errors,
    )


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return status
    at = lower.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
    return status
