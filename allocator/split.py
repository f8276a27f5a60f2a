"""What managers with one pool a kind of cache share: page sizes, and a first split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.pool_names import POOL_NAMES
from allocator.pooled import PooledManager
from allocator.slab import fixed_pool
from allocator.spec import CacheKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.pool import Pool
    from allocator.spec import CacheSpec, Granularity


class ByKindManager(PooledManager):
    """One pool a kind of cache, KV first; groups of one kind share it."""

    def _page_bytes_by_pool(self) -> list[int]:
        return [self._page_bytes(kind) for kind in self.spec.kinds()]

    def _page_bytes(self, kind: CacheKind) -> int:
        """Groups of one kind share a pool, so its pages have the size of the largest."""
        groups = zip(self.spec.groups, self._shapes, strict=True)
        return max(shape.page_bytes for group, shape in groups if group.kind is kind)

    def _numbers(self) -> tuple[int, ...]:
        """The number of the pool that each group draws from."""
        kinds = self.spec.kinds()
        return tuple(kinds.index(group.kind) for group in self.spec.groups)


class SplitManager(ByKindManager):
    """One pool a kind of cache, each with its own page size and share of the budget.

    A model with only one kind gets one pool with the whole budget.
    """

    def __init__(
        self, spec: CacheSpec, backing: Backing, granularity: Granularity, state_ratio: float
    ) -> None:
        self._state_ratio = state_ratio
        super().__init__(spec, backing, granularity)

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        kinds = self.spec.kinds()
        shares = self._granules_by_kind(kinds)
        pools = [self._build_pool(kind, shares[kind]) for kind in kinds]
        return pools, self._numbers()

    def _granules_by_kind(self, kinds: tuple[CacheKind, ...]) -> dict[CacheKind, int]:
        """The split of the paper: int(total x ratio) for state, the rest for KV."""
        total = self.backing.num_granules
        if len(kinds) == 1:
            return {kinds[0]: total}
        state = int(total * self._state_ratio)
        return {CacheKind.STATE: state, CacheKind.ATTENTION: total - state}

    def _build_pool(self, kind: CacheKind, num_granules: int) -> Pool:
        """A pool that keeps its granules for good: nothing is lost to rounding but its tail."""
        return fixed_pool(POOL_NAMES[kind], self._page_bytes(kind), self.backing, num_granules)
