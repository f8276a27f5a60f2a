"""A small evaluation made by hand, from the published rows of ShareGPT."""

from __future__ import annotations

from typing import Any

from scenarios.reproduce.published_figures import published_rows
from scenarios.reproduce.rows import rows_of, totals_of

COUNTS = (
    "evictions",
    "evicted_requests",
    "pages_evicted",
    "pages_freed_by_other",
    "failed_requests",
    "to_state",
    "blocked",
    "footprint_bytes",
    "clean_completion_ratio",
)


def cells(extra: int = 0) -> list[dict[str, Any]]:
    """Cells whose rows are the published ones of ShareGPT, or off by some OOM events."""
    found = []
    for place, published in published_rows().items():
        if place[1] == "sharegpt_replay":
            for seed in range(3):
                cell = {**published, **dict.fromkeys(COUNTS, 0), "seed": seed}
                cell |= {name: cell[name] or 0 for name in ("migrations", "bytes_migrated")}
                cell |= {name: cell[name] or 0 for name in ("bytes_wasted", "state_pages")}
                found.append({**cell, "oom": published["oom_mean"] + extra})
    return found


def found_in(cells: list[dict[str, Any]]) -> dict[str, Any]:
    rows = rows_of(cells)
    sweep = {
        "cells": len(cells),
        "rows": rows,
        "totals": totals_of(rows, "sharegpt"),
        "bootstrap": [],
    }
    facts = {"fixes": [], "twinpool_version": "0", "scenario_digest": "d", "bootstrap": []}
    return {**facts, "sweeps": {"sharegpt": sweep}}
