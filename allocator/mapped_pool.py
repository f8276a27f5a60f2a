"""A row of pages on a slab of which a prefix is mapped, in equal units of granules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.row_pool import Moves, Placement, RowPool
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from allocator.backing import Backing


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a slab may be mapped, and in what steps.

    Attributes:
        base_granules: Granules at its start that are mapped for good.
        unit_granules: Granules mapped, and unmapped, together: one piece of physical memory.
        max_units: Units that may follow the base.
    """

    base_granules: int
    unit_granules: int
    max_units: int

    def granules(self, units: int) -> int:
        """Granules of the base and so many units."""
        return self.base_granules + units * self.unit_granules


class MappedPool(RowPool):
    """Pages lie end to end over the mapped prefix of the slab, across the edges of granules.

    So at most a part of one page is lost, at the end of the prefix. Capacity comes and goes at
    the end: pages are taken low so that it stays free, and where it is not, its live pages are
    copied down first.

    Attributes:
        num_units: Units mapped beyond the base.
        mapped_pages: Pages that what is mapped can hold: those of the row, unless it lags behind.
    """

    def __init__(
        self,
        name: str,
        page_bytes: int,
        backing: Backing,
        extent: Extent,
        placement: Placement = Placement.LOW,
    ) -> None:
        """Reserve the slab and map its base."""
        granules = extent.granules(extent.max_units)
        max_pages = granules * backing.granule_bytes // page_bytes
        super().__init__(name, page_bytes, max_pages, placement)
        self.num_units = 0
        self.mapped_pages = 0
        self._backing = backing
        self._extent = extent
        self.slab = backing.reserve(granules * backing.granule_bytes)
        if extent.base_granules:
            backing.map(self.slab, 0, extent.base_granules)
        self.mapped_pages = self.pages_of(0)
        self.resize(self.mapped_pages)

    def pages_of(self, units: int) -> int:
        """Whole pages of the base and so many units."""
        return self._extent.granules(units) * self._backing.granule_bytes // self.page_bytes

    def units_of(self, pages: int) -> int:
        """Units that so many pages need beyond the base."""
        granules = ceil_div(pages * self.page_bytes, self._backing.granule_bytes)
        return max(0, ceil_div(granules - self._extent.base_granules, self._extent.unit_granules))

    def sparable_units(self, kept_pages: int) -> int:
        """Units that can go if so many pages stay, live or free."""
        return max(0, self.num_units - self.units_of(kept_pages))

    @property
    def lengths(self) -> list[int]:
        """Every number of pages that the row can have."""
        return [self.pages_of(units) for units in range(self._extent.max_units + 1)]

    def gain(self, units: int) -> None:
        """Map units at the end, and add their pages; errors as in `map_units`."""
        self.map_units(units)
        self.resize(self.mapped_pages)

    def map_units(self, units: int) -> None:
        """Map units at the end; the row is to be resized.

        Raises:
            ValueError: If the slab has fewer left, or the budget has too few granules.
        """
        size = self._extent.unit_granules
        room = self._extent.max_units - self.num_units
        if units > room or units * size > self._backing.num_free_granules:
            raise ValueError(f"pool {self.name}: no room for {units} more units")
        for unit in range(self.num_units, self.num_units + units):
            self._backing.map(self.slab, self._extent.granules(unit), size)
        self.num_units += units
        self.mapped_pages = self.pages_of(self.num_units)

    def lose(self, units: int, moves: Moves) -> None:
        """Unmap the last units, which the row has left, or is to leave before it is looked at.

        Args:
            units: How many.
            moves: (page, page it moves to) of the live pages that reached into them.

        Raises:
            ValueError: If there are fewer.
        """
        left = self.num_units - units
        if left < 0:
            raise ValueError(f"pool {self.name}: {units} units asked, fewer can go")
        if moves:
            size = self.page_bytes
            pairs = [(source * size, target * size) for source, target in moves]
            self._backing.copy_pages(self.slab, size, pairs)
        for unit in reversed(range(left, self.num_units)):
            granules = self._extent.unit_granules
            self._backing.unmap(self.slab, self._extent.granules(unit), granules)
        self.num_units = left
        self.mapped_pages = self.pages_of(left)

    def check_integrity(self) -> None:
        """See `Pool.check_integrity`."""
        super().check_integrity()
        whole = self.num_pages == self.mapped_pages == self.pages_of(self.num_units)
        check(whole, f"pool {self.name}: its pages do not fill what is mapped")
