from __future__ import annotations

import numpy as np
import pytest

from traces.arrival_process import (
    ClosedLoop,
    Deterministic,
    Gamma,
    OpenLoop,
    Poisson,
    parse_arrival_process,
)
from traces.record import Trace, TraceError
from traces.transform import limit, scale_rate, superpose, window, with_arrivals

SECOND = 10**9


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def made(times_s: list[float] | None, name: str = "made", **more: object) -> Trace:
    count = 4 if times_s is None else len(times_s)
    arrival = None if times_s is None else np.array([round(t * SECOND) for t in times_s])
    return Trace(
        name=name,
        prompt_tokens=np.arange(1, count + 1),
        output_tokens=np.arange(11, count + 11),
        arrival_ns=arrival,
        **more,  # type: ignore[arg-type]
    )


def times(trace: Trace) -> list[int]:
    assert trace.arrival_ns is not None
    return [int(time) for time in trace.arrival_ns]


def test_limit_keeps_the_first() -> None:
    trace = made(
        [0, 1, 2], tenants=("a", "b", "c"), prefixes=((1,), (), (2,)), prefix_block_tokens=16
    )
    cut = limit(trace, 2)
    assert list(cut) == list(trace)[:2]
    assert limit(trace, 9).digest() == trace.digest()


def test_window_is_half_open_and_counts_from_its_start() -> None:
    trace = made([0, 1, 2, 3, 4])
    assert times(window(trace, 1, 2)) == [0, SECOND]
    assert times(window(trace, 2.5)) == [SECOND // 2, 3 * SECOND // 2]


def test_scale_rate_divides_every_time() -> None:
    trace = made([0, 1, 2])
    assert times(scale_rate(trace, 2)) == [0, SECOND // 2, SECOND]
    assert times(scale_rate(trace, 0.1)) == [0, 10 * SECOND, 20 * SECOND]
    assert times(scale_rate(trace, 3)) == [0, 333_333_333, 666_666_666]


def test_superpose_goes_by_arrival_then_by_trace() -> None:
    first = made([0, 2], "first", tenants=("x", "y"))
    both = superpose([first, made([0, 1, 2], "second")])
    assert times(both) == [0, 0, SECOND, 2 * SECOND, 2 * SECOND]
    assert both.tenants == ("x", "", "", "y", "")
    assert both.name == "first + second"


def test_superpose_keeps_the_prefixes_of_different_traces_apart() -> None:
    one = made([0, 1], prefixes=((0, 1), (0,)), prefix_block_tokens=16)
    joined = superpose([one, one, made([0])])
    assert joined.prefixes == ((0, 1), (2, 3), (), (0,), (2,))
    assert joined.prefix_block_tokens == 16


@pytest.mark.parametrize(
    "process",
    [Poisson(rate=50), Gamma(rate=50, cv=3), Gamma(rate=50, cv=0.5), Deterministic(rate=50)],
)
def test_open_loops_have_their_rate_and_their_variation(process: OpenLoop) -> None:
    count = 200_000
    trace = Trace("made", np.ones(count, np.int64), np.ones(count, np.int64))
    gaps = np.diff(times(with_arrivals(trace, process, rng()))) / SECOND
    cv = process.cv if isinstance(process, Gamma) else float(isinstance(process, Poisson))
    # the mean of n gaps has a relative deviation of cv / sqrt(n)
    assert gaps.mean() == pytest.approx(1 / 50, rel=6 * cv / np.sqrt(count) + 1e-6)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.03, abs=1e-6)


def test_deterministic_starts_at_once_and_draws_nothing() -> None:
    generator = rng()
    assert times(with_arrivals(made(None), Deterministic(rate=4), generator)) == [
        index * SECOND // 4 for index in range(4)
    ]
    assert generator.random() == rng().random()


def test_closed_loop_replaces_times_by_clients() -> None:
    closed = with_arrivals(made([0, 1]), ClosedLoop(clients=7), rng())
    assert (closed.arrival_ns, closed.closed_loop_clients) == (None, 7)
    assert with_arrivals(closed, Poisson(rate=1), rng()).closed_loop_clients == 0


def test_equal_seeds_give_equal_arrivals() -> None:
    process = parse_arrival_process("gamma:rate=5,cv=2")
    traces = [with_arrivals(made(None), process, rng(seed)) for seed in (1, 1, 2)]
    assert traces[0].digest() == traces[1].digest() != traces[2].digest()


@pytest.mark.parametrize(
    ("text", "process"),
    [
        ("poisson:rate=5", Poisson(rate=5.0)),
        ("gamma:rate=5,cv=2", Gamma(rate=5.0, cv=2.0)),
        (" deterministic : rate = 0.5 ", Deterministic(rate=0.5)),
        ("closed-loop:clients=64", ClosedLoop(clients=64)),
    ],
)
def test_processes_are_parsed(text: str, process: OpenLoop | ClosedLoop) -> None:
    assert parse_arrival_process(text) == process
    assert parse_arrival_process(process.label) == process


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("poison:rate=5", "unknown arrival process 'poison'; the known ones are poisson,"),
        ("poisson", "poisson needs rate"),
        ("poisson:rate=0", "rate must be above 0"),
        ("poisson:rate=nan", "finite"),
        ("poisson:rate=inf", "finite"),
        ("poisson:rate=x", "rate must be a number, not 'x'"),
        ("poisson:rate", "'rate' is no option"),
        ("poisson:rate=1,rate=2", "given twice"),
        ("gamma:rate=1,vc=2", "no option 'vc'; it knows cv, rate"),
        ("gamma:rate=1,cv=1000", "cv must be at least 0.01 and at most 100"),
        ("closed-loop:clients=0", "clients must be at least 1"),
        ("closed-loop:clients=1.5", "clients must be a whole number"),
    ],
)
def test_bad_processes_are_refused(text: str, pattern: str) -> None:
    with pytest.raises(TraceError, match=pattern):
        parse_arrival_process(text)


def test_impossible_transforms_are_refused() -> None:
    trace, bare = made([0, 1]), made(None)
    odd = made([0], prefixes=((1,),), prefix_block_tokens=16)
    even = made([0], prefixes=((1,),), prefix_block_tokens=32)
    with pytest.raises(TraceError, match="at least 1"):
        limit(trace, 0)
    for start, duration in ((-1.0, 1.0), (0.0, 0.0), (float("nan"), 1.0), (0.0, float("nan"))):
        with pytest.raises(TraceError, match="a window needs"):
            window(trace, start, duration)
    with pytest.raises(TraceError, match="last arrives at 1 s"):
        window(trace, 5)
    for factor in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(TraceError, match="above 0"):
            scale_rate(trace, factor)
    with pytest.raises(TraceError, match="146 years"):
        scale_rate(trace, 1e-12)
    with pytest.raises(TraceError, match="146 years"):
        with_arrivals(trace, Poisson(rate=1e-12), rng())
    with pytest.raises(TraceError, match="at least one"):
        superpose([])
    with pytest.raises(TraceError, match="16 and 32"):
        superpose([odd, even])
    with pytest.raises(TraceError, match="poisson:rate=5"):
        window(bare, 0)
    with pytest.raises(TraceError, match="poisson:rate=5"):
        scale_rate(bare, 2)
