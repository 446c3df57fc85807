"""What every search index must do, whatever it is made of."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Coroutine, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.search_index.port import Filling, IndexDocument, IndexHit, IndexQuery, SearchIndex
from memgrid.errors import InvalidInput
from memgrid.subject import Subject
from tests.conformance.search_index.conftest import DIMENSION, Settle

ALICE = Subject("acme", "user", "alice")
BOB = Subject("acme", "user", "bob")

CORPUS = {
    "badminton": "我喜欢打羽毛球",
    "tea": "用户每天早上喝绿茶",
    "run": "She was running along the river in the mornings",
    "names": "Caroline's sister José lives in Zürich",
    "codes": "Order SKU-4711/B was shipped on 2023-04-30, call 13800138000 or mail li.lei@example.com",
    "mixed": "周末去了 Hangzhou 的西湖，花了 1,250 元 😀",
    "kana": "東京タワーに行きました",
}


def document(id_: str, text: str = "", **fields: Any) -> IndexDocument:
    return IndexDocument(
        **{"id": id_, "kind": "memory", "text": text, "version": 1, "generation": 0, **fields}
    )


def unit(*components: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector of length one; the components not given are 0."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[: len(components)] = components
    return vector / np.linalg.norm(vector)


async def find(index: SearchIndex, subject: Subject | None = ALICE, **query: Any) -> dict[str, IndexHit]:
    tenant = query.pop("tenant", subject.tenant if subject else "acme")
    hits = (await index.search(IndexQuery(tenant=tenant, subject=subject, **query))).hits
    assert len({(hit.subject, hit.id) for hit in hits}) == len(hits), "a hit is listed twice"
    return {hit.id: hit for hit in hits}


async def words(index: SearchIndex, text: str, subject: Subject | None = ALICE, **query: Any) -> set[str]:
    return set(await find(index, subject, text=text, **query))


async def at_once(work: Iterable[Coroutine[Any, Any, None]], limit: int = 16) -> None:
    """Run side by side what takes a round trip each."""
    gate = asyncio.Semaphore(limit)

    async def one(each: Coroutine[Any, Any, None]) -> None:
        async with gate:
            await each

    await asyncio.gather(*map(one, work))


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("羽毛球", "badminton"),
        ("打羽毛球", "badminton"),
        ("绿茶", "tea"),
        ("他喝什么茶？绿茶吗", "tea"),
        ("runs", "run"),
        ("RUN", "run"),
        ("morning river", "run"),
        ("Caroline", "names"),
        ("Caroline’s", "names"),
        ("jose", "names"),
        ("ZURICH", "names"),
        ("SKU-4711/B", "codes"),
        ("4711", "codes"),
        ("2023-04-30", "codes"),
        ("13800138000", "codes"),
        ("li.lei@example.com", "codes"),
        ("西湖", "mixed"),
        ("hangzhou", "mixed"),
        ("1250", "mixed"),
        ("😀", "mixed"),
        ("ＨＡＮＧＺＨＯＵ", "mixed"),
        ("タワー", "kana"),
    ],
)
async def test_words_are_found(index: SearchIndex, settle: Settle, query: str, best: str) -> None:
    await index.put(ALICE, [document(id_, text) for id_, text in CORPUS.items()])
    await settle(index)
    hits = await find(index, text=query)
    assert max(hits.values(), key=lambda hit: hit.text_score or 0).id == best
    assert all(hit.text_score is not None and hit.text_score > 0 for hit in hits.values())
    assert all(hit.vector_score is None for hit in hits.values())


@pytest.mark.parametrize(
    "query", ["蓝球", "1380013800", "li.lei@example.org.cn", "4712", "runner-up", "西", "z"]
)
async def test_what_does_not_match_is_not_found(index: SearchIndex, settle: Settle, query: str) -> None:
    await index.put(ALICE, [document("badminton", "我喜欢打羽毛球"), document("mail", "li.lei, 13800138000")])
    await settle(index)
    assert "badminton" not in await words(index, query)
    if "@" not in query:
        assert not await words(index, query)


async def test_more_and_rarer_words_score_higher(index: SearchIndex, settle: Settle) -> None:
    filler = [document(f"f{n}", f"天气不错 the weather is fine {n}") for n in range(20)]
    await index.put(
        ALICE,
        [*filler, document("both", "the weather in Harbin"), document("one", "Harbin sausage recipe shop")],
    )
    await settle(index)
    hits = await find(index, text="weather in Harbin")
    scores = {id_: hit.text_score or 0 for id_, hit in hits.items()}
    assert scores["both"] > scores["one"] > scores["f0"] > 0


# --- vectors ----------------------------------------------------------------------------------


async def test_vectors_are_compared_by_cosine(index: SearchIndex, settle: Settle) -> None:
    await index.put(
        ALICE,
        [
            document("same", vector=unit(1, 0, 0, 0)),
            document("near", vector=unit(1, 1, 0, 0)),
            document("far", vector=unit(0, 0, 1, 0)),
            document("opposite", vector=unit(-1, 0, 0, 0)),
            document("wordless"),
        ],
    )
    await settle(index)
    hits = await find(index, vector=unit(1, 0, 0, 0))
    assert {id_: hit.vector_score for id_, hit in hits.items()} == {
        "same": pytest.approx(1, abs=2e-3),
        "near": pytest.approx(0.7071, abs=2e-3),
        "far": pytest.approx(0, abs=2e-3),
        "opposite": pytest.approx(-1, abs=2e-3),
    }
    assert all(hit.text_score is None for hit in hits.values())


async def test_words_and_vectors_are_united(index: SearchIndex, settle: Settle) -> None:
    await index.put(
        ALICE,
        [
            document("both", "绿茶", vector=unit(1, 0)),
            document("words", "绿茶", vector=unit(0, 1)),
            document("vector", "咖啡", vector=unit(1, 0.1)),
        ],
    )
    await settle(index)
    hits = await find(index, text="绿茶", vector=unit(1, 0), limit=2)
    assert set(hits) == {"both", "words", "vector"}
    assert hits["both"].text_score
    assert hits["both"].vector_score == pytest.approx(1, abs=2e-3)
    assert hits["words"].text_score
    assert hits["words"].vector_score is None
    assert hits["vector"].text_score is None
    assert hits["vector"].vector_score


async def test_a_vector_may_come_later(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", version=7)])
    await settle(index)
    assert await words(index, "绿茶") == {"a"}
    assert not await find(index, vector=unit(1, 0))
    await index.put(ALICE, [document("a", "绿茶", version=7, vector=unit(1, 0))])
    await settle(index)
    assert set(await find(index, vector=unit(1, 0))) == {"a"}
    assert await words(index, "绿茶") == {"a"}


async def test_best_by_each_score_within_limit(index: SearchIndex, settle: Settle) -> None:
    await index.put(
        ALICE,
        [
            document(f"d{n}", "badminton " * (n + 1) + "court " * (30 - n), vector=unit(1, n / 10))
            for n in range(30)
        ],
    )
    await settle(index)
    by_words = await find(index, text="badminton", limit=5)
    assert set(by_words) == {"d25", "d26", "d27", "d28", "d29"}
    by_vector = await find(index, vector=unit(1, 0), limit=5)
    assert set(by_vector) == {"d0", "d1", "d2", "d3", "d4"}


# --- who sees what ----------------------------------------------------------------------------

LOOKALIKES = [
    ALICE,
    BOB,
    Subject("acme", "agent", "alice"),
    Subject("acme2", "user", "alice"),
    Subject("acmeuser", "user", "alice"),
    Subject("acme", "user", "alice "),
    Subject("acme", "user", "Alice"),
    Subject("acme", "user", "alic\u00e9"),
    Subject("acme", "user", "alice*"),
    Subject("acme", "user", '" OR scope : "'),
    Subject("acme", "user", "alice\0"),
    Subject("acme\0user", "user", "alice"),
    Subject("acme", "user", "%"),
    Subject("acme", "user", "张三"),
    Subject("acme", "user", "a" * 256),
]


async def test_subjects_see_only_their_own(index: SearchIndex, settle: Settle) -> None:
    for number, subject in enumerate(LOOKALIKES):
        # the same id everywhere: an id is only unique within its subject
        await index.put(subject, [document("same", f"绿茶 secret{number}", vector=unit(1, 0))])
    await settle(index)

    async def check(number: int, subject: Subject) -> None:
        [hit] = (await find(index, subject, text="绿茶", vector=unit(1, 0))).values()
        assert hit.subject == subject
        assert await index.count(subject) == 1
        for other in range(len(LOOKALIKES)):
            assert await words(index, f"secret{other}", subject) == ({"same"} if other == number else set())

    await at_once(check(number, subject) for number, subject in enumerate(LOOKALIKES))


async def test_a_search_is_never_wider_than_asked(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", labels={"agent": "bot"})])
    await index.put(Subject("rival", "user", "eve"), [document("e", "绿茶", labels={"agent": "bot"})])
    await settle(index)
    with pytest.raises(InvalidInput):
        await index.search(IndexQuery(tenant="acme", text="绿茶"))
    with pytest.raises(InvalidInput):
        await index.search(IndexQuery(tenant="", labels={"agent": "bot"}, text="绿茶"))
    with pytest.raises(InvalidInput):
        await index.search(IndexQuery(tenant="rival", subject=ALICE, text="绿茶"))
    assert await words(index, "绿茶", None, labels={"agent": "bot"}) == {"a"}
    assert await words(index, "绿茶", None, labels={"agent": "bot"}, tenant="rival") == {"e"}


async def test_labels_reach_across_subjects(index: SearchIndex, settle: Settle) -> None:
    for number in range(6):
        subject = Subject("acme", "user", f"u{number}")
        await index.put(
            subject,
            [
                document(
                    "with", "喝绿茶", labels={"agent": "bot", "app": f"p{number % 2}"}, vector=unit(1, number)
                ),
                document("without", "喝绿茶", vector=unit(1, number)),
                document("other", "喝绿茶", labels={"agent": "bot2", "user": "bot"}, vector=unit(1, number)),
            ],
        )
    await settle(index)
    found = await index.search(IndexQuery(tenant="acme", labels={"agent": "bot"}, text="绿茶"))
    assert {hit.subject.id for hit in found.hits} == {f"u{n}" for n in range(6)}
    assert {hit.id for hit in found.hits} == {"with"}
    both = await index.search(IndexQuery(tenant="acme", labels={"agent": "bot", "app": "p1"}, text="绿茶"))
    assert {hit.subject.id for hit in both.hits} == {"u1", "u3", "u5"}
    nearest = await index.search(
        IndexQuery(tenant="acme", labels={"agent": "bot"}, vector=unit(1, 0), limit=2)
    )
    assert {(hit.subject.id, hit.id) for hit in nearest.hits} == {("u0", "with"), ("u1", "with")}
    narrowed = IndexQuery(
        tenant="acme", subject=Subject("acme", "user", "u2"), labels={"app": "p0"}, text="绿茶"
    )
    assert [(hit.subject.id, hit.id) for hit in (await index.search(narrowed)).hits] == [("u2", "with")]


async def test_a_whole_tenant_is_searched_when_that_is_said(index: SearchIndex, settle: Settle) -> None:
    for tenant, user in (("acme", "a"), ("acme", "b"), ("acme2", "a")):
        await index.put(Subject(tenant, "user", user), [document("d", "喝绿茶", vector=unit(1, 1))])
    await index.put(Subject("acme", "agent", "bot"), [document("d", "红茶", vector=unit(0, 1))])
    await settle(index)
    for question, expected in (
        ({"text": "绿茶"}, {"a", "b"}),
        ({"vector": unit(1, 1)}, {"a", "b", "bot"}),
        ({"text": "绿茶", "vector": unit(0, 1)}, {"a", "b", "bot"}),
    ):
        found = await index.search(IndexQuery(tenant="acme", whole_tenant=True, **question))
        assert {hit.subject.tenant for hit in found.hits} == {"acme"}
        assert {hit.subject.id for hit in found.hits} == expected


async def test_a_subject_is_its_own_label(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", labels={"user": "alice", "agent": "bot"})])
    await settle(index)
    assert await words(index, "绿茶", None, labels={"user": "alice"}) == {"a"}
    assert await words(index, "绿茶", None, labels={"agent": "alice"}) == set()


async def test_session_and_kind_narrow(index: SearchIndex, settle: Settle) -> None:
    await index.put(
        ALICE,
        [
            document("m1", "绿茶", kind="message", session="s1", vector=unit(1, 0)),
            document("m2", "绿茶", kind="message", session="s2", vector=unit(1, 0)),
            document("f1", "绿茶", kind="memory", session="s1", vector=unit(1, 0)),
            document("f2", "绿茶", kind="memory", vector=unit(1, 0)),
        ],
    )
    await settle(index)
    for query in ({"text": "绿茶"}, {"vector": unit(1, 0)}):
        assert set(await find(index, **query)) == {"m1", "m2", "f1", "f2"}
        assert set(await find(index, **query, session="s1")) == {"m1", "f1"}
        assert set(await find(index, **query, session="s")) == set()
        assert set(await find(index, **query, kinds=("message",))) == {"m1", "m2"}
        assert set(await find(index, **query, kinds=("memory",), session="s1")) == {"f1"}
        assert set(await find(index, **query, kinds=())) == set()
    assert (await find(index, text="绿茶"))["m1"].kind == "message"


METADATA = {"shop": {"city": "杭州"}, "visits": 12, "tags": ["red", "green"], "vip": True}


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"metadata": {"shop": {"city": "杭州"}}},
        {"metadata.visits": {"gt": 9, "lte": 12}, "kind": ["fact", "event"]},
        {"OR": [{"metadata.tags": "green"}, {"metadata.tags": "blue"}]},
        {"NOT": {"metadata.vip": False}, "metadata.vip": True},
        {"metadata.shop.city": {"contains": "杭"}},
    ],
)
async def test_a_filter_never_hides_what_passes_it(
    index: SearchIndex, settle: Settle, filters: dict[str, Any]
) -> None:
    """An index may use it to leave out what does not pass; hydration decides."""
    many = METADATA | {f"k{n}": n for n in range(5_000)}
    await index.put(
        ALICE,
        [
            document("passes", "绿茶", metadata=METADATA, attributes={"kind": "fact"}, vector=unit(0, 1)),
            document("huge", "绿茶", metadata=many, vector=unit(0, 1)),
            *(document(f"not{n}", "绿茶", metadata={"visits": n}, vector=unit(1, 0)) for n in range(10)),
        ],
    )
    await settle(index)
    assert {"passes", "huge"} <= await words(index, "绿茶", filters=filters)
    assert {"passes", "huge"} <= set(await find(index, vector=unit(0, 1), filters=filters))


# --- versions, deletion, generations ----------------------------------------------------------


async def test_a_newer_version_replaces_and_an_older_does_not(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", version=5, vector=unit(1, 0), labels={"agent": "x"})])
    await index.put(ALICE, [document("a", "咖啡", version=6, vector=unit(0, 1))])
    await index.put(ALICE, [document("a", "牛奶", version=4, vector=unit(1, 0))])
    await settle(index)
    assert await words(index, "绿茶") == await words(index, "牛奶") == set()
    assert await words(index, "咖啡") == {"a"}
    assert (await find(index, vector=unit(0, 1)))["a"].vector_score == pytest.approx(1, abs=2e-3)
    assert await words(index, "咖啡", None, labels={"agent": "x"}) == set()
    assert await index.count(ALICE) == 1


async def test_the_same_put_again_changes_nothing(index: SearchIndex, settle: Settle) -> None:
    batch = [document("a", "绿茶", vector=unit(1, 0)), document("b", "咖啡")]
    for _ in range(3):
        await index.put(ALICE, batch)
    await settle(index)
    assert await index.count(ALICE) == 2
    assert await words(index, "绿茶") == {"a"}


async def test_deleted_stays_out(index: SearchIndex, settle: Settle) -> None:
    await index.put(
        ALICE, [document("a", "绿茶", version=3, vector=unit(1, 0)), document("b", "绿茶", version=3)]
    )
    await index.delete(ALICE, 0, [("a", 4), ("never-seen", 9)])
    await index.put(ALICE, [document("a", "绿茶", version=3), document("a", "绿茶", version=4)])
    await index.put(ALICE, [document("never-seen", "绿茶", version=9)])
    await settle(index)
    assert await words(index, "绿茶") == {"b"}
    assert set(await find(index, vector=unit(1, 0))) == set()
    assert await index.count(ALICE) == 1
    await index.put(ALICE, [document("a", "绿茶", version=5)])
    await settle(index)
    assert await words(index, "绿茶") == {"a", "b"}


async def test_a_late_delete_spares_what_is_newer(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", version=8)])
    await index.delete(ALICE, 0, [("a", 7)])
    await settle(index)
    assert await words(index, "绿茶") == {"a"}


async def test_an_erased_subject_stays_erased(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document(f"d{n}", "绿茶", version=n, vector=unit(1, 0)) for n in range(5)])
    await index.put(BOB, [document("d0", "绿茶")])
    await index.delete_subject(ALICE, 1)
    await index.put(ALICE, [document("d3", "绿茶", version=99), document("late", "绿茶")])
    await settle(index)
    assert await index.count(ALICE) == 0
    assert not await find(index, text="绿茶", vector=unit(1, 0))
    assert await words(index, "绿茶", BOB) == {"d0"}
    await index.put(ALICE, [document("d3", "红茶", version=6, generation=1)])
    await index.delete_subject(ALICE, 1)
    await index.delete(ALICE, 0, [("d3", 100)])
    await settle(index)
    assert await words(index, "红茶") == {"d3"}


async def test_a_newer_generation_wins_over_a_higher_version(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document("a", "绿茶", version=50, generation=0)])
    await index.put(ALICE, [document("a", "咖啡", version=2, generation=1)])
    await index.put(ALICE, [document("a", "绿茶", version=51, generation=0)])
    await settle(index)
    assert await words(index, "咖啡") == {"a"}
    assert await words(index, "绿茶") == set()


STEPS = {
    "put1": ("put", "a", 1, 0),
    "put3": ("put", "a", 3, 0),
    "delete2": ("delete", "a", 2, 0),
    "put5": ("put", "a", 5, 1),
    "erase": ("erase", "", 0, 1),
}


async def test_any_order_of_arrival_ends_the_same(index: SearchIndex, settle: Settle) -> None:
    """The same five effects in every order, each delivered twice: the last state is one."""

    async def deliver(subject: Subject, order: tuple[str, ...]) -> None:
        for name in (*order, *order[:2]):
            verb, id_, version, generation = STEPS[name]
            if verb == "put":
                await index.put(
                    subject, [document(id_, f"text v{version}", version=version, generation=generation)]
                )
            elif verb == "delete":
                await index.delete(subject, generation, [(id_, version)])
            else:
                await index.delete_subject(subject, generation)

    async def check(subject: Subject, order: tuple[str, ...]) -> None:
        assert await index.count(subject) == 1, order
        assert await words(index, "v5", subject) == {"a"}, order
        assert await words(index, "v1 v3", subject) == set(), order

    orders = {
        Subject("acme", "user", f"order-{number}"): order
        for number, order in enumerate(itertools.permutations(STEPS))
    }
    await at_once(deliver(subject, order) for subject, order in orders.items())
    await settle(index)
    await at_once(check(subject, order) for subject, order in orders.items())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abc"), st.integers(1, 6)),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
async def test_replays_converge(
    index: SearchIndex, settle: Settle, steps: list[tuple[str, str, int]], random: Any
) -> None:
    """Of each id the highest version decides; at the same version a deletion does."""
    subject = Subject("acme", "user", uuid.uuid4().hex)  # the index outlives the example
    replayed = steps + random.sample(steps, len(steps) // 2)
    random.shuffle(replayed)
    for verb, id_, version in replayed:
        if verb == "put":
            await index.put(subject, [document(id_, f"绿茶 v{version}", version=version)])
        else:
            await index.delete(subject, 0, [(id_, version)])
    await settle(index)
    expected: dict[str, str] = {}
    for id_ in {id_ for _, id_, _ in steps}:
        version, verb = max((v, "z" if verb == "delete" else "put") for verb, i, v in steps if i == id_)
        if verb == "put":
            expected[id_] = f"v{version}"
    assert await words(index, "绿茶", subject) == set(expected)
    for id_, word in expected.items():
        assert id_ in await words(index, word, subject)
    assert await index.count(subject) == len(expected)


# --- hostile and large ------------------------------------------------------------------------

HOSTILE = [
    '"',
    '""',
    '羽毛球"',
    '" OR "1"="1',
    "terms : 绿茶",
    "scope : *",
    "NEAR(a b, 5)",
    "a AND b OR NOT c",
    "^a",
    "a*",
    "-a",
    "{terms scope} : x",
    "(((((",
    "'; DROP TABLE words; --",
    "\0",
    "绿\0茶",
    "\ud83d",
    "\u202e\u200b",
    "%",
    "_",
    "\\",
    " \n\t ",
    "?",
]


@pytest.mark.parametrize("query", HOSTILE)
async def test_hostile_queries_are_only_words(index: SearchIndex, settle: Settle, query: str) -> None:
    await index.put(BOB, [document("b", "绿茶 a b c 1 x terms scope drop table words near or and not")])
    await index.put(ALICE, [document("a", f"{query} 咖啡".replace("\ud83d", ""))])
    await settle(index)
    hits = await find(index, text=query)
    assert set(hits) <= {"a"}
    assert {hit.subject for hit in hits.values()} <= {ALICE}
    assert await words(index, "咖啡") == {"a"}


async def test_huge_queries_and_texts(index: SearchIndex, settle: Settle) -> None:
    huge = " ".join(f"word{n}" for n in range(20_000)) + "羽毛球" * 5_000 + " " + "x" * 100_000
    await index.put(ALICE, [document("huge", huge), document("small", "word7 badminton")])
    await settle(index)
    assert await words(index, "word7") == {"huge", "small"}
    assert "huge" in await words(index, huge)
    assert await words(index, "word19999") == {"huge"}


async def test_odd_ids_come_back_as_they_are(index: SearchIndex, settle: Settle) -> None:
    ids = ["a'b", 'a"b', "a b", "a\0b", "键", "%", "../x", "A", "a"]
    await index.put(ALICE, [document(id_, "绿茶") for id_ in ids])
    await settle(index)
    assert await words(index, "绿茶") == set(ids)
    await index.delete(ALICE, 0, [("a", 1)])
    await settle(index)
    assert await words(index, "绿茶") == set(ids) - {"a"}


async def test_limits(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document(f"d{n:03}", "绿茶", vector=unit(1, n)) for n in range(120)])
    await settle(index)
    assert len(await find(index, text="绿茶", limit=7)) == 7
    assert len(await find(index, vector=unit(1, 0), limit=7)) == 7
    assert len(await find(index, text="绿茶", limit=1000)) == 120
    assert 7 <= len(await find(index, text="绿茶", vector=unit(1, 0), limit=7)) <= 14


async def test_empty_questions_have_empty_answers(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [])
    await index.delete(ALICE, 0, [])
    assert await index.count(ALICE) == 0
    await index.put(ALICE, [document("a", "绿茶", vector=unit(1, 0))])
    await settle(index)
    assert not await find(index)
    assert not await find(index, text="")
    assert not await find(index, text="，。!?")
    assert not await find(index, vector=np.zeros(DIMENSION, dtype=np.float32))
    assert not await find(index, Subject("acme", "user", "nobody"), text="绿茶", vector=unit(1, 0))
    await index.delete_subject(Subject("acme", "user", "nobody"), 3)
    await index.ping()


async def test_many_writers_at_once(index: SearchIndex, settle: Settle) -> None:
    subjects = [Subject("acme", "user", f"w{n}") for n in range(8)]

    async def write(subject: Subject) -> None:
        for n in range(20):
            await index.put(subject, [document(f"d{n}", f"绿茶 v{n}", version=n)])
            if n % 5 == 4:
                await index.delete(subject, 0, [(f"d{n}", n)])

    async def read(subject: Subject) -> None:
        for _ in range(10):
            assert {hit.subject for hit in (await find(index, subject, text="绿茶")).values()} <= {subject}

    await asyncio.gather(*map(write, subjects), *map(read, subjects))
    await settle(index)
    for subject in subjects:
        assert await index.count(subject) == 16
        assert len(await words(index, "绿茶", subject)) == 16


# --- filling ----------------------------------------------------------------------------------


async def listed(index: SearchIndex, subject: Subject, limit: int) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    cursor: str | None = None
    while True:
        page, cursor = await index.listed(subject, cursor=cursor, limit=limit)
        assert len(page) <= limit
        rows += page
        if cursor is None:
            return rows


async def test_everything_of_a_subject_is_listed_once(index: SearchIndex) -> None:
    await index.put(ALICE, [document(f"m{n}", "绿茶", kind="message") for n in range(7)])
    await index.put(ALICE, [document("f", "绿茶"), document("gone", "绿茶")])
    await index.put(BOB, [document("b", "绿茶")])
    await index.delete(ALICE, 0, [("gone", 1)])
    expected = [("f", "memory"), *((f"m{n}", "message") for n in range(7))]
    for limit in (1, 3, 100):
        assert sorted(await listed(index, ALICE, limit)) == expected
    await index.delete_subject(ALICE, 1)
    assert await listed(index, ALICE, 10) == []


async def test_marks_of_filled_shards(index: SearchIndex) -> None:
    assert await index.filling(range(300)) == Filling(filled=frozenset(), rebuilding=False)
    await index.set_filled([0, 7])
    await index.set_filled([7, 299, 400])
    await index.set_filled([])
    assert (await index.filling(range(300))).filled == {0, 7, 299}
    assert (await index.filling([400, 401])).filled == {400}


async def test_an_index_is_made_anew_while_it_is_used(index: SearchIndex, settle: Settle) -> None:
    await index.put(ALICE, [document(id_, "绿茶", vector=unit(1, 0)) for id_ in ("kept", "gone", "new")])
    await index.put(BOB, [document("b", "绿茶")])
    await index.delete(ALICE, 0, [("before", 3)])
    await index.set_filled([0, 1])
    await settle(index)

    await index.begin_rebuild()
    assert await index.filling([0, 1]) == Filling(filled=frozenset(), rebuilding=True)
    assert await words(index, "绿茶") == {"kept", "gone", "new"}
    await index.put(ALICE, [document("new", "绿茶", version=2, vector=unit(0, 1))])
    await index.set_filled([0])
    await index.begin_rebuild()
    assert (await index.filling([0, 1])).filled == {0}, "called again, it goes on"
    await index.put(
        ALICE, [document("kept", "绿茶", vector=unit(1, 0)), document("before", "绿茶", version=2)]
    )
    await index.delete(ALICE, 0, [("gone", 1)])
    await index.delete_subject(BOB, 1)
    await index.put(ALICE, [document("gone", "绿茶")])
    await settle(index)
    assert (await find(index, vector=unit(0, 1)))["new"].vector_score == pytest.approx(1, abs=2e-3)

    await index.end_rebuild()
    assert await index.filling([0, 1]) == Filling(filled=frozenset([0]), rebuilding=False)
    await settle(index)
    assert await words(index, "绿茶") == {"kept", "new"}
    assert await words(index, "绿茶", BOB) == set()
    assert await index.count(ALICE) == 2
    assert (await find(index, vector=unit(0, 1)))["new"].vector_score == pytest.approx(1, abs=2e-3)
