"""The route class: who may use it, and how its body is read, before FastAPI sees the request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, ClassVar, get_args, get_origin

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from cluster.api.body import ParsedRequest, check_content, parse_json
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
        known = dict(_query_names(self.dependant))

        async def handle(request: Request) -> Response:
            call = exchange(request)
            call.operation = operation
            if role is not None:
                await call.admit(request, role)
            if request.scope["query_string"]:
                _check_query(request.query_params, known)
            if has_body:
                raw = await call.body.read(request.headers.get("content-length"), request.receive)
                if raw:
                    check_content(request.headers)
                    value = parse_json(raw, call.services.settings.max_json_depth)
                    request = ParsedRequest(request, raw, value)
                else:
                    request = ParsedRequest(request, raw, None)
            return await answer(request)

        return handle


def _check_query(sent: QueryParams, known: Mapping[str, bool]) -> None:
    """Raises InvalidInput for a parameter that the route has not, or has once."""
    if unknown := sent.keys() - known.keys():
        name = min(unknown)
        raise InvalidInput(
            f"{name}: unknown query parameter", field=name, remedy="leave it out; /docs lists them"
        )
    for name in sent:
        if not known[name] and len(sent.getlist(name)) > 1:
            raise InvalidInput(f"{name}: it is there more than once", field=name, remedy="give it once")


def _query_names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The query parameters of a route, and whether they may be repeated; those in a model are its fields."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, Parameters):
            yield from ((name, _is_list(field.annotation)) for name, field in model.model_fields.items())
        else:
            yield parameter.alias, _is_list(model)
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(kind) is list for kind in (annotation, *get_args(annotation)))


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
