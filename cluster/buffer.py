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

import heapq
import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple

import msgspec

from cluster.buffer_events import (
    AbandonRun,
    Action,
    Appended,
    BufferLimits,
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
from cluster.model import Millis

REMEMBERED = 65_536
"""Settled and forgotten ids of the shard that are still recognised when a stale read brings them again."""
LOG_SIZE = 1_000
REFUSED_MS = 25
"""First pause after a refused commit: about two conditional writes, for the other owner to finish."""


class BufferView(msgspec.Struct, frozen=True, kw_only=True):
    """A buffer as it stands."""

    tokens: int = 0
    """Of the waiting messages: what is measured against `full_tokens`."""
    ids: tuple[str, ...] = ()
    """Waiting, oldest first."""
    running: tuple[str, ...] = ()
    """In a run that executes, backs off or is being parked."""
    run_id: str | None = None
    attempt: int = 0
    policy: Policy = Policy()


class Stimulus(NamedTuple, Generic[K]):
    now: Millis
    event: Event[K]


class Transcript(msgspec.Struct, Generic[K], frozen=True, kw_only=True):
    """What a machine was told, lately. Replays exactly while nothing has been `dropped`."""

    limits: BufferLimits
    rng_state: tuple[Any, ...]
    stimuli: tuple[Stimulus[K], ...]
    dropped: int


class _Waiting(NamedTuple):
    position: int
    tokens: int


class _Run:
    """The one run of a subject. Not executing, it waits for its turn, from `not_before` on."""

    __slots__ = ("error", "executing", "failures", "id", "items", "not_before", "parking", "refusals")

    def __init__(self, run_id: str, items: dict[str, int], not_before: Millis) -> None:
        self.id = run_id
        self.items = items
        self.not_before = not_before
        self.executing = False
        self.parking = False
        self.failures = 0
        self.refusals = 0
        self.error = ""


class _Buffer(Generic[K]):
    __slots__ = (
        "asked",
        "immediate",
        "key",
        "last_append",
        "policy",
        "queued",
        "run",
        "timer",
        "tokens",
        "waiting",
    )

    def __init__(self, key: K) -> None:
        self.key = key
        self.policy = Policy()
        self.waiting: dict[str, _Waiting] = {}
        self.tokens = 0
        self.last_append: Millis = 0
        self.asked: set[str] = set()
        """Those of `waiting` that an explicit flush wants."""
        self.immediate: dict[str, _Waiting] = {}
        self.run: _Run | None = None
        self.queued = False
        """In the queue of those that are due."""
        self.timer: Millis | None = None
        """The earliest entry of this buffer in the timers."""

    def knows(self, message_id: str) -> bool:
        return (
            message_id in self.waiting
            or message_id in self.immediate
            or (self.run is not None and message_id in self.run.items)
        )

    def pending(self) -> Iterator[str]:
        return chain(
            self.run.items if self.run is not None else (),
            self.immediate,
            self.waiting,
        )

    @property
    def size(self) -> int:
        return len(self.waiting) + len(self.immediate) + (len(self.run.items) if self.run is not None else 0)


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
        self._buffers: dict[K, _Buffer[K]] = {}
        self._due: deque[_Buffer[K]] = deque()
        self._timers: list[tuple[Millis, int, _Buffer[K]]] = []
        self._timer_count = 0
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
        if buffer is None:
            return BufferView()
        run = buffer.run
        return BufferView(
            tokens=buffer.tokens,
            ids=(*buffer.immediate, *buffer.waiting),
            running=() if run is None else tuple(run.items),
            run_id=None if run is None else run.id,
            attempt=0 if run is None else run.failures + (not run.parking),
            policy=buffer.policy,
        )

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
        if self._draining:
            return None
        while self._timers and self._timers[0][2].timer != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] - self._skew if self._timers else None

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
            case RunFailed(key, run_id, error, retryable):
                if (found := self._executing(key, run_id)) is not None:
                    self._failed(*found, error, retryable, actions)
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
            self._wake()
            self._start(actions)
        elif self._in_flight == 0 and not self._drain_told:
            self._drain_told = True
            actions.append(DrainComplete())
        return actions

    @property
    def _now(self) -> Millis:
        return self._wall + self._skew

    def _open(self, key: K) -> _Buffer[K]:
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = _Buffer(key)
        return buffer

    def _append(self, buffer: _Buffer[K], items: Sequence[Item]) -> None:
        for item in items:
            if buffer.knows(item.id) or (buffer.key, item.id) in self._remembered:
                continue
            self._add(buffer, item)
            if not item.immediate:
                buffer.last_append = self._now
        self._consider(buffer)

    def _add(self, buffer: _Buffer[K], item: Item) -> None:
        self._position += 1
        self._pending += 1
        if item.immediate:
            buffer.immediate[item.id] = _Waiting(self._position, item.tokens)
        else:
            buffer.waiting[item.id] = _Waiting(self._position, item.tokens)
            buffer.tokens += item.tokens

    def _load(
        self,
        buffer: _Buffer[K],
        items: Sequence[Item],
        policy: Policy,
        as_of: int | None,
        actions: list[Action[K]],
    ) -> None:
        buffer.policy = policy
        if not buffer.waiting:
            buffer.last_append = self._now
        before = (*buffer.waiting.items(), *buffer.immediate.items())
        newer = [
            Item(each, entry.tokens, each in buffer.immediate)
            for each, entry in before
            if as_of is not None and entry.position > as_of
        ]
        asked = buffer.asked
        buffer.waiting, buffer.asked, buffer.immediate, buffer.tokens = {}, set(), {}, 0
        self._pending -= len(before)
        for item in chain(items, newer):
            if not (buffer.knows(item.id) or (buffer.key, item.id) in self._remembered):
                self._add(buffer, item)
        buffer.asked = asked & buffer.waiting.keys()
        # Said, but not remembered: should the read have been older than the caller thinks, the next one
        # brings them back.
        gone = tuple(each for each, _ in before if not buffer.knows(each))
        if gone:
            actions.append(Settled(buffer.key, gone))
        self._consider(buffer)

    def _flush(self, key: K, ids: Sequence[str] | None) -> None:
        buffer = self._buffers.get(key)
        if buffer is None:
            return
        buffer.asked.update(
            buffer.waiting if ids is None else (each for each in ids if each in buffer.waiting)
        )
        run = buffer.run
        if run is not None and not run.executing and (ids is None or any(each in run.items for each in ids)):
            run.not_before = self._now
        self._consider(buffer)

    def _executing(self, key: K, run_id: str) -> tuple[_Buffer[K], _Run] | None:
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
        left = {each: tokens for each, tokens in run.items.items() if each not in done}
        if len(left) == len(run.items):
            # Going on would repeat it for ever; as a failure it is bounded, and visible when parked.
            self._failed(buffer, run, "the run settled none of its messages", True, actions)
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
        self, buffer: _Buffer[K], run: _Run, error: str, retryable: bool, actions: list[Action[K]]
    ) -> None:
        pause = self._pause(self._limits.backoff_ms, run.failures) * self._rng.uniform(0.5, 1.0)
        run.failures += 1
        if run.parking:
            # Only the store can fail here; there is nothing left to give up to, so it goes on.
            self._rest(run, pause)
        elif retryable and run.failures < self._limits.attempts:
            run.error = error
            self._rest(run, pause)
        else:
            run.error = error
            run.parking = True
            actions.append(ParkRun(buffer.key, run.id, tuple(run.items), run.error, run.failures))
        self._consider(buffer)

    def _forget(self, key: K, ids: Sequence[str] | None, actions: list[Action[K]]) -> None:
        buffer = self._buffers.get(key)
        if buffer is None:
            return
        gone = set(buffer.pending() if ids is None else ids)
        self._remember(key, gone)
        before = buffer.size
        run = buffer.run
        for each in gone:
            entry = buffer.waiting.pop(each, None)
            if entry is not None:
                buffer.tokens -= entry.tokens
            buffer.immediate.pop(each, None)
        buffer.asked -= gone
        if run is not None and not gone.isdisjoint(run.items):
            left = _without(run.items, gone)
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
        buffer.timer = None
        del self._buffers[key]

    # runs

    def _replace(self, buffer: _Buffer[K], items: dict[str, int]) -> None:
        buffer.run = _Run(self._new_run_id(), items, self._now)

    def _rest(self, run: _Run, pause: float) -> None:
        run.executing = False
        run.not_before = self._now + round(pause)
        self._in_flight -= 1

    def _end(self, buffer: _Buffer[K], run: _Run) -> None:
        if run.executing:
            self._in_flight -= 1
        buffer.run = None

    def _settle(self, buffer: _Buffer[K], ids: tuple[str, ...], actions: list[Action[K]]) -> None:
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

    def _is_due(self, buffer: _Buffer[K]) -> bool:
        run = buffer.run
        if run is not None:
            return not run.executing and run.not_before <= self._now
        return bool(
            buffer.immediate
            or buffer.asked
            or (buffer.policy.on_full and buffer.waiting and buffer.tokens >= self._limits.full_tokens)
            or (
                buffer.policy.on_idle
                and buffer.waiting
                and buffer.last_append + self._limits.idle_ms <= self._now
            )
        )

    def _deadline(self, buffer: _Buffer[K]) -> Millis | None:
        """When a buffer that is not due becomes due by the passing of time."""
        run = buffer.run
        if run is not None:
            return None if run.executing else run.not_before
        if buffer.policy.on_idle and buffer.waiting:
            return buffer.last_append + self._limits.idle_ms
        return None

    def _consider(self, buffer: _Buffer[K]) -> None:
        """Queue the buffer if it is due, else see that it is looked at in time."""
        if self._is_due(buffer):
            if not buffer.queued:
                buffer.queued = True
                self._due.append(buffer)
            return
        deadline = self._deadline(buffer)
        # A later deadline leaves the earlier entry alone: an append moves the deadline, not the timer.
        if deadline is not None and (buffer.timer is None or deadline < buffer.timer):
            buffer.timer = deadline
            self._timer_count += 1
            heapq.heappush(self._timers, (deadline, self._timer_count, buffer))
            if len(self._timers) > 64 + 2 * len(self._buffers):
                self._timers = [entry for entry in self._timers if entry[2].timer == entry[0]]
                heapq.heapify(self._timers)

    def _wake(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            at, _, buffer = heapq.heappop(self._timers)
            if buffer.timer == at:
                buffer.timer = None
                self._consider(buffer)

    def _start(self, actions: list[Action[K]]) -> None:
        while self._due and self._in_flight < self._limits.max_in_flight:
            buffer = self._due.popleft()
            buffer.queued = False
            if not self._is_due(buffer):
                self._consider(buffer)
                continue
            run = buffer.run or self._form(buffer)
            buffer.run = run
            run.executing = True
            self._in_flight += 1
            ids = tuple(run.items)
            if run.parking:
                actions.append(ParkRun(buffer.key, run.id, ids, run.error, run.failures))
            else:
                actions.append(StartRun(buffer.key, run.id, ids, run.failures + 1))

    def _form(self, buffer: _Buffer[K]) -> _Run:
        """A run of what is most urgent: immediate, asked for, then whatever is oldest."""
        if buffer.immediate:
            items = self._take((each, entry.tokens) for each, entry in buffer.immediate.items())
            for each in items:
                del buffer.immediate[each]
            return _Run(self._new_run_id(), items, self._now)
        waiting = buffer.waiting
        order: Iterable[str] = waiting
        if buffer.asked and len(buffer.asked) < len(waiting):
            order = sorted(buffer.asked, key=lambda each: waiting[each].position)
        items = self._take((each, waiting[each].tokens) for each in order)
        for each, tokens in items.items():
            del waiting[each]
            buffer.tokens -= tokens
        buffer.asked -= items.keys()
        return _Run(self._new_run_id(), items, self._now)

    def _take(self, oldest_first: Iterable[tuple[str, int]]) -> dict[str, int]:
        """As many as fit in a run, at least one."""
        items: dict[str, int] = {}
        total = 0
        for each, tokens in oldest_first:
            total += tokens
            if items and (total > self._limits.run_tokens or len(items) == self._limits.run_messages):
                break
            items[each] = tokens
        return items

    # checking

    def validate(self) -> None:
        """Raise AssertionError where the state contradicts itself. For tests: looks at everything."""
        _check(self._pending == sum(buffer.size for buffer in self._buffers.values()), "pending_total is off")
        executing = [b for b in self._buffers.values() if b.run is not None and b.run.executing]
        _check(self._in_flight == len(executing), "in_flight is off")
        _check(self._in_flight <= self._limits.max_in_flight, "too many runs execute")
        _check(len(set(map(id, self._due))) == len(self._due), "a buffer is queued twice")
        _check(len(self._remembered) <= REMEMBERED, "remembers too much")
        queued = {id(buffer) for buffer in self._due}
        timers = {(at, id(buffer)) for at, _, buffer in self._timers}
        for key, buffer in self._buffers.items():
            ids = list(buffer.pending())
            _check(len(set(ids)) == len(ids), f"{key}: a message is in two places")
            _check(buffer.tokens == sum(w.tokens for w in buffer.waiting.values()), f"{key}: tokens are off")
            _check(buffer.asked <= buffer.waiting.keys(), f"{key}: asked for what does not wait")
            positions = [w.position for w in buffer.waiting.values()]
            _check(positions == sorted(positions), f"{key}: not oldest first")
            _check(buffer.run is None or bool(buffer.run.items), f"{key}: an empty run")
            _check(buffer.timer is None or (buffer.timer, id(buffer)) in timers, f"{key}: its timer is lost")
            _check(buffer.queued == (id(buffer) in queued), f"{key}: queued flag is off")
            if not self._draining:
                due, deadline = self._is_due(buffer), self._deadline(buffer)
                _check(not due or buffer.queued, f"{key}: due and not queued")
                _check(
                    due or deadline is None or (buffer.timer is not None and buffer.timer <= deadline),
                    f"{key}: nothing will wake it",
                )
        _check(
            self._draining or not self._due or self._in_flight == self._limits.max_in_flight,
            "subjects are due while there is room",
        )


def replay(transcript: Transcript[K]) -> tuple[ShardBuffers[K], list[list[Action[K]]]]:
    """A machine told the same again, and what it answered each time."""
    rng = random.Random()
    rng.setstate(transcript.rng_state)
    buffers = ShardBuffers[K](transcript.limits, rng)
    return buffers, [buffers.handle(event, now) for now, event in transcript.stimuli]


def _without(items: dict[str, int], ids: set[str]) -> dict[str, int]:
    return {each: tokens for each, tokens in items.items() if each not in ids}


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
