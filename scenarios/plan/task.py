"""What a worker does for a plan: run a cell at a load, or serve a backlog."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.cell import simulate
from scenarios.plan.window import Window, latencies, pressure
from sim.metrics.stability import OVERLOADED
from sim.replica_log import as_one
from traces.transform import take

if TYPE_CHECKING:
    from scenarios.cell import Cell
    from scenarios.plan.objective import Term
    from traces.loads import Traffic

Row = dict[str, Any]

NUM_SAMPLES = 500
"""Samples of occupancy a run; each ends a macro-step, so that more would only cost time."""

BACKLOG_REQUESTS = 2000


@dataclass(frozen=True, slots=True)
class Setup:
    """What is planned: one machine with one allocator under one kind of traffic.

    Attributes:
        device: Name of the device.
        variant: What is changed about the inputs; empty for the plan itself.
        cell: Machine, allocator and scheduler.
        traffic: Requests at any load.
        terms: What a run must keep to.
    """

    device: str
    variant: str
    cell: Cell
    traffic: Traffic
    terms: tuple[Term, ...]

    @property
    def allocator(self) -> str:
        """The allocator as the user wrote it."""
        return self.cell.allocator

    @property
    def place(self) -> Row:
        """What names it in a table."""
        return {"device": self.device, "allocator": self.allocator, "variant": self.variant}


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One run of a setup at a load.

    Attributes:
        setup: What runs.
        number: Place of the load on the grid; None where it lies on none.
        load: In multiples of the trace's own rate.
        seed: Chooses the requests.
        digest: Of all that determines the row.
    """

    setup: Setup
    number: int | None
    load: float
    seed: int
    digest: str

    def run(self) -> Row:
        """See `scenarios.retries.Task`; a run that fails is recorded with its error."""
        setup = self.setup
        row: Row = {
            **setup.place,
            "digest": self.digest,
            "number": self.number,
            "load": self.load,
            "seed": self.seed,
            "rate_rps": self.load * setup.traffic.rate_rps,
        }
        try:
            return row | _outcome(setup, self.load, self.seed)
        except Exception as error:  # noqa: BLE001 - recorded, and said when the plan ends
            return row | {"error": f"{type(error).__name__}: {error}", "within": False}


@dataclass(frozen=True, slots=True)
class Backlog:
    """How a setup serves requests that are all there at the start.

    Attributes:
        rate_rps: Requests a second; None if it serves nothing.
        decode_s: How long a request of mean length decodes at the median TPOT.
    """

    rate_rps: float | None
    decode_s: float

    @classmethod
    def of(cls, row: Row) -> Backlog:
        """What a run of it found."""
        return cls(row["saturation_rps"], row["decode_s"] or 0.0)


@dataclass(frozen=True, slots=True)
class BacklogRun:
    """How fast a setup serves requests that are all there at the start: where a search starts.

    Attributes:
        setup: What runs.
        digest: Of all that determines the row.
    """

    setup: Setup
    digest: str

    def run(self) -> Row:
        """See `scenarios.retries.Task`."""
        trace = self.setup.traffic.trace
        rows = np.linspace(0, len(trace) - 1, min(BACKLOG_REQUESTS, len(trace))).astype(np.int64)
        backlog = replace(take(trace, rows), arrival_ns=np.zeros(len(rows), np.int64))
        row: Row = {**self.setup.place, "digest": self.digest, "error": None}
        found: Row = {"saturation_rps": None, "decode_s": None}
        try:
            metrics = simulate(self.setup.cell, backlog).metrics
        except Exception as error:  # noqa: BLE001 - the search then starts at the trace's own rate
            return row | found | {"error": f"{type(error).__name__}: {error}"}
        if metrics["throughput_rps"]:
            tokens = float(backlog.output_tokens.mean()) - 1
            tpot_s = metrics["tpot_s"]["p50"] or 0.0
            found = {"saturation_rps": metrics["throughput_rps"], "decode_s": tokens * tpot_s}
        return row | found


def digest_of(setup: Setup, trace_digest: str, what: object) -> str:
    """SHA-256 (hex) of all that determines a row."""
    traffic = setup.traffic
    about = (setup.place, traffic.window_ns, traffic.is_stretched, setup.terms, what)
    described = repr((setup.cell.digest(trace_digest), about))
    return hashlib.sha256(described.encode()).hexdigest()


def _outcome(setup: Setup, load: float, seed: int) -> Row:
    trace = setup.traffic.at(load, seed)
    window = Window.inside(setup.traffic.duration_ns(load))
    run = simulate(setup.cell, trace)
    log = as_one(run.log)
    figures = latencies(log, window, setup.terms)
    late = [term.name for term in setup.terms if _is_late(figures[term.name], term.most_s)]
    stability = run.metrics["stability"]
    return {
        "error": None,
        "requests": len(trace),
        "within": not late and stability != OVERLOADED,
        "missed": late,
        "stability": stability,
        **figures,
        **pressure(log, window),
        "stranded_pct": run.metrics["waste"]["stranded_pct"],
        "event_log_sha256": run.metrics["event_log_sha256"],
    }


def _is_late(seconds: float | None, most_s: float) -> bool:
    return seconds is None or seconds > most_s
