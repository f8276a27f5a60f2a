"""What managers share whose pools draw spans from one store, and give empty ones back to it."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from typing import TYPE_CHECKING

from allocator.interface import UNBOUNDED_TOKENS, OutOfMemoryError
from allocator.pool_names import pool_names
from allocator.pooled import PooledManager
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.span_pool import SpanPool
    from allocator.spec import CacheSpec, Granularity

MIN_SPANS = 16
"""Spans that a store should hold at least: with fewer, whole spans would be a static split."""


class SharedSpansManager(PooledManager):
    """One pool a cache group; a span belongs to one pool while a page of it is live.

    The store counts granules: those of the device (`granule`), or large pages (`jenga`).
    """

    _pools: Sequence[SpanPool]

    def __init__(
        self, spec: CacheSpec, backing: Backing, granularity: Granularity, store: Backing
    ) -> None:
        self._store = store
        super().__init__(spec, backing, granularity)

    @abstractmethod
    def _build_pool(self, name: str, page_bytes: int) -> SpanPool:
        """A pool that may come to hold every span of the store."""

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`: alone, a sequence can have every span."""
        granules = self._store.num_granules
        if self._granules_alone(0) > granules:
            return 0
        if all(self._is_state):
            return UNBOUNDED_TOKENS
        most_blocks = granules * max(pool.geometry.pages_per_span for pool in self._pools)
        blocks = bisect_right(range(most_blocks + 1), granules, key=self._granules_alone) - 1
        return blocks * self.spec.page_tokens

    def _page_bytes_by_pool(self) -> list[int]:
        return [shape.page_bytes for shape in self._shapes]

    def _build(self) -> tuple[Sequence[SpanPool], tuple[int, ...]]:
        named = zip(pool_names(self.spec), self._shapes, strict=True)
        pools = [self._build_pool(name, shape.page_bytes) for name, shape in named]
        return pools, tuple(range(len(pools)))

    def _granules_alone(self, blocks: int) -> int:
        """Granules that one sequence takes, alone, with so many blocks of tokens and its state."""
        total = 0
        for number, shape, is_state in self._cuts:
            geometry = self._pools[number].geometry
            pages = shape.pages_per_block * (1 if is_state else blocks)
            total += ceil_div(pages, geometry.pages_per_span) * geometry.granules_per_span
        return total

    def _missing_spans(self, by_pool: list[int]) -> list[int]:
        """Spans that each pool must gain for the pages asked of it."""
        return [
            ceil_div(max(0, asked - free), pool.geometry.pages_per_span)
            for pool, asked, free in zip(self._pools, by_pool, self._frees(), strict=True)
        ]

    def _spare_spans(self, by_pool: list[int]) -> list[int]:
        """Empty spans that the pages asked of each pool leave empty."""
        spare = []
        for number, (pool, asked) in enumerate(zip(self._pools, by_pool, strict=True)):
            size, empty = pool.geometry.pages_per_span, self._num_empty_spans(number)
            elsewhere = self._num_free(number) - empty * size
            used = ceil_div(max(0, asked - elsewhere), size)
            spare.append(max(0, empty - used))
        return spare

    def _num_empty_spans(self, number: int) -> int:
        """Spans that a pool keeps without a live page; none unless it has a reserve."""
        del number
        return 0

    def _check_room(self, by_pool: list[int], missing: list[int]) -> None:
        """Raise OutOfMemoryError unless the store and spare spans cover the spans missing.

        The first pool that is short is told what it could have had beside the others.
        """
        wanted, room = self._in_granules(missing), self._room_granules()
        if sum(wanted) <= room:
            return
        spare = sum(self._in_granules(self._spare_spans(by_pool)))
        if sum(wanted) <= room + spare:
            return
        number = next(i for i, spans in enumerate(missing) if spans)
        pool = self._pools[number]
        left = max(0, room + spare - sum(wanted) + wanted[number])
        gained = left // pool.geometry.granules_per_span * pool.geometry.pages_per_span
        raise OutOfMemoryError(
            pool.name,
            by_pool[number],
            self._num_free(number),
            largest=self._num_free(number) + gained,
            migration_blocked=sum(wanted) <= room + self._granules_in_theory(by_pool),
        )

    def _room_granules(self) -> int:
        """Granules that the store has left."""
        return self._store.num_free_granules

    def _could_have(self, by_pool: list[int]) -> None:
        self._check_room(by_pool, self._missing_spans(by_pool))

    def _granules_in_theory(self, by_pool: list[int]) -> int:
        """Granules that pools could spare if their free pages were whole spans."""
        spans = [
            max(0, free - asked) // pool.geometry.pages_per_span
            for pool, asked, free in zip(self._pools, by_pool, self._frees(), strict=True)
        ]
        return sum(self._in_granules(spans))

    def _in_granules(self, spans: list[int]) -> list[int]:
        return [
            count * pool.geometry.granules_per_span
            for pool, count in zip(self._pools, spans, strict=True)
        ]
