"""What a filter can ask of a memory or message: each key, and where its value is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast, get_args

from cluster.model import Memory, Message, Millis
from cluster.retrieval.filter_dates import span_of
from memgrid.models import MemoryKind, ResultType, SourceType

Unit = Memory | Message
Getter = Callable[[Unit], Any]


def _label(kind: str) -> Getter:
    return lambda unit: unit.labels.get(kind)


def _memory_only(name: str) -> Getter:
    return lambda unit: getattr(unit, name) if isinstance(unit, Memory) else None


def _message_only(name: str) -> Getter:
    return lambda unit: getattr(unit, name) if isinstance(unit, Message) else None


def _text(unit: Unit) -> str:
    return unit.text if isinstance(unit, Memory) else unit.content


def _category(unit: Unit) -> Any:
    if isinstance(unit, Memory) and unit.category is not None:
        return unit.category
    return unit.metadata.get("category")


def _tags(unit: Unit) -> Any:
    if isinstance(unit, Memory) and unit.tags:
        return unit.tags
    return unit.metadata.get("tags")


def _source_type(unit: Unit) -> Any:
    # a memory's own default must not hide what its adder said
    given = unit.metadata.get("source_type")
    if given is not None:
        return given
    return unit.source_type if isinstance(unit, Memory) else "conversation"


def _conversation(unit: Unit) -> Any:
    return unit.metadata.get("conversation_id", unit.session)


def _created_at(unit: Unit) -> Millis:
    given = _date_given(unit, "created_at")
    return unit.created_at if given is None else given


def _updated_at(unit: Unit) -> Millis:
    given = _date_given(unit, "updated_at")
    if given is not None:
        return given
    return unit.updated_at if isinstance(unit, Memory) else unit.created_at


def _date_given(unit: Unit, key: str) -> Millis | None:
    """What the metadata says; None where it says nothing, or no date."""
    given = unit.metadata.get(key)
    if given is None:
        return None
    try:
        return span_of(given)[0]
    except ValueError:
        return None


def _timestamp(unit: Unit) -> Millis:
    return unit.created_at if unit.event_time is None else unit.event_time


LABEL_OF: Final[Mapping[str, str]] = {
    "user_id": "user",
    "agent_id": "agent",
    "app_id": "app",
    "run_id": "run",
}

VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": get_args(MemoryKind),
    "type": get_args(ResultType),
    "source_type": get_args(SourceType),
}

DATES: Final[Mapping[str, Getter]] = {
    "created_at": _created_at,
    "updated_at": _updated_at,
    "timestamp": _timestamp,
    "event_time": lambda unit: unit.event_time,
    "expires_at": _memory_only("expires_at"),
    "expiration_date": _memory_only("expires_at"),
}

FIELDS: Final[Mapping[str, Getter]] = {
    **{key: _label(kind) for key, kind in LABEL_OF.items()},
    "session_id": lambda unit: unit.session,
    "conversation_id": _conversation,
    "id": lambda unit: unit.id,
    "ids": lambda unit: unit.id,
    "memory_ids": lambda unit: unit.id if isinstance(unit, Memory) else None,
    "kind": _memory_only("kind"),
    "type": lambda unit: "memory" if isinstance(unit, Memory) else "message",
    "topic": _memory_only("topic"),
    "subtopic": _memory_only("subtopic"),
    "profile_type": _memory_only("profile_type"),
    "category": _category,
    "categories": _category,
    "tags": _tags,
    "text": _text,
    "keywords": _text,
    "role": _message_only("role"),
    "name": _message_only("name"),
    "source_type": _source_type,
    "language": _memory_only("language"),
    **DATES,
}

CONSTANTS: Final = ("tenant_id", "embedding_model")
"""Keys whose value is the same for all units of a subject, but where a unit's metadata says otherwise."""


def constant(key: str, value: str | None) -> Getter:
    """What the metadata says at a key of CONSTANTS, or else `value`."""
    return lambda unit: unit.metadata.get(key, value)


def metadata_at(path: Sequence[str]) -> Getter:
    """The value at a path of metadata keys; None where it leads nowhere."""
    if len(path) == 1:
        key = path[0]
        return lambda unit: unit.metadata.get(key)

    def get(unit: Unit) -> Any:
        value: Any = unit.metadata
        for key in path:
            if not isinstance(value, dict):
                return None
            value = cast("dict[str, Any]", value).get(key)
        return value

    return get
