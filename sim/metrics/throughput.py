"""How much was served in how long, and how much of it well."""

from __future__ import annotations

from typing import Any

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo
from sim.timeline import NS_PER_S, timeline_of


class Throughput(Metric):
    """Rates over the simulated time from the first arrival to the end of the last request.

    Goodput counts the completions whose TTFT and TPOT are both within the SLO (as in DistServe,
    OSDI 2024); a request of one token has no TPOT to miss.
    """

    name = "throughput"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:
        """See `Metric.measure`; rates are None in a run that takes no time."""
        timeline = timeline_of(log)
        start_ns = log.of(EventKind.ARRIVAL)[0, 0]
        seconds = float(log.of(EventKind.END)[0, 0] - start_ns) / NS_PER_S
        counts = {
            "throughput_rps": len(timeline.request),
            "throughput_tokens_per_s": int(timeline.output_tokens.sum()),
            "goodput_rps": int(timeline.is_within(slo).sum()),
        }
        rates = {name: count / seconds if seconds else None for name, count in counts.items()}
        return {"simulated_seconds": seconds, **rates}
