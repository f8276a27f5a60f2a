"""`MacroStepEngine` writes the log of `Engine`, byte for byte, whatever is drawn to break it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.costs.roofline import RooflineExecutor
from sim.engine import Engine
from sim.event_log import EventKind
from sim.macro_steps import MacroStepEngine
from sim.schedulers.fair import FairOptions, FairScheduler, Sharing
from sim.step import StepPlan
from sim.tenant import Tenant
from tests.property.engine_cases import (
    DEVICE,
    GRANULE_BYTES,
    MODEL,
    STEP_NS,
    Case,
    cases,
    plain_case,
)
from traces.record import Trace


class Counted:
    """Counts the plans that an executor is shown."""

    def __init__(self, inner: ConstantExecutor | RooflineExecutor) -> None:
        self._inner = inner
        self.num_plans = 0

    def execute(self, plan: StepPlan) -> int:
        self.num_plans += 1
        return self._inner.execute(plan)

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        return self._inner.price_repeats(plan, repeats)


@pytest.mark.parametrize("name", known_managers())
@given(data=st.data())
def test_both_engines_write_the_same_bytes(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    exact, fast = case.run(Engine), case.run(MacroStepEngine)
    assert exact.table().tolist() == fast.table().tolist()
    assert exact.to_bytes() == fast.to_bytes()


@pytest.mark.parametrize("name", known_managers())
def test_quiet_steps_are_taken_together(name: str) -> None:
    counted = [Counted(RooflineExecutor(MODEL, DEVICE)) for _ in range(2)]
    exact = plain_case(name, counted[0]).run(Engine)
    fast = plain_case(name, counted[1]).run(MacroStepEngine)
    assert exact.to_bytes() == fast.to_bytes()
    assert len(fast.of(EventKind.COMPLETION)) > 0
    assert counted[1].num_plans * 3 < counted[0].num_plans


@pytest.mark.parametrize("replicas", [1, 3])
def test_samples_that_fall_on_ends_of_steps_see_the_next_step(replicas: int) -> None:
    case = plain_case("avmp", ConstantExecutor(STEP_NS))
    case = replace(case, num_samples=10**6, num_replicas=replicas)
    exact, fast = case.run(Engine), case.run(MacroStepEngine)
    assert exact.table().tolist() == fast.table().tolist()


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
