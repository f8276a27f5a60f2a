"""Errors request by request: how large they are, and which requests have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scenarios.compare.figures import Latency
    from scenarios.compare.matching import Matching
    from scenarios.compare.side import Ints

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

NUM_PARTS = 4
NUM_WORST = 5


def errors_pct(measured: Floats, simulated: Floats) -> Floats:
    """(simulated - measured) / measured of each request, percent; NaN where nothing is measured."""
    errors = np.full(len(measured), np.nan)
    np.divide(simulated - measured, measured, out=errors, where=measured > 0)
    return 100 * errors


def per_request(matching: Matching, latency: Latency) -> dict[str, Any]:
    """The distribution of the errors of single requests, the worst ones, and their origins."""
    measured, simulated = latency.pairs(matching)
    errors = errors_pct(measured, simulated)
    known = np.flatnonzero(~np.isnan(errors))
    if not len(known):
        return {"requests": 0}
    absolute = np.abs(errors[known])
    median, p95 = (float(value) for value in np.percentile(absolute, (50, 95)))
    worst = known[np.argsort(-absolute, kind="stable")[:NUM_WORST]]
    return {
        "requests": len(known),
        "median_error_pct": float(np.median(errors[known])),
        "median_abs_error_pct": median,
        "p95_abs_error_pct": p95,
        "worst": [
            {
                "request": int(matching.measured.request[i]),
                "measured_s": float(measured[i]),
                "simulated_s": float(simulated[i]),
                "error_pct": float(errors[i]),
            }
            for i in worst
        ],
        "origins": list(_origins(matching, simulated - measured, errors)),
    }


def _origins(matching: Matching, seconds: Floats, errors: Floats) -> Iterator[dict[str, Any]]:
    """Parts of the requests: how far off each is, and its share of all seconds of error."""
    total_s = float(np.nansum(np.abs(seconds)))
    for by, part, mask in _parts(matching):
        inside = errors[mask & ~np.isnan(errors)]
        if len(inside):
            own_s = float(np.nansum(np.abs(seconds[mask])))
            yield {
                "by": by,
                "part": part,
                "requests": len(inside),
                "median_error_pct": float(np.median(inside)),
                "median_abs_error_pct": float(np.median(np.abs(inside))),
                "share_of_error_pct": 100 * own_s / total_s if total_s else None,
            }


def _parts(matching: Matching) -> Iterator[tuple[str, str, Mask]]:
    """Quarters by arrival, by prompt and by output; and who was preempted in the run."""
    run = matching.simulated
    arrivals = np.arange(len(matching))  # they are in this order
    yield from (("arrival", f"quarter {i + 1}", m) for i, m in enumerate(_quarters(arrivals)))
    for name, tokens in (
        ("prompt tokens", run.prompt_tokens),
        ("output tokens", run.output_tokens),
    ):
        for mask in _quarters(tokens):
            if mask.any():
                yield name, f"{tokens[mask].min():,} to {tokens[mask].max():,}", mask
    preempted = run.preemptions > 0
    if preempted.any():
        yield "preemption in the run", "preempted", preempted
        yield "preemption in the run", "never", ~preempted


def _quarters(values: Ints) -> list[Mask]:
    """Masks of four parts of about one size; equal values stay together."""
    edges = np.percentile(values, np.linspace(0, 100, NUM_PARTS + 1)[1:-1])
    part = np.searchsorted(edges, values, side="left")
    return [part == number for number in range(NUM_PARTS)]
