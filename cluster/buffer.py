"""The buffer and extraction core of a shard: a pure state machine, events in, actions out.

It decides *when* which messages of which subject are extracted, and what becomes of a run that fails.
It does no I/O and has no clock: the shard actor hands it events with the time they happened, carries out
the actions it answers with, and calls it again with `Tick` at `next_wake()`.

    waiting ──(full, idle, flush)──▶ executing ──RunDone────────────▶ settled
    immediate ──(at once)──────────▶   │  ▲  └─RunFailed, the last─▶ parking ──RunParked──▶ settled
                                       ▼  │
                                     resting (backoff)

A subject has at most one run, so its extractions are serial; runs that execute are bounded over the whole
shard, and subjects take turns in the order in which they became due.
"""

from __future__ import annotations

import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple

import msgspec

from cluster.buffer_events import (
    AbandonRun,
    Action,
    Appended,
    BufferLimits,
    BufferView,
    DrainComplete,
    Drained,
    Event,
    Flush,
    Forgotten,
    Item,
    K,
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
from cluster.due_queue import DueQueue
from cluster.model import Millis
from cluster.subject_buffer import Run, SubjectBuffer

REMEMBERED = 65_536
"""Settled and forgotten ids of the shard that are still recognised when a stale read brings them again."""
LOG_SIZE = 1_000
MAX_WAIT_MS = 3_600_000
"""Longest wait that a failure may ask for."""
REFUSED_MS = 25
"""First pause after a refused commit: about two conditional writes, for the other owner to finish."""


class Stimulus(NamedTuple, Generic[K]):
    now: Millis
    event: Event[K]


class Transcript(msgspec.Struct, Generic[K], frozen=True, kw_only=True):
    """What a machine was told, lately. Replays exactly while nothing has been `dropped`."""

    limits: BufferLimits
    rng_state: tuple[Any, ...]
    stimuli: tuple[Stimulus[K], ...]
    dropped: int


class ShardBuffers(Generic[K]):
    """The buffers of all loaded subjects of a shard actor, and the runs over them."""

    def __init__(self, limits: BufferLimits, rng: random.Random) -> None:
        """`rng` jitters pauses and makes run ids: give a machine that runs for real one of its own."""
        self._limits = limits
        self._rng = rng
        self._origin = rng.getstate()
        self._log: deque[Stimulus[K]] = deque(maxlen=LOG_SIZE)
        self._handled = 0
        self._wall: Millis = 0
        self._skew: Millis = 0
        """What to add to the given time so that it never goes back when the machine's clock is set back."""
        self._buffers: dict[K, SubjectBuffer[K]] = {}
        self._due: DueQueue[SubjectBuffer[K]] = DueQueue()
        self._remembered: OrderedDict[tuple[K, str], None] = OrderedDict()
        self._position = 0
        self._in_flight = 0
        self._pending = 0
        self._draining = False
        self._drain_told = False

    # reading

    @property
    def pending_total(self) -> int:
        """Messages of all loaded subjects that are not settled."""
        return self._pending

    @property
    def in_flight(self) -> int:
        """Runs that execute."""
        return self._in_flight

    @property
    def position(self) -> int:
        """Take it before reading a subject from the store; see `Loaded.as_of`."""
        return self._position

    def status(self, key: K) -> BufferView:
        """The subject's buffer; an empty one when it is not loaded."""
        buffer = self._buffers.get(key)
        return BufferView() if buffer is None else buffer.view()

    def pending_of(self, key: K, ids: Iterable[str]) -> tuple[str, ...]:
        """Those of `ids` that a `Settled` is still to come for."""
        buffer = self._buffers.get(key)
        return () if buffer is None else tuple(each for each in ids if buffer.knows(each))

    def pending_count(self, key: K) -> int:
        """How many messages of the subject are not settled; 0: it can be unloaded."""
        buffer = self._buffers.get(key)
        return 0 if buffer is None else buffer.size

    def next_wake(self) -> Millis | None:
        """When to send a `Tick`, at the latest; None: nothing happens on its own."""
        wake = None if self._draining else self._due.next_timer()
        return None if wake is None else wake - self._skew

    def transcript(self) -> Transcript[K]:
        """The latest stimuli, for `replay`. They carry ids, and no text."""
        return Transcript(
            limits=self._limits,
            rng_state=self._origin,
            stimuli=tuple(self._log),
            dropped=self._handled - len(self._log),
        )

    # events

    def handle(self, event: Event[K], now: Millis) -> list[Action[K]]:
        """Take in what happened at `now` (milliseconds since the epoch); answer what to do, in order."""
        self._log.append(Stimulus(now, event))
        self._handled += 1
        self._skew += max(0, self._wall - now)
        self._wall = now
        actions: list[Action[K]] = []
        match event:
            case Appended(key, items):
                self._append(self._open(key), items)
            case Loaded(key, items, policy, as_of):
                self._load(self._open(key), items, policy, as_of, actions)
            case PolicySet(key, on_full, on_idle):
                buffer = self._open(key)
                buffer.policy = Policy(on_full, on_idle)
                self._consider(buffer)
            case Flush(key, ids):
                self._flush(key, ids)
            case Tick():
                pass
            case RunDone(key, run_id, settled):
                self._done(key, run_id, settled, actions)
            case RunRefused(key, run_id, still_pending):
                self._refused(key, run_id, still_pending, actions)
            case RunFailed(key, run_id):
                if (found := self._executing(key, run_id)) is not None:
                    self._failed(*found, event, actions)
            case RunParked(key, run_id):
                if (found := self._executing(key, run_id)) is not None:
                    buffer, run = found
                    self._end(buffer, run)
                    self._settle(buffer, tuple(run.items), actions)
                    self._consider(buffer)
            case Forgotten(key, ids):
                self._forget(key, ids, actions)
            case Unloaded(key):
                self._unload(key, actions)
            case Drained():
                self._draining = True
        if not self._draining:
            self._start(actions)
        elif self._in_flight == 0 and not self._drain_told:
            self._drain_told = True
            actions.append(DrainComplete())
        return actions

    @property
    def _now(self) -> Millis:
        return self._wall + self._skew

    def _open(self, key: K) -> SubjectBuffer[K]:
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = SubjectBuffer(key)
        return buffer

    def _append(self, buffer: SubjectBuffer[K], items: Sequence[Item]) -> None:
        for item in items:
            if buffer.knows(item.id) or (buffer.key, item.id) in self._remembered:
                continue
            self._add(buffer, item)
            if not item.immediate:
                buffer.last_append = self._now
        self._consider(buffer)

    def _add(self, buffer: SubjectBuffer[K], item: Item) -> None:
        self._position += 1
        self._pending += 1
        buffer.add(item, self._position)

    def _load(
        self,
        buffer: SubjectBuffer[K],
        items: Sequence[Item],
        policy: Policy,
        as_of: int | None,
        actions: list[Action[K]],
    ) -> None:
        buffer.policy = policy
        if not buffer.waiting:
            buffer.last_append = self._now
        asked = buffer.asked
        before = buffer.clear()
        self._pending -= len(before)
        newer = [item for position, item in before if as_of is not None and position > as_of]
        for item in chain(items, newer):
            if not (buffer.knows(item.id) or (buffer.key, item.id) in self._remembered):
                self._add(buffer, item)
        buffer.ask(asked)
        # Said, but not remembered: should the read have been older than the caller thinks, the next one
        # brings them back.
        gone = tuple(item.id for _, item in before if not buffer.knows(item.id))
        if gone:
            actions.append(Settled(buffer.key, gone))
        self._consider(buffer)

    def _flush(self, key: K, ids: Sequence[str] | None) -> None:
        buffer = self._buffers.get(key)
        if buffer is None:
            return
        buffer.ask(ids)
        run = buffer.run
        if run is not None and not run.executing and (ids is None or any(each in run.items for each in ids)):
            run.not_before = self._now
        self._consider(buffer)

    def _executing(self, key: K, run_id: str) -> tuple[SubjectBuffer[K], Run] | None:
        """The run that a report is about; None when it was abandoned, or has been reported on already."""
        buffer = self._buffers.get(key)
        if buffer is None or buffer.run is None or buffer.run.id != run_id or not buffer.run.executing:
            return None
        return buffer, buffer.run

    def _done(self, key: K, run_id: str, settled: Sequence[str], actions: list[Action[K]]) -> None:
        found = self._executing(key, run_id)
        if found is None:
            return
        buffer, run = found
        done = set(settled)
        left = run.without(done)
        if len(left) == len(run.items):
            # Going on would repeat it for ever; as a failure it is bounded, and visible when parked.
            nothing = RunFailed(key, run_id, "the run settled none of its messages")
            self._failed(buffer, run, nothing, actions)
            return
        self._end(buffer, run)
        self._settle(buffer, tuple(each for each in run.items if each in done), actions)
        if left:
            self._replace(buffer, left)
        self._consider(buffer)

    def _refused(self, key: K, run_id: str, still_pending: Sequence[str], actions: list[Action[K]]) -> None:
        found = self._executing(key, run_id)
        if found is None:
            return
        buffer, run = found
        pending = set(still_pending)
        settled = tuple(each for each in run.items if each not in pending)
        if len(settled) == len(run.items):
            self._end(buffer, run)
        else:
            for each in settled:
                del run.items[each]
            self._rest(run, self._rng.uniform(0, self._pause(REFUSED_MS, run.refusals)))
            run.refusals += 1
        if settled:
            self._settle(buffer, settled, actions)
        self._consider(buffer)

    def _failed(
        self, buffer: SubjectBuffer[K], run: Run, failure: RunFailed[K], actions: list[Action[K]]
    ) -> None:
        pause = self._pause(self._limits.backoff_ms, run.failures) * self._rng.uniform(0.5, 1.0)
        pause = max(pause, min(failure.wait_ms, MAX_WAIT_MS))
        run.failures += failure.tried
        if run.parking:
            # Only the store can fail here; there is nothing left to give up to, so it goes on.
            self._rest(run, pause)
        elif not failure.tried or (failure.retryable and run.failures < self._limits.attempts):
            run.error = failure.error
            self._rest(run, pause)
        else:
            run.error = failure.error
            run.parking = True
            actions.append(ParkRun(buffer.key, run.id, tuple(run.items), run.error, run.failures))
        self._consider(buffer)

    def _forget(self, key: K, ids: Sequence[str] | None, actions: list[Action[K]]) -> None:
        buffer = self._buffers.get(key)
        gone = set(ids or ())
        if buffer is not None and ids is None:
            gone.update(buffer.pending())
        self._remember(key, gone)
        if buffer is None:
            return
        before = buffer.size
        buffer.remove(gone)
        run = buffer.run
        if run is not None and not gone.isdisjoint(run.items):
            left = run.without(gone)
            if run.executing:
                # Its extraction has read what is forgotten: the rest starts over, as another run.
                self._end(buffer, run)
                actions.append(AbandonRun(key, run.id))
                if left:
                    self._replace(buffer, left)
            elif left:
                run.items = left
            else:
                buffer.run = None
        self._pending += buffer.size - before
        self._consider(buffer)

    def _unload(self, key: K, actions: list[Action[K]]) -> None:
        buffer = self._buffers.get(key)
        if buffer is None:
            return
        if buffer.size:
            actions.append(UnloadRefused(key))
            return
        self._due.forget(buffer)
        del self._buffers[key]

    # runs

    def _replace(self, buffer: SubjectBuffer[K], items: dict[str, int]) -> None:
        buffer.run = Run(self._new_run_id(), items, self._now)

    def _rest(self, run: Run, pause: float) -> None:
        run.executing = False
        run.not_before = self._now + round(pause)
        self._in_flight -= 1

    def _end(self, buffer: SubjectBuffer[K], run: Run) -> None:
        if run.executing:
            self._in_flight -= 1
        buffer.run = None

    def _settle(self, buffer: SubjectBuffer[K], ids: tuple[str, ...], actions: list[Action[K]]) -> None:
        """These have left the run, for good."""
        self._pending -= len(ids)
        self._remember(buffer.key, ids)
        actions.append(Settled(buffer.key, ids))

    def _remember(self, key: K, ids: Iterable[str]) -> None:
        for each in ids:
            self._remembered[key, each] = None
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _pause(self, first: Millis, times: int) -> int:
        """`first`, doubled `times` times, at most `max_backoff_ms`."""
        return min(self._limits.max_backoff_ms, first << min(times, 32))

    def _new_run_id(self) -> str:
        """A UUIDv7 of the given time, random by the machine's own generator, so that a replay repeats it."""
        value = (self._wall & ((1 << 48) - 1)) << 80 | 7 << 76 | self._rng.getrandbits(12) << 64
        return str(uuid.UUID(int=value | 0b10 << 62 | self._rng.getrandbits(62)))

    # scheduling

    def _consider(self, buffer: SubjectBuffer[K]) -> None:
        """Queue the buffer if it is due, else see that it is looked at in time."""
        if buffer.is_due(self._now, self._limits):
            self._due.put(buffer)
        elif (deadline := buffer.deadline(self._limits)) is not None:
            self._due.wake_at(buffer, deadline)

    def _start(self, actions: list[Action[K]]) -> None:
        while (buffer := self._due.pop_timer(self._now)) is not None:
            self._consider(buffer)
        while self._due and self._in_flight < self._limits.max_in_flight:
            buffer = self._due.pop()
            if not buffer.is_due(self._now, self._limits):
                self._consider(buffer)
                continue
            if buffer.run is None:
                buffer.run = Run(self._new_run_id(), buffer.take(self._limits), self._now)
            run = buffer.run
            run.executing = True
            self._in_flight += 1
            ids = tuple(run.items)
            if run.parking:
                actions.append(ParkRun(buffer.key, run.id, ids, run.error, run.failures))
            else:
                actions.append(StartRun(buffer.key, run.id, ids, run.failures + 1))

    def validate(self) -> None:
        """Raise AssertionError where the state contradicts itself. For tests: looks at everything."""
        buffers = self._buffers.values()
        for buffer in buffers:
            buffer.validate()
            due, deadline = buffer.is_due(self._now, self._limits), buffer.deadline(self._limits)
            waits = due or deadline is None or (buffer.timer is not None and buffer.timer <= deadline)
            _check(self._draining or (waits and (buffer.queued or not due)), "a buffer is not scheduled")
        self._due.validate(buffers)
        executing = sum(buffer.run is not None and buffer.run.executing for buffer in buffers)
        _check(self._in_flight == executing <= self._limits.max_in_flight, "in_flight is off")
        _check(self._pending == sum(buffer.size for buffer in buffers), "pending_total is off")
        _check(len(self._remembered) <= REMEMBERED, "remembers too much")
        room = self._in_flight < self._limits.max_in_flight
        _check(self._draining or not (self._due and room), "subjects are due while there is room")


def replay(transcript: Transcript[K]) -> tuple[ShardBuffers[K], list[list[Action[K]]]]:
    """A machine told the same again, and what it answered each time."""
    rng = random.Random()
    rng.setstate(transcript.rng_state)
    buffers = ShardBuffers[K](transcript.limits, rng)
    return buffers, [buffers.handle(event, now) for now, event in transcript.stimuli]


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
