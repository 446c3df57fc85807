"""An index that was lost is filled again from the store, and only with what is still there."""

from __future__ import annotations

from actors.reindex import reindex
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import IndexQuery
from memgrid.subject import Subject
from tests.owners import running_owner

LI = Subject("t", "user", "li")


async def test_a_lost_index_is_filled_again_without_what_was_deleted() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "I live in Hangzhou", "I like green tea", wait=True)
        await ask.owner.vectors.settled()
        await ask("delete_messages", LI, ids=added.message_ids[:1])
        page = await ask("list_memories", LI)
        await ask("delete_memory", LI, id=page.memories[0].id)
        anew = Fts5Index(":memory:")
        await anew.open()
        count = await reindex(ask.owner.store, anew, shards=range(4), model="fake")
        expected = {added.message_ids[1], *(memory.id for memory in page.memories[1:])}
        assert count == len(expected)
        hits = await anew.search(IndexQuery(tenant="t", subject=LI, text="live Hangzhou like green tea"))
        assert {hit.id for hit in hits} == expected
        await anew.close()
