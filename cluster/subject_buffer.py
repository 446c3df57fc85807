"""One subject's buffer: what waits, and the one run over it. `cluster.buffer` decides about both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Generic, NamedTuple

from cluster.buffer_events import BufferLimits, BufferView, Item, K, Policy
from cluster.due_queue import Scheduled
from cluster.model import Millis


class Waiting(NamedTuple):
    position: int
    """Ascending over the shard, in the order of arrival."""
    tokens: int


class Run:
    """The one run of a subject. Not executing, it waits for its turn, from `not_before` on."""

    __slots__ = ("error", "executing", "failures", "id", "items", "not_before", "parking", "refusals")

    def __init__(self, run_id: str, items: dict[str, int], not_before: Millis) -> None:
        self.id = run_id
        self.items = items
        """Message id → tokens, oldest first; never empty."""
        self.not_before = not_before
        self.executing = False
        self.parking = False
        """The extraction is given up; what is left to do is the parked record."""
        self.failures = 0
        self.refusals = 0
        self.error = ""

    def without(self, ids: Collection[str]) -> dict[str, int]:
        """Its items but for `ids`."""
        return {each: tokens for each, tokens in self.items.items() if each not in ids}


class SubjectBuffer(Scheduled, Generic[K]):
    """The messages of a subject that are not settled. Each is in `immediate`, in `waiting` or in `run`."""

    __slots__ = ("asked", "immediate", "key", "last_append", "policy", "run", "tokens", "waiting")

    def __init__(self, key: K) -> None:
        super().__init__()
        self.key = key
        self.policy = Policy()
        self.waiting: dict[str, Waiting] = {}
        self.tokens = 0
        """Of `waiting`."""
        self.last_append: Millis = 0
        self.asked: set[str] = set()
        """Those of `waiting` that an explicit flush wants."""
        self.immediate: dict[str, Waiting] = {}
        self.run: Run | None = None

    @property
    def size(self) -> int:
        """How many messages are not settled."""
        return len(self.waiting) + len(self.immediate) + (len(self.run.items) if self.run is not None else 0)

    def knows(self, message_id: str) -> bool:
        """Whether the message is not settled."""
        return (
            message_id in self.waiting
            or message_id in self.immediate
            or (self.run is not None and message_id in self.run.items)
        )

    def pending(self) -> Iterator[str]:
        """All that are not settled."""
        return chain(() if self.run is None else self.run.items, self.immediate, self.waiting)

    def view(self) -> BufferView:
        run = self.run
        return BufferView(
            tokens=self.tokens,
            ids=(*self.immediate, *self.waiting),
            running=() if run is None else tuple(run.items),
            run_id=None if run is None else run.id,
            attempt=0 if run is None else run.failures + (not run.parking),
            policy=self.policy,
        )

    def add(self, item: Item, position: int) -> None:
        """The message waits; it must not be known."""
        if item.immediate:
            self.immediate[item.id] = Waiting(position, item.tokens)
        else:
            self.waiting[item.id] = Waiting(position, item.tokens)
            self.tokens += item.tokens

    def remove(self, ids: Iterable[str]) -> None:
        """These no longer wait, if they did."""
        for each in ids:
            entry = self.waiting.pop(each, None)
            if entry is not None:
                self.tokens -= entry.tokens
            self.immediate.pop(each, None)
            self.asked.discard(each)

    def clear(self) -> list[tuple[int, Item]]:
        """Nothing waits any more; what did, with its position, oldest first."""
        items = [
            *((entry.position, Item(each, entry.tokens)) for each, entry in self.waiting.items()),
            *((entry.position, Item(each, entry.tokens, True)) for each, entry in self.immediate.items()),
        ]
        self.waiting, self.immediate, self.asked, self.tokens = {}, {}, set(), 0
        return items

    def ask(self, ids: Iterable[str] | None) -> None:
        """An explicit flush: of all that waits (None), or of those of `ids` that do."""
        self.asked.update(self.waiting if ids is None else (each for each in ids if each in self.waiting))

    def is_due(self, now: Millis, limits: BufferLimits) -> bool:
        """Whether a run over it should execute, as far as this subject is concerned."""
        run = self.run
        if run is not None:
            return not run.executing and run.not_before <= now
        if self.immediate or self.asked:
            return True
        return bool(self.waiting) and (
            (self.policy.on_full and self.tokens >= limits.full_tokens)
            or (self.policy.on_idle and self.last_append + limits.idle_ms <= now)
        )

    def deadline(self, limits: BufferLimits) -> Millis | None:
        """When it becomes due just by the passing of time, if it is not due yet."""
        run = self.run
        if run is not None:
            return None if run.executing else run.not_before
        if self.policy.on_idle and self.waiting:
            return self.last_append + limits.idle_ms
        return None

    def take(self, limits: BufferLimits) -> dict[str, int]:
        """The next run's messages, which then no longer wait: the immediate ones, else those asked for,
        else whatever is there; oldest first, as many as fit in a run, at least one."""
        source = self.immediate or self.waiting
        order: Iterable[str] = source
        if not self.immediate and 0 < len(self.asked) < len(self.waiting):
            order = sorted(self.asked, key=lambda each: self.waiting[each].position)
        items: dict[str, int] = {}
        total = 0
        for each in order:
            total += source[each].tokens
            if items and (total > limits.run_tokens or len(items) == limits.run_messages):
                break
            items[each] = source[each].tokens
        self.remove(items)
        return items

    def validate(self) -> None:
        """Raise AssertionError where the buffer contradicts itself."""
        ids = list(self.pending())
        positions = [entry.position for entry in self.waiting.values()]
        for holds, what in (
            (len(set(ids)) == len(ids), "a message is in two places"),
            (self.tokens == sum(entry.tokens for entry in self.waiting.values()), "tokens are off"),
            (self.asked <= self.waiting.keys(), "asked for what does not wait"),
            (positions == sorted(positions), "not oldest first"),
            (self.run is None or bool(self.run.items), "an empty run"),
        ):
            if not holds:
                raise AssertionError(f"{self.key}: {what}")
