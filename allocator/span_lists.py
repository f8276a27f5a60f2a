"""Spans by how many of their pages are free: which of them gives the next page."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from allocator.integrity import check

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = tuple[int, list[int]]
"""How many pages, and spans in order, so many pages of each."""


class SpanLists:
    """Spans come and go empty; pages are taken from the fullest that has any, without a search.

    Spans with equally many free pages stand in one list, and of these the one listed last goes
    first; full and absent ones stand in none. So live pages gather, and spans become empty. Which
    pages of a span are taken, and by whom, is not known here.

    Attributes:
        num_free: Free pages of each span; 0 if it is absent.
    """

    def __init__(self, num_spans: int, pages_per_span: int) -> None:
        """No span is there yet."""
        self.num_free = [0] * num_spans
        self._absent = list(range(num_spans))  # a heap: the lowest absent span is added first
        self._by_free: list[list[int]] = [[] for _ in range(pages_per_span + 1)]
        self._position = [0] * num_spans  # of a span within its list
        self._occupied = 0  # bit i: some span has i free pages

    @property
    def num_spans(self) -> int:
        """Spans that are there."""
        return len(self.num_free) - len(self._absent)

    def absent(self) -> set[int]:
        """Spans that are not there."""
        return set(self._absent)

    @property
    def num_empty(self) -> int:
        """Spans whose pages are all free."""
        return len(self._by_free[-1])

    @property
    def first_empty(self) -> int:
        """The empty span that would be taken from first."""
        return self._by_free[-1][-1]

    def add(self, count: int) -> list[int]:
        """Add the lowest absent spans, all their pages free; returns them.

        Raises:
            ValueError: If fewer are absent; nothing is added.
        """
        if count > len(self._absent):
            raise ValueError(f"no room for {count} more spans")
        size = len(self._by_free) - 1
        added = [heapq.heappop(self._absent) for _ in range(count)]
        self.give(size, added)
        return added

    def remove_empty(self, count: int) -> list[int]:
        """Remove empty spans, those that became empty last first; returns them.

        Raises:
            ValueError: If fewer are empty; nothing is removed.
        """
        empty = self._by_free[-1]
        if count > len(empty):
            raise ValueError(f"{count} spans asked, fewer are empty")
        removed = [empty.pop() for _ in range(count)]
        for span in removed:
            self.num_free[span] = 0
            heapq.heappush(self._absent, span)
        if removed and not empty:
            self._occupied ^= 1 << len(self._by_free) - 1
        return removed

    def take(self, count: int) -> list[Part]:
        """Take so many pages, which are free; returns of which spans."""
        parts: list[Part] = []
        num_free = self.num_free
        while count > 0:
            least = (self._occupied & -self._occupied).bit_length() - 1
            spans = self._by_free[least]
            taken = spans[: -(count // least or 1) - 1 : -1]
            del spans[-len(taken) :]
            if not spans:
                self._occupied ^= 1 << least
            for span in taken:
                num_free[span] = 0
            parts.append((min(least, count), taken))
            count -= least * len(taken)
        if count:  # the last span has more than was asked
            self.give(-count, parts[-1][1])
        return parts

    def take_from(self, span: int, count: int) -> None:
        """Take so many of a span's free pages, one at least."""
        left = self.num_free[span] - count
        self._unlist(span)
        self.num_free[span] = 0
        if left:
            self.give(left, (span,))

    def give(self, count: int, spans: Sequence[int]) -> None:
        """Give so many pages of each of some spans back, one span after the other."""
        by_free, position, num_free = self._by_free, self._position, self.num_free
        for span in spans:
            had = num_free[span]
            if had:  # as `_unlist`, which would cost another call a span
                listed = by_free[had]
                last = listed.pop()
                if last != span:
                    place = position[last] = position[span]
                    listed[place] = last
                if not listed:
                    self._occupied ^= 1 << had
            num_free[span] = now = had + count
            listed = by_free[now]
            if not listed:
                self._occupied |= 1 << now
            position[span] = len(listed)
            listed.append(span)

    def live(self) -> dict[int, int]:
        """Of the spans that are there, how many pages are taken, if any."""
        size, present = len(self._by_free) - 1, set(range(len(self.num_free))) - self.absent()
        return {span: size - self.num_free[span] for span in present if self.num_free[span] < size}

    def is_like(self, other: SpanLists) -> bool:
        """Whether the same spans are there, and whatever is taken from both comes to the same."""
        return self._by_free == other._by_free and self.absent() == other.absent()

    def check_integrity(self) -> None:
        """Raise AssertionError unless each span stands once where its free pages put it."""
        lists = list(enumerate(self._by_free))
        listed = sorted((span, num_free) for num_free, spans in lists for span in spans)
        due = [(span, num_free) for span, num_free in enumerate(self.num_free) if num_free]
        check(listed == due, "a span is in no list, a wrong one or two")
        orderly = all(
            self._position[span] == i for _, spans in lists for i, span in enumerate(spans)
        )
        check(orderly, "a span stands elsewhere in its list")
        marks = sum(1 << num_free for num_free, spans in lists if spans)
        check(marks == self._occupied, "a list is marked wrongly")
        self._check_absent()

    def _check_absent(self) -> None:
        absent = self._absent
        known = set(absent) <= set(range(len(self.num_free)))
        check(known, "a span is absent that never was")
        check(len(set(absent)) == len(absent), "a span is absent twice")
        check(not any(self.num_free[span] for span in absent), "an absent span is free")
        is_heap = all(absent[(i - 1) // 2] < absent[i] for i in range(1, len(absent)))
        check(is_heap, "absent spans are out of order")

    def _unlist(self, span: int) -> None:
        """Take a span out of its list; the last one takes its position."""
        num_free = self.num_free[span]
        spans = self._by_free[num_free]
        last = spans.pop()
        if last != span:
            self._position[last] = self._position[span]
            spans[self._position[span]] = last
        if not spans:
            self._occupied ^= 1 << num_free
