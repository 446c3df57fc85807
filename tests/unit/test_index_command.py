"""`memgrid reindex` on the embedded store."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import IndexQuery
from cluster.wide_store.sqlite import SqliteStore
from memgrid.cli import build
from memgrid.subject import Subject
from tests.owners import FakeEmbedder, running_owner

LI = Subject("t", "user", "li")
run = CliRunner()


@pytest.fixture(autouse=True)
def _leave_no_handlers() -> Iterator[None]:
    """The command sends logs to a stderr that ends with it."""
    yield
    logger = logging.getLogger("memgrid")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    structlog.reset_defaults()


async def fill(folder: Path) -> set[str]:
    """Messages in a store, and an index that has lost all of them but the marks."""
    store = SqliteStore(folder)
    await store.open(shards=4)
    embedder = FakeEmbedder()
    await store.set_embedding_model(embedder.model, embedder.dimension)
    index = Fts5Index(folder)
    await index.open()
    async with running_owner(store=store, index=index, embedder=embedder, buffer_idle_seconds=3600) as ask:
        added = await ask.add(LI, "我喜欢喝绿茶", "I live in Hangzhou")
        await ask.owner.vectors.settled()
        await ask.owner.indexing.settled()
    connection = sqlite3.connect(folder / "index-0.sqlite", isolation_level=None)
    for table in ("words", "vectors", "documents"):
        connection.execute(f"DELETE FROM {table}")
    connection.close()
    return set(added.message_ids)


async def found(folder: Path) -> set[str]:
    index = Fts5Index(folder)
    await index.open()
    proposed = await index.search(IndexQuery(tenant="t", subject=LI, text="绿茶 Hangzhou"))
    filling = await index.filling(range(4))
    assert filling.filled == set(range(4))
    assert not filling.rebuilding
    await index.close()
    return {hit.id for hit in proposed.hits}


async def test_it_fills_the_index_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMGRID_SHARDS", "4")
    expected = await fill(tmp_path)
    shown = await asyncio.to_thread(run.invoke, build(), ["reindex", "--data-dir", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) | {"seconds": 0} == {"shards": 4, "documents": 2, "seconds": 0}
    assert await found(tmp_path) == expected


def test_a_store_that_served_nobody_has_nothing_to_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run.invoke(build(), ["migrate", "--data-dir", str(tmp_path)]).exit_code == 0
    shown = run.invoke(build(), ["reindex", "--data-dir", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "has served nobody yet" in shown.stderr
    assert (
        json.loads(run.invoke(build(), ["reindex", "--json", "--data-dir", str(tmp_path)]).stdout)[
            "documents"
        ]
        == 0
    )


def test_no_store_is_made_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run.invoke(build(), ["reindex", "--data-dir", "none"])
    assert shown.exit_code == 1
    assert "there is no store" in shown.stderr
    assert not (tmp_path / "none").exists()
