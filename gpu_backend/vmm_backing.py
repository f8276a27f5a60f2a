"""Slabs of virtual memory whose granules come and go: the budget is held once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from allocator.backing import HostBacking
from allocator.integrity import check
from allocator.spec import align_up
from gpu_backend.availability import check_granule
from gpu_backend.byte_backing import ByteBacking
from gpu_backend.page_ops import TorchPageOps
from gpu_backend.physical_pool import PhysicalPool, Piece

if TYPE_CHECKING:
    import torch

    from gpu_backend.driver import Fence, VirtualMemory
    from gpu_backend.page_ops import PageOps


class _Slab:
    """A reserved range, the pieces mapped in it, and the last work on its bytes."""

    def __init__(self, address: int, size_bytes: int, view: torch.Tensor) -> None:
        self.address = address
        self.size_bytes = size_bytes
        self.view = view
        self.pieces: dict[int, Piece] = {}  # by first granule
        self.fence: Fence | None = None

    def run(self, first: int, count: int) -> list[int] | None:
        """First granules of the pieces that make up a run; None if it cuts one."""
        starts, granule = [], first
        while granule < first + count:
            if granule not in self.pieces:
                return None
            starts.append(granule)
            granule += self.pieces[granule].num_granules
        return starts if granule == first + count else None


class VmmBacking(ByteBacking):
    """Reserves addresses for each slab, and moves physical memory between them.

    Physical memory never exceeds the budget. Each call of `map` is one piece of memory, reused
    by later calls of that size. A call does all or raises and leaves everything as it was.

    What is unmapped must not be in use. Pages that a step in flight uses are live, and no manager
    unmaps a live page; so an unmapping waits for the copies, fills and other work that were noted
    for the slab (`note_use`), and for nothing else: not for the step in flight. What is mapped can
    be used by all work that is given to the device later.
    """

    def __init__(
        self,
        budget_bytes: int,
        driver: VirtualMemory,
        granule_bytes: int | None = None,
        ops: PageOps | None = None,
    ) -> None:
        """Start without a slab, holding nothing.

        Args:
            budget_bytes: See `HostBacking`.
            driver: Whose memory it is.
            granule_bytes: Unit of mappings; by default the driver's.
            ops: Copies and fills pages; plain torch by default.

        Raises:
            UnavailableError: If the driver cannot map such granules.
        """
        size = driver.granule_bytes if granule_bytes is None else granule_bytes
        check_granule(size, driver.granule_bytes)
        super().__init__(HostBacking(budget_bytes, size), ops or TorchPageOps())
        self._driver = driver
        self._slabs: list[_Slab] = []
        self._pool = PhysicalPool(driver, size, self.num_granules)

    @property
    def physical_bytes(self) -> int:
        """See `ByteBacking.physical_bytes`: of pieces, mapped or free; at most the budget."""
        return self._pool.num_granules * self.granule_bytes

    def reserve(self, size_bytes: int) -> int:
        """See `Backing.reserve`."""
        whole = align_up(size_bytes, self.granule_bytes)
        with ExitStack() as undo:
            address = self._driver.reserve(whole)
            undo.callback(self._driver.free, address, whole)
            self._slabs.append(_Slab(address, whole, self._driver.tensor(address, whole)))
            undo.pop_all()
        return self.books.reserve(size_bytes)

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`; raises DriverError too, and then nothing is mapped."""
        self.books.check_map(slab, first_granule, num_granules)
        place = self._slabs[slab]
        address, size_bytes = self._range(slab, first_granule, num_granules)
        with ExitStack() as undo:
            piece = self._pool.take(num_granules)
            undo.callback(self._pool.give, piece)
            self._driver.map(address, size_bytes, piece.memory)
            undo.callback(self._driver.unmap, address, size_bytes)
            self._driver.allow_access(address, size_bytes)
            undo.pop_all()
        place.pieces[first_granule] = piece
        self.books.map(slab, first_granule, num_granules)

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`; waits for the work noted for the slab.

        Raises:
            ValueError: If the run cuts what one call mapped, too; nothing changes.
            DriverError: If the driver refuses; nothing changes.
        """
        self.books.check_unmap(slab, first_granule, num_granules)
        place = self._slabs[slab]
        starts = place.run(first_granule, num_granules)
        if starts is None:
            raise ValueError(
                f"slab {slab}: granules {first_granule} to {first_granule + num_granules - 1}"
                " cut what one call mapped"
            )
        if place.fence is not None:
            place.fence.synchronize()
            place.fence = None
        self._driver.unmap(*self._range(slab, first_granule, num_granules))
        for start in starts:
            self._pool.give(place.pieces.pop(start))
        self.books.unmap(slab, first_granule, num_granules)

    def slab_bytes(self, slab: int) -> torch.Tensor:
        """See `ByteBacking.slab_bytes`."""
        return self._slabs[slab].view

    def note_use(self, slab: int) -> None:
        """Unmappings in a slab wait for the work that the current stream has been given so far."""
        self._slabs[slab].fence = self._driver.fence()

    def close(self) -> None:
        """See `ByteBacking.close`; goes on when a call fails, and raises the last failure."""
        with ExitStack() as stack:  # the last one first
            stack.callback(self._pool.close)
            for slab in self._slabs:
                stack.callback(self._driver.free, slab.address, slab.size_bytes)
            for slab in self._slabs:
                for first, piece in slab.pieces.items():
                    stack.callback(self._pool.give, piece)
                    size_bytes = piece.num_granules * self.granule_bytes
                    address = slab.address + first * self.granule_bytes
                    stack.callback(self._driver.unmap, address, size_bytes)
            stack.callback(self._driver.synchronize)
            self._slabs = []

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`; pieces, books and slabs agree."""
        super().check_integrity()
        mapped = sum(piece.num_granules for slab in self._slabs for piece in slab.pieces.values())
        self._pool.check_integrity(mapped)
        num_mapped = self.num_granules - self.num_free_granules
        check(mapped == num_mapped, "vmm backing: books and mappings do not agree")

    def _range(self, slab: int, first: int, count: int) -> tuple[int, int]:
        """Address and bytes of a run of granules."""
        start = self._slabs[slab].address + first * self.granule_bytes
        return start, count * self.granule_bytes
