"""What the figures say, in sentences; only what the event logs and metrics prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.report.quantity import BYTES, figure_at, number, percent, quantity
from scenarios.report.table import (
    HIGHER,
    LOWER,
    PER_SECOND,
    SECTIONS,
    Figure,
    best_run,
    is_bound,
    is_overloaded,
    rivals,
    row_unit,
)
from sim.event_log import EventKind, Loss, RejectionReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.result import RunResult
    from sim.event_log import EventLog

REFUSALS = {
    "could not fit": (RejectionReason.TOO_LONG, RejectionReason.OUTGREW),
    "needed more than their tenant may have": (RejectionReason.OVER_QUOTA,),
    "came faster than their tenant may send": (RejectionReason.THROTTLED,),
    "found the queue full": (RejectionReason.QUEUE_FULL,),
}
"""What is said of requests that were refused for certain reasons."""

PRESSURE = (EventKind.OOM, EventKind.PREEMPTION, EventKind.MIGRATION, EventKind.REJECTION)
"""What happens only where memory binds."""

COMPARED = ("goodput_rps", "throughput_tokens_per_s", "ttft_s.p99", "tpot_s.p99")
"""Figures whose best allocator is named, most telling first."""


def reading_of(runs: Sequence[RunResult]) -> list[str]:
    """The sentences, most telling first."""
    unbound = [run for run in runs if not _is_pressed(run.log)]
    sentences = list(_on_unbound(unbound, runs)) if unbound else []
    sentences += _on_best(runs) if len(unbound) < len(runs) else []
    sentences += _on_bound(runs)
    sentences += _on_overload(runs)
    sentences += [_on_pressure(run) for run in rivals(runs) if run not in unbound]
    return sentences + list(_on_rejections(runs))


def _is_pressed(log: EventLog) -> bool:
    return any(len(log.of(kind)) for kind in PRESSURE)


def _on_unbound(unbound: Sequence[RunResult], runs: Sequence[RunResult]) -> Iterator[str]:
    shares = (run.log.of(EventKind.END)[-1, 3] / run.log.header.budget_bytes for run in unbound)
    where = "" if len(unbound) == len(runs) else f" under {_names(unbound)}"
    yield (
        f"Memory never bound{where}: no allocation failed, nothing was preempted, and peak use"
        f" was at most {percent(float(max(shares)))} of the budget."
    )
    if len(unbound) < len(runs):
        return
    if len(runs) > 1 and _complete_alike(runs):
        yield (
            "Every request completed at the same moment under every allocator, so they differ"
            " in bytes only."
        )
    yield "Raise --rate-scale or lower --memory-gib to load memory."


def _complete_alike(runs: Sequence[RunResult]) -> bool:
    first, *others = (run.log.of(EventKind.COMPLETION)[:, :4] for run in runs)
    return all(np.array_equal(first, other) for other in others)


def _on_best(runs: Sequence[RunResult]) -> Iterator[str]:
    """One sentence for every allocator that is best in something."""
    figures = {figure.path: figure for section in SECTIONS for figure in section.figures}
    clauses: dict[str, list[str]] = {}
    for path in COMPARED:
        best = best_run(figures[path], runs)
        if best is not None:
            clause = _best_clause(figures[path], best, runs)
            clauses.setdefault(best.allocator, []).append(clause)
    for allocator, texts in clauses.items():
        yield f"{allocator} has the best {_listed(texts)}."


def _best_clause(figure: Figure, best: RunResult, runs: Sequence[RunResult]) -> str:
    unit = row_unit(figure, runs)
    values = {run.allocator: figure_at(run.metrics, figure.path) for run in rivals(runs)}
    known = {name: value for name, value in values.items() if value is not None}
    best_value = known.pop(best.allocator)
    choose = {HIGHER: max, LOWER: min}[figure.better]
    second = choose(known, key=known.__getitem__)
    return (
        f"{figure.label} ({number(best_value, unit)} {unit.symbol}; {second},"
        f" the next, {number(known[second], unit)})"
    )


def _on_bound(runs: Sequence[RunResult]) -> Iterator[str]:
    """How near the allocators come to memory that wastes nothing."""
    bound = next((run for run in runs if is_bound(run)), None)
    ceiling = bound and figure_at(bound.metrics, "goodput_rps")
    if not ceiling:
        return
    reached = [
        f"{percent(goodput / ceiling)} under {run.allocator}"
        for run in rivals(runs)
        if (goodput := figure_at(run.metrics, "goodput_rps")) is not None
    ]
    if reached:
        most = quantity(ceiling, PER_SECOND)
        yield f"Of the goodput of the bound ({most}): {_listed(reached)}."


def _on_pressure(run: RunResult) -> str:
    """What shortage of memory did to one run."""
    clauses = [*_failures(run.log), *_preemptions(run.log), *_migrations(run.log)]
    return (
        f"Under {run.allocator}: {', '.join(clauses) or 'requests refused'}{_stranding(run.log)}."
    )


def _failures(log: EventLog) -> Iterator[str]:
    pools = log.of(EventKind.OOM)[:, 3]
    if len(pools):
        counts = np.bincount(pools)
        most = int(counts.argmax())
        share = percent(float(counts[most] / len(pools)))
        where = f" ({share} in pool {log.header.pools[most].name})"
        yield _counted(len(pools), "failed allocation") + where * (len(log.header.pools) > 1)


def _preemptions(log: EventLog) -> Iterator[str]:
    preemptions = log.of(EventKind.PREEMPTION)
    if len(preemptions):
        swapped = preemptions[:, 5] == Loss.SWAPPED
        tokens = _counted(int(preemptions[~swapped, 3].sum()), "token")
        kept = f", {int(swapped.sum()):,} swapped" * bool(swapped.any())
        yield f"{_counted(len(preemptions), 'preemption')} ({tokens} to recompute{kept})"


def _migrations(log: EventLog) -> Iterator[str]:
    migrations = log.of(EventKind.MIGRATION)
    if len(migrations):
        moved = quantity(int(migrations[:, 5].sum()), BYTES)
        yield f"{_counted(len(migrations), 'migration')} ({moved})"


def _stranding(log: EventLog) -> str:
    stranded = log.of(EventKind.WASTE_SAMPLE)[:, 5]
    if not stranded.any():
        return ""
    share = percent(float((stranded > 0).mean()))
    free = quantity(float(stranded[stranded > 0].mean()), BYTES)
    return (
        f"; at {share} of the samples the queue waited for one pool while another had bytes"
        f" free, {free} on average"
    )


def _on_rejections(runs: Sequence[RunResult]) -> Iterator[str]:
    for run in runs:
        reasons = run.log.of(EventKind.REJECTION)[:, 3]
        counts = {why: int(np.isin(reasons, codes).sum()) for why, codes in REFUSALS.items()}
        clauses = [f"{count:,} {why}" for why, count in counts.items() if count]
        if clauses:
            refused = f"{len(reasons):,} of {run.log.header.num_requests:,} requests"
            yield f"{run.allocator} refused {refused}: {_listed(clauses)}."


def _on_overload(runs: Sequence[RunResult]) -> Iterator[str]:
    overloaded = [run for run in runs if is_overloaded(run)]
    if overloaded:
        yield (
            f"Overloaded: {_names(overloaded)}. The queue grew as long as requests arrived, so"
            " latencies, marked †, depend on the length of the trace; compare rates instead."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _names(runs: Sequence[RunResult]) -> str:
    return _listed([run.allocator for run in runs])


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
