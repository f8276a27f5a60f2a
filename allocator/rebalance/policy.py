"""What a rebalancing policy sees and says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from allocator.spec import ceil_div


@dataclass(frozen=True, slots=True)
class PoolView:
    """What a policy may know of a pool.

    Attributes:
        free_pages: Pages free for taking.
        empty_spans: Spans without a live page, which can be unmapped at once.
        num_spans: Spans mapped.
        pages_per_span: Pages of one span.
        granules_per_span: Granules of one span.
    """

    free_pages: int
    empty_spans: int
    num_spans: int
    pages_per_span: int
    granules_per_span: int


@dataclass(frozen=True, slots=True)
class SpanMove:
    """The answer to a shortage: spans to unmap from the donor and to map into the recipient."""

    donor_spans: int
    recipient_spans: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """A pool that lacks pages, and what could be done for it.

    Attributes:
        recipient_number: Number of the pool that is short.
        recipient: The pool that is short.
        missing_pages: Pages it lacks for the call that would fail.
        donor: The other pool.
        donor_keeps_pages: Free pages the same call will take from the donor.
        reserve_granules: Granules of the budget mapped nowhere.
        relocates: Whether the donor's live pages may be moved together to empty spans.
        operation: Admissions and releases so far: the clock of the allocator.
    """

    recipient_number: int
    recipient: PoolView
    missing_pages: int
    donor: PoolView
    donor_keeps_pages: int
    reserve_granules: int
    relocates: bool
    operation: int

    @property
    def spans_needed(self) -> int:
        """Spans that the recipient must gain."""
        return ceil_div(self.missing_pages, self.recipient.pages_per_span)

    @property
    def lacking_granules(self) -> int:
        """Granules that the donor must give; none if the reserve has them."""
        needed = self.spans_needed * self.recipient.granules_per_span
        return max(0, needed - self.reserve_granules)

    @property
    def sparable_spans(self) -> int:
        """Spans' worth of pages that the donor has free beyond the call, whole spans or not.

        If pages may be relocated, all of these can be emptied: the emptiest span in use fits
        into the others as long as they have a span's worth of free pages together.
        """
        spare_pages = self.donor.free_pages - self.donor_keeps_pages
        return max(0, spare_pages) // self.donor.pages_per_span

    @property
    def donatable_spans(self) -> int:
        """Spans that the donor can give."""
        sparable = self.sparable_spans
        return sparable if self.relocates else min(sparable, self.donor.empty_spans)

    def move(self, wanted_granules: int = 0) -> SpanMove | None:
        """A move that ends the shortage; None if there is none.

        More than that, up to `wanted_granules`, moves only in spans that are empty already: no
        page is relocated ahead of need.
        """
        if not self.lacking_granules:
            return SpanMove(donor_spans=0, recipient_spans=self.spans_needed)
        per_span = self.donor.granules_per_span
        needed = ceil_div(self.lacking_granules, per_span)
        if needed > self.donatable_spans:
            return None
        ready = min(self.sparable_spans, self.donor.empty_spans)
        donor_spans = max(needed, min(ready, ceil_div(wanted_granules, per_span)))
        granules = donor_spans * per_span + self.reserve_granules
        return SpanMove(donor_spans, granules // self.recipient.granules_per_span)


class RebalancePolicy(Protocol):
    """Decides whether and how much capacity moves between pools."""

    def on_shortage(self, shortage: Shortage) -> SpanMove | None:
        """A move that ends the shortage, or None if none can (or should)."""

    def on_admission(self, tokens: int) -> None:
        """A sequence was admitted with room for so many tokens."""

    def on_release(self, tokens: int) -> None:
        """A sequence was released; it had room for so many tokens at last."""
