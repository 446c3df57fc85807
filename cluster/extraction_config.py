"""What tenants and their groups want of extraction: small rows, the group's before the tenant's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cluster.outbound import check_url
from cluster.pipeline.port import Brief, EndpointChoice
from cluster.secret_box import SecretBox
from cluster.wide_store.port import WideStore
from memgrid.errors import InvalidInput
from memgrid.extraction import ExtractionConfig, ExtractionConfigOut, LlmChoice, LlmChoiceOut

_TABLE = "extraction_config"


class _Llm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    base_url: str
    model: str
    api_key: str | None = None
    """Sealed."""
    temperature: float | None = None
    max_tokens: int | None = None


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None: not said here."""

    instructions: str | None = None
    long_term_memory: bool | None = None
    variables: dict[str, str] | None = None
    llm: _Llm | None = None


class ExtractionConfigs:
    """Reads and changes the rows; API keys are sealed on the way in, and opened only for a run."""

    def __init__(self, store: WideStore, secrets: SecretBox, *, private_endpoints: bool) -> None:
        """`private_endpoints` lets tenants name addresses inside the operator's network."""
        self._store = store
        self._secrets = secrets
        self._private_endpoints = private_endpoints

    async def brief(self, tenant: str, group: str | None, summaries: Mapping[str, str]) -> Brief:
        """What is wanted of an extraction for this group. Raises Unavailable where a stored key cannot be
        opened: another model must not take its place unnoticed."""
        whole = await self._row(tenant, None)
        own = await self._row(tenant, group) if group is not None else _Row()
        llm, whose = (own.llm, group) if own.llm is not None else (whole.llm, None)
        endpoint: EndpointChoice | None = None
        if llm is not None:
            key = llm.api_key
            endpoint = EndpointChoice(
                base_url=llm.base_url,
                model=llm.model,
                api_key=None if key is None else self._secrets.open(key, _key(tenant, whose)),
                temperature=llm.temperature,
                max_tokens=llm.max_tokens,
            )
        long_term = whole.long_term_memory if own.long_term_memory is None else own.long_term_memory
        return Brief(
            tenant=tenant,
            instructions="\n".join(filter(None, (whole.instructions, own.instructions))) or None,
            variables={**(whole.variables or {}), **(own.variables or {})},
            long_term=long_term is not False,
            summaries=summaries,
            endpoint=endpoint,
        )

    async def get(self, tenant: str, group: str | None) -> ExtractionConfigOut:
        """What is stored for the tenant or group."""
        row = await self._row(tenant, group)
        llm = row.llm
        return ExtractionConfigOut(
            group_id=group,
            instructions=row.instructions,
            long_term_memory=row.long_term_memory,
            variables=row.variables,
            llm=None
            if llm is None
            else LlmChoiceOut(
                base_url=llm.base_url,
                model=llm.model,
                has_api_key=llm.api_key is not None,
                temperature=llm.temperature,
                max_tokens=llm.max_tokens,
            ),
        )

    async def put(self, tenant: str, config: ExtractionConfig) -> ExtractionConfigOut:
        """Replace what is stored. Raises InvalidInput for a forbidden endpoint, or an API key where there is
        nothing to encrypt it with."""
        group = config.group_id
        row = _Row(
            instructions=(config.instructions or "").strip() or None,
            long_term_memory=config.long_term_memory,
            variables=config.variables,
            llm=None if config.llm is None else await self._sealed(tenant, group, config.llm),
        )
        await self._store.put_row(_TABLE, _key(tenant, group), msgspec.to_builtins(row))
        return await self.get(tenant, group)

    async def _sealed(self, tenant: str, group: str | None, llm: LlmChoice) -> _Llm:
        if not self._private_endpoints:
            await check_url(llm.base_url)
        if llm.api_key is not None:
            key = self._secrets.seal(llm.api_key.get_secret_value(), _key(tenant, group))
        else:
            # A key goes to the address it was given for, and to no other.
            before = (await self._row(tenant, group)).llm
            key = before.api_key if before is not None and before.base_url == llm.base_url else None
        return _Llm(
            base_url=llm.base_url,
            model=llm.model,
            api_key=key,
            temperature=llm.temperature,
            max_tokens=llm.max_tokens,
        )

    async def _row(self, tenant: str, group: str | None) -> _Row:
        row: dict[str, Any] | None = await self._store.get_row(_TABLE, _key(tenant, group))
        return _Row() if row is None else msgspec.convert(row, _Row)


def _key(tenant: str, group: str | None) -> str:
    """A tenant's name has no NUL in it, so no two have the same."""
    if group is None:
        return tenant
    if not group:
        raise InvalidInput("a group has a name", field="group_id")
    return f"{tenant}\0{group}"
