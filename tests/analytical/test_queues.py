"""Waiting times against closed formulas.

The engine has no slots: it sleeps while idle and starts a step at the instant of an arrival, and a
step that ends starts the next at once. One request a step is therefore exactly M/D/1, and the only
discretisation is that of arrivals to nanoseconds, 1e-6 of a step here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.event_log import EventKind, EventLog
from sim.timeline import timeline_of
from traces.record import Trace

Serve = Callable[[Trace, int], EventLog]
Floats = NDArray[np.float64]

STEP_NS = 1_000_000
CONFIDENCE = 0.99
NUM_BATCHES = 30
WARM_UP = 0.1
"""Share of the requests left out at the start, where the queue is still emptier than later."""


@dataclass(frozen=True)
class Interval:
    """A mean with the half width of its 99 % confidence interval."""

    mean: float
    half_width: float

    def holds(self, value: float, slack: float = 0.0) -> bool:
        return abs(self.mean - value) <= self.half_width + slack

    def __str__(self) -> str:
        return f"{self.mean:.4f} +- {self.half_width:.4f}"


def batch_means(values: Floats) -> Interval:
    """The mean by batch means: batches far longer than the queue's memory are nearly independent.

    A queue forgets within about 1 / (1 - rho)^2 services (25 at rho 0.8, where a batch has
    1800; 1.6 at rho 0.2, where it has 450).
    """
    settled = values[int(len(values) * WARM_UP) :]
    means = np.array([batch.mean() for batch in np.array_split(settled, NUM_BATCHES)])
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, NUM_BATCHES - 1))
    return Interval(float(settled.mean()), float(quantile * means.std(ddof=1)) / NUM_BATCHES**0.5)


def poisson_trace(arrivals_a_step: float, outputs: NDArray[np.int64], seed: int) -> Trace:
    gaps = np.random.default_rng(seed).exponential(STEP_NS / arrivals_a_step, len(outputs))
    arrival_ns = np.rint(np.cumsum(gaps)).astype(np.int64)
    return Trace("poisson", np.ones_like(outputs), outputs, arrival_ns)


def waits_ns(log: EventLog) -> NDArray[np.int64]:
    """Time from arrival to admission, in order of arrival."""
    waits: NDArray[np.int64] = log.of(EventKind.ADMISSION)[:, 0] - log.of(EventKind.ARRIVAL)[:, 0]
    return waits


@pytest.mark.parametrize(
    ("rho", "num_requests"), [(0.2, 15_000), (0.5, 20_000), (0.7, 30_000), (0.8, 60_000)]
)
def test_constant_service_waits_as_m_d_1(serve: Serve, rho: float, num_requests: int) -> None:
    trace = poisson_trace(rho, np.ones(num_requests, dtype=np.int64), seed=11)
    log = serve(trace, STEP_NS)
    wait = batch_means(waits_ns(log) / STEP_NS)
    expected = rho / (2 * (1 - rho))
    assert wait.holds(expected), f"{wait} steps, expected {expected:.4f}"
    assert wait.half_width < 0.12 * expected  # otherwise the test could hardly fail
    idle = batch_means((waits_ns(log) == 0).astype(np.float64))
    assert idle.holds(1 - rho), f"{idle} find the engine idle, expected {1 - rho}"


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_geometric_service_waits_as_pollaczek_khinchine_says(serve: Serve, rho: float) -> None:
    """Outputs of geometric length, mean m, make M/Geo/1, which tends to M/M/1 as m grows.

    In steps: E[S] = m, E[S^2] = 2 m^2 - m (2 m^2 if exponential), W = lambda E[S^2] / 2(1 - rho).
    """
    mean = 6
    outputs = np.random.default_rng(5).geometric(1 / mean, 27_000).astype(np.int64)
    log = serve(poisson_trace(rho / mean, outputs, seed=6), STEP_NS)
    wait = batch_means(waits_ns(log) / STEP_NS)
    exact = (rho / mean) * (2 * mean**2 - mean) / (2 * (1 - rho))
    m_m_1 = mean * rho / (1 - rho)
    assert exact == pytest.approx(m_m_1 * (1 - 1 / (2 * mean)))
    assert wait.holds(exact), f"{wait} steps, expected {exact:.4f}"
    assert wait.holds(m_m_1, slack=m_m_1 - exact)
    assert wait.half_width < 0.15 * exact


def test_every_wait_obeys_lindley(serve: Serve) -> None:
    """W(n+1) = max(0, W(n) + S(n) - gap), to the nanosecond, whatever arrives."""
    rng = np.random.default_rng(3)
    outputs = rng.integers(1, 6, 2000)
    trace = poisson_trace(0.25, outputs, seed=4)
    assert trace.arrival_ns is not None
    expected = [0]
    for gap, output in zip(np.diff(trace.arrival_ns), outputs, strict=False):
        expected.append(max(0, expected[-1] + int(output) * STEP_NS - int(gap)))
    assert waits_ns(serve(trace, STEP_NS)).tolist() == expected


@pytest.mark.parametrize("clients", [1, 3, 16])
def test_a_closed_loop_has_throughput_1_s_and_response_n_s(serve: Serve, clients: int) -> None:
    num_requests = 200
    ones = np.ones(num_requests, dtype=np.int64)
    log = serve(Trace("closed", ones, ones, closed_loop_clients=clients), STEP_NS)
    timeline = timeline_of(log)
    assert np.diff(timeline.completion_ns).tolist() == [STEP_NS] * (num_requests - 1)
    response = timeline.completion_ns - timeline.arrival_ns
    assert set(response[clients:].tolist()) == {clients * STEP_NS}


def area(log: EventLog, until_ns: int) -> int:
    """Requests in the system, integrated over time up to an instant: request-nanoseconds."""
    deltas = {EventKind.ARRIVAL: 1, EventKind.COMPLETION: -1}
    count = total = last_ns = 0
    for time_ns, kind in log.table()[:, :2].tolist():
        now_ns = min(time_ns, until_ns)
        total += count * (now_ns - last_ns)
        last_ns = now_ns
        count += deltas.get(EventKind(kind), 0)
    return total


@pytest.mark.parametrize("share", [0.37, 1.0])
def test_littles_law_holds_to_the_nanosecond(serve_many: Serve, share: float) -> None:
    """L T = sum of the times in the system, so L = lambda W; a window cuts those at its edge."""
    outputs = np.random.default_rng(8).geometric(1 / 8, 1500).astype(np.int64)
    log = serve_many(poisson_trace(1.5, outputs, seed=9), STEP_NS)
    timeline = timeline_of(log)
    until_ns = int(share * log.table()[-1, 0])
    ends, starts = (
        np.minimum(times, until_ns) for times in (timeline.completion_ns, timeline.arrival_ns)
    )
    assert area(log, until_ns) == int((ends - starts).sum())
