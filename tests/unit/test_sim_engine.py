"""Arrivals, the order of one instant, samples and progress; steps take 10 ns."""

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np
import pytest
import simpy

from allocator.backing import HostBacking
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.clock import SAMPLE_PRIORITY, STEP_END_PRIORITY, Later, Timeline
from sim.costs.constant import ConstantExecutor
from sim.engine import SAMPLES_PER_INTERVAL, Engine, Wiring, sample_interval_ns
from sim.event_log import EventKind, EventLog
from sim.macro_steps import MacroStepEngine
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.step import StepPlan
from traces.record import Trace

STEP_NS = 10
TOKEN_BYTES = 128
SPEC = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES),))


def open_trace(*arrivals_ns: int, prompt: int = 4, output: int = 1) -> Trace:
    n = len(arrivals_ns)
    lengths = np.full(n, prompt), np.full(n, output)
    return Trace("open", *lengths, arrival_ns=np.array(arrivals_ns, dtype=np.int64))


def closed_trace(clients: int, prompts: list[int]) -> Trace:
    columns = np.array(prompts), np.ones(len(prompts), dtype=np.int64)
    return Trace("closed", *columns, closed_loop_clients=clients)


def wiring(room_tokens: int = 100, options: FcfsOptions | None = None) -> Wiring:
    backing = HostBacking(room_tokens * TOKEN_BYTES, TOKEN_BYTES)
    manager = SharedBytesManager(SPEC, backing, SharedBytesOptions())
    return Wiring(manager, FcfsScheduler(options or FcfsOptions()), ConstantExecutor(STEP_NS))


def run(trace: Trace, on_progress: Callable[[int], None] | None = None) -> EventLog:
    return Engine(trace, wiring(), on_progress).run()


def times(log: EventLog, kind: EventKind) -> list[int]:
    column: list[int] = log.of(kind)[:, 0].tolist()
    return column


def test_requests_of_one_instant_enter_together() -> None:
    log = run(open_trace(5, 5, 5))
    assert times(log, EventKind.ADMISSION) == [5, 5, 5]
    assert log.table()[:3, 1].tolist() == [EventKind.ARRIVAL] * 3


def test_an_idle_engine_starts_at_the_arrival() -> None:
    log = run(open_trace(3, 1000))
    assert times(log, EventKind.ADMISSION) == [3, 1000]
    assert times(log, EventKind.COMPLETION) == [13, 1010]


def test_an_arrival_during_a_step_waits_for_its_end() -> None:
    assert times(run(open_trace(0, 1)), EventKind.ADMISSION) == [0, 10]


def test_an_arrival_at_the_end_of_a_step_is_seen_by_the_next_plan() -> None:
    log = run(open_trace(0, 10, prompt=4, output=2))
    assert times(log, EventKind.ADMISSION) == [0, 10]
    at_ten = log.table()[log.table()[:, 0] == 10][:, 1].tolist()
    kinds = [EventKind.ARRIVAL, EventKind.FIRST_TOKEN, EventKind.ADMISSION, EventKind.CHUNK]
    assert at_ten == kinds


def test_a_trace_without_times_arrives_at_once() -> None:
    trace = Trace("lengths", np.array([4, 4]), np.array([1, 1]))
    assert times(run(trace), EventKind.ARRIVAL) == [0, 0]


def in_flight(log: EventLog) -> list[int]:
    """Requests in the system after each instant."""
    deltas = {EventKind.ARRIVAL: 1, EventKind.COMPLETION: -1, EventKind.REJECTION: -1}
    count, last, counts = 0, 0, []
    for time_ns, kind in log.table()[:, :2].tolist():
        if time_ns != last:
            counts.append(count)
            last = time_ns
        count += deltas.get(EventKind(kind), 0)
    return counts


def test_a_closed_loop_keeps_its_clients_busy() -> None:
    log = run(closed_trace(3, [4] * 10))
    assert times(log, EventKind.ARRIVAL) == [0, 0, 0, 10, 10, 10, 20, 20, 20, 30]
    assert in_flight(log) == [3, 3, 3, 1]


def test_a_client_whose_request_is_refused_sends_the_next() -> None:
    log = run(closed_trace(1, [4, 500, 500, 4]))
    assert times(log, EventKind.ARRIVAL) == [0, 10, 10, 10]
    assert times(log, EventKind.REJECTION) == [10, 10]
    assert times(log, EventKind.COMPLETION) == [10, 20]


def test_clients_whose_first_requests_are_refused_go_on() -> None:
    log = run(closed_trace(2, [500, 500, 4, 4]))
    assert times(log, EventKind.ARRIVAL) == [0, 0, 0, 0]
    assert times(log, EventKind.COMPLETION) == [10, 10]


def test_more_clients_than_requests_send_each_once() -> None:
    assert times(run(closed_trace(9, [4, 4])), EventKind.ARRIVAL) == [0, 0]


def test_a_trace_of_refused_requests_ends() -> None:
    log = run(open_trace(5, 7, prompt=500))
    assert times(log, EventKind.REJECTION) == [5, 7]
    assert times(log, EventKind.END) == [7]


@pytest.mark.parametrize("arrivals_ns", [(0, 0), (0, 5), (7, 7, 9)])
def test_a_trace_that_is_refused_as_it_arrives_ends_in_both_engines(
    arrivals_ns: tuple[int, ...],
) -> None:
    trace = open_trace(*arrivals_ns, prompt=1000)
    exact, fast = Engine(trace, wiring()).run(), MacroStepEngine(trace, wiring()).run()
    assert times(fast, EventKind.REJECTION) == list(arrivals_ns)
    assert times(fast, EventKind.END) == [arrivals_ns[-1]]
    assert fast.sha256() == exact.sha256()


def test_progress_counts_requests_that_ended() -> None:
    seen: list[int] = []
    run(open_trace(0, 0, 50), seen.append)
    assert seen == [2, 3]


def test_priorities_order_an_instant() -> None:
    env, order = simpy.Environment(), []

    def wait(event: simpy.Event, name: str) -> Generator[simpy.Event, None, None]:
        yield event
        order.append(name)

    env.process(wait(Later(env, 5, SAMPLE_PRIORITY), "sample"))
    env.process(wait(Later(env, 5, STEP_END_PRIORITY), "step end"))
    env.process(wait(env.timeout(5), "arrival"))
    env.run()
    assert order == ["arrival", "step end", "sample"]


@pytest.mark.parametrize(
    ("span_ns", "interval_ns"),
    [
        (1, 10**6),
        (2000 * 10**6, 10**6),
        (2000 * 10**6 + 1, 2 * 10**6),
        (4000 * 10**6 + 1, 5 * 10**6),
        (10_000 * 10**6 + 1, 10**7),
        (3600 * 10**9, 2 * 10**9),
    ],
)
def test_the_sample_interval_is_the_shortest_of_1_2_5_that_takes_2000(
    span_ns: int, interval_ns: int
) -> None:
    assert sample_interval_ns(open_trace(0, span_ns)) == interval_ns


def test_traces_without_a_span_of_arrivals_are_sampled_each_second() -> None:
    assert sample_interval_ns(closed_trace(2, [4, 4])) == 10**9
    assert sample_interval_ns(open_trace(0, 0, 0)) == 10**9


def test_a_late_start_is_not_sampled_to_death() -> None:
    year_ns = 365 * 86400 * 10**9
    log = run(open_trace(year_ns, year_ns + 5))
    assert len(log.of(EventKind.QUEUE_SAMPLE)) <= 2000


def test_samples_stand_on_a_grid_and_see_all_decisions_of_their_instant() -> None:
    step_ns = 10**6
    parts = wiring()
    trace = open_trace(0, 0, prompt=3, output=4)
    trace = Trace("x", trace.prompt_tokens, trace.output_tokens, np.array([0, step_ns]))
    log = Engine(trace, Wiring(parts.manager, parts.scheduler, ConstantExecutor(step_ns))).run()
    samples = log.of(EventKind.QUEUE_SAMPLE)
    assert samples[:, 0].tolist() == [step_ns, 2 * step_ns, 3 * step_ns, 4 * step_ns]
    assert samples[:, 3:5].tolist() == [[2, 0], [2, 0], [2, 0], [1, 0]]
    assert samples[:, 5].tolist() == [tokens * TOKEN_BYTES for tokens in (4 + 3, 5 + 4, 6 + 5, 6)]


def test_the_end_has_peak_and_footprint() -> None:
    log = run(open_trace(0, prompt=4, output=3))
    end = log.table()[-1].tolist()
    assert end == [30, EventKind.END, -1, 6 * TOKEN_BYTES, 100 * TOKEN_BYTES, 0]


class IdleScheduler(FcfsScheduler):
    """Never runs anybody."""

    def plan(self, batch: Batch) -> StepPlan:
        del batch
        return StepPlan()


def test_a_scheduler_that_leaves_requests_waiting_for_ever_is_reported() -> None:
    parts = wiring()
    idle = Wiring(parts.manager, IdleScheduler(FcfsOptions()), parts.executor)
    with pytest.raises(RuntimeError, match="2 requests have not ended"):
        Engine(open_trace(0, 5), idle).run()


def test_a_long_drain_is_sampled_ever_more_rarely() -> None:
    """Arrivals a nanosecond apart are sampled each millisecond; the work takes 2,000 seconds."""
    slow = replace(wiring(), executor=ConstantExecutor(1000 * 10**9))
    log = Engine(open_trace(0, 1), slow).run()
    sampled_ns = np.array(times(log, EventKind.QUEUE_SAMPLE))
    gaps = np.diff(sampled_ns)
    assert gaps[0] == 10**6
    assert (gaps[1:] >= gaps[:-1]).all()
    assert gaps[SAMPLES_PER_INTERVAL - 1] == 2 * gaps[0]
    assert len(sampled_ns) < SAMPLES_PER_INTERVAL * np.log2(sampled_ns[-1] / sampled_ns[0])


def test_an_instant_is_the_present_only_if_nothing_happens_until_then() -> None:
    timeline = Timeline()
    timeline.timeout(10)
    assert timeline.advance(9)
    assert timeline.now == 9
    assert not timeline.advance(10)
    assert timeline.now == 9


def test_requests_that_only_join_a_queue_are_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps end between arrivals, and the queue grows: only samples and the start are events."""
    trace, num_events = open_trace(*range(0, 1500, 3)), 0

    def step(timeline: Timeline) -> None:
        nonlocal num_events
        num_events += 1
        simpy.Environment.step(timeline)

    monkeypatch.setattr(Timeline, "step", step)
    counts, logs = [], []
    for kind in (Engine, MacroStepEngine):
        num_events = 0
        logs.append(kind(trace, replace(wiring(20), num_samples=3)).run().to_bytes())
        counts.append(num_events)
    assert logs[0] == logs[1]
    assert counts[0] > 500
    assert counts[1] < 20
