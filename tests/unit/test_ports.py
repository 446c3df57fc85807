from __future__ import annotations

import socket

import pytest

from actors.ports import free_ports, is_free


def test_a_free_port_is_none_that_the_kernel_gives_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.ports._first_ephemeral_port", lambda: 11_500)
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(10_240 <= port < 11_500 for port in ports)
    [port] = free_ports(1, taken=range(10_240, 11_400))
    assert 11_400 <= port < 11_500


def test_more_than_there_are() -> None:
    with pytest.raises(OSError, match="no free port"):
        free_ports(1, taken=range(65_536))


def test_a_taken_port_is_seen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_an_address_of_another_machine_is_no_busy_port() -> None:
    with pytest.raises(OSError, match="assign"):
        is_free(8005, ["192.0.2.1"])
