"""What is recorded of a run beside its row: calls, decisions, claims that were not believed.

Of what people said it keeps no text but what the model made of it: the messages and memories that it was
shown are ids. So the record can be dropped with what it rests on (see `WideStore.put_run_record`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from cluster.pipeline.merge import Decision
from cluster.pipeline.port import Dropped, LlmCall, Trace
from cluster.wide_store.port import MAX_RUN_RECORD_BYTES

_CUT_ANSWER = 2000
_CUT_LIST = 1000


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

    def shown(self) -> tuple[set[str], set[str]]:
        """The messages and the memories that a model was shown beside its input."""
        earlier = {message_id for call in self.calls for message_id in call.earlier}
        return earlier, {memory_id for call in self.calls for memory_id in call.known}


def record_of(trace: Trace, decisions: Sequence[Decision], summaries: dict[str, str]) -> RunRecord:
    """The record of what the trace saw, and what was decided."""
    return RunRecord(
        calls=tuple(trace.calls),
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
        dropped=tuple(trace.dropped),
        summaries=summaries,
        prompts=dict(trace.prompts),
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
