"""What belongs to a project as a whole: how its extraction is configured, and what it has used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster.extraction_config import ExtractionConfigs
from cluster.ids import Clock
from cluster.usage import UsageReader
from cluster.wide_store.port import WideStore
from memgrid.extraction import ExtractionConfig, ExtractionConfigOut, GroupQuery, Usage, UsageQuery
from memgrid.subject import Subject

_USAGE_DAYS = 30
"""Days of usage that are told when none are named."""


class Projects:
    """Operations of a tenant. They are sent to one of its subjects (`PROJECT`), whose owner answers."""

    def __init__(self, store: WideStore, configs: ExtractionConfigs, clock: Clock) -> None:
        self._configs = configs
        self._clock = clock
        self._usage = UsageReader(store, clock)

    async def extraction_config(
        self, subject: Subject, request: GroupQuery, request_id: str
    ) -> ExtractionConfigOut:
        """What the project, or a group, has said."""
        return await self._configs.get(subject.tenant, request.group_id)

    async def set_extraction_config(
        self, subject: Subject, request: ExtractionConfig, request_id: str
    ) -> ExtractionConfigOut:
        """Replace it: runs that begin after this go by it."""
        return await self._configs.put(subject.tenant, request)

    async def usage(self, subject: Subject, request: UsageQuery, request_id: str) -> Usage:
        """Runs, tokens and cost by day."""
        last = request.to or datetime.fromtimestamp(self._clock() / 1000, UTC).date()
        first = request.from_ or last - timedelta(days=_USAGE_DAYS - 1)
        return await self._usage.read(subject.tenant, first, last)
