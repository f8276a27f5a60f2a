"""What was run, above the figures; digests and versions, below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.quantity import BYTES, DURATIONS, MISSING, SECONDS, figure_at, quantity
from scenarios.report.table import PER_SECOND
from sim.preemptions.recompute import Recompute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.result import ReplayResult

PROVENANCE = (
    ("Twinpool", "twinpool_version"),
    ("schema", "schema_version"),
    ("scenario digest", "scenario_digest"),
    ("trace digest", "trace_digest"),
    ("profile digest", "profile_digest"),
)


def facts_of(result: ReplayResult) -> list[tuple[str, str]]:
    """What was run, as (name, text)."""
    facts = result.facts
    entries = [
        ("requests", _text(facts, "requests") + _rate(facts) + _dropped(facts)),
        ("model", _text(facts, "model")),
        ("device", _text(facts, "device")),
        *_replicas(facts),
        ("cache budget", quantity(figure_at(facts, "budget_bytes"), BYTES)),
        ("scheduler", _text(facts, "scheduler")),
        ("goodput counts", _slo(facts)),
        ("seed", _text(facts, "seed")),
    ]
    if facts.get("preemption", Recompute.name) != Recompute.name:
        entries.append(("preemption", _text(facts, "preemption")))
    return entries


def _replicas(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many replicas serve, and on how many devices; nothing where it is one."""
    if facts.get("replicas", 1) == 1:
        return []
    router = f"{_text(facts, 'replicas')} behind {_text(facts, 'router')}, a cache budget each"
    return [("replicas", router), ("devices", _text(facts, "devices"))]


def provenance_of(result: ReplayResult) -> list[tuple[str, str]]:
    """Versions and digests, as (name, text)."""
    facts = result.facts
    entries = [(label, str(facts[key])) for label, key in PROVENANCE if facts.get(key) is not None]
    entries.append(("wall time", quantity(figure_at(facts, "wall_seconds"), DURATIONS)))
    for run in result.runs:
        digest = str(run.metrics.get("event_log_sha256") or MISSING)
        entries.append((f"event log of {run.allocator}, SHA-256", digest))
    return entries


def _text(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) and key != "seed" else str(value)


def _slo(facts: Mapping[str, Any]) -> str:
    """The service level objective that a request must reach to count for goodput."""
    limits = {name: figure_at(facts, f"slo.{name.lower()}_s") for name in ("TTFT", "TPOT")}
    known = [
        f"{name} \N{LESS-THAN OR EQUAL TO} {quantity(limit, SECONDS)}"
        for name, limit in limits.items()
        if limit is not None
    ]
    return ", ".join(known) or MISSING


def _rate(facts: Mapping[str, Any]) -> str:
    """How fast they arrive, where they do so by the clock."""
    rate_rps = figure_at(facts, "trace_rate_rps")
    return "" if rate_rps is None else f" at {quantity(rate_rps, PER_SECOND)}"


def _dropped(facts: Mapping[str, Any]) -> str:
    """Rows of the trace file that are no requests, with the reasons."""
    dropped = facts.get("dropped_rows") or []
    texts = [f"{row.get('count', 0):,} rows left out: {row.get('reason', '')}" for row in dropped]
    return f" ({'; '.join(texts)})" if texts else ""
