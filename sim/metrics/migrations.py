"""How much capacity moved between pools."""

from __future__ import annotations

from typing import Any

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo


class Migrations(Metric):
    """Migrations made, their bytes, and those that live pages stood in the way of."""

    name = "migrations"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`."""
        moved = log.of(EventKind.MIGRATION)
        blocked = log.of(EventKind.MIGRATION_BLOCKED)
        num_bytes = int(moved[:, 5].sum())
        return {"migrations": {"count": len(moved), "bytes": num_bytes, "blocked": len(blocked)}}
