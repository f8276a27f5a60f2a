"""The 32-bit name of a page: pool, generation, index."""

from __future__ import annotations

from dataclasses import dataclass

HANDLE_BITS = 32
MIN_GENERATION_BITS = 4
MAX_GENERATION_BITS = 8
"""A byte a page, so that a run's generations rise by one look-up in a table of 256."""


class StaleHandleError(ValueError):
    """A handle whose page has been given back, or that was never issued."""


@dataclass(frozen=True, slots=True)
class HandleLayout:
    """How the 32 bits are shared out; the generation takes up to 8 that pool and index leave over.

    A fixed layout would run out of bits on large tables (a 141 GiB device holds 4.6 million pages
    of 32 KiB). The generation of an index follows from how often its name was taken back: it goes
    round from 1, so no valid handle is 0, and a stale handle comes back to life only if its index
    has been reused 2**generation_bits - 1 times; until then it is detected.

    Attributes:
        pool_bits: Bits that name the pool, the highest ones.
        index_bits: Bits that name the entry of the page table, the lowest ones.
    """

    pool_bits: int
    index_bits: int

    @classmethod
    def for_table(cls, num_pools: int, num_entries: int) -> HandleLayout:
        """The layout with the longest generation that can name every entry of a table.

        Pool and index have a bit at least, so that no shift is as wide as a handle.

        Raises:
            ValueError: If fewer than 4 generation bits would be left.
        """
        layout = cls(max(num_pools - 1, 1).bit_length(), max(num_entries - 1, 1).bit_length())
        if layout.generation_bits < MIN_GENERATION_BITS:
            raise ValueError(
                f"{num_entries} pages in {num_pools} pools do not fit 32-bit handles:"
                " use larger pages (granularity=group) or a smaller budget"
            )
        return layout

    @property
    def generation_bits(self) -> int:
        """Bits left for the generation, as far as they are used."""
        return min(MAX_GENERATION_BITS, HANDLE_BITS - self.pool_bits - self.index_bits)

    @property
    def num_generations(self) -> int:
        """Generations that an index goes through before the first comes again."""
        return (1 << self.generation_bits) - 1

    @property
    def index_mask(self) -> int:
        """Mask that leaves the index of a handle."""
        return (1 << self.index_bits) - 1

    def pack(self, pool: int, generation: int, index: int) -> int:
        """The handle of a pool, a generation from 1 on, and an index."""
        return (((pool << self.generation_bits) | generation) << self.index_bits) | index

    def unpack(self, handle: int) -> tuple[int, int, int]:
        """Pool, generation and index of a handle."""
        high = handle >> self.index_bits
        generation = high & ((1 << self.generation_bits) - 1)
        return high >> self.generation_bits, generation, handle & self.index_mask
