from __future__ import annotations

import pytest

from cluster.security import (
    CACHE_SECONDS,
    KeyRing,
    check_bind,
    create_key,
    has_keys,
    key_hash,
    list_keys,
    revoke_key,
)
from memgrid.errors import Forbidden, InvalidInput, NotFound, Unauthenticated, Unavailable
from tests.api_fakes import FakeStore, FakeTime


def ring(store: FakeStore, time: FakeTime) -> KeyRing:
    return KeyRing(store, clock=time)  # pyright: ignore[reportArgumentType]


async def test_a_key_is_shown_once_and_only_its_hash_is_kept() -> None:
    store = FakeStore()
    text, row = await create_key(store, tenant="acme", role="writer", label="laptop", clock=lambda: 7)  # pyright: ignore[reportArgumentType]
    assert text.startswith(f"mg_{row.id}_")
    assert len(text) == 3 + 12 + 1 + 43
    assert store.keys[row.id] == row
    assert row.key_hash == key_hash(text)
    assert text not in repr(row)
    assert (row.tenant, row.role, row.label, row.created_at) == ("acme", "writer", "laptop", 7)


async def test_keys_differ() -> None:
    store = FakeStore()
    texts = {(await create_key(store))[0] for _ in range(50)}  # pyright: ignore[reportArgumentType]
    assert len(texts) == 50


@pytest.mark.parametrize("tenant", ["", "x" * 257, "a\0b"])
async def test_a_tenant_has_a_name(tenant: str) -> None:
    with pytest.raises(InvalidInput):
        await create_key(FakeStore(), tenant=tenant)  # pyright: ignore[reportArgumentType]


async def test_who_is_who() -> None:
    store, time = FakeStore(), FakeTime()
    keys = ring(store, time)
    text, row = await create_key(store, tenant="acme", role="reader")  # pyright: ignore[reportArgumentType]
    for authorization, api_key in (
        (f"Bearer {text}", None),
        (f"bearer {text}", None),
        (f"Token {text}", None),
        (None, text),
        (f"Bearer {text}", "another"),
    ):
        assert await keys.authenticate(authorization, api_key) == ("acme", "reader", row.id)


async def test_who_is_nobody() -> None:
    store, time = FakeStore(), FakeTime()
    keys = ring(store, time)
    text, row = await create_key(store)  # pyright: ignore[reportArgumentType]
    swapped = text[:-1] + ("a" if text[-1] != "a" else "b")
    for authorization, api_key in (
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        (f"Basic {text}", None),
        (f"Bearer {swapped}", None),
        (f"Bearer mg_{row.id}_", None),
        ("Bearer mg_000000000000_" + text[-43:], None),
        ("Bearer " + "x" * 100_000, None),
        (None, "\udcff"),
        (None, ""),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await keys.authenticate(authorization, api_key)
        assert caught.value.remedy
        assert text[-43:] not in str(caught.value)


async def test_without_any_key_everyone_is_admin_until_there_is_one() -> None:
    store, time = FakeStore(), FakeTime()
    keys = ring(store, time)
    assert await keys.authenticate(None, None) == ("default", "admin", None)
    assert await keys.authenticate("Bearer whatever", None) == ("default", "admin", None)
    text, _ = await create_key(store)  # pyright: ignore[reportArgumentType]
    time.seconds += CACHE_SECONDS
    with pytest.raises(Unauthenticated):
        await keys.authenticate(None, None)
    assert (await keys.authenticate(f"Bearer {text}", None)).role == "admin"


async def test_revoking_the_last_key_does_not_open_the_door() -> None:
    store, time = FakeStore(), FakeTime()
    _, row = await create_key(store)  # pyright: ignore[reportArgumentType]
    await revoke_key(store, row.id)  # pyright: ignore[reportArgumentType]
    assert await has_keys(store)  # pyright: ignore[reportArgumentType]
    with pytest.raises(Unauthenticated):
        await ring(store, time).authenticate(None, None)


async def test_a_revoked_key_ends_within_the_stated_time() -> None:
    store, time = FakeStore(), FakeTime()
    keys = ring(store, time)
    text, row = await create_key(store)  # pyright: ignore[reportArgumentType]
    await keys.authenticate(None, text)
    revoked = await revoke_key(store, row.id, clock=lambda: 5)  # pyright: ignore[reportArgumentType]
    assert revoked.revoked_at == 5
    time.seconds += CACHE_SECONDS - 0.001
    await keys.authenticate(None, text)
    assert store.lookups == 1, "the store is not asked for every request"
    time.seconds += 0.001
    with pytest.raises(Unauthenticated):
        await keys.authenticate(None, text)
    assert (await revoke_key(store, row.id, clock=lambda: 9)).revoked_at == 5  # pyright: ignore[reportArgumentType]


async def test_a_store_that_is_away_lets_nobody_in() -> None:
    class Away(FakeStore):
        async def api_keys(self, tenant: str | None = None) -> list[object]:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise Unavailable("away")

    with pytest.raises(Unavailable):
        await ring(Away(), FakeTime()).authenticate(None, None)


async def test_guessing_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import cluster.security as security

    monkeypatch.setattr(security, "_CACHED_KEYS", 10)
    store, time = FakeStore(), FakeTime()
    keys = ring(store, time)
    text, _ = await create_key(store)  # pyright: ignore[reportArgumentType]
    for n in range(50):
        with pytest.raises(Unauthenticated):
            await keys.authenticate(None, f"mg_{n:012x}_" + "x" * 43)
    assert len(keys._rows) == 10  # pyright: ignore[reportPrivateUsage]
    assert (await keys.authenticate(None, text)).role == "admin"


async def test_keys_are_listed_oldest_first_and_by_tenant() -> None:
    store = FakeStore()
    for at, tenant in ((3, "a"), (1, "b"), (2, "a")):
        await create_key(store, tenant=tenant, clock=lambda at=at: at)  # pyright: ignore[reportArgumentType]
    assert [row.created_at for row in await list_keys(store)] == [1, 2, 3]  # pyright: ignore[reportArgumentType]
    assert [row.created_at for row in await list_keys(store, "a")] == [2, 3]  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotFound):
        await revoke_key(store, "nobody")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_bind(host, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "", "127.0.0.1.example.com"])
def test_the_network_needs_keys(host: str) -> None:
    check_bind(host, True)
    with pytest.raises(InvalidInput) as caught:
        check_bind(host, False)
    assert caught.value.field == "host"
    assert "memgrid keys create" in (caught.value.remedy or "")


async def test_a_role_may_do_what_is_its_own_and_less() -> None:
    store, time = FakeStore(), FakeTime()
    text, _ = await create_key(store, role="writer")  # pyright: ignore[reportArgumentType]
    writer = await ring(store, time).authenticate(None, text)
    writer.require("reader")
    writer.require("writer")
    with pytest.raises(Forbidden):
        writer.require("admin")
