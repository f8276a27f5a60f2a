"""Names of pages over any sequence of issues, retires and moves, beside a dict of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from allocator.handle import HandleLayout, StaleHandleError
from allocator.page_table import PageTable
from allocator.run import Run, pages_of_runs, runs_of_pages

NUM_PAGES = 12
POOLS = st.integers(0, 1)
PAGES = st.integers(0, NUM_PAGES - 1)
PAGE_LISTS = st.lists(PAGES, min_size=1, unique=True)


class PageTableMachine(RuleBasedStateMachine):
    """The model: the page of each handle, and the handle of each entry that is live."""

    def __init__(self) -> None:
        super().__init__()
        self.table = PageTable(HandleLayout.for_table(2, NUM_PAGES), [NUM_PAGES] * 2)
        self.page: dict[int, tuple[int, int]] = {}
        self.handle: dict[tuple[int, int], int] = {}
        self.stale: set[int] = set()

    def live_pages(self, pool: int) -> set[int]:
        return {page for owner, page in self.page.values() if owner == pool}

    @rule(pool=POOLS, pages=PAGE_LISTS)
    def issue(self, pool: int, pages: list[int]) -> None:
        pages = [page for page in pages if page not in self.live_pages(pool)]
        entries = self.table.issue(pool, runs_of_pages(pages))
        handles = self.table.handles(pool, entries)
        assert self.stale.isdisjoint(handles)
        self.page |= {h: (pool, page) for h, page in zip(handles, pages, strict=True)}
        numbers = pages_of_runs(entries)
        assert not any((pool, number) in self.handle for number in numbers)
        self.handle |= {(pool, e): h for e, h in zip(numbers, handles, strict=True)}

    @precondition(lambda self: self.handle)
    @rule(pool=POOLS, choice=st.lists(PAGES, min_size=1, unique=True))
    def retire(self, pool: int, choice: list[int]) -> None:
        entries = [entry for entry in choice if (pool, entry) in self.handle]
        handles = [self.handle.pop((pool, entry)) for entry in entries]
        pages = self.table.retire(pool, runs_of_pages(entries))
        assert [(pool, page) for page in pages_of_runs(pages)] == [
            self.page.pop(handle) for handle in handles
        ]
        self.stale.update(handles)

    @rule(pool=POOLS, entries=PAGE_LISTS)
    def retire_something_free(self, pool: int, entries: list[int]) -> None:
        runs: list[Run] = runs_of_pages(entries)
        if not all((pool, entry) in self.handle for entry in entries):
            with pytest.raises(StaleHandleError):
                self.table.retire(pool, runs)

    @rule(pool=POOLS, source=PAGES, destination=PAGES)
    def move(self, pool: int, source: int, destination: int) -> None:
        self.table.move(pool, source, destination)
        places = {(pool, source): (pool, destination), (pool, destination): (pool, source)}
        self.page = {handle: places.get(page, page) for handle, page in self.page.items()}

    @invariant()
    def every_handle_keeps_its_meaning(self) -> None:
        assert {handle: self.table.page(handle) for handle in self.page} == self.page
        assert sorted(self.table.live_pages()) == sorted(self.page.values())
        for handle in self.stale:
            with pytest.raises(StaleHandleError):
                self.table.page(handle)

    @invariant()
    def entries_name_their_pages(self) -> None:
        for (pool, entry), handle in self.handle.items():
            assert self.table.handles(pool, [(entry, 1)]) == [handle]
            assert self.table.pages(pool, [(entry, 1)]) == [(self.page[handle][1], 1)]

    @rule(pool=POOLS, path=st.permutations(range(NUM_PAGES)))
    def move_on_and_on(self, pool: int, path: list[int]) -> None:
        """The page of a sequence that outlives many a loss of capacity."""
        if path[0] in self.live_pages(pool):
            for source, destination in pairwise(path[:5]):
                self.move(pool, source, destination)

    @precondition(lambda self: self.handle)
    @rule()
    def retire_everything(self) -> None:
        for pool in range(2):
            self.retire(pool, list(range(NUM_PAGES)))
        assert not self.handle

    @invariant()
    def nobody_is_astray_once_nothing_is_live(self) -> None:
        for pool in range(2):
            if not self.live_pages(pool):
                assert not self.table._page_of[pool]  # noqa: SLF001 - no caller needs to know
                assert not self.table._entry_at[pool]  # noqa: SLF001

    @invariant()
    def is_sound(self) -> None:
        self.table.check_integrity()


TestPageTableMachine = PageTableMachine.TestCase
