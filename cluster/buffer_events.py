"""The events and actions of `cluster.buffer`: what happens to buffers, and what is to be done about it.

A key (`K`) says whose buffer it is; to the machine it is any hashable value, to the shard actor a `Subject`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from cluster.model import Millis

K = TypeVar("K", bound=Hashable)


class BufferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers the machine decides by; times in milliseconds."""

    full_tokens: int
    """A buffer with so many tokens is extracted."""
    run_tokens: int
    """At most so many tokens in one run (a single larger message runs alone)."""
    idle_ms: Millis
    """A buffer is extracted this long after its last append."""
    max_in_flight: int
    """Runs executing at a time over the shard."""
    attempts: int
    """Failures after which a run is parked."""
    backoff_ms: Millis
    """Pause after the first failure; doubles with each further one, with jitter (a half to the whole)."""
    max_backoff_ms: Millis
    run_messages: int = 2_000
    """At most so many messages in one run: its record lists their ids, and has to fit in one commit."""


class Policy(NamedTuple):
    """Which triggers may start an extraction of a buffer on their own."""

    on_full: bool = True
    on_idle: bool = True


class Item(msgspec.Struct, frozen=True, gc=False):
    """A message that is to be in a run. `immediate` ones (infer=False) run at once and by themselves."""

    id: str
    tokens: int
    immediate: bool = False


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


# --- events -----------------------------------------------------------------------------------


class Appended(msgspec.Struct, Generic[K], frozen=True):
    """These messages are durable. Ids that are known already are ignored."""

    key: K
    items: tuple[Item, ...]


class Loaded(msgspec.Struct, Generic[K], frozen=True):
    """All pending messages of the subject as the store has them, oldest first.

    Replaces what is waiting: what the store no longer has pending is settled by someone else. A run in
    flight goes on. Messages appended here after the read began are kept if the caller took
    `ShardBuffers.position` before it and passes it as `as_of`.
    """

    key: K
    items: tuple[Item, ...]
    policy: Policy = Policy()
    as_of: int | None = None


class PolicySet(msgspec.Struct, Generic[K], frozen=True):
    key: K
    on_full: bool
    on_idle: bool


class Flush(msgspec.Struct, Generic[K], frozen=True):
    """Extract what waits now: all of it, or exactly these ids. Also hurries a run that is backing off."""

    key: K
    ids: tuple[str, ...] | None = None


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


class RunDone(msgspec.Struct, Generic[K], frozen=True):
    """The run is committed. What it did not settle runs again, under a new id."""

    key: K
    run_id: str
    settled_ids: tuple[str, ...]


class RunRefused(msgspec.Struct, Generic[K], frozen=True):
    """The commit was stale: another owner was faster. Not a failure; `still_pending` is tried again soon."""

    key: K
    run_id: str
    still_pending: tuple[str, ...]


class RunFailed(msgspec.Struct, Generic[K], frozen=True):
    """The attempt (to extract, or to write the parked record) failed."""

    key: K
    run_id: str
    error: str
    retryable: bool = True
    wait_ms: Millis = 0
    """Not tried again before this time has passed."""
    tried: bool = True
    """False: it did not come to an attempt (a limit, an endpoint that rests), so none is counted."""


class RunParked(msgspec.Struct, Generic[K], frozen=True):
    """The parked record is durable."""

    key: K
    run_id: str


class Forgotten(msgspec.Struct, Generic[K], frozen=True):
    """Messages were deleted; None: everything of the subject."""

    key: K
    ids: tuple[str, ...] | None = None


class Unloaded(msgspec.Struct, Generic[K], frozen=True):
    """The subject is to leave memory. Refused (`UnloadRefused`) while anything of it is pending."""

    key: K


class Drained(msgspec.Struct, frozen=True):
    """Shutdown: start nothing, retry nothing; `DrainComplete` follows when nothing executes any more.

    What is still pending then is durable, and found again by whoever loads the subject next.
    """


Event = (
    Appended[K]
    | Loaded[K]
    | PolicySet[K]
    | Flush[K]
    | Tick
    | RunDone[K]
    | RunRefused[K]
    | RunFailed[K]
    | RunParked[K]
    | Forgotten[K]
    | Unloaded[K]
    | Drained
)

# --- actions ----------------------------------------------------------------------------------


class StartRun(msgspec.Struct, Generic[K], frozen=True):
    """Extract these messages (oldest first) and commit; answer with RunDone, RunRefused or RunFailed."""

    key: K
    run_id: str
    """A UUIDv7; the same for every attempt of a run."""
    ids: tuple[str, ...]
    attempt: int
    """1 for the first."""


class ParkRun(msgspec.Struct, Generic[K], frozen=True):
    """Write the parked record; answer with RunParked, RunRefused or (to be told again) RunFailed."""

    key: K
    run_id: str
    ids: tuple[str, ...]
    error: str
    attempts: int


class AbandonRun(msgspec.Struct, Generic[K], frozen=True):
    """Cancel the run: some of its messages are forgotten. Whatever it still reports is ignored."""

    key: K
    run_id: str


class Settled(msgspec.Struct, Generic[K], frozen=True):
    """These messages are in a run, done or parked: whoever waits for them can be answered."""

    key: K
    ids: tuple[str, ...]


class UnloadRefused(msgspec.Struct, Generic[K], frozen=True):
    key: K


class DrainComplete(msgspec.Struct, frozen=True):
    """Nothing executes any more, and nothing will be started."""


Action = StartRun[K] | ParkRun[K] | AbandonRun[K] | Settled[K] | UnloadRefused[K] | DrainComplete
