"""What a metric promises: figures folded from the event log, and from nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from allocator.discovery import discover
from sim.replica_log import as_one

if TYPE_CHECKING:
    from sim.event_log import EventLog


@dataclass(frozen=True, slots=True)
class Slo:
    """What a request must reach to count as served well.

    The defaults are the server limits of MLPerf Inference v5.1 for Llama-3.1-8B (recalled, not
    re-read); there they hold for the 99th percentile, here for each request.

    Attributes:
        ttft_s: Most seconds to the first token.
        tpot_s: Most seconds a token after the first, on average over the request.
    """

    ttft_s: float = 2.0
    tpot_s: float = 0.1


class Metric(ABC):
    """Measures an event log.

    Class attributes:
        name: Name of the metric.
    """

    name: ClassVar[str]

    @abstractmethod
    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:
        """Figures by the names of the JSON contract; None where nothing qualifies.

        Args:
            log: Of one replica, or of several as one: see `sim.replica_log.as_one`.
            slo: What a request must reach to be served well.
        """


@cache
def known_metrics() -> dict[str, type[Metric]]:
    """Every metric of `sim.metrics` by its name, in order of name."""
    from sim import metrics  # noqa: PLC0415 - the modules found there import this one

    return discover(metrics, Metric)  # type: ignore[type-abstract]


def measure(log: EventLog, slo: Slo) -> dict[str, Any]:
    """The figures of all metrics over all replicas, and where there are several of each of them.

    Raises:
        ValueError: If two metrics claim one figure.
    """
    from sim.by_replica import figures_by_replica  # noqa: PLC0415 - its metrics import this module

    figures: dict[str, Any] = {}
    whole = as_one(log)
    for metric in known_metrics().values():
        more = metric().measure(whole, slo)
        if figures.keys() & more.keys():
            raise ValueError(f"metric {metric.name} measures what another does")
        figures |= more
    if log.header.num_replicas > 1:
        figures |= figures_by_replica(log, slo, figures["simulated_seconds"])
    return figures
