"""Events, experience, relations, entities, sharing and topics, through real owners."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import InvalidInput, NotFound
from memgrid.operations import PROJECT
from memgrid.subject import Subject
from tests.owners import Asking, running_owner
from tests.scripted_extractor import ScriptedExtractor

ANNA = Subject("t", "user", "anna")
BOB = Subject("t", "user", "bob")
HELPER = Subject("t", "agent", "helper")
FAR = Subject("other", "user", "bob")
FRIDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def ask() -> AsyncGenerator[Asking]:
    async with running_owner(buffer_idle_seconds=3600) as asking:
        yield asking


async def memory_of(ask: Asking, subject: Subject, words: str) -> Any:
    page = await ask("list_memories", subject, latest_only=False)
    return next(memory for memory in page.memories if words in memory.memory)


# --- events -----------------------------------------------------------------------------------


def happening(message: Message) -> tuple[Candidate, ...]:
    """An event, on the day that stands at the message's beginning."""
    day, text = datetime.fromisoformat(message.content[:10]).replace(tzinfo=UTC), message.content[11:]
    tags = tuple(word[1:] for word in text.split() if word.startswith("#"))
    event_time = int(day.timestamp() * 1000)
    return (Candidate(kind="event", text=text, tags=tags, sources=(message.id,), event_time=event_time),)


async def test_events_by_time_tag_and_text_page_by_page() -> None:
    async with running_owner(extractor=ScriptedExtractor(happening), buffer_idle_seconds=3600) as ask:
        await ask.add(
            ANNA,
            "2026-01-05 hiking in the Alps #travel",
            "2026-02-05 a concert by the sea #music",
            "2026-03-05 去了北京旅行 #travel",
            "2026-04-05 hiking at home",
            wait=True,
        )

        async def gists(**query: Any) -> list[str]:
            return [event.gist.split(" #")[0] for event in (await ask("events", ANNA, **query)).events]

        assert await gists() == [
            "hiking at home",
            "去了北京旅行",
            "a concert by the sea",
            "hiking in the Alps",
        ]
        assert await gists(**{"from": "2026-02-05T00:00:00Z", "to": "2026-04-05T00:00:00Z"}) == [
            "去了北京旅行",
            "a concert by the sea",
        ]
        assert await gists(tags=["Travel"]) == ["去了北京旅行", "hiking in the Alps"]
        assert (await gists(query="北京"))[0] == "去了北京旅行"
        assert set((await gists(query="hiking"))[:2]) == {"hiking at home", "hiking in the Alps"}
        assert await gists(query="hiking", to="2026-02-01T00:00:00Z") == ["hiking in the Alps"]
        first = await ask("events", ANNA, limit=3)
        rest = await ask("events", ANNA, limit=3, cursor=first.cursor)
        assert [len(first.events), len(rest.events), rest.cursor] == [3, 1, None]
        assert first.events[0].at == datetime(2026, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("I ran a marathon yesterday.", datetime(2026, 11, 19, tzinfo=UTC)),
        ("我上周五去了北京。", datetime(2026, 11, 13, tzinfo=UTC)),
    ],
)
async def test_a_relative_date_is_that_of_its_message(ask: Asking, said: str, day: datetime) -> None:
    await ask.add(ANNA, said, wait=True, timestamp=FRIDAY)
    (event,) = (await ask("events", ANNA)).events
    assert event.at == day
    assert [e.id for e in (await ask("events", ANNA, **{"from": day, "to": FRIDAY})).events] == [event.id]


# --- experience -------------------------------------------------------------------------------


async def test_experience_is_distilled_found_used_changed_and_forgotten(ask: Asking) -> None:
    deploy = await ask(
        "record_task",
        HELPER,
        task="deploy the web service",
        steps=[{"action": "run the migrations", "result": "ok"}, {"action": "restart the pods"}],
        outcome="success",
        score=0.9,
        tags=["ops"],
    )
    assert deploy.when_to_use == "deploy the web service"
    assert deploy.what_to_do == "1. run the migrations → ok\n2. restart the pods"
    await ask("record_task", HELPER, task="写周报", what_to_do="先列出完成的事项", outcome="failure")
    found = (await ask("tasks", HELPER, task="how do I deploy the service?")).tasks
    assert found[0].id == deploy.id
    assert found[0].relevance > 0
    assert (await ask("tasks", HELPER, task="周报怎么写")).tasks[0].what_to_do == "先列出完成的事项"
    assert [t.task for t in (await ask("tasks", HELPER, outcome="failure")).tasks] == ["写周报"]
    used = await ask("use_task", HELPER, id=deploy.id, success=True)
    used = await ask("use_task", HELPER, id=deploy.id, success=False)
    assert (used.uses, used.successes) == (2, 1)
    changed = await ask("update_task", HELPER, id=deploy.id, patch={"lesson": "back up first"})
    assert (changed.lesson, changed.what_to_do) == ("back up first", deploy.what_to_do)
    hits = (await ask("search", HELPER, query="back up", kinds=["task"])).results
    assert [hit.id for hit in hits][:1] == [deploy.id]
    await ask("delete_memory", HELPER, id=deploy.id)
    assert [t.task for t in (await ask("tasks", HELPER)).tasks] == ["写周报"]
    with pytest.raises(NotFound):
        await ask("use_task", HELPER, id=deploy.id, success=True)


async def test_what_helps_comes_before_what_does_not(ask: Asking) -> None:
    tasks = [
        await ask("record_task", HELPER, task="deploy the service", what_to_do=way) for way in ("one", "two")
    ]
    for _ in range(3):
        await ask("use_task", HELPER, id=tasks[0].id, success=False)
        await ask("use_task", HELPER, id=tasks[1].id, success=True)
    found = (await ask("tasks", HELPER, task="deploy the service")).tasks
    assert [task.what_to_do for task in found] == ["two", "one"]


async def test_a_task_request_sent_again_has_one_effect(ask: Asking) -> None:
    request = "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c"
    use = "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1d"
    for _ in range(2):
        recorded = await ask("record_task", HELPER, request_id=request, task="deploy")
        used = await ask("use_task", HELPER, request_id=use, id=recorded.id, success=True)
    assert used.uses == 1
    assert len((await ask("tasks", HELPER)).tasks) == 1


async def test_extraction_leaves_experience_alone(ask: Asking) -> None:
    recorded = await ask("record_task", ANNA, task="User likes tea")
    await ask.add(ANNA, "I like tea.", wait=True)
    assert {m.kind for m in (await ask("list_memories", ANNA)).memories} == {"task", "profile"}
    assert (await ask("tasks", ANNA)).tasks[0].updated_at == recorded.updated_at


# --- relations and entities -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "place", "words", "other"),
    [
        (["I live in Hangzhou.", "My mother lives in Hangzhou."], "hangzhou", "User lives", "mother"),
        (["我住在杭州。", "我妈妈住在杭州。"], "杭州", "用户住在", "妈妈"),
    ],
)
async def test_entities_and_who_shares_them(
    ask: Asking, said: Sequence[str], place: str, words: str, other: str
) -> None:
    await ask.add(ANNA, *said, wait=True)
    entities = (await ask("entities", ANNA)).entities
    assert [(e.type, e.memories) for e in entities if e.name.lower() == place] == [("place", 2)]
    entity = await ask("entity", ANNA, name=place.upper())
    assert len(entity.memories) == 2
    home = await memory_of(ask, ANNA, words)
    relations = (await ask("related", ANNA, id=home.id)).relations
    assert [(r.type, r.entity.lower()) for r in relations] == [("same_entity", place)]
    assert other in relations[0].memory.memory
    with pytest.raises(NotFound):
        await ask("entity", ANNA, name="Rome")


async def test_a_contradiction_relates_both_ways(ask: Asking) -> None:
    await ask.add(ANNA, "I live in Beijing.", wait=True)
    await ask.add(ANNA, "I moved to Hangzhou.", wait=True)
    before, now = await memory_of(ask, ANNA, "Beijing"), await memory_of(ask, ANNA, "Hangzhou")
    assert [(r.type, r.memory.id) for r in (await ask("related", ANNA, id=before.id)).relations] == [
        ("superseded_by", now.id)
    ]
    assert [(r.type, r.memory.id) for r in (await ask("related", ANNA, id=now.id)).relations] == [
        ("supersedes", before.id)
    ]


async def test_a_refinement_and_a_cause(ask: Asking) -> None:
    await ask.add(ANNA, "I like tea.", wait=True)
    await ask.add(ANNA, "I like green tea.", wait=True)
    tea, green = await memory_of(ask, ANNA, "likes tea"), await memory_of(ask, ANNA, "green")
    assert [r.type for r in (await ask("related", ANNA, id=tea.id)).relations] == ["refinement"]
    linked = await ask("link_memory", ANNA, id=tea.id, type="cause", memory_id=green.id)
    assert {r.type for r in linked.relations} == {"refinement", "cause"}
    assert {r.type for r in (await ask("related", ANNA, id=green.id)).relations} == {"refinement", "effect"}
    unlinked = await ask("link_memory", ANNA, id=tea.id, type="cause", memory_id=green.id, remove=True)
    assert [r.type for r in unlinked.relations] == ["refinement"]
    await ask("link_memory", ANNA, id=tea.id, type="cause", memory_id=green.id)
    await ask("delete_memory", ANNA, id=green.id)
    assert (await ask("related", ANNA, id=tea.id)).relations == []
    with pytest.raises(InvalidInput):
        await ask("link_memory", ANNA, id=tea.id, type="cause", memory_id=tea.id)
    with pytest.raises(NotFound):
        await ask("link_memory", ANNA, id=tea.id, type="cause", memory_id=green.id)


# --- sharing ----------------------------------------------------------------------------------


async def seen(ask: Asking, subject: Subject, words: str) -> set[str]:
    """In how many ways the subject is shown these words."""
    ways: set[str] = set()
    found = (await ask("search", subject, query=words)).results
    ways |= {"search"} if any(words in hit.content for hit in found) else set()
    page = await ask("list_memories", subject)
    ways |= {"list"} if any(words in memory.memory for memory in page.memories) else set()
    for plain in (True, False):
        context = (await ask("context", subject, message=words, plain=plain)).context
        ways |= {f"context {plain}"} if words in context else set()
    return ways


EVERYWHERE = {"search", "list", "context True", "context False"}


@pytest.mark.parametrize("receiver", [BOB, HELPER])
async def test_a_memory_is_shared_marked_and_gone_at_once(ask: Asking, receiver: Subject) -> None:
    await ask.add(ANNA, "I am allergic to peanuts.", "I like tea.", wait=True)
    memory = await memory_of(ask, ANNA, "peanuts")
    to = {f"{receiver.kind}_id": receiver.id}
    assert await seen(ask, receiver, "peanuts") == set()
    assert (await ask("share_memory", ANNA, id=memory.id, **to)).shares == [f"{receiver.kind}:{receiver.id}"]
    assert (await ask("share_memory", ANNA, id=memory.id, **to)).shares == [f"{receiver.kind}:{receiver.id}"]
    assert await seen(ask, receiver, "peanuts") == EVERYWHERE
    assert await seen(ask, receiver, "tea") == set()
    assert await seen(ask, FAR, "peanuts") == set()
    (hit,) = (await ask("search", receiver, query="peanuts")).results
    assert (hit.subject, hit.memory.shared_by, hit.memory.user_id) == ("user:anna", "user:anna", "anna")
    assert "shared_with" not in hit.memory.attributes
    assert (await ask("list_memories", receiver)).total == 1
    with pytest.raises(NotFound):  # seen, and not theirs
        await ask("update_memory", receiver, id=memory.id, patch={"text": "none"})
    await ask("update_memory", ANNA, id=memory.id, patch={"text": "Allergic to peanuts and soy"})
    assert await seen(ask, receiver, "soy") == EVERYWHERE
    assert (await ask("unshare_memory", ANNA, id=memory.id, **to)).shares == []
    assert await seen(ask, receiver, "peanuts") == set()


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_what_is_shared_is_found_by_its_meaning_once_it_is_embedded(elsewhere: bool) -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    kept: Any = Kept(store)
    async with (
        running_owner(store=store, buffer_idle_seconds=3600) as one,
        running_owner(store=kept, buffer_idle_seconds=3600) as two,
    ):
        other = two if elsewhere else one
        for owner in (one, two):  # whichever takes it up
            owner.embedder.gate.clear()
        await one.add(ANNA, "I am allergic to peanuts.", wait=True)
        memory = await memory_of(one, ANNA, "peanuts")
        await one("share_memory", ANNA, id=memory.id, user_id="bob")

        async def by_meaning() -> list[str]:
            found = await other("search", BOB, query="is allergic to", strategy="vector")
            return [hit.content for hit in found.results if hit.score > 0]

        assert await by_meaning() == []
        for owner in (one, two):
            owner.embedder.gate.set()
            await owner.owner.vectors.settled()
        assert await by_meaning() == ["User is allergic to peanuts"]
        context = await other("context", BOB, message="is allergic to", plain=False, explain=True)
        assert "peanuts" in context.context


async def test_what_is_shared_is_found_by_its_labels_and_in_no_session(ask: Asking) -> None:
    await ask.add(ANNA, "I am allergic to peanuts.", agent_id="chef", session_id="s", wait=True)
    memory = await memory_of(ask, ANNA, "peanuts")
    await ask("share_memory", ANNA, id=memory.id, user_id="bob")
    for asked, shown in [({"agent_id": "chef"}, 1), ({"agent_id": "waiter"}, 0)]:
        asked = {"user_id": "bob", **asked}
        assert len((await ask("search", BOB, query="peanuts", **asked)).results) == shown
        assert (await ask("list_memories", BOB, **asked)).total == shown
    assert (await ask("search", BOB, query="peanuts", session_id="s")).results == []


@pytest.mark.parametrize("end", ["delete", "erase", "expire", "grant gone"])
async def test_a_shared_memory_ends_with_its_owner_s(ask: Asking, end: str) -> None:
    await ask.add(ANNA, "I am allergic to peanuts.", wait=True)
    memory = await memory_of(ask, ANNA, "peanuts")
    await ask("share_memory", ANNA, id=memory.id, user_id="bob")
    assert await seen(ask, BOB, "peanuts") == EVERYWHERE
    if end == "delete":
        await ask("delete_memory", ANNA, id=memory.id)
    elif end == "erase":
        await ask("erase", ANNA)
    elif end == "expire":
        await ask("update_memory", ANNA, id=memory.id, patch={"expires_at": datetime(2020, 1, 1, tzinfo=UTC)})
    else:
        # As after a crash between taking the grant and the reference away.
        resident = ask.owner.residents.peek(ANNA)
        assert resident is not None
        await ask.owner.sharing._grant(  # pyright: ignore[reportPrivateUsage]
            resident, memory.id, "01936d5e-7c2a-7f3b-9a41-2f8f6f6f0b1c", BOB, give=False
        )
    assert await seen(ask, BOB, "peanuts") == set()


async def test_an_owner_elsewhere_sees_at_once_what_is_shared_and_unshared() -> None:
    store = SqliteStore(":memory:")
    await store.open(shards=4)
    kept: Any = Kept(store)
    async with (
        running_owner(store=store, buffer_idle_seconds=3600) as one,
        running_owner(store=kept, buffer_idle_seconds=3600) as other,
    ):
        await one.add(ANNA, "I am allergic to peanuts.", wait=True)
        await other.add(BOB, "I like tea.", wait=True)
        memory = await memory_of(one, ANNA, "peanuts")
        await one("share_memory", ANNA, id=memory.id, user_id="bob")
        assert await seen(other, BOB, "peanuts") == EVERYWHERE
        assert await seen(other, BOB, "tea") == EVERYWHERE
        await one("unshare_memory", ANNA, id=memory.id, user_id="bob")
        assert await seen(other, BOB, "peanuts") == set()


async def test_a_reference_without_a_grant_shows_nothing(ask: Asking) -> None:
    await ask.add(ANNA, "I am allergic to peanuts.", wait=True)
    memory = await memory_of(ask, ANNA, "peanuts")
    await ask.owner.sharing._refer(BOB, ["user", "anna", memory.id], keep=True)  # pyright: ignore[reportPrivateUsage]
    assert await seen(ask, BOB, "peanuts") == set()


async def test_what_cannot_be_shared(ask: Asking) -> None:
    await ask.add(ANNA, "I like tea.", wait=True)
    memory = await memory_of(ask, ANNA, "tea")
    with pytest.raises(InvalidInput):
        await ask("share_memory", ANNA, id=memory.id, user_id="anna")
    with pytest.raises(InvalidInput):
        await ask("share_memory", ANNA, id=memory.id)
    with pytest.raises(NotFound):
        await ask("share_memory", BOB, id=memory.id, user_id="carol")


class Kept:
    """A store that stays open when its owner is closed."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None


# --- topics -----------------------------------------------------------------------------------


def project(tenant: str) -> Subject:
    return Subject(tenant, *PROJECT)


async def test_strict_topics_and_caps_hold_for_one_tenant(ask: Asking) -> None:
    config = {
        "topics": [
            {"name": "interest", "max_memories": 2},
            {"name": "work", "subtopics": [{"name": "title"}]},
        ],
        "strict": True,
    }
    stored = await ask("set_profile_config", project("t"), **config)
    assert stored.config.topics[0].max_memories == 2
    shown = await ask("profile_config", project("t"), language="zh")
    assert shown.config == stored.config
    assert {topic.name for topic in shown.usual_topics} >= {"basic_info", "interest"}
    said = ["I live in Rome.", "I work at Acme.", "I like tea.", "I like jazz.", "I like chess."]
    await ask.add(ANNA, *said, "I'm a nurse.", wait=True)
    memories = (await ask("list_memories", ANNA)).memories
    assert {memory.topic for memory in memories} == {"interest", "work"}
    assert sum(memory.topic == "interest" for memory in memories) == 2
    assert [memory.subtopic for memory in memories if memory.topic == "work"] == ["title"]
    far = Subject("other", "user", "anna")
    await ask.add(far, *said, wait=True)
    assert len((await ask("list_memories", far)).memories) == 5


async def test_no_configuration_is_no_limit(ask: Asking) -> None:
    assert (await ask("profile_config", project("t"))).config.topics == []


# --- context ----------------------------------------------------------------------------------


async def test_a_context_of_one_s_own(ask: Asking) -> None:
    await ask.add(ANNA, "I live in Hangzhou.", "I like tea.", wait=True)
    await ask.add(ANNA, "I ran a marathon yesterday.", wait=True, timestamp=FRIDAY)
    block = await ask(
        "context",
        ANNA,
        message="marathon",
        limit=5,
        template="Known:\n{profile}\nHappened:\n{events}",
        explain=True,
        prefer_topics=["contact_info"],
    )
    assert block.context.startswith(
        "Known:\n- User lives in Hangzhou\n- User likes tea\nHappened:\n- [2026-11-19]"
    )
    assert {line.section for line in block.explain} >= {"profile", "events"}
    only = await ask("context", ANNA, message="tea", plain=False, limit=5, only_topics=["interest"])
    assert "Hangzhou" not in only.context.partition("Relevant")[0]
    past = await ask("context", ANNA, message="marathon", plain=False, until=datetime(2020, 1, 1, tzinfo=UTC))
    assert "marathon" not in past.context
    with pytest.raises(InvalidInput):
        await ask("context", ANNA, message="x", template="{messages}")
