"""The context block: what a prompt should know about the subject, within a budget of tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from cluster.analysis import looks_chinese
from cluster.model import Memory, Message, Millis
from cluster.texts import Language, text
from memgrid.models import ContextBlock

Section = Literal["profile_header", "relevant_header", "recent_header", "memories_header"]

_SHARES: Final[dict[Section, float]] = {
    "relevant_header": 0.5,
    "profile_header": 0.3,
    "recent_header": 0.2,
}
"""Of the budget, in order of precedence; what a section leaves over goes to the next ones in that order."""
_DISPLAYED: Final[tuple[Section, ...]] = (
    "memories_header",
    "profile_header",
    "relevant_header",
    "recent_header",
)
_WORD_SEARCH: Final = 40
"""How far back from a cut the last space is looked for, in characters."""
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")


class _Line(NamedTuple):
    section: Section
    id: str
    is_memory: bool
    body: str
    prefix: int = 0
    """Characters at the beginning that say nothing by themselves: the date."""


def build_context(
    *,
    memories: Sequence[Memory],
    messages: Sequence[Message] = (),
    profile: Sequence[Memory] = (),
    buffered: Sequence[Message] = (),
    count_tokens: Callable[[str], int],
    max_tokens: int | None = None,
    language: Language | None = None,
    plain: bool = True,
    degraded: bool = False,
) -> ContextBlock:
    """Lay out what is known, at most `max_tokens` as `count_tokens` counts them (None: no limit).

    `memories` and `messages` are the relevant ones, most relevant first; `profile` what is always worth
    knowing; `buffered` the messages not extracted yet. Plain is one list of the relevant ones. Otherwise
    there are sections: the profile, the relevant ones with their dates, the newest of the buffer. A line
    is whole or left out, unless the most relevant one alone exceeds the budget: that one is cut.
    """
    lines = _plain_lines(memories, messages) if plain else _lines(memories, messages, profile, buffered)
    if language is None:
        bodies = " ".join(line.body for line in lines)
        language = "zh" if not bodies or looks_chinese(bodies) else "en"
    if not lines:
        context = text("no_memories", language)
        if max_tokens is not None and count_tokens(context) > max_tokens:
            context = ""
        return ContextBlock(context=context, tokens=count_tokens(context), degraded=degraded)
    if max_tokens is not None:
        lines = _within(lines, max_tokens, count_tokens, language)
    context = _render(lines, language)
    return ContextBlock(
        context=context,
        tokens=count_tokens(context),
        memory_ids=[line.id for line in lines if line.is_memory],
        message_ids=[line.id for line in lines if not line.is_memory],
        degraded=degraded,
    )


# --- lines, in order of precedence within their section ---------------------------------------


def _plain_lines(memories: Iterable[Memory], messages: Iterable[Message]) -> list[_Line]:
    lines = [
        *(_Line("memories_header", m.id, True, _one_line(m.text)) for m in memories),
        *(_Line("memories_header", m.id, False, _one_line(m.content)) for m in messages),
    ]
    return _distinct(lines)


def _lines(
    memories: Iterable[Memory],
    messages: Iterable[Message],
    profile: Iterable[Memory],
    buffered: Iterable[Message],
) -> list[_Line]:
    lines = [
        *(
            _dated(
                "relevant_header", m.id, True, m.created_at if m.event_time is None else m.event_time, m.text
            )
            for m in memories
            if m.text.strip()
        ),
        *(
            _dated("relevant_header", m.id, False, m.event_time, _said(m))
            for m in messages
            if m.content.strip()
        ),
        *(
            _Line("profile_header", m.id, True, _one_line(m.text))
            for m in sorted(profile, key=lambda m: (m.updated_at, m.id), reverse=True)
        ),
        *(
            _Line("recent_header", m.id, False, _one_line(_said(m)))
            for m in sorted(buffered, key=lambda m: (m.event_time, m.id), reverse=True)
            if m.content.strip()
        ),
    ]
    return _distinct(lines)


def _distinct(lines: Iterable[_Line]) -> list[_Line]:
    """Without empty lines, and nothing twice: not the same unit, not the same words in one section."""
    ids: set[str] = set()
    bodies: set[tuple[Section, str]] = set()
    kept: list[_Line] = []
    for line in lines:
        if line.body and line.id not in ids and (line.section, line.body) not in bodies:
            kept.append(line)
        ids.add(line.id)
        bodies.add((line.section, line.body))
    return kept


def _one_line(body: str) -> str:
    # a line break inside a memory must not look like the next line of the list
    return " ".join(body.split())


def _dated(section: Section, unit_id: str, is_memory: bool, at: Millis, body: str) -> _Line:
    date = f"[{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}] "
    return _Line(section, unit_id, is_memory, date + _one_line(body), len(date))


def _said(message: Message) -> str:
    return f"{message.name or message.role}: {message.content}"


# --- layout -----------------------------------------------------------------------------------


def _render(lines: Sequence[_Line], language: Language) -> str:
    """Sections in the order of display, each with its header; none without a line."""
    blocks: list[str] = []
    for section in _DISPLAYED:
        own = [line for line in lines if line.section == section]
        if section == "recent_header":
            own.reverse()  # the newest matter most, but a conversation reads from its beginning
        if own:
            blocks.append("\n".join([text(section, language), *(f"- {line.body}" for line in own)]))
    return "\n\n".join(blocks)


def _within(
    lines: Sequence[_Line], budget: int, count_tokens: Callable[[str], int], language: Language
) -> list[_Line]:
    """Those of `lines` that fit, the most important first."""

    def fits(chosen: Sequence[_Line]) -> bool:
        return count_tokens(_render(chosen, language)) <= budget

    first = lines[0]
    if not fits([first]):
        cut = _cut(first, lambda line: fits([line]))
        return [] if cut is None else [cut]
    chosen = _fill(lines, budget, count_tokens, language)
    # tokens of the parts need not add up to those of the whole
    while len(chosen) > 1 and not fits(chosen):
        chosen.pop()
    kept = {id(line) for line in chosen}
    return [line for line in lines if id(line) in kept]


def _fill(
    lines: Sequence[_Line], budget: int, count_tokens: Callable[[str], int], language: Language
) -> list[_Line]:
    """First every section within its share, then what is left over in order of precedence."""
    costs = {id(line): count_tokens(f"\n- {line.body}") for line in lines}
    spent: dict[Section, int] = {}
    chosen: list[_Line] = []

    def take(line: _Line, limit: float) -> bool:
        header = 0 if line.section in spent else count_tokens(f"\n\n{text(line.section, language)}")
        cost = header + costs[id(line)]
        own = spent.get(line.section, 0)
        if own + cost > limit or sum(spent.values()) + cost > budget:
            return False
        spent[line.section] = own + cost
        chosen.append(line)
        return True

    first, *others = lines
    take(first, budget)
    if not chosen:
        return [first]  # fits, as was asked before, though its parts add up to more
    left = [line for line in others if not take(line, budget * _SHARES.get(line.section, 1.0))]
    for line in left:
        take(line, budget)
    return chosen


def _cut(line: _Line, fits: Callable[[_Line], bool]) -> _Line | None:
    """The longest beginning that fits with an ellipsis; None when it would say nothing."""
    low, high = 0, len(line.body)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(line._replace(body=line.body[:middle].rstrip() + "…")):
            low = middle
        else:
            high = middle - 1
    end = _boundary(line.body, low)
    while end > line.prefix:
        shortened = line._replace(body=line.body[:end].rstrip() + "…")
        if fits(shortened):
            return shortened
        end = _boundary(line.body, end - 1)
    return None


def _boundary(body: str, end: int) -> int:
    """The nearest place at or before `end` that splits neither a word nor a character of several parts."""
    if end >= len(body):
        return end
    if _is_spaced(body[end]) and end > 0 and _is_spaced(body[end - 1]):
        space = body.rfind(" ", max(0, end - _WORD_SEARCH), end)
        if space > 0:
            return space
    while end > 0 and (
        unicodedata.combining(body[end]) or body[end] in _JOINERS or body[end - 1] in _JOINERS
    ):
        end -= 1
    return end


def _is_spaced(character: str) -> bool:
    """Whether it belongs to a word that spaces set apart (Chinese and Japanese words are not)."""
    return character.isalnum() and not "\u2e80" <= character <= "\u9fff" and character < "\U00020000"
