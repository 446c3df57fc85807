"""Experience by a language model: how a task was worked on in, when to use it and what to do out.

One call, and a second where the first answer will not do. As with claims, what comes back is believed as far
as the record bears it out (`_why_not`): advice must rest on what was *done*. What a tool answered may be a
stranger's text, so advice that has more of that in it than of the actions it names is left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from cluster.analysis import looks_chinese, search_terms
from cluster.llm.errors import MalformedCompletion
from cluster.llm.port import ChatMessage, Completion, Llm
from cluster.logs import get_log
from cluster.pipeline.llm_answer import read_object
from cluster.pipeline.llm_input import Language, question
from cluster.pipeline.port import Dropped, Experience, LlmCall, Trace, Trajectory
from cluster.prompts import Prompt, schema
from memgrid.errors import MemgridError

PROMPT: Final = "distil.v1"
MAX_SHOWN: Final = 12_000
"""Characters of steps that the model is shown; of many steps each is shown less."""
MAX_STEP: Final = 1000
"""Characters of an action or a result that the model is shown."""
MAX_TEXT: Final = 4000
"""Characters that the model is shown of the task, the lesson, and what is fixed already."""
MAX_ADVICE: Final = 500
"""Characters of a sentence that the model may answer, well above what it is asked for."""
MAX_ITEMS: Final = 20
"""Pieces of advice that the model may answer."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.\w+", re.I | re.A)
_TO_A_MODEL = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|prompts?|above|previous|rules)\b"
    r"|\bsystem prompt\b|\byou are now\b"
    r"|(?:忽略|无视|忘记|忘掉).{0,20}(?:指令|指示|提示|规则|要求)|系统提示词?|你现在是",
    re.I | re.S,
)
_log = get_log()

_Advice = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ADVICE)]


class _Item(msgspec.Struct, frozen=True):
    do: _Advice
    steps: list[int]


class _Answer(msgspec.Struct, frozen=True):
    when_to_use: _Advice
    what_to_do: Annotated[list[_Item], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]


async def distil(
    llm: Llm,
    prompt: Prompt,
    trajectory: Trajectory,
    trace: Trace,
    cost: Callable[[str, int, int], float | None],
) -> Experience:
    """What is to be learnt of the trajectory, in its language. Raises as `Distiller.distil` does."""
    asked = [ChatMessage("system", prompt.text), ChatMessage("user", data(trajectory))]
    completion = await _call(llm, asked, prompt, "extract", trace, cost)
    try:
        return _believed(completion, trajectory, trace)
    except MalformedCompletion as malformed:
        trace.calls[-1] = msgspec.structs.replace(trace.calls[-1], error=malformed.message)
        _log.warning("asking the model again", model=llm.model, why="repair", error=malformed.message)
        again = [
            *asked,
            ChatMessage("assistant", completion.text[:MAX_SHOWN]),
            ChatMessage("user", question("repair", trajectory.language, malformed.message)),
        ]
    return _believed(await _call(llm, again, prompt, "repair", trace, cost), trajectory, trace)


def data(trajectory: Trajectory) -> str:
    """The JSON object that the prompt speaks of."""
    limit = min(MAX_STEP, MAX_SHOWN // (2 * max(1, len(trajectory.steps))))
    content = {
        "task": trajectory.task[:MAX_TEXT],
        "outcome": trajectory.outcome,
        "steps": [
            {"n": n, "action": action[:limit], "result": result[:limit]}
            for n, (action, result) in enumerate(trajectory.steps, 1)
        ],
        "lesson": _cut(trajectory.lesson),
        "when_to_use": _cut(trajectory.when_to_use),
        "what_to_do": _cut(trajectory.what_to_do),
    }
    return msgspec.json.encode(content).decode()


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MAX_TEXT]


async def _call(
    llm: Llm,
    chat: Sequence[ChatMessage],
    prompt: Prompt,
    purpose: Literal["extract", "repair"],
    trace: Trace,
    cost: Callable[[str, int, int], float | None],
) -> Completion:
    """One call, told to the trace whatever comes of it, without any text of the record."""
    started = time.monotonic()

    def tell(model: str, asked: int, said: int, **told: Any) -> None:
        trace.calls.append(
            LlmCall(
                purpose=purpose,
                model=model,
                prompt_version=prompt.version,
                input_tokens=asked,
                output_tokens=said,
                cost=cost(model, asked, said),
                duration_ms=int((time.monotonic() - started) * 1000),
                **told,
            )
        )

    try:
        completion = await llm.complete(chat, schema=schema(PROMPT))
    except MalformedCompletion as error:
        tell(llm.model, error.input_tokens, error.output_tokens, error=error.message)
        raise
    except MemgridError as error:
        tell(llm.model, 0, 0, error=error.message)
        raise
    tell(completion.model, completion.input_tokens, completion.output_tokens)
    return completion


def _believed(completion: Completion, trajectory: Trajectory, trace: Trace) -> Experience:
    answer = read_object(completion.text, _Answer)
    whole = (trajectory.task, trajectory.lesson or "", trajectory.when_to_use or "")
    every = range(1, len(trajectory.steps) + 1)
    if reason := _why_not(answer.when_to_use, every, trajectory, whole):
        raise MalformedCompletion(f"when_to_use {reason}")
    items: list[str] = []
    reasons: list[str] = []
    for item in answer.what_to_do:
        named = [n for n in dict.fromkeys(item.steps) if n in every]
        reason = _why_not(item.do, named, trajectory, whole) if named else "names no step"
        if reason is None:
            items.append(_line(item.do))
        else:
            reasons.append(reason)
            trace.dropped.append(Dropped(text=item.do, reason=reason))
    if not items:
        raise MalformedCompletion(f"what_to_do {reasons[0]}")
    listed = "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)) if len(items) > 1 else items[0]
    return Experience(when_to_use=_line(answer.when_to_use), what_to_do=listed)


def _why_not(text: str, named: Sequence[int], trajectory: Trajectory, whole: Sequence[str]) -> str | None:
    """Why a sentence of advice that rests on these steps is not believed; None when it is."""
    done = "\n".join((*whole, *(trajectory.steps[n - 1][0] for n in named)))
    came = "\n".join(result for _, result in trajectory.steps)
    if _otherwise(text, f"{done}\n{came}", trajectory.language):
        return "is not in the language of the task"
    if _TO_A_MODEL.search(text):
        return "speaks to a model"
    if any(address not in done for address in _ADDRESS.findall(text)):
        return "names an address that nobody has used"
    terms, own = _terms(text), _terms(done)
    if not terms & own or len(terms & own) < len(terms & (_terms(came) - own)):
        return "does not rest on what was done"
    return None


def _otherwise(text: str, source: str, language: Language) -> bool:
    """Whether the text is in the other language; names and commands may be in either."""
    if language == "zh":
        return _HAN.search(text) is None
    return looks_chinese(text) or (_HAN.search(text) is not None and _HAN.search(source) is None)


def _terms(text: str) -> set[str]:
    """Words that mean something: pairs of characters, what has a digit, and stems longer than most others."""
    return {
        term
        for term in search_terms(text)
        if len(term) > 3 or _HAN.search(term) or any(character.isdigit() for character in term)
    }


def _line(text: str) -> str:
    return " ".join(text.split())
