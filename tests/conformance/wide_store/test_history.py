"""A long history: nothing lost, nothing doubled, however it is read."""

from __future__ import annotations

import random
import time

from cluster.wide_store.port import MessageQuery, WideStore
from tests.conformance.wide_store.samples import (
    ANY,
    MODEL,
    NOW,
    USER,
    all_messages,
    every_page,
    ids,
    message,
    message_pages,
    put,
    run,
    vector,
)


async def test_a_long_history(store: WideStore, history_messages: int) -> None:
    count = history_messages
    sent = [message(f"第{n}句", session=f"s{n % 100}", event_time=NOW + n) for n in range(count)]
    for n in range(0, count, 5000):
        assert await store.append(USER, 0, sent[n : n + 5000])
    assert await store.append(USER, 0, sent[-2500:-1500])
    assert await store.count_messages(USER, ANY) == count

    assert ids(await all_messages(store, USER, limit=1000)) == ids(sent)
    backwards = await all_messages(store, USER, MessageQuery(newest_first=True), limit=997)
    assert ids(backwards) == ids(sent[::-1])
    of_session = await all_messages(store, USER, MessageQuery(session="s42"), limit=300)
    assert ids(of_session) == ids(sent[42::100])
    sessions = await every_page(lambda cursor: store.sessions(USER, cursor=cursor, limit=30))
    assert {row.session: row.messages for row in sessions} == {f"s{n}": count // 100 for n in range(100)}

    for n in range(0, count - 100, 10_000):
        done = run(*sent[n : min(n + 10_000, count - 100)])
        for start in range(0, len(done.input_ids), 5000):
            await put(store, USER, runs=(run(*sent[n + start : min(n + start + 5000, count - 100)]),))
    await store.put_vectors(USER, 0, "message", MODEL, [vector(m.id) for m in sent[-100:]])
    started = time.perf_counter()
    loaded = await store.load(USER)
    page, _ = await store.recent_messages(USER, MODEL, limit=100)
    assert time.perf_counter() - started < 10, "neither may walk the whole history"
    assert ids(loaded.pending) == ids(sent[-100:])
    assert all(embedding is not None for _, embedding in page)


async def test_pages_hold_while_messages_come_and_go(store: WideStore) -> None:
    chance = random.Random(4)
    for newest_first in (False, True):
        session = f"s-{newest_first}"
        query = MessageQuery(session=session, newest_first=newest_first)
        stay = [message(session=session) for _ in range(400)]
        go = [message(session=session) for _ in range(200)]
        sent = stay + go
        chance.shuffle(sent)
        await store.append(USER, 0, sent)
        seen: list[str] = []
        async for page in message_pages(store, USER, query, limit=50):
            seen += ids(page)
            gone, go = go[:20], go[20:]
            await put(store, USER, delete_messages=tuple(ids(gone)))
            await store.append(USER, 0, [message(session=session) for _ in range(10)] if newest_first else [])
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen, reverse=newest_first)
        assert set(ids(stay)) <= set(seen) <= set(ids(sent))
