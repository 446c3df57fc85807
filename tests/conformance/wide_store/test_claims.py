from __future__ import annotations

import asyncio

import msgspec

from cluster.model import Claim
from cluster.wide_store.port import WideStore
from memgrid.subject import Subject
from tests.conformance.wide_store.samples import NOW, USER, erase


def claim(key: str = "key", payload: bytes = b"a", expires_at: int | None = None) -> Claim:
    return Claim(
        kind="request" if expires_at else "message",
        key=key,
        payload_hash=payload,
        message_ids=(f"m-{payload!r}",),
        expires_at=expires_at,
    )


async def test_the_first_claim_wins_for_good(store: WideStore) -> None:
    first, second = claim(payload=b"a"), claim(payload=b"b")
    assert await store.claim(USER, 0, [first], NOW) == [first]
    assert await store.claim(USER, 0, [second], NOW + 10**12) == [first]


async def test_claims_are_answered_each_in_its_place(store: WideStore) -> None:
    taken = claim("taken", b"first")
    await store.claim(USER, 0, [taken], NOW)
    asked = [claim("new", b"1"), claim("taken", b"2"), claim("taken\0", b"3"), claim("new", b"4")]
    assert await store.claim(USER, 0, asked, NOW) == [asked[0], taken, asked[2], asked[0]]


async def test_a_refused_request_claims_none_of_its_keys(store: WideStore) -> None:
    taken = claim("taken", b"first")
    await store.claim(USER, 0, [taken], NOW)
    refused = [claim("new", b"1"), claim("taken", b"2"), claim("other", b"3", expires_at=NOW + 1000)]
    assert await store.claim(USER, 0, refused, NOW) == [refused[0], taken, refused[2]]
    corrected = [claim("new", b"4"), claim("other", b"5", expires_at=NOW + 1000)]
    assert await store.claim(USER, 0, corrected, NOW) == corrected
    assert await store.claim(USER, 0, refused[:1], NOW) == corrected[:1]


async def test_kinds_and_subjects_do_not_share_keys(store: WideStore) -> None:
    message, request = claim(payload=b"m"), claim(payload=b"r", expires_at=NOW + 1000)
    assert await store.claim(USER, 0, [message, request], NOW) == [message, request]
    other = claim(payload=b"other")
    assert await store.claim(Subject(USER.tenant, "agent", USER.id), 0, [other], NOW) == [other]
    assert await store.claim(Subject("else", "user", USER.id), 0, [other], NOW) == [other]


async def test_an_expired_claim_is_replaced(store: WideStore) -> None:
    first, second = claim(payload=b"a", expires_at=NOW + 1000), claim(payload=b"b", expires_at=NOW + 5000)
    await store.claim(USER, 0, [first], NOW)
    assert await store.claim(USER, 0, [second], NOW + 999) == [first]
    assert await store.claim(USER, 0, [second], NOW + 1000) == [second]
    assert await store.claim(USER, 0, [first], NOW + 1000) == [second]


async def test_a_claim_ends_with_its_generation(store: WideStore) -> None:
    first, second = claim(payload=b"a"), claim(payload=b"b")
    await store.claim(USER, 0, [first], NOW)
    await erase(store, USER)
    await store.claim(USER, 0, [first], NOW)  # too late: it binds nobody
    assert await store.claim(USER, 1, [second], NOW) == [second]
    assert await store.claim(USER, 1, [first], NOW) == [second]


async def test_one_of_many_at_once_wins(stores: tuple[WideStore, WideStore]) -> None:
    claims = [claim(payload=str(n).encode()) for n in range(40)]
    answers = await asyncio.gather(*(stores[n % 2].claim(USER, 0, [c], NOW) for n, c in enumerate(claims)))
    winners = {msgspec.msgpack.encode(answer) for (answer,) in answers}
    assert len(winners) == 1
    assert answers[0][0] in claims
