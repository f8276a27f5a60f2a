"""The way to the host's memory, and an executor that prices what goes over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.costs.roofline import NS_PER_S

if TYPE_CHECKING:
    from sim.step import StepPlan, StepPricer


@dataclass(frozen=True, slots=True)
class HostLink:
    """Moves pages between device and host; its directions do not disturb each other.

    Attributes:
        bytes_per_s: What each direction carries.
        start_ns: Starting the copy of one sequence's pages, whatever their number.
    """

    bytes_per_s: float
    start_ns: float

    def duration_ns(self, copies: int, num_bytes: int) -> float:
        """Nanoseconds of so many copies one after the other, in one direction."""
        return copies * self.start_ns + num_bytes / self.bytes_per_s * NS_PER_S


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What a device has of its host.

    Attributes:
        link: The way there and back.
        size_bytes: Memory that swapped sequences may use.
    """

    link: HostLink
    size_bytes: int


class SwappingExecutor:
    """Adds what is swapped to the price of a step.

    Copies come before the step, which computes with the pages that they free or fill. If they
    overlap it, the step takes the longer of both: layer by layer the copy out keeps ahead of the
    writes of the step, the copy in ahead of its reads.
    """

    def __init__(self, inner: StepPricer, link: HostLink, *, overlaps: bool) -> None:
        self._inner = inner
        self._link = link
        self._overlaps = overlaps

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds of a step; see `sim.step.StepExecutor`."""
        step_ns, copies_ns = self._inner.execute(plan), round(self._copies_ns(plan))
        return max(step_ns, copies_ns) if self._overlaps else step_ns + copies_ns

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """Nanoseconds of the steps that follow; see `sim.step.StepPricer`: they swap nothing."""
        return self._inner.price_repeats(plan, repeats)

    def _copies_ns(self, plan: StepPlan) -> float:
        """Both directions at once."""
        out_ns = self._link.duration_ns(plan.swaps_out, plan.swapped_out_bytes)
        return max(out_ns, self._link.duration_ns(plan.swaps_in, plan.swapped_in_bytes))
