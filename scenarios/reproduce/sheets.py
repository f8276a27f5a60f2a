"""The tables of an evaluation: the paper's, beside the published figures, and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.sheet import NOTHING, Cell, Sheet, lines_of, number, percent
from scenarios.reproduce.published_figures import (
    DETERMINISTIC,
    place_of,
    published_facts,
    published_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Found = dict[str, Any]
SHOWN = ("oom_mean", "oom_std", "completion_ratio", "effective_batch", "migrations")
ROUNDED = 0.05
"""Totals that are published without their rows are rounded to one digit."""


def sheets_of(found: Found) -> Iterator[Sheet]:
    """Every table that an evaluation has figures for.

    Args:
        found: The evaluation as it is written to `result.json`.
    """
    yield from summary_sheets_of(found)
    for name in ("headline", "sharegpt"):
        if name in found["sweeps"] and not found["fixes"]:
            yield rows_sheet(name, found["sweeps"][name]["rows"])


def summary_sheets_of(found: Found) -> Iterator[Sheet]:
    """As `sheets_of`, without the tables that have a line for each published row."""
    for name, sweep in found["sweeps"].items():
        yield totals_sheet(name, sweep)
    for name in ("headline", "sharegpt", "batch-size"):
        if found["sweeps"].get(name, {}).get("bootstrap"):
            yield intervals_sheet(name, found["sweeps"][name]["bootstrap"])
    if found.get("decomposition"):
        for kind in ("cumulative", "alone"):
            yield steps_sheet(kind, found["decomposition"][kind])
    if found.get("phases"):
        yield phases_sheet(found["phases"])
    if found.get("engine"):
        yield engine_sheet(found["engine"])


def totals_sheet(name: str, sweep: Found) -> Sheet:
    """OOM events and completions of each variant."""
    lines = []
    for total in sweep["totals"]:
        published = total["published_oom"]
        differs = published is not None and abs(total["oom"] - published) > ROUNDED
        lines.append(
            (
                total["variant"],
                Cell(number(total["oom"]), differs),
                number(published),
                *(number(value) for value in total["oom_by_workload"].values()),
                percent(total["completion_ratio"]),
                percent(total["clean_completion_ratio"]),
                number(total["evictions"], 0),
                number(total["migrations"], 0),
            )
        )
    workloads = sweep["totals"][0]["oom_by_workload"] if sweep["totals"] else ()
    header = ("variant", "OOM events", "published", *workloads)
    return Sheet(
        f"Sweep {name}: {sweep['cells']} cells",
        "OOM events, evictions: sums over rows (workload, model, pool) of means over three seeds;"
        " completed and clean: mean percent of requests; migrations: sums of medians.",
        (*header, "completed, %", "clean, %", "evictions", "migrations"),
        lines_of(lines),
    )


def rows_sheet(name: str, rows: list[Found]) -> Sheet:
    """Every row beside the published one; ours first, and the published only where it differs."""
    lines = []
    for row in rows:
        published = published_rows()[place_of(row)]
        texts = [_beside(row, published, column) for column in SHOWN]
        others = [c for c in row["differs"] if c not in SHOWN]
        equal = len([c for c in DETERMINISTIC if published[c] is not None]) - len(row["differs"])
        verdict = Cell(f"{equal} equal", bool(others))
        place = (row["variant"], row["workload"], row["model"], str(row["pool_gib"]))
        lines.append((*place, *texts, verdict))
    columns = tuple(column.replace("_", " ") for column in SHOWN)
    return Sheet(
        f"Rows of {name}",
        "A figure that is not the published one is marked, with the published one behind it."
        " Compared are OOM mean and deviation, completion ratio, effective batch, migrations,"
        " their bytes and waste, and the pages of both pools at the end.",
        ("variant", "workload", "model", "pool, GiB", *columns, "figures"),
        lines_of(lines),
    )


def _beside(row: Found, published: Found, column: str) -> Cell:
    digits = 4 if column == "completion_ratio" else 2
    if column in row["differs"]:
        return Cell(f"{row[column]:.{digits}f} ({published[column]:.{digits}f})", differs=True)
    return Cell(f"{row[column]:,.{digits}f}")


def intervals_sheet(name: str, bootstrap: list[Found]) -> Sheet:
    """Differences from the baseline: published, made again, and by clusters of seeds."""
    lines = [
        (
            entry["variant"],
            entry["workload"],
            NOTHING if entry["published"] is None else _interval(entry["published"]),
            _interval(entry["as_published"]),
            str(entry["clusters"]),
            _interval(entry["clustered"]),
            f"{entry['p']:.3f}",
            f"{entry['p_holm']:.3f}",
        )
        for entry in bootstrap
    ]
    header = ("variant", "workload", "published", "made again", "clusters", "by clusters")
    return Sheet(
        f"Sweep {name}: OOM events a cell, difference from fixed_dual_mr05",
        "Published: 95 % over single cells. By clusters: (workload, seed) resampled within"
        " workloads, simultaneous 95 % over all comparisons (Bonferroni). p: exact sign flips of"
        " clusters; Holm: adjusted for all comparisons. Three clusters cannot give p below 0.25.",
        (*header, "p", "p, Holm"),
        lines_of(lines),
    )


def _interval(figures: list[float]) -> str:
    *estimate, low, high = figures
    return f"{estimate[0]:+.2f} [{low:.2f}, {high:.2f}]" if estimate else f"[{low:.2f}, {high:.2f}]"


def steps_sheet(kind: str, steps: list[Found]) -> Sheet:
    """OOM events and clean completions of each variant at every step."""
    variants = [total["variant"] for total in steps[0]["totals"]]
    lines = []
    for step in steps:
        totals = {total["variant"]: total for total in step["totals"]}
        texts = [
            f"{number(totals[name]['oom'])} / {percent(totals[name]['clean_completion_ratio'])}"
            for name in variants
        ]
        lines.append((step["step"], *texts))
    one = "Each fix on top of those above it" if kind == "cumulative" else "Each fix alone"
    return Sheet(
        one, "OOM events / clean completions in percent.", ("fix", *variants), lines_of(lines)
    )


def phases_sheet(phases: Found) -> Sheet:
    """Host time by phase, and the paper's goodput, beside what it published."""
    known = published_facts()["phases"]
    lines = []
    for entry in phases["table"]:
        shares = [entry[f"{name}_pct"] for name in ("service", "failed", "migration", "idle")]
        published = known.get(entry["label"], {}).get(entry["workload"])
        lines.append(
            (
                entry["label"],
                entry["workload"],
                " / ".join(f"{share:.2f}" for share in shares),
                NOTHING if published is None else " / ".join(f"{share:g}" for share in published),
                number(entry["host_goodput"], 0),
            )
        )
    equal = "equal" if phases["same_decisions"] else "NOT equal"
    return Sheet(
        "Phases, host time of the machine that made this report",
        "Median percent of a run's processor time (published: of its wall time): service / failing"
        " calls / migration / idle; goodput as the paper has it, completed requests a second of"
        " Python, which says nothing of a GPU."
        f" The event logs of the baseline with and without its search are {equal}.",
        ("variant", "workload", "measured", "published", "host goodput, 1/s"),
        lines_of(lines),
    )


def engine_sheet(engine: list[Found]) -> Sheet:
    """The same grid, with a queue and in simulated time."""
    lines = [
        (
            entry["allocator"],
            entry["workload"],
            *(number(entry[n], 0) for n in ("completed", "rejected", "clean_completions")),
            *(number(entry[n], 0) for n in ("preemptions", "oom_events", "migrations")),
            number(entry["throughput_rps"], 2),
            number(entry["throughput_tokens_per_s"], 0),
        )
        for entry in engine
    ]
    counts = ("completed", "rejected", "clean", "preemptions", "OOM events", "migrations")
    return Sheet(
        "The same grid under the serving engine, at equal physical bytes",
        "Simulated time on an H200, a tick as a millisecond, scheduler fcfs; counts: sums over"
        " (model, pool) of means over three seeds; rates: means. Rejected requests could never fit;"
        " compare rates with them in mind.",
        ("allocator", "workload", *counts, "requests/s", "tokens/s"),
        lines_of(lines),
    )
