"""How an archive of a store is told from a file of conversations."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

ARCHIVE = "memgrid_archive"
"""The key of an archive's first line."""
_GZIP = b"\x1f\x8b"
_START = f'{{"{ARCHIVE}":'.encode()
_PEEK_BYTES = 4096


def is_gzip(stream: BinaryIO) -> bool:
    """Whether what comes next is compressed; nothing is taken from the stream (a pipe must be buffered)."""
    return _ahead(stream).startswith(_GZIP)


def is_archive(stream: BinaryIO) -> bool:
    """Whether what comes next is an archive, compressed or not; nothing is taken from the stream."""
    head = _ahead(stream)
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, len(_START))
        except zlib.error:
            return False
    return head.startswith(_START)


def _ahead(stream: BinaryIO) -> bytes:
    if isinstance(stream, io.BufferedReader):
        return stream.peek(_PEEK_BYTES)[:_PEEK_BYTES]
    at = stream.tell()
    head = stream.read(_PEEK_BYTES)
    stream.seek(at)
    return head
