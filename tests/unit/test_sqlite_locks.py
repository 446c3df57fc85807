"""Where SQLite does not wait by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster import sqlite_locks
from cluster.search_index.fts5 import Fts5Index
from cluster.sqlite_locks import enter_wal
from cluster.wide_store.sqlite import SqliteStore


def writing(path: Path) -> sqlite3.Connection:
    """A connection in the middle of writing to a file that is not in WAL mode yet."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


async def open_index(path: Path) -> None:
    index = Fts5Index(path.parent)
    await index.open()
    await index.close()


async def open_store(path: Path) -> None:
    store = SqliteStore(path.parent)
    await store.open(shards=4)
    await store.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """What happens in the pauses between attempts, one each, the last first."""
    what: list[Callable[[], object]] = []

    def pause(_seconds: float) -> None:
        what.pop()()

    monkeypatch.setattr(sqlite_locks.time, "sleep", pause)
    yield what
    assert not what


@pytest.mark.parametrize(
    ("name", "opened"),
    [("index-0.sqlite", open_index), ("meta.sqlite", open_store), ("store-0.sqlite", open_store)],
)
async def test_a_new_file_is_opened_when_he_who_writes_to_it_is_through(
    tmp_path: Path, pauses: list[Callable[[], object]], name: str, opened: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / name
    with closing(writing(path)) as other:
        pauses += [lambda: other.execute("ROLLBACK"), lambda: None]
        await opened(path)


def test_it_waits_no_longer_than_told(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    with (
        closing(writing(path)),
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        enter_wal(connection, 0)


def test_what_is_no_lock_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.DatabaseError, match="not a"):
        enter_wal(connection, 60)
