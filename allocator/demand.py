"""How many pages of which pools a call takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """Pages of a grant.

    Attributes:
        by_pool: (pool, pages a block, pages once) of each pool that gives any.
        by_group: (group, pool, pages a block, pages once) of each group that gets any.
    """

    by_pool: tuple[tuple[int, int, int], ...]
    by_group: tuple[tuple[int, int, int, int], ...]

    def pages_by_pool(self, blocks: int, num_pools: int) -> list[int]:
        """Pages that so many blocks take of every pool."""
        pages = [0] * num_pools
        for pool, each, once in self.by_pool:
            pages[pool] = each * blocks + once
        return pages
