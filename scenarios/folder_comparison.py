"""Two result folders beside each other: what was asked differently, and what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.errors import UserError
from scenarios.report.document import Document, Section, document_html, list_html
from scenarios.report.sheet import NOTHING, Cell, Sheet, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.result_folder import ResultFolder

UNASKED = {"wall_seconds", "scenario_digest", "runs_made", "notes", "explanation", "recommendation"}
"""Facts that differ from run to run, or that are answers."""

MOST_EXACT = 2**53
"""Whole numbers below it are written out: a float holds them exactly."""
MOST_PCT = 1.0
"""A change beyond this is marked."""


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
    sheets = list(_sheets(one, other))
    if not sheets:
        raise UserError(f"{one.path} and {other.path} have no allocator in common")
    sections = (
        Section("asked", "What was asked differently", list_html(_asked(one, other))),
        Section("figures", "Figures", "\n".join(sheet.html() for sheet in sheets)),
    )
    facts = [("first", str(one.path)), ("second", str(other.path))]
    versions = [(each.path.name, str(each.facts.get("twinpool_version"))) for each in (one, other)]
    title = f"{one.path.name} and {other.path.name}"
    return document_html(Document(f"Twinpool {one.command}", title, facts, sections, [], versions))


def _asked(one: ResultFolder, other: ResultFolder) -> list[str]:
    """A sentence for each fact that is not the same."""
    names = dict.fromkeys((*one.facts, *other.facts))
    found = []
    for name in names:
        values = [each.facts.get(name) for each in (one, other)]
        plain = all(value is None or isinstance(value, str | int | float) for value in values)
        if plain and values[0] != values[1] and name not in UNASKED:
            found.append(f"{name.replace('_', ' ')}: {values[0]} and {values[1]}")
    return found or ["Nothing: both answer the same question."]


def _sheets(one: ResultFolder, other: ResultFolder) -> Iterator[Sheet]:
    """A table for each thing that both have figures of."""
    first, second = one.figures(), other.figures()
    for name in first:
        if name in second:
            lines = [
                _line(figure, first[name].get(figure), second[name].get(figure))
                for figure in dict.fromkeys((*first[name], *second[name]))
            ]
            hint = f"Change is that of the second against the first; marked beyond {MOST_PCT:g} %."
            heads = ("", one.path.name, other.path.name, "change, %")
            yield Sheet(name, hint, heads, lines_of(lines))


def _line(figure: str, first: float | None, second: float | None) -> tuple[Any, ...]:
    if first is None or second is None or not first:
        change: str | Cell = NOTHING
    else:
        pct = 100 * (second / first - 1)
        change = Cell(f"{pct:+.2f}", differs=abs(pct) > MOST_PCT)
    return figure.replace("_", " "), _text(first), _text(second), change


def _text(value: float | None) -> str:
    if value is None:
        return NOTHING
    is_whole = float(value).is_integer() and abs(value) < MOST_EXACT
    return f"{value:,.0f}" if is_whole else f"{value:,.6g}"
