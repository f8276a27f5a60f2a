"""Loads of a trace: rates scale, requests keep their marks, smaller loads are parts of larger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.families import families_of
from traces.loads import Traffic
from traces.record import Trace, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

NUM = 400
FAMILY = 2
"""Requests that share a prefix, and so stay or go together."""
LOADS = st.floats(0.2, 5.0)
SEEDS = st.integers(0, 5)


def trace_of(seed: int, first_ns: int = 0) -> Trace:
    """Requests whose prompts say who they are, with every mark that a trace may carry."""
    rng = np.random.default_rng(seed)
    return Trace(
        "marked",
        np.arange(1, NUM + 1),
        rng.integers(1, 50, NUM),
        first_ns + np.cumsum(rng.integers(0, 10**9, NUM)),
        tenants=tuple(f"t{i % 3}" for i in range(NUM)),
        prefixes=tuple((NUM, i // FAMILY) for i in range(NUM)),
        prefix_block_tokens=512,
        priorities=tuple(i % 4 for i in range(NUM)),
    )


def marks(trace: Trace) -> Iterator[tuple[int, int, str, int]]:
    """What tells one request from another, whenever it arrives."""
    columns = (trace.prompt_tokens.tolist(), trace.output_tokens.tolist())
    return zip(*columns, trace.tenants, trace.priorities, strict=True)


@given(st.integers(0, 3), LOADS, SEEDS)
def test_a_load_has_its_share_of_requests_each_with_its_marks(
    made: int, load: float, seed: int
) -> None:
    trace = trace_of(made)
    traffic = Traffic.of(trace)
    found = traffic.at(load, seed)
    found.check_integrity()
    part = load % 1
    spread = np.sqrt(FAMILY * NUM * part * (1 - part))
    assert abs(len(found) - load * NUM) <= 5 * spread + 1e-6
    for family, kept in Counter(found.prefixes).items():
        assert kept == FAMILY, f"{family} was parted"
    counts = Counter(marks(found))
    assert set(counts) <= set(marks(trace))
    assert max(counts.values()) <= np.ceil(load)
    assert min((counts[mark] for mark in marks(trace)), default=0) >= np.floor(load)
    assert found.arrival_ns is not None
    assert found.arrival_ns[-1] < traffic.period_ns


@given(st.integers(0, 3), LOADS, LOADS, SEEDS)
def test_a_smaller_load_is_part_of_a_larger_one(
    made: int, one: float, other: float, seed: int
) -> None:
    traffic = Traffic.of(trace_of(made)).within(120)
    less, more = (traffic.at(load, seed) for load in sorted((one, other)))
    arrived = [
        Counter(zip(t.arrival_ns.tolist(), t.prompt_tokens.tolist(), strict=True))  # type: ignore[union-attr]
        for t in (less, more)
    ]
    assert arrived[0] <= arrived[1]


@given(st.integers(0, 3), LOADS, SEEDS)
def test_the_same_load_and_seed_give_the_same_requests(made: int, load: float, seed: int) -> None:
    first, again = (Traffic.of(trace_of(made)).at(load, seed) for _ in range(2))
    assert first.digest() == again.digest()
    late = Traffic.of(trace_of(made, first_ns=10**12)).at(load, seed)
    assert late.digest() == first.digest()


@given(st.integers(0, 3), st.integers(1, 4), SEEDS)
def test_copies_are_the_trace_shifted_and_texts_of_copies_differ(
    made: int, copies: int, seed: int
) -> None:
    trace = trace_of(made)
    traffic = Traffic.of(trace)
    found = traffic.at(float(copies), seed)
    assert len(found) == copies * NUM
    assert len(set(found.prefixes)) == copies * NUM / FAMILY
    assert found.arrival_ns is not None
    assert trace.arrival_ns is not None
    shifts = (found.arrival_ns - trace.arrival_ns[found.prompt_tokens - 1]) % traffic.period_ns
    assert len(set(shifts.tolist())) == copies


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=60, unique=True), st.floats(1, 900))
def test_no_other_part_is_busier(times_ns: list[int], seconds: float) -> None:
    arrival = np.sort(np.array(times_ns, np.int64))
    ones = np.ones(len(arrival), np.int64)
    traffic = Traffic.of(Trace("any", np.arange(1, len(arrival) + 1), ones, arrival))
    length_ns = round(seconds * 1e9)
    starts = [time for time in arrival.tolist() if length_ns < traffic.period_ns]
    most = max((int(((arrival >= s) & (arrival < s + length_ns)).sum()) for s in starts), default=0)
    if most <= 1:
        assert traffic.busiest(seconds) is traffic
    else:
        part = traffic.busiest(seconds).trace
        assert len(part) == most
        assert part.arrival_ns is not None
        rows = part.prompt_tokens - 1
        assert (part.arrival_ns == arrival[rows] - arrival[rows[0]]).all()
        assert part.arrival_ns[-1] < length_ns


def test_families_share_more_than_a_preamble() -> None:
    prefixes = ((9, 1), (9, 2), (9, 1, 3), (), (9,), (9, 2, 4), (9,), (9, 1, 3), (9, 5))
    ones = np.ones(len(prefixes), np.int64)
    trace = Trace("turns", ones, ones, ones, prefixes=prefixes, prefix_block_tokens=1)
    assert families_of(trace).tolist() == [0, 1, 0, 2, 3, 1, 4, 0, 5]
    assert families_of(replace(trace, prefixes=())).tolist() == list(range(len(prefixes)))


def test_load_one_of_seed_zero_is_the_trace() -> None:
    trace = trace_of(0)
    found = Traffic.of(trace).at(1.0, 0)
    assert trace.arrival_ns is not None
    assert found.arrival_ns is not None
    assert (found.arrival_ns == trace.arrival_ns - trace.arrival_ns[0]).all()
    assert list(marks(found)) == list(marks(trace))


@given(LOADS, SEEDS)
def test_stretching_keeps_every_request_and_scales_time(load: float, seed: int) -> None:
    traffic = Traffic.of(trace_of(0), is_stretched=True)
    found = traffic.at(load, seed)
    assert Counter(marks(found)) == Counter(marks(traffic.trace))
    assert found.arrival_ns is not None
    assert found.arrival_ns[-1] <= traffic.duration_ns(load)


def test_what_has_no_rate_is_refused() -> None:
    at_once = Trace("at once", np.ones(3, np.int64), np.ones(3, np.int64), np.zeros(3, np.int64))
    with pytest.raises(TraceError, match="at no rate"):
        Traffic.of(at_once)
    for load in (0.0, float("nan")):
        with pytest.raises(TraceError, match="above 0"):
            Traffic.of(trace_of(0)).at(load, 0)
    with pytest.raises(TraceError, match="leaves no request"):
        Traffic.of(trace_of(0)).at(1e-9, 0)
