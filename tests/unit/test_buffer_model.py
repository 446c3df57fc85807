"""The buffers against a naive model, event by event."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cluster.buffer import REFUSED_MS, ShardBuffers, replay
from cluster.buffer_events import (
    AbandonRun,
    Appended,
    BufferLimits,
    DrainComplete,
    Drained,
    Event,
    Flush,
    Forgotten,
    Item,
    Loaded,
    ParkRun,
    Policy,
    PolicySet,
    RunDone,
    RunFailed,
    RunParked,
    RunRefused,
    Settled,
    StartRun,
    Tick,
    Unloaded,
    UnloadRefused,
)
from memgrid.subject import Subject

LIMITS = BufferLimits(
    full_tokens=100,
    run_tokens=150,
    run_messages=6,
    idle_ms=1_000,
    max_in_flight=2,
    attempts=3,
    backoff_ms=400,
    max_backoff_ms=1_000,
)
KEYS = [Subject("t", "user", name) for name in ("张三", "b", "c", "d")]


@dataclass
class RunModel:
    id: str
    ids: list[str]
    state: str = "waiting"  # waiting for its turn, executing, parking, resting
    parking: bool = False
    failures: int = 0
    refusals: int = 0
    rested_at: int = 0
    longest_rest: int = 0
    shortest_rest: int = 0


@dataclass
class BufferModel:
    waiting: list[Item] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    on_full: bool = True
    on_idle: bool = True
    last_append: int = 0
    run: RunModel | None = None
    reading: tuple[int, list[Item]] | None = None
    """A load from the store that has begun: the position before it, and what it reads."""

    @property
    def immediate(self) -> list[Item]:
        return [item for item in self.waiting if item.immediate]

    @property
    def normal(self) -> list[Item]:
        return [item for item in self.waiting if not item.immediate]

    @property
    def open(self) -> set[str]:
        return {item.id for item in self.waiting} | set(self.run.ids if self.run else ())

    def triggers(self, now: int) -> str | None:
        """Which trigger a new run would have; none while there is a run."""
        if self.immediate:
            return "immediate"
        if self.asked:
            return "asked"
        if self.on_full and sum(item.tokens for item in self.normal) >= LIMITS.full_tokens:
            return "full"
        if self.on_idle and self.normal and now - self.last_append >= LIMITS.idle_ms:
            return "idle"
        return None

    def next_run(self, now: int) -> list[str]:
        trigger = self.triggers(now)
        assert trigger is not None, "started without a trigger"
        pool = self.immediate if trigger == "immediate" else self.normal
        if trigger == "asked":
            pool = [item for item in pool if item.id in self.asked]
        chosen: list[Item] = []
        for item in pool:
            fits = sum(each.tokens for each in chosen) + item.tokens <= LIMITS.run_tokens
            if chosen and (not fits or len(chosen) == LIMITS.run_messages):
                break
            chosen.append(item)
        return [item.id for item in chosen]

    def surely_due(self, now: int) -> bool:
        if self.run is None:
            return self.triggers(now) is not None
        if self.run.state == "resting":
            return now - self.run.rested_at >= self.run.longest_rest
        return self.run.state == "waiting"


class Buffers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.wall = 1_700_000_000_000
        self.now = 0  # never goes back
        self.tokens: dict[str, Item] = {}
        self.model: dict[Subject, BufferModel] = {}
        self.finished: dict[Subject, set[str]] = {key: set() for key in KEYS}
        self.abandoned: list[tuple[Subject, str]] = []
        self.settled_now: set[str] = set()
        self.overtakers: dict[Subject, list[Subject]] = {}
        self.draining = False
        self.drain_told = 0
        self.answers: list[list[object]] = []
        self.count = 0

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.buffers: ShardBuffers[Subject] = ShardBuffers(LIMITS, random.Random(seed))

    # driving

    def send(self, event: Event[Subject]) -> None:
        """Hand it over, check each action against the model, and carry it out there."""
        self.settled_now = set()
        actions = self.buffers.handle(event, self.wall)
        self.answers.append(list(actions))
        self.buffers.validate()
        for action in actions:
            match action:
                case StartRun():
                    self.started(action)
                case ParkRun():
                    self.parking(action)
                case AbandonRun(key, run_id):
                    self.abandoned.append((key, run_id))
                case Settled(key, ids):
                    assert ids, "an empty answer"
                    assert not self.settled_now.intersection(ids), "told twice"
                    self.settled_now.update(ids)
                case DrainComplete():
                    self.drain_told += 1
                case UnloadRefused():
                    pass
        self.note_who_is_due()

    def started(self, action: StartRun[Subject]) -> None:
        assert not self.draining, "started while draining"
        model = self.model[action.key]
        ids = list(action.ids)
        assert not self.finished[action.key].intersection(ids), "runs again though settled or forgotten"
        if model.run is None:
            assert ids == model.next_run(self.now)
            model.waiting = [item for item in model.waiting if item.id not in action.ids]
            model.asked -= set(ids)
            model.run = RunModel(action.run_id, ids)
        run = model.run
        assert run.state in ("waiting", "resting"), "two runs of one subject at a time"
        assert not run.parking
        if run.id == "":
            run.id = action.run_id
            assert all(action.run_id != other for _, other in self.abandoned), "the id of an abandoned run"
        assert (action.run_id, ids, action.attempt) == (run.id, run.ids, run.failures + 1)
        assert self.now - run.rested_at >= run.shortest_rest, "did not wait before the next attempt"
        total = sum(self.tokens[each].tokens for each in ids)
        assert total <= LIMITS.run_tokens or len(ids) == 1
        self.execute(action.key, run)

    def parking(self, action: ParkRun[Subject]) -> None:
        run = self.model[action.key].run
        assert run is not None
        assert run.parking, "parked without need"
        assert (action.run_id, list(action.ids), action.attempts) == (run.id, run.ids, run.failures)
        if run.state == "executing":  # straight from its last failure, keeping its place
            return
        assert not self.draining
        self.execute(action.key, run)

    def execute(self, key: Subject, run: RunModel) -> None:
        run.state = "executing"
        for other, overtakers in self.overtakers.items():
            if other != key:
                assert key not in overtakers, f"{other} was overtaken twice by {key}"
                overtakers.append(key)
        self.overtakers.pop(key, None)
        executing = [each for each in self.model.values() if each.run and each.run.state == "executing"]
        assert len(executing) <= LIMITS.max_in_flight

    def note_who_is_due(self) -> None:
        for key, model in self.model.items():
            if model.surely_due(self.now):
                self.overtakers.setdefault(key, [])
            else:
                self.overtakers.pop(key, None)

    def buffer(self, key: Subject) -> BufferModel:
        return self.model.setdefault(key, BufferModel())

    def new_items(self, sizes: list[tuple[int, bool]]) -> tuple[Item, ...]:
        items: list[Item] = []
        for tokens, immediate in sizes:
            self.count += 1
            item = Item(f"m{self.count:05}", tokens, immediate)
            self.tokens[item.id] = item
            items.append(item)
        return tuple(items)

    def executing(self) -> list[tuple[Subject, BufferModel, RunModel]]:
        return [
            (key, model, model.run)
            for key, model in self.model.items()
            if model.run is not None and model.run.state == "executing"
        ]

    def finish(self, key: Subject, ids: set[str]) -> None:
        self.finished[key] |= ids

    # events

    sizes = st.lists(
        st.tuples(st.sampled_from([0, 1, 20, 40, 60, 99, 100, 200]), st.sampled_from([False] * 5 + [True])),
        min_size=1,
        max_size=8,
    )
    keys = st.sampled_from(KEYS)

    @rule(key=keys, sizes=sizes, repeat=st.booleans())
    def append(self, key: Subject, sizes: list[tuple[int, bool]], repeat: bool) -> None:
        model = self.buffer(key)
        items = self.new_items(sizes)
        model.waiting.extend(items)
        if any(not item.immediate for item in items):
            model.last_append = self.now
        self.send(Appended(key, items + items[:1] if repeat else items))

    @rule(key=keys, data=st.data())
    def append_what_is_known(self, key: Subject, data: st.DataObject) -> None:
        known = sorted(self.buffer(key).open | self.finished[key])
        if known:
            again = data.draw(st.lists(st.sampled_from(known), max_size=4))
            self.send(Appended(key, tuple(self.tokens[each] for each in again)))

    @rule(key=keys, on_full=st.booleans(), on_idle=st.booleans())
    def set_policy(self, key: Subject, on_full: bool, on_idle: bool) -> None:
        model = self.buffer(key)
        model.on_full, model.on_idle = on_full, on_idle
        self.send(PolicySet(key, on_full, on_idle))

    @rule(key=keys, data=st.data())
    def flush(self, key: Subject, data: st.DataObject) -> None:
        ids: tuple[str, ...] | None = None
        model = self.model.get(key)
        if data.draw(st.booleans()):
            pool = sorted((model.open if model else set()) | self.finished[key] | {"unknown"})
            ids = tuple(data.draw(st.lists(st.sampled_from(pool), max_size=5, unique=True)))
        if model is not None:
            model.asked |= {item.id for item in model.normal if ids is None or item.id in ids}
            if model.run is not None and (ids is None or set(ids) & set(model.run.ids)):
                model.run.longest_rest = model.run.shortest_rest = 0
        self.send(Flush(key, ids))

    @rule(by=st.sampled_from([1, 10, 200, 400, 999, 1_000, 5_000]))
    def time_passes(self, by: int) -> None:
        self.now += by
        self.wall += by
        self.send(Tick())

    @rule()
    def wake(self) -> None:
        """Whatever happens on its own happens at `next_wake`, or later for want of room."""
        at = self.buffers.next_wake()
        if at is not None:
            assert at > self.wall
            self.now += at - self.wall
            self.wall = at
            self.send(Tick())

    @rule(by=st.integers(1, 100_000))
    def clock_is_set_back(self, by: int) -> None:
        self.wall -= by
        self.send(Tick())

    @precondition(lambda self: self.executing())
    @rule(data=st.data(), partly=st.booleans())
    def run_done(self, data: st.DataObject, partly: bool) -> None:
        key, model, run = data.draw(st.sampled_from(self.executing()))
        count = data.draw(st.integers(1, len(run.ids))) if partly and not run.parking else len(run.ids)
        done, left = run.ids[:count], run.ids[count:]
        self.finish(key, set(done))
        model.run = RunModel("", left, rested_at=self.now) if left else None
        self.send(RunDone(key, run.id, tuple(done)))
        assert self.settled_now == set(done)

    @precondition(lambda self: self.executing())
    @rule(data=st.data())
    def run_refused(self, data: st.DataObject) -> None:
        key, model, run = data.draw(st.sampled_from(self.executing()))
        left = data.draw(st.lists(st.sampled_from(run.ids), unique=True))
        gone = set(run.ids) - set(left)
        self.finish(key, gone)
        run.ids = [each for each in run.ids if each in left]
        self.rest(run, 0, min(LIMITS.max_backoff_ms, REFUSED_MS * 2**run.refusals))
        run.refusals += 1
        if not left:
            model.run = None
        self.send(RunRefused(key, run.id, tuple(left)))
        assert self.settled_now == gone

    @precondition(lambda self: self.executing())
    @rule(
        data=st.data(),
        retryable=st.sampled_from([True, True, True, False]),
        nothing=st.booleans(),
        tried=st.sampled_from([True, True, False]),
        wait=st.sampled_from([0, 0, 1, 10_000]),
    )
    def run_failed(self, data: st.DataObject, retryable: bool, nothing: bool, tried: bool, wait: int) -> None:
        key, _, run = data.draw(st.sampled_from(self.executing()))
        pause = min(LIMITS.max_backoff_ms, LIMITS.backoff_ms * 2**run.failures)
        nothing = nothing and retryable and not run.parking
        if nothing:
            tried, wait = True, 0
        run.failures += tried
        if run.parking or not tried or (retryable and run.failures < LIMITS.attempts):
            self.rest(run, max(pause // 2, wait), max(pause, wait))
        else:
            run.parking = True
        parks = run.parking and run.state == "executing"
        self.send(
            RunDone(key, run.id, ())
            if nothing
            else RunFailed(key, run.id, "限流", retryable=retryable, wait_ms=wait, tried=tried)
        )
        told = [each for each in self.answers[-1] if isinstance(each, ParkRun) and each.run_id == run.id]
        assert bool(told) == parks

    def rest(self, run: RunModel, shortest: int, longest: int) -> None:
        run.state, run.rested_at = "resting", self.now
        run.shortest_rest, run.longest_rest = shortest, longest

    @precondition(lambda self: any(run.parking for _, _, run in self.executing()))
    @rule(data=st.data())
    def run_parked(self, data: st.DataObject) -> None:
        parking = [each for each in self.executing() if each[2].parking]
        key, model, run = data.draw(st.sampled_from(parking))
        self.finish(key, set(run.ids))
        model.run = None
        self.send(RunParked(key, run.id))
        assert self.settled_now == set(run.ids)

    @precondition(lambda self: self.abandoned)
    @rule(data=st.data(), kind=st.sampled_from(["done", "refused", "failed", "parked"]))
    def late_report(self, data: st.DataObject, kind: str) -> None:
        """An abandoned run reports: nothing is settled by it, and nothing that runs is disturbed."""
        key, run_id = data.draw(st.sampled_from(self.abandoned))
        open_ids = tuple(self.buffer(key).open)
        before = self.buffers.pending_total
        match kind:
            case "done":
                self.send(RunDone(key, run_id, open_ids))
            case "refused":
                self.send(RunRefused(key, run_id, ()))
            case "failed":
                self.send(RunFailed(key, run_id, "late"))
            case _:
                self.send(RunParked(key, run_id))
        assert not self.settled_now
        assert self.buffers.pending_total == before

    @rule(key=keys, data=st.data())
    def forget(self, key: Subject, data: st.DataObject) -> None:
        model = self.model.get(key)
        pool = sorted((model.open if model else set()) | self.finished[key] | {"unknown"})
        ids: tuple[str, ...] | None = None
        if data.draw(st.integers(0, 4)):
            ids = tuple(data.draw(st.lists(st.sampled_from(pool), max_size=4, unique=True)))
        abandons: str | None = None
        if model is not None:
            gone = model.open if ids is None else set(ids)
            self.finish(key, gone & model.open)
            model.waiting = [item for item in model.waiting if item.id not in gone]
            model.asked -= gone
            run = model.run
            if run is not None and gone & set(run.ids):
                left = [each for each in run.ids if each not in gone]
                if run.state == "executing":
                    abandons = run.id
                    model.run = RunModel("", left, rested_at=self.now) if left else None
                elif left:
                    run.ids = left
                else:
                    model.run = None
        self.send(Forgotten(key, ids))
        told = [each.run_id for each in self.answers[-1] if isinstance(each, AbandonRun)]
        assert told == ([abandons] if abandons else [])
        assert not self.settled_now

    # loading

    @rule(key=keys, data=st.data())
    def begin_load(self, key: Subject, data: st.DataObject) -> None:
        """Read what is pending from the store; another owner may have settled some, or added some."""
        model = self.buffer(key)
        waiting = list(model.waiting)
        elsewhere = {item.id for item in waiting if data.draw(st.integers(0, 3)) == 0}
        known = [item for item in waiting if item.id not in elsewhere]
        running = [self.tokens[each] for each in (model.run.ids if model.run else ())]
        new = self.new_items(data.draw(st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=3)))
        model.reading = (self.buffers.position, [*running, *known, *new])

    @precondition(lambda self: any(model.reading for model in self.model.values()))
    @rule(data=st.data(), on_full=st.booleans(), on_idle=st.booleans())
    def finish_load(self, data: st.DataObject, on_full: bool, on_idle: bool) -> None:
        """What was appended since the read began stays; what was settled or forgotten since stays away."""
        key = data.draw(st.sampled_from([key for key, model in self.model.items() if model.reading]))
        model = self.model[key]
        assert model.reading is not None
        position, read = model.reading
        model.reading = None
        if not model.normal:
            model.last_append = self.now
        running = set(model.run.ids if model.run else ())
        taken = running | self.finished[key]
        loaded = [item for item in read if item.id not in taken]
        there = {item.id for item in read}
        since = [
            item for item in model.waiting if item.id not in there and self.buffers_position(item) > position
        ]
        gone = {item.id for item in model.waiting} - {item.id for item in [*loaded, *since]}
        model.waiting = [*loaded, *since]
        model.asked &= {item.id for item in model.normal}
        model.on_full, model.on_idle = on_full, on_idle
        self.send(Loaded(key, tuple(read), Policy(on_full, on_idle), as_of=position))
        assert self.settled_now == gone

    def buffers_position(self, item: Item) -> int:
        """White box: how late it arrived."""
        for buffer in self.buffers._buffers.values():  # pyright: ignore[reportPrivateUsage]
            for each in (buffer.waiting, buffer.immediate):
                if item.id in each:
                    return each[item.id].position
        raise AssertionError(f"{item} is lost")

    @rule(key=keys)
    def unload(self, key: Subject) -> None:
        model = self.model.get(key)
        self.send(Unloaded(key))
        refused = any(isinstance(each, UnloadRefused) for each in self.answers[-1])
        assert refused == bool(model and model.open)
        if not refused:
            self.model.pop(key, None)

    @rule(really=st.sampled_from([False] * 30 + [True]))
    def drain(self, really: bool) -> None:
        if really:
            self.draining = True
            self.send(Drained())

    # what holds after every event

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.buffers.pending_total == sum(len(model.open) for model in self.model.values())
        for key, model in self.model.items():
            view = self.buffers.status(key)
            assert set(view.running) == set(model.run.ids if model.run else ())
            assert sorted(view.ids) == sorted(item.id for item in model.waiting)
            assert view.tokens == sum(item.tokens for item in model.normal)
            assert view.policy == (model.on_full, model.on_idle)
            assert set(self.buffers.pending_of(key, self.tokens)) == model.open

    @invariant()
    def whoever_is_due_runs_if_there_is_room(self) -> None:
        executing = len(self.executing())
        if self.draining:
            assert self.drain_told == (executing == 0)
            assert self.buffers.next_wake() is None
        elif executing < LIMITS.max_in_flight:
            due = [key for key, model in self.model.items() if model.surely_due(self.now)]
            assert not due

    @invariant()
    def it_wakes_in_time(self) -> None:
        wake = self.buffers.next_wake()
        for model in self.model.values():
            if self.draining or model.surely_due(self.now):
                continue
            if model.run is None and model.on_idle and model.normal:
                latest = model.last_append + LIMITS.idle_ms - self.now
                assert wake is not None
                assert wake - self.wall <= latest

    # the end

    def teardown(self) -> None:
        """Every flush settles, whatever the policies, once the runs succeed."""
        if self.draining:
            for key, _, run in self.executing():
                self.finish(key, set(run.ids))
                self.model[key].run = None
                self.send(RunDone(key, run.id, tuple(run.ids)))
            assert self.drain_told == 1
        else:
            for key in list(self.model):
                model = self.model[key]
                model.on_full = model.on_idle = False
                self.send(PolicySet(key, False, False))
                model.asked |= {item.id for item in model.normal}
                if model.run is not None:
                    model.run.longest_rest = model.run.shortest_rest = 0
                self.send(Flush(key))
            for _ in range(self.count + 1):
                for key, model, run in self.executing():
                    self.finish(key, set(run.ids))
                    model.run = None
                    self.send(RunDone(key, run.id, tuple(run.ids)))
            assert self.buffers.pending_total == 0
        transcript = self.buffers.transcript()
        if transcript.dropped == 0:
            _, answers = replay(transcript)
            assert answers == self.answers


TestBuffers = Buffers.TestCase
TestBuffers.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
