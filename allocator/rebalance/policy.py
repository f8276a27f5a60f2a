"""What a rebalancing policy sees and says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PoolView:
    """What a policy may know of a pool.

    Attributes:
        free_pages: Pages free for taking.
        empty_spans: Spans without a live page, which could be unmapped.
        pages_per_span: Pages of one span.
        granules_per_span: Granules of one span.
    """

    free_pages: int
    empty_spans: int
    pages_per_span: int
    granules_per_span: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """A pool that lacks pages, and what could be done for it.

    Attributes:
        recipient: The pool that is short.
        missing_pages: Pages it lacks for the call that failed.
        donor: The other pool.
        donor_keeps_pages: Free pages the same call will take from the donor.
        reserve_granules: Granules of the budget mapped nowhere.
    """

    recipient: PoolView
    missing_pages: int
    donor: PoolView
    donor_keeps_pages: int
    reserve_granules: int

    @property
    def sparable_spans(self) -> int:
        """Spans' worth of pages that the donor has free beyond the call, whole spans or not."""
        spare_pages = self.donor.free_pages - self.donor_keeps_pages
        return max(0, spare_pages) // self.donor.pages_per_span


@dataclass(frozen=True, slots=True)
class SpanMove:
    """The answer to a shortage: spans to unmap from the donor and to map into the recipient."""

    donor_spans: int
    recipient_spans: int


class RebalancePolicy(Protocol):
    """Decides whether and how much capacity moves between pools."""

    def on_shortage(self, shortage: Shortage) -> SpanMove | None:
        """A move that ends the shortage, or None if none can (or should)."""
