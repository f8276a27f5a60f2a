"""What sharing prefixes saved."""

from __future__ import annotations

from typing import Any

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo


class Prefixes(Metric):
    """Prompt tokens that were found instead of computed, recomputed prompts included."""

    name = "prefixes"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; the share is of all prompt tokens, found or computed."""
        found = int(log.of(EventKind.PREFIX_HIT)[:, 3].sum())
        computed = int(log.of(EventKind.CHUNK)[:, 3].sum())
        share_pct = 100 * found / (found + computed) if found + computed else None
        return {"prefix_hits": {"tokens": found, "pct": share_pct}}
