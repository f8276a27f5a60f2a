"""A journaled register over pools whose pages gather by owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.journaled_register import JournaledRegister
from allocator.rounds import by_round
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.demand import Demand
    from allocator.owned_pool import OwnedPool
    from allocator.owned_register import OwnedRegister


class ApartRegister(JournaledRegister):
    """Counts spans as long as each sequence has spans of its own, which it then fills.

    Once the store lacks one for that, sequences come to share, and which spans a release empties
    depends on places. From then on every call is made at once, until all sequences are gone.
    """

    def __init__(
        self, inner: OwnedRegister, pools: Sequence[OwnedPool], admission: Demand, store: Backing
    ) -> None:
        super().__init__(inner)
        self._pools = pools
        self._cuts = admission.by_pool
        self._sizes = [pool.geometry.pages_per_span for pool in pools]
        self._store = store
        self._is_shared = False
        self._num_spans = [0] * len(pools)
        self._num_free = store.num_granules
        self._left: list[dict[int, int]] = [{} for _ in pools]  # by seat: free in its last span

    def num_spans(self, number: int) -> int:
        """See `OwnedRegister.num_spans`."""
        return self._pools[number].num_spans if self._is_shared else self._num_spans[number]

    @property
    def num_free_spans(self) -> int:
        """See `OwnedRegister.num_free_spans`."""
        return self._store.num_free_granules if self._is_shared else self._num_free

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        for number, each, once in self._cuts:
            self._left[number][seat] = 0
            self._fill(number, [seat], each * blocks + once)
        if self._are_apart():
            super().admit(seat, blocks)
        else:
            self._inner.admit(seat, blocks)

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        for number, each, _ in self._cuts:
            for seat, blocks in shares if each else ():
                self._fill(number, [seat], each * blocks)
        if self._are_apart():
            super().grow(shares)
        else:
            self._inner.grow(shares)

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`."""
        apart = self._rounds_apart(seats, sizes)
        first = sum(sizes[:apart])
        if apart:
            super().grow_in_rounds(seats[:first], sizes[:apart])
        if apart < len(sizes):
            self._are_apart()
            self._inner.grow_in_rounds(seats[first:], sizes[apart:])

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        for left in self._left:
            left.pop(seat, None)
        if self._is_shared:
            self._inner.release(seat, blocks)
            if self._store.num_free_granules == self._store.num_granules:
                self._is_shared = False
                self._num_spans = [0] * len(self._pools)
                self._num_free = self._store.num_granules
            return
        super().release(seat, blocks)
        for number, each, once in self._cuts:
            spans = ceil_div(each * blocks + once, self._sizes[number])
            self._num_spans[number] -= spans
            self._num_free += spans

    def check_integrity(self) -> None:
        """See `Register.check_integrity`."""
        super().check_integrity()
        counted = [self.num_spans(number) for number in range(len(self._pools))]
        check(counted == [pool.num_spans for pool in self._pools], "spans are miscounted")
        check(self.num_free_spans == self._store.num_free_granules, "free spans are miscounted")

    def _fill(self, number: int, seats: Sequence[int], pages: int) -> None:
        """Count so many pages for each seat, and the spans of its own that they open."""
        left, size, opened = self._left[number], self._sizes[number], 0
        for seat in seats:
            rest = left[seat] - pages
            if rest < 0:
                spans = ceil_div(-rest, size)
                rest += spans * size
                opened += spans
            left[seat] = rest
        self._num_spans[number] += opened
        self._num_free -= opened

    def _rounds_apart(self, seats: Sequence[int], sizes: Sequence[int]) -> int:
        """Count rounds, as long as all have spans of their own; returns how many those are."""
        for place, members in enumerate(by_round(seats, sizes)):
            for number, each, _ in self._cuts:
                if each:
                    self._fill(number, members, each)
            if self._is_shared or self._num_free < 0:
                return place
        return len(sizes)

    def _are_apart(self) -> bool:
        """Whether what has been counted is there, so that all have spans of their own."""
        if self._num_free < 0 and not self._is_shared:
            self.settle()
            self._is_shared = True
        return not self._is_shared
