"""Two handles, as two processes have them: the head's revision decides, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio

from cluster.model import Head
from cluster.wide_store.port import StaleRevision, WideStore
from tests.conformance.wide_store.samples import (
    USER,
    added,
    all_messages,
    changes,
    conversation,
    ids,
    memory,
    run,
)

Stores = tuple[WideStore, WideStore]


async def test_one_of_many_commits_on_a_revision_wins(stores: Stores) -> None:
    head = Head()
    for _ in range(5):
        made = [memory(str(n)) for n in range(16)]
        outcomes = await asyncio.gather(
            *(
                stores[n % 2].commit(USER, head, changes(put=(m,), entries=added(m)))
                for n, m in enumerate(made)
            ),
            return_exceptions=True,
        )
        won = [o for o in outcomes if isinstance(o, Head)]
        lost = [o for o in outcomes if isinstance(o, StaleRevision)]
        assert (len(won), len(lost)) == (1, 15)
        assert won == [Head(revision=head.revision + 1)]
        assert all(o.head == won[0] for o in lost)
        winner = made[outcomes.index(won[0])]
        head = won[0]
        for store in stores:
            loaded = await store.load(USER)
            assert loaded.head == head
            assert len(loaded.memories) == head.revision
            assert winner.id in ids(loaded.memories)


async def test_committers_that_reload_all_get_through(stores: Stores) -> None:
    async def add(store: WideStore, text: str) -> None:
        known = memory(text)
        commit = changes(put=(known,), entries=added(known))
        head = await store.head(USER)
        while True:
            try:
                await store.commit(USER, head, commit)
            except StaleRevision as stale:
                head = stale.head
            else:
                return

    await asyncio.gather(*(add(stores[n % 2], str(n)) for n in range(30)))
    loaded = await stores[1].load(USER)
    assert loaded.head.revision == 30
    assert sorted(m.text for m in loaded.memories) == sorted(map(str, range(30)))
    assert sorted(m.revision for m in loaded.memories) == list(range(1, 31))
    assert [row.revision for row in await stores[0].changes(USER, 0)] == list(range(1, 31))


async def test_the_same_commit_from_both_lands_once(stores: Stores) -> None:
    known = memory()
    commit = changes(put=(known,), entries=added(known))
    heads = await asyncio.gather(*(stores[n % 2].commit(USER, Head(), commit) for n in range(10)))
    assert heads == [Head(revision=1)] * 10
    assert len(await stores[0].changes(USER, 0)) == 1


async def test_the_same_messages_from_both_are_kept_once(stores: Stores) -> None:
    sent = conversation(60)
    acks = await asyncio.gather(
        *(
            stores[n % 2].append(USER, 0, sent[start : start + 20])
            for n in range(4)
            for start in range(0, 60, 5)
        )
    )
    assert all(acks)
    for store in stores:
        assert await all_messages(store, USER) == sent
        assert (await store.load(USER)).pending == sent


async def test_a_run_settled_while_its_messages_arrive_again_stays_settled(stores: Stores) -> None:
    sent = conversation(40)
    await stores[0].append(USER, 0, sent)
    await asyncio.gather(
        stores[0].commit(USER, Head(), changes(runs=(run(*sent),))),
        *(stores[1].append(USER, 0, sent[n : n + 4]) for n in range(0, 40, 4)),
    )
    assert (await stores[1].load(USER)).pending == []


async def test_a_tail_read_beside_appends_misses_nothing(stores: Stores) -> None:
    sent = conversation(200)
    arrived = asyncio.Event()
    seen: list[str] = []

    start_of_tail = (await stores[1].load(USER)).tail

    async def follow() -> None:
        tail = start_of_tail
        while not arrived.is_set() or len(set(seen)) < len(sent):
            page = await stores[1].tail(USER, tail)
            seen.extend(ids(page.messages))
            tail = page.tail
            await asyncio.sleep(0)

    async def append(start: int) -> None:
        for m in reversed(sent[start::8]):
            await stores[0].append(USER, 0, [m])

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(append(start) for start in range(8)))
    arrived.set()
    await asyncio.wait_for(follower, 30)
    assert set(seen) == set(ids(sent))


async def test_what_one_has_written_the_other_reads(stores: Stores) -> None:
    for n, m in enumerate(conversation(20)):
        await stores[n % 2].append(USER, 0, [m])
        assert await stores[1 - n % 2].get_messages(USER, [m.id]) == [m]


async def test_a_load_is_of_one_revision(stores: Stores) -> None:
    known = memory("0")

    async def rewrite() -> None:
        head = Head()
        for n in range(60):
            parked = run(id=known.id, status="parked", error=str(n))
            head = await stores[0].commit(
                USER, head, changes(put=(memory(str(n), id=known.id),), runs=(parked,))
            )

    writing = asyncio.create_task(rewrite())
    while not writing.done():
        loaded = await stores[1].load(USER)
        if loaded.head.revision:
            (m,), (parked,) = loaded.memories, loaded.parked
            assert (m.revision, m.text) == (loaded.head.revision, str(loaded.head.revision - 1))
            assert parked.error == m.text
        await asyncio.sleep(0)
    await writing
