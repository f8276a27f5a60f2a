"""A register over pools whose pages gather by owner: it opens spans as owners need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.register import PlainRegister
from allocator.rounds import by_round
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.demand import Demand
    from allocator.owned_pool import OwnedPool
    from allocator.page_table import PageTable


class OwnedRegister(PlainRegister):
    """Spans come from a store when pools are short, or an owner would have to share one.

    A span goes back as soon as it is empty. The caller has seen to it that the store has the spans
    that pools are short of.
    """

    _pools: Sequence[OwnedPool]

    def __init__(
        self,
        pools: Sequence[OwnedPool],
        table: PageTable,
        demands: tuple[Demand, Demand],
        store: Backing,
    ) -> None:
        super().__init__(pools, table, *demands)
        self._store = store

    def num_spans(self, number: int) -> int:
        """Spans that a pool holds."""
        return self._pools[number].num_spans

    @property
    def num_free_spans(self) -> int:
        """Spans that the store has left."""
        return self._store.num_free_granules

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        self._open(self._admission, blocks)
        self._open_apart(self._admission, seat, blocks)
        super().admit(seat, blocks)
        self._disown()

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`; one by one, as each has spans of its own."""
        self._open(self._growth, sum(blocks for _, blocks in shares))
        for seat, blocks in shares:
            self._open_apart(self._growth, seat, blocks)
            super().grow([(seat, blocks)])
        self._disown()

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`; one by one."""
        for members in by_round(seats, sizes):
            self.grow([(seat, 1) for seat in members])

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        super().release(seat, blocks)
        for pool in self._pools:
            pool.forget(seat)
            for span in pool.remove_empty_spans(pool.num_empty_spans):
                self._store.unmap(pool.slab, span, 1)

    def _open(self, demand: Demand, blocks: int) -> None:
        """Give pools the spans that they are short of."""
        for number, each, once in demand.by_pool:
            pool = self._pools[number]
            missing = each * blocks + once - pool.num_free
            if missing > 0:
                self._add_spans(pool, ceil_div(missing, pool.geometry.pages_per_span))

    def _open_apart(self, demand: Demand, seat: int, blocks: int) -> None:
        """Let a sequence take pages next, and give it spans of its own while there are any."""
        for number, each, once in demand.by_pool:
            pool = self._pools[number]
            pool.owner = seat
            missing = each * blocks + once - pool.num_own
            if missing > 0:
                apart = ceil_div(missing, pool.geometry.pages_per_span)
                self._add_spans(pool, min(apart, self._store.num_free_granules))

    def _add_spans(self, pool: OwnedPool, count: int) -> None:
        """Let a pool have spans of the store, which are a granule of it each."""
        for span in pool.add_spans(count):
            self._store.map(pool.slab, span, 1)

    def _disown(self) -> None:
        for pool in self._pools:
            pool.owner = None
