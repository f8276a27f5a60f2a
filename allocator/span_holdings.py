"""Who holds how many pages of which spans, and nothing else: no page, no name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.span_lists import SpanLists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.span_lists import Part


class SpanHoldings:
    """What sequences hold of one pool of spans, in the order in which they came to it.

    That order is all that decides where a span stands among others once pages are given back, so
    spans are empty here exactly when those of a `SpanPool` are that is told the same.

    Attributes:
        lists: The spans.
    """

    def __init__(self, num_spans: int, pages_per_span: int) -> None:
        """Nobody holds anything, and no span is there."""
        self.lists = SpanLists(num_spans, pages_per_span)
        self._parts: dict[int, list[Part]] = {}  # by seat; the last one has its single pages
        self._singles: dict[int, list[int]] = {}  # by seat: spans, a page of each

    def admit(self, seat: int, pages: int) -> None:
        """Give a new sequence so many pages."""
        self._parts[seat] = []
        self.extend(seat, pages)

    def extend(self, seat: int, pages: int) -> None:
        """Give a sequence so many more."""
        singles: list[int] = []
        self._parts[seat] += [*self.lists.take(pages), (1, singles)]
        self._singles[seat] = singles

    def grow(self, seats: Sequence[int]) -> None:
        """Give seats a page each, in order."""
        held, by_page = self._singles, []
        for pages, spans in self.lists.take(len(seats)):
            by_page += spans if pages == 1 else [span for span in spans for _ in range(pages)]
        for seat, span in zip(seats, by_page, strict=True):
            held[seat].append(span)

    def release(self, seat: int) -> None:
        """Take all of a sequence back."""
        del self._singles[seat]
        give = self.lists.give
        for pages, spans in self._parts.pop(seat):
            give(pages, spans)

    def pages(self) -> dict[int, Counter[int]]:
        """Of each seat, how many pages it holds of which spans."""
        held: dict[int, Counter[int]] = {}
        for seat, parts in self._parts.items():
            held[seat] = Counter()
            for pages, spans in parts:
                for span in spans:
                    held[seat][span] += pages
        return held

    def check_integrity(self) -> None:
        """Raise AssertionError unless every page of every span is free or held."""
        self.lists.check_integrity()
        check(self._parts.keys() == self._singles.keys(), "a seat holds half of what it should")
        own = all(self._parts[seat][-1] == (1, spans) for seat, spans in self._singles.items())
        check(own, "single pages are not what a seat holds last")
        live = sum(self.pages().values(), Counter())
        check(live == self.lists.live(), "a page of a span is lost or held twice")
