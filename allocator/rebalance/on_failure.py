"""Move capacity when an allocation fails, a batch at a time (the AVMP paper's trigger)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.rebalance.policy import SpanMove
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from allocator.rebalance.policy import Shortage


@dataclass(frozen=True, slots=True)
class OnFailure:
    """Moves at least what the failed call lacks, and a whole batch where the donor has one.

    The paper moves exactly one batch and fails the call if that is not enough; here the move
    either ends the shortage or does not take place, in either direction.

    Attributes:
        batch_granules: Granules that a migration takes from the donor if it can spare them.
    """

    batch_granules: int

    def on_shortage(self, shortage: Shortage) -> SpanMove | None:
        """See `RebalancePolicy.on_shortage`."""
        recipient, donor = shortage.recipient, shortage.donor
        spans_needed = ceil_div(shortage.missing_pages, recipient.pages_per_span)
        lacking = spans_needed * recipient.granules_per_span - shortage.reserve_granules
        if lacking <= 0:
            return SpanMove(donor_spans=0, recipient_spans=spans_needed)
        sparable = min(shortage.sparable_spans, donor.empty_spans)
        if sparable * donor.granules_per_span < lacking:
            return None
        wanted = ceil_div(max(lacking, self.batch_granules), donor.granules_per_span)
        donor_spans = min(sparable, wanted)
        granules = donor_spans * donor.granules_per_span + shortage.reserve_granules
        return SpanMove(donor_spans, granules // recipient.granules_per_span)
