"""An HTTP client that connects to public addresses only; no redirects, and no proxies of the environment."""

from __future__ import annotations

import ssl

import httpx2
import openai

from cluster.outbound import Resolve, check_host, resolve


def public_client(trust: ssl.SSLContext | bool) -> httpx2.AsyncClient:
    """The client; `trust` is httpx's `verify`."""
    transport = PublicOnly(httpx2.AsyncHTTPTransport(verify=trust, trust_env=False))
    return openai.DefaultAsyncHttpxClient(transport=transport, follow_redirects=False, trust_env=False)


class PublicOnly(httpx2.AsyncBaseTransport):
    """Sends requests to public addresses only, to the very address that was checked."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, resolver: Resolve = resolve) -> None:
        self._inner = inner
        self._resolve = resolver

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx. Raises ForbiddenAddress; ConnectError for a name that does not resolve."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            address = await check_host(host, port, self._resolve)
        except OSError as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        request.url = request.url.copy_with(host=address)  # its Host header stays what it was
        request.extensions = {**request.extensions, "sni_hostname": host}
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
