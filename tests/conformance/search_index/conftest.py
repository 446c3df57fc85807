"""Every adapter of `SearchIndex`, each with a way to wait until what was written can be found."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cluster.search_index.fts5 import Fts5Index
from cluster.search_index.opensearch import OpenSearchIndex
from cluster.search_index.opensearch_client import connect
from cluster.search_index.port import SearchIndex
from tests.servers.opensearch import OpenSearchNode

DIMENSION = 4
"""Of the vectors in these tests."""

Settle = Callable[[SearchIndex], Awaitable[None]]


@pytest.fixture(params=["fts5-memory", "fts5-file", "fts5-files", "opensearch"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchIndex]:
    adapter: SearchIndex
    match request.param:
        case "fts5-memory":
            adapter = Fts5Index(":memory:")
        case "fts5-file":
            adapter = Fts5Index(tmp_path)
        case "fts5-files":
            adapter = Fts5Index(tmp_path, files=3)
        case _:
            adapter = request.getfixturevalue("opensearch_index")
    await adapter.open()
    yield adapter
    await adapter.close()


@pytest.fixture
def opensearch_index(opensearch: OpenSearchNode) -> Iterator[OpenSearchIndex]:
    """An index of its own on the server that all tests use."""
    prefix = f"test-{uuid.uuid4().hex}"
    yield OpenSearchIndex(
        connect([opensearch.url], timeout=60),
        dimension=DIMENSION,
        prefix=prefix,
        shards=2,
        patience=60,
        search_timeout=60,
    )
    with httpx.Client(base_url=opensearch.url, trust_env=False) as client:
        client.delete(f"/{prefix}-*").raise_for_status()
        client.delete(f"/_index_template/{prefix}-*").raise_for_status()


@pytest.fixture
def settle() -> Settle:
    """Make everything written so far visible to searches: FTS5 shows what `put` has returned from."""

    async def visible(index: SearchIndex) -> None:
        if isinstance(index, OpenSearchIndex):
            await index.refresh()

    return visible
