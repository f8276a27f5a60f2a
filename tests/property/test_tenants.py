"""Tenants in any run: who shares gets its share, quotas hold, and nobody is left waiting."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import CacheManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.account import Account
from sim.admissions.token_bucket import Bucket
from sim.batch import Batch
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.request import Sequence
from sim.scheduler import Scheduler, known_schedulers
from sim.schedulers.fair import FairOptions, FairScheduler, Sharing
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import Policy, VllmSchedulerOptions
from sim.step import StepPlan
from sim.tenant import Tenant
from sim.waiting import WaitingQueue
from traces.record import Trace

GRANULE_BYTES = 256
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 2, 16), CacheGroup("ssm", CacheKind.STATE, 2, 48)),
    page_tokens=4,
)
PROMPT_PRICE, OUTPUT_PRICE = 1.0, 2.0
NS_PER_S = 10**9


class Watched(Scheduler):
    """A scheduler after each plan of which the accounts of tenants are looked at."""

    def __init__(self, inner: Scheduler) -> None:
        self.inner = inner
        self.max_tokens = inner.max_tokens

    def new_queue(self) -> WaitingQueue:
        return self.inner.new_queue()

    def objection(self, manager: CacheManager) -> str:
        return self.inner.objection(manager)

    def plan(self, batch: Batch) -> StepPlan:
        plan = self.inner.plan(batch)
        for account in batch.accounts:
            account.check_integrity(batch.running)
            tenant = account.tenant
            assert not tenant.max_seqs or account.running <= tenant.max_seqs
            waiting = [s for s in batch.waiting if s.account is account]
            assert account.waiting >= len(waiting)
        return plan


def manager_of(name: str, num_granules: int) -> CacheManager:
    kind = known_managers()[name]
    return kind.build(
        SPEC, HostBacking(num_granules * GRANULE_BYTES, GRANULE_BYTES), kind.Options()
    )


def scheduler_of(name: str, seqs: int) -> Scheduler:
    kind = known_schedulers()[name]
    options = kind.Options()
    if isinstance(options, FcfsOptions):
        options = replace(options, max_seqs=seqs, max_batched_tokens=seqs + 16)
    if isinstance(options, VllmSchedulerOptions):
        options = replace(options, max_num_seqs=seqs, policy=Policy.PRIORITY)
    return kind(options)


@st.composite
def traces(draw: st.DrawFn, names: str = "abc") -> Trace:
    row = st.tuples(
        st.integers(1, 40), st.integers(1, 30), st.integers(0, 60_000), st.sampled_from(names)
    )
    rows = draw(st.lists(row, min_size=1, max_size=16))
    prompts, outputs, gaps, tenants = zip(*rows, strict=True)
    ranks = tuple(draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    return Trace(
        "tenants",
        np.array(prompts),
        np.array(outputs),
        np.cumsum(np.array(gaps, dtype=np.int64)),
        tenants=tenants,
        priorities=ranks,
    )


def run(trace: Trace, manager: CacheManager, scheduler: Scheduler, *tenants: Tenant) -> EventLog:
    wiring = Wiring(manager, scheduler, ConstantExecutor(10_000), tenants=tenants)
    return Engine(trace, wiring).run()


QUOTAS = st.builds(
    Tenant,
    name=st.sampled_from("ab*"),
    max_seqs=st.integers(0, 3),
    memory_share=st.sampled_from([1.0, 0.6, 0.3, 0.1]),
    weight=st.sampled_from([0.3, 1.0, 4.0]),
)


@pytest.mark.parametrize("name", known_schedulers())
@given(
    trace=traces(),
    granules=st.integers(10, 60),
    seqs=st.integers(1, 6),
    tenants=st.lists(QUOTAS, max_size=3, unique_by=lambda tenant: tenant.name),
)
def test_quotas_hold_and_every_request_ends(
    name: str, trace: Trace, granules: int, seqs: int, tenants: list[Tenant]
) -> None:
    manager, scheduler = manager_of("vllm", granules), scheduler_of(name, seqs)
    log = run(trace, manager, Watched(scheduler), *tenants)
    ended = np.concatenate([log.of(EventKind.COMPLETION), log.of(EventKind.REJECTION)])
    assert sorted(ended[:, 2].tolist()) == list(range(len(trace)))
    assert manager.usage().granted_bytes == 0


@pytest.mark.parametrize("name", known_schedulers())
@given(trace=traces(), granules=st.integers(10, 60), seqs=st.integers(1, 6))
def test_a_quota_that_never_binds_changes_nothing(
    name: str, trace: Trace, granules: int, seqs: int
) -> None:
    tables = [
        run(trace, manager_of("static", granules), scheduler_of(name, seqs), *tenants).table()
        for tenants in ((), (Tenant(max_seqs=1000),))
    ]
    assert tables[0].tolist() == tables[1].tolist()


@given(
    trace=traces(names="a"),
    granules=st.integers(10, 60),
    seqs=st.integers(1, 6),
    policy=st.sampled_from(Sharing),
)
def test_one_tenant_alone_is_served_first_come_first_served(
    trace: Trace, granules: int, seqs: int, policy: Sharing
) -> None:
    fair = FairScheduler(FairOptions(seqs, seqs + 16, policy=policy, quantum=7))
    fcfs = FcfsScheduler(FcfsOptions(seqs, seqs + 16))
    logs = [run(trace, manager_of("avmp", granules), scheduler) for scheduler in (fair, fcfs)]
    assert logs[0].to_bytes() == logs[1].to_bytes()


@given(trace=traces(), seqs=st.integers(1, 6), policy=st.sampled_from(Sharing))
def test_nothing_lies_idle_while_somebody_waits(trace: Trace, seqs: int, policy: Sharing) -> None:
    """With memory for all, who waits finds no seat left, or no budget in the step."""

    class Busy(Watched):
        def plan(self, batch: Batch) -> StepPlan:
            plan = super().plan(batch)
            tokens = len(plan.decodes) + sum(chunk.tokens for chunk in plan.chunks)
            assert not batch.waiting or len(batch.running) == seqs or tokens == seqs + 16
            return plan

    fair = FairScheduler(FairOptions(seqs, seqs + 16, policy=policy, quantum=7))
    log = run(trace, manager_of("static", 10_000), Busy(fair), Tenant("a", 3.0))
    assert len(log.of(EventKind.COMPLETION)) == len(trace)


@dataclass
class Meter:
    """An executor that counts what is served to two tenants while both have a backlog.

    Attributes:
        left: Requests of each that have not been admitted yet.
        served: Service of each so far.
        gaps: Weighted service of the first less that of the second, before each step.
        most_tokens: Most tokens that ran at once.
    """

    left: dict[str, int]
    weights: dict[str, float]
    served: dict[str, float] = field(default_factory=lambda: {"a": 0.0, "b": 0.0})
    gaps: list[float] = field(default_factory=lambda: [0.0])
    most_tokens: int = 0

    def execute(self, plan: StepPlan) -> int:
        makers = list(plan.decodes)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            if not chunk.context_tokens and not sequence.preemptions:
                self._serve(sequence.account, PROMPT_PRICE * sequence.request.prompt_tokens)
                self.left[sequence.account.tenant.name] -= 1
            if chunk.tokens == sequence.owed_tokens:
                makers.append(sequence)
        for sequence in makers:
            self._serve(sequence.account, OUTPUT_PRICE)
        self._note(makers, [chunk.sequence for chunk in plan.chunks])
        return 1000

    def _serve(self, account: Account, amount: float) -> None:
        name = account.tenant.name
        self.served[name] += amount / self.weights[name]

    def _note(self, makers: list[Sequence], others: list[Sequence]) -> None:
        tokens = sum(sequence.total_tokens + 1 for sequence in {*makers, *others})
        self.most_tokens = max(self.most_tokens, tokens)
        if all(self.left.values()):
            self.gaps.append(self.served["a"] - self.served["b"])


LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=12, max_size=25)
WEIGHTS = st.sampled_from([1.0, 2.0, 0.5])


@st.composite
def contests(draw: st.DrawFn) -> tuple[Trace, Meter]:
    """Two tenants, each with a backlog that is all there at the start."""
    lengths = {name: draw(LENGTHS) for name in "ab"}
    rows = [(name, *row) for name in "ab" for row in lengths[name]]
    rows = draw(st.permutations(rows))
    names, prompts, outputs = zip(*rows, strict=True)
    zeros = np.zeros(len(rows), dtype=np.int64)
    trace = Trace("contest", np.array(prompts), np.array(outputs), zeros, tenants=names)
    left = {name: len(lengths[name]) for name in "ab"}
    return trace, Meter(left, {name: draw(WEIGHTS) for name in "ab"})


def contest(trace: Trace, meter: Meter, scheduler: Scheduler, granules: int) -> float:
    """How far apart weighted service drifts over any interval in which both have a backlog."""
    tenants = tuple(Tenant(name, weight) for name, weight in meter.weights.items())
    manager = manager_of("shared-bytes", granules)
    Engine(trace, Wiring(manager, scheduler, meter, tenants=tenants)).run()
    return max(meter.gaps) - min(meter.gaps)


def bound_of_counters(trace: Trace, meter: Meter) -> float:
    """2 max(w_p L, w_q M) over the weights (Sheng et al., OSDI 2024), M the tokens that fit."""
    longest = PROMPT_PRICE * float(trace.prompt_tokens.max())
    most = max(longest, OUTPUT_PRICE * meter.most_tokens)
    return 2 * most / min(meter.weights.values())


SEATS = st.integers(1, 6)
GRANULES = st.sampled_from([30, 60, 10_000])
"""Memory for one or two of the longest, for several, and for all."""


@given(drawn=contests(), seats=SEATS, granules=GRANULES)
def test_virtual_token_counters_keep_their_bound(
    drawn: tuple[Trace, Meter], seats: int, granules: int
) -> None:
    trace, meter = drawn
    gap = contest(trace, meter, FairScheduler(FairOptions(seats, seats + 16)), granules)
    assert gap <= bound_of_counters(trace, meter)


def test_first_come_first_served_does_not_keep_it() -> None:
    names = ("a",) * 20 + ("b",) * 20
    trace = Trace("a first", np.full(40, 20), np.full(40, 10), np.zeros(40, int), tenants=names)
    meters = [Meter({"a": 20, "b": 20}, {"a": 1.0, "b": 1.0}) for _ in range(2)]
    fair, fcfs = FairScheduler(FairOptions(3, 19)), FcfsScheduler(FcfsOptions(3, 19))
    gaps = [contest(trace, *parts, 60) for parts in zip(meters, (fair, fcfs), strict=True)]
    assert gaps[0] <= bound_of_counters(trace, meters[0]) < gaps[1] / 2


@given(drawn=contests(), seats=SEATS, granules=GRANULES, quantum=st.sampled_from([5, 60]))
def test_deficit_round_robin_keeps_its_bound(
    drawn: tuple[Trace, Meter], seats: int, granules: int, quantum: int
) -> None:
    """Visits differ by one, and a balance stays between what runs may make and a prompt's cost."""
    trace, meter = drawn
    options = FairOptions(seats, seats + 16, policy=Sharing.DRR, quantum=quantum)
    gap = contest(trace, meter, FairScheduler(options), granules)
    longest = PROMPT_PRICE * float(trace.prompt_tokens.max())
    debt = OUTPUT_PRICE * seats * float(trace.output_tokens.max())
    spread = sum((longest + debt) / weight + quantum for weight in meter.weights.values())
    assert gap <= quantum + spread


@given(trace=traces(), granules=st.integers(10, 40), policy=st.sampled_from(Sharing))
def test_who_makes_way_is_of_the_tenant_that_needs_most_for_its_weight(
    trace: Trace, granules: int, policy: Sharing
) -> None:
    tenants = (Tenant("a", 2.0), Tenant("b", 0.5))
    wanted = replace(FairOptions(6, 40), policy=policy)
    seen: list[tuple[float, float]] = []

    class Noting(Watched):
        def plan(self, batch: Batch) -> StepPlan:
            preempt = batch.preempt

            def note(sequence: Sequence, asked_by: Sequence | None = None) -> None:
                most = max(account.weighted_bytes for account in batch.accounts)
                seen.append((sequence.account.weighted_bytes, most))
                preempt(sequence, asked_by)

            batch.preempt = note  # type: ignore[method-assign]
            plan = super().plan(batch)
            batch.preempt = preempt  # type: ignore[method-assign]
            return plan

    log = run(trace, manager_of("static", granules), Noting(FairScheduler(wanted)), *tenants)
    assert len(seen) == len(log.of(EventKind.PREEMPTION)) == len(log.of(EventKind.MADE_WAY))
    assert all(own == most for own, most in seen)


COSTS = st.lists(st.tuples(st.integers(0, 3 * NS_PER_S), st.integers(1, 30)), max_size=12)


@given(gaps_and_costs=COSTS, rate=st.sampled_from([1.0, 2.5, 10.0]), burst=st.integers(1, 20))
def test_a_bucket_lets_in_as_soon_as_its_level_allows(
    gaps_and_costs: list[tuple[int, int]], rate: float, burst: int
) -> None:
    """Against the level itself, in fractions: never early, and late by a nanosecond a request."""
    assume(gaps_and_costs)
    bucket, level, level_ns, now_ns = Bucket(rate, burst), Fraction(burst), 0, 0
    per_ns = Fraction(rate) / NS_PER_S
    slack = per_ns * (len(gaps_and_costs) + 1)
    for gap_ns, cost in gaps_and_costs:
        now_ns += gap_ns
        entry_ns = bucket.ready_ns(cost, now_ns)
        bucket.take(cost, entry_ns)
        assert entry_ns >= max(now_ns, level_ns)
        before = min(Fraction(burst), level + (entry_ns - level_ns) * per_ns)
        assert before >= min(cost, burst)
        if entry_ns > max(now_ns, level_ns):
            assert before <= min(cost, burst) + slack
        level, level_ns = before - cost, entry_ns
