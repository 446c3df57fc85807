"""What carries a client's operations, and the base of everything that sends them."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from memgrid._requests import SubjectRef, first_problem
from memgrid.errors import MemgridError

_A = TypeVar("_A", bound=BaseModel)


class Transport(Protocol):
    """Carries one operation to memgrid and brings its answer back.

    `operation` is a name of `memgrid.operations.OPERATIONS`, or `add_batch` (BatchAddRequest →
    BatchAddResult) or `health` (Nothing → HealthDetail). `subject` is None where the operation names an
    id (of a memory or run) and nothing else: the other side finds whose it is.
    """

    async def send(self, operation: str, request: BaseModel, subject: SubjectRef | None) -> bytes:
        """The answer model as JSON. Raises the MemgridError the other side answered with."""
        ...

    async def aclose(self) -> None:
        """Give the connection back."""
        ...


class Sender:
    """Sends operations, and reads their answers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections back. Calls after it fail."""
        await self._transport.aclose()

    async def _ask(
        self, operation: str, request: BaseModel, subject: SubjectRef | None, answer: type[_A]
    ) -> _A:
        raw = await self._transport.send(operation, request, subject)
        try:
            return answer.model_validate_json(raw)
        except ValidationError as error:
            raise MemgridError(
                f"the answer to {operation!r} is not what this client knows: {first_problem(error)[1]}",
                remedy="check that this is a memgrid server, and of the version of this client",
            ) from error
