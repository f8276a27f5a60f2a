"""Every sequence reserves its greatest length at admission: what there was before paging."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.interface import NO_TERMS, OutOfMemoryError, Terms
from allocator.laid_out import Slab, SlabsManager, most_pages
from allocator.spec import PAGE_ALIGNMENT_BYTES, CacheKind, align_up, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.spec import CacheGroup, CacheSpec

USUAL_TOKENS = 8192
"""A served context that covers nearly every chat request."""

MIN_SEQUENCES = 8
"""Sequences that the reservation chosen for the user leaves room for."""


@dataclass(frozen=True, slots=True)
class ContiguousOptions:
    """Options of `contiguous`."""

    max_tokens: int = field(
        default=0,
        metadata={
            "help": "tokens every sequence reserves, none can have more;"
            " 0 chooses 8192, or fewer so that 8 sequences fit"
        },
    )

    def __post_init__(self) -> None:
        if self.max_tokens < 0:
            raise ValueError(f"max_tokens must be at least 0, not {self.max_tokens}")


class ContiguousManager(SlabsManager):
    """Each cache group is an array of equal reservations, and a sequence has one row of each.

    A row of an attention group holds the greatest length, contiguously; a row of a state group
    holds one state. The greatest length must be known beforehand, so a sequence never fails
    while it grows, and what it does not come to use is internal waste. Where the device leaves
    room for it, a length that the user does not choose is 8,192 tokens.
    """

    name = "contiguous"
    summary = "every sequence reserves its greatest length and its state; nothing is paged"
    source = "static batching before PagedAttention (arXiv 2309.06180, section 2 and baseline Orca)"
    Options = ContiguousOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: ContiguousOptions) -> None:
        budget_bytes = backing.num_granules * backing.granule_bytes
        self._grows = CacheKind.ATTENTION in spec.kinds()
        self._row_tokens = options.max_tokens or _usual_tokens(spec, budget_bytes)
        sizes = [_row_bytes(group, self._row_tokens) for group in spec.groups]
        rows = most_pages(sizes, backing.num_granules, backing.granule_bytes)
        slabs = [Slab(size, pages_per_block=1, num_pages=rows) for size in sizes]
        super().__init__(spec, backing, slabs, self._row_tokens)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`: a row, if there is one."""
        alone = super().max_sequence_tokens
        return min(alone, self._row_tokens) if self._grows else alone

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`."""
        if sequence not in self._held and tokens > 0 and self._grows:
            self._refuse_second_row(0, max(tokens, terms.room_tokens))
        super().admit(sequence, tokens, terms)

    def _meet(self, terms: Terms, tokens: int) -> None:
        """Whoever has a row has room to grow."""
        super()._meet(replace(terms, others_tokens=0), tokens)

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        if self._grows:
            self._refuse_second_row(self._held[sequence].tokens, tokens)
        super().extend(sequence, tokens)

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`."""
        if self._grows:
            for sequence in sequences:
                self._refuse_second_row(self._held[sequence].tokens, tokens)
        super().extend_all(sequences, tokens)

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`; all groups have equally many rows in use."""
        super().check_integrity()
        for pool in self._pools:
            check(pool.num_live == len(self._held), f"a sequence has no row of {pool.name}")

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """Refuse: a second row would be a second block, and whose turn it is has a full one."""
        if self._grows:
            self._refuse_second_row(self._row_tokens, 1)
        super().grow_in_rounds(seats, sizes)

    def growth_blocks(self) -> int:
        """None."""
        return 0 if self._grows else super().growth_blocks()

    def _refuse_second_row(self, held_tokens: int, tokens: int) -> None:
        """Raise OutOfMemoryError if a sequence would outgrow its row, whatever is free."""
        if held_tokens + tokens <= self._row_tokens:
            return
        rows = ceil_div(held_tokens + tokens, self._row_tokens) - bool(held_tokens)
        pool = self._pools[[group.kind for group in self.spec.groups].index(CacheKind.ATTENTION)]
        free = 0 if held_tokens else min(1, self._num_free(self._pools.index(pool)))
        raise OutOfMemoryError(pool.name, rows, free, largest=free)


def _row_bytes(group: CacheGroup, row_tokens: int) -> int:
    tokens = row_tokens if group.kind is CacheKind.ATTENTION else 1
    return align_up(group.size_bytes * tokens, PAGE_ALIGNMENT_BYTES)


def _usual_tokens(spec: CacheSpec, budget_bytes: int) -> int:
    """8,192 tokens, or the most that leave room for 8 sequences; at least 1."""
    if not spec.bytes_per_token():
        return USUAL_TOKENS
    left = budget_bytes // MIN_SEQUENCES - spec.bytes_per_sequence()
    return max(1, min(USUAL_TOKENS, left // spec.bytes_per_token()))
