"""The index follows the store: filled again when it was lost, and made anew, with what is still there."""

from __future__ import annotations

from actors.reindex import rebuild
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import IndexQuery
from memgrid.subject import Subject
from tests.owners import running_owner

LI = Subject("t", "user", "li")


async def test_an_index_is_filled_without_what_was_deleted() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "I live in Hangzhou", "I like green tea", wait=True)
        await ask.owner.vectors.settled()
        await ask("delete_messages", LI, ids=added.message_ids[:1])
        page = await ask("list_memories", LI)
        await ask("delete_memory", LI, id=page.memories[0].id)
        anew = Fts5Index(":memory:")
        await anew.open()
        count = await rebuild(ask.owner.store, anew, shards=4, model="fake")
        expected = {added.message_ids[1], *(memory.id for memory in page.memories[1:])}
        assert count == len(expected)
        found = await anew.search(IndexQuery(tenant="t", subject=LI, text="live Hangzhou like green tea"))
        assert {hit.id for hit in found.hits} == expected
        await anew.close()


async def test_what_is_deleted_leaves_the_index() -> None:
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "I live in Hangzhou", "I like green tea", wait=True)
        await ask.owner.vectors.settled()
        memories = (await ask("list_memories", LI)).memories
        before = await ask.owner.index.count(LI)
        assert before == len(added.message_ids) + len(memories)
        await ask("delete_messages", LI, ids=added.message_ids[:1])
        await ask("delete_memory", LI, id=memories[0].id)
        await ask.owner.indexing.settled()
        assert await ask.owner.index.count(LI) == before - 2
        await ask("erase", LI)
        await ask.owner.indexing.settled()
        assert await ask.owner.index.count(LI) == 0
