"""The route class: who may use it, and how its body is read, before FastAPI sees the request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ClassVar

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from cluster.api.body import ParsedRequest, check_content_type, parse_json
from cluster.api.errors import documented
from cluster.api.exchange import exchange
from cluster.api.parameters import Parameters
from cluster.security import Role
from memgrid.errors import InvalidInput


class Route(APIRoute):
    """A route that checks the caller's role, then reads the body within the limits."""

    role: ClassVar[Role | None] = None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI's "Custom Request and APIRoute class"."""
        answer = super().get_route_handler()
        operation, role, has_body = self.name, self.role, self.body_field is not None
        known = frozenset(_query_names(self.dependant))

        async def handle(request: Request) -> Response:
            call = exchange(request)
            call.operation = operation
            if role is not None:
                await call.admit(request, role)
            if request.scope["query_string"] and (unknown := request.query_params.keys() - known):
                name = min(unknown)
                raise InvalidInput(
                    f"{name}: unknown query parameter", field=name, remedy="leave it out; /docs lists them"
                )
            if has_body:
                raw = await call.body.read(request.headers.get("content-length"), request.receive)
                if raw:
                    check_content_type(request.headers.get("content-type"))
                    value = parse_json(raw, call.services.settings.max_json_depth)
                    request = ParsedRequest(request, raw, value)
                else:
                    request = ParsedRequest(request, raw, None)
            return await answer(request)

        return handle


def _query_names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a route; those in a model are the model's fields."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, Parameters):
            yield from model.model_fields
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _query_names(inner)


class OpenRoute(Route):
    """Anyone may call it."""


class ReaderRoute(Route):
    """Reads memories."""

    role = "reader"


class WriterRoute(Route):
    """Adds, changes and deletes memories and messages."""

    role = "writer"


class AdminRoute(Route):
    """Erases whole subjects."""

    role = "admin"


class Section:
    """Routes with a common prefix and tag, sorted by who may use them."""

    def __init__(self, prefix: str, tag: str, *, shown: bool = True) -> None:
        """`shown` says whether the OpenAPI document has them."""

        def router(route_class: type[Route], *statuses: int) -> APIRouter:
            return APIRouter(
                prefix=prefix,
                tags=[tag],
                route_class=route_class,
                responses=documented(*statuses),
                include_in_schema=shown,
                generate_unique_id_function=operation_id,
            )

        self.probes = router(OpenRoute)
        self.reads = router(ReaderRoute)
        self.writes = router(WriterRoute, 409, 413, 415)
        self.admin = router(AdminRoute, 409, 413, 415)

    @property
    def routes(self) -> list[BaseRoute]:
        """All of them. Taken over one by one: FastAPI's `include_router` costs time in every request."""
        return [
            route for router in (self.probes, self.reads, self.writes, self.admin) for route in router.routes
        ]


def operation_id(route: APIRoute) -> str:
    """The name of the function: clients are generated from it."""
    return route.name
