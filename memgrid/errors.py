"""Every error memgrid raises, one small tree with a stable `code` each.

    MemgridError
    ├── InvalidInput          the request cannot be understood: says which field, and what to do
    │   └── PayloadTooLarge   it is understood, and too big
    ├── Unauthenticated       no key, or one that is not known
    ├── Forbidden             the key's role does not allow this
    ├── NotFound              there is no such thing for this tenant
    ├── Conflict              the same idempotency key with another payload, or an immutable memory
    ├── Overloaded            a limit is reached; `retry_after` says when to come back
    ├── Unavailable           a component cannot be reached just now; retrying is safe
    └── InternalError         a defect in memgrid

The HTTP layer maps `code` to a status in one table (`cluster/api/errors.py`); the clients map it back, so the
same class is caught whichever way memgrid is used.
"""

from __future__ import annotations

from typing import ClassVar


class MemgridError(Exception):
    """Base of all memgrid errors.

    `message` says what happened, `field` names the input at fault (a dotted path, or None), and
    `remedy` what the caller can do about it.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy
        self.retry_after = retry_after


class InvalidInput(MemgridError):
    """The request cannot be understood as it stands."""

    code = "invalid_input"


class PayloadTooLarge(InvalidInput):
    """The request is beyond a size or count limit."""

    code = "payload_too_large"


class Unauthenticated(MemgridError):
    """No API key was given, or it is not a valid one."""

    code = "unauthenticated"


class Forbidden(MemgridError):
    """The API key is valid, but its role does not allow this."""

    code = "forbidden"


class NotFound(MemgridError):
    """There is no such thing for this tenant (someone else's is answered the same way)."""

    code = "not_found"


class Conflict(MemgridError):
    """The request contradicts what is stored: a re-used idempotency key, an immutable memory."""

    code = "conflict"


class Overloaded(MemgridError):
    """A limit is reached; try again after `retry_after` seconds."""

    code = "overloaded"


class Unavailable(MemgridError):
    """A component cannot be reached just now; the same call may be sent again."""

    code = "unavailable"


class InternalError(MemgridError):
    """A defect in memgrid: the log has the details under the request id."""

    code = "internal_error"


_BY_CODE: dict[str, type[MemgridError]] = {
    cls.code: cls
    for cls in (
        InvalidInput,
        PayloadTooLarge,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        Overloaded,
        Unavailable,
        InternalError,
    )
}


def error_from_code(
    code: str,
    message: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    retry_after: float | None = None,
) -> MemgridError:
    """The error of the class that carries `code`; an unknown code gives a plain `MemgridError`."""
    cls = _BY_CODE.get(code, MemgridError)
    return cls(message, field=field, remedy=remedy, retry_after=retry_after)
