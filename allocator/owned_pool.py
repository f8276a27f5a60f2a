"""A pool whose pages gather by owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.backing import Backing
    from allocator.pool import SpanGeometry


class OwnedPool(Pool):
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
        own = len(self._free[self._open[self.owner]]) if self.owner in self._open else 0
        return own + self.num_empty_spans * self.geometry.pages_per_span

    def take(self, count: int) -> list[int]:
        """See `Pool.take`."""
        if self.owner is None or count > self.num_free:
            return super().take(count)
        taken: list[int] = []
        if self.owner in self._open:
            taken += self._take_from(self._open[self.owner], count)
        while len(taken) < count and self._empty:
            self._open[self.owner] = self._empty[0]
            taken += self._take_from(self._empty[0], count - len(taken))
        return taken + super().take(count - len(taken))

    def forget(self, owner: int) -> None:
        """Leave what an owner opened to the others; its pages have been given back."""
        self._open.pop(owner, None)

    def check_owners(self, owners: Iterable[int]) -> None:
        """Raise AssertionError if a span is open for somebody who is gone, or for two."""
        check(set(self._open) <= set(owners), f"pool {self.name}: an owner is gone")
        spans = list(self._open.values())
        check(len(set(spans)) == len(spans), f"pool {self.name}: a span is open for two")

    def _take_from(self, span: int, most: int) -> list[int]:
        free = self._free[span]
        num_before = len(free)
        taken = free[: -most - 1 : -1]
        del free[num_before - len(taken) :]
        self.num_free -= len(taken)
        self._relist(span, num_before)
        return taken
