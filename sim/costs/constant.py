"""A step that always takes the same time: for queueing checks against closed formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.step import StepPlan


@dataclass(frozen=True, slots=True)
class ConstantExecutor:
    """Every step takes `step_ns`, whatever it computes."""

    step_ns: int

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds of a step; see `sim.step.StepExecutor`."""
        del plan
        return self.step_ns

    def price_repeats(self, plan: StepPlan, repeats: int) -> NDArray[np.int64]:
        """Nanoseconds of the steps that follow; see `sim.step.StepPricer`."""
        del plan
        return np.full(repeats, self.step_ns, dtype=np.int64)
