"""Small values for the tests: what a test does not name is of no account to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from cluster.ids import new_id
from cluster.model import (
    ChangeEntry,
    Changes,
    Head,
    Labels,
    Memory,
    Message,
    Run,
    bucket_of,
)
from cluster.wide_store.port import MessageQuery, StoredVector, WideStore
from memgrid.subject import Subject

T = TypeVar("T")

NOW = 1_760_000_000_000
MODEL = "multilingual-e5-small"
USER = Subject("acme", "user", "张三")
ANY = MessageQuery()


def message(content: str = "我喜欢打羽毛球", **fields: Any) -> Message:
    given = {
        "id": new_id(),
        "session": "s",
        "role": "user",
        "event_time": NOW,
        "created_at": NOW,
        "tokens": 8,
    }
    return Message(content=content, **(given | fields))


def conversation(count: int, **fields: Any) -> list[Message]:
    return [message(f"第{n}句 sentence {n}", **fields) for n in range(count)]


def memory(text: str = "喜欢打羽毛球", labels: Labels | None = None, **fields: Any) -> Memory:
    given = {"id": new_id(), "kind": "fact", "created_at": NOW, "updated_at": NOW}
    return Memory(text=text, labels={"user": USER.id} if labels is None else labels, **(given | fields))


def added(*memories: Memory) -> tuple[ChangeEntry, ...]:
    return tuple(
        ChangeEntry(memory_id=m.id, event="ADD", new_text=m.text, reason="said so") for m in memories
    )


def removed(*memories: Memory) -> tuple[ChangeEntry, ...]:
    return tuple(
        ChangeEntry(memory_id=m.id, event="DELETE", old_text=m.text, reason="asked to") for m in memories
    )


def run(*inputs: Message, **fields: Any) -> Run:
    given: dict[str, Any] = {"id": new_id(), "status": "done", "created_at": NOW}
    return Run(
        input_ids=tuple(m.id for m in inputs),
        buckets=tuple(sorted({bucket_of(m.created_at) for m in inputs})),
        **(given | fields),
    )


def changes(**fields: Any) -> Changes:
    return Changes(**({"commit_id": new_id(), "at": NOW, "actor": "api"} | fields))


def vector(id: str, seed: int = 0, content_hash: bytes = b"hash") -> StoredVector:
    values = np.random.default_rng(seed).normal(size=16).astype(np.float32)
    return StoredVector(id, content_hash, values / np.linalg.norm(values))


def same_vector(one: StoredVector, other: StoredVector) -> bool:
    """Half precision is kept, so equal to within its rounding."""
    return (
        (one.id, one.content_hash) == (other.id, other.content_hash)
        and one.vector.dtype == np.float32
        and np.allclose(one.vector, other.vector, atol=1e-3)
    )


def ids(items: Sequence[Message] | Sequence[Memory] | Sequence[Run]) -> list[str]:
    return [item.id for item in items]


async def put(store: WideStore, subject: Subject, **fields: Any) -> Head:
    """A commit on the head as it is."""
    return await store.commit(subject, await store.head(subject), changes(**fields))


async def erase(store: WideStore, subject: Subject) -> Head:
    return await put(store, subject, erase=True)


async def every_page(page: Callable[[str | None], Awaitable[tuple[Sequence[T], str | None]]]) -> list[T]:
    """All items of a listing, page after page."""
    found: list[T] = []
    cursor: str | None = None
    while True:
        items, cursor = await page(cursor)
        found += items
        if cursor is None:
            return found
        assert items, "a page with a cursor is never empty"


async def message_pages(
    store: WideStore, subject: Subject, query: MessageQuery = ANY, limit: int = 100
) -> AsyncIterator[list[Message]]:
    cursor: str | None = None
    while True:
        page = await store.messages(subject, query, cursor=cursor, limit=limit)
        assert len(page.messages) <= limit
        yield list(page.messages)
        cursor = page.cursor
        if cursor is None:
            return


async def all_messages(
    store: WideStore, subject: Subject, query: MessageQuery = ANY, limit: int = 100
) -> list[Message]:
    return [m async for page in message_pages(store, subject, query, limit) for m in page]
