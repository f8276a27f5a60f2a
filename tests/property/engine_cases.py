"""Runs that are drawn to set engines against each other: parts, traces, replicas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import CacheManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.admission import AdmissionChain, AdmissionControl
from sim.admissions.headroom import Headroom, HeadroomOptions
from sim.admissions.queue_limit import QueueLimit, QueueLimitOptions
from sim.admissions.token_bucket import BucketUnit, Overflow, TokenBucket, TokenBucketOptions
from sim.costs.constant import ConstantExecutor
from sim.costs.roofline import DeviceCosts, ModelCosts, RemapCosts, RooflineExecutor
from sim.engine import Engine, Fleet, Wiring
from sim.event_log import EventLog
from sim.router import ReplicaView, Router
from sim.scheduler import Scheduler, known_schedulers
from sim.schedulers.fair import FairOptions, Sharing
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import Policy, Switch, VllmSchedulerOptions
from sim.step import StepExecutor
from sim.tenant import Tenant
from traces.record import Request, Trace

GRANULE_BYTES = 256
STEP_NS = 250_000
"""A quarter of the shortest interval of samples, so that steps end at samples and arrivals."""

MODEL = ModelCosts(
    dense_bytes=1e6,
    dense_flops_per_token=1e6,
    expert_bytes=3e6,
    expert_flops_per_token=1e5,
    num_experts=8,
    experts_per_token=2,
    attention_flops_per_pair=4096.0,
    kv_bytes_per_token=640_001.0,
    state_bytes=60_000.0,
    state_flops_per_token=2400.0,
)
DEVICE = DeviceCosts(
    bytes_per_s=3e12,
    flops_per_s=7e12,
    step_overhead_ns=20_000.3,
    remap=RemapCosts(batch_ns=30_000.0, unmap_ns=22_000.0, map_ns=38_000.0),
    remap_beside=RemapCosts(batch_ns=88_000.0, unmap_ns=24_000.0, map_ns=39_000.0),
    copy_ns=5_000.0,
)


@dataclass(frozen=True)
class Case:
    """Everything of a run but the engine; wired anew for each."""

    new_manager: Callable[[], CacheManager]
    new_scheduler: Callable[[], Scheduler]
    executor: StepExecutor
    trace: Trace
    num_samples: int
    new_control: Callable[[], AdmissionControl | None] = lambda: None
    tenants: tuple[Tenant, ...] = ()
    num_replicas: int = 1

    def wire(self) -> Wiring:
        parts = self.new_manager(), self.new_scheduler(), self.executor
        return Wiring(*parts, self.num_samples, self.new_control(), tenants=self.tenants)

    def run(self, engine: type[Engine]) -> EventLog:
        wirings = tuple(self.wire() for _ in range(self.num_replicas))
        parts = wirings[0] if self.num_replicas == 1 else Fleet(wirings, Curious())
        log = engine(self.trace, parts).run()
        for wiring in wirings:
            wiring.manager.check_integrity()
        return log


class Curious(Router):
    """Looks at all that a router can see, so that whatever differs changes where requests go."""

    name = "curious"

    def __init__(self) -> None:
        self._num_routed = 0

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        self._num_routed += 1
        looks = [
            (r.num_running + r.num_waiting, r.num_waiting, r.num_tokens, r.granted_bytes)
            for r in replicas
        ]
        if request.prompt_tokens % 2:  # somebody gets requests while others are in mid-turn
            return min(range(len(replicas)), key=looks.__getitem__)
        return (self._num_routed + sum(map(sum, looks))) % len(replicas)


@st.composite
def specs(draw: st.DrawFn) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, draw(st.integers(1, 2)), 16)
    local = CacheGroup("local", CacheKind.ATTENTION, 3, 8)
    ssm = CacheGroup("ssm", CacheKind.STATE, draw(st.integers(1, 3)), draw(st.integers(1, 30)) * 16)
    groups = draw(st.sampled_from([(kv, ssm), (kv,), (ssm,), (kv, local, ssm), (ssm, kv, local)]))
    return CacheSpec(groups, page_tokens=draw(st.sampled_from([1, 4, 16])))


@st.composite
def options_of(draw: st.DrawFn, name: str) -> Any:  # noqa: ANN401 - the Options of any design
    """Any choice of every option that is one of a few words, and small amounts."""
    options = known_managers()[name].Options()
    chosen: dict[str, Any] = {}
    for field in fields(options):
        default = getattr(options, field.name)
        if isinstance(default, Enum):
            chosen[field.name] = draw(st.sampled_from(list(type(default))))
        elif type(default) is int and field.name != "max_tokens":
            chosen[field.name] = draw(st.sampled_from([default, 1, 2]))
    try:
        return replace(options, **chosen)
    except ValueError:
        return options


@st.composite
def managers(draw: st.DrawFn, name: str) -> Callable[[], CacheManager]:
    spec, options, kind = draw(specs()), draw(options_of(name)), known_managers()[name]
    budget = draw(st.integers(8, 90)) * GRANULE_BYTES
    return lambda: kind.build(spec, HostBacking(budget, GRANULE_BYTES), options)


@st.composite
def schedulers(draw: st.DrawFn) -> Callable[[], Scheduler]:
    """New schedulers of one kind and choice; some have a memory of their own."""
    seqs = draw(st.sampled_from([1, 3, 8]))
    tokens = seqs + draw(st.sampled_from([0, 5, 64]))
    name = draw(st.sampled_from(["fcfs", "vllm", *known_schedulers()]))
    kind = known_schedulers()[name]
    options = kind.Options()
    if isinstance(options, FcfsOptions):
        options = replace(options, max_seqs=seqs, max_batched_tokens=tokens)
    if isinstance(options, FairOptions):
        options = replace(options, policy=draw(st.sampled_from(Sharing)), quantum=40)
    if isinstance(options, VllmSchedulerOptions):
        options = VllmSchedulerOptions(
            max_num_seqs=seqs,
            max_num_batched_tokens=tokens,
            long_prefill_token_threshold=draw(st.sampled_from([0, 9])),
            watermark=draw(st.sampled_from([0.0, 0.1])),
            policy=draw(st.sampled_from(Policy)),
            reserve_full_prompt=draw(st.sampled_from(Switch)),
            max_model_len=draw(st.sampled_from([0, 50])),
        )
    return lambda: kind(options)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Rare arrivals, arrivals at the end of a step and at a sample, bursts, or clients."""
    gaps = st.one_of(
        st.integers(0, 40).map(lambda steps: steps * STEP_NS), st.integers(0, 10_000_000)
    )
    rows = st.tuples(st.integers(1, 60), st.integers(1, 90), gaps)
    prompts, outputs, gap_ns = zip(*draw(st.lists(rows, min_size=1, max_size=14)), strict=True)
    columns = np.array(prompts), np.array(outputs)
    count = len(prompts)
    ranks = tuple(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    names = st.sampled_from("abc"[: draw(st.integers(1, 3))])
    tenants = tuple(draw(st.lists(names, min_size=count, max_size=count)))
    clients = draw(st.integers(0, 4))
    if clients:
        return Trace(
            "closed", *columns, tenants=tenants, priorities=ranks, closed_loop_clients=clients
        )
    arrival_ns = np.cumsum(np.array(gap_ns, dtype=np.int64))
    blocks = st.lists(st.integers(0, 3), max_size=6).map(tuple)
    prefixes = tuple(draw(st.lists(blocks, min_size=count, max_size=count)))
    return Trace(
        "open",
        *columns,
        arrival_ns,
        tenants=tenants,
        priorities=ranks,
        prefixes=prefixes,
        prefix_block_tokens=8,
    )


@st.composite
def tenants(draw: st.DrawFn) -> tuple[Tenant, ...]:
    """Settings of some tenants, and perhaps of all others."""
    settings = st.builds(
        Tenant,
        name=st.sampled_from(["a", "b", "*"]),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        max_seqs=st.sampled_from([0, 1, 2]),
        memory_share=st.sampled_from([1.0, 0.9, 0.5]),
        rate=st.sampled_from([0.0, 700.0, 20_000.0]),
        max_waiting=st.sampled_from([0, 2]),
    )
    drawn = draw(st.lists(settings, max_size=3, unique_by=lambda tenant: tenant.name))
    return tuple(drawn)


@st.composite
def controls(draw: st.DrawFn) -> Callable[[], AdmissionControl | None]:
    """New chains of some controls, or none."""
    bucket = TokenBucketOptions(
        unit=draw(st.sampled_from(BucketUnit)),
        rate=draw(st.sampled_from([0.0, 300.0, 9000.0])),
        burst=draw(st.sampled_from([0.0, 50.0])),
        overflow=draw(st.sampled_from(Overflow)),
    )
    limit = QueueLimitOptions(draw(st.sampled_from([0, 3])), draw(st.sampled_from([0, 2])))
    makers: list[Callable[[], AdmissionControl]] = [
        lambda: Headroom(HeadroomOptions()),
        lambda: TokenBucket(bucket),
        lambda: QueueLimit(limit),
    ]
    chosen = draw(st.lists(st.sampled_from(makers), max_size=3, unique=True))
    return lambda: AdmissionChain([make() for make in chosen]) if chosen else None


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    new_manager, new_scheduler = draw(managers(name)), draw(schedulers())
    assume(not new_scheduler().objection(new_manager()))
    executor: StepExecutor = RooflineExecutor(MODEL, DEVICE)
    if draw(st.booleans()):
        executor = ConstantExecutor(draw(st.sampled_from([STEP_NS, 333_333, 4 * STEP_NS])))
    num_samples = draw(st.sampled_from([3, 100, 10**6]))
    parts = new_manager, new_scheduler, executor, draw(traces()), num_samples
    if draw(st.booleans()):  # the only replica, to which nobody but the trace sends requests
        return Case(*parts, tenants=draw(tenants()))
    return Case(*parts, draw(controls()), draw(tenants()), draw(st.integers(1, 4)))


def plain_case(name: str, executor: StepExecutor) -> Case:
    """A dozen outputs in memory that holds some of them."""
    kv, ssm = (
        CacheGroup("kv", CacheKind.ATTENTION, 2, 16),
        CacheGroup("ssm", CacheKind.STATE, 2, 96),
    )
    kind, spec = known_managers()[name], CacheSpec((kv, ssm), page_tokens=4)
    arrival_ns = np.arange(12, dtype=np.int64) * 7_000_000
    trace = Trace("plain", np.full(12, 20), np.full(12, 150), arrival_ns)
    return Case(
        lambda: kind(spec, HostBacking(200 * GRANULE_BYTES, GRANULE_BYTES), kind.Options()),
        lambda: FcfsScheduler(FcfsOptions(max_seqs=16, max_batched_tokens=64)),
        executor,
        trace,
        3,
    )
