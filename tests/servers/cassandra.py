"""Apache Cassandra on 127.0.0.1, 127.0.0.2 and 127.0.0.3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from actors.ports import is_free
from tests.servers import cql, java, tls
from tests.servers.class_data import ClassData
from tests.servers.maven import Artifact, fetch
from tests.servers.places import built_once, root
from tests.servers.processes import ServerFailed, ServerProcess, free_port
from tests.servers.tls import CERTIFICATE

VERSION = "5.0.9"
ARTIFACTS = {"cassandra": [Artifact("org.apache.cassandra", "cassandra-all", VERSION)]}
JAVA = (17, 11)
"""It starts on no other."""
PORT, STORAGE_PORT = 9042, 7000
START_SECONDS = 180
LOGIN = ("cassandra", "cassandra")
"""The superuser that every new cluster has."""
SETUP_FILE = "setup.json"

Commitlog = Literal["periodic", "group", "batch"]
COMMITLOG: Mapping[str, Mapping[str, str]] = {
    "periodic": {"commitlog_sync": "periodic", "commitlog_sync_period": "10000ms"},
    "group": {"commitlog_sync": "group", "commitlog_sync_group_window": "10ms"},
    "batch": {"commitlog_sync": "batch"},
}

# From the distribution's conf/jvm17-server.options.
_EXPORTS = {
    "java.base": ["java.lang.ref", "jdk.internal.misc"],
    "java.management.rmi": ["com.sun.jmx.remote.internal.rmi"],
    "java.rmi": ["sun.rmi.registry", "sun.rmi.server"],
    "java.sql": ["java.sql"],
    "jdk.attach": ["sun.tools.attach"],
    "jdk.compiler": ["com.sun.tools.javac.file"],
    "jdk.unsupported": ["sun.misc"],
}
_OPENS = {
    "java.base": [
        *("java.io", "java.lang", "java.lang.module", "java.lang.reflect", "java.nio", "java.util"),
        *("java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.loader", "jdk.internal.math"),
        *("jdk.internal.module", "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.util.jar"),
        "sun.nio.ch",
    ],
    "jdk.compiler": ["com.sun.tools.javac"],
    "jdk.management": ["com.sun.management.internal"],
}
_LOGBACK = """<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder></appender>
<root level="INFO"><appender-ref ref="out"/></root></configuration>
"""


@dataclass(frozen=True)
class Cassandra:
    """How a cluster is set up. It is kept beside the data, which fit no other.

    `commitlog`: with "periodic" a killed node loses the last seconds of what it acknowledged, which is fast;
    with "group" and "batch" it loses nothing. `quick`: less time to start, less speed afterwards.
    `heap`: MiB a node.
    """

    nodes: int = 1
    commitlog: Commitlog = "periodic"
    auth: bool = False
    tls: bool = False
    port: int = PORT
    storage_port: int = STORAGE_PORT
    heap: int = 512
    quick: bool = True

    @property
    def addresses(self) -> list[str]:
        """Where the nodes listen."""
        return [f"127.0.0.{node}" for node in range(1, self.nodes + 1)]

    def configuration(self, node: int, folder: Path, keystore: Path | None) -> dict[str, Any]:
        """The cassandra.yaml of a node (from 0) with its files in `folder`."""
        address = self.addresses[node]
        seed = {"seeds": f"{self.addresses[0]}:{self.storage_port}"}
        role = ("Password", "Cassandra", "Cassandra") if self.auth else ("AllowAll", "AllowAll", "Cassandra")
        return {
            "cluster_name": "memgrid",
            # One range a node, evenly: nothing is chosen by chance, nothing is streamed at the start.
            "num_tokens": 1,
            "initial_token": str(-(2**63) + node * (2**64 // self.nodes) + 1),
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "seed_provider": [
                {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [seed]}
            ],
            "listen_address": address,
            "rpc_address": address,
            "storage_port": self.storage_port,
            "native_transport_port": self.port,
            "data_file_directories": [str(folder / "data")],
            "commitlog_directory": str(folder / "commitlog"),
            "hints_directory": str(folder / "hints"),
            "saved_caches_directory": str(folder / "saved_caches"),
            "cdc_raw_directory": str(folder / "cdc_raw"),
            **COMMITLOG[self.commitlog],
            "commitlog_segment_size": "8MiB",
            "commitlog_total_space": "256MiB",
            "auto_snapshot": False,
            "disk_failure_policy": "stop",
            "commit_failure_policy": "stop",
            "storage_compatibility_mode": "NONE",
            "paxos_variant": "v2",
            "partition_size_warn_threshold": "100MiB",
            "memtable_heap_space": f"{self.heap // 5}MiB",
            "memtable_offheap_space": f"{self.heap // 5}MiB",
            "file_cache_size": "64MiB",
            "networking_cache_size": "32MiB",
            "key_cache_size": "8MiB",
            "counter_cache_size": "4MiB",
            "concurrent_reads": 16,
            "concurrent_writes": 16,
            "concurrent_counter_writes": 8,
            "concurrent_compactors": 1,
            "authenticator": {"class_name": f"{role[0]}Authenticator"},
            "authorizer": {"class_name": f"{role[1]}Authorizer"},
            "role_manager": {"class_name": f"{role[2]}RoleManager"},
            "client_encryption_options": {"enabled": False}
            if keystore is None
            else {
                "enabled": True,
                "optional": False,
                "keystore": str(keystore),
                "keystore_password": tls.PASSWORD,
                "store_type": "PKCS12",
                "require_client_auth": False,
            },
        }

    def command(self, jdk: java.Jdk, jars: Path, folder: Path, flags: Sequence[str] = ()) -> list[str]:
        """What starts a node with its files in `folder`; `flags` are for the JVM."""
        agent = next(jars.glob("jamm-*.jar"))
        properties = {
            "cassandra.config": (folder / "cassandra.yaml").as_uri(),
            "logback.configurationFile": (folder / "logback.xml").as_uri(),
            "cassandra.storagedir": folder,
            "cassandra.logdir": folder,
            "cassandra-foreground": "yes",
            # Nobody else is coming: no waiting for what gossip might still say.
            "cassandra.skip_wait_for_gossip_to_settle": 0,
            "cassandra.ring_delay_ms": 1000,
            "cassandra.superuser_setup_delay_ms": 0,
            "cassandra.consistent.rangemovement": "false",
            "cassandra.shutdown_announce_in_ms": 0,
            # On every node, so that a login and the question whether all are there need no repair.
            "cassandra.system_auth.default_rf": self.nodes,
            "cassandra.system_distributed.default_rf": self.nodes,
            "jdk.attach.allowAttachSelf": "true",
            "io.netty.tryReflectionSetAccessible": "true",
            "java.net.preferIPv4Stack": "true",
            "jna.nosys": "true",
            "file.encoding": "UTF-8",
        }
        return [
            jdk.tool("java"),
            f"-javaagent:{agent}",
            f"-Xms{self.heap}M",
            f"-Xmx{self.heap}M",
            "-Xss256k",
            "-XX:MaxDirectMemorySize=256M",
            "-XX:MaxMetaspaceSize=256M",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            f"-XX:TieredStopAtLevel={1 if self.quick else 4}",
            *flags,
            *_open_modules("--add-exports", _EXPORTS),
            *_open_modules("--add-opens", _OPENS),
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-cp",
            f"{jars}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]


def _open_modules(flag: str, packages: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for module, names in packages.items():
        for name in names:
            yield f"{flag}={module}/{name}=ALL-UNNAMED"


def prepare() -> tuple[java.Jdk, Path]:
    """The Java to use, and the folder of jars, fetched when they are missing. Raises ServersUnavailable."""
    jdk = _jdk()
    return jdk, built_once(root() / f"cassandra-{VERSION}", lambda new: fetch(ARTIFACTS, new)) / "cassandra"


def _jdk() -> java.Jdk:
    return java.choose(JAVA, java.installed(), wanted_by="Cassandra")


class CassandraCluster:
    """One to three nodes with their files in `folder`. It blocks: in a coroutine use `asyncio.to_thread`.

    Nodes are counted from 0. Ports are free ones unless they are given. With `auth`, clients log in as
    `login`; with `tls` they trust `ca`, and a connection without TLS is refused. `heap`: MiB a node.
    `detached`: the nodes go on when this process ends; otherwise they are killed then.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        commitlog: Commitlog = "periodic",
        *,
        auth: bool = False,
        tls: bool = False,
        port: int | None = None,
        storage_port: int | None = None,
        heap: int | None = None,
        quick: bool = True,
        detached: bool = False,
    ) -> None:
        addresses = Cassandra(nodes).addresses
        port = port or free_port(addresses)
        storage_port = storage_port or free_port(addresses, [port])
        heap = heap or (512 if nodes == 1 else 256)
        self.folder = folder
        self.setup = Cassandra(nodes, commitlog, auth, tls, port, storage_port, heap, quick)
        self._nodes = [ServerProcess(folder / f"node{n + 1}", detached=detached) for n in range(nodes)]

    @classmethod
    def found_in(cls, folder: Path) -> CassandraCluster | None:
        """The cluster whose files are in `folder`, running or not; None when there is none."""
        kept = folder / SETUP_FILE
        return cls(folder, detached=True, **json.loads(kept.read_text())) if kept.exists() else None

    @property
    def contact_points(self) -> list[str]:
        """The nodes' addresses."""
        return self.setup.addresses

    @property
    def port(self) -> int:
        """Where the nodes speak CQL."""
        return self.setup.port

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password of the superuser; None without `auth`."""
        return LOGIN if self.setup.auth else None

    @property
    def ca(self) -> Path | None:
        """What clients trust; None without `tls`."""
        return self.folder / CERTIFICATE if self.setup.tls else None

    @property
    def addresses(self) -> list[str]:
        """Host and port of each node."""
        return [f"{host}:{self.port}" for host in self.contact_points]

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The nodes, dead ones too."""
        return self._nodes

    def save(self) -> None:
        """Write down how it is set up, for `found_in`. Raises ServerFailed on data that do not fit."""
        kept = self.found_in(self.folder)
        if kept is not None and kept.setup.nodes != self.setup.nodes:
            raise ServerFailed(f"{self.folder} has the data of {kept.setup.nodes} node(s): wipe them first")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SETUP_FILE).write_text(json.dumps(asdict(self.setup)), encoding="ascii")

    def start(self) -> None:
        """Start all nodes, on what data they have, until each sees the others. Raises ServerFailed."""
        command_of = self._commands()
        for port in (self.setup.port, self.setup.storage_port):
            if not is_free(port, self.setup.addresses):
                hosts = ", ".join(self.setup.addresses)
                raise ServerFailed(f"port {port} of {hosts} is taken: stop what has it, or name another")
        self.save()
        for node in range(self.setup.nodes):
            # One after the other: a node must know of the earlier ones before it announces itself.
            self._start(node, command_of[node])
        self._wait_together()

    def restart(self, node: int) -> None:
        """Start a node that was killed or stopped, on its data, until it takes part. Raises ServerFailed."""
        self._start(node, self._commands()[node])
        self._wait_together()

    def kill(self, node: int | None = None) -> None:
        """kill -9 of a node, or of all of them, until gone."""
        for process in self._nodes if node is None else [self._nodes[node]]:
            process.kill()

    def stop(self) -> None:
        """SIGTERM of all nodes: they write down what they have, which takes seconds. Tests rather kill."""
        for process in self._nodes:
            process.terminate()
        self._class_data().keep(self.folder / "node1")

    def wipe(self) -> None:
        """End all nodes and remove everything they had."""
        if self._nodes[0].pid is not None and self._class_data().wanted:
            self.stop()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """The settings with which memgrid uses this cluster."""
        lines = {
            "MEMGRID_WIDE_STORE": "cassandra",
            "MEMGRID_CASSANDRA_CONTACT_POINTS": ",".join(self.contact_points),
        }
        if self.port != PORT:
            lines["MEMGRID_CASSANDRA_PORT"] = str(self.port)
        if self.login:
            lines["MEMGRID_CASSANDRA_USERNAME"], lines["MEMGRID_CASSANDRA_PASSWORD"] = self.login
        if self.ca:
            lines |= {"MEMGRID_CASSANDRA_TLS": "true", "MEMGRID_CASSANDRA_CA": str(self.ca)}
        return lines

    def _commands(self) -> list[list[str]]:
        """Write the nodes' configuration; what starts each of them."""
        jdk, jars = prepare()
        self.folder.mkdir(parents=True, exist_ok=True)
        class_data = self._class_data()
        keystore = tls.make_keystore(jdk, self.folder)[0] if self.setup.tls else None
        commands: list[list[str]] = []
        for node in range(self.setup.nodes):
            folder = (self.folder / f"node{node + 1}").absolute()
            folder.mkdir(exist_ok=True)
            configuration = self.setup.configuration(node, folder, keystore)
            (folder / "cassandra.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
            (folder / "logback.xml").write_text(_LOGBACK, encoding="utf-8")
            # Only one is to write the class data, since writing takes time; all use them.
            flags = [] if node and class_data.wanted else class_data.flags(folder)
            if flags:
                # Without it there are none for a server with an agent, as Cassandra's memory meter is.
                flags += ["-XX:+UnlockDiagnosticVMOptions", "-XX:+AllowArchivingWithJavaAgent"]
            commands.append(self.setup.command(jdk, jars, folder, flags))
        return commands

    def _class_data(self) -> ClassData:
        return ClassData(_jdk(), f"cassandra-{VERSION}")

    def _start(self, node: int, command: Sequence[str]) -> None:
        process = self._nodes[node]
        process.start(command, cwd=self.folder)
        process.wait_until(lambda: self._answers(node), START_SECONDS, f"Cassandra node {node}")

    def _wait_together(self) -> None:
        """Until every living node can read from all of the cluster, or from a majority when some are dead."""
        alive = [node for node, process in enumerate(self._nodes) if process.pid is not None]
        if len(alive) * 2 <= self.setup.nodes:
            return
        consistency = cql.ALL if len(alive) == self.setup.nodes else cql.QUORUM
        for node in alive:
            self._nodes[node].wait_until(
                lambda node=node: self._reads(node, consistency), START_SECONDS, f"Cassandra node {node}"
            )

    def _connect(self, node: int) -> cql.CqlConnection:
        return cql.CqlConnection(self.contact_points[node], self.port, ca=str(self.ca) if self.ca else None)

    def _answers(self, node: int) -> bool:
        try:
            with self._connect(node) as connection:
                connection.options()
        except OSError:
            return False
        return True

    def _reads(self, node: int, consistency: int) -> bool:
        try:
            with self._connect(node) as connection:
                connection.log_in(self.login)
                connection.query("SELECT * FROM system_distributed.view_build_status", consistency)
        except (OSError, cql.Refused):
            return False
        return True
