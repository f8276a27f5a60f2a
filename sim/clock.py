"""The order of things that happen at one instant of simulated time."""

from __future__ import annotations

import simpy

# Arrivals come first (they are SimPy timeouts, whose priority is 1), then the end of a step and
# the plan of the next, replica by replica, then samples: a plan sees all that has arrived, a
# sample all decisions.
ARRIVAL_PRIORITY = 1
STEP_END_PRIORITY = 2
"""Of the first replica; the others follow by their numbers."""
SAMPLE_PRIORITY = 1 << 30


class Later(simpy.Event):
    """A timeout with a priority: it comes behind all events of lower number at its instant."""

    def __init__(self, env: simpy.Environment, delay_ns: int, priority: int) -> None:
        self.env = env  # as `simpy.Timeout` does, without its parents' constructors
        self.callbacks = []
        self._ok = True
        self._value = None
        self._priority = priority
        env.schedule(self, priority, delay_ns)  # type: ignore[arg-type] # any integer orders

    def hastened(self, delay_ns: int) -> Later:
        """Let whoever waits for this wait for an earlier event instead; this one comes to nobody.

        Args:
            delay_ns: From now to the earlier event, which has the same priority.
        """
        sooner = Later(self.env, delay_ns, self._priority)
        sooner.callbacks, self.callbacks = self.callbacks, sooner.callbacks
        return sooner


class Timeline(simpy.Environment):
    """The events of a run; where none is left before some instant, that can be the present."""

    def advance(self, to_ns: int) -> bool:
        """Let an instant be the present, if no event happens until then; False if one does."""
        if self.peek() <= to_ns:
            return False
        self._now = to_ns
        return True


class Clock:
    """The present of a run: its time, and how far the events of this instant have come.

    An engine that jumps over ends of steps asks it which of them lie behind: where one falls on
    the present instant, that depends on the priority of what is happening.
    """

    def __init__(self, env: Timeline) -> None:
        self.env = env
        self.advance = env.advance
        self._reached = (-1, 0)

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the start of the trace."""
        return int(self.env.now)

    def reach(self, priority: int) -> int:
        """Say that an event of this priority happens now; none of a lower one is left.

        Returns:
            The present, in nanoseconds.
        """
        now_ns = self.now_ns
        self._reached = (now_ns, priority)
        return now_ns

    def has_passed(self, time_ns: int, priority: int) -> bool:
        """Whether an event of that time and priority would have happened by now."""
        return time_ns < self.env.now or (time_ns, priority) <= self._reached
