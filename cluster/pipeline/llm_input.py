"""What a model is shown and told: pure functions from messages to a chat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from cluster.analysis import looks_chinese
from cluster.model import Memory, Message
from cluster.pipeline.evidence import Shown, is_person
from cluster.pipeline.port import Brief
from cluster.prompts import Prompt

Language = Literal["zh", "en"]

PART_TOKENS: Final = 8192
"""Tokens of messages in one question to a model; a longer run is asked in parts."""
MAX_CHARACTERS: Final = 4000
"""Characters of a person's message that the model is shown."""
MAX_KNOWN: Final = 50
"""Memories on record that the model is shown: those changed last."""

_PROJECT: Final[dict[Language, str]] = {
    "en": "The project you work for adds, without changing the form of the answer:\n{instructions}",
    "zh": "你所服务的项目补充如下要求（回答的格式不变）：\n{instructions}",
}
_TOPICS: Final[dict[Language, str]] = {
    "en": "The project's own topics (topic/subtopic: description), to be preferred:\n{topics}",
    "zh": "项目自定的主题（topic/subtopic：说明），优先使用：\n{topics}",
}
_ONLY_TOPICS: Final[dict[Language, str]] = {
    "en": "Note nothing that is in none of these topics:\n{topics}",
    "zh": "只记录属于下列主题的内容（topic/subtopic：说明）：\n{topics}",
}
_ONLY_VARIABLES: Final[dict[Language, str]] = {
    "en": 'Only the variables are wanted this time: answer "memories": [] and "summary": null.',
    "zh": '这次只需要变量："memories" 写 []，"summary" 写 null。',
}
_QUESTIONS: Final[dict[str, dict[Language, str]]] = {
    "repair": {
        "en": "That is not the JSON asked for: {error}. Answer again, with the JSON object and nothing else.",
        "zh": "这不是所要求的 JSON：{error}。请重新回答，只写 JSON 对象，不要写别的。",
    },
    "language": {
        "en": "Some of these are not in the speaker's language. Answer again, each text in English.",
        "zh": "其中有些内容用的不是说话人的语言。请重新回答，每条内容都用中文书写。",
    },
    "continue": {
        "en": "The answer was cut off. Give what is still missing, as a new JSON object of the same form, "
        "without what you have given.",
        "zh": "回答被截断了。请用同样格式的新 JSON 对象只给出尚缺的内容，已给出的不要重复。",
    },
}


def question(purpose: str, language: Language, error: str = "") -> str:
    """Why the model is asked again."""
    return _QUESTIONS[purpose][language].format(error=error)


def parts(said: Sequence[Message]) -> Iterator[list[Message]]:
    """The messages in groups of at most PART_TOKENS (a larger message alone), oldest first."""
    part: list[Message] = []
    tokens = 0
    for message in said:
        if part and tokens + message.tokens > PART_TOKENS:
            yield part
            part, tokens = [], 0
        part.append(message)
        tokens += message.tokens
    if part:
        yield part


def language_of(said: Sequence[Message]) -> Language:
    """The language that most of what people said is in."""
    text = "\n".join(message.content[:MAX_CHARACTERS] for message in said if is_person(message))
    return "zh" if looks_chinese(text) else "en"


def shown(said: Sequence[Message], earlier: Sequence[Message], known: Sequence[Memory]) -> Shown:
    """What of it all the model gets to see."""
    recent = sorted(known, key=lambda memory: memory.updated_at)[-MAX_KNOWN:]
    return Shown(said=said, earlier=[message for message in earlier if message.content.strip()], known=recent)


def data(given: Shown, brief: Brief, *, other_characters: int) -> str:
    """The JSON object that the prompt speaks of. `other_characters` is how much of a message is shown that
    no person wrote."""
    sessions = {name: n for n, name in enumerate(dict.fromkeys(message.session for message in given.said), 1)}
    numbered: list[dict[str, Any]] = []
    for n, message in enumerate(given.said, 1):
        session = {"session": sessions[message.session]} if len(sessions) > 1 else {}
        numbered.append({"n": n, **session, **_shown(message, other_characters)})
    content = {
        "known": [{"n": n, "text": memory.text[:MAX_CHARACTERS]} for n, memory in enumerate(given.known, 1)],
        "summary": brief.summaries.get(given.said[-1].session),
        "variables": dict(brief.variables),
        "earlier": [_shown(message, other_characters) for message in given.earlier],
        "messages": numbered,
    }
    return msgspec.json.encode(content).decode()


def instructions(prompt: Prompt, brief: Brief, language: Language) -> Prompt:
    """The prompt with what the project adds; its version tells that something was added, by a hash."""
    added: list[str] = []
    if brief.topics:
        wanted = _ONLY_TOPICS if brief.strict_topics else _TOPICS
        added.append(wanted[language].format(topics="\n".join(f"- {topic}" for topic in brief.topics)))
    if brief.instructions:
        added.append(_PROJECT[language].format(instructions=brief.instructions))
    if not brief.long_term:
        added.append(_ONLY_VARIABLES[language])
    if not added:
        return prompt
    text = "\n\n".join(added)
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return Prompt(f"{prompt.text.rstrip()}\n\n{text}\n", f"{prompt.version}+{digest}")


def _shown(message: Message, other_characters: int) -> dict[str, Any]:
    when = datetime.fromtimestamp(message.event_time / 1000, UTC)
    limit = MAX_CHARACTERS if is_person(message) else other_characters
    return {
        "speaker": message.name or message.role,
        "role": message.role,
        "time": f"{when:%Y-%m-%d %H:%M %A}",
        "text": message.content[:limit],
    }
