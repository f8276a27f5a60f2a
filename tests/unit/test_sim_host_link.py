"""Figures by hand: a link of 2 GB/s moves 2 bytes a ns; a step takes 1000 ns."""

import pytest

from sim.costs.constant import ConstantExecutor
from sim.costs.host_link import HostLink, SwappingExecutor
from sim.step import StepPlan, StepPricer

LINK = HostLink(bytes_per_s=2e9, start_ns=70.0)


def price_ns(plan: StepPlan, *, overlaps: bool) -> int:
    return SwappingExecutor(ConstantExecutor(1000), LINK, overlaps=overlaps).execute(plan)


@pytest.mark.parametrize(
    ("out", "back", "copies_ns"),
    [
        ((0, 0), (0, 0), 0),
        ((1, 600), (0, 0), 370),
        ((0, 0), (2, 600), 440),
        ((3, 6000), (1, 400), 3210),  # each direction for itself
    ],
)
def test_copies_come_before_the_step_or_beside_it(
    out: tuple[int, int], back: tuple[int, int], copies_ns: int
) -> None:
    plan = StepPlan()
    plan.swaps_out, plan.swapped_out_bytes = out
    plan.swaps_in, plan.swapped_in_bytes = back
    assert price_ns(plan, overlaps=False) == 1000 + copies_ns
    assert price_ns(plan, overlaps=True) == max(1000, copies_ns)


def test_the_steps_that_follow_swap_nothing() -> None:
    executor: StepPricer = SwappingExecutor(ConstantExecutor(1000), LINK, overlaps=False)
    plan = StepPlan(swaps_out=1, swapped_out_bytes=10**6)
    assert executor.price_repeats(plan, 3) == [1000, 1000, 1000]
