from __future__ import annotations

import pytest

from cluster.search_index.port import IndexHit
from memgrid import models as m
from memgrid.errors import Unavailable
from memgrid.operations import DeleteMemories, Hydrated, QueryVector
from memgrid.routing import Call
from memgrid.subject import Subject
from tests.api_fakes import VECTOR, Api, hit, hydrate_request, memory, memory_hit, message_hit

AGENT = Subject("default", "agent", "bot")
ALICE = Subject("default", "user", "alice")
BOB = Subject("default", "user", "bob")
QUERY = {"query": "x", "agent_id": "bot"}
IDS = [f"01936d5e-7c2a-7f3b-9a41-00000000000{n}" for n in range(9)]


async def test_a_search_by_agent_unites_its_own_and_what_others_hold_with_it() -> None:
    api = Api()
    api.index.hits = [hit(ALICE, IDS[1]), hit(ALICE, IDS[2], "message"), hit(BOB, IDS[3]), hit(AGENT, IDS[0])]
    api.router.answers["search"] = m.SearchResult(
        results=[memory_hit(0.6, id=IDS[0], agent_id="bot")], total=1, cursor="more"
    )

    def hydrate(call: Call) -> Hydrated:
        if call.subject == BOB:
            return Hydrated(results=[memory_hit(0.9, id=IDS[3], user_id="bob", agent_id="bot")])
        return Hydrated(
            results=[
                memory_hit(0.7, id=IDS[1], user_id="alice", agent_id="bot"),
                message_hit(0.2, id=IDS[2]),
            ]
        )

    api.router.answers["hydrate"] = hydrate
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json={**QUERY, "threshold": 0.1, "top_k": 3})
    found = m.SearchResult.model_validate(answer.json())
    assert [one.id for one in found.results] == [IDS[3], IDS[1], IDS[0]]
    assert (found.total, found.cursor, found.degraded) == (4, None, [])
    [query] = api.index.queries
    assert (query.tenant, query.subject, query.labels, query.text) == ("default", None, {"agent": "bot"}, "x")
    assert query.vector is not None
    assert query.vector.tolist() == pytest.approx([0.6, 0.8], abs=1e-3)
    [batch] = api.router.batches
    assert {(call.subject, *hydrate_request(call).memory_ids) for call in batch} == {
        (ALICE, IDS[1]),
        (BOB, IDS[3]),
    }
    assert hydrate_request(batch[0]).message_ids == [IDS[2]]
    assert {hydrate_request(call).vector for call in batch} == {VECTOR}, "embedded once for all owners"


@pytest.mark.parametrize(
    ("strategy", "text", "vector"),
    [("full_text", "x", False), ("vector", None, True), ("hybrid", "x", True)],
)
async def test_the_index_is_asked_as_the_query_asks(strategy: str, text: str | None, vector: bool) -> None:
    api = Api()
    async with api.client() as client:
        await client.post("/api/v1/memories/search", json={**QUERY, "strategy": strategy})
    [query] = api.index.queries
    assert (query.text, query.vector is not None) == (text, vector)
    assert [call.subject for call in api.router.called("query_vector")] == [AGENT] * vector


@pytest.mark.parametrize("strategy", ["vector", "hybrid"])
@pytest.mark.parametrize("answer", [QueryVector(vector=None), Unavailable("the owner is away")])
async def test_without_a_vector_it_goes_by_words_and_says_so(
    strategy: str, answer: QueryVector | Unavailable
) -> None:
    api = Api()
    api.router.answers["query_vector"] = answer
    api.index.hits = [hit(ALICE, IDS[1])]
    async with api.client() as client:
        found = await client.post("/api/v1/memories/search", json={**QUERY, "strategy": strategy})
    assert found.json()["degraded"] == ["embedding"]
    [query] = api.index.queries
    assert (query.text, query.vector) == ("x", None)
    [call] = api.router.called("hydrate")
    assert hydrate_request(call).vector is None


async def test_a_search_of_everyone_asks_for_the_whole_tenant_and_nobody_in_particular() -> None:
    api = Api()
    api.index.hits = [hit(ALICE, IDS[1]), hit(BOB, IDS[2])]
    api.router.answers["hydrate"] = lambda call: Hydrated(
        results=[memory_hit(0.9, id=hydrate_request(call).memory_ids[0], user_id=call.subject.id)]
    )
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json={"query": "x", "everyone": True})
        plain = await client.get("/api/v1/memories/search", params={"query": "x", "everyone": True})
    found = m.SearchResult.model_validate(answer.json()).results
    assert [one.subject for one in found] == ["user:alice", "user:bob"]
    assert len(plain.json()) == 2
    query = api.index.queries[0]
    assert (query.tenant, query.whole_tenant, query.subject, query.labels) == ("default", True, None, {})
    assert api.router.called("search") == []


@pytest.mark.parametrize("also", [{"user_id": "a"}, {"agent_id": "b"}, {"cursor": "c"}])
async def test_everyone_is_nobody_in_particular(also: dict[str, str]) -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json={"query": "x", "everyone": True, **also})
    assert answer.status_code == 422
    assert api.index.queries == []


async def test_nobody_named_is_no_search_of_everyone() -> None:
    api = Api()
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json={"query": "x", "everyone": False})
    assert answer.status_code == 422
    assert api.index.queries == []


async def test_vectors_that_were_not_compared_are_named() -> None:
    api = Api()
    api.index.cut = True
    async with api.client() as client:
        found = await client.post("/api/v1/memories/search", json=QUERY)
    assert found.json()["degraded"] == ["older_vectors"]


async def test_an_index_that_takes_too_long_is_not_waited_for() -> None:
    api = Api(search_timeout_seconds=0.01)
    api.index.gate.clear()
    async with api.client() as client:
        found = await client.post("/api/v1/memories/search", json=QUERY)
    assert (found.status_code, found.json()["degraded"]) == (200, ["search_index"])


async def test_no_more_are_read_than_one_way_alone_would_propose() -> None:
    api = Api()
    by_words = [IndexHit(ALICE, f"w{n}", "memory", 9.0 - n, None) for n in range(8)]
    by_vector = [IndexHit(BOB, f"v{n}", "memory", None, 0.9 - n / 10) for n in range(8)]
    api.index.hits = [*by_words, *by_vector]
    async with api.client() as client:
        await client.post("/api/v1/memories/search", json={**QUERY, "top_k": 2})
    read = {call.subject: hydrate_request(call).memory_ids for call in api.router.called("hydrate")}
    assert read == {ALICE: ["w0", "w1", "w2", "w3"], BOB: ["v0", "v1", "v2", "v3"]}


async def test_each_hit_says_whose_it_is_and_who_shares_it() -> None:
    api = Api()
    api.index.hits = [hit(ALICE, IDS[1]), hit(ALICE, IDS[2], "message"), hit(BOB, IDS[3])]
    own = memory_hit(0.6, id=IDS[0], agent_id="bot")
    shared = memory_hit(0.8, id=IDS[1], user_id="alice", agent_id="bot", shared_by="user:alice")
    shared = shared.model_copy(update={"subject": "user:alice"})
    api.router.answers["search"] = m.SearchResult(results=[shared, own], total=2)

    def hydrate(call: Call) -> Hydrated:
        if call.subject == BOB:
            return Hydrated(results=[memory_hit(0.9, id=IDS[3], user_id="bob", agent_id="bot")])
        found = memory_hit(0.7, id=IDS[1], user_id="alice", agent_id="bot")
        return Hydrated(results=[found, message_hit(0.2, id=IDS[2])])

    api.router.answers["hydrate"] = hydrate
    async with api.client() as client:
        answer = await client.post("/api/v1/memories/search", json=QUERY)
        plain = await client.get("/api/v1/memories/search", params=QUERY)
    found = m.SearchResult.model_validate(answer.json()).results
    assert [(one.id, one.subject, one.memory and one.memory.shared_by) for one in found] == [
        (IDS[3], "user:bob", None),
        (IDS[1], "user:alice", "user:alice"),
        (IDS[0], None, None),
        (IDS[2], "user:alice", None),
    ]
    told = [(one["metadata"].get("subject"), one["metadata"].get("shared_by")) for one in plain.json()]
    assert told == [(one.subject, one.memory.shared_by if one.memory else None) for one in found]


async def test_what_does_not_carry_the_label_is_left_out_whatever_the_index_says() -> None:
    api = Api()
    api.index.hits = [hit(ALICE, IDS[1]), hit(ALICE, IDS[2])]
    api.router.answers["search"] = m.SearchResult(results=[], total=0)
    api.router.answers["hydrate"] = Hydrated(
        results=[
            memory_hit(0.9, id=IDS[1], user_id="alice", agent_id="another"),
            memory_hit(0.8, id=IDS[2], user_id="alice"),
        ]
    )
    async with api.client() as client:
        answer = await client.get("/api/v1/memories/search", params=QUERY)
    assert answer.json() == []


async def test_without_others_the_owners_answer_is_passed_on_with_its_cursor() -> None:
    api = Api()
    raw = b'{"results":[],"total":0,"cursor":"more","degraded":[]}'
    api.router.answers["search"] = raw
    api.index.hits = [hit(AGENT, IDS[0])]
    async with api.client() as client:
        assert (await client.post("/api/v1/memories/search", json=QUERY)).content == raw
        assert (await client.post("/api/v1/memories/search", json={**QUERY, "cursor": "more"})).content == raw
    assert len(api.index.queries) == 1, "further pages are the owner's"
    assert api.router.called("hydrate") == []


async def test_what_fails_is_named_and_the_rest_is_answered() -> None:
    api = Api()
    api.router.answers["search"] = m.SearchResult(results=[memory_hit(0.5)], total=1)
    api.index.hits = [hit(ALICE, IDS[1])]
    api.router.answers["hydrate"] = Unavailable("the owner is away")
    async with api.client() as client:
        away = await client.post("/api/v1/memories/search", json=QUERY)
        api.index.down = Unavailable("the index is away")
        down = await client.post("/api/v1/memories/search", json=QUERY)
    assert (len(away.json()["results"]), away.json()["degraded"]) == (1, ["owners"])
    assert (len(down.json()["results"]), down.json()["degraded"]) == (1, ["search_index"])


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, ("memory", "message")),
        ({"types": ["message"]}, ("message",)),
        ({"kinds": ["fact"]}, ("memory",)),
    ],
)
async def test_only_what_is_wanted_is_proposed(given: dict[str, list[str]], kinds: tuple[str, ...]) -> None:
    api = Api()
    async with api.client() as client:
        await client.post(
            "/api/v1/memories/search", json={**QUERY, **given, "session_id": "s", "app_id": "a"}
        )
    [query] = api.index.queries
    assert (query.kinds, query.session, query.labels) == (kinds, "s", {"agent": "bot", "app": "a"})


def pages(held: dict[Subject, list[str]]) -> object:
    """`list_memories` of owners that hold these ids, by pages."""

    def answer(call: Call) -> m.MemoryPage:
        assert isinstance(call.request, m.ListQuery)
        ids = held.get(call.subject, [])
        at = int(call.request.cursor or 0)
        page = ids[at : at + call.request.limit]
        more = at + len(page) < len(ids)
        return m.MemoryPage(
            memories=[memory(id=one, agent_id="bot") for one in page],
            cursor=str(at + len(page)) if more else None,
            total=len(ids),
        )

    return answer


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_a_list_by_agent_goes_through_everyone_once(limit: int) -> None:
    api = Api()
    held = {AGENT: IDS[:2], ALICE: IDS[2:5], BOB: IDS[5:8]}
    api.router.answers["list_memories"] = pages(held)  # pyright: ignore[reportArgumentType]
    api.store.scopes["default", "agent", "bot"] = [(who, id) for who, ids in held.items() for id in ids]
    seen: list[str] = []
    cursor: str | None = None
    async with api.client() as client:
        while True:
            given = {"agent_id": "bot", "limit": limit} | ({"cursor": cursor} if cursor else {})
            page = m.MemoryPage.model_validate((await client.get("/api/v1/memories", params=given)).json())
            assert len(page.memories) <= limit
            assert page.total == 8
            seen += [one.id for one in page.memories]
            cursor = page.cursor
            if cursor is None:
                break
    assert sorted(seen) == IDS[:8]
    assert seen[:2] == IDS[:2], "its own come first"


async def test_a_list_has_what_is_shared_with_the_subject_once_and_nothing_shared_with_others() -> None:
    api = Api()
    carol = memory(id=IDS[4], user_id="carol", shared_by="user:carol")
    twice = memory(id=IDS[2], user_id="alice", agent_id="bot", shared_by="user:alice")
    pages: dict[Subject, list[m.MemoryOut]] = {
        AGENT: [memory(id=IDS[0], agent_id="bot"), carol, twice],
        ALICE: [memory(id=IDS[2], user_id="alice", agent_id="bot"), carol],
    }
    api.router.answers["list_memories"] = lambda call: m.MemoryPage(
        memories=pages[call.subject or AGENT], total=2
    )
    api.store.scopes["default", "agent", "bot"] = [(AGENT, IDS[0]), (ALICE, IDS[2])]
    async with api.client() as client:
        page = (await client.get("/api/v1/memories", params={"agent_id": "bot"})).json()
    assert [(one["id"], one.get("shared_by")) for one in page["memories"]] == [
        (IDS[0], None),
        (IDS[4], "user:carol"),
        (IDS[2], None),
    ]


async def test_a_list_goes_on_after_a_subject_that_is_gone() -> None:
    api = Api()
    held = {ALICE: IDS[2:5], BOB: IDS[5:8]}
    api.router.answers["list_memories"] = pages(held)  # pyright: ignore[reportArgumentType]
    rows = [(who, id) for who, ids in held.items() for id in ids]
    api.store.scopes["default", "agent", "bot"] = rows
    async with api.client() as client:
        first = (await client.get("/api/v1/memories", params={"agent_id": "bot", "limit": 1})).json()
        [gone] = [who for who, ids in held.items() if first["memories"][0]["id"] in ids]
        api.store.scopes["default", "agent", "bot"] = [row for row in rows if row[0] != gone]
        rest = await client.get("/api/v1/memories", params={"agent_id": "bot", "cursor": first["cursor"]})
    [other] = [ids for who, ids in held.items() if who != gone]
    assert [one["id"] for one in rest.json()["memories"]] == other


async def test_a_user_is_asked_alone() -> None:
    api = Api()
    api.store.scopes["default", "user", "alice"] = [(BOB, IDS[0])]
    async with api.client() as client:
        await client.get("/api/v1/memories", params={"user_id": "alice", "agent_id": "bot"})
    assert [call.subject for call in api.router.calls] == [ALICE]


async def test_deleting_by_agent_reaches_everyone_who_holds_it() -> None:
    api = Api()
    api.store.scopes["default", "agent", "bot"] = [
        (ALICE, IDS[0]),
        (ALICE, IDS[1]),
        (BOB, IDS[2]),
        (AGENT, IDS[3]),
    ]
    async with api.client() as client:
        answer = await client.delete(
            "/api/v1/memories", params={"agent_id": "bot", "app_id": "a", "kinds": ["fact"]}
        )
    assert answer.json() == {"count": 9}
    asked = {call.subject: call.request for call in api.router.called("delete_memories")}
    assert asked == {
        AGENT: DeleteMemories(kinds=["fact"], labels={"app": "a"}),
        ALICE: DeleteMemories(kinds=["fact"], labels={"app": "a", "agent": "bot"}),
        BOB: DeleteMemories(kinds=["fact"], labels={"app": "a", "agent": "bot"}),
    }


async def test_deleting_fails_when_one_owner_does() -> None:
    api = Api()
    api.store.scopes["default", "agent", "bot"] = [(ALICE, IDS[0])]
    api.router.answers["delete_memories"] = Unavailable("away")
    async with api.client() as client:
        assert (await client.delete("/api/v1/memories", params={"agent_id": "bot"})).status_code == 503
