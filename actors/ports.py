"""Ports that a server of our own can have."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Collection, Sequence
from pathlib import Path

_LOWEST = 10_240


def free_ports(
    count: int, addresses: Sequence[str] = ("127.0.0.1",), taken: Collection[int] = ()
) -> list[int]:
    """So many different ports, none of them of `taken`, that nobody listens on just now.

    Below those that the kernel gives away by itself: between now and when the server listens many processes
    start, and each may be given any of those; and a client that keeps knocking at the port of a killed server
    would one day be given that very port, connect to itself, and so keep the server out. Raises OSError when
    there are not so many, or an address is not this machine's.
    """
    found: list[int] = []
    for port in random.sample(range(_LOWEST, _first_ephemeral_port()), 1000):
        if len(found) == count:
            break
        if port not in taken and is_free(port, addresses):
            found.append(port)
    if len(found) < count:
        raise OSError(errno.EADDRINUSE, f"no free port on {', '.join(addresses)}")
    return found


def is_free(port: int, addresses: Sequence[str] = ("127.0.0.1",)) -> bool:
    """Whether a server could listen there now. Raises OSError for an address that is not this machine's."""
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise
                return False
    return True


def _first_ephemeral_port() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return 32_768
    return max(_LOWEST + 1_260, int(text.split()[0]))
