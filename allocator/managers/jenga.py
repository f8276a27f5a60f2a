"""Large pages that one kind of cache uses at a time, with small pages inside: Jenga."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from allocator.apart_register import ApartRegister
from allocator.backing import HostBacking, Place
from allocator.integrity import check
from allocator.interface import NO_TERMS, PoolUsage, Terms
from allocator.owned_pool import OwnedPool
from allocator.owned_register import OwnedRegister
from allocator.rounds import by_round
from allocator.shared_spans import MIN_SPANS, SharedSpansManager
from allocator.span import SpanGeometry
from allocator.spec import SLAB_ALIGNMENT_BYTES, Granularity, PageShape, align_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.interface import Usage
    from allocator.spec import CacheSpec

MIB = 1 << 20


class Fit(Enum):
    """How small pages fill a large page."""

    MODEL = "whole-model pages divide it"
    LAYER = "pages of a layer divide it"
    PADDED = "pages of a layer leave a rest"


@dataclass(frozen=True, slots=True)
class JengaOptions:
    """Options of `jenga`."""

    max_large_mib: int = field(
        default=16,
        metadata={"help": "largest common multiple of page sizes, MiB, that is taken as a page"},
    )

    def __post_init__(self) -> None:
        if self.max_large_mib < 1:
            raise ValueError(f"max_large_mib must be at least 1, not {self.max_large_mib}")


@dataclass(frozen=True, slots=True)
class LargePage:
    """The large page of a model, and why it has its size.

    Attributes:
        size_bytes: Bytes of a large page, a multiple of 128.
        fit: How small pages fill it.
    """

    size_bytes: int
    fit: Fit

    @property
    def granularity(self) -> Granularity:
        """What a small page holds."""
        return Granularity.GROUP if self.fit is Fit.MODEL else Granularity.LAYER

    @classmethod
    def of(cls, spec: CacheSpec, budget_bytes: int, max_bytes: int) -> LargePage:
        """The first that is affordable: least common multiples of pages, else a padded page.

        A multiple is affordable up to `max_bytes` and a 16th of the budget. Whole-model pages of
        Qwen3.5-9B have a least common multiple of 206,045,184 bytes, its pages of a layer one of
        8,585,216; those of Nemotron-H-8B 817,102,848 and 68,091,904.
        """
        limit = min(max_bytes, budget_bytes // MIN_SPANS)
        for fit, granularity in ((Fit.MODEL, Granularity.GROUP), (Fit.LAYER, Granularity.LAYER)):
            multiple = math.lcm(SLAB_ALIGNMENT_BYTES, *_page_sizes(spec, granularity))
            if multiple <= limit:
                return cls(multiple, fit)
        return cls(_padded_bytes(_page_sizes(spec, Granularity.LAYER)), Fit.PADDED)


class LargePages(HostBacking):
    """Which slab has which large pages: accounting inside memory that is mapped for good."""

    def __init__(self, budget_bytes: int, large_bytes: int) -> None:
        super().__init__(max(budget_bytes, large_bytes), large_bytes)
        self.num_granules = budget_bytes // large_bytes  # none if memory is smaller than one
        self._free = list(range(self.num_granules))  # a heap
        self._numbers: dict[tuple[int, int], int] = {}  # by slab and place in it

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`: the lowest free large pages serve."""
        super().map(slab, first_granule, num_granules)
        for granule in range(first_granule, first_granule + num_granules):
            self._numbers[slab, granule] = heapq.heappop(self._free)

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`."""
        super().unmap(slab, first_granule, num_granules)
        for granule in range(first_granule, first_granule + num_granules):
            heapq.heappush(self._free, self._numbers.pop((slab, granule)))

    def number(self, slab: int, granule: int) -> int:
        """Which large page serves there."""
        return self._numbers[slab, granule]

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`; every large page serves once or is free."""
        super().check_integrity()
        numbers = sorted([*self._free, *self._numbers.values()])
        check(numbers == list(range(self.num_granules)), "a large page serves twice or never")


class JengaManager(SharedSpansManager):
    """One pool of large pages; a large page serves one cache group while a page of it is live.

    Its size is the least common multiple of the groups' pages where that is affordable
    (`max_large_mib`): of whole-model pages, else of pages of one layer. Where both are too large,
    a large page holds the largest page of a layer, and as many of the others as fit; the rest is
    external waste. Pages of one sequence gather in the same large pages: it takes from the large
    page it opened last, then opens free ones, and only then takes what others have left, so a
    large page becomes free with the sequence. Nothing is remapped: memory is mapped once.
    Eviction of cached prefixes, the other half of the paper, is not simulated.
    """

    name = "jenga"
    summary = "large pages, each cut into pages of one cache group at a time, gathered by sequence"
    source = "Jenga (SOSP 2025, arXiv 2503.18292), abstract read; the choice of a size is ours"
    Options = JengaOptions
    _register: ApartRegister | OwnedRegister

    def __init__(self, spec: CacheSpec, backing: Backing, options: JengaOptions) -> None:
        budget_bytes = backing.num_granules * backing.granule_bytes
        self.large = LargePage.of(spec, budget_bytes, options.max_large_mib * MIB)
        self._slab = backing.reserve(budget_bytes)
        backing.map(self._slab, 0, backing.num_granules)
        self._owned: list[OwnedPool] = []
        self._large_pages = LargePages(budget_bytes, self.large.size_bytes)
        super().__init__(spec, backing, self.large.granularity, self._large_pages)

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`."""
        if terms is not NO_TERMS and sequence not in self._held and tokens >= 1:
            self._meet(terms, tokens)  # before large pages are opened: they count for a margin
        super().admit(sequence, tokens)

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """One by one where several groups grow: they open large pages before one another."""
        if len(self._growth.by_pool) == 1:
            super().grow_in_rounds(seats, sizes)
            return
        for members in by_round(seats, sizes):
            super().grow_in_rounds(members, (len(members),))

    def growth_blocks(self) -> int:
        """Beside free pages, a single growing group can have those of every free large page.

        Several groups could open large pages before one another; what is free in them is sure.
        """
        if len(self._growth.by_pool) != 1:
            return super().growth_blocks()
        ((number, each, _),) = self._growth.by_pool
        in_store = self._room_granules() * self._pools[number].geometry.pages_per_span
        return (self._num_free(number) + in_store) // each

    def place(self, handle: int) -> Place:
        """See `PooledManager.place`: in the large page that the pool has there."""
        self._register.settle()
        number, page = self._table.page(handle)
        pool = self._owned[number]
        span, part = divmod(page, pool.geometry.pages_per_span)
        start = self._large_pages.number(pool.slab, span) * self.large.size_bytes
        return Place(self._slab, start + part * pool.page_bytes, pool.page_bytes)

    def usage(self) -> Usage:
        """See `CacheManager.usage`; free large pages are a pool of their own."""
        usage = super().usage()
        large = PoolUsage("large", self.large.size_bytes, self._room_granules(), 0)
        return replace(usage, pools=(*usage.pools, large))

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`; no large page is kept empty or used twice."""
        super().check_integrity()
        self._store.check_integrity()
        used = self._store.num_granules - self._store.num_free_granules
        check(sum(p.num_spans for p in self._owned) == used, "large pages are miscounted")
        for pool in self._owned:
            check(not pool.num_empty_spans, f"pool {pool.name}: a large page is kept empty")
            check(pool.owner is None, f"pool {pool.name}: an owner is left over")
            pool.check_owners({held.seat for held in self._held.values()})

    def _build_pool(self, name: str, page_bytes: int) -> OwnedPool:
        geometry = SpanGeometry(page_bytes, self.large.size_bytes // page_bytes, 1)
        self._owned.append(OwnedPool(name, geometry, self._store))
        return self._owned[-1]

    def _new_register(self) -> ApartRegister:
        """It opens large pages; here is only seen to it that there are enough."""
        return ApartRegister(self._plain_register(), self._owned, self._admission, self._store)

    def _plain_register(self) -> OwnedRegister:
        demands = (self._admission, self._growth)
        return OwnedRegister(self._owned, self._table, demands, self._store)

    def _num_pages(self, number: int) -> int:
        return self._register.num_spans(number) * self._pools[number].geometry.pages_per_span

    def _room_granules(self) -> int:
        return self._register.num_free_spans

    def _make_room(self, by_pool: list[int]) -> None:
        self._could_have(by_pool)


def _page_sizes(spec: CacheSpec, granularity: Granularity) -> list[int]:
    return [PageShape.of(g, spec.page_tokens, granularity).page_bytes for g in spec.groups]


def _padded_bytes(sizes: list[int]) -> int:
    """The largest page, rounded up to the multiple that leaves the least rest."""
    candidates = [align_up(align_up(max(sizes), size), SLAB_ALIGNMENT_BYTES) for size in sizes]
    return min(candidates, key=lambda large: max(large % size / large for size in sizes))
