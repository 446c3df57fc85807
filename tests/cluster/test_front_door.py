"""What only a real server shows: where it listens, what HAProxy and Serve make of requests, how it stops."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cluster.server import Server

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("front_door"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_nothing_listens_but_on_loopback(server: Server) -> None:
    """Ray, Serve and HAProxy all listen on every interface unless told otherwise."""
    deadline = time.monotonic() + 30
    while True:
        heard, listening = _listening(server)
        # HAProxy replaces itself while its servers change: one look may miss both processes.
        if "haproxy" in heard or time.monotonic() > deadline:
            break
    assert {"raylet", "gcs_server", "haproxy"} <= heard, f"the test looked at the wrong processes: {heard}"
    assert server.port in {port for _, port, _ in listening}, listening
    open_to_others = [
        each
        for each in listening
        if not (address := ipaddress.ip_address(each[0])).is_loopback
        and not (getattr(address, "ipv4_mapped", None) or ipaddress.ip_address("0.0.0.0")).is_loopback
    ]
    assert open_to_others == []


def _listening(server: Server) -> tuple[set[str], list[tuple[str, int, str]]]:
    """The names of the server's processes, and (address, port, name) of all they listen on."""
    heard: set[str] = set()
    listening: list[tuple[str, int, str]] = []
    for process in server.processes():
        try:
            heard.add(process.name())
            for connection in process.net_connections("inet"):
                if not connection.laddr:
                    continue  # a socket that is not bound yet
                bound = connection.type.name == "SOCK_DGRAM" and not connection.raddr
                if connection.status == psutil.CONN_LISTEN or bound:
                    listening.append((connection.laddr.ip, connection.laddr.port, process.name()))
        except psutil.NoSuchProcess:
            continue
    return heard, listening


def test_requests_arrive_as_they_were_sent(server: Server) -> None:
    said = {"user_id": "a/b 张三", "messages": [{"content": "我喜欢打羽毛球"}], "wait": True}
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        added = client.post("/api/v1/memories", json=said, headers={"X-Request-ID": "mine"})
        assert added.status_code == 200
        assert added.headers["X-Request-ID"] == "mine"
        assert len(added.headers.get_list("X-Memgrid-Request-ID")) == 1
        profile = client.get("/api/v1/users/a%2Fb%20%E5%BC%A0%E4%B8%89/profile")
        assert profile.json()["user_id"] == "a/b 张三"
        found = client.get("/api/v1/memories/search", params={"query": "运动", "user_id": "a/b 张三"})
        assert any("羽毛球" in one["content"] for one in found.json())


def test_a_body_that_is_too_large_is_refused_in_our_words(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        answer = client.post(
            "/api/v1/memories",
            content=b'{"user_id": "u", "messages": [' + b" " * (11 * 1024 * 1024),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "payload_too_large"

        def pieces() -> Iterator[bytes]:
            for _ in range(11):
                yield b" " * (1024 * 1024)

        chunked = client.post(
            "/api/v1/memories", content=pieces(), headers={"Content-Type": "application/json"}
        )
        assert chunked.status_code == 413


def test_health_and_metrics_reach_every_part(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        detail = client.get("/health/detailed").json()
        assert detail["overall"] == "healthy"
        assert {"wide_store", "search_index", "memgrid-shard-actor-0"} == set(detail["components"])
        metrics = client.get("/metrics").text
    assert "memgrid_http_requests_total" in metrics


def test_while_the_replica_is_away_callers_are_told_to_come_back(server: Server) -> None:
    server.kill_replica()
    answers: list[httpx.Response] = []
    deadline = time.monotonic() + 60
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        while time.monotonic() < deadline:
            try:
                answers.append(client.get("/health/ready"))
            except httpx.RemoteProtocolError:
                continue  # it was on its way in the replica that was killed
            if answers[-1].status_code == 200 and len(answers) > 1:
                break
    assert answers[-1].status_code == 200
    for answer in answers[:-1]:
        if answer.status_code != 200:
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["error"]["code"] == "unavailable"


def test_sigterm_drains_and_ends_it_soon(tmp_path: Path) -> None:
    running = Server(tmp_path)
    running.start()
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 30
    assert "drained" in running.log_tail()
