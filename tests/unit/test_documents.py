"""Documents are cut at the best places, kept with theirs, and found."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.documents import parts_of
from cluster.tokens import count_tokens
from memgrid.errors import Conflict
from memgrid.subject import Subject
from tests.owners import running_owner

USER = Subject("t", "user", "u")


def test_cut_between_paragraphs_then_sentences() -> None:
    text = "One. Two.\n\n第三句话在这里。第四句话在这里。\n\nLast."
    said = [text[a:b] for a, b in parts_of(text, 8)]
    assert said == ["One. Two.", "第三句话在这里。第四句话在这里。", "Last."]
    assert [text[a:b] for a, b in parts_of(text, 5)][1:3] == ["第三句话在这里。", "第四句话在这里。"]
    assert [text[a:b] for a, b in parts_of(text, 100)] == [text]
    assert parts_of("  \n ") == []


@settings(max_examples=60, deadline=None)
@given(st.text("ab 。.\n字词，!", max_size=400), st.integers(1, 20))
def test_nothing_is_lost_doubled_or_too_long(text: str, tokens: int) -> None:
    parts = parts_of(text, tokens)
    assert all(after.start >= before.end for before, after in itertools.pairwise(parts))
    assert "".join("".join(text[a:b].split()) for a, b in parts) == "".join(text.split())
    assert all(count_tokens(text[a:b]) <= tokens or b - a == 1 for a, b in parts)


@pytest.mark.parametrize("source_type", ["document", "manual"])
async def test_a_document_is_found_by_its_parts_and_says_where(source_type: str) -> None:
    text = "The spare key is under the flowerpot.\n\n" + "闲话。" * 400 + "\n\n密码本在书架第三层。"
    async with running_owner(buffer_idle_seconds=3600) as ask:
        added = await ask(
            "add_document",
            USER,
            text=text,
            title="House",
            document_id="house",
            user_id="u",
            source_type=source_type,
            wait=True,
        )
        assert len(added.message_ids) > 2
        for question, words in (("where is the spare key", "flowerpot"), ("密码本在哪里", "密码本")):
            (hit,) = (await ask("search", USER, query=question, top_k=1, types=["memory"])).results
            place = hit.memory.attributes["document"]
            assert words in text[place["start"] : place["end"]] == hit.content
            assert (place["id"], hit.memory.metadata["title"]) == ("house", "House")
            found = await ask("list_memories", USER, filters={"source_type": source_type}, limit=1000)
            assert hit.id in {memory.id for memory in found.memories}
        again = await ask("add_document", USER, text=text, document_id="house", user_id="u")
        assert again.duplicates == len(added.message_ids)
        with pytest.raises(Conflict):
            await ask("add_document", USER, text=f"x{text}", document_id="house", user_id="u")
