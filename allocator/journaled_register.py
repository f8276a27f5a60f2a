"""A register that writes down what it is told, and does it when somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.journal import ADMISSION, GROWTH, RELEASE, ROUNDS, START, Journal
from allocator.register import Register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.register import Entries, PlainRegister
    from allocator.row_pool import Moves


class JournaledRegister(Register):
    """Keeps another register's calls as integers, and makes them in order once it has to `settle`.

    So whoever only counts pays for no pages, and whoever looks finds exactly what he would have
    found.
    """

    def __init__(self, inner: PlainRegister) -> None:
        self._inner = inner
        self._journal = Journal()

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        self._journal.words += (seat << 3 | ADMISSION, blocks)
        self._journal.close_record()

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        words = self._journal.words
        words.append(len(shares) << 3 | GROWTH)
        for share in shares:
            words += share
        self._journal.close_record()

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`."""
        words = self._journal.words
        words += (len(sizes) << 3 | ROUNDS, len(seats))
        words += sizes
        words += seats
        self._journal.close_record()

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        self._journal.words += (seat << 3 | RELEASE, blocks)

    def resize(self, number: int, num_pages: int) -> Moves:
        """See `Register.resize`; whether pages move takes a look."""
        self.settle()
        return self._inner.resize(number, num_pages)

    def vacate(self, number: int, first: int) -> Moves:
        """See `Register.vacate`; whether pages move takes a look."""
        self.settle()
        return self._inner.vacate(number, first)

    def entries(self, seat: int) -> Entries:
        """See `Register.entries`."""
        self.settle()
        return self._inner.entries(seat)

    def end_of_live(self, number: int) -> int:
        """See `Register.end_of_live`: it takes a look."""
        self.settle()
        return self._inner.end_of_live(number)

    def settle(self) -> None:
        """See `Register.settle`."""
        if self._journal.end != START:
            self._journal.tell(self._inner)
            self._journal.clear()
