"""How long requests took: to the first token, a token, and from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.metric import Metric, Slo
from sim.timeline import distribution_of, timeline_of

if TYPE_CHECKING:
    from sim.event_log import EventLog


class Latency(Metric):
    """Distributions over the completed requests, in seconds."""

    name = "latency"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; percentiles are linearly interpolated."""
        timeline = timeline_of(log)
        return {
            "ttft_s": distribution_of(timeline.ttft_s()),
            "tpot_s": distribution_of(timeline.tpot_s()),
            "e2e_s": distribution_of(timeline.e2e_s()),
        }
