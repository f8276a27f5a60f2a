"""Pools as managers with layouts of their own need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.pool import Pool
from allocator.split import POOL_NAMES

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.span import SpanGeometry
    from allocator.spec import CacheSpec


def fixed_pool(
    name: str, page_bytes: int, backing: Backing, num_granules: int, num_pages: int
) -> Pool:
    """A pool that keeps its granules for good and gives out so many pages of them.

    They may be fewer than the granules hold: some engines keep a page for writes that nobody
    reads, which no sequence ever gets.
    """
    pool = Pool.fixed(name, page_bytes, backing, num_granules)
    pool.lay_out(num_pages)
    return pool


def span_pool(name: str, geometry: SpanGeometry, backing: Backing) -> Pool:
    """A pool without a span yet, that may come to hold all of the backing's."""
    return Pool(name, geometry, backing, backing.num_granules)


def pool_names(spec: CacheSpec) -> list[str]:
    """A name for the pool of each cache group: its kind, with its own name where kinds repeat."""
    kinds = [group.kind for group in spec.groups]
    return [
        POOL_NAMES[group.kind]
        if kinds.count(group.kind) == 1
        else f"{POOL_NAMES[group.kind]} {group.name}"
        for group in spec.groups
    ]
