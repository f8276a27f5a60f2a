"""What every pool of equal pages can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from allocator.backing import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.run import Run


class Pool(ABC):
    """Pages of one size, numbered from 0, that are taken and given back by runs.

    Attributes:
        name: What usage and errors call it.
        page_bytes: Bytes of one page.
        num_pages: Pages it holds at present, free or live.
        slab: Number of the slab its pages lie in; -1 for a pool without memory of its own.
    """

    name: str
    page_bytes: int
    num_pages: int
    slab: int = -1

    @property
    @abstractmethod
    def num_free(self) -> int:
        """Pages that can be taken."""

    @property
    def num_live(self) -> int:
        """Pages taken and not given back."""
        return self.num_pages - self.num_free

    @property
    def end_of_live(self) -> int:
        """A page from which on all are free; beyond the last one unless a design knows better."""
        return self.num_pages

    @abstractmethod
    def take(self, count: int) -> list[Run]:
        """Take free pages, as runs.

        Raises:
            ValueError: If fewer are free; nothing is taken.
        """

    @abstractmethod
    def give(self, runs: Iterable[Run]) -> None:
        """Give live pages back; the page table has seen to it that they are live."""

    def place(self, page: int) -> Place:
        """Where a page lies: end to end from the start of the slab, unless a pool knows better."""
        return Place(self.slab, page * self.page_bytes, self.page_bytes)

    def resize(self, num_pages: int) -> list[tuple[int, int]]:
        """Let the pool have so many pages; those that come at its end are free.

        Returns:
            (page, page it moves to) of live ones that were in the way.

        Raises:
            ValueError: If it cannot; most pools keep what they have.
        """
        raise ValueError(f"pool {self.name} cannot have {num_pages} pages")

    @abstractmethod
    def check_integrity(self) -> None:
        """Raise AssertionError if a page is lost or doubled."""

    @abstractmethod
    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken."""
