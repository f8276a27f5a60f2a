"""Small pages of every kind that Twinpool writes, one builder a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.capacity.answer import to_json
from scenarios.capacity.page import capacity_html
from scenarios.capacity.run import CapacityAsk, capacity
from scenarios.compare.comparison import CompareOptions, compare
from scenarios.compare.folder import write_comparison
from scenarios.compare.occupancy import OccupancyInput
from scenarios.folder_comparison.page import comparison_page
from scenarios.machine import MachineOptions
from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.folder import REPORT as PLAN
from scenarios.plan.folder import write_plan
from scenarios.plan.plan import plan
from scenarios.plan.rounds import Runs
from scenarios.replay import Scenario, replay
from scenarios.reproduce.page import report_html as reproduce_html
from scenarios.result_folder import ResultFolder
from scenarios.sweep import REPORT as SWEEP
from scenarios.sweep import SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.terminal import show_replay
from tests.unit.compare_case import Writing, log_of, save, served
from tests.unit.reproduce_case import cells, found_in
from traces.load import TraceOptions, load_trace
from traces.loads import Traffic

if TYPE_CHECKING:
    from pathlib import Path

GRID = """
[sweep]
summary = "small"
models = ["nemotron-h-8b"]
device = "h200"
loads = [0.5, 2]
seeds = 1
allocators = ["shared-bytes", "static"]

[memory]
sequences = 8
reference_tokens = 512

[mixes.chat]
trace = "azure-like:n=12"
"""


class Silent:
    """Watches nothing."""

    def starts(self, stage: str, total: int | None) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Pieces have ended."""


def plan_page(folder: Path) -> Path:
    """A plan of two allocators and a split more."""
    ask = PlanAsk(
        "nemotron-h-8b",
        ("h200",),
        ("static", "shared-bytes"),
        "ttft_p90=2s,tpot_p90=50ms",
        machine=MachineOptions(memory_gib=1.0),
        ratios=(0.7,),
        accuracy=Accuracy(seeds=2, tolerance=0.3, requests_per_run=60),
    )
    traffic = Traffic.of(load_trace("azure-like:n=60,rate=1", TraceOptions()))
    write_plan(plan(ask, traffic, Runs(None, 1, Silent())), folder)
    return folder / PLAN


def sweep_page(folder: Path) -> Path:
    """A sweep of four cells."""
    (folder / "small.toml").write_text(GRID)
    sweep(load_sweep(str(folder / "small.toml")), SweepOptions(folder), Silent())
    return folder / SWEEP


def replay_page(folder: Path, rate: int = 9) -> Path:
    """A replay of one trace under one allocator that moves capacity."""
    scenario = Scenario("nemotron-h-8b", "h200", ("avmp",), machine=MachineOptions(memory_gib=0.5))
    result = replay(scenario, load_trace(f"azure-like:n=60,rate={rate}", TraceOptions()), folder)
    show_replay(result, folder, as_json=True)
    return folder / "report.html"


def comparison_of_replays(folder: Path) -> Path:
    """Two replays side by side, at loads that memory can serve and cannot."""
    names = ("at-a-load-that-memory-can-serve", "at-one-that-it-cannot")
    for name, rate in zip(names, (1, 20), strict=True):
        (folder / name).mkdir()
        replay_page(folder / name, rate)
    found = [ResultFolder.open(folder / name) for name in names]
    page = folder / "comparison.html"
    page.write_text(comparison_page(*found), encoding="utf-8")
    return page


def capacity_page(folder: Path) -> Path:
    """What fits under vLLM, SGLang and an allocator."""
    settings = {"mamba_cache_mode": "align"}
    ask = CapacityAsk("qwen3.5-9b", device="h200", settings=settings, compare=("sglang", "avmp"))
    result = capacity(ask)
    page = folder / "capacity.html"
    page.write_text(capacity_html(result, to_json(result)), encoding="utf-8")
    return page


def compare_page(folder: Path) -> Path:
    """A run against a log of it, with the use of the pool."""
    case = served()
    run = save(folder / "run", log_of(case))
    log = Writing().write(folder / "log.csv", case)
    (folder / "use.csv").write_text("time,pct\n0,45\n3,45\n")
    given = OccupancyInput(folder / "use.csv")
    write_comparison(compare(CompareOptions(run, log, None, Writing().columns, given)), folder)
    return folder / "compare.html"


def reproduce_page(folder: Path) -> Path:
    """An evaluation of a paper again, some of it not as published."""
    page = folder / "reproduce.html"
    page.write_text(reproduce_html(found_in(cells(extra=1))), encoding="utf-8")
    return page


PAGES = (
    replay_page,
    comparison_of_replays,
    plan_page,
    sweep_page,
    capacity_page,
    compare_page,
    reproduce_page,
)
