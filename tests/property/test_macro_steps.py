"""`MacroStepEngine` writes the log of `Engine`, byte for byte, whatever is drawn to break it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.registry import known_managers
from sim.costs.constant import ConstantExecutor
from sim.costs.roofline import RooflineExecutor
from sim.engine import Engine
from sim.event_log import EventKind
from sim.macro_steps import MacroStepEngine
from sim.step import StepPlan
from tests.property.engine_cases import DEVICE, MODEL, STEP_NS, cases, plain_case


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
