"""Memories that come back in the conversation: what we gave for a prompt is not told to us again.

An agent puts the context block into its prompt, and often sends that prompt to `add` as what was said. Taken
for news, every memory would be extracted again and again. What is recognised as ours, and is not
shown to the extractor (the message itself is kept whole):

- lines of a list under one of our headers, in either language;
- a line that is a memory's text, as a bullet, quoted, numbered, dated or in markup;
- a sentence or a quotation that is a memory's text, where that speaks of the user by name or as "User".

What the user says in the first person is never one of these, so a statement repeated is evidence as before.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from cluster.model import Memory, Message
from cluster.pipeline.known_index import KnownIndex, normalise
from cluster.texts import HEADERS, text

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_MARKS = "*_`~\"'“”‘’「」『』《》\u00a0 \t"
_BULLET = re.compile(r"^\s*(?:>\s*)*(?:[-*•·–+‣◦]\s+|\d{1,3}[.)、．]\s*|#+\s+)")
_QUOTE_LINE = re.compile(r"^\s*>+\s*")
_DATE = re.compile(r"^\[\d{4}-\d{2}-\d{2}\]\s*")
_SENTENCE = re.compile(r"[^.!?。！？;；\n]+(?:[.!?。！？;；]+[\"”’」』]*|\Z)\s*")
_QUOTED = re.compile(r"[\"“「『‘]([^\"“”「」『』‘’\n]{4,400})[\"”」』’]")
_HEADERS: Final = frozenset(normalise(text(key, language)) for key in HEADERS for language in ("zh", "en"))
_USER: Final = ("user", "the user", "用户")


def without_recalled(messages: Iterable[Message], known: KnownIndex) -> list[Message]:
    """The messages without what is recalled in them; those that said nothing else are left out."""
    kept: list[Message] = []
    for message in messages:
        content = strip_recalled(message.content, known)
        if content == message.content:
            kept.append(message)
        elif content.strip():
            kept.append(msgspec.structs.replace(message, content=content))
    return kept


def strip_recalled(content: str, known: KnownIndex) -> str:
    """`content` without what it recalls; as it was, when there is nothing of that in it."""
    kept: list[str] = []
    under_header = changed = False
    for line in content.split("\n"):
        bulleted = _BULLET.match(_TAG.sub("", line)) is not None
        bare = _bare(line)
        if normalise(bare) in _HEADERS and bare:
            under_header = changed = True
            continue
        if under_header and (bulleted or not bare):
            changed = True
            continue
        under_header = False
        left = _line(line, bare, known, marked=bulleted or bare != line.strip())
        changed = changed or left != line
        if left or not line:
            kept.append(left)
    return "\n".join(kept) if changed else content


def _line(line: str, bare: str, known: KnownIndex, *, marked: bool) -> str:
    if bare and _is_memory(bare, known, marked=marked):
        return ""
    unquoted = _QUOTED.sub(lambda match: "" if _is_memory(match[1], known, marked=True) else match[0], line)
    sentences = _SENTENCE.findall(unquoted)
    if len(sentences) < 2:
        return unquoted
    left = [each for each in sentences if not _is_memory(_bare(each), known, marked=False)]
    return "".join(left) if len(left) < len(sentences) else unquoted


def _is_memory(said: str, known: KnownIndex, *, marked: bool) -> bool:
    if len(said) < 4:
        return False
    return any(_ours(memory, marked=marked) for memory in known.stating(said))


def _ours(memory: Memory, *, marked: bool) -> bool:
    """Whether words that are those of `memory` are taken from it, and not said anew."""
    if marked:
        return True
    speaker = memory.attributes.get("speaker")
    names: Sequence[str] = (*_USER, normalise(speaker)) if isinstance(speaker, str) else _USER
    return memory.kind != "note" and normalise(memory.text).startswith(tuple(names))


def _bare(line: str) -> str:
    """The words of a line, without markup, bullet, quotation marks and date."""
    words = html.unescape(_TAG.sub("", line))
    words = _BULLET.sub("", _QUOTE_LINE.sub("", words), count=1).strip(_MARKS)
    return _DATE.sub("", words, count=1).strip(_MARKS)
