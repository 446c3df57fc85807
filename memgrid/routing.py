"""Calling the shard actors: from the HTTP ingress, from batch jobs, from anywhere inside the Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from memgrid.errors import MemgridError
from memgrid.subject import Subject


class Call(NamedTuple):
    """One operation (`memgrid.operations`) on one subject."""

    operation: str
    subject: Subject
    request: BaseModel
    request_id: str
    """A UUIDv7, minted once per logical call: a retry with the same id has one effect."""


class Router(Protocol):
    """Finds the owner of a subject and asks it; a lost owner means a delay, not an error."""

    async def call(self, call: Call, *, timeout: float | None = None) -> bytes:
        """The answer model as JSON. Raises the owner's MemgridError; Unavailable after `timeout` seconds
        without an owner."""
        ...

    async def call_many(
        self, calls: Sequence[Call], *, timeout: float | None = None
    ) -> list[bytes | MemgridError]:
        """Each call's answer or error in its place; one actor call for each shard actor."""
        ...

    async def broadcast(
        self, method: str, *, timeout: float | None = None
    ) -> dict[str, bytes | MemgridError]:
        """Ask every shard actor (`health`, `metrics`, `drain`); by actor name."""
        ...
