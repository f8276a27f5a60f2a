"""An adaptor with the fault of the paper's padded baseline: pages are freed by number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from allocator.paper.adaptor import Adaptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.paper.holdings import OwnedHoldings
    from allocator.paper.interface import LayerAllocator, Witness
    from allocator.paper.stack_pool import StackPool


class AliasedRelease(Adaptor):
    """Frees every page a request was ever given, whoever holds it by now.

    An evicted request still knows the numbers of its pages. When it leaves, it frees those that
    are live, although they belong to others. Without this adaptor a release takes back only what
    the request holds.
    """

    def __init__(
        self, inner: LayerAllocator, pool: StackPool, holdings: OwnedHoldings, witness: Witness
    ) -> None:
        super().__init__(inner)
        self._pool = pool
        self._holdings = holdings
        self._witness = witness
        self._known: dict[int, list[int]] = {}

    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """See `LayerAllocator.allocate`."""
        pages = self._inner.allocate(request, group, count)
        known = self._known.get(request)
        if known is None:
            self._known[request] = list(pages)
        else:
            known += pages
        return pages

    def release(self, request: int) -> None:
        """Free the pages in the order they were first obtained."""
        lost: Counter[int] = Counter()
        for page in dict.fromkeys(self._known.pop(request, ())):
            if self._holdings.owner_of(page) is None:
                continue
            owner = self._holdings.take_away(page)
            self._pool.give((page,))
            lost[owner] += 1
        for owner, num_pages in lost.items():
            if owner != request:
                self._witness.freed_by_other(owner, 0, num_pages, request)
        self._inner.release(request)
