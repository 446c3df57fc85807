"""Two owners on one store, any history of calls, errors, restarts and evictions, against a plain model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from cluster.model import Message
from cluster.pipeline.port import Candidate
from cluster.wide_store.sqlite import SqliteStore
from memgrid.errors import Unavailable
from memgrid.subject import Subject
from tests.owners import Asking, FakeEmbedder, running_owner
from tests.scripted_extractor import ScriptedExtractor

T = TypeVar("T")
SUBJECTS = [Subject("t", "user", name) for name in ("li", "王")]
OWNERS = st.integers(0, 1)
WHO = st.sampled_from(SUBJECTS)
PICK = st.integers(0, 999)
"""Which one of those there are, counted round: how many there are may hang on what ran side by side."""
STUCK_SECONDS = 15
"""No step takes so long, unless it waits for ever."""


def fact(message: Message) -> tuple[Candidate, ...]:
    """One fact a message, its own words."""
    return (Candidate(kind="fact", text=f"fact {message.content}", sources=(message.id,)),)


class Truth:
    """What a subject must show."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        """Id to text of all that are not deleted."""
        self.marks: dict[str, list[str]] = {}
        self.pending: set[str] = set()
        self.memories: set[str] = set()
        self.variables: dict[str, str] = {}


class Histories(RuleBasedStateMachine):
    """Two owners that know nothing of each other; each step asks one of them, each check both."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.truth = {subject: Truth() for subject in SUBJECTS}
        self.keyed: dict[str, tuple[Subject, list[str], list[str]]] = {}
        self.count = 0
        self.extractor = ScriptedExtractor(fact)
        self.store = SqliteStore(":memory:")
        self.contexts: list[AbstractAsyncContextManager[Asking]] = []
        self.asks: list[Asking] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, STUCK_SECONDS))

    @initialize()
    def begin(self) -> None:
        async def begin() -> None:
            await self.store.open(shards=4)
            for owner in range(2):
                await self.start(owner)

        self.run(begin())

    async def start(self, owner: int) -> None:
        # A store that stays open when its owner is closed: the owner that follows finds it as it was left.
        context = running_owner(
            store=Shared(self.store),  # pyright: ignore[reportArgumentType]
            extractor=self.extractor,
            embedder=FakeEmbedder(),
            buffer_idle_seconds=3600,
            extraction_backoff_seconds=0.001,
            extraction_attempts=3,
        )
        ask = await context.__aenter__()
        if owner == 0:
            # Far below what settings allow: each use of a subject pushes the other one out. The other owner
            # keeps its subjects, and has to follow what this one commits.
            ask.owner.residents._max_bytes = 1  # pyright: ignore[reportPrivateUsage]
        self.contexts[owner : owner + 1] = [context]
        self.asks[owner : owner + 1] = [ask]

    def teardown(self) -> None:
        async def end() -> None:
            for context in self.contexts:
                await context.__aexit__(None, None, None)
            await self.store.close()

        if self.contexts:
            self.run(end())
        self.runner.close()

    def words(self, size: int) -> list[str]:
        self.count += size
        return [f"w{self.count - n}" for n in range(size)]

    # steps

    @rule(owner=OWNERS, who=WHO, size=st.integers(1, 3), keyed=st.booleans(), wait=st.booleans())
    def add(self, owner: int, who: Subject, size: int, keyed: bool, wait: bool) -> None:
        texts = self.words(size)
        key = f"key{self.count}" if keyed else None
        self.extractor.failures = []
        added = self.run(self.asks[owner].add(who, *texts, idempotency_key=key, wait=wait))
        self.take_up(who, added.message_ids, texts)
        if wait:
            self.settled(who, keep=self.truth[who].pending - set(added.message_ids))
        if key is not None:
            self.keyed[key] = (who, texts, added.message_ids)

    def take_up(self, who: Subject, ids: list[str], texts: list[str]) -> None:
        truth = self.truth[who]
        for each, text in zip(ids, texts, strict=True):
            truth.messages[each] = text
            truth.marks[each] = []
            truth.pending.add(each)

    @rule(owner=OWNERS, pick=PICK)
    def add_again(self, owner: int, pick: int) -> None:
        if not self.keyed:
            return
        key = one_of(list(self.keyed), pick)
        who, texts, ids = self.keyed[key]
        added = self.run(self.asks[owner].add(who, *texts, idempotency_key=key))
        assert added.message_ids == ids

    @rule(who=WHO, size=st.integers(1, 2))
    def add_to_both_at_once(self, who: Subject, size: int) -> None:
        mine, others = self.words(size), self.words(size)

        async def both() -> Any:
            return await asyncio.gather(self.asks[0].add(who, *mine), self.asks[1].add(who, *others))

        first, second = self.run(both())
        self.take_up(who, first.message_ids, mine)
        self.take_up(who, second.message_ids, others)

    @rule(owner=OWNERS, who=WHO, failures=st.integers(0, 2))
    def process(self, owner: int, who: Subject, failures: int) -> None:
        self.extractor.failures = [Unavailable("scripted")] * failures
        self.run(self.asks[owner]("process", who))
        self.settled(who)

    @rule(who=WHO)
    def process_in_both_at_once(self, who: Subject) -> None:
        async def both() -> None:
            await asyncio.gather(*(ask("process", who) for ask in self.asks))

        self.extractor.failures = []
        self.run(both())
        self.settled(who)

    @rule(owner=OWNERS, who=WHO)
    def process_while_the_other_adds(self, owner: int, who: Subject) -> None:
        texts = self.words(2)
        before = set(self.truth[who].pending)

        async def both() -> Any:
            return (
                await asyncio.gather(
                    self.asks[owner]("process", who), *(self.asks[1 - owner].add(who, text) for text in texts)
                )
            )[1:]

        self.extractor.failures = []
        added = self.run(both())
        for result, text in zip(added, texts, strict=True):
            self.take_up(who, result.message_ids, [text])
        # Which of the new ones it saw in time is open. The rest waits, and nothing of it is lost.
        waiting = set(self.run(self.asks[owner]("buffer_status", who)).message_ids)
        assert not before & waiting
        self.run(self.asks[owner]("process", who))
        self.settled(who)

    @rule(owner=OWNERS, who=WHO)
    def park_and_drive(self, owner: int, who: Subject) -> None:
        if not self.truth[who].pending:
            return
        self.extractor.failures = [Unavailable("scripted")] * 3
        self.run(self.asks[owner]("process", who))
        self.extractor.failures = []
        parked = self.run(self.asks[1 - owner]("runs", who, status="parked")).runs
        assert len(parked) == 1

        async def twice() -> None:
            await asyncio.gather(*(ask("drive_run", who, id=parked[0].id) for ask in self.asks))

        self.run(twice())
        self.settled(who)

    def settled(self, who: Subject, keep: set[str] | None = None) -> None:
        truth = self.truth[who]
        done = truth.pending - (keep or set())
        truth.memories.update(f"fact {truth.messages[each]}" for each in done)
        truth.pending -= done

    @rule(owner=OWNERS, who=WHO, pick=PICK, size=st.integers(1, 2))
    def delete_messages(self, owner: int, who: Subject, pick: int, size: int) -> None:
        truth = self.truth[who]
        if not truth.messages:
            return
        gone = list(truth.messages)[pick % len(truth.messages) :][:size]
        assert self.run(self.asks[owner]("delete_messages", who, ids=gone)).count == len(gone)
        for each in gone:
            del truth.messages[each]
            del truth.marks[each]
        truth.pending.difference_update(gone)

    @rule(owner=OWNERS, who=WHO, mark=st.sampled_from(["a", "b"]), pick=PICK)
    def mark(self, owner: int, who: Subject, mark: str, pick: int) -> None:
        truth = self.truth[who]
        if not truth.messages:
            return
        each = one_of(list(truth.messages), pick)
        self.run(self.asks[owner]("mark_messages", who, ids=[each], new=mark))
        if mark not in truth.marks[each]:
            truth.marks[each].append(mark)

    @rule(owner=OWNERS, who=WHO, pick=PICK)
    def delete_memory(self, owner: int, who: Subject, pick: int) -> None:
        page = self.run(self.asks[1 - owner]("list_memories", who, limit=1000)).memories
        facts = sorted((m.memory, m.id) for m in page if m.kind == "fact")
        if not facts:
            return
        text, each = one_of(facts, pick)
        assert self.run(self.asks[owner]("delete_memory", who, id=each)).count == 1
        self.truth[who].memories.discard(text)

    @rule(who=WHO, name=st.sampled_from(["x", "y"]), owner=OWNERS)
    def set_variable(self, who: Subject, name: str, owner: int) -> None:
        (value,) = self.words(1)
        self.run(self.asks[owner]("set_variables", who, variables={name: value}))
        self.truth[who].variables[name] = value

    @rule(who=WHO)
    def set_variables_in_both_at_once(self, who: Subject) -> None:
        one, other = self.words(2)

        async def both() -> None:
            await asyncio.gather(
                self.asks[0]("set_variables", who, variables={"left": one}),
                self.asks[1]("set_variables", who, variables={"right": other}),
            )

        self.run(both())
        self.truth[who].variables |= {"left": one, "right": other}

    @rule(owner=OWNERS, who=WHO)
    def erase(self, owner: int, who: Subject) -> None:
        self.run(self.asks[owner]("erase", who))
        self.truth[who] = Truth()
        self.keyed = {key: each for key, each in self.keyed.items() if each[0] != who}

    @rule(owner=OWNERS)
    def restart(self, owner: int) -> None:
        async def restart() -> None:
            await self.contexts[owner].__aexit__(None, None, None)
            await self.start(owner)

        self.run(restart())

    # checks

    @invariant()
    def both_owners_show_the_truth(self) -> None:
        if not self.asks:
            return
        for who in SUBJECTS:
            for ask in self.asks:
                self.run(self.check(ask, who))

    async def check(self, ask: Asking, who: Subject) -> None:
        truth = self.truth[who]
        status = await ask("buffer_status", who)
        assert sorted(status.message_ids) == sorted(truth.pending)
        messages = (await ask("messages", who, limit=1000)).messages
        assert {m.id: m.content for m in messages} == truth.messages
        assert {m.id: sorted(m.marks) for m in messages} == {i: sorted(m) for i, m in truth.marks.items()}
        page = (await ask("list_memories", who, limit=1000)).memories
        facts = Counter(m.memory for m in page if m.kind == "fact")
        assert facts == Counter(truth.memories)
        assert (await ask("variables", who)).variables == truth.variables
        await self.check_found(ask, who, truth)

    async def check_found(self, ask: Asking, who: Subject, truth: Truth) -> None:
        """The newest message is found by its word, and what was deleted is not."""
        for word, there in self.words_to_find(truth):
            found = await ask("search", who, query=word, strategy="full_text", types=["message"], top_k=50)
            hits = [hit.content for hit in found.results if hit.content.split(" ")[0] == word]
            assert len(hits) == there, f"{word}: {len(hits)} times"

    def words_to_find(self, truth: Truth) -> list[tuple[str, int]]:
        there = {text.split(" ")[0] for text in truth.messages.values()}
        latest = [f"w{n}" for n in range(max(1, self.count - 3), self.count + 1)]
        return [(word, int(word in there)) for word in latest]


class Shared:
    """A store that its owner may not close."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._store, name)

    async def close(self) -> None:
        return None


def one_of(several: Sequence[T], pick: int) -> T:
    return several[pick % len(several)]


def test_histories() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
