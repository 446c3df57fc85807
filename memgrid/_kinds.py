"""The client's methods on events, experience with tasks, entities, relations, sharing and topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Unpack

from memgrid._requests import OtherWhose, Whose, build, required_subject
from memgrid._transport import Sender
from memgrid.kinds import (
    Document,
    EntityOut,
    EntityPage,
    EntityQuery,
    EventPage,
    EventsQuery,
    LinkMemory,
    Outcome,
    RecordTask,
    Related,
    Relation,
    ShareMemory,
    Shares,
    Step,
    TaskOut,
    TaskPage,
    TaskPatch,
    TasksQuery,
    UpdateTask,
    UseTask,
)
from memgrid.models import AddResult
from memgrid.operations import ById, Page
from memgrid.profile_config import ProfileConfig, ProfileConfigOut, ProfileConfigQuery, Topic


class KindsApi(Sender):
    """Reads and changes what is more than a fact."""

    # --- documents --------------------------------------------------------------------------

    async def add_document(
        self,
        text: str,
        *,
        title: str | None = None,
        document_id: str | None = None,
        source_type: Literal["document", "manual"] = "document",
        metadata: Mapping[str, Any] | None = None,
        wait: bool = False,
        **whose: Unpack[Whose],
    ) -> AddResult:
        """Keep a text that nobody said, in parts that are found one by one. With a `document_id` sending it
        again is harmless; Conflict when it came with another text.
        """
        request = build(
            Document,
            text=text,
            title=title,
            document_id=document_id,
            source_type=source_type,
            metadata=metadata,
            wait=wait,
            **whose,
        )
        return await self._ask("add_document", request, required_subject(**whose), AddResult)

    # --- events -----------------------------------------------------------------------------

    async def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        tags: Sequence[str] | None = None,
        query: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> EventPage:
        """What happened from `since` to before `until`, with any of the tags: the latest first, or with
        `query` the best.

            page = await client.events(user_id="zhangsan", query="旅行", since=datetime(2026, 1, 1))
            for event in page.events:
                print(event.at.date(), event.gist)
        """
        request = build(
            EventsQuery,
            since=since,
            until=until,
            tags=tags,
            query=query,
            limit=limit,
            cursor=cursor,
        )
        return await self._ask("events", request, required_subject(**whose), EventPage)

    # --- experience with tasks --------------------------------------------------------------

    async def record_task(
        self,
        task: str,
        *,
        steps: Sequence[Step | Mapping[str, str]] = (),
        outcome: Outcome = "unknown",
        score: float | None = None,
        when_to_use: str | None = None,
        what_to_do: str | None = None,
        lesson: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        **whose: Unpack[Whose],
    ) -> TaskOut:
        """Keep how a task was worked on, for the next one like it.

        await client.record_task(
            "deploy the service",
            steps=[{"action": "run the migrations", "result": "ok"}, {"action": "restart"}],
            outcome="success",
            agent_id="ops",
        )
        """
        request = build(
            RecordTask,
            task=task,
            steps=steps,
            outcome=outcome,
            score=score,
            when_to_use=when_to_use,
            what_to_do=what_to_do,
            lesson=lesson,
            tags=tags,
            metadata=metadata,
        )
        return await self._ask("record_task", request, required_subject(**whose), TaskOut)

    async def tasks(
        self,
        task: str | None = None,
        *,
        outcome: Outcome | None = None,
        limit: int = 10,
        cursor: str | None = None,
        **whose: Unpack[Whose],
    ) -> TaskPage:
        """What helps with a task, the best and most proven first; without one all of it, newest first."""
        request = build(TasksQuery, task=task, outcome=outcome, limit=limit, cursor=cursor)
        return await self._ask("tasks", request, required_subject(**whose), TaskPage)

    async def use_task(self, task_id: str, *, success: bool) -> TaskOut:
        """Say that an experience was used, and whether it helped. Raises NotFound."""
        return await self._ask("use_task", build(UseTask, id=task_id, success=success), None, TaskOut)

    async def update_task(
        self,
        task_id: str,
        *,
        when_to_use: str | None = None,
        what_to_do: str | None = None,
        lesson: str | None = None,
        outcome: Outcome | None = None,
        score: float | None = None,
        tags: Sequence[str] | None = None,
    ) -> TaskOut:
        """Change what is given of an experience; `delete` forgets it. Raises NotFound."""
        patch = build(
            TaskPatch,
            when_to_use=when_to_use,
            what_to_do=what_to_do,
            lesson=lesson,
            outcome=outcome,
            score=score,
            tags=tags,
        )
        return await self._ask("update_task", build(UpdateTask, id=task_id, patch=patch), None, TaskOut)

    # --- relations and entities -------------------------------------------------------------

    async def related(self, memory_id: str) -> Sequence[Relation]:
        """The memories related to one, with how. Raises NotFound."""
        return (await self._ask("related", build(ById, id=memory_id), None, Related)).relations

    async def link(
        self,
        memory_id: str,
        type: Literal["cause", "refinement", "contradiction", "same_entity"],
        other_id: str,
        *,
        remove: bool = False,
    ) -> Sequence[Relation]:
        """Relate two memories of one subject, or with `remove` no longer. Raises NotFound."""
        request = build(LinkMemory, id=memory_id, type=type, memory_id=other_id, remove=remove)
        return (await self._ask("link_memory", request, None, Related)).relations

    async def entities(
        self,
        user_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        **other: Unpack[OtherWhose],
    ) -> EntityPage:
        """People, places, organisations, products and pets that the memories name."""
        request = build(Page, limit=limit, cursor=cursor)
        return await self._ask("entities", request, required_subject(user_id=user_id, **other), EntityPage)

    async def entity(self, name: str, **whose: Unpack[Whose]) -> EntityOut:
        """One of them with its memories. Raises NotFound."""
        return await self._ask("entity", build(EntityQuery, name=name), required_subject(**whose), EntityOut)

    # --- sharing ----------------------------------------------------------------------------

    async def share(self, memory_id: str, **whose: Unpack[Whose]) -> Sequence[str]:
        """Let another subject of the project see a memory; with whom it is shared then. Raises NotFound."""
        required_subject(**whose)
        request = build(ShareMemory, id=memory_id, **whose)
        return (await self._ask("share_memory", request, None, Shares)).shares

    async def unshare(self, memory_id: str, **whose: Unpack[Whose]) -> Sequence[str]:
        """No longer let it: it is gone there at once. Raises NotFound."""
        required_subject(**whose)
        request = build(ShareMemory, id=memory_id, **whose)
        return (await self._ask("unshare_memory", request, None, Shares)).shares

    # --- topics -----------------------------------------------------------------------------

    async def profile_config(self, *, language: Literal["zh", "en"] = "en") -> ProfileConfigOut:
        """The topics of the project's profiles, and the usual ones."""
        request = build(ProfileConfigQuery, language=language)
        return await self._ask("profile_config", request, None, ProfileConfigOut)

    async def set_profile_config(
        self,
        topics: Sequence[Topic | Mapping[str, Any]] = (),
        *,
        strict: bool = False,
        max_memories_per_topic: int | None = None,
    ) -> ProfileConfigOut:
        """Replace them. An admin's key is needed.

        await client.set_profile_config([{"name": "diet", "description": "what they eat"}], strict=True)
        """
        request = build(
            ProfileConfig, topics=topics, strict=strict, max_memories_per_topic=max_memories_per_topic
        )
        return await self._ask("set_profile_config", request, None, ProfileConfigOut)
