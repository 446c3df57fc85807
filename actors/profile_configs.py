"""What projects want profiles to be made of: stored a row a tenant, read by every run."""

from __future__ import annotations

from cluster.profile_topics import TABLE, TopicRules, usual_topics
from cluster.wide_store.port import WideStore
from memgrid.profile_config import ProfileConfig, ProfileConfigOut, ProfileConfigQuery
from memgrid.subject import Subject


class ProfileConfigs:
    """Operations of a tenant; they are sent to one of its subjects, whose owner answers."""

    def __init__(self, store: WideStore) -> None:
        self._store = store

    async def rules(self, tenant: str) -> TopicRules:
        """What the tenant's configuration says of claims, as it is now."""
        return TopicRules(await self._read(tenant))

    async def profile_config(
        self, subject: Subject, request: ProfileConfigQuery, request_id: str
    ) -> ProfileConfigOut:
        """What the project has said, and the usual topics."""
        return ProfileConfigOut(
            config=await self._read(subject.tenant), usual_topics=usual_topics(request.language)
        )

    async def set_profile_config(
        self, subject: Subject, request: ProfileConfig, request_id: str
    ) -> ProfileConfigOut:
        """Replace it: runs that begin after this go by it."""
        await self._store.put_row(TABLE, subject.tenant, request.model_dump(mode="json"))
        return ProfileConfigOut(config=request)

    async def _read(self, tenant: str) -> ProfileConfig:
        row = await self._store.get_row(TABLE, tenant)
        return ProfileConfig() if row is None else ProfileConfig.model_validate(row)
