"""The report of a capacity: figures, a bar of every byte, and requests at once by length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB
from scenarios.report.chart import COLORS, Chart, Spec, bar_layout_of, layout_of, line_of
from scenarios.report.document import Document, Section, charts_html, document_html, list_html
from scenarios.report.sheet import Sheet, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.capacity.run import CapacityResult


def capacity_html(result: CapacityResult, answer: dict[str, Any]) -> str:
    """The report as text.

    Args:
        result: The answer, for concurrency at any length.
        answer: The same as the JSON object of the contract.
    """
    charts = [_bytes_chart(answer), _length_chart(result)]
    tables = (_figures_sheet(result), _ledger_sheet(answer))
    sections = (
        Section("reading", "Reading", list_html(answer["explanation"]["notes"])),
        Section("charts", "Charts", charts_html(charts)),
        Section("figures", "Figures", "\n".join(sheet.html() for sheet in tables)),
    )
    facts = result.facts
    return document_html(
        Document(
            "Twinpool capacity",
            f"{facts['model']} under {facts['engine']}",
            list(_facts(answer)),
            sections,
            [chart.figure for chart in charts],
            [(name, str(facts[name])) for name in ("twinpool_version", "scenario_digest")],
        )
    )


def _facts(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "device", str(answer["device"] or "not named")
    yield "devices that share it", str(answer["tp"])
    yield "for caches", f"{answer['available_bytes'] / GIB:.2f} GiB"
    yield "longest request", f"{answer['max_model_len']:,} tokens"
    yield "starts", "no" if answer["startup_refused"] else "yes"


def _bytes_chart(answer: dict[str, Any]) -> Chart:
    """One bar: what lies beside the caches first, then the ledger."""
    explained = answer["explanation"]
    parts = [(term["name"], term["size_bytes"]) for term in explained["budget"]]
    parts += [(share["name"], share["size_bytes"]) for share in explained["ledger"]]
    shown = [(name, size) for name, size in parts if size]
    data: list[Spec] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": ["memory"],
            "x": [size / GIB],
            "marker": _marker(i),
            "hovertemplate": f"{name}: %{{x:.3f}} GiB<extra></extra>",
        }
        for i, (name, size) in enumerate(shown)
    ]
    layout = bar_layout_of("GiB of one device", 1) | {"barmode": "stack"}
    layout["legend"] |= {"traceorder": "normal"}
    hint = (
        "With as many whole requests of the longest kind as fit at once. The larger the useful"
        " parts, the better."
    )
    return Chart("Where every byte goes", hint, data, layout)


def _marker(number: int) -> Spec:
    """A colour, and stripes once the colours have been used up."""
    again, color = divmod(number, len(COLORS))
    return {
        "color": COLORS[color],
        "line": {"width": 1, "color": "--page"},
        "pattern": {
            "shape": ("", "/", ".")[again % 3],
            "fillmode": "overlay",
            "fgcolor": "--page",
        },
    }


def _length_chart(result: CapacityResult) -> Chart:
    tokens = result.sizing.question.max_model_len
    answers = {str(result.facts["engine"]): result.sizing, **result.others}
    lengths = sorted({max(1, round(tokens * 2 ** (-step / 2))) for step in range(24)})
    data = [
        line_of(name, lengths, [sizing.concurrency(length) for length in lengths], color)
        for (name, sizing), color in zip(answers.items(), COLORS * len(answers), strict=False)
    ]
    layout = layout_of("requests at once")
    decades = {"type": "log", "dtick": 1}
    layout["xaxis"] |= {**decades, "title": {"text": "tokens of a request, prompt and output"}}
    layout["yaxis"] |= decades
    hint = "More is better. Every request is of the same length and has grown to its end."
    return Chart("Requests at once by length", hint, data, layout)


def _figures_sheet(result: CapacityResult) -> Sheet:
    answers = {str(result.facts["engine"]): result.sizing, **result.others}
    figures = {name: sizing.figures() for name, sizing in answers.items()}
    names = dict.fromkeys(name for found in figures.values() for name in found)
    lines = [
        (name.replace("_", " "), *(_text(found.get(name)) for found in figures.values()))
        for name in names
    ]
    hint = "As each engine counts and prints them; a dash where it has no such figure."
    return Sheet("Figures", hint, ("", *answers), lines_of(lines))


def _ledger_sheet(answer: dict[str, Any]) -> Sheet:
    whole = answer["available_bytes"]
    lines = [
        (
            share["name"],
            f"{share['size_bytes']:,}",
            f"{100 * share['size_bytes'] / whole:.2f}",
            share["why"],
        )
        for share in answer["explanation"]["ledger"]
    ]
    hint = "The parts sum to the memory for caches exactly."
    return Sheet("Where the caches' memory goes", hint, ("", "bytes", "%", "why"), lines_of(lines))


def _text(value: Any) -> str:  # noqa: ANN401 - a figure of any engine
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
