"""Random histories of two subjects, each step compared with the reference model."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cluster.model import ChangeEntry, Changes, Claim, Head, Memory, Message, Run
from cluster.wide_store import cassandra_subjects
from cluster.wide_store.cassandra import CassandraStore
from cluster.wide_store.port import MessageQuery, StaleRevision, StoredVector, WideStore
from cluster.wide_store.sqlite import SqliteStore
from memgrid.subject import Subject
from tests.conformance.wide_store.cassandra_keyspace import CassandraKeyspace
from tests.conformance.wide_store.samples import NOW, all_messages, every_page, ids
from tests.wide_store_model import WideStoreModel

T = TypeVar("T")

SUBJECTS = [Subject("t", "user", "a"), Subject("t", "user", "a\0")]
MESSAGES = [f"m{n}" for n in range(8)]
MEMORIES = [f"k{n}" for n in range(5)]
RUNS = [f"r{n}" for n in range(4)]
MARKS = ["m", "标"]
MODELS = ["e5", "use"]

subjects = st.sampled_from(SUBJECTS)
marks = st.lists(st.sampled_from(MARKS), unique=True).map(tuple)
message_ids = st.lists(st.sampled_from(MESSAGES), max_size=4, unique=True).map(tuple)
memory_ids = st.lists(st.sampled_from(MEMORIES), max_size=3, unique=True).map(tuple)
messages = st.builds(
    Message,
    id=st.sampled_from(MESSAGES),
    session=st.sampled_from(["s", "s2"]),
    role=st.just("user"),
    content=st.text(max_size=3),
    event_time=st.integers(NOW, NOW + 5),
    created_at=st.just(NOW),
    tokens=st.just(1),
    marks=marks,
)
memories = st.builds(
    Memory,
    id=st.sampled_from(MEMORIES),
    kind=st.just("fact"),
    text=st.sampled_from(["喜欢", "likes"]),
    labels=st.dictionaries(st.sampled_from(["user", "agent"]), st.sampled_from(["x", "y"])),
    created_at=st.just(NOW),
    updated_at=st.just(NOW),
)
runs = st.builds(
    Run,
    id=st.sampled_from(RUNS),
    status=st.sampled_from(["done", "parked"]),
    input_ids=message_ids,
    buckets=st.just((0,)),
    created_at=st.just(NOW),
)
contents = st.fixed_dictionaries(
    {
        "put": st.lists(memories, max_size=3, unique_by=lambda m: m.id).map(tuple),
        "runs": st.lists(runs, max_size=2, unique_by=lambda r: r.id).map(tuple),
        "mark_messages": st.dictionaries(st.sampled_from(MESSAGES), marks, max_size=2),
        "settings": st.none() | st.dictionaries(st.just("a"), st.integers(0, 3)),
    },
    optional={"delete": memory_ids, "delete_messages": message_ids},
)
claims = st.builds(
    Claim,
    kind=st.sampled_from(["request", "message"]),
    key=st.sampled_from(["k", "k\0"]),
    payload_hash=st.binary(max_size=1),
    message_ids=st.just(("m0",)),
    expires_at=st.none() | st.integers(NOW, NOW + 30),
)


def _entries(given: dict[str, Any]) -> tuple[ChangeEntry, ...]:
    put = [ChangeEntry(memory_id=m.id, event="UPDATE", new_text=m.text, reason="r") for m in given["put"]]
    gone = [ChangeEntry(memory_id=id, event="DELETE", old_text="x") for id in given.get("delete", ())]
    return (*put, *gone)


class AgainstModel(RuleBasedStateMachine):
    """Runs the adapter on a loop of its own; subclasses say which adapter."""

    in_memory: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.model = WideStoreModel()
        self.store = self.new_store()
        self.tails = dict.fromkeys(SUBJECTS, "0")
        self.arrived = {subject: set[str]() for subject in SUBJECTS}
        self.landed: list[tuple[Subject, Head, Changes]] = []
        self.touched: Subject | None = None
        self.now = NOW

    def new_store(self) -> WideStore:
        store = SqliteStore(":memory:" if self.in_memory else self.folder, files=2)
        self.run(store.open(shards=4))
        return store

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    # what happens

    @rule(subject=subjects, said=st.lists(messages, max_size=4), behind=st.sampled_from([0, 0, 0, 1]))
    def append(self, subject: Subject, said: list[Message], behind: int) -> None:
        generation = self.model.head(subject).generation - behind
        assert self.run(self.store.append(subject, generation, said)) == self.model.append(
            subject, generation, said
        )
        self.touched = subject

    @rule(subject=subjects, given=contents, behind=st.sampled_from([0, 0, 0, 0, 1]))
    def commit(self, subject: Subject, given: dict[str, Any], behind: int) -> None:
        head = self.model.head(subject)
        self.commit_both(
            subject,
            msgspec.structs.replace(head, revision=head.revision - behind),
            Changes(commit_id=f"c{len(self.landed)}", at=NOW, actor="api", entries=_entries(given), **given),
        )

    @rule(subject=subjects)
    def erase(self, subject: Subject) -> None:
        wipe = Changes(commit_id=f"c{len(self.landed)}", at=NOW, actor="api", erase=True)
        self.commit_both(subject, self.model.head(subject), wipe)

    @rule(which=st.integers(0, 1000), as_of_now=st.booleans())
    def commit_again(self, which: int, as_of_now: bool) -> None:
        if self.landed:
            subject, head, changes = self.landed[which % len(self.landed)]
            if any(c.commit_id == changes.commit_id for c in self.model.changes(subject)) or not as_of_now:
                self.commit_both(subject, self.model.head(subject) if as_of_now else head, changes)

    def commit_both(self, subject: Subject, head: Head, changes: Changes) -> None:
        stored = self.model.head(subject)
        try:
            expected = self.model.commit(subject, head, changes)
        except StaleRevision:
            with pytest.raises(StaleRevision) as caught:
                self.run(self.store.commit(subject, head, changes))
            assert caught.value.head == stored
        else:
            assert self.run(self.store.commit(subject, head, changes)) == expected
            self.landed.append((subject, head, changes))
        if changes.erase:
            self.arrived[subject] &= set(self.model.arrivals(subject))
        self.touched = subject

    @rule(
        subject=subjects,
        given=st.lists(claims, max_size=3),
        later=st.integers(0, 6),
        behind=st.integers(0, 1),
    )
    def claim(self, subject: Subject, given: list[Claim], later: int, behind: int) -> None:
        generation = self.model.head(subject).generation - behind
        self.now += later
        found = self.run(self.store.claim(subject, generation, given, self.now))
        assert found == self.model.claim(subject, generation, given, self.now)

    @rule(
        subject=subjects,
        key=st.tuples(st.just("memory"), st.sampled_from(MEMORIES), st.sampled_from(MODELS))
        | st.tuples(st.just("message"), st.sampled_from(MESSAGES), st.sampled_from(MODELS)),
        content_hash=st.binary(max_size=1),
        value=st.sampled_from([0.0, 0.5, -1.0]),
        behind=st.sampled_from([0, 0, 1]),
    )
    def embed(
        self,
        subject: Subject,
        key: tuple[Literal["memory", "message"], str, str],
        content_hash: bytes,
        value: float,
        behind: int,
    ) -> None:
        kind, id, model = key
        generation = self.model.head(subject).generation - behind
        vectors = [StoredVector(id, content_hash, np.array([value], dtype=np.float32))]
        self.run(self.store.put_vectors(subject, generation, kind, model, vectors))
        self.model.put_vector(subject, generation, key, content_hash, value)
        self.touched = subject

    @rule()
    def open_again(self) -> None:
        if not self.in_memory:
            self.run(self.store.close())
            self.store = self.new_store()

    # what must hold after each

    @rule(subject=subjects)
    def tail(self, subject: Subject) -> None:
        page = self.run(self.store.tail(subject, self.tails[subject]))
        self.tails[subject] = page.tail
        assert page.head == self.model.head(subject)
        there = set(self.model.arrivals(subject))
        assert set(ids(page.messages)) <= there
        self.arrived[subject] = (self.arrived[subject] | set(ids(page.messages))) & there
        assert self.arrived[subject] == there

    @rule(subject=subjects)
    def follow_from_here(self, subject: Subject) -> None:
        self.tails[subject] = self.run(self.store.load(subject)).tail
        self.arrived[subject] = set(self.model.arrivals(subject))

    @invariant()
    def the_subject_is_as_in_the_model(self) -> None:
        if self.touched is not None:
            self.run(self.compare(self.touched))
            self.touched = None

    async def compare(self, subject: Subject) -> None:
        store, model = self.store, self.model
        loaded = await store.load(subject)
        assert loaded.head == await store.head(subject) == model.head(subject)
        assert {m.id: m for m in loaded.memories} == model.memories(subject)
        assert loaded.pending == model.pending(subject)
        assert sorted(ids(loaded.parked)) == sorted(ids(model.runs(subject, "parked")))
        for newest_first in (False, True):
            for session in (None, "s"):
                for mark, exclude in ((None, None), ("m", None), (None, "m"), ("m", "标")):
                    query = MessageQuery(
                        session=session, mark=mark, exclude_mark=exclude, newest_first=newest_first
                    )
                    expected = model.messages(subject, query)
                    assert await all_messages(store, subject, query, limit=3) == expected
                    assert await store.count_messages(subject, query) == len(expected)
        everything = model.messages(subject, MessageQuery())
        assert await store.get_messages(subject, MESSAGES) == everything
        listed = await every_page(lambda cursor: store.sessions(subject, cursor=cursor, limit=1))
        assert {row.session: row for row in listed} == model.sessions(subject)
        for status in (None, "done", "parked"):
            found = await every_page(lambda c, s=status: store.runs(subject, status=s, cursor=c, limit=2))
            assert found == model.runs(subject, status)
        for message_id in MESSAGES:
            assert set(ids(await store.runs_of(subject, [message_id]))) == model.runs_of(subject, message_id)
        assert await store.changes(subject, 0) == model.changes(subject)
        for memory_id in MEMORIES:
            assert await store.memory_history(subject, memory_id) == model.memory_history(subject, memory_id)
            owner = await store.resolve_memory("t", memory_id)
            owners = model.owners("t", memory_id)
            assert (owner in owners) if owners else owner is None
        for embedder in MODELS:
            vectors = await store.memory_vectors(subject, embedder)
            found_vectors = {v.id: (v.content_hash, float(v.vector[0])) for v in vectors}
            assert found_vectors == model.vectors(subject, "memory", embedder)
            recent = await every_page(
                lambda c, e=embedder: store.recent_messages(subject, e, before=c, limit=3)
            )
            assert [m for m, _ in recent] == everything[::-1]
            of_messages = {m.id: (v.content_hash, float(v.vector[0])) for m, v in recent if v is not None}
            assert of_messages == model.vectors(subject, "message", embedder)
        assert set((await store.subjects())[0]) == model.subjects()
        for label in ("user", "agent"):
            scope = await every_page(lambda c, label=label: store.scope("t", label, "x", cursor=c, limit=2))
            assert (len(scope), set(scope)) == (len(set(scope)), model.scope("t", label, "x"))


class InMemory(AgainstModel):
    in_memory = True


class OnDisk(AgainstModel):
    in_memory = False


_SETTINGS = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
InMemory.TestCase.settings = _SETTINGS
OnDisk.TestCase.settings = settings(_SETTINGS, max_examples=15)
TestInMemory = InMemory.TestCase
TestOnDisk = OnDisk.TestCase


def test_in_cassandra(cassandra_keyspace: CassandraKeyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes by turns, which note at once what a load need not read again."""
    monkeypatch.setattr(cassandra_subjects, "_WORTH_NOTING", 1)
    monkeypatch.setattr(cassandra_subjects, "_WORTH_REMOVING", 1)

    class InCassandra(AgainstModel):
        in_memory = False

        def new_store(self) -> WideStore:
            self.turns = [CassandraStore(each) for each in cassandra_keyspace.connections]
            for store in self.turns:
                self.run(store.open(shards=4))
            return self.turns[0]

        @property
        def store(self) -> WideStore:
            self.turns.reverse()
            return self.turns[0]

        @store.setter
        def store(self, _: WideStore) -> None:
            """`turns` has both."""

        @rule()
        def open_again(self) -> None:
            self.close()
            self.new_store()

        def close(self) -> None:
            for store in self.turns:
                self.run(store.close())

        def teardown(self) -> None:
            self.close()
            cassandra_keyspace.empty()
            self.loop.close()
            shutil.rmtree(self.folder)

    run_state_machine_as_test(
        InCassandra,
        settings=settings(
            _SETTINGS,
            max_examples=5,
            stateful_step_count=12,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
