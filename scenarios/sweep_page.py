"""The report of a sweep: what each allocator serves at each load, and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.chart import COLORS, Chart, layout_of, line_of
from scenarios.report.document import Document, Section, charts_html, document_html, list_html
from scenarios.report.sheet import Sheet, lines_of
from scenarios.sweep_table import HEADS, PERCENT, by_allocator, means

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.sweep_task import Row

PROVENANCE = ("twinpool_version", "scenario_digest", "seeds")
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_ERRORS = 20


def sweep_html(facts: dict[str, Any], rows: list[Row]) -> str:
    """The report as text.

    Args:
        facts: What was run, by the names of the JSON contract.
        rows: One a cell.
    """
    charts = [_chart(model, rows) for model in dict.fromkeys(row["model"] for row in rows)]
    sections = [
        Section("charts", "Charts", charts_html(charts)),
        Section("figures", "Figures", _sheet(facts, rows).html()),
    ]
    failed = list(_failures(rows))
    if failed:
        sections.insert(0, Section("failed", "Cells that failed", list_html(failed)))
    return document_html(
        Document(
            "Twinpool sweep",
            str(facts["scenario"]),
            [
                ("cells", f"{facts['cells']:,}"),
                ("failed", f"{facts['failed_cells']:,}"),
                ("goodput counts", str(facts["slo"])),
                ("seeds", str(facts["seeds"])),
            ],
            sections,
            [chart.figure for chart in charts],
            [(name, str(facts[name])) for name in PROVENANCE],
        )
    )


def _chart(model: str, rows: list[Row]) -> Chart:
    """A line an allocator: goodput at each load, means over mixes and seeds."""
    good = [row for row in rows if row["model"] == model and row["error"] is None]
    loads = sorted({row["load"] for row in good})
    data = []
    for place, (allocator, cells) in enumerate(by_allocator(good).items()):
        shares = [_goodput_pct([row for row in cells if row["load"] == load]) for load in loads]
        known = [(x, y) for x, y in zip(loads, shares, strict=True) if y is not None]
        color = COLORS[place % len(COLORS)]
        line = line_of(allocator, [x for x, _ in known], [y for _, y in known], color)
        line["line"]["dash"] = DASHES[place // len(COLORS) % len(DASHES)]
        data.append(line)
    layout = layout_of("goodput, percent of the capacity")
    layout["xaxis"] |= {"title": {"text": "load, in multiples of the capacity"}}
    return Chart(model, "More is better. Means over mixes and seeds.", data, layout)


def _goodput_pct(rows: list[Row]) -> float | None:
    shares = [(row["goodput_rps"] or 0.0) / row["capacity_rps"] for row in rows]
    return PERCENT * sum(shares) / len(shares) if shares else None


def _sheet(facts: dict[str, Any], rows: list[Row]) -> Sheet:
    lines = [(name, f"{len(cells):,}", *means(cells)) for name, cells in by_allocator(rows).items()]
    hint = (
        "Means a cell; rates in percent of the capacity; goodput within"
        f" {facts['slo']}; overloaded: cells whose latencies grow with the length of the trace."
    )
    heads = tuple(head.replace("-\n", "").replace("\n", " ") for head in HEADS)
    return Sheet("Allocators", hint, ("", *heads), lines_of(lines))


def _failures(rows: list[Row]) -> Iterator[str]:
    """A sentence a cell that failed, the first of them."""
    failed = [row for row in rows if row["error"] is not None]
    for row in failed[:MOST_ERRORS]:
        place = f"{row['model']}, {row['mix']}, load {row['load']:g}, seed {row['seed']}"
        yield f"{row['allocator']} ({place}): {row['error']}"
    if len(failed) > MOST_ERRORS:
        yield f"and {len(failed) - MOST_ERRORS:,} more, in the table"
