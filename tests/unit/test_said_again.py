"""What was said again and again, proposed by the index as nothing but messages."""

from __future__ import annotations

from memgrid.subject import Subject
from tests.owners import running_owner

LI = Subject("t", "user", "li")


async def test_proposed_messages_bring_the_memory_that_stands_for_them() -> None:
    async with running_owner() as ask:
        for _ in range(3):
            await ask.add(LI, "我对花生过敏", agent_id="chef", wait=True)
        said = [message.id for message in (await ask("messages", LI)).messages]
        for types, expected in ((None, "memory"), (["message"], "message")):
            query = {"query": "过敏", "agent_id": "chef", "strategy": "full_text", "types": types}
            (hit,) = (await ask("hydrate", LI, query=query, message_ids=said)).results
            assert hit.type == expected
            assert set(hit.message_ids) == set(said)
