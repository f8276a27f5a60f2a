"""What the charts draw: series thinned to what a screen shows, axes, and figures with units."""

import re

import numpy as np
import pytest

from scenarios.report.axes import LogAxis, TimeAxis
from scenarios.report.quantity import BYTES, SECONDS, figure_at, percent, quantity
from scenarios.report.series import migrations_of, pools_of, quantiles_of, thinned, waste_of
from sim.event_log import NO_SUBJECT, EventKind, EventLog, LogHeader, PoolHeader

S = 10**9
GIB = 1 << 30
PAGE_BYTES = 1 << 20


def sampled_log() -> EventLog:
    """An arrival and four samples of two pools, three seconds apart."""
    pools = (PoolHeader("kv", PAGE_BYTES), PoolHeader("state", 4 * PAGE_BYTES))
    log = EventLog(LogHeader(1, GIB, 3 * S, pools))
    log.append(0, EventKind.ARRIVAL, 0, 100, 10)
    for time_ns in range(S, 13 * S, 3 * S):
        log.append(time_ns, EventKind.WASTE_SAMPLE, NO_SUBJECT, PAGE_BYTES, 0, 0)
        log.append(time_ns, EventKind.POOL_SAMPLE, 0, 6, 512)
        log.append(time_ns, EventKind.POOL_SAMPLE, 1, 1, 128)
    return log


def ended(log: EventLog, time_ns: int) -> EventLog:
    log.append(time_ns, EventKind.END, NO_SUBJECT, 10 * PAGE_BYTES, GIB)
    return log


def test_thinning_keeps_order_and_extremes() -> None:
    values = np.random.default_rng(7).normal(size=10_000)
    values[[1234, 8765]] = 100.0, -100.0
    kept = thinned(values, max_points=100)
    assert len(kept) <= 100
    assert (np.diff(kept) > 0).all()
    assert {1234, 8765} <= set(kept.tolist())
    assert thinned(values[:100], max_points=100).tolist() == list(range(100))


def test_series_are_in_seconds_bytes_and_percent() -> None:
    log = sampled_log()
    kv, state = pools_of(log)
    assert (kv.name, state.name) == ("kv", "state")
    assert kv.time_s.tolist() == [1.0, 4.0, 7.0, 10.0]
    assert state.live_bytes.tolist() == [4 * PAGE_BYTES] * 4
    assert kv.capacity_bytes.tolist() == [GIB / 2] * 4
    assert waste_of(log).values[:, 0].tolist() == [100 / 1024, 0, 0]


def test_migrations_close_together_are_added_up() -> None:
    log = sampled_log()
    for index in range(10_000):
        log.append(index * 30_000_000, EventKind.MIGRATION, NO_SUBJECT, 0, 1, PAGE_BYTES)
    marks = migrations_of(ended(log, 300 * S))
    assert len(marks) <= 150
    assert sum(mark.count for mark in marks) == 10_000
    assert sum(mark.num_bytes for mark in marks) == 10_000 * PAGE_BYTES


def test_quantiles_run_from_least_to_most() -> None:
    curve = quantiles_of(np.arange(1.0, 10_001.0))
    assert len(curve.time_s) == 400
    assert (curve.time_s[0], curve.time_s[-1]) == (1.0, 10_000.0)
    assert (curve.values[0, 0], curve.values[0, -1]) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("low_s", "high_s", "ends"),
    [(0.012, 0.034, (0.01, 0.05)), (0.5, 0.5, (0.5, 1.0)), (3e-5, 900.0, (2e-5, 1000.0))],
)
def test_log_axes_end_on_steps_around_the_data(
    low_s: float, high_s: float, ends: tuple[float, float]
) -> None:
    axis = LogAxis.around(low_s, high_s)
    assert (axis.low_s, axis.high_s) == ends
    ticks = axis.layout("TTFT")["ticktext"]
    assert 2 <= len(ticks) <= 5
    assert all(re.fullmatch(r"\d+ (s|ms|µs)", tick) for tick in ticks)


@pytest.mark.parametrize(("end_s", "unit"), [(90.0, "s"), (1200.0, "min"), (90_000.0, "h")])
def test_time_is_counted_in_a_unit_that_suits(end_s: float, unit: str) -> None:
    assert TimeAxis.between(5.0, 5.0 + end_s).unit.symbol == unit


def test_figures_are_short_and_carry_units() -> None:
    texts = [quantity(value, BYTES) for value in (None, 0, 512, 3 * GIB, 1536 * PAGE_BYTES)]
    assert [t.replace("\N{NO-BREAK SPACE}", " ") for t in texts] == [
        "-",
        "0 GiB",
        "512 B",
        "3.00 GiB",
        "1.50 GiB",
    ]
    assert quantity(0.0123, SECONDS) == "12.3\N{NO-BREAK SPACE}ms"
    shares = [percent(share) for share in (0.0, 0.0004, 0.5, 0.99999, 1.0)]
    assert [s.split("\N{NO-BREAK SPACE}")[0] for s in shares] == ["0", "0.04", "50", "99.9", "100"]


@pytest.mark.parametrize("value", [None, "fast", True, float("nan"), {"p50": 1}])
def test_only_finite_numbers_count_as_figures(value: object) -> None:
    assert figure_at({"a": {"b": value}}, "a.b") is None
    assert figure_at({"a": value}, "a.p99") is None
