"""A journaled register that knows which spans are empty, without pages and their names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.journal import RESIZE
from allocator.journaled_register import JournaledRegister
from allocator.span_holdings import SpanHoldings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.demand import Demand
    from allocator.span_pool import SpanPool
    from allocator.span_register import SpanRegister


class CountedSpans(JournaledRegister):
    """Counts at once how many pages of which spans everybody holds; names come when they are read.

    Which pages of a span those are decides nothing. The inner register learns that, spans that
    come and go included, once somebody looks.
    """

    def __init__(
        self, inner: SpanRegister, pools: Sequence[SpanPool], admission: Demand, growth: Demand
    ) -> None:
        """Nobody holds anything yet, and pools, of a cache group each, have no span."""
        super().__init__(inner)
        self._pools = pools
        self._holdings = [SpanHoldings(p.max_spans, p.geometry.pages_per_span) for p in pools]
        self._num_pages = [0] * len(pools)
        held = self._holdings
        self._admission = [(held[number], each, once) for number, each, once in admission.by_pool]
        self._growth = [(held[number], each) for number, each, _ in growth.by_pool]

    def num_pages(self, number: int) -> int:
        """See `SpanRegister.num_pages`."""
        return self._num_pages[number]

    def num_empty_spans(self, number: int) -> int:
        """See `SpanRegister.num_empty_spans`."""
        return self._holdings[number].lists.num_empty

    def add_spans(self, number: int, count: int) -> list[int]:
        """See `SpanRegister.add_spans`."""
        added = self._holdings[number].lists.add(count)
        self._note_spans(number, count)
        return added

    def remove_empty_spans(self, number: int, count: int) -> list[int]:
        """See `SpanRegister.remove_empty_spans`."""
        removed = self._holdings[number].lists.remove_empty(count)
        self._note_spans(number, -count)
        return removed

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        super().admit(seat, blocks)
        for held, each, once in self._admission:
            held.admit(seat, each * blocks + once)

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        super().grow(shares)
        for held, each in self._growth:
            if len(shares) == 1:
                ((seat, blocks),) = shares
                held.extend(seat, each * blocks)
            else:
                held.grow([seat for seat, blocks in shares for _ in range(each * blocks)])

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`."""
        super().grow_in_rounds(seats, sizes)
        for held, each in self._growth:
            held.grow([seat for seat in seats for _ in range(each)] if each > 1 else seats)

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        super().release(seat, blocks)
        for held, _, _ in self._admission:
            held.release(seat)

    def end_of_live(self, number: int) -> int:
        """See `Register.end_of_live`: as in any pool that knows no better."""
        return self._num_pages[number]

    def check_integrity(self) -> None:
        """See `Register.check_integrity`; what is counted and what has names must agree."""
        super().check_integrity()
        for number, (pool, held) in enumerate(zip(self._pools, self._holdings, strict=True)):
            held.check_integrity()
            check(pool.num_pages == self._num_pages[number], "pages of spans are miscounted")
            check(held.lists.is_like(pool.lists), "spans stand in other lists than their pages say")
            size = pool.geometry.pages_per_span
            pages = self._inner.pages(number).items()
            named = {seat: Counter(page // size for page in held) for seat, held in pages}
            check(held.pages() == named, "a seat holds pages of other spans than it has names for")

    def _note_spans(self, number: int, count: int) -> None:
        """A pool has so many spans more, or fewer."""
        self._num_pages[number] += count * self._pools[number].geometry.pages_per_span
        self._journal.words += (number << 3 | RESIZE, self._num_pages[number])
