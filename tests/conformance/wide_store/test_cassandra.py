"""What is particular to the Cassandra adapter: days, slices, graves, and what is left in the tables."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uuid_utils

from cluster.ids import new_id
from cluster.model import DAY_MS, HOUR_MS, Head, Message
from cluster.wide_store import cassandra_messages, cassandra_subjects
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_arrivals import ACK_WITHIN_MS, Arrival, _after
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.cassandra_graves import GENERATION_AFTER_MS, ROWS_AFTER_MS
from cluster.wide_store.cassandra_layout import bucket_of_id, bucket_of_packed, pack_ids, packed_ids, unpacked
from cluster.wide_store.port import MessageQuery
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import shard_of
from tests.conformance.wide_store.cassandra_keyspace import KEYSPACE, CassandraKeyspace
from tests.conformance.wide_store.conftest import SHARDS, ManualClock
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
    every_page,
    ids,
    memory,
    message,
    put,
    removed,
    run,
    vector,
)

Stores = tuple[CassandraStore, CassandraStore]


@pytest.fixture
def store(both: Stores) -> CassandraStore:
    return both[0]


@pytest.fixture
def connection(cassandra_keyspace: CassandraKeyspace) -> CassandraConnection:
    return cassandra_keyspace.connections[0]


def said_at(at: int, **fields: Any) -> Message:
    """A message whose id was minted then."""
    id = uuid_utils.UUID(int=at << 80 | 7 << 76 | 0b10 << 62 | uuid_utils.uuid4().int & ((1 << 62) - 1))
    return message(id=str(id), created_at=at, **fields)


async def rows_of(connection: CassandraConnection, table: str, columns: str = "*") -> list[Any]:
    return await connection.execute(f"SELECT {columns} FROM {KEYSPACE}.{table}")


async def everything(connection: CassandraConnection) -> bytes:
    """All that the tables hold, as one text."""
    tables = await connection.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (KEYSPACE,)
    )
    found = [await rows_of(connection, name) for (name,) in tables]
    return b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for rows in found
        for row in rows
        for value in row
    )


async def no_graves(store: CassandraStore) -> None:
    """Until what an erase removes beside everything else is removed."""
    await asyncio.gather(*store._graves._tasks)


# --- names ----------------------------------------------------------------------------------------


def test_ids_are_packed_and_back() -> None:
    some = [new_id(), "m0", "", "a\0b", new_id().upper(), str(uuid_utils.uuid4()), "中"]
    packed = packed_ids(pack_ids(some))
    assert [unpacked(id) for id in packed] == some
    assert [bucket_of_packed(id) for id in packed] == [bucket_of_id(id) for id in some]
    assert len(pack_ids([new_id() for _ in range(100)])) < 100 * 19


def test_a_bucket_is_the_day_of_the_id() -> None:
    assert bucket_of_id(said_at(NOW).id) == NOW // DAY_MS
    assert bucket_of_id(said_at(NOW).id.upper()) == bucket_of_id("m0") == bucket_of_id("") == 0


# --- days -----------------------------------------------------------------------------------------


async def test_what_is_pending_stays_so_for_weeks(
    both: Stores, clock: ManualClock, connection: CassandraConnection
) -> None:
    store, other = both
    left, settled = said_at(NOW), said_at(NOW + 1)
    await store.append(USER, 0, [left, settled])
    await put(store, USER, runs=(run(settled),))
    for _ in range(4):
        clock.now += 10 * DAY_MS
        later = said_at(clock.now)
        await store.append(USER, 0, [later])
        await put(store, USER, runs=(run(later),))
        assert (await other.load(USER)).pending == [left]
    await put(other, USER, runs=(run(left),))
    assert (await store.load(USER)).pending == []
    open_days = [row for row in await rows_of(connection, "buckets", "bucket, closed") if not row[1]]
    assert [bucket for bucket, _ in open_days if bucket < clock.now // DAY_MS - 1] == []


async def test_a_day_is_not_closed_while_somebody_may_append_to_it(
    store: CassandraStore, clock: ManualClock, connection: CassandraConnection
) -> None:
    async def closed() -> bool:
        await store.load(USER)
        rows = await rows_of(connection, "buckets", "bucket, closed")
        return all(is_closed for bucket, is_closed in rows if bucket == day)

    day = NOW // DAY_MS
    sent = said_at(NOW)
    await store.append(USER, 0, [sent])
    await put(store, USER, runs=(run(sent),))
    clock.now = (day + 1) * DAY_MS + 26 * HOUR_MS
    assert not await closed()
    clock.now += 1
    assert await closed()


async def test_a_message_that_comes_weeks_late_is_pending_and_seen(both: Stores, clock: ManualClock) -> None:
    """As a repeated request does: its id is of the day on which it was first sent."""
    store, other = both
    first, late = said_at(NOW), said_at(NOW + 5)
    await store.append(USER, 0, [first])
    await put(store, USER, runs=(run(first),))
    clock.now += 30 * DAY_MS
    loaded = await other.load(USER)
    assert loaded.pending == []
    await store.append(USER, 0, [late])
    assert (await other.tail(USER, loaded.tail)).messages == [late]
    assert (await other.load(USER)).pending == [late]
    assert await all_messages(other, USER) == [first, late]
    await put(other, USER, runs=(run(late),))
    assert (await store.load(USER)).pending == []


async def test_an_append_that_took_longer_than_its_day_begins_anew(
    store: CassandraStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader may have given it up, and closed its day: it is acknowledged under a new number only."""
    write = store._messages._write
    slow = [2 * DAY_MS + 25 * HOUR_MS, 0]

    async def suspended(*given: Any) -> Any:
        places = await write(*given)
        clock.now += slow.pop(0)
        return places

    monkeypatch.setattr(store._messages, "_write", suspended)
    sent = said_at(NOW)
    assert await store.append(USER, 0, [sent])
    assert slow == []
    await store._subjects._close(USER, 0, [NOW // DAY_MS])
    assert (await store.load(USER)).pending == [sent]


async def test_a_tail_across_days_misses_nothing(both: Stores, clock: ManualClock) -> None:
    store, other = both
    tail = (await other.load(USER)).tail
    sent: list[Message] = []
    for _ in range(5):
        clock.now += DAY_MS - 7 * HOUR_MS
        sent.append(said_at(clock.now))
        await store.append(USER, 0, sent[-1:])
    page = await other.tail(USER, tail)
    assert page.messages == sent
    assert (await other.tail(USER, page.tail)).messages == []


async def test_a_tail_knows_what_it_has_shown(store: CassandraStore) -> None:
    tail = (await store.load(USER)).tail
    for sent in conversation(20):
        await store.append(USER, 0, [sent])
        page = await store.tail(USER, tail)
        assert page.messages == [sent]
        tail = page.tail


async def test_the_tail_waits_for_an_append_that_others_overtook(
    both: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = both
    tail = (await other.load(USER)).tail
    batch, begun, held = store._connection.batch, asyncio.Event(), asyncio.Event()
    slow, *fast = conversation(4)

    async def overtaken(writes: Any) -> None:
        if any(slow.id in values for _, values in writes):
            begun.set()
            await held.wait()
        await batch(writes)

    monkeypatch.setattr(store._connection, "batch", overtaken)
    await store.append(USER, 0, [said_at(NOW)])
    appending = asyncio.create_task(store.append(USER, 0, [slow]))
    await begun.wait()
    for sent in fast:
        await store.append(USER, 0, [sent])
    page = await other.tail(USER, tail)
    assert len(page.messages) == 4
    assert slow not in page.messages
    loaded = await other.load(USER)
    held.set()
    assert await appending
    for cursor in (page.tail, loaded.tail):
        following = await other.tail(USER, cursor)
        assert following.messages == [slow]
        assert (await other.tail(USER, following.tail)).messages == []


def test_a_number_is_given_up_when_it_cannot_be_acknowledged_any_more() -> None:
    def arrived(*numbers: tuple[int, int]) -> list[Arrival]:
        return [Arrival("w", number, at, b"") for number, at in numbers]

    first = _after(0, arrived((0, 0), (1, 10), (3, 20), (4, 30), (7, 40)))
    assert (first.below, first.beyond) == (2, ((3, 4), (7, 7)))
    assert [n for n in range(9) if n in first] == [0, 1, 3, 4, 7]
    late = 20 + 2 * ACK_WITHIN_MS
    assert _after(2, arrived((3, 20), (4, 30), (7, 40), (8, late))).below == 2
    given_up = _after(2, arrived((3, 20), (4, 30), (7, 40), (8, late + 1)))
    assert (given_up.below, given_up.beyond) == (5, ((7, 8),))
    assert _after(0, []) == _after(0, arrived())


# --- slices ---------------------------------------------------------------------------------------


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassandra_messages, "SLICE_MESSAGES", 30)


async def test_a_large_day_is_sliced_and_reads_as_one(
    both: Stores, connection: CassandraConnection, small_slices: None
) -> None:
    store, other = both
    sent = [message(str(n), session=f"s{n % 3}", marks=("m",) if n % 2 else ()) for n in range(100)]
    for n in range(0, 100, 10):
        await both[n % 20 // 10].append(USER, 0, sent[n : n + 10])
    slices = {slice for _, slice in await rows_of(connection, "buckets", "bucket, slice")}
    assert slices == {0, 1}  # each process counts what it has written
    for limit in (1, 7, 100, 101):
        assert await all_messages(other, USER, limit=limit) == sent
        assert await all_messages(other, USER, MessageQuery(newest_first=True), limit) == sent[::-1]
    assert await all_messages(other, USER, MessageQuery(session="s1"), 4) == sent[1::3]
    assert await all_messages(other, USER, MessageQuery(mark="m"), 9) == sent[1::2]
    assert await other.get_messages(USER, ids(sent)) == sent
    assert await other.count_messages(USER, ANY) == 100
    assert (await other.load(USER)).pending == sent
    await store.put_vectors(USER, 0, "message", MODEL, [vector(m.id) for m in sent])
    recent = await every_page(lambda c: other.recent_messages(USER, MODEL, before=c, limit=11))
    assert [m for m, stored in recent if stored is not None] == sent[::-1]
    gone = sent[::7]
    await put(other, USER, delete_messages=tuple(ids(gone)))
    assert await all_messages(store, USER) == [m for m in sent if m not in gone]
    assert await store.count_messages(USER, ANY) == 100 - len(gone)


async def test_a_message_sent_again_to_another_slice_is_still_one(both: Stores, small_slices: None) -> None:
    store, other = both
    first, rest = conversation(1), conversation(70)
    await other.append(USER, 0, first)
    for n in range(0, 70, 10):
        await store.append(USER, 0, rest[n : n + 10])
    await store.append(USER, 0, first + rest[:5])
    assert await all_messages(other, USER, limit=3) == first + rest
    assert await other.count_messages(USER, ANY) == 71
    assert (await other.sessions(USER))[0][0].messages == 71


# --- loads ----------------------------------------------------------------------------------------


async def test_a_load_that_commits_keep_tearing_gives_up(
    store: CassandraStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassandra_subjects, "_LOAD_PAGE", 2)
    await put(store, USER, put=tuple(memory() for _ in range(10)))
    assert len((await store.load(USER)).memories) == 10
    rows = store._connection.rows

    async def torn(name: str, *values: Any, **options: Any) -> Any:
        found = await rows(name, *values, **options)
        return [(*row[:3], n, *row[4:]) for n, row in enumerate(found)] if name == "rows_between" else found

    monkeypatch.setattr(store._connection, "rows", torn)
    with pytest.raises(Overloaded):
        await store.load(USER)


# --- forgetting -----------------------------------------------------------------------------------


async def test_what_is_forgotten_is_not_in_the_tables(
    store: CassandraStore, connection: CassandraConnection
) -> None:
    secret = "Geheimnis"
    said = [message(secret, session=f"about {secret}", marks=(secret,)) for _ in range(3)]
    known = memory(secret, labels={"user": USER.id, "agent": "a"})
    await store.append(USER, 0, said)
    done = run(*said, memory_ids=(known.id,))
    orphan = run(*said)
    for one in (done, orphan):
        await store.put_run_record(USER, 0, one.id, secret.encode())
    await put(store, USER, put=(known,), entries=added(known), runs=(done,), run_id=done.id)
    assert secret.encode() in await everything(connection)
    await put(store, USER, delete=(known.id,), entries=removed(known), delete_messages=tuple(ids(said)))
    left = await everything(connection)
    # The names of sessions and marks are kept, as of any label.
    names = left.count(f"about {secret}".encode()) * 2 + left.count(secret.encode())
    texts = [
        row for row in await rows_of(connection, "messages", "body") if row[0] and secret.encode() in row[0]
    ]
    assert texts == []
    assert names > 0
    for table in ("subject_rows", "run_records", "message_vectors"):
        assert secret.encode() not in b"".join(
            value for row in await rows_of(connection, table) for value in row if isinstance(value, bytes)
        )
    await erase(store, USER)
    await no_graves(store)
    assert secret.encode() not in await everything(connection)


async def test_a_deletion_that_was_cut_short_is_finished_by_the_sweep(
    store: CassandraStore,
    connection: CassandraConnection,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "Geheimnis"
    said, known = message(secret), memory(secret)
    await store.append(USER, 0, [said])
    await store.put_vectors(USER, 0, "message", MODEL, [vector(said.id)])
    await put(store, USER, put=(known,), entries=added(known))

    async def died(*_: Any) -> None:
        raise Unavailable("the process was killed here")

    with monkeypatch.context() as killed:
        killed.setattr(store._graves, "empty", died)
        await put(store, USER, delete=(known.id,), entries=removed(known), delete_messages=(said.id,))
    assert await all_messages(store, USER) == []
    assert secret.encode() in await everything(connection)
    shard = shard_of(USER, SHARDS)
    assert await store._graves.sweep(shard) == 0
    clock.now += ROWS_AFTER_MS + 1
    assert await store._graves.sweep(shard) == 1
    assert secret.encode() not in await everything(connection)
    assert await rows_of(connection, "message_vectors") == []
    assert await rows_of(connection, "graves") == []


async def test_a_grave_whose_commit_did_not_land_is_left_alone(
    both: Stores, clock: ManualClock, connection: CassandraConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = both[0]
    said = message()
    await store.append(USER, 0, [said])
    await store.put_vectors(USER, 0, "message", MODEL, [vector(said.id)])

    async def dies(_: Any) -> bool:
        raise Unavailable("the process was killed here")

    with monkeypatch.context() as killed:
        killed.setattr(store._connection, "conditional", dies)
        for gone in ({"delete_messages": (said.id,)}, {"erase": True}):
            with pytest.raises(Unavailable):
                await store.commit(USER, Head(), changes(**gone))
    assert len(await rows_of(connection, "graves")) == 2
    clock.now += GENERATION_AFTER_MS + 1
    assert await store._graves.sweep(shard_of(USER, SHARDS)) == 2
    assert await all_messages(store, USER) == [said]
    assert (await store.load(USER)).pending == [said]
    (found,) = await store.message_vectors(USER, MODEL, [said.id])
    assert found.id == said.id


async def test_a_late_write_of_an_erased_generation_is_removed_again(
    both: Stores, clock: ManualClock, connection: CassandraConnection
) -> None:
    store, behind = both
    await behind.head(USER)  # remembers generation 0
    await store.append(USER, 0, conversation(3))
    await erase(store, USER)
    await no_graves(store)
    assert not await behind.append(USER, 0, conversation(2))
    assert await rows_of(connection, "messages") == []
    # One that nobody took back: its writer died.
    await behind._messages._write(USER, 0, clock.now, [message("Geheimnis")])
    shard = shard_of(USER, SHARDS)
    await store._graves.sweep(shard)
    assert await rows_of(connection, "messages") == []
    assert len(await rows_of(connection, "graves")) == 1
    clock.now += GENERATION_AFTER_MS + 1
    assert await store._graves.sweep(shard) == 1
    assert b"Geheimnis" not in await everything(connection)


async def test_an_append_beside_an_erase_leaves_nothing(
    both: Stores, connection: CassandraConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = both
    await store.append(USER, 0, conversation(1))
    write = store._messages._write

    async def meanwhile(*given: Any) -> Any:
        await erase(other, USER)
        return await write(*given)

    monkeypatch.setattr(store._messages, "_write", meanwhile)
    await store.append(USER, 0, [message("Geheimnis")])
    await no_graves(other)
    assert await all_messages(other, USER) == []
    await other._graves.sweep(shard_of(USER, SHARDS))
    assert b"Geheimnis" not in await everything(connection)


# --- the connection -------------------------------------------------------------------------------


async def test_requests_in_flight_are_bounded(
    store: CassandraStore, connection: CassandraConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "options", connection.options._replace(max_in_flight=2))
    await store.ping()
    box = connection._box
    assert box is not None
    in_flight: list[int] = []
    sent = connection._opened().execute_async

    def counted(*given: Any, **options: Any) -> Any:
        in_flight.append(box.in_flight)
        return sent(*given, **options)

    monkeypatch.setattr(connection._session, "execute_async", counted)
    await asyncio.gather(*(store.head(USER) for _ in range(50)))
    assert max(in_flight) == 2
    cancelled = [asyncio.create_task(store.head(USER)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
    await asyncio.gather(*(store.head(USER) for _ in range(20)))
    assert not box.waiting
    for _ in range(1000):  # requests that nobody waits for any more are under way still
        if box.in_flight == 0:
            break
        await asyncio.sleep(0.01)
    assert box.in_flight == 0
    monkeypatch.setattr("cluster.wide_store.cassandra_connection.MAX_WAITING", 3)
    answers = await asyncio.gather(*(store.head(USER) for _ in range(20)), return_exceptions=True)
    assert any(isinstance(answer, Overloaded) for answer in answers)
    assert any(isinstance(answer, Head) for answer in answers)
