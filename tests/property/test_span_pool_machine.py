"""A pool of spans over any sequence of takes, gives and spans that come and go."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from allocator.backing import HostBacking
from allocator.run import pages_of_runs
from allocator.span import SpanGeometry
from allocator.span_pool import SpanPool
from tests.property.pool_machine import PoolMachine

SLAB_GRANULES, GRANULE_BYTES = 8, 1024


class SpanPoolMachine(PoolMachine):
    """The model: which pages are live, and which spans are there."""

    @initialize(shape=st.sampled_from([(256, 1), (1024, 1), (300, 3), (2048, 2)]))
    def reserve(self, shape: tuple[int, int]) -> None:
        page_bytes, granules = shape
        self.size = granules * GRANULE_BYTES // page_bytes
        backing = HostBacking(SLAB_GRANULES * GRANULE_BYTES, GRANULE_BYTES)
        geometry = SpanGeometry(page_bytes, self.size, granules)
        self.pool = SpanPool("test", geometry, backing, SLAB_GRANULES)
        self.num_spans = 0
        self.live: set[int] = set()

    def in_use(self) -> set[int]:
        return {page // self.size for page in self.live}

    @rule(count=st.integers(0, 4))
    def add(self, count: int) -> None:
        granules = self.pool.geometry.granules_per_span
        if (self.num_spans + count) * granules > SLAB_GRANULES:
            with self.refuses("no room"):
                self.pool.add_spans(count)
            self.is_unchanged()
        else:
            self.pool.add_spans(count)
            self.num_spans += count

    @rule(count=st.integers(0, 3))
    def remove(self, count: int) -> None:
        if count > self.num_spans - len(self.in_use()):
            with self.refuses("fewer are empty"):
                self.pool.remove_empty_spans(count)
            self.is_unchanged()
        else:
            self.pool.remove_empty_spans(count)
            self.num_spans -= count

    @rule(count=st.integers(0, 12))
    def take(self, count: int) -> None:
        num_free = self.num_spans * self.size - len(self.live)
        if count > num_free:
            with self.refuses("are free"):
                self.pool.take(count)
            self.is_unchanged()
            return
        in_use = self.in_use()
        free_in_use = len(in_use) * self.size - len(self.live)
        pages = pages_of_runs(self.pool.take(count))
        assert len(set(pages)) == len(pages) == count
        assert self.live.isdisjoint(pages)
        self.live.update(pages)
        new_spans = len(self.in_use()) - len(in_use)
        assert new_spans == -(-max(0, count - free_in_use) // self.size)

    @invariant()
    def counts_are_right(self) -> None:
        assert self.pool.num_pages == self.num_spans * self.size
        assert self.pool.num_live == len(self.live)
        assert self.pool.num_spans == self.num_spans
        assert self.pool.num_empty_spans == self.num_spans - len(self.in_use())


TestSpanPoolMachine = SpanPoolMachine.TestCase
