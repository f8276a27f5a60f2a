"""What managers share that cut blocks by rules of their own, in slabs that stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from allocator.pool_names import pool_names
from allocator.pooled import PooledManager
from allocator.slab import fixed_pool
from allocator.spec import CacheGroup, CacheSpec, Granularity, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.pool import Pool
    from allocator.spec import CacheKind


@dataclass(frozen=True, slots=True)
class Cut:
    """How a manager cuts a cache group.

    Attributes:
        name: Name of the group.
        kind: Whether its blocks come with tokens or once a sequence.
        pages_per_block: Pages of one block.
    """

    name: str
    kind: CacheKind
    pages_per_block: int


class LaidOutManager(PooledManager):
    """A manager whose blocks are neither a page a layer nor a page a group.

    `PooledManager` counts pages by the cuts; what sequences need is counted by the model's own
    bytes, so that everything beyond them shows as waste.
    """

    def __init__(
        self, spec: CacheSpec, backing: Backing, cuts: Sequence[Cut], page_tokens: int
    ) -> None:
        # Pools know the bytes of their pages; a stand-in for the groups only carries counts.
        groups = tuple(CacheGroup(cut.name, cut.kind, cut.pages_per_block, 1) for cut in cuts)
        super().__init__(CacheSpec(groups, page_tokens), backing, Granularity.LAYER)
        self.spec = replace(spec, page_tokens=page_tokens)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`."""
        return self._tokens_alone([pool.num_pages for pool in self._pools])


@dataclass(frozen=True, slots=True)
class Slab:
    """The pages of one cache group, in a slab of their own.

    Attributes:
        page_bytes: Bytes of one page.
        pages_per_block: Pages of one block.
        num_pages: Pages that sequences can get.
        num_spare: Pages beside them that no sequence gets.
    """

    page_bytes: int
    pages_per_block: int
    num_pages: int
    num_spare: int = 0

    def num_granules(self, granule_bytes: int) -> int:
        """Granules that hold it."""
        return ceil_div((self.num_pages + self.num_spare) * self.page_bytes, granule_bytes)


class SlabsManager(LaidOutManager):
    """A slab for each cache group, in their order, each with a pool of its own."""

    def __init__(
        self, spec: CacheSpec, backing: Backing, slabs: Sequence[Slab], page_tokens: int
    ) -> None:
        self._slabs = slabs
        self._names = pool_names(spec)
        cuts = [
            Cut(group.name, group.kind, slab.pages_per_block)
            for group, slab in zip(spec.groups, slabs, strict=True)
        ]
        super().__init__(spec, backing, cuts, page_tokens)

    def _page_bytes_by_pool(self) -> list[int]:
        return [slab.page_bytes for slab in self._slabs]

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        granule = self.backing.granule_bytes
        pools = [
            fixed_pool(
                name, slab.page_bytes, self.backing, slab.num_granules(granule), slab.num_pages
            )
            for name, slab in zip(self._names, self._slabs, strict=True)
        ]
        return pools, tuple(range(len(pools)))


def most_pages(page_bytes: Sequence[int], num_granules: int, granule_bytes: int) -> int:
    """The largest equal number of pages of each size, each size in whole granules of its own."""
    count = num_granules * granule_bytes // sum(page_bytes)
    while sum(ceil_div(count * size, granule_bytes) for size in page_bytes) > num_granules:
        count -= 1
    return count
