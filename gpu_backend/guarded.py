"""A backing adaptor that sees whether every page keeps its bytes, wherever it moves."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from allocator.backing import Place
from gpu_backend.page_ops import PageList, Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from allocator.backing import BackingCounters
    from gpu_backend.byte_backing import ByteBacking

POISON = -0x2152411021524111
"""What freed and fresh memory holds: 0xDEADBEEFDEADBEEF in every word."""

STRIDE = -0x61C8864680B583EB
"""Added from word to word of a live page: 2**64 divided by the golden ratio, as in splitmix64."""

MASK = (1 << 64) - 1


class GuardedBacking:
    """Fills each live page with a pattern of its own, and freed and fresh memory with poison.

    Whoever drives the manager says after each call where the live pages lie (`observe`), by
    handle. A new handle's page gets a pattern made from handle and serial number, so that no two
    pages ever hold the same; a page whose handle is gone gets poison, so that a reader who comes
    too late finds none of its bytes. `verify` compares pages with what they must hold. Between
    two observations pages may have moved and memory may have been mapped elsewhere: the pattern
    has to come along with the handle.

    Attributes:
        corrupted_pages: Pages that held something else than they should, over all checks.
        verified_pages: Pages compared.
    """

    def __init__(self, inner: ByteBacking) -> None:
        self.inner = inner
        self.books = inner.books
        self.granule_bytes = inner.granule_bytes
        self.num_granules = inner.num_granules
        self.corrupted_pages = 0
        self.verified_pages = 0
        self._places: dict[int, Place] = {}
        self._seeds: dict[int, int] = {}
        self._serial = 0

    @property
    def num_free_granules(self) -> int:
        """See `Backing.num_free_granules`."""
        return self.inner.num_free_granules

    def reserve(self, size_bytes: int) -> int:
        """See `Backing.reserve`."""
        return self.inner.reserve(size_bytes)

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`; what is mapped holds poison."""
        self.inner.map(slab, first_granule, num_granules)
        size = self.granule_bytes
        offsets = range(first_granule * size, (first_granule + num_granules) * size, size)
        self._poison([Place(slab, offset, size) for offset in offsets])

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`."""
        self.inner.unmap(slab, first_granule, num_granules)

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """See `Backing.copy_pages`."""
        self.inner.copy_pages(slab, page_bytes, pairs)

    def counters(self) -> BackingCounters:
        """See `Backing.counters`."""
        return self.inner.counters()

    def observe(self, places: Mapping[int, Place]) -> None:
        """Be told where the page of every live handle lies now, and of no other."""
        gone = self._places.keys() - places.keys()
        left = [self._places[handle] for handle in gone]
        kept = {handle: place for handle, place in places.items() if handle in self._places}
        moved = [handle for handle, place in kept.items() if place != self._places[handle]]
        left += [self._places[handle] for handle in moved]
        for handle in gone:
            del self._seeds[handle]
        self._poison(self._apart(left, kept.values()))
        new = [handle for handle in places if handle not in self._places]
        self._places = dict(places)
        for handle in new:
            self._serial += 1
            self._seeds[handle] = seed_of(handle, self._serial)
        self._each_list(new, self.inner.fill_pages)
        self.verify(moved)

    def verify(self, handles: Iterable[int] | None = None) -> list[int]:
        """Compare pages with what they must hold, all live ones unless told.

        Returns:
            The handles of those that hold something else; they are counted too.
        """
        wanted = list(self._places if handles is None else handles)
        owners = {self._seeds[handle]: handle for handle in wanted}
        corrupted: list[int] = []

        def compare(pages: PageList, pattern: Pattern) -> None:
            numbers = self.inner.pages_that_differ(pages, pattern)
            corrupted.extend(owners[pattern.seeds[number]] for number in numbers)

        self._each_list(wanted, compare)
        self.verified_pages += len(wanted)
        self.corrupted_pages += len(corrupted)
        return corrupted

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`."""
        self.inner.check_integrity()

    def _each_list(self, handles: Iterable[int], call: Callable[[PageList, Pattern], None]) -> None:
        """Make one call for the pages of a slab that have one size."""
        lists: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for handle in handles:
            place = self._places[handle]
            lists[place.slab, place.size_bytes].append(handle)
        for (slab, size_bytes), members in lists.items():
            offsets = [self._places[handle].offset_bytes for handle in members]
            seeds = [self._seeds[handle] for handle in members]
            call(PageList(slab, size_bytes, offsets), Pattern(seeds, STRIDE))

    def _poison(self, places: Iterable[Place]) -> None:
        """Fill what is still mapped of some places."""
        lists: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place in places:
            for part in self._mapped_parts(place):
                lists[part.slab, part.size_bytes].append(part.offset_bytes)
        for (slab, size_bytes), offsets in lists.items():
            poison = Pattern([POISON] * len(offsets), 0)
            self.inner.fill_pages(PageList(slab, size_bytes, offsets), poison)

    def _mapped_parts(self, place: Place) -> list[Place]:
        """A place, or those parts of it, cut at granules, that are mapped."""
        if self.books.is_mapped(place):
            return [place]
        size, end = self.granule_bytes, place.offset_bytes + place.size_bytes
        edges = range(place.offset_bytes // size * size, end, size)
        cut = [(max(edge, place.offset_bytes), min(edge + size, end)) for edge in edges]
        parts = [Place(place.slab, start, stop - start) for start, stop in cut]
        return [part for part in parts if self.books.is_mapped(part)]

    def _apart(self, left: Iterable[Place], live: Iterable[Place]) -> list[Place]:
        """Those of some places that share no byte with pages that live on."""
        by_slab: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for place in live:
            end = place.offset_bytes + place.size_bytes
            by_slab[place.slab].append((place.offset_bytes, end))
        for ranges in by_slab.values():
            ranges.sort()
        return [place for place in left if not _touches(by_slab[place.slab], place)]


def seed_of(handle: int, serial: int) -> int:
    """First word of a page's pattern: splitmix64 (Steele, Lea, Flood 2014) of handle and serial."""
    word = (handle * 0x9E3779B97F4A7C15 + serial) & MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
    word ^= word >> 31
    return word - (1 << 64) if word >> 63 else word


def _touches(ranges: list[tuple[int, int]], place: Place) -> bool:
    """Whether a place shares a byte with one of some ranges, which are in order and apart."""
    end = place.offset_bytes + place.size_bytes
    before = bisect_left(ranges, (end, 0))
    return before > 0 and ranges[before - 1][1] > place.offset_bytes
