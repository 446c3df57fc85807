"""Cassandra as coroutines: the one place where the driver's futures become the event loop's.

The driver answers on a thread of its own. What it brings is put in a box, and the event loop is woken once
for all that is in there; no thread is spent on a call. Requests in flight are bounded. Plain statements are
idempotent: the driver may send them again to another node, and to a second one at the same time when the
first is slow. Conditional ones are sent once; when their outcome is unknown the caller is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    UnresolvableContactPoints,
)
from cassandra import Unavailable as TooFewReplicas
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
    Session,
)
from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    NoSpeculativeExecutionPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement, tuple_factory

from memgrid.errors import InternalError, MemgridError, Overloaded, PayloadTooLarge, Unavailable

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]
"""A named statement and its values."""

MAX_WAITING = 50_000
PAGE_ROWS = 5000
_PROTOCOL = 5
"""Cassandra 4 and later."""
_CONDITIONAL = "conditional"
_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_TABLE = re.compile(
    r"((?:(?:CREATE|ALTER) TABLE|FROM|INTO|UPDATE)\s+(?:IF NOT EXISTS\s+)?)(?!system\.)(\w+)(?=[\s(;]|$)"
)
_DRIVER_ERRORS = (
    DriverException,
    ErrorMessage,
    NoHostAvailable,
    ConnectionException,
    ConnectionBusy,
    ProtocolError,
    OSError,
)


class OutcomeUnknown(Unavailable):
    """A conditional write may or may not have been applied, or may yet be."""


class CassandraOptions(NamedTuple):
    """How to reach Cassandra, and what to ask of it."""

    contact_points: Sequence[str]
    port: int = 9042
    keyspace: str = "memgrid"
    local_dc: str | None = None
    """Unset: that of the first contact point."""
    replication: str | None = None
    """`dc:replicas` pairs; unset: the local datacentre with three, or as many as it has nodes."""
    consistency: Literal["local_quorum", "quorum"] = "local_quorum"
    username: str | None = None
    password: str | None = None
    tls: bool = False
    """Also when any of the files below is given."""
    ca: Path | None = None
    """The authorities that the nodes' certificates are checked with; unset: the system's."""
    certificate: Path | None = None
    key: Path | None = None
    tls_verify: bool = True
    timeout: float = 10.0
    """Seconds for one request, its retries included."""
    connect_timeout: float = 10.0
    max_in_flight: int = 1024
    speculative_delay: float | None = 0.5
    """Seconds after which an idempotent request is sent to a second node as well."""


@functools.cache
def statements() -> dict[str, str]:
    """The statements of `cql/statements.cql` by name."""
    text = resources.files("cluster.wide_store").joinpath("cql", "statements.cql").read_text("utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}


def in_keyspace(statement: str, keyspace: str) -> str:
    """The statement with its table's name qualified: the files have them bare."""
    return _TABLE.sub(rf"\g<1>{keyspace}.\g<2>", statement)


class _RetryIdempotent(RetryPolicy):
    """Once more, on another node, whatever went wrong: the same values at the same timestamps."""

    def _once(self, *_: Any, retry_num: int, **__: Any) -> Any:
        return (self.RETRY_NEXT_HOST if retry_num == 0 else self.RETHROW), None

    on_read_timeout = on_write_timeout = on_unavailable = _once  # pyright: ignore[reportAssignmentType]

    def on_request_error(self, query: Any, consistency: Any, error: Any, retry_num: int) -> Any:
        """Also for nodes that are down: the driver goes through those of the query's plan, once each."""
        return self.RETRY_NEXT_HOST, None


class _Box:
    """One event loop's side: its requests in flight, and answers on their way from the driver's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.in_flight = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._answers: deque[Callable[[], None]] = deque()
        self._woken = False

    async def enter(self, limit: int) -> None:
        """Wait until fewer than `limit` requests are in flight; then there is one more. Raises Overloaded."""
        if self.in_flight < limit:
            self.in_flight += 1
            return
        if len(self.waiting) >= MAX_WAITING:
            raise Overloaded("too many requests wait for Cassandra", retry_after=1.0)
        turn: asyncio.Future[None] = self.loop.create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_flight -= 1

    def put(self, answer: Callable[[], None]) -> None:
        """Called on the driver's thread."""
        self._answers.append(answer)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # first: what is put from now on wakes the loop again
        while self._answers:
            self._answers.popleft()()


class CassandraConnection:
    """One session with a cluster: connected by `open`, which may be called again while it is open."""

    def __init__(self, options: CassandraOptions) -> None:
        self.options = options
        quorum = options.consistency == "quorum"
        self._consistency = ConsistencyLevel.QUORUM if quorum else ConsistencyLevel.LOCAL_QUORUM
        self._serial = ConsistencyLevel.SERIAL if quorum else ConsistencyLevel.LOCAL_SERIAL
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._box: _Box | None = None

    # opening and closing

    @property
    def is_open(self) -> bool:
        return self._session is not None

    @property
    def session(self) -> Session | None:
        """The driver's own, once open."""
        return self._session

    async def open(self) -> None:
        """Connect, without a keyspace. Raises Unavailable."""
        if self._session is None:
            await asyncio.to_thread(self._open)

    def _open(self) -> None:
        options = self.options
        routing = TokenAwarePolicy(DCAwareRoundRobinPolicy(options.local_dc or ""))
        speculative = NoSpeculativeExecutionPolicy()
        if options.speculative_delay is not None:
            speculative = ConstantSpeculativeExecutionPolicy(options.speculative_delay, 1)

        def profile(retry: RetryPolicy, speculation: Any) -> ExecutionProfile:
            return ExecutionProfile(
                load_balancing_policy=routing,
                retry_policy=retry,
                consistency_level=self._consistency,
                serial_consistency_level=self._serial,
                request_timeout=options.timeout,
                row_factory=tuple_factory,
                speculative_execution_policy=speculation,
            )

        login = None
        if options.username is not None:
            login = PlainTextAuthProvider(options.username, options.password or "")
        cluster = Cluster(
            contact_points=list(options.contact_points),
            port=options.port,
            protocol_version=_PROTOCOL,
            auth_provider=login,
            ssl_context=_ssl_context(options),
            execution_profiles={
                EXEC_PROFILE_DEFAULT: profile(_RetryIdempotent(), speculative),
                _CONDITIONAL: profile(FallthroughRetryPolicy(), NoSpeculativeExecutionPolicy()),
            },
            reconnection_policy=ConstantReconnectionPolicy(1.0, None),  # pyright: ignore[reportArgumentType]
            connect_timeout=options.connect_timeout,  # pyright: ignore[reportArgumentType]
            control_connection_timeout=options.connect_timeout,
            idle_heartbeat_interval=5,
            idle_heartbeat_timeout=5,
        )
        try:
            self._session = cluster.connect()
        except (*_DRIVER_ERRORS, UnresolvableContactPoints) as error:
            cluster.shutdown()
            raise _mapped(error, "Cassandra cannot be reached") from error
        self._session.default_fetch_size = PAGE_ROWS
        self._cluster = cluster

    async def use_keyspace(self) -> None:
        """Prepare every statement in the options' keyspace."""
        if not self._prepared:
            await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        session = self._opened()
        try:
            for name, statement in statements().items():
                prepared = session.prepare(in_keyspace(statement, self.options.keyspace))
                prepared.is_idempotent = True
                self._prepared[name] = prepared
        except _DRIVER_ERRORS as error:
            self._prepared.clear()
            raise _mapped(error, "the statements cannot be prepared") from error

    async def close(self) -> None:
        cluster, self._cluster, self._session = self._cluster, None, None
        self._prepared.clear()
        if cluster is not None:
            await asyncio.to_thread(cluster.shutdown)

    def _opened(self) -> Session:
        if self._session is None:
            raise Unavailable("the connection to Cassandra is not open")
        return self._session

    @property
    def datacentres(self) -> dict[str, int]:
        """The datacentres of the cluster, and how many nodes each has."""
        found: dict[str, int] = {}
        for host in self._metadata().all_hosts():
            found[host.datacenter] = found.get(host.datacenter, 0) + 1
        return found

    @property
    def local_dc(self) -> str:
        """The configured one, or that of the node the driver found first."""
        if self.options.local_dc is not None:
            return self.options.local_dc
        host: Any = None if self._cluster is None else self._cluster.get_control_connection_host()
        return next(iter(self.datacentres)) if host is None else host.datacenter

    def _metadata(self) -> Any:
        if self._cluster is None:
            raise Unavailable("the connection to Cassandra is not open")
        return self._cluster.metadata

    # requests

    async def rows(
        self, name: str, *values: Any, serial: bool = False, page_rows: int = PAGE_ROWS
    ) -> list[Row]:
        """All rows, page after page. `serial` also finishes a conditional write that is under way."""
        bound = self._bind(name, values)
        bound.fetch_size = page_rows
        if serial:
            bound.consistency_level = self._serial
        return await self._send(bound, EXEC_PROFILE_DEFAULT)

    async def row(self, name: str, *values: Any, serial: bool = False) -> Row | None:
        """The first row, or None."""
        found = await self.rows(name, *values, serial=serial)
        return found[0] if found else None

    async def run(self, name: str, *values: Any) -> None:
        """A plain write."""
        await self._send(self._bind(name, values), EXEC_PROFILE_DEFAULT)

    async def batch(self, writes: Sequence[Statement]) -> None:
        """Plain writes to one partition, together."""
        if len(writes) == 1:
            await self.run(writes[0][0], *writes[0][1])
        elif writes:
            await self._send(self._batch(writes, idempotent=True), EXEC_PROFILE_DEFAULT)

    async def conditional(self, writes: Sequence[Statement]) -> bool:
        """Writes to one partition, applied together if their conditions hold. Raises OutcomeUnknown."""
        found = await self._send(self._batch(writes, idempotent=False), _CONDITIONAL)
        return bool(found[0][0])

    async def execute(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """A statement that is run once in a while, by its text: the schema's."""
        session = self._opened()
        try:
            return list(await asyncio.to_thread(session.execute, statement, tuple(values) or None))
        except _DRIVER_ERRORS as error:
            raise _mapped(error, "Cassandra refused a statement") from error

    async def ask_each_node(self, statement: str) -> dict[str, list[Row]]:
        """The answers of all nodes that are up, by address: about themselves."""
        session = self._opened()
        hosts = [host for host in self._metadata().all_hosts() if host.is_up]

        def ask() -> dict[str, list[Row]]:
            return {str(host.address): list(session.execute(statement, host=host)) for host in hosts}

        try:
            return await asyncio.to_thread(ask)
        except _DRIVER_ERRORS as error:
            raise _mapped(error, "a node does not answer") from error

    def _bind(self, name: str, values: Sequence[Any]) -> BoundStatement:
        prepared = self._prepared.get(name)
        if prepared is None:
            raise Unavailable("the store is not open")
        return prepared.bind(values)

    def _batch(self, writes: Sequence[Statement], *, idempotent: bool) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED)
        for name, values in writes:
            batch.add(self._bind(name, values))
        batch.is_idempotent = idempotent
        return batch

    async def _send(self, statement: BoundStatement | BatchStatement, profile: Any) -> list[Row]:
        session = self._opened()
        loop = asyncio.get_running_loop()
        box = self._box
        if box is None or box.loop is not loop:
            box = self._box = _Box(loop)
        await box.enter(self.options.max_in_flight)
        try:
            response = session.execute_async(statement, execution_profile=profile)
        except BaseException:
            box.leave()
            raise
        exchange = _Exchange(loop.create_future(), box)
        exchange.start(response)
        try:
            return await exchange.answer
        except _DRIVER_ERRORS as error:
            if profile == _CONDITIONAL and not isinstance(error, TooFewReplicas | InvalidRequest):
                raise OutcomeUnknown(
                    f"it is unknown whether a write was applied: {_told(error)}",
                    remedy="send the same request again",
                    retry_after=1.0,
                ) from error
            raise _mapped(error, "Cassandra failed") from error


class _Exchange:
    """One request and all pages of its answer."""

    def __init__(self, answer: asyncio.Future[list[Row]], box: _Box) -> None:
        self.answer = answer
        self._box = box
        self._rows: list[Row] = []
        self._response: ResponseFuture

    def start(self, response: ResponseFuture) -> None:
        self._response = response
        response.add_callbacks(self._on_page, self._on_error)

    # on the driver's thread

    def _on_page(self, page: Any) -> None:
        if page:
            self._rows += page
        if self._response.has_more_pages and not self.answer.cancelled():
            self._response.start_fetching_next_page()
        else:
            self._box.put(self._finish)

    def _on_error(self, error: Exception) -> None:
        self._box.put(functools.partial(self._fail, error))

    # on the event loop

    def _finish(self) -> None:
        self._box.leave()
        if not self.answer.done():
            self.answer.set_result(self._rows)

    def _fail(self, error: Exception) -> None:
        self._box.leave()
        if not self.answer.done():
            self.answer.set_exception(error)


def _ssl_context(options: CassandraOptions) -> ssl.SSLContext | None:
    if not (options.tls or options.ca or options.certificate):
        return None
    context = ssl.create_default_context(cafile=options.ca)
    # Nodes are found by address, which certificates seldom name: the authority vouches for them.
    context.check_hostname = False
    if not options.tls_verify:
        context.verify_mode = ssl.CERT_NONE
    if options.certificate is not None:
        context.load_cert_chain(options.certificate, options.key)
    return context


def _told(error: BaseException) -> str:
    if isinstance(error, NoHostAvailable):
        if not error.errors:
            return "no node can be reached"
        return "; ".join(f"{host}: {_told(each)}" for host, each in error.errors.items())
    if isinstance(error, OperationTimedOut):
        return "no answer in time"
    if isinstance(error, ErrorMessage):
        return error.summary_msg()
    return str(error) or type(error).__name__


def _mapped(error: BaseException, what: str) -> MemgridError:
    """What a driver's error means to whoever called."""
    causes = list(error.errors.values()) if isinstance(error, NoHostAvailable) and error.errors else [error]
    told = f"{what}: {_told(error)}"
    if any(isinstance(cause, AuthenticationFailed | Unauthorized) for cause in causes):
        return Unavailable(told, remedy="see cassandra_username and cassandra_password")
    if causes and all(isinstance(cause, OverloadedErrorMessage | ConnectionBusy) for cause in causes):
        return Overloaded(told, retry_after=1.0)
    if isinstance(error, InvalidRequest):
        if "too large" in str(error):
            return PayloadTooLarge(told)
        return InternalError(told)
    return Unavailable(told, retry_after=1.0)
