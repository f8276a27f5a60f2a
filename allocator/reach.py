"""How far live pages can reach at most, as far as that is known without a look."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from allocator.row_pool import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.demand import Demand


class Reach(ABC):
    """What a register tells, and asks, to be spared a look at places."""

    __slots__ = ()

    @abstractmethod
    def end(self, number: int) -> int:
        """A page of a pool from which on all are surely free."""

    @abstractmethod
    def found(self, ends: Sequence[int]) -> None:
        """A look has found the first such page of each pool."""

    @abstractmethod
    def admit(self, seat: int, blocks: int) -> None:
        """A sequence has come with so many blocks."""

    @abstractmethod
    def grow(self, blocks: int) -> None:
        """Sequences have gained so many blocks."""

    @abstractmethod
    def release(self, seat: int, blocks: int) -> None:
        """A sequence has gone with its blocks."""


class LowReach(Reach):
    """For pools that hand out their lowest free page first.

    Of the pages below one that is taken all are live, so it lies below the number of live pages
    once it is. Hence no live page lies at or beyond the greatest number of live pages since the
    oldest sequence was admitted, or beyond the last one that a look has found. Oldest is counted
    in *ages*: one ends when all sequences have gone that were there when it began, so those that
    are there were admitted in this age or the last.
    """

    __slots__ = (
        "_blocks",
        "_ends",
        "_known",
        "_most",
        "_most_before",
        "_pages",
        "_seats",
        "_young",
    )

    def __init__(self, admission: Demand) -> None:
        num_pools = 1 + max(number for number, _, _ in admission.by_pool)
        self._pages = {number: (each, once) for number, each, once in admission.by_pool}
        self._blocks = self._seats = 0
        self._most = self._most_before = (0, 0)  # blocks and seats at once, this age and the last
        self._young: set[int] = set()  # seats admitted in this age
        self._ends: Sequence[int] = [0] * num_pools  # by a look at the start of this age
        self._known: list[int] | None = None  # the answers, unless something has changed

    def end(self, number: int) -> int:
        """See `Reach.end`."""
        if self._known is None:
            self._known = [self._end(number) for number in range(len(self._ends))]
        return self._known[number]

    def found(self, ends: Sequence[int]) -> None:
        """See `Reach.found`."""
        self._begin_age((0, 0), ends)

    def admit(self, seat: int, blocks: int) -> None:
        """See `Reach.admit`."""
        self._young.add(seat)
        self._seats += 1
        self.grow(blocks)

    def grow(self, blocks: int) -> None:
        """See `Reach.grow`."""
        self._blocks += blocks
        most_blocks, most_seats = self._most
        if self._blocks > most_blocks or self._seats > most_seats:
            self._most = max(self._blocks, most_blocks), max(self._seats, most_seats)
            self._known = None

    def release(self, seat: int, blocks: int) -> None:
        """See `Reach.release`."""
        self._young.discard(seat)
        self._seats -= 1
        self._blocks -= blocks
        if self._seats == len(self._young):
            self._begin_age(self._most, [0] * len(self._ends))

    def _end(self, number: int) -> int:
        each, once = self._pages.get(number, (0, 0))
        peaks = [blocks * each + seats * once for blocks, seats in (self._most, self._most_before)]
        return max(self._ends[number], *peaks)

    def _begin_age(self, most_before: tuple[int, int], ends: Sequence[int]) -> None:
        self._most_before, self._most = most_before, (self._blocks, self._seats)
        self._young.clear()
        self._ends = ends
        self._known = None


class AnyReach(Reach):
    """For pools that hand out pages in turn: what is taken may lie anywhere.

    So a look holds until somebody is given a page.
    """

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: Sequence[int] = ()

    def end(self, number: int) -> int:
        """See `Reach.end`."""
        return self._ends[number] if self._ends else sys.maxsize

    def found(self, ends: Sequence[int]) -> None:
        """See `Reach.found`."""
        self._ends = ends

    def admit(self, seat: int, blocks: int) -> None:
        """See `Reach.admit`."""
        del seat
        self.grow(blocks)

    def grow(self, blocks: int) -> None:
        """See `Reach.grow`."""
        del blocks
        self._ends = ()

    def release(self, seat: int, blocks: int) -> None:
        """See `Reach.release`: pages that go reach no further."""


def reach_of(placement: Placement, admission: Demand) -> Reach:
    """What is known of pools that give pages in such an order."""
    return LowReach(admission) if placement is Placement.LOW else AnyReach()
