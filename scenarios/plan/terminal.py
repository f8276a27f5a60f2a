"""What a person at a terminal sees of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scenarios.report.sheet import NOTHING, number
from scenarios.terminal import print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios.plan.plan import PlanInterruptedError
    from scenarios.plan.result import PlanResult

HEADS = ("highest,\n1/s", "95 %", "at\nonce", "limited\nby", "devices", "cost of\n1e6 tokens")


def show_plan(found: PlanResult, *, as_json: bool) -> None:
    """Print the answer: tables and the recommendation, or one JSON object."""
    if as_json:
        print_json(found.to_json())
        return
    console = Console()
    for table in plan_tables(found):
        console.print(table)
    if found.recommendation is not None:
        console.print(found.recommendation["sentence"], highlight=False, markup=False)


def say_notes(found: PlanResult) -> None:
    """Say on stderr what a reader must know."""
    for note in found.facts["notes"]:
        say(note)


def say_plan_interrupted(interruption: PlanInterruptedError, folder: Path | None) -> None:
    """Say how far a plan came and where that is kept."""
    done = len(interruption.partial.runs)
    kept = f"; they are kept in {folder}, repeat the command to go on" if folder else ""
    say(f"interrupted: {done} runs are done{kept}")


def plan_tables(found: PlanResult) -> Iterator[Table]:
    """One for the allocators, one each for splits and inputs where there are any."""
    facts = found.facts
    table = _table(f"{facts['model']}: highest load within {facts['slo']}")
    table.add_column("allocator", overflow="fold")
    for head in HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    several = len(facts["devices"]) > 1
    for row in found.allocators:
        name = row["allocator"] + " (bound)" * row["is_bound"]
        table.add_row(escape(name + f"\non {row['device']}" * several), *allocator_texts(row))
    yield table
    for splits in found.ratios:
        yield _splits_table(splits)
    if found.sensitivity:
        yield _inputs_table(found.sensitivity)


def allocator_texts(row: dict[str, Any]) -> tuple[str, ...]:
    """The figures of an allocator: rate, interval, concurrency, limit, devices, cost."""
    low, high = row["max_rate_low_rps"], row["max_rate_high_rps"]
    interval = NOTHING if low is None else f"{low:.4g} to {high:.4g}"
    devices = row["devices_for_target"]
    return (
        number(row["max_rate_rps"], 2),
        interval,
        number(row["max_concurrency"], 0),
        row["limiting_resource"] or NOTHING,
        NOTHING if devices is None else f"{devices:,}",
        number(row["cost_per_million_tokens"], 3),
    )


def _splits_table(splits: dict[str, Any]) -> Table:
    table = _table(f"static splits on {splits['device']}: percent lost")
    for name in ("state ratio", "highest, 1/s", "against the best split", "against the best"):
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
    table = _table("what the highest load of the recommended allocator depends on, percent")
    for name in ("input", "change", "less of it", "more of it"):
        table.add_column(name, justify="left" if name == "input" else "right")
    for row in changes:
        effects = (row["less_effect_pct"], row["more_effect_pct"])
        texts = (NOTHING if effect is None else f"{effect:+.1f}" for effect in effects)
        table.add_row(row["input"], f"{row['change_pct']:g}", *texts)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
