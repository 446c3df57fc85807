"""A history of another store, written as it was: what export and import rest on."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
import uuid_utils

from cluster.ids import minted_at
from cluster.model import DAY_MS, Change, ChangeEntry, Claim, Head, Message, Run
from cluster.wide_store.port import (
    MAX_COMMIT_ROWS,
    CommitTooLarge,
    Loaded,
    PlainRow,
    Replay,
    StaleRevision,
    WideStore,
)
from memgrid.errors import InvalidInput
from memgrid.subject import Subject, shard_of
from tests.conformance.wide_store.conftest import SHARDS
from tests.conformance.wide_store.samples import (
    MODEL,
    NOW,
    USER,
    added,
    all_messages,
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

COPY = Subject("copy", "user", "张三")
_numbers = itertools.count()


def by_id(loaded: Loaded) -> dict[str, Any]:
    return {memory.id: memory for memory in loaded.memories}


def change(revision: int, **fields: Any) -> Change:
    return Change(**({"revision": revision, "commit_id": f"c{revision}", "at": NOW, "actor": "api"} | fields))


def said_before(days: int, content: str = "很久以前 long ago") -> Message:
    """A message whose id was minted some days ago."""
    at = NOW - days * DAY_MS
    id = uuid_utils.UUID(int=at << 80 | 7 << 76 | 0b10 << 62 | next(_numbers))
    return message(content, id=str(id), created_at=at)


async def lived(store: WideStore) -> list[Message]:
    """Gives USER a history with everything in it; its messages."""
    said = conversation(4)
    await store.append(USER, 0, said)
    old, gone, kept = (
        memory("喜欢足球"),
        memory("住在杭州"),
        memory("likes tea", {"user": "张三", "agent": "a"}),
    )
    done, parked = run(*said[:2], memory_ids=(old.id,)), run(said[2], status="parked", error="no answer")
    await put(store, USER, put=(old, gone), entries=added(old, gone), runs=(done,), run_id=done.id)
    await put(store, USER, runs=(parked,), run_id=parked.id)
    await put(store, USER, settings={"policy": {"tokens": 7}})
    closed = msgspec.structs.replace(old, superseded_by=kept.id, valid_to=NOW + 5, links=(kept.id,))
    await put(store, USER, put=(closed, kept), entries=added(kept))
    await put(store, USER, delete=(gone.id,), entries=removed(gone))
    await put(store, USER, mark_messages={said[0].id: ("重要",)})
    return said


async def pieces(store: WideStore, size: int) -> list[Replay]:
    """USER's history in pieces of so many changes."""
    loaded = await store.load(USER)
    runs = await every_page(lambda cursor: store.runs(USER, cursor=cursor))
    changes = await store.changes(USER, 0)
    made: list[Replay] = []
    for start in range(0, len(changes), size):
        part = tuple(changes[start : start + size])
        revisions = {change.revision for change in part}
        made.append(
            Replay(
                head=msgspec.structs.replace(loaded.head, revision=part[-1].revision),
                changes=part,
                put=tuple(memory for memory in loaded.memories if memory.revision in revisions),
                runs=tuple(run for run in runs if any(change.run_id == run.id for change in part)),
            )
        )
    return made


async def copy(store: WideStore, size: int = 2) -> None:
    head = await store.head(COPY)
    for piece in await pieces(store, size):
        head = await store.replay(COPY, head, piece)
        assert head == piece.head


async def assert_equal(store: WideStore) -> None:
    one, other = await store.load(USER), await store.load(COPY)
    assert other.head == one.head
    assert by_id(other) == by_id(one)
    assert other.pending == one.pending
    assert ids(other.parked) == ids(one.parked)
    assert await store.changes(COPY, 0) == await store.changes(USER, 0)
    assert await every_page(lambda c: store.runs(COPY, cursor=c)) == await every_page(
        lambda c: store.runs(USER, cursor=c)
    )
    assert await all_messages(store, COPY) == await all_messages(store, USER)


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_history_is_written_as_it_was(stores: tuple[WideStore, WideStore], size: int) -> None:
    store, other = stores
    said = await lived(store)
    await copy(store, size)
    messages = await all_messages(store, USER)
    assert ids(messages) == ids(said)
    head = await store.head(COPY)
    assert await store.append(COPY, head.generation, messages)
    await assert_equal(other)
    assert [m.id for m in (await other.load(COPY)).pending] == [said[3].id]
    for kept in (await store.load(USER)).memories:
        assert await other.memory_history(COPY, kept.id) == await store.memory_history(USER, kept.id)
        assert await other.resolve_memory(COPY.tenant, kept.id) == COPY
    for one in (await store.runs(USER))[0]:
        assert await other.get_run(COPY, one.id) == one
        assert await other.resolve_run(COPY.tenant, one.id) == COPY
        assert await other.runs_of(COPY, one.input_ids) == [one]
    scope = await every_page(lambda c: other.scope(COPY.tenant, "agent", "a", cursor=c))
    assert scope == [(COPY, m.id) for m in (await store.load(COPY)).memories if "agent" in m.labels]
    assert await store.put_run_record(COPY, 0, (await store.load(COPY)).parked[0].id, b"record") is None
    assert await other.run_record(COPY, (await other.load(COPY)).parked[0].id) == b"record"


async def test_life_goes_on_after_it(store: WideStore) -> None:
    await lived(store)
    await copy(store)
    revision = (await store.head(USER)).revision
    fresh = memory("new")
    head = await put(store, COPY, put=(fresh,), entries=added(fresh))
    assert (head.revision, head.settings) == (revision + 1, {"policy": {"tokens": 7}})
    assert by_id(await store.load(COPY))[fresh.id].revision == revision + 1
    assert (await erase(store, COPY)).generation == 1
    assert (await store.load(COPY)).memories == []
    assert [c.revision for c in await store.changes(COPY, 0)] == [revision + 2]


async def test_a_piece_that_has_landed_changes_nothing_again(stores: tuple[WideStore, WideStore]) -> None:
    store, other = stores
    await lived(store)
    first, *rest = await pieces(store, 3)
    head = await store.replay(COPY, Head(), first)
    assert await other.replay(COPY, Head(), first) == head
    for piece in rest:
        await other.replay(COPY, await other.head(COPY), piece)
    last = await store.head(COPY)
    assert (await store.replay(COPY, Head(), first)).revision == head.revision
    assert await store.head(COPY) == last
    assert await store.changes(COPY, 0) == await store.changes(USER, 0)


async def test_on_another_head_it_is_refused_with_no_trace(store: WideStore) -> None:
    mine = memory("mine")
    await put(store, COPY, put=(mine,), entries=added(mine))
    theirs = memory("theirs", revision=1)
    piece = Replay(
        head=Head(revision=1), changes=(change(1, entries=added(theirs)),), put=(theirs,), runs=(run(),)
    )
    with pytest.raises(StaleRevision) as caught:
        await store.replay(COPY, Head(), piece)
    assert caught.value.head == Head(revision=1)
    assert ids((await store.load(COPY)).memories) == [mine.id]
    assert len(await store.changes(COPY, 0)) == 1
    assert (await store.runs(COPY))[0] == []


async def test_a_generation_is_kept(store: WideStore) -> None:
    wiped = conversation(1)
    await store.append(USER, 0, wiped)
    await erase(store, USER)
    await erase(store, USER)
    found = memory("again")
    said = conversation(1)
    await store.append(USER, 2, said)
    await put(store, USER, put=(found,), entries=added(found))
    await copy(store, 1)
    assert not await store.append(COPY, 0, wiped)
    assert await store.append(COPY, 2, said)
    await assert_equal(store)
    assert (await store.head(COPY)).generation == 2


async def test_a_generation_is_not_changed_over_messages(store: WideStore) -> None:
    said = conversation(2)
    await store.append(COPY, 0, said)
    piece = Replay(head=Head(revision=3, generation=1), changes=(change(3),))
    with pytest.raises(StaleRevision):
        await store.replay(COPY, Head(), piece)
    assert await all_messages(store, COPY) == said
    assert await store.head(COPY) == Head()
    same = Replay(head=Head(revision=3), changes=(change(3),))
    await store.replay(COPY, Head(), same)
    assert await all_messages(store, COPY) == said


async def test_what_it_says_was_deleted_stays_out(store: WideStore) -> None:
    said, gone, back = conversation(3), memory("gone"), memory("back", revision=9)
    piece = Replay(
        head=Head(revision=9),
        changes=(
            change(4, deleted_messages=(said[0].id, said[1].id)),
            change(6, entries=removed(gone, back)),
            change(7, entries=(ChangeEntry(memory_id="late", event="EXPIRE"),)),
            change(9, entries=added(back)),
        ),
        put=(back,),
    )
    assert await store.append(COPY, 0, said[:1])  # what it deletes may be there
    await store.replay(COPY, Head(), piece)
    assert await store.append(COPY, 0, said)
    assert await all_messages(store, COPY) == said[2:]
    assert (await store.load(COPY)).pending == said[2:]
    await store.put_vectors(COPY, 0, "memory", MODEL, [vector(id) for id in (gone.id, back.id, "late")])
    assert [v.id for v in await store.memory_vectors(COPY, MODEL)] == [back.id]


async def test_messages_of_days_long_past_are_found(store: WideStore) -> None:
    """Those of a run are not pending; those of none are, however old they are."""
    said = [said_before(days) for days in (400, 60, 60, 3)]
    assert [minted_at(m.id) for m in said] == [m.created_at for m in said]
    settled = run(said[0], said[2])
    piece = Replay(head=Head(revision=1), changes=(change(1, run_id=settled.id),), runs=(settled,))
    await store.replay(COPY, Head(), piece)
    assert await store.append(COPY, 0, said)
    assert ids(await all_messages(store, COPY)) == ids(said)
    loaded = await store.load(COPY)
    assert ids(loaded.pending) == [said[1].id, said[3].id]
    rest = run(said[1], said[3])
    await put(store, COPY, runs=(rest,), run_id=rest.id)
    assert (await store.load(COPY)).pending == []


async def test_it_registers_the_subject(store: WideStore) -> None:
    piece = Replay(head=Head(revision=1), changes=(change(1),))
    await store.replay(COPY, Head(), piece)
    assert await every_page(lambda c: store.subjects(tenant=COPY.tenant, cursor=c)) == [COPY]
    shard = shard_of(COPY, SHARDS)
    assert COPY in await every_page(lambda c: store.active_subjects(shard, since=NOW, cursor=c))


@pytest.mark.parametrize(
    "piece",
    [
        Replay(head=Head(revision=6), changes=()),
        Replay(head=Head(revision=6), changes=(change(5),)),
        Replay(head=Head(revision=4), changes=(change(4),)),
        Replay(head=Head(revision=6), changes=(change(6), change(6))),
        Replay(head=Head(revision=6), changes=(change(7), change(6))),
        Replay(head=Head(revision=6, generation=1), changes=(change(6),)),
    ],
)
async def test_what_is_no_continuation_is_refused(store: WideStore, piece: Replay) -> None:
    head = await store.replay(COPY, Head(), Replay(head=Head(revision=4), changes=(change(4),)))
    with pytest.raises(InvalidInput):
        await store.replay(COPY, head, piece)
    assert await store.head(COPY) == head


async def test_it_has_the_limits_of_a_commit(store: WideStore) -> None:
    def piece(rows: int) -> Replay:
        memories = tuple(memory("x", revision=1) for _ in range(rows))
        return Replay(head=Head(revision=1), changes=(change(1, entries=added(*memories)),), put=memories)

    with pytest.raises(CommitTooLarge):
        await store.replay(COPY, Head(), piece(MAX_COMMIT_ROWS + 1))
    big = memory("x" * 600_000, revision=1)
    with pytest.raises(CommitTooLarge):
        await store.replay(COPY, Head(), Replay(head=Head(revision=1), changes=(change(1),), put=(big,)))
    assert await store.head(COPY) == Head()
    await store.replay(COPY, Head(), piece(MAX_COMMIT_ROWS))
    assert len((await store.load(COPY)).memories) == MAX_COMMIT_ROWS


# --- what is enumerated for it ---------------------------------------------------------------------


async def test_claims_are_listed(store: WideStore) -> None:
    given = [
        Claim(kind="request", key=f"键{n}\0", payload_hash=b"h", message_ids=("m",), expires_at=NOW + 10**9)
        for n in range(3)
    ]
    given += [
        Claim(kind="message", key=f"s\0{n}", payload_hash=bytes([n]), message_ids=("m", "n"))
        for n in range(4)
    ]
    await store.claim(USER, 0, given, NOW)
    await store.claim(COPY, 0, given[:1], NOW)

    async def listed(subject: Subject) -> list[Claim]:
        return await every_page(lambda cursor: store.claims(subject, cursor=cursor, limit=2))

    def in_order(claims: list[Claim]) -> list[Claim]:
        return sorted(claims, key=lambda claim: (claim.kind, claim.key))

    assert in_order(await listed(USER)) == in_order(given)
    assert await listed(COPY) == given[:1]
    await erase(store, USER)
    assert await listed(USER) == []
    await store.claim(USER, 1, given[2:4], NOW)
    assert in_order(await listed(USER)) == in_order(given[2:4])
    with pytest.raises(InvalidInput):
        await store.claims(USER, cursor="no cursor")


async def test_plain_rows_are_listed(store: WideStore) -> None:
    given = [PlainRow(table, f"k{n}\0", {"n": n}) for table in ("one", "other") for n in range(3)]
    for row in given:
        await store.put_row(row.table, row.key, row.value)

    async def listed(table: str | None) -> list[PlainRow]:
        found = await every_page(lambda cursor: store.rows(table, cursor=cursor, limit=2))
        return sorted(found, key=lambda row: (row.table, row.key))

    assert await listed("one") == given[:3]
    assert await listed("none") == []
    assert await listed(None) == given


async def test_the_info_is_of_now(stores: tuple[WideStore, WideStore]) -> None:
    assert (await stores[1].info()).embedding_model is None
    recorded = await stores[0].set_embedding_model("model", 8)
    assert await stores[1].info() == recorded
    assert recorded.shards == SHARDS


async def test_runs_are_replaced_by_later_pieces(store: WideStore) -> None:
    said = conversation(2)
    parked = run(*said, id="r", status="parked")
    done: Run = msgspec.structs.replace(parked, status="done", input_ids=(said[0].id,))
    await store.replay(COPY, Head(), Replay(head=Head(revision=1), changes=(change(1),), runs=(parked,)))
    await store.append(COPY, 0, said)
    assert (await store.load(COPY)).pending == []
    await store.replay(
        COPY, Head(revision=1), Replay(head=Head(revision=2), changes=(change(2),), runs=(done,))
    )
    assert ids((await store.load(COPY)).pending) == [said[1].id]
