"""A pool whose pages gather by owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.run import append_run
from allocator.span_pool import SpanPool, lowest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.backing import Backing
    from allocator.run import Run
    from allocator.span import SpanGeometry


class OwnedPool(SpanPool):
    """Pages of one owner lie in the same spans, so that spans become empty as owners go.

    An owner takes from the span it opened last, then opens empty spans, and only then takes what
    is left in spans that others opened.

    Attributes:
        owner: Whose pages are taken next; None takes them as any pool does.
    """

    def __init__(self, name: str, geometry: SpanGeometry, backing: Backing) -> None:
        super().__init__(name, geometry, backing, backing.num_granules)
        self.owner: int | None = None
        self._open: dict[int, int] = {}  # the span an owner opened last, full or not

    @property
    def num_own(self) -> int:
        """Pages that the owner can take without sharing: of its open span and of empty ones."""
        own = self.lists.num_free[self._open[self.owner]] if self.owner in self._open else 0
        return own + self.num_empty_spans * self.geometry.pages_per_span

    def take(self, count: int) -> list[Run]:
        """See `Pool.take`."""
        if self.owner is None or count > self.num_free:
            return super().take(count)
        runs: list[Run] = []
        left = count
        if self.owner in self._open:
            left -= self._take_from(self._open[self.owner], left, runs)
        while left and self.num_empty_spans:
            self._open[self.owner] = self.lists.first_empty
            left -= self._take_from(self._open[self.owner], left, runs)
        self._num_free -= count - left
        return runs + super().take(left)

    def forget(self, owner: int) -> None:
        """Leave what an owner opened to the others; its pages have been given back."""
        self._open.pop(owner, None)

    def check_owners(self, owners: Iterable[int]) -> None:
        """Raise AssertionError if a span is open for somebody who is gone, or for two."""
        check(set(self._open) <= set(owners), f"pool {self.name}: an owner is gone")
        spans = list(self._open.values())
        check(len(set(spans)) == len(spans), f"pool {self.name}: a span is open for two")

    def _take_from(self, span: int, most: int, runs: list[Run]) -> int:
        """Add up to so many of a span's lowest free pages to some runs; returns how many."""
        count = min(most, self.lists.num_free[span])
        if not count:
            return 0
        self.lists.take_from(span, count)
        self._free[span], offsets = lowest_of(self._free[span], count)
        start = span * self.geometry.pages_per_span
        for offset, length in offsets:
            append_run(runs, start + offset, length)
        return count
