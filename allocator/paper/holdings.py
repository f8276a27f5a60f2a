"""Who holds which pages of a pool, the request that was given pages least recently first."""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from allocator.integrity import check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


class Holdings(Protocol):
    """Pages by request, in the order of each request's last successful call (LRU first).

    A request whose last page goes has no entry any more; a later call makes a fresh one.
    """

    def __iter__(self) -> Iterator[int]:
        """Requests, the one that was given pages least recently first."""

    def add(self, request: int, pages: Sequence[int]) -> None:
        """Record pages that a request was given just now."""

    def pop(self, request: int) -> list[int]:
        """Forget a request; returns its pages in the order it got them, none if it has none."""

    def evict(self, request: int) -> list[int]:
        """As `pop`, for a request that has not asked to go."""

    def num_pages_of(self, request: int) -> int:
        """Pages that a request holds."""

    def pages(self) -> list[int]:
        """All pages held."""

    def rename(self, moved: Mapping[int, int]) -> None:
        """Let those who hold pages hold the pages they were copied to."""

    def check_integrity(self) -> None:
        """Raise AssertionError if an entry holds nothing, or the books disagree."""


class _ByRequest:
    """What any table of pages by request can tell."""

    _pages: Mapping[int, Collection[int]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._pages)

    def num_pages_of(self, request: int) -> int:
        """See `Holdings.num_pages_of`."""
        return len(self._pages.get(request, ()))

    def pages(self) -> list[int]:
        """See `Holdings.pages`."""
        return list(chain.from_iterable(self._pages.values()))


class ListedHoldings(_ByRequest):
    """Holdings as a list of pages a request; everything is found by key."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, list[int]] = OrderedDict()

    def add(self, request: int, pages: Sequence[int]) -> None:
        """See `Holdings.add`."""
        held = self._pages.get(request)
        if held is None:
            self._pages[request] = list(pages)
        else:
            held += pages
            self._pages.move_to_end(request)

    def pop(self, request: int) -> list[int]:
        """See `Holdings.pop`."""
        return self._pages.pop(request, [])

    def evict(self, request: int) -> list[int]:
        """See `Holdings.evict`."""
        return self.pop(request)

    def rename(self, moved: Mapping[int, int]) -> None:
        """See `Holdings.rename`."""
        for pages in self._pages.values():
            pages[:] = [moved.get(page, page) for page in pages]

    def check_integrity(self) -> None:
        """See `Holdings.check_integrity`."""
        check(all(self._pages.values()), "holdings: an entry without pages")


class OwnedHoldings(_ByRequest):
    """Holdings that know the owner of every page, so that a single page can be taken away."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, dict[int, None]] = OrderedDict()
        self._owner: dict[int, int] = {}

    def add(self, request: int, pages: Sequence[int]) -> None:
        """See `Holdings.add`."""
        self._pages.setdefault(request, {}).update(dict.fromkeys(pages))
        self._pages.move_to_end(request)
        self._owner.update(dict.fromkeys(pages, request))

    def pop(self, request: int) -> list[int]:
        """See `Holdings.pop`."""
        pages = list(self._pages.pop(request, ()))
        for page in pages:
            del self._owner[page]
        return pages

    def evict(self, request: int) -> list[int]:
        """See `Holdings.evict`."""
        return self.pop(request)

    def owner_of(self, page: int) -> int | None:
        """Who holds a page; None if it is free."""
        return self._owner.get(page)

    def take_away(self, page: int) -> int:
        """Take a held page from its owner; returns the owner."""
        owner = self._owner.pop(page)
        pages = self._pages[owner]
        del pages[page]
        if not pages:
            del self._pages[owner]
        return owner

    def rename(self, moved: Mapping[int, int]) -> None:
        """See `Holdings.rename`."""
        for request, pages in self._pages.items():
            self._pages[request] = dict.fromkeys(moved.get(page, page) for page in pages)
        self._owner = {moved.get(page, page): owner for page, owner in self._owner.items()}

    def check_integrity(self) -> None:
        """See `Holdings.check_integrity`."""
        check(all(self._pages.values()), "holdings: an entry without pages")
        owners = {page: request for request, pages in self._pages.items() for page in pages}
        check(owners == self._owner, "holdings: owners and entries disagree")
