"""What two results were asked differently, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.folder_comparison.figure import Figure
from scenarios.report.quantity import SPACE, unit_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.result_folder import ResultFolder, Value

ANSWERS = {
    *("wall_seconds", "scenario_digest", "runs_made", "notes", "explanation", "recommendation"),
    *("cells", "failed_cells", "window_seconds", "peak"),
}
"""Facts that differ from run to run, or that are answers."""
DIGEST, DIGEST_CHARACTERS = "_digest", 12
MOST = 1e300
"""A number in a damaged file may be beyond all that can be shown, or none."""
SAME = "Nothing: both answer the same question."


def asked(one: ResultFolder, other: ResultFolder) -> list[str]:
    """A sentence for each fact that is not the same."""
    first, second = (dict(_facts(each.facts)) for each in (one, other))
    found = [
        f"{Figure.of(name).label}: {_said(name, first.get(name))} and"
        f" {_said(name, second.get(name))}"
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]
    return found or [SAME]


def only_in_one(one: ResultFolder, other: ResultFolder) -> Iterator[str]:
    """A sentence for each folder that has figures of what the other lacks."""
    figures = one.figures(), other.figures()
    for place, folder in enumerate((one, other)):
        lone = [name for name in figures[place] if name not in figures[1 - place]]
        if lone:
            yield f"Only in {folder.path}: {', '.join(lone)}."


def _facts(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Every fact that is asked by one name: `slo: {ttft_s}` becomes `slo ttft_s`."""
    for name, value in values.items():
        if name in ANSWERS or value is None:
            continue
        if isinstance(value, dict):
            yield from _facts(value, f"{prefix}{name} ")
        elif isinstance(value, str | bool):
            yield prefix + name, str(value)
        elif isinstance(value, int | float) and abs(value) < MOST:
            yield prefix + name, float(value)
        elif isinstance(value, list) and all(isinstance(each, str | float) for each in value):
            yield prefix + name, ", ".join(map(str, value))


def _said(name: str, value: Value | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f"{value[:DIGEST_CHARACTERS]}..." if name.endswith(DIGEST) else value
    figure = Figure.of(name)
    unit = unit_for([value], figure.units)
    return f"{figure.text(value, unit)}{SPACE}{unit.symbol}".rstrip()
