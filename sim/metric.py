"""What a metric promises: figures folded from the event log, and from nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from allocator.discovery import discover

if TYPE_CHECKING:
    from sim.event_log import EventLog


class Metric(ABC):
    """Measures an event log.

    Class attributes:
        name: Name of the metric.
    """

    name: ClassVar[str]

    @abstractmethod
    def measure(self, log: EventLog) -> dict[str, Any]:
        """Figures by the names of the JSON contract; None where nothing qualifies."""


@cache
def known_metrics() -> dict[str, type[Metric]]:
    """Every metric of `sim.metrics` by its name, in order of name."""
    from sim import metrics  # noqa: PLC0415 - the modules found there import this one

    return discover(metrics, Metric)  # type: ignore[type-abstract]


def measure(log: EventLog) -> dict[str, Any]:
    """The figures of all metrics.

    Raises:
        ValueError: If two metrics claim one figure.
    """
    figures: dict[str, Any] = {}
    for metric in known_metrics().values():
        more = metric().measure(log)
        if figures.keys() & more.keys():
            raise ValueError(f"metric {metric.name} measures what another does")
        figures |= more
    return figures
