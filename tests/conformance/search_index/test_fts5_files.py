"""What is particular to the FTS5 adapter: its files, their damage, several processes, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cluster.search_index import fts5_documents, fts5_file
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import IndexDocument, IndexQuery
from memgrid.errors import Unavailable
from memgrid.subject import Subject

ALICE = Subject("acme", "user", "alice")
TEA = IndexQuery(tenant="acme", subject=ALICE, text="绿茶")


def document(id_: str, text: str = "绿茶", version: int = 1) -> IndexDocument:
    return IndexDocument(id=id_, kind="memory", text=text, version=version, generation=0)


async def ids(index: Fts5Index, query: IndexQuery = TEA) -> set[str]:
    return {hit.id for hit in (await index.search(query)).hits}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Fts5Index]:
    opened = Fts5Index(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


async def is_filled(index: Fts5Index) -> bool:
    """Whether the mark is there that shard 0 has been filled: it goes with the file it was made in."""
    return 0 in (await index.filling([0])).filled


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_was_put_is_there_after_opening_again(tmp_path: Path) -> None:
    first = Fts5Index(tmp_path, files=2)
    await first.open()
    assert not await is_filled(first)
    await first.put(ALICE, [document("a")])
    await first.set_filled([0])
    await first.close()
    assert names(tmp_path) == ["index-0.sqlite", "index-1.sqlite"]

    second = Fts5Index(tmp_path, files=2)
    await second.open()
    assert await is_filled(second)
    assert await ids(second) == {"a"}
    await second.close()


async def test_settings_of_a_derived_file(index: Fts5Index, tmp_path: Path) -> None:
    [file] = index._files
    assert await file.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"
    assert await file.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0]) == 1  # NORMAL


@pytest.mark.parametrize(
    "content",
    [b"this is not a database" * 400, b"SQLite format 3\0" + b"\xff" * 8000],
    ids=["foreign", "torn header"],
)
async def test_a_damaged_file_is_made_anew_at_open(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index-0.sqlite").write_bytes(content)
    (tmp_path / "index-0.sqlite-wal").write_bytes(b"rubbish")
    index = Fts5Index(tmp_path)
    await index.open()
    assert not await is_filled(index)
    await index.put(ALICE, [document("a")])
    await index.set_filled([0])
    assert await ids(index) == {"a"}
    await index.close()
    assert names(tmp_path) == ["index-0-r1.sqlite"]

    again = Fts5Index(tmp_path)
    await again.open()
    assert await is_filled(again)
    assert await ids(again) == {"a"}
    await again.close()


def tear_page(path: Path, tree: str) -> None:
    """Overwrite the root page of a table or index."""
    connection = sqlite3.connect(path)
    [(page, size)] = connection.execute(
        "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = ?", (tree,)
    ).fetchall()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


@pytest.mark.parametrize("meet", ["search", "put", "count"])
async def test_damage_inside_a_file_is_found_when_it_is_met(tmp_path: Path, meet: str) -> None:
    index = Fts5Index(tmp_path)
    await index.open()
    await index.put(ALICE, [document(f"d{n}") for n in range(500)])
    await index.set_filled([0])
    await index.close()
    tear_page(
        tmp_path / "index-0.sqlite", "documents" if meet == "search" else "sqlite_autoindex_documents_1"
    )

    reopened = Fts5Index(tmp_path)
    await reopened.open()
    assert await is_filled(reopened)
    if meet == "search":
        assert await ids(reopened) == set()
    elif meet == "put":
        await reopened.put(ALICE, [document("new")])
        assert await ids(reopened) == {"new"}
    else:
        assert await reopened.count(ALICE) == 0
    assert not await is_filled(reopened), "what was lost is not put again"
    await reopened.close()
    assert names(tmp_path) == ["index-0-r1.sqlite"]


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 999",
        "PRAGMA user_version = 0",
        "DELETE FROM meta",
        "UPDATE meta SET files = 7",
        "DROP TABLE meta",
    ],
)
async def test_an_outdated_file_is_made_anew(tmp_path: Path, change: str) -> None:
    index = Fts5Index(tmp_path)
    await index.open()
    await index.put(ALICE, [document("a")])
    await index.set_filled([0])
    await index.close()
    connection = sqlite3.connect(tmp_path / "index-0.sqlite", isolation_level=None)
    connection.execute(change)
    connection.close()

    again = Fts5Index(tmp_path)
    await again.open()
    assert not await is_filled(again)
    assert await ids(again) == set()
    await again.close()


async def test_another_number_of_files_starts_anew_and_leaves_none_behind(tmp_path: Path) -> None:
    wide = Fts5Index(tmp_path, files=4)
    await wide.open()
    await wide.put(ALICE, [document("a")])
    await wide.set_filled([0])
    await wide.close()
    narrow = Fts5Index(tmp_path, files=2)
    await narrow.open()
    assert not await is_filled(narrow)
    assert await ids(narrow) == set()
    await narrow.close()
    assert all(name.startswith(("index-0-r1", "index-1-r1")) for name in names(tmp_path))


async def test_others_follow_a_file_that_was_replaced(tmp_path: Path) -> None:
    one, other = Fts5Index(tmp_path), Fts5Index(tmp_path)
    await one.open()
    await other.open()
    await one.put(ALICE, [document("a")])
    assert await ids(other) == {"a"}
    [file] = one._files
    torn = sqlite3.DatabaseError("torn")
    torn.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    opened = file._opened

    def meet_damage(connection: sqlite3.Connection) -> None:
        if file._opened == opened:
            raise torn

    await file.write(meet_damage)
    await one.put(ALICE, [document("b")])
    assert await ids(other) == {"b"}
    await other.put(ALICE, [document("c")])
    assert await ids(one) == {"b", "c"}
    assert one._files[0]._opened == other._files[0]._opened
    await other.close()
    assert await ids(one) == {"b", "c"}
    await one.close()


async def test_lasting_damage_is_an_error_and_not_a_loop(index: Fts5Index) -> None:
    [file] = index._files

    def always_torn(_: sqlite3.Connection) -> None:
        torn = sqlite3.DatabaseError("torn")
        torn.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise torn

    with pytest.raises(Unavailable):
        await file.write(always_torn)
    with pytest.raises(Unavailable):
        await file.read(always_torn)
    await index.put(ALICE, [document("a")])
    assert await ids(index) == {"a"}


async def test_a_defect_in_one_job_leaves_its_neighbours_alone(index: Fts5Index) -> None:
    [file] = index._files

    def defect(connection: sqlite3.Connection) -> None:
        fts5_documents.put(connection, ALICE, [fts5_documents.prepare(ALICE, document("half"))])
        raise RuntimeError("a defect")

    outcomes = await asyncio.gather(
        index.put(ALICE, [document("a")]),
        file.write(defect),
        index.put(ALICE, [document("b")]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, type(None)]
    assert await ids(index) == {"a", "b"}


async def test_a_locked_file_is_unavailable_and_recovers(
    index: Fts5Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file] = index._files
    await file.write(lambda connection: connection.execute("PRAGMA busy_timeout = 1"))
    holder = sqlite3.connect(tmp_path / "index-0.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await index.put(ALICE, [document("a")])
    assert await ids(index) == set()
    holder.execute("ROLLBACK")
    holder.close()
    await index.put(ALICE, [document("a")])
    assert await ids(index) == {"a"}
    assert names(tmp_path)[0] == "index-0.sqlite"


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = Fts5Index(tmp_path / "file")
    with pytest.raises(Unavailable):
        await index.open()
    await index.close()


async def test_closed_is_unavailable_and_can_be_opened_again(tmp_path: Path) -> None:
    index = Fts5Index(tmp_path)
    for attempt in (index.put(ALICE, [document("a")]), index.search(TEA), index.count(ALICE), index.ping()):
        with pytest.raises(Unavailable):
            await attempt
    await index.open()
    await index.open()
    await index.put(ALICE, [document("a")])
    await index.close()
    await index.close()
    for attempt in (index.put(ALICE, [document("a")]), index.search(TEA), index.count(ALICE), index.ping()):
        with pytest.raises(Unavailable):
            await attempt
    await index.open()
    assert await ids(index) == {"a"}
    await index.close()


@pytest.mark.parametrize("memory", [True, False])
async def test_closing_while_in_use(tmp_path: Path, memory: bool) -> None:
    """Every call either took effect or was told that it did not; none hangs, none is lost."""
    index = Fts5Index(":memory:" if memory else tmp_path, files=2)
    await index.open()
    acked: set[str] = set()
    began = asyncio.Event()

    async def write(n: int) -> None:
        for k in range(50):
            await index.put(ALICE, [document(f"{n}-{k}")])
            acked.add(f"{n}-{k}")
            if len(acked) > 20:
                began.set()

    async def read() -> None:
        while True:
            await index.search(TEA)

    tasks = [asyncio.create_task(write(n)) for n in range(6)] + [
        asyncio.create_task(read()) for _ in range(3)
    ]
    await began.wait()
    await asyncio.gather(index.close(), index.close())
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    if not memory:
        again = Fts5Index(tmp_path, files=2)
        await again.open()
        wide = IndexQuery(tenant="acme", subject=ALICE, text="绿茶", limit=1000)
        assert acked <= await ids(again, wide)
        await again.close()


async def test_a_cancelled_put_harms_nobody(index: Fts5Index) -> None:
    cancelled = asyncio.create_task(index.put(ALICE, [document("gone?")]))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await index.put(ALICE, [document("a")])
    assert "a" in await ids(index)


async def test_a_full_queue_refuses(index: Fts5Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts5_file, "MAX_WAITING", 0)
    with pytest.raises(Unavailable, match="behind"):
        await index.put(ALICE, [document("a")])


_WRITER = """
import asyncio, sys
from pathlib import Path
from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import IndexDocument
from memgrid.subject import Subject

async def main(folder, name):
    index = Fts5Index(Path(folder), files=2)
    await index.open()
    for n in range(40):
        for subject in (Subject("acme", "user", "alice"), Subject("acme", "user", name)):
            await index.put(subject, [IndexDocument(
                id=f"{name}-{n}", kind="memory", text="绿茶", version=1, generation=0)])
    await index.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("damaged", [False, True])
async def test_several_processes_share_the_files(tmp_path: Path, damaged: bool) -> None:
    """They create the files together, write the same subject, and lose nothing."""
    if damaged:
        (tmp_path / "index-0.sqlite").write_bytes(b"rubbish" * 1000)
        (tmp_path / "index-1.sqlite").write_bytes(b"rubbish" * 1000)
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WRITER,
            str(tmp_path),
            name,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for name in ("p1", "p2", "p3")
    ]
    errors = await asyncio.gather(*(writer.communicate() for writer in writers))
    assert [writer.returncode for writer in writers] == [0, 0, 0], errors
    index = Fts5Index(tmp_path, files=2)
    await index.open()
    assert await index.count(ALICE) == 120
    assert await index.count(Subject("acme", "user", "p2")) == 40
    await index.close()
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("damaged", [False, True])
async def test_opening_all_at_once(tmp_path: Path, damaged: bool) -> None:
    for round_ in range(5):
        folder = tmp_path / str(round_)
        folder.mkdir()
        if damaged:
            (folder / "index-0.sqlite").write_bytes(b"rubbish" * 1000)
        indexes = [Fts5Index(folder) for _ in range(6)]
        await asyncio.gather(*(index.open() for index in indexes))
        assert len({index._files[0]._opened for index in indexes}) == 1
        await asyncio.gather(*(index.put(ALICE, [document(f"d{n}")]) for n, index in enumerate(indexes)))
        assert [len(await ids(index)) for index in indexes] == [6] * 6
        await asyncio.gather(*(index.close() for index in indexes))


async def test_vectors_are_bounded_to_the_newest(index: Fts5Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts5_documents, "MAX_VECTORS", 3)
    vector = np.array([1, 0], dtype=np.float32)
    cut: list[bool] = []
    query = IndexQuery(tenant="acme", subject=ALICE, vector=vector)
    for n in range(5):
        await index.put(
            ALICE,
            [IndexDocument(id=f"d{n}", kind="message", text="", version=1, generation=0, vector=vector)],
        )
        cut.append((await index.search(query)).cut)
    assert await ids(index, query) == {"d2", "d3", "d4"}
    assert cut == [False, False, False, True, True], "it is said"


async def test_vectors_of_another_dimension_are_not_compared(index: Fts5Index) -> None:
    for dimension in (2, 3):
        vector = np.ones(dimension, dtype=np.float32)
        await index.put(
            ALICE,
            [
                IndexDocument(
                    id=f"d{dimension}", kind="memory", text="", version=1, generation=0, vector=vector
                )
            ],
        )
    query = IndexQuery(tenant="acme", subject=ALICE, vector=np.ones(3, dtype=np.float32))
    assert await ids(index, query) == {"d3"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_a_vector_that_is_not_finite_is_refused(index: Fts5Index, value: float) -> None:
    vector = np.array([1, value], dtype=np.float32)
    with pytest.raises(ValueError, match="finite"):
        await index.put(
            ALICE, [IndexDocument(id="a", kind="memory", text="", version=1, generation=0, vector=vector)]
        )


async def test_every_printable_character_may_be_in_a_term(index: Fts5Index) -> None:
    """The tokenizer cuts at spaces and nowhere else, whatever the analysis may give it."""
    ascii_signs = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isupper()]
    printable = [*ascii_signs, "é", "羽毛", "😀", "\U0001fae8", "\u00a0x"]
    terms = [f"q{character}q" for character in printable]
    [file] = index._files

    def store(connection: sqlite3.Connection) -> list[str]:
        connection.executemany(
            "INSERT INTO words (terms, scope) VALUES (?, 's')", [(term,) for term in terms]
        )
        quoted = [fts5_documents._quoted([term])[0] for term in terms]
        found = [
            connection.execute("SELECT terms FROM words WHERE words MATCH ?", (f"terms : {q}",)).fetchall()
            for q in quoted
        ]
        return [row[0] for rows in found for row in rows]

    assert await file.write(store) == terms
