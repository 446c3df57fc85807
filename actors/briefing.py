"""What a run asks of the extractor: a brief for each group, and a trace that outlives failed attempts."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import msgspec

from actors.profile_configs import ProfileConfigs
from actors.resident import Resident
from cluster.extraction_config import ExtractionConfigs
from cluster.llm.errors import GivenUp
from cluster.model import Memory, Message, Run
from cluster.pipeline.merge import Decision
from cluster.pipeline.port import Candidate, Distiller, Experience, Extraction, Extractor, Trace, Trajectory
from cluster.run_record import decode, encode, record_of
from cluster.summaries import summaries_of
from cluster.wide_store.port import WideStore
from memgrid.subject import Subject

T = TypeVar("T")

_TRACES: Final = 1024
"""Runs between two attempts whose trace is remembered."""


class Briefing:
    """Asks the extractor in the name of one shard's runs, and records what it did."""

    def __init__(
        self,
        store: WideStore,
        extractor: Extractor,
        configs: ExtractionConfigs,
        profiles: ProfileConfigs,
    ) -> None:
        self._store = store
        self._extractor = extractor
        self._configs = configs
        self._profiles = profiles
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._given_up = asyncio.Event()

    @property
    def name(self) -> str:
        """The extractor's."""
        return self._extractor.name

    async def extract(
        self,
        resident: Resident,
        run_id: str,
        messages: Sequence[Message],
        *,
        earlier: Callable[[Message], Awaitable[Sequence[Message]]],
        known: Sequence[Memory],
    ) -> Extraction:
        """Claims in `messages`, each group's by its own brief. `earlier` gives the context before a message.
        Raises what the extractor raises."""
        trace = self.trace(run_id)
        groups: dict[str | None, list[Message]] = {}
        for message in messages:
            groups.setdefault(message.labels.get("group"), []).append(message)
        summaries = summaries_of(resident.head.settings)
        if summaries and trace.summarised is None:
            trace.summarised = resident.head.revision
        topics = await self._profiles.rules(resident.subject.tenant)
        candidates: list[Candidate] = []
        whole = Extraction(candidates=(), extractor=self.name)
        for group, said in groups.items():
            brief = msgspec.structs.replace(
                await self._configs.brief(resident.subject.tenant, group, summaries),
                topics=topics.described(),
                strict_topics=topics.strict,
            )
            before = await earlier(said[0])
            found = await self._answered(
                self._extractor.extract(said, earlier=before, known=known, brief=brief, trace=trace)
            )
            candidates += [each for each in found.candidates if brief.long_term or each.kind == "variable"]
            summaries = {**summaries, **found.summaries}
            whole = msgspec.structs.replace(
                found,
                input_tokens=whole.input_tokens + found.input_tokens,
                output_tokens=whole.output_tokens + found.output_tokens,
                prompt_version=found.prompt_version or whole.prompt_version,
                model=found.model or whole.model,
                summaries={**whole.summaries, **found.summaries},
            )
        # What vanishes must not stay on in a summary.
        transient = {message.session for message in messages if message.transient}
        kept = {session: text for session, text in whole.summaries.items() if session not in transient}
        return msgspec.structs.replace(whole, candidates=tuple(candidates), summaries=kept)

    async def distil(self, subject: Subject, run_id: str, trajectory: Trajectory) -> Experience | None:
        """What a trajectory teaches; None where there is no model to ask. Raises what `Distiller` raises."""
        if not isinstance(self._extractor, Distiller):
            return None
        brief = await self._configs.brief(subject.tenant, None, {})
        return await self._answered(self._extractor.distil(trajectory, brief=brief, trace=self.trace(run_id)))

    def give_up(self) -> None:
        """Wait for no answer any longer: whoever does, or asks from now on, is told GivenUp."""
        self._given_up.set()

    async def _answered(self, asking: Coroutine[Any, Any, T]) -> T:
        answer = asyncio.create_task(asking)
        given_up = asyncio.create_task(self._given_up.wait())
        try:
            await asyncio.wait((answer, given_up), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise GivenUp("this owner is shutting down", retry_after=1.0)
            return answer.result()
        finally:
            for task in (answer, given_up):
                task.cancel()
            await asyncio.gather(answer, given_up, return_exceptions=True)

    def trace(self, run_id: str) -> Trace:
        """What was done for a run up to now."""
        trace = self._traces.setdefault(run_id, Trace())
        self._traces.move_to_end(run_id)
        while len(self._traces) > _TRACES:
            self._traces.popitem(last=False)
        return trace

    def settled(self, run_id: str) -> None:
        """The run has ended."""
        self._traces.pop(run_id, None)

    def accounted(self, run: Run) -> Run:
        """The run with what all its attempts have taken."""
        trace = self.trace(run.id)
        if not trace.calls:
            return run
        return msgspec.structs.replace(
            run,
            model=run.model or trace.calls[-1].model,
            prompt_version=run.prompt_version or trace.calls[-1].prompt_version,
            input_tokens=trace.input_tokens,
            output_tokens=trace.output_tokens,
            cost=trace.cost,
            calls=len(trace.calls),
            dropped=len(trace.dropped),
        )

    async def record(
        self,
        resident: Resident,
        run: Run,
        decisions: Sequence[Decision],
        extraction: Extraction | None = None,
        *,
        drive: str | None = None,
    ) -> None:
        """Write what the run's row has no room for, before the row itself; nothing where nothing happened.
        `drive` is under what id a parked run was driven again: to its record that is added."""
        trace = self.trace(drive or run.id)
        if not (trace.calls or trace.dropped or decisions):
            return
        summaries = dict(extraction.summaries) if extraction is not None else {}
        stored = await self._store.run_record(resident.subject, run.id) if drive is not None else None
        before = None if stored is None else decode(stored)
        body = encode(record_of(trace, decisions, summaries, before))
        await self._store.put_run_record(resident.subject, resident.head.generation, run.id, body)
