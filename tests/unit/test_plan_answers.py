"""What a plan answers where it is known which loads keep to the objective: no run is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.page import plan_html
from scenarios.plan.plan import plan
from scenarios.plan.rounds import Runs
from scenarios.plan.search import LoadGrid
from scenarios.plan.task import LoadRun
from scenarios.plan.terminal import plan_tables
from traces.load import TraceOptions, load_trace
from traces.loads import Traffic
from traces.record import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scenarios.plan.result import PlanResult
    from scenarios.plan.task import BacklogRun, Row

TOLERANCE = 0.02
SATURATION_RPS = 10.0
DECODE_S = 5.0


class Silent:
    """Watches nothing."""

    def starts(self, stage: str, total: int | None) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Runs have ended."""


@dataclass
class Scripted(Runs):
    """Answers each run by a rule instead of making it."""

    keeps: Callable[[LoadRun], bool]
    windows_s: set[float] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(None, 1, Silent())

    def _rows_of(self, tasks: Sequence[LoadRun | BacklogRun]) -> list[Row]:
        rows = [self._row(task) for task in tasks]
        self._used.update((row["digest"], row) for row in rows)
        return rows

    def _row(self, task: LoadRun | BacklogRun) -> Row:
        row: Row = {**task.setup.place, "digest": task.digest, "error": None}
        if not isinstance(task, LoadRun):
            return row | {"saturation_rps": SATURATION_RPS, "decode_s": DECODE_S}
        self.windows_s.add(task.setup.traffic.window_ns / 1e9)
        within, rate_rps = self.keeps(task), task.load * task.setup.traffic.rate_rps
        loads = {"number": task.number, "load": task.load, "seed": task.seed}
        latency = {"ttft_p99": 0.1 if within else 3.0, "decode_s": DECODE_S}
        shares = dict.fromkeys(("waiting_share", "refused_share", "running_mean"), 0.0)
        missed = [] if within else ["ttft_p99"]
        counts = dict.fromkeys(("unserved", "preempted", "running_max"), 0)
        tokens = {"arrived_rps": rate_rps, "output_tokens_per_s": 100 * rate_rps}
        return {
            **row,
            **loads,
            **latency,
            **shares,
            **counts,
            **tokens,
            "rate_rps": rate_rps,
            "within": within,
            "missed": missed,
            "stability": "stable",
            "refused_pools": {},
            "granted_bytes_mean": 0.0,
            "running_mean_while_waiting": 0.0,
        }


def planned(keeps: Callable[[LoadRun], bool], trace: Trace | None = None, **how: Any) -> PlanResult:  # noqa: ANN401
    """The answer, where a rule says which runs keep to the objective."""
    trace = trace or load_trace("poisson:n=3000,rate=8", TraceOptions())
    return plan(_ask(**how), Traffic.of(trace), Scripted(keeps))


def _ask(**how: Any) -> PlanAsk:  # noqa: ANN401
    accuracy = Accuracy(tolerance=TOLERANCE, **how)
    names = ("nemotron-h-8b", ("h200",), ("static",), "ttft_p99=2s")
    return PlanAsk(*names, accuracy=accuracy)


def rate_of(task: LoadRun) -> float:
    return task.load * task.setup.traffic.rate_rps


def test_each_input_is_changed_both_ways_and_the_widest_comes_first() -> None:
    factors = {
        "output length -20 %": 1 / 0.8,
        "output length +20 %": 1 / 1.2,
        "step times -10 %": 1 / 0.9,
        "step times +10 %": 1 / 1.1,
        "cache memory -5 %": 0.95,
        "cache memory +5 %": 1.0,
    }
    found = planned(lambda task: rate_of(task) <= 6 * factors.get(task.setup.variant, 1.0))
    assert [row["input"] for row in found.sensitivity] == [
        "output length",
        "step times",
        "cache memory",
    ]
    for row in found.sensitivity:
        assert row["base_rps"] == pytest.approx(6, rel=TOLERANCE)
        for end, sign in (("less", "-"), ("more", "+")):
            factor = factors[f"{row['input']} {sign}{row['change_pct']:g} %"]
            effect = 100 * (factor - 1)
            assert row[f"{end}_effect_pct"] == pytest.approx(effect, abs=2 * 100 * TOLERANCE)
            assert row[f"{end}_rps"] == pytest.approx(6 * factor, rel=2 * TOLERANCE)
    advice = found.recommendation
    assert advice is not None
    assert advice["most_sensitive_to"] == "output length"
    assert "the input that matters most is output length" in advice["sentence"]
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        for table in plan_tables(found, console.width):
            console.print(table)
    for text in ("output length", "step times", "cache memory", "less of it", "more of it"):
        assert text in capture.get()
        assert text in plan_html(found.to_json())


def test_a_load_that_fails_below_one_that_passes_counts_and_is_said() -> None:
    found = planned(lambda task: rate_of(task) <= 6 and not 4.7 < rate_of(task) < 4.9)
    (row,) = found.allocators
    assert row["is_monotone"] is False
    assert row["max_rate_rps"] == pytest.approx(4.7, rel=2 * TOLERANCE)
    (note,) = [note for note in found.facts["notes"] if "static on h200" in note]
    assert "a load passed above one that failed; the lowest failing one counts" in note
    assert note in plan_html(found.to_json())
    assert planned(lambda task: rate_of(task) <= 6).allocators[0]["is_monotone"] is True


def day(hours: int = 24, peak_rps: float = 1.5, base_rps: float = 0.5) -> Trace:
    """A day whose busiest hour, the nineteenth, has three times the requests of the others."""
    gaps = [1 / (peak_rps if hour == 19 else base_rps) for hour in range(hours)]
    times = np.concatenate([3600 * hour + np.arange(0, 3600, gap) for hour, gap in enumerate(gaps)])
    ones = np.ones(len(times), np.int64)
    return Trace("day", 100 * ones, 10 * ones, (times * 1e9).astype(np.int64))


def test_a_day_is_planned_for_by_its_busiest_hour() -> None:
    trace = day()
    starts: set[int] = set()

    def keeps(task: LoadRun) -> bool:
        part = task.setup.traffic.trace
        starts.add(len(part))
        return rate_of(task) <= 6

    found = planned(keeps, trace, has_sensitivity=False)
    peak = found.facts["peak"]
    assert peak["rate_rps"] == found.facts["trace_rate_rps"] == pytest.approx(1.5, rel=0.01)
    assert peak["mean_rate_rps"] == pytest.approx(13 / 24, rel=0.01)
    assert starts == {5400}
    assert "busiest hour (1.5/s, 2.8 times the mean of its 24 hours)" in found.facts["notes"][0]
    # Two hours are taken as they are, and so is a day of which all is asked for.
    for whole, how in ((day(2), {}), (trace, {"requests_per_run": 0})):
        found = planned(lambda task: rate_of(task) <= 6, whole, has_sensitivity=False, **how)
        assert found.facts["peak"] is None
        assert found.facts["requests"] == len(whole)


def for_target(keeps: Callable[[LoadRun], bool], target_rps: float) -> PlanResult:
    """The answer for so many requests a second, where a rule says what keeps to the objective."""
    ask = replace(_ask(has_sensitivity=False, seeds=1), target_rps=target_rps)
    traffic = Traffic.of(load_trace("poisson:n=3000,rate=8", TraceOptions()))
    return plan(ask, traffic, Scripted(keeps))


@pytest.mark.parametrize(("least", "found"), [(2, 2), (4, 4), (5, 5), (99, None)])
def test_a_fleet_is_as_large_as_the_router_needs(least: int, found: int | None) -> None:
    def keeps(task: LoadRun) -> bool:
        replicas = task.setup.cell.replicas
        return rate_of(task) <= 6 if replicas == 1 else replicas >= least

    advice = for_target(keeps, 20.0).recommendation
    assert advice is not None
    assert advice["devices_for_target"] == 4  # by the highest load of one
    assert advice["fleet"]["replicas"] == advice["fleet"]["devices"] == found
    none_held = f"no number up to {advice['fleet']['most_tried']} held when simulated"
    assert (none_held in advice["sentence"]) == (found is None)


def test_a_window_that_is_busier_than_the_trace_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Scripted._row  # noqa: SLF001 - the rule of this file

    def busier(runs: Scripted, task: LoadRun | BacklogRun) -> Row:
        made = row(runs, task)
        return made | {"arrived_rps": 1.5 * made.get("arrived_rps", 0.0)}

    steady = planned(lambda task: rate_of(task) <= 6, has_sensitivity=False)
    monkeypatch.setattr(Scripted, "_row", busier)
    found = planned(lambda task: rate_of(task) <= 6, has_sensitivity=False)
    assert not [note for note in steady.facts["notes"] if "the mean rate" in note]
    (note,) = [note for note in found.facts["notes"] if "the mean rate" in note]
    assert "arrives at 1.50 times the mean rate: the traffic is not steady" in note


def test_a_run_holds_its_requests_at_saturation_and_outlasts_ten_times_what_one_takes() -> None:
    trace = load_trace("poisson:n=40000,rate=40", TraceOptions())
    for requests, seconds in ((5000, 5000 / SATURATION_RPS), (10, 120.0)):
        runs = Scripted(lambda task: rate_of(task) <= 6)
        plan(_ask(requests_per_run=requests, has_sensitivity=False), Traffic.of(trace), runs)
        assert runs.windows_s == {seconds}
    slow = Scripted(lambda task: rate_of(task) <= 6)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(globals(), "DECODE_S", 30.0)
        plan(_ask(requests_per_run=10, has_sensitivity=False), Traffic.of(trace), slow)
    assert slow.windows_s == {300.0}


def test_loads_of_the_grid_are_what_is_asked() -> None:
    grid = LoadGrid(TOLERANCE)
    assert math.isclose(grid.load(grid.number(0.75)), 0.75, rel_tol=TOLERANCE)
