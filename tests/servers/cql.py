"""As much of Cassandra's protocol as tells whether a node answers; the driver would keep pools and threads.

CQL binary protocol v4: github.com/apache/cassandra, doc/native_protocol_v4.spec.
"""

from __future__ import annotations

import socket
import ssl
import struct

ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED, QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = (
    0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x0F, 0x10,
)  # fmt: skip
QUORUM, ALL = 0x0004, 0x0005


class Refused(Exception):
    """The node answered with an error."""


class CqlConnection:
    """One request after the other. Raises OSError when nobody is there, and Refused."""

    def __init__(self, host: str, port: int, *, ca: str | None = None, timeout: float = 10) -> None:
        plain = socket.create_connection((host, port), timeout)
        if ca is None:
            self._socket = plain
        else:
            try:
                self._socket = ssl.create_default_context(cafile=ca).wrap_socket(plain, server_hostname=host)
            except OSError:
                plain.close()
                raise

    def __enter__(self) -> CqlConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def options(self) -> None:
        """Ask what it supports: the one thing that needs no login."""
        self._ask(OPTIONS, b"", SUPPORTED)

    def log_in(self, login: tuple[str, str] | None) -> None:
        """Open the session, as a user when `login` names one."""
        answer = self._ask(STARTUP, b"\0\1" + _string("CQL_VERSION") + _string("3.0.0"), READY, AUTHENTICATE)
        if answer == AUTHENTICATE:
            token = "".join(f"\0{part}" for part in login or ("", "")).encode()
            self._ask(AUTH_RESPONSE, struct.pack(">i", len(token)) + token, AUTH_SUCCESS)

    def query(self, text: str, consistency: int) -> None:
        """Run a statement; its rows are not of interest."""
        body = text.encode()
        self._ask(QUERY, struct.pack(">i", len(body)) + body + struct.pack(">HB", consistency, 0), RESULT)

    def _ask(self, opcode: int, body: bytes, *expected: int) -> int:
        self._socket.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
        _, _, _, answer, length = struct.unpack(">BBhBi", self._read(9))
        said = self._read(length)
        if answer not in expected:
            raise Refused(f"opcode {answer}: {said[6:].decode(errors='replace')}")
        return answer

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError("closed in the middle of an answer")
            data += piece
        return data


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
