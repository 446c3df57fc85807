"""What is recorded of a run beside its row: calls, decisions, claims that were not believed.

Of what people said it keeps no text but what the model made of it: the messages and memories that it was
shown are ids. So the record can be dropped with what it rests on: with the run's own messages and memories by
the store (see `WideStore.put_run_record`), with what else a text of it may repeat by `standing_record`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Literal

import msgspec

from cluster.model import Change
from cluster.pipeline.merge import Decision
from cluster.pipeline.port import Dropped, LlmCall, Trace
from cluster.wide_store.port import MAX_RUN_RECORD_BYTES, WideStore
from memgrid.subject import Subject

_CUT_ANSWER = 2000
_CUT_LIST = 1000
_PAGE = 1000


class RecordedDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one claim."""

    action: Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
    memory_id: str | None
    reason: str
    claim: str
    sources: tuple[str, ...] = ()


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about one run that its row has no room for."""

    calls: tuple[LlmCall, ...] = ()
    decisions: tuple[RecordedDecision, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    summaries: dict[str, str] = {}
    prompts: dict[str, str] = {}
    summarised: int | None = None
    """The subject's revision when a model was shown summaries of before: nothing says what those rest on."""

    def rests_on(self) -> tuple[set[str], set[str]]:
        """The messages and the memories, beside the run's own, whose text may be in it: those that a model
        was shown, and those that a claim was found in."""
        earlier = {message_id for call in self.calls for message_id in call.earlier}
        known = {memory_id for call in self.calls for memory_id in call.known}
        return earlier, known | {each.memory_id for each in self.decisions if each.memory_id is not None}


def record_of(
    trace: Trace, decisions: Sequence[Decision], summaries: dict[str, str], before: RunRecord | None = None
) -> RunRecord:
    """The record of what the trace saw, and what was decided; `before` is that of earlier attempts."""
    before = before or RunRecord()
    shown = [at for at in (before.summarised, trace.summarised) if at is not None]
    return RunRecord(
        calls=(*before.calls, *trace.calls),
        decisions=tuple(
            RecordedDecision(
                action=decision.action,
                memory_id=decision.memory_id,
                reason=decision.reason,
                claim=decision.candidate.text,
                sources=decision.candidate.sources,
            )
            for decision in decisions
        ),
        dropped=(*before.dropped, *trace.dropped),
        summaries=summaries,
        prompts=before.prompts | trace.prompts,
        summarised=min(shown, default=None),
    )


async def standing_record(
    store: WideStore,
    subject: Subject,
    run_id: str,
    *,
    memory_ids: Container[str],
    deleted_since: Callable[[int], Awaitable[bool]],
) -> bytes | None:
    """The record of a run, unless anything it may repeat was forgotten since. `memory_ids` are those of the
    subject; `deleted_since` tells whether any message or memory was deleted after a revision."""
    body = await store.run_record(subject, run_id)
    if body is None:
        return None
    record = decode(body)
    messages, memories = record.rests_on()
    if not all(memory_id in memory_ids for memory_id in memories):
        return None
    if record.summarised is not None and await deleted_since(record.summarised):
        return None
    there = await store.get_messages(subject, sorted(messages)) if messages else ()
    return body if len(there) == len(messages) else None


async def deleted_since(store: WideStore, subject: Subject, revision: int) -> bool:
    """Whether any message or memory of the subject was deleted after `revision`."""
    while changes := await store.changes(subject, revision, _PAGE):
        if any(deletes(change) for change in changes):
            return True
        revision = changes[-1].revision
    return False


def deletes(change: Change) -> bool:
    """Whether the change deleted a message or a memory."""
    return bool(change.deleted_messages) or any(
        entry.event in ("DELETE", "EXPIRE") for entry in change.entries
    )


def encode(record: RunRecord) -> bytes:
    """As it is stored; one that is too large loses the ends of its answers and lists."""
    body = msgspec.msgpack.encode(record)
    if len(body) <= MAX_RUN_RECORD_BYTES:
        return body
    cut = msgspec.structs.replace(
        record,
        calls=tuple(_cut_call(call) for call in record.calls[-50:]),
        decisions=tuple(_cut_decision(decision) for decision in record.decisions[:_CUT_LIST]),
        dropped=tuple(
            msgspec.structs.replace(each, text=each.text[:200], evidence=each.evidence[:20])
            for each in record.dropped[:_CUT_LIST]
        ),
        prompts={},
    )
    body = msgspec.msgpack.encode(cut)
    return body if len(body) <= MAX_RUN_RECORD_BYTES else msgspec.msgpack.encode(RunRecord())


def decode(body: bytes) -> RunRecord:
    """What `encode` made."""
    return msgspec.msgpack.decode(body, type=RunRecord)


def _cut_call(call: LlmCall) -> LlmCall:
    answer = call.answer[:_CUT_ANSWER] if call.answer is not None else None
    return msgspec.structs.replace(call, answer=answer, messages=call.messages[:200])


def _cut_decision(decision: RecordedDecision) -> RecordedDecision:
    return msgspec.structs.replace(decision, claim=decision.claim[:200], sources=decision.sources[:20])
