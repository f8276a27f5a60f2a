"""Where bytes come from: physical granules mapped into slabs, within one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from allocator.integrity import check
from allocator.spec import SLAB_ALIGNMENT_BYTES, align_up, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_GRANULE_BYTES = 2 << 20
"""Unit of physical memory on current NVIDIA devices (cuMemGetAllocationGranularity: 2 MiB)."""


class BackingExhaustedError(RuntimeError):
    """More granules were asked for than the budget has left."""


class BackingCounters(NamedTuple):
    """What a backing was asked to do; the cost model prices it.

    Attributes:
        maps: Calls that mapped a run of granules.
        unmaps: Calls that unmapped a run of granules.
        mapped_granules: Granules mapped by those calls, in all.
        unmapped_granules: Granules unmapped by those calls, in all.
        copies: Calls that copied pages; one call copies any number.
        copied_bytes: Bytes copied by those calls, in all.
    """

    maps: int = 0
    unmaps: int = 0
    mapped_granules: int = 0
    unmapped_granules: int = 0
    copies: int = 0
    copied_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page lies in the memory of a backing.

    Attributes:
        slab: Number of the slab.
        offset_bytes: Where in the slab the page starts.
        size_bytes: Bytes of the page.
    """

    slab: int
    offset_bytes: int
    size_bytes: int


class Backing(Protocol):
    """Physical granules behind virtual slabs; one budget for all of them."""

    granule_bytes: int
    num_granules: int

    def reserve(self, size_bytes: int) -> int:
        """Reserve a slab of virtual memory; returns its number, from 0. Takes no budget."""

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Put physical memory behind a run of a slab's granules.

        Raises:
            BackingExhaustedError: If the budget has fewer granules left; nothing is mapped.
            ValueError: If the run is empty, outside the slab, or partly mapped; nothing is mapped.
        """

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Take the physical memory of a run back into the budget.

        A device unmaps whole mappings only, so whoever shall run on one gives back all that one
        call mapped, or several such runs.

        Raises:
            ValueError: If the run is empty, outside the slab, or partly unmapped; nothing changes.
        """

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy pages within a slab, in one call.

        Args:
            slab: Number of the slab.
            page_bytes: Bytes of each page.
            pairs: Byte offsets in the slab: (where a page lies, where it goes). No page is both
                left and entered.
        """

    @property
    def num_free_granules(self) -> int:
        """Granules of the budget that no slab has mapped."""

    def counters(self) -> BackingCounters:
        """What was asked so far."""

    def check_integrity(self) -> None:
        """Raise AssertionError if the books contradict each other."""


class HostBacking:
    """Accounting only: counts what a device backing would do, and holds no bytes."""

    def __init__(self, budget_bytes: int, granule_bytes: int = DEFAULT_GRANULE_BYTES) -> None:
        if granule_bytes < SLAB_ALIGNMENT_BYTES or granule_bytes % SLAB_ALIGNMENT_BYTES:
            raise ValueError("a granule is a positive multiple of 128 bytes")
        if budget_bytes < granule_bytes:
            raise ValueError(f"a budget of {budget_bytes} bytes holds no granule")
        self.granule_bytes = granule_bytes
        self.num_granules = budget_bytes // granule_bytes
        self._mapped: list[bytearray] = []
        self._num_mapped = 0
        self._maps = self._mapped_granules = 0
        self._unmaps = self._unmapped_granules = 0
        self._copies = self._copied_bytes = 0
        self._counters: BackingCounters | None = None  # made again once a count has changed

    @property
    def num_free_granules(self) -> int:
        """Granules of the budget that no slab has mapped."""
        return self.num_granules - self._num_mapped

    def reserve(self, size_bytes: int) -> int:
        """Reserve a slab of virtual memory; returns its number, from 0."""
        size_bytes = align_up(size_bytes, SLAB_ALIGNMENT_BYTES)
        self._mapped.append(bytearray(ceil_div(size_bytes, self.granule_bytes)))
        return len(self._mapped) - 1

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Count a run of granules as mapped; see `Backing.map`."""
        self.check_map(slab, first_granule, num_granules)
        end = first_granule + num_granules
        self._mapped[slab][first_granule:end] = b"\x01" * num_granules
        self._num_mapped += num_granules
        self._maps += 1
        self._mapped_granules += num_granules
        self._counters = None

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Count a run of granules as given back; see `Backing.unmap`."""
        self.check_unmap(slab, first_granule, num_granules)
        self._mapped[slab][first_granule : first_granule + num_granules] = bytes(num_granules)
        self._num_mapped -= num_granules
        self._unmaps += 1
        self._unmapped_granules += num_granules
        self._counters = None

    def check_map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Raise what `map` would raise."""
        if num_granules > self.num_granules - self._num_mapped:
            raise BackingExhaustedError(
                f"{num_granules} granules asked, {self.num_free_granules} of the budget left"
            )
        self._check_run(slab, first_granule, num_granules, none_is=1)

    def check_unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Raise what `unmap` would raise."""
        self._check_run(slab, first_granule, num_granules, none_is=0)

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """Count pages as copied, all of them in mapped memory; see `Backing.copy_pages`."""
        for offset in (offset for pair in pairs for offset in pair):
            if not self.is_mapped(Place(slab, offset, page_bytes)):
                raise ValueError(f"slab {slab}: the page at {offset} is not mapped")
        self._copies += 1
        self._copied_bytes += len(pairs) * page_bytes
        self._counters = None

    def is_mapped(self, place: Place) -> bool:
        """Whether every byte of a page has physical memory."""
        first = place.offset_bytes // self.granule_bytes
        last = (place.offset_bytes + place.size_bytes - 1) // self.granule_bytes
        run = self._mapped[place.slab][first : last + 1]
        return len(run) == last + 1 - first and all(run)

    def counters(self) -> BackingCounters:
        """What was asked so far; the same object as long as nothing is asked."""
        if self._counters is None:
            self._counters = BackingCounters(
                self._maps,
                self._unmaps,
                self._mapped_granules,
                self._unmapped_granules,
                self._copies,
                self._copied_bytes,
            )
        return self._counters

    def check_integrity(self) -> None:
        """Raise AssertionError if the books contradict each other."""
        mapped = sum(sum(slab) for slab in self._mapped)
        done = self.counters()
        check(mapped == self._num_mapped, "backing: mapped granules miscounted")
        check(mapped <= self.num_granules, "backing: mapped beyond the budget")
        balance = done.mapped_granules - done.unmapped_granules
        check(mapped == balance, "backing: maps and unmaps do not balance")

    def _check_run(self, slab: int, first: int, count: int, none_is: int) -> None:
        known = 0 <= slab < len(self._mapped)
        run = self._mapped[slab][first : first + count] if known else b""
        if count < 1 or first < 0 or len(run) != count or none_is in run:
            raise ValueError(f"slab {slab}: granules {first} to {first + count - 1} cannot flip")
