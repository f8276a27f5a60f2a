"""Random small runs under `sglang`, over every manager: nothing gets lost, prompts never mix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.schedulers.sglang import SglangScheduler, SglangSchedulerOptions
from traces.record import Trace

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.step import StepPlan

KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 16)
SSM = CacheGroup("ssm", CacheKind.STATE, 2, 100)
LETTERS = {
    EventKind.ARRIVAL: "A",
    EventKind.REJECTION: "R",
    EventKind.ADMISSION: "M",
    EventKind.CHUNK: "C",
    EventKind.FIRST_TOKEN: "F",
    EventKind.PREEMPTION: "P",
    EventKind.COMPLETION: "D",
}
LIFE = re.compile("A(R|(MC+F?P)*(MC+F?D|MC+F?R|R))")
ROWS = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 40), st.integers(0, 9000)),
    min_size=1,
    max_size=12,
)


@dataclass
class Watch:
    """A step of 1 us and 10 ns a token; looks into the manager, and at what a step mixes."""

    manager: CacheManager
    options: SglangSchedulerOptions

    def execute(self, plan: StepPlan) -> int:
        self.manager.check_integrity()
        prompt_tokens = sum(chunk.tokens for chunk in plan.chunks)
        assert not (plan.decodes and plan.chunks)
        assert prompt_tokens <= self.options.chunked_prefill_size
        cut = [c for c in plan.chunks if c.context_tokens + c.tokens < c.sequence.target_tokens]
        assert len(cut) <= 1
        return 1000 + 10 * (len(plan.decodes) + prompt_tokens)


def run(
    name: str, spec: CacheSpec, num_granules: int, options: SglangSchedulerOptions, trace: Trace
) -> tuple[CacheManager, EventLog]:
    kind = known_managers()[name]
    manager = kind.build(spec, HostBacking(num_granules * 256, 256), kind.Options())
    wiring = Wiring(manager, SglangScheduler(options), Watch(manager, options))
    return manager, Engine(trace, wiring).run()


@pytest.mark.parametrize("name", known_managers())
@given(
    rows=ROWS,
    groups=st.sampled_from([(KV, SSM), (KV,), (SSM,)]),
    num_granules=st.integers(8, 60),
    options=st.builds(
        SglangSchedulerOptions,
        st.sampled_from([2, 64]),
        st.sampled_from([8, 64]),
        st.sampled_from([16, 64]),
        st.sampled_from([0.01, 1.0]),
    ),
)
def test_every_request_lives_by_the_rules(
    name: str,
    rows: list[tuple[int, int, int]],
    groups: tuple[CacheGroup, ...],
    num_granules: int,
    options: SglangSchedulerOptions,
) -> None:
    prompts, outputs, gaps = (
        np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)
    )
    trace = Trace("open", prompts, outputs, np.cumsum(gaps))
    spec = CacheSpec(groups, page_tokens=4)
    manager, log = run(name, spec, num_granules, options, trace)
    stories = dict.fromkeys(range(len(trace)), "")
    for row in log.table().tolist():
        stories[row[2]] = stories.get(row[2], "") + LETTERS.get(EventKind(row[1]), "")
    for number in range(len(trace)):
        assert LIFE.fullmatch(stories[number]), stories[number]
    completed = log.of(EventKind.COMPLETION)
    assert completed[:, 3].tolist() == trace.output_tokens[completed[:, 2]].tolist()
    assert manager.usage().granted_bytes == 0
    assert run(name, spec, num_granules, options, trace)[1].to_bytes() == log.to_bytes()
