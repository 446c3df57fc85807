from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors import runtime
from cluster.settings import Settings
from memgrid.errors import InvalidInput, Unavailable

# Ray Serve's own, on import.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")

SERVES_CONFIGURATION = """\
defaults
    errorfile 502 /tmp/haproxy-serve/x/500.http
    errorfile 503 /tmp/haproxy-serve/x/500.http
    errorfile 504 /tmp/haproxy-serve/x/500.http
frontend prometheus
    bind :{metrics}
frontend http_frontend
    bind *:8005
listen stats
  bind *:{statistics}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files go here instead of /tmp."""
    monkeypatch.setattr(runtime, "Path", lambda _: tmp_path)
    return tmp_path / f"memgrid-{os.getuid()}-8005"


def test_without_haproxy_serve_uses_its_own_proxy() -> None:
    environment = runtime.serve_environment(Settings(haproxy=False))
    assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert not any("HAPROXY" in name for name in environment)


def test_files_are_where_no_one_else_may_enter(home: Path) -> None:
    environment = runtime.serve_environment(Settings(port=8005))
    assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    places = [
        value for name, value in environment.items() if name.endswith(("_PATH", "_LOC", "_FILE", "_BASE"))
    ]
    assert len(places) == 6
    assert all(Path(place).is_relative_to(home) for place in places)


def test_ports_are_free_and_differ(home: Path) -> None:
    environment = runtime.serve_environment(Settings(port=8005))
    ports = [int(value) for name, value in environment.items() if name.endswith("_PORT")]
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_names_are_those_that_this_serve_reads(home: Path) -> None:
    """Serve ignores what it does not know: after an upgrade a promise could be lost without a word."""
    import ray._private.ray_constants as ray_constants
    from ray.serve._private import constants

    known = Path(constants.__file__).read_text() + Path(ray_constants.__file__).read_text()
    for name in runtime.serve_environment(Settings(port=8005)):
        assert f'"{name}"' in known, name


def test_haproxy_gets_loopback_and_our_answer(home: Path) -> None:
    environment = runtime.serve_environment(Settings(port=8005))
    configuration = home / "haproxy.cfg"
    metrics, statistics = (environment[f"RAY_SERVE_HAPROXY_{name}_PORT"] for name in ("METRICS", "STATS"))
    configuration.write_text(SERVES_CONFIGURATION.format(metrics=metrics, statistics=statistics))
    program = Path(environment["RAY_SERVE_HAPROXY_BINARY_PATH"])
    text = program.read_text()
    program.write_text(re.sub(r"^exec .*$", 'exec echo "$@"', text, flags=re.M))
    done = subprocess.run(
        [program, "-db", "-f", configuration, "-sf", "12"], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"-db -f {configuration} -sf 12\n"
    mended = configuration.read_text()
    assert f"    bind 127.0.0.1:{metrics}\n" in mended
    assert f"  bind 127.0.0.1:{statistics}\n" in mended
    assert "    bind *:8005\n" in mended, "where requests come in is the setting's"
    assert mended.count(f" {home}/503.http\n") == 3
    answer = (home / "503.http").read_bytes()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert b"retry-after: 1" in head.lower()
    assert b'"code":"unavailable"' in body


def test_serves_template_still_has_what_is_mended() -> None:
    from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

    assert "    bind :{{ config.metrics_port }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "  bind *:{{ config.stats_port }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "    errorfile 503 " in HAPROXY_CONFIG_TEMPLATE


def test_left_overs_of_an_earlier_start_are_removed(home: Path) -> None:
    (home / "old-node").mkdir(parents=True)
    home.chmod(0o700)
    (home / "old-node" / "admin.sock").write_text("")
    runtime.serve_environment(Settings(port=8005))
    assert not (home / "old-node").exists()


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_directory_that_someone_else_may_enter_is_refused(home: Path, tmp_path: Path, trap: str) -> None:
    if trap == "open":
        home.mkdir()
        home.chmod(0o755)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        home.symlink_to(tmp_path / "elsewhere")
    else:
        home.write_text("")
    with pytest.raises(Unavailable) as caught:
        runtime.serve_environment(Settings(port=8005))
    assert caught.value.remedy


def test_a_port_in_use_is_said_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidInput) as caught:
            runtime.connect(Settings(port=taken.getsockname()[1]))
    assert caught.value.field == "port"


def test_ray_is_not_imported_before_its_environment_is_set() -> None:
    code = "import sys, actors.runtime, actors.commands; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_port_for_handles_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve._private import replica

    monkeypatch.setattr(replica, "add_port_to_grpc_server", replica.add_port_to_grpc_server)  # pyright: ignore[reportPrivateImportUsage]
    runtime.close_handle_port()
    assert replica.add_port_to_grpc_server(object(), "[::]:0") == 0  # pyright: ignore[reportPrivateImportUsage]
    monkeypatch.delattr(replica, "add_port_to_grpc_server")
    with pytest.raises(RuntimeError, match="gRPC"):
        runtime.close_handle_port()
