"""Extraction by a language model: one call a run, each claim checked against the messages it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from cluster.analysis import looks_chinese
from cluster.llm.errors import MalformedCompletion
from cluster.llm.port import ChatMessage, Completion, Llm
from cluster.logs import get_log
from cluster.model import Memory, Message, Millis
from cluster.pipeline.port import Candidate, Extraction
from cluster.prompts import prompt, schema

Language = Literal["zh", "en"]

PROMPT: Final = "extract.v1"
MAX_CHARACTERS: Final = 4000
"""Characters of a person's message that the model is shown."""
MAX_OTHER_CHARACTERS: Final = 256
"""Characters of anyone else's message (openJiuwen's default for an assistant's)."""
MAX_KNOWN: Final = 50
"""Memories on record that the model is shown: those changed last."""

_NOT_PEOPLE = frozenset({"assistant", "ai", "system", "developer", "tool", "function"})
_REASONING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_REPAIR: Final[dict[Language, str]] = {
    "en": "That is not the JSON asked for: {error}. Answer again, with the JSON object and nothing else.",
    "zh": "这不是所要求的 JSON：{error}。请重新回答，只写 JSON 对象，不要写别的。",
}

_log = get_log()

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
_Name = Annotated[str, msgspec.Meta(max_length=256)]
_ProfileType = Literal[
    "personal_information", "interest_hobbies", "social_information", "asset_information", "other_information"
]


class _Claim(msgspec.Struct):
    text: _Text
    kind: Literal["fact", "profile", "event"]
    evidence: list[int]
    value: Annotated[str, msgspec.Meta(max_length=4000)] | None = None
    topic: _Name | None = None
    subtopic: _Name | None = None
    profile_type: _ProfileType | None = None
    single_valued: bool = False
    negates: bool = False
    tags: list[_Name] = []
    event_date: str | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class _Answer(msgspec.Struct):
    memories: list[_Claim]


class LlmExtractor:
    """Asks a language model for claims.

    What people wrote goes to the model as data inside one JSON object, and what comes back must be of the
    schema and name messages of the run: a text that talks the model into something can at most make it
    claim things about the one who wrote it. `dropped` counts the claims that named no message of theirs.
    """

    def __init__(self, llm: Llm, *, language: Language | None = None) -> None:
        """`language` is that of the instructions; None goes by what most of the messages are in."""
        self._llm = llm
        self._language: Language | None = language
        self.dropped = 0

    @property
    def name(self) -> str:
        return "llm"

    async def extract(
        self, messages: Sequence[Message], *, earlier: Sequence[Message], known: Sequence[Memory]
    ) -> Extraction:
        """Without anything that a person said nothing is asked, and nothing found. Raises Unavailable,
        InvalidInput where the endpoint refuses the request, or MalformedCompletion (after the model was
        shown its mistake once)."""
        said = [message for message in messages if message.content.strip()]
        if not any(_by_person(message) for message in said):
            return Extraction(candidates=(), extractor=self.name)
        language: Language = self._language or _language_of(said)
        chat = [
            ChatMessage("system", prompt(f"{PROMPT}.{language}")),
            ChatMessage("user", _input(said, earlier, known)),
        ]
        completions = [await self._llm.complete(chat, schema=schema(PROMPT))]
        try:
            answer = _parse(completions[0])
        except MalformedCompletion as malformed:
            _log.warning("malformed completion, asking again", model=self._llm.model, error=malformed.message)
            chat += [
                ChatMessage("assistant", completions[0].text[:MAX_CHARACTERS]),
                ChatMessage("user", _REPAIR[language].format(error=malformed.message)),
            ]
            completions.append(await self._llm.complete(chat, schema=schema(PROMPT)))
            answer = _parse(completions[1])
        return Extraction(
            candidates=self._supported(answer, said),
            extractor=self.name,
            prompt_version=f"{PROMPT}.{language}",
            model=completions[-1].model,
            input_tokens=sum(completion.input_tokens for completion in completions),
            output_tokens=sum(completion.output_tokens for completion in completions),
        )

    async def close(self) -> None:
        await self._llm.close()

    def _supported(self, answer: _Answer, said: Sequence[Message]) -> tuple[Candidate, ...]:
        """The claims that rest on at least one message of a person."""
        candidates: list[Candidate] = []
        for claim in answer.memories:
            sources = [said[n - 1] for n in dict.fromkeys(claim.evidence) if 1 <= n <= len(said)]
            if any(_by_person(message) for message in sources) and claim.text.strip():
                candidates.append(_candidate(claim, sources))
        dropped = len(answer.memories) - len(candidates)
        if dropped:
            self.dropped += dropped
            _log.warning("claims without evidence dropped", model=self._llm.model, dropped=dropped)
        return tuple(candidates)


def _by_person(message: Message) -> bool:
    return message.role.lower() not in _NOT_PEOPLE


def _language_of(said: Sequence[Message]) -> Language:
    text = "\n".join(message.content[:MAX_CHARACTERS] for message in said if _by_person(message))
    return "zh" if looks_chinese(text) else "en"


def _input(said: Sequence[Message], earlier: Sequence[Message], known: Sequence[Memory]) -> str:
    recent = sorted(known, key=lambda memory: memory.updated_at)[-MAX_KNOWN:]
    content = {
        "known": [memory.text[:MAX_CHARACTERS] for memory in recent],
        "earlier": [_shown(message) for message in earlier if message.content.strip()],
        "messages": [{"n": n, **_shown(message)} for n, message in enumerate(said, 1)],
    }
    return msgspec.json.encode(content).decode()


def _shown(message: Message) -> dict[str, Any]:
    when = datetime.fromtimestamp(message.event_time / 1000, UTC)
    limit = MAX_CHARACTERS if _by_person(message) else MAX_OTHER_CHARACTERS
    return {
        "speaker": message.name or message.role,
        "role": message.role,
        "time": f"{when:%Y-%m-%d %H:%M %A}",
        "text": message.content[:limit],
    }


def _parse(completion: Completion) -> _Answer:
    """The answer in a completion: the JSON object, without the reasoning or the fence some models put
    around it. Raises MalformedCompletion."""
    text = _REASONING.sub("", completion.text)
    text = text[max(text.find("{"), 0) : text.rfind("}") + 1]
    try:
        return msgspec.json.decode(text, type=_Answer)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedCompletion(f"the model's answer is malformed: {error}") from error


def _candidate(claim: _Claim, sources: Sequence[Message]) -> Candidate:
    speakers = {message.name for message in sources if _by_person(message)}
    speaker = speakers.pop() if len(speakers) == 1 else None
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
        attributes={} if speaker is None else {"speaker": speaker},
        sources=tuple(message.id for message in sources),
        confidence=claim.confidence,
        language="zh" if looks_chinese(claim.text) else "en",
        event_time=_day(claim.event_date) or max(message.event_time for message in sources),
    )


def _day(date: str | None) -> Millis | None:
    """The start of a day in UTC; None for what is no full date, which models write though told not to."""
    try:
        return int(datetime.strptime(date or "", "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
