from __future__ import annotations

import msgspec
import pytest

from cluster.ids import new_id
from cluster.model import ChangeEntry, Head, Memory
from cluster.wide_store.port import (
    MAX_COMMIT_BYTES,
    MAX_COMMIT_ROWS,
    CommitTooLarge,
    StaleRevision,
    WideStore,
)
from memgrid.errors import InvalidInput
from tests.conformance.wide_store.samples import (
    MODEL,
    NOW,
    USER,
    added,
    changes,
    conversation,
    erase,
    every_page,
    ids,
    memory,
    put,
    removed,
    run,
    same_vector,
    vector,
)


def at(stored: Memory, revision: int) -> Memory:
    return msgspec.structs.replace(stored, revision=revision)


async def test_a_subject_never_written_to_is_empty(store: WideStore) -> None:
    loaded = await store.load(USER)
    assert loaded.head == await store.head(USER) == Head(revision=0, generation=0)
    assert (list(loaded.memories), list(loaded.pending), list(loaded.parked)) == ([], [], [])
    assert await store.changes(USER, 0) == []
    assert await store.runs(USER) == ([], None)
    assert (await store.tail(USER, loaded.tail)).head == Head()


async def test_the_first_commit_makes_revision_one(store: WideStore) -> None:
    known = memory(tags=("运动",), attributes={"level": 3}, valid_to=NOW, links=("x",), immutable=True)
    head = await store.commit(
        USER, Head(), changes(put=(known,), entries=added(known), settings={"on_idle": False})
    )
    assert head == Head(revision=1, generation=0, settings={"on_idle": False})
    loaded = await store.load(USER)
    assert (loaded.head, loaded.memories) == (head, [at(known, 1)])


async def test_a_memory_carries_the_revision_that_last_changed_it(store: WideStore) -> None:
    one, two = memory("one"), memory("two", revision=99)
    await put(store, USER, put=(one, two))
    newer = msgspec.structs.replace(one, text="一", superseded_by=two.id)
    await put(store, USER, put=(newer,))
    loaded = await store.load(USER)
    assert sorted(loaded.memories, key=lambda m: m.id) == [at(newer, 2), at(two, 1)]


async def test_settings_stay_until_they_are_replaced(store: WideStore) -> None:
    await put(store, USER, settings={"a": 1, "b": [2]})
    assert (await put(store, USER, put=(memory(),))).settings == {"a": 1, "b": [2]}
    assert (await put(store, USER, settings={})).settings == {}
    assert (await store.head(USER)).settings == {}


@pytest.mark.parametrize("behind", [Head(revision=0), Head(revision=2), Head(revision=1, generation=1)])
async def test_a_commit_on_another_head_is_refused_with_no_trace(store: WideStore, behind: Head) -> None:
    sent = conversation(2)
    known = memory("known")
    await store.append(USER, 0, sent)
    head = await put(store, USER, put=(known,), entries=added(known), settings={"x": 1})
    before = await store.load(USER)
    other = memory("other")
    refused = changes(
        put=(other, msgspec.structs.replace(known, text="changed")),
        entries=added(other),
        delete=(known.id,),
        runs=(run(*sent, status="parked"),),
        mark_messages={sent[0].id: ("m",)},
        delete_messages=(sent[1].id,),
        settings={},
    )
    with pytest.raises(StaleRevision) as caught:
        await store.commit(USER, behind, refused)
    assert caught.value.head == head
    with pytest.raises(StaleRevision):
        await store.commit(USER, behind, changes(erase=True))
    assert await store.load(USER) == before
    assert await store.get_messages(USER, ids(sent)) == sent
    assert len(await store.changes(USER, 0)) == 1
    assert await store.runs(USER) == ([], None)
    assert await store.resolve_memory(USER.tenant, other.id) is None
    assert await store.scope(USER.tenant, "user", USER.id) == ([(USER, known.id)], None)


async def test_a_commit_that_has_landed_changes_nothing_again(store: WideStore) -> None:
    one, two = memory("one"), memory("two")
    first = changes(put=(one,), entries=added(one))
    head = await store.commit(USER, Head(), first)
    assert await store.commit(USER, Head(), first) == head
    assert await store.commit(USER, head, first) == head
    later = await store.commit(USER, head, changes(put=(two,), delete=(one.id,), entries=removed(one)))
    again = await store.commit(USER, Head(), first)
    assert (again.revision, again.generation) == (1, 0)
    assert await store.head(USER) == later
    assert (await store.load(USER)).memories == [at(two, 2)]
    assert len(await store.changes(USER, 0)) == 2


async def test_an_erase_that_has_landed_does_not_erase_again(store: WideStore) -> None:
    await store.append(USER, 0, conversation(1))
    wipe = changes(erase=True)
    head = await store.commit(USER, Head(), wipe)
    sent = conversation(2)
    await store.append(USER, 1, sent)
    assert await store.commit(USER, Head(), wipe) == head
    assert (await store.load(USER)).pending == sent


async def test_a_change_row_says_what_the_commit_did(store: WideStore) -> None:
    sent = conversation(4)
    await store.append(USER, 0, sent)
    known = memory()
    done, parked = run(*sent[:2]), run(sent[2], status="parked")
    commit = changes(
        actor="extraction",
        run_id=done.id,
        put=(known,),
        entries=added(known),
        runs=(done, parked),
        mark_messages={sent[1].id: ("m",)},
        delete_messages=(sent[3].id,),
    )
    await store.commit(USER, Head(), commit)
    (row,) = await store.changes(USER, 0)
    assert (row.revision, row.commit_id, row.at, row.actor) == (1, commit.commit_id, NOW, "extraction")
    assert (row.run_id, row.entries) == (done.id, added(known))
    assert sorted(row.input_ids) == ids(sent[:3])
    assert (row.marked_messages, row.deleted_messages) == ((sent[1].id,), (sent[3].id,))


async def test_changes_are_read_from_a_revision_on(store: WideStore) -> None:
    for _ in range(5):
        await put(store, USER, put=(memory(),))
    assert [row.revision for row in await store.changes(USER, 2)] == [3, 4, 5]
    assert [row.revision for row in await store.changes(USER, 1, limit=2)] == [2, 3]
    assert await store.changes(USER, 5) == []


async def test_the_history_of_a_memory_is_its_own(store: WideStore) -> None:
    one, two = memory("one"), memory("two")
    await put(store, USER, put=(one, two), entries=added(one, two))
    await put(store, USER, put=(two,), entries=added(two))
    for n in range(4):
        entry = ChangeEntry(memory_id=one.id, event="UPDATE", old_text=str(n), new_text=str(n + 1))
        await put(store, USER, put=(one, two), entries=(entry, *added(two)))
    history = await store.memory_history(USER, one.id)
    assert [row.revision for row in history] == [1, 3, 4, 5, 6]
    assert {entry.memory_id for row in history for entry in row.entries} == {one.id}
    newest = await store.memory_history(USER, one.id, limit=2)
    assert [row.revision for row in newest] == [5, 6]
    assert await store.memory_history(USER, new_id()) == []


async def test_runs_are_listed_newest_first(store: WideStore) -> None:
    sent = conversation(9)
    made = [run(m, status="parked" if n % 3 == 0 else "done") for n, m in enumerate(sent)]
    for one in made:
        await put(store, USER, runs=(one,))
    for status in (None, "done", "parked"):
        expected = [one for one in reversed(made) if status in (None, one.status)]
        found = await every_page(lambda cursor, s=status: store.runs(USER, status=s, cursor=cursor, limit=2))
        assert found == expected
    assert await store.get_run(USER, made[4].id) == made[4]
    assert await store.get_run(USER, new_id()) is None
    assert await store.resolve_run(USER.tenant, made[4].id) == USER
    asked = [sent[1].id, sent[5].id, sent[1].id, new_id()]
    assert sorted(ids(await store.runs_of(USER, asked))) == [made[1].id, made[5].id]


async def test_a_run_replaces_the_parked_one_with_its_id(store: WideStore) -> None:
    sent = conversation(3)
    await store.append(USER, 0, sent)
    parked = run(*sent, status="parked", error="timeout")
    await put(store, USER, runs=(parked,))
    driven = run(*sent[:2], id=parked.id, attempts=2)
    await put(store, USER, runs=(driven,))
    assert await store.runs(USER) == ([driven], None)
    assert await store.runs(USER, status="parked") == ([], None)
    loaded = await store.load(USER)
    assert (loaded.parked, loaded.pending) == ([], [sent[2]])
    assert await store.runs_of(USER, [sent[2].id]) == []


async def test_a_message_that_another_run_has_does_not_come_back(store: WideStore) -> None:
    sent = conversation(3)
    await store.append(USER, 0, sent)
    parked = run(*sent, status="parked")
    await put(store, USER, runs=(parked, run(sent[1])), delete_messages=(sent[2].id,))
    await put(store, USER, runs=(run(sent[0], id=parked.id),))
    assert (await store.load(USER)).pending == []


async def test_messages_vanish_with_the_commit_that_deletes_them(store: WideStore) -> None:
    sent = conversation(3, marks=("m",))
    await store.append(USER, 0, sent)
    await store.put_vectors(USER, 0, "message", MODEL, [vector(sent[0].id)])
    known = memory(sources=(sent[1].id,))
    await put(store, USER, put=(known,), delete_messages=(sent[0].id,), runs=(run(*sent),))
    assert await store.get_messages(USER, ids(sent)) == sent[1:]
    assert [m for m, _ in (await store.recent_messages(USER, MODEL))[0]] == sent[:0:-1]
    assert (await store.load(USER)).memories == [at(known, 1)]


async def test_the_newest_vector_of_a_memory_is_the_one_given(store: WideStore) -> None:
    one, two, three = memory("one"), memory("two"), memory("three")
    early = vector(one.id, 1)
    await store.put_vectors(USER, 0, "memory", MODEL, [early, vector(two.id, 2, b"old")])
    assert await store.memory_vectors(USER, MODEL) == []
    await put(store, USER, put=(one, two, three))
    newer = vector(two.id, 3, b"new")
    await store.put_vectors(USER, 0, "memory", MODEL, [newer])
    await store.put_vectors(USER, 0, "memory", "another", [vector(three.id, 4)])
    await store.put_vectors(USER, 1, "memory", MODEL, [vector(three.id, 5)])
    found = sorted(await store.memory_vectors(USER, MODEL), key=lambda v: v.id)
    assert len(found) == 2
    assert same_vector(found[0], early)
    assert same_vector(found[1], newer)


async def test_a_commit_is_bounded_in_rows(store: WideStore) -> None:
    many = tuple(memory(str(n)) for n in range(MAX_COMMIT_ROWS))
    marks = {new_id(): ("m",)}
    with pytest.raises(CommitTooLarge):
        await put(store, USER, put=many, mark_messages=marks)
    assert await store.head(USER) == Head()
    await put(store, USER, put=many)
    assert len((await store.load(USER)).memories) == MAX_COMMIT_ROWS


async def test_a_commit_is_bounded_in_bytes(store: WideStore) -> None:
    half = "字" * (MAX_COMMIT_BYTES // 6)
    with pytest.raises(CommitTooLarge):
        await put(store, USER, put=(memory(half), memory(half)))
    with pytest.raises(CommitTooLarge):
        await put(store, USER, put=(memory(half),), entries=added(memory(half)))
    with pytest.raises(CommitTooLarge):
        await put(store, USER, settings={"x": half * 2})
    assert await store.head(USER) == Head()
    await put(store, USER, put=(memory(half),))


async def test_an_erase_takes_nothing_with_it(store: WideStore) -> None:
    for extra in ({"put": (memory(),)}, {"settings": {}}, {"entries": added(memory())}):
        with pytest.raises(InvalidInput):
            await put(store, USER, erase=True, **extra)
    assert await store.head(USER) == Head()


async def test_the_revision_goes_on_after_an_erase(store: WideStore) -> None:
    await put(store, USER, settings={"x": 1})
    assert await erase(store, USER) == Head(revision=2, generation=1)
    known = memory()
    assert await put(store, USER, put=(known,)) == Head(revision=3, generation=1)
    assert (await store.load(USER)).memories == [at(known, 3)]
    assert await erase(store, USER) == Head(revision=4, generation=2)
