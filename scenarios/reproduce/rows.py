"""Cells of three seeds become rows as the paper publishes them, beside the published ones."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.reproduce.published_figures import (
    DETERMINISTIC,
    Place,
    place_of,
    published_rows,
    published_total,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.reproduce.cell import Row

_MEDIANS = (
    "completion_ratio",
    "clean_completion_ratio",
    "effective_batch",
    "migrations",
    "to_state",
    "bytes_migrated",
    "bytes_wasted",
    "blocked",
    "kv_pages",
    "state_pages",
    "footprint_bytes",
)
_MEANS = (
    "failed_requests",
    "evictions",
    "evicted_requests",
    "pages_evicted",
    "pages_freed_by_other",
)
RELATIVE_TOLERANCE = 1e-12
"""Means and deviations are sums of a few numbers; the last digit may depend on their order."""


def rows_of(cells: Iterable[Row], *, compare: bool = True) -> list[Row]:
    """One row a (variant, workload, model, pool): means and population deviation, or medians.

    Args:
        cells: Of all seeds; a row of which seeds are missing is made of those there are.
        compare: Whether to put the published figures beside them.
    """
    by_place: dict[Place, list[Row]] = {}
    for cell in cells:
        by_place.setdefault(place_of(cell), []).append(cell)
    return [
        _row(own, published_rows().get(place) if compare else None)
        for place, own in by_place.items()
    ]


def _row(cells: Sequence[Row], published: Row | None) -> Row:
    first = cells[0]
    oom = [cell["oom"] for cell in cells]
    row: dict[str, Any] = {
        name: first[name] for name in ("variant", "workload", "model", "pool_gib")
    }
    row |= {"seeds": len(cells), "oom_mean": float(np.mean(oom)), "oom_std": float(np.std(oom))}
    row |= {name: float(median(cell[name] for cell in cells)) for name in _MEDIANS}
    row |= {f"{name}_mean": float(np.mean([cell[name] for cell in cells])) for name in _MEANS}
    row["published_oom_mean"] = published["oom_mean"] if published else None
    row["differs"] = differences(row, published) if published else None
    return row


def differences(row: Row, published: Row) -> list[str]:
    """Names of the published deterministic figures that a row does not have."""
    return [
        name
        for name in DETERMINISTIC
        if published[name] is not None
        and not np.isclose(row[name], published[name], rtol=RELATIVE_TOLERANCE, atol=0)
    ]


def totals_of(rows: Iterable[Row], sweep: str, *, compare: bool = True) -> list[Row]:
    """One entry a variant: sums over its rows, by workload and in all, as in the paper's tables."""
    by_variant: dict[str, list[Row]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], []).append(row)
    return [
        {
            "variant": variant,
            "oom": _sum(own, "oom_mean"),
            "published_oom": _published(own, sweep) if compare else None,
            "oom_by_workload": _by_workload(own),
            "clean_completion_ratio": _sum(own, "clean_completion_ratio") / len(own),
            "completion_ratio": _sum(own, "completion_ratio") / len(own),
            "evictions": _sum(own, "evictions_mean"),
            "migrations": _sum(own, "migrations"),
            "bytes_migrated": _sum(own, "bytes_migrated"),
        }
        for variant, own in by_variant.items()
    ]


def _published(rows: Sequence[Row], sweep: str) -> float | None:
    """The sum of the published rows where all are, else the published total."""
    means = [row["published_oom_mean"] for row in rows]
    return published_total(sweep, rows[0]["variant"]) if None in means else float(sum(means))


def _sum(rows: Iterable[Row], name: str) -> float:
    return float(sum(row[name] for row in rows))


def _by_workload(rows: Sequence[Row]) -> dict[str, float]:
    names = dict.fromkeys(row["workload"] for row in rows)
    return {
        name: _sum((row for row in rows if row["workload"] == name), "oom_mean") for name in names
    }
