"""The table of tenants: one row a tenant, one group an allocator."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from scenarios.report.quantity import COUNTS, MISSING, SECONDS, Unit, figure_at, quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenarios.result import RunResult

MOST_TENANTS = 50
"""Rows of one group at most; the JSON result has all."""

PER_SECOND = (Unit("/s", 1),)
PERCENT = (Unit("%", 1),)
PLAIN = (Unit("", 1.0),)
COLUMNS: tuple[tuple[str, str, tuple[Unit, ...]], ...] = (
    ("weight", "weight", PLAIN),
    ("requests", "requests", COUNTS),
    ("completed", "completed", COUNTS),
    ("rejected", "rejected", COUNTS),
    ("share while all compete", "share_pct", PERCENT),
    ("goodput", "goodput_rps", PER_SECOND),
    ("TTFT p50", "ttft_s.p50", SECONDS),
    ("TTFT p99", "ttft_s.p99", SECONDS),
    ("TPOT p99", "tpot_s.p99", SECONDS),
    ("preemptions", "preemptions", COUNTS),
    ("of them for others", "preemptions_for_others", COUNTS),
)


def tenants_html(runs: Sequence[RunResult]) -> str:
    """A section of the page; nothing where no run has several tenants."""
    shared = [run for run in runs if len(run.metrics.get("tenants") or ()) > 1]
    if not shared:
        return ""
    heads = "".join(f'<th scope="col">{escape(label)}</th>' for label, _, _ in COLUMNS)
    bodies = "\n".join(map(_group_html, shared))
    return (
        '<div class="scroller" role="region" tabindex="0" aria-label="Figures by tenant">\n'
        "<table>\n<caption><span>Shares are of the prompt and output tokens served until the"
        " first tenant has nothing left to come or to be served.</span></caption>\n"
        f'<thead><tr><th scope="col">Tenant</th>{heads}</tr></thead>\n{bodies}\n'
        "</table>\n</div>"
    )


def _group_html(run: RunResult) -> str:
    tenants: list[dict[str, Any]] = run.metrics["tenants"]
    rows = "\n".join(map(_row_html, tenants[:MOST_TENANTS]))
    title = f"{run.allocator}: Jain's index {_index(run.metrics)}"
    if len(tenants) > MOST_TENANTS:
        title += f" of all {len(tenants):,} tenants, the first {MOST_TENANTS} of which are shown"
    return (
        f'<tbody>\n<tr><th class="group" scope="rowgroup" colspan="{len(COLUMNS) + 1}">'
        f"<span>{escape(title)}</span></th></tr>\n{rows}\n</tbody>"
    )


def _row_html(figures: Mapping[str, Any]) -> str:
    cells = "".join(
        f"<td>{escape(quantity(figure_at(figures, path), units))}</td>"
        for _, path, units in COLUMNS
    )
    return f'<tr><th scope="row">{escape(figures["tenant"])}</th>{cells}</tr>'


def _index(metrics: Mapping[str, Any]) -> str:
    index = figure_at(metrics, "jain_index")
    return MISSING if index is None else f"{index:.3f}"
