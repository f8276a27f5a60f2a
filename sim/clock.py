"""The order of things that happen at one instant of simulated time."""

from __future__ import annotations

import simpy

# Arrivals come first (they are SimPy timeouts, whose priority is 1), then the end of a step and
# the plan of the next, then samples: a plan sees all that has arrived, a sample all decisions.
STEP_END_PRIORITY = 2
SAMPLE_PRIORITY = 3


class Later(simpy.Event):
    """A timeout with a priority: it comes behind all events of lower number at its instant."""

    def __init__(self, env: simpy.Environment, delay_ns: int, priority: int) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority, delay_ns)  # type: ignore[arg-type] # any integer orders
