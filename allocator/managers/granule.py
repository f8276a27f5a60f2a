"""Pools that are mapped on demand, granule by granule, and unmapped again: kvcached, vAttention."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.counted_spans import CountedSpans
from allocator.integrity import check
from allocator.interface import Migration
from allocator.shared_spans import MIN_SPANS, SharedSpansManager
from allocator.span import SpanGeometry
from allocator.span_pool import SpanPool
from allocator.span_register import SpanRegister
from allocator.spec import PAGE_ALIGNMENT_BYTES, Granularity, ceil_div

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.spec import CacheSpec


class Cell(Enum):
    """How pages are cut from a span."""

    EXACT = "exact"
    DIVISOR = "divisor"


@dataclass(frozen=True, slots=True)
class GranuleOptions:
    """Options of `granule`."""

    reserve_min: int = field(
        default=5,
        metadata={
            "help": "empty spans a pool in use keeps mapped for what comes, if memory is left"
        },
    )
    reserve_max: int = field(
        default=10,
        metadata={
            "help": "empty spans a pool keeps mapped; more are unmapped beside the next step"
        },
    )
    span: int = field(
        default=1,
        metadata={"help": "granules mapped together at least; larger spans, fewer mappings"},
    )
    cell: Cell = field(
        default=Cell.EXACT,
        metadata={"help": "pages fill a span exactly, or divide it without a rest, as kvcached's"},
    )
    granularity: Granularity = field(
        default=Granularity.GROUP,
        metadata={"help": "what a page holds: one layer (as kvcached) or a whole group"},
    )

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_min <= self.reserve_max:
            raise ValueError("reserve_min must be at least 0 and at most reserve_max")
        if self.span < 1:
            raise ValueError(f"span must be at least 1 granule, not {self.span}")


class GranuleManager(SharedSpansManager):
    """Nothing is mapped at first; a pool that is short maps spans from the budget they share.

    Spans that become empty are unmapped but for a reserve, so mappings come and go all the time;
    the backing counts them and the cost model prices them. When the budget is exhausted, empty
    spans of the other pools go first. As kvcached does in a thread of its own, the reserve is
    filled up and cut down while a step runs; here only after sequences have come or gone.
    """

    name = "granule"
    summary = "one pool a kind, mapped span by span on demand and unmapped again beyond a reserve"
    source = "kvcached 0.1.6 (reserve of 5 to 10 pages), vAttention (arXiv 2405.04437); read"
    Options = GranuleOptions
    _register: CountedSpans | SpanRegister

    def __init__(self, spec: CacheSpec, backing: Backing, options: GranuleOptions) -> None:
        self._options = options
        self._migrations: list[Migration] = []
        super().__init__(spec, backing, options.granularity, store=backing)

    def prepare(self, next_tokens: int) -> None:
        """See `CacheManager.prepare`: unmap beyond the reserve, then fill it up."""
        del next_tokens  # kvcached does not look at the queue
        least, most = self._options.reserve_min, self._options.reserve_max
        empty = list(map(self._register.num_empty_spans, range(len(self._pools))))
        for number, spans in enumerate(empty):
            if spans > most:
                self._unmap_spans(number, spans - most)
        for number, spans in enumerate(empty):
            if spans < least and self._granted.live(number):
                granules = self._pools[number].geometry.granules_per_span
                affordable = self.backing.num_free_granules // granules
                self._map_spans(number, min(least - spans, affordable))

    def take_migrations(self) -> list[Migration]:
        """See `CacheManager.take_migrations`: spans that one pool took from another's reserve."""
        taken, self._migrations = self._migrations, []
        return taken

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`; what is mapped belongs to the pools' spans."""
        super().check_integrity()
        mapped = sum(self._in_granules([pool.num_spans for pool in self._pools]))
        free = self.backing.num_free_granules
        check(mapped + free == self.backing.num_granules, "a mapped granule is in no span")

    def _build_pool(self, name: str, page_bytes: int) -> SpanPool:
        geometry = span_geometry(page_bytes, self.backing, self._options)
        return SpanPool(name, geometry, self.backing, self.backing.num_granules)

    def _new_register(self) -> CountedSpans:
        """Which spans are empty is asked at every turn, and depends on all that is given back."""
        register = self._plain_register()
        return CountedSpans(register, self._pools, self._admission, self._growth)

    def _plain_register(self) -> SpanRegister:
        return SpanRegister(self._pools, self._table, self._admission, self._growth)

    def _num_pages(self, number: int) -> int:
        return self._register.num_pages(number)

    def _num_empty_spans(self, number: int) -> int:
        return self._register.num_empty_spans(number)

    def _map_spans(self, number: int, count: int) -> None:
        """Let a pool have so many spans more; the budget has the granules."""
        slab, size = self._pools[number].slab, self._pools[number].geometry.granules_per_span
        call = self.backing.map
        for span in self._register.add_spans(number, count):
            call(slab, span * size, size)

    def _unmap_spans(self, number: int, count: int) -> None:
        """Take so many empty spans from a pool."""
        slab, size = self._pools[number].slab, self._pools[number].geometry.granules_per_span
        call = self.backing.unmap
        for span in self._register.remove_empty_spans(number, count):
            call(slab, span * size, size)

    def _make_room(self, by_pool: list[int]) -> None:
        missing = self._missing_spans(by_pool)
        lacking = sum(self._in_granules(missing)) - self.backing.num_free_granules
        if lacking > 0:
            self._check_room(by_pool, missing)
            self._reclaim(by_pool, lacking, next(i for i, spans in enumerate(missing) if spans))
        for number, spans in enumerate(missing):
            if spans:
                self._map_spans(number, spans)

    def _reclaim(self, by_pool: list[int], lacking: int, recipient: int) -> None:
        """Unmap spare spans, as few as end the shortage of so many granules."""
        for donor, spare in enumerate(self._spare_spans(by_pool)):
            granules = self._pools[donor].geometry.granules_per_span
            spans = min(spare, ceil_div(max(0, lacking), granules))
            if spans:
                self._unmap_spans(donor, spans)
                lacking -= spans * granules
                moved = spans * granules * self.backing.granule_bytes
                self._migrations.append(Migration(donor, recipient, moved))

    def _reserve_bytes(self) -> int:
        """Unmapped granules, as far as they would fill a span of some pool."""
        spans = [pool.geometry.granules_per_span for pool in self._pools]
        free = self.backing.num_free_granules
        return max(free // span * span for span in spans) * self.backing.granule_bytes


def span_geometry(page_bytes: int, backing: Backing, options: GranuleOptions) -> SpanGeometry:
    """Spans that fill granules well, or where memory is short of those the fewest granules.

    Raises:
        ValueError: The least of a span is more than all memory.
    """
    if options.span > backing.num_granules:
        most = backing.num_granules
        raise ValueError(f"span must be at most the {most:,} granules of the memory")
    granule = backing.granule_bytes
    fewest = max(options.span, ceil_div(page_bytes, granule))
    if options.cell is Cell.DIVISOR:
        cell = cell_bytes(page_bytes, fewest * granule)
        return SpanGeometry(cell, fewest * granule // cell, fewest)
    geometry = SpanGeometry.movable(page_bytes, granule, options.span)
    if geometry.granules_per_span * MIN_SPANS <= backing.num_granules:
        return geometry
    return SpanGeometry(page_bytes, fewest * granule // page_bytes, fewest)


def cell_bytes(page_bytes: int, span_bytes: int) -> int:
    """The smallest divisor of a span that holds a page, aligned like one.

    kvcached pads a state of 2,146,304 bytes to 4 MiB where its pages have 4 MiB: 49 % waste.
    """
    count = span_bytes // page_bytes
    while span_bytes % count or span_bytes // count % PAGE_ALIGNMENT_BYTES:
        count -= 1
    return span_bytes // count
