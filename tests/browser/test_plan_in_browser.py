"""The pages of plans and sweeps in a real browser: all charts are drawn, without a complaint."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scenarios.machine import MachineOptions
from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.folder import REPORT as PLAN
from scenarios.plan.folder import write_plan
from scenarios.plan.plan import plan
from scenarios.plan.rounds import Runs
from scenarios.sweep import REPORT as SWEEP
from scenarios.sweep import SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from traces.load import TraceOptions, load_trace
from traces.loads import Traffic

if TYPE_CHECKING:
    from tests.browser.conftest import Browser

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


def _plan(folder: Path) -> Path:
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


def _sweep(folder: Path) -> Path:
    (folder / "small.toml").write_text(GRID)
    sweep(load_sweep(str(folder / "small.toml")), SweepOptions(folder), Silent())
    return folder / SWEEP


@pytest.mark.parametrize(("make", "charts"), [(_plan, 5), (_sweep, 1)])
def test_every_chart_is_drawn_and_nothing_complains(
    browser: "Browser", tmp_path: Path, make: object, charts: int
) -> None:
    assert callable(make)
    browser.open(make(tmp_path), 1366)
    browser.wait_for("Boolean(document.documentElement.dataset.drawn)")
    assert browser.value_of("document.querySelectorAll('.chart .main-svg').length") >= charts
    assert browser.value_of("document.documentElement.dataset.drawn") == str(charts)
    assert browser.complaints == []
