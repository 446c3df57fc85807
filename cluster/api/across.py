"""What spans subjects: an agent, app or run is a subject of its own and a label on others' memories.

Each answer is the subject's own united with what others hold under that label. Only the subject's own
part promises read-your-writes. What is found is always checked by the owner it belongs to.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from cluster.api.exchange import Exchange
from cluster.model import Labels
from cluster.search_index.fusion import fused
from cluster.search_index.port import OLDER_VECTORS, IndexHit, IndexQuery
from cluster.wide_store.codec import vector_from_bytes
from memgrid.errors import InternalError, InvalidInput, MemgridError, Overloaded, Unavailable
from memgrid.models import ListQuery, ResultType, SearchQuery, SearchResult
from memgrid.operations import PROJECT, DeleteMemories, Hydrate, QueryText, QueryVector
from memgrid.routing import Call
from memgrid.subject import Subject

_CANDIDATES = 4
"""Proposals read per result wanted: some do not survive the owners' checks."""
_SCOPE_PAGE = 1000
_NOTHING = SearchResult(results=[], total=0).model_dump_json().encode()


async def search(call: Exchange, subject: Subject | None, labels: Labels, query: SearchQuery) -> bytes:
    """The subject's own results and those of others with all of `labels`, best first, without a cursor.
    Without a subject and labels: those of everyone in the tenant.

    The index proposes by words and by vector, as the query asks, and the best of both are read and ranked
    by their owners: what an owner does not know is no result. Takes `search_timeout_seconds` at most.
    """
    limit = call.services.settings.search_timeout_seconds
    deadline = time.monotonic() + limit
    proposing = _propose(call, subject, labels, query, deadline)
    if subject is None:
        own, proposed = _NOTHING, await proposing
    else:
        own, proposed = await asyncio.gather(call.ask("search", subject, query, timeout=limit), proposing)
    others: dict[Subject, list[IndexHit]] = defaultdict(list)
    for hit in proposed.hits:
        if hit.subject != subject:
            others[hit.subject].append(hit)
    if not others and not proposed.missing:
        return own
    found = msgspec.json.decode(own)
    results: list[dict[str, Any]] = found["results"]
    degraded: list[str] = [*found.get("degraded", ()), *proposed.missing]
    calls = [
        Call(
            "hydrate",
            other,
            Hydrate(
                query=query,
                vector=proposed.vector,
                memory_ids=[hit.id for hit in hits if hit.kind == "memory"],
                message_ids=[hit.id for hit in hits if hit.kind == "message"],
            ),
            call.request_id,
        )
        for other, hits in others.items()
    ]
    answers = await call.services.router.call_many(calls, timeout=_left(deadline))
    # What carries the label and is shared with the subject, too, is among its own already.
    seen = {hit["id"] for hit in results}
    for asked, answer in zip(calls, answers, strict=True):
        if isinstance(answer, MemgridError):
            call.services.log.warning("hydration failed", request_id=call.request_id, code=answer.code)
            degraded.append("owners")
            continue
        results += [
            {**hit, "subject": _name(asked.subject)}
            for hit in msgspec.json.decode(answer)["results"]
            if hit["score"] >= query.threshold and _carries(hit, labels) and hit["id"] not in seen
        ]
    results.sort(key=lambda hit: hit["score"], reverse=True)
    found |= {
        "results": results[: query.top_k],
        "total": len(results),
        "cursor": None,
        "degraded": sorted(set(degraded)),
    }
    return msgspec.json.encode(found)


class _Proposals(NamedTuple):
    """What the index names, best first."""

    hits: Sequence[IndexHit]
    vector: bytes | None
    """The query's, for the owners."""
    missing: Sequence[str]
    """What could not take part."""


async def _propose(
    call: Exchange, subject: Subject | None, labels: Labels, query: SearchQuery, deadline: float
) -> _Proposals:
    """Ask the index by words, by vector or both in one request."""
    vector: bytes | None = None
    missing: list[str] = []
    if query.strategy != "full_text":
        embedding = subject or Subject(call.tenant, *PROJECT)
        vector = await _vector(call, embedding, query.query, deadline)
        if vector is None:
            missing.append("embedding")
    kinds: tuple[ResultType, ...] = tuple(query.types) if query.types is not None else ("memory", "message")
    filters: dict[str, Any] = {"AND": [query.filters or {}]}
    if query.kinds is not None:
        kinds = tuple(kind for kind in kinds if kind == "memory")
        filters["kind"] = list(query.kinds)
    candidates = query.top_k * _CANDIDATES
    question = IndexQuery(
        tenant=call.tenant,
        whole_tenant=subject is None,
        labels=labels,
        kinds=kinds,
        session=query.session_id,
        filters=filters,
        text=query.query if query.strategy != "vector" or vector is None else None,
        vector=None if vector is None else vector_from_bytes(vector),
        limit=candidates,
    )
    try:
        async with asyncio.timeout(_left(deadline)):
            found = await call.services.search_index.search(question)
    except (Unavailable, Overloaded, InternalError, TimeoutError) as error:
        code = error.code if isinstance(error, MemgridError) else "timeout"
        call.services.log.warning("search index failed", request_id=call.request_id, code=code)
        return _Proposals((), vector, [*missing, "search_index"])
    if found.cut:
        missing.append(OLDER_VECTORS)
    return _Proposals(fused(found.hits, candidates), vector, missing)


async def _vector(call: Exchange, subject: Subject, text: str, deadline: float) -> bytes | None:
    """The query's vector, of the owner that embeds it for the subject's own search anyway."""
    try:
        answer = await call.ask("query_vector", subject, QueryText(text=text), timeout=_left(deadline))
    except (Unavailable, Overloaded, InternalError) as error:
        call.services.log.warning("no query vector", request_id=call.request_id, code=error.code)
        return None
    return QueryVector.model_validate_json(answer).vector


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _name(subject: Subject) -> str:
    return f"{subject.kind}:{subject.id}"


def _carries(hit: dict[str, Any], labels: Labels) -> bool:
    """A memory says whose it is; a message's labels are the owner's to check."""
    memory = hit.get("memory")
    return memory is None or all(memory.get(f"{kind}_id") == value for kind, value in labels.items())


def _listed(memory: dict[str, Any], labels: Labels, others: set[str] | None) -> bool:
    """Whether a page shows a memory. Of what is shared with the subject itself (`others` says who holds its
    label) each that does not come with its owner anyway; of what is shared with those others nothing."""
    carries = _carries({"memory": memory}, labels)
    shared_by = memory.get("shared_by")
    if shared_by is None:
        return carries
    return others is not None and not (carries and shared_by in others)


async def list_memories(call: Exchange, subject: Subject, labels: Labels, query: ListQuery) -> bytes:
    """A page over the subject's own memories and then, subject by subject, those of others."""
    others, count = await _holders(call, subject)
    sources = [subject, *others]
    named = {_name(other) for other in others}
    at, cursor = _read_cursor(query.cursor, sources)
    limit = query.limit
    memories: list[Any] = []
    position: str | None = None
    while at < len(sources):
        asked = query.model_copy(update={"cursor": cursor, "limit": limit - len(memories)})
        page = msgspec.json.decode(await call.ask("list_memories", sources[at], asked))
        memories += [
            memory for memory in page["memories"] if _listed(memory, labels, named if at == 0 else None)
        ]
        cursor = page.get("cursor")
        if not others:
            count = page["total"]
        if cursor is None:
            at += 1
        if len(memories) >= limit:
            position = _cursor(sources[at], cursor) if at < len(sources) else None
            break
    return msgspec.json.encode({"memories": memories, "cursor": position, "total": count})


async def delete_memories(call: Exchange, subject: Subject, wanted: DeleteMemories) -> bytes:
    """Delete from the subject and from everyone whose memories carry its id; how many there were.

    Fails as a whole when one owner does; the same request again deletes the rest.
    """
    others, _ = await _holders(call, subject)
    label = {**wanted.labels, subject.kind: subject.id}
    calls = [Call("delete_memories", subject, wanted, call.request_id)]
    calls += [
        Call("delete_memories", other, wanted.model_copy(update={"labels": label}), call.request_id)
        for other in others
    ]
    limit = call.services.settings.request_timeout_seconds
    answers = await call.services.router.call_many(calls, timeout=limit)
    deleted = 0
    for answer in answers:
        if isinstance(answer, MemgridError):
            raise answer
        deleted += msgspec.json.decode(answer)["count"]
    return msgspec.json.encode({"count": deleted})


async def _holders(call: Exchange, subject: Subject) -> tuple[list[Subject], int]:
    """The other subjects with memories under this label, in an order that stays, and how many memories
    carry it in all. From the wide store: the index may lag."""
    others: set[Subject] = set()
    count = 0
    cursor: str | None = None
    while True:
        rows, cursor = await call.services.store.scope(
            call.tenant, subject.kind, subject.id, cursor=cursor, limit=_SCOPE_PAGE
        )
        others.update(holder for holder, _ in rows)
        count += len(rows)
        if cursor is None:
            break
    others.discard(subject)
    return sorted(others, key=_place), count


def _place(subject: Subject) -> bytes:
    """Orders subjects, and is short whatever their ids are."""
    return hashlib.blake2b(subject.key, digest_size=12).digest()


def _cursor(subject: Subject, cursor: str | None) -> str:
    packed = msgspec.msgpack.encode((_place(subject), cursor))
    return "x" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_cursor(cursor: str | None, sources: Sequence[Subject]) -> tuple[int, str | None]:
    """Where to go on: a source's place and the cursor within it. Raises InvalidInput."""
    if cursor is None:
        return 0, None
    wrong = InvalidInput("the cursor is not one of this list", field="cursor", remedy="start without one")
    if not cursor.startswith("x"):
        raise wrong
    try:
        raw = base64.urlsafe_b64decode(cursor[1:] + "=" * (-len(cursor[1:]) % 4))
        place, inner = msgspec.msgpack.decode(raw, type=tuple[bytes, str | None])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise wrong from error
    if place == _place(sources[0]):
        return 0, inner
    for at, source in enumerate(sources[1:], start=1):
        if _place(source) >= place:
            return at, inner if _place(source) == place else None
    return len(sources), None
