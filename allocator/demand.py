"""How many pages of which pools a call takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.interface import UNBOUNDED_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.spec import PageShape

    GroupCut = tuple[int, PageShape, bool]
    """Pool that a cache group draws from, how it is cut, and whether it is state."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Pages of a grant.

    Attributes:
        by_pool: (pool, pages a block, pages once) of each pool that gives any.
        by_group: (group, pool, pages a block, pages once) of each group that gets any.
    """

    by_pool: tuple[tuple[int, int, int], ...]
    by_group: tuple[tuple[int, int, int, int], ...]

    @classmethod
    def of(cls, cuts: Sequence[GroupCut], num_pools: int, *, with_state: bool) -> Demand:
        """What every block of tokens takes, and what the state of a sequence takes once."""
        per_block, of_state = pages_by_pool(cuts, num_pools)
        by_pool = enumerate(zip(per_block, of_state, strict=True))
        once = [(pool, each, state * with_state) for pool, (each, state) in by_pool]
        by_group = [
            (group, pool, 0, shape.pages_per_block)
            if is_state
            else (group, pool, shape.pages_per_block, 0)
            for group, (pool, shape, is_state) in enumerate(cuts)
            if with_state or not is_state
        ]
        return cls(tuple(entry for entry in once if any(entry[1:])), tuple(by_group))

    def pages_by_pool(self, blocks: int, num_pools: int) -> list[int]:
        """Pages that so many blocks take of every pool."""
        pages = [0] * num_pools
        for pool, each, once in self.by_pool:
            pages[pool] = each * blocks + once
        return pages

    def blocks_within(self, free: Callable[[int], int]) -> int:
        """Blocks of sequences that are there, with so many pages of a pool free."""
        blocks = UNBOUNDED_TOKENS
        for pool, each, _ in self.by_pool:
            blocks = min(blocks, free(pool) // each)
        return blocks

    def tokens_within(self, pages_by_pool: Sequence[int], page_tokens: int) -> int:
        """Tokens of one sequence with so many pages of each pool to itself; 0 if none fits."""
        blocks = []
        for pool, each, once in self.by_pool:
            if pages_by_pool[pool] < once:
                return 0
            if each:
                blocks.append((pages_by_pool[pool] - once) // each)
        return min(blocks) * page_tokens if blocks else UNBOUNDED_TOKENS


def pages_by_pool(cuts: Sequence[GroupCut], num_pools: int) -> tuple[list[int], list[int]]:
    """Pages that a block of all attention groups, and the state of a sequence, take by pool."""
    per_block, of_state = [0] * num_pools, [0] * num_pools
    for pool, shape, is_state in cuts:
        (of_state if is_state else per_block)[pool] += shape.pages_per_block
    return per_block, of_state
