"""Steps priced from a cost table: all at once as one by one, fast as exact."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.costs.profile import TERMS, CostTable, LaunchCosts, ProfileExecutor
from sim.costs.roofline import RemapCosts
from sim.request import Sequence
from sim.step import Chunk, StepPlan, StepWork
from traces.record import Request

REMAP = RemapCosts(30_000.0, 20_000.0, 30_000.0)
BESIDE = RemapCosts(90_000.0, 20_000.0, 30_000.0)


def table(**terms: float) -> CostTable:
    return CostTable(tuple(terms.items()), REMAP, BESIDE, copy_ns=7_000.0, copied_byte_ns=0.001)


def sequence(number: int) -> Sequence:
    return Sequence(Request(number, 0, 10, 10))


def plan_of(decodes: int, attended: int, *chunks: tuple[int, int]) -> StepPlan:
    """A plan; chunks as (tokens, context)."""
    parts = [Chunk(sequence(90 + i), *chunk) for i, chunk in enumerate(chunks)]
    return StepPlan([sequence(i) for i in range(decodes)], attended, chunks=parts)


def test_work_adds_up_what_a_plan_computes() -> None:
    work = StepWork.of(plan_of(3, 70, (4, 10), (1, 0)))
    # Four tokens see 10 + 1, 10 + 2, 10 + 3 and 10 + 4; the last one itself.
    assert work == StepWork(3, 70, 2, 5, 11 + 12 + 13 + 14 + 1, 14 + 1)
    assert work.tokens == 8
    assert StepWork.of(plan_of(2, 9)) == StepWork(2, 9)


@pytest.mark.parametrize(
    ("terms", "plan", "duration_ns"),
    [
        ({"steps": 1000.0}, plan_of(3, 40), 1000),
        ({"steps": 1000.0, "chunked_steps": 500.0}, plan_of(0, 0, (4, 10)), 1500),
        ({"decodes": 10.0, "attended_tokens": 2.0}, plan_of(3, 40), 110),
        ({"tokens": 3.0, "tokens_beyond_32": 5.0}, plan_of(2, 0, (38, 0)), 3 * 40 + 5 * 8),
        ({"tokens_beyond_32": 5.0}, plan_of(32, 99), 1),
        ({"chunks": 100.0, "chunk_pairs": 1.0}, plan_of(1, 5, (4, 10), (1, 0)), 200 + 51),
        ({"chunk_read_tokens": 2.0}, plan_of(0, 0, (4, 10)), 28),
        ({"mixed_steps": 7.0}, plan_of(2, 9, (4, 10)), 7),
        ({"mixed_steps": 7.0}, plan_of(0, 0, (4, 10)), 1),
        ({"first_tokens_8": 5.0, "tokens": 1.0}, plan_of(2, 9, (4, 10)), 6 * 5 + 6),
        ({"first_tokens_8": 5.0}, plan_of(20, 90), 8 * 5),
        ({"first_attended_256": 2.0}, plan_of(3, 40), 13 * 2),
        ({"first_attended_256": 2.0}, plan_of(3, 4000, (4, 10)), 256 * 2),
    ],
)
def test_a_step_costs_the_sum_of_its_terms(
    terms: dict[str, float], plan: StepPlan, duration_ns: int
) -> None:
    assert ProfileExecutor(table(**terms)).execute(plan) == duration_ns


@pytest.mark.parametrize(
    ("plan", "duration_ns"),
    [
        (plan_of(3, 40), 1000),  # captured
        (plan_of(0, 0, (4, 10)), 7000),
        (plan_of(3, 40, (4, 10)), 9000),
        (plan_of(3, 40, (90, 10)), 1000 + 100 * 100),
    ],
)
def test_parts_of_prompts_take_at_least_what_the_host_needs(
    plan: StepPlan, duration_ns: int
) -> None:
    launch = LaunchCosts(chunks_ns=7000.0, beside_decodes_ns=9000.0)
    costs = replace(table(steps=1000.0, chunk_read_tokens=100.0), launch=launch)
    assert ProfileExecutor(costs).execute(plan) == duration_ns


def test_memory_calls_come_before_the_step_or_beside_it() -> None:
    executor = ProfileExecutor(table(steps=100_000.0))
    plan = plan_of(1, 1)
    plan.maps, plan.unmaps, plan.copies, plan.copied_bytes = 2, 1, 1, 1_000_000
    before = 30_000 + 2 * 30_000 + 20_000 + 7_000 + 1_000
    assert executor.execute(plan) == before + 100_000
    plan.maps_beside = 1
    assert executor.execute(plan) == before + 90_000 + 30_000
    plan.maps_beside, plan.unmaps_beside = 0, 0
    assert executor.execute(plan) == before + 100_000


costs = st.one_of(st.just(0.0), st.floats(1e-4, 1e7))


@given(
    terms=st.fixed_dictionaries(dict.fromkeys(TERMS, costs)),
    decodes=st.integers(1, 300),
    attended=st.integers(1, 10**7),
    repeats=st.integers(1, 50),
)
def test_steps_priced_together_are_those_priced_one_by_one(
    terms: dict[str, float], decodes: int, attended: int, repeats: int
) -> None:
    executor = ProfileExecutor(table(**terms))
    together = executor.price_repeats(plan_of(decodes, attended), repeats)
    one_by_one = [
        executor.execute(plan_of(decodes, attended + decodes * growth))
        for growth in range(1, repeats + 1)
    ]
    assert together == one_by_one


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ((("steps", 1.0), ("tokns", 1.0)), "must be some of"),
        ((("steps", 1.0), ("steps", 1.0)), "each once"),
        ((("steps", -1.0),), "less than nothing"),
    ],
)
def test_an_impossible_table_is_refused(
    terms: tuple[tuple[str, float], ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        CostTable(terms, REMAP, BESIDE, 0.0, 0.0)
