"""What a step computes and pays for."""

from dataclasses import fields

from allocator.backing import BackingCounters
from sim.request import Sequence
from sim.step import Chunk, StepPlan, StepWork
from traces.record import Request


def test_a_plan_starts_with_nothing_to_compute_and_nothing_to_pay() -> None:
    assert not any(getattr(StepPlan(), field.name) for field in fields(StepPlan))


def test_a_plan_without_work_is_no_step() -> None:
    sequence = Sequence(Request(0, 0, prompt_tokens=10, output_tokens=1))
    assert not StepPlan(maps=1, copies=1)
    assert StepPlan([sequence])
    assert StepPlan(chunks=[Chunk(sequence, 4, 0)])


def test_a_step_in_numbers_counts_every_token_that_is_computed_seen_and_read() -> None:
    """Chunks of 4 tokens after 3, and of 5 after none: pairs and reads are counted one by one."""
    sequence = Sequence(Request(0, 0, prompt_tokens=10, output_tokens=1))
    chunks = [Chunk(sequence, 4, 3), Chunk(sequence, 5, 0)]
    plan = StepPlan([sequence] * 2, decode_context_tokens=21, chunks=chunks)
    pairs = sum(3 + 1 + i for i in range(4)) + sum(1 + i for i in range(5))
    work = StepWork.of(plan)
    assert work == StepWork(2, 21, 2, 4 + 5, pairs, (3 + 4) + 5)
    assert work.tokens == 2 + 9
    assert StepWork.of(StepPlan([sequence], 7)) == StepWork(1, 7, 0, 0, 0, 0)


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
