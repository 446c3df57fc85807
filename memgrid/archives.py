"""How an archive of a store is told from a file of conversations."""

from __future__ import annotations

import io
import zlib

ARCHIVE = "memgrid_archive"
"""The key of an archive's first line."""
_GZIP = b"\x1f\x8b"
_START = f'{{"{ARCHIVE}":'.encode()
_PEEK_BYTES = 4096


def is_gzip(stream: io.BufferedReader) -> bool:
    """Whether what comes next is compressed; nothing is taken from the stream."""
    return stream.peek(len(_GZIP)).startswith(_GZIP)


def is_archive(stream: io.BufferedReader) -> bool:
    """Whether what comes next is an archive, compressed or not; nothing is taken from the stream."""
    head = stream.peek(_PEEK_BYTES)[:_PEEK_BYTES]
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, len(_START))
        except zlib.error:
            return False
    return head.startswith(_START)
