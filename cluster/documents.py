"""Documents as messages: a text is cut into parts that are found one by one, each with its place in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from cluster.pipeline.merge import PLACE
from cluster.tokens import count_tokens
from memgrid.kinds import Document
from memgrid.models import AddRequest, MessageIn

PART_TOKENS: Final = 300
"""Tokens of a part: enough for a thought, and few enough for an embedding to mean it."""

_BREAKS: Final = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])"),
    re.compile(r"\s+|(?<=[，、])"),
)
"""Where a text is cut, the better places first."""


class Part(NamedTuple):
    """A piece of a text: `text[start:end]`, in characters."""

    start: int
    end: int


def parts_of(text: str, tokens: int = PART_TOKENS) -> list[Part]:
    """The text in parts of at most `tokens` tokens, in order and without a gap but for white space.

    Cut between paragraphs where possible, else between lines, sentences, words, and last of all anywhere.
    """
    parts: list[Part] = []
    for start, end in _pieces(text, 0, len(text), 0, tokens):
        if parts and count_tokens(text[parts[-1].start : end]) <= tokens:
            parts[-1] = Part(parts[-1].start, end)
        else:
            parts.append(Part(start, end))
    return [part for part in (_trimmed(text, *part) for part in parts) if part.start < part.end]


def _pieces(text: str, start: int, end: int, level: int, tokens: int) -> Iterator[tuple[int, int]]:
    if count_tokens(text[start:end]) <= tokens:
        yield start, end
        return
    if level == len(_BREAKS):
        middle = (start + end) // 2
        if middle == start:
            yield start, end
            return
        yield from _pieces(text, start, middle, level, tokens)
        yield from _pieces(text, middle, end, level, tokens)
        return
    at = start
    for found in _BREAKS[level].finditer(text, start, end):
        if found.end() > at:
            yield from _pieces(text, at, found.end(), level + 1, tokens)
            at = found.end()
    if at < end:
        yield from _pieces(text, at, end, level + 1, tokens)


def _trimmed(text: str, start: int, end: int) -> Part:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Part(start, end)


def as_add(document: Document, fallback_id: str) -> AddRequest:
    """The add that keeps the document, one message a part; `fallback_id` names it where it has no id."""
    name = document.document_id or fallback_id
    # A part's id must fit whatever the document's is.
    digest = hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
    messages = [
        MessageIn.model_validate(
            {
                "role": "document",
                "content": document.text[part.start : part.end],
                "id": None if document.document_id is None else f"document:{digest}:{number}",
                PLACE: {"id": name, "part": number, "start": part.start, "end": part.end},
            }
        )
        for number, part in enumerate(parts_of(document.text))
    ]
    metadata = {**document.metadata, "source_type": document.source_type, "document_id": name}
    if document.title is not None:
        metadata["title"] = document.title
    return AddRequest(
        messages=messages,
        user_id=document.user_id,
        agent_id=document.agent_id,
        app_id=document.app_id,
        run_id=document.run_id,
        session_id=f"document:{digest}",
        metadata=metadata,
        infer=False,
        wait=document.wait,
    )
