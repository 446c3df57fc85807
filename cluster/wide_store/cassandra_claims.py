"""Claims: a client's key is bound to the first that names it, by INSERT IF NOT EXISTS.

The claims of a subject are in sixteen partitions, so those of one request take at most as many conditional
batches, each all or nothing. When one of them is refused for a key that stands for something else, the others
are withdrawn: there will be no append, and their keys must stay free.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Sequence

from cluster.model import Claim, Millis
from cluster.wide_store import codec
from cluster.wide_store.cassandra_connection import CassandraConnection, OutcomeUnknown, Statement
from cluster.wide_store.cassandra_heads import Heads
from cluster.wide_store.cassandra_layout import CLAIM_SLICES, chunks, key_of
from memgrid.errors import Overloaded, Unavailable
from memgrid.subject import Subject

_TRIES = 10
_BACKOFF_SECONDS = 0.05
_ROWS_IN_BATCH = 500
_TTL_MARGIN_SECONDS = 86_400
_LONGEST_TTL_SECONDS = 20 * 365 * 86_400
"""Cassandra's own limit."""

Key = tuple[str, str]
Stored = tuple[Claim, bytes]
"""A claim, and the bytes it is stored as."""


class Claims:
    """The claims of subjects, for one connection."""

    def __init__(self, connection: CassandraConnection, heads: Heads) -> None:
        self._connection = connection
        self._heads = heads

    async def claim(
        self, subject: Subject, generation: int, claims: Sequence[Claim], now: Millis
    ) -> list[Claim]:
        if not claims:
            return []
        head = await self._heads.read(subject)
        unknown: Unavailable | None = None
        for attempt in range(_TRIES):
            try:
                if attempt:  # somebody was faster, or nobody knows: what is stored now is looked at again
                    await asyncio.sleep(min(_BACKOFF_SECONDS * 2**attempt, 2.0) * random.random())
                answer, done = await self._try(subject, head.generation, generation, claims, now)
            except Unavailable as error:
                if unknown is None and not isinstance(error, OutcomeUnknown):
                    raise
                unknown = error
            else:
                if done:
                    return answer
        raise unknown or Overloaded(
            "this subject's keys are claimed from many sides at once", retry_after=1.0
        )

    async def _try(
        self, subject: Subject, current: int, generation: int, claims: Sequence[Claim], now: Millis
    ) -> tuple[list[Claim], bool]:
        """The answer, and whether it is final."""
        stored = await self._stored(subject, current, {_key(claim) for claim in claims})
        live = {key: claim for key, (claim, _) in stored.items() if not _is_over(claim, now)}
        answer: list[Claim] = []
        fresh: dict[Key, Claim] = {}
        for given in claims:
            key = _key(given)
            answer.append(live[key] if key in live else fresh.setdefault(key, given))
        agreed = all(
            kept.payload_hash == given.payload_hash for kept, given in zip(answer, claims, strict=True)
        )
        if current != generation or not agreed or not fresh:
            return answer, True
        return answer, await self._store(subject, generation, fresh, stored, now)

    async def page(self, subject: Subject, cursor: str | None, limit: int) -> tuple[list[Claim], str | None]:
        head = await self._heads.read(subject)
        first, *after = (
            (0, "", "") if cursor is None else codec.cursor_from_text(cursor, tuple[int, str, str])
        )
        found: list[tuple[int, str, str, bytes]] = []
        for slice in range(max(first, 0), CLAIM_SLICES):
            edge = after if slice == first else ("", "")
            rows = await self._connection.rows(
                "claims_after", *key_of(subject), head.generation, slice, *edge, limit + 1 - len(found)
            )
            found += [(slice, *row) for row in rows]
            if len(found) > limit:
                break
        page = found[:limit]
        following = codec.cursor_to_text(page[-1][:3]) if len(found) > limit else None
        return [codec.decode_claim(value) for *_, value in page], following

    async def _stored(self, subject: Subject, generation: int, keys: set[Key]) -> dict[Key, Stored]:
        slices: dict[int, list[Key]] = {}
        for key in keys:
            slices.setdefault(_slice(key), []).append(key)
        pages = await asyncio.gather(
            *(
                # Serial: a claim whose outcome was unknown is decided by now.
                self._connection.rows("claims", *key_of(subject), generation, slice, list(part), serial=True)
                for slice, of_slice in slices.items()
                for part in chunks(of_slice, _ROWS_IN_BATCH)
            )
        )
        return {
            (kind, key): (codec.decode_claim(value), value) for page in pages for kind, key, value in page
        }

    async def _store(
        self,
        subject: Subject,
        generation: int,
        fresh: dict[Key, Claim],
        stored: dict[Key, Stored],
        now: Millis,
    ) -> bool:
        """Whether all of them are stored; else none is."""
        slices: dict[int, list[Claim]] = {}
        for key, claim in fresh.items():
            slices.setdefault(_slice(key), []).append(claim)
        batches = [
            [self._write(subject, generation, claim, stored.get(_key(claim)), now) for claim in part]
            for of_slice in slices.values()
            for part in chunks(of_slice, _ROWS_IN_BATCH)
        ]
        parts = [part for of_slice in slices.values() for part in chunks(of_slice, _ROWS_IN_BATCH)]
        outcomes = await asyncio.gather(
            *(self._connection.conditional(batch) for batch in batches), return_exceptions=True
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failed:
            raise next((each for each in failed if not isinstance(each, OutcomeUnknown)), failed[0])
        if all(outcomes):
            return True
        applied = [part for part, outcome in zip(parts, outcomes, strict=True) if outcome]
        await self._withdraw(subject, generation, [claim for part in applied for claim in part])
        return False

    def _write(
        self, subject: Subject, generation: int, claim: Claim, expired: Stored | None, now: Millis
    ) -> Statement:
        kind, key = _key(claim)
        place = (*key_of(subject), generation, _slice((kind, key)), kind, key)
        ttl = 0
        if claim.expires_at is not None:
            ttl = min(max(claim.expires_at - now, 0) // 1000 + _TTL_MARGIN_SECONDS, _LONGEST_TTL_SECONDS)
        if expired is not None:
            return "replace_claim", (ttl, codec.encode(claim), *place, expired[1])
        return "put_claim", (*place, codec.encode(claim), ttl)

    async def _withdraw(self, subject: Subject, generation: int, claims: Sequence[Claim]) -> None:
        for claim in claims:
            kind, key = _key(claim)
            place = (*key_of(subject), generation, _slice((kind, key)), kind, key)
            await self._connection.conditional([("withdraw_claim", (*place, codec.encode(claim)))])


def _key(claim: Claim) -> Key:
    return claim.kind, claim.key


def _slice(key: Key) -> int:
    return zlib.crc32("\0".join(key).encode()) % CLAIM_SLICES


def _is_over(claim: Claim, now: Millis) -> bool:
    return claim.expires_at is not None and claim.expires_at <= now
