"""Spans by their number of free pages."""

from __future__ import annotations

from allocator.integrity import check


class SpanLists:
    """Which span gives the next page, without a search: one list a number of free pages.

    Full and absent spans stand in no list. Of equally free spans the one listed last goes first.
    """

    def __init__(self, num_spans: int, pages_per_span: int) -> None:
        self._by_free: list[list[int]] = [[] for _ in range(pages_per_span + 1)]
        self._position = [0] * num_spans  # of a span within its list
        self._occupied = 0  # bit i: some span has i free pages

    @property
    def num_empty(self) -> int:
        """Spans whose pages are all free."""
        return len(self._by_free[-1])

    def add(self, span: int, num_free: int) -> None:
        """List a span."""
        spans = self._by_free[num_free]
        self._position[span] = len(spans)
        spans.append(span)
        self._occupied |= 1 << num_free

    def remove(self, span: int, num_free: int) -> None:
        """Take a span out of its list; the last one takes its position."""
        spans = self._by_free[num_free]
        last = spans.pop()
        if last != span:
            spans[self._position[span]] = last
            self._position[last] = self._position[span]
        if not spans:
            self._occupied ^= 1 << num_free

    def move(self, span: int, num_free: int, num_now: int) -> None:
        """Let a span stand elsewhere that has more free pages now; with none it stood nowhere."""
        by_free, position = self._by_free, self._position
        if num_free:  # as `remove`, which would cost another call a span
            spans = by_free[num_free]
            last = spans.pop()
            if last != span:
                place = position[last] = position[span]
                spans[place] = last
            if not spans:
                self._occupied ^= 1 << num_free
        spans = by_free[num_now]
        position[span] = len(spans)
        spans.append(span)
        self._occupied |= 1 << num_now

    def pop_empty(self, count: int) -> list[int]:
        """Take empty spans out of their list, in the order in which `pop` would."""
        spans = self._by_free[-1]
        popped = spans[: -count - 1 : -1]
        del spans[-count:]
        if not spans:
            self._occupied ^= 1 << len(self._by_free) - 1
        return popped

    def pop(self, num_free: int, num_left: int = 0) -> int:
        """Take a span with so many free pages out of its list; list it with those left, if any."""
        spans = self._by_free[num_free]
        span = spans.pop()
        if not spans:
            self._occupied ^= 1 << num_free
        if num_left > 0:
            spans = self._by_free[num_left]
            self._position[span] = len(spans)
            spans.append(span)
            self._occupied |= 1 << num_left
        return span

    def pop_fullest(self, count: int) -> tuple[int, int]:
        """Take a span that has the fewest pages free out of its list, and list what it has left.

        Returns:
            The span, and how many pages were free.
        """
        occupied = self._occupied
        num_free = (occupied & -occupied).bit_length() - 1
        return self.pop(num_free, num_free - count), num_free

    def first_empty(self) -> int:
        """The empty span that would be taken from first."""
        return self._by_free[-1][-1]

    def least_free(self) -> int:
        """Free pages of the fullest span that has any."""
        return (self._occupied & -self._occupied).bit_length() - 1

    def check_integrity(self, num_free_by_span: list[int]) -> None:
        """Raise AssertionError unless each span stands once where its free pages put it."""
        lists = list(enumerate(self._by_free))
        listed = sorted((span, num_free) for num_free, spans in lists for span in spans)
        due = [(span, num_free) for span, num_free in enumerate(num_free_by_span) if num_free]
        check(listed == due, "a span is in no list, a wrong one or two")
        orderly = all(
            self._position[span] == i for _, spans in lists for i, span in enumerate(spans)
        )
        check(orderly, "a span stands elsewhere in its list")
        marks = sum(1 << num_free for num_free, spans in lists if spans)
        check(marks == self._occupied, "a list is marked wrongly")
