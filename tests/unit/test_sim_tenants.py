"""Quotas, turns, buckets and limits, each in a run small enough to follow by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.account import Account
from sim.admission import AdmissionChain, AdmissionControl
from sim.admissions.queue_limit import QueueLimit, QueueLimitOptions
from sim.admissions.token_bucket import BucketUnit, Overflow, TokenBucket, TokenBucketOptions
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog, RejectionReason
from sim.fair_queue import DeficitQueue, Prices, VirtualTokenQueue
from sim.macro_steps import MacroStepEngine
from sim.request import Sequence
from sim.schedulers.fair import FairOptions, FairScheduler
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import VllmScheduler, VllmSchedulerOptions
from sim.tenant import Tenant, settings_of
from sim.timeline import timeline_of
from traces.record import Request, Trace

if TYPE_CHECKING:
    from sim.scheduler import Scheduler

TOKEN_BYTES = 128
SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),))
STEP_NS = 10
S = 10**9
FCFS = FcfsScheduler(FcfsOptions())
ENGINES = pytest.mark.parametrize("engine", [Engine, MacroStepEngine])


def trace_of(tenants: str, *, prompt: int = 4, output: int = 2, times_ns: Any = 0) -> Trace:  # noqa: ANN401 - a number or several
    """Requests of tenants of one letter each."""
    count = len(tenants)
    arrival_ns = np.broadcast_to(np.asarray(times_ns, dtype=np.int64), (count,)).copy()
    lengths = np.full(count, prompt), np.full(count, output)
    return Trace("tenants", *lengths, arrival_ns, tenants=tuple(tenants))


def run(
    trace: Trace,
    *tenants: Tenant,
    scheduler: Scheduler = FCFS,
    controls: tuple[AdmissionControl, ...] = (),
    room_tokens: int = 1000,
    engine: type[Engine] = Engine,
) -> EventLog:
    budget_bytes = room_tokens * TOKEN_BYTES
    manager = SharedBytesManager(SPEC, HostBacking(budget_bytes, TOKEN_BYTES), SharedBytesOptions())
    chain = AdmissionChain(controls)
    wiring = Wiring(manager, scheduler, ConstantExecutor(STEP_NS), control=chain, tenants=tenants)
    return engine(trace, wiring).run()


def admitted(log: EventLog) -> list[tuple[int, int]]:
    """(time, request) of each admission."""
    return [(row[0], row[2]) for row in log.of(EventKind.ADMISSION).tolist()]


def refused(log: EventLog) -> dict[int, RejectionReason]:
    return {row[2]: RejectionReason(row[3]) for row in log.of(EventKind.REJECTION).tolist()}


def test_the_log_names_tenants_by_number_and_header() -> None:
    log = run(trace_of("baab"), Tenant("a", 3.0))
    assert [(tenant.name, tenant.weight) for tenant in log.header.tenants] == [("b", 1), ("a", 3)]
    assert log.of(EventKind.ARRIVAL)[:, 5].tolist() == [0, 1, 1, 0]
    assert b"tenants" in log.to_bytes()
    assert b"tenants" not in run(replace(trace_of("bb"), tenants=())).to_bytes()


@pytest.mark.parametrize("scheduler", [FCFS, VllmScheduler(VllmSchedulerOptions())])
def test_who_is_at_its_quota_is_passed_over_and_comes_when_one_of_its_own_ends(
    scheduler: Scheduler,
) -> None:
    log = run(trace_of("aaabb"), Tenant("a", max_seqs=1), scheduler=scheduler)
    assert admitted(log) == [(0, 0), (0, 3), (0, 4), (2 * STEP_NS, 1), (4 * STEP_NS, 2)]


def test_a_share_of_memory_is_counted_in_tokens_when_somebody_is_to_enter() -> None:
    """Five prompts of 10 tokens are half of the memory; what they make does not throw them out."""
    trace = trace_of("aaaaaaa", prompt=10, output=3)
    log = run(trace, Tenant("*", memory_share=0.5), room_tokens=100)
    assert [time for time, _ in admitted(log)] == [0] * 5 + [3 * STEP_NS] * 2
    assert len(log.of(EventKind.OOM)) == 0


def test_what_a_tenant_may_never_hold_is_refused_at_once() -> None:
    trace = trace_of("ab", prompt=40, output=20)
    log = run(trace, Tenant("a", memory_share=0.5), room_tokens=100)
    assert refused(log) == {0: RejectionReason.OVER_QUOTA}


def test_the_least_served_for_its_weight_enters_first() -> None:
    scheduler = FairScheduler(FairOptions(max_seqs=1, output_price=0))
    log = run(trace_of("aaaabbbb", output=1), Tenant("b", 2.0), scheduler=scheduler)
    assert "".join("aaaabbbb"[request] for _, request in admitted(log)) == "abbabbaa"


def test_who_comes_back_from_idle_brings_no_claim() -> None:
    """Tenant a had eight turns alone; b is lifted to its counter and they take turns from then."""
    times_ns = [0] * 16 + [8 * STEP_NS - 5] * 4
    trace = trace_of("a" * 16 + "b" * 4, output=1, times_ns=times_ns)
    log = run(trace, scheduler=FairScheduler(FairOptions(max_seqs=1)))
    order = "".join(trace.tenants[request] for _, request in admitted(log))
    assert order[:8] == "a" * 8
    assert sorted(order[8:10]) == sorted(order[10:12]) == sorted(order[12:14]) == ["a", "b"]


def test_a_counter_is_service_over_weight() -> None:
    queue = VirtualTokenQueue(Prices(prompt=1.0, output=2.0))
    account = Account(Tenant("a", weight=4.0))
    sequence = Sequence(Request(0, 0, 100, 9), account)
    account.present = 1
    assert queue.join(sequence)
    assert queue.leave() is sequence
    account.admit(sequence)
    sequence.make_token()
    assert queue.counter(account) == (100 + 2) / 4
    account.check_integrity([sequence])


def test_who_comes_back_keeps_debts_and_no_balance() -> None:
    """Of a grant of 100 tokens prompts are paid; each time a comes back it has to be granted more.

    A prompt of one token is no exception, and 150 tokens made are a debt.
    """
    queue = DeficitQueue(Prices(prompt=1.0, output=1.0), quantum=100)
    account = Account(Tenant("a"))

    def serve(prompt_tokens: int) -> None:
        sequence = Sequence(Request(0, 0, prompt_tokens, 200), account)
        account.present += 1
        queue.join(sequence)
        account.admit(queue.leave())
        assert not queue  # nobody waits, so a is active no more

    serve(1)
    assert queue.balance(account) == 99
    serve(30)
    assert queue.balance(account) == 70
    serve(20)
    assert queue.balance(account) == 80  # granted 100 anew, of which 20 are paid
    for _ in range(150):
        account.make_token()
    assert queue.balance(account) == -70
    serve(10)
    assert queue.balance(account) == 20  # the debt stayed: 100 more, less 10


def test_who_makes_way_for_whom_is_in_the_log() -> None:
    trace = trace_of("ab", prompt=8, output=9)
    log = run(trace, room_tokens=20)
    assert log.of(EventKind.PREEMPTION)[:, 2].tolist() == [1]
    assert log.of(EventKind.MADE_WAY)[:, 2:4].tolist() == [[1, 0]]
    assert len(run(replace(trace, tenants=()), room_tokens=20).of(EventKind.MADE_WAY)) == 0


@ENGINES
def test_a_bucket_lets_in_at_the_nanosecond_and_latency_counts_from_arrival(
    engine: type[Engine],
) -> None:
    """Ten tokens at first and three a second: each later request of six waits two seconds."""
    bucket = TokenBucket(TokenBucketOptions(rate=3.0, burst=10.0))
    log = run(trace_of("aab", times_ns=[0, 7, 7]), controls=(bucket,), engine=engine)
    late_ns = -(-2 * S // 3)  # four of ten are left, and two more flow in
    assert log.of(EventKind.ARRIVAL)[:, 0].tolist() == [0, 7, 7]
    assert admitted(log) == [(0, 0), (10, 2), (late_ns, 1)]
    assert timeline_of(log).ttft_s()[1] == pytest.approx((late_ns + STEP_NS - 7) / 1e9)


def test_a_bucket_of_requests_may_refuse_and_tenants_may_have_rates_of_their_own() -> None:
    options = TokenBucketOptions(unit=BucketUnit.REQUESTS, overflow=Overflow.REJECT)
    times_ns = [0, 0, 0, S // 2, S // 2]
    trace = trace_of("aabaa", times_ns=times_ns)
    log = run(trace, Tenant("a", rate=2.0, burst=1.0), controls=(TokenBucket(options),))
    throttled = RejectionReason.THROTTLED
    assert refused(log) == {1: throttled, 4: throttled}


@pytest.mark.parametrize("overflow", Overflow)
def test_a_bucket_without_a_rate_holds_nobody(overflow: Overflow) -> None:
    bucket = TokenBucket(TokenBucketOptions(overflow=overflow))
    log = run(trace_of("aab", prompt=300), controls=(bucket,))
    assert (admitted(log), refused(log)) == ([(0, 0), (0, 1), (0, 2)], {})


def test_a_bucket_holds_a_second_of_refill_unless_it_is_told() -> None:
    bucket = TokenBucket(TokenBucketOptions(rate=12.0))
    log = run(trace_of("aaa"), controls=(bucket,))
    assert admitted(log) == [(0, 0), (0, 1), (S // 2, 2)]


def test_more_than_a_bucket_holds_goes_when_it_is_full_and_leaves_a_debt() -> None:
    bucket = TokenBucket(TokenBucketOptions(rate=2.0, burst=4.0))
    log = run(trace_of("aa", prompt=6, output=2), controls=(bucket,))
    assert admitted(log) == [(0, 0), (4 * S, 1)]


@pytest.mark.parametrize(
    ("options", "tenants", "turned_away"),
    [
        (QueueLimitOptions(max_waiting=2), (), {3, 4, 5}),
        (QueueLimitOptions(0, per_tenant=1), (), {2, 3}),
        (QueueLimitOptions(0, per_tenant=1), (Tenant("a", max_waiting=2),), {3}),
    ],
)
def test_who_finds_too_many_waiting_is_turned_away(
    options: QueueLimitOptions, tenants: tuple[Tenant, ...], turned_away: set[int]
) -> None:
    """One runs when the others come, one after the other."""
    trace = trace_of("aaaabb"[:6] if options.max_waiting else "aaaab", times_ns=0)
    times_ns = [0, *(1,) * (len(trace) - 1)]
    trace = replace(trace, arrival_ns=np.array(times_ns))
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=1))
    log = run(trace, *tenants, scheduler=scheduler, controls=(QueueLimit(options),))
    assert refused(log) == dict.fromkeys(turned_away, RejectionReason.QUEUE_FULL)


def test_who_is_refused_takes_nothing_from_the_bucket() -> None:
    """The second is turned away, so the third finds what it would have taken."""
    limit = QueueLimit(QueueLimitOptions(max_waiting=1))
    bucket = TokenBucket(TokenBucketOptions(unit=BucketUnit.REQUESTS, rate=1.0, burst=3.0))
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=1))
    trace = trace_of("aaaa", times_ns=[0, 1, 2, 25])
    log = run(trace, scheduler=scheduler, controls=(bucket, limit))
    assert refused(log) == {2: RejectionReason.QUEUE_FULL}
    assert admitted(log) == [(0, 0), (20, 1), (40, 3)]


def test_a_chain_of_controls_waits_for_the_longest() -> None:
    buckets = [TokenBucket(TokenBucketOptions(rate=rate, burst=6.0)) for rate in (6.0, 2.0)]
    assert admitted(run(trace_of("aa"), controls=tuple(buckets))) == [(0, 0), (3 * S, 1)]


def test_settings_are_a_tenants_own_or_those_of_others() -> None:
    known = (Tenant("a", 2.0), Tenant("*", 3.0))
    assert settings_of("a", known) == Tenant("a", 2.0)
    assert settings_of("b", known) == Tenant("b", 3.0)
    assert settings_of("b", known[:1]) == Tenant("b")


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"weight": 0.0},
        {"weight": float("inf")},
        {"memory_share": 0.0},
        {"memory_share": 1.1},
        {"max_seqs": -1},
        {"rate": -1.0},
        {"burst": float("nan")},
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        Tenant(**values)


def test_impossible_options_are_refused() -> None:
    for bad in ({"quantum": 0}, {"prompt_price": -1.0}, {"prompt_price": 0.0, "output_price": 0.0}):
        with pytest.raises(ValueError, match="must"):
            FairOptions(**bad)
    with pytest.raises(ValueError, match="rate"):
        TokenBucketOptions(rate=-1.0)
    with pytest.raises(ValueError, match="no limit"):
        QueueLimitOptions(max_waiting=-1)
