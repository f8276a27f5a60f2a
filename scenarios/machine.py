"""A model on a device becomes what the lower layers take: a cache spec, a budget, step costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.spec import CacheGroup, CacheKind, CacheSpec
from scenarios.errors import UserError
from scenarios.model import AUTO, DTYPE_BYTES
from sim.costs.host_link import HostLink, HostMemory
from sim.costs.profile import ProfileExecutor
from sim.costs.roofline import DeviceCosts, ModelCosts, RemapCosts, RooflineExecutor

if TYPE_CHECKING:
    from scenarios.device import Device, MappingCalls
    from scenarios.model import Model
    from scenarios.profile import Profile
    from sim.costs.profile import CostTable

GIB = 1 << 30
FLOPS_PER_PARAMETER = 2
"""A multiplication and an addition."""

UPLOADS_PER_STEP = 3
"""Small uploads that no kernel hides: token ids, positions, block table."""


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """How a model lies on devices.

    Attributes:
        tp: Devices that share the model.
        kv_dtype: Element type of the KV cache, `auto` for the model's.
        state_dtype: Element type of the recurrent state, `auto` for the model's.
        memory_gib: The cache budget of one device itself; None derives it from the device.
    """

    tp: int = 1
    kv_dtype: str = AUTO
    state_dtype: str = AUTO
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        if self.tp < 1:
            raise UserError(f"--tp must be at least 1, not {self.tp}")
        if self.memory_gib is not None and not 0 < self.memory_gib < float("inf"):
            raise UserError(f"--memory-gib must be above 0, not {self.memory_gib:g}")


@dataclass(frozen=True, slots=True)
class Machine:
    """All that a run needs to know of model and device, per device.

    Attributes:
        spec: Cache groups with their bytes.
        budget_bytes: Memory for caches.
        granule_bytes: The unit in which the device maps memory.
        model_costs: Bytes and FLOPs of a step.
        device_costs: Rates and overheads.
        host: The memory beside the device, and the way there.
        cost_table: What steps cost, where it has been measured; None prices them from the rates.
    """

    spec: CacheSpec
    budget_bytes: int
    granule_bytes: int
    model_costs: ModelCosts
    device_costs: DeviceCosts
    host: HostMemory
    cost_table: CostTable | None = None

    def executor(self) -> ProfileExecutor | RooflineExecutor:
        """What prices the steps of this machine."""
        if self.cost_table is not None:
            return ProfileExecutor(self.cost_table)
        return RooflineExecutor(self.model_costs, self.device_costs)


def machine_of(
    model: Model, device: Device, options: MachineOptions, profile: Profile | None = None
) -> Machine:
    """Compose model and device, with measured costs if there is a profile of them.

    Raises:
        UserError: If the model does not fit, cannot be shared or stored as asked, or the profile
            is of another model or device.
    """
    if profile is not None:
        profile.check_fits(model.name, device.name, options.tp)
    granule_bytes = device.virtual_memory.granule_bytes
    return Machine(
        spec=cache_spec_of(model, options),
        budget_bytes=_budget_bytes(model, device, options),
        granule_bytes=granule_bytes,
        model_costs=_model_costs(model, options),
        device_costs=_device_costs(device),
        host=_host_memory(device),
        cost_table=None if profile is None else profile.table,
    )


def cache_spec_of(model: Model, options: MachineOptions) -> CacheSpec:
    """One cache group a kind of layer; bytes are those of one device.

    Allocators keep every token of a layer with a window, as engines do without a pool for it.
    """
    groups = [
        CacheGroup(kind.name, CacheKind.ATTENTION, kind.layers, layer_bytes)
        for kind, layer_bytes in zip(
            model.attention, model.kv_layer_bytes(options.kv_dtype, options.tp), strict=True
        )
    ]
    if model.state_layers:
        layer_bytes = model.state_bytes_per_layer(options.state_dtype, options.tp)
        groups.append(CacheGroup("state", CacheKind.STATE, model.state_layers, layer_bytes))
    return CacheSpec(tuple(groups))


def _budget_bytes(model: Model, device: Device, options: MachineOptions) -> int:
    if options.memory_gib is None:
        return device.cache_budget_bytes(model, options.tp)
    budget_bytes = int(options.memory_gib * GIB)
    if not device.virtual_memory.granule_bytes <= budget_bytes <= device.memory.size_bytes:
        raise UserError(
            f"--memory-gib {options.memory_gib:g} must lie between one"
            f" {device.virtual_memory.granule_bytes >> 20} MiB granule and the"
            f" {device.memory.size_bytes / GIB:.1f} GiB of {device.name}"
        )
    return budget_bytes


def _model_costs(model: Model, options: MachineOptions) -> ModelCosts:
    """Weights and FLOPs are shared evenly by the devices; caches as the model shares them."""
    tp = options.tp
    weight_bytes = DTYPE_BYTES[model.dtypes.weights]
    used = model.experts_per_token / model.num_experts if model.num_experts else 0.0
    return ModelCosts(
        dense_bytes=model.dense_parameters * weight_bytes / tp,
        dense_flops_per_token=model.dense_parameters * FLOPS_PER_PARAMETER / tp,
        expert_bytes=model.expert_parameters * weight_bytes / tp,
        expert_flops_per_token=model.expert_parameters * used * FLOPS_PER_PARAMETER / tp,
        num_experts=model.num_experts,
        experts_per_token=model.experts_per_token,
        attention_flops_per_pair=model.attention_flops_per_token_pair / tp,
        kv_bytes_per_token=model.kv_bytes_per_token(options.kv_dtype, tp),
        state_bytes=model.state_bytes_per_sequence(options.state_dtype, tp),
        state_flops_per_token=model.state_flops_per_token / tp,
    )


def _device_costs(device: Device) -> DeviceCosts:
    host = device.host
    return DeviceCosts(
        bytes_per_s=device.bandwidth_bytes_per_s,
        flops_per_s=device.flops_per_s,
        step_overhead_ns=host.graph_replay_ns + UPLOADS_PER_STEP * host.async_upload_ns,
        remap=_remap_costs(device.remap),
        remap_beside=_remap_costs(device.remap_beside),
        copy_ns=host.kernel_launch_ns,
    )


def _host_memory(device: Device) -> HostMemory:
    link = HostLink(device.pcie.bytes_per_s, device.pcie.start_ns)
    return HostMemory(link, device.host_memory.swap_bytes)


def _remap_costs(calls: MappingCalls) -> RemapCosts:
    return RemapCosts(calls.batch_ns, calls.unmap_ns, calls.map_ns)
