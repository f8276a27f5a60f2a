"""What managers with pools of pages share: who holds which handles."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from allocator.handle import HandleLayout
from allocator.integrity import check
from allocator.interface import (
    UNBOUNDED_TOKENS,
    CacheManager,
    OutOfMemoryError,
    PoolUsage,
    Usage,
)
from allocator.page_table import PageTable
from allocator.spec import CacheKind, PageShape, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.pool import Pool
    from allocator.spec import CacheSpec, Granularity


class _Held:
    """What one sequence holds."""

    __slots__ = ("handles", "room_tokens", "tokens")

    def __init__(self, num_groups: int) -> None:
        self.tokens = 0
        self.room_tokens = 0  # a whole number of blocks, the same in every attention group
        self.handles: list[list[int]] = [[] for _ in range(num_groups)]


class PooledManager(CacheManager):
    """A manager whose cache groups draw pages from pools.

    Subclasses say how groups map to pools (`_build`), and may find room in other ways
    (`_make_room`). Everything else, from admission to integrity, is here once.
    """

    def __init__(self, spec: CacheSpec, backing: Backing, granularity: Granularity) -> None:
        self.spec = spec
        self.backing = backing
        self._shapes = tuple(PageShape.of(g, spec.page_tokens, granularity) for g in spec.groups)
        self._is_state = tuple(g.kind is CacheKind.STATE for g in spec.groups)
        sizes = self._page_bytes_by_pool()
        most_pages = backing.num_granules * backing.granule_bytes // min(sizes)
        self._table = PageTable(HandleLayout.for_table(len(sizes), most_pages))
        self._pools, self._pool_of_group = self._build()  # after the table, it lists every page
        self._cuts = list(zip(self._pool_of_group, self._shapes, self._is_state, strict=True))
        self._held: dict[int, _Held] = {}
        self._live_tokens = 0
        self._granted_bytes = 0
        self._peak_granted_bytes = 0

    @abstractmethod
    def _page_bytes_by_pool(self) -> list[int]:
        """Bytes of a page of each pool, in order of pool number."""

    @abstractmethod
    def _build(self) -> tuple[list[Pool], tuple[int, ...]]:
        """The pools, and the number of the pool that each group draws from."""

    def admit(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.admit`."""
        if sequence in self._held:
            raise ValueError(f"sequence {sequence} is already admitted")
        if tokens < 1:
            raise ValueError("a sequence is admitted with at least one token")
        blocks = ceil_div(tokens, self.spec.page_tokens)
        held = _Held(len(self._shapes))
        self._grant(held, blocks, with_state=True)
        held.tokens = tokens
        self._live_tokens += tokens
        self._held[sequence] = held

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        held = self._held[sequence]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        total = held.tokens + tokens
        if total > held.room_tokens:
            blocks = ceil_div(total - held.room_tokens, self.spec.page_tokens)
            self._grant(held, blocks, with_state=False)
        held.tokens = total
        self._live_tokens += tokens

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        held = self._held.pop(sequence)
        for pool, handles in zip(self._pool_of_group, held.handles, strict=True):
            self._pools[pool].give(self._table.retire(handles))
            self._granted_bytes -= len(handles) * self._pools[pool].geometry.page_bytes
        self._live_tokens -= held.tokens

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`."""
        held = self._held[sequence]
        for candidate, handles in zip(self.spec.groups, held.handles, strict=True):
            if candidate.name == group:
                return tuple(handles)
        raise KeyError(group)

    def usage(self) -> Usage:
        """See `CacheManager.usage`."""
        granule = self.backing.granule_bytes
        pools = tuple(
            PoolUsage(pool.name, pool.geometry.page_bytes, pool.num_pages, pool.num_live)
            for pool in self._pools
        )
        state_bytes = len(self._held) * self.spec.bytes_per_sequence()
        return Usage(
            budget_bytes=self.backing.num_granules * granule,
            footprint_bytes=(self.backing.num_granules - self.backing.num_free_granules) * granule,
            pools=pools,
            needed_bytes=self._live_tokens * self.spec.bytes_per_token() + state_bytes,
            reserve_bytes=self._reserve_bytes(),
            peak_granted_bytes=self._peak_granted_bytes,
        )

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        self.backing.check_integrity()
        self._table.check_integrity()
        for pool in self._pools:
            pool.check_integrity()
        held_pages = self._check_sequences()
        check(held_pages == set(self._table.live_pages()), "a live page belongs to no sequence")
        check(self._table.num_live == len(held_pages), "the page table is miscounted")
        for number, pool in enumerate(self._pools):
            pool.check_live({page for owner, page in held_pages if owner == number})
        tokens = sum(held.tokens for held in self._held.values())
        check(tokens == self._live_tokens, "live tokens are miscounted")
        usage = self.usage()
        check(usage.granted_bytes == self._granted_bytes, "granted bytes are miscounted")
        check(self._granted_bytes <= usage.peak_granted_bytes, "the peak lies below the present")
        check(usage.external_waste_bytes >= 0, "pages lie outside the budget")
        check(usage.internal_waste_bytes >= 0, "sequences need more than they hold")

    def _check_sequences(self) -> set[tuple[int, int]]:
        pages: list[tuple[int, int]] = []
        for held in self._held.values():
            check(0 < held.tokens <= held.room_tokens, "a token has no page")
            check(held.room_tokens - held.tokens < self.spec.page_tokens, "a page holds no token")
            needs = zip(self._shapes, self._is_state, held.handles, strict=True)
            for pool, (shape, is_state, handles) in zip(self._pool_of_group, needs, strict=True):
                blocks = 1 if is_state else held.room_tokens // self.spec.page_tokens
                check(len(handles) == blocks * shape.pages_per_block, "a group lacks pages")
                pages += [(pool, self._table.page(handle)) for handle in handles]
        check(len(set(pages)) == len(pages), "two sequences hold one page")
        return set(pages)

    def _demand(self, blocks: int, *, with_state: bool) -> tuple[list[int], list[int]]:
        """Pages that a grant takes, by group and by pool."""
        by_pool = [0] * len(self._pools)
        by_group = []
        for pool, shape, is_state in self._cuts:
            count = shape.pages_per_block * (with_state if is_state else blocks)
            by_group.append(count)
            by_pool[pool] += count
        return by_group, by_pool

    def _grant(self, held: _Held, blocks: int, *, with_state: bool) -> None:
        by_group, by_pool = self._demand(blocks, with_state=with_state)
        self._make_room(by_pool)
        for group, count in enumerate(by_group):
            if count:
                number = self._pool_of_group[group]
                pages = self._pools[number].take(count)
                held.handles[group] += self._table.issue(number, pages)
                self._granted_bytes += count * self._pools[number].geometry.page_bytes
        self._peak_granted_bytes = max(self._peak_granted_bytes, self._granted_bytes)
        held.room_tokens += blocks * self.spec.page_tokens

    def _make_room(self, by_pool: list[int]) -> None:
        """Return once every pool has the pages asked of it; raise OutOfMemoryError otherwise."""
        for pool, asked in zip(self._pools, by_pool, strict=True):
            if asked > pool.num_free:
                raise OutOfMemoryError(pool.name, asked, pool.num_free, largest=pool.num_free)

    def _reserve_bytes(self) -> int:
        """Unmapped budget that a pool could still map; none unless a subclass moves capacity."""
        return 0

    def _tokens_alone(self, pages_by_pool: Sequence[int]) -> int:
        """Tokens of one sequence with the given pages in each pool to itself."""
        _, state = self._demand(0, with_state=True)
        _, both = self._demand(1, with_state=True)
        blocks = [
            (pages - fixed) // (each - fixed)
            for pages, fixed, each in zip(pages_by_pool, state, both, strict=True)
            if each > fixed
        ]
        if any(p < s for p, s in zip(pages_by_pool, state, strict=True)):
            return 0
        return min(blocks) * self.spec.page_tokens if blocks else UNBOUNDED_TOKENS
