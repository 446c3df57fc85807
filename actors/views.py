"""From stored rows to what callers see."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.model import Memory, Message, Millis, Run
from memgrid.models import MemoryOut, MessageOut, RunOut


def moment(at: Millis) -> datetime:
    """Milliseconds since the epoch as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)


def optional_moment(at: Millis | None) -> datetime | None:
    return None if at is None else moment(at)


def memory_out(memory: Memory) -> MemoryOut:
    """A memory as callers see it."""
    return MemoryOut.model_construct(
        id=memory.id,
        memory=memory.text,
        kind=memory.kind,
        user_id=memory.labels.get("user"),
        agent_id=memory.labels.get("agent"),
        app_id=memory.labels.get("app"),
        run_id=memory.labels.get("run"),
        session_id=memory.session,
        topic=memory.topic,
        subtopic=memory.subtopic,
        profile_type=memory.profile_type,
        tags=list(memory.tags),
        category=memory.category,
        attributes=memory.attributes,
        metadata=memory.metadata,
        source_message_ids=list(memory.sources),
        source_type=memory.source_type,
        confidence=memory.confidence,
        language=memory.language,
        created_at=moment(memory.created_at),
        updated_at=moment(memory.updated_at),
        event_time=optional_moment(memory.event_time),
        valid_from=optional_moment(memory.valid_from),
        valid_to=optional_moment(memory.valid_to),
        expires_at=optional_moment(memory.expires_at),
        immutable=memory.immutable,
        pinned=memory.pinned,
        superseded_by=memory.superseded_by,
        revision=memory.revision,
    )


def message_out(message: Message, status: str) -> MessageOut:
    """A message as callers see it."""
    return MessageOut.model_construct(
        id=message.id,
        session_id=message.session,
        role=message.role,
        content=message.content,
        name=message.name,
        client_id=message.client_id,
        event_time=moment(message.event_time),
        created_at=moment(message.created_at),
        marks=list(message.marks),
        tokens=message.tokens,
        metadata=message.metadata,
        labels=message.labels,
        infer=message.infer,
        extra=message.extra,
        status=status,
    )


def run_out(run: Run) -> RunOut:
    """An extraction run as callers see it: what it has taken is with what driving it again has."""
    spent = run.spent + run.driven
    return RunOut(
        id=run.id,
        status=run.status,
        message_ids=list(run.input_ids),
        memory_ids=list(run.memory_ids),
        extractor=run.extractor,
        prompt_version=run.prompt_version,
        model=run.model,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        attempts=run.attempts,
        cost=spent.cost,
        llm_calls=spent.calls,
        dropped_claims=spent.dropped,
        duration_ms=spent.duration_ms,
        error=run.error,
        created_at=moment(run.created_at),
    )
