"""How much was served in how long."""

from __future__ import annotations

from typing import Any

from sim.event_log import EventKind, EventLog
from sim.metric import Metric
from sim.timeline import NS_PER_S, timeline_of


class Throughput(Metric):
    """Rates over the simulated time from the first arrival to the end of the last request."""

    name = "throughput"

    def measure(self, log: EventLog) -> dict[str, Any]:
        """See `Metric.measure`; goodput counts clean completions only."""
        timeline = timeline_of(log)
        start_ns = log.of(EventKind.ARRIVAL)[0, 0]
        seconds = float(log.of(EventKind.END)[0, 0] - start_ns) / NS_PER_S
        counts = {
            "throughput_rps": len(timeline.request),
            "throughput_tokens_per_s": int(timeline.output_tokens.sum()),
            "goodput_rps": int(timeline.is_clean().sum()),
        }
        rates = {name: count / seconds if seconds else None for name, count in counts.items()}
        return {"simulated_seconds": seconds, **rates}
