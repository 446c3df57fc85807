"""Archives to import, and what a user sees of what was imported."""

from __future__ import annotations

import io
from typing import Any

from cluster.archive.exporting import export_archive
from cluster.archive.importing import Report, import_archive
from memgrid.subject import Subject
from tests.owners import Asking, running_owner

SHARDS = 4
SAID = ("我叫李雷，我喜欢喝绿茶", "我住在杭州", "I am allergic to peanuts.")


async def archive_of(*subjects: Subject, vectors: bool = True) -> bytes:
    """Extracted, one message of each pending, and one memory forgotten."""
    async with running_owner(shards=SHARDS, buffer_idle_seconds=3600) as ask:
        for subject in subjects:
            await ask.add(subject, *SAID, wait=True)
            memories = (await ask("list_memories", subject)).memories
            await ask("delete_memory", subject, id=next(m.id for m in memories if "peanuts" in m.memory))
            await ask.add(subject, "周末打羽毛球", session_id="later")
        await ask.owner.vectors.settled()
        out = io.BytesIO()
        await export_archive(ask.owner.store, out, vectors=vectors)
        return out.getvalue()


async def bring(store: Any, archive: bytes) -> Report:
    """Import it."""
    return await import_archive(store, io.BytesIO(archive))


async def view(ask: Asking, subject: Subject) -> dict[str, Any]:
    """What a user sees."""
    await ask.owner.vectors.settled()
    messages = (await ask("messages", subject)).messages
    buffer = await ask("buffer_status", subject)
    found: dict[tuple[str, str], list[str]] = {}
    for text in ("绿茶", "Hangzhou 杭州", "羽毛球", "peanuts"):
        for strategy in ("hybrid", "vector", "full_text"):
            answer = await ask("search", subject, query=text, strategy=strategy)
            found[text, strategy] = [hit.id for hit in answer.results]
    return {
        "messages": [(m.id, m.content, m.status) for m in messages],
        "memories": [m.id for m in (await ask("list_memories", subject)).memories],
        "pending": buffer.message_ids,
        "sessions": [(s.session_id, s.messages) for s in (await ask("sessions", subject)).sessions],
        "profile": (await ask("profile", subject)).model_dump(exclude={"generated_at"}),
        "found": found,
    }
