"""What a rebalancing policy sees and says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Shortage:
    """A pool that lacks pages, and what could be done for it. Capacity moves in equal units.

    Attributes:
        recipient: Number of the pool that is short, KV (0) or state (1).
        missing_units: Units it must gain for the call that would fail.
        sparable_units: Units that the other pool can give and still serve the same call.
        ready: Tells how many of those, no more than it is asked for, can go without copying a live
            page; that may take a look at every page, so it is asked only if it matters.
        recipient_units: Units that the pool holds beyond its base.
        total_units: Units that both pools hold.
        operation: Admissions and releases so far: the clock of the allocator.
    """

    recipient: int
    missing_units: int
    sparable_units: int
    ready: Callable[[int], int]
    recipient_units: int
    total_units: int
    operation: int

    def move(self, wanted_units: int = 0) -> int:
        """Units that end the shortage; 0 if none do.

        More than that, up to `wanted_units`, move only if they are ready: no page is copied ahead
        of need.
        """
        if self.missing_units > self.sparable_units:
            return 0
        if wanted_units <= self.missing_units:
            return self.missing_units
        return max(self.missing_units, self.ready(wanted_units))


class RebalancePolicy(Protocol):
    """Decides whether and how much capacity moves when a call would fail."""

    def on_shortage(self, shortage: Shortage) -> int:
        """Units to move; 0 if the call should fail."""

    def on_admission(self, tokens: int) -> None:
        """A sequence was admitted with room for so many tokens."""

    def on_release(self, tokens: int) -> None:
        """A sequence was released; it had room for so many tokens at last."""
