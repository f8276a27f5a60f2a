"""Requests a second of a whole replay with its metrics; deselected unless asked for.

    python -m pytest --benchmark-only tests/benchmark/test_replay_speed.py -k "avmp and 100000"

Requests are azure-like at three times their rate, 17 a second: one H200 serves that stably with a
batch of about 35 on average.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from allocator.registry import known_managers
from scenarios.cell import ENGINES, Cell, simulate
from scenarios.device import load_device
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from sim.metric import Slo
from traces.load import load_trace
from traces.transform import scale_rate

RATE_FACTOR = 3.0


def replay(benchmark: BenchmarkFixture, allocator: str, requests: int, step: str) -> None:
    machine = machine_of(load_model("nemotron-h-8b"), load_device("h200"), MachineOptions())
    trace = scale_rate(load_trace(f"azure-like:n={requests}"), RATE_FACTOR)
    cell = Cell(machine, allocator, "fcfs", Slo(), engine_step=step)
    run = benchmark.pedantic(simulate, (cell, trace), rounds=1)  # type: ignore[no-untyped-call]
    ended = run.metrics["completed"] + run.metrics["rejected"]
    assert ended == requests
    if benchmark.stats is not None:  # it is None with --benchmark-disable
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["requests_a_second"] = round(requests / seconds)


@pytest.mark.parametrize("allocator", known_managers())
@pytest.mark.parametrize("step", ENGINES)
def test_each_allocator(benchmark: BenchmarkFixture, allocator: str, step: str) -> None:
    replay(benchmark, allocator, 10_000, step)


@pytest.mark.parametrize("requests", [10_000, 100_000, 1_000_000])
def test_growth_with_requests(benchmark: BenchmarkFixture, requests: int) -> None:
    replay(benchmark, "avmp", requests, "fast")
