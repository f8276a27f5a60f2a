"""Steps a second of the engine while so many sequences decode; deselected unless asked for."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from allocator.backing import HostBacking
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.constant import ConstantExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventKind, EventLog
from sim.macro_steps import MacroStepEngine
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from traces.record import Trace

OUTPUT_TOKENS = 1000
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 4, 1024), CacheGroup("ssm", CacheKind.STATE, 24, 65_536))
)


def engine(batch: int, kind: type[Engine]) -> Engine:
    """One step for all prompts, then 999 in which every sequence decodes."""
    outputs = np.full(batch, OUTPUT_TOKENS)
    trace = Trace("batch", np.full(batch, 8), outputs, np.zeros(batch, dtype=np.int64))
    manager = AvmpManager(SPEC, HostBacking(32 << 30), AvmpOptions())
    wiring = Wiring(manager, FcfsScheduler(FcfsOptions()), ConstantExecutor(1_000_000))
    return kind(trace, wiring)


@pytest.mark.parametrize("kind", [Engine, MacroStepEngine])
@pytest.mark.parametrize("batch", [16, 64, 256, 1024])
def test_steps_a_second(benchmark: BenchmarkFixture, batch: int, kind: type[Engine]) -> None:
    log: EventLog = benchmark.pedantic(  # type: ignore[no-untyped-call]
        kind.run, setup=lambda: ((engine(batch, kind),), {}), rounds=5
    )
    assert len(log.of(EventKind.COMPLETION)) == batch
    assert log.table()[-1, 0] == OUTPUT_TOKENS * 1_000_000
    if benchmark.stats is not None:  # it is None with --benchmark-disable
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["steps_a_second"] = round(OUTPUT_TOKENS / seconds)
