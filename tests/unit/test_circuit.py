"""A circuit on a clock that the test moves."""

from __future__ import annotations

from cluster.circuit import FIRST_REST, LONGEST_REST, OPENS_AFTER, Circuit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Circuit, Clock]:
    clock = Clock()
    circuit = Circuit(clock=clock)
    for _ in range(OPENS_AFTER):
        assert circuit.rest() == 0
        circuit.failed()
    return circuit, clock


def test_it_opens_after_failures_in_a_row_only() -> None:
    circuit = Circuit(clock=Clock())
    for _ in range(3):
        for _ in range(OPENS_AFTER - 1):
            circuit.failed()
        circuit.succeeded()
    assert circuit.rest() == 0
    circuit, _ = opened()
    assert circuit.rest() == FIRST_REST


def test_after_its_rest_one_attempt_decides() -> None:
    circuit, clock = opened()
    clock.now += FIRST_REST
    assert circuit.rest() == 0
    assert circuit.rest() > 0, "another waits for the first"
    circuit.failed()
    assert circuit.rest() == 2 * FIRST_REST
    clock.now += 2 * FIRST_REST
    assert circuit.rest() == 0
    circuit.succeeded()
    assert [circuit.rest() for _ in range(3)] == [0, 0, 0]


def test_an_attempt_that_was_given_up_leaves_room_for_another() -> None:
    circuit, clock = opened()
    clock.now += FIRST_REST
    assert circuit.rest() == 0
    circuit.given_up()
    assert circuit.rest() == 0


def test_rests_are_bounded() -> None:
    circuit, clock = opened()
    for _ in range(20):
        clock.now += LONGEST_REST
        assert circuit.rest() == 0
        circuit.failed()
    assert circuit.rest() == LONGEST_REST
    circuit.told_to_wait(1e9)
    assert circuit.rest() <= LONGEST_REST


def test_told_to_wait_it_waits_without_having_failed() -> None:
    clock = Clock()
    circuit = Circuit(clock=clock)
    circuit.told_to_wait(7)
    assert circuit.rest() == 7
    clock.now += 7
    assert [circuit.rest(), circuit.rest()] == [0, 0]
