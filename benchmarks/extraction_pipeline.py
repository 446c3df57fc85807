"""A dialogue through the pipeline, session by session, and the figures of many of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.labelled import Dialogue
from benchmarks.labelled.matching import Judgement, judge
from cluster.model import Memory
from cluster.pipeline.known_index import KnownIndex
from cluster.pipeline.merge import merge
from cluster.pipeline.port import Extraction, Extractor, Trace
from memgrid.errors import MemgridError
from memgrid.subject import Subject

MAX_MEMORIES = 10_000
"""The default cap of a subject."""
_SUBJECT = Subject("default", "user", "benchmark")


@dataclass(frozen=True)
class Cost:
    """What the pipeline took for one dialogue."""

    calls: int = 0
    model_tokens: int = 0
    """Input and output tokens as the model counts them."""
    text_tokens: int = 0
    """Tokens of the dialogue as memgrid counts them: what a buffer is measured in."""
    dropped: int = 0
    errors: tuple[str, ...] = ()
    """Of sessions that gave nothing because their extraction failed."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of one dialogue."""

    memories: tuple[Memory, ...]
    judgement: Judgement
    cost: Cost


@dataclass(frozen=True)
class Figures:
    """The table's row; each figure is defined in `benchmarks.extraction`."""

    dialogues: int
    precision: float | None
    """None where there is nothing to be right or wrong."""
    recall: float
    f1: float
    duplicates: int
    junk: float
    traps: int
    dropped: int
    failed: int
    calls: float
    tokens: float
    seconds: float


async def extract_and_merge(extractor: Extractor, dialogue: Dialogue) -> Outcome:
    """Each session's messages are extracted when it is over, and merged with what is known by then.

    An extraction that fails leaves its session without memories, as a parked run does.
    """
    known = KnownIndex()
    numbers = itertools.count(1)
    trace = Trace()
    errors: list[str] = []
    started = time.perf_counter()
    for session in dialogue.sessions:
        now = session.messages[-1].event_time + 1000
        current = [memory for memory in known.memories.values() if memory.is_current(now)]
        try:
            extraction: Extraction = await extractor.extract(
                session.messages, earlier=(), known=current, trace=trace
            )
        except MemgridError as error:
            errors.append(f"{dialogue.id}, {session.id}: {error.message}")
            continue
        decisions = merge(
            extraction.candidates,
            known,
            subject=_SUBJECT,
            labels={},
            session=session.id,
            now=now,
            new_id=lambda: f"memory-{next(numbers):06}",
            max_memories=MAX_MEMORIES,
            said_at={message.id: message.event_time for message in session.messages},
        )
        known.apply(decisions)
    seconds = time.perf_counter() - started
    memories = tuple(known.memories.values())
    cost = Cost(
        calls=len(trace.calls),
        model_tokens=sum(call.input_tokens + call.output_tokens for call in trace.calls),
        text_tokens=sum(message.tokens for message in dialogue.messages),
        dropped=len(trace.dropped),
        errors=tuple(errors),
        seconds=seconds,
    )
    return Outcome(memories, judge(dialogue, memories), cost)


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """The figures of these dialogues together: counts are summed, then divided."""
    judged = [one for outcome in outcomes for one in outcome.judgement.judged]
    right = sum(one.right for one in judged)
    again = sum(one.again for one in judged)
    junk = sum(one.junk for one in judged)
    expected = sum(outcome.judgement.expected for outcome in outcomes)
    missed = sum(len(outcome.judgement.missed) for outcome in outcomes)
    counted = right + again + junk
    precision = right / counted if counted else None
    recall = _share(expected - missed, expected, empty=1.0)
    costs = [outcome.cost for outcome in outcomes]
    thousands = sum(cost.text_tokens for cost in costs) / 1000
    return Figures(
        dialogues=len(outcomes),
        precision=precision,
        recall=recall,
        f1=_share(2 * (precision or 0.0) * recall, (precision or 0.0) + recall, empty=0.0),
        duplicates=again,
        junk=_share(junk, len(judged), empty=0.0),
        traps=sum(one.trap is not None for one in judged),
        dropped=sum(cost.dropped for cost in costs),
        failed=sum(len(cost.errors) for cost in costs),
        calls=_share(sum(cost.calls for cost in costs), thousands, empty=0.0),
        tokens=_share(sum(cost.model_tokens for cost in costs), thousands, empty=0.0),
        seconds=sum(cost.seconds for cost in costs),
    )


def _share(part: float, whole: float, *, empty: float) -> float:
    return part / whole if whole else empty
