"""The event loop: requests arrive, replicas serve them, memory is looked at now and then."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.arrivals import arrivals_of
from sim.clock import SAMPLE_PRIORITY, Clock, Later, Timeline
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader, TenantHeader
from sim.preemptions.recompute import Recompute
from sim.replica import Replica
from sim.replica_log import log_of_replica
from sim.tenant import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import simpy

    from allocator.interface import CacheManager
    from sim.admission import AdmissionControl
    from sim.preemption import Preemption
    from sim.router import Router
    from sim.scheduler import Scheduler
    from sim.step import StepExecutor
    from sim.tenant import Tenant
    from sim.waiting import WaitingQueue
    from traces.record import Request, Trace

SAMPLES_PER_TRACE = 2000
"""Occupancy is sampled about this often between the first arrival and the last, unless told."""

SAMPLES_PER_INTERVAL = 4 * SAMPLES_PER_TRACE
"""After so many samples the interval doubles, so that a long drain does not fill the log."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The exchangeable parts of a replica, and how often its memory is looked at.

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
        self.new_queue()  # it says so if it cannot part tenants

    def new_queue(self) -> WaitingQueue:
        """The scheduler's queue; one that parts tenants where one of them has a quota.

        Raises:
            ValueError: If the scheduler orders its queue by more than a queue of tenants can keep.
        """
        queue = self.scheduler.new_queue()
        has_quotas = any(tenant.has_quota for tenant in self.tenants)
        return queue.with_quotas() if has_quotas else queue


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


@dataclass(frozen=True, slots=True)
class Fleet:
    """Several replicas behind a router.

    Attributes:
        replicas: The parts of each; nothing that changes may be shared between them.
        router: Chooses where a request goes.
    """

    replicas: tuple[Wiring, ...]
    router: Router


class Engine:
    """Runs a trace over one replica, or over several behind a router; the reference, step by step.

    One environment, one arrival process and one log serve all of them.

    Attributes:
        next_entry_ns: See `sim.replica.Run`.
    """

    def __init__(
        self,
        trace: Trace,
        parts: Wiring | Fleet,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self.env = Timeline()
        wirings = parts.replicas if isinstance(parts, Fleet) else (parts,)
        self._router = parts.router if isinstance(parts, Fleet) else None
        self._num_requests = len(trace)
        self._arrivals = arrivals_of(trace)
        self._on_progress = on_progress
        self._start_ns = 0 if trace.arrival_ns is None else int(trace.arrival_ns[0])
        self.log = EventLog(_header(trace, wirings))
        self._clock = Clock(self.env)
        self.next_entry_ns: int | None = None
        self._foresee()
        self._kind = self._replica_kind(parts)
        self._replicas = [
            self._kind(number, wiring, self._clock, log_of_replica(self.log, number), self)
            for number, wiring in enumerate(wirings)
        ]
        self._over = self.env.event()
        self._num_arrived = 0
        self._num_noted = 0

    @property
    def is_over(self) -> bool:
        """Whether every request of the trace has ended."""
        return self._num_noted == self._num_requests

    @property
    def has_all_arrived(self) -> bool:
        """Whether no request is still to come."""
        return self._num_arrived == self._num_requests

    def run(self) -> EventLog:
        """Run until every request has completed or been rejected; returns the log."""
        if not self._kind.fetches:
            self.env.process(self._arrivals.process(self))
        self.env.process(self._sample())
        for replica in self._replicas:
            self.env.process(replica.serve())
        self.env.run(until=self._over)
        for replica in self._replicas:
            replica.record_end()
        return self.log

    def enter(self, requests: list[Request]) -> None:
        """Take requests that arrive now, each to the replica that the router chooses."""
        self._num_arrived += len(requests)
        self._foresee()
        for request in requests:
            self._route(request).enter(request)
        if self.has_all_arrived:
            for replica in self._replicas:
                replica.check_can_end()

    def next_request(self) -> Request:
        """The request that arrives next; whoever fetches it lets it in."""
        self._num_arrived += 1
        request = self._arrivals.take()
        self._foresee()
        return request

    def note_ended(self) -> None:
        """Let clients whose request has ended send their next one; those may be refused at once."""
        while num_new := self._num_ended() - self._num_noted:
            self._num_noted += num_new
            followers = self._arrivals.ended(num_new)
            if followers:
                self.enter(followers)
            if self._on_progress is not None:
                self._on_progress(self._num_noted)
        if self.is_over and not self._over.triggered:
            self._over.succeed()

    def _replica_kind(self, parts: Wiring | Fleet) -> type[Replica]:
        """What serves."""
        del parts
        return Replica

    def _foresee(self) -> None:
        """Note when the next request arrives, if it is known when, and at which replica."""
        if self._router is None:
            self.next_entry_ns = self._arrivals.next_ns

    def _num_ended(self) -> int:
        count = 0
        for replica in self._replicas:
            count += replica.batch.num_ended
        return count

    def _route(self, request: Request) -> Replica:
        if self._router is None:
            return self._replicas[0]
        number = self._router.route(request, self._replicas)
        self.log.append(self._clock.now_ns, EventKind.ROUTED, request.request_id, number)
        return self._replicas[number]

    def _sample(self) -> Generator[simpy.Event, None, None]:
        interval_ns = self.log.header.sample_interval_ns
        empty_ns = self._start_ns // interval_ns * interval_ns  # a late start is not sampled
        yield Later(self.env, empty_ns + interval_ns, SAMPLE_PRIORITY)
        for number in itertools.count(1):
            self._clock.reach(SAMPLE_PRIORITY)
            for replica in self._replicas:
                replica.record_sample()
            if number % SAMPLES_PER_INTERVAL == 0:
                interval_ns *= 2
            yield Later(self.env, interval_ns, SAMPLE_PRIORITY)


def _header(trace: Trace, wirings: tuple[Wiring, ...]) -> LogHeader:
    """Budgets in all, and the pools of one replica after those of another."""
    usages = [wiring.manager.usage() for wiring in wirings]
    names = dict.fromkeys(trace.tenants)
    weights = [settings_of(name, wirings[0].tenants).weight for name in names]
    return LogHeader(
        num_requests=len(trace),
        budget_bytes=sum(usage.budget_bytes for usage in usages),
        sample_interval_ns=sample_interval_ns(trace, wirings[0].num_samples),
        pools=tuple(PoolHeader(p.name, p.page_bytes) for usage in usages for p in usage.pools),
        num_replicas=len(wirings),
        tenants=tuple(map(TenantHeader, names, weights)),
    )
