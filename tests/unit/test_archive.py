"""From store to file to store: the same, however often it is tried and wherever it was interrupted."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.archive.exporting import export_archive
from cluster.archive.importing import Report, import_archive, verify_archive
from cluster.archive.lines import Tally, row_hash
from cluster.archive.reading import DamagedArchive, check_archive
from cluster.model import ChangeEntry, Changes, Claim, Head, Message
from cluster.run_record import RunRecord, encode
from cluster.search_index.imported import bell, unput
from cluster.wide_store.port import ApiKeyRow, Replay, WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.archives import is_archive
from memgrid.errors import Conflict, InvalidInput, Unavailable
from memgrid.subject import Subject, shard_of
from tests.conformance.wide_store.samples import (
    MODEL,
    NOW,
    USER,
    added,
    conversation,
    erase,
    memory,
    put,
    removed,
    run,
    vector,
)
from tests.conformance.wide_store.test_against_model import claims, messages
from tests.conformance.wide_store.test_against_model import contents as commits
from tests.store_contents import contents, contents_of

LI = Subject("acme", "agent", "李四")
ELSE = Subject("acm", "user", "张三")
SUBJECTS = (USER, LI, ELSE)
DIMENSION = 16


def clock() -> int:
    return NOW


@asynccontextmanager
async def stores(count: int = 2) -> AsyncIterator[list[SqliteStore]]:
    """Empty ones, each with another number of shards."""
    made: list[SqliteStore] = []
    try:
        for number in range(count):
            store = SqliteStore(":memory:", files=number + 1, clock=clock)
            await store.open(shards=16 - number)
            made.append(store)
        yield made
    finally:
        for store in made:
            await store.close()


def record_saying(words: str) -> bytes:
    return encode(RunRecord(prompts={"extract": words}))


async def archived(store: WideStore, **scope: Any) -> bytes:
    out = io.BytesIO()
    await export_archive(store, out, clock=clock, **scope)
    return out.getvalue()


async def imported(store: WideStore, archive: bytes) -> Report:
    return await import_archive(store, io.BytesIO(archive), clock=clock)


def lines_of(archive: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.splitlines()]


async def fill(store: WideStore, subject: Subject = USER) -> list[Message]:
    """A subject with something of everything; its messages."""
    said = conversation(
        6, labels={"user": "张三", "agent": "导游"}, metadata={"b": 1.5, "a": [None, {"乙": True}]}
    )
    gone, old, kept = (
        memory("住在杭州"),
        memory("喜欢足球"),
        memory("likes tea", {"user": "张三", "agent": "导游"}),
    )
    await store.append(subject, 0, said)
    await store.claim(
        subject,
        0,
        [
            Claim(kind="message", key="s\0m-1", payload_hash=b"\xff\0", message_ids=(said[0].id,)),
            Claim(
                kind="request", key="r", payload_hash=b"1", message_ids=(said[0].id,), expires_at=NOW + 60_000
            ),
            Claim(kind="request", key="over", payload_hash=b"2", message_ids=("x",), expires_at=NOW + 1),
        ],
        NOW,
    )
    done = run(*said[:2], memory_ids=(old.id,), cost=0.25)
    parked = run(said[2], status="parked", error="no answer")
    await store.put_run_record(subject, 0, done.id, record_saying("提示词\0"))
    await put(store, subject, put=(gone, old), entries=added(gone, old), runs=(done,), run_id=done.id)
    await put(store, subject, runs=(parked,), run_id=parked.id)
    await store.put_run_record(subject, 0, parked.id, record_saying(""))
    closed = msgspec.structs.replace(old, superseded_by=kept.id, valid_to=NOW + 5, links=(kept.id,))
    supersede = ChangeEntry(memory_id=old.id, event="SUPERSEDE", old_text=old.text, reason="不再")
    await put(store, subject, put=(closed, kept), entries=(supersede, *added(kept)))
    await put(store, subject, settings={"policy": {"max_tokens": 7}})
    await put(store, subject, delete=(gone.id,), entries=removed(gone))
    await put(store, subject, mark_messages={said[3].id: ("重要",)}, delete_messages=(said[5].id,))
    await store.put_vectors(subject, 0, "memory", MODEL, [vector(old.id, 1), vector(kept.id, 2)])
    await store.put_vectors(subject, 0, "message", MODEL, [vector(said[1].id, 3)])
    await store.put_row(*stats_of(subject), {"searches": 3})
    return said


def stats_of(subject: Subject) -> tuple[str, str]:
    """Table and key of the plain row that `fill` writes."""
    return "daily_stats", f"{subject.key.hex()}/2025-10-09"


async def filled(store: WideStore) -> None:
    """A store with three subjects of two tenants, and keys."""
    for subject in SUBJECTS:
        await fill(store, subject)
    await store.set_embedding_model(MODEL, DIMENSION)
    for number, tenant in enumerate(("acme", "acm")):
        key = ApiKeyRow(
            id=f"k{number}", tenant=tenant, role="admin", key_hash=bytes([number]), created_at=NOW
        )
        await store.put_api_key(msgspec.structs.replace(key, revoked_at=NOW) if number else key)
    await store.put_row("config", "all", {"n": 1})
    await store.put_row("extraction_config", "acm\0group", {"instructions": "简短"})
    await store.put_row("extraction_config", ELSE.key.hex(), {"instructions": "a tenant of that name"})
    await store.put_row("index_behind", "3", {"behind": True})


def without_what_expired(everything: dict[Any, Any]) -> dict[Any, Any]:
    """The request claims that are over at NOW + 1 are not copied then."""
    for subject in SUBJECTS:
        everything[subject]["claims"].pop(("request", "over"))
    return everything


# --- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("vectors", [False, True])
async def test_a_whole_store_comes_back_as_it_was(vectors: bool) -> None:
    async with stores(3) as (one, two, three):
        await filled(one)
        archive = await archived(one, vectors=vectors)
        report = await imported(two, archive)
        assert (report.subjects, set(report.copied), report.already_there, report.problems) == (
            3,
            set(SUBJECTS),
            0,
            [],
        )
        model = MODEL if vectors else None
        assert await contents(two, model=model) == await contents(one, model=model)
        assert report.vectors is vectors
        assert (await two.info()).embedding_model == (MODEL if vectors else None)
        back = await archived(two, vectors=vectors)
        await imported(three, back)
        assert await contents(three, model=model) == await contents(one, model=model)
        assert lines_of(back)[1:-1] == lines_of(archive)[1:-1]


async def test_importing_twice_changes_nothing() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one, vectors=True)
        await imported(two, archive)
        before = await contents(two, model=MODEL)
        again = await imported(two, archive)
        assert (again.copied, again.already_there, again.problems) == ([], 3, [])
        assert await contents(two, model=MODEL) == before
        assert not (await verify_archive(two, io.BytesIO(archive), clock=clock)).problems


async def test_claims_that_have_expired_are_not_missed() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one)
        report = await import_archive(two, io.BytesIO(archive), clock=lambda: NOW + 1)
        assert (len(report.copied), report.problems) == (3, [])
        assert await contents(two) == without_what_expired(await contents(one))
        later = await verify_archive(two, io.BytesIO(archive), clock=lambda: NOW + 10**9)
        assert (later.already_there, later.problems) == (3, [])


histories = st.lists(
    st.tuples(
        st.sampled_from([USER, ELSE]),  # ids are unique within a tenant
        st.one_of(
            st.tuples(st.just("append"), st.lists(messages, min_size=1, max_size=4)),
            st.tuples(st.just("commit"), commits),
            st.tuples(st.just("claim"), st.lists(claims, min_size=1, max_size=3)),
            st.tuples(st.just("erase"), st.none()),
        ),
    ),
    max_size=14,
)


async def live(store: WideStore, history: list[tuple[Subject, tuple[str, Any]]]) -> None:
    for number, (subject, (what, value)) in enumerate(history):
        head = await store.head(subject)
        if what == "append":
            await store.append(subject, head.generation, value)
        elif what == "claim":
            await store.claim(subject, head.generation, value, NOW - 1)
        elif what == "erase":
            await store.commit(
                subject, head, Changes(commit_id=f"c{number}", at=NOW, actor="api", erase=True)
            )
        else:
            ids = [*(m.id for m in value["put"] if m.id not in value.get("delete", ()))]
            entries = [ChangeEntry(memory_id=id, event="UPDATE", new_text="喜欢", reason="r") for id in ids]
            entries += [
                ChangeEntry(memory_id=id, event="DELETE", old_text="x") for id in value.get("delete", ())
            ]
            await store.commit(
                subject,
                head,
                Changes(commit_id=f"c{number}", at=NOW, actor="api", entries=tuple(entries), **value),
            )
            for each in value["runs"]:
                await store.put_run_record(subject, head.generation, each.id, record_saying(each.id))


@given(history=histories)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_store_comes_back_as_it_was(history: list[tuple[Subject, tuple[str, Any]]]) -> None:
    async def check() -> None:
        async with stores() as (one, two):
            await live(one, history)
            archive = await archived(one)
            report = await imported(two, archive)
            assert report.problems == []
            expected = await contents(one)
            for subject in {subject for subject, _ in history} & expected.keys():
                claims = expected[subject]["claims"]
                expected[subject]["claims"] = {k: c for k, c in claims.items() if c.expires_at != NOW}
            assert await contents(two) == expected
            assert (await imported(two, archive)).already_there == report.subjects

    asyncio.run(check())


async def test_history_goes_on_where_it_was() -> None:
    async with stores() as (one, two):
        said = await fill(one)
        await imported(two, await archived(one))
        # A retry of an old add finds its claim, and what was deleted does not come back.
        claim = Claim(kind="message", key="s\0m-1", payload_hash=b"\xff\0", message_ids=("other",))
        assert (await two.claim(USER, 0, [claim], NOW))[0].message_ids == (said[0].id,)
        await two.append(USER, 0, said)
        assert await contents_of(two, USER) == await contents_of(one, USER)
        fresh = memory("new")
        for store in (one, two):
            await store.commit(
                USER,
                await store.head(USER),
                Changes(commit_id="next", at=NOW, actor="api", put=(fresh,), entries=added(fresh)),
            )
        assert await contents_of(two, USER) == await contents_of(one, USER)


async def test_large_commits_are_copied_within_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[Replay] = []
    replay = SqliteStore.replay

    async def seen(self: SqliteStore, subject: Subject, head: Head, piece: Replay) -> Head:
        pieces.append(piece)
        return await replay(self, subject, head, piece)

    monkeypatch.setattr(SqliteStore, "replay", seen)
    async with stores() as (one, two):
        for _ in range(3):
            many = [memory(f"记忆 {n}") for n in range(200)]
            await put(one, USER, put=tuple(many), entries=added(*many))
        for _ in range(2):
            big = [memory("大" * 20_000) for _ in range(4)]
            await put(one, USER, put=tuple(big), entries=added(*big))
        for _ in range(400):
            small = memory("x")
            await put(one, USER, put=(small,), entries=added(small))
        await imported(two, await archived(one))
        assert await contents_of(two, USER) == await contents_of(one, USER)
    assert 4 < len(pieces) < 30


# --- a part of it -------------------------------------------------------------------------------


async def test_one_tenant() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one, tenant="acm")
        await imported(two, archive)
        everything = await contents(one)
        keys, rows = everything["keys"], everything["rows"]
        assert await contents(two) == {
            "keys": {"k1": keys["k1"]},
            "rows": {key: rows[key] for key in (stats_of(ELSE), ("extraction_config", "acm\0group"))},
            ELSE: everything[ELSE],
        }
        assert "李四" not in archive.decode()


async def test_one_subject() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one, subject=LI)
        await imported(two, archive)
        everything = await contents(one)
        rows = {stats_of(LI): everything["rows"][stats_of(LI)]}
        assert await contents(two) == {"keys": {}, "rows": rows, LI: everything[LI]}
        with pytest.raises(InvalidInput, match="王五"):
            await archived(one, subject=Subject("acme", "user", "王五"))


# --- interrupted --------------------------------------------------------------------------------


class Dying:
    """A store that is killed before its nth write, which is lost, or after it, when only the answer is."""

    WRITES = ("replay", "append", "claim", "put_run_record", "put_vectors", "put_row", "put_api_key")

    def __init__(self, store: WideStore, dies_at: int, landed: bool) -> None:
        self._store = store
        self._left = dies_at
        self._landed = landed

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._store, name)
        if name not in self.WRITES:
            return method

        async def write(*arguments: Any, **options: Any) -> Any:
            if self._left == 0 and self._landed:
                self._left -= 1
                await method(*arguments, **options)
            if self._left <= 0:
                raise Unavailable("killed")
            self._left -= 1
            return await method(*arguments, **options)

        return write


@pytest.mark.parametrize("landed", [False, True])
async def test_wherever_it_is_killed_it_goes_on(landed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.archive.copying.PIECE_ROWS", 4)
    monkeypatch.setattr("cluster.archive.copying._BATCH_ROWS", 2)
    async with stores(1) as (one,):
        await filled(one)
        archive = await archived(one, vectors=True)
        expected = await contents(one, model=MODEL)
        killed = 0
        while True:
            async with stores(1) as (two,):
                dying: Any = Dying(two, killed, landed)
                try:
                    report = await imported(dying, archive)
                except Unavailable:
                    report = None
                again = await imported(two, archive)
                assert again.problems == []
                named = await unput(two, range(16))
                assert set[Subject]().union(*(each.subjects or () for each in named.values())) == {*SUBJECTS}
                assert named.keys() == {shard_of(subject, 16) for subject in SUBJECTS}
                assert await bell(two) is not None
                assert await contents(two, model=MODEL) == expected
            if report is not None:
                break
            killed += 1
    assert killed > 40


async def test_the_messages_of_a_half_copied_subject_are_not_extracted_again() -> None:
    """A server that serves the new store sees at no point a message as pending that is not."""
    pending: set[str] = set()
    seen = 0

    class Watching(SqliteStore):
        async def append(self, subject: Subject, generation: int, messages: Sequence[Message]) -> bool:
            nonlocal seen
            kept = await super().append(subject, generation, messages)
            pending.update(m.id for m in (await self.load(subject)).pending)
            seen += 1
            return kept

    async with stores(1) as (one,):
        await fill(one)
        two = Watching(":memory:")
        await two.open(shards=4)
        await imported(two, await archived(one))
        await two.close()
        assert seen
        assert pending == {m.id for m in (await one.load(USER)).pending}


# --- what is there already ----------------------------------------------------------------------


async def test_a_subject_with_other_data_is_refused_and_left_alone() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one)
        mine = conversation(1)
        await two.append(USER, 0, mine)
        before = await contents_of(two, USER)
        report = await imported(two, archive)
        assert (len(report.copied), report.already_there) == (2, 0)
        (problem,) = report.problems
        assert problem.what == "user '张三' of tenant 'acme'"
        assert "1 messages that the archive has not" in problem.why
        assert await contents_of(two, USER) == before
        assert await two.get_row(*stats_of(USER)) is None
        assert await contents_of(two, LI) == await contents_of(one, LI)


async def test_a_subject_that_lived_on_is_refused() -> None:
    async with stores() as (one, two):
        await fill(one)
        archive = await archived(one)
        await imported(two, archive)
        later = memory("later")
        await put(two, USER, put=(later,), entries=added(later))
        before = await contents_of(two, USER)
        report = await imported(two, archive)
        assert "at revision 7 here, and at 6 in the archive" in report.problems[0].why
        assert await contents_of(two, USER) == before


async def test_a_newer_archive_goes_on_from_an_older_one() -> None:
    async with stores() as (one, two):
        await fill(one)
        await imported(two, await archived(one))
        more = conversation(2)
        await one.append(USER, 0, more)
        done = run(*more)
        await put(one, USER, runs=(done,), run_id=done.id)
        report = await imported(two, await archived(one))
        assert (report.copied, report.problems) == ([USER], [])
        assert await contents_of(two, USER) == await contents_of(one, USER)


async def test_what_was_erased_is_not_brought_back() -> None:
    async with stores() as (one, two):
        await fill(one)
        archive = await archived(one)
        await imported(two, archive)
        await erase(two, USER)
        report = await imported(two, archive)
        assert "stays forgotten" in report.problems[0].why
        assert (await contents_of(two, USER))["messages"] == []


async def test_keys_and_rows_are_not_overwritten() -> None:
    async with stores() as (one, two):
        await filled(one)
        archive = await archived(one)
        revoked = msgspec.structs.replace((await one.api_keys("acme"))[0], revoked_at=NOW)
        await two.put_api_key(revoked)
        await two.put_api_key(msgspec.structs.replace((await one.api_keys("acm"))[0], id="same hash"))
        await two.put_row("config", "all", {"n": 2})
        await two.put_row("daily_stats", f"{USER.key.hex()}/2025-10-09", {"mine": 1})
        report = await imported(two, archive)
        assert [problem.what for problem in report.problems] == [
            "API key k0",
            "API key k1",
            "row 'all' of config",
            "daily_stats 2025-10-09 of user '张三' of tenant 'acme'",
        ]
        assert await two.api_keys("acme") == [revoked]
        assert await two.get_row("config", "all") == {"n": 2}


async def test_someone_who_writes_meanwhile_wins() -> None:
    mine = memory("mine")

    class Raced(SqliteStore):
        async def replay(self, subject: Subject, head: Head, replay: Replay) -> Head:
            if subject == USER and head == Head():
                await put(self, USER, put=(mine,), entries=added(mine))
            return await super().replay(subject, head, replay)

    async with stores(1) as (one,):
        await filled(one)
        two = Raced(":memory:")
        await two.open(shards=4)
        report = await imported(two, await archived(one))
        assert "somebody else is writing" in report.problems[0].why
        assert len(report.copied) == 2
        assert [m.text for m in (await two.load(USER)).memories] == ["mine"]
        await two.close()


async def test_vectors_of_another_model_are_left_out() -> None:
    async with stores() as (one, two):
        await filled(one)
        await two.set_embedding_model("another", 8)
        report = await imported(two, await archived(one, vectors=True))
        assert not report.vectors
        assert MODEL in (report.vectors_left_out or "")
        assert len(report.copied) == 3
        assert await two.memory_vectors(USER, MODEL) == []


async def test_vectors_that_a_server_has_made_meanwhile_are_no_other_data() -> None:
    async with stores() as (one, two):
        said = await fill(one)
        await one.set_embedding_model(MODEL, DIMENSION)
        archive = await archived(one, vectors=True)
        await imported(two, archive)
        await two.put_vectors(USER, 0, "message", MODEL, [vector(said[0].id, 9)])
        assert (await imported(two, archive)).already_there == 1


# --- a store that is written to while it is read -----------------------------------------------------


async def test_of_each_subject_the_archive_has_one_revision() -> None:
    changed = 0

    class Changing(SqliteStore):
        async def runs(self, subject: Subject, **options: Any) -> Any:
            nonlocal changed
            changed += 1
            if changed <= 2:
                late = memory("late")
                await put(self, subject, put=(late,), entries=added(late))
            return await super().runs(subject, **options)

    one = Changing(":memory:", clock=clock)
    await one.open(shards=4)
    await fill(one)
    archive = await archived(one)
    assert changed == 3
    async with stores(1) as (two,):
        await imported(two, archive)
        assert await contents_of(two, USER) == await contents_of(one, USER)
    changed = -100
    with pytest.raises(Conflict, match="changed faster"):
        await archived(one)
    await one.close()


# --- damaged files ------------------------------------------------------------------------------


async def sample() -> bytes:
    async with stores(1) as (one,):
        await filled(one)
        return await archived(one, vectors=True)


async def nothing_of(archive: bytes, damage: str) -> DamagedArchive:
    """The damage is found by the check, and by an import before it takes anything of the subject."""
    with pytest.raises(DamagedArchive):
        check_archive(io.BytesIO(archive))
    async with stores(1) as (two,):
        with pytest.raises(DamagedArchive, match=damage) as caught:
            await imported(two, archive)
        if caught.value.subject is not None:
            assert await two.head(caught.value.subject) == Head()
        return caught.value


async def test_an_altered_row_is_found_and_its_subject_named() -> None:
    archive = await sample()
    altered = archive.replace(b"likes tea", b"likes ale", 1)
    found = await nothing_of(altered, "its memory rows are not those that were written")
    assert found.subject in SUBJECTS
    assert repr(found.subject.id) in found.message


async def test_a_row_taken_out_or_put_in_is_found() -> None:
    lines = (await sample()).splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith(b'{"message"'))
    await nothing_of(b"".join(lines[:at] + lines[at + 1 :]), "rows of the kind message")
    await nothing_of(b"".join([*lines[:at], lines[at], *lines[at:]]), "rows of the kind message")
    moved = [*lines[:2], lines[at], *lines[2:at], *lines[at + 1 :]]
    await nothing_of(b"".join(moved), "out of place")


async def test_a_whole_subject_taken_out_is_found() -> None:
    lines = (await sample()).splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith(b'{"subject"'))
    end = next(n for n, line in enumerate(lines) if line.startswith(b'{"digest"'))
    await nothing_of(b"".join(lines[:begin] + lines[end + 1 :]), "the last line does not fit")
    twice = lines[: end + 1] + lines[begin : end + 1] + lines[end + 1 :]
    await nothing_of(b"".join(twice), "twice")


async def test_an_altered_key_is_found() -> None:
    archive = await sample()
    await nothing_of(archive.replace(b'"role":"admin"', b'"role":"writer"', 1), "the last line does not fit")


async def test_every_truncation_is_found() -> None:
    lines = (await sample()).splitlines(keepends=True)
    for count in range(len(lines)):
        with pytest.raises(DamagedArchive, match=r"too early"):
            check_archive(io.BytesIO(b"".join(lines[:count])))
        with pytest.raises(DamagedArchive, match="cut off"):
            check_archive(io.BytesIO(b"".join(lines[:count]) + lines[count][:-3]))
    with pytest.raises(DamagedArchive, match="follows the last line"):
        check_archive(io.BytesIO(b"".join([*lines, b"\n"])))


async def test_a_damaged_compressed_file_is_found() -> None:
    archive = await sample()
    squeezed = gzip.compress(archive)
    check_archive(io.BytesIO(squeezed))
    await nothing_of(squeezed[:-9], "cut off or altered")
    half = len(squeezed) // 2
    with pytest.raises(DamagedArchive):
        check_archive(io.BytesIO(squeezed[:half] + bytes([squeezed[half] ^ 1]) + squeezed[half + 1 :]))


async def test_what_this_version_would_not_keep_is_refused() -> None:
    archive = await sample()
    newer = archive.replace(b'{"message":{', b'{"message":{"feeling":"happy",', 1)
    await nothing_of(newer, "would not keep")
    await nothing_of(archive.replace(b'{"claim":', b'{"promise":', 1), "nothing that an archive")
    with pytest.raises(InvalidInput, match="version 2") as caught:
        check_archive(io.BytesIO(archive.replace(b'"version":1', b'"version":2', 1)))
    assert not isinstance(caught.value, DamagedArchive)


async def test_archives_are_recognised() -> None:
    archive = await sample()
    for data, expected in (
        (archive, True),
        (gzip.compress(archive), True),
        (b'{"messages": []}\n', False),
        (gzip.compress(b'{"messages": []}\n'), False),
        (b"\x1f\x8bnot really", False),
        (b"", False),
    ):
        stream = io.BytesIO(data)
        assert is_archive(stream) is expected
        assert stream.read() == data


def test_the_hash_of_a_kind_does_not_depend_on_the_order() -> None:
    rows = [b"a", b"b", b"b", b"c"]

    def hashed(rows: list[bytes]) -> dict[str, str]:
        tally = Tally()
        for row in rows:
            tally.add("message", row_hash(row))
        return tally.hashes

    assert hashed(rows) == hashed(rows[::-1])
    assert hashed(rows) != hashed(rows[:-1])
    assert hashed([b"a", b"a"]) != hashed([b"b", b"b"])


async def test_a_key_is_in_the_file_only_as_its_hash() -> None:
    rows = [line["api_key"] for line in lines_of(await sample()) if "api_key" in line]
    names = {"id", "tenant", "role", "key_hash", "label", "created_at", "revoked_at"}
    assert [set(row) for row in rows] == [names, names]
    assert [row["key_hash"] for row in rows] == ["AA==", "AQ=="]
