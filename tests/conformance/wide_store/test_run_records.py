"""Run records: kept apart from runs, and gone with whatever they rest on."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.model import ChangeEntry
from cluster.wide_store.port import MAX_RUN_RECORD_BYTES, WideStore
from memgrid.errors import PayloadTooLarge
from memgrid.subject import Subject
from tests.conformance.wide_store.samples import (
    USER,
    added,
    conversation,
    erase,
    memory,
    put,
    removed,
    run,
)

RECORD = "提示词 prompt\0".encode()


async def test_a_record_is_kept_and_replaced(stores: tuple[WideStore, WideStore]) -> None:
    one, two = stores
    said = conversation(2)
    await one.append(USER, 0, said)
    done = run(*said)
    await one.put_run_record(USER, 0, done.id, b"first")
    await one.put_run_record(USER, 0, done.id, RECORD)
    await put(one, USER, runs=(done,))
    assert await two.run_record(USER, done.id) == RECORD
    await two.put_run_record(USER, 0, done.id, b"")
    assert await one.run_record(USER, done.id) == b""
    assert await one.run_record(USER, "another") is None
    assert await one.run_record(Subject("acme", "user", "李四"), done.id) is None
    assert await one.run_record(Subject("else", "user", "张三"), done.id) is None


async def test_a_record_without_its_run_is_an_orphan(store: WideStore) -> None:
    said = conversation(1)
    await store.append(USER, 0, said)
    parked = run(*said, status="parked")
    await store.put_run_record(USER, 0, parked.id, RECORD)
    assert await store.run_record(USER, parked.id) is None
    await put(store, USER, runs=(parked,))
    assert await store.run_record(USER, parked.id) == RECORD


@pytest.mark.parametrize("what", ["message", "new memory", "touched memory", "everything"])
async def test_a_record_goes_with_what_it_rests_on(store: WideStore, what: str) -> None:
    said, known, found = conversation(3), memory("known before"), memory("found")
    await store.append(USER, 0, said)
    await put(store, USER, put=(known,), entries=added(known))
    done = run(*said[:2], memory_ids=(found.id, known.id))
    other = run(said[2])
    for one in (done, other):
        await store.put_run_record(USER, 0, one.id, RECORD)
    again = ChangeEntry(memory_id=known.id, event="UPDATE", old_text=known.text, new_text=known.text)
    await put(store, USER, put=(found, known), entries=(*added(found), again), runs=(done,), run_id=done.id)
    await put(store, USER, runs=(other,), run_id=other.id)
    assert await store.run_record(USER, done.id) == RECORD

    deletion: dict[str, dict[str, Any]] = {
        "message": {"delete_messages": (said[1].id,)},
        "new memory": {"delete": (found.id,), "entries": removed(found)},
        "touched memory": {"delete": (known.id,), "entries": removed(known)},
    }
    generation = 0
    if what == "everything":
        await erase(store, USER)
        generation = 1
    else:
        await put(store, USER, **deletion[what])
        assert await store.run_record(USER, other.id) == RECORD
        assert await store.get_run(USER, done.id) == done
    assert await store.run_record(USER, done.id) is None
    await store.put_run_record(USER, 0, done.id, RECORD)
    await store.put_run_record(USER, generation, done.id, RECORD)
    assert await store.run_record(USER, done.id) is None


async def test_a_run_whose_own_commit_deletes_its_messages_has_no_record(store: WideStore) -> None:
    said = conversation(2)
    await store.append(USER, 0, said)
    done = run(*said)
    await store.put_run_record(USER, 0, done.id, RECORD)
    await put(store, USER, runs=(done,), run_id=done.id, delete_messages=(said[0].id, said[1].id))
    assert await store.run_record(USER, done.id) is None


async def test_a_record_has_its_size(store: WideStore) -> None:
    said = conversation(1)
    await store.append(USER, 0, said)
    done = run(*said)
    await put(store, USER, runs=(done,))
    largest = b"x" * MAX_RUN_RECORD_BYTES
    await store.put_run_record(USER, 0, done.id, largest)
    assert await store.run_record(USER, done.id) == largest
    with pytest.raises(PayloadTooLarge):
        await store.put_run_record(USER, 0, done.id, largest + b"x")
    assert await store.run_record(USER, done.id) == largest
