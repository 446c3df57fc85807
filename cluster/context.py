"""The context block: what a prompt should know about the subject, within a budget of tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from cluster.analysis import looks_chinese
from cluster.model import Memory, Message, Millis
from cluster.texts import Language, text
from memgrid.errors import InvalidInput
from memgrid.models import ContextBlock, ContextLine

Section = Literal[
    "profile_header", "events_header", "relevant_header", "summary_header", "recent_header", "memories_header"
]

_SHARES: Final[dict[Section, float]] = {
    "relevant_header": 0.5,
    "profile_header": 0.3,
    "events_header": 0.2,
    "summary_header": 0.15,
    "recent_header": 0.2,
}
"""Of the budget, in order of precedence; what a section leaves over goes to the next ones in that order."""
_DISPLAYED: Final[tuple[Section, ...]] = (
    "memories_header",
    "profile_header",
    "events_header",
    "relevant_header",
    "summary_header",
    "recent_header",
)
PLACEHOLDERS: Final[dict[str, Section]] = {
    "profile": "profile_header",
    "events": "events_header",
    "facts": "relevant_header",
    "summary": "summary_header",
    "recent": "recent_header",
}
"""What a template may name. Nothing else between braces means anything, so that nothing can be reached."""
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_WORD_SEARCH: Final = 40
"""How far back from a cut the last space is looked for, in characters."""
_LEAST_CUT: Final = 40
"""Columns of a line that is cut. Of less, as of most single memories, the beginning alone says nothing."""
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")


class _Layout(NamedTuple):
    language: Language
    template: str | None
    shares: Mapping[Section, float]


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
    summary: str | None = None,
    ratio: float | None = None,
    prefer_topics: Sequence[str] = (),
    template: str | None = None,
    scores: Mapping[str, float] | None = None,
) -> ContextBlock:
    """Lay out what is known, at most `max_tokens` as `count_tokens` counts them (None: no limit).

    `memories` and `messages` are the relevant ones, most relevant first; `profile` what is always worth
    knowing, `prefer_topics` first, else what changed last; `buffered` the messages not extracted yet;
    `summary` what was said before them. Plain is one list of the relevant ones. Otherwise there are sections:
    the profile, events and other relevant ones with their dates, the summary, the newest of the buffer. A
    message stands with who said it. A line is whole or left out, unless the most relevant one alone exceeds
    the budget: that one is cut, if enough of it is left to say something.

    `ratio` parts the room of profile and events between them. `template` lays the sections out (see
    PLACEHOLDERS; `check_template` first). With `scores`, by id, the block says why each line is there.
    """
    if template is not None:
        named: frozenset[Section] = frozenset(PLACEHOLDERS[name] for name in _PLACEHOLDER.findall(template))
        lines = _lines(memories, messages, profile, buffered, summary, prefer_topics, named)
    elif plain:
        lines = _plain_lines(memories, messages)
    else:
        lines = _lines(memories, messages, profile, buffered, summary, prefer_topics, frozenset(_DISPLAYED))
    if language is None:
        bodies = " ".join(line.body for line in lines)
        language = "zh" if not bodies or looks_chinese(bodies) else "en"
    layout = _Layout(language, template, _shares(ratio))
    if not lines:
        context = text("no_memories", language) if template is None else _render((), layout)
        if max_tokens is not None and count_tokens(context) > max_tokens:
            context = ""
        return ContextBlock(context=context, tokens=count_tokens(context), degraded=degraded)
    if max_tokens is not None:
        lines = _within(lines, max_tokens, count_tokens, layout)
    context = _render(lines, layout)
    if max_tokens is not None and count_tokens(context) > max_tokens:
        context = ""  # a template that is longer than the budget by itself
    return ContextBlock(
        context=context,
        tokens=count_tokens(context),
        memory_ids=[line.id for line in lines if line.is_memory],
        message_ids=[line.id for line in lines if not line.is_memory and line.id],
        degraded=degraded,
        explain=None
        if scores is None
        else [
            ContextLine(
                id=line.id,
                section=line.section.removesuffix("_header"),
                tokens=count_tokens(line.body),
                score=scores.get(line.id),
            )
            for line in lines
        ],
    )


def check_template(template: str) -> None:
    """Raises InvalidInput for a placeholder that there is not."""
    for name in _PLACEHOLDER.findall(template):
        if name not in PLACEHOLDERS:
            raise InvalidInput(
                f"there is no placeholder {{{name}}}",
                field="template",
                remedy=f"use {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}",
            )


def _shares(ratio: float | None) -> dict[Section, float]:
    if ratio is None:
        return _SHARES
    both = _SHARES["profile_header"] + _SHARES["events_header"]
    return {**_SHARES, "profile_header": both * ratio, "events_header": both * (1 - ratio)}


# --- lines, in order of precedence within their section ---------------------------------------


def _plain_lines(memories: Iterable[Memory], messages: Iterable[Message]) -> list[_Line]:
    lines = [
        *(_Line("memories_header", m.id, True, _one_line(m.text)) for m in memories),
        *(_Line("memories_header", m.id, False, _one_line(_said(m))) for m in messages if m.content.strip()),
    ]
    return _distinct(lines)


def _lines(
    memories: Iterable[Memory],
    messages: Iterable[Message],
    profile: Iterable[Memory],
    buffered: Iterable[Message],
    summary: str | None,
    prefer: Sequence[str],
    sections: frozenset[Section],
) -> list[_Line]:
    """What is said in one of `sections` is not said again in another; what has no place is left out."""
    lines = [
        *(
            _dated(
                "events_header" if m.kind == "event" else "relevant_header",
                m.id,
                True,
                m.created_at if m.event_time is None else m.event_time,
                m.text,
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
            for m in sorted(profile, key=lambda m: (_preference(m, prefer), m.updated_at, m.id), reverse=True)
        ),
        *([_Line("summary_header", "", False, _one_line(summary))] if summary and summary.strip() else []),
        *(
            _Line("recent_header", m.id, False, _one_line(_said(m)))
            for m in sorted(buffered, key=lambda m: (m.event_time, m.id), reverse=True)
            if m.content.strip()
        ),
    ]
    return _distinct(line for line in lines if line.section in sections)


def _preference(memory: Memory, topics: Sequence[str]) -> int:
    return len(topics) - topics.index(memory.topic) if memory.topic in topics else 0


def _distinct(lines: Iterable[_Line]) -> list[_Line]:
    """Without empty lines, and nothing twice: not the same unit, not the same words in one section."""
    ids: set[str] = set()
    bodies: set[tuple[Section, str]] = set()
    kept: list[_Line] = []
    for line in lines:
        if line.body and (not line.id or line.id not in ids) and (line.section, line.body) not in bodies:
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


def _render(lines: Sequence[_Line], layout: _Layout) -> str:
    """Sections in the order of display, none without a line; or as the template says."""
    blocks: list[str] = []
    bodies: dict[Section, str] = {}
    for section in _DISPLAYED:
        own = [line for line in lines if line.section == section]
        if section == "recent_header":
            own.reverse()  # the newest matter most, but a conversation reads from its beginning
        if own:
            bodies[section] = "\n".join(f"- {line.body}" for line in own)
            blocks.append(f"{text(section, layout.language)}\n{bodies[section]}")
    if layout.template is None:
        return "\n\n".join(blocks)
    # One pass: braces inside a memory are text.
    return _PLACEHOLDER.sub(lambda match: bodies.get(PLACEHOLDERS[match[1]], ""), layout.template)


def _within(
    lines: Sequence[_Line], budget: int, count_tokens: Callable[[str], int], layout: _Layout
) -> list[_Line]:
    """Those of `lines` that fit, the most important first."""

    def fits(chosen: Sequence[_Line]) -> bool:
        return count_tokens(_render(chosen, layout)) <= budget

    if not fits([lines[0]]):
        cut = _cut(lines[0], lambda line: fits([line]))
        if cut is not None:
            return [cut]
        lines = [line for line in lines if fits([line])]
        if not lines:
            return []
    chosen = _fill(lines, budget, count_tokens, layout)
    # tokens of the parts need not add up to those of the whole
    while len(chosen) > 1 and not fits(chosen):
        chosen.pop()
    kept = {id(line) for line in chosen}
    return [line for line in lines if id(line) in kept]


def _fill(
    lines: Sequence[_Line], budget: int, count_tokens: Callable[[str], int], layout: _Layout
) -> list[_Line]:
    """First every section within its share, then what is left over in order of precedence."""
    costs = {id(line): count_tokens(f"\n- {line.body}") for line in lines}
    spent: dict[Section, int] = {}
    chosen: list[_Line] = []

    def take(line: _Line, limit: float) -> bool:
        header = 0 if line.section in spent else count_tokens(f"\n\n{text(line.section, layout.language)}")
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
    left = [line for line in others if not take(line, budget * layout.shares.get(line.section, 1.0))]
    for line in left:
        take(line, budget)
    return chosen


def _cut(line: _Line, fits: Callable[[_Line], bool]) -> _Line | None:
    """The longest beginning that fits with an ellipsis; None when it would say next to nothing."""
    low, high = 0, len(line.body)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(line._replace(body=line.body[:middle].rstrip() + "…")):
            low = middle
        else:
            high = middle - 1
    end = _boundary(line.body, low)
    while _width(line.body[line.prefix : end]) >= _LEAST_CUT:
        shortened = line._replace(body=line.body[:end].rstrip() + "…")
        if fits(shortened):
            return shortened
        end = _boundary(line.body, end - 1)
    return None


def _width(body: str) -> int:
    """Columns it takes: a Chinese character says about as much as two letters."""
    return sum(2 if character >= "\u2e80" else 1 for character in body)


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
