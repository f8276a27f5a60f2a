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
MOST_CHARTS = 8


def sweep_html(facts: dict[str, Any], rows: list[Row]) -> str:
    """The report as text.

    Args:
        facts: What was run, by the names of the JSON contract.
        rows: One a cell.
    """
    charts = list(_charts(rows))
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
                *_subject(rows),
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


def _subject(rows: list[Row]) -> Iterator[tuple[str, str]]:
    """What the cells are of; counted where it is more than can be read."""
    for name, key in (("models", "model"), ("mixes", "mix"), ("loads", "load")):
        values = sorted({row[key] for row in rows})
        is_long = len(values) > MOST_CHARTS
        yield name, f"{len(values)}" if is_long else ", ".join(map(str, values))


def _charts(rows: list[Row]) -> Iterator[Chart]:
    """One a (model, mix); one a model where those would be too many to be looked at."""
    places = dict.fromkeys((row["model"], row["mix"]) for row in rows)
    if len(places) <= MOST_CHARTS:
        for model, mix in places:
            cells = [row for row in rows if (row["model"], row["mix"]) == (model, mix)]
            yield _chart(f"{model}, {mix}", "Means over seeds.", cells)
        return
    for model in dict.fromkeys(model for model, _ in places):
        cells = [row for row in rows if row["model"] == model]
        yield _chart(model, "Means over mixes and seeds.", cells)


def _chart(title: str, means_of: str, rows: list[Row]) -> Chart:
    """A line an allocator: goodput at each load."""
    good = [row for row in rows if row["error"] is None]
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
    if len(loads) == 1:  # plotly would show as much on either side as the load itself
        layout["xaxis"] |= {"tickvals": loads, "range": [0.9 * loads[0], 1.1 * loads[0]]}
    return Chart(title, f"More is better. {means_of}", data, layout)


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
