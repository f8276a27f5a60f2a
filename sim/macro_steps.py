"""Many steps in one turn: where nothing is decided, decoding is arithmetic."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from sim.clock import ARRIVAL_PRIORITY, Later
from sim.engine import Engine, Wiring
from sim.replica import Replica
from sim.step import StepPricer

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from sim.clock import Clock
    from sim.engine import Fleet
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
                self._credit(turn.plan, steps)
                turn.credited += steps

    def _credit(self, plan: StepPlan, steps: int) -> None:
        """Credit steps of a turn that goes on: the one behind them has its pages."""
        self.batch.decoding.cohort.extend_in_rounds(steps)
        self.batch.finish_step(plan, steps)

    def _compute(self, plan: StepPlan) -> Generator[simpy.Event, None, None]:
        ends_ns = self._ends_ns(plan)
        over = self._later(ends_ns[-1] - self.batch.now_ns)
        turn = self._turn = Turn(plan, ends_ns, over)
        yield over
        self._turn = None
        steps = len(turn.ends_ns) - turn.credited
        if steps > 1:
            self.batch.decoding.cohort.extend_in_rounds(steps - 1)
        self._end_turn(plan, steps)

    def _ends_ns(self, plan: StepPlan) -> list[int]:
        """When the step that starts now ends, and each of those that follow and are the same."""
        duration_ns = self._wiring.executor.execute(plan)
        end_ns = self.batch.now_ns + duration_ns
        repeats = self._most_repeats(plan, duration_ns)
        if not repeats or self._pricer is None:
            return [end_ns]
        ends_ns = list(accumulate(self._pricer.price_repeats(plan, repeats), initial=end_ns))
        next_ns = self._run.next_entry_ns
        if next_ns is not None:
            del ends_ns[bisect_left(ends_ns, next_ns) + 1 :]
        return ends_ns

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


class LoneReplica(MacroStepReplica):
    """The only replica, which nobody but the trace sends requests to.

    While it computes, a request that arrives only joins the queue, and when the next one comes is
    known. So arrivals are no events: whoever looks, and whoever ends a turn, fetches those that
    have come since, each at its own time. All but the last step of a turn have ended by then. And
    where nothing else happens before a turn ends, its end is no event either.
    """

    fetches = True

    def settle(self) -> None:
        """See `Replica.settle`."""
        super().settle()
        self._fetch(self._clock.now_ns)

    def _compute(self, plan: StepPlan) -> Generator[simpy.Event, None, None]:
        ends_ns, credited = self._ends_ns(plan), 0
        if not self._clock.advance(ends_ns[-1]):
            over = self._later(ends_ns[-1] - self.batch.now_ns)
            turn = self._turn = Turn(plan, ends_ns, over)
            yield over
            self._turn = None
            credited = turn.credited
        self._credit_all(plan, len(ends_ns) - credited, ends_ns[-1])

    def _credit_all(self, plan: StepPlan, steps: int, now_ns: int) -> None:
        """Credit the last steps of a turn; whoever came in the last one comes before its end."""
        batch, next_ns = self.batch, self._run.next_entry_ns
        if steps > 1:
            batch.decoding.cohort.extend_in_rounds(steps - 1)
        if next_ns is not None and next_ns <= now_ns:
            if steps > 1:
                batch.finish_step(plan, steps - 1)
            self._fetch(now_ns)
            steps = 1
        batch.now_ns = now_ns
        batch.finish_step(plan, steps)

    def _fetch(self, until_ns: int) -> None:
        """Let requests in that have come by then."""
        run, batch = self._run, self.batch
        while (next_ns := run.next_entry_ns) is not None and next_ns <= until_ns:
            batch.now_ns = next_ns
            self._gate.meet(run.next_request())

    def _sleep(self) -> simpy.Event:
        next_ns = self._run.next_entry_ns
        if next_ns is None:
            return super()._sleep()
        return Later(self._clock.env, next_ns - self._clock.now_ns, ARRIVAL_PRIORITY)

    def _wake(self) -> None:
        super()._wake()
        self._fetch(self.batch.now_ns)


class MacroStepEngine(Engine):
    """Takes quiet steps together; writes the log of `Engine`, byte for byte."""

    def _replica_kind(self, parts: Wiring | Fleet) -> type[Replica]:
        is_lone = isinstance(parts, Wiring) and parts.control is None
        return LoneReplica if is_lone and self._arrivals.next_ns is not None else MacroStepReplica
