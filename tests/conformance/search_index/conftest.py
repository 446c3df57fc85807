"""Every adapter of `SearchIndex`, each with a way to wait until what was written can be found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.port import SearchIndex

Settle = Callable[[SearchIndex], Awaitable[None]]


@pytest.fixture(params=["fts5-memory", "fts5-file", "fts5-files"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchIndex]:
    adapter: SearchIndex
    match request.param:
        case "fts5-memory":
            adapter = Fts5Index(":memory:")
        case "fts5-file":
            adapter = Fts5Index(tmp_path)
        case _:
            adapter = Fts5Index(tmp_path, files=3)
    await adapter.open()
    yield adapter
    await adapter.close()


@pytest.fixture
def settle() -> Settle:
    """Make everything written so far visible to searches (an index that refreshes is told to)."""

    async def visible_at_once(_: SearchIndex) -> None:
        """FTS5 shows what `put` has returned from."""

    return visible_at_once
