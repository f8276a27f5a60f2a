"""Pages that grow from one end of a buffer, up to an edge that falls as soon as it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.row_pool import RowPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.run import Run


class EdgePool(RowPool):
    """A row whose end is the *edge*: the page below it is live, or taken at once.

    When that page is given back, the edge falls to the next live one. Free pages are holes. It
    never asks whether the buffer has room; its manager does.
    """

    def give(self, runs: Iterable[Run]) -> None:
        """See `Pool.give`; the edge falls if it can."""
        super().give(runs)
        self.shorten(self.num_free_at_end)

    def squeeze(self, count: int) -> list[tuple[int, int]]:
        """Let the edge fall by so many pages at least, moving live pages into the lowest holes.

        Returns:
            (page, page it moved to) of each.
        """
        moves = self.shorten(count)
        self.shorten(self.num_free_at_end)
        return moves

    def check_integrity(self) -> None:
        """See `Pool.check_integrity`."""
        super().check_integrity()
        check(not self.num_free_at_end, f"pool {self.name}: the page below the edge is a hole")
