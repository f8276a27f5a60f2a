"""What a step computes and pays for."""

from allocator.backing import BackingCounters
from sim.request import Sequence
from sim.step import Chunk, StepPlan
from traces.record import Request


def test_a_plan_without_work_is_no_step() -> None:
    sequence = Sequence(Request(0, 0, prompt_tokens=10, output_tokens=1))
    assert not StepPlan(maps=1, copies=1)
    assert StepPlan([sequence])
    assert StepPlan(chunks=[Chunk(sequence, 4, 0)])


def test_a_step_pays_for_what_was_asked_since_the_last_one_and_beside_it() -> None:
    """Granules do not matter, and no copy is made beside a step."""
    before = BackingCounters(10, 5, 100, 50, 3, 3000)
    after = BackingCounters(14, 7, 140, 70, 4, 3500)
    beside = BackingCounters(15, 10, 150, 95, 4, 3500)
    plan = StepPlan()
    plan.charge(before, after, beside)
    assert (plan.maps, plan.unmaps) == (4, 2)
    assert (plan.maps_beside, plan.unmaps_beside) == (1, 3)
    assert (plan.copies, plan.copied_bytes) == (1, 500)


def test_a_step_for_which_nothing_was_asked_pays_nothing() -> None:
    now = BackingCounters(14, 7, 140, 70, 4, 3500)
    plan = StepPlan()
    plan.charge(now, now, now)
    assert plan == StepPlan()
