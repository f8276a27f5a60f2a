"""Remedies that move capacity from the other pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from allocator.interface import Migration
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.paper.interface import Witness
    from allocator.paper.layer_pools import HeldPool
    from allocator.paper.recovering import FailedCall


class Amount(Protocol):
    """How much capacity a migration moves."""

    def donor_pages(self, missing_bytes: int, donor_page_bytes: int) -> int:
        """Pages of the donor that go for a recipient that lacks so many bytes."""


@dataclass(frozen=True, slots=True)
class OneBatch:
    """One batch of donor pages, whatever is missing (the paper)."""

    batch_pages: int

    def donor_pages(self, missing_bytes: int, donor_page_bytes: int) -> int:
        """See `Amount.donor_pages`."""
        del missing_bytes, donor_page_bytes
        return self.batch_pages


@dataclass(frozen=True, slots=True)
class WholeBatches:
    """As many batches as end the shortage."""

    batch_pages: int

    def donor_pages(self, missing_bytes: int, donor_page_bytes: int) -> int:
        """See `Amount.donor_pages`."""
        batch_bytes = self.batch_pages * donor_page_bytes
        return self.batch_pages * ceil_div(missing_bytes, batch_bytes)


class Cut(Protocol):
    """Which pages of the donor may go."""

    def cut(self, donor: HeldPool, num_bytes: int) -> bool:
        """Take so many bytes off a pool if it can be done; returns whether it was."""


class FreeTail:
    """Only a tail without a live page (the paper): one high page that is held blocks it."""

    def cut(self, donor: HeldPool, num_bytes: int) -> bool:
        """See `Cut.cut`."""
        after = donor.pool.pages_after_cut(num_bytes)
        if after < 0 or donor.pool.num_live_beyond(after):
            return False
        donor.pool.cut(num_bytes)
        return True


class RelocatedTail:
    """Any tail whose live pages fit below it; they are copied there first."""

    def cut(self, donor: HeldPool, num_bytes: int) -> bool:
        """See `Cut.cut`."""
        after = donor.pool.pages_after_cut(num_bytes)
        if donor.pool.num_live > after:
            return False
        beyond = [page for page in donor.holdings.pages() if page >= after]
        if beyond:
            donor.holdings.rename(donor.pool.relocate(beyond, after))
        donor.pool.cut(num_bytes)
        return True


@dataclass(frozen=True, slots=True)
class MigrateOnFailure:
    """Moves capacity to the pool that was short from the other one.

    Attributes:
        held_pools: Two pools with their holders.
        amount: How much moves.
        cut: Which pages of the donor may go.
        witness: Is told.
    """

    held_pools: Sequence[HeldPool]
    amount: Amount
    cut: Cut
    witness: Witness

    def make_room(self, call: FailedCall) -> bool:
        """See `Remedy.make_room`."""
        donor, recipient = self.held_pools[1 - call.pool], self.held_pools[call.pool].pool
        missing_bytes = (call.asked - recipient.num_free) * recipient.page_bytes
        donor_bytes = donor.pool.page_bytes * self.amount.donor_pages(
            missing_bytes, donor.pool.page_bytes
        )
        if not self.cut.cut(donor, donor_bytes):
            self.witness.migration_blocked(call.pool)
            return False
        # What is no whole page of the recipient is lost, as in the paper.
        recipient.grow(donor_bytes // recipient.page_bytes * recipient.page_bytes)
        self.witness.migrated(Migration(1 - call.pool, call.pool, donor_bytes))
        return True
