"""What preemption moved to the host instead of computing it again."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.event_log import EventKind, EventLog, Loss
from sim.metric import Metric, Slo
from sim.timeline import NS_PER_S


class Swaps(Metric):
    """Sequences and bytes that went to the host and back, and who recomputed all the same."""

    name = "swaps"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; all is 0 where nothing is swapped.

        Link seconds are those of all copies, one after the other; `kept_tokens` are those that
        recomputation would have computed again.
        """
        preemptions = log.of(EventKind.PREEMPTION)
        losses = np.bincount(preemptions[:, 5], minlength=len(Loss))
        out, back = log.of(EventKind.SWAP_OUT), log.of(EventKind.SWAP_IN)
        link_ns = int(out[:, 5].sum()) + int(back[:, 5].sum())
        figures = {
            "out_count": len(out),
            "in_count": len(back),
            "out_bytes": int(out[:, 3].sum()),
            "in_bytes": int(back[:, 3].sum()),
            "link_seconds": link_ns / NS_PER_S,
            "kept_tokens": int(preemptions[preemptions[:, 5] == Loss.SWAPPED, 3].sum()),
            "peak_host_bytes": int(out[:, 4].max(initial=0)),
            "host_full_count": int(losses[Loss.HOST_FULL]),
            "cheaper_count": int(losses[Loss.CHEAPER]),
        }
        return {"swaps": figures}
