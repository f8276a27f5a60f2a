"""How requests ended."""

from __future__ import annotations

from typing import Any

from sim.event_log import EventKind, EventLog, Loss
from sim.metric import Metric, Slo
from sim.timeline import timeline_of


class Outcomes(Metric):
    """Counts of requests and of what went wrong on their way."""

    name = "outcomes"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; an OOM event is one failing call to the allocator."""
        preemptions = log.of(EventKind.PREEMPTION)
        lost = preemptions[preemptions[:, 5] != Loss.SWAPPED]
        timeline = timeline_of(log)
        return {
            "completed": len(timeline.request),
            "rejected": len(log.of(EventKind.REJECTION)),
            "clean_completions": int(timeline.is_clean().sum()),
            "preemptions": len(preemptions),
            "oom_events": len(log.of(EventKind.OOM)),
            "recomputed_tokens": int(lost[:, 3].sum()),
        }
