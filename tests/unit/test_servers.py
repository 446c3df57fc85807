"""The launcher of the test servers, without the servers: configuration, Java, processes, folders."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from cluster.settings import load_settings
from tests.servers import cassandra, opensearch, opensearch_home
from tests.servers.cassandra import Cassandra, CassandraCluster
from tests.servers.fixtures import need
from tests.servers.java import Jdk, choose, installed
from tests.servers.maven import Artifact, fetch
from tests.servers.opensearch import OpenSearch, OpenSearchNode
from tests.servers.places import (
    ROOT_VARIABLE,
    ServersUnavailable,
    built_once,
    check_reachable,
    new_folder,
    root,
)
from tests.servers.processes import ServerFailed, ServerProcess, free_port

REPOSITORY = Path(__file__).parents[2]
SLEEP = ["/bin/sleep", "600"]

# configuration


def test_nodes_share_the_ring_evenly_and_know_the_first() -> None:
    setup = Cassandra(nodes=3, port=9043, storage_port=7001)
    nodes = [setup.configuration(node, Path("/data"), None) for node in range(3)]
    assert [node["listen_address"] for node in nodes] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    tokens = [int(node["initial_token"]) for node in nodes]
    assert tokens[0] >= -(2**63)
    assert tokens[1] - tokens[0] == tokens[2] - tokens[1] == 2**64 // 3
    for node in nodes:
        assert node["seed_provider"][0]["parameters"] == [{"seeds": "127.0.0.1:7001"}]
        assert (node["native_transport_port"], node["storage_port"]) == (9043, 7001)
        assert node["paxos_variant"] == "v2"


@pytest.mark.parametrize(
    ("commitlog", "setting"),
    [
        ("periodic", "commitlog_sync_period"),
        ("group", "commitlog_sync_group_window"),
        ("batch", None),
    ],
)
def test_a_commitlog_names_only_its_own_window(commitlog: Any, setting: str | None) -> None:
    """Cassandra refuses to start with the window of another."""
    node = Cassandra(commitlog=commitlog).configuration(0, Path("/data"), None)
    assert node["commitlog_sync"] == commitlog
    assert {name for name in node if name.startswith("commitlog_sync_")} == {setting} - {None}


def test_passwords_and_tls() -> None:
    plain = Cassandra().configuration(0, Path("/data"), None)
    secured = Cassandra(auth=True).configuration(0, Path("/data"), Path("/keys.p12"))
    assert plain["authenticator"] == {"class_name": "AllowAllAuthenticator"}
    assert plain["client_encryption_options"] == {"enabled": False}
    assert secured["authenticator"] == {"class_name": "PasswordAuthenticator"}
    assert secured["authorizer"] == {"class_name": "CassandraAuthorizer"}
    assert secured["client_encryption_options"]["optional"] is False
    assert secured["client_encryption_options"]["keystore"] == "/keys.p12"


def test_a_node_of_opensearch_stays_on_loopback_with_its_files_together() -> None:
    plain = OpenSearch(port=9201, transport_port=9301).configuration(Path("/here"))
    assert (plain["network.host"], plain["http.port"], plain["transport.port"]) == ("127.0.0.1", 9201, 9301)
    assert (plain["path.data"], plain["path.logs"]) == ("/here/data", "/here/logs")
    assert not any(name.startswith("plugins.security") for name in plain)
    assert OpenSearch(secured=True).configuration(Path("/here"))["plugins.security.ssl.http.enabled"] is True


def test_flags_are_those_that_the_java_knows(tmp_path: Path) -> None:
    def flags(version: int) -> list[str]:
        jdk = Jdk(Path("/java"), version, f"{version}.0.1")
        return OpenSearch().command(jdk, tmp_path, tmp_path)

    assert "--sun-misc-unsafe-memory-access=allow" not in flags(21)
    assert "--sun-misc-unsafe-memory-access=allow" in flags(25)


def test_a_setup_is_found_again(tmp_path: Path) -> None:
    assert CassandraCluster.found_in(tmp_path) is None
    made = CassandraCluster(tmp_path / "c", nodes=2, commitlog="batch", auth=True)
    made.save()
    found = CassandraCluster.found_in(tmp_path / "c")
    assert found is not None
    assert found.setup == made.setup
    node = OpenSearchNode(tmp_path / "o", secured=True)
    node.save()
    again = OpenSearchNode.found_in(tmp_path / "o")
    assert again is not None
    assert again.setup == node.setup


def test_a_cluster_is_not_started_on_the_data_of_another(tmp_path: Path) -> None:
    CassandraCluster(tmp_path, nodes=3).save()
    with pytest.raises(ServerFailed, match=r"data of 3 node\(s\): wipe"):
        CassandraCluster(tmp_path, nodes=1).save()


def test_memgrid_understands_what_make_servers_prints(tmp_path: Path) -> None:
    printed = {
        **CassandraCluster(tmp_path, nodes=2, auth=True, tls=True, port=9052).environment(),
        **OpenSearchNode(tmp_path, port=9252, secured=True).environment(),
    }
    settings = load_settings(environ=printed, env_file=None)
    assert (settings.wide_store, settings.search_index) == ("cassandra", "opensearch")
    assert (settings.cassandra_contact_points, settings.cassandra_port) == ("127.0.0.1,127.0.0.2", 9052)
    assert settings.cassandra_tls
    assert settings.opensearch_url == "https://127.0.0.1:9252"


# Docker


def test_compose_is_what_make_servers_starts(tmp_path: Path) -> None:
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    name, version = services["cassandra"]["image"].split(":")
    assert name == "cassandra"
    assert cassandra.VERSION.startswith(f"{version}.")
    name, version = services["opensearch"]["image"].split(":")
    assert name == "opensearchproject/opensearch"
    assert opensearch_home.VERSION.startswith(f"{version}.")
    cluster = CassandraCluster(tmp_path, commitlog="group", port=cassandra.PORT)
    node = OpenSearchNode(tmp_path, port=opensearch.PORT)
    (published,) = services["cassandra"]["ports"]
    assert published == f"{cluster.addresses[0]}:{cassandra.PORT}"
    (published,) = services["opensearch"]["ports"]
    assert published == f"{node.addresses[0]}:{opensearch.PORT}"
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    for name, value in (cluster.environment() | node.environment()).items():
        assert f"{name}={value} " in text


def test_compose_changes_what_the_image_has_otherwise() -> None:
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    options = services["cassandra"]["environment"]["JVM_EXTRA_OPTS"].split()
    ours = Cassandra(commitlog="group").configuration(0, Path("/data"), None)
    prefix = "-Dcassandra.settings."
    given = dict(option.removeprefix(prefix).split("=") for option in options if option.startswith(prefix))
    # The image sets the window of `periodic`, which has to go.
    assert given.pop("commitlog_sync_period") == "0ms"
    assert given == {name: ours[name] for name in given}
    assert {"commitlog_sync", "commitlog_sync_group_window", "paxos_variant"} <= given.keys()
    assert "-Dcassandra.config.allow_system_properties=true" in options
    theirs = services["opensearch"]["environment"]
    settings = OpenSearch().configuration(Path("/here"))
    for name in ("discovery.type", "action.auto_create_index"):
        assert theirs[name] == str(settings[name]).lower()


def test_memgrid_understands_what_compose_says_of_it() -> None:
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    named = dict(re.findall(r"(MEMGRID_\w+)=(\S+)", text))
    settings = load_settings(environ=named, env_file=None)
    assert (settings.wide_store, settings.search_index) == ("cassandra", "opensearch")
    assert len(settings.model_fields_set) == len(named) == 4


def test_compose_is_written_as_compose_reads_it() -> None:
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    assert compose.keys() == {"name", "services", "volumes"}
    duration = re.compile(r"(\d+(us|ms|s|m|h))+")
    for service in compose["services"].values():
        assert service.keys() <= {
            *("image", "environment", "ports", "volumes", "healthcheck", "stop_grace_period", "restart")
        }
        for name, value in service["environment"].items():
            assert isinstance(value, str), f"{name}: YAML makes something else of what the process must get"
        check = service["healthcheck"]
        assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}
        times = (service["stop_grace_period"], check["interval"], check["timeout"], check["start_period"])
        assert all(duration.fullmatch(each) for each in times)
        assert all(published.startswith("127.0.0.1:") for published in service["ports"])


def test_compose_keeps_data_and_knows_when_it_is_ready() -> None:
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        (volume,) = service["volumes"]
        assert volume.split(":")[0] in compose["volumes"]
        assert service["healthcheck"]["test"][0] == "CMD"


# Java


def make_java(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin/java").touch(mode=0o755)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\nJAVA_RUNTIME_VERSION="{version}+1-test"\n')
    return home


def test_java_is_found_by_variable_path_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "jvm"
    make_java(folder / "jdk-11", "11.0.2")
    make_java(folder / "jdk8", "1.8.0_402")
    (folder / "not-java").mkdir()
    named = make_java(tmp_path / "named", "21.0.4")
    home = make_java(tmp_path / "home", "25")
    on_path = make_java(tmp_path / "on-path", "17.0.15")
    environment = {
        "JAVA21_HOME": str(named),
        "JAVA_HOME": str(home),
        "PATH": str(on_path / "bin"),
        "JAVA_TOOL_OPTIONS": "-Dx",
        "JAVA17_HOME": str(tmp_path / "absent"),
    }
    found = list(installed(environment, [folder, tmp_path / "absent"]))
    assert [jdk.version for jdk in found] == [21, 25, 17, 11, 8]
    assert found[0] == Jdk(named, 21, "21.0.4+1-test")


def test_the_preferred_java_is_taken_and_the_named_one_among_equals() -> None:
    jdks = [Jdk(Path(f"/{n}"), version, "x") for n, version in enumerate((25, 11, 17, 17))]
    assert choose(cassandra.JAVA, jdks, wanted_by="Cassandra") == jdks[2]
    assert choose(opensearch.JAVA, jdks, wanted_by="OpenSearch") == jdks[0]


def test_without_java_the_remedy_is_named() -> None:
    wrong = [Jdk(Path("/25"), 25, "25")]
    with pytest.raises(ServersUnavailable, match=r"Cassandra needs Java 17 or 11.*JAVA17_HOME"):
        choose(cassandra.JAVA, wrong, wanted_by="Cassandra")
    with pytest.raises(ServersUnavailable, match=r"OpenSearch needs Java 21 or later.*JAVA21_HOME"):
        choose(opensearch.JAVA, [], wanted_by="OpenSearch")


def test_without_maven_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServersUnavailable, match="mvn"):
        fetch({"one": [Artifact("group", "name", "1")]}, tmp_path)


def test_what_cannot_run_here_skips_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> None:
        raise ServersUnavailable("no Java")

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Java"):
        need(unavailable)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Java"):
        need(unavailable)


# folders


def test_the_root_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "servers"))
    monkeypatch.setattr("tests.servers.places.unprivileged", lambda: None)
    assert root() == tmp_path / "servers"
    assert root().is_dir()


def test_a_folder_closed_to_the_unprivileged_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.servers.places.unprivileged", lambda: 65534)
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(ServersUnavailable, match=str(closed)):
        check_reachable(closed / "inner")


def test_what_a_killed_test_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr("tests.servers.places.unprivileged", lambda: None)
    with subprocess.Popen(SLEEP) as gone:
        gone.kill()
    left = tmp_path / f"tmp/run-{gone.pid}-abc"
    (left / "data").mkdir(parents=True)
    with new_folder() as ours:
        assert list((tmp_path / "tmp").iterdir()) == [ours]
        with new_folder() as other:
            assert ours.is_dir()
        assert not other.exists()
    assert not ours.exists()


def test_two_at_once_build_one(tmp_path: Path) -> None:
    built: list[Path] = []
    two_inside = threading.Barrier(2)

    def build(folder: Path) -> None:
        built.append(folder)
        with suppress(threading.BrokenBarrierError):
            # The others have the time to come in, if they could.
            two_inside.wait(0.3)
        (folder / "jar").touch()

    threads = [threading.Thread(target=built_once, args=(tmp_path / "jars", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert (tmp_path / "jars/jar").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ServersUnavailable("the network is gone")

    with pytest.raises(ServersUnavailable):
        built_once(tmp_path / "jars", fail)
    assert not (tmp_path / "jars").exists()
    assert built_once(tmp_path / "jars", lambda folder: None) == tmp_path / "jars"


# processes


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path, detached=False)
    yield process
    process.kill()


def test_a_process_is_found_again_by_its_file_and_killed(tmp_path: Path, process: ServerProcess) -> None:
    process.start(SLEEP, cwd=tmp_path)
    other = ServerProcess(tmp_path, detached=True)
    assert other.pid == process.pid is not None
    with pytest.raises(ServerFailed, match="runs already"):
        other.start(SLEEP, cwd=tmp_path)
    other.kill()
    assert process.pid is None


def test_a_pid_given_to_another_process_is_not_ours(tmp_path: Path, process: ServerProcess) -> None:
    process.start(SLEEP, cwd=tmp_path)
    kept = tmp_path / "pid.json"
    known = json.loads(kept.read_text())
    kept.write_text(json.dumps({**known, "started": known["started"] - 60}))
    stranger = ServerProcess(tmp_path, detached=True)
    assert stranger.pid is None
    stranger.kill()
    kept.write_text(json.dumps(known))
    assert process.pid == known["pid"]


def test_a_server_that_dies_says_what_it_said(tmp_path: Path, process: ServerProcess) -> None:
    process.start(["/bin/sh", "-c", "echo out of luck; exit 3"], cwd=tmp_path)
    with pytest.raises(ServerFailed, match="out of luck"):
        process.wait_until(lambda: False, 60, "it")


@contextmanager
def starter(folder: Path, *, detached: bool) -> Generator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Another Python that has started a server from a thread which has ended since."""
    code = (
        "import sys, threading, pathlib\n"
        "from tests.servers.processes import ServerProcess\n"
        f"process = ServerProcess(pathlib.Path({str(folder)!r}), detached={detached})\n"
        f"thread = threading.Thread(target=lambda: process.start({SLEEP!r}, cwd=pathlib.Path('/')))\n"
        "thread.start(); thread.join()\n"
        "print(process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            yield parent, psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()
            ServerProcess(folder, detached=True).kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_test_server_dies_with_the_tests(tmp_path: Path, how: signal.Signals) -> None:
    with starter(tmp_path, detached=False) as (parent, server):
        assert server.is_running()
        os.kill(parent.pid, how)
        parent.wait(30)
        server.wait(30)


def test_a_detached_server_stays(tmp_path: Path) -> None:
    with starter(tmp_path, detached=True) as (parent, server):
        parent.kill()
        parent.wait(30)
        assert ServerProcess(tmp_path, detached=True).pid == server.pid


def test_a_missing_address_is_told_with_its_remedy() -> None:
    with pytest.raises(ServersUnavailable, match="alias"):
        free_port(["192.0.2.1"])
