"""The golden scenario through both engines and schedulers: the same bytes."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from allocator.backing import HostBacking
from allocator.registry import known_managers
from sim.costs.roofline import RooflineExecutor
from sim.engine import Engine, Wiring
from sim.event_log import EventLog
from sim.macro_steps import MacroStepEngine
from sim.scheduler import Scheduler
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.schedulers.vllm import VllmScheduler, VllmSchedulerOptions

SCENARIO = runpy.run_path(str(Path(__file__).parent / "regenerate.py"))
SCHEDULERS = (
    FcfsScheduler(FcfsOptions(max_seqs=64, max_batched_tokens=256)),
    VllmScheduler(VllmSchedulerOptions(max_num_seqs=64, max_num_batched_tokens=256)),
)


def run(engine: type[Engine], allocator: str, granules: int, scheduler: Scheduler) -> EventLog:
    kind: Any = known_managers()[allocator]
    size = SCENARIO["GRANULE_BYTES"]
    manager = kind(SCENARIO["SPEC"], HostBacking(granules * size, size), kind.Options())
    executor = RooflineExecutor(SCENARIO["MODEL"], SCENARIO["DEVICE"])
    log = engine(SCENARIO["fixed_trace"](), Wiring(manager, scheduler, executor)).run()
    manager.check_integrity()
    return log


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler.name)
@pytest.mark.parametrize("granules", SCENARIO["BUDGETS"].values(), ids=list(SCENARIO["BUDGETS"]))
@pytest.mark.parametrize("allocator", known_managers())
def test_both_engines_write_the_same_bytes(
    allocator: str, granules: int, scheduler: Scheduler
) -> None:
    exact = run(Engine, allocator, granules, scheduler)
    fast = run(MacroStepEngine, allocator, granules, scheduler)
    assert exact.to_bytes() == fast.to_bytes()
