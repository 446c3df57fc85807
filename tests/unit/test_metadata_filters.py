"""The metadata keys of the native route: what is given with an add is answered, and what filters ask of."""

from __future__ import annotations

from memgrid.subject import Subject
from tests.owners import running_owner

LI = Subject("t", "user", "li")


async def test_what_metadata_says_of_a_memory_is_what_filters_ask() -> None:
    """Every key of the native route's metadata: the caller's where there is one, else memgrid's own."""
    async with running_owner() as ask:
        given = {
            "tenant_id": "shop",
            "conversation_id": "c-7",
            "embedding_model": "theirs",
            "source_type": "manual",
            "created_at": "2020-02-03T04:05:06Z",
            "updated_at": "2020-03",
        }
        await ask.add(LI, "I live in Hangzhou", metadata=given, session_id="s1", wait=True)
        await ask.add(LI, "I like green tea", session_id="s2", wait=True)
        home, tea = "User lives in Hangzhou", "User likes green tea"
        for filters, expected in (
            ({"tenant_id": "shop"}, {home}),
            ({"tenant_id": "t"}, {tea}),
            ({"tenant_id": "other"}, set[str]()),
            ({"conversation_id": "c-7"}, {home}),
            ({"conversation_id": "s1"}, set[str]()),
            ({"conversation_id": "s2"}, {tea}),
            ({"embedding_model": "theirs"}, {home}),
            ({"embedding_model": "fake"}, {tea}),
            ({"source_type": "manual"}, {home}),
            ({"source_type": "conversation"}, {tea}),
            ({"created_at": {"lt": "2020-06-01"}}, {home}),
            ({"created_at": "2020-02-03"}, {home}),
            ({"created_at": {"gte": "2020-06-01"}}, {tea}),
            # what is no date says nothing
            ({"updated_at": {"lt": "2020-06-01"}}, set[str]()),
        ):
            searched = await ask("search", LI, filters=filters, query="user", types=["memory"])
            assert {hit.memory.memory for hit in searched.results} == expected, filters
            listed = await ask("list_memories", LI, filters=filters)
            assert {memory.memory for memory in listed.memories} == expected, filters
        by_text = {memory.memory: memory for memory in (await ask("list_memories", LI)).memories}
        assert (by_text[home].source_type, by_text[tea].source_type) == ("manual", "conversation")
        assert by_text[tea].metadata["timestamp"].endswith("Z")
        await ask("delete_memories", LI, filters={"tenant_id": "t"})
        left = await ask("list_memories", LI)
        assert [memory.memory for memory in left.memories] == [home]
