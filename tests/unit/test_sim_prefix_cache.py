"""Runs over managers that share prefixes: what the log says of what is kept, in both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.managers.sglang import Radix, SglangManager, SglangOptions
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.macro_steps import MacroStepEngine
from sim.metric import Slo
from sim.metrics.prefixes import Prefixes
from sim.scheduler import known_schedulers
from traces.record import Trace

if TYPE_CHECKING:
    from sim.step import StepPlan

KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 16)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 64)
SPEC = CacheSpec((KV, SSM), page_tokens=4)
RADIX = SglangManager, SglangOptions(radix=Radix.ON)
FEW_SLOTS = SglangManager, SglangOptions(radix=Radix.ON, ratio=0.05)
CACHING = VllmManager, VllmOptions(caching=Caching.ON)
NUM_TALKS, NUM_TURNS = 8, 4
STEP_NS = 1_000_000


class Counted:
    """Steps of equal length; counts the plans it is shown."""

    def __init__(self) -> None:
        self.num_plans = 0
        self._inner = ConstantExecutor(STEP_NS)

    def execute(self, plan: StepPlan) -> int:
        self.num_plans += 1
        return self._inner.execute(plan)

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        return self._inner.price_repeats(plan, repeats)


def talks() -> Trace:
    """Talks in turns: each prompt is the last one and a block more; turns do not overlap."""
    turns = [(talk, turn) for turn in range(NUM_TURNS) for talk in range(NUM_TALKS)]
    blocks = tuple(tuple(100 * talk + n for n in range(turn + 1)) for talk, turn in turns)
    prompts = np.array([8 * len(ids) for ids in blocks])
    arrival_ns = np.arange(len(turns), dtype=np.int64) * 20 * STEP_NS
    outputs = np.full(len(turns), 60)
    return Trace("talks", prompts, outputs, arrival_ns, prefixes=blocks, prefix_block_tokens=8)


def run(design: Any, granules: int, scheduler: str, engine: type[Engine]) -> tuple[EventLog, int]:  # noqa: ANN401 - a manager's class and options
    kind, options = design
    manager = kind.build(SPEC, HostBacking(granules * 128, 128), options)
    executor, policy = Counted(), known_schedulers()[scheduler]
    wiring = Wiring(manager, policy(policy.Options()), executor, num_samples=100)
    log = engine(talks(), wiring).run()
    manager.check_integrity()
    return log, executor.num_plans


@pytest.mark.parametrize("granules", [60, 2000])
@pytest.mark.parametrize("scheduler", ["fcfs", "sglang", "vllm"])
@pytest.mark.parametrize("design", [RADIX, CACHING], ids=["radix", "blocks"])
def test_both_engines_write_the_same_bytes(design: Any, scheduler: str, granules: int) -> None:  # noqa: ANN401 - as above
    exact, fast = (run(design, granules, scheduler, e)[0] for e in (Engine, MacroStepEngine))
    assert exact.to_bytes() == fast.to_bytes()
    assert len(exact.of(EventKind.COMPLETION)) == NUM_TALKS * NUM_TURNS


def test_over_a_tree_quiet_steps_are_taken_together() -> None:
    plans = [run(RADIX, 2000, "fcfs", engine)[1] for engine in (Engine, MacroStepEngine)]
    assert plans[1] * 3 < plans[0]


def test_each_turn_finds_the_one_before_while_memory_lasts() -> None:
    log, _ = run(RADIX, 2000, "sglang", Engine)
    figures = Prefixes().measure(log, Slo())
    found = NUM_TALKS * sum(8 * turn for turn in range(1, NUM_TURNS))
    assert figures["prefix_hits"]["tokens"] == found
    assert figures["prefix_hits"]["victims_tokens"] == 0
    cache = figures["prefix_cache"]
    assert cache["evicted_tokens"] == cache["evicted_states"] == cache["evicted_lone_states"] == 0
    assert 0 < cache["cached_states_pct"] < cache["cached_pct"] < 100


@pytest.mark.parametrize(
    ("design", "granules", "scheduler"),
    [(CACHING, 60, "vllm"), (FEW_SLOTS, 300, "sglang")],
    ids=["blocks", "radix"],
)
def test_pressure_shows_as_evictions(design: Any, granules: int, scheduler: str) -> None:  # noqa: ANN401 - as above
    figures = Prefixes().measure(run(design, granules, scheduler, Engine)[0], Slo())
    cache = figures["prefix_cache"]
    assert cache["evicted_tokens"] > 0
    assert cache["evicted_states"] >= cache["evicted_lone_states"] > 0


def test_what_victims_find_is_told_apart() -> None:
    """Blocks for one request or two: victims find their own again."""
    log, _ = run(CACHING, 24, "vllm", Engine)
    rows = log.table()
    entered = {(row[0], row[2]): row[4] for row in rows[rows[:, 1] == EventKind.ADMISSION].tolist()}
    hits = rows[rows[:, 1] == EventKind.PREFIX_HIT].tolist()
    assert all(row[5] == entered[row[0], row[2]] for row in hits)
    figures = Prefixes().measure(log, Slo())["prefix_hits"]
    victims = sum(row[3] for row in hits if row[5])
    assert figures["victims_tokens"] == victims
    assert 0 < victims <= figures["tokens"]


def test_what_is_cached_is_a_mean_over_time_of_the_samples() -> None:
    log, _ = run(RADIX, 60, "sglang", Engine)
    samples = log.of(EventKind.CACHE_SAMPLE)
    sizes = [pool.page_bytes for pool in log.header.pools]
    by_sample = [
        sum(row[3] * sizes[row[2]] for row in samples[start : start + 2].tolist())
        for start in range(0, len(samples), 2)
    ]
    waste = log.of(EventKind.WASTE_SAMPLE)
    assert len(by_sample) == len(waste)
    assert max(by_sample) <= log.header.budget_bytes
    cached = Prefixes().measure(log, Slo())["prefix_cache"]["cached_pct"]
    assert cached == pytest.approx(100 * np.mean(by_sample) / log.header.budget_bytes)


def test_runs_that_share_nothing_have_no_rows_of_it() -> None:
    log, _ = run((SglangManager, SglangOptions()), 200, "sglang", Engine)
    assert not len(log.of(EventKind.CACHE_SAMPLE))
    assert not len(log.of(EventKind.EVICTIONS))
    figures = Prefixes().measure(log, Slo())["prefix_cache"]
    assert set(figures.values()) == {None}
