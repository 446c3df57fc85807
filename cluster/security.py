"""API keys: who is calling, for which tenant, and what they may do.

A key reads `mg_<id>_<secret>`. Only its SHA-256 is stored: the secret has 256 bits, so a slow hash would
add nothing. While no key was ever created there is one tenant, everyone is its admin, and only
loopback is served; from the first key on a key is required, for good.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from cluster.ids import Clock, system_clock
from cluster.wide_store.port import ApiKeyRow, WideStore
from memgrid.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from memgrid.subject import DEFAULT_TENANT

Role = Literal["admin", "writer", "reader"]

CACHE_SECONDS: Final = 2.0
"""How long a key that was looked up is trusted: a revoked key stops working within this time."""
_CACHED_KEYS: Final = 10_000
_KEY: Final = re.compile(r"mg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_RANK: Final[dict[Role, int]] = {"reader": 0, "writer": 1, "admin": 2}


class Principal(NamedTuple):
    """Who is calling."""

    tenant: str
    role: Role
    key_id: str | None
    """None where no key is needed."""

    def require(self, role: Role) -> None:
        """Raises Forbidden when this caller's role is below `role`."""
        if _RANK[self.role] < _RANK[role]:
            raise Forbidden(
                f"a {self.role} key may not do this", remedy=f"use a key with the role {role!r} or above"
            )


class KeyRing:
    """The API keys as the ingress sees them: looked up in the store, remembered for CACHE_SECONDS."""

    def __init__(self, store: WideStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never goes back."""
        self._store = store
        self._clock = clock
        self._rows: OrderedDict[bytes, tuple[float, ApiKeyRow | None]] = OrderedDict()
        self._required = False
        self._required_until = -1.0

    async def required(self) -> bool:
        """Whether a key was ever created; found out again every CACHE_SECONDS until it is so."""
        if not self._required and self._clock() >= self._required_until:
            self._required = await has_keys(self._store)
            self._required_until = self._clock() + CACHE_SECONDS
        return self._required

    async def authenticate(self, authorization: str | None, api_key: str | None) -> Principal:
        """The caller, from the `Authorization` and `X-API-Key` headers. Raises Unauthenticated."""
        if not await self.required():
            return Principal(DEFAULT_TENANT, "admin", None)
        text = _presented(authorization, api_key)
        if text is None:
            raise Unauthenticated(
                "an API key is required", remedy="send `Authorization: Bearer <key>` or `X-API-Key: <key>`"
            )
        digest = key_hash(text)
        row = await self._row(digest) if _KEY.fullmatch(text) else None
        if row is None or row.revoked_at is not None or not hmac.compare_digest(row.key_hash, digest):
            raise Unauthenticated("the API key is not valid", remedy="create one with `memgrid keys create`")
        return Principal(row.tenant, row.role, row.id)

    async def _row(self, digest: bytes) -> ApiKeyRow | None:
        now = self._clock()
        cached = self._rows.get(digest)
        if cached is not None and now < cached[0]:
            return cached[1]
        row = await self._store.api_key_by_hash(digest)
        self._rows[digest] = (now + CACHE_SECONDS, row)
        self._rows.move_to_end(digest)
        while len(self._rows) > _CACHED_KEYS:
            self._rows.popitem(last=False)
        return row


def _presented(authorization: str | None, api_key: str | None) -> str | None:
    if authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() not in ("bearer", "token") or not credentials.strip():
            raise Unauthenticated(
                "the Authorization header cannot be read",
                remedy="write it `Authorization: Bearer <key>` or `Authorization: Token <key>`",
            )
        return credentials.strip()
    return api_key.strip() if api_key else None


def key_hash(text: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


async def has_keys(store: WideStore) -> bool:
    """Whether any key was ever created, revoked ones too: losing the last key must not open the door."""
    return bool(await store.api_keys())


async def create_key(
    store: WideStore,
    *,
    tenant: str = DEFAULT_TENANT,
    role: Role = "admin",
    label: str = "",
    clock: Clock = system_clock,
) -> tuple[str, ApiKeyRow]:
    """A new key: its text, which can never be shown again, and the row that is kept.

    Raises InvalidInput when the tenant's name is empty, over 256 characters or has a NUL in it.
    """
    if not tenant or len(tenant) > 256 or "\0" in tenant:
        raise InvalidInput("a tenant has a name of 1 to 256 characters", field="tenant")
    key_id = secrets.token_hex(6)
    text = f"mg_{key_id}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=key_id, tenant=tenant, role=role, key_hash=key_hash(text), label=label, created_at=clock()
    )
    await store.put_api_key(row)
    return text, row


async def list_keys(store: WideStore, tenant: str | None = None) -> list[ApiKeyRow]:
    """The keys of a tenant, or of all, oldest first."""
    return sorted(await store.api_keys(tenant), key=lambda row: (row.created_at, row.id))


async def revoke_key(store: WideStore, key_id: str, *, clock: Clock = system_clock) -> ApiKeyRow:
    """End a key, within CACHE_SECONDS everywhere. Doing it twice changes nothing. Raises NotFound."""
    for row in await store.api_keys():
        if row.id == key_id:
            if row.revoked_at is not None:
                return row
            revoked = msgspec.structs.replace(row, revoked_at=clock())
            await store.put_api_key(revoked)
            return revoked
    raise NotFound(f"there is no key {key_id!r}", remedy="see `memgrid keys list`")


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, has_keys: bool) -> None:
    """Refuses to serve the network without keys. Raises InvalidInput with the remedy."""
    if not has_keys and not is_loopback(host):
        raise InvalidInput(
            f"without API keys memgrid listens on loopback only, not on {host}",
            field="host",
            remedy="create a key with `memgrid keys create`, or set MEMGRID_HOST=127.0.0.1",
        )
