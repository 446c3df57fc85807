"""What is particular to the SQLite adapter: files, settings, the writer's queue, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path

import pytest

from cluster.model import Claim, Head
from cluster.wide_store import data_dir, sqlite_writes
from cluster.wide_store.data_dir import network_file_system
from cluster.wide_store.port import StaleRevision
from cluster.wide_store.sqlite import SqliteStore
from cluster.wide_store.sqlite_writer import Writer
from memgrid.errors import InvalidInput, Overloaded, Unavailable
from memgrid.subject import Subject
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
    ids,
    memory,
    message,
    put,
    removed,
    run,
    vector,
)

SHARDS = 16


async def opened(path: Path, **options: int | float) -> SqliteStore:
    store = SqliteStore(path, **options)  # pyright: ignore[reportArgumentType]
    await store.open(shards=SHARDS)
    return store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with AsyncExitStack() as stack:
        store = await opened(tmp_path / "data", busy_timeout=0.3)
        stack.push_async_callback(store.close)
        yield store


@pytest.fixture
def our_threads() -> Callable[[], set[str]]:
    """The store's threads that have been started since, and are still there."""
    before = set(threading.enumerate())

    def ours() -> set[str]:
        now = set(threading.enumerate()) - before
        return {thread.name for thread in now if thread.name.startswith("memgrid-sqlite")}

    return ours


def rows_left(folder: Path) -> dict[str, int]:
    """The tables of the file that have rows, and how many."""
    with sqlite3.connect(folder / "store-0.sqlite") as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    connection.close()
    return {name: count for name, count in counts.items() if count and not name.startswith("sqlite_")}


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# --- durability -----------------------------------------------------------------------------------


async def test_each_writer_is_durable(store: SqliteStore) -> None:
    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "secure_delete")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert len(store._databases) == 2
    for database in store._databases:
        assert await database.writer.submit(settings) == [2, "wal", 1]


async def test_what_is_forgotten_is_not_in_the_files(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    secret, other = "秘密 secret " * 20, Subject("t", "user", "other")
    said, known = [message(secret) for _ in range(50)], [memory(secret) for _ in range(50)]
    for subject in (USER, other):
        await store.append(subject, 0, said)
        for record, run_of in (("committed", said), ("orphan", [])):
            done = run(*run_of, id=record)
            await store.put_run_record(subject, 0, done.id, secret.encode())
            if run_of:
                await put(store, subject, runs=(done,), run_id=done.id)
        await put(store, subject, put=tuple(known), entries=added(*known))
    await put(
        store, USER, delete=tuple(ids(known)), entries=removed(*known), delete_messages=tuple(ids(said))
    )
    await erase(store, other)
    await store.close()
    assert not [name for name, content in files_in(tmp_path).items() if "秘密".encode() in content]


# --- files ----------------------------------------------------------------------------------------


async def test_the_number_of_files_is_decided_at_creation(tmp_path: Path) -> None:
    store = await opened(tmp_path, files=3)
    subjects = [Subject("t", "user", str(n)) for n in range(30)]
    for subject in subjects:
        await store.append(subject, 0, [message()])
    await store.close()
    names = {"meta.sqlite", "store-0.sqlite", "store-1.sqlite", "store-2.sqlite"}
    assert files_in(tmp_path).keys() == names
    again = await opened(tmp_path, files=7)
    for subject in subjects:
        assert await again.count_messages(subject, ANY) == 1
    await again.close()
    assert files_in(tmp_path).keys() == names


async def test_another_number_of_shards_is_refused(
    tmp_path: Path, our_threads: Callable[[], set[str]]
) -> None:
    store = SqliteStore(tmp_path)
    info = await store.open(shards=8)
    await store.close()
    other = SqliteStore(tmp_path)
    with pytest.raises(InvalidInput, match="8 shards, not 9") as caught:
        await other.open(shards=9)
    assert (caught.value.field, "8" in (caught.value.remedy or "")) == ("shards", True)
    again = SqliteStore(tmp_path)
    assert await again.open(shards=8) == info
    await again.close()
    assert our_threads() == set()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with sqlite3.connect(tmp_path / "store-0.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(InvalidInput, match="newer memgrid"):
        await opened(tmp_path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/data", None),
        ("/mnt/nas/memgrid", "nfs4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nasty", None),
        ("/mnt/nas/local/x", None),
        ("/mnt/with blank/x", "cifs"),
        ("/home/me/remote/x", "fuse.sshfs"),
        ("/over/x", None),
    ],
)
def test_a_network_file_system_is_found_by_its_mount(path: str, kind: str | None) -> None:
    mounts = r"""/dev/root / ext4 rw 0 0
nas:/export /mnt/nas nfs4 rw 0 0
/dev/sdb /mnt/nas/local xfs rw 0 0
//win/share /mnt/with\040blank cifs rw 0 0
me@host: /home/me/remote fuse.sshfs rw 0 0
nas:/old /over nfs rw 0 0
tmpfs /over tmpfs rw 0 0

"""
    assert network_file_system(Path(path), mounts) == kind


async def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/root / ext4 rw 0 0\nnas:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(data_dir, "MOUNTS", mounts)
    with pytest.raises(InvalidInput, match="nfs") as caught:
        await opened(tmp_path / "data")
    assert caught.value.field == "data_dir"
    assert caught.value.remedy
    assert not (tmp_path / "data").exists()


async def test_a_folder_that_cannot_be_made_is_an_error(
    tmp_path: Path, our_threads: Callable[[], set[str]]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="file"):
        await opened(tmp_path / "file" / "data")
    assert our_threads() == set()


async def test_a_file_that_is_no_database_is_an_error(
    tmp_path: Path, our_threads: Callable[[], set[str]]
) -> None:
    (tmp_path / "meta.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        await opened(tmp_path)
    assert our_threads() == set()


# --- erasing in pieces ----------------------------------------------------------------------------


async def fill(store: SqliteStore) -> None:
    said = conversation(3 * sqlite_writes.PURGE_ROWS, marks=("m",))
    await store.append(USER, 0, said)
    known = [memory() for _ in range(100)]
    await store.put_vectors(USER, 0, "message", MODEL, [vector(m.id) for m in said[:100]])
    await put(store, USER, put=tuple(known), entries=added(*known), runs=(run(*said[:1000]),))
    await store.claim(USER, 0, [Claim(kind="message", key="k", payload_hash=b"", message_ids=())], NOW)


async def test_a_big_subject_is_purged_behind_its_erase(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await fill(store)
    await erase(store, USER)
    assert await all_messages(store, USER) == []
    await store.close()
    assert rows_left(tmp_path) == {"heads": 1, "changes": 1}


async def test_a_purge_that_was_interrupted_goes_on_at_the_next_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(SqliteStore, "_start_purge", lambda self, file: None)
        store = await opened(tmp_path)
        await fill(store)
        await erase(store, USER)
        await store.close()
    assert rows_left(tmp_path)["messages"] > 0
    store = await opened(tmp_path)
    assert await all_messages(store, USER) == []
    await store.close()
    assert rows_left(tmp_path) == {"heads": 1, "changes": 1}


async def test_nothing_but_markers_is_left_of_what_is_deleted(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    said, known = conversation(3, marks=("m",)), memory()
    await store.append(USER, 0, said)
    await put(store, USER, put=(known,))
    await store.put_vectors(USER, 0, "message", MODEL, [vector(m.id) for m in said])
    await store.put_vectors(USER, 0, "memory", MODEL, [vector(known.id)])
    await put(store, USER, delete=(known.id,), delete_messages=tuple(ids(said)))
    await store.close()
    assert rows_left(tmp_path) == {"heads": 1, "changes": 2, "messages": 3, "memories": 1}


async def test_expired_claims_do_not_pile_up(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    for n in range(200):
        claim = Claim(kind="request", key=str(n), payload_hash=b"", message_ids=(), expires_at=NOW + n + 10)
        await store.claim(Subject("t", "user", str(n)), 0, [claim], NOW + n)
    await store.close()
    assert rows_left(tmp_path)["claims"] < 30


# --- locks and limits -----------------------------------------------------------------------------


def hold(folder: Path) -> sqlite3.Connection:
    """Another process in the middle of a write."""
    connection = sqlite3.connect(folder / "store-0.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def test_a_write_waits_for_another_process(store: SqliteStore, tmp_path: Path) -> None:
    other = hold(tmp_path / "data")
    waiting = asyncio.create_task(store.append(USER, 0, [message()]))
    assert await store.head(USER) == Head()  # readers do not wait
    assert await all_messages(store, USER) == []
    assert not waiting.done()
    other.execute("COMMIT")
    assert await waiting
    other.close()


async def test_a_write_that_waits_too_long_is_unavailable(store: SqliteStore, tmp_path: Path) -> None:
    other = hold(tmp_path / "data")
    with pytest.raises(Unavailable, match="locked"):
        await store.append(USER, 0, [message()])
    other.execute("COMMIT")
    other.close()
    assert await store.append(USER, 0, conversation(2))
    assert len(await all_messages(store, USER)) == 2


async def test_a_point_read_that_would_wait_moves_to_a_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.append(USER, 0, [message()])
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY

    def would_wait(_: object) -> object:
        raise busy

    monkeypatch.setattr(store._files[0], "read_now", would_wait)
    assert len((await store.tail(USER, "0")).messages) == 1
    busy.sqlite_errorcode = sqlite3.SQLITE_IOERR
    with pytest.raises(Unavailable):
        await store.head(USER)


async def test_a_full_disk_refuses_writes_and_keeps_the_rest(store: SqliteStore) -> None:
    kept = conversation(5)
    await store.append(USER, 0, kept)

    def limit_pages(connection: sqlite3.Connection, more: int) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + more}")

    writer = store._files[0].writer
    await writer.submit(lambda connection: limit_pages(connection, 1))
    results = await asyncio.gather(
        *(store.append(USER, 0, [message("长" * 100_000)]) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable] * 3
    assert await all_messages(store, USER) == kept
    await writer.submit(lambda connection: limit_pages(connection, 1_000_000))
    assert await store.append(USER, 0, [message("长" * 100_000)])


class Gate:
    """Holds the writer in a job of its own, so that what follows is queued together."""

    def __init__(self, writer: Writer) -> None:
        self._entered = asyncio.Event()
        self._leave = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._job = asyncio.create_task(writer.submit(self._hold))

    def _hold(self, _: sqlite3.Connection) -> None:
        self._loop.call_soon_threadsafe(self._entered.set)
        self._leave.wait()

    async def __aenter__(self) -> None:
        await self._entered.wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave.set()
        await self._job


async def test_writes_that_wait_share_one_transaction(store: SqliteStore) -> None:
    begun: list[str] = []
    writer = store._files[0].writer
    await writer.submit(lambda connection: connection.set_trace_callback(begun.append))
    async with Gate(writer):
        appends = [asyncio.create_task(store.append(USER, 0, [message()])) for _ in range(50)]
        await asyncio.sleep(0)
        begun.clear()
    assert all(await asyncio.gather(*appends))
    assert begun.count("BEGIN IMMEDIATE") == 1


async def test_a_refused_write_does_not_hurt_those_beside_it(store: SqliteStore) -> None:
    said, known = message(), memory()
    async with Gate(store._files[0].writer):
        work = asyncio.gather(
            store.append(USER, 0, [said]),
            store.commit(USER, Head(revision=7), changes(put=(memory(),))),
            store.append(USER, 0, [message(), message(event_time=1 << 63)]),
            store.append(USER, 3, [message()]),
            store.commit(USER, Head(), changes(put=(known,))),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
    outcomes = await work
    assert outcomes[0] is True
    assert isinstance(outcomes[1], StaleRevision)
    assert isinstance(outcomes[2], OverflowError)
    assert outcomes[3] is False
    assert outcomes[4] == Head(revision=1)
    assert await all_messages(store, USER) == [said]
    assert ids((await store.load(USER)).memories) == [known.id]


async def test_a_caller_that_gives_up_does_not_stop_the_writer(store: SqliteStore) -> None:
    async with Gate(store._files[0].writer):
        given_up = asyncio.create_task(store.append(USER, 0, [message()]))
        await asyncio.sleep(0)
        given_up.cancel()
    assert await store.append(USER, 0, [message()])


async def test_the_queue_is_bounded_in_jobs_and_in_bytes() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    writer = Writer("memgrid-sqlite-test", connection, nullcontext(), max_queued_jobs=3, max_queued_bytes=100)
    for size, accepted in ((1, 3), (50, 2), (1000, 1)):
        async with Gate(writer):
            waiting = [asyncio.create_task(writer.submit(lambda _: "done", size)) for _ in range(accepted)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as caught:
                await writer.submit(lambda _: None, size)
            assert caught.value.retry_after is not None
        assert await asyncio.gather(*waiting) == ["done"] * accepted
    await writer.close()
    connection.close()


# --- closing --------------------------------------------------------------------------------------


async def test_closing_finishes_what_was_accepted_and_then_refuses(
    tmp_path: Path, our_threads: Callable[[], set[str]]
) -> None:
    store = await opened(tmp_path)
    said = conversation(100)
    async with Gate(store._files[0].writer):
        appends = [asyncio.create_task(store.append(USER, 0, [m])) for m in said]
        reads = [asyncio.create_task(store.load(USER)) for _ in range(20)]
        await asyncio.sleep(0)
        closing = [asyncio.create_task(store.close()) for _ in range(2)]
        await asyncio.sleep(0)
        for refused in (store.append(USER, 0, said), store.head(USER), store.load(USER), store.ping()):
            with pytest.raises(Unavailable):
                await refused
    assert all(await asyncio.gather(*appends))
    assert {loaded.head.revision for loaded in await asyncio.gather(*reads)} == {0}
    await asyncio.gather(*closing)
    await store.close()
    assert our_threads() == set()
    with pytest.raises(Unavailable):
        await store.resolve_memory("t", "x")
    again = await opened(tmp_path)
    assert await all_messages(again, USER) == said
    await again.close()


async def test_calls_in_flight_at_a_close_complete_or_are_unavailable(
    tmp_path: Path, our_threads: Callable[[], set[str]]
) -> None:
    for round_ in range(10):
        store = await opened(tmp_path / str(round_))
        acked: list[str] = []
        enough = asyncio.Event()

        async def work(
            store: SqliteStore = store,
            acked: list[str] = acked,
            enough: asyncio.Event = enough,
            wanted: int = round_ + 1,
        ) -> None:
            while True:
                m = message()
                await store.append(USER, 0, [m])
                acked.append(m.id)
                if len(acked) >= wanted:
                    enough.set()
                await store.load(USER)
                await store.tail(USER, "0")
                await put(store, Subject("t", "user", m.id), put=(memory(),))

        workers = [asyncio.create_task(work()) for _ in range(8)]
        await enough.wait()
        await store.close()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        again = await opened(tmp_path / str(round_))
        assert set(acked) == set(ids(await all_messages(again, USER)))
        await again.close()
    assert our_threads() == set()


async def test_a_store_is_of_no_use_before_it_is_open_and_opened_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(Unavailable, match="not open"):
        await store.head(USER)
    await store.close()
    await store.open(shards=SHARDS)
    with pytest.raises(Unavailable):
        await store.open(shards=SHARDS)
    await store.close()
    with pytest.raises(Unavailable):
        await store.open(shards=SHARDS)
