"""A simulated run against a measured log: everything that is found, and what must be said of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.compare.figures import LATENCIES, MOST_RESAMPLED, distribution, rates
from scenarios.compare.matching import match
from scenarios.compare.measured import read_measured
from scenarios.compare.occupancy import occupancy_error, read_occupancy, simulated_occupancy
from scenarios.compare.requests import per_request
from scenarios.compare.side import simulated_side
from scenarios.errors import UnknownNameError, UserError
from scenarios.store import kept_runs, read_kept
from scenarios.tables import MARK
from scenarios.text_file import read_facts
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from sim.metrics.stability import OVERLOADED
from sim.replica_log import as_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios.compare.figures import Figure
    from scenarios.compare.matching import Matching
    from scenarios.compare.measured import MeasuredLog
    from scenarios.compare.occupancy import OccupancyError, OccupancyInput
    from scenarios.compare.side import Side
    from scenarios.result import RunResult
    from sim.event_log import EventLog

MOST_APART = 0.01
"""Share by which the spans of arrivals may differ before it is said."""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What to compare.

    Attributes:
        run: The `--out` folder of a replay.
        measured: The measured log, CSV or JSON Lines.
        allocator: Which run of the folder; None if it holds one.
        columns: `id=...,arrival=...,...`; None goes by well-known names.
        occupancy: A measured series of pool use, if there is one.
    """

    run: Path
    measured: Path
    allocator: str | None = None
    columns: str | None = None
    occupancy: OccupancyInput | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        facts: What was compared, by the names of the JSON contract.
        matching: The requests of both sides.
        rates: Requests and tokens a second.
        latencies: By "ttft", "tpot", "e2e": mean and percentiles of both sides.
        requests: The same keys: errors of single requests.
        occupancy: How far pool use is apart; None without a measured series.
        notes: Sentences that a reader of the figures must know.
    """

    facts: dict[str, Any]
    matching: Matching
    rates: dict[str, Figure]
    latencies: dict[str, dict[str, Figure]]
    requests: dict[str, dict[str, Any]]
    occupancy: OccupancyError | None
    notes: tuple[str, ...]

    @property
    def is_latency_valid(self) -> bool:
        """Whether latencies of the run are its own, and not a matter of how long its trace is."""
        return bool(self.facts["stability"] != OVERLOADED)

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        matching, occupancy = self.matching, self.occupancy
        return {
            **self.facts,
            "matched": matching.num_matched,
            "compared": len(matching),
            "unmatched": {side: named.to_json() for side, named in matching.only.items()},
            "unserved": {side: named.to_json() for side, named in matching.unserved.items()},
            "token_differences": {k: named.to_json() for k, named in matching.differing.items()},
            "latency_valid": self.is_latency_valid,
            "throughput_error_pct": self.rates["throughput_rps"].error_pct,
            **{
                f"{key}_error_pct": {name: figure.error_pct for name, figure in figures.items()}
                for key, figures in self.latencies.items()
            },
            "occupancy_mae_pct": None if occupancy is None else occupancy.mae_pct,
            "figures": self._figures(),
            "per_request": self.requests,
            "occupancy": None if occupancy is None else _occupancy_json(occupancy),
            "notes": list(self.notes),
        }

    def _figures(self) -> dict[str, Any]:
        """Both sides of every figure."""
        latencies = {
            f"{key}_s": {name: figure.to_json() for name, figure in figures.items()}
            for key, figures in self.latencies.items()
        }
        return {**{name: figure.to_json() for name, figure in self.rates.items()}, **latencies}


def compare(options: CompareOptions) -> Comparison:
    """Compare a run with a log.

    Raises:
        UserError: No such run, unknown columns, nothing in common.
        TraceError: A file that cannot be used; the sentence names file and line.
    """
    start_s = time.perf_counter()
    run = _chosen_run(options)
    measured = read_measured(options.measured, options.columns)
    log = as_one(run.log)
    simulated = simulated_side(log)
    occupancy = _occupancy(options.occupancy, measured, log)
    matching = match(measured.side, simulated)
    figures = {latency.key: distribution(matching, latency) for latency in LATENCIES}
    facts = {
        **_facts(options, run),
        "matched_by": "id" if measured.has_ids else "order",
        "arrival_span_s": {
            "measured": measured.side.arrival_span_s,
            "simulated": simulated.arrival_span_s,
        },
    }
    return Comparison(
        facts={**facts, "wall_seconds": time.perf_counter() - start_s},
        matching=matching,
        rates=rates(matching),
        latencies=figures,
        requests={latency.key: per_request(matching, latency) for latency in LATENCIES},
        occupancy=occupancy,
        notes=tuple(_notes(run, measured.side, simulated, matching)),
    )


def _chosen_run(options: CompareOptions) -> RunResult:
    runs = kept_runs(options.run)
    name = options.allocator
    if name is None and len(runs) > 1:
        listed = ", ".join(runs)
        raise UserError(f"{options.run} holds several runs: choose by --allocator one of {listed}")
    if name is not None and name not in runs:
        raise UnknownNameError(f"allocator in {options.run}", name, runs)
    return read_kept(runs[name] if name is not None else next(iter(runs.values())))


def _occupancy(
    given: OccupancyInput | None, measured: MeasuredLog, log: EventLog
) -> OccupancyError | None:
    if given is None:
        return None
    series = read_occupancy(given, measured.zero_ns)
    return occupancy_error(series, simulated_occupancy(log, given.pool))


def _facts(options: CompareOptions, run: RunResult) -> dict[str, Any]:
    """What was compared; seed and digests are those of the replay, where its result is kept."""
    kept = options.run / "result.json"
    replayed = read_facts(kept) if kept.exists() else {}
    names = ("seed", "scenario_digest", "trace_digest", "trace", "model", "device", "scheduler")
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "compare",
        **{name: replayed.get(name) for name in names},
        "run": str(options.run),
        "allocator": run.allocator,
        "measured": str(options.measured),
        "stability": run.metrics["stability"],
        "event_log_sha256": run.metrics["event_log_sha256"],
    }


def _occupancy_json(found: OccupancyError) -> dict[str, float]:
    return {
        "mae_pct": found.mae_pct,
        "bias_pct": found.bias_pct,
        "measured_mean_pct": found.measured_mean_pct,
        "seconds": found.end_s - float(found.edges_s[0]),
    }


def _notes(run: RunResult, measured: Side, simulated: Side, matching: Matching) -> Iterator[str]:
    """What keeps the figures from being about the same work, then what limits them."""
    yield from _on_load(measured.arrival_span_s, simulated.arrival_span_s)
    for what, named in matching.differing.items():
        if len(named):
            yield (
                f"{len(named):,} of {len(matching):,} requests differ in {what} tokens ({named}):"
                " the two sides did different work."
            )
    for side, named in matching.only.items():
        if len(named):
            yield f"{len(named):,} requests are only {_where(side)} ({named}) and not compared."
    for side, named in matching.unserved.items():
        if len(named):
            yield f"{len(named):,} requests got no tokens {_where(side)} ({named})."
    yield from _on_arrivals(matching)
    if run.metrics["stability"] == OVERLOADED:
        yield (
            f"{MARK} The run was overloaded: its latencies grow with the length of the trace, so a"
            " small error of its rate shows as a large one of latency."
        )
    if len(matching) > MOST_RESAMPLED:
        yield f"No intervals are given above {MOST_RESAMPLED:,} requests."


def _where(side: str) -> str:
    return {"measured": "in the measured log", "simulated": "in the run"}[side]


def _on_load(measured_s: float, simulated_s: float) -> Iterator[str]:
    longer = max(measured_s, simulated_s)
    if longer and abs(measured_s - simulated_s) / longer > MOST_APART:
        yield (
            f"Arrivals span {measured_s:,.2f} s in the measured log and {simulated_s:,.2f} s in the"
            " run: the two sides had different load."
        )


def _on_arrivals(matching: Matching) -> Iterator[str]:
    """Requests that come at other times meet another queue."""
    ours, theirs = (side.arrival_ns / 1e9 for side in (matching.measured, matching.simulated))
    apart_s = np.abs(theirs - ours)
    if apart_s.max() > MOST_APART * max(float(ours[-1] - ours[0]), 1e-9):
        yield (
            f"Arrivals of the same request are up to {apart_s.max():,.3f} s apart"
            f" ({np.median(apart_s):,.3f} s in the median)."
        )
