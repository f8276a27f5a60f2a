"""What a person at a terminal sees of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from scenarios.report.sheet import NOTHING, number
from scenarios.terminal import print_json, say
from scenarios.terminal_table import NARROW, add_names, titled_table, used_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from scenarios.plan.result import PlanResult

HEADS = ("highest,\n1/s", "95 %", "at\nonce", "limited\nby", "devices", "cost of\n1e6 tokens")


def show_plan(found: PlanResult, *, as_json: bool) -> None:
    """Print the answer: tables and the recommendation, or one JSON object."""
    if as_json:
        print_json(found.to_json())
        return
    if not found.allocators:  # an interrupted plan has runs, and no answer
        return
    console = Console()
    for table in plan_tables(found, console.width):
        console.print(table)
    if found.recommendation is not None:
        console.print(found.recommendation["sentence"], highlight=False, markup=False)


def say_notes(found: PlanResult) -> None:
    """Say on stderr what a reader must know."""
    for note in found.facts["notes"]:
        say(note)


def plan_tables(found: PlanResult, width: int) -> Iterator[Table]:
    """One a device for the allocators, one each for splits and inputs where there are any.

    Args:
        found: The answer.
        width: Columns of the terminal.
    """
    for device in found.facts["devices"]:
        yield _allocators_table(found, device, width)
    for splits in found.ratios:
        yield _splits_table(splits)
    if found.sensitivity:
        yield _inputs_table(found.sensitivity)


def _allocators_table(found: PlanResult, device: str, width: int) -> Table:
    """A line an allocator; devices and costs only where they were asked for."""
    facts = found.facts
    table = titled_table(f"{facts['model']} on {device}: highest load within {facts['slo']}")
    rows = [row for row in found.allocators if row["device"] == device]
    heads: tuple[str, ...] = HEADS
    texts = [allocator_texts(row) for row in rows]
    if width < NARROW:  # the interval goes below the load
        heads = (f"{HEADS[0]} {HEADS[1]}", *HEADS[2:])
        texts = [(f"{rate}\n{interval}", *others) for rate, interval, *others in texts]
    used = used_columns(heads, texts, NOTHING)
    names = [row["allocator"] + " (bound)" * row["is_bound"] for row in rows]
    names = add_names(table, "allocator", names, width)
    for place in used:
        table.add_column(heads[place], justify="right", no_wrap=True)
    for name, cells in zip(names, texts, strict=True):
        table.add_row(name, *(cells[place] for place in used))
    return table


def allocator_texts(row: dict[str, Any]) -> tuple[str, ...]:
    """The figures of an allocator: rate, interval, concurrency, limit, devices, cost."""
    low, high = row["max_rate_low_rps"], row["max_rate_high_rps"]
    interval = NOTHING if low is None else f"{_short(low)} to {_short(high)}"
    devices = row["devices_for_target"]
    return (
        NOTHING if row["max_rate_rps"] is None else _short(row["max_rate_rps"]),
        interval,
        number(row["max_concurrency"], 0),
        row["limiting_resource"] or NOTHING,
        NOTHING if devices is None else f"{devices:,}",
        number(row["cost_per_million_tokens"], 3),
    )


def _short(rate_rps: float) -> str:
    """Three digits, or all of a whole number."""
    return f"{rate_rps:,.0f}" if rate_rps >= 1000 else f"{rate_rps:.3g}"  # noqa: PLR2004 - digits


def _splits_table(splits: dict[str, Any]) -> Table:
    table = titled_table(f"static splits on {splits['device']}: percent lost")
    for name in ("state ratio", "highest, 1/s", "than the best split", "than the best"):
        table.add_column(name, justify="right")
    for row in splits["splits"]:
        table.add_row(
            f"{row['state_ratio']:g}",
            number(row["max_rate_rps"], 2),
            number(row["regret_against_best_static_pct"]),
            number(row["regret_against_best_pct"]),
        )
    return table


def _inputs_table(changes: list[dict[str, Any]]) -> Table:
    table = titled_table("what the highest load of the recommended allocator depends on, percent")
    for name in ("input", "change", "less of it", "more of it"):
        table.add_column(name, justify="left" if name == "input" else "right")
    for row in changes:
        effects = (row["less_effect_pct"], row["more_effect_pct"])
        texts = (NOTHING if effect is None else f"{effect:+.1f}" for effect in effects)
        table.add_row(row["input"], f"{row['change_pct']:g}", *texts)
    return table
