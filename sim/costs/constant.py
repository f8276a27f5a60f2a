"""A step that always takes the same time: for queueing checks against closed formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.step import StepPlan


@dataclass(frozen=True, slots=True)
class ConstantExecutor:
    """Every step takes `step_ns`, whatever it computes."""

    step_ns: int

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds of a step; see `sim.step.StepExecutor`."""
        del plan
        return self.step_ns

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """Nanoseconds of the steps that follow; see `sim.step.StepPricer`."""
        del plan
        return [self.step_ns] * repeats
