"""One OpenSearch node on 127.0.0.1."""

from __future__ import annotations

import json
import os
import shutil
import ssl
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from actors.ports import is_free
from tests.servers import java, opensearch_home, tls
from tests.servers.class_data import ClassData
from tests.servers.places import check_reachable, unprivileged
from tests.servers.processes import ServerFailed, ServerProcess, free_port

JAVA = tuple(range(21, 40))
PORT, TRANSPORT_PORT = 9200, 9300
START_SECONDS = 180
LOGIN = ("admin", "admin")
"""The administrator in the security plugin's own example users."""
SETUP_FILE = "setup.json"
_LOG4J = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.node.name = org.opensearch.node
logger.node.level = info
"""


@dataclass(frozen=True)
class OpenSearch:
    """How a node is set up. `heap`: MiB. `quick`: less time to start, less speed afterwards."""

    port: int = PORT
    transport_port: int = TRANSPORT_PORT
    heap: int = 512
    quick: bool = True
    secured: bool = False

    def configuration(self, folder: Path) -> dict[str, Any]:
        """The opensearch.yml of a node with its files in `folder`."""
        return {
            "cluster.name": "memgrid",
            "node.name": "node1",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            "discovery.type": "single-node",
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            # As a production cluster should have it: an index that nobody defined has the wrong fields.
            "action.auto_create_index": False,
            # A full disk of the developer is no reason to refuse writes.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            **(self._security() if self.secured else {}),
        }

    def _security(self) -> dict[str, Any]:
        stores = {
            f"plugins.security.ssl.{layer}.{store}_{name}": value
            for layer in ("http", "transport")
            for store in ("keystore", "truststore")
            for name, value in (("type", "PKCS12"), ("filepath", tls.KEYSTORE), ("password", tls.PASSWORD))
        }
        return {
            **stores,
            "plugins.security.ssl.http.enabled": True,
            "plugins.security.ssl.transport.enforce_hostname_verification": False,
            # Users and roles are read from its files at the first start, not given by a tool afterwards.
            "plugins.security.allow_default_init_securityindex": True,
        }

    def command(self, jdk: java.Jdk, home: Path, folder: Path, flags: Sequence[str] = ()) -> list[str]:
        """What starts a node with its files in `folder`; `flags` are for the JVM."""
        temporary = folder / "tmp"
        properties = {
            "java.awt.headless": "true",
            "file.encoding": "UTF-8",
            "jna.nosys": "true",
            "jna.tmpdir": temporary,
            "java.io.tmpdir": temporary,
            "user.home": temporary,
            "io.netty.noUnsafe": "true",
            "io.netty.noKeySetOptimization": "true",
            "io.netty.recycler.maxCapacityPerThread": 0,
            "io.netty.allocator.numDirectArenas": 0,
            "log4j.shutdownHookEnabled": "false",
            "log4j2.disable.jmx": "true",
            "org.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits": 1,
            "opensearch.path.home": home,
            "opensearch.path.conf": folder / "config",
            "opensearch.distribution.type": "tar",
            "opensearch.bundled_jdk": "false",
        }
        return [
            jdk.tool("java"),
            f"-Xms{self.heap}M",
            f"-Xmx{self.heap}M",
            "-XX:+UseG1GC",
            f"-XX:TieredStopAtLevel={1 if self.quick else 4}",
            *flags,
            "-XX:-OmitStackTraceInFastThrow",
            "-XX:+ExitOnOutOfMemoryError",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            *(["--sun-misc-unsafe-memory-access=allow"] if jdk.version >= 23 else []),
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-cp",
            f"{home / 'lib'}/*",
            "org.opensearch.bootstrap.OpenSearch",
        ]


class OpenSearchNode:
    """One node with its files in `folder`. It blocks: in a coroutine use `asyncio.to_thread`.

    Ports are free ones unless they are given. When we are root, the server runs as nobody: `folder` must be
    within its reach (the fixture `server_folder`). `secured`: with TLS and passwords (the security plugin);
    clients log in as `login` and trust `ca`. `heap`: MiB. `detached`: it goes on when this process ends;
    otherwise it is killed then.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        transport_port: int | None = None,
        heap: int = 512,
        quick: bool = True,
        secured: bool = False,
        detached: bool = False,
    ) -> None:
        port = port or free_port()
        self.folder = folder
        self.setup = OpenSearch(port, transport_port or free_port(taken=[port]), heap, quick, secured)
        self.process = ServerProcess(folder, detached=detached)

    @classmethod
    def found_in(cls, folder: Path) -> OpenSearchNode | None:
        """The node whose files are in `folder`, running or not; None when there is none."""
        kept = folder / SETUP_FILE
        return cls(folder, detached=True, **json.loads(kept.read_text())) if kept.exists() else None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self.setup.secured else 'http'}://127.0.0.1:{self.setup.port}"

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password of the administrator; None unless `secured`."""
        return LOGIN if self.setup.secured else None

    @property
    def ca(self) -> Path | None:
        """What clients trust; None unless `secured`."""
        return self.folder / "config" / tls.CERTIFICATE if self.setup.secured else None

    @property
    def addresses(self) -> list[str]:
        """Host and port of the node."""
        return [f"127.0.0.1:{self.setup.port}"]

    @property
    def processes(self) -> Sequence[ServerProcess]:
        """The one there is, dead too."""
        return [self.process]

    def save(self) -> None:
        """Write down how it is set up, for `found_in`."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (self.folder / SETUP_FILE).write_text(json.dumps(asdict(self.setup)), encoding="ascii")

    def start(self) -> None:
        """Start it, on what data it has, until its shards are there. Raises ServerFailed."""
        jdk, home = prepare()
        if self.setup.secured:
            home = opensearch_home.secured_home()
        for port in (self.setup.port, self.setup.transport_port):
            if not is_free(port):
                raise ServerFailed(f"port {port} of 127.0.0.1 is taken: stop what has it, or name another")
        folder = self._lay_out(jdk, home)
        flags = self._class_data().flags(folder / "tmp")
        self.process.start(self.setup.command(jdk, home, folder, flags), cwd=folder, uid=unprivileged())
        self.process.wait_until(self._answers, START_SECONDS, "OpenSearch")

    def kill(self) -> None:
        """kill -9, until gone."""
        self.process.kill()

    def stop(self) -> None:
        """SIGTERM, until gone."""
        self.process.terminate()
        self._class_data().keep(self.folder / "tmp")

    def restart(self) -> None:
        """Start it after a kill or a stop, on its data. Raises ServerFailed."""
        self.start()

    def wipe(self) -> None:
        """End it and remove everything it had. It may be started again, empty."""
        if self.process.pid is not None and not self.setup.secured and self._class_data().wanted:
            # Few tests start the secured one: writing its class data costs more than it saves.
            self.stop()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """The settings with which memgrid uses this node."""
        lines = {"MEMGRID_SEARCH_INDEX": "opensearch", "MEMGRID_OPENSEARCH_URL": self.url}
        if self.login:
            lines["MEMGRID_OPENSEARCH_USERNAME"], lines["MEMGRID_OPENSEARCH_PASSWORD"] = self.login
        if self.ca:
            lines["MEMGRID_OPENSEARCH_TLS_CERTIFICATE"] = str(self.ca)
        return lines

    def _lay_out(self, jdk: java.Jdk, home: Path) -> Path:
        """Write its configuration, and give the server what it writes to."""
        folder = self.folder.absolute()
        self.save()
        check_reachable(folder)
        for name in ("config", "data", "logs", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "config/opensearch.yml").write_text(
            yaml.safe_dump(self.setup.configuration(folder)), encoding="utf-8"
        )
        (folder / "config/log4j2.properties").write_text(_LOG4J, encoding="ascii")
        if self.setup.secured:
            tls.make_keystore(jdk, folder / "config")
            users = home / "plugins/opensearch-security/config"
            shutil.copytree(users, folder / "config/opensearch-security", dirs_exist_ok=True)
        if (uid := unprivileged()) is not None:
            for name in ("config", "data", "logs", "tmp"):
                os.chown(folder / name, uid, uid)
        return folder

    def _class_data(self) -> ClassData:
        home = opensearch_home.secured_home() if self.setup.secured else opensearch_home.home()
        return ClassData(_jdk(), home.name)

    def _answers(self) -> bool:
        try:
            answer = httpx.get(
                f"{self.url}/_cluster/health",
                params={"wait_for_status": "yellow", "timeout": "1s"},
                timeout=5,
                auth=self.login,
                verify=ssl.create_default_context(cafile=self.ca) if self.ca else True,
                trust_env=False,
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def prepare() -> tuple[java.Jdk, Path]:
    """The Java to use, and the unpacked server, built when it is missing. Raises ServersUnavailable."""
    return _jdk(), opensearch_home.home()


def _jdk() -> java.Jdk:
    return java.choose(JAVA, java.installed(), wanted_by="OpenSearch")
