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

    A conversation line holds neighbouring messages of one session that carry the same metadata.
    """
    named = {name: value for name, value in ids.items() if value is not None}
    sessions = sorted(client.sessions(**ids, page_size=1000), key=lambda s: (s.first_at, s.session_id))
    for session in sessions:
        turns: list[MessageOut] = []
        for message in client.messages(**ids, session_id=session.session_id, page_size=LINE_MESSAGES):
            if turns and (message.metadata != turns[0].metadata or len(turns) == LINE_MESSAGES):
                yield _conversation(named, turns)
                turns = []
            turns.append(message)
        if turns:
            yield _conversation(named, turns)
    for memory in client.list(**ids, latest_only=False, page_size=1000):
        yield {"type": "memory", **memory.model_dump(mode="json", exclude_none=True)}


def _conversation(named: dict[str, Any], messages: list[MessageOut]) -> dict[str, Any]:
    line = {"type": "conversation", **named, "session_id": messages[0].session_id}
    if messages[0].metadata:
        line["metadata"] = messages[0].metadata
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
