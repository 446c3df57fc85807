"""One extraction run with everything that is recorded of it."""

from __future__ import annotations

from actors.reads import status_of
from actors.resident import Residents
from actors.views import message_out, run_out
from cluster.model import Run
from cluster.pipeline.port import LlmCall
from cluster.run_record import RunRecord, decode, deleted_since, standing_record
from cluster.wide_store.port import WideStore
from memgrid.errors import NotFound
from memgrid.extraction import DroppedClaim, RunCall, RunDecision, RunDetail
from memgrid.operations import ById
from memgrid.subject import Subject

_MESSAGES = 200


class RunDetails:
    """Answers about one run, also a parked one."""

    def __init__(self, store: WideStore, residents: Residents) -> None:
        self._store = store
        self._residents = residents

    async def run(self, subject: Subject, request: ById, request_id: str) -> RunDetail:
        """The run: its input, the calls of models, what was decided and why, what was not believed."""
        run = await self._store.get_run(subject, request.id)
        if run is None:
            raise NotFound("there is no such run", field="id")
        async with self._residents.use(subject, fresh=True) as resident:
            found = await self._store.get_messages(subject, run.input_ids[:_MESSAGES])
            messages = [message_out(message, status_of(resident, message.id)) for message in found]
            body = await standing_record(
                self._store,
                subject,
                run.id,
                memory_ids={memory.id for memory in resident.hot.memories()},
                deleted_since=lambda revision: deleted_since(self._store, subject, revision),
            )
            record = None if body is None else decode(body)
        return _detail(run, record).model_copy(update={"messages": messages})


def _detail(run: Run, record: RunRecord | None) -> RunDetail:
    whole = record or RunRecord()
    return RunDetail(
        **run_out(run).model_dump(),
        recorded=record is not None,
        prompts=whole.prompts,
        calls=[_call(call) for call in whole.calls],
        decisions=[
            RunDecision(
                action=decision.action,
                memory_id=decision.memory_id,
                reason=decision.reason,
                claim=decision.claim,
                message_ids=list(decision.sources),
            )
            for decision in whole.decisions
        ],
        dropped=[
            DroppedClaim(claim=each.text, reason=each.reason, message_ids=list(each.evidence))
            for each in whole.dropped
        ],
        summaries=whole.summaries,
    )


def _call(call: LlmCall) -> RunCall:
    return RunCall(
        purpose=call.purpose,
        model=call.model,
        prompt_version=call.prompt_version,
        message_ids=list(call.messages),
        earlier_ids=list(call.earlier),
        known_ids=list(call.known),
        question=call.question,
        answer=call.answer,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost=call.cost,
        duration_ms=call.duration_ms,
        error=call.error,
    )
