"""The adapters of the wide store, each opened empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.wide_store.port import WideStore
from cluster.wide_store.sqlite import SqliteStore
from tests.conformance.wide_store.samples import NOW

SHARDS = 16


class ManualClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "sqlite-files"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[tuple[WideStore, WideStore]]:
    """Two handles of one store, as two processes would have them (in memory there is only one)."""
    if request.param == "sqlite-memory":
        first = second = SqliteStore(":memory:", clock=clock)
    else:
        files = 3 if request.param == "sqlite-files" else 1
        first, second = (SqliteStore(tmp_path / "data", files=files, clock=clock) for _ in range(2))
    await first.open(shards=SHARDS)
    if second is not first:
        await second.open(shards=SHARDS)
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def store(stores: tuple[WideStore, WideStore]) -> WideStore:
    return stores[0]
