"""Figures by hand: a device of 1 GB/s and 1 TFLOP/s moves 1 byte or makes 1000 FLOPs a ns."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.costs.constant import ConstantExecutor
from sim.costs.roofline import DeviceCosts, ModelCosts, RemapCosts, RooflineExecutor, _power
from sim.request import Sequence
from sim.step import FEW, Chunk, StepPlan
from traces.record import Request

DEVICE = DeviceCosts(
    bytes_per_s=1e9,
    flops_per_s=1e12,
    step_overhead_ns=0.0,
    remap=RemapCosts(batch_ns=700.0, unmap_ns=30.0, map_ns=50.0),
    remap_beside=RemapCosts(batch_ns=900.0, unmap_ns=40.0, map_ns=60.0),
    copy_ns=300.0,
)
NOTHING = ModelCosts(
    dense_bytes=0.0,
    dense_flops_per_token=0.0,
    expert_bytes=0.0,
    expert_flops_per_token=0.0,
    num_experts=0,
    experts_per_token=0,
    attention_flops_per_pair=0.0,
    kv_bytes_per_token=0.0,
    state_bytes=0.0,
    state_flops_per_token=0.0,
)


def sequence() -> Sequence:
    return Sequence(Request(0, 0, prompt_tokens=100, output_tokens=10))


def decode_plan(*contexts: int) -> StepPlan:
    return StepPlan([sequence() for _ in contexts], decode_context_tokens=sum(contexts))


def prefill_plan(tokens: int, context_tokens: int) -> StepPlan:
    return StepPlan(chunks=[Chunk(sequence(), tokens, context_tokens)])


def price_ns(model: ModelCosts, plan: StepPlan, device: DeviceCosts = DEVICE) -> int:
    return RooflineExecutor(model, device).execute(plan)


def test_a_step_takes_at_least_a_nanosecond() -> None:
    assert price_ns(NOTHING, decode_plan(10)) == 1


def test_weights_are_read_once_until_arithmetic_takes_longer() -> None:
    model = replace(NOTHING, dense_bytes=5000.0, dense_flops_per_token=1_000_000.0)
    assert price_ns(model, decode_plan(10)) == 5000  # 1 token: 1000 ns of arithmetic
    assert price_ns(model, decode_plan(*[10] * 4)) == 5000
    assert price_ns(model, decode_plan(*[10] * 6)) == 6000
    assert price_ns(model, prefill_plan(9, 0)) == 9000


def test_decoding_reads_the_cache_of_every_attended_token() -> None:
    model = replace(NOTHING, kv_bytes_per_token=3.0)
    assert price_ns(model, decode_plan(100, 11)) == 3 * 111


def test_a_chunk_sees_what_came_before_and_itself() -> None:
    # 4 tokens after 10: pairs 11 + 12 + 13 + 14 = 50; 14 tokens are read.
    flops = replace(NOTHING, attention_flops_per_pair=1_000_000.0)
    assert price_ns(flops, prefill_plan(4, 10)) == 50_000
    reads = replace(NOTHING, kv_bytes_per_token=200.0)
    assert price_ns(reads, prefill_plan(4, 10)) == 14 * 200


def test_attention_takes_the_longer_of_reading_and_arithmetic() -> None:
    both = replace(NOTHING, attention_flops_per_pair=1_000_000.0, kv_bytes_per_token=200.0)
    assert price_ns(both, prefill_plan(4, 10)) == max(50_000, 2_800)
    assert price_ns(both, decode_plan(7)) == max(7_000, 1_400)


def test_state_is_read_and_written_once_a_sequence() -> None:
    model = replace(NOTHING, state_bytes=600.0)
    plan = decode_plan(5, 5)
    plan.chunks = prefill_plan(8, 0).chunks
    assert price_ns(model, plan) == 2 * 3 * 600
    arithmetic = replace(model, state_flops_per_token=1_000_000.0)
    assert price_ns(arithmetic, plan) == 10_000  # 2 decoded and 8 prompt tokens


def test_parts_follow_one_another() -> None:
    model = replace(NOTHING, dense_bytes=5000.0, kv_bytes_per_token=3.0, state_bytes=600.0)
    device = replace(DEVICE, step_overhead_ns=40.0)
    assert price_ns(model, decode_plan(100), device) == 40 + 5000 + 300 + 1200


@pytest.mark.parametrize(("maps", "unmaps"), [(3, 0), (0, 2), (3, 2)])
def test_a_step_waits_for_changes_of_either_kind_and_hides_those_beside_it(
    maps: int, unmaps: int
) -> None:
    model = replace(NOTHING, dense_bytes=500.0)
    before, beside = decode_plan(10), decode_plan(10)
    before.maps, before.unmaps = maps, unmaps
    assert price_ns(model, before) == 500 + 700 + 50 * maps + 30 * unmaps
    beside.maps_beside, beside.unmaps_beside = maps, unmaps
    assert price_ns(model, beside) == 900 + 60 * maps + 40 * unmaps


@pytest.mark.parametrize(
    ("maps", "unmaps", "expected_ns"),
    [(0, 0, 0), (1, 0, 750), (0, 1, 730), (3, 2, 700 + 3 * 50 + 2 * 30)],
)
def test_changes_in_a_row_cost_once_and_each(maps: int, unmaps: int, expected_ns: int) -> None:
    assert DEVICE.remap.duration_ns(maps, unmaps) == expected_ns


def test_a_step_waits_for_the_mappings_made_for_it() -> None:
    plan = decode_plan(1)
    plan.maps, plan.unmaps = 3, 2
    model = replace(NOTHING, dense_bytes=5000.0)
    assert price_ns(NOTHING, plan) == 910
    assert price_ns(model, plan) == 910 + 5000


@pytest.mark.parametrize(
    ("dense_bytes", "expected_ns"), [(0, 1060), (1000, 1060), (1060, 1060), (5000, 5000)]
)
def test_mappings_beside_a_step_cost_only_what_outlasts_it(
    dense_bytes: int, expected_ns: int
) -> None:
    """900 for the row, 2 x 60 to map and 40 to unmap."""
    plan = decode_plan(1)
    plan.maps_beside, plan.unmaps_beside = 2, 1
    assert price_ns(replace(NOTHING, dense_bytes=float(dense_bytes)), plan) == expected_ns


def test_mappings_beside_a_step_start_when_it_does() -> None:
    """910 before; then 40 of overhead and 300 + 600 of a copy, or 1,060 beside them."""
    plan = decode_plan(1)
    plan.maps, plan.unmaps, plan.maps_beside, plan.unmaps_beside = 3, 2, 2, 1
    plan.copies, plan.copied_bytes = 1, 300
    device = replace(DEVICE, step_overhead_ns=40.0)
    assert price_ns(NOTHING, plan, device) == 910 + 1060
    plan.copied_bytes = 400
    assert price_ns(NOTHING, plan, device) == 910 + 40 + 300 + 800


def test_copies_cost_their_start_and_reading_and_writing() -> None:
    plan = decode_plan(5)
    plan.copies, plan.copied_bytes = 2, 1000
    assert price_ns(NOTHING, plan) == 2 * 300 + 2 * 1000


@pytest.mark.parametrize(("tokens", "share"), [(1, 0.25), (2, 0.4375), (3, 0.578125)])
def test_experts_are_read_as_far_as_some_token_uses_them(tokens: int, share: float) -> None:
    """2 of 8 experts a token: 1 - (3/4)^n of them are touched."""
    model = replace(NOTHING, expert_bytes=64_000.0, num_experts=8, experts_per_token=2)
    assert price_ns(model, decode_plan(*[1] * tokens)) == round(64_000 * share)


def test_experts_compute_for_every_token() -> None:
    model = replace(
        NOTHING,
        expert_bytes=100.0,
        expert_flops_per_token=2_000_000.0,
        num_experts=8,
        experts_per_token=2,
    )
    assert price_ns(model, prefill_plan(5, 0)) == 10_000


def test_a_constant_step_ignores_its_plan() -> None:
    executor = ConstantExecutor(123)
    assert executor.execute(decode_plan(1)) == executor.execute(prefill_plan(50, 2)) == 123


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 64, 1000])
def test_the_portable_power_is_a_power(exponent: int) -> None:
    assert _power(0.9375, exponent) == pytest.approx(0.9375**exponent, rel=1e-12)


@given(
    kv_bytes=st.sampled_from([0.0, 7, 65_536, 1e5 / 3]),
    flops=st.sampled_from([0.0, 7, 1e6 / 3]),
    decodes=st.integers(1, 300),
    context=st.integers(0, 10**7),
    experts=st.booleans(),
    repeats=st.sampled_from([1, FEW, FEW + 1]),
)
def test_repeats_cost_what_each_step_costs(  # noqa: PLR0913 - all that a price depends on
    *, kv_bytes: float, flops: float, decodes: int, context: int, experts: bool, repeats: int
) -> None:
    """To the nanosecond, though the one adds numbers and the other arrays."""
    model = replace(NOTHING, kv_bytes_per_token=kv_bytes, attention_flops_per_pair=flops)
    if experts:
        model = replace(model, num_experts=7, experts_per_token=2, expert_bytes=1e8)
    executor = RooflineExecutor(model, replace(DEVICE, step_overhead_ns=0.37))
    plan = StepPlan(decodes=[sequence()] * decodes, decode_context_tokens=context)
    prices = executor.price_repeats(plan, repeats)
    for price in prices:
        plan.decode_context_tokens += decodes
        assert price == executor.execute(plan)
