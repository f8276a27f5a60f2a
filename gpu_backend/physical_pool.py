"""Physical memory of a device in pieces of whole granules, created once and moved between slabs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.integrity import check

if TYPE_CHECKING:
    from gpu_backend.driver import VirtualMemory


@dataclass(frozen=True, slots=True)
class Piece:
    """Physical memory that is mapped and unmapped as a whole.

    Attributes:
        num_granules: Its size.
        memory: What the driver calls it.
    """

    num_granules: int
    memory: int


class PhysicalPool:
    """Pieces that no slab has mapped, by size; never more physical memory than the budget.

    A piece of the size asked for is taken as it is. Only where there is none is one created, and
    where the budget has been spent on pieces of other sizes, free ones of those are released.

    Attributes:
        num_granules: Granules of all pieces, mapped or free.
    """

    def __init__(self, driver: VirtualMemory, granule_bytes: int, most_granules: int) -> None:
        self._driver = driver
        self._granule_bytes = granule_bytes
        self._most_granules = most_granules
        self._free: dict[int, list[Piece]] = {}
        self.num_granules = 0

    def take(self, num_granules: int) -> Piece:
        """A piece of so many granules; the caller has seen to it that the budget has them free."""
        pieces = self._free.get(num_granules)
        if pieces:
            return pieces.pop()
        self._release_beyond(self._most_granules - num_granules)
        piece = Piece(num_granules, self._driver.create(num_granules * self._granule_bytes))
        self.num_granules += num_granules
        return piece

    def give(self, piece: Piece) -> None:
        """Take a piece back that is mapped nowhere."""
        self._free.setdefault(piece.num_granules, []).append(piece)

    def close(self) -> None:
        """Release the free pieces, as many as the driver lets go."""
        with ExitStack() as stack:
            for pieces in self._free.values():
                for piece in pieces:
                    stack.callback(self._driver.release, piece.memory)
                    self.num_granules -= piece.num_granules
            self._free.clear()

    def check_integrity(self, num_mapped: int) -> None:
        """Raise AssertionError unless mapped and free pieces add up, within the budget."""
        num_free = sum(size * len(pieces) for size, pieces in self._free.items())
        check(num_mapped + num_free == self.num_granules, "a piece of memory is lost")
        check(self.num_granules <= self._most_granules, "more memory than the budget is held")

    def _release_beyond(self, most: int) -> None:
        """Release free pieces, the largest first, until all together have so many granules."""
        for size in sorted(self._free, reverse=True):
            pieces = self._free[size]
            while pieces and self.num_granules > most:
                self._driver.release(pieces[-1].memory)
                pieces.pop()
                self.num_granules -= size
