"""Parts of a plan, each against its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scenarios.cell import Cell
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.plan.cost import cost_per_million_tokens, parse_prices, replicas_for
from scenarios.plan.estimate import Rate
from scenarios.plan.limits import limiting_resource
from scenarios.plan.objective import Term, parse_objective
from scenarios.plan.task import BacklogRun, LoadRun, Row, Setup
from scenarios.plan.variants import slower, with_memory, with_outputs
from scenarios.plan.window import Window
from sim.costs.profile import CostTable, LaunchCosts
from sim.costs.roofline import RemapCosts
from sim.metric import Slo
from sim.step import Chunk, StepPlan
from traces.load import TraceOptions, load_trace
from traces.loads import Traffic

SECONDS = st.lists(st.floats(0, 100), min_size=1, max_size=60)
FAILING: Row = {
    "error": None,
    "unserved": 0,
    "stability": "stable",
    "missed": ["ttft_p99"],
    "waiting_share": 0.0,
    "refused_share": 0.0,
    "refused_pools": {},
    "preempted": 0,
    "running_mean": 10.0,
    "running_mean_while_waiting": 10.0,
    "granted_bytes_mean": 1e9,
}


@given(SECONDS, st.integers(0, 20), st.sampled_from(["p1", "p50", "p90", "p99", "p99.9"]))
def test_a_percentile_counts_who_was_never_served_as_served_last(
    seconds: list[float], unserved: int, statistic: str
) -> None:
    found = Term("ttft", statistic, 1.0).value_s(np.array(seconds), unserved)
    sky = np.array([*seconds, *[1e6] * unserved])
    expected = float(np.percentile(sky, float(statistic[1:])))
    assert (found is None) == (expected > 100)
    if found is not None:
        assert found == pytest.approx(expected)


def test_a_mean_has_no_place_for_who_was_never_served() -> None:
    term = Term("e2e", "mean", 1.0)
    assert term.value_s(np.array([1.0, 2.0]), 0) == 1.5
    assert term.value_s(np.array([1.0, 2.0]), 1) is None
    assert term.value_s(np.zeros(0), 0) == 0


def test_objectives_are_read_as_written() -> None:
    terms = parse_objective("ttft_p99=2s, tpot_mean=50ms,e2e_p99.9=1s")
    assert [(term.name, term.most_s) for term in terms] == [
        ("ttft_p99", 2.0),
        ("tpot_mean", 0.05),
        ("e2e_p99.9", 1.0),
    ]
    for wrong in ("", "ttft", "ttft_p=1s", "ttft_p100=1s", "queue_p99=1s", "ttft_p99=-1s"):
        with pytest.raises(UserError):
            parse_objective(wrong)


@given(st.lists(st.floats(1, 50), min_size=2, max_size=8))
def test_the_interval_is_students(rates: list[float]) -> None:
    found = Rate.over(rates, 0.02)
    df, error = len(rates) - 1, float(stats.sem(rates))
    half = error * float(stats.t.ppf(0.975, df))
    assert found.mean == pytest.approx(np.mean(rates))
    # The lower end is a difference, so what rounding leaves is in proportion to its terms.
    assert found.low == pytest.approx(max(0.0, found.mean - half), rel=0, abs=1e-8 * half + 1e-9)
    assert found.high == pytest.approx(1.02 * (found.mean + half), rel=1e-8)


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e3))
def test_so_many_replicas_serve_the_target_and_one_fewer_does_not(
    target: float, rate: float
) -> None:
    count = replicas_for(target, rate)
    assert count * rate >= target * (1 - 1e-6)
    assert count == 1 or (count - 1) * rate < target


def test_prices_and_costs() -> None:
    assert parse_prices(["2.5"], ["a", "b"]) == {"a": 2.5, "b": 2.5}
    assert parse_prices(["b=3", "a=1"], ["a", "b"]) == {"a": 1.0, "b": 3.0}
    for wrong in (["1", "2"], ["c=1"], ["a=0"], ["a=inf"], ["nan"]):
        with pytest.raises(UserError):
            parse_prices(wrong, ["a", "b"])
    # 1,000 tokens a second are 3.6 million an hour.
    assert cost_per_million_tokens(7.2, 2, 1000.0) == pytest.approx(4.0)


@pytest.fixture(scope="module")
def setup() -> Setup:
    """A small machine and a little traffic."""
    device = load_device("h200")
    machine = machine_of(choose_model("nemotron-h-8b"), device, MachineOptions(memory_gib=2))
    traffic = Traffic.of(load_trace("azure-like:n=80,rate=3", TraceOptions()))
    cell = Cell(machine, "static", "fcfs:max_seqs=10", Slo(), num_samples=100)
    return Setup("h200", "", cell, traffic, parse_objective("ttft_p90=1s"))


@pytest.mark.parametrize("launch_ns", [None, 0.0, 2e7])
def test_steps_of_a_slower_machine_take_so_much_longer(
    setup: Setup, launch_ns: float | None
) -> None:
    machine, remap = setup.cell.machine, RemapCosts(5e4, 7e3, 9e3)
    if launch_ns is not None:
        terms = (("steps", 9e6), ("tokens", 900.0))
        table = CostTable(terms, remap, remap, 8e4, 0.5, LaunchCosts(launch_ns, launch_ns))
        machine = replace(machine, cost_table=table)
    plan = StepPlan([], 4000, chunks=[Chunk(None, 512, 128)], maps=3, unmaps=2, copies=1)  # type: ignore[arg-type] # no pricer asks whose
    plan.copied_bytes = 10**6
    one, longer = (slower(machine, factor).executor().execute(plan) for factor in (1.0, 1.1))
    assert longer == pytest.approx(1.1 * one, abs=2)
    assert one == machine.executor().execute(plan)


def test_changed_inputs_change_that_input_only(setup: Setup) -> None:
    more = with_memory(setup, 1.05).cell.machine
    assert more.budget_bytes == pytest.approx(1.05 * setup.cell.machine.budget_bytes, rel=0.01)
    assert more.budget_bytes % more.granule_bytes == 0
    assert replace(more, budget_bytes=setup.cell.machine.budget_bytes) == setup.cell.machine
    before, after = setup.traffic.trace, with_outputs(setup, 0.2).traffic.trace
    assert after.output_tokens.sum() == pytest.approx(0.2 * before.output_tokens.sum(), rel=0.02)
    assert after.output_tokens.min() >= 1
    assert (after.prompt_tokens == before.prompt_tokens).all()


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ({}, "compute"),
        ({"missed": ["tpot_p99"]}, "compute"),
        (
            {"waiting_share": 0.4, "refused_share": 0.3, "refused_pools": {"kv": 3, "state": 1}},
            "kv",
        ),
        ({"waiting_share": 0.4, "refused_share": 0.3, "refused_pools": {"state": 9}}, "state"),
        # One pool of both kinds: ten sequences hold 1 GB of states.
        ({"waiting_share": 0.4, "refused_share": 0.3, "refused_pools": {"bytes": 9}}, "state"),
        (
            {
                "waiting_share": 0.4,
                "refused_share": 0.3,
                "refused_pools": {"bytes": 9},
                "granted_bytes_mean": 9e9,
            },
            "kv",
        ),
        ({"waiting_share": 0.4, "refused_share": 0.1, "refused_pools": {"kv": 3}}, "scheduler"),
        ({"waiting_share": 0.4, "running_mean_while_waiting": 5.0}, "compute"),
        ({"missed": ["tpot_p99"], "preempted": 4, "refused_pools": {"kv": 4}}, "kv"),
        ({"unserved": 3}, "requests"),
    ],
)
def test_what_limits_is_told_by_the_rule(setup: Setup, row: Row, limit: str) -> None:
    assert limiting_resource(setup, FAILING | row) == limit


def test_a_run_measures_the_middle_of_its_arrivals(setup: Setup) -> None:
    row = LoadRun(setup, 0, 1.0, 0, "digest").run()
    window = Window.inside(setup.traffic.duration_ns(1.0))
    trace = setup.traffic.at(1.0, 0)
    assert trace.arrival_ns is not None
    assert row["measured"] == int(window.holds(trace.arrival_ns).sum()) < len(trace)
    assert row["arrived_rps"] == pytest.approx(row["measured"] / window.seconds)
    assert row["running_max"] <= 10
    assert 0 < row["busy_share"] <= 1
    failed = LoadRun(replace(setup, cell=replace(setup.cell, allocator="x")), 0, 1.0, 0, "d").run()
    assert failed["within"] is False
    assert "unknown allocator" in failed["error"]


def test_a_backlog_that_cannot_be_served_is_a_row_with_its_error(setup: Setup) -> None:
    served = BacklogRun(setup, "d").run()
    assert served["saturation_rps"] > 0
    assert served["error"] is None
    failed = BacklogRun(replace(setup, cell=replace(setup.cell, allocator="x")), "d").run()
    assert (failed["saturation_rps"], failed["decode_s"]) == (None, None)
    assert "unknown allocator" in failed["error"]
    assert failed.keys() == served.keys()
