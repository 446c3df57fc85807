"""The connection to OpenSearch: one client, and its errors as memgrid's.

A request that fails before it is answered is sent again by the client, to another host when there are
several: every write carries an external version, so a second one changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,
    ConnectionTimeout,
    NotFoundError,
    SSLError,
    TransportError,
)

from memgrid.errors import InternalError, MemgridError, Overloaded, Unavailable

RETRY_AFTER = 1.0
"""Seconds after which asking again makes sense."""
_CONNECTIONS = 16


class Refused(InternalError):
    """The server does not understand or allow this request."""


class LoginRefused(Unavailable):
    """The server wants another user or password."""


class Missing(Unavailable):
    """The index or alias is not there."""


class Blocked(Unavailable):
    """The index takes no writes: another has taken its place, or its disk is full."""


def connect(
    urls: Sequence[str],
    *,
    user: str | None = None,
    password: str | None = None,
    tls_verify: bool = True,
    tls_certificate: Path | None = None,
    timeout: float = 10.0,
) -> AsyncOpenSearch:
    """A client that connects when it is first used; a request takes at most `timeout` seconds."""
    # What fails is raised, and told by whoever deals with it.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    secure = urls[0].startswith("https://")
    options: dict[str, Any] = {}
    if secure:
        options = {"use_ssl": True, "verify_certs": tls_verify, "ssl_show_warn": False}
        if not tls_verify:
            options["ssl_assert_hostname"] = False
        if tls_certificate is not None:
            options["ca_certs"] = str(tls_certificate)
    if user is not None:
        options["http_auth"] = (user, password or "")
    return AsyncOpenSearch(
        hosts=list(urls),
        timeout=timeout,
        maxsize=_CONNECTIONS,
        # one more try than there are hosts: a kept connection may have been closed meanwhile
        max_retries=len(urls),
        dead_timeout=5,
        **options,
    )


async def asked(request: Awaitable[Any]) -> Any:
    """The answer. Raises Unavailable (Missing, Blocked, LoginRefused), Overloaded or Refused."""
    try:
        return await request
    except TransportError as error:
        raise translated(error) from error


def translated(error: TransportError) -> MemgridError:
    """A failed request as memgrid's error."""
    if isinstance(error, ConnectionTimeout):
        return _away("OpenSearch did not answer in time")
    if isinstance(error, SSLError):
        return _away(f"OpenSearch shows no certificate that can be trusted: {error.error}")
    if isinstance(error, ConnectionError):
        return _away(f"OpenSearch cannot be reached: {error.error}")
    if isinstance(error, AuthenticationException | AuthorizationException):
        if "cluster_block" in str(error.error):
            return Blocked(reason_of(error.info or error.error), retry_after=RETRY_AFTER)
        return LoginRefused(
            f"OpenSearch refuses the login: {reason_of(error.info or error.error)}",
            remedy="see MEMGRID_OPENSEARCH_USERNAME and MEMGRID_OPENSEARCH_PASSWORD",
        )
    if isinstance(error, NotFoundError):
        return Missing(reason_of(error.info or error.error), retry_after=RETRY_AFTER)
    return from_status(int(error.status_code), reason_of(error.info or error.error))


def from_status(status: int, reason: str) -> MemgridError:
    """The error that a status other than success comes to."""
    if status == 429:
        return Overloaded(f"OpenSearch is busy: {reason}", remedy="try again", retry_after=RETRY_AFTER)
    if status == 404:
        return Missing(reason, retry_after=RETRY_AFTER)
    if status >= 500:
        return _away(f"OpenSearch failed: {reason}")
    return Refused(f"OpenSearch answers {status}: {reason}")


def reason_of(info: Any) -> str:
    """What an error's body says, in one line. Never the document: a reason may quote a part of it."""
    error: Any = info.get("error", info) if isinstance(info, dict) else info
    if isinstance(error, dict):
        kind, reason = error.get("type", "error"), str(error.get("reason", ""))
        return f"{kind}: {reason[:300]}"
    return str(error)[:300]


def _away(message: str) -> Unavailable:
    return Unavailable(message, remedy="see that it runs at MEMGRID_OPENSEARCH_URL", retry_after=RETRY_AFTER)
