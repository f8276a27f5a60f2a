"""A journaled register that can tell where pages lie, without their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.journal import RESIZE, START, VACATING
from allocator.journaled_register import JournaledRegister

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.places import Places
    from allocator.reach import Reach
    from allocator.register import PlainRegister
    from allocator.row_pool import Moves


class PlacedRegister(JournaledRegister):
    """Works out in three steps: counts at once, places when they decide, names when they are read.

    Often the end of a pool is known to be free (`Reach`); then capacity goes without a look.
    Otherwise the calls since the last look are made to `Places`, which tells the pages that are in
    the way. The inner register learns all of it, moves included, once somebody reads a table.
    """

    def __init__(self, inner: PlainRegister, places: Places, reach: Reach) -> None:
        super().__init__(inner)
        self._places = places
        self._placed = START  # what comes before it in the journal has been told to the places
        self._reach = reach

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        super().admit(seat, blocks)
        self._reach.admit(seat, blocks)

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        super().grow(shares)
        self._reach.grow(sum(blocks for _, blocks in shares))

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`."""
        super().grow_in_rounds(seats, sizes)
        self._reach.grow(len(seats))

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        super().release(seat, blocks)
        self._reach.release(seat, blocks)

    def resize(self, number: int, num_pages: int) -> Moves:
        """See `Register.resize`; whether pages move takes a look, unless it is known."""
        return self._end_at(RESIZE, self._places.resize, number, num_pages)

    def vacate(self, number: int, first: int) -> Moves:
        """See `Register.vacate`; likewise."""
        return self._end_at(VACATING, self._places.vacate, number, first)

    def end_of_live(self, number: int) -> int:
        """See `Register.end_of_live`."""
        self._look()
        return self._places.pools[number].end_of_live

    def end_at_most(self, number: int) -> int:
        """See `Register.end_at_most`: what is known without a look."""
        return self._reach.end(number)

    def settle(self) -> None:
        """See `Register.settle`; what is known then depends on no earlier look."""
        self._journal.tell(self._places, self._placed)
        super().settle()
        self._have_looked()

    def check_integrity(self) -> None:
        """See `Register.check_integrity`; places and names must agree."""
        super().check_integrity()
        self._places.check_integrity()
        for number, pool in enumerate(self._places.pools):
            check(pool.pages() == self._inner.pages(number), "places and names disagree")

    def _end_at(self, kind: int, call: Callable[[int, int], Moves], number: int, end: int) -> Moves:
        """Let live pages of a pool lie before an end, and write down how."""
        record = (number << 3 | kind, end)
        if self._reach.end(number) <= end:
            self._journal.words += record
            return []
        self._look()
        moves = call(number, end)
        self._journal.words += record
        self._have_looked()
        return moves

    def _look(self) -> None:
        """Let places be what all calls so far have made them."""
        if self._placed != self._journal.end:
            self._journal.tell(self._places, self._placed)
            self._have_looked()

    def _have_looked(self) -> None:
        self._placed = self._journal.end
        self._reach.found([pool.end_of_live for pool in self._places.pools])
