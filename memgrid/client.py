"""The HTTP client.

async with AsyncMemgrid() as client:
    await client.add("我叫张三，我喜欢打羽毛球", user_id="zhangsan")
    found = await client.search("他喜欢什么运动？", user_id="zhangsan")
"""

from __future__ import annotations

import asyncio

import httpx
from pydantic import BaseModel

from memgrid import _http
from memgrid._requests import SubjectRef
from memgrid.api import MemgridApi
from memgrid.routes import http_call


class AsyncHttpTransport:
    """Carries operations over HTTP, and sends again what was lost on the way (`memgrid.api.Transport`)."""

    def __init__(
        self,
        base_url: str | None,
        api_key: str | None,
        *,
        timeout: float,
        max_retries: int,
        language: _http.Language | None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = _http.server_url(base_url)
        self._timeout = timeout
        self._max_retries = max_retries
        self._sleep = asyncio.sleep
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers=_http.headers(api_key, language),
            timeout=timeout,
            trust_env=_http.goes_through_proxy(self.url),
            transport=transport,
        )

    async def send(self, operation: str, request: BaseModel, subject: SubjectRef | None) -> bytes:
        """See `memgrid.api.Transport.send`."""
        if self._max_retries > 0:
            request = _http.keyed(request)
        call = http_call(operation, request, subject)
        timeout = httpx.Timeout(self._timeout, read=_http.read_timeout(request, self._timeout))
        attempt = 0
        while True:
            attempt += 1
            cause: httpx.TransportError | None = None
            try:
                response = await self._client.request(
                    call.method, call.path, params=call.query, content=call.body, timeout=timeout
                )
            except httpx.TransportError as failure:
                cause = failure
                error = _http.unreachable(failure, self.url)
            else:
                answer = _http.answer_of(operation, response)
                if answer is not None:
                    return answer
                error = _http.error_of(response)
                answer = _http.already_done(operation, attempt, error)
                if answer is not None:
                    return answer
            pause = _http.pause_before_retry(attempt, error, cause)
            if pause is None or attempt > self._max_retries:
                raise error from cause
            await self._sleep(pause)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class AsyncMemgrid(MemgridApi):
    """memgrid over HTTP.

        async with AsyncMemgrid() as client:
            await client.add("My name is Li Lei, I live in Hangzhou.", user_id="lilei")
            for hit in (await client.search("where does he live?", user_id="lilei")).results:
                print(hit.content)

    `base_url` and `api_key` default to MEMGRID_URL (http://127.0.0.1:8005) and MEMGRID_API_KEY. `timeout` is
    in seconds, for connecting and for each answer; calls that wait for an extraction get 600 at least.
    Connections that fail and answers 429, 502, 503 and 504 (and a 500 that is not memgrid's own, but of a
    front door) are tried again up to `max_retries` times, with backoff and honouring Retry-After; every
    add carries an idempotency key, so that a second attempt changes nothing. One client serves any number
    of concurrent calls; share it.
    `language` is that of the server's own texts (Chinese unless given). `transport` replaces the network,
    for tests.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = _http.DEFAULT_TIMEOUT,
        max_retries: int = 3,
        language: _http.Language | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        http = AsyncHttpTransport(
            base_url,
            api_key,
            timeout=timeout,
            max_retries=max_retries,
            language=language,
            transport=transport,
        )
        super().__init__(http)
        self.base_url = http.url
