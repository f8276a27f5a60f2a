"""How long requests took: to the first token, a token, and from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.metric import Metric, Slo
from sim.timeline import timeline_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import EventLog


class Latency(Metric):
    """Distributions over the completed requests, in seconds."""

    name = "latency"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; percentiles are linearly interpolated."""
        timeline = timeline_of(log)
        return {
            "ttft_s": _summary(timeline.ttft_s()),
            "tpot_s": _summary(timeline.tpot_s()),
            "e2e_s": _summary(timeline.e2e_s()),
        }


def _summary(seconds: NDArray[np.float64]) -> dict[str, float | None]:
    if not len(seconds):
        return dict.fromkeys(("mean", "p50", "p90", "p99"))
    p50, p90, p99 = (float(value) for value in np.percentile(seconds, (50, 90, 99)))
    return {"mean": float(seconds.mean()), "p50": p50, "p90": p90, "p99": p99}
