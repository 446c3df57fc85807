"""One request on its way: who asks, under which id, and how to ask the owner for it."""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from cluster.api.body import BodyBudget, BodyReader
from cluster.api.health_check import HealthCheck
from cluster.api.metrics import Metrics
from cluster.ids import new_id
from cluster.logs import Log
from cluster.model import Labels
from cluster.search_index.port import SearchIndex
from cluster.security import KeyRing, Principal, Role, is_loopback
from cluster.settings import Settings
from cluster.wide_store.port import WideStore
from memgrid.errors import Forbidden, InvalidInput, NotFound
from memgrid.routing import Call, Router
from memgrid.subject import SUBJECT_KINDS, Subject, SubjectKind

SCOPE_KEY: Final = "memgrid"
REQUEST_ID_HEADER: Final = "X-Memgrid-Request-ID"
"""Not X-Request-ID: Serve puts the client's own one, or one of its making, into that header."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Services(NamedTuple):
    """What the routes work with."""

    router: Router
    store: WideStore
    search_index: SearchIndex
    settings: Settings
    keys: KeyRing
    metrics: Metrics
    bodies: BodyBudget
    health: HealthCheck
    log: Log


class Exchange:
    """A request and what is known of it; `exchange(request)` finds it."""

    __slots__ = ("body", "operation", "principal", "request_id", "services", "started", "status")

    def __init__(self, services: Services) -> None:
        self.services = services
        self.request_id = new_id()
        self.started = time.perf_counter()
        self.principal: Principal | None = None
        self.operation: str | None = None
        self.body = BodyReader(services.bodies)
        self.status = 0

    async def admit(self, request: Request, role: Role) -> None:
        """Find out who is calling. Raises Unauthenticated, Forbidden."""
        headers = request.headers
        principal = await self.services.keys.authenticate(
            headers.get("authorization"), headers.get("x-api-key")
        )
        if principal.key_id is None and not is_loopback(_host_of(headers.get("host", ""))):
            # A web page can make a browser call 127.0.0.1 under a name of its own (DNS rebinding).
            raise Forbidden(
                "without API keys memgrid answers only as localhost",
                field="Host",
                remedy="create a key with `memgrid keys create`, or call it by its loopback address",
            )
        principal.require(role)
        self.principal = principal

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        if self.principal is None:
            raise RuntimeError("this route admits nobody")
        return self.principal.tenant

    async def ask(
        self, operation: str, subject: Subject, request: BaseModel, *, timeout: float | None = None
    ) -> bytes:
        """The owner's answer as JSON. Raises the owner's error."""
        limit = self.services.settings.request_timeout_seconds if timeout is None else timeout
        return await self.services.router.call(
            Call(operation, subject, request, self.request_id), timeout=limit
        )

    async def owner_of_memory(self, memory_id: str) -> Subject:
        """Whose memory it is. Raises NotFound for no one's and for another tenant's alike."""
        subject = (
            await self.services.store.resolve_memory(self.tenant, memory_id)
            if _UUID.fullmatch(memory_id)
            else None
        )
        if subject is None:
            raise NotFound("there is no such memory", field="id")
        return subject

    async def owner_of_run(self, run_id: str) -> Subject:
        """Whose extraction run it is. Raises NotFound."""
        subject = (
            await self.services.store.resolve_run(self.tenant, run_id) if _UUID.fullmatch(run_id) else None
        )
        if subject is None:
            raise NotFound("there is no such extraction run", field="id")
        return subject


class Whose(NamedTuple):
    """The ids a request names; the first given is the subject, all given are labels."""

    user: str | None = None
    agent: str | None = None
    app: str | None = None
    run: str | None = None

    @property
    def labels(self) -> Labels:
        """What is given, by kind."""
        return {kind: value for kind, value in zip(SUBJECT_KINDS, self, strict=True) if value is not None}

    @property
    def kind(self) -> SubjectKind:
        """The subject's kind. Raises InvalidInput when nobody is named."""
        for kind, value in zip(SUBJECT_KINDS, self, strict=True):
            if value is not None:
                return kind
        raise InvalidInput(
            "whose memory is meant?", field="user_id", remedy="give one of user_id, agent_id, app_id, run_id"
        )

    def subject(self, tenant: str) -> Subject:
        """The subject. Raises InvalidInput when nobody is named."""
        kind = self.kind
        return Subject(tenant, kind, self.labels[kind])


def exchange(request: Request) -> Exchange:
    """The exchange that the ingress made of this request."""
    return request.scope[SCOPE_KEY]


def json_response(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON that is written already, passed on as it is."""
    return Response(body, status, headers, "application/json")


def _host_of(header: str) -> str:
    """The host without its port: `[::1]:8005`, `localhost:8005`, `127.0.0.1`."""
    if header.startswith("["):
        return header.partition("]")[0][1:]
    return header.partition(":")[0]
