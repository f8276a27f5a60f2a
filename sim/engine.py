"""The event loop: requests arrive, steps are planned and take time, sequences end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import simpy

from sim.account import Accounts
from sim.admission import AdmissionChain
from sim.arrivals import arrivals_of
from sim.batch import Batch
from sim.clock import SAMPLE_PRIORITY, STEP_END_PRIORITY, Later
from sim.event_log import (
    NO_SUBJECT,
    EventKind,
    EventLog,
    LogHeader,
    PoolHeader,
    TenantHeader,
)
from sim.gate import Gate
from sim.preemptions.recompute import Recompute
from sim.tenant import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from allocator.interface import CacheManager, Usage
    from sim.admission import AdmissionControl
    from sim.preemption import Preemption
    from sim.scheduler import Scheduler
    from sim.step import StepExecutor, StepPlan
    from sim.tenant import Tenant
    from sim.waiting import WaitingQueue
    from traces.record import Request, Trace

SAMPLES_PER_TRACE = 2000
"""Occupancy is sampled about this often between the first arrival and the last, unless told."""

SAMPLES_PER_INTERVAL = 4 * SAMPLES_PER_TRACE
"""After so many samples the interval doubles, so that a long drain does not fill the log."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The exchangeable parts of a run, and how often its memory is looked at.

    Attributes:
        manager: The allocator.
        scheduler: Decides who runs.
        executor: Prices steps.
        num_samples: Samples of occupancy between the first arrival and the last, at most.
        control: What stands before the queue and at admissions, if anything.
        preemption: Where the tokens of victims go; the executor should price it.
        tenants: What is known of tenants of the trace, or of all others.
    """

    manager: CacheManager
    scheduler: Scheduler
    executor: StepExecutor
    num_samples: int = SAMPLES_PER_TRACE
    control: AdmissionControl | None = None
    preemption: Preemption = field(default_factory=Recompute)
    tenants: tuple[Tenant, ...] = ()

    def __post_init__(self) -> None:
        objection = self.scheduler.objection(self.manager)
        objection = objection or self.preemption.objection(self.manager)
        if objection:
            raise ValueError(objection)


def sample_interval_ns(trace: Trace, num_samples: int = SAMPLES_PER_TRACE) -> int:
    """The shortest of 1, 2, 5 x 10^k ns that takes at most so many samples of the arrivals.

    Traces whose requests all arrive at once, or without arrival times, are sampled each simulated
    second: how long they run is not known, but not a matter of milliseconds.
    """
    span_ns = 0 if trace.arrival_ns is None else int(trace.arrival_ns[-1] - trace.arrival_ns[0])
    if span_ns == 0:
        return 10**9
    interval_ns = 10**6
    while True:
        for factor in (1, 2, 5):
            if interval_ns * factor * num_samples >= span_ns:
                return interval_ns * factor
        interval_ns *= 10


class Engine:
    """Runs a trace step by step over a cache manager, a scheduler and an executor.

    One loop turn is plan, execute, advance the clock, credit. `sim.macro_steps` lets a turn take
    many steps where nothing is decided; this one is the reference that it must agree with.
    """

    def __init__(
        self, trace: Trace, wiring: Wiring, on_progress: Callable[[int], None] | None = None
    ) -> None:
        self.env = simpy.Environment()
        self._wiring = wiring
        self._num_requests = len(trace)
        self._arrivals = arrivals_of(trace)
        self._on_progress = on_progress
        self._start_ns = 0 if trace.arrival_ns is None else int(trace.arrival_ns[0])
        self.log = EventLog(_header(trace, wiring))
        control = AdmissionChain() if wiring.control is None else wiring.control
        queue, max_tokens = _queue(wiring), wiring.scheduler.max_tokens
        self._batch = Batch(wiring.manager, self.log, queue, max_tokens, control)
        self._batch.preemption = wiring.preemption
        names = [tenant.name for tenant in self.log.header.tenants]
        budget_bytes = self.log.header.budget_bytes
        self._batch.accounts = Accounts(names, wiring.tenants, wiring.manager.spec, budget_bytes)
        self._gate = Gate(self.env, self._batch, control, self._on_entry)
        self._arrived = self.env.event()
        self._counted = wiring.manager.backing.counters()
        self._prepared_for = self._batch.occasion
        self._num_arrived = 0
        self._num_noted = 0

    def run(self) -> EventLog:
        """Run until every request has completed or been rejected; returns the log."""
        self.env.process(self._arrivals.process(self))
        self.env.process(self._sample())
        self.env.run(until=self.env.process(self._serve()))
        self._record_end()
        return self.log

    def enter(self, requests: list[Request]) -> None:
        """Take requests that arrive now, and wake the engine if it sleeps."""
        self._on_entry()
        self._num_arrived += len(requests)
        for request in requests:
            self._gate.meet(request)

    def _on_entry(self) -> None:
        self._batch.now_ns = int(self.env.now)
        if not self._arrived.triggered:
            self._arrived.succeed()

    def _serve(self) -> Generator[simpy.Event, None, None]:
        batch = self._batch
        while batch.num_ended < self._num_requests:
            batch.now_ns = int(self.env.now)
            num_events = len(self.log)
            plan = self._plan()
            if plan:
                duration_ns, steps = self._run(plan)
                yield Later(self.env, duration_ns, STEP_END_PRIORITY)
                batch.now_ns = int(self.env.now)
                batch.finish_step(plan, steps)
            elif batch.short_pool is not None and not batch.running:
                batch.reject_head()
            elif len(self.log) == num_events:
                yield self._sleep()
            self._note_ended()

    def _plan(self) -> StepPlan:
        """Plan a step; it pays for what the backing was asked since the last one, and beside it."""
        manager, before = self._wiring.manager, self._counted
        self._batch.begin_step()
        plan = self._wiring.scheduler.plan(self._batch)
        after = manager.backing.counters()
        if plan:
            if self._batch.occasion != self._prepared_for:
                self._prepared_for = self._batch.occasion
                manager.prepare(self._batch.next_tokens)
            self._counted = manager.backing.counters()
            plan.charge(before, after, self._counted)
            self._wiring.preemption.charge(plan)
        if manager.backing.counters() is not before:
            self._record_migrations()
        return plan

    def _record_migrations(self) -> None:
        """Log the capacity that moved since the last call."""
        for move in self._wiring.manager.take_migrations():
            values = (move.donor, move.recipient, move.num_bytes)
            self.log.append(int(self.env.now), EventKind.MIGRATION, NO_SUBJECT, *values)

    def _run(self, plan: StepPlan) -> tuple[int, int]:
        """Nanoseconds until the next plan, and the steps that are computed until then."""
        return self._wiring.executor.execute(plan), 1

    def _note_ended(self) -> None:
        """Let clients whose request has ended send their next one; those may be refused at once."""
        while self._num_noted < self._batch.num_ended:
            num_ended = self._batch.num_ended - self._num_noted
            self._num_noted += num_ended
            followers = self._arrivals.ended(num_ended)
            if followers:
                self.enter(followers)
            if self._on_progress is not None:
                self._on_progress(self._num_noted)

    def _sleep(self) -> simpy.Event:
        """Wait for an arrival.

        Raises:
            RuntimeError: If none will come: the scheduler leaves sequences waiting for ever.
        """
        if self._num_arrived == self._num_requests and not self._gate.num_delayed:
            left = self._num_requests - self._batch.num_ended
            raise RuntimeError(f"the scheduler runs nothing, yet {left} requests have not ended")
        self._arrived = self.env.event()
        return self._arrived

    def _sample(self) -> Generator[simpy.Event, None, None]:
        interval_ns = self.log.header.sample_interval_ns
        empty_ns = self._start_ns // interval_ns * interval_ns  # a late start is not sampled
        yield Later(self.env, empty_ns + interval_ns, SAMPLE_PRIORITY)
        for number in itertools.count(1):
            self._record_sample()
            if number % SAMPLES_PER_INTERVAL == 0:
                interval_ns *= 2
            yield Later(self.env, interval_ns, SAMPLE_PRIORITY)

    def _record_sample(self) -> None:
        now_ns, usage, batch = int(self.env.now), self._wiring.manager.usage(), self._batch
        num_waiting = len(batch.waiting) + self._gate.num_delayed
        queues = (len(batch.running), num_waiting, usage.granted_bytes)
        self.log.append(now_ns, EventKind.QUEUE_SAMPLE, NO_SUBJECT, *queues)
        waste = (
            usage.internal_waste_bytes,
            usage.external_waste_bytes,
            _stranded_bytes(usage, batch.short_pool),
        )
        self.log.append(now_ns, EventKind.WASTE_SAMPLE, NO_SUBJECT, *waste)
        for number, pool in enumerate(usage.pools):
            values = (pool.num_live, pool.num_pages)
            self.log.append(now_ns, EventKind.POOL_SAMPLE, number, *values)

    def _record_end(self) -> None:
        usage = self._wiring.manager.usage()
        values = (usage.peak_granted_bytes, usage.footprint_bytes)
        self.log.append(int(self.env.now), EventKind.END, NO_SUBJECT, *values)


def _header(trace: Trace, wiring: Wiring) -> LogHeader:
    usage = wiring.manager.usage()
    interval_ns = sample_interval_ns(trace, wiring.num_samples)
    pools = tuple(PoolHeader(pool.name, pool.page_bytes) for pool in usage.pools)
    names = dict.fromkeys(trace.tenants)
    weights = [settings_of(name, wiring.tenants).weight for name in names]
    tenants = tuple(map(TenantHeader, names, weights))
    return LogHeader(len(trace), usage.budget_bytes, interval_ns, pools, tenants)


def _queue(wiring: Wiring) -> WaitingQueue:
    """The scheduler's queue; one that parts tenants where one of them has a quota."""
    queue = wiring.scheduler.new_queue()
    has_quotas = any(tenant.has_quota for tenant in wiring.tenants)
    return queue.with_quotas() if has_quotas else queue


def _stranded_bytes(usage: Usage, short_pool: int | None) -> int:
    """Free bytes of the other pools while one pool keeps the queue waiting."""
    if short_pool is None:
        return 0
    return sum(pool.free_bytes for i, pool in enumerate(usage.pools) if i != short_pool)
