"""What a load of a subject reads from Cassandra: what is new, and not all that ever was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cluster.model import Head, Memory, Message
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_arrivals import ACK_WITHIN_MS, Arrival, Day
from cluster.wide_store.cassandra_layout import PackedId, Section, key_of, pack_ids, packed_ids
from tests.conformance.wide_store.samples import (
    MODEL,
    USER,
    added,
    changes,
    conversation,
    ids,
    memory,
    removed,
    run,
    vector,
)

Stores = tuple[CassandraStore, CassandraStore]


@pytest.fixture
def store(both: Stores) -> CassandraStore:
    return both[0]


async def rows_loaded(store: CassandraStore, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows a load gets."""
    rows, count = store._connection.rows, 0

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal count
        found = await rows(*args, **options)
        count += len(found)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store._connection, "rows", counted)
        await store.load(USER)
    return count


async def settle(
    store: CassandraStore,
    head: Head,
    said: Sequence[Message],
    put: Sequence[Memory] = (),
    gone: Sequence[str] = (),
) -> Head:
    entries = (*added(*put), *removed(*(memory(id=id) for id in gone)))
    runs = (run(*said),) if said else ()
    return await store.commit(
        USER, head, changes(put=tuple(put), delete=tuple(gone), entries=entries, runs=runs)
    )


async def test_a_load_after_many_rounds_reads_no_more_than_after_few(
    store: CassandraStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Add, extract, delete: as often as one likes."""
    head, before = Head(), list[str]()
    loaded: list[int] = []
    for _ in range(150):
        said = conversation(2)
        for each in said:
            await store.append(USER, 0, [each])
        known = memory()
        head = await settle(store, head, said, [known], before)
        before = [known.id]
        loaded.append(await rows_loaded(store, monkeypatch))
    assert max(loaded[-50:]) <= max(loaded[:50]) < 150
    assert ids((await store.load(USER)).memories) == before


async def test_what_is_pending_among_much_that_is_settled_stays_so(both: Stores) -> None:
    store, other = both
    said = conversation(100)
    for each in said:
        await store.append(USER, 0, [each])
    head = await settle(store, Head(), [*said[:60], *said[61:]])
    for each in (store, other, store):
        assert (await each.load(USER)).pending == [said[60]]
    late = conversation(2)
    for each, from_ in zip(late, both, strict=True):
        await from_.append(USER, 0, [each])
    expected = sorted([said[60], *late], key=lambda message: message.id)
    for each in both:
        assert (await each.load(USER)).pending == expected
    await settle(other, head, [said[60]])
    for each in both:
        assert (await each.load(USER)).pending == sorted(late, key=lambda message: message.id)


async def test_a_tail_after_a_load_that_skipped_much_misses_nothing(both: Stores) -> None:
    store, other = both
    said = conversation(50)
    for each in said:
        await store.append(USER, 0, [each])
    await settle(store, Head(), said)
    await store.load(USER)
    tail = (await other.load(USER)).tail
    late = conversation(3)
    for each in late:
        await store.append(USER, 0, [each])
    page = await other.tail(USER, tail)
    assert page.messages == late
    assert (await other.tail(USER, page.tail)).messages == []


async def test_what_leaves_a_run_is_pending_again_whatever_was_noted(both: Stores) -> None:
    store, other = both
    said = conversation(50)
    for each in said:
        await store.append(USER, 0, [each])
    parked = run(*said, status="parked")
    head = await store.commit(USER, Head(), changes(runs=(parked,)))
    for each in both:
        assert (await each.load(USER)).pending == []
    done = run(*said[:-1], id=parked.id)
    await other.commit(USER, head, changes(runs=(done,)))
    for each in both:
        assert (await each.load(USER)).pending == said[-1:]


async def test_markers_give_way_to_few_tombstones(both: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that comes between, with an id from before, is not taken with them."""
    store, other = both
    known = [memory() for _ in range(40)]
    head = await settle(store, Head(), (), known)
    head = await settle(store, head, (), (), ids(known[1:-1]))

    async def markers() -> list[str]:
        place = (*key_of(USER), 0, Section.MEMORY)
        return [name for name, gone in await store._connection.rows("liveness", *place) if gone]

    assert await markers() == ids(known[1:-1])
    await store.load(USER)
    between = memory(id=known[20].id)
    head = await settle(other, head, (), [between])
    assert len(await markers()) == 37
    assert {m.id for m in (await store.load(USER)).memories} == {known[0].id, between.id, known[-1].id}
    head = await settle(store, head, (), (), [known[5].id])  # in the middle of the first of the two ranges
    assert await markers() == ids(known[1:20])
    await store.load(USER)
    head = await settle(store, head, (), [memory(id=known[-1].id)])
    assert await markers() == []
    late = [vector(id) for id in (known[7].id, between.id)]
    await store.put_vectors(USER, 0, "memory", MODEL, late)  # one was deleted, one is back
    stored = await store._connection.rows("memory_vectors", *key_of(USER), 0, MODEL)
    assert [name for name, *_ in stored] == [between.id]
    for each in both:
        assert {m.id for m in (await each.load(USER)).memories} == {known[0].id, between.id, known[-1].id}


def test_what_is_settled_ends_where_something_may_follow() -> None:
    said = ids(conversation(6))

    def arrived(*numbers: tuple[int, int]) -> list[Arrival]:
        return [Arrival("w", number, at, pack_ids([said[number]])) for number, at in numbers]

    def packed(number: int) -> set[PackedId]:
        return set(packed_ids(pack_ids([said[number]])))

    late = 2 * ACK_WITHIN_MS + 1
    for below, arrivals, unsettled, expected in (
        ({}, arrived((0, 0), (1, 1), (2, 2)), set[PackedId](), {"w": 3}),
        ({}, arrived((0, 0), (1, 1), (2, 2)), packed(1), {"w": 1}),
        ({}, arrived((0, 0), (1, 1)), packed(0), {}),
        ({"w": 1}, arrived((1, 0), (2, 1)), packed(2), {"w": 2}),
        ({}, arrived((0, 0), (2, 2)), set[PackedId](), {"w": 1}),  # the one between may be under way
        (
            {},
            arrived((2, 0), (3, late)),
            set[PackedId](),
            {"w": 4},
        ),  # nothing below can be acknowledged any more
        ({"v": 7}, [], set[PackedId](), {"v": 7}),
    ):
        assert Day(0, below, arrivals).settled(unsettled) == expected
