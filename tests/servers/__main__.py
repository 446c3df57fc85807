"""`python -m tests.servers`: Cassandra and OpenSearch in the background, for `make run`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from memgrid.cli.output import console, note, print_table, say
from tests.servers import cassandra, opensearch, opensearch_home
from tests.servers.cassandra import CassandraCluster
from tests.servers.opensearch import OpenSearchNode
from tests.servers.places import ROOT_VARIABLE, ServersUnavailable, root
from tests.servers.processes import ServerFailed, ServerProcess

Server = CassandraCluster | OpenSearchNode

_HELP = f"""Real Cassandra {cassandra.VERSION} and OpenSearch {opensearch_home.VERSION}, without Docker.

They come as Maven artifacts, once, and need Java 17 or 11 (Cassandra) and Java 21 or later (OpenSearch),
looked for in JAVA17_HOME, JAVA21_HOME and so on, JAVA_HOME, PATH, /usr/lib/jvm and /opt. All that they have
is in the folder that {ROOT_VARIABLE} names; by default /var/tmp/memgrid-servers-<uid>.
"""

app = typer.Typer(
    name="python -m tests.servers",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Which(StrEnum):
    """What a command is about."""

    cassandra = "cassandra"
    opensearch = "opensearch"
    all = "all"


_Which = Annotated[Which, typer.Argument(help="Which of them.")]


@app.command()
def start(
    which: _Which = Which.all,
    nodes: Annotated[
        int, typer.Option(min=1, max=3, help="Cassandra nodes, on 127.0.0.1, 127.0.0.2 and 127.0.0.3.")
    ] = 1,
    commitlog: Annotated[
        Literal["periodic", "group", "batch"],
        typer.Option(help="When a write is on Cassandra's disk: with periodic, seconds after its answer."),
    ] = "group",
    secured: Annotated[
        bool, typer.Option("--secured", help="With passwords, and TLS by a certificate for loopback.")
    ] = False,
    cassandra_port: Annotated[int, typer.Option(help="Where Cassandra answers.")] = cassandra.PORT,
    opensearch_port: Annotated[int, typer.Option(help="Where OpenSearch answers.")] = opensearch.PORT,
) -> None:
    """Start, on the data that are there, until they answer; print the settings for memgrid."""
    settings: dict[str, str] = {}
    for server in _kept(which):
        if _alive(server):
            note(f"{server.folder.name} runs already; stop it to change how", "dim")
            settings |= server.environment()
    if which != Which.opensearch and not _is_up(Which.cassandra):
        cluster = CassandraCluster(
            _folder(Which.cassandra),
            nodes,
            commitlog,
            auth=secured,
            tls=secured,
            port=cassandra_port,
            # Their neighbours, as 7000 is 9042's: a cluster that is started again must have the same.
            storage_port=cassandra_port - cassandra.PORT + cassandra.STORAGE_PORT,
            quick=False,
            detached=True,
        )
        settings |= _started(cluster)
    if which != Which.cassandra and not _is_up(Which.opensearch):
        node = OpenSearchNode(
            _folder(Which.opensearch),
            port=opensearch_port,
            transport_port=opensearch_port - opensearch.PORT + opensearch.TRANSPORT_PORT,
            quick=False,
            secured=secured,
            detached=True,
        )
        settings |= _started(node)
    note("memgrid uses them when it is started with", "dim")
    say(" ".join(f"{name}={value}" for name, value in settings.items()) + " make run")


@app.command()
def stop(which: _Which = Which.all) -> None:
    """Stop gracefully; the data stay."""
    for server in _kept(which):
        with console(stderr=True).status(f"stopping {server.folder.name}"):
            server.stop()


@app.command()
def kill(
    which: _Which = Which.all,
    node: Annotated[int | None, typer.Option(min=1, max=3, help="Only this node of Cassandra.")] = None,
) -> None:
    """kill -9, as a crash would; the data stay."""
    for server in _kept(which):
        if node is None:
            server.kill()
        elif isinstance(server, CassandraCluster):
            server.kill(node - 1)


@app.command()
def restart(
    node: Annotated[int, typer.Option(min=1, max=3, help="Which node of Cassandra.")] = 1,
) -> None:
    """Start one node of Cassandra that was killed."""
    for server in _kept(Which.cassandra):
        if isinstance(server, CassandraCluster):
            server.restart(node - 1)


@app.command()
def wipe(which: _Which = Which.all) -> None:
    """End them and remove their data. The jars stay."""
    for server in _kept(which):
        server.wipe()


@app.command()
def status(which: _Which = Which.all) -> None:
    """What runs; exit code 1 when nothing does."""
    servers = list(_kept(which))
    rows = [
        (server.folder.name, where, str(process.pid or "down"), _mib(process), str(process.log))
        for server in servers
        for where, process in zip(server.addresses, server.processes, strict=True)
    ]
    print_table(("server", "where", "process", "memory", "log"), rows, empty="nothing was started yet")
    if not any(map(_alive, servers)):
        raise typer.Exit(1)


def _mib(process: ServerProcess) -> str:
    return f"{process.resident_bytes >> 20} MiB"


def _folder(which: Which) -> Path:
    return root() / "run" / which.value


def _kept(which: Which) -> Iterator[Server]:
    """The servers that were started before."""
    for each, kind in ((Which.cassandra, CassandraCluster), (Which.opensearch, OpenSearchNode)):
        if which in {each, Which.all} and (server := kind.found_in(_folder(each))) is not None:
            yield server


def _alive(server: Server) -> bool:
    return any(process.pid is not None for process in server.processes)


def _is_up(which: Which) -> bool:
    return any(map(_alive, _kept(which)))


def _started(server: Server) -> dict[str, str]:
    with console(stderr=True).status(f"starting {server.folder.name}; the first time it is fetched"):
        server.start()
    return server.environment()


def main() -> None:
    """Run the command line: 0 when it worked, 1 when it did not, 2 when it was not understood."""
    try:
        app()
    except (ServersUnavailable, ServerFailed) as error:
        note(str(error), "red")
        sys.exit(1)


if __name__ == "__main__":
    main()
