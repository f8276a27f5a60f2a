"""What each of several replicas did, and how evenly they were loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.event_log import EventKind
from sim.metrics.memory import Memory
from sim.metrics.outcomes import Outcomes
from sim.metrics.prefixes import Prefixes
from sim.replica_log import logs_by_replica

if TYPE_CHECKING:
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
        `replicas`, a list of figures in order of replica, and `load_imbalance`: by requests, by
        output tokens, and by sequences in flight as a mean over the samples; 1 is even, the number
        of replicas the worst, None without any.
    """
    replicas = [
        {"replica": number, **_figures(own, slo, seconds)}
        for number, own in enumerate(logs_by_replica(log))
    ]
    loads = {
        "requests": [replica["requests"] for replica in replicas],
        "output_tokens": [replica["output_tokens"] for replica in replicas],
        "in_flight": [(r["mean_running"] or 0) + (r["mean_waiting"] or 0) for r in replicas],
    }
    imbalance = {name: _max_over_mean(load) for name, load in loads.items()}
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


def _max_over_mean(loads: list[float]) -> float | None:
    return max(loads) * len(loads) / sum(loads) if sum(loads) else None
