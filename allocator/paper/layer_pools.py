"""Pools and their holders, as layer calls see them; a call that finds too little simply fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.interface import PoolUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.paper.holdings import Holdings
    from allocator.paper.stack_pool import StackPool


@dataclass(frozen=True, slots=True)
class HeldPool:
    """A pool and who holds its pages."""

    pool: StackPool
    holdings: Holdings

    def give_back(self, request: int) -> int:
        """Free all pages of a request; returns how many."""
        pages = self.holdings.pop(request)
        self.pool.give(pages)
        return len(pages)

    def evict(self, request: int) -> int:
        """Free all pages of a request that has not asked to go; returns how many."""
        pages = self.holdings.evict(request)
        self.pool.give(pages)
        return len(pages)

    def check_integrity(self) -> None:
        """Raise AssertionError if pool and holdings contradict themselves or each other."""
        self.pool.check_integrity()
        self.holdings.check_integrity()
        self.pool.check_live(self.holdings.pages())


class LayerPools:
    """The innermost `LayerAllocator`: takes from the group's pool or raises, and nothing else.

    Args:
        held_pools: The pools with their holders.
        pool_of_group: Number of the pool that each cache group draws from.
        memory: Where the physical bytes behind the pools are counted.

    Attributes:
        held_pools: The pools with their holders.
        pool_of_group: Number of the pool that each cache group draws from.
        num_operations: Calls so far, failing ones included.
    """

    def __init__(
        self, held_pools: Sequence[HeldPool], pool_of_group: Sequence[int], memory: Backing
    ) -> None:
        self.held_pools = tuple(held_pools)
        self.pool_of_group = tuple(pool_of_group)
        self.num_operations = 0
        self._by_group = [self.held_pools[number] for number in pool_of_group]
        self._memory = memory

    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """See `LayerAllocator.allocate`."""
        self.num_operations += 1
        held = self._by_group[group]
        pages = held.pool.take(count)
        held.holdings.add(request, pages)
        return pages

    def release(self, request: int) -> None:
        """See `LayerAllocator.release`."""
        self.num_operations += 1
        for held in self.held_pools:
            held.give_back(request)

    def pools(self) -> tuple[PoolUsage, ...]:
        """See `LayerAllocator.pools`."""
        pools = (held.pool for held in self.held_pools)
        return tuple(
            PoolUsage(pool.name, pool.page_bytes, pool.num_pages, pool.num_live) for pool in pools
        )

    def footprint_bytes(self) -> int:
        """See `LayerAllocator.footprint_bytes`."""
        memory = self._memory
        return (memory.num_granules - memory.num_free_granules) * memory.granule_bytes

    def check_integrity(self) -> None:
        """See `LayerAllocator.check_integrity`."""
        self._memory.check_integrity()
        for held in self.held_pools:
            held.check_integrity()
