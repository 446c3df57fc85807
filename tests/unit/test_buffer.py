"""The buffers, rule by rule: each fires, and does not fire otherwise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID

import pytest

from cluster.buffer import LOG_SIZE, ShardBuffers, replay
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
from tests.steps import lines_run

ZHANG = Subject("t", "user", "张三")
LI = Subject("t", "user", "李四")
NOW = 1_700_000_000_000


class Shard:
    """A machine and its clock; remembers what it started."""

    def __init__(self, **limits: int) -> None:
        chosen = {
            "full_tokens": 100,
            "run_tokens": 150,
            "idle_ms": 1_000,
            "max_in_flight": 2,
            "attempts": 3,
            "backoff_ms": 400,
            "max_backoff_ms": 60_000,
        } | limits
        self.machine: ShardBuffers[Subject] = ShardBuffers(BufferLimits(**chosen), random.Random(7))
        self.now = NOW

    def __call__(self, event: Event[Subject], after: int = 0) -> list[Action[Subject]]:
        self.now += after
        actions = self.machine.handle(event, self.now)
        self.machine.validate()
        return actions

    def append(self, key: Subject, *sizes: int, prefix: str = "m") -> list[Action[Subject]]:
        return self(Appended(key, items(*sizes, prefix=prefix)))

    def to_wake(self) -> list[Action[Subject]]:
        wake = self.machine.next_wake()
        assert wake is not None
        return self(Tick(), wake - self.now)


def items(*sizes: int, prefix: str = "m") -> tuple[Item, ...]:
    return tuple(Item(f"{prefix}{number}", size) for number, size in enumerate(sizes))


def started(actions: Sequence[Action[Subject]]) -> list[tuple[str, ...]]:
    return [action.ids for action in actions if isinstance(action, StartRun)]


def the_run(actions: Sequence[Action[Subject]]) -> StartRun[Subject]:
    (run,) = [action for action in actions if isinstance(action, StartRun)]
    return run


# full


def test_a_full_buffer_runs() -> None:
    assert started(Shard().append(ZHANG, 40, 60)) == [("m0", "m1")]


def test_a_buffer_one_token_short_of_full_does_not() -> None:
    assert started(Shard().append(ZHANG, 40, 59)) == []


def test_a_run_takes_the_oldest_up_to_its_tokens_and_the_rest_stays() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 60, 60, 60, 20))
    assert run.ids == ("m0", "m1")
    assert shard.machine.status(ZHANG).ids == ("m2", "m3")
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == []


def test_what_stays_runs_too_if_it_is_full() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 60, 60, 60, 60))
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == [("m2", "m3")]


def test_a_message_larger_than_a_run_runs_alone() -> None:
    assert started(Shard().append(ZHANG, 500, 1)) == [("m0",)]


def test_a_run_holds_no_more_messages_than_its_record_can_list() -> None:
    shard = Shard(run_messages=3)
    shard.append(ZHANG, 1, 1, 1, 1, 1)
    assert started(shard(Flush(ZHANG))) == [("m0", "m1", "m2")]


def test_full_switched_off_does_not_run() -> None:
    shard = Shard()
    shard(PolicySet(ZHANG, on_full=False, on_idle=True))
    assert started(shard.append(ZHANG, 500)) == []
    assert started(shard(PolicySet(ZHANG, on_full=True, on_idle=True))) == [("m0",)]


# idle


def test_an_idle_buffer_runs() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    assert started(shard(Tick(), 1_000)) == [("m0",)]


def test_it_does_not_a_millisecond_earlier() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    assert started(shard(Tick(), 999)) == []
    assert shard.machine.next_wake() == shard.now + 1


def test_an_append_starts_the_quiet_time_anew() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    shard(Tick(), 600)
    shard.append(ZHANG, 1, prefix="n")
    assert started(shard(Tick(), 999)) == []
    assert started(shard(Tick(), 1)) == [("m0", "n0")]


def test_an_append_of_known_messages_does_not() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    shard(Tick(), 600)
    shard.append(ZHANG, 1)
    assert started(shard(Tick(), 400)) == [("m0",)]


def test_another_subjects_append_does_not() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    shard(Tick(), 600)
    shard.append(LI, 1)
    assert started(shard(Tick(), 400)) == [("m0",)]


def test_idle_does_not_fire_while_a_run_is_in_flight_but_after_it() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, prefix="n")
    assert started(shard(Tick(), 5_000)) == []
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == [("n0",)]


def test_idle_switched_off_does_not_run_and_wakes_nobody() -> None:
    shard = Shard()
    shard(PolicySet(ZHANG, on_full=True, on_idle=False))
    shard.append(ZHANG, 1)
    assert shard.machine.next_wake() is None
    assert started(shard(Tick(), 100_000)) == []


def test_a_clock_set_back_delays_nothing() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    shard.now -= 3_600_000
    shard(Tick())
    assert shard.machine.next_wake() == shard.now + 1_000
    assert started(shard.to_wake()) == [("m0",)]


# flush


def test_a_flush_runs_whatever_the_policy() -> None:
    shard = Shard()
    shard(PolicySet(ZHANG, on_full=False, on_idle=False))
    shard.append(ZHANG, 1, 1)
    assert started(shard(Flush(ZHANG))) == [("m0", "m1")]


def test_a_flush_of_ids_runs_exactly_these_oldest_first() -> None:
    shard = Shard()
    shard.append(ZHANG, 1, 1, 1)
    run = the_run(shard(Flush(ZHANG, ("m2", "m0", "unknown"))))
    assert run.ids == ("m0", "m2")
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == []
    assert shard.machine.status(ZHANG).ids == ("m1",)


def test_a_flush_of_nothing_known_runs_nothing() -> None:
    shard = Shard()
    assert shard(Flush(LI)) == []
    shard.append(ZHANG, 1)
    assert shard(Flush(ZHANG, ("unknown",))) == []


def test_a_flush_during_a_run_is_done_after_it_without_what_came_later() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, prefix="n")
    assert started(shard(Flush(ZHANG))) == []
    shard.append(ZHANG, 1, prefix="later")
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == [("n0",)]


def test_a_large_flush_takes_as_many_runs_as_it_needs() -> None:
    shard = Shard()
    shard(PolicySet(ZHANG, on_full=False, on_idle=False))
    shard.append(ZHANG, *[70] * 5)
    actions, runs = shard(Flush(ZHANG)), 0
    while started(actions):
        run = the_run(actions)
        actions, runs = shard(RunDone(ZHANG, run.run_id, run.ids)), runs + 1
    assert runs == 3
    assert shard.machine.pending_total == 0


# immediate


def test_immediate_messages_run_at_once_and_by_themselves() -> None:
    shard = Shard()
    shard(PolicySet(ZHANG, on_full=False, on_idle=False))
    shard.append(ZHANG, 50)
    run = the_run(shard(Appended(ZHANG, (Item("note", 99, immediate=True),))))
    assert run.ids == ("note",)
    assert shard.machine.status(ZHANG).tokens == 50


def test_immediate_messages_go_before_those_of_a_flush() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, 1, prefix="n")
    shard(Flush(ZHANG, ("n1",)))
    shard(Appended(ZHANG, (Item("note", 1, immediate=True),)))
    run = the_run(shard(RunDone(ZHANG, run.run_id, run.ids)))
    assert run.ids == ("note",)
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == [("n1",)]


# failure


def test_only_the_first_report_of_an_attempt_counts() -> None:
    shard = Shard(attempts=2)
    run = the_run(shard.append(ZHANG, 100))
    shard(RunFailed(ZHANG, run.run_id, "429"))
    for event in (
        RunFailed(ZHANG, run.run_id, "429"),
        RunDone(ZHANG, run.run_id, run.ids),
        RunRefused(ZHANG, run.run_id, ()),
        RunParked(ZHANG, run.run_id),
    ):
        assert shard(event) == []
    assert the_run(shard.to_wake()).attempt == 2


def test_a_failed_run_is_tried_again_after_a_pause_that_doubles() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    for attempt, pause in ((2, 400), (3, 800)):
        assert started(shard(RunFailed(ZHANG, run.run_id, "429"))) == []
        wake = shard.machine.next_wake()
        assert wake is not None
        assert pause / 2 <= wake - shard.now <= pause
        again = the_run(shard.to_wake())
        assert (again.run_id, again.ids, again.attempt) == (run.run_id, run.ids, attempt)


def test_the_pause_has_a_bound() -> None:
    shard = Shard(attempts=100, max_backoff_ms=5_000)
    run = the_run(shard.append(ZHANG, 100))
    for _ in range(99):
        shard(RunFailed(ZHANG, run.run_id, "429"))
        wake = shard.machine.next_wake()
        assert wake is not None
        assert wake - shard.now <= 5_000
        shard.to_wake()


def test_a_run_is_parked_after_its_attempts_and_not_before() -> None:
    shard = Shard(attempts=3)
    run = the_run(shard.append(ZHANG, 100))
    for _ in range(2):
        assert shard(RunFailed(ZHANG, run.run_id, "坏的 JSON")) == []
        shard.to_wake()
    assert shard(RunFailed(ZHANG, run.run_id, "最后")) == [ParkRun(ZHANG, run.run_id, run.ids, "最后", 3)]
    assert shard(RunParked(ZHANG, run.run_id)) == [Settled(ZHANG, run.ids)]
    assert shard.machine.pending_total == 0


def test_what_cannot_be_retried_is_parked_at_once() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    parked = shard(RunFailed(ZHANG, run.run_id, "bad key", retryable=False))
    assert parked == [ParkRun(ZHANG, run.run_id, run.ids, "bad key", 1)]


def test_parking_is_told_again_until_it_is_durable() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard(RunFailed(ZHANG, run.run_id, "bad key", retryable=False))
    for _ in range(20):
        assert shard(RunFailed(ZHANG, run.run_id, "the store is down")) == []
        assert shard.to_wake() == [ParkRun(ZHANG, run.run_id, run.ids, "bad key", shard_attempt(shard))]
    assert shard.machine.pending_total == 1


def shard_attempt(shard: Shard) -> int:
    return shard.machine.status(ZHANG).attempt


def test_newer_messages_wait_behind_a_run_that_backs_off() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard(RunFailed(ZHANG, run.run_id, "429"))
    assert started(shard.append(ZHANG, 100, prefix="n")) == []
    assert the_run(shard.to_wake()).ids == run.ids


def test_a_run_that_backs_off_leaves_its_place_to_others() -> None:
    shard = Shard(max_in_flight=1)
    run = the_run(shard.append(ZHANG, 100))
    assert started(shard.append(LI, 100, prefix="n")) == []
    assert started(shard(RunFailed(ZHANG, run.run_id, "429"))) == [("n0",)]


def test_a_flush_hurries_the_retry() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard(RunFailed(ZHANG, run.run_id, "429"))
    assert the_run(shard(Flush(ZHANG, ("m0",)))).attempt == 2


def test_a_flush_of_other_messages_does_not() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard(RunFailed(ZHANG, run.run_id, "429"))
    shard.append(ZHANG, 1, prefix="n")
    assert shard(Flush(ZHANG, ("n0",))) == []


def test_a_refused_run_goes_on_soon_with_what_is_left_and_has_not_failed() -> None:
    shard = Shard(attempts=1)
    run = the_run(shard.append(ZHANG, 50, 50))
    for _ in range(10):
        actions = shard(RunRefused(ZHANG, run.run_id, ("m1",)))
        if not started(actions):
            assert shard.machine.next_wake() is not None
            actions = shard.to_wake()
        assert the_run(actions) == StartRun(ZHANG, run.run_id, ("m1",), 1)


def test_a_refused_run_settles_what_the_other_owner_did() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 50, 50))
    assert Settled(ZHANG, ("m0",)) in shard(RunRefused(ZHANG, run.run_id, ("m1",)))
    shard = Shard()
    run = the_run(shard.append(ZHANG, 50, 50))
    assert shard(RunRefused(ZHANG, run.run_id, ())) == [Settled(ZHANG, ("m0", "m1"))]
    assert shard.machine.next_wake() is None


def test_what_a_run_leaves_unsettled_runs_again_under_another_id() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 50, 50))
    again = the_run(shard(RunDone(ZHANG, run.run_id, ("m0",))))
    assert again.ids == ("m1",)
    assert again.run_id != run.run_id


def test_a_run_that_settles_nothing_has_failed() -> None:
    shard = Shard(attempts=1)
    run = the_run(shard.append(ZHANG, 100))
    (parked,) = shard(RunDone(ZHANG, run.run_id, ()))
    assert isinstance(parked, ParkRun)


# forgetting


def test_forgetting_a_message_abandons_its_run_and_the_rest_starts_over() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 50, 50))
    abandoned, again = shard(Forgotten(ZHANG, ("m0",)))
    assert abandoned == AbandonRun(ZHANG, run.run_id)
    assert isinstance(again, StartRun)
    assert again.ids == ("m1",)
    assert shard(RunDone(ZHANG, run.run_id, ("m0", "m1"))) == []
    assert shard(RunDone(ZHANG, again.run_id, ("m1",))) == [Settled(ZHANG, ("m1",))]


def test_forgetting_a_message_that_waits_disturbs_no_run() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, 1, prefix="n")
    assert shard(Forgotten(ZHANG, ("n0",))) == []
    assert shard(RunDone(ZHANG, run.run_id, run.ids)) == [Settled(ZHANG, run.ids)]
    assert shard.machine.status(ZHANG).ids == ("n1",)


def test_an_erased_subject_has_nothing_left_and_can_begin_anew() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100, 100))
    assert shard(Forgotten(ZHANG)) == [AbandonRun(ZHANG, run.run_id)]
    assert shard.machine.pending_total == 0
    assert started(shard.append(ZHANG, 100, prefix="new")) == [("new0",)]


def test_a_read_from_before_does_not_bring_back_what_is_settled_or_forgotten() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard(RunDone(ZHANG, run.run_id, run.ids))
    shard(Forgotten(LI, ("gone",)))
    shard.append(ZHANG, 100)
    shard(Loaded(ZHANG, items(100)))
    shard(Loaded(LI, (Item("gone", 1),)))
    assert shard.machine.pending_total == 0


# loading


def test_activation_resumes_what_is_pending() -> None:
    shard = Shard()
    assert started(shard(Loaded(ZHANG, items(60, 60)))) == [("m0", "m1")]


def test_activation_keeps_to_the_policy_of_the_subject() -> None:
    shard = Shard()
    assert started(shard(Loaded(ZHANG, items(60, 60), Policy(False, False)))) == []
    assert shard.machine.next_wake() is None


def test_a_load_settles_what_another_owner_has_done_and_leaves_the_run_alone() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, 1, prefix="n")
    loaded = (*items(100), Item("n1", 1), Item("new", 1))
    assert shard(Loaded(ZHANG, loaded)) == [Settled(ZHANG, ("n0",))]
    view = shard.machine.status(ZHANG)
    assert (view.running, view.ids) == (run.ids, ("n1", "new"))


def test_what_is_appended_during_a_load_stays() -> None:
    shard = Shard()
    position = shard.machine.position
    shard(Appended(ZHANG, (Item("a", 1), Item("b", 1))))
    assert shard(Loaded(ZHANG, (Item("old", 1),), as_of=position)) == []
    assert shard.machine.status(ZHANG).ids == ("old", "a", "b")


def test_loading_again_and_again_does_not_put_off_the_idle_trigger() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    shard(Loaded(ZHANG, items(1)), 900)
    assert started(shard(Tick(), 100)) == [("m0",)]


def test_a_flush_survives_a_load() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    shard.append(ZHANG, 1, prefix="n")
    shard(Flush(ZHANG))
    shard(Loaded(ZHANG, (*items(100), Item("n0", 1), Item("new", 1))))
    assert started(shard(RunDone(ZHANG, run.run_id, run.ids))) == [("n0",)]


def test_unloading_is_refused_while_anything_is_pending() -> None:
    shard = Shard()
    shard.append(ZHANG, 1)
    assert shard(Unloaded(ZHANG)) == [UnloadRefused(ZHANG)]
    run = the_run(shard(Flush(ZHANG)))
    assert shard(Unloaded(ZHANG)) == [UnloadRefused(ZHANG)]
    shard(RunDone(ZHANG, run.run_id, run.ids))
    assert shard.machine.pending_count(ZHANG) == 0
    assert shard(Unloaded(ZHANG)) == []
    assert shard.machine.next_wake() is None


# the shard


def test_runs_in_flight_are_bounded_over_the_shard() -> None:
    shard = Shard(max_in_flight=2)
    subjects = [Subject("t", "user", str(number)) for number in range(5)]
    runs = [run for key in subjects for run in shard.append(key, 100) if isinstance(run, StartRun)]
    assert [run.key for run in runs] == subjects[:2]
    (_, following) = shard(RunDone(runs[0].key, runs[0].run_id, runs[0].ids))
    assert isinstance(following, StartRun)
    assert following.key == subjects[2]


def test_a_hot_subject_takes_turns_with_the_others() -> None:
    shard = Shard(max_in_flight=1)
    hot, others = ZHANG, [Subject("t", "user", str(number)) for number in range(3)]
    run = the_run(shard.append(hot, *[100] * 50, prefix="hot"))
    for key in others:
        shard.append(key, *[100] * 2)
    order: list[Subject] = []
    for _ in range(8):
        run = the_run(shard(RunDone(run.key, run.run_id, run.ids)))
        order.append(run.key)
    assert order == [*others, hot, *others, hot]


def test_a_drain_finishes_what_is_in_flight_and_starts_nothing() -> None:
    shard = Shard()
    run = the_run(shard.append(ZHANG, 100))
    assert shard(Drained()) == []
    assert shard.append(LI, 500) == []
    assert shard(Flush(LI)) == []
    assert shard(RunDone(ZHANG, run.run_id, run.ids)) == [Settled(ZHANG, run.ids), DrainComplete()]
    assert shard(Tick(), 100_000) == []


def test_a_drain_of_an_idle_shard_is_complete_at_once() -> None:
    assert Shard()(Drained()) == [DrainComplete()]


def test_a_drain_retries_nothing_but_parks_what_has_failed_for_good() -> None:
    shard = Shard(attempts=2)
    first, second = the_run(shard.append(ZHANG, 100)), the_run(shard.append(LI, 100))
    shard(Drained())
    assert shard(RunFailed(ZHANG, first.run_id, "429")) == []
    (parking,) = shard(RunFailed(LI, second.run_id, "bad key", retryable=False))
    assert isinstance(parking, ParkRun)
    assert shard(RunParked(LI, second.run_id)) == [Settled(LI, second.ids), DrainComplete()]


def test_run_ids_are_uuid7_of_the_time() -> None:
    run = the_run(Shard().append(ZHANG, 100))
    parsed = UUID(run.run_id)
    assert parsed.version == 7
    assert parsed.int >> 80 == NOW


# log and cost


def test_the_log_replays_and_is_bounded() -> None:
    shard = Shard()
    answers = [shard.append(ZHANG, 60, prefix=str(number)) for number in range(10)]
    _, replayed = replay(shard.machine.transcript())
    assert replayed == answers
    for _ in range(LOG_SIZE):
        shard(Tick())
    transcript = shard.machine.transcript()
    assert len(transcript.stimuli) == LOG_SIZE
    assert transcript.dropped == 10


@pytest.mark.timeout(120)
def test_a_hundred_thousand_subjects_with_idle_timers() -> None:
    """An event takes as many steps with 100,000 subjects as with 1,000: lines are counted, not seconds."""

    def steps(subjects: int) -> int:
        limits = BufferLimits(
            full_tokens=8192,
            run_tokens=16384,
            idle_ms=60_000,
            max_in_flight=4,
            attempts=5,
            backoff_ms=1_000,
            max_backoff_ms=60_000,
        )
        machine: ShardBuffers[Subject] = ShardBuffers(limits, random.Random(1))
        keys = [Subject("t", "user", str(number)) for number in range(subjects)]
        for number, key in enumerate(keys):
            machine.handle(Loaded(key, (Item("a", 10),)), number)

        def work() -> None:
            for number in range(1_000):
                machine.handle(Appended(keys[number], (Item(f"b{number}", 1),)), subjects)
                machine.next_wake()

        return lines_run(work)

    assert steps(100_000) < 1.5 * steps(1_000)
