"""What an examination says."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed"]

SCHEMA = "cassandra schema"
"""The finding that says whether there is a store to open."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    fix: str | None = None
