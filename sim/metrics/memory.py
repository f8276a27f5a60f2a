"""Where the bytes went."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo

PERCENT = 100.0


class Memory(Metric):
    """Peak and footprint, and waste as a mean over time, in percent of the budget."""

    name = "memory"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; waste is None in a run too short for a sample."""
        end = log.of(EventKind.END)[0]
        return {
            "peak_bytes": int(end[3]),
            "budget_bytes": log.header.budget_bytes,
            "footprint_bytes": int(end[4]),
            "waste": _waste(log),
        }


def _waste(log: EventLog) -> dict[str, float | None]:
    samples = log.of(EventKind.WASTE_SAMPLE)
    names = ("internal_pct", "external_pct", "stranded_pct")
    if not len(samples):
        return dict.fromkeys(names)
    # A sample stands for the time since the one before: their distance grows in long drains.
    seconds = np.diff(samples[:, 0], prepend=samples[0, 0] - log.header.sample_interval_ns)
    means = np.average(samples[:, 3:6], axis=0, weights=seconds)
    means *= PERCENT / log.header.budget_bytes
    return dict(zip(names, map(float, means), strict=True))
