"""Results as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from scenarios.machine import GIB
from sim.metrics.stability import OVERLOADED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenarios.listing import Item
    from scenarios.result import ReplayResult, RunResult

NOTHING = "-"
LABEL_WIDTH = 27
COLUMN_WIDTH = 17
SIZE_REASONS = {"too_long", "outgrew"}
MARK = "†"


def replay_tables(result: ReplayResult, width: int) -> Iterator[Table]:
    """One column an allocator, one row a figure; as many columns a table as the width holds."""
    facts = result.facts
    title = (
        f"{facts['trace']}: {facts['requests']:,} requests, {facts['model']} on {facts['device']},"
        f" {facts['budget_bytes'] / GIB:.2f} GiB for caches"
    )
    if facts["replicas"] > 1:
        title += f" of each of {facts['replicas']:,} replicas behind {facts['router']}"
    num_columns = max(1, (width - LABEL_WIDTH) // COLUMN_WIDTH)
    for first in range(0, len(result.runs), num_columns):
        yield _table(title, result.runs[first : first + num_columns])


def _table(title: str, runs: tuple[RunResult, ...]) -> Table:
    table = Table(
        title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    table.add_column("", no_wrap=True)
    for run in runs:
        name = run.allocator.replace(":", ":\n").replace(",", ",\n")
        table.add_column(escape(name), justify="right", overflow="fold")
    rows = ROWS + SWAP_ROWS * any(run.is_swapping for run in runs)
    rows += IMBALANCE * ("load_imbalance" in runs[0].metrics)
    for label, figure in rows:
        table.add_row(label, *(figure(run.metrics) for run in runs))
        if label == "rejected":
            for reason in _reasons(runs):
                table.add_row(f"  {reason.replace('_', ' ')}", *_refused(reason, runs))
    if any(run.metrics["stability"] == OVERLOADED for run in runs):
        table.caption = f"{MARK} overloaded: grows with the length of the trace."
    return table


def _reasons(runs: tuple[RunResult, ...]) -> list[str]:
    """Why requests were refused, as far as any were, other than for their size."""
    known = runs[0].metrics["rejections"].keys() - SIZE_REASONS
    return sorted(why for why in known if any(run.metrics["rejections"][why] for run in runs))


def _refused(reason: str, runs: tuple[RunResult, ...]) -> Iterator[str]:
    return (f"{run.metrics['rejections'][reason]:,}" for run in runs)


def list_lines(items: list[Item]) -> Iterator[str]:
    """Each item as a line of its figures, and below it a line for each option or source."""
    for item in items:
        figures = {key: value for key, value in item.items() if not isinstance(value, list | tuple)}
        name = figures.pop("name")
        yield f"[bold]{escape(str(name))}[/bold]  " + escape(_figures(figures))
        for values in item.values():
            if isinstance(values, list | tuple):
                yield from (f"    {escape(_line(value))}" for value in values)


def _figures(figures: dict[str, Any]) -> str:
    """Words stand alone, numbers with their name."""
    return ", ".join(
        value if isinstance(value, str) else f"{key.replace('_', ' ')} {value:,}"
        for key, value in figures.items()
    )


def _line(entry: object) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    if "key" in entry:
        return f"{entry['key']}={entry['default']}: {entry['help']}"
    return f"{entry['table']}: {entry['source']} ({entry['verification']})"


def _count(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda metrics: f"{metrics[name]:,}"


def _number(name: str, digits: int) -> Callable[[dict[str, Any]], str]:
    return lambda metrics: NOTHING if metrics[name] is None else f"{metrics[name]:,.{digits}f}"


def _gib(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda metrics: f"{metrics[name] / GIB:.2f}"


def _inner(
    name: str, part: str, scale: float = 1.0, digits: int = 2
) -> Callable[[dict[str, Any]], str]:
    def text(metrics: dict[str, Any]) -> str:
        value = metrics[name][part]
        return NOTHING if value is None else f"{value * scale:,.{digits}f}"

    return text


def _latency(
    name: str, part: str, scale: float = 1.0, digits: int = 3
) -> Callable[[dict[str, Any]], str]:
    """A figure that is marked where overload makes it a matter of how long the trace is."""
    figure = _inner(name, part, scale, digits)

    def text(metrics: dict[str, Any]) -> str:
        is_moot = metrics["stability"] == OVERLOADED and metrics[name][part] is not None
        return figure(metrics) + MARK * is_moot

    return text


def _migrations(metrics: dict[str, Any]) -> str:
    moved = metrics["migrations"]
    return f"{moved['count']:,} ({moved['bytes'] / GIB:.1f} GiB)" if moved["count"] else "0"


def _blocked(metrics: dict[str, Any]) -> str:
    return f"{metrics['migrations']['blocked']:,}"


def _swapped(way: str) -> Callable[[dict[str, Any]], str]:
    def text(metrics: dict[str, Any]) -> str:
        swaps = metrics["swaps"]
        return f"{swaps[f'{way}_count']:,} ({swaps[f'{way}_bytes'] / GIB:.1f} GiB)"

    return text


MS = 1e3
Rows = tuple[tuple[str, "Callable[[dict[str, Any]], str]"], ...]
ROWS: Rows = (
    ("stability", lambda metrics: str(metrics["stability"])),
    ("completed", _count("completed")),
    ("rejected", _count("rejected")),
    ("clean completions", _count("clean_completions")),
    ("preemptions", _count("preemptions")),
    ("OOM events", _count("oom_events")),
    ("recomputed tokens", _count("recomputed_tokens")),
    ("throughput, requests/s", _number("throughput_rps", 3)),
    ("throughput, tokens/s", _number("throughput_tokens_per_s", 1)),
    ("goodput, requests/s", _number("goodput_rps", 3)),
    ("TTFT p50, s", _latency("ttft_s", "p50")),
    ("TTFT p99, s", _latency("ttft_s", "p99")),
    ("TPOT p50, ms", _latency("tpot_s", "p50", MS, 2)),
    ("TPOT p99, ms", _latency("tpot_s", "p99", MS, 2)),
    ("end to end p50, s", _latency("e2e_s", "p50")),
    ("end to end p99, s", _latency("e2e_s", "p99")),
    ("peak use, GiB", _gib("peak_bytes")),
    ("footprint, GiB", _gib("footprint_bytes")),
    ("internal waste, %", _inner("waste", "internal_pct")),
    ("external waste, %", _inner("waste", "external_pct")),
    ("stranded waste, %", _inner("waste", "stranded_pct")),
    ("migrations", _migrations),
    ("migrations blocked", _blocked),
    ("host ns an allocator call", _number("host_ns_per_allocator_op", 0)),
)
"""Label and text of each row of the replay table."""

SWAP_ROWS: Rows = (
    ("swapped out", _swapped("out")),
    ("swapped in", _swapped("in")),
    ("tokens not recomputed", _inner("swaps", "kept_tokens", digits=0)),
    ("time on the host link, s", _inner("swaps", "link_seconds", digits=3)),
    ("peak in host memory, GiB", _inner("swaps", "peak_host_bytes", 1 / GIB)),
    ("recomputed: host full", _inner("swaps", "host_full_count", digits=0)),
    ("recomputed: cheaper", _inner("swaps", "cheaper_count", digits=0)),
)
"""The same of the rows that follow where something is swapped."""

IMBALANCE: Rows = (
    ("requests, max/mean", _inner("load_imbalance", "requests")),
    ("output tokens, max/mean", _inner("load_imbalance", "output_tokens")),
    ("in flight, max/mean", _inner("load_imbalance", "in_flight")),
)
"""The same of the rows about several replicas."""
