from __future__ import annotations

import random

import msgspec
import pytest

from cluster.ids import new_id
from cluster.model import HOUR_MS, Head
from cluster.wide_store.port import WideStore
from memgrid.errors import InvalidInput
from memgrid.subject import Subject, shard_of
from tests.conformance.wide_store.conftest import SHARDS, ManualClock
from tests.conformance.wide_store.samples import (
    NOW,
    USER,
    changes,
    erase,
    every_page,
    memory,
    message,
    put,
    run,
)


async def test_a_memory_and_a_run_are_found_by_their_ids_within_the_tenant(store: WideStore) -> None:
    others = [Subject(tenant, "agent", f"代理{n}") for tenant in ("acme", "else") for n in range(10)]
    for subject in (USER, *others):
        known, done = memory(), run()
        await put(store, subject, put=(known,), runs=(done,))
        for tenant in ("acme", "else", "", "acme\0"):
            expected = subject if subject.tenant == tenant else None
            assert await store.resolve_memory(tenant, known.id) == expected
            assert await store.resolve_run(tenant, done.id) == expected
    assert await store.resolve_memory("acme", new_id()) is None
    assert await store.resolve_run("acme", new_id()) is None


async def test_subjects_are_listed_once_they_are_written_to(store: WideStore) -> None:
    subjects = [
        Subject(tenant, kind, id)
        for tenant in ("acme", "acme2", "租户")
        for kind in ("user", "run")
        for id in ("a", "a\0", "b", "张三", "x" * 256)
    ]
    for n, subject in enumerate(random.Random(5).sample(subjects, len(subjects))):
        await store.head(subject)
        if n % 2:
            await store.append(subject, 0, [message()])
        else:
            await put(store, subject, put=(memory(),))
    listed = await every_page(lambda cursor: store.subjects(cursor=cursor, limit=4))
    assert (len(listed), set(listed)) == (len(subjects), set(subjects))
    for tenant in ("acme", "租户", "ac"):
        mine = await every_page(lambda cursor, t=tenant: store.subjects(tenant=t, cursor=cursor, limit=3))
        assert mine == sorted((s for s in subjects if s.tenant == tenant), key=lambda s: s.key)
    in_shards = [
        await every_page(lambda cursor, s=shard: store.subjects(shard=s, cursor=cursor, limit=2))
        for shard in range(SHARDS)
    ]
    for shard, found in enumerate(in_shards):
        assert sorted(found) == sorted(s for s in subjects if shard_of(s, SHARDS) == shard)
        both, _ = await store.subjects(tenant="acme", shard=shard)
        assert sorted(both) == sorted(s for s in found if s.tenant == "acme")


async def test_a_listing_goes_on_though_its_last_subject_is_erased(store: WideStore) -> None:
    subjects = [Subject("acme", "user", str(n)) for n in range(9)]
    for subject in subjects:
        await store.append(subject, 0, [message()])
    page, cursor = await store.subjects(tenant="acme", limit=4)
    await erase(store, page[-1])
    await erase(store, subjects[-1])
    following, end = await store.subjects(tenant="acme", cursor=cursor, limit=10)
    assert (list(following), end) == (subjects[4:-1], None)


async def test_a_scope_lists_the_memories_that_carry_a_label(store: WideStore) -> None:
    subjects = [Subject("acme", "user", str(n)) for n in range(8)]
    expected: set[tuple[Subject, str]] = set()
    for n, subject in enumerate(subjects):
        carrying = [memory(labels={"user": subject.id, "agent": "旅行助手"}) for _ in range(n)]
        plain = memory(labels={"user": subject.id, "agent": "旅行"})
        await put(store, subject, put=(*carrying, plain))
        expected |= {(subject, m.id) for m in carrying}
    await put(store, Subject("else", "user", "0"), put=(memory(labels={"agent": "旅行助手"}),))
    for limit in (1, 3, 28, 100):
        found = await every_page(
            lambda cursor, limit=limit: store.scope("acme", "agent", "旅行助手", cursor=cursor, limit=limit)
        )
        assert (len(found), set(found)) == (len(expected), expected)
    assert await store.scope("acme", "app", "旅行助手") == ([], None)


async def test_a_scope_follows_the_labels_of_a_memory(store: WideStore) -> None:
    known = memory(labels={"user": USER.id, "agent": "a"})
    await put(store, USER, put=(known,))
    await put(store, USER, put=(msgspec.structs.replace(known, labels={"user": USER.id, "agent": "b"}),))
    assert await store.scope("acme", "agent", "a") == ([], None)
    assert await store.scope("acme", "agent", "b") == ([(USER, known.id)], None)
    assert await store.scope("acme", "user", USER.id) == ([(USER, known.id)], None)


@pytest.mark.parametrize("cursor", ["nonsense", "!", "AAAA", "x" * 1000])
async def test_a_cursor_that_is_none_is_an_error(store: WideStore, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await store.scope("acme", "user", "x", cursor=cursor)
    with pytest.raises(InvalidInput, match="cursor"):
        await store.subjects(cursor=cursor)


async def test_active_are_the_subjects_with_appends_since_an_hour(
    store: WideStore, clock: ManualClock
) -> None:
    shard = 3
    mine = [s for n in range(400) if shard_of(s := Subject("acme", "user", str(n)), SHARDS) == shard][:6]
    start = NOW // HOUR_MS * HOUR_MS
    for n, subject in enumerate(mine):
        clock.now = start + n * HOUR_MS + 59 * 60_000
        await store.append(subject, 0, [message(created_at=clock.now)])
    clock.now = start + 10 * HOUR_MS
    await put(store, Subject("acme", "user", "committed only"), put=(memory(),))
    await put(store, mine[1], put=(memory(),))
    for n in range(8):
        active = await every_page(
            lambda cursor, n=n: store.active_subjects(
                shard, since=start + n * HOUR_MS, cursor=cursor, limit=2
            )
        )
        assert sorted(active) == sorted(mine[n:])
    await store.append(mine[0], 0, [message(created_at=clock.now)])
    active, _ = await store.active_subjects(shard, since=clock.now)
    assert list(active) == [mine[0]]
    await erase(store, mine[0])
    assert await store.active_subjects(shard, since=clock.now) == ([], None)
    assert await store.active_subjects(shard + 1, since=0) == ([], None)


async def test_the_sweep_never_goes_back(store: WideStore) -> None:
    assert await store.swept_through(3) == 0
    await store.set_swept_through(3, NOW)
    await store.set_swept_through(3, NOW - 1)
    await store.set_swept_through(4, 5)
    assert [await store.swept_through(shard) for shard in (2, 3, 4)] == [0, NOW, 5]
    await store.set_swept_through(3, NOW + 1)
    assert await store.swept_through(3) == NOW + 1


async def test_a_subject_that_was_only_read_is_nowhere(store: WideStore) -> None:
    await store.load(USER)
    await store.put_vectors(USER, 0, "message", "m", [])
    await store.claim(USER, 0, [], NOW)
    assert await store.subjects() == ([], None)
    assert await store.head(USER) == Head()
    await store.commit(USER, Head(), changes())
    assert await store.subjects() == ([USER], None)
