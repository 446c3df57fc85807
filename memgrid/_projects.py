"""The client's methods on the project as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from memgrid._requests import build
from memgrid._transport import Sender
from memgrid.extraction import (
    ExtractionConfig,
    ExtractionConfigOut,
    GroupQuery,
    LlmChoice,
    Usage,
    UsageQuery,
)


class ProjectsApi(Sender):
    """Reads and changes what belongs to the project: an admin's key is needed."""

    async def extraction_config(self, *, group_id: str | None = None) -> ExtractionConfigOut:
        """What the project, or one of its groups, wants of extraction."""
        return await self._ask(
            "extraction_config", build(GroupQuery, group_id=group_id), None, ExtractionConfigOut
        )

    async def set_extraction_config(
        self,
        *,
        group_id: str | None = None,
        instructions: str | None = None,
        long_term_memory: bool | None = None,
        variables: Mapping[str, str] | None = None,
        llm: LlmChoice | Mapping[str, Any] | None = None,
    ) -> ExtractionConfigOut:
        """Replace what the project, or a group, wants of extraction; what is left out is as without it.

        await client.set_extraction_config(
            group_id="vip",
            instructions="Note what people say about their orders.",
            variables={"city": "where the user lives"},
            llm={"base_url": "https://api.example.com/v1", "model": "qwen-plus", "api_key": "…"},
        )
        """
        request = build(
            ExtractionConfig,
            group_id=group_id,
            instructions=instructions,
            long_term_memory=long_term_memory,
            variables=variables,
            llm=llm,
        )
        return await self._ask("set_extraction_config", request, None, ExtractionConfigOut)

    async def usage(self, first: date | str | None = None, last: date | str | None = None) -> Usage:
        """Extraction runs, tokens and cost by day, from `first` to `last`, both included; the last thirty
        days when neither is given."""
        request = build(UsageQuery, {"from": first, "to": last})
        return await self._ask("usage", request, None, Usage)
