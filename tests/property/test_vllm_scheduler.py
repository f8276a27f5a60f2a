"""Random small runs under `vllm`, over every manager: nothing gets lost, and budgets hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.managers.vllm import Caching
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.vllm import Policy, Switch, VllmScheduler, VllmSchedulerOptions
from traces.record import Trace

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.step import StepPlan

GRANULE_BYTES = 256
MANAGERS = [*known_managers(), "vllm:caching"]

LETTERS = {
    EventKind.ARRIVAL: "A",
    EventKind.REJECTION: "R",
    EventKind.ADMISSION: "M",
    EventKind.PREFIX_HIT: "H",
    EventKind.CHUNK: "C",
    EventKind.FIRST_TOKEN: "F",
    EventKind.PREEMPTION: "P",
    EventKind.COMPLETION: "D",
}
LIFE = re.compile("A(R|(MH?C+F?P)*(MH?C+F?D|(MH?C+F?)?R))")


@dataclass
class Watch:
    """A step of 1 us and 10 ns a token; looks into the manager and holds the plan to the rules."""

    manager: CacheManager
    options: VllmSchedulerOptions
    num_steps: int = 0

    def execute(self, plan: StepPlan) -> int:
        if self.num_steps % 5 == 0:
            self.manager.check_integrity()
        self.num_steps += 1
        assert all(sequence.owed_tokens == 0 for sequence in plan.decodes)
        tokens = len(plan.decodes) + sum(chunk.tokens for chunk in plan.chunks)
        assert 0 < tokens <= self.options.max_num_batched_tokens
        assert len(plan.decodes) + len(plan.chunks) <= self.options.max_num_seqs
        for chunk in plan.chunks:
            assert 0 < chunk.tokens <= chunk.sequence.owed_tokens
            assert chunk.context_tokens == chunk.sequence.computed_tokens
            limit = self.options.long_prefill_token_threshold
            assert not limit or chunk.tokens <= limit
        return 1000 + 10 * tokens


@dataclass(frozen=True)
class Case:
    """Everything of a run but the manager's design."""

    spec: CacheSpec
    num_granules: int
    options: VllmSchedulerOptions
    trace: Trace

    def run(self, name: str) -> tuple[CacheManager, Watch, EventLog]:
        kind = known_managers()[name.split(":", maxsplit=1)[0]]
        wanted: dict[str, Any] = {"span": 1, "unit": 1, "batch": 2}
        if ":" in name:
            wanted["caching"] = Caching.ON
        options = kind.Options()
        known = {field.name for field in fields(options)}
        options = replace(options, **{key: wanted[key] for key in wanted.keys() & known})
        backing = HostBacking(self.num_granules * GRANULE_BYTES, GRANULE_BYTES)
        manager = kind.build(self.spec, backing, options)
        scheduler = VllmScheduler(self.options)
        assume(not scheduler.objection(manager))
        watch = Watch(manager, self.options)
        return manager, watch, Engine(self.trace, Wiring(manager, scheduler, watch)).run()


@st.composite
def specs(draw: st.DrawFn) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, draw(st.integers(1, 2)), 16)
    size = draw(st.sampled_from([16, 64, 200]))
    ssm = CacheGroup("ssm", CacheKind.STATE, draw(st.integers(1, 3)), size)
    groups = draw(st.sampled_from([(kv, ssm), (kv,), (ssm,)]))
    return CacheSpec(groups, page_tokens=draw(st.sampled_from([1, 4, 8])))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    rows = st.tuples(st.integers(1, 60), st.integers(1, 30), st.integers(0, 9000))
    prompts, outputs, gaps = zip(*draw(st.lists(rows, min_size=1, max_size=12)), strict=True)
    count = len(prompts)
    blocks = st.lists(st.integers(0, 3), max_size=6).map(tuple)
    return Trace(
        "open",
        np.array(prompts),
        np.array(outputs),
        np.cumsum(np.array(gaps, dtype=np.int64)),
        prefixes=tuple(draw(st.lists(blocks, min_size=count, max_size=count))),
        prefix_block_tokens=draw(st.sampled_from([3, 8])),
        priorities=tuple(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))),
    )


@st.composite
def schedules(draw: st.DrawFn) -> VllmSchedulerOptions:
    seqs = draw(st.sampled_from([1, 3, 8]))
    tokens = seqs + draw(st.sampled_from([0, 16, 64]))
    whole = draw(st.booleans())
    return VllmSchedulerOptions(
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        long_prefill_token_threshold=draw(st.sampled_from([0, 0, 9, 33])),
        chunked_prefill=Switch.OFF if whole else Switch.ON,
        watermark=draw(st.sampled_from([0.0, 0.1])),
        policy=draw(st.sampled_from(Policy)),
        reserve_full_prompt=draw(st.sampled_from(Switch)),
        max_model_len=draw(st.integers(1, tokens)) if whole else draw(st.sampled_from([0, 50])),
    )


CASES = st.builds(Case, specs(), st.integers(8, 60), schedules(), traces())


def rows_by_request(log: EventLog) -> dict[int, list[list[int]]]:
    rows: dict[int, list[list[int]]] = {}
    for row in log.table().tolist():
        if row[1] in LETTERS:
            rows.setdefault(row[2], []).append(row)
    return rows


def check_work(rows: list[list[int]], prompt: int) -> None:
    """Between admission and preemption, chunks follow each other up to what is owed."""
    target = computed = made = 0
    for _, kind, _, a, b, _ in rows:
        if kind == EventKind.ADMISSION:
            target, computed = prompt + made, 0
            assert 0 < a <= target
        elif kind == EventKind.PREFIX_HIT:
            computed = a
            assert 0 < a < b == target
        elif kind == EventKind.CHUNK:
            assert b == computed
            computed += a
            assert computed <= target
        elif kind == EventKind.PREEMPTION:
            assert a == computed + max(0, b - made - 1)
            made = b
        elif kind == EventKind.COMPLETION:
            assert computed == target


@pytest.mark.parametrize("name", MANAGERS)
@given(case=CASES)
def test_every_request_lives_by_the_rules(name: str, case: Case) -> None:
    _, watch, log = case.run(name)
    lives, most = rows_by_request(log), case.options.max_model_len
    assert sorted(lives) == list(range(len(case.trace)))
    for number, rows in lives.items():
        story = "".join(LETTERS[EventKind(row[1])] for row in rows)
        assert LIFE.fullmatch(story), story
        prompt, output = (
            int(case.trace.prompt_tokens[number]),
            int(case.trace.output_tokens[number]),
        )
        check_work(rows, prompt)
        if story.endswith("D"):
            assert rows[-1][3] == (min(output, most - prompt) if most else output)
    tokens = int(case.trace.prompt_tokens.sum() + case.trace.output_tokens.sum())
    assert watch.num_steps <= tokens  # somebody is never a victim, and gains a token a step


@pytest.mark.parametrize("name", MANAGERS)
@given(case=CASES)
def test_all_memory_comes_back_and_equal_runs_write_equal_bytes(name: str, case: Case) -> None:
    manager, _, log = case.run(name)
    manager.check_integrity()
    usage = manager.usage()
    assert usage.granted_bytes == usage.needed_bytes == 0
    assert usage.peak_granted_bytes == log.table()[-1, 3] <= usage.budget_bytes
    assert case.run(name)[2].to_bytes() == log.to_bytes()
