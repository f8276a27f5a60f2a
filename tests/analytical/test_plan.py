"""A plan against a queue whose highest rate is known: M/D/1 with a limit on its 99th percentile."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.plan import plan
from scenarios.plan.rounds import Runs
from sim.costs.roofline import DeviceCosts, RemapCosts
from traces.load import TraceOptions, load_trace
from traces.loads import Traffic

if TYPE_CHECKING:
    from scenarios.machine import Machine
    from scenarios.plan.task import Setup

SERVICE_S = 0.01
MOST_WAIT = 10  # services
WITHIN = 0.04


class Silent:
    """Watches nothing."""

    def starts(self, stage: str, total: int | None) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Runs have ended."""


def constant(machine: Machine) -> Machine:
    """A machine whose every step takes the same time."""
    free = RemapCosts(0.0, 0.0, 0.0)
    costs = DeviceCosts(1e30, 1e30, SERVICE_S * 1e9, free, free, 0.0)
    return replace(machine, device_costs=costs)


def waits_no_longer(rate_rps: float, wait_s: float) -> float:
    """P(W <= t) in M/D/1 (Erlang 1909; Crommelin 1932), with t in whole and part services."""
    load = rate_rps * SERVICE_S
    total = 0.0
    for k in range(math.floor(wait_s / SERVICE_S) + 1):
        x = rate_rps * (k * SERVICE_S - wait_s)
        total += x**k / math.factorial(k) * math.exp(-x)
    return (1 - load) * total


def highest_rate() -> float:
    """The rate at which 99 % wait no longer than allowed."""
    low, high = 0.1 / SERVICE_S, 0.999 / SERVICE_S
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        good = waits_no_longer(middle, MOST_WAIT * SERVICE_S) >= 0.99
        low, high = (middle, high) if good else (low, middle)
    return low


def test_the_highest_rate_of_a_queue_with_constant_service(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = load_trace("poisson:n=9000,rate=40,prompt=8,output=1", TraceOptions())
    limit_ms = 1e3 * SERVICE_S * (MOST_WAIT + 1)  # TTFT holds the service too
    ask = PlanAsk(
        "nemotron-h-8b",
        ("h200",),
        ("static",),
        f"ttft_p99={limit_ms:g}ms",
        "fcfs:max_seqs=1",
        accuracy=Accuracy(has_sensitivity=False, requests_per_run=9000),
    )
    setups = PlanAsk.setups

    def constant_setups(self: PlanAsk, traffic: Traffic) -> list[Setup]:
        made = setups(self, traffic)
        return [replace(s, cell=replace(s.cell, machine=constant(s.cell.machine))) for s in made]

    monkeypatch.setattr(PlanAsk, "setups", constant_setups)
    found = plan(ask, Traffic.of(trace), Runs(None, 1, Silent()))
    (static,) = found.allocators
    expected = highest_rate()
    assert 0.6 < expected * SERVICE_S < 0.9
    assert static["max_rate_rps"] == pytest.approx(expected, rel=WITHIN)
    assert static["max_rate_low_rps"] < expected < static["max_rate_high_rps"]
    assert static["limiting_resource"] == "scheduler"
    assert found.recommendation is not None
    assert found.recommendation["allocator"] == "static"
