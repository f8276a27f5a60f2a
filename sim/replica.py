"""One replica: a queue, a batch and memory of its own, and the loop that serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from allocator.prefix.interface import PrefixSharing
from sim.account import Accounts
from sim.batch import Batch
from sim.clock import STEP_END_PRIORITY, Later
from sim.event_log import NO_SUBJECT, EventKind
from sim.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from allocator.interface import Usage
    from sim.clock import Clock
    from sim.engine import Wiring
    from sim.event_log import LogHeader, LogWriter
    from sim.step import StepPlan
    from traces.record import Request


class Run(Protocol):
    """What a replica asks of the run that it is part of."""

    @property
    def is_over(self) -> bool:
        """Whether every request of the trace has ended."""

    @property
    def has_all_arrived(self) -> bool:
        """Whether no request is still to come."""

    @property
    def next_entry_ns(self) -> int | None:
        """When the next request that has not arrived yet enters a replica; None if unknown."""

    def next_request(self) -> Request:
        """That request, which has now arrived."""

    def note_ended(self) -> None:
        """Let clients whose request has ended send their next one."""


class Replica:
    """Serves the requests that are sent to it, step by step.

    One loop turn is plan, execute, advance the clock, credit. `sim.macro_steps` lets a turn take
    many steps where nothing is decided; this one is the reference that it must agree with.

    Attributes:
        batch: Who waits and who runs here.

    Class attributes:
        fetches: Whether it looks for requests itself; else each enters when it arrives.
    """

    fetches: ClassVar[bool] = False

    def __init__(self, number: int, wiring: Wiring, clock: Clock, log: LogWriter, run: Run) -> None:
        """Start empty.

        Args:
            number: Of this replica, from 0; at one instant the lower number's step ends first.
            wiring: Its exchangeable parts.
            clock: The run's.
            log: Where decisions go.
            run: What it is part of.
        """
        manager = wiring.manager
        control = wiring.control
        queue, max_tokens = wiring.new_queue(), wiring.scheduler.max_tokens
        self.batch = Batch(manager, log, queue, max_tokens, control)
        self.batch.preemption = wiring.preemption
        self.batch.accounts = _accounts(wiring, log.header)
        self._gate = Gate(clock.env, self.batch, control, self._on_entry)
        self._priority = STEP_END_PRIORITY + number
        self._wiring = wiring
        self._clock = clock
        self._log = log
        self._run = run
        self._woken = clock.env.event()
        self._counted = manager.backing.counters()
        self._prepared_for = self.batch.occasion

    @property
    def num_running(self) -> int:
        """Sequences that hold pages."""
        return len(self.batch.running)

    @property
    def num_waiting(self) -> int:
        """Sequences in the queue, and those that are told to join it later."""
        return len(self.batch.waiting) + self._gate.num_delayed

    @property
    def num_tokens(self) -> int:
        """Tokens of all prompts here, and of the output that has been made of them."""
        self.settle()
        batch = self.batch
        return sum(s.total_tokens for queue in (batch.running, batch.waiting) for s in queue)

    @property
    def granted_bytes(self) -> int:
        """Memory that sequences hold."""
        self.settle()
        return self._wiring.manager.usage().granted_bytes

    def enter(self, request: Request) -> None:
        """Take a request that arrives now; the step in flight is the last that does not see it."""
        self._on_entry()
        self._gate.meet(request)

    def serve(self) -> Generator[simpy.Event, None, None]:
        """SimPy process: turn after turn until the run is over."""
        batch, run, log, num_ended = self.batch, self._run, self._log, 0
        batch.now_ns = self._clock.now_ns
        while True:
            if batch.num_ended > num_ended:
                num_ended = batch.num_ended
                run.note_ended()
                if run.is_over:
                    return
            num_rows = log.num_rows
            plan = self._plan()
            if plan.decodes or plan.chunks:
                yield from self._compute(plan)
            elif batch.short_pool is not None and not batch.running:
                batch.reject_head()
            elif log.num_rows == num_rows:
                yield self._sleep()
                self._wake()

    def settle(self) -> None:
        """Bring the batch and the memory to where they are now, step by step.

        Whoever looks at them in the middle of a turn asks for this first.
        """

    def check_can_end(self) -> None:
        """Say so if what is left here will never run, now that nothing more arrives.

        Raises:
            RuntimeError: If the scheduler leaves sequences waiting for ever.
        """
        left = len(self.batch.running) + len(self.batch.waiting)
        if left and not self._woken.triggered:
            raise RuntimeError(f"the scheduler runs nothing, yet {left} requests have not ended")

    def record_sample(self) -> None:
        """Log the queues and the memory."""
        self.settle()
        now_ns, usage, batch = self._clock.now_ns, self._wiring.manager.usage(), self.batch
        queues = (len(batch.running), self.num_waiting, usage.granted_bytes)
        self._log.append(now_ns, EventKind.QUEUE_SAMPLE, NO_SUBJECT, *queues)
        waste = (
            usage.internal_waste_bytes,
            usage.external_waste_bytes,
            _stranded_bytes(usage, batch.short_pool),
        )
        self._log.append(now_ns, EventKind.WASTE_SAMPLE, NO_SUBJECT, *waste)
        for number, pool in enumerate(usage.pools):
            values = (pool.num_live, pool.num_pages)
            self._log.append(now_ns, EventKind.POOL_SAMPLE, number, *values)
        if self.batch.shares_prefixes:
            for number, pool in enumerate(usage.pools):
                values = (pool.num_cached, pool.num_cached_states)
                self._log.append(now_ns, EventKind.CACHE_SAMPLE, number, *values)

    def record_end(self) -> None:
        """Log what the run has come to."""
        manager = self._wiring.manager
        usage = manager.usage()
        if isinstance(manager, PrefixSharing):
            gone = manager.evictions()
            counts = (gone.tokens, gone.states, gone.lone_states)
            self._log.append(self._clock.now_ns, EventKind.EVICTIONS, NO_SUBJECT, *counts)
        values = (usage.peak_granted_bytes, usage.footprint_bytes)
        self._log.append(self._clock.now_ns, EventKind.END, NO_SUBJECT, *values)

    def _on_entry(self) -> None:
        self.settle()
        self.batch.now_ns = self._clock.now_ns
        self._plan_after_step_in_flight()
        if not self._woken.triggered:
            self._woken.succeed()

    def _plan(self) -> StepPlan:
        """Plan a step; it pays for what the backing was asked since the last one, and beside it."""
        batch, wiring, before = self.batch, self._wiring, self._counted
        backing = wiring.manager.backing
        if batch.shares_prefixes:
            batch.begin_step()
        plan = wiring.scheduler.plan(batch)
        beside = after = backing.counters()
        if plan.decodes or plan.chunks:
            occasion = batch.occasion
            if occasion != self._prepared_for:
                self._prepared_for = occasion
                wiring.manager.prepare(batch.next_tokens)
                beside = backing.counters()
            self._counted = beside
            if beside is not before:
                plan.charge(before, after, beside)
            wiring.preemption.charge(plan)
        if beside is not before:
            self._record_migrations()
        return plan

    def _record_migrations(self) -> None:
        """Log the capacity that moved since the last call."""
        for move in self._wiring.manager.take_migrations():
            values = (move.donor, move.recipient, move.num_bytes)
            self._log.append(self._clock.now_ns, EventKind.MIGRATION, NO_SUBJECT, *values)

    def _compute(self, plan: StepPlan) -> Generator[simpy.Event, None, None]:
        """Let the time of a step pass, then credit it."""
        yield self._later(self._wiring.executor.execute(plan))
        self._end_turn(plan)

    def _later(self, delay_ns: int) -> Later:
        """The end of a step that begins now."""
        return Later(self._clock.env, delay_ns, self._priority)

    def _end_turn(self, plan: StepPlan, steps: int = 1) -> None:
        """Credit the last steps of a turn, which end now."""
        self.batch.now_ns = self._clock.reach(self._priority)
        self.batch.finish_step(plan, steps)

    def _plan_after_step_in_flight(self) -> None:
        """End the turn with the step in flight: here each turn is one step."""

    def _sleep(self) -> simpy.Event:
        """Wait for an arrival; errors as in `check_can_end`."""
        self._woken = self._clock.env.event()
        if self._run.has_all_arrived:
            self.check_can_end()
        return self._woken

    def _wake(self) -> None:
        """Go on after a sleep."""
        self.batch.now_ns = self._clock.now_ns


def _accounts(wiring: Wiring, header: LogHeader) -> Accounts:
    """An account for each tenant of the run, over the memory of this replica."""
    names = [tenant.name for tenant in header.tenants]
    return Accounts(names, wiring.tenants, wiring.manager.spec, header.budget_bytes)


def _stranded_bytes(usage: Usage, short_pool: int | None) -> int:
    """Free bytes of the other pools while one pool keeps the queue waiting."""
    if short_pool is None:
        return 0
    return sum(pool.free_bytes for i, pool in enumerate(usage.pools) if i != short_pool)
