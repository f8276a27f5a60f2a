"""The table of figures: one row a figure, one column an allocator, the best of a row marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.managers.shared_bytes import SharedBytesManager
from scenarios.report.quantity import (
    BYTES,
    COUNTS,
    MISSING,
    SECONDS,
    Unit,
    figure_at,
    number,
    unit_for,
)
from sim.metrics.stability import OVERLOADED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.result import RunResult

HIGHER, LOWER, NEITHER = "higher", "lower", ""

PER_SECOND = (Unit("requests/s", 1),)
TOKENS_PER_SECOND = (Unit("tokens/s", 1),)
OF_BUDGET = (Unit("% of budget", 1),)
HOST_TIME = (Unit("ns", 1),)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what it is called, where it lies in the metrics, its units and good direction."""

    label: str
    path: str
    units: tuple[Unit, ...]
    better: str

    @property
    def is_latency(self) -> bool:
        """Whether overload makes it a matter of how long the trace is."""
        return self.path.startswith(("ttft_s", "tpot_s", "e2e_s"))


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together."""

    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one field of the table shows."""

    text: str
    is_best: bool = False
    is_overloaded: bool = False


SECTIONS = (
    Section(
        "Requests",
        (
            Figure("completed", "completed", COUNTS, HIGHER),
            Figure("rejected", "rejected", COUNTS, LOWER),
            Figure("clean completions", "clean_completions", COUNTS, HIGHER),
            Figure("preemptions", "preemptions", COUNTS, LOWER),
            Figure("OOM events", "oom_events", COUNTS, LOWER),
            Figure("recomputed tokens", "recomputed_tokens", COUNTS, LOWER),
        ),
    ),
    Section(
        "Rate",
        (
            Figure("throughput", "throughput_rps", PER_SECOND, HIGHER),
            Figure("throughput", "throughput_tokens_per_s", TOKENS_PER_SECOND, HIGHER),
            Figure("goodput", "goodput_rps", PER_SECOND, HIGHER),
        ),
    ),
    Section(
        "Latency",
        (
            Figure("TTFT p50", "ttft_s.p50", SECONDS, LOWER),
            Figure("TTFT p99", "ttft_s.p99", SECONDS, LOWER),
            Figure("TPOT p50", "tpot_s.p50", SECONDS, LOWER),
            Figure("TPOT p99", "tpot_s.p99", SECONDS, LOWER),
            Figure("end to end p99", "e2e_s.p99", SECONDS, LOWER),
        ),
    ),
    Section(
        "Memory",
        (
            Figure("peak of granted bytes", "peak_bytes", BYTES, NEITHER),
            Figure("footprint", "footprint_bytes", BYTES, LOWER),
            Figure("internal waste", "waste.internal_pct", OF_BUDGET, LOWER),
            Figure("external waste", "waste.external_pct", OF_BUDGET, LOWER),
            Figure("stranded waste", "waste.stranded_pct", OF_BUDGET, LOWER),
            Figure("migrations", "migrations.count", COUNTS, NEITHER),
            Figure("migrated", "migrations.bytes", BYTES, NEITHER),
            Figure("migrations blocked", "migrations.blocked", COUNTS, NEITHER),
        ),
    ),
    Section(
        "Allocator's own time, measured on this host and not part of simulated time",
        (Figure("host time an operation", "host_ns_per_allocator_op", HOST_TIME, LOWER),),
    ),
)


SWAPPING = Section(
    "Swapping to host memory",
    (
        Figure("swapped out", "swaps.out_count", COUNTS, NEITHER),
        Figure("swapped out", "swaps.out_bytes", BYTES, NEITHER),
        Figure("swapped in", "swaps.in_bytes", BYTES, NEITHER),
        Figure("tokens not recomputed", "swaps.kept_tokens", COUNTS, HIGHER),
        Figure("time on the host link", "swaps.link_seconds", SECONDS, LOWER),
        Figure("peak in host memory", "swaps.peak_host_bytes", BYTES, NEITHER),
        Figure("recomputed: host full", "swaps.host_full_count", COUNTS, LOWER),
        Figure("recomputed: cheaper", "swaps.cheaper_count", COUNTS, NEITHER),
    ),
)
"""Shown only where something is swapped."""


def sections_of(runs: Sequence[RunResult]) -> list[Section]:
    """The sections that say something about some runs."""
    return [*SECTIONS, SWAPPING] if any(run.is_swapping for run in runs) else [*SECTIONS]


def is_bound(run: RunResult) -> bool:
    """Whether a run is the bound, which nothing can beat and nobody can deploy."""
    return run.allocator.partition(":")[0] == SharedBytesManager.name


def is_overloaded(run: RunResult) -> bool:
    """Whether the queue of a run grew as long as requests arrived."""
    return run.metrics.get("stability") == OVERLOADED


def rivals(runs: Sequence[RunResult]) -> list[RunResult]:
    """The runs one can choose from: all but the bound."""
    return [run for run in runs if not is_bound(run)]


def row_unit(figure: Figure, runs: Sequence[RunResult]) -> Unit:
    """The one unit of a row."""
    return unit_for([figure_at(run.metrics, figure.path) for run in runs], figure.units)


def row_cells(figure: Figure, runs: Sequence[RunResult]) -> list[Cell]:
    """The cells of a row, in order of the runs."""
    unit = row_unit(figure, runs)
    best = best_run(figure, runs)
    return [
        Cell(_text(figure, run, unit), run is best, figure.is_latency and is_overloaded(run))
        for run in runs
    ]


def best_run(figure: Figure, runs: Sequence[RunResult]) -> RunResult | None:
    """The one run whose figure reads better than every other's, if there is one.

    The bound does not compete, equal readings leave nobody best, and a percentile of an
    overloaded run wins nothing, since it depends on how long the trace is.
    """
    unit = row_unit(figure, runs)
    with_figure = [(figure_at(run.metrics, figure.path), run) for run in rivals(runs)]
    known = [(value, run) for value, run in with_figure if value is not None]
    if len(known) < 2 or figure.better == NEITHER:  # noqa: PLR2004 - one alone is not best
        return None
    choose = max if figure.better == HIGHER else min
    _, best = choose(known, key=lambda pair: pair[0])
    others = {_text(figure, run, unit) for _, run in known if run is not best}
    is_moot = figure.is_latency and is_overloaded(best)
    return None if is_moot or _text(figure, best, unit) in others else best


def _text(figure: Figure, run: RunResult, unit: Unit) -> str:
    value = figure_at(run.metrics, figure.path)
    return MISSING if value is None else number(value, unit)
