"""Rows and mapped rows over any sequence of calls, beside a set of live pages and a length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from allocator.backing import HostBacking
from allocator.mapped_pool import Extent, MappedPool
from allocator.row_pool import Placement, RowPool
from allocator.run import pages_of_runs, runs_of_pages
from tests.property.pool_machine import PoolMachine

if TYPE_CHECKING:
    from allocator.row_pool import Moves

GRANULE_BYTES, NUM_GRANULES = 1024, 14
PLACEMENTS = st.sampled_from(Placement)


class Taking(PoolMachine):
    """The model: how many pages there are, which are live, and where a search in turn goes on."""

    pool: RowPool

    def start(self, pool: RowPool, placement: Placement) -> None:
        self.pool = pool
        self.rotates = placement is Placement.NEXT
        self.num_pages = pool.num_pages
        self.live: set[int] = set()
        self.next = 0

    def free(self) -> list[int]:
        return [page for page in range(self.num_pages) if page not in self.live]

    def lost(self, moves: Moves, num_pages: int) -> None:
        """Live pages at the end went, in order, to the lowest free ones; the rest stayed."""
        leaving = sorted(page for page in self.live if page >= num_pages)
        targets = [page for page in self.free() if page < num_pages][: len(leaving)]
        assert moves == list(zip(leaving, targets, strict=True))
        self.live = self.live - set(leaving) | set(targets)
        self.num_pages = num_pages
        self.next = min(self.next, num_pages)

    @rule(count=st.integers(0, 12))
    def take(self, count: int) -> None:
        in_turn = sorted(self.free(), key=lambda page: (page < self.next, page))
        if count > len(in_turn):
            with self.refuses("are free"):
                self.pool.take(count)
            self.is_unchanged()
            return
        runs = self.pool.take(count)
        assert runs == runs_of_pages(in_turn[:count])
        self.live.update(in_turn[:count])
        if self.rotates and count:
            self.next = pages_of_runs(runs)[-1] + 1

    @rule()
    def take_everything(self) -> None:
        self.take(len(self.free()))

    @precondition(lambda self: self.live)
    @rule()
    def give_everything(self) -> None:
        self.pool.give(runs_of_pages(sorted(self.live)))
        self.live.clear()

    @invariant()
    def counts_are_right(self) -> None:
        assert self.pool.num_pages == self.num_pages
        assert self.pool.num_live == len(self.live)
        last = max(self.live, default=-1)
        assert self.pool.num_free_at_end == self.num_pages - last - 1


class RowMachine(Taking):
    """A row across the edge of a chapter of free pages, or one of a few pages."""

    @initialize(size=st.sampled_from([(0, 20), (505, 525)]), placement=PLACEMENTS)
    def lay_out(self, size: tuple[int, int], placement: Placement) -> None:
        num_pages, max_pages = size
        pool = RowPool("test", 64, max_pages, placement)
        pool.lengthen(num_pages)
        self.start(pool, placement)

    @rule(count=st.integers(0, 12))
    def lengthen(self, count: int) -> None:
        if self.num_pages + count > self.pool.max_pages:
            with self.refuses("no room"):
                self.pool.lengthen(count)
            self.is_unchanged()
            return
        self.pool.lengthen(count)
        self.num_pages += count

    @rule(count=st.integers(-1, 15))
    def shorten(self, count: int) -> None:
        if not 0 <= count <= len(self.free()):
            with self.refuses("can go"):
                self.pool.shorten(count)
            self.is_unchanged()
            return
        self.lost(self.pool.shorten(count), self.num_pages - count)


class MappedMachine(Taking):
    """Another slab may hold granules of the same budget, so that gains fail for either reason."""

    pool: MappedPool

    @initialize(
        page_bytes=st.sampled_from([256, 300, 1024, 1500, 5000]),
        extent=st.builds(Extent, st.integers(0, 3), st.integers(1, 3), st.integers(0, 5)),
        placement=PLACEMENTS,
    )
    def reserve(self, page_bytes: int, extent: Extent, placement: Placement) -> None:
        self.backing = HostBacking(NUM_GRANULES * GRANULE_BYTES, GRANULE_BYTES)
        self.other = self.backing.reserve(NUM_GRANULES * GRANULE_BYTES)
        self.page_bytes, self.extent, self.units = page_bytes, extent, 0
        self.num_other = self.copied_bytes = 0
        self.start(MappedPool("test", page_bytes, self.backing, extent, placement), placement)

    def mapped_bytes(self, units: int) -> int:
        granules = self.extent.base_granules + units * self.extent.unit_granules
        return granules * GRANULE_BYTES

    def num_needed(self, pages: int) -> int:
        """The fewest units whose bytes hold so many pages."""
        enough = (u for u in range(100) if self.mapped_bytes(u) >= pages * self.page_bytes)
        return next(enough)

    @rule()
    def somebody_else_maps_a_granule(self) -> None:
        if self.backing.num_free_granules:
            self.backing.map(self.other, self.num_other, 1)
            self.num_other += 1

    @rule(units=st.integers(0, 4))
    def gain(self, units: int) -> None:
        fits = units * self.extent.unit_granules <= self.backing.num_free_granules
        if self.units + units > self.extent.max_units or not fits:
            with self.refuses("no room"):
                self.pool.gain(units)
            self.is_unchanged()
            return
        self.pool.gain(units)
        self.units += units
        self.num_pages = self.mapped_bytes(self.units) // self.page_bytes

    @rule(units=st.integers(0, 4))
    def lose(self, units: int) -> None:
        if units > self.units:
            with self.refuses("fewer can go"):
                self.pool.lose(units, [])
            self.is_unchanged()
            return
        num_pages = self.mapped_bytes(self.units - units) // self.page_bytes
        if num_pages < len(self.live):
            with self.refuses("can go"):
                self.pool.resize(num_pages)
            self.is_unchanged()
            return
        moves = self.pool.resize(num_pages)
        self.pool.lose(units, moves)
        self.units -= units
        self.lost(moves, num_pages)
        self.copied_bytes += len(moves) * self.page_bytes

    @rule(kept=st.integers(0, 10))
    def ask_what_can_go(self, kept: int) -> None:
        needed = self.num_needed(kept)
        assert self.pool.sparable_units(kept) == max(0, self.units - needed)

    @invariant()
    def memory_is_accounted_for(self) -> None:
        mapped = self.mapped_bytes(self.units) // GRANULE_BYTES
        assert self.pool.num_units == self.units
        assert self.backing.num_free_granules == NUM_GRANULES - self.num_other - mapped
        assert self.backing.counters().copied_bytes == self.copied_bytes
        self.backing.check_integrity()


TestRowMachine = RowMachine.TestCase
TestMappedMachine = MappedMachine.TestCase
