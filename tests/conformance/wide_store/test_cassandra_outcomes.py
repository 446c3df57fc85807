"""A conditional write whose answer is lost: its outcome is read back, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.ids import new_id
from cluster.model import Claim, Head
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.cassandra_connection import CassandraConnection
from cluster.wide_store.port import StaleRevision
from memgrid.errors import Unavailable
from memgrid.subject import Subject
from tests.conformance.wide_store.cassandra_keyspace import CassandraKeyspace, options
from tests.conformance.wide_store.conftest import SHARDS
from tests.conformance.wide_store.cutting_proxy import CuttingProxy, Loss
from tests.conformance.wide_store.samples import NOW, added, changes, memory, put
from tests.servers.cassandra import CassandraCluster


@pytest.fixture
async def direct(cassandra_stores: tuple[CassandraStore, CassandraStore]) -> AsyncIterator[CassandraStore]:
    store = cassandra_stores[0]
    await store.open(shards=SHARDS)
    yield store
    await store.close()


@pytest.fixture
async def proxy(cassandra: CassandraCluster) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(cassandra.port).running() as proxy:
        yield proxy


@pytest.fixture
async def behind(
    cassandra: CassandraCluster,
    cassandra_keyspace: CassandraKeyspace,
    direct: CassandraStore,
    proxy: CuttingProxy,
) -> AsyncIterator[CassandraStore]:
    """A store whose every request goes through the proxy."""
    through = options(cassandra)._replace(port=proxy.port, timeout=3.0)
    store = CassandraStore(CassandraConnection(through))
    await store.open(shards=SHARDS)
    yield store
    await store.close()


@pytest.fixture
def subject() -> Subject:
    return Subject("acme", "user", new_id())


@pytest.mark.parametrize("loss", ["request", "answer", "answer, silently"])
async def test_a_commit_lands_once_whatever_is_lost(
    behind: CassandraStore, direct: CassandraStore, proxy: CuttingProxy, subject: Subject, loss: Loss
) -> None:
    first = await put(direct, subject, settings={"a": 1})
    known = memory()
    commit = changes(put=(known,), entries=added(known))
    proxy.lose(commit.commit_id.encode(), loss)
    head = await behind.commit(subject, first, commit)
    assert proxy.lost.is_set()
    assert head == Head(revision=2, settings={"a": 1})
    assert [row.commit_id for row in await direct.changes(subject, 1)] == [commit.commit_id]
    assert [m.id for m in (await direct.load(subject)).memories] == [known.id]


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_an_erase_lands_once_whatever_is_lost(
    behind: CassandraStore, direct: CassandraStore, proxy: CuttingProxy, subject: Subject, loss: Loss
) -> None:
    first = await put(direct, subject, put=(memory(),))
    wipe = changes(erase=True, actor="the one who erases")
    proxy.lose(wipe.actor.encode(), loss)
    assert await behind.commit(subject, first, wipe) == Head(revision=2, generation=1)
    assert await direct.head(subject) == Head(revision=2, generation=1)


async def test_a_commit_that_did_not_land_gives_way_to_the_one_that_did(
    behind: CassandraStore, direct: CassandraStore, proxy: CuttingProxy, subject: Subject
) -> None:
    first = await put(direct, subject, settings={"a": 1})
    lost, won = changes(settings={"a": 2}), changes(settings={"a": 3})
    proxy.lose(lost.commit_id.encode(), "request")
    losing = asyncio.create_task(behind.commit(subject, first, lost))
    await proxy.lost.wait()
    head = await direct.commit(subject, first, won)
    with pytest.raises(StaleRevision) as caught:
        await losing
    assert caught.value.head == head == await direct.head(subject)
    assert [row.commit_id for row in await direct.changes(subject, 1)] == [won.commit_id]


async def test_a_commit_that_landed_is_known_though_others_followed(
    behind: CassandraStore, direct: CassandraStore, proxy: CuttingProxy, subject: Subject
) -> None:
    first = await put(direct, subject, settings={"a": 1})
    landed = changes(settings={"a": 2})
    proxy.lose(landed.commit_id.encode(), "answer")
    committing = asyncio.create_task(behind.commit(subject, first, landed))
    await proxy.lost.wait()
    for _ in range(1000):  # the answer that was lost may have been another's
        if (await direct.head(subject)).revision == 2:
            break
    await put(direct, subject, settings={"a": 3})
    assert (await committing).revision == 2
    assert [row.revision for row in await direct.changes(subject, 0)] == [1, 2, 3]


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_claim_is_won_once_whatever_is_lost(
    behind: CassandraStore, direct: CassandraStore, proxy: CuttingProxy, subject: Subject, loss: Loss
) -> None:
    await direct.head(subject)
    claim = Claim(kind="message", key="k", payload_hash=b"first payload", message_ids=("m",))
    proxy.lose(claim.payload_hash, loss)
    assert await behind.claim(subject, 0, [claim], NOW) == [claim]
    assert proxy.lost.is_set()
    other = Claim(kind="message", key="k", payload_hash=b"second payload", message_ids=("n",))
    assert await direct.claim(subject, 0, [other], NOW) == [claim]


async def test_an_outcome_that_stays_unknown_is_an_error_and_may_be_asked_again(
    behind: CassandraStore,
    direct: CassandraStore,
    proxy: CuttingProxy,
    subject: Subject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cluster.wide_store.cassandra_commits._SETTLE_TRIES", 1)
    first = await put(direct, subject, settings={"a": 1})
    landed = changes(settings={"a": 2})
    proxy.lose(landed.commit_id.encode(), "answer")
    with pytest.raises(Unavailable, match="unknown"):
        await behind.commit(subject, first, landed)
    assert (await direct.commit(subject, first, landed)).revision == 2
    assert len(await direct.changes(subject, 1)) == 1
