"""The table of replicas: a row for each under each allocator, where there are several."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from scenarios.report.quantity import BYTES, MISSING, figure_at, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scenarios.result import RunResult

    Figures = Mapping[str, Any]


def _shown(path: str, digits: int = 0) -> Callable[[Figures], str]:
    def text(figures: Figures) -> str:
        value = figure_at(figures, path)
        return MISSING if value is None else f"{value:,.{digits}f}"

    return text


COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("requests", _shown("requests")),
    ("completed", _shown("completed")),
    ("preemptions", _shown("preemptions")),
    ("tokens/s", _shown("throughput_tokens_per_s", 1)),
    ("running, mean", _shown("mean_running", 1)),
    ("waiting, mean", _shown("mean_waiting", 1)),
    ("prefix hits, %", _shown("prefix_hits.pct", 1)),
    ("peak of granted bytes", lambda figures: quantity(figure_at(figures, "peak_bytes"), BYTES)),
)


def replicas_html(runs: Sequence[RunResult]) -> str:
    """A table with a group of rows an allocator; nothing where one replica serves."""
    several = [run for run in runs if run.metrics.get("replicas")]
    if not several:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name, _ in COLUMNS)
    bodies = "\n".join(_run_html(run) for run in several)
    return (
        '<div class="scroller" role="region" tabindex="0" aria-label="Figures, one row a replica">'
        "\n<table>\n<caption><span>Rates are taken over the whole run; means over its samples."
        "</span></caption>\n"
        f'<thead><tr><th scope="col">Replica</th>{heads}</tr></thead>\n{bodies}\n'
        "</table>\n</div>"
    )


def _run_html(run: RunResult) -> str:
    imbalance = _shown("load_imbalance.in_flight", 2)(run.metrics)
    title = (
        f"{run.allocator}: at a sample the busiest has {imbalance} times the mean of sequences"
        " in flight"
    )
    head = (
        f'<tr><th class="group" scope="rowgroup" colspan="{len(COLUMNS) + 1}">'
        f"<span>{escape(title)}</span></th></tr>"
    )
    rows = [head]
    for figures in run.metrics["replicas"]:
        cells = "".join(f"<td>{escape(text(figures))}</td>" for _, text in COLUMNS)
        rows.append(f'<tr><th scope="row">{figures["replica"]}</th>{cells}</tr>')
    return "\n".join(["<tbody>", *rows, "</tbody>"])
