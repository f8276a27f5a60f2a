"""Holdings whose evictions search, as those of the paper's static baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.paper.holdings import ListedHoldings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class LiveHandles:
    """Handles of the pages of all pools; which handle names a page is not recorded.

    Whoever has only the pages must look through all live handles. That each eviction does so once
    is our reading of the published times of static splits: in the 26 rows that took more than a
    second beyond the 0.8 s that a run without evictions takes, the excess is 0.5 to 1.8
    microseconds a live handle and eviction, 1.0 to 1.8 in 22 of them.
    """

    def __init__(self) -> None:
        self._page: dict[int, tuple[object, int]] = {}
        self._last = 0

    def issue(self, pool: object, pages: Sequence[int]) -> list[int]:
        """Name pages of a pool; returns their handles."""
        first, self._last = self._last + 1, self._last + len(pages)
        handles = list(range(first, self._last + 1))
        self._page.update(
            (handle, (pool, page)) for handle, page in zip(handles, pages, strict=True)
        )
        return handles

    def retire(self, handles: Sequence[int]) -> None:
        """Forget handles."""
        for handle in handles:
            del self._page[handle]

    def search(self, pool: object, pages: Collection[int]) -> list[int]:
        """The handles of some live pages of a pool; every live handle is looked at."""
        return [
            handle for handle, (own, page) in self._page.items() if own is pool and page in pages
        ]

    def num_of(self, pool: object) -> int:
        """Live handles of a pool."""
        return sum(named[0] is pool for named in self._page.values())


class SearchedHoldings(ListedHoldings):
    """Holdings that find pages by handle: at a release by key, at an eviction by one search.

    What is found is what the key gives, so that nothing but time differs from `ListedHoldings`.
    """

    def __init__(self, live: LiveHandles) -> None:
        super().__init__()
        self._live = live
        self._handles: dict[int, list[int]] = {}

    def add(self, request: int, pages: Sequence[int]) -> None:
        """See `Holdings.add`."""
        super().add(request, pages)
        self._handles.setdefault(request, []).extend(self._live.issue(self, pages))

    def pop(self, request: int) -> list[int]:
        """See `Holdings.pop`."""
        self._live.retire(self._handles.pop(request, ()))
        return super().pop(request)

    def evict(self, request: int) -> list[int]:
        """See `Holdings.evict`."""
        pages = super().pop(request)
        self._live.retire(self._live.search(self, frozenset(pages)))
        del self._handles[request]
        return pages

    def check_integrity(self) -> None:
        """See `Holdings.check_integrity`."""
        super().check_integrity()
        counts = {request: len(handles) for request, handles in self._handles.items()}
        check(
            counts == {request: self.num_pages_of(request) for request in self},
            "holdings: a page without a handle",
        )
        check(self._live.num_of(self) == sum(counts.values()), "holdings: a handle is lost")
