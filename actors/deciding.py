"""From what was extracted to what is to be committed: merged, and with the labels of where it was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast, get_args

import msgspec

from actors.resident import Resident
from cluster.ids import new_id
from cluster.model import Memory, Message, Millis
from cluster.pipeline.merge import Decisions, KnownIndex, merge, verbatim
from cluster.pipeline.port import Extraction
from cluster.profile_topics import TopicRules
from memgrid.models import SourceType


def decide(
    resident: Resident,
    messages: Sequence[Message],
    extraction: Extraction,
    topics: TopicRules,
    *,
    now: Millis,
    max_memories: int,
) -> Decisions:
    """What an extraction makes of what is known. Changes nothing: it reads what `resident.writing` keeps as
    it is, and may do so in a thread."""
    known = resident.known
    subject, labels = resident.subject, messages[-1].labels
    kept = verbatim(
        [message for message in messages if not message.infer],
        known,
        subject=subject,
        labels=labels,
        now=now,
        new_id=new_id,
        max_memories=max_memories,
    )
    if not extraction.candidates:
        return msgspec.structs.replace(kept, put=_placed(kept.put, messages))
    if kept.put or kept.delete:
        known = KnownIndex(resident.hot.memories())
        known.apply(kept)
    found = merge(
        extraction.candidates,
        known,
        subject=subject,
        labels=labels,
        session=messages[-1].session,
        now=now,
        new_id=new_id,
        max_memories=max_memories,
        said_at={message.id: message.event_time for message in messages},
        admits=topics.admits,
        topic_cap=topics.cap if topics.has_caps else None,
    )
    delete = dict.fromkeys(kept.delete + found.delete)
    put = {memory.id: memory for memory in (*kept.put, *found.put) if memory.id not in delete}
    return Decisions(
        put=_placed(put.values(), messages),
        delete=tuple(delete),
        entries=kept.entries + found.entries,
        decisions=kept.decisions + found.decisions,
    )


def _placed(memories: Iterable[Memory], messages: Sequence[Message]) -> tuple[Memory, ...]:
    """New memories with the session, labels and metadata of the newest message they rest on."""
    by_id = {message.id: message for message in messages}
    placed: list[Memory] = []
    for memory in memories:
        source = next((by_id[i] for i in reversed(memory.sources) if i in by_id), None)
        if source is None or memory.revision:
            placed.append(memory)
            continue
        source_type = source.metadata.get("source_type")
        given = source_type if source_type in get_args(SourceType) else "conversation"
        placed.append(
            msgspec.structs.replace(
                memory,
                session=source.session,
                labels={**memory.labels, **source.labels},
                tags=memory.tags or _texts(source.metadata.get("tags")),
                category=memory.category or _text(source.metadata.get("category")),
                source_type=given,
                metadata={
                    "source": given,
                    "timestamp": _iso(source.event_time),
                    **source.metadata,
                },
            )
        )
    return tuple(placed)


def _iso(at: Millis) -> str:
    """As times are written in answers."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in cast("list[Any]", value) if isinstance(item, str))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
