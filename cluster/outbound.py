"""Which addresses an endpoint that a tenant names may be at: public ones only (no SSRF).

The name is resolved here, every address it has is checked, and the connection goes to one that was checked: a
name that answers differently the second time (DNS rebinding) gains nothing. Whatever spelling of an address
the system's resolver understands (decimal, octal, short forms) is judged by what it resolves to.
`public_only.py` holds an HTTP client to it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from memgrid.errors import InvalidInput

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to IP addresses. Raises OSError."""

_PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")
"""Partly global by the registry; a cloud has its metadata there."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REMEDY = "name a public endpoint, or let the operator set llm_allow_private_endpoints"


class ForbiddenAddress(InvalidInput):
    """The endpoint is, or may be, inside the operator's network."""


async def resolve(host: str, port: int) -> list[str]:
    """The host's addresses by the system's resolver. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def is_public(address: str) -> bool:
    """Whether the address is one on the public internet, whichever way it is wrapped in another."""
    try:
        ip: IpAddress = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _inside(ip)
        if inner is not None:
            return is_public(str(inner))
    if isinstance(ip, ipaddress.IPv4Address) and ip in _PROTOCOLS:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to this one end up at."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    low = int(ip) & 0xFFFF_FFFF
    if ip in _NAT64 or (int(ip) >> 32 == 0 and low > 1):
        return ipaddress.IPv4Address(low)
    return None


async def check_host(host: str, port: int, resolver: Resolve = resolve) -> str:
    """An address to connect to. Raises ForbiddenAddress if any of the host's is not public; OSError."""
    addresses = await resolver(host.strip("[]"), port)
    if not addresses:
        raise OSError(f"{host} has no address")
    if not all(is_public(address) for address in addresses):
        raise ForbiddenAddress(f"{host} is not a public address", field="base_url", remedy=_REMEDY)
    return addresses[0]


async def check_url(url: str, resolver: Resolve = resolve) -> None:
    """Refuse an endpoint that can be seen to be forbidden. One whose name does not resolve now may later,
    and is checked then. Raises InvalidInput."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InvalidInput(f"{url} has no valid port", field="base_url") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{url} is no http(s) address", field="base_url")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "an endpoint has no user in it", field="base_url", remedy="give the key as api_key"
        )
    try:
        await check_host(parts.hostname, port, resolver)
    except UnicodeError as error:
        raise InvalidInput(f"{parts.hostname} is no host name", field="base_url") from error
    except OSError:
        return
