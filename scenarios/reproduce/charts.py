"""The figures of an evaluation: plotly's own structure of plain dicts, the page's palette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.chart import COLORS, Chart, Spec, layout_of, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Found = dict[str, Any]
PUBLISHED = {"symbol": "x-thin", "size": 11, "line": {"width": 2, "color": "--ink"}}


def charts_of(found: Found) -> Iterator[Chart]:
    """Every figure that an evaluation has numbers for, from top to bottom of the page."""
    for name, sweep in found["sweeps"].items():
        if name in {"headline", "sharegpt", "cpu-270"}:
            yield oom_chart(name, sweep["totals"], sweep["rows"])
    if "batch-size" in found["sweeps"]:
        yield batch_chart(found["sweeps"]["batch-size"]["totals"])
    if found.get("decomposition"):
        steps = found["decomposition"]["cumulative"]
        yield step_chart(steps, "OOM events", "oom", 1.0)
        yield step_chart(steps, "clean completions, %", "clean_completion_ratio", 100.0)
    if found.get("engine"):
        yield engine_chart(found["engine"])
    if found.get("phases"):
        yield goodput_chart(found["phases"]["table"])


def oom_chart(name: str, totals: Sequence[Found], rows: Sequence[Found]) -> Chart:
    """OOM events by workload and variant; crosses are the published figures."""
    data: list[Spec] = []
    for total, color in zip(totals, COLORS, strict=False):
        ours = total["oom_by_workload"]
        published = [_published(rows, total["variant"], workload) for workload in ours]
        group = total["variant"]
        data.append(
            {
                "type": "bar",
                "name": group,
                "x": list(ours),
                "y": list(ours.values()),
                "marker": {"color": color},
                "offsetgroup": group,
            }
        )
        if None not in published:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{group}, published",
                    "x": list(ours),
                    "y": published,
                    "marker": PUBLISHED,
                    "offsetgroup": group,
                    "showlegend": False,
                }
            )
    layout = layout_of("OOM events") | {"barmode": "group", "scattermode": "group"}
    hint = "Sums over (model, pool) of means over three seeds; a cross is the published figure."
    return Chart(f"Sweep {name}: OOM events", hint, data, layout)


def _published(rows: Sequence[Found], variant: str, workload: str) -> float | None:
    figures = [
        row["published_oom_mean"]
        for row in rows
        if (row["variant"], row["workload"]) == (variant, workload)
    ]
    return None if None in figures else float(sum(figures))


def batch_chart(totals: Sequence[Found]) -> Chart:
    """OOM events in all against the pages that a migration moves."""
    dynamic = [total for total in totals if total["variant"].startswith("avmp_dynamic_b")]
    batches = [int(total["variant"].rpartition("b")[2]) for total in dynamic]
    ours = line_of("measured", batches, [total["oom"] for total in dynamic], COLORS[0])
    known = [(b, t["published_oom"]) for b, t in zip(batches, dynamic, strict=True)]
    published = {
        "type": "scatter",
        "mode": "markers",
        "name": "published",
        "x": [batch for batch, oom in known if oom is not None],
        "y": [oom for _, oom in known if oom is not None],
        "marker": PUBLISHED,
    }
    layout = layout_of("OOM events")
    layout["xaxis"] |= {"type": "log", "title": {"text": "pages a migration moves"}}
    layout["xaxis"] |= {"tickvals": batches, "ticktext": [str(batch) for batch in batches]}
    hint = "Sums over all rows of means over three seeds; a cross is the published total."
    return Chart("OOM events by batch size", hint, [ours, published], layout)


def step_chart(steps: Sequence[Found], title: str, figure: str, scale: float) -> Chart:
    """A figure of every variant, from as published to all fixed."""
    names = [step["step"] for step in steps]
    data = []
    for number, color in enumerate(COLORS):
        totals = [step["totals"][number] for step in steps]
        values = [total[figure] * scale for total in totals]
        data.append(line_of(totals[0]["variant"], names, values, color))
    layout = layout_of(title)
    layout["xaxis"] |= {"tickangle": -30, "automargin": True}
    hint = "Each step adds one fix to those on its left; the first is the paper's evaluation."
    return Chart(f"From as published to all fixed: {title}", hint, data, layout)


def engine_chart(engine: Sequence[Found]) -> Chart:
    """Output tokens a second of simulated time, by workload and allocator."""
    data = _bars(engine, "allocator", "throughput_tokens_per_s")
    layout = layout_of("tokens/s, simulated") | {"barmode": "group"}
    hint = "Means over models, pools and seeds, at equal physical bytes. shared-bytes is the bound."
    return Chart("The same grid under the serving engine", hint, data, layout)


def goodput_chart(table: Sequence[Found]) -> Chart:
    """The paper's goodput on this host: a measure of Python."""
    data = _bars(table, "label", "host_goodput")
    layout = layout_of("requests a second of host time") | {"barmode": "group"}
    hint = "Host time: without its search (keyed) the static baseline decides the same, faster."
    return Chart("What the paper calls goodput", hint, data, layout)


def _bars(entries: Sequence[Found], series: str, figure: str) -> list[Found]:
    """A bar for each workload, in a colour for each value of `series`."""
    names = list(dict.fromkeys(entry[series] for entry in entries))
    return [
        {
            "type": "bar",
            "name": name,
            "x": [entry["workload"] for entry in entries if entry[series] == name],
            "y": [entry[figure] for entry in entries if entry[series] == name],
            "marker": {"color": color},
        }
        for name, color in zip(names, COLORS, strict=True)
    ]
