"""Free pages over any sequence of calls, beside a plain set of numbers."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from allocator.free_pages import CHAPTER_PAGES, FreePages
from allocator.run import runs_of_pages

NUM_PAGES = 2 * CHAPTER_PAGES + 100
EDGES = [0, CHAPTER_PAGES, 2 * CHAPTER_PAGES, NUM_PAGES]
NEAR_AN_EDGE = st.builds(lambda edge, by: edge + by, st.sampled_from(EDGES), st.integers(-3, 3))
PLACES = st.one_of(NEAR_AN_EDGE, st.integers(0, NUM_PAGES)).map(
    lambda place: min(max(place, 0), NUM_PAGES)
)


class FreePagesMachine(RuleBasedStateMachine):
    """The model: the set."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = FreePages(NUM_PAGES)
        self.free: set[int] = set()

    @rule(ends=st.tuples(PLACES, PLACES))
    def add(self, ends: tuple[int, int]) -> None:
        first, end = sorted(ends)
        if first == end:
            return
        run = set(range(first, end))
        if self.free.isdisjoint(run):
            self.pages.add(first, end - first)
            self.free |= run
        else:
            with pytest.raises(ValueError, match="is free already"):
                self.pages.add(first, end - first)

    @rule(place=PLACES)
    def add_one(self, place: int) -> None:
        self.add((place, min(place + 1, NUM_PAGES)))

    @precondition(lambda self: self.free)
    @rule()
    def pop(self) -> None:
        assert self.pages.pop() == min(self.free)
        self.free.remove(min(self.free))

    @rule(part=st.floats(0, 1), start=st.one_of(st.just(0), PLACES))
    def take(self, part: float, start: int) -> None:
        count = int(part * len(self.free))
        in_turn = sorted(self.free, key=lambda page: (page < start, page))
        assert self.pages.take(count, start) == runs_of_pages(in_turn[:count])
        self.free.difference_update(in_turn[:count])

    @rule(count=st.integers(0, 5), start=st.one_of(st.just(0), PLACES))
    def take_a_few(self, count: int, start: int) -> None:
        count = min(count, len(self.free))
        in_turn = sorted(self.free, key=lambda page: (page < start, page))
        assert self.pages.take(count, start) == runs_of_pages(in_turn[:count])
        self.free.difference_update(in_turn[:count])

    @rule(first=PLACES)
    def remove_from(self, first: int) -> None:
        beyond = sorted(page for page in self.free if page >= first)
        assert self.pages.remove_from(first) == runs_of_pages(beyond)
        self.free.difference_update(beyond)

    @rule(end=PLACES)
    def look_before(self, end: int) -> None:
        length = 0
        while end - length - 1 in self.free:
            length += 1
        assert self.pages.run_before(end) == length

    @invariant()
    def is_the_set(self) -> None:
        assert self.pages.count == len(self.free)
        assert self.pages.runs() == runs_of_pages(sorted(self.free))

    @invariant()
    def is_sound(self) -> None:
        self.pages.check_integrity()


TestFreePagesMachine = FreePagesMachine.TestCase
