"""No way into the operator's network through an endpoint that a tenant names."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from cluster.llm.openai import OpenAILlm
from cluster.llm.port import ChatMessage
from cluster.outbound import ForbiddenAddress, check_host, check_url, is_public, resolve
from memgrid.errors import InvalidInput, Unavailable
from tests.llm_server import Reply, ScriptedLlmServer, completion

pytest_plugins = ("tests.llm_server.fixtures",)

CHAT = [ChatMessage("user", "你好")]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "100.100.100.200", "192.0.0.192", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "no address"),
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo with 127.0.0.1 inside
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "localhost"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "0"),
    ],
)
async def test_every_spelling_of_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await check_url(f"http://{host}:8080/v1")
    with pytest.raises(ForbiddenAddress):
        await check_host(host, 8080)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://example.com",
            "file:///etc/passwd",
            "http://",
            "example.com/v1",
            "http://user:pw@8.8.8.8/v1",
        ),
        *("http://8.8.8.8:99999/v1", "http://" + "a" * 300 + ".com"),
    ],
)
async def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        await check_url(url)


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.7"]

    with pytest.raises(ForbiddenAddress, match=r"models\.example"):
        await check_host("models.example", 443, both)


async def test_a_name_that_does_not_resolve_yet_is_checked_later() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror("no such host")

    await check_url("https://soon.example/v1", nowhere)


def public_llm(server: ScriptedLlmServer, host: str) -> OpenAILlm:
    port = server.base_url.rsplit(":", 1)[1]
    return OpenAILlm(
        base_url=f"http://{host}:{port}", api_key="k", model="m", max_retries=0, public_only=True
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_the_client_connects_to_no_private_address(llm_server: ScriptedLlmServer, host: str) -> None:
    llm = public_llm(llm_server, host)
    with pytest.raises(ForbiddenAddress):
        await llm.complete(CHAT)
    assert not llm_server.requests
    await llm.close()


async def test_the_connection_goes_to_the_address_that_was_checked(
    llm_server: ScriptedLlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look-up is public (here: said to be); a second one never gets a connection."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    def first(address: str) -> bool:
        return address == "127.0.0.1"

    monkeypatch.setattr("cluster.outbound.is_public", first)
    monkeypatch.setattr("cluster.public_only.PublicOnly.__init__.__defaults__", (rebinding,))
    llm = public_llm(llm_server, "models.example")
    llm_server.reply(completion("ok"))
    assert (await llm.complete(CHAT)).text == "ok"
    assert asked == ["models.example"]
    assert llm_server.requests[0].headers["host"].startswith("models.example:")
    with pytest.raises(ForbiddenAddress):
        await llm.complete(CHAT)
    assert len(llm_server.requests) == 1
    await llm.close()


async def test_a_redirect_is_not_followed(
    llm_server: ScriptedLlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def every(address: str) -> bool:
        return True

    monkeypatch.setattr("cluster.outbound.is_public", every)
    llm = public_llm(llm_server, "127.0.0.1")
    for status in (301, 302, 307, 308):
        llm_server.reply(Reply(status, b"", {"location": f"{llm_server.base_url}/elsewhere"}))
        with pytest.raises(Unavailable):
            await llm.complete(CHAT)
    assert len(llm_server.requests) == 4
    await llm.close()


async def test_proxies_of_the_environment_are_no_way_round(
    llm_server: ScriptedLlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, llm_server.base_url.removesuffix("/v1"))
    llm = public_llm(llm_server, "10.255.255.1")
    with pytest.raises(ForbiddenAddress):
        await llm.complete(CHAT)
    assert not llm_server.requests
    await llm.close()


async def test_the_systems_resolver_is_asked() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80) or "::1" in await resolve("localhost", 80)
