"""The charts of a plan: plotly's own structure of plain dicts, in the page's palette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.plan.objective import parse_objective
from scenarios.report.axes import LogAxis
from scenarios.report.chart import COLORS, Chart, Spec, bar_layout_of, layout_of, line_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.plan.objective import Term

Answer = dict[str, Any]
DASHES = ("solid", "dash", "dot", "dashdot")
CROSS, DOT = "x", "circle"


def charts_of(answer: Answer) -> Iterator[Chart]:
    """Latency against load for each objective, highest loads, splits, inputs."""
    for term in parse_objective(answer["slo"]):
        yield _latency_chart(answer, term)
    yield _rates_chart(answer)
    for splits in answer["ratios"]:
        yield _splits_chart(splits)
    if answer["sensitivity"]:
        yield _inputs_chart(answer)


def _latency_chart(answer: Answer, term: Term) -> Chart:
    """A line an allocator through the runs of the first seed."""
    data: list[Spec] = []
    for place, row in enumerate(answer["allocators"]):
        runs = _runs_of(answer, row, term.name)
        line = line_of(
            _name(answer, row),
            [run["rate_rps"] for run in runs],
            [run[term.name] for run in runs],
            COLORS[place % len(COLORS)],
        )
        line["line"]["dash"] = DASHES[place // len(COLORS) % len(DASHES)]
        line["marker"] |= {"symbol": [DOT if run["within"] else CROSS for run in runs]}
        data.append(line)
    rates = [rate for line in data for rate in line["x"]]
    if rates:
        data.append(_limit_line(term, min(rates), max(rates)))
    layout = layout_of("")
    times = [time for line in data for time in line["y"] if time > 0]
    if times:
        layout["yaxis"] |= LogAxis.around(min(times), max(times)).layout(f"{term.name} (log scale)")
    layout["xaxis"] |= {"title": {"text": "requests a second"}}
    hint = (
        "Less is better. The first seed; a cross is a run that misses the objective or is"
        " overloaded; runs in which it falls among requests never served are left out."
    )
    return Chart(f"{term.name} against load", hint, data, layout)


def _runs_of(answer: Answer, row: Answer, term: str) -> list[Answer]:
    runs = [
        run
        for run in answer["runs"]
        if (run["device"], run["allocator"], run["variant"])
        == (row["device"], row["allocator"], "")
        and run["seed"] == answer["seed"]
        and run.get(term) is not None
    ]
    return sorted(runs, key=lambda run: float(run["rate_rps"]))


def _limit_line(term: Term, low: float, high: float) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "objective",
        "x": [low, high],
        "y": [term.most_s, term.most_s],
        "line": {"color": "--ink", "width": 1.5, "dash": "dash"},
    }


def _rates_chart(answer: Answer) -> Chart:
    known = [row for row in answer["allocators"] if row["max_rate_rps"] is not None]
    rows = known[::-1]  # plotly draws the first bar at the bottom
    ends = [
        (row["max_rate_low_rps"], row["max_rate_high_rps"])
        if row["max_rate_low_rps"] is not None
        else (row["max_rate_rps"],) * 2
        for row in rows
    ]
    rates = [row["max_rate_rps"] for row in rows]
    bar: Spec = {
        "type": "bar",
        "orientation": "h",
        "y": [wrapped(_name(answer, row)) for row in rows],
        "x": rates,
        "marker": {"color": "--blue"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - rate for rate, (_, high) in zip(rates, ends, strict=True)],
            "arrayminus": [rate - low for rate, (low, _) in zip(rates, ends, strict=True)],
            "color": "--ink",
        },
        "hovertemplate": "%{y}: %{x:.2f} requests/s<extra></extra>",
    }
    hint = "More is better. Whiskers are 95 % intervals over seeds."
    layout = bar_layout_of("requests a second", len(rows))
    return Chart("Highest load within the objective", hint, [bar], layout)


def _splits_chart(splits: Answer) -> Chart:
    rows = [row for row in splits["splits"] if row["regret_against_best_pct"] is not None]
    ratios = [row["state_ratio"] for row in rows]
    lost = {
        "against the best allocator": ("regret_against_best_pct", COLORS[0]),
        "against the best split": ("regret_against_best_static_pct", COLORS[1]),
    }
    data = [
        line_of(name, ratios, [r[key] for r in rows], color) for name, (key, color) in lost.items()
    ]
    layout = layout_of("percent of the load lost")
    layout["xaxis"] |= {"title": {"text": "share of the memory for states"}}
    hint = "Less is better. What a fixed split loses of the highest load."
    return Chart(f"Regret of a static split on {splits['device']}", hint, data, layout)


def _inputs_chart(answer: Answer) -> Chart:
    """A tornado: the widest effect on top."""
    rows = list(reversed(answer["sensitivity"]))
    names = [wrapped(f"{row['input']} ±{row['change_pct']:g}\N{NO-BREAK SPACE}%") for row in rows]
    data: list[Spec] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "y": names,
            "x": [row[key] for row in rows],
            "marker": {"color": color},
        }
        for title, key, color in (
            ("less of it", "less_effect_pct", COLORS[0]),
            ("more of it", "more_effect_pct", COLORS[1]),
        )
    ]
    layout = bar_layout_of("change of highest load, %", len(rows)) | {"barmode": "overlay"}
    chosen = answer["recommendation"]["allocator"]
    hint = f"For {chosen}. A wide bar is an input to know better before relying on the answer."
    return Chart("What the answer depends on", hint, data, layout)


def _name(answer: Answer, row: Answer) -> str:
    several = len(answer["devices"]) > 1
    return f"{row['allocator']} on {row['device']}" if several else str(row["allocator"])
