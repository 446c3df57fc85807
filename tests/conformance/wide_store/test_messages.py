from __future__ import annotations

import random

import pytest

from cluster.ids import new_id
from cluster.model import Head
from cluster.wide_store.port import MessageQuery, SessionRow, StoredVector, WideStore
from memgrid.errors import InvalidInput
from tests.conformance.wide_store.samples import (
    ANY,
    MODEL,
    NOW,
    USER,
    all_messages,
    conversation,
    erase,
    every_page,
    ids,
    message,
    put,
    run,
    same_vector,
    vector,
)


async def test_a_message_comes_back_exactly_as_it_was(store: WideStore) -> None:
    sent = message(
        "我叫张三 🏸 null\0byte\n" + "长" * 100_000,
        name="张三",
        client_id="c-1",
        event_time=-62_135_596_800_000,
        marks=("m", "标记"),
        labels={"user": "张三", "agent": "a"},
        metadata={"nested": {"list": [1, 2.5, None, "x"]}},
        extra={"tool_calls": [{"id": "1"}]},
        infer=False,
    )
    assert await store.append(USER, 0, [sent])
    assert await store.get_messages(USER, [sent.id]) == [sent]
    assert (await store.messages(USER, ANY)).messages == [sent]


async def test_an_append_of_an_id_that_is_there_changes_nothing(store: WideStore) -> None:
    first = message("first")
    again = message("second", id=first.id, session="other", marks=("m",))
    assert await store.append(USER, 0, [first, again])
    assert await store.append(USER, 0, [again, first])
    assert await all_messages(store, USER) == [first]
    assert await store.count_messages(USER, MessageQuery(session="other")) == 0
    assert await store.count_messages(USER, MessageQuery(mark="m")) == 0
    assert (await store.load(USER)).pending == [first]


async def test_an_append_for_another_generation_is_refused_with_no_trace(store: WideStore) -> None:
    assert not await store.append(USER, 1, conversation(3))
    assert await all_messages(store, USER) == []
    assert await store.subjects() == ([], None)
    await store.append(USER, 0, conversation(1))
    await erase(store, USER)
    assert not await store.append(USER, 0, conversation(3))
    assert await all_messages(store, USER) == []
    assert await store.subjects() == ([], None)


async def test_get_messages_keeps_the_order_asked_for(store: WideStore) -> None:
    sent = conversation(200)
    await store.append(USER, 0, sent)
    asked = random.Random(1).sample(sent, 150)
    mixed = [new_id(), *ids(asked), "no such id", "", "\0"]
    assert await store.get_messages(USER, mixed) == asked
    assert await store.get_messages(USER, ids(asked[:3])) == asked[:3]
    assert await store.get_messages(USER, []) == []


async def test_messages_are_paged_in_the_order_of_their_ids(store: WideStore) -> None:
    sent = conversation(25)
    shuffled = random.Random(2).sample(sent, len(sent))
    for n in range(0, 25, 4):
        await store.append(USER, 0, shuffled[n : n + 4])
    for limit in (1, 7, 24, 25, 26):
        assert await all_messages(store, USER, limit=limit) == sent
        assert await all_messages(store, USER, MessageQuery(newest_first=True), limit) == sent[::-1]
    assert (await store.messages(USER, ANY, limit=25)).cursor is None


async def test_messages_are_narrowed_by_session_and_marks(store: WideStore) -> None:
    sent = [
        message(
            str(n), session=f"s{n % 3}", marks=tuple(mark for mark in "ab" if n % (2 + "ab".index(mark)) == 0)
        )
        for n in range(30)
    ]
    await store.append(USER, 0, sent)
    for session in (None, "s0", "s1", "missing"):
        for mark in (None, "a", "b", "missing"):
            for exclude in (None, "a", "b", "missing"):
                expected = [
                    m
                    for m in sent
                    if session in (None, m.session)
                    and (mark is None or mark in m.marks)
                    and (exclude is None or exclude not in m.marks)
                ]
                query = MessageQuery(session=session, mark=mark, exclude_mark=exclude)
                back = MessageQuery(session=session, mark=mark, exclude_mark=exclude, newest_first=True)
                assert await all_messages(store, USER, query, limit=4) == expected
                assert await all_messages(store, USER, back, limit=4) == expected[::-1]
                assert await store.count_messages(USER, query) == len(expected)


async def test_marks_are_replaced_by_a_commit(store: WideStore) -> None:
    one, two = conversation(2, marks=("new",))
    await store.append(USER, 0, [one, two])
    await put(store, USER, mark_messages={one.id: ("read", "kept"), new_id(): ("read",)})
    (marked,) = await store.get_messages(USER, [one.id])
    assert marked.marks == ("read", "kept")
    assert ids(await all_messages(store, USER, MessageQuery(mark="new"))) == [two.id]
    assert ids(await all_messages(store, USER, MessageQuery(mark="kept"))) == [one.id]
    assert await store.count_messages(USER, MessageQuery(mark="read")) == 1
    await put(store, USER, mark_messages={one.id: ()})
    assert await store.count_messages(USER, MessageQuery(mark="read")) == 0
    assert await store.get_messages(USER, [two.id]) == [two]


async def test_a_page_goes_on_though_its_last_message_is_gone(store: WideStore) -> None:
    sent = conversation(6)
    await store.append(USER, 0, sent)
    page = await store.messages(USER, ANY, limit=3)
    await put(store, USER, delete_messages=(sent[2].id, sent[3].id))
    following = await store.messages(USER, ANY, cursor=page.cursor, limit=3)
    assert following.messages == sent[4:]


async def test_sessions_are_listed_with_their_extent(store: WideStore) -> None:
    sent = [
        message(session=session, event_time=NOW + at)
        for session, at in [("b", 5), ("a", 3), ("b", 1), ("中文", 0), ("b", 9), ("b\0", 2), ("a ", 4)]
    ]
    await store.append(USER, 0, sent)
    rows = await every_page(lambda cursor: store.sessions(USER, cursor=cursor, limit=2))
    assert sorted(rows, key=lambda row: row.session) == [
        SessionRow("a", 1, NOW + 3, NOW + 3),
        SessionRow("a ", 1, NOW + 4, NOW + 4),
        SessionRow("b", 3, NOW + 1, NOW + 9),
        SessionRow("b\0", 1, NOW + 2, NOW + 2),
        SessionRow("中文", 1, NOW, NOW),
    ]
    await put(store, USER, delete_messages=(sent[4].id, sent[1].id))
    rows = {row.session: row for row in (await store.sessions(USER))[0]}
    assert rows["b"] == SessionRow("b", 2, NOW + 1, NOW + 5)
    assert "a" not in rows


async def test_the_tail_gives_what_was_appended_since(store: WideStore) -> None:
    first, second = conversation(3), conversation(2)
    await store.append(USER, 0, first)
    loaded = await store.load(USER)
    assert (await store.tail(USER, loaded.tail)).messages in ([], first)
    await store.append(USER, 0, second)
    page = await store.tail(USER, loaded.tail)
    assert set(ids(second)) <= set(ids(page.messages)) <= set(ids(first + second))
    assert ids(page.messages) == sorted(ids(page.messages))
    assert page.head == Head()


async def test_the_tail_never_misses_a_message_whose_id_is_older(store: WideStore) -> None:
    sent = conversation(300)
    random.Random(3).shuffle(sent)
    tail = (await store.load(USER)).tail
    seen: set[str] = set()
    for n in range(0, 300, 7):
        await store.append(USER, 0, sent[n : n + 7])
        page = await store.tail(USER, tail)
        assert ids(page.messages) == sorted(ids(page.messages))
        seen.update(ids(page.messages))
        assert seen == set(ids(sent[: n + 7]))
        tail = page.tail


async def test_a_tail_of_many_messages_is_whole(store: WideStore) -> None:
    tail = (await store.load(USER)).tail
    sent = conversation(500)
    await store.append(USER, 0, sent)
    assert (await store.tail(USER, tail)).messages == sent


async def test_a_tail_outlives_an_erase(store: WideStore) -> None:
    await store.append(USER, 0, conversation(5))
    tail = (await store.load(USER)).tail
    head = await erase(store, USER)
    page = await store.tail(USER, tail)
    assert (page.head, list(page.messages)) == (head, [])
    after = message()
    await store.append(USER, 1, [after])
    assert (await store.tail(USER, page.tail)).messages == [after]
    assert (await store.tail(USER, tail)).messages == [after]


async def test_a_tail_that_is_none_is_an_error(store: WideStore) -> None:
    with pytest.raises(InvalidInput):
        await store.tail(USER, "nonsense")


async def test_recent_messages_come_newest_first_with_their_vectors(store: WideStore) -> None:
    sent = conversation(10)
    await store.append(USER, 0, sent)
    vectors = {m.id: vector(m.id, n) for n, m in enumerate(sent) if n % 2}
    await store.put_vectors(USER, 0, "message", MODEL, list(vectors.values()))
    await store.put_vectors(USER, 0, "message", "another", [vector(sent[0].id)])
    await store.put_vectors(USER, 0, "memory", MODEL, [vector(sent[0].id)])
    found = await every_page(lambda cursor: store.recent_messages(USER, MODEL, before=cursor, limit=3))
    assert [m for m, _ in found] == sent[::-1]
    for m, stored in found:
        expected: StoredVector | None = vectors.get(m.id)
        assert (stored is None) == (expected is None)
        assert stored is None or expected is None or same_vector(stored, expected)


async def test_pending_are_the_messages_in_no_run(store: WideStore) -> None:
    sent = conversation(6)
    await store.append(USER, 0, sent[::-1])
    assert (await store.load(USER)).pending == sent
    parked = run(sent[2], status="parked", error="x")
    await put(store, USER, runs=(run(*sent[:2]), parked))
    loaded = await store.load(USER)
    assert (loaded.pending, loaded.parked) == (sent[3:], [parked])
    await put(store, USER, delete_messages=(sent[3].id,))
    assert (await store.load(USER)).pending == sent[4:]


async def test_a_late_append_of_a_message_that_is_in_a_run_is_not_pending(store: WideStore) -> None:
    late = message()
    await put(store, USER, runs=(run(late),))
    await store.append(USER, 0, [late])
    assert await store.get_messages(USER, [late.id]) == [late]
    assert (await store.load(USER)).pending == []
