"""Extraction by a language model: seldom more than one call, each claim checked against what was said.

    messages ─parts──▶ shown, data ─call──▶ read_answer ─(again, if need be)──▶ why_not ──▶ candidates

The stages are pure (`llm_input`, `llm_answer`, `evidence`); here they are strung together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from cluster.analysis import looks_chinese
from cluster.llm.errors import MalformedCompletion
from cluster.llm.port import ChatMessage, Completion, Llm
from cluster.llm.prices import Price
from cluster.logs import get_log
from cluster.model import Memory, Message, Millis
from cluster.pipeline import distil, llm_input
from cluster.pipeline.evidence import (
    Shown,
    is_person,
    speaks_otherwise,
    why_not,
    why_not_cause,
    why_not_variable,
)
from cluster.pipeline.llm_answer import Answer, Claim, VariableClaim, read_answer
from cluster.pipeline.llm_input import Language
from cluster.pipeline.port import (
    Brief,
    Candidate,
    Dropped,
    Experience,
    Extraction,
    LlmCall,
    Trace,
    Trajectory,
)
from cluster.prompts import Prompt, Prompts, schema
from memgrid.errors import MemgridError

PROMPT: Final = "extract.v3"
MAX_CALLS: Final = 3
"""Calls for one part of a run: the question, and at most two reasons to ask again."""
MAX_SUMMARY: Final = 600
"""Characters of a session's summary."""
MAX_ANSWER: Final = 65_536
"""Characters of an answer that are kept, and shown to the model when it is asked again."""
VARIABLE_TOPIC: Final = "variable"

_log = get_log()


class LlmExtractor:
    """Asks a language model for claims.

    What people wrote goes to the model as data inside one JSON object, and what comes back is believed as
    far as the messages bear it out: a text that talks the model into something can at most make it claim
    what that text says about the one who wrote it. `dropped` counts the claims that were not believed.
    """

    name = "llm"

    def __init__(
        self,
        llm: Llm,
        *,
        prompts: Prompts | None = None,
        language: Language | None = None,
        other_characters: int = 256,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        """`language` is that of the instructions; None goes by what most of the messages are in.
        `other_characters` is how much of an assistant's message is shown."""
        self._llm = llm
        self._prompts = prompts or Prompts()
        self._language: Language | None = language
        self._other_characters = other_characters
        self._prices = prices or {}
        self.dropped = 0

    async def extract(
        self,
        messages: Sequence[Message],
        *,
        earlier: Sequence[Message],
        known: Sequence[Memory],
        brief: Brief | None = None,
        trace: Trace | None = None,
    ) -> Extraction:
        """Without anything that a person said nothing is asked, and nothing found. Raises Unavailable,
        InvalidInput where the endpoint refuses the request, or MalformedCompletion (after the model was
        shown its mistake once)."""
        brief = brief or Brief()
        trace = trace or Trace()
        before = len(trace.calls)
        said = [message for message in messages if message.content.strip()]
        if not any(is_person(message) for message in said):
            return Extraction(candidates=(), extractor=self.name)
        candidates: list[Candidate] = []
        for part in llm_input.parts(said):
            if not any(is_person(message) for message in part):
                continue
            given = llm_input.shown(part, earlier, known)
            language: Language = self._language or llm_input.language_of(part)
            conversation = _Conversation(self, brief, given, language, trace)
            answer = await conversation.answer()
            candidates += self._believed(answer, given, brief, trace)
            session = part[-1].session
            if answer.summary and brief.long_term and not speaks_otherwise(answer.summary, part):
                summaries = {**brief.summaries, session: answer.summary[:MAX_SUMMARY]}
                brief = msgspec.structs.replace(brief, summaries=summaries)
            earlier = part[-len(earlier) :] if earlier else ()
        calls = trace.calls[before:]
        return Extraction(
            candidates=tuple(candidates),
            extractor=self.name,
            prompt_version=calls[-1].prompt_version,
            model=calls[-1].model,
            input_tokens=sum(call.input_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            summaries={
                session: brief.summaries[session]
                for session in dict.fromkeys(message.session for message in said)
                if session in brief.summaries
            },
        )

    async def distil(self, trajectory: Trajectory, *, brief: Brief, trace: Trace) -> Experience | None:
        """See `Distiller`."""
        prompt = self._prompts.get(f"{distil.PROMPT}.{trajectory.language}", brief.tenant)
        trace.prompts[prompt.version] = prompt.text
        return await distil.distil(self._llm, prompt, trajectory, trace, self.cost)

    async def close(self) -> None:
        await self._llm.close()

    @property
    def llm(self) -> Llm:
        """The model."""
        return self._llm

    def prompt(self, brief: Brief, language: Language) -> Prompt:
        """The instructions, with what the project adds."""
        own = self._prompts.get(f"{PROMPT}.{language}", brief.tenant)
        return llm_input.instructions(own, brief, language)

    def data(self, given: Shown, brief: Brief) -> str:
        """What the model is shown."""
        return llm_input.data(given, brief, other_characters=self._other_characters)

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """What a call has cost, where the model has a price."""
        price = self._prices.get(model)
        return None if price is None else price.of(input_tokens, output_tokens)

    def _believed(self, answer: Answer, given: Shown, brief: Brief, trace: Trace) -> list[Candidate]:
        """The claims that the messages bear out, as candidates; the others are counted and told."""
        words = given.words()
        found: list[Candidate] = []
        believed: list[Claim] = []
        dropped = [Dropped(text=text, reason=f"malformed: {error}") for text, error in answer.faults]
        for claim in answer.memories:
            sources = given.named(claim.evidence)
            if not brief.long_term:
                reason = "only variables are wanted"
            elif sources and speaks_otherwise(claim.text, sources):
                reason = "it is not in the speaker's language"
            else:
                reason = why_not(claim, given, words)
            if reason is None:
                believed.append(claim)
            else:
                dropped.append(_dropped(claim.text, reason, sources))
        for claim in believed:
            causes = _causes(claim, believed, given, dropped)
            found.append(_candidate(claim, given, causes))
        for variable in answer.variables:
            sources = given.named(variable.evidence)
            reason = why_not_variable(variable, given)
            if variable.name not in brief.variables:
                reason = "there is no such variable"
            if reason is None:
                found.append(_variable(variable, sources))
            else:
                dropped.append(_dropped(f"{variable.name}: {variable.value}", reason, sources))
        if dropped:
            self.dropped += len(dropped)
            trace.dropped += dropped
            _log.warning("claims dropped", model=self._llm.model, dropped=len(dropped))
        return found


class _Conversation:
    """One part of a run, asked until the answer will do or there is no reason left to ask again."""

    def __init__(
        self, extractor: LlmExtractor, brief: Brief, given: Shown, language: Language, trace: Trace
    ) -> None:
        self._extractor = extractor
        self._llm = extractor.llm
        self._given = given
        self._language: Language = language
        self._trace = trace
        self._prompt = extractor.prompt(brief, language)
        trace.prompts[self._prompt.version] = self._prompt.text
        self._chat = [
            ChatMessage("system", self._prompt.text),
            ChatMessage("user", extractor.data(given, brief)),
        ]
        self._kept = Answer()
        """What a cut-off answer said before the one that continues it."""

    async def answer(self) -> Answer:
        """The last answer, or the best before it. Raises as `extract` does."""
        purpose: Literal["extract", "repair", "language", "continue"] = "extract"
        asked: set[str] = set()
        best: Answer | None = None
        chat = self._chat
        error = ""
        while True:
            completion = await self._call(chat, purpose)
            try:
                read = self._read(completion, continues=purpose == "continue")
            except MalformedCompletion as malformed:
                if best is not None:
                    return best
                if "repair" in asked or len(asked) + 1 >= MAX_CALLS:
                    raise
                self._trace.calls[-1] = msgspec.structs.replace(
                    self._trace.calls[-1], error=malformed.message
                )
                purpose, error = "repair", malformed.message
            else:
                best = read
                again = self._why_again(read, asked)
                if again is None or len(asked) + 1 >= MAX_CALLS:
                    return read
                purpose, error = again
                if purpose == "continue":
                    self._kept = read
            asked.add(purpose)
            _log.warning("asking the model again", model=self._llm.model, why=purpose, error=error)
            chat = [
                *self._chat,
                ChatMessage("assistant", completion.text[:MAX_ANSWER]),
                ChatMessage("user", llm_input.question(purpose, self._language, error)),
            ]

    def _read(self, completion: Completion, *, continues: bool) -> Answer:
        read = read_answer(completion.text)
        read = msgspec.structs.replace(read, whole=read.whole and completion.whole)
        if not continues:
            return read
        return Answer(
            memories=self._kept.memories + read.memories,
            variables=self._kept.variables + read.variables,
            summary=read.summary or self._kept.summary,
            faults=self._kept.faults + read.faults,
            whole=read.whole,
        )

    def _why_again(
        self, answer: Answer, asked: set[str]
    ) -> tuple[Literal["repair", "language", "continue"], str] | None:
        if answer.faults and "repair" not in asked:
            return "repair", answer.faults[0][1]
        if "language" not in asked and any(
            speaks_otherwise(claim.text, self._given.named(claim.evidence)) for claim in answer.memories
        ):
            return "language", ""
        if not answer.whole and "continue" not in asked:
            return "continue", ""
        return None

    async def _call(
        self, chat: Sequence[ChatMessage], purpose: Literal["extract", "repair", "language", "continue"]
    ) -> Completion:
        """One call, told to the trace whatever comes of it."""
        started = time.monotonic()
        told: dict[str, Any] = {
            "purpose": purpose,
            "prompt_version": self._prompt.version,
            "messages": tuple(message.id for message in self._given.said),
            "earlier": tuple(message.id for message in self._given.earlier),
            "known": tuple(memory.id for memory in self._given.known),
            "question": chat[-1].content if purpose != "extract" else None,
        }
        try:
            completion = await self._llm.complete(chat, schema=schema(PROMPT))
        except MemgridError as error:
            spent = (
                (error.input_tokens, error.output_tokens) if isinstance(error, MalformedCompletion) else ()
            )
            self._tell(self._llm.model, spent or (0, 0), started, {**told, "error": error.message})
            raise
        spent = (completion.input_tokens, completion.output_tokens)
        self._tell(completion.model, spent, started, {**told, "answer": completion.text[:MAX_ANSWER]})
        return completion

    def _tell(self, model: str, spent: tuple[int, int], started: float, told: dict[str, Any]) -> None:
        self._trace.calls.append(
            LlmCall(
                model=model,
                input_tokens=spent[0],
                output_tokens=spent[1],
                cost=self._extractor.cost(model, *spent),
                duration_ms=int((time.monotonic() - started) * 1000),
                **told,
            )
        )


def _candidate(claim: Claim, given: Shown, causes: tuple[str, ...]) -> Candidate:
    sources = given.named(claim.evidence)
    return Candidate(
        kind=claim.kind,
        text=claim.text.strip(),
        value=claim.value or None,
        topic=claim.topic or None,
        subtopic=claim.subtopic or None,
        profile_type=claim.profile_type,
        single_valued=claim.single_valued,
        negates=claim.negates,
        tags=tuple(dict.fromkeys(tag for tag in claim.tags if tag)),
        attributes=_attributes(claim, sources),
        sources=tuple(message.id for message in sources),
        confidence=claim.confidence,
        language="zh" if looks_chinese(claim.text) else "en",
        event_time=_day(claim.event_date) or max(message.event_time for message in sources),
        key=_key(claim, given),
        causes=causes,
    )


def _key(claim: Claim, given: Shown) -> str:
    return "" if claim.n is None else f"{given.said[0].id}/{claim.n}"


def _causes(claim: Claim, believed: Sequence[Claim], given: Shown, dropped: list[Dropped]) -> tuple[str, ...]:
    """Why the claim is so, as far as the messages say it; what they do not is added to `dropped`."""
    found: list[str] = []
    for cause in claim.causes or ():
        # A number that a continued answer has used again names nothing.
        others = [each for each in believed if each.n == cause.memory and each is not claim]
        known = given.known[cause.known - 1 : cause.known] if cause.known and cause.known > 0 else ()
        if cause.memory is not None and len(others) == 1:
            key, said = _key(others[0], given), f"{others[0].text} {others[0].value or ''}"
            reason = why_not_cause(cause.quote, claim, said, given)
        elif cause.memory is None and known:
            key, said = known[0].id, known[0].text
            reason = why_not_cause(cause.quote, claim, said, given)
        else:
            key, said, reason = "", cause.quote, "its cause is none of the memories"
        if reason is None:
            found.append(key)
        else:
            dropped.append(_dropped(f"{claim.text} ← {said}", reason, given.named(claim.evidence)))
    return tuple(dict.fromkeys(found))


def _variable(claim: VariableClaim, sources: Sequence[Message]) -> Candidate:
    return Candidate(
        kind="variable",
        text=claim.value.strip(),
        value=claim.value.strip(),
        topic=VARIABLE_TOPIC,
        subtopic=claim.name,
        single_valued=True,
        attributes=_speaker(sources),
        sources=tuple(message.id for message in sources),
        language="zh" if looks_chinese(claim.value) else "en",
    )


def _attributes(claim: Claim, sources: Sequence[Message]) -> dict[str, Any]:
    attributes = _speaker(sources)
    if entities := list(dict.fromkeys(name for name in claim.entities if name)):
        attributes["entities"] = entities
    if (end := _day(claim.event_end)) is not None:
        attributes["event_end"] = end
    if claim.when_to_use:
        attributes["when_to_use"] = claim.when_to_use
    return attributes


def _speaker(sources: Sequence[Message]) -> dict[str, Any]:
    speakers = {message.name for message in sources if is_person(message)}
    speaker = speakers.pop() if len(speakers) == 1 else None
    return {} if speaker is None else {"speaker": speaker}


def _dropped(text: str, reason: str, sources: Sequence[Message]) -> Dropped:
    return Dropped(text=text, reason=reason, evidence=tuple(message.id for message in sources))


def _day(date: str | None) -> Millis | None:
    """The start of a day in UTC; None for what is no full date, which models write though told not to."""
    try:
        return int(datetime.strptime(date or "", "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
