"""Experience with tasks: a trajectory goes in; when to use it, what to do and how often it helped come out.

Each experience is a memory of kind `task`. Its text is when to use it and what to do, so that it is found by
the words and the meaning of a new task; the rest is in its attributes. What the caller says of the two always
stands. What is left out a language model makes of the steps; where there is none, or it fails, it is the task
and the steps as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec

from actors.adding import check_metadata
from actors.briefing import Briefing
from actors.commits import Commits
from actors.cursors import decode_offset, encode_offset
from actors.query_vectors import QueryVectors
from actors.resident import Resident, Residents
from actors.views import moment
from cluster.analysis import looks_chinese, search_terms
from cluster.ids import Clock, message_id, new_id
from cluster.logs import get_log
from cluster.model import ChangeEntry, Changes, Memory, Run
from cluster.pipeline.port import Experience, Trajectory
from cluster.retrieval.hot_subject import RankSpec
from cluster.texts import Language, text
from memgrid.errors import Conflict, MemgridError, NotFound
from memgrid.kinds import RecordTask, Step, TaskOut, TaskPage, TasksQuery, UpdateTask, UseTask
from memgrid.subject import Subject

MAX_STEPS_CHARACTERS: Final = 4000
"""Of what to do, where it is made of steps."""
MAX_STEP_CHARACTERS: Final = 400
_TRUST: Final = 0.25
"""How much of the relevance an experience keeps that was used often and never helped."""

_log = get_log()


class Tasks:
    """The operations on experience. Every change is one commit."""

    def __init__(
        self,
        *,
        residents: Residents,
        commits: Commits,
        vectors: QueryVectors,
        briefing: Briefing,
        patience: float,
        clock: Clock,
    ) -> None:
        """`patience` is how many seconds a model may take, its retries included."""
        self._briefing = briefing
        self._patience = patience
        self._residents = residents
        self._commits = commits
        self._vectors = vectors
        self._clock = clock
        self._recording: WeakValueDictionary[tuple[Subject, str], asyncio.Lock] = WeakValueDictionary()
        """Held while an experience is made, by the id it is to have."""

    async def record_task(self, subject: Subject, request: RecordTask, request_id: str) -> TaskOut:
        """Keep an experience. The same request again changes nothing, and asks no model."""
        check_metadata(request.metadata, "metadata")
        memory_id = message_id(request_id, 0)
        # A retry that overtakes the first must wait for what the model says to that.
        recording = self._recording.setdefault((subject, memory_id), asyncio.Lock())
        async with recording:
            return await self._record(subject, request, request_id, memory_id)

    async def _record(
        self, subject: Subject, request: RecordTask, request_id: str, memory_id: str
    ) -> TaskOut:
        async with self._residents.use(subject, fresh=True) as resident:
            if resident.hot.memory(memory_id) is not None:
                return task_out(_known(resident, memory_id))
        experience, run = await self._distil(subject, request, memory_id)
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                if resident.hot.memory(memory_id) is not None:
                    return None
                memory = _memory(request, experience, memory_id, subject, self._clock())
                changes = self._changes(request_id, memory, None)
                if run is None:
                    return changes
                return msgspec.structs.replace(changes, runs=(run,), run_id=run.id)

            await self._commits.commit(resident, build)
            return task_out(_known(resident, memory_id))

    async def _distil(
        self, subject: Subject, request: RecordTask, memory_id: str
    ) -> tuple[Experience | None, Run | None]:
        """What a model makes of the steps (None: the rules have to), and the account of having asked it."""
        if not request.steps or not _incomplete(request):
            return None, None
        run_id = new_id()
        experience: Experience | None = None
        error: str | None = None
        try:
            # A request has a time to be answered in: a model that takes too long must not lose it.
            async with asyncio.timeout(self._patience):
                experience = await self._briefing.distil(subject, run_id, _trajectory(request))
        except TimeoutError:
            error = f"the model did not answer within {self._patience:g} s"
        except MemgridError as failed:
            error = failed.message
        if error is not None:
            _log.warning("experience is made by the rules", run_id=run_id, error=error)
        run = self._briefing.accounted(
            Run(
                id=run_id,
                status="done",
                input_ids=(),
                buckets=(),
                memory_ids=(memory_id,),
                extractor="rules" if experience is None else "llm",
                error=error,
                created_at=self._clock(),
            )
        )
        asked = error is not None or run.calls
        self._briefing.settled(run_id)
        return experience, run if asked else None

    async def tasks(self, subject: Subject, query: TasksQuery, request_id: str) -> TaskPage:
        """Experience that fits a task, the best and most proven first; without a task the newest first."""
        vector = await self._vectors.of(query.task) if query.task else None
        offset = decode_offset("tasks", query.cursor)
        async with self._residents.use(subject, fresh=True) as resident:
            now = self._clock()

            def wanted(memory: Memory) -> bool:
                return (
                    memory.kind == "task"
                    and memory.is_current(now)
                    and query.outcome in (None, memory.attributes.get("outcome"))
                )

            every = [memory for memory in resident.hot.memories() if wanted(memory)]
            if not query.task:
                newest = sorted(every, key=lambda memory: memory.id, reverse=True)
                found = [task_out(memory) for memory in newest]
            else:
                ranked = resident.hot.search(
                    RankSpec(
                        strategy="full_text" if vector is None else "hybrid",
                        limit=max(1, len(every)),
                        types=("memory",),
                        kinds=("task",),
                    ),
                    search_terms(query.task),
                    vector,
                    now,
                )
                by_id = {memory.id: memory for memory in every}
                scored = [
                    (hit.score * _trust(by_id[hit.id]), by_id[hit.id]) for hit in ranked if hit.id in by_id
                ]
                scored.sort(key=lambda pair: (-pair[0], pair[1].id))
                found = [task_out(memory, relevance) for relevance, memory in scored]
            page = found[offset : offset + query.limit]
            more = offset + query.limit < len(found)
            return TaskPage(tasks=page, cursor=encode_offset("tasks", offset + query.limit) if more else None)

    async def use_task(self, subject: Subject, request: UseTask, request_id: str) -> TaskOut:
        """Count that an experience was used, and whether it helped. The same request again counts once."""

        def used(memory: Memory) -> Memory:
            attributes = memory.attributes
            return msgspec.structs.replace(
                memory,
                attributes=attributes
                | {
                    "uses": attributes.get("uses", 0) + 1,
                    "successes": attributes.get("successes", 0) + request.success,
                },
            )

        return await self._change(subject, request.id, request_id, used)

    async def update_task(self, subject: Subject, request: UpdateTask, request_id: str) -> TaskOut:
        """Change what is given of an experience."""
        patch = request.patch.model_dump(exclude_none=True)

        def patched(memory: Memory) -> Memory:
            attributes = memory.attributes | {name: patch[name] for name in patch if name != "tags"}
            return msgspec.structs.replace(
                memory,
                attributes=attributes,
                text=_text(attributes, "zh" if memory.language == "zh" else "en"),
                tags=tuple(patch.get("tags", memory.tags)),
            )

        return await self._change(subject, request.id, request_id, patched)

    async def _change(
        self, subject: Subject, memory_id: str, request_id: str, change: Callable[[Memory], Memory]
    ) -> TaskOut:
        async with self._residents.use(subject, fresh=True) as resident:

            def build() -> Changes | None:
                old = _known(resident, memory_id)
                if old.immutable:
                    raise Conflict(
                        "this experience is immutable", field="id", remedy="set immutable to false first"
                    )
                new = change(old)
                if new == old:
                    return None
                return self._changes(request_id, msgspec.structs.replace(new, updated_at=self._clock()), old)

            await self._commits.commit(resident, build)
            return task_out(_known(resident, memory_id))

    def _changes(self, commit_id: str, memory: Memory, old: Memory | None) -> Changes:
        entry = ChangeEntry(
            memory_id=memory.id,
            event="ADD" if old is None else "UPDATE",
            old_text=None if old is None else old.text,
            new_text=memory.text,
        )
        return Changes(commit_id=commit_id, at=self._clock(), actor="api", put=(memory,), entries=(entry,))


def _incomplete(request: RecordTask) -> bool:
    return request.when_to_use is None or request.what_to_do is None


def _language(request: RecordTask) -> Language:
    return "zh" if looks_chinese(request.task) else "en"


def _trajectory(request: RecordTask) -> Trajectory:
    return Trajectory(
        task=request.task,
        steps=tuple((step.action, step.result) for step in request.steps),
        outcome=request.outcome,
        lesson=request.lesson,
        when_to_use=request.when_to_use,
        what_to_do=request.what_to_do,
        language=_language(request),
    )


def _memory(
    request: RecordTask, found: Experience | None, memory_id: str, subject: Subject, now: int
) -> Memory:
    language = _language(request)
    made = found or Experience(when_to_use=request.task, what_to_do=_steps(request.steps) or request.task)
    attributes: dict[str, Any] = {
        "task": request.task,
        "when_to_use": request.when_to_use or made.when_to_use,
        "what_to_do": request.what_to_do or made.what_to_do,
        "outcome": request.outcome,
        "steps": len(request.steps),
        "uses": 0,
        "successes": 0,
    }
    if _incomplete(request):
        attributes["distilled_by"] = "rules" if found is None else "llm"
    if request.lesson is not None:
        attributes["lesson"] = request.lesson
    if request.score is not None:
        attributes["score"] = request.score
    return Memory(
        id=memory_id,
        kind="task",
        text=_text(attributes, language),
        topic="task",
        tags=tuple(dict.fromkeys(request.tags)),
        attributes=attributes,
        metadata=request.metadata,
        labels={subject.kind: subject.id},
        source_type="manual",
        confidence=1.0 if request.score is None else request.score,
        language=language,
        created_at=now,
        updated_at=now,
    )


def _steps(steps: Sequence[Step]) -> str:
    lines: list[str] = []
    room = MAX_STEPS_CHARACTERS
    for number, step in enumerate(steps, 1):
        result = f" → {_cut(step.result)}" if step.result.strip() else ""
        line = f"{number}. {_cut(step.action)}{result}"
        if len(line) > room:
            lines.append("…")
            break
        lines.append(line)
        room -= len(line)
    return "\n".join(lines)


def _cut(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= MAX_STEP_CHARACTERS else line[: MAX_STEP_CHARACTERS - 1] + "…"


def _text(attributes: dict[str, Any], language: Language) -> str:
    lines = [
        f"{text('when_to_use', language)}{attributes['when_to_use']}",
        f"{text('what_to_do', language)}{attributes['what_to_do']}",
    ]
    if attributes.get("lesson"):
        lines.append(f"{text('lesson', language)}{attributes['lesson']}")
    if attributes.get("outcome") == "failure":
        lines.append(text("failed_then", language))
    return "\n".join(lines)


def _trust(memory: Memory) -> float:
    """1 until it is used; then by the share of uses that helped (Laplace's rule), never below _TRUST."""
    uses, successes = memory.attributes.get("uses", 0), memory.attributes.get("successes", 0)
    return _TRUST + (1 - _TRUST) * (successes + 1) / (uses + 1)


def _known(resident: Resident, memory_id: str) -> Memory:
    memory = resident.hot.memory(memory_id)
    if memory is None or memory.kind != "task":
        raise NotFound("there is no such experience", field="id")
    return memory


def task_out(memory: Memory, relevance: float | None = None) -> TaskOut:
    """An experience as callers see it; one that was noted otherwise has its text for both."""
    attributes = memory.attributes
    return TaskOut(
        id=memory.id,
        task=attributes.get("task", memory.text),
        when_to_use=attributes.get("when_to_use", memory.text),
        what_to_do=attributes.get("what_to_do", memory.text),
        lesson=attributes.get("lesson"),
        outcome=attributes.get("outcome", "unknown"),
        score=attributes.get("score"),
        distilled_by=attributes.get("distilled_by"),
        uses=attributes.get("uses", 0),
        successes=attributes.get("successes", 0),
        tags=list(memory.tags),
        relevance=None if relevance is None else round(relevance, 6),
        created_at=moment(memory.created_at),
        updated_at=moment(memory.updated_at),
    )
