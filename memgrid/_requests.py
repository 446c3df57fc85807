"""From a method's arguments to a request model, and the subject they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, ValidationError

from memgrid.errors import InvalidInput
from memgrid.models import MessageIn
from memgrid.subject import SUBJECT_KINDS, SubjectKind

Messages: TypeAlias = "str | MessageIn | Mapping[str, Any] | Sequence[MessageIn | Mapping[str, Any]]"
"""One text (said by the user), one message, or several, as OpenAI-style dicts or `MessageIn`."""

_R = TypeVar("_R", bound=BaseModel)


class SubjectRef(NamedTuple):
    """A subject as a client names it; the tenant comes from the API key or the connection."""

    kind: SubjectKind
    id: str


class OtherWhose(TypedDict, total=False):
    """A subject that is not a user."""

    agent_id: str | None
    app_id: str | None
    run_id: str | None


class Whose(OtherWhose, total=False):
    """Whose memory it is: the first given of user, agent, app and run is where the memory lives."""

    user_id: str | None


class Unset:
    """The type of `UNSET`."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""An argument that was not given, where None means something else."""


def build(
    model: type[_R],
    given: Mapping[str, Any] | None = None,
    /,
    **arguments: Any,
) -> _R:
    """The request model from `given` as it is, and from those `arguments` that are not None.

    Raises InvalidInput, naming the field, when a value is out of range.
    """
    values = {name: value for name, value in arguments.items() if value is not None}
    try:
        return model.model_validate({**values, **(given or {})})
    except ValidationError as error:
        field, message = first_problem(error)
        raise InvalidInput(message, field=field) from error


def first_problem(error: ValidationError) -> tuple[str | None, str]:
    """The dotted path of the first field at fault, and what is wrong with it."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    return field, f"{field}: {first['msg']}" if field else first["msg"]


def as_messages(messages: Messages) -> Sequence[MessageIn | Mapping[str, Any]]:
    """The messages as a list, whichever way they were given."""
    if isinstance(messages, str):
        return [MessageIn(content=messages)]
    if isinstance(messages, (MessageIn, Mapping)):
        return [messages]
    return messages


def subject_of(**whose: Unpack[Whose]) -> SubjectRef | None:
    """The first that is given: there the memory lives."""
    ids = (whose.get("user_id"), whose.get("agent_id"), whose.get("app_id"), whose.get("run_id"))
    for kind, id_ in zip(SUBJECT_KINDS, ids, strict=True):
        if id_ is not None:
            return SubjectRef(kind, id_)
    return None


def required_subject(**whose: Unpack[Whose]) -> SubjectRef:
    """The same, where nothing can be asked without one. Raises InvalidInput."""
    subject = subject_of(**whose)
    if subject is None:
        raise InvalidInput(
            "whose memory is meant?",
            field="user_id",
            remedy="give one of user_id, agent_id, app_id, run_id",
        )
    return subject


def other_labels(subject: SubjectRef, **whose: Unpack[Whose]) -> dict[str, str]:
    """The ids given beside the subject's own, by kind."""
    ids = (whose.get("user_id"), whose.get("agent_id"), whose.get("app_id"), whose.get("run_id"))
    named = zip(SUBJECT_KINDS, ids, strict=True)
    return {kind: id_ for kind, id_ in named if id_ is not None and kind != subject.kind}
