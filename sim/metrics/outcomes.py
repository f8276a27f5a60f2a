"""How requests ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.event_log import EventKind, EventLog, Loss, RejectionReason
from sim.metric import Metric, Slo
from sim.timeline import timeline_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Outcomes(Metric):
    """Counts of requests and of what went wrong on their way."""

    name = "outcomes"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; an OOM event is one failing call to the allocator."""
        preemptions = log.of(EventKind.PREEMPTION)
        lost = preemptions[preemptions[:, 5] != Loss.SWAPPED]
        rejections = log.of(EventKind.REJECTION)
        timeline = timeline_of(log)
        return {
            "completed": len(timeline.request),
            "rejected": len(rejections),
            "rejections": rejections_by_reason(rejections),
            "clean_completions": int(timeline.is_clean().sum()),
            "preemptions": len(preemptions),
            "oom_events": len(log.of(EventKind.OOM)),
            "recomputed_tokens": int(lost[:, 3].sum()),
        }


def rejections_by_reason(rows: NDArray[np.int64]) -> dict[str, int]:
    """How many of some rows of rejections name each reason."""
    return {reason.name.lower(): int((rows[:, 3] == reason).sum()) for reason in RejectionReason}
