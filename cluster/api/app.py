"""The application: routes, errors, and the ingress around them that numbers, times and logs requests."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.api import documents, health, jobs, kinds, memories, profile_config, projects, subjects
from cluster.api.body import BodyBudget, ClientGone
from cluster.api.errors import MethodNotAllowed, error_response, from_validation
from cluster.api.exchange import REQUEST_ID_HEADER, SCOPE_KEY, Exchange, Services, exchange
from cluster.api.health_check import HealthCheck
from cluster.api.language import ERROR_PREFIX, language_of
from cluster.api.metrics import UNMATCHED, Metrics
from cluster.api.route import Section
from cluster.ids import Clock, system_clock
from cluster.logs import get_log
from cluster.search_index.port import SearchIndex
from cluster.security import KeyRing
from cluster.settings import Settings
from cluster.texts import text
from cluster.wide_store.port import WideStore
from memgrid.errors import InternalError, InvalidInput, MemgridError, NotFound
from memgrid.routing import Router
from memgrid.subject import SUBJECT_KINDS

PREFIX: Final = "/api/v1"
_CLIENT_CLOSED: Final = 499
"""Logged and counted when the client hung up; nobody sees it."""
_DESCRIPTION: Final = """\
Conversations in, memories out.

Whose memory it is is said with `user_id`, `agent_id`, `app_id` or `run_id`: the first given in that order
is the subject, and all given are labels. Everything under `/users/{user_id}/` also exists under `/agents/`,
`/apps/` and `/runs/`, and without a place in the path: `/messages?agent_id=…`. Times are ISO 8601 in UTC.
Errors have one shape, and name the field and the remedy. A 422 says what to change; after a 429 or 503 the
same request may be sent again when `Retry-After` is over.
"""


def create_app(
    router: Router,
    store: WideStore,
    index: SearchIndex,
    settings: Settings,
    *,
    replica: str = "0",
    clock: Clock = system_clock,
    monotonic: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The HTTP API over shard actors and opened stores. `replica` names this process in its metrics."""
    services = Services(
        router=router,
        store=store,
        search_index=index,
        settings=settings,
        keys=KeyRing(store, clock=monotonic),
        metrics=Metrics(replica),
        bodies=BodyBudget(settings.max_body_bytes),
        health=HealthCheck(router, store, index, clock=clock, monotonic=monotonic),
        log=get_log(replica=replica),
    )
    app = FastAPI(
        title="memgrid",
        summary="Memory for agents.",
        description=_DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    _add_docs(app)
    app.router.routes.extend(_routes())
    app.add_exception_handler(MemgridError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(Ingress, services=services)
    app.openapi = lambda: _openapi(app)
    return app


def _add_docs(app: FastAPI) -> None:
    """/docs, with its scripts from here: where the network ends FastAPI's own page stays blank."""
    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    def docs(request: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/swagger/favicon-32x32.png",
        )

    def root(request: Request) -> Response:
        return RedirectResponse("/docs")

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/", root, include_in_schema=False)


@functools.cache
def _routes() -> Sequence[BaseRoute]:
    """All routes. They know nothing of one application, and FastAPI keeps every function that it has seen:
    so they are made once in a process."""
    return [route for section in _sections() for route in section.routes]


def _sections() -> Iterator[Section]:
    """The routes, in the order in which they are tried."""
    native = Section(PREFIX, "memories")
    # Before /memories/{id}/history: a user may be called "history".
    subjects.add_context(native, "/memories/context/{user_id}", subjects.in_path("user"))
    memories.add_routes(native)
    documents.add_routes(native)
    kinds.add_by_id(native)
    yield native
    by_query = Section(PREFIX, "subjects", shown=False)
    subjects.add_routes(by_query, subjects.in_query)
    kinds.add_of_subject(by_query, subjects.in_query)
    yield by_query
    for kind in SUBJECT_KINDS:
        naming = subjects.in_path(kind)
        path = f"{PREFIX}/{kind}s/{{{kind}_id}}"
        by_path = Section(path, "users", shown=kind == "user")
        subjects.add_routes(by_path, naming)
        kinds.add_of_subject(by_path, naming)
        subjects.add_whole_subject(by_path, naming)
        yield by_path
        context = Section(path, "users", shown=False)
        subjects.add_context(context, "/context", naming)
        yield context
    by_id = Section(PREFIX, "jobs and runs")
    jobs.add_routes(by_id)
    yield by_id
    project = Section(PREFIX, "project")
    projects.add_routes(project)
    profile_config.add_routes(project)
    yield project
    probes = Section("", "health")
    health.add_routes(probes)
    yield probes


class Ingress:
    """Pure ASGI: gives each request its exchange, and logs and counts it when it is over."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._in_flight = services.metrics.in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = scope[SCOPE_KEY] = Exchange(self._services)
        asked = scope
        head = scope["method"] == "HEAD"
        if head:  # What GET answers, without its body: load balancers and uptime checks ask so.
            scope = {**scope, "method": "GET"}
        identified = (REQUEST_ID_HEADER.lower().encode(), call.request_id.encode())

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message.get("headers", ()), identified]
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        self._in_flight.inc()
        try:
            try:
                _tidy_url(scope)
            except InvalidInput as error:
                await error_response(error, call.request_id)(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except ClientGone:
            call.status = _CLIENT_CLOSED
        except Exception as error:  # noqa: BLE001 (the outermost loop of a request)
            self._log_defect(call, error)
            if not call.status:
                problem = InternalError(
                    "memgrid failed", remedy="the log has the details under the request_id"
                )
                await error_response(problem, call.request_id)(scope, receive, answer)
        finally:
            call.body.release()
            self._in_flight.dec()
            self._finish(call, asked)

    def _finish(self, call: Exchange, scope: Scope) -> None:
        seconds = time.perf_counter() - call.started
        status = call.status or _CLIENT_CLOSED
        operation = call.operation or UNMATCHED
        self._services.metrics.observe(operation, scope["method"], status, seconds)
        log = self._services.log
        write = log.warning if status >= 500 else log.info
        fields: dict[str, Any] = {"client_request_id": sent} if (sent := _sent_request_id(scope)) else {}
        if call.principal is not None:
            fields |= {"tenant": call.principal.tenant, "key": call.principal.key_id}
        write(
            "request",
            operation=operation,
            method=scope["method"],
            status=status,
            duration_ms=round(seconds * 1000, 3),
            request_id=call.request_id,
            **fields,
        )

    def _log_defect(self, call: Exchange, error: Exception) -> None:
        # The message of an unexpected error may quote what a user said: only its type and place are kept.
        self._services.log.error(
            "unexpected error",
            operation=call.operation,
            request_id=call.request_id,
            error=type(error).__name__,
            traceback="".join(traceback.format_tb(error.__traceback__)),
        )


def _sent_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value[:128].decode("latin-1")
    return None


def _tidy_url(scope: Scope) -> None:
    """Refuse URLs that are not text, and bring an escaped "/" in an id past the routes as a NUL.

    Raises InvalidInput; servers and frameworks would put U+FFFD where the bytes are not UTF-8.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0]
    for part, where in ((raw, "path"), (scope["query_string"], "query")):
        if b"%" not in part and part.isascii():
            continue
        plain = unquote_to_bytes(part)
        if b"\0" in plain:
            raise InvalidInput(f"the {where} has a NUL character", field=where, remedy="remove it")
        try:
            plain.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"the {where} is not UTF-8", field=where, remedy="escape text as UTF-8"
            ) from error
    if b"%2f" in raw.lower():
        marked = raw.replace(b"%2f", b"%00").replace(b"%2F", b"%00")
        scope["path"] = unquote_to_bytes(marked).decode()


async def _on_error(request: Request, error: Exception) -> Response:
    call = exchange(request)
    prefix = ERROR_PREFIX.get(call.operation or "")
    return error_response(
        cast("MemgridError", error),
        call.request_id,
        prefix=text(prefix, language_of(request)) if prefix else None,
    )


async def _on_validation_error(request: Request, error: Exception) -> Response:
    return await _on_error(request, from_validation(cast("RequestValidationError", error).errors()))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    if refused.status_code == 405:
        problem: MemgridError = MethodNotAllowed(
            f"{request.method} is not possible here", remedy="/docs lists the methods"
        )
    elif refused.status_code == 404:
        problem = NotFound("there is no such route", remedy="/docs lists the routes")
    else:
        problem = InvalidInput(refused.detail)
    response = await _on_error(request, problem)
    response.headers.update(refused.headers or {})
    return response


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with how keys are sent."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        document.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema
