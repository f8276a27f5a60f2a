"""`MacroStepEngine` writes the log of `Engine`, byte for byte, whatever is drawn to break it."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
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
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.macro_steps import MacroStepEngine
from sim.scheduler import Scheduler, known_schedulers
from sim.schedulers.fair import FairOptions, FairScheduler, Sharing
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import Policy, Switch, VllmSchedulerOptions
from sim.step import StepExecutor, StepPlan
from sim.tenant import Tenant
from traces.record import Trace

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


class Counted:
    """Counts the plans that an executor is shown."""

    def __init__(self, inner: ConstantExecutor | RooflineExecutor) -> None:
        self._inner = inner
        self.num_plans = 0

    def execute(self, plan: StepPlan) -> int:
        self.num_plans += 1
        return self._inner.execute(plan)

    def price_repeats(self, plan: StepPlan, repeats: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        return self._inner.price_repeats(plan, repeats)


@dataclass(frozen=True)
class Case:
    """Everything of a run but the engine; wired anew for each."""

    new_manager: Callable[[], CacheManager]
    new_scheduler: Callable[[], Scheduler]
    executor: StepExecutor
    trace: Trace
    num_samples: int
    new_control: Callable[[], AdmissionControl] = AdmissionChain
    tenants: tuple[Tenant, ...] = ()

    def run(self, engine: type[Engine]) -> EventLog:
        manager, scheduler, control = self.new_manager(), self.new_scheduler(), self.new_control()
        wiring = Wiring(
            manager,
            scheduler,
            self.executor,
            self.num_samples,
            control,
            tenants=self.tenants,
        )
        log = engine(self.trace, wiring).run()
        manager.check_integrity()
        return log


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
def controls(draw: st.DrawFn) -> Callable[[], AdmissionControl]:
    """New chains of some controls."""
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
    return lambda: AdmissionChain([make() for make in chosen])


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    new_manager, new_scheduler = draw(managers(name)), draw(schedulers())
    assume(not new_scheduler().objection(new_manager()))
    executor: StepExecutor = RooflineExecutor(MODEL, DEVICE)
    if draw(st.booleans()):
        executor = ConstantExecutor(draw(st.sampled_from([STEP_NS, 333_333, 4 * STEP_NS])))
    num_samples = draw(st.sampled_from([3, 100, 10**6]))
    return Case(
        new_manager,
        new_scheduler,
        executor,
        draw(traces()),
        num_samples,
        draw(controls()),
        draw(tenants()),
    )


@pytest.mark.parametrize("name", known_managers())
@given(data=st.data())
def test_both_engines_write_the_same_bytes(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    exact, fast = case.run(Engine), case.run(MacroStepEngine)
    assert exact.table().tolist() == fast.table().tolist()
    assert exact.to_bytes() == fast.to_bytes()


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


@pytest.mark.parametrize("name", known_managers())
def test_quiet_steps_are_taken_together(name: str) -> None:
    counted = [Counted(RooflineExecutor(MODEL, DEVICE)) for _ in range(2)]
    exact = plain_case(name, counted[0]).run(Engine)
    fast = plain_case(name, counted[1]).run(MacroStepEngine)
    assert exact.to_bytes() == fast.to_bytes()
    assert len(fast.of(EventKind.COMPLETION)) > 0
    assert counted[1].num_plans * 3 < counted[0].num_plans


class Measured:
    """An executor that runs steps: it cannot say beforehand how long they take."""

    def __init__(self) -> None:
        self.num_tokens = 0

    def execute(self, plan: StepPlan) -> int:
        self.num_tokens += len(plan.decodes) + sum(chunk.tokens for chunk in plan.chunks)
        return STEP_NS + self.num_tokens % 17


def test_an_executor_that_runs_steps_is_shown_every_one() -> None:
    executors = [Measured(), Measured()]
    engines = (Engine, MacroStepEngine)
    logs = [
        plain_case("avmp", executor).run(engine)
        for executor, engine in zip(executors, engines, strict=True)
    ]
    assert logs[0].to_bytes() == logs[1].to_bytes()
    assert executors[0].num_tokens == executors[1].num_tokens


@st.composite
def crowds(draw: st.DrawFn) -> Trace:
    """Three tenants who queue for few seats, and arrive in the middle of long quiet turns."""
    rows = st.tuples(
        st.integers(1, 9), st.integers(2, 60), st.integers(0, 40_000), st.sampled_from("abc")
    )
    drawn = draw(st.lists(rows, min_size=12, max_size=40))
    prompts, outputs, gap_ns, names = zip(*drawn, strict=True)
    arrival_ns = np.cumsum(np.array(gap_ns, dtype=np.int64))
    return Trace("crowd", np.array(prompts), np.array(outputs), arrival_ns, tenants=names)


@given(
    trace=crowds(),
    seats=st.integers(1, 3),
    policy=st.sampled_from(Sharing),
    share=st.sampled_from([1.0, 0.3, 0.15]),
    granules=st.sampled_from([40, 400]),
)
def test_turns_of_tenants_do_not_depend_on_how_steps_are_taken(
    trace: Trace, seats: int, policy: Sharing, share: float, granules: int
) -> None:
    """What tenants were served is then known in full only when a plan is made."""
    kind = known_managers()["shared-bytes"]
    spec = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 2, 16),), page_tokens=4)
    case = Case(
        lambda: kind(spec, HostBacking(granules * GRANULE_BYTES, GRANULE_BYTES), kind.Options()),
        lambda: FairScheduler(FairOptions(seats, seats + 9, policy=policy, quantum=30)),
        ConstantExecutor(1000),
        trace,
        3,
        tenants=(Tenant("a", 2.0, memory_share=share), Tenant("b", 0.7)),
    )
    assert case.run(Engine).to_bytes() == case.run(MacroStepEngine).to_bytes()
