"""Traces become other traces: cut, sped up, laid over each other, given arrivals."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from traces.arrival_process import NS_PER_SECOND, ClosedLoop
from traces.record import Trace, TraceError
from traces.timestamps import MAX_ARRIVAL_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from traces.arrival_process import ArrivalProcess
    from traces.record import Int64Array


def limit(trace: Trace, count: int) -> Trace:
    """The first requests, all where the trace holds no more.

    Raises:
        TraceError: The count is below 1.
    """
    if count < 1:
        raise TraceError(f"{trace.name}: a limit of {count} leaves no request; give at least 1")
    return take(trace, np.arange(min(count, len(trace))))


def window(trace: Trace, start_s: float, duration_s: float | None = None) -> Trace:
    """The requests that arrive in [start, start + duration), times counted from the start.

    Args:
        trace: With arrivals.
        start_s: Seconds after the start of the trace, at least 0.
        duration_s: Seconds, above 0; None goes to the end.

    Raises:
        TraceError: No arrivals, a negative start, or a window without requests.
    """
    arrival = _arrivals(trace)
    begin, end = _window_ns(trace, start_s, duration_s)
    rows = np.flatnonzero((arrival >= begin) & (arrival < end))
    if not len(rows):
        last = arrival[-1] / NS_PER_SECOND
        raise TraceError(f"{trace.name}: no request arrives then; the last arrives at {last:g} s")
    part = take(trace, rows)
    return replace(part, arrival_ns=arrival[rows] - begin)


def scale_rate(trace: Trace, factor: float) -> Trace:
    """The same requests at `factor` times the rate: every time divided by it, rounded down.

    The factor is taken as the decimal it prints as, and the division is exact in integers.

    Raises:
        TraceError: No arrivals, a factor that is not above 0, or arrivals beyond 146 years.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise TraceError(f"{trace.name}: the rate factor must be above 0, not {factor}")
    ratio = Fraction(repr(float(factor)))
    numerator, denominator = ratio.numerator, ratio.denominator
    scaled = [time * denominator // numerator for time in _arrivals(trace).tolist()]
    if scaled[-1] > MAX_ARRIVAL_NS:
        raise TraceError(f"{trace.name}: a rate factor of {factor} stretches it beyond 146 years")
    return replace(trace, arrival_ns=np.array(scaled, dtype=np.int64))


def superpose(traces: Sequence[Trace]) -> Trace:
    """All requests of several traces by arrival; at equal times the earlier trace goes first.

    Prefix ids of different traces are kept apart: they mean different texts.

    Raises:
        TraceError: No trace, one without arrivals, or prefix blocks of different sizes.
    """
    if not traces:
        raise TraceError("superposing needs at least one trace")
    arrival = np.concatenate([_arrivals(trace) for trace in traces])
    joined = Trace(
        name=" + ".join(trace.name for trace in traces),
        prompt_tokens=np.concatenate([trace.prompt_tokens for trace in traces]),
        output_tokens=np.concatenate([trace.output_tokens for trace in traces]),
        arrival_ns=arrival,
        tenants=_joined_tenants(traces),
        prefixes=_joined_prefixes(traces),
        prefix_block_tokens=_shared_block_tokens(traces),
        priorities=_joined_priorities(traces),
        dropped=tuple(rows for trace in traces for rows in trace.dropped),
    )
    return take(joined, np.argsort(arrival, kind="stable"))


def with_arrivals(trace: Trace, process: ArrivalProcess, rng: np.random.Generator) -> Trace:
    """The same requests in the same order, arriving as the process says.

    Raises:
        TraceError: The process would place the last arrival beyond 146 years.
    """
    if isinstance(process, ClosedLoop):
        return replace(trace, arrival_ns=None, closed_loop_clients=process.clients)
    arrival = process.arrival_ns(len(trace), rng)
    return replace(trace, arrival_ns=arrival, closed_loop_clients=0)


def take(trace: Trace, rows: NDArray[np.intp]) -> Trace:
    """The requests at some positions, in their order, with all that is known of each."""
    return replace(
        trace,
        prompt_tokens=trace.prompt_tokens[rows],
        output_tokens=trace.output_tokens[rows],
        arrival_ns=None if trace.arrival_ns is None else trace.arrival_ns[rows],
        tenants=tuple(trace.tenants[row] for row in rows) if trace.tenants else (),
        prefixes=tuple(trace.prefixes[row] for row in rows) if trace.prefixes else (),
        priorities=tuple(trace.priorities[row] for row in rows) if trace.priorities else (),
    )


def _arrivals(trace: Trace) -> Int64Array:
    if trace.arrival_ns is None:
        raise TraceError(
            f"{trace.name} has no arrival times; give it an arrival process such as poisson:rate=5"
        )
    return trace.arrival_ns


def _window_ns(trace: Trace, start_s: float, duration_s: float | None) -> tuple[int, int]:
    length = math.inf if duration_s is None else duration_s
    if not (0 <= start_s < math.inf and length > 0):
        raise TraceError(
            f"{trace.name}: a window needs a start from 0 s and a duration above 0 s, "
            f"not {start_s} and {duration_s}"
        )
    begin = min(round(start_s * NS_PER_SECOND), MAX_ARRIVAL_NS)
    open_end = length * NS_PER_SECOND >= MAX_ARRIVAL_NS
    return begin, begin + (MAX_ARRIVAL_NS if open_end else round(length * NS_PER_SECOND))


def _joined_tenants(traces: Sequence[Trace]) -> tuple[str, ...]:
    if not any(trace.tenants for trace in traces):
        return ()
    return tuple(tenant for trace in traces for tenant in (trace.tenants or ("",) * len(trace)))


def _joined_priorities(traces: Sequence[Trace]) -> tuple[int, ...]:
    if not any(trace.priorities for trace in traces):
        return ()
    return tuple(rank for trace in traces for rank in (trace.priorities or (0,) * len(trace)))


def _joined_prefixes(traces: Sequence[Trace]) -> tuple[tuple[int, ...], ...]:
    if not any(trace.prefixes for trace in traces):
        return ()
    joined: list[tuple[int, ...]] = []
    offset = 0
    for trace in traces:
        prefixes = trace.prefixes or ((),) * len(trace)
        joined += [tuple(block + offset for block in prefix) for prefix in prefixes]
        offset = 1 + max((max(prefix) for prefix in joined if prefix), default=-1)
    return tuple(joined)


def _shared_block_tokens(traces: Sequence[Trace]) -> int:
    sizes = {trace.prefix_block_tokens for trace in traces if trace.prefixes}
    if len(sizes) > 1:
        listed = " and ".join(str(size) for size in sorted(sizes))
        raise TraceError(f"traces with prefix blocks of {listed} tokens cannot be superposed")
    return next(iter(sizes), 0)
