"""Texts that nobody said: documents, and notes made by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from starlette.requests import Request
from starlette.responses import Response

from cluster.api import examples
from cluster.api.exchange import Whose, exchange, json_response
from cluster.api.route import Section
from memgrid.kinds import Document
from memgrid.models import AddResult


async def add_document(
    request: Request, body: Annotated[Document, Body(openapi_examples=examples.DOCUMENT)]
) -> Response:
    """Keep a text in parts of a few hundred tokens, each a note with its place in the text. With a
    `document_id` sending it again changes nothing; another text under the same id is a 409.
    """
    call = exchange(request)
    whose = Whose(body.user_id, body.agent_id, body.app_id, body.run_id)
    return json_response(await call.ask("add_document", whose.subject(call.tenant), body))


def add_routes(section: Section) -> None:
    """Put them into the section."""
    section.writes.post("/documents", response_model=AddResult, summary="Add a document")(add_document)
