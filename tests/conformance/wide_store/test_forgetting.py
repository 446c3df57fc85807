"""Forgotten stays forgotten: whatever is said again afterwards, and in whatever order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from cluster.model import ChangeEntry, Claim, Head, Memory, Message
from cluster.wide_store.port import MessageQuery, StaleRevision, WideStore
from tests.conformance.wide_store.samples import (
    ANY,
    MODEL,
    NOW,
    USER,
    added,
    all_messages,
    changes,
    conversation,
    erase,
    ids,
    memory,
    message,
    put,
    removed,
    run,
    vector,
)


async def test_a_deleted_memory_leaves_no_text(store: WideStore) -> None:
    gone, kept = memory("secret"), memory("kept")
    await put(store, USER, put=(gone, kept), entries=added(gone, kept))
    changed = msgspec.structs.replace(gone, text="secret 2")
    update = ChangeEntry(
        memory_id=gone.id, event="UPDATE", old_text="secret", new_text="secret 2", reason="secret"
    )
    await put(store, USER, put=(changed,), entries=(update,))
    await store.put_vectors(USER, 0, "memory", MODEL, [vector(gone.id), vector(kept.id)])
    await put(store, USER, delete=(gone.id,), entries=removed(changed))

    history = await store.memory_history(USER, gone.id)
    assert [entry.event for row in history for entry in row.entries] == ["ADD", "UPDATE", "DELETE"]
    assert all((entry.old_text, entry.new_text) == (None, None) for row in history for entry in row.entries)
    assert history[-1].entries[0].reason == "asked to"
    assert b"secret" not in msgspec.msgpack.encode(await store.changes(USER, 0))
    (others,) = await store.memory_history(USER, kept.id)
    assert others.entries == added(kept)
    assert ids((await store.load(USER)).memories) == [kept.id]
    assert [v.id for v in await store.memory_vectors(USER, MODEL)] == [kept.id]
    assert await store.resolve_memory(USER.tenant, gone.id) is None
    assert await store.scope(USER.tenant, "user", USER.id) == ([(USER, kept.id)], None)


Replay = Callable[[WideStore, Message, Memory, Head], Awaitable[object]]


async def _append_again(store: WideStore, said: Message, known: Memory, head: Head) -> None:
    await store.append(USER, head.generation, [said])


async def _embed_again(store: WideStore, said: Message, known: Memory, head: Head) -> None:
    await store.put_vectors(USER, head.generation, "message", MODEL, [vector(said.id)])
    await store.put_vectors(USER, head.generation, "memory", MODEL, [vector(known.id)])


async def _commit_again(store: WideStore, said: Message, known: Memory, head: Head) -> None:
    again = changes(
        commit_id="the commit", put=(known,), entries=added(known), runs=(run(said, id="the run"),)
    )
    try:
        await store.commit(USER, Head(generation=head.generation), again)
    except StaleRevision:
        assert head.generation > 0 or (await store.changes(USER, 0))[0].commit_id != "the commit"


async def _nothing_is_there(store: WideStore, said: Message, known: Memory) -> None:
    assert await all_messages(store, USER) == []
    assert await store.get_messages(USER, [said.id]) == []
    assert await store.count_messages(USER, ANY) == 0
    assert await store.count_messages(USER, MessageQuery(mark="m")) == 0
    assert await store.sessions(USER) == ([], None)
    assert await store.recent_messages(USER, MODEL) == ([], None)
    loaded = await store.load(USER)
    assert (list(loaded.memories), list(loaded.pending), list(loaded.parked)) == ([], [], [])
    assert (await store.tail(USER, "0")).messages == []
    assert await store.memory_vectors(USER, MODEL) == []
    assert await store.resolve_memory(USER.tenant, known.id) is None
    assert await store.scope(USER.tenant, "user", USER.id) == ([], None)
    assert b"secret" not in msgspec.msgpack.encode(await store.changes(USER, 0))


@pytest.mark.parametrize("how", ["delete", "erase"])
@pytest.mark.parametrize("order", list(itertools.permutations([_append_again, _embed_again, _commit_again])))
async def test_replays_bring_nothing_back(store: WideStore, how: str, order: tuple[Replay, ...]) -> None:
    said, known = message("secret", marks=("m",)), memory("secret")
    before = Head()
    for replay in (_append_again, _embed_again, _commit_again):
        await replay(store, said, known, before)
    assert len((await store.load(USER)).memories) == 1
    if how == "delete":
        await put(store, USER, delete=(known.id,), entries=removed(known), delete_messages=(said.id,))
    else:
        await erase(store, USER)
    for replay in order:
        await replay(store, said, known, before)
        await _nothing_is_there(store, said, known)


async def test_a_message_deleted_before_it_arrives_never_does(store: WideStore) -> None:
    said = message("secret", marks=("m",))
    await put(store, USER, delete_messages=(said.id,))
    tail = (await store.load(USER)).tail
    await store.append(USER, 0, [said])
    await store.put_vectors(USER, 0, "message", MODEL, [vector(said.id)])
    await put(store, USER, mark_messages={said.id: ("m",)})
    await _nothing_is_there(store, said, memory())
    assert (await store.tail(USER, tail)).messages == []


async def test_an_embedding_that_comes_too_late_is_an_orphan(store: WideStore) -> None:
    gone = memory()
    await put(store, USER, put=(gone,))
    await put(store, USER, delete=(gone.id,))
    await store.put_vectors(USER, 0, "memory", MODEL, [vector(gone.id)])
    assert await store.memory_vectors(USER, MODEL) == []


async def test_a_message_leaves_its_marks_behind(store: WideStore) -> None:
    gone, kept = message(marks=("m",)), message(marks=("m",))
    await store.append(USER, 0, [gone, kept])
    await put(store, USER, delete_messages=(gone.id,))
    assert await all_messages(store, USER, MessageQuery(mark="m")) == [kept]
    assert await store.count_messages(USER, MessageQuery(mark="m")) == 1


async def test_an_erase_forgets_everything_but_the_head(store: WideStore) -> None:
    said = conversation(30, marks=("m",))
    await store.append(USER, 0, said)
    known = [memory(f"secret {n}") for n in range(20)]
    settled, parked = run(*said[:5]), run(*said[5:9], status="parked")
    claims = [Claim(kind="message", key="s\0c", payload_hash=b"x", message_ids=(said[0].id,))]
    await store.claim(USER, 0, claims, NOW)
    await put(store, USER, put=tuple(known), entries=added(*known), runs=(settled, parked), settings={"a": 1})
    await store.put_vectors(USER, 0, "memory", MODEL, [vector(m.id) for m in known])
    await store.put_vectors(USER, 0, "message", MODEL, [vector(m.id) for m in said])

    head = await erase(store, USER)

    assert head == Head(revision=2, generation=1)
    assert await store.head(USER) == head
    await _nothing_is_there(store, said[0], known[0])
    assert await store.runs(USER) == ([], None)
    assert await store.get_run(USER, settled.id) is None
    assert await store.runs_of(USER, ids(said)) == []
    assert await store.resolve_run(USER.tenant, parked.id) is None
    assert await store.memory_history(USER, known[0].id) == []
    assert [(row.revision, row.entries) for row in await store.changes(USER, 0)] == [(2, ())]
    assert await store.subjects() == ([], None)
    other = [msgspec.structs.replace(claims[0], payload_hash=b"y")]
    assert await store.claim(USER, 1, other, NOW) == other


async def test_a_subject_begins_anew_after_an_erase(store: WideStore) -> None:
    said, known = conversation(3), memory()
    await store.append(USER, 0, said)
    await put(store, USER, put=(known,), runs=(run(*said),))
    await erase(store, USER)
    assert await store.append(USER, 1, said)
    assert (await store.load(USER)).pending == said
    await put(store, USER, put=(known,))
    assert ids((await store.load(USER)).memories) == [known.id]
    assert await store.resolve_memory(USER.tenant, known.id) == USER
    assert await store.subjects() == ([USER], None)


async def test_an_erase_beside_appends_keeps_only_what_came_after(
    stores: tuple[WideStore, WideStore],
) -> None:
    one, two = stores
    refused: list[Message] = []
    kept: list[Message] = []

    async def append(said: Message) -> None:
        if await one.append(USER, 0, [said]):
            kept.append(said)
        else:
            refused.append(said)

    said = conversation(100)
    async with asyncio.TaskGroup() as tasks:
        for n, one_said in enumerate(said):
            tasks.create_task(append(one_said))
            if n == 50:
                tasks.create_task(two.commit(USER, Head(), changes(erase=True)))
            if n % 10 == 0:
                await asyncio.sleep(0)
    assert len(refused) + len(kept) == 100
    assert await all_messages(two, USER) == []
    assert await two.append(USER, 1, refused)
    assert await all_messages(one, USER) == sorted(refused, key=lambda m: m.id)
