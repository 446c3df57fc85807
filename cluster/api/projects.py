"""The project as a whole: how its extraction is configured, and what it has used."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Body, Query
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.exchange import exchange, json_response
from cluster.api.route import Section
from memgrid.extraction import ExtractionConfig, ExtractionConfigOut, GroupQuery, Usage, UsageQuery
from memgrid.models import Identifier
from memgrid.operations import PROJECT
from memgrid.subject import Subject


async def get_extraction_config(
    request: Request, group_id: Annotated[Identifier | None, Query(examples=["vip"])] = None
) -> Response:
    """What the project, or one of its groups, wants of extraction: null where it says nothing."""
    call = exchange(request)
    query = GroupQuery(group_id=group_id)
    return json_response(await call.ask("extraction_config", Subject(call.tenant, *PROJECT), query))


async def set_extraction_config(
    request: Request,
    body: Annotated[ExtractionConfig, Body(openapi_examples=examples.EXTRACTION_CONFIG)],
) -> Response:
    """Replace it: instructions, variables to look for, whether anything else is extracted, an LLM of the
    project's own. A group's goes before the project's, the project's before the server's settings.
    """
    call = exchange(request)
    return json_response(await call.ask("set_extraction_config", Subject(call.tenant, *PROJECT), body))


async def get_usage(
    request: Request,
    first: Annotated[date | None, Query(alias="from", examples=["2026-11-01"])] = None,
    last: Annotated[date | None, Query(alias="to", examples=["2026-11-30"])] = None,
) -> Response:
    """Extraction runs, tokens and cost by day in UTC, both days included: sums over the runs themselves.
    `to` is today unless given, and `from` 29 days before it."""
    call = exchange(request)
    query = UsageQuery(from_=first, to=last)
    return json_response(await call.ask("usage", Subject(call.tenant, *PROJECT), query))


def add_routes(section: Section) -> None:
    """Put them into the section."""
    reads = section.reads
    path = "/config/extraction"
    reads.get(path, response_model=ExtractionConfigOut, summary="Configuration of extraction")(
        get_extraction_config
    )
    section.admin.put(path, response_model=ExtractionConfigOut, summary="Configure extraction")(
        set_extraction_config
    )
    reads.get("/usage", response_model=Usage, summary="Usage and cost by day")(get_usage)
