"""`avmp` that never moves capacity is `static`: the same log, byte for byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.managers.avmp import AvmpManager, AvmpOptions, Trigger
from allocator.managers.static import StaticManager, StaticOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity
from sim.costs.roofline import DeviceCosts, ModelCosts, RemapCosts, RooflineExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from traces.record import Trace

GRANULE_BYTES = 512
KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 32)
SSM = CacheGroup("ssm", CacheKind.STATE, 3, 200)
CONV = CacheGroup("conv", CacheKind.STATE, 3, 24)
SPECS = {
    "hybrid": CacheSpec((KV, SSM), page_tokens=4),
    "two state groups": CacheSpec((KV, SSM, CONV), page_tokens=4),
    "attention only": CacheSpec((KV,), page_tokens=4),
    "state only": CacheSpec((SSM,), page_tokens=4),
}
MODEL = ModelCosts(
    dense_bytes=1e5,
    dense_flops_per_token=1e5,
    expert_bytes=0.0,
    expert_flops_per_token=0.0,
    num_experts=0,
    experts_per_token=0,
    attention_flops_per_pair=256.0,
    kv_bytes_per_token=64.0,
    state_bytes=600.0,
    state_flops_per_token=2400.0,
)
DEVICE = DeviceCosts(
    bytes_per_s=1e10,
    flops_per_s=1e12,
    step_overhead_ns=500.0,
    remap=RemapCosts(batch_ns=30_000.0, unmap_ns=22_000.0, map_ns=38_000.0),
    remap_beside=RemapCosts(batch_ns=88_000.0, unmap_ns=24_000.0, map_ns=39_000.0),
    copy_ns=5_000.0,
)


def run(manager: AvmpManager | StaticManager, trace: Trace) -> EventLog:
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=8, max_batched_tokens=64))
    return Engine(trace, Wiring(manager, scheduler, RooflineExecutor(MODEL, DEVICE))).run()


def logs_of_both(
    spec: CacheSpec, granularity: Granularity, ratio: float, trace: Trace
) -> list[EventLog]:
    off = AvmpOptions(state_ratio=ratio, trigger=Trigger.OFF, granularity=granularity)
    static = StaticOptions(state_ratio=ratio, granularity=granularity)
    backings = [HostBacking(40 * GRANULE_BYTES, GRANULE_BYTES) for _ in range(2)]
    managers = (AvmpManager(spec, backings[0], off), StaticManager(spec, backings[1], static))
    return [run(manager, trace) for manager in managers]


def random_trace(seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    arrival_ns = np.sort(rng.integers(0, 500_000, 60))
    return Trace("random", rng.integers(1, 60, 60), rng.integers(1, 40, 60), arrival_ns)


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
@given(seed=st.integers(0, 2**32 - 1), ratio=st.sampled_from([0.1, 0.5, 0.75]))
def test_avmp_without_migration_writes_the_log_of_static(
    spec: CacheSpec, granularity: Granularity, seed: int, ratio: float
) -> None:
    avmp, static = logs_of_both(spec, granularity, ratio, random_trace(seed))
    assert avmp.header == static.header
    assert avmp.to_bytes() == static.to_bytes()


def test_the_comparison_is_under_pressure() -> None:
    log, _ = logs_of_both(SPECS["hybrid"], Granularity.GROUP, 0.5, random_trace(1))
    assert len(log.of(EventKind.PREEMPTION)) > 0
    assert len(log.of(EventKind.COMPLETION)) > 30
