"""What of a memory or message is embedded, and what is indexed: said once, for every index."""

from __future__ import annotations

from cluster.analysis import tokens
from cluster.model import Memory, Message


def embedding_text(unit: Memory | Message) -> str:
    """The text whose vector stands for the unit.

    A message is prefixed with its speaker's name, if it has one: who said it is part of what it means.
    """
    if isinstance(unit, Memory):
        return unit.text
    return f"{unit.name}: {unit.content}" if unit.name else unit.content


def index_tokens(unit: Memory | Message) -> list[str]:
    """The terms that the unit is found by: those of the text that is embedded, and a memory's tags."""
    found = tokens(embedding_text(unit))
    if isinstance(unit, Memory):
        for tag in unit.tags:
            found.extend(tokens(tag))
    return found
