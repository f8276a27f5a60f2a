"""Several replicas: nothing gets lost between them, and each is as if it were alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocator.registry import known_managers
from sim.engine import Engine, Fleet
from sim.event_log import NO_SUBJECT, EventKind, EventLog
from sim.macro_steps import MacroStepEngine
from sim.metric import Slo, measure
from sim.replica_log import as_one, logs_by_replica
from sim.router import Router, known_routers
from sim.routers.least_loaded import LeastLoaded, LeastLoadedOptions
from sim.routers.round_robin import RoundRobin, RoundRobinOptions
from tests.property.engine_cases import STEP_NS, Case, cases
from traces.record import Trace

ENDS = (EventKind.COMPLETION, EventKind.REJECTION)
SAMPLES = (
    EventKind.QUEUE_SAMPLE,
    EventKind.WASTE_SAMPLE,
    EventKind.POOL_SAMPLE,
    EventKind.CACHE_SAMPLE,
)
LAST = (EventKind.EVICTIONS, EventKind.END)


def run(case: Case, replicas: int, router: Router) -> EventLog:
    wirings = tuple(case.wire() for _ in range(replicas))
    log = MacroStepEngine(case.trace, Fleet(wirings, router)).run()
    for wiring in wirings:
        wiring.manager.check_integrity()
        assert wiring.manager.usage().granted_bytes == 0
    return log


@pytest.mark.parametrize("router", known_routers().values(), ids=list(known_routers()))
@given(data=st.data(), replicas=st.integers(2, 4))
def test_every_request_is_routed_once_and_ends_once_where_it_was_sent(
    router: type[Router], data: st.DataObject, replicas: int
) -> None:
    case = data.draw(cases(data.draw(st.sampled_from(list(known_managers())))))
    log = run(case, replicas, router(router.Options()))
    everybody = list(range(len(case.trace)))
    sent = dict(log.of(EventKind.ROUTED)[:, 2:4].tolist())
    assert sorted(sent) == everybody
    assert sorted(log.of(EventKind.ROUTED)[:, 2].tolist()) == everybody
    own_logs = logs_by_replica(log)
    for number, own in enumerate(own_logs):
        arrived = own.of(EventKind.ARRIVAL)[:, 2].tolist()
        assert arrived == [request for request, there in sent.items() if there == number]
        ended = np.concatenate([own.of(kind)[:, 2] for kind in ENDS])
        assert sorted(ended.tolist()) == sorted(arrived)
    assert len(log) == len(case.trace) + sum(map(len, own_logs))


@given(data=st.data(), replicas=st.integers(2, 4))
def test_totals_are_sums_over_the_replicas(data: st.DataObject, replicas: int) -> None:
    case = data.draw(cases(data.draw(st.sampled_from(["avmp", "static", "vllm"]))))
    log = run(case, replicas, RoundRobin(RoundRobinOptions()))
    whole, parts = as_one(log), logs_by_replica(log)
    assert whole.header.budget_bytes == sum(part.header.budget_bytes for part in parts)
    assert all(part.header.pools == whole.header.pools for part in parts)
    for kind in (*SAMPLES, *LAST):
        per_replica = [part.of(kind) for part in parts]
        assert whole.of(kind)[:, :3].tolist() == per_replica[0][:, :3].tolist()
        assert whole.of(kind)[:, 3:].tolist() == sum(p[:, 3:] for p in per_replica).tolist()  # type: ignore[union-attr]
    others = (k for k in EventKind if k not in (*SAMPLES, *LAST, EventKind.ROUTED))
    for kind in others:
        rows = Counter(tuple(row) for part in parts for row in part.of(kind).tolist())
        assert Counter(map(tuple, whole.of(kind).tolist())) == rows
    figures = measure(log, Slo())
    for name in ("completed", "rejected", "preemptions", "oom_events", "peak_bytes"):
        assert figures[name] == sum(replica[name] for replica in figures["replicas"])


@st.composite
def dealt_traces(draw: st.DrawFn, replicas: int) -> Trace:
    """Traces whose every n-th requests span the same time, so that all are sampled alike."""
    gaps = st.one_of(
        st.integers(0, 12).map(lambda steps: steps * STEP_NS), st.integers(0, 5_000_000)
    )
    rows = draw(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60), gaps), max_size=14))
    middle_ns = np.cumsum([gap for _, _, gap in rows], dtype=np.int64)
    last_ns = (middle_ns[-1] if rows else 0) + STEP_NS
    edges = [(9, 20)] * replicas
    lengths = np.array([*edges, *(row[:2] for row in rows), *edges])
    arrival_ns = np.concatenate([[0] * replicas, middle_ns, [last_ns] * replicas])
    return Trace("dealt", lengths[:, 0], lengths[:, 1], arrival_ns.astype(np.int64))


def alone(trace: Trace, number: int, replicas: int) -> Trace:
    """What round robin deals to one replica."""
    mine = slice(number, None, replicas)
    assert trace.arrival_ns is not None
    columns = trace.prompt_tokens[mine], trace.output_tokens[mine], trace.arrival_ns[mine]
    return Trace("alone", *columns)


def rows_until_end(log: EventLog, end_ns: int, first: int, every: int) -> list[list[int]]:
    """Rows but for the end, requests numbered as in the trace, samples only before the end."""
    rows = []
    for row in log.table().tolist():
        kind = row[1]
        if kind in LAST or (kind in SAMPLES and row[0] >= end_ns):
            continue
        if kind not in SAMPLES and row[2] != NO_SUBJECT:
            row[2] = first + every * row[2]
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", known_managers())
@pytest.mark.parametrize("engine", [Engine, MacroStepEngine])
@settings(max_examples=12)
@given(data=st.data())
def test_a_replica_behind_round_robin_does_what_it_would_do_alone(
    name: str, engine: type[Engine], data: st.DataObject
) -> None:
    """Until its own last request ends; behind that its samples show it empty."""
    case = data.draw(cases(name))
    assume(case.new_scheduler().name != "sjf-predicted")  # it predicts by number of request
    replicas = data.draw(st.integers(2, 3))
    case = replace(case, trace=data.draw(dealt_traces(replicas)))
    wirings = tuple(case.wire() for _ in range(replicas))
    log = engine(case.trace, Fleet(wirings, RoundRobin(RoundRobinOptions()))).run()
    for number, mine in enumerate(logs_by_replica(log)):
        theirs = engine(alone(case.trace, number, replicas), case.wire()).run()
        end_ns = int(theirs.of(EventKind.END)[0, 0])
        expected = rows_until_end(theirs, end_ns, number, replicas)
        assert rows_until_end(mine, end_ns, 0, 1) == expected
        assert mine.of(EventKind.END)[0, 3] == theirs.of(EventKind.END)[0, 3]
        after = mine.of(EventKind.QUEUE_SAMPLE)
        assert not after[after[:, 0] > end_ns, 3:].any()


@given(data=st.data(), replicas=st.integers(2, 4))
def test_least_loaded_sends_to_the_replica_with_the_fewest_in_flight(
    data: st.DataObject, replicas: int
) -> None:
    case = data.draw(cases("avmp"))
    log = run(case, replicas, LeastLoaded(LeastLoadedOptions()))
    in_flight, sent = [0] * replicas, {}
    for _, kind, subject, number, *_ in log.table().tolist():
        if kind == EventKind.ROUTED:
            assert number == in_flight.index(min(in_flight))
            sent[subject] = number
            in_flight[number] += 1
        elif kind in ENDS:
            in_flight[sent[subject]] -= 1
