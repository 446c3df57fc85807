"""The owner without Ray: durable adds, reads that see every write, edits, forgetting, parking."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import pytest

from cluster.ids import new_id, system_clock
from cluster.model import DAY_MS, Changes, Head, Memory
from cluster.pipeline.merge import Decisions, merge
from cluster.retrieval.hot_subject import HotSubject
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unavailable,
)
from memgrid.subject import Subject
from tests.owners import Asking, FakeEmbedder, running_owner
from tests.scripted_extractor import ScriptedExtractor

LI = Subject("t", "user", "li")
WANG = Subject("t", "user", "wang")


@pytest.fixture
def extractor() -> ScriptedExtractor:
    return ScriptedExtractor()


@pytest.fixture
async def ask(extractor: ScriptedExtractor) -> AsyncGenerator[Asking]:
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600) as asking:
        yield asking


async def texts_of(ask: Asking, subject: Subject) -> list[str]:
    page = await ask("list_memories", subject, limit=1000)
    return sorted(memory.memory for memory in page.memories)


async def test_an_added_message_is_found_before_it_is_embedded_or_extracted(ask: Asking) -> None:
    ask.embedder.gate.clear()
    await ask.add(LI, "我喜欢打羽毛球")
    result = await ask("search", LI, query="羽毛球", strategy="full_text")
    assert [hit.content for hit in result.results] == ["我喜欢打羽毛球"]
    assert result.results[0].message.status == "buffered"
    ask.embedder.gate.set()


async def test_waiting_gives_what_the_extraction_did(ask: Asking) -> None:
    added = await ask.add(LI, "I live in Hangzhou", wait=True)
    assert added.status == "done"
    assert [(change.event, change.memory) for change in added.results] == [("ADD", "I live in Hangzhou")]
    assert added.memory_id == added.results[0].id
    job = await ask("job", LI, id=added.job_id)
    assert (job.status, job.messages, job.done) == ("done", 1, 1)
    assert job.results == added.results


async def test_a_job_is_pending_until_its_messages_are_in_a_run(
    ask: Asking, extractor: ScriptedExtractor
) -> None:
    added = await ask.add(LI, "I live in Hangzhou")
    assert added.status == "pending"
    assert (await ask("job", LI, id=added.job_id)).status == "pending"
    await ask("process", LI)
    assert (await ask("job", LI, id=added.job_id)).status == "done"


async def test_the_same_request_id_has_one_effect(ask: Asking) -> None:
    request_id = new_id()
    fields = {"messages": [{"content": "I live in Hangzhou"}], "user_id": "li", "wait": True}
    first = await ask("add", LI, request_id, **fields)
    again = await ask("add", LI, request_id, **fields)
    assert again.message_ids == first.message_ids
    assert len((await ask("messages", LI)).messages) == 1
    assert await texts_of(ask, LI) == ["I live in Hangzhou"]


async def test_an_idempotency_key_has_one_effect_and_one_payload(ask: Asking) -> None:
    first = await ask.add(LI, "one", "two", idempotency_key="k")
    again = await ask.add(LI, "one", "two", idempotency_key="k")
    assert again.message_ids == first.message_ids
    assert again.duplicates == 2
    assert len((await ask("messages", LI)).messages) == 2
    with pytest.raises(Conflict) as refused:
        await ask.add(LI, "one", "three", idempotency_key="k")
    assert refused.value.field == "idempotency_key"
    assert len((await ask("messages", LI)).messages) == 2


async def test_a_clients_message_id_is_one_message_in_its_session(ask: Asking) -> None:
    message = {"content": "hello there", "id": "m1"}
    await ask("add", LI, messages=[message, message], user_id="li")
    await ask("add", LI, messages=[message], user_id="li")
    await ask("add", LI, messages=[message], user_id="li", session_id="another")
    assert len((await ask("messages", LI)).messages) == 2
    with pytest.raises(Conflict):
        await ask("add", LI, messages=[{"content": "something else", "id": "m1"}], user_id="li")


async def test_a_server_id_given_back_is_the_same_message(ask: Asking) -> None:
    added = await ask.add(LI, "one", "two")
    again = [
        {"content": "two", "id": added.message_ids[1]},
        {"content": "three"},
        {"content": "one", "id": added.message_ids[0]},
    ]
    result = await ask("add", LI, messages=again, user_id="li")
    assert (result.message_ids[0], result.message_ids[2]) == (added.message_ids[1], added.message_ids[0])
    assert result.duplicates == 2
    assert [m.content for m in (await ask("messages", LI)).messages] == ["one", "two", "three"]


async def test_what_is_said_again_and_again_is_found_as_its_memory() -> None:
    async with running_owner() as ask:
        for _ in range(8):
            turn = [
                {"role": "user", "content": "我对花生过敏"},
                {"role": "assistant", "content": "好的，我记住了。"},
            ]
            last = await ask("add", LI, messages=turn, user_id="li", wait=True)
        await ask.owner.vectors.settled()
        for strategy in ("full_text", "vector", "hybrid"):
            results = (await ask("search", LI, query="过敏", strategy=strategy, top_k=5)).results
            assert results[0].memory.memory == "用户对花生过敏"
            assert last.message_ids[0] in results[0].message_ids
            assert [hit.content for hit in results[1:]] in ([], ["好的，我记住了。"])
        await ask.add(LI, "我对花生过敏")
        results = (await ask("search", LI, query="过敏", strategy="full_text")).results
        assert [hit.type for hit in results] == ["message", "memory"], "what was just said is there, and once"


async def test_a_context_puts_memories_before_what_was_said(ask: Asking) -> None:
    await ask.add(LI, "I like green tea", wait=True)
    await ask.add(LI, "green tea green tea", "green tea green tea", "what about tea")
    block = await ask("context", LI, message="green tea", limit=2)
    assert block.context.splitlines()[1:] == ["- I like green tea", "- user: green tea green tea"]


async def test_a_context_has_what_was_said_where_no_memory_comes_near_it(ask: Asking) -> None:
    await ask.add(LI, "I like jazz", "I live in Hangzhou", "I have a cat", wait=True)
    await ask.add(LI, "dinosaur drawings all over the kitchen again", "What dinosaur drawings, all over?")
    message = "a gift for dinosaur drawings"
    block = await ask("context", LI, message=message, limit=3)
    assert block.context.splitlines()[3] == "- user: dinosaur drawings all over the kitchen again"
    assert (len(block.memory_ids), len(block.message_ids)) == (2, 1)
    alone = await ask("context", LI, message=message, limit=1)
    assert (len(alone.memory_ids), len(alone.message_ids)) == (1, 0), (
        "a place is a memory's whatever was said"
    )
    near = await ask("context", LI, message="jazz in Hangzhou with a cat", limit=3)
    assert len(near.memory_ids) == 3


async def test_a_context_lists_memories_and_neither_small_talk_nor_what_is_no_longer_so() -> None:
    async with running_owner() as ask:
        for _ in range(8):
            turn = [
                {"role": "user", "content": "我对花生过敏"},
                {"role": "assistant", "content": "好的，我记住了。"},
            ]
            await ask("add", WANG, messages=turn, user_id="wang", wait=True)
        block = await ask("context", WANG, message="推荐晚餐")
        assert block.context.splitlines()[1:] == ["- 用户对花生过敏"]
        assert (len(block.memory_ids), block.message_ids) == (1, [])
        await ask.add(LI, "I live in Hangzhou, dinner is at six", wait=True)
        await ask.add(LI, "I moved to Beijing.", wait=True)
        question = "Where is dinner in Hangzhou?"
        await ask.add(LI, question, "We dine at seven today.")
        praise = [{"role": "assistant", "content": "Dinner in Beijing is great!"}]
        await ask("add", LI, messages=praise, user_id="li")
        block = await ask("context", LI, message=question, limit=5)
        assert sorted(block.context.splitlines()[1:]) == [
            "- User lives in Beijing",
            "- user: We dine at seven today.",
        ]
        sections = await ask("context", LI, message=question, limit=5, plain=False)
        relevant = sections.context.partition("messages:")[2].partition("Latest")[0]
        assert "Hangzhou" not in relevant


async def test_a_context_of_a_period_has_nothing_else_from_the_buffer(ask: Asking) -> None:
    await ask.add(LI, "the old talk", timestamp="2020-01-01T00:00:00Z")
    await ask.add(LI, "the new talk", timestamp="2026-11-02T00:00:00Z")
    for period, kept in (({"since": "2026-11-01"}, "new"), ({"until": "2026-11-01"}, "old")):
        for message in ("talk", ""):
            block = await ask("context", LI, message=message, plain=False, **period)
            assert {"old", "new"} & set(block.context.split()) == {kept}
    with pytest.raises(InvalidInput) as refused:
        await ask("context", LI, since="2026-11-02", until="2026-11-01")
    assert refused.value.field == "until"


async def test_a_context_is_filled_with_what_fits_next() -> None:
    async with running_owner() as ask:
        await ask.add(LI, "I like green tea and I live in Hangzhou and I have a cat.", wait=True)
        block = await ask("context", LI, message="User likes green tea", limit=3)
    assert block.context.splitlines()[1] == "- User likes green tea"
    assert len(block.memory_ids) == 3


async def test_a_read_while_an_add_is_on_its_way_does_not_make_it_a_duplicate(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = ask.owner.store.append

    async def append_and_read(*arguments: Any) -> bool:
        done = await append(*arguments)
        assert (await ask("messages", LI)).messages
        return done

    monkeypatch.setattr(ask.owner.store, "append", append_and_read)
    added = await ask.add(LI, "I like green tea")
    assert added.duplicates == 0
    done = await ask("process", LI)
    assert [change.event for change in done.results] == ["ADD"]


async def test_a_deleted_message_does_not_come_back_with_a_retry(ask: Asking) -> None:
    first = await ask.add(LI, "my secret", idempotency_key="k")
    await ask("delete_messages", LI, ids=first.message_ids)
    await ask.add(LI, "my secret", idempotency_key="k", wait=True)
    assert (await ask("messages", LI)).messages == []
    assert (await ask("search", LI, query="secret")).results == []
    assert await texts_of(ask, LI) == []


async def test_infer_false_keeps_messages_word_for_word(ask: Asking, extractor: ScriptedExtractor) -> None:
    added = await ask.add(LI, "Keep me exactly.", infer=False, wait=True)
    page = await ask("list_memories", LI)
    assert [(m.memory, m.kind) for m in page.memories] == [("Keep me exactly.", "note")]
    assert page.memories[0].source_message_ids == added.message_ids
    assert extractor.seen == []


async def test_metadata_and_labels_reach_the_memory_and_filter(ask: Asking) -> None:
    await ask(
        "add",
        LI,
        messages=[{"content": "I live in Hangzhou"}],
        user_id="li",
        agent_id="a1",
        metadata={"category": "home", "priority": 3},
        wait=True,
    )
    await ask.add(LI, "I like tea", wait=True)
    memory = (await ask("list_memories", LI, filters={"metadata": {"priority": {"gte": 3}}})).memories
    assert [m.memory for m in memory] == ["I live in Hangzhou"]
    assert (memory[0].agent_id, memory[0].category) == ("a1", "home")
    found = await ask("search", LI, query="live tea", agent_id="a1")
    assert {hit.content for hit in found.results} == {"I live in Hangzhou"}


async def test_metadata_too_large_to_be_kept_with_a_memory_is_refused(ask: Asking) -> None:
    with pytest.raises(PayloadTooLarge) as refused:
        await ask.add(LI, "I like tea", metadata={"blob": "x" * 70_000})
    assert refused.value.field == "metadata"
    assert (await ask("messages", LI)).messages == []


async def test_many_large_notes_are_committed_in_parts(ask: Asking) -> None:
    notes = [f"note {n} " + "word " * 12_000 for n in range(8)]
    added = await ask.add(LI, *notes, infer=False, wait=True)
    assert added.status == "done"
    assert len(await texts_of(ask, LI)) == 8


async def test_update_keeps_history_and_is_seen_at_once(ask: Asking) -> None:
    memory_id = (await ask.add(LI, "I live in Beijing", wait=True)).memory_id
    await ask("search", LI, query="live")
    updated = await ask("update_memory", LI, id=memory_id, patch={"text": "I live in Hangzhou"})
    assert updated.memory == "I live in Hangzhou"
    assert updated.updated_at >= updated.created_at
    found = await ask("search", LI, query="Hangzhou", types=["memory"])
    assert [hit.id for hit in found.results] == [memory_id]
    history = (await ask("history", LI, id=memory_id)).history
    assert [(entry.event, entry.old_memory, entry.new_memory) for entry in history] == [
        ("ADD", None, "I live in Beijing"),
        ("UPDATE", "I live in Beijing", "I live in Hangzhou"),
    ]


async def test_an_immutable_memory_is_not_changed(ask: Asking) -> None:
    memory_id = (await ask.add(LI, "I live in Beijing", wait=True)).memory_id
    await ask("update_memory", LI, id=memory_id, patch={"immutable": True})
    with pytest.raises(Conflict):
        await ask("update_memory", LI, id=memory_id, patch={"text": "elsewhere"})
    assert (await ask("update_memory", LI, id=memory_id, patch={"immutable": False})).immutable is False


async def test_a_deleted_memory_is_gone_from_every_answer(ask: Asking) -> None:
    memory_id = (await ask.add(LI, "I live in Beijing", wait=True)).memory_id
    await ask("delete_memory", LI, id=memory_id)
    with pytest.raises(NotFound):
        await ask("get_memory", LI, id=memory_id)
    with pytest.raises(NotFound):
        await ask("delete_memory", LI, id=memory_id)
    assert await texts_of(ask, LI) == []
    assert (await ask("search", LI, query="Beijing", types=["memory"])).results == []
    assert "Beijing" not in str((await ask("history", LI, id=memory_id)).history)


async def test_one_subject_never_sees_another(ask: Asking) -> None:
    memory_id = (await ask.add(LI, "I live in Hangzhou", wait=True)).memory_id
    other_tenant = Subject("other", "user", "li")
    for stranger in (WANG, other_tenant, Subject("t", "agent", "li")):
        assert (await ask("search", stranger, query="Hangzhou")).results == []
        assert await texts_of(ask, stranger) == []
        with pytest.raises(NotFound):
            await ask("get_memory", stranger, id=memory_id)


async def test_who_has_no_model_asks_for_a_vector_and_for_what_is_true(ask: Asking) -> None:
    added = await ask.add(LI, "I live in Hangzhou", "I like green tea", "of another")
    await ask.owner.vectors.settled()
    place, tea, other = added.message_ids
    asked = {"query": "where is Hangzhou", "strategy": "vector"}
    vector = (await ask("query_vector", WANG, text=asked["query"])).vector
    proposed = {"query": asked, "message_ids": [tea, place, "of nobody"]}
    calls = ask.embedder.calls
    by_meaning = (await ask("hydrate", LI, **proposed, vector=vector)).results
    assert [hit.id for hit in by_meaning] == [place, tea], f"{other} was not proposed"
    by_words = (await ask("hydrate", LI, **proposed)).results
    assert [hit.id for hit in by_words] == [place], "without a vector it goes by words"
    assert ask.embedder.calls == calls, "the vector came along"
    ask.embedder.error = Unavailable("away")
    assert (await ask("query_vector", LI, text="something else")).vector is None


async def test_variables_are_set_read_and_deleted(ask: Asking) -> None:
    await ask("set_variables", LI, variables={"姓名": "张三", "爱好": "打羽毛球"})
    again = await ask("set_variables", LI, variables={"爱好": "下棋"})
    assert again.variables == {"姓名": "张三", "爱好": "下棋"}
    assert (await ask("delete_variables", LI, names=["爱好", "nothing"])).count == 1
    assert (await ask("variables", LI)).variables == {"姓名": "张三"}


async def test_marks_are_added_removed_and_replaced(ask: Asking) -> None:
    added = await ask.add(LI, "one", "two", "three")
    assert (await ask("mark_messages", LI, new="hint", ids=added.message_ids[:2])).count == 2
    assert (await ask("mark_messages", LI, new="seen", old="hint", ids=added.message_ids[:1])).count == 1
    assert [m.content for m in (await ask("messages", LI, mark="hint")).messages] == ["two"]
    assert [m.content for m in (await ask("messages", LI, exclude_mark="hint")).messages] == ["one", "three"]
    assert (await ask("mark_messages", LI, old="hint")).count == 1
    assert (await ask("delete_messages", LI, marks=["seen"])).count == 1
    assert [m.content for m in (await ask("messages", LI)).messages] == ["two", "three"]
    with pytest.raises(InvalidInput):
        await ask("mark_messages", LI)


async def test_deleting_a_session_may_take_its_memories_along(ask: Asking) -> None:
    await ask.add(LI, "I live in Beijing", session_id="s1", wait=True)
    await ask.add(LI, "I like tea", session_id="s2", wait=True)
    assert (await ask("delete_messages", LI, session_id="s1", memories=True)).count == 1
    assert await texts_of(ask, LI) == ["I like tea"]
    assert [s.session_id for s in (await ask("sessions", LI)).sessions] == ["s2"]


async def test_erase_forgets_everything_and_the_subject_can_start_anew(ask: Asking) -> None:
    await ask.add(LI, "I live in Beijing", wait=True)
    await ask.add(LI, "not extracted yet")
    erased = await ask("erase", LI)
    assert (erased.memories, erased.messages) == (1, 2)
    assert await texts_of(ask, LI) == []
    assert (await ask("messages", LI)).messages == []
    assert (await ask("buffer_status", LI)).message_ids == []
    assert (await ask("profile", LI)).total_memories == 0
    await ask.add(LI, "I live in Hangzhou", wait=True)
    assert await texts_of(ask, LI) == ["I live in Hangzhou"]


async def test_a_failing_extraction_is_retried_then_parked_and_driven_again(
    extractor: ScriptedExtractor,
) -> None:
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600, extraction_attempts=3) as ask:
        extractor.failures = [Unavailable(f"down {n}") for n in range(3)]
        added = await ask.add(LI, "I live in Hangzhou", wait=True)
        assert added.status == "parked"
        assert len(extractor.seen) == 3
        (run,) = (await ask("runs", LI, status="parked")).runs
        assert (run.error, run.attempts, run.message_ids) == ("down 2", 3, added.message_ids)
        assert (await ask("job", LI, id=added.job_id)).error == "down 2"
        assert (await ask("messages", LI)).messages[0].status == "parked"
        driven = await ask("drive_run", LI, id=run.id)
        assert driven.status == "done"
        assert [change.memory for change in driven.results] == ["I live in Hangzhou"]
        assert (await ask("runs", LI, status="parked")).runs == []
        assert (await ask("run", LI, id=run.id)).status == "done"


async def test_a_failing_extraction_that_recovers_is_not_parked(
    ask: Asking, extractor: ScriptedExtractor
) -> None:
    extractor.failures = [Unavailable("down")]
    assert (await ask.add(LI, "I live in Hangzhou", wait=True)).status == "done"
    assert (await ask("runs", LI, status="parked")).runs == []


async def test_reads_and_adds_go_on_while_an_extraction_is_stuck(
    ask: Asking, extractor: ScriptedExtractor
) -> None:
    extractor.gate.clear()
    await ask.add(LI, "I live in Hangzhou")
    await ask("process", LI, wait=False)
    await ask.add(LI, "and I like tea")
    assert len((await ask("search", LI, query="Hangzhou tea")).results) == 2
    status = await ask("buffer_status", LI)
    assert len(status.running) == 1
    extractor.gate.set()
    await ask("process", LI)
    assert await texts_of(ask, LI) == ["I live in Hangzhou", "and I like tea"]


async def test_others_are_served_while_an_extraction_is_merged(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    begun, searched = asyncio.Event(), threading.Event()

    def slow_merge(*given: Any, **options: Any) -> Decisions:
        loop.call_soon_threadsafe(begun.set)
        assert searched.wait(10), "nobody was served"
        return merge(*given, **options)

    monkeypatch.setattr("actors.deciding.merge", slow_merge)
    await ask.add(LI, "I live in Hangzhou")
    adding = asyncio.create_task(ask("process", LI))
    await begun.wait()
    assert (await ask("search", LI, query="Hangzhou")).results
    searched.set()
    assert [change.memory for change in (await adding).results] == ["I live in Hangzhou"]


async def test_a_switched_off_trigger_stays_off_until_asked(extractor: ScriptedExtractor) -> None:
    async with running_owner(extractor=extractor, buffer_full_tokens=1, buffer_idle_seconds=0.01) as ask:
        await ask("set_buffer_policy", LI, on_full=False, on_idle=False)
        added = await ask.add(LI, "I live in Hangzhou")
        await ask.add(WANG, "I live in Beijing", wait=True)
        status = await ask("buffer_status", LI)
        assert (status.message_ids, status.is_full) == (added.message_ids, True)
        assert status.policy.on_idle is False
        processed = await ask("process", LI, ids=added.message_ids)
        assert [change.memory for change in processed.results] == ["I live in Hangzhou"]
        again = await ask("process", LI, ids=added.message_ids)
        assert again.results == processed.results
        with pytest.raises(NotFound):
            await ask("process", LI, ids=["no-such-message"])


@pytest.mark.parametrize(
    "settings", [{"buffer_full_tokens": 1}, {"buffer_idle_seconds": 0.01}], ids=["full", "idle"]
)
async def test_a_trigger_fires_by_itself(extractor: ScriptedExtractor, settings: dict[str, float]) -> None:
    async with running_owner(extractor=extractor, **{"buffer_idle_seconds": 3600, **settings}) as ask:
        added = await ask.add(LI, "I live in Hangzhou")
        await ask.owner.waiters.wait(LI, added.message_ids)
        assert await texts_of(ask, LI) == ["I live in Hangzhou"]


async def test_search_without_embeddings_says_degraded(ask: Asking) -> None:
    await ask.add(LI, "我喜欢打羽毛球")
    ask.embedder.error = Unavailable("model gone")
    result = await ask("search", LI, query="羽毛球")
    assert result.degraded == ["embedding"]
    assert [hit.content for hit in result.results] == ["我喜欢打羽毛球"]
    ask.embedder.error = None


async def test_answers_from_the_cache_are_never_stale(ask: Asking) -> None:
    await ask.add(LI, "I like green tea", wait=True)
    await ask.owner.vectors.settled()
    first = await ask("search", LI, query="tea")
    assert await ask("search", LI, query="tea") == first
    assert ask.owner.cache.hits == 1
    await ask.add(LI, "I like black tea")
    assert len((await ask("search", LI, query="tea")).results) > len(first.results)


async def test_an_expired_memory_is_not_shown_and_the_sweep_removes_it(extractor: ScriptedExtractor) -> None:
    now = system_clock()
    offset = 0
    async with running_owner(
        extractor=extractor, buffer_idle_seconds=3600, clock=lambda: now + offset
    ) as ask:
        memory_id = (await ask.add(LI, "I live in Hangzhou", wait=True)).memory_id
        await ask.add(LI, "I like tea", wait=True)
        await ask("update_memory", LI, id=memory_id, patch={"expires_at": (now + DAY_MS) / 1000})
        assert len(await texts_of(ask, LI)) == 2
        offset = 2 * DAY_MS
        assert await texts_of(ask, LI) == ["I like tea"]
        await ask.owner.sweep.clean_up()
        history = (await ask("history", LI, id=memory_id)).history
        assert (history[-1].event, history[-1].actor) == ("EXPIRE", "sweep")
        assert ask.owner.sweep.expired == 1


async def test_cleanup_removes_old_memories_but_not_immutable_ones(extractor: ScriptedExtractor) -> None:
    now = system_clock()
    offset = 0
    async with running_owner(
        extractor=extractor, buffer_idle_seconds=3600, clock=lambda: now + offset
    ) as ask:
        await ask.add(LI, "old", wait=True)
        kept = (await ask.add(LI, "old and dear", wait=True)).memory_id
        await ask("update_memory", LI, id=kept, patch={"immutable": True})
        offset = 100 * DAY_MS
        await ask.add(LI, "new", wait=True)
        result = await ask("cleanup", LI, days_old=90)
        assert (result.deleted_count, result.total_old_memories) == (1, 1)
        assert await texts_of(ask, LI) == ["new", "old and dear"]


async def test_too_many_waiting_messages_are_refused_with_a_time(extractor: ScriptedExtractor) -> None:
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600, max_pending_messages=2) as ask:
        await ask.add(LI, "one", "two")
        with pytest.raises(Overloaded) as refused:
            await ask.add(LI, "three")
        assert refused.value.retry_after is not None
        await ask("process", LI)
        await ask.add(LI, "three")


async def test_a_message_that_no_store_would_take_is_refused_and_leaves_nothing(ask: Asking) -> None:
    with pytest.raises(PayloadTooLarge) as refused:
        await ask.add(LI, "我" * 400_000, "我" * 700_000)
    assert refused.value.field == "messages.1.content"
    assert (await ask("messages", LI)).messages == []
    await ask.add(LI, "我" * 600_000)


async def test_too_many_changes_of_one_subject_at_once_are_refused_with_a_time(ask: Asking) -> None:
    memory_id = (await ask.add(LI, "I live in Hangzhou", wait=True)).memory_id
    edits = (ask("update_memory", LI, id=memory_id, patch={"text": f"text {n}"}) for n in range(200))
    outcomes = await asyncio.gather(*edits, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Overloaded)]
    assert refused
    assert all(each.retry_after for each in refused)
    assert len(refused) < 200
    history = (await ask("history", LI, id=memory_id)).history
    assert len(history) == 1 + 200 - len(refused), "what was not refused has landed, and nothing else"
    await ask("update_memory", LI, id=memory_id, patch={"text": "calm again"})


async def test_a_restarted_owner_goes_on_where_the_last_one_stopped(
    extractor: ScriptedExtractor, tmp_path: object
) -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    extractor.gate.clear()
    async with running_owner(store=Unclosed(store), extractor=extractor, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "I live in Hangzhou")
    extractor.gate.set()
    extractor.begun.clear()
    async with running_owner(store=store, extractor=extractor, buffer_idle_seconds=0.01) as ask:
        # Nobody asks for this subject: the resumption at the start must find it.
        await extractor.begun.wait()
        assert (await ask("job", LI, id=added.job_id)).status in ("running", "done")
        await ask("process", LI)
        assert await texts_of(ask, LI) == ["I live in Hangzhou"]


async def test_many_subjects_in_little_memory_lose_nothing(extractor: ScriptedExtractor) -> None:
    subjects = [Subject("t", "user", f"u{n}") for n in range(30)]
    async with running_owner(extractor=extractor, buffer_idle_seconds=3600, hot_bytes=1024 * 1024) as ask:
        for subject in subjects:
            await ask.add(subject, *(f"{subject.id} says {n} " + "words " * 40 for n in range(25)), wait=True)
            await ask.owner.vectors.settled()
        assert ask.owner.residents.evictions > 0
        assert ask.owner.residents.nbytes < 1.5 * 1024 * 1024
        for subject in subjects:
            assert len(await texts_of(ask, subject)) == 25
            found = await ask("search", subject, query=f"{subject.id} says 7")
            assert subject.id in found.results[0].content


class Unclosed:
    """A store that outlives its owner."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None


async def test_others_are_served_while_a_large_subject_is_taken_up(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, and the event loop turns between any two of them."""
    head, store = Head(), ask.owner.store
    for _ in range(10):
        put = tuple(
            Memory(id=new_id(), kind="fact", text=f"note {n}", created_at=0, updated_at=0) for n in range(100)
        )
        head = await store.commit(LI, head, Changes(commit_id=new_id(), at=0, actor="test", put=put))
    pieces: list[tuple[int, int]] = []
    turn = 0
    put_memories = HotSubject.put_memories

    def recorded(self: HotSubject, memories: Iterable[tuple[Memory, Any]]) -> None:
        found = list(memories)
        pieces.append((turn, len(found)))
        put_memories(self, found)

    monkeypatch.setattr(HotSubject, "put_memories", recorded)
    reading = asyncio.create_task(ask("list_memories", LI, limit=1000))
    while not reading.done():
        turn += 1
        await asyncio.sleep(0)
    assert len((await reading).memories) == sum(size for _, size in pieces) == 1000
    assert max(size for _, size in pieces) <= 250
    assert len({at for at, _ in pieces}) == len(pieces)


async def test_two_owners_of_one_subject_lose_and_double_nothing() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    one, two = ScriptedExtractor(), ScriptedExtractor()
    async with (
        running_owner(store=Unclosed(store), extractor=one, buffer_idle_seconds=3600) as first,
        running_owner(store=Unclosed(store), extractor=two, buffer_idle_seconds=3600) as second,
    ):

        async def talk(ask: Asking, name: str) -> None:
            for n in range(12):
                await ask.add(LI, f"{name} statement {n}", wait=n % 3 == 0)
                assert f"{name} statement {n}" in [
                    m.content for m in (await ask("messages", LI, newest_first=True)).messages
                ]
                await ask("set_variables", LI, variables={f"{name}{n}": str(n)})

        await asyncio.gather(talk(first, "first"), talk(second, "second"))
        await asyncio.gather(first("process", LI), second("process", LI))
        said = sorted(f"{name} statement {n}" for name in ("first", "second") for n in range(12))
        for ask in (first, second):
            messages = (await ask("messages", LI, limit=1000)).messages
            assert sorted(m.content for m in messages) == said
            facts = (await ask("list_memories", LI, kinds=["fact"], limit=1000)).memories
            assert sorted(m.memory for m in facts) == said
            assert len((await ask("variables", LI)).variables) == 24
            assert (await ask("buffer_status", LI)).message_ids == []
        inputs = [i for run in (await first("runs", LI, limit=1000)).runs for i in run.message_ids]
        assert len(inputs) == len(set(inputs)) == 24
    await store.close()


async def test_an_owner_sees_at_once_what_another_has_written() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    async with (
        running_owner(
            store=Unclosed(store), extractor=ScriptedExtractor(), buffer_idle_seconds=3600
        ) as first,
        running_owner(
            store=Unclosed(store), extractor=ScriptedExtractor(), buffer_idle_seconds=3600
        ) as second,
    ):
        memory_id = (await first.add(LI, "I live in Beijing", wait=True)).memory_id
        assert await texts_of(second, LI) == ["I live in Beijing"]
        await second("update_memory", LI, id=memory_id, patch={"text": "I live in Hangzhou"})
        assert await texts_of(first, LI) == ["I live in Hangzhou"]
        await first("delete_memory", LI, id=memory_id)
        assert await texts_of(second, LI) == []
        await second.add(LI, "a new message")
        assert (await first("search", LI, query="new message")).results[0].content == "a new message"
        await first("erase", LI)
        assert (await second("search", LI, query="new message")).results == []
    await store.close()


async def test_a_drained_owner_refuses_and_says_when_to_come_back() -> None:
    embedder = FakeEmbedder()
    async with running_owner(embedder=embedder) as ask:
        await ask.add(LI, "hello")
        await ask.owner.loop.drain()
        ask.owner._draining = True
        with pytest.raises(Overloaded) as refused:
            await ask.add(LI, "again")
        assert refused.value.retry_after is not None
        ask.owner._draining = False


@pytest.mark.parametrize("work", ["an extraction", "a drive"])
async def test_a_drain_gives_a_model_up_that_does_not_answer(
    extractor: ScriptedExtractor, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr("actors.extraction._MODEL_SECONDS", 0.05)
    store: Any = SqliteStore(":memory:")
    await store.open(shards=4)
    settings = {"buffer_idle_seconds": 3600, "extraction_attempts": 1}
    async with running_owner(store=Unclosed(store), extractor=extractor, **settings) as ask:
        if work == "a drive":
            extractor.failures = [Unavailable("down")]
            await ask.add(LI, "I live in Hangzhou", wait=True)
        extractor.gate.clear()
        extractor.begun.clear()
        if work == "a drive":
            (run,) = (await ask("runs", LI)).runs
            asking = asyncio.create_task(ask("drive_run", LI, id=run.id))
        else:
            asking = asyncio.create_task(ask.add(LI, "I live in Hangzhou", wait=True))
        await extractor.begun.wait()
    await asyncio.gather(asking, return_exceptions=True)
    extractor.gate.set()
    async with running_owner(store=Unclosed(store), extractor=extractor, **settings) as ask:
        if work == "a drive":
            assert (await ask("drive_run", LI, id=run.id)).status == "done"
        else:
            await ask("process", LI)
        assert await texts_of(ask, LI) == ["I live in Hangzhou"]
        (run,) = (await ask("runs", LI)).runs
        assert run.status == "done"
    await store.close()
