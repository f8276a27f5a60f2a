"""The published figures, read from the files that hold them with their source."""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "published"
_COUNTS = (
    "pool_gib",
    "effective_batch",
    "migrations",
    "bytes_migrated",
    "bytes_wasted",
    "kv_pages",
    "state_pages",
)
_REALS = ("oom_mean", "oom_std", "completion_ratio", "goodput_rps")
DETERMINISTIC = ("oom_mean", "oom_std", "completion_ratio", *_COUNTS[1:])
"""Columns of a published row that do not depend on the clock of a machine."""

Place = tuple[str, str, str, int]


@cache
def published_rows() -> dict[Place, dict[str, Any]]:
    """The 80 published rows by (variant, workload, model, pool in GiB); a figure may be lacking."""
    with (_FOLDER / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = [_typed(row) for row in csv.DictReader(file)]
    return {place_of(row): row for row in rows}


def place_of(row: dict[str, Any]) -> Place:
    """What names a row."""
    return row["variant"], row["workload"], row["model"], row["pool_gib"]


@cache
def published_facts() -> dict[str, Any]:
    """Totals, digests of streams, intervals and phases; see the comments of the file."""
    return tomllib.loads((_FOLDER / "facts.toml").read_text(encoding="utf-8"))


def published_total(sweep: str, variant: str) -> float | None:
    """OOM events that were published for a variant in a sweep without its rows; None if none were.

    They are rounded as in the paper.
    """
    known: dict[str, float] = published_facts()["totals"].get(sweep, {})
    return known.get(variant)


def _typed(row: dict[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = dict(row)
    typed |= {name: int(row[name]) if row[name] else None for name in _COUNTS}
    typed |= {name: float(row[name]) for name in _REALS}
    return typed
