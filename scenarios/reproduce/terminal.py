"""What a person at a terminal sees of a reproduction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scenarios.reproduce.fixes import FIXES
from scenarios.terminal import print_json
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

if TYPE_CHECKING:
    from scenarios.reproduce.cell import Row
    from scenarios.reproduce.evaluation import Evaluation
    from scenarios.reproduce.outcome import SweepOutcome

PERCENT = 100


def show_fixes(*, as_json: bool) -> None:
    """Print every fix with what the paper did and what is right."""
    if as_json:
        names = ("name", "paper", "right", "in_all")
        items = [{name: getattr(fix, name) for name in names} for fix in FIXES]
        print_json({**_common(), "fixes": items})
        return
    console = Console(soft_wrap=True)
    for fix in FIXES:
        console.print(f"[bold]{escape(fix.name)}[/bold]", highlight=False)
        console.print(f"    paper: {escape(fix.paper)}", highlight=False)
        console.print(f"    right: {escape(fix.right)}", highlight=False)


def show_evaluation(found: Evaluation, *, as_json: bool) -> None:
    """Print every row as JSON, or a table a sweep for people."""
    if as_json:
        print_json(found.to_json())
        return
    console = Console()
    for outcome in found.sweeps.values():
        console.print(_table(outcome))


def _table(outcome: SweepOutcome) -> Table:
    facts = outcome.facts
    fixed = f", fixed: {', '.join(facts['fixes'])}" if facts["fixes"] else ", as published"
    table = Table(
        title=f"avmp, {facts['sweep']}: {facts['cells']} cells{fixed}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption=_caption(outcome.rows),
    )
    table.add_column("variant", no_wrap=True)
    for name in ("OOM", "paper", "done, %", "clean, %", "evicted", "moved"):
        table.add_column(name, justify="right")
    for total in outcome.totals:
        table.add_row(escape(total["variant"]), *_texts(total))
    return table


def _texts(total: dict[str, Any]) -> list[str]:
    published = total["published_oom"]
    shares = (total["completion_ratio"], total["clean_completion_ratio"])
    return [
        f"{total['oom']:,.1f}",
        "-" if published is None else f"{published:,.1f}",
        *(f"{share * PERCENT:.1f}" for share in shares),
        f"{total['evictions']:,.0f}",
        f"{total['migrations']:,.0f}",
    ]


def _caption(rows: list[Row]) -> str:
    compared = [row for row in rows if row["differs"] is not None]
    if not compared:
        return "sums over rows of the mean of three seeds; moved: medians"
    equal = sum(not row["differs"] for row in compared)
    return f"{equal} of {len(compared)} published rows come out with every deterministic figure"


def _common() -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "reproduce",
        "seed": None,
        "scenario_digest": None,
    }
