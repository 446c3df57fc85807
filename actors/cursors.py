"""Where a list goes on, as opaque text."""

from __future__ import annotations

import base64
import binascii

from memgrid.errors import InvalidInput


def encode_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Raises InvalidInput for what is no cursor."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error


def encode_offset(offset: int) -> str:
    return encode_cursor(str(offset))


def decode_offset(cursor: str | None) -> int:
    """Raises InvalidInput for what is no cursor of a search."""
    if cursor is None:
        return 0
    text = decode_cursor(cursor)
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise _bad_cursor()
    return int(text)


def _bad_cursor() -> InvalidInput:
    return InvalidInput(
        "this is not a cursor of this list",
        field="cursor",
        remedy="send the cursor of the page before, unchanged",
    )
