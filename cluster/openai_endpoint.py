"""One way to call an OpenAI-compatible endpoint: a deadline for each attempt, retries, and errors of ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec
import openai
import stamina

from cluster.circuit import Circuit
from cluster.ids import Clock, system_clock
from cluster.llm.errors import NotTried
from cluster.outbound import ForbiddenAddress
from cluster.public_only import public_client
from memgrid.errors import InvalidInput, MemgridError, Unavailable

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
MAX_RETRY_AFTER: Final = 60.0
"""Seconds of a `Retry-After` that are waited for here; told to wait longer, the caller is told so."""
_MAX_DETAIL = 300
_RETRIED = frozenset({408, 409, 425, 429})

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class RawAnswer(Protocol):
    """What `with_raw_response` gives: the body as it came."""

    @property
    def content(self) -> bytes: ...


class RefusedRequest(InvalidInput):
    """The endpoint does not take this request as it stands (400, 413, 422): sending it again is no use."""

    def __init__(
        self, message: str, *, reason: str, parameter: str | None, remedy: str | None = None
    ) -> None:
        """`reason` is the endpoint's own text and error code, `parameter` what it says is at fault."""
        super().__init__(message, remedy=remedy)
        self.reason = reason
        self.parameter = parameter


class MalformedAnswer(Unavailable):
    """The endpoint answered 200 with something that is not the API's answer."""


class _Retry(Exception):
    """Carries an error that is worth another attempt to the retry loop."""

    def __init__(self, error: Unavailable, after: float | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


class OpenAIEndpoint:
    """A client for one endpoint.

    Each attempt has `timeout` seconds from the first byte sent to the last received. Rate limits, timeouts,
    5xx and connection errors are tried again `max_retries` times with exponential backoff and jitter, or
    after the time the endpoint names in `Retry-After`.
    """

    def __init__(
        self,
        kind: Literal["embedding", "llm"],
        *,
        base_url: str | None,
        api_key: str | None,
        timeout: float,
        max_retries: int,
        tls_verify: bool = True,
        tls_certificate: Path | None = None,
        clock: Clock = system_clock,
        circuit: Circuit | None = None,
        public_only: bool = False,
    ) -> None:
        """`kind` is the prefix of the settings that errors point at; `tls_certificate` is a PEM file of
        the authorities to trust instead of the usual ones. `public_only` is for an endpoint that a tenant
        has named (see `cluster.outbound`). Raises InvalidInput when the certificate cannot be read."""
        self._kind = kind
        self._timeout = timeout
        self._attempts = max_retries + 1
        self._clock = clock
        self._url = base_url or OPENAI_BASE_URL
        self._circuit = circuit or Circuit()
        trust = self._trust(tls_verify, tls_certificate)
        self.client = openai.AsyncOpenAI(
            base_url=self._url,
            # Given always: with None the library would send OPENAI_API_KEY to whatever endpoint this is.
            api_key=api_key or "none",
            timeout=timeout,
            max_retries=0,
            http_client=public_client(trust) if public_only else openai.DefaultAsyncHttpxClient(verify=trust),
        )

    def _trust(self, verify: bool, certificate: Path | None) -> ssl.SSLContext | bool:
        if not verify or certificate is None:
            return verify
        try:
            return ssl.create_default_context(cafile=certificate)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidInput(
                f"the TLS certificate {certificate} cannot be used: {error}",
                field=f"{self._kind}_tls_certificate",
                remedy="name a PEM file with the certificates of the authorities to trust",
            ) from error

    async def request(
        self,
        send: Callable[[], Awaitable[RawAnswer]],
        answer: type[_Answer],
        *,
        admitted: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
    ) -> _Answer:
        """Send, and decode the body. Raises Unavailable (with `retry_after` where the endpoint names a time;
        `NotTried` while it rests), RefusedRequest or MalformedAnswer. Each attempt is made in a context of
        its own that `admitted` gives, outside of the attempt's deadline."""
        if (rest := self._circuit.rest()) > 0:
            raise NotTried(f"the {self._kind} endpoint rests after failures", retry_after=rest)
        body = b""
        try:
            async for attempt in stamina.retry_context(
                on=_backoff, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=8.0
            ):
                with attempt:
                    async with admitted():
                        body = (await self._attempt(send)).content
        except _Retry as retry:
            raise retry.error from retry.__cause__
        finally:
            self._circuit.given_up()
        try:
            return msgspec.json.decode(body, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # the latter: invalid UTF-8 in a string
            raise MalformedAnswer(f"the {self._kind} endpoint's answer is malformed: {error}") from error

    async def close(self) -> None:
        await self.client.close()

    async def _attempt(self, send: Callable[[], Awaitable[RawAnswer]]) -> RawAnswer:
        try:
            async with asyncio.timeout(self._timeout):  # the library's own timeout starts anew at every byte
                raw = await send()
        except (TimeoutError, openai.APITimeoutError) as error:
            self._circuit.failed()
            raise _Retry(
                Unavailable(f"the {self._kind} endpoint did not answer within {self._timeout:g} s"), None
            ) from error
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            if isinstance(cause, ForbiddenAddress):
                raise cause from error
            self._circuit.failed()
            raise _Retry(
                Unavailable(
                    f"the {self._kind} endpoint cannot be reached: {cause}",
                    remedy=f"check {self._kind}_base_url ({self._url})",
                ),
                None,
            ) from error
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        self._circuit.succeeded()
        return raw

    def _refusal(self, error: openai.APIStatusError) -> MemgridError | _Retry:
        status = error.status_code
        detail = error.message[:_MAX_DETAIL]
        message = f"the {self._kind} endpoint answered {status}: {detail}"
        if status in _RETRIED or status >= 500:
            after = _retry_after(error.response.headers, self._clock)
            if after is not None:
                self._circuit.told_to_wait(after)
            elif status >= 500:
                self._circuit.failed()
            retry = _Retry(Unavailable(message, retry_after=after), after)
            return retry if after is None or after <= MAX_RETRY_AFTER else retry.error
        self._circuit.succeeded()
        if status in (401, 403):
            return Unavailable(message, remedy=f"check {self._kind}_api_key")
        if status in (400, 413, 422):
            reason = f"{error.code or ''} {error.message}".lower()
            return RefusedRequest(message, reason=reason, parameter=error.param)
        return Unavailable(message, remedy=f"check {self._kind}_base_url and {self._kind}_model")


def _backoff(error: Exception) -> bool | float:
    if not isinstance(error, _Retry):
        return False
    return True if error.after is None else error.after


def _retry_after(headers: Any, clock: Clock) -> float | None:
    """Seconds from `retry-after-ms` or `Retry-After` (seconds or a date); None where neither makes sense."""
    value: str | None = headers.get("retry-after-ms")
    scale = 1000.0
    if value is None:
        value, scale = headers.get("retry-after"), 1.0
    if value is None:
        return None
    try:
        seconds = float(value) / scale
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - clock() / 1000
        except ValueError:
            return None
    return seconds if 0 <= seconds < 86_400 else None
