"""A pool that keeps its slab mapped for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.row_pool import RowPool

if TYPE_CHECKING:
    from allocator.backing import Backing


def fixed_pool(
    name: str, page_bytes: int, backing: Backing, num_granules: int, num_pages: int | None = None
) -> RowPool:
    """A pool of so many granules, end to end: nothing is lost to rounding but the slab's tail.

    `num_pages` may be fewer than the granules hold: some engines keep a page for writes that
    nobody reads, which no sequence ever gets.
    """
    most = num_granules * backing.granule_bytes // page_bytes
    pool = RowPool(name, page_bytes, most if num_pages is None else num_pages)
    if num_granules:
        pool.slab = backing.reserve(num_granules * backing.granule_bytes)
        backing.map(pool.slab, 0, num_granules)
    pool.lengthen(pool.max_pages)
    return pool
