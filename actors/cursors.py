"""Where a list goes on, as opaque text.

A cursor names its list and carries a checksum: one of another list, or one that was cut or changed on its
way, is an error and no wrong page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from memgrid.errors import InvalidInput

_CHECKSUM_BYTES = 4


def encode_cursor(of: str, text: str) -> str:
    """The cursor of the list `of` at `text`."""
    checksum = hashlib.blake2b(f"{of}\0{text}".encode(), digest_size=_CHECKSUM_BYTES).digest()
    return base64.urlsafe_b64encode(checksum + text.encode()).decode().rstrip("=")


def decode_cursor(of: str, cursor: str) -> str:
    """The text of a cursor of the list `of`. Raises InvalidInput for what is none."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        text = raw[_CHECKSUM_BYTES:].decode()
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error
    if encode_cursor(of, text) != cursor:
        raise _bad_cursor()
    return text


def encode_offset(of: str, offset: int) -> str:
    """The cursor of a list that is ranked anew for each page."""
    return encode_cursor(of, str(offset))


def decode_offset(of: str, cursor: str | None) -> int:
    """Where a ranked list goes on; 0 without a cursor. Raises InvalidInput for what is no cursor of it."""
    return 0 if cursor is None else int(decode_cursor(of, cursor))


def _bad_cursor() -> InvalidInput:
    return InvalidInput(
        "this is not a cursor of this list",
        field="cursor",
        remedy="send the cursor of the page before, unchanged",
    )
