"""Move capacity when a call would fail, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.rebalance.policy import Shortage


@dataclass(frozen=True, slots=True)
class OnFailure:
    """Moves what the failing call lacks, and a whole batch where the donor has one ready.

    The paper moves exactly one batch and fails the call if that is not enough; here the move
    either ends the shortage or does not take place, in either direction.

    Attributes:
        batch_units: Units that a migration takes from the donor if it can spare them.
    """

    batch_units: int

    def on_shortage(self, shortage: Shortage) -> int:
        """See `RebalancePolicy.on_shortage`."""
        return shortage.move(self.batch_units)

    def on_admission(self, tokens: int) -> None:
        """Learns nothing."""

    def on_release(self, tokens: int) -> None:
        """Learns nothing."""
