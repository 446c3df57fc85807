"""The stored form of values: one opaque MessagePack blob a struct, one half-precision blob a vector."""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

import msgspec
import numpy as np

from cluster.model import Change, Claim, Memory, Message, Run
from cluster.wide_store.port import ApiKeyRow, StoreInfo, Vector
from memgrid.errors import InvalidInput

T = TypeVar("T")

encode = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_memory = msgspec.msgpack.Decoder(Memory).decode
decode_change = msgspec.msgpack.Decoder(Change).decode
decode_run = msgspec.msgpack.Decoder(Run).decode
decode_claim = msgspec.msgpack.Decoder(Claim).decode
decode_api_key = msgspec.msgpack.Decoder(ApiKeyRow).decode
decode_info = msgspec.msgpack.Decoder(StoreInfo).decode
decode_millis = msgspec.msgpack.Decoder(int).decode
decode_dict = msgspec.msgpack.Decoder(dict[str, Any]).decode


def vector_to_bytes(vector: Vector) -> bytes:
    """The vector as little-endian float16: half the size of float32, and what the hot cache keeps anyway."""
    with np.errstate(over="ignore"):
        half = vector.astype("<f2")
    if not np.isfinite(half).all():
        raise InvalidInput("an embedding is not finite, or beyond ±65504", remedy="check the embedding model")
    return half.tobytes()


def vector_from_bytes(blob: bytes) -> Vector:
    return np.frombuffer(blob, dtype="<f2").astype(np.float32)


def cursor_to_text(value: Any) -> str:
    """`value` as an opaque cursor."""
    return base64.urlsafe_b64encode(encode(value)).decode()


def cursor_from_text(cursor: str, shape: type[T]) -> T:
    """The value in `cursor`. Raises InvalidInput when it is not one of ours."""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor.encode()), type=shape)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise bad_cursor() from error


def bad_cursor() -> InvalidInput:
    return InvalidInput("not a cursor of this listing", field="cursor", remedy="start again without a cursor")
