"""The client's methods on memories: in, out, and one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Unpack

from memgrid._requests import (
    UNSET,
    Messages,
    OtherWhose,
    Unset,
    Whose,
    as_messages,
    build,
    other_labels,
    required_subject,
    subject_of,
)
from memgrid._transport import Sender
from memgrid.models import (
    AddRequest,
    AddResult,
    BatchAddRequest,
    BatchAddResult,
    ContextBlock,
    ContextQuery,
    Count,
    Filter,
    History,
    HistoryEntry,
    ListQuery,
    MemoryKind,
    MemoryOut,
    MemoryPage,
    MemoryPatch,
    Profile,
    ResultType,
    SearchQuery,
    SearchResult,
    Strategy,
)
from memgrid.operations import ById, DeleteMemories, DeleteMemory, Nothing, UpdateMemory


class MemoriesApi(Sender):
    """Adds, finds, changes and forgets memories."""

    # --- in ---------------------------------------------------------------------------------

    async def add(
        self,
        messages: Messages,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        infer: bool = True,
        wait: bool = False,
        timestamp: datetime | None = None,
        idempotency_key: str | None = None,
        group_id: str | None = None,
        record_message: bool = True,
        **whose: Unpack[Whose],
    ) -> AddResult:
        """Keep messages, and let memgrid distil memories from them.

        The messages are durable when this returns, and are found by `search` at once; the memories
        follow. `wait=True` waits for them, but no longer than a request may take (half a minute, unless the
        server says otherwise): when `status` is still `pending` or `running`, `wait_for_job(result.job_id)`
        goes on from there.

            await client.add("我叫张三，我喜欢打羽毛球", user_id="zhangsan")
            await client.add(
                [
                    {"role": "user", "content": "I moved to Hangzhou."},
                    {"role": "assistant", "content": "How do you like it?"},
                ],
                user_id="lilei",
                session_id="2026-11-21",
            )

        `infer=False` keeps each message word for word as a memory of kind `note`. A message's own `id`, or an
        `idempotency_key`, makes sending it again harmless; Conflict when the key came with anything else
        than before (`wait` aside), or the id with another message.
        `group_id` names a group whose configuration says what is extracted; with `record_message=False` the
        messages are forgotten once they have been extracted.
        """
        request = build(
            AddRequest,
            messages=as_messages(messages),
            **whose,
            session_id=session_id,
            metadata=metadata,
            infer=infer,
            wait=wait,
            timestamp=timestamp,
            idempotency_key=idempotency_key,
            group_id=group_id,
            record_message=record_message,
        )
        subject = subject_of(**whose)
        return await self._ask("add", request, subject, AddResult)

    async def add_batch(self, items: Sequence[AddRequest | Mapping[str, Any]]) -> BatchAddResult:
        """Several adds, of one or many users, in one call: each succeeds or fails on its own.

        Items of one user are added in the order given. Results are in the places of their items. An item that
        is no valid request raises InvalidInput before anything is sent.

            batch = await client.add_batch([
                {"user_id": "a", "messages": [{"role": "user", "content": "I play the cello"}]},
                {"user_id": "b", "messages": [{"role": "user", "content": "我住在成都"}]},
            ])
            batch.failed  # 0
        """
        request = build(BatchAddRequest, items=items)
        return await self._ask("add_batch", request, None, BatchAddResult)

    # --- out --------------------------------------------------------------------------------

    async def search(
        self,
        query: str,
        *,
        everyone: bool = False,
        session_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        strategy: Strategy = "hybrid",
        filters: Filter | None = None,
        types: Sequence[ResultType] | None = None,
        kinds: Sequence[MemoryKind] | None = None,
        latest_only: bool = True,
        explain: bool = False,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> SearchResult:
        """The memories and messages that fit `query` best, best first, scores in [0, 1].

            found = await client.search("what sport does he play?", user_id="zhangsan", top_k=3)
            for hit in found.results:
                print(f"{hit.score:.2f} {hit.content}")

        `everyone=True`, with nobody named, searches all of the project: each hit says whose it is.
        `types` narrows to memories or messages, `filters` is the filter language (`{"AND": […]}`),
        `explain=True` adds what each score is made of.
        """
        request = build(
            SearchQuery,
            query=query,
            **whose,
            everyone=everyone or None,
            session_id=session_id,
            top_k=top_k,
            threshold=threshold,
            strategy=strategy,
            filters=filters,
            types=types,
            kinds=kinds,
            latest_only=latest_only,
            explain=explain,
            cursor=cursor,
        )
        subject = subject_of(**whose)
        return await self._ask("search", request, subject, SearchResult)

    async def context(
        self,
        user_id: str | None = None,
        message: str = "",
        *,
        max_tokens: int | None = None,
        limit: int | None = None,
        language: Literal["zh", "en"] | None = None,
        plain: bool | None = None,
        profile_event_ratio: float | None = None,
        prefer_topics: Sequence[str] | None = None,
        only_topics: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        template: str | None = None,
        explain: bool | None = None,
        **other: Unpack[OtherWhose],
    ) -> ContextBlock:
        """What to put into the prompt before answering `message`, within `max_tokens`.

        block = await client.context("zhangsan", "周末有什么活动推荐？", max_tokens=500)
        prompt = block.context + "\\n\\n" + question

        It is a list of memories, and of what people said where no memory comes near it. `plain=False` gives
        sections: profile, events, facts, summary, latest messages; `template` lays them out your way, with
        {profile}, {events}, {facts}, {summary} and {recent}.
        """
        request = build(
            ContextQuery,
            message=message,
            max_tokens=max_tokens,
            limit=limit,
            language=language,
            plain=plain,
            profile_event_ratio=profile_event_ratio,
            prefer_topics=prefer_topics,
            only_topics=only_topics,
            since=since,
            until=until,
            template=template,
            explain=explain,
        )
        subject = required_subject(user_id=user_id, **other)
        return await self._ask("context", request, subject, ContextBlock)

    async def profile(self, user_id: str | None = None, **other: Unpack[OtherWhose]) -> Profile:
        """Who the user is: summary, interests and topics, computed from memories and messages."""
        return await self._ask("profile", Nothing(), required_subject(user_id=user_id, **other), Profile)

    # --- memories ---------------------------------------------------------------------------

    async def get(self, memory_id: str) -> MemoryOut:
        """One memory. Raises NotFound."""
        return await self._ask("get_memory", build(ById, id=memory_id), None, MemoryOut)

    async def update(
        self,
        memory_id: str,
        *,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
        category: str | Unset | None = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        immutable: bool | None = None,
        pinned: bool | None = None,
    ) -> MemoryOut:
        """Change what is given of a memory; `expires_at=None` clears it. Raises NotFound, Conflict.

        `pinned` memories are dropped by no cap, time to live or clean-up.
        """
        cleared = {
            name: value
            for name, value in (("category", category), ("expires_at", expires_at))
            if not isinstance(value, Unset)
        }
        patch = build(
            MemoryPatch, cleared, text=text, metadata=metadata, tags=tags, immutable=immutable, pinned=pinned
        )
        request = build(UpdateMemory, id=memory_id, patch=patch)
        return await self._ask("update_memory", request, None, MemoryOut)

    async def delete(self, memory_id: str) -> None:
        """Forget one memory, its history's texts too. Raises NotFound."""
        await self._ask("delete_memory", build(DeleteMemory, id=memory_id), None, Count)

    async def delete_all(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        **whose: Unpack[Whose],
    ) -> int:
        """Forget all memories of a subject, or those that fit; the messages stay. How many there were.

        With several ids: the memories of the first that carry the others as labels. `erase` forgets
        the messages too.
        """
        subject = required_subject(**whose)
        labels = other_labels(subject, **whose)
        request = build(DeleteMemories, kinds=kinds, labels=labels or None, filters=filters)
        return (await self._ask("delete_memories", request, subject, Count)).count

    async def history(self, memory_id: str) -> Sequence[HistoryEntry]:
        """Every change of one memory, oldest first. Raises NotFound."""
        request = build(ById, id=memory_id)
        return (await self._ask("history", request, None, History)).history

    async def list_page(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        latest_only: bool = True,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> MemoryPage:
        """One page of memories, newest first; `cursor` of the page leads to the next one."""
        request = build(
            ListQuery,
            **whose,
            kinds=kinds,
            filters=filters,
            latest_only=latest_only,
            limit=limit,
            cursor=cursor,
        )
        subject = subject_of(**whose)
        return await self._ask("list_memories", request, subject, MemoryPage)

    # `list` comes last: below it the name means this method, not the built-in type.
    async def list(
        self,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        filters: Filter | None = None,
        latest_only: bool = True,
        page_size: int = 100,
        **whose: Unpack[Whose],
    ) -> AsyncIterator[MemoryOut]:
        """All memories of a subject, newest first, fetched page by page.

        async for memory in client.list(user_id="zhangsan", kinds=["profile"]):
            print(memory.topic, memory.memory)
        """
        cursor: str | None = None
        while True:
            page = await self.list_page(
                **whose,
                kinds=kinds,
                filters=filters,
                latest_only=latest_only,
                limit=page_size,
                cursor=cursor,
            )
            for memory in page.memories:
                yield memory
            cursor = page.cursor
            if cursor is None:
                return
