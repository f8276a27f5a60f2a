"""Many steps in one turn: where nothing is decided, decoding is arithmetic."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from sim.engine import Engine
from sim.replica import Replica
from sim.step import StepPricer

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from sim.clock import Clock, Later
    from sim.engine import Wiring
    from sim.event_log import LogWriter
    from sim.replica import Run
    from sim.step import StepPlan

MOST_STEPS = 4096
"""Steps of one turn at most, so that the arrays of a turn stay small."""


class Turn:
    """Steps that follow each other alike: one that was planned, and its repeats.

    Attributes:
        plan: What each of them computes.
        ends_ns: When each ends; an arrival cuts it.
        over: Comes when the last of them ends.
        credited: Steps whose tokens have been credited; the one in flight has its pages.
    """

    __slots__ = ("credited", "ends_ns", "over", "plan")

    def __init__(self, plan: StepPlan, ends_ns: list[int], over: Later) -> None:
        self.plan = plan
        self.ends_ns = ends_ns
        self.over = over
        self.credited = 0


class MacroStepReplica(Replica):
    """Takes quiet steps together.

    After each plan in which everybody decodes it asks how long the next plans will be the same:
    until a sequence has its last token, until pages run out, or until the next request enters, if
    that is known. The steps until then are one turn, and its end one event. What comes in between
    looks and changes as if each step were taken:

    - Whoever looks (a sample, a router) lets the turn `settle` first: the steps that have ended by
      now are credited, and the one in flight has its pages.
    - Whoever arrives settles it too, and ends it with the step in flight, after which the next
      plan is made.

    Ends of steps and what comes in between may share an instant; `Clock.has_passed` says which of
    the two is first. Where a scheduler, a manager or an executor cannot look ahead, a turn is a
    step.
    """

    def __init__(self, number: int, wiring: Wiring, clock: Clock, log: LogWriter, run: Run) -> None:
        super().__init__(number, wiring, clock, log, run)
        executor = wiring.executor
        self._pricer = executor if isinstance(executor, StepPricer) else None
        self._turn: Turn | None = None

    def settle(self) -> None:
        """See `Replica.settle`."""
        turn = self._turn
        if turn is not None:
            steps = self._num_passed(turn) - turn.credited
            if steps:
                self.batch.decoding.cohort.extend_in_rounds(steps)
                self.batch.finish_step(turn.plan, steps)
                turn.credited += steps

    def _compute(self, plan: StepPlan) -> Generator[simpy.Event, None, None]:
        duration_ns = self._wiring.executor.execute(plan)
        repeats = self._most_repeats(plan, duration_ns)
        if not repeats:
            yield self._later(duration_ns)
            self._end_turn(plan)
            return
        turn = self._turn = self._turn_of(plan, duration_ns, repeats)
        yield turn.over
        self._turn = None
        steps = len(turn.ends_ns) - turn.credited
        if steps > 1:
            self.batch.decoding.cohort.extend_in_rounds(steps - 1)
        self._end_turn(plan, steps)

    def _most_repeats(self, plan: StepPlan, duration_ns: int) -> int:
        """Steps that will follow and be the same unless something arrives.

        Args:
            plan: Of the step that starts now.
            duration_ns: What it takes; those that follow take longer, or about as long.
        """
        batch, decoding = self.batch, self.batch.decoding
        if plan.chunks or not plan.together or len(plan.decodes) < len(batch.running):
            return 0
        most = min(MOST_STEPS, decoding.rounds_to_first_end() - 1)
        next_ns = self._run.next_entry_ns
        if next_ns is not None:
            most = min(most, (next_ns - batch.now_ns - 1) // duration_ns)
        if most < 1 or self._pricer is None or not self._wiring.scheduler.is_quiet(batch):
            return 0
        return decoding.cohort.sure_rounds(most)

    def _turn_of(self, plan: StepPlan, duration_ns: int, repeats: int) -> Turn:
        """The turn of a step and its repeats; at least one."""
        assert self._pricer is not None  # noqa: S101 - else there are no repeats
        now_ns, priced = self.batch.now_ns, self._pricer.price_repeats(plan, repeats)
        ends_ns = list(accumulate(priced, initial=now_ns + duration_ns))
        if self._run.next_entry_ns is not None:
            del ends_ns[bisect_left(ends_ns, self._run.next_entry_ns) + 1 :]
        return Turn(plan, ends_ns, self._later(ends_ns[-1] - now_ns))

    def _num_passed(self, turn: Turn) -> int:
        """Steps of a turn that have ended by now; never its last, which would have ended it."""
        now_ns = self._clock.now_ns
        passed = bisect_left(turn.ends_ns, now_ns)
        if turn.ends_ns[passed] == now_ns and self._clock.has_passed(now_ns, self._priority):
            passed += 1
        return passed

    def _plan_after_step_in_flight(self) -> None:
        """See `Replica._plan_after_step_in_flight`: the steps behind it are not taken."""
        turn = self._turn
        if turn is not None and turn.credited + 1 < len(turn.ends_ns):
            del turn.ends_ns[turn.credited + 1 :]
            delay_ns = turn.ends_ns[-1] - self._clock.now_ns
            turn.over = turn.over.hastened(delay_ns)


class MacroStepEngine(Engine):
    """Takes quiet steps together; writes the log of `Engine`, byte for byte."""

    replica_kind = MacroStepReplica
