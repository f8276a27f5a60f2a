"""The page of two results: what was asked differently, what changed most, and every figure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from scenarios.folder_comparison.asked import asked, only_in_one
from scenarios.folder_comparison.change import MOST_PCT, changes_of
from scenarios.report.chart import COLORS, Chart, Spec, bar_layout_of, wrapped
from scenarios.report.document import Document, Section, charts_html, document_html, list_html
from scenarios.report.quantity import unit_for
from scenarios.report.sheet import NOTHING, Sheet, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.folder_comparison.change import Change
    from scenarios.result_folder import ResultFolder

    Changes = dict[str, dict[str, Change]]
    Names = tuple[str, str]

LEADS = {
    "replay": (
        *("throughput_rps", "goodput_rps", "ttft_s p99", "tpot_s p99", "preemptions"),
        *("oom_events", "stability"),
    ),
    "sweep": ("throughput_rps", "goodput_rps", "preemptions", "rejected"),
    "plan": (
        *("max_rate_rps", "limiting_resource", "max_concurrency", "devices_for_target"),
        "cost_per_million_tokens",
    ),
}
"""The figures of a command that are looked at first."""
ORDINALS = ("first", "second")
LEGEND_CHARACTERS = 24
"""A longer name of a folder leaves no room in a legend, and what is first is said above."""
CHARTED = {"replay": "goodput_rps", "sweep": "goodput_rps", "plan": "max_rate_rps"}


def comparison_page(one: ResultFolder, other: ResultFolder) -> str:
    """The report as text.

    Raises:
        UserError: The folders are of different commands, or have nothing in common.
    """
    if one.command != other.command:
        raise UserError(
            f"{one.path} was written by twinpool {one.command} and {other.path} by twinpool"
            f" {other.command}: compare folders of one command"
        )
    changes = changes_of(one.figures(), other.figures())
    if not changes:
        raise UserError(f"{one.path} and {other.path} have no allocator in common")
    names = _names(one, other)
    charts = list(_charts(one.command, changes, names))
    said = list_html([*asked(one, other), *only_in_one(one, other)])
    sections = [Section("asked", "What was asked differently", said)]
    if one.command in LEADS:
        lead = [_lead_sheet(LEADS[one.command], changes).html(), charts_html(charts)]
        sections.append(Section("changed", "What changed", "\n".join(lead)))
    whole = [_figures_html(name, list(of.values()), names) for name, of in changes.items()]
    sections.append(Section("figures", "Figures", "\n".join(whole)))
    facts = list(zip(ORDINALS, (str(one.path), str(other.path)), strict=True))
    versions = [(each.path.name, str(each.facts.get("twinpool_version"))) for each in (one, other)]
    kind, title = f"Twinpool {one.command}, two results", f"{names[0]} and {names[1]}"
    figures = [chart.figure for chart in charts]
    return document_html(Document(kind, title, facts, sections, figures, versions))


def _names(one: ResultFolder, other: ResultFolder) -> Names:
    """What the two are called: by their folders, by their whole paths if those are the same."""
    names = one.path.resolve().name, other.path.resolve().name
    return names if names[0] != names[1] else (str(one.path), str(other.path))


def _lead_sheet(keys: tuple[str, ...], changes: Changes) -> Sheet:
    """A line a figure that is looked at first, a column a thing; what nothing has is left out."""
    lines = []
    for key in keys:
        found = {name: of[key] for name, of in changes.items() if key in of}
        if found:
            figure = next(iter(found.values())).figure
            unit = unit_for([n for each in found.values() for n in each.numbers], figure.units)
            steps = (found[name].step(unit) if name in found else NOTHING for name in changes)
            lines.append((figure.label_in(unit), *steps))
    hint = f"First → second; marked where they differ by more than {MOST_PCT:g} %."
    return Sheet("At a glance", hint + _overload_hint(changes), ("", *changes), lines_of(lines))


def _overload_hint(changes: Changes) -> str:
    is_marked = any(change.is_moot for of in changes.values() for change in of.values())
    return " † overloaded: depends on the length of the trace." if is_marked else ""


def _charts(command: str, changes: Changes, names: Names) -> Iterator[Chart]:
    """The figure that matters most, a bar a folder for each thing."""
    key = CHARTED.get(command, "")
    known = {name: of[key] for name, of in changes.items() if key in of}
    if not known:
        return
    figure = next(iter(known.values())).figure
    bars: list[Spec] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name if len(name) <= LEGEND_CHARACTERS else ORDINALS[place],
            "y": [wrapped(thing) for thing in reversed(known)],
            "x": [(change.first, change.second)[place] for change in reversed(known.values())],
            "marker": {"color": COLORS[place]},
        }
        for place, name in reversed(list(enumerate(names)))
    ]
    layout = bar_layout_of(f"{figure.label}, {figure.units[0].symbol}", 2 * len(known))
    layout["legend"] |= {"traceorder": "reversed"}
    hint = "More is better."
    yield Chart(figure.label.capitalize(), hint, bars, layout)


def _figures_html(name: str, changes: list[Change], names: Names) -> str:
    """What is not the same as a table, the rest folded away."""
    other = [change for change in changes if not change.is_none]
    same = [change.line[:2] for change in changes if change.is_none]
    whole = _changed_html(name, other, names)
    if not same:
        return whole
    label = f"{len(same)} figure{'s' * (len(same) != 1)} of {name}"
    kept = Sheet(label, "In both.", ("", "value"), lines_of(same))
    return (
        f"{whole}\n<details>\n<summary>{len(same)} more are the same in both</summary>\n"
        f"{kept.html()}\n</details>"
    )


def _changed_html(name: str, changes: list[Change], names: Names) -> str:
    if not changes:
        return f"<h3>{escape(name)}</h3>\n<p>No figure differs.</p>"
    hint = f"Change is that of the second against the first; marked beyond {MOST_PCT:g} %."
    lines = lines_of([change.line for change in changes])
    return Sheet(name, hint, ("", *names, "change, %"), lines).html()
