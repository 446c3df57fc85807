"""The topics of a project's profiles."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.exchange import exchange, json_response
from cluster.api.language import language_of
from cluster.api.route import Section
from cluster.texts import Language
from memgrid.operations import PROJECT
from memgrid.profile_config import ProfileConfig, ProfileConfigOut, ProfileConfigQuery
from memgrid.subject import Subject


async def get_profile_config(
    request: Request, language: Annotated[Language | None, Query()] = None
) -> Response:
    """The project's own topics, and the usual ones in `language`, or the one that the caller prefers."""
    call = exchange(request)
    query = ProfileConfigQuery(language=language or language_of(request))
    return json_response(await call.ask("profile_config", Subject(call.tenant, *PROJECT), query))


async def set_profile_config(
    request: Request, body: Annotated[ProfileConfig, Body(openapi_examples=examples.PROFILE_CONFIG)]
) -> Response:
    """Replace it: topics with descriptions for the extractor, caps, and whether other topics are noted."""
    call = exchange(request)
    return json_response(await call.ask("set_profile_config", Subject(call.tenant, *PROJECT), body))


def add_routes(section: Section) -> None:
    """Put them into the section."""
    path = "/config/profile"
    section.reads.get(path, response_model=ProfileConfigOut, summary="Topics of profiles")(get_profile_config)
    section.admin.put(path, response_model=ProfileConfigOut, summary="Configure the topics of profiles")(
        set_profile_config
    )
