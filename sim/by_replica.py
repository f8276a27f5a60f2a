"""What each of several replicas did, and how evenly they were loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.event_log import EventKind
from sim.metrics.memory import Memory
from sim.metrics.outcomes import Outcomes
from sim.metrics.prefixes import Prefixes
from sim.replica_log import logs_by_replica

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import EventLog
    from sim.metric import Slo

COUNTS = ("completed", "rejected", "preemptions", "oom_events", "recomputed_tokens")


def figures_by_replica(log: EventLog, slo: Slo, seconds: float) -> dict[str, Any]:
    """Figures of each replica, and the load of the busiest relative to the mean.

    Args:
        log: The log of several replicas.
        slo: What metrics are measured with.
        seconds: Simulated seconds of the whole run, over which rates are taken.

    Returns:
        `replicas`, a list of figures in order of replica, and `load_imbalance`: of requests and
        of output tokens in all, and of sequences in flight at a sample (whoever is the busiest
        there); 1 is even, the number of replicas the worst, None without any.
    """
    logs = logs_by_replica(log)
    replicas = [
        {"replica": number, **_figures(own, slo, seconds)} for number, own in enumerate(logs)
    ]
    in_flight = np.stack([own.of(EventKind.QUEUE_SAMPLE)[:, 3:5].sum(axis=1) for own in logs])
    imbalance = {
        name: _max_over_mean(np.array([[replica[name]] for replica in replicas]))
        for name in ("requests", "output_tokens")
    }
    imbalance["in_flight"] = _max_over_mean(in_flight)
    return {"replicas": replicas, "load_imbalance": imbalance}


def _figures(log: EventLog, slo: Slo, seconds: float) -> dict[str, Any]:
    outcomes = Outcomes().measure(log, slo)
    memory = Memory().measure(log, slo)
    queues = log.of(EventKind.QUEUE_SAMPLE)
    mean_running, mean_waiting = queues[:, 3:5].mean(axis=0).tolist() if len(queues) else 2 * [None]
    output_tokens = int(log.of(EventKind.COMPLETION)[:, 3].sum())
    return {
        "requests": len(log.of(EventKind.ARRIVAL)),
        **{name: outcomes[name] for name in COUNTS},
        "output_tokens": output_tokens,
        "throughput_tokens_per_s": output_tokens / seconds if seconds else None,
        "peak_bytes": memory["peak_bytes"],
        "budget_bytes": memory["budget_bytes"],
        "mean_running": mean_running,
        "mean_waiting": mean_waiting,
        **Prefixes().measure(log, slo),
    }


def _max_over_mean(loads: NDArray[np.int64]) -> float | None:
    """Of loads of shape (replicas, moments): the busiest of each moment over the mean."""
    mean = loads.mean(axis=0).sum()
    return float(loads.max(axis=0).sum() / mean) if mean else None
