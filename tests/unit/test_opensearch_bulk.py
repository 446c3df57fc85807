"""Bulk requests against a server that is busy, blocked, away or picky (a fake that answers from a script)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as NotReached
from opensearchpy.exceptions import TransportError

from cluster.search_index import opensearch_bulk
from cluster.search_index.opensearch_bulk import BulkWriter
from cluster.search_index.opensearch_documents import Action
from cluster.search_index.port import RefusedDocuments
from memgrid.errors import MemgridError, Overloaded, Unavailable

Answer = Callable[[str], int] | Exception


class Server:
    """Answers each bulk request with the next of its script; what is beyond it succeeds."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.requests: list[list[str]] = []
        self.made = 0
        self.open = asyncio.Event()
        self.open.set()
        self.under_way = self.most_under_way = 0

    async def bulk(self, body: bytes, index: str, params: dict[str, str]) -> dict[str, Any]:
        assert index == "alias"
        assert params["require_alias"] == "true"
        names = [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]
        self.requests.append(names)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.open.wait()
        await asyncio.sleep(0)
        self.under_way -= 1
        answer: Answer = self.script.pop(0) if self.script else (lambda name: 201)
        if isinstance(answer, Exception):
            raise answer
        statuses = [answer(name) for name in names]
        items = [
            {"index": {"status": s} | ({"error": {"type": "t", "reason": "r"}} if s > 299 else {})}
            for s in statuses
        ]
        return {"errors": any(s > 299 for s in statuses), "items": items}

    async def make(self) -> None:
        self.made += 1

    def writer(self, patience: float = 30.0) -> BulkWriter:
        return BulkWriter(self, "alias", patience=patience, make=self.make)  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensearch_bulk, "_FIRST_PAUSE", 0.001)


def action(name: str, size: int = 10) -> Action:
    header = json.dumps({"index": {"_id": name}}).encode()
    return Action(name, header + b"\n" + b" " * size + b"\n")


def statuses(**of: int) -> Callable[[str], int]:
    return lambda name: of.get(name, 201)


async def test_a_conflict_is_success() -> None:
    server = Server(statuses(b=409))
    await server.writer().write([action("a"), action("b")])
    assert server.requests == [["a", "b"]]


@pytest.mark.parametrize("status", [429, 403, 404, 503])
async def test_only_what_failed_for_a_moment_is_sent_again(status: int) -> None:
    server = Server(statuses(b=status, c=status), statuses(c=status))
    await server.writer().write([action("a"), action("b"), action("c")])
    assert server.requests == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert server.made == (2 if status == 404 else 0)


async def test_a_refused_document_does_not_keep_the_others_out() -> None:
    server = Server(statuses(b=400, c=429))
    with pytest.raises(RefusedDocuments) as refused:
        await server.writer().write([action("a"), action("b"), action("c")])
    assert refused.value.ids == ("b",)
    assert server.requests == [["a", "b", "c"], ["c"]]


async def test_a_busy_server_is_asked_until_patience_ends() -> None:
    busy = TransportError(429, "busy", {"error": {"type": "rejected", "reason": "queue"}})
    server = Server(busy, busy)
    await server.writer().write([action("a")])
    assert server.requests == [["a"]] * 3
    for_ever = Server(*[busy] * 1000)
    with pytest.raises(Overloaded):
        await for_ever.writer(patience=0.02).write([action("a")])


@pytest.mark.parametrize(
    "error", [NotReached("N/A", "refused", OSError("refused")), TransportError(502, "bad gateway", None)]
)
async def test_a_server_that_is_away_fails_those_it_was_asked_by(error: Exception) -> None:
    server = Server(error)
    writer = server.writer()
    with pytest.raises(Unavailable):
        await writer.write([action("a")])
    await writer.write([action("b")])
    assert server.requests == [["a"], ["b"]]
    assert writer.waiting_bytes == 0


async def test_what_many_put_goes_out_together() -> None:
    server = Server()
    server.open.clear()
    writer = server.writer()
    tasks = [asyncio.create_task(writer.write([action(f"{n}")])) for n in range(500)]
    await asyncio.sleep(0.01)
    server.open.set()
    await asyncio.gather(*tasks)
    assert len(server.requests) <= opensearch_bulk.MAX_REQUESTS + 2
    assert sorted(int(name) for names in server.requests for name in names) == list(range(500))


async def test_requests_are_bounded_and_so_is_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensearch_bulk, "MAX_REQUEST_BYTES", 1_000)
    monkeypatch.setattr(opensearch_bulk, "MAX_REQUEST_ITEMS", 7)
    monkeypatch.setattr(opensearch_bulk, "MAX_WAITING_BYTES", 5_000)
    server = Server()
    server.open.clear()
    writer = server.writer()
    sizes = [10, 400, 5, 999, 30, 2_000, 1] * 20
    tasks = [asyncio.create_task(writer.write([action(f"{n}", size)])) for n, size in enumerate(sizes)]
    await asyncio.sleep(0.01)
    assert writer.waiting_bytes < 5_000 + 2_100
    assert any(not task.done() for task in tasks)
    server.open.set()
    await asyncio.gather(*tasks)
    assert server.most_under_way == opensearch_bulk.MAX_REQUESTS
    for names in server.requests:
        assert len(names) <= 7
        assert len(names) == 1 or sum(len(action(n, sizes[int(n)]).lines) for n in names) <= 1_000
    assert sorted(int(name) for names in server.requests for name in names) == list(range(len(sizes)))
    assert writer.waiting_bytes == 0
    await writer.close()


async def test_an_error_while_an_index_is_made_is_told() -> None:
    class Broken(Server):
        async def make(self) -> None:
            raise Unavailable("no quorum")

    with pytest.raises(MemgridError, match="no quorum"):
        await Broken(statuses(a=404)).writer().write([action("a")])
