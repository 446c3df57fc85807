from __future__ import annotations

import asyncio
import hashlib

import msgspec

from cluster.wide_store.port import ApiKeyRow, WideStore
from tests.conformance.wide_store.conftest import SHARDS
from tests.conformance.wide_store.samples import NOW


def key(id: str, tenant: str = "acme") -> ApiKeyRow:
    digest = hashlib.sha256(id.encode()).digest()
    return ApiKeyRow(id=id, tenant=tenant, role="writer", key_hash=digest, label="笔记本", created_at=NOW)


async def test_api_keys(store: WideStore) -> None:
    one, two, other = key("1"), key("2"), key("3", "else")
    for row in (one, two, other):
        await store.put_api_key(row)
    assert sorted(await store.api_keys(), key=lambda row: row.id) == [one, two, other]
    assert sorted(await store.api_keys("acme"), key=lambda row: row.id) == [one, two]
    assert await store.api_keys("acm") == []
    assert await store.api_key_by_hash(two.key_hash) == two
    assert await store.api_key_by_hash(b"") is None
    revoked = msgspec.structs.replace(two, revoked_at=NOW + 1)
    await store.put_api_key(revoked)
    assert await store.api_key_by_hash(two.key_hash) == revoked
    assert len(await store.api_keys()) == 3


async def test_a_key_is_no_longer_found_by_its_former_hash(store: WideStore) -> None:
    row = key("1")
    await store.put_api_key(row)
    rotated = msgspec.structs.replace(row, key_hash=b"another")
    await store.put_api_key(rotated)
    assert await store.api_key_by_hash(row.key_hash) is None
    assert await store.api_key_by_hash(b"another") == rotated


async def test_plain_rows(store: WideStore) -> None:
    assert await store.get_row("stats", "k") is None
    await store.put_row("stats", "k", {"n": 1, "嵌套": {"list": [1.5, None, "x\0"]}})
    await store.put_row("import", "k", {"line": 7})
    await store.put_row("stats", "k\0", {})
    assert await store.get_row("stats", "k") == {"n": 1, "嵌套": {"list": [1.5, None, "x\0"]}}
    await store.put_row("stats", "k", {"n": 2})
    assert await store.get_row("stats", "k") == {"n": 2}
    assert await store.get_row("import", "k") == {"line": 7}
    assert await store.get_row("stats", "k\0") == {}
    await store.delete_row("stats", "k")
    await store.delete_row("stats", "k")
    assert await store.get_row("stats", "k") is None
    assert await store.get_row("import", "k") == {"line": 7}
    await store.put_row("stats", "k", {"n": 3})
    assert await store.get_row("stats", "k") == {"n": 3}


async def test_the_first_embedding_model_is_kept(stores: tuple[WideStore, WideStore]) -> None:
    infos = await asyncio.gather(*(stores[n % 2].set_embedding_model(f"model-{n}", n + 1) for n in range(8)))
    assert len(set(infos)) == 1
    assert infos[0].embedding_model == f"model-{(infos[0].embedding_dimension or 0) - 1}"
    assert infos[0].shards == SHARDS


async def test_ping(store: WideStore) -> None:
    await store.ping()
