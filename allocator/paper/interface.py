"""What the paper's harness asks of an allocator, and whom an allocator tells what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.interface import Migration, PoolUsage

KV, STATE = 0, 1
"""Numbers of the cache groups a layer call may name: attention layers, all others."""


class LayerAllocator(Protocol):
    """Gives requests pages, a call a layer; requests are named by integers of the caller.

    Unlike a `CacheManager`, it leaves to its caller what becomes of a request of which one layer
    could not be given its pages: the paper's harness goes on with the next layer.
    """

    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """Give a request pages for one layer of a cache group (`KV` or `STATE`).

        Returns:
            The pages, in the order they were taken.

        Raises:
            OutOfMemoryError: If there is no room; others may have lost their pages in the attempt.
        """

    def release(self, request: int) -> None:
        """Take back what a request holds; nothing happens if it holds nothing."""

    def pools(self) -> tuple[PoolUsage, ...]:
        """How full each pool is, in order of number."""

    def footprint_bytes(self) -> int:
        """Physical bytes that it occupies."""

    def check_integrity(self) -> None:
        """Raise AssertionError if any structure contradicts itself or another."""


class Witness(Protocol):
    """Is told what an allocator does to requests and pools of its own accord."""

    def evicted(self, victim: int, pool: int, num_pages: int, asker: int) -> None:
        """A request lost all its pages in a pool so that another (or itself) could have them."""

    def freed_by_other(self, owner: int, pool: int, num_pages: int, caller: int) -> None:
        """A request lost pages to one that gave them back although they were its no more."""

    def migrated(self, migration: Migration) -> None:
        """Capacity moved."""

    def migration_blocked(self, recipient: int) -> None:
        """Capacity for a pool should have moved, and could not."""
