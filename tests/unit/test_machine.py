from __future__ import annotations

import pytest

from allocator.spec import CacheKind
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.machine import GIB, MachineOptions, cache_spec_of, machine_of
from scenarios.model_file import load_model
from sim.costs.roofline import RemapCosts


def test_a_hybrid_model_has_one_group_a_kind() -> None:
    spec = cache_spec_of(load_model("nemotron-h-8b"), MachineOptions())
    kinds = [(group.kind, group.num_layers) for group in spec.groups]
    assert kinds == [(CacheKind.ATTENTION, 4), (CacheKind.STATE, 24)]
    assert spec.bytes_per_token() == 16_384
    assert spec.bytes_per_sequence() == 24 * (128 * 64 * 128 * 4 + 3 * (8192 + 2 * 8 * 128) * 2)


def test_an_attention_only_model_has_one_group() -> None:
    spec = cache_spec_of(load_model("llama-3.1-8b"), MachineOptions())
    assert [group.kind for group in spec.groups] == [CacheKind.ATTENTION]


def test_dtypes_and_tensor_parallelism_change_the_bytes_of_a_device() -> None:
    model = load_model("nemotron-h-8b")
    plain = cache_spec_of(model, MachineOptions())
    halved = cache_spec_of(model, MachineOptions(kv_dtype="fp8", state_dtype="bf16"))
    shared = cache_spec_of(model, MachineOptions(tp=4))
    assert halved.bytes_per_token() * 2 == plain.bytes_per_token()
    assert halved.bytes_per_sequence() < 0.52 * plain.bytes_per_sequence()
    assert shared.bytes_per_token() * 4 == plain.bytes_per_token()


def test_the_budget_is_the_devices_or_the_one_given() -> None:
    model, device = load_model("nemotron-h-8b"), load_device("h200")
    derived = machine_of(model, device, MachineOptions())
    assert derived.budget_bytes == device.cache_budget_bytes(model)
    given = machine_of(model, device, MachineOptions(memory_gib=2.5))
    assert given.budget_bytes == 2.5 * GIB


def test_step_costs_of_a_dense_model() -> None:
    model, device = load_model("llama-3.1-8b"), load_device("h200")
    machine = machine_of(model, device, MachineOptions(tp=2))
    costs = machine.model_costs
    assert costs.dense_bytes == model.dense_parameters  # two bytes, two devices
    assert costs.dense_flops_per_token == model.dense_parameters
    assert costs.expert_bytes == costs.state_bytes == 0
    assert machine.device_costs.step_overhead_ns == 2_700 + 3 * 5_000


def test_changes_of_mappings_are_priced_before_a_step_and_beside_it() -> None:
    machine = machine_of(load_model("llama-3.1-8b"), load_device("h200"), MachineOptions())
    costs = machine.device_costs
    assert costs.remap == RemapCosts(batch_ns=30_000, unmap_ns=22_000, map_ns=38_000)
    assert costs.remap_beside == RemapCosts(batch_ns=88_000, unmap_ns=24_000, map_ns=39_000)


def test_routed_experts_are_priced_apart() -> None:
    model = load_model("jamba-1.5-mini")
    machine = machine_of(model, load_device("h200"), MachineOptions(memory_gib=4))
    costs = machine.model_costs
    assert costs.expert_bytes == 2 * model.expert_parameters
    share = model.experts_per_token / model.num_experts
    assert costs.expert_flops_per_token == pytest.approx(2 * model.expert_parameters * share)


@pytest.mark.parametrize("memory_gib", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_budget_is_refused(memory_gib: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        MachineOptions(memory_gib=memory_gib)
