"""A remedy that holds another back as the paper's text says, and its evaluation did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.paper.layer_pools import LayerPools
    from allocator.paper.recovering import FailedCall, Remedy
    from allocator.paper.stack_pool import StackPool


@dataclass(frozen=True, slots=True)
class Restraints:
    """When capacity may move.

    Attributes:
        donor_above: Free share of its pages that the donor must exceed (threshold_high).
        recipient_below: Free share that the recipient must lie below (threshold_low).
        operations: Calls between two migrations, at least.
    """

    donor_above: float
    recipient_below: float
    operations: int = 1000

    def allow(self, donor: StackPool, recipient: StackPool) -> bool:
        """Whether both pools lie on the right side of their thresholds."""
        donor_share = donor.num_free / max(1, donor.num_pages)
        recipient_share = recipient.num_free / max(1, recipient.num_pages)
        return donor_share > self.donor_above and recipient_share < self.recipient_below


class Restrained:
    """Applies a migration only where thresholds and the time since the last one allow it."""

    def __init__(self, inner: Remedy, pools: LayerPools, restraints: Restraints) -> None:
        self._inner = inner
        self._pools = pools
        self._restraints = restraints
        self._next_operation = 0

    def make_room(self, call: FailedCall) -> bool:
        """See `Remedy.make_room`."""
        held = self._pools.held_pools
        donor, recipient = held[1 - call.pool].pool, held[call.pool].pool
        is_early = self._pools.num_operations < self._next_operation
        if is_early or not self._restraints.allow(donor, recipient):
            return False
        if not self._inner.make_room(call):
            return False
        self._next_operation = self._pools.num_operations + self._restraints.operations
        return True
