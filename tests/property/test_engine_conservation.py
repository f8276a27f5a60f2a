"""Random small runs over every registered manager: nothing gets lost or out of order."""

import re
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import CacheManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.step import StepPlan
from sim.victims import Victim
from traces.record import Trace

GRANULE_BYTES = 256
CHECK_EVERY_STEPS = 7

LETTERS = {
    EventKind.ARRIVAL: "A",
    EventKind.REJECTION: "R",
    EventKind.ADMISSION: "M",
    EventKind.CHUNK: "C",
    EventKind.FIRST_TOKEN: "F",
    EventKind.PREEMPTION: "P",
    EventKind.OOM: "",  # between any two others
    EventKind.COMPLETION: "D",
}
LIFE = re.compile("A(R|(MC+F?P)*(MC+F?D|(MC+F?)?R))")


@dataclass
class Watch:
    """A step of 1 us and 10 ns a token; looks into the manager every few steps."""

    manager: CacheManager
    num_steps: int = 0

    def execute(self, plan: StepPlan) -> int:
        if self.num_steps % CHECK_EVERY_STEPS == 0:
            self.manager.check_integrity()
        self.num_steps += 1
        tokens = len(plan.decodes) + sum(chunk.tokens for chunk in plan.chunks)
        return 1000 + 10 * tokens


@dataclass(frozen=True)
class Case:
    """Everything of a run but the manager's design."""

    spec: CacheSpec
    num_granules: int
    granularity: Granularity
    options: FcfsOptions
    trace: Trace

    def build(self, name: str) -> CacheManager:
        """A manager with pages and moves as small as its options allow."""
        kind = known_managers()[name]
        options = kind.Options()
        wanted = {"granularity": self.granularity, "span": 1, "unit": 1, "batch": 2}
        known = {field.name for field in fields(options)}
        options = replace(options, **{key: wanted[key] for key in wanted.keys() & known})
        backing = HostBacking(self.num_granules * GRANULE_BYTES, GRANULE_BYTES)
        return kind(self.spec, backing, options)

    def run(self, manager: CacheManager, watch: Watch) -> EventLog:
        return Engine(self.trace, Wiring(manager, FcfsScheduler(self.options), watch)).run()


@st.composite
def specs(draw: st.DrawFn) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, draw(st.integers(1, 3)), 16)
    size = draw(st.sampled_from([16, 64, 200, 700]))
    ssm = CacheGroup("ssm", CacheKind.STATE, draw(st.integers(1, 4)), size)
    groups = draw(st.sampled_from([(kv, ssm), (kv,), (ssm,)]))
    return CacheSpec(groups, page_tokens=draw(st.sampled_from([1, 4, 16])))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    lengths = st.tuples(st.integers(1, 60), st.integers(1, 40), st.integers(0, 9000))
    prompts, outputs, gaps = zip(*draw(st.lists(lengths, min_size=1, max_size=14)), strict=True)
    columns = np.array(prompts), np.array(outputs)
    clients = draw(st.integers(0, 4))
    if clients:
        return Trace("closed", *columns, closed_loop_clients=clients)
    return Trace("open", *columns, np.cumsum(np.array(gaps, dtype=np.int64)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    max_seqs = draw(st.sampled_from([1, 3, 8]))
    victim = draw(st.sampled_from(Victim))
    options = FcfsOptions(max_seqs, max_seqs + draw(st.sampled_from([0, 5, 64])), victim)
    return Case(
        spec=draw(specs()),
        num_granules=draw(st.integers(8, 60)),
        granularity=draw(st.sampled_from(Granularity)),
        options=options,
        trace=draw(traces()),
    )


def rows_by_request(log: EventLog) -> dict[int, list[list[int]]]:
    rows: dict[int, list[list[int]]] = {}
    for row in log.table().tolist():
        if row[1] in LETTERS:
            rows.setdefault(row[2], []).append(row)
    return rows


def check_order(rows: list[list[int]]) -> None:
    story = "".join(LETTERS[EventKind(row[1])] for row in rows)
    assert LIFE.fullmatch(story), story
    assert story.count("F") <= 1
    assert "D" not in story or "F" in story


def check_work(rows: list[list[int]], prompt: int) -> None:
    """Chunks of each life add up; what a preemption loses is what was computed since admission."""
    target = computed = made = 0
    for _, kind, _, a, b, _ in rows:
        if kind == EventKind.ADMISSION:
            target, computed = a, 0
            assert target == prompt + made
        elif kind == EventKind.CHUNK:
            assert b == computed
            computed += a
            assert computed <= target
        elif kind == EventKind.PREEMPTION and computed < target:
            assert (a, b) == (computed, made)
        elif kind == EventKind.PREEMPTION:
            assert b > made
            assert a == target + (b - made - 1)
            made = b
        elif kind == EventKind.COMPLETION:
            assert computed == target
            assert a > made


def check_completion(rows: list[list[int]], output: int) -> None:
    kinds = [row[1] for row in rows]
    if rows[-1][1] == EventKind.COMPLETION:
        counts = [output, kinds.count(EventKind.PREEMPTION), kinds.count(EventKind.OOM)]
        assert rows[-1][3:] == counts


@pytest.mark.parametrize("name", known_managers())
@given(case=cases())
def test_every_request_lives_by_the_rules(name: str, case: Case) -> None:
    manager = case.build(name)
    log = case.run(manager, Watch(manager))
    lives = rows_by_request(log)
    assert sorted(lives) == list(range(len(case.trace)))
    for request_id, rows in lives.items():
        check_order(rows)
        check_work(rows, int(case.trace.prompt_tokens[request_id]))
        check_completion(rows, int(case.trace.output_tokens[request_id]))


@pytest.mark.parametrize("name", known_managers())
@given(case=cases())
def test_time_never_falls_and_all_memory_comes_back(name: str, case: Case) -> None:
    manager = case.build(name)
    log = case.run(manager, Watch(manager))
    assert (np.diff(log.table()[:, 0]) >= 0).all()
    manager.check_integrity()
    usage = manager.usage()
    assert usage.granted_bytes == usage.needed_bytes == 0
    assert usage.peak_granted_bytes == log.table()[-1, 3] <= usage.budget_bytes


@pytest.mark.parametrize("name", known_managers())
@given(case=cases())
def test_the_earliest_request_gains_a_token_a_step(name: str, case: Case) -> None:
    """It is first in every plan and never a victim, so steps are bounded by tokens in all."""
    manager = case.build(name)
    watch = Watch(manager)
    case.run(manager, watch)
    assert watch.num_steps <= int(case.trace.prompt_tokens.sum() + case.trace.output_tokens.sum())


@pytest.mark.parametrize("name", known_managers())
@given(case=cases())
def test_equal_runs_write_equal_bytes(name: str, case: Case) -> None:
    logs = []
    for _ in range(2):
        manager = case.build(name)
        logs.append(case.run(manager, Watch(manager)).to_bytes())
    assert logs[0] == logs[1]
