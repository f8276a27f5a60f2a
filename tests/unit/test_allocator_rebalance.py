"""How much moves when a call would fail: what ends the shortage, and a batch of what is ready."""

import pytest

from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.policy import Shortage


def shortage(missing: int, *, sparable: int, ready: int) -> Shortage:
    return Shortage(
        recipient=0,
        missing_units=missing,
        sparable_units=sparable,
        ready=lambda most: min(most, ready),
        recipient_units=5,
        total_units=25,
        operation=0,
    )


@pytest.mark.parametrize(
    ("missing", "sparable", "ready", "units"),
    [
        (1, 5, 5, 1),
        (4, 5, 5, 4),
        (5, 5, 5, 5),
        (6, 5, 5, 0),  # part of it would not save the call
        (1, 0, 0, 0),
        (3, 5, 0, 3),  # need may cost copies
        (5, 5, 1, 5),
        (6, 5, 0, 0),
    ],
)
def test_the_least_move_ends_the_shortage(
    missing: int, sparable: int, ready: int, units: int
) -> None:
    short = shortage(missing, sparable=sparable, ready=ready)
    assert short.move() == units
    assert OnFailure(batch_units=1).on_shortage(short) == units


@pytest.mark.parametrize(("batch", "units"), [(1, 2), (2, 2), (3, 3), (7, 7), (8, 8), (1000, 8)])
def test_a_batch_moves_as_far_as_the_donor_has_it_ready(batch: int, units: int) -> None:
    assert OnFailure(batch).on_shortage(shortage(2, sparable=11, ready=8)) == units


@pytest.mark.parametrize(("ready", "units"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 4), (5, 4)])
def test_a_batch_copies_nothing_ahead_of_need(ready: int, units: int) -> None:
    assert OnFailure(4).on_shortage(shortage(2, sparable=11, ready=ready)) == units


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_batch_is_no_reason_to_move_what_does_not_help(batch: int) -> None:
    assert OnFailure(batch).on_shortage(shortage(12, sparable=11, ready=8)) == 0
