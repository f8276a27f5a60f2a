"""Many steps in one turn: where nothing is decided, decoding is arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.engine import Engine
from sim.step import StepPricer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engine import Wiring
    from sim.step import StepPlan
    from traces.record import Trace

MOST_STEPS = 4096
"""Steps of one turn at most, so that the arrays of a turn stay small."""


class MacroStepEngine(Engine):
    """Takes quiet steps together; writes the log of `Engine`, byte for byte.

    After each plan in which everybody decodes it asks how long the next plans will be the same:
    until a sequence has its last token, until pages run out, or until the next event. It ends a
    turn no later than at the first end of a step at or after that event. So an arrival meets the
    next plan at the time at which it would have met it, and a sample, which comes after the plan
    of its instant, sees the pages of the step it falls into and of none that starts later. A turn
    may end earlier: the next plan then says the same again.

    Where a scheduler, a manager or an executor cannot look ahead, it goes step by step.
    """

    def __init__(
        self, trace: Trace, wiring: Wiring, on_progress: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(trace, wiring, on_progress)
        executor = wiring.executor
        self._pricer = executor if isinstance(executor, StepPricer) else None

    def _run(self, plan: StepPlan) -> tuple[int, int]:
        duration_ns, steps = super()._run(plan)
        pricer, batch = self._pricer, self._batch
        repeats = self._most_repeats(plan, duration_ns)
        if repeats and pricer is not None and self._wiring.scheduler.is_quiet(batch):
            ends_ns = duration_ns + np.cumsum(pricer.price_repeats(plan, repeats))
            wait_ns = self.env.peek() - self.env.now
            repeats = min(repeats, int(np.searchsorted(ends_ns, wait_ns)) + 1)
            cohort = batch.decoding.cohort
            repeats = cohort.sure_rounds(repeats)
            if repeats:
                cohort.extend_in_rounds(repeats)
                return int(ends_ns[repeats - 1]), steps + repeats
        return duration_ns, steps

    def _most_repeats(self, plan: StepPlan, duration_ns: int) -> int:
        """Steps that might follow and be the same, by the next event and the next completion.

        If the following steps are no shorter than this one, the next event comes within these.
        """
        if plan.chunks or not plan.together or len(plan.decodes) < len(self._batch.running):
            return 0
        left_ns = self.env.peek() - self.env.now - duration_ns
        if left_ns <= 0:
            return 0
        until_event = min(MOST_STEPS, left_ns // duration_ns + 1)
        return int(min(until_event, self._batch.decoding.rounds_to_first_end() - 1))
