"""An answer as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from scenarios.capacity.answer import lengths_up_to
from scenarios.machine import GIB
from scenarios.terminal_table import name_text, titled_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from scenarios.capacity.engine import Sizing
    from scenarios.capacity.run import CapacityResult


NUMBER_WIDTH = 20
"""Columns of one engine in the table of concurrency, at most."""


def capacity_tables(
    result: CapacityResult, advice: dict[str, Any] | None, width: int
) -> Iterator[Table]:
    """Figures, the budget, the ledger, concurrency by length, and settings for a trace.

    Args:
        result: The answer.
        advice: Settings for a trace, if there is one.
        width: Columns of the terminal.
    """
    yield _figures(result)
    if result.budget.terms:
        yield _budget(result)
    yield _ledger(result.sizing)
    yield from _concurrencies(result, width)
    if advice is not None:
        yield _advice(advice)


def _figures(result: CapacityResult) -> Table:
    facts = result.facts
    title = (
        f"{facts['model']} under {facts['engine']},"
        f" {result.budget.available_bytes / GIB:.2f} GiB for caches,"
        f" requests of {facts['max_model_len']:,} tokens"
    )
    table = _table(title, ("", "left"), ("", "right"))
    for name, value in result.sizing.figures().items():
        table.add_row(name.replace("_", " "), _text(name, value))
    table.add_row("starts", "no" if result.sizing.refusals() else "yes")
    return table


def _budget(result: CapacityResult) -> Table:
    budget = result.budget
    table = _table("Memory of the device", ("", "left"), ("GiB", "right"), ("from", "left"))
    table.add_row("not used by the engine", _gib(budget.unused_bytes), "1 - utilisation")
    for term in budget.terms:
        table.add_row(term.name, _range(term.least_bytes, term.most_bytes), term.source)
    spread = _range(budget.least_bytes, budget.most_bytes)
    table.add_row("for caches", _gib(budget.available_bytes), f"what is left: {spread} GiB")
    return table


def _ledger(sizing: Sizing) -> Table:
    table = _table(
        "Where the caches' memory goes, with as many whole requests as fit",
        ("", "left"),
        ("GiB", "right"),
        ("%", "right"),
        ("why", "left"),
    )
    whole = sizing.question.available_bytes
    for share in sizing.ledger():
        if share.size_bytes:
            percent = f"{100 * share.size_bytes / whole:.2f}"
            table.add_row(share.name, _gib(share.size_bytes), percent, share.why)
    return table


def _concurrencies(result: CapacityResult, width: int) -> Iterator[Table]:
    """As many engines a table as the width holds."""
    answers = list({str(result.facts["engine"]): result.sizing, **result.others}.items())
    at_once = max(1, width // NUMBER_WIDTH - 1)
    for first in range(0, len(answers), at_once):
        yield _concurrency(result, dict(answers[first : first + at_once]), width)


def _concurrency(result: CapacityResult, answers: dict[str, Sizing], width: int) -> Table:
    table = _table("Requests at once, by length", ("tokens", "right"))
    for name in answers:
        table.add_column(name_text(name, width), justify="right", overflow="fold")
    for tokens in lengths_up_to(result.sizing.question.max_model_len):
        row = (f"{sizing.concurrency(tokens):,.2f}" for sizing in answers.values())
        table.add_row(f"{tokens:,}", *row)
    return table


def _advice(advice: dict[str, Any]) -> Table:
    table = _table(f"For the lengths of {advice['trace']}", ("", "left"), ("", "right"))
    for name, value in advice.items():
        if name != "trace":
            table.add_row(name.replace("_", " "), _text(name, value))
    return table


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = titled_table(title)
    for heading, side in columns:
        table.add_column(escape(heading), justify="right" if side == "right" else "left")
    return table


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - a figure of any engine
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    is_large = name.endswith("_bytes") and value >= GIB
    return f"{value:,} ({value / GIB:.2f} GiB)" if is_large else f"{value:,}"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f}"


def _range(least: int, most: int) -> str:
    return _gib(most) if least == most else f"{_gib(least)} to {_gib(most)}"
