"""What a run on a device and its simulations have in common, and how far they are apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.compare.figures import LATENCIES, distribution, rates
from scenarios.compare.matching import match
from scenarios.compare.occupancy import occupancy_error, simulated_occupancy
from scenarios.compare.requests import errors_pct
from scenarios.compare.side import simulated_side
from scenarios.errors import UserError
from scenarios.validation.aside import aside_json
from sim.metric import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scenarios.compare.figures import Figure
    from scenarios.validation.decisions import Decisions
    from scenarios.validation.runs import Case, GuardedRun, MeasuredRun
    from scenarios.validation.steps import RecordedStep
    from sim.event_log import EventLog

    Floats = NDArray[np.float64]

NS_PER_S = 1e9
SHOWN = ("p50", "p95")


@dataclass(frozen=True, slots=True)
class Row:
    """One allocator at one load.

    Attributes:
        case: What was run.
        load: How many times faster than in the trace requests came.
        measured: The run on the device.
        repeated: What the simulator decided with the device's durations; None if it did not follow.
        predicted: The log of the simulation with predicted durations.
        guarded: What became of the bytes.
    """

    case: Case
    load: float
    measured: MeasuredRun
    repeated: Decisions | None
    predicted: EventLog
    guarded: GuardedRun

    @property
    def are_decisions_identical(self) -> bool:
        """Whether handles, memory calls and the whole event log are the same."""
        return self.measured.decisions == self.repeated

    def is_identical(self, name: str) -> bool:
        """Whether one of the attributes of `Decisions` is the same."""
        mine, other = self.measured.decisions, self.repeated
        return other is not None and getattr(mine, name) == getattr(other, name)

    def to_json(self) -> dict[str, Any]:
        """The row, by the names of the JSON contract."""
        cell, decisions = self.case.cell, self.measured.decisions
        return {
            "allocator": cell.allocator,
            "backing": self.case.backing,
            "rate_scale": self.load,
            "trace": self.case.trace.name,
            "requests": len(self.case.trace),
            "decisions_identical": self.are_decisions_identical,
            "oom_identical": self.is_identical("oom_events"),
            "peak_bytes_identical": self.is_identical("peak_bytes"),
            "event_log_identical": self.is_identical("event_log_sha256"),
            "decisions": asdict(decisions),
            "budget_bytes": cell.machine.budget_bytes,
            "physical_bytes": self.measured.physical_bytes,
            **_errors(self),
            "steps": _steps_json(self.measured.steps),
            **aside_json(self.measured.steps),
            "measured": _summary(self, self.measured.log),
            "predicted": _summary(self, self.predicted),
            "verified_pages": self.guarded.verified_pages,
            "corrupted_pages": self.guarded.corrupted_pages,
        }


def _errors(row: Row) -> dict[str, Any]:
    """Errors of the prediction, in percent of what was measured."""
    try:
        matching = match(simulated_side(row.measured.log), simulated_side(row.predicted))
    except UserError:  # nobody was served on both sides
        return {"throughput_error_pct": None, "occupancy_mae_pct": None}
    found: dict[str, Any] = {
        "throughput_error_pct": rates(matching)["throughput_tokens_per_s"].error_pct
    }
    for latency in LATENCIES:
        figures = distribution(matching, latency)
        found[f"{latency.key}_error_pct"] = {name: figures[name].error_pct for name in SHOWN}
        found[f"{latency.key}_s"] = {name: _pair(figures[name]) for name in SHOWN}
    return found | {"occupancy_mae_pct": _occupancy_mae_pct(row)}


def _pair(figure: Figure) -> dict[str, float | None]:
    return {"measured": figure.measured, "predicted": figure.simulated}


def _occupancy_mae_pct(row: Row) -> float | None:
    try:
        logs = row.measured.log, row.predicted
        return occupancy_error(*map(simulated_occupancy, logs)).mae_pct
    except UserError:  # too short a run for samples
        return None


def _steps_json(steps: Sequence[RecordedStep]) -> dict[str, Any]:
    """Durations of steps and the errors of their predictions, each for the plan that was run."""
    measured = np.array([step.measured_ns for step in steps], dtype=np.float64)
    predicted = np.array([step.predicted_ns for step in steps], dtype=np.float64)
    chunked = np.array([step.work.chunks > 0 for step in steps])
    kinds = {"all": np.ones(len(steps), bool), "decode": ~chunked, "chunked": chunked}
    return {
        name: _step_errors(measured[chosen], predicted[chosen]) for name, chosen in kinds.items()
    }


def _step_errors(measured: Floats, predicted: Floats) -> dict[str, float | int] | None:
    if not len(measured):
        return None
    absolute = np.abs(errors_pct(measured, predicted))
    p50 = float(np.median(measured))
    return {
        "count": len(measured),
        "seconds": float(measured.sum()) / NS_PER_S,
        "total_error_pct": 100 * float(predicted.sum() / measured.sum() - 1),
        "p50_ms": p50 / 1e6,
        "p50_error_pct": 100 * (float(np.median(predicted)) / p50 - 1),
        "median_abs_error_pct": float(np.median(absolute)),
        "p95_abs_error_pct": float(np.percentile(absolute, 95)),
    }


def _summary(row: Row, log: EventLog) -> dict[str, Any]:
    """Figures of a run."""
    figures = measure(log, row.case.cell.slo)
    names = ("completed", "rejected", "preemptions", "oom_events", "throughput_tokens_per_s")
    return {name: figures[name] for name in (*names, "simulated_seconds", "stability")}
