"""Writing a subject as JSONL that `import` reads back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memgrid._requests import Whose
from memgrid._sync.api import MemgridApi
from memgrid.models import MessageOut

LINE_MESSAGES = 500


def export(client: MemgridApi, ids: Whose) -> Iterator[dict[str, Any]]:
    """First the conversations, oldest session first, then the memories, newest first.

    A conversation line holds neighbouring messages of one session that were added alike.
    """
    named = {name: value for name, value in ids.items() if value is not None}
    sessions = sorted(client.sessions(**ids, page_size=1000), key=lambda s: (s.first_at, s.session_id))
    for session in sessions:
        turns: list[MessageOut] = []
        for message in client.messages(**ids, session_id=session.session_id, page_size=LINE_MESSAGES):
            if turns and (_added(message) != _added(turns[0]) or len(turns) == LINE_MESSAGES):
                yield _conversation(named, turns)
                turns = []
            turns.append(message)
        if turns:
            yield _conversation(named, turns)
    for memory in client.list(**ids, latest_only=False, page_size=1000):
        yield {"type": "memory", **memory.model_dump(mode="json", exclude_none=True)}


def _added(message: MessageOut) -> tuple[object, ...]:
    """What an add says of all its messages."""
    return message.metadata, message.labels, message.infer


def _conversation(named: dict[str, Any], messages: list[MessageOut]) -> dict[str, Any]:
    first = messages[0]
    whose = {f"{label}_id": id_ for label, id_ in first.labels.items()}
    line = {"type": "conversation", **named, **whose, "session_id": first.session_id}
    if first.metadata:
        line["metadata"] = first.metadata
    if not first.infer:
        line["infer"] = False
    return {**line, "messages": [_turn(message) for message in messages]}


def _turn(message: MessageOut) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content, **message.extra}
    if message.name is not None:
        turn["name"] = message.name
    # Without an id of the client's the server's own: importing the file twice adds nothing.
    turn["id"] = message.client_id or message.id
    turn["timestamp"] = message.event_time.isoformat()
    if message.marks:
        turn["marks"] = message.marks
    return turn
